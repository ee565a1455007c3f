//! What a target showed of itself in a handshake. It is text and dates only, made from bytes that
//! nobody vouches for: bounded, and without characters that a terminal would obey.

use crate::limits::{TLS_NAME_BYTES_MAX, TLS_NAMES_MAX};
use crate::outcome::{Cause, Detail, Outcome};
use std::net::IpAddr;
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// What was negotiated with a target, and its certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Presented {
    /// Version of the protocol, as `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by its registered name, as `TLS_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// The protocol chosen of those in `tls.alpn`.
    pub alpn: Option<Box<str>>,
    /// Its certificate; none where it could not be read.
    pub leaf: Option<Arc<Leaf>>,
}

/// A target's own certificate, whether it is valid or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// For whom it was issued, as `CN=web.internal`; cut off at [`TLS_NAME_BYTES_MAX`].
    pub subject: Box<str>,
    /// By whom; cut off as well.
    pub issuer: Box<str>,
    /// Seconds since 1970 from which on it is valid.
    pub not_before: i64,
    /// Seconds since 1970 of the last second in which it is.
    pub not_after: i64,
    /// DNS names and addresses that it is for, the first [`TLS_NAMES_MAX`].
    pub names: Box<[Box<str>]>,
}

impl Leaf {
    /// Reads a certificate in DER; none where it is none.
    #[must_use]
    pub fn parse(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.iter().flat_map(|names| &names.value.general_names);
        let validity = certificate.validity();
        Some(Self {
            subject: bounded(&certificate.subject().to_string()),
            issuer: bounded(&certificate.issuer().to_string()),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            names: names.filter_map(name).take(TLS_NAMES_MAX).collect(),
        })
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only two kinds of names are names of hosts")]
fn name(name: &GeneralName<'_>) -> Option<Box<str>> {
    match *name {
        GeneralName::DNSName(name) => Some(bounded(name)),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
            v4.or_else(|_| v6()).ok().map(|address| address.to_string().into())
        }
        _ => None,
    }
}

/// `text` with at most so many bytes, and `?` for what a terminal would obey or hide.
fn bounded(text: &str) -> Box<str> {
    let mut bounded = String::with_capacity(text.len().min(TLS_NAME_BYTES_MAX));
    for character in text.chars() {
        // Marks that turn the direction of writing are no control characters.
        let hidden = matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}');
        let shown = if character.is_control() || hidden { '?' } else { character };
        if bounded.len() + shown.len_utf8() > TLS_NAME_BYTES_MAX {
            break;
        }
        bounded.push(shown);
    }
    bounded.into()
}

/// The detail of an outcome in words, with what only the certificate tells: `certificate expired 3
/// days ago`. `now` is in seconds since 1970. Use it where a target is shown together with what it
/// presented; elsewhere [`Outcome::detail_text`] says the same without numbers.
#[must_use]
pub fn detail_text(outcome: Outcome, presented: Option<&Presented>, now: i64) -> String {
    let leaf = presented.and_then(|presented| presented.leaf.as_deref());
    let plain = outcome.detail_text();
    match (outcome.detail, leaf) {
        (Detail::Cause(Cause::CertificateExpired), Some(leaf)) if leaf.not_after < now => {
            format!("{plain} {} ago", span(now - leaf.not_after))
        }
        (Detail::Cause(Cause::CertificateNotYetValid), Some(leaf)) if leaf.not_before > now => {
            format!("{plain} for {}", span(leaf.not_before - now))
        }
        (Detail::Cause(Cause::CertificateWrongName), Some(leaf)) if !leaf.names.is_empty() => {
            format!("{plain}, but for {}", leaf.names.join(", "))
        }
        (Detail::None | Detail::Errno(_) | Detail::Cause(_), _) => plain,
    }
}

impl Leaf {
    /// When it ends, in words: `expires in 12 days`, `expired 3 days ago`. `now` is in seconds
    /// since 1970.
    #[must_use]
    pub fn expiry(&self, now: i64) -> String {
        expiry(self.not_after, now)
    }
}

/// [`Leaf::expiry`] of one that ends at `not_after`.
#[must_use]
pub fn expiry(not_after: i64, now: i64) -> String {
    if not_after < now {
        format!("expired {} ago", span(now - not_after))
    } else {
        format!("expires in {}", span(not_after - now))
    }
}

/// So many seconds in the largest unit of which there is one at least.
fn span(seconds: i64) -> String {
    let (count, unit) = match seconds {
        ..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        86_400.. => (seconds / 86_400, "day"),
    };
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Code;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, date_time_ymd};

    fn leaf(change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = CertificateParams::new(vec!["web.internal".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "web");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Leaf::parse(params.self_signed(&key).unwrap().der()).unwrap()
    }

    #[test]
    fn a_certificate_is_read_and_bounded() {
        let address = "10.0.0.1".parse().unwrap();
        let found = leaf(|params| params.subject_alt_names.push(SanType::IpAddress(address)));
        assert!(found.subject.contains("CN=web"), "{found:?}");
        assert_eq!(found.subject, found.issuer);
        assert_eq!((found.not_before, found.not_after), (1_577_836_800, 1_609_459_200));
        assert_eq!(&*found.names, ["web.internal".into(), "10.0.0.1".into()]);
        let long = leaf(|params| {
            let name = format!("a\u{1b}[2J{}", "ä".repeat(1_000));
            params.distinguished_name.push(DnType::CommonName, name);
            let name = |n| SanType::DnsName(format!("n{n}.internal").try_into().unwrap());
            params.subject_alt_names = (0..1_000).map(name).collect();
        });
        assert!(long.subject.len() <= TLS_NAME_BYTES_MAX && long.subject.contains("a?[2Jä"));
        assert_eq!(long.names.len(), TLS_NAMES_MAX);
        assert_eq!(Leaf::parse(b"\x30\x82"), None);
    }

    #[test]
    fn the_end_is_told_in_words() {
        let told = [(0, 86_400 * 12 + 5), (86_400 * 3, 0), (5, 5), (6, 5), (0, i64::MAX)]
            .map(|(now, not_after)| expiry(not_after, now));
        let expected = [
            "expires in 12 days",
            "expired 3 days ago",
            "expires in 0 seconds",
            "expired 1 second ago",
            "expires in 106751991167300 days",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn details_tell_what_the_certificate_tells() {
        let presented = Presented {
            version: "TLSv1.3",
            cipher: "TLS_AES_128_GCM_SHA256",
            alpn: None,
            leaf: Some(Arc::new(leaf(|_| {}))),
        };
        let text =
            |cause, now| detail_text(Outcome::cause(Code::L6Rsp, cause), Some(&presented), now);
        let (from, to) = (1_577_836_800, 1_609_459_200);
        let expired = Cause::CertificateExpired;
        assert_eq!(text(expired, to + 3 * 86_400 + 5), "certificate expired 3 days ago");
        assert_eq!(text(expired, to + 3_600), "certificate expired 1 hour ago");
        assert_eq!(text(expired, to), "certificate expired", "a clock that was set back");
        let early = text(Cause::CertificateNotYetValid, from - 120);
        assert_eq!(early, "certificate not valid yet for 2 minutes");
        let name = text(Cause::CertificateWrongName, to);
        assert_eq!(name, "certificate is not for this name, but for web.internal");
        assert_eq!(text(Cause::NotHttp, to), "not an HTTP response");
    }
}
