//! Every way in which a request can be wrong, with the error that its client is told.

use crate::request::{NOW, Request, assert_refused, captured, guard, keys, vectors};
use ringcheck::access::{Dialect, Guard, Key, Keys, Refusal, Refused};
use ringcheck::limits::SIGNATURE_FAILURES_PER_SECOND;

const AWS: &str = "003-cli-targets";
const ACS: &str = "002-sdk4-get-extqueries";
const RPC: &str = "020-sdk4-v2sig-sts-post";

fn changed(name: &str, change: impl FnOnce(&mut Request)) -> Result<String, Refused> {
    let mut request = captured(name);
    change(&mut request);
    assert_ne!(request, captured(name), "nothing was changed");
    request.verify()
}

#[track_caller]
fn aws(change: impl FnOnce(&mut Request), refusal: Refusal, status: u16, code: &str) {
    assert_refused(changed(AWS, change), refusal, Dialect::Aws, status, code);
}

#[track_caller]
fn acs(change: impl FnOnce(&mut Request), refusal: Refusal, status: u16, code: &str) {
    assert_refused(changed(ACS, change), refusal, Dialect::Alibaba, status, code);
}

#[track_caller]
fn rpc(from: &str, to: &str, refusal: Refusal, status: u16, code: &str) {
    let change = |request: &mut Request| request.query = request.query.replacen(from, to, 1);
    assert_refused(changed(RPC, change), refusal, Dialect::Alibaba, status, code);
}

#[test]
fn captured_requests_verify_as_a_whole() {
    let mut guard = guard();
    for vector in vectors() {
        let request = Request::parse(vector.raw.as_bytes()).unwrap();
        let whose = request.judge(&mut guard, &keys(), NOW);
        let id = if vector.scheme == "sigv4" { "AKID" } else { "LTAI" };
        assert!(whose.as_ref().is_ok_and(|key| key.starts_with(id)), "{}: {whose:?}", vector.file);
    }
}

#[test]
fn a_wrong_key_or_none_is_refused() {
    let mut others = Keys::default();
    for key in keys().all() {
        others.add(Key::new(&key.id, "quite/another/secret/0123456789").unwrap()).unwrap();
    }
    let wrong = |name: &str| captured(name).judge(&mut guard(), &others, NOW);
    let mismatch = "SignatureDoesNotMatch";
    assert_refused(wrong(AWS), Refusal::Mismatch, Dialect::Aws, 403, mismatch);
    assert_refused(wrong(ACS), Refusal::Mismatch, Dialect::Alibaba, 400, mismatch);
    assert_refused(wrong(RPC), Refusal::Mismatch, Dialect::Alibaba, 400, mismatch);
    let unknown = |name: &str| captured(name).judge(&mut guard(), &Keys::default(), NOW);
    let not_found = "InvalidAccessKeyId.NotFound";
    assert_refused(unknown(AWS), Refusal::UnknownKey, Dialect::Aws, 403, "InvalidClientTokenId");
    assert_refused(unknown(ACS), Refusal::UnknownKey, Dialect::Alibaba, 404, not_found);
    assert_refused(unknown(RPC), Refusal::UnknownKey, Dialect::Alibaba, 404, not_found);
    // An SDK without keys signs in the name of nobody.
    let nobody =
        |r: &mut Request| r.authorize("Credential=LTAI5tLocalTestKey000001", "Credential=");
    acs(nobody, Refusal::UnknownKey, 404, not_found);
    let nobody = |r: &mut Request| r.authorize("Credential=AKIDLOCAL0000000TEST", "Credential=");
    aws(nobody, Refusal::UnknownKey, 403, "InvalidClientTokenId");
    rpc("LTAI5tLocalTestKey000001", "", Refusal::UnknownKey, 404, not_found);
}

#[test]
fn what_is_tampered_with_is_refused() {
    let (wrong, no) = (Refusal::Mismatch, "SignatureDoesNotMatch");
    aws(|r| r.body.push(b'x'), wrong, 403, no);
    aws(|r| r.body.clear(), wrong, 403, no);
    aws(|r| *r.header("host") = b"localhost".to_vec(), wrong, 403, no);
    aws(|r| r.path = "/v1/summary".to_owned(), wrong, 403, no);
    aws(|r| r.query = "a=b".to_owned(), wrong, 403, no);
    aws(|r| r.method = "PUT".to_owned(), wrong, 403, no);
    aws(|r| r.authorize("Signature=c1", "Signature=d1"), wrong, 403, no);
    aws(|r| r.authorize("Signature=c1", "Signature=C1"), wrong, 403, no);
    aws(|r| r.authorize("Signature=c1", "Signature="), wrong, 403, no);
    acs(|r| r.body.push(b'x'), wrong, 400, no);
    acs(|r| r.query = r.query.replace("=20", "=21"), wrong, 400, no);
    acs(|r| *r.header("x-acs-action") = b"DeleteListener".to_vec(), wrong, 400, no);
    acs(|r| *r.header("user-agent") = b"curl".to_vec(), wrong, 400, no);
    acs(|r| r.path = "/v1/summary".to_owned(), wrong, 400, no);
    // A body with its right hash in the header is still another body.
    let both = |r: &mut Request| {
        r.body = b"a".to_vec();
        let hash = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
        *r.header("x-acs-content-sha256") = hash.into();
    };
    acs(both, wrong, 400, no);
    rpc("2022", "2023", Refusal::Mismatch, 400, no);
}

#[test]
fn rpc_signatures_cover_every_parameter_and_what_else_names_the_action() {
    let (wrong, no) = (Refusal::Mismatch, "SignatureDoesNotMatch");
    rpc("SecurityToken=STS", "SecurityToken=sts", wrong, 400, no);
    let tamper = |change: fn(&mut Request), refusal, code: &str| {
        assert_refused(changed(RPC, change), refusal, Dialect::Alibaba, 400, code);
    };
    tamper(|r| r.body.extend(b"&Servers.2.Port=1"), wrong, no);
    tamper(|r| *r.header("x-acs-action") = b"DeleteListener".to_vec(), wrong, no);
    tamper(|r| *r.header("x-acs-version") = b"2019-01-01".to_vec(), wrong, no);
    tamper(|r| r.method = "GET".to_owned(), Refusal::Malformed, "IncompleteSignature");
    // A body that is no form is not covered.
    tamper(|r| r.remove("content-type"), Refusal::Malformed, "IncompleteSignature");
    tamper(|r| r.query += "&Signature=x", Refusal::Malformed, "IncompleteSignature");
    tamper(|r| r.query += "&Timestamp=x", Refusal::Malformed, "IncompleteSignature");
    rpc("=1.0", "=2.0", Refusal::Malformed, 400, "IncompleteSignature");
    rpc("HMAC-SHA1", "HMAC-MD5", Refusal::Malformed, 400, "IncompleteSignature");
    let elsewhere = changed(RPC, |r| r.path = "/v1/groups".to_owned());
    assert_eq!(elsewhere.unwrap_err().refusal, Refusal::Unsigned);
}

#[test]
fn a_form_may_hold_the_signature_too() {
    let mut request = captured(RPC);
    request.body = [request.query.as_bytes(), b"&", &request.body].concat();
    request.query.clear();
    assert!(request.verify().is_ok());
    request.body.extend(b"&x=y");
    let no = "SignatureDoesNotMatch";
    assert_refused(request.verify(), Refusal::Mismatch, Dialect::Alibaba, 400, no);
    request.body = b"Action=DescribeTargetHealth".to_vec();
    request.headers.retain(|(name, _)| !name.starts_with("x-acs-"));
    let no = "MissingAuthenticationToken";
    assert_refused(request.verify(), Refusal::Unsigned, Dialect::Aws, 403, no);
}

#[test]
fn headers_that_must_be_signed_are() {
    let (headers, no) = (Refusal::SignedHeaders, "SignatureDoesNotMatch");
    aws(|r| r.authorize("host;", ""), headers, 403, no);
    aws(|r| r.authorize(";x-amz-date", ""), headers, 403, no);
    aws(|r| r.add("X-Amz-Target", "x"), headers, 403, no);
    aws(|r| r.add("x-acs-action", "DeleteListener"), headers, 403, no);
    aws(|r| r.add("Host", "127.0.0.1:42505"), headers, 403, no);
    aws(|r| r.remove("host"), headers, 403, no);
    aws(|r| r.remove("content-type"), headers, 403, no);
    aws(|r| r.authorize("x-amz-date", "x-amz-date;x-more"), headers, 403, no);
    for name in ["host", "x-acs-action", "x-acs-version", "x-acs-content-sha256"] {
        let short = |r: &mut Request| r.authorize(&format!("{name};"), "");
        // The version stands last in the list.
        let short_last = |r: &mut Request| r.authorize(&format!(";{name},"), ",");
        let result =
            if name == "x-acs-version" { changed(ACS, short_last) } else { changed(ACS, short) };
        assert_refused(result, headers, Dialect::Alibaba, 400, "IncompleteSignature");
    }
    acs(|r| r.add("x-acs-security-token", "x"), headers, 400, "IncompleteSignature");
    acs(|r| r.remove("x-acs-action"), headers, 400, "IncompleteSignature");
    acs(|r| r.remove("x-acs-signature-nonce"), Refusal::Malformed, 400, "IncompleteSignature");
}

#[test]
fn what_is_no_signature_is_told_so() {
    let no = "IncompleteSignature";
    for (from, to) in [
        ("Credential=", "Credentials="),
        (", Signature=", ", Signature=0, Signature="),
        ("/aws4_request", ""),
        ("/aws4_request", "/aws4_request/x"),
        ("content-type;host", "host;content-type"),
        ("content-type;host", "host;host"),
        ("content-type;host", ";host"),
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256"),
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
    ] {
        aws(|r| r.authorize(from, to), Refusal::Malformed, 400, no);
    }
    aws(|r| r.add("authorization", "x"), Refusal::Malformed, 400, no);
    aws(
        |r| *r.header("authorization") = b"AWS4-HMAC-SHA256 \xff\xfe".to_vec(),
        Refusal::Malformed,
        400,
        no,
    );
    aws(|r| r.query = "a=%zz".to_owned(), Refusal::Malformed, 400, no);
    aws(|r| r.remove("x-amz-date"), Refusal::Malformed, 400, no);
    aws(|r| r.add("x-amz-date", "20261121T085559Z"), Refusal::Malformed, 400, no);
    acs(|r| r.query += "%", Refusal::Malformed, 400, no);
    acs(|r| r.authorize("ACS3-HMAC-SHA256", "ACS3-RSA-SHA256"), Refusal::Malformed, 400, no);
    aws(|r| r.remove("authorization"), Refusal::Unsigned, 403, "MissingAuthenticationToken");
    acs(|r| r.remove("authorization"), Refusal::Unsigned, 400, no);
    let native = |r: &mut Request| {
        r.headers.clear();
        r.path = "/v1/summary".to_owned();
    };
    let native = changed(AWS, native);
    assert_refused(native, Refusal::Unsigned, Dialect::Native, 401, "MissingSignature");
}

#[test]
fn ten_thousand_headers_are_refused_at_once() {
    let list: Vec<String> = (0..10_000).map(|n| format!("h{n:05}")).collect();
    let many = |r: &mut Request| {
        list.iter().for_each(|name| r.add(name, "x"));
        r.authorize("content-type;", &format!("content-type;{};", list.join(";")));
    };
    aws(many, Refusal::Malformed, 400, "IncompleteSignature");
}

#[test]
fn signatures_are_for_one_service_region_and_day() {
    let no = "SignatureDoesNotMatch";
    for (from, to) in
        [("/elasticloadbalancing/", "/ec2/"), ("/20261121/", "/20261120/"), ("aws4_", "aws5_")]
    {
        let refused = changed(AWS, |r| r.authorize(from, to)).unwrap_err();
        assert!(matches!(refused.refusal, Refusal::Scope(_)), "{refused:?}");
        assert_eq!((refused.said().status, refused.said().code), (403, no));
    }
    let of = |region: &str| {
        let mut guard = Guard::new(Some(region.to_owned()), NOW);
        captured(AWS).judge(&mut guard, &keys(), NOW)
    };
    assert!(of("us-east-1").is_ok());
    assert!(matches!(of("eu-west-1").unwrap_err().refusal, Refusal::Scope(_)));
}

#[test]
fn stale_dates_are_refused() {
    let minute = 60_000;
    let signed = 1_795_251_359_000;
    let at = |name: &str, now_ms| captured(name).judge(&mut guard(), &keys(), now_ms);
    for at_ms in [signed - 5 * minute, signed + 5 * minute] {
        assert!(at(AWS, at_ms).is_ok());
    }
    for at_ms in [signed - 5 * minute - 1, signed + 5 * minute + 1] {
        let refused = at(AWS, at_ms).unwrap_err();
        assert!(matches!(refused.refusal, Refusal::Date { .. }));
        assert_eq!((refused.said().status, refused.said().code), (403, "SignatureDoesNotMatch"));
    }
    let signed = NOW + 4_000;
    for name in [ACS, RPC] {
        assert!(at(name, signed - 15 * minute).is_ok());
        assert!(at(name, signed + 15 * minute).is_ok());
        for at_ms in [signed - 15 * minute - 1, signed + 15 * minute + 1] {
            let refused = at(name, at_ms).unwrap_err();
            assert!(matches!(refused.refusal, Refusal::Date { .. }));
            let said = refused.said();
            assert_eq!((said.status, said.code), (400, "InvalidTimeStamp.Expired"));
        }
    }
    let no_date = |r: &mut Request| *r.header("x-amz-date") = b"yesterday".to_vec();
    aws(no_date, Refusal::DateFormat, 400, "IncompleteSignature");
    let no_date = |r: &mut Request| *r.header("x-acs-date") = b"yesterday".to_vec();
    acs(no_date, Refusal::DateFormat, 400, "InvalidTimeStamp.Format");
}

#[test]
fn a_nonce_is_good_for_once_and_only_a_right_signature_uses_it_up() {
    for name in [ACS, RPC] {
        let (mut guard, keys) = (guard(), keys());
        let mut wrong = captured(name);
        wrong.query += "&Tampered=1";
        assert_eq!(wrong.judge(&mut guard, &keys, NOW).unwrap_err().refusal, Refusal::Mismatch);
        let right = captured(name);
        assert!(right.judge(&mut guard, &keys, NOW).is_ok());
        let again = right.judge(&mut guard, &keys, NOW + 1_000);
        assert_refused(again, Refusal::NonceUsed, Dialect::Alibaba, 400, "SignatureNonceUsed");
    }
    // Whoever restarts the daemon does not make it forget.
    let mut young = Guard::new(None, NOW + 60_000);
    let refused = captured(ACS).judge(&mut young, &keys(), NOW + 60_000).unwrap_err();
    assert!(matches!(refused.refusal, Refusal::Date { .. }), "{refused:?}");
    // A client of AWS that asks the same twice within a second signs the same.
    let (mut guard, keys) = (guard(), keys());
    assert!(captured(AWS).judge(&mut guard, &keys, NOW).is_ok());
    assert!(captured(AWS).judge(&mut guard, &keys, NOW).is_ok());
}

#[test]
fn who_guesses_is_slowed_down_and_others_are_not() {
    let (mut guard, keys) = (guard(), keys());
    let mut wrong = captured(AWS);
    wrong.body.push(b'x');
    for _ in 0..SIGNATURE_FAILURES_PER_SECOND {
        let refused = wrong.judge(&mut guard, &keys, NOW).unwrap_err();
        assert_eq!(refused.refusal, Refusal::Mismatch);
    }
    let refused = wrong.judge(&mut guard, &keys, NOW);
    assert_refused(refused, Refusal::Throttled, Dialect::Aws, 400, "Throttling");
    assert!(captured(ACS).judge(&mut guard, &keys, NOW).is_ok(), "another key");
    let mut unknown = captured("001-sdk4-get");
    unknown.authorize("LTAI", "LTAJ");
    for _ in 0..SIGNATURE_FAILURES_PER_SECOND {
        let refused = unknown.judge(&mut guard, &keys, NOW).unwrap_err();
        assert_eq!(refused.refusal, Refusal::UnknownKey);
    }
    let refused = unknown.judge(&mut guard, &keys, NOW);
    assert_refused(refused, Refusal::Throttled, Dialect::Alibaba, 400, "Throttling.User");
    assert!(captured(RPC).judge(&mut guard, &keys, NOW).is_ok(), "a known key");
    // And it passes.
    assert!(captured(AWS).judge(&mut guard, &keys, NOW + 1_000).is_ok());
}

#[test]
fn requests_of_browsers_and_for_other_hosts_are_refused() {
    let mut page = captured(AWS);
    assert_eq!(page.origin(), Ok(()));
    page.add("Origin", "http://127.0.0.1:42505");
    let origin = |request: &Request| request.origin().map(|()| String::new());
    assert_refused(origin(&page), Refusal::Origin, Dialect::Aws, 403, "AccessDenied");
    let mut foreign = captured(ACS);
    *foreign.header("host") = b"attacker.example:9411".to_vec();
    let no = "Forbidden.NoPermission";
    assert_refused(origin(&foreign), Refusal::ForeignHost, Dialect::Alibaba, 403, no);
    // A proxy's requests are signed well, and are for somebody else.
    let proxied = captured("006-cli-proxy");
    assert_eq!(proxied.origin().unwrap_err().refusal, Refusal::ForeignHost);
}
