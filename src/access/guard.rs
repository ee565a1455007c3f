//! Judges requests: by the head, then with the body; remembers nonces and failures.

use super::acs3;
use super::canonical::{self, Pair};
use super::head::{Dialect, Head, starts_with};
use super::keys::{Keys, Secret};
use super::nonces::Nonces;
use super::refusal::{Refusal, Refused};
use super::rpc1;
use super::sigv4;
use super::throttle::Throttle;
use crate::limits::{API_BODY_BYTES_MAX, API_FORM_BYTES_MAX, NONCES_MAX};

/// What a request's head says of its signature; the body is still to come.
#[derive(Clone, Debug)]
pub struct Claim<'a>(Kind<'a>);

#[derive(Clone, Debug)]
enum Kind<'a> {
    SigV4(sigv4::Claim<'a>),
    Acs3(acs3::Claim<'a>),
    /// Signed by parameters, those of the query at least; here are these.
    Rpc1(Vec<Pair>),
    /// A form: if it is signed, it says so itself. The parameters of the query.
    Form(Vec<Pair>),
}

impl Claim<'_> {
    /// Bytes that the body may have: few where nobody knows yet whose it is.
    #[must_use]
    pub const fn body_bytes_max(&self) -> usize {
        match self.0 {
            Kind::SigV4(_) | Kind::Acs3(_) | Kind::Rpc1(_) => API_BODY_BYTES_MAX,
            Kind::Form(_) => API_FORM_BYTES_MAX,
        }
    }
}

/// Judges requests. One for all connections, so that nobody is better off with many.
#[derive(Debug)]
pub struct Guard {
    /// The region that requests of AWS's clients must be signed for; any where it is none.
    region: Option<String>,
    nonces: Nonces,
    throttle: Throttle,
}

impl Guard {
    /// A guard that begins to remember at `now_ms`: what was signed with a nonce before is refused,
    /// since nobody knows whether it was seen. Times are milliseconds since 1970.
    #[must_use]
    pub fn new(region: Option<String>, now_ms: u64) -> Self {
        let nonces = Nonces::new(NONCES_MAX, acs3::WINDOW_MS, now_ms);
        Self { region, nonces, throttle: Throttle::default() }
    }

    /// Judges a head, so that no body is waited for in vain.
    ///
    /// # Errors
    /// What is wrong already; no HMAC was made for it.
    pub fn admit<'a>(
        &mut self,
        head: &Head<'a>,
        keys: &Keys,
        now_ms: u64,
    ) -> Result<Claim<'a>, Refused> {
        let dialect = head.dialect();
        let kind = read(head).and_then(|kind| {
            self.check_head(&kind, head, keys, now_ms)?;
            Ok(kind)
        });
        kind.map(Claim).map_err(|refusal| Refused { dialect, refusal })
    }

    /// Judges a request with its body: whose it is.
    ///
    /// # Errors
    /// What is wrong.
    pub fn verify(
        &mut self,
        claim: Claim<'_>,
        head: &Head<'_>,
        body: &[u8],
        keys: &Keys,
        now_ms: u64,
    ) -> Result<String, Refused> {
        let mut dialect = head.dialect();
        let result = match claim.0 {
            Kind::SigV4(claim) => self.judge(claim.key_id, keys, now_ms, |secret| {
                claim.verify(head, body, secret)?;
                Ok(None)
            }),
            Kind::Acs3(claim) => self.judge(claim.key_id(), keys, now_ms, |secret| {
                claim.verify(head, body, secret)?;
                Ok(Some((claim.nonce.to_owned(), claim.at_ms)))
            }),
            Kind::Rpc1(pairs) => self.judge_rpc1(pairs, head, body, keys, now_ms),
            Kind::Form(pairs) => match with_form(pairs, head, body) {
                Ok(pairs) if rpc1::is_signed(&pairs) => {
                    dialect = Dialect::Alibaba;
                    self.judge_rpc1(pairs, head, &[], keys, now_ms)
                }
                Ok(_) => Err(Refusal::Unsigned),
                Err(refusal) => Err(refusal),
            },
        };
        result.map_err(|refusal| Refused { dialect, refusal })
    }

    fn check_head(
        &mut self,
        kind: &Kind<'_>,
        head: &Head<'_>,
        keys: &Keys,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        match kind {
            Kind::SigV4(claim) => {
                self.secret(claim.key_id, keys, now_ms)?;
                claim.check(head, self.region.as_deref(), now_ms)
            }
            Kind::Acs3(claim) => {
                self.secret(claim.key_id(), keys, now_ms)?;
                claim.check(head)?;
                self.fresh(claim.key_id(), claim.nonce, claim.at_ms, now_ms)
            }
            Kind::Rpc1(pairs) => {
                let claim = rpc1::Claim::read(head, pairs.clone())?;
                self.secret(&claim.key_id, keys, now_ms)?;
                self.fresh(&claim.key_id, &claim.nonce, claim.at_ms, now_ms)
            }
            Kind::Form(_) => Ok(()),
        }
    }

    fn judge_rpc1(
        &mut self,
        pairs: Vec<Pair>,
        head: &Head<'_>,
        body: &[u8],
        keys: &Keys,
        now_ms: u64,
    ) -> Result<String, Refusal> {
        let claim = rpc1::Claim::read(head, with_form(pairs, head, body)?)?;
        self.judge(&claim.key_id, keys, now_ms, |secret| {
            claim.verify(head, secret)?;
            Ok(Some((claim.nonce.clone(), claim.at_ms)))
        })
    }

    /// Runs `verify` with the secret of `key_id`, counts a failure, and notes the nonce of what
    /// was right.
    fn judge(
        &mut self,
        key_id: &str,
        keys: &Keys,
        now_ms: u64,
        verify: impl FnOnce(&Secret) -> Result<Option<(String, u64)>, Refusal>,
    ) -> Result<String, Refusal> {
        let secret = self.secret(key_id, keys, now_ms)?;
        let nonce = verify(secret).inspect_err(|_| self.throttle.failed(Some(key_id), now_ms))?;
        if let Some((nonce, at_ms)) = nonce {
            self.fresh(key_id, &nonce, at_ms, now_ms)?;
            self.nonces.insert(key_id, &nonce, at_ms, now_ms);
        }
        Ok(key_id.to_owned())
    }

    /// The secret of a key, unless too many have guessed it just now.
    fn secret<'k>(
        &mut self,
        key_id: &str,
        keys: &'k Keys,
        now_ms: u64,
    ) -> Result<&'k Secret, Refusal> {
        let secret = keys.secret(key_id);
        let whose = secret.map(|_| key_id);
        if self.throttle.is_exhausted(whose, now_ms) {
            return Err(Refusal::Throttled);
        }
        secret.ok_or_else(|| {
            self.throttle.failed(None, now_ms);
            Refusal::UnknownKey
        })
    }

    fn fresh(&self, key_id: &str, nonce: &str, at_ms: u64, now_ms: u64) -> Result<(), Refusal> {
        rpc1::check_date(at_ms, now_ms)?;
        self.nonces.check(key_id, nonce, at_ms, now_ms)
    }
}

/// How a request is signed, by its head.
fn read<'a>(head: &Head<'a>) -> Result<Kind<'a>, Refusal> {
    let behind = |text: &'a str, scheme: &str| {
        let is_it = starts_with(text.as_bytes(), scheme);
        is_it.then(|| text[scheme.len()..].strip_prefix(' ')).flatten()
    };
    if let Some(text) = head.text("authorization")? {
        if let Some(rest) = behind(text, sigv4::SCHEME) {
            return sigv4::Claim::read(head, rest).map(Kind::SigV4);
        }
        if let Some(rest) = behind(text, acs3::SCHEME) {
            return acs3::Claim::read(head, rest).map(Kind::Acs3);
        }
        let is_vendors = ["AWS4-", "ACS3-"].iter().any(|way| starts_with(text.as_bytes(), way));
        return Err(if is_vendors { Refusal::Malformed } else { Refusal::Unsigned });
    }
    if head.path != "/" {
        return Err(Refusal::Unsigned);
    }
    let pairs = canonical::pairs(head.query.as_bytes())?;
    if rpc1::is_signed(&pairs) {
        Ok(Kind::Rpc1(pairs))
    } else if head.is_form() {
        Ok(Kind::Form(pairs))
    } else {
        Err(Refusal::Unsigned)
    }
}

/// The parameters of the query and those of the form. A body that is no form would not be signed.
fn with_form(mut pairs: Vec<Pair>, head: &Head<'_>, body: &[u8]) -> Result<Vec<Pair>, Refusal> {
    if head.is_form() {
        pairs.extend(canonical::pairs(body)?);
    } else if !body.is_empty() {
        return Err(Refusal::Malformed);
    }
    Ok(pairs)
}
