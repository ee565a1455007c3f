//! The decoders of bytes from outside, fed with random bytes and with mutations of good ones: what
//! must hold of them stands beside the fuzz targets, which feed the same functions.

#[path = "../fuzz/decoders.rs"]
mod decoders;
#[path = "support/mutation.rs"]
mod mutation;

use decoders::{form, query, targets};
use proptest::prelude::*;
use ringcheck::api::form::Params;
use ringcheck::time::monotonic;

const FORMS: [&str; 3] = [
    "Action=RegisterTargets&Version=2015-12-01\n\
     TargetGroupArn=arn%3Aaws%3A%C3%A4&Targets.member.1.Id=10.0.0.1&Targets.member.1.Port=80&\
     Targets.member.12.Id=i-1&Matcher.HttpCode=200-399&Include=&Names.member.1=a+b",
    "ServerIds.1=a&ServerIds.2=b\nServers.1.Port=80&Servers.2.Port=81&DryRun=True&Tag.1.Key=k",
    "\n",
];
const QUERIES: [&str; 2] = ["state=healthy&limit=10&cursor=00&zone=a%2Fb+c", "port=80&&a"];
const LISTS: [&str; 3] = [
    r#"[{"id":"i-1","address":"10.0.0.1","port":80,"zone":"a","weight":1,"lifecycle":"running"}]"#,
    "10.0.0.1:80 # one\n[::1]:80\n\n10.1.0.0/30:1\r\n10.0.0.1-10.0.0.9:1",
    "[]",
];

/// Bytes that mean something to one of the decoders.
const SPECIAL: &[u8] = b"&=.%+\n\r\0\"\\{}[],:#/- 0129aAfF\xFF\xC3\xA4";

fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), prop::sample::select(SPECIAL)]
}

/// One of `good` with some bytes changed.
fn changed(good: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    mutation::mutated(prop::sample::select(good).prop_map(|text| text.into()), byte(), 12)
}

fn random() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(byte(), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn forms_are_decoded_or_refused(bytes in prop_oneof![random(), changed(&FORMS)]) {
        form(&bytes);
    }

    #[test]
    fn queries_are_decoded_or_refused(bytes in prop_oneof![random(), changed(&QUERIES)]) {
        query(&bytes);
    }

    #[test]
    fn lists_of_targets_are_read_or_refused(bytes in prop_oneof![random(), changed(&LISTS)]) {
        targets(&bytes);
    }
}

#[test]
fn a_hundred_thousand_targets_in_one_form_are_decoded_in_no_time() {
    let one = |n: u32| {
        format!("Servers.{n}.ServerId=i-{n}&Servers.{n}.Port=80&Servers.{n}.ServerType=Ip")
    };
    let body = (1..=100_000).map(one).collect::<Vec<_>>().join("&");
    let begin = monotonic();
    let mut form = Params::parse("", body.as_bytes()).unwrap();
    let mut list = form.list("Servers").unwrap();
    let last = list.last_mut().unwrap().take("ServerId");
    let taken = monotonic().since(begin);
    assert_eq!((list.len(), last.as_deref()), (100_000, Some("i-100000")));
    // 0.1 s on one core; what is quadratic would take minutes.
    assert!(taken.as_secs() < 5, "{taken:?}");
}
