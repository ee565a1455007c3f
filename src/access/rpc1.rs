//! Alibaba's older way to sign: HMAC-SHA1 over all parameters, `SignatureVersion=1.0`.
//!
//! "RPC signature mechanism", Alibaba Cloud API documentation. It signs neither path nor headers,
//! so the path must be `/`, and a header that names the action must name the one that is signed.

use super::acs3::WINDOW_MS;
use super::canonical::{self, Pair};
use super::date;
use super::digest::{hmac_sha1, is_same};
use super::head::Head;
use super::keys::Secret;
use super::refusal::Refusal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A request's signature, read and not verified.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// Sorted, without the signature.
    pairs: Vec<Pair>,
    pub(super) key_id: String,
    pub(super) at_ms: u64,
    pub(super) nonce: String,
    signature: String,
}

/// Whether these are parameters of a signed request.
pub(super) fn is_signed(pairs: &[Pair]) -> bool {
    pairs.iter().any(|(name, _)| name == b"Signature")
}

impl Claim {
    /// The claim of these parameters, which are those of the query and those of the form.
    pub(super) fn read(head: &Head<'_>, mut pairs: Vec<Pair>) -> Result<Self, Refusal> {
        let one = |name: &str| {
            let mut values = pairs.iter().filter(|pair| pair.0 == name.as_bytes());
            let value = values.next().map(|pair| pair.1.as_slice());
            let value = value.and_then(|value| std::str::from_utf8(value).ok());
            let value = value.ok_or(Refusal::Malformed)?;
            if values.next().is_some() { Err(Refusal::Malformed) } else { Ok(value.to_owned()) }
        };
        let (signature, key_id) = (one("Signature")?, one("AccessKeyId")?);
        let (nonce, timestamp) = (one("SignatureNonce")?, one("Timestamp")?);
        let is_version =
            one("SignatureVersion")? == "1.0" && one("SignatureMethod")? == "HMAC-SHA1";
        if !is_version || nonce.is_empty() || head.path != "/" {
            return Err(Refusal::Malformed);
        }
        for (header, parameter) in [("x-acs-action", "Action"), ("x-acs-version", "Version")] {
            if let Some(text) = head.text(header)?
                && text != one(parameter)?
            {
                return Err(Refusal::Mismatch);
            }
        }
        let at_ms = date::extended(&timestamp).ok_or(Refusal::DateFormat)?;
        pairs.retain(|(name, _)| name != b"Signature");
        pairs.sort_unstable();
        Ok(Self { pairs, key_id, at_ms, nonce, signature })
    }

    /// Whether the signature is that of the parameters by this secret.
    pub(super) fn verify(&self, head: &Head<'_>, secret: &Secret) -> Result<(), Refusal> {
        let ours = signature(&self.string_to_sign(head), secret);
        if is_same(&ours, &self.signature) { Ok(()) } else { Err(Refusal::Mismatch) }
    }

    pub(super) fn string_to_sign(&self, head: &Head<'_>) -> String {
        let query = canonical::query(&self.pairs);
        format!("{}&%2F&{}", head.method, canonical::encoded(query.as_bytes()))
    }
}

pub(super) fn signature(string_to_sign: &str, secret: &Secret) -> String {
    let key = format!("{}&", secret.expose());
    STANDARD.encode(hmac_sha1(key.as_bytes(), string_to_sign.as_bytes()))
}

/// Refuses a date that is too far from now; of both of Alibaba's ways to sign.
pub(super) const fn check_date(at_ms: u64, now_ms: u64) -> Result<(), Refusal> {
    if at_ms.abs_diff(now_ms) > WINDOW_MS {
        return Err(Refusal::Date { at_ms, now_ms, window_ms: WINDOW_MS });
    }
    Ok(())
}
