//! Signs requests as the vendors' clients do, for tests of those who verify them. Paths and queries
//! are to be given in their canonical form.

use hmac::{Hmac, KeyInit, Mac};
use ringcheck::access::Key;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// What is to be signed.
#[derive(Clone, Copy)]
pub(crate) struct Unsigned<'a> {
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    pub host: &'a str,
    pub body: &'a [u8],
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

impl<'a> Unsigned<'a> {
    /// `GET target`.
    pub(crate) const fn get(target: &'a str, host: &'a str, at_ms: u64) -> Self {
        Self { method: "GET", target, host, body: b"", at_ms }
    }

    /// The whole request, signed as AWS's clients do; each to one connection.
    pub(crate) fn sigv4(&self, key: &Key) -> Vec<u8> {
        let Self { method, target, host, body, at_ms } = *self;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let date = rfc3339(at_ms).replace(['-', ':'], "");
        let scope = format!("{}/us-east-1/elasticloadbalancing/aws4_request", &date[..8]);
        let list = "host;x-amz-date";
        let canonical = format!(
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-date:{date}\n\n{list}\n{}",
            sha256(body)
        );
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(canonical.as_bytes()));
        let first = format!("AWS4{}", key.secret.expose()).into_bytes();
        let signing = scope.split('/').fold(first, |key, part| hmac(&key, part.as_bytes()));
        let signature = hex::encode(hmac(&signing, text.as_bytes()));
        let id = &key.id;
        self.whole(&format!(
            "X-Amz-Date: {date}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={id}/{scope}, \
             SignedHeaders={list}, Signature={signature}\r\n"
        ))
    }

    /// The whole request, signed as Alibaba's SDK does.
    pub(crate) fn acs3(&self, key: &Key, action: &str, nonce: &str) -> Vec<u8> {
        let Self { method, target, host, body, at_ms } = *self;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (hash, date) = (sha256(body), rfc3339(at_ms));
        let headers = [
            ("host", host),
            ("x-acs-action", action),
            ("x-acs-content-sha256", &hash),
            ("x-acs-date", &date),
            ("x-acs-signature-nonce", nonce),
            ("x-acs-version", "2022-04-30"),
        ];
        let list = headers.map(|header| header.0).join(";");
        let (mut signed, mut sent) = (String::new(), String::new());
        for (name, value) in headers {
            writeln!(signed, "{name}:{value}").unwrap();
            if name != "host" {
                write!(sent, "{name}: {value}\r\n").unwrap();
            }
        }
        let canonical = format!("{method}\n{path}\n{query}\n{signed}\n{list}\n{hash}");
        let text = format!("ACS3-HMAC-SHA256\n{}", sha256(canonical.as_bytes()));
        let signature = hex::encode(hmac(key.secret.expose().as_bytes(), text.as_bytes()));
        let id = &key.id;
        self.whole(&format!(
            "{sent}Authorization: ACS3-HMAC-SHA256 Credential={id},SignedHeaders={list},\
             Signature={signature}\r\n"
        ))
    }

    /// The request with these headers, each of which ends its line.
    pub(crate) fn whole(&self, headers: &str) -> Vec<u8> {
        let Self { method, target, host, body, .. } = self;
        let length = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\
             Content-Length: {length}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    }
}

/// In whole seconds.
fn rfc3339(ms: u64) -> String {
    let text = ringcheck::wall::Rfc3339(i64::try_from(ms).unwrap()).to_string();
    format!("{}Z", text.split('.').next().unwrap())
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn hmac(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.chain_update(bytes).finalize().into_bytes().to_vec()
}
