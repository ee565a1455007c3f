//! Captured requests with random bytes changed: none verifies unless it still means the same.

use crate::request::{Request, vectors};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// All that a request means to whoever answers it, as far as it is signed; told from the bytes on
/// its own, by other code than that which is tested.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    method: String,
    path: String,
    parameters: Vec<(Vec<u8>, Vec<u8>)>,
    headers: BTreeSet<(String, Vec<u8>)>,
    body: Vec<u8>,
}

fn meaning(request: &Request, scheme: &str) -> Meaning {
    let form = |text: &[u8]| -> Vec<(Vec<u8>, Vec<u8>)> {
        let text = String::from_utf8_lossy(text).replace('+', " ");
        let parts = text.split('&').filter(|part| !part.is_empty());
        let decode = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
        parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect()
    };
    let of_rpc = scheme == "rpc1";
    let mut parameters = form(request.query.as_bytes());
    if of_rpc {
        parameters.extend(form(&request.body));
    }
    parameters.sort();
    let signed =
        request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let signed = signed.map_or_else(String::new, |(_, value)| {
        let text = String::from_utf8_lossy(value).into_owned();
        text.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap().to_owned()
    });
    let headers = request.headers.iter().filter_map(|(name, value)| {
        let name = name.to_lowercase();
        let words = value.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
        let value = words.collect::<Vec<_>>().join(&b' ').trim_ascii().to_vec();
        signed.split(';').any(|signed| signed == name).then_some((name, value))
    });
    Meaning {
        method: request.method.clone(),
        path: request.path.clone(),
        parameters,
        headers: headers.collect(),
        body: if of_rpc { Vec::new() } else { request.body.clone() },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_request_that_verifies_means_the_same(
        which in 0..15_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..4),
    ) {
        let vector = &vectors()[which];
        let mut raw = vector.raw.clone().into_bytes();
        for (place, byte, how) in changes {
            let place = place.index(raw.len());
            match how {
                0 => raw[place] = byte,
                1 => raw.insert(place, byte),
                _ => drop(raw.remove(place)),
            }
        }
        let Some(request) = Request::parse(&raw) else { return Ok(()) };
        if request.verify().is_ok() {
            let before = Request::parse(vector.raw.as_bytes()).unwrap();
            prop_assert_eq!(meaning(&request, &vector.scheme), meaning(&before, &vector.scheme));
        }
    }

    #[test]
    fn nothing_that_comes_makes_it_panic(
        method in "[A-Z]{1,5}",
        path in "/[ -~]{0,20}",
        query in "[ -~]{0,40}",
        headers in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "authorization", "host", "x-amz-date", "x-acs-date", "x-acs-signature-nonce",
                    "content-type", "x-acs-content-sha256",
                ]),
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..60),
                    "(AWS4|ACS3)-HMAC-SHA256 [A-Za-z0-9/=, ;]{0,80}".prop_map(String::into_bytes),
                    "(AWS4|ACS3)-HMAC-SHA256 Credential=[/a-z0-9]{0,20},SignedHeaders=[a-z;-]{0,20},\
                     Signature=[0-9a-f]{0,64}".prop_map(String::into_bytes),
                ],
            ),
            0..8,
        ),
        body in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let request = Request { method, path, query, headers, body };
        prop_assert!(request.verify().is_err());
        let _ = request.origin();
    }
}
