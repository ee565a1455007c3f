//! AWS Signature Version 4, the server's side.
//!
//! "Create a signed AWS API request", IAM user guide. It has no nonce, and a client that asks the
//! same twice within a second signs the same twice, so what was seen before is not refused: within
//! [`WINDOW_MS`] a request could be repeated by whoever can listen on loopback, which is root.

use super::authorization::Authorization;
use super::canonical::{self, Blanks};
use super::date;
use super::digest::{hmac_sha256, is_same, sha256_hex};
use super::head::Head;
use super::keys::Secret;
use super::refusal::{Refusal, Scope};

/// What stands before the parts of the Authorization header.
pub(super) const SCHEME: &str = "AWS4-HMAC-SHA256";
/// How far from now a request's date may be.
const WINDOW_MS: u64 = 5 * 60_000;
const SERVICE: &str = "elasticloadbalancing";
const TERMINATOR: &str = "aws4_request";

/// A request's signature, read and not verified.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a> {
    authorization: Authorization<'a>,
    /// Whose it is said to be.
    pub(super) key_id: &'a str,
    /// `date/region/service/aws4_request`, whole and in parts.
    scope: &'a str,
    parts: [&'a str; 4],
    /// X-Amz-Date.
    date: &'a str,
}

impl<'a> Claim<'a> {
    pub(super) fn read(head: &Head<'a>, authorization: &'a str) -> Result<Self, Refusal> {
        let authorization = Authorization::parse(authorization)?;
        let (key_id, scope) = authorization.credential.split_once('/').ok_or(Refusal::Malformed)?;
        let mut parts = [""; 4];
        let mut given = scope.split('/');
        for part in &mut parts {
            *part = given.next().ok_or(Refusal::Malformed)?;
        }
        if given.next().is_some() {
            return Err(Refusal::Malformed);
        }
        let date = head.text("x-amz-date")?.ok_or(Refusal::Malformed)?;
        Ok(Self { authorization, key_id, scope, parts, date })
    }

    /// All that can be said without the body and without the secret. Any region is right where
    /// `region` is none.
    pub(super) fn check(
        &self,
        head: &Head<'_>,
        region: Option<&str>,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        let [day, in_region, service, terminator] = self.parts;
        let at_ms = date::basic(self.date).ok_or(Refusal::DateFormat)?;
        let scopes = [
            (terminator == TERMINATOR, Scope::Terminator),
            (service == SERVICE, Scope::Service),
            (region.is_none_or(|region| in_region == region), Scope::Region),
            (self.date.get(..8) == Some(day), Scope::Day),
        ];
        if let Some((_, wrong)) = scopes.into_iter().find(|(is_right, _)| !is_right) {
            return Err(Refusal::Scope(wrong));
        }
        self.authorization.signed.check(head, &["host", "x-amz-date"])?;
        if at_ms.abs_diff(now_ms) > WINDOW_MS {
            return Err(Refusal::Date { at_ms, now_ms, window_ms: WINDOW_MS });
        }
        Ok(())
    }

    /// Whether the signature is that of `head` and `body` by this secret.
    pub(super) fn verify(
        &self,
        head: &Head<'_>,
        body: &[u8],
        secret: &Secret,
    ) -> Result<(), Refusal> {
        let pairs = sorted_pairs(head.query)?;
        let body = sha256_hex(body);
        let is_right = |path: &str| {
            let canonical = self.canonical_request(head, path, &pairs, &body);
            is_same(&self.signature(&self.string_to_sign(&canonical), secret), self.theirs())
        };
        // The rule is that the path is encoded once more; older versions of curl sign it as it is.
        // Where it has no escapes, both mean the same path and no other one.
        let path = canonical::encoded_path(head.path);
        let is_bare = path != head.path && !head.path.contains('%');
        if is_right(&path) || is_bare && is_right(head.path) {
            Ok(())
        } else {
            Err(Refusal::Mismatch)
        }
    }

    const fn theirs(&self) -> &'a str {
        self.authorization.signature
    }

    /// The request in the form that is signed.
    pub(super) fn canonical_request(
        &self,
        head: &Head<'_>,
        path: &str,
        query: &str,
        body_sha256: &str,
    ) -> Vec<u8> {
        let mut out = format!("{}\n{path}\n{query}\n", head.method).into_bytes();
        self.authorization.signed.write(head, Blanks::Joined, &mut out);
        out.push(b'\n');
        out.extend(self.authorization.signed.list().as_bytes());
        out.push(b'\n');
        out.extend(body_sha256.as_bytes());
        out
    }

    pub(super) fn string_to_sign(&self, canonical_request: &[u8]) -> String {
        let Self { date, scope, .. } = self;
        format!("{SCHEME}\n{date}\n{scope}\n{}", sha256_hex(canonical_request))
    }

    pub(super) fn signature(&self, string_to_sign: &str, secret: &Secret) -> String {
        let first = format!("AWS4{}", secret.expose()).into_bytes();
        let key = self.parts.iter().fold(first, |key, part| hmac_sha256(&key, part.as_bytes()));
        hex::encode(hmac_sha256(&key, string_to_sign.as_bytes()))
    }
}

/// A query by its encoded names, then values, as SigV4 sorts them.
pub(super) fn sorted_pairs(query: &str) -> Result<String, Refusal> {
    let mut pairs = canonical::pairs(query.as_bytes())?;
    pairs.sort_by_cached_key(|(name, value)| (canonical::encoded(name), canonical::encoded(value)));
    Ok(canonical::query(&pairs))
}
