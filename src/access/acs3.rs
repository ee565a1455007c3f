//! ACS3-HMAC-SHA256, the server's side.
//!
//! "V3 request body & signature mechanism", Alibaba Cloud SDK documentation. The nonce makes each
//! request good for once.

use super::authorization::Authorization;
use super::canonical::{self, Blanks};
use super::date;
use super::digest::{hmac_sha256, is_same, sha256_hex};
use super::head::Head;
use super::keys::Secret;
use super::refusal::Refusal;

/// What stands before the parts of the Authorization header.
pub(super) const SCHEME: &str = "ACS3-HMAC-SHA256";
/// How far from now a request's date may be, of both of Alibaba's ways to sign.
pub(super) const WINDOW_MS: u64 = 15 * 60_000;
/// What must be signed. Content-type need not be: the asynchronous client adds it too late.
const NEEDED: [&str; 6] = [
    "host",
    "x-acs-action",
    "x-acs-version",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-content-sha256",
];

/// A request's signature, read and not verified.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a> {
    authorization: Authorization<'a>,
    /// When it was signed, in milliseconds since 1970.
    pub(super) at_ms: u64,
    pub(super) nonce: &'a str,
    /// Hexadecimal, as it came.
    body_sha256: &'a str,
}

impl<'a> Claim<'a> {
    pub(super) fn read(head: &Head<'a>, authorization: &'a str) -> Result<Self, Refusal> {
        let authorization = Authorization::parse(authorization)?;
        let text =
            |name| head.text(name)?.filter(|text| !text.is_empty()).ok_or(Refusal::Malformed);
        let at_ms = date::extended(text("x-acs-date")?).ok_or(Refusal::DateFormat)?;
        Ok(Self {
            authorization,
            at_ms,
            nonce: text("x-acs-signature-nonce")?,
            body_sha256: text("x-acs-content-sha256")?,
        })
    }

    /// Whose it is said to be. An SDK without keys signs in the name of nobody.
    pub(super) const fn key_id(&self) -> &'a str {
        self.authorization.credential
    }

    /// All that can be said without the body and without the secret.
    pub(super) fn check(&self, head: &Head<'_>) -> Result<(), Refusal> {
        self.authorization.signed.check(head, &NEEDED)
    }

    /// Whether the signature is that of `head` and `body` by this secret.
    pub(super) fn verify(
        &self,
        head: &Head<'_>,
        body: &[u8],
        secret: &Secret,
    ) -> Result<(), Refusal> {
        let canonical = self.canonical_request(head)?;
        let ours = signature(&string_to_sign(&canonical), secret);
        let is_body = is_same(&sha256_hex(body), self.body_sha256);
        let is_right = is_same(&ours, self.authorization.signature);
        if is_body && is_right { Ok(()) } else { Err(Refusal::Mismatch) }
    }

    /// The request in the form that is signed.
    pub(super) fn canonical_request(&self, head: &Head<'_>) -> Result<Vec<u8>, Refusal> {
        let mut pairs = canonical::pairs(head.query.as_bytes())?;
        pairs.sort_unstable();
        let query = canonical::query(&pairs);
        let mut out = format!("{}\n{}\n{query}\n", head.method, head.path).into_bytes();
        self.authorization.signed.write(head, Blanks::Kept, &mut out);
        out.push(b'\n');
        out.extend(self.authorization.signed.list().as_bytes());
        out.push(b'\n');
        out.extend(self.body_sha256.as_bytes());
        Ok(out)
    }
}

pub(super) fn string_to_sign(canonical_request: &[u8]) -> String {
    format!("{SCHEME}\n{}", sha256_hex(canonical_request))
}

pub(super) fn signature(string_to_sign: &str, secret: &Secret) -> String {
    hex::encode(hmac_sha256(secret.expose().as_bytes(), string_to_sign.as_bytes()))
}
