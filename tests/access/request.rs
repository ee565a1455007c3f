//! A request as text that can be changed, and the guard that judges it.

use ringcheck::access::{Dialect, Guard, Head, Key, Keys, Refusal, Refused, check_origin};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::LazyLock;

/// When the captured requests were made: 2026-11-21T09:00:00Z, within five minutes of all of them.
pub(crate) const NOW: u64 = 1_795_251_600_000;

#[derive(Deserialize)]
struct File {
    secrets: HashMap<String, String>,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
pub(crate) struct Vector {
    pub(crate) file: String,
    pub(crate) scheme: String,
    pub(crate) raw: String,
}

static FILE: LazyLock<File> =
    LazyLock::new(|| serde_json::from_str(include_str!("../data/signature_vectors.json")).unwrap());

/// All captured requests.
pub(crate) fn vectors() -> &'static [Vector] {
    &FILE.vectors
}

/// The first captured request of a file whose name has this in it.
pub(crate) fn captured(name: &str) -> Request {
    let vector = FILE.vectors.iter().find(|vector| vector.file.contains(name)).unwrap();
    Request::parse(vector.raw.as_bytes()).unwrap()
}

/// The keys that the captured requests were signed with.
pub(crate) fn keys() -> Keys {
    let mut keys = Keys::default();
    for (id, secret) in &FILE.secrets {
        keys.add(Key::new(id, secret).unwrap()).unwrap();
    }
    keys
}

/// A request in parts, so that each can be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Splits bytes as an HTTP library would; none where it would refuse them.
    pub(crate) fn parse(raw: &[u8]) -> Option<Self> {
        let end = raw.windows(4).position(|four| four == b"\r\n\r\n")?;
        let mut lines = raw[..end].split(|&byte| byte == b'\n');
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let line = text(lines.next()?.trim_ascii_end())?;
        let words: Vec<&str> = line.split(' ').collect();
        let [method, target, "HTTP/1.1"] = words[..] else { return None };
        let target = match target.strip_prefix("http://") {
            Some(rest) => &rest[rest.find('/')?..],
            None => target,
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = Vec::new();
        for header in lines {
            let header = header.strip_suffix(b"\r").unwrap_or(header);
            let middle = header.iter().position(|&byte| byte == b':')?;
            headers.push((text(&header[..middle])?, header[middle + 1..].to_vec()));
        }
        let (path, query) = (path.to_owned(), query.to_owned());
        Some(Self { method: method.to_owned(), path, query, headers, body: raw[end + 4..].into() })
    }

    pub(crate) fn header(&mut self, name: &str) -> &mut Vec<u8> {
        let mut all = self.headers.iter_mut();
        &mut all.find(|header| header.0.eq_ignore_ascii_case(name)).unwrap().1
    }

    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.headers.retain(|header| !header.0.eq_ignore_ascii_case(name));
    }

    /// Replaces text in the Authorization.
    pub(crate) fn authorize(&mut self, from: &str, to: &str) {
        let value = self.header("authorization");
        let text = String::from_utf8(value.clone()).unwrap();
        assert!(text.contains(from), "{from:?} is not in {text:?}");
        *value = text.replacen(from, to, 1).into_bytes();
    }

    /// Judges it in both steps.
    pub(crate) fn judge(
        &self,
        guard: &mut Guard,
        keys: &Keys,
        now_ms: u64,
    ) -> Result<String, Refused> {
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let Self { method, path, query, body, .. } = self;
        let head = Head { method, path, query, headers: &headers };
        let claim = guard.admit(&head, keys, now_ms)?;
        assert!(body.len() <= claim.body_bytes_max());
        guard.verify(claim, &head, body, keys, now_ms)
    }

    /// The same by a guard that has seen nothing.
    pub(crate) fn verify(&self) -> Result<String, Refused> {
        self.judge(&mut guard(), &keys(), NOW)
    }

    /// Whether it comes from this host's own programs.
    pub(crate) fn origin(&self) -> Result<(), Refused> {
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let Self { method, path, query, .. } = self;
        check_origin(&Head { method, path, query, headers: &headers }, None)
    }
}

/// A guard that has seen nothing, of a daemon that runs for an hour.
pub(crate) fn guard() -> Guard {
    Guard::new(None, NOW - 3_600_000)
}

/// Asserts the refusal and what the client is told: status and code.
#[track_caller]
pub(crate) fn assert_refused(
    result: Result<String, Refused>,
    refusal: Refusal,
    dialect: Dialect,
    status: u16,
    code: &str,
) {
    let refused = result.unwrap_err();
    assert_eq!(refused, Refused { dialect, refusal });
    let said = refused.said();
    assert_eq!((said.status, said.code), (status, code));
    let text = format!("{refused:?} {said:?}");
    for secret in FILE.secrets.values() {
        assert!(!text.contains(secret.as_str()), "{text}");
    }
}
