//! A request's head as it came, and the dialect that it speaks.

use super::refusal::Refusal;

/// A request's head: what came, not yet decoded.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path with its percent-encoding.
    pub path: &'a str,
    /// What stands behind the `?`, with its percent-encoding; empty where there is none.
    pub query: &'a str,
    /// Names in any case, and values, in the order in which they came.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// Whose error a client understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The query protocol of AWS: XML.
    Aws,
    /// Alibaba's RPC: JSON with capitals.
    Alibaba,
    /// Our own: `{"error":{…}}`.
    Native,
}

impl<'a> Head<'a> {
    /// All values of a header, without the blanks around them.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let same = move |header: &&(&'a str, &'a [u8])| header.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|header| header.1.trim_ascii())
    }

    /// The value of a header that may be there once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&'a [u8]>, Refusal> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() { Err(Refusal::Malformed) } else { Ok(first) }
    }

    /// The same as text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        let value = self.one(name)?;
        value.map(|value| std::str::from_utf8(value).map_err(|_| Refusal::Malformed)).transpose()
    }

    pub(super) fn has_prefixed(&self, prefix: &str) -> bool {
        self.headers.iter().any(|(name, _)| starts_with(name.as_bytes(), prefix))
    }

    /// Whether its body is a form.
    pub(super) fn is_form(&self) -> bool {
        self.method == "POST"
            && self
                .all("content-type")
                .next()
                .is_some_and(|value| starts_with(value, "application/x-www-form-urlencoded"))
    }

    /// Whose errors the client understands, as far as the head says. `/` is where the vendors'
    /// clients ask, and AWS's are those that may ask there without any sign of their own.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        let scheme = self.all("authorization").next().unwrap_or_default();
        if starts_with(scheme, "ACS3-") {
            Dialect::Alibaba
        } else if starts_with(scheme, "AWS4-") {
            Dialect::Aws
        } else if self.has_prefixed("x-acs-") || self.query.contains("SignatureNonce=") {
            Dialect::Alibaba
        } else if self.has_prefixed("x-amz-") || self.path == "/" {
            Dialect::Aws
        } else {
            Dialect::Native
        }
    }
}

/// Whether `text` begins with `prefix`, in any case.
pub(super) fn starts_with(text: &[u8], prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(path: &str, query: &str, headers: &[(&str, &[u8])]) -> Dialect {
        Head { method: "POST", path, query, headers }.dialect()
    }

    #[test]
    fn the_dialect_is_told_from_the_head() {
        assert_eq!(dialect("/", "", &[]), Dialect::Aws);
        assert_eq!(dialect("/v1/summary", "", &[]), Dialect::Native);
        assert_eq!(dialect("/v1/summary", "", &[("Authorization", b"Basic x")]), Dialect::Native);
        assert_eq!(dialect("/", "", &[("X-Acs-Action", b"x")]), Dialect::Alibaba);
        assert_eq!(dialect("/", "SignatureNonce=1", &[]), Dialect::Alibaba);
        assert_eq!(dialect("/v1/x", "", &[("x-amz-date", b"x")]), Dialect::Aws);
        let both: [(&str, &[u8]); 2] = [("x-acs-a", b""), ("AUTHORIZATION", b"aws4-HMAC-SHA256 x")];
        assert_eq!(dialect("/v1/x", "", &both), Dialect::Aws);
        assert_eq!(dialect("/v1/x", "", &[("authorization", b"ACS3-X")]), Dialect::Alibaba);
    }
}
