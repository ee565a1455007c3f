//! Why a request is refused, and how each vendor says so.
//!
//! Codes and statuses: reference documentation of both vendors ("Common Errors" of the ELB API,
//! "Common error codes" of Alibaba's RPC APIs). AWS's texts about dates are those that its services
//! send. What a client sent is not repeated, and what we calculated is never shown.

use super::head::Dialect;
use crate::wall::Rfc3339;
use std::borrow::Cow;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not signed at all.
    Unsigned,
    /// It is signed in a way that cannot be read: parts are missing, given twice, or broken.
    Malformed,
    /// Nobody has this key.
    UnknownKey,
    /// The signature is wrong.
    Mismatch,
    /// A header that must be signed is not, or one that is signed is not there once.
    SignedHeaders,
    /// It is signed for another day than its date, another region or another service.
    Scope(Scope),
    /// The date cannot be read.
    DateFormat,
    /// The date is too far away from now.
    Date {
        /// What it says, in milliseconds since 1970.
        at_ms: u64,
        /// What time it is.
        now_ms: u64,
        /// How far away it may be.
        window_ms: u64,
    },
    /// The nonce was used before.
    NonceUsed,
    /// Too many signatures were wrong just now.
    Throttled,
    /// The Host is not one of this host's own names.
    ForeignHost,
    /// A browser's page asks.
    Origin,
    /// The body is too large.
    BodyTooLarge,
    /// The body did not come in time.
    BodyLate,
    /// The body was broken off.
    BodyBroken,
    /// There is no memory left for another body.
    Busy,
}

/// What a signature is for, in the words of SigV4's credential scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The day is not that of the request's date.
    Day,
    /// Another region.
    Region,
    /// Another service.
    Service,
    /// It does not end as it must.
    Terminator,
}

/// A refusal, and whose words the client understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The client's dialect.
    pub dialect: Dialect,
    /// Why.
    pub refusal: Refusal,
}

/// A refusal in the words of a dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The HTTP status.
    pub status: u16,
    /// The code, for programs.
    pub code: &'static str,
    /// One line for people.
    pub message: Cow<'static, str>,
}

impl Refused {
    /// In the client's own words.
    #[must_use]
    pub fn said(&self) -> Said {
        let (status, code, message) = match self.dialect {
            Dialect::Aws => aws(self.refusal),
            Dialect::Alibaba => alibaba(self.refusal),
            Dialect::Native => native(self.refusal),
        };
        Said { status, code, message }
    }
}

type Words = (u16, &'static str, Cow<'static, str>);

fn aws(refusal: Refusal) -> Words {
    const WRONG: &str = "SignatureDoesNotMatch";
    let (status, code, message) = match refusal {
        Refusal::Unsigned => {
            (403, "MissingAuthenticationToken", "Request is missing Authentication Token")
        }
        Refusal::Malformed => {
            (400, "IncompleteSignature", "The request signature does not conform to AWS standards.")
        }
        Refusal::UnknownKey => {
            (403, "InvalidClientTokenId", "The security token included in the request is invalid.")
        }
        Refusal::Mismatch | Refusal::NonceUsed => (
            403,
            WRONG,
            "The request signature we calculated does not match the signature you provided. Check \
             your AWS Secret Access Key and signing method. Consult the service documentation for \
             details.",
        ),
        Refusal::SignedHeaders => (
            403,
            WRONG,
            "'Host' and every 'X-Amz-' header must be a 'SignedHeader' in the AWS Authorization, \
             and every 'SignedHeader' must be in the request exactly once.",
        ),
        Refusal::Scope(scope) => (403, WRONG, scope.aws()),
        Refusal::DateFormat => (
            400,
            "IncompleteSignature",
            "Date must be in ISO-8601 'basic format', in an 'X-Amz-Date' header.",
        ),
        Refusal::Date { at_ms, now_ms, window_ms } => {
            return (403, WRONG, aws_date(at_ms, now_ms, window_ms).into());
        }
        Refusal::Throttled => (400, "Throttling", "Rate exceeded"),
        Refusal::ForeignHost => (403, "AccessDenied", FOREIGN_HOST),
        Refusal::Origin => (403, "AccessDenied", ORIGIN),
        Refusal::BodyTooLarge => (413, "RequestEntityTooLarge", TOO_LARGE),
        Refusal::BodyLate => (408, "RequestTimeout", LATE),
        Refusal::BodyBroken => (400, "IncompleteBody", BROKEN),
        Refusal::Busy => (503, "ServiceUnavailable", BUSY),
    };
    (status, code, message.into())
}

impl Scope {
    const fn aws(self) -> &'static str {
        match self {
            Self::Day => {
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date \
                 from HTTP."
            }
            Self::Region => "Credential should be scoped to a valid region.",
            Self::Service => {
                "Credential should be scoped to correct service: 'elasticloadbalancing'."
            }
            Self::Terminator => {
                "Credential should be scoped with a valid terminator: 'aws4_request'."
            }
        }
    }
}

/// As AWS says it: `Signature expired: 20261121T085559Z is now earlier than 20261121T085600Z
/// (20261121T090100Z - 5 min.)`.
fn aws_date(at_ms: u64, now_ms: u64, window_ms: u64) -> String {
    let [at, now] = [at_ms, now_ms].map(basic);
    let minutes = window_ms / 60_000;
    if at_ms < now_ms {
        let limit = basic(now_ms.saturating_sub(window_ms));
        format!("Signature expired: {at} is now earlier than {limit} ({now} - {minutes} min.)")
    } else {
        let limit = basic(now_ms.saturating_add(window_ms));
        format!(
            "Signature not yet current: {at} is still later than {limit} ({now} + {minutes} min.)"
        )
    }
}

/// ISO 8601's basic format: `20261121T085559Z`.
fn basic(ms: u64) -> String {
    let text = Rfc3339(i64::try_from(ms).unwrap_or(i64::MAX)).to_string();
    let seconds = text.split('.').next().unwrap_or_default();
    let mut basic: String = seconds.chars().filter(|c| !['-', ':'].contains(c)).collect();
    basic.push('Z');
    basic
}

fn alibaba(refusal: Refusal) -> Words {
    let (status, code, message) = match refusal {
        Refusal::Unsigned | Refusal::Malformed | Refusal::SignedHeaders => (
            400,
            "IncompleteSignature",
            "The request signature does not conform to Aliyun standards.",
        ),
        Refusal::UnknownKey => {
            (404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        }
        Refusal::Mismatch | Refusal::Scope(_) => (
            400,
            "SignatureDoesNotMatch",
            "Specified signature is not matched with our calculation.",
        ),
        Refusal::DateFormat => (
            400,
            "InvalidTimeStamp.Format",
            "Specified time stamp or date value is not well formatted.",
        ),
        Refusal::Date { .. } => {
            (400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
        }
        Refusal::NonceUsed => {
            (400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        }
        Refusal::Throttled => {
            (400, "Throttling.User", "Request was denied due to user flow control.")
        }
        Refusal::ForeignHost => (403, "Forbidden.NoPermission", FOREIGN_HOST),
        Refusal::Origin => (403, "Forbidden.NoPermission", ORIGIN),
        Refusal::BodyTooLarge => (413, "RequestEntityTooLarge", TOO_LARGE),
        Refusal::BodyLate => (408, "RequestTimeout", LATE),
        Refusal::BodyBroken => (400, "IncompleteBody", BROKEN),
        Refusal::Busy => (503, "ServiceUnavailable", BUSY),
    };
    (status, code, message.into())
}

/// For requests that carry no vendor's signature; those that do are told in the vendor's words.
fn native(refusal: Refusal) -> Words {
    let (status, code, message) = match refusal {
        Refusal::Unsigned => (
            401,
            "MissingSignature",
            "requests over TCP must be signed with a key of keys.toml; sign it (curl: --aws-sigv4 \
             aws:amz:us-east-1:elasticloadbalancing --user ID:SECRET), or use the Unix socket",
        ),
        Refusal::ForeignHost => (403, "ForeignHost", FOREIGN_HOST),
        Refusal::Origin => (403, "OriginRefused", ORIGIN),
        Refusal::Throttled => (429, "Throttled", "too many signatures were wrong; try again later"),
        Refusal::BodyTooLarge => (413, "BodyTooLarge", TOO_LARGE),
        Refusal::BodyLate => (408, "RequestTimeout", LATE),
        Refusal::BodyBroken => (400, "InvalidBody", BROKEN),
        Refusal::Busy => (503, "Busy", BUSY),
        Refusal::Malformed
        | Refusal::UnknownKey
        | Refusal::Mismatch
        | Refusal::SignedHeaders
        | Refusal::Scope(_)
        | Refusal::DateFormat
        | Refusal::Date { .. }
        | Refusal::NonceUsed => (403, "InvalidSignature", "the signature is not valid"),
    };
    (status, code, message.into())
}

const FOREIGN_HOST: &str =
    "the Host is not localhost or a loopback address; ask for 127.0.0.1, [::1] or localhost";
const ORIGIN: &str = "requests with an Origin header are refused; do not ask from a browser's page";
const TOO_LARGE: &str = "the body is too large; send less at a time";
const LATE: &str = "the body did not come in time; send it at once";
const BROKEN: &str = "the body is broken off or malformed; send it whole";
const BUSY: &str = "too many large bodies are on their way; try again later";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_told_as_aws_tells_them() {
        let minute = 60_000;
        let now_ms = 1_795_251_660_000;
        let said = |at_ms| {
            let refusal = Refusal::Date { at_ms, now_ms, window_ms: 5 * minute };
            Refused { dialect: Dialect::Aws, refusal }.said().message.into_owned()
        };
        assert_eq!(
            said(now_ms - 5 * minute - 1_000),
            "Signature expired: 20261121T085559Z is now earlier than 20261121T085600Z \
             (20261121T090100Z - 5 min.)"
        );
        assert_eq!(
            said(now_ms + 5 * minute + 1_000),
            "Signature not yet current: 20261121T090601Z is still later than 20261121T090600Z \
             (20261121T090100Z + 5 min.)"
        );
    }
}
