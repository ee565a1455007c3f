//! The captured requests of real clients: what is signed, byte for byte. What is refused stands in
//! `tests/access.rs`.

use super::head::Head;
use super::keys::Secret;
use super::{Key, acs3, canonical, digest, rpc1, sigv4};
use serde::Deserialize;
use std::collections::HashMap;

#[derive(Deserialize)]
struct File {
    secrets: HashMap<String, String>,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    file: String,
    scheme: String,
    raw: String,
    canonical_request: Option<String>,
    string_to_sign: String,
    expected_signature: String,
}

/// What was signed on the way from a head and a body to a signature.
fn signed(
    scheme: &str,
    head: &Head<'_>,
    body: &[u8],
    secret: impl Fn(&str) -> Secret,
) -> (Option<String>, String, String) {
    let text = |bytes: Vec<u8>| Some(String::from_utf8(bytes).unwrap());
    let authorization = head.text("authorization").unwrap();
    let behind = |scheme| authorization.unwrap().strip_prefix(scheme).unwrap().trim();
    match scheme {
        "sigv4" => {
            let claim = sigv4::Claim::read(head, behind("AWS4-HMAC-SHA256")).unwrap();
            let path = canonical::encoded_path(head.path);
            let query = sigv4::sorted_pairs(head.query).unwrap();
            let hash = digest::sha256_hex(body);
            let canonical = claim.canonical_request(head, &path, &query, &hash);
            let string = claim.string_to_sign(&canonical);
            let signature = claim.signature(&string, &secret(claim.key_id));
            (text(canonical), string, signature)
        }
        "acs3" => {
            let claim = acs3::Claim::read(head, behind("ACS3-HMAC-SHA256")).unwrap();
            let canonical = claim.canonical_request(head).unwrap();
            let string = acs3::string_to_sign(&canonical);
            let signature = acs3::signature(&string, &secret(claim.key_id()));
            (text(canonical), string, signature)
        }
        "rpc1" => {
            let mut pairs = canonical::pairs(head.query.as_bytes()).unwrap();
            pairs.extend(canonical::pairs(body).unwrap());
            let claim = rpc1::Claim::read(head, pairs).unwrap();
            let string = claim.string_to_sign(head);
            let signature = rpc1::signature(&string, &secret(&claim.key_id));
            (None, string, signature)
        }
        other => panic!("no scheme {other}"),
    }
}

#[test]
fn captured_requests_are_signed_byte_for_byte() {
    let text = include_str!("../../tests/data/signature_vectors.json");
    let file: File = serde_json::from_str(text).unwrap();
    assert_eq!(file.vectors.len(), 15);
    for vector in &file.vectors {
        let (top, body) = vector.raw.split_once("\r\n\r\n").unwrap();
        let (line, headers) = top.split_once("\r\n").unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        // A proxy is asked for a whole URL.
        let target = match words[1].strip_prefix("http://") {
            Some(rest) => &rest[rest.find('/').unwrap()..],
            None => words[1],
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers: Vec<(&str, &[u8])> = headers
            .split("\r\n")
            .map(|header| header.split_once(':').unwrap())
            .map(|(name, value)| (name, value.as_bytes()))
            .collect();
        let head = Head { method: words[0], path, query, headers: &headers };
        let secret = |id: &str| Key::new(id, &file.secrets[id]).unwrap().secret;
        let (canonical, string, signature) = signed(&vector.scheme, &head, body.as_bytes(), secret);
        assert_eq!(canonical, vector.canonical_request, "{}", vector.file);
        assert_eq!(string, vector.string_to_sign, "{}", vector.file);
        assert_eq!(signature, vector.expected_signature, "{}", vector.file);
    }
}
