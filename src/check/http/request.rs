//! What an HTTP check sends: the settings of a request, and their bytes, rendered once per group.

use std::fmt::Write as _;

/// What every request says of us, unless its own headers do.
const USUAL: [(&str, &str); 2] =
    [("User-Agent", concat!("ringcheck/", env!("CARGO_PKG_VERSION"))), ("Accept", "*/*")];

/// Method of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words of HTTP")]
pub enum Method {
    #[default]
    Get,
    Head,
    Options,
    Post,
}

impl Method {
    /// All of them, in the order in which documents name them.
    pub const ALL: [Self; 4] = [Self::Get, Self::Head, Self::Options, Self::Post];

    /// As it stands in the request and in settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Post => "POST",
        }
    }
}

/// HTTP version of the request. The answer may be of either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words of HTTP")]
pub enum Version {
    Http10,
    #[default]
    Http11,
}

impl Version {
    /// As it stands in settings; the word is Alibaba's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP1.0",
            Self::Http11 => "HTTP1.1",
        }
    }

    /// As it stands in the request.
    const fn in_request(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

/// The settings of a request. Who makes one has validated them: nothing in it can end its line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The version.
    pub version: Version,
    /// Path and query: visible ASCII, beginning with `/`.
    pub path: String,
    /// The Host header as it is; none: each target's own address and port, the port left out where
    /// it is the scheme's.
    pub host: Option<String>,
    /// Further headers by name, which may replace User-Agent and Accept, but not those that say how
    /// the message is framed: Host, Connection, Content-Length, Transfer-Encoding.
    pub headers: Vec<(String, String)>,
    /// What a POST sends; empty for the others.
    pub body: String,
}

impl Request {
    /// `GET path HTTP/1.1`.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self {
            method: Method::Get,
            version: Version::Http11,
            path: path.to_owned(),
            host: None,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// The bytes before the host.
    pub(super) fn before_host(&self) -> String {
        debug_assert!(self.path.starts_with('/') && is_visible(&self.path));
        format!("{} {} {}\r\nHost: ", self.method.name(), self.path, self.version.in_request())
    }

    /// The bytes behind the host; `reuse`: the connection is wanted again.
    pub(super) fn behind_host(&self, reuse: bool) -> String {
        debug_assert!(self.host.as_deref().is_none_or(is_visible));
        let replaced =
            |usual: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(usual));
        let usual = USUAL.into_iter().filter(|(name, _)| !replaced(name));
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut text = String::from("\r\n");
        for (name, value) in usual.chain(own) {
            debug_assert!(!value.contains(['\r', '\n', '\0']) && is_visible(name));
            text.extend([name, ": ", value, "\r\n"]);
        }
        if self.method == Method::Post {
            let written = write!(text, "Content-Length: {}\r\n", self.body.len());
            debug_assert!(written.is_ok(), "a String takes whatever is written to it");
        }
        text += if reuse { "Connection: keep-alive" } else { "Connection: close" };
        text += "\r\n\r\n";
        text + &self.body
    }
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(request: &Request, reuse: bool) -> String {
        request.before_host() + "h" + &request.behind_host(reuse)
    }

    #[test]
    fn what_is_not_set_is_as_ever() {
        let version = env!("CARGO_PKG_VERSION");
        let usual = format!(
            "GET /up HTTP/1.1\r\nHost: h\r\nUser-Agent: ringcheck/{version}\r\nAccept: */*\r\n\
             Connection: close\r\n\r\n"
        );
        assert_eq!(text(&Request::get("/up"), false), usual);
        assert_eq!(text(&Request::get("/up"), true), usual.replace("close", "keep-alive"));
    }

    #[test]
    fn headers_are_added_or_replace_the_usual_ones_and_a_post_has_its_body() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let request = Request {
            method: Method::Post,
            version: Version::Http10,
            headers: vec![header("accept", "text/plain"), header("X-A", "b c")],
            body: "ping \u{e9}".to_owned(),
            ..Request::get("/up")
        };
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            "POST /up HTTP/1.0\r\nHost: h\r\nUser-Agent: ringcheck/{version}\r\n\
             accept: text/plain\r\nX-A: b c\r\nContent-Length: 7\r\nConnection: close\r\n\r\nping é"
        );
        assert_eq!(text(&request, false), expected);
        let empty = Request { body: String::new(), ..request };
        assert!(text(&empty, false).contains("\r\nContent-Length: 0\r\n"));
    }
}
