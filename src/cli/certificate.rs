//! What a target presented, as the API says it, and how it is shown.

use crate::access::date;
use crate::check::tls::presented::expiry;
use crate::time::wall_ms;
use serde::Deserialize;

/// `tls` of a target.
#[derive(Deserialize)]
pub(super) struct Tls {
    pub(super) version: String,
    pub(super) cipher: String,
    pub(super) alpn: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) issuer: Option<String>,
    not_after: Option<String>,
    pub(super) names: Option<Vec<String>>,
}

impl Tls {
    /// When its certificate ends, with its date: `expires in 12 days, 2026-12-03T10:00:00Z`.
    pub(super) fn expiry(&self) -> Option<String> {
        let now_s = i64::try_from(wall_ms() / 1_000).unwrap_or(i64::MAX);
        self.expiry_at(now_s)
    }

    fn expiry_at(&self, now_s: i64) -> Option<String> {
        let written = self.not_after.as_deref()?;
        let date = written
            .strip_suffix(".000Z")
            .map_or_else(|| written.to_owned(), |date| format!("{date}Z"));
        let end_s = date::extended(&date).and_then(|ms| i64::try_from(ms / 1_000).ok());
        // Of a time before 1970, or after 9999, the date says enough.
        Some(
            end_s.map_or_else(|| date.clone(), |end_s| format!("{}, {date}", expiry(end_s, now_s))),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_reads_well() {
        let told = |not_after: Option<&str>| {
            let tls = Tls {
                version: String::new(),
                cipher: String::new(),
                alpn: None,
                subject: None,
                issuer: None,
                not_after: not_after.map(str::to_owned),
                names: None,
            };
            tls.expiry_at(86_400 * 2)
        };
        for (not_after, expected) in [
            ("1970-01-15T00:00:00.000Z", "expires in 12 days, 1970-01-15T00:00:00Z"),
            ("1970-01-02T00:00:00.000Z", "expired 1 day ago, 1970-01-02T00:00:00Z"),
            ("1950-01-01T00:00:00.000Z", "1950-01-01T00:00:00Z"),
        ] {
            assert_eq!(told(Some(not_after)).as_deref(), Some(expected));
        }
        assert_eq!(told(None), None);
    }
}
