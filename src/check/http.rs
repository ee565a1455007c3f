//! The HTTP check: one request, and a response whose status matches, and its body where something
//! is looked for in it (DESIGN 3.1, 3.3, 3.6).
//!
//! Without that the response is complete with its head; nobody waits for the body. Bytes are judged
//! as they come (see [`super::head`]); an answer in one piece is neither copied nor kept. What
//! reading a body takes is in a box that only such checks make.

mod body;
mod body_match;
mod chunked;
mod framing;
mod request;

use super::head::Head;
pub use super::matcher::Matcher;
use super::{Action, Event, connect_failed, exchange_failed};
use crate::outcome::{Cause, Class, Code, Detail, Outcome};
use body::Body;
pub use body_match::{BODY_MATCH_CHARS_MAX, BodyMatch};
pub use request::{Method, Request, Version};
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

/// What is asked of each target, rendered as far as it can be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Check {
    /// The request up to the host, or all of it where every target gets the same.
    request: Box<[u8]>,
    /// The request behind the host, where that is each target's own address.
    behind_address: Option<Box<[u8]>>,
    /// The port that is left out of such a host.
    port: u16,
    method: Method,
    matcher: Matcher,
    body_match: Option<Box<BodyMatch>>,
    /// The connection is wanted for the next probe.
    reuse: bool,
}

impl Check {
    /// `GET` over HTTP/1.1, for a status that matches.
    #[must_use]
    pub fn new(path: &str, host: Option<&str>, matcher: Matcher) -> Self {
        let host = host.map(str::to_owned);
        Self::asking(&Request { host, ..Request::get(path) }, matcher)
    }

    /// `request`, for a status that matches.
    #[must_use]
    pub fn asking(request: &Request, matcher: Matcher) -> Self {
        Self::rendered(request, matcher, false)
    }

    /// As [`Check::asking`], but the target is asked to keep the connection, and the response is
    /// read to its end: see [`Probe::leaves_connection`].
    #[must_use]
    pub fn reusing(request: &Request, matcher: Matcher) -> Self {
        Self::rendered(request, matcher, true)
    }

    fn rendered(request: &Request, matcher: Matcher, reuse: bool) -> Self {
        let (before, behind) = (request.before_host(), request.behind_host(reuse));
        let (text, behind_address) = match &request.host {
            Some(host) => (before + host + &behind, None),
            None => (before, Some(behind.into_bytes().into())),
        };
        Self {
            request: text.into_bytes().into(),
            behind_address,
            port: HTTP_PORT,
            method: request.method,
            matcher,
            body_match: None,
            reuse,
        }
    }

    /// The same, and the body must match.
    #[must_use]
    pub fn matching(mut self, body_match: BodyMatch) -> Self {
        self.body_match = Some(Box::new(body_match));
        self
    }

    /// The same over TLS, where another port goes without saying.
    #[must_use]
    pub const fn over_tls(mut self) -> Self {
        self.port = HTTPS_PORT;
        self
    }

    /// Appends the request for the target at `address` to `out`.
    pub fn render(&self, address: SocketAddr, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.request);
        let Some(behind) = &self.behind_address else { return };
        let written = match (address.ip(), address.port()) {
            (IpAddr::V4(ip), port) if port == self.port => write!(out, "{ip}"),
            (IpAddr::V4(ip), port) => write!(out, "{ip}:{port}"),
            (IpAddr::V6(ip), port) if port == self.port => write!(out, "[{ip}]"),
            (IpAddr::V6(ip), port) => write!(out, "[{ip}]:{port}"),
        };
        debug_assert!(written.is_ok(), "a Vec takes whatever is written to it");
        out.extend_from_slice(behind);
    }

    const fn reads_body(&self) -> bool {
        self.reuse || self.body_match.is_some()
    }

    fn judge(&self, status: u16) -> Outcome {
        if self.matcher.matches(status) {
            Outcome { code: Code::L7Ok, status, detail: Detail::None }
        } else {
            Outcome { code: Code::L7Sts, status, detail: Detail::Cause(Cause::StatusNotMatched) }
        }
    }
}

/// The ports that URLs leave out.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// One run of a [`Check`].
#[derive(Debug, Default)]
pub struct Probe {
    /// Whether there is a connection: the request is on its way, the response may be.
    connected: bool,
    /// What came of the response. Empty before the connection; kept for its memory.
    head: Head,
    /// What came of its body, where the check reads it; kept for its memory.
    body: Option<Box<Body>>,
}

const _: () = assert!(size_of::<Probe>() <= 48);

impl Probe {
    /// Makes this a fresh run.
    pub fn restart(&mut self) {
        self.connected = false;
        self.head.restart();
        if let Some(body) = &mut self.body {
            body.restart();
        }
    }

    /// Whether the answer of this run, which passed, came to its end and left the connection for
    /// another request.
    #[must_use]
    pub fn leaves_connection(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.leaves_connection())
    }

    /// Feeds one event, and says what to do.
    pub fn handle(&mut self, check: &Check, event: Event<'_>) -> Action {
        // Any event but these two says that there is a connection, whether it was told of or not.
        let connecting = !std::mem::replace(&mut self.connected, true);
        match event {
            Event::ConnectFailed(errno) => Action::Finish(connect_failed(errno)),
            Event::Expired if connecting => Action::Finish(Outcome::plain(Code::L4Tout)),
            Event::Connected if connecting => Action::Exchange,
            Event::Connected | Event::Sent => Action::Wait,
            Event::SendFailed(errno) => match exchange_failed(errno) {
                // Nothing will be answered to what we did not send.
                fault if fault.class() == Class::LocalFault => self.cut(check, fault),
                // The receive in flight tells more: an answer may have come before the reset.
                _ => Action::Wait,
            },
            Event::Received(bytes) if check.reads_body() => self.read(check, bytes),
            Event::Received(bytes) => match self.head.take(bytes) {
                Ok(None) => Action::Receive,
                Ok(Some(head)) => Action::Finish(check.judge(head.status)),
                Err(cause) => Action::Finish(Outcome::cause(Code::L7Rsp, cause)),
            },
            Event::Closed => self.cut(check, Outcome::cause(Code::L7Cut, Cause::Closed)),
            Event::ReceiveFailed(errno) => self.cut(check, exchange_failed(errno)),
            Event::Expired => self.cut(check, Outcome::plain(Code::L7Tout)),
        }
    }

    /// Takes bytes of an answer of which more than the head is read.
    fn read(&mut self, check: &Check, bytes: &[u8]) -> Action {
        let body = self.body.get_or_insert_default();
        if body.has_begun() {
            return body.take(check, bytes);
        }
        match self.head.take(bytes) {
            Ok(None) => {
                body.heads(bytes);
                Action::Receive
            }
            Ok(Some(head)) => match check.judge(head.status) {
                pass if pass.code == Code::L7Ok => body.begin(check, head, bytes),
                other => Action::Finish(other),
            },
            Err(cause) => Action::Finish(Outcome::cause(Code::L7Rsp, cause)),
        }
    }

    /// Nothing more comes: `outcome`, unless what came is rubbish already.
    fn cut(&mut self, check: &Check, outcome: Outcome) -> Action {
        if let Some(body) = self.body.as_mut().filter(|body| body.has_begun()) {
            return body.cut(check, outcome);
        }
        Action::Finish(match self.head.cut() {
            Ok(()) => outcome,
            Err(cause) => Outcome::cause(Code::L7Rsp, cause),
        })
    }
}

#[cfg(test)]
mod tests;
