//! The gRPC check: `grpc.health.v1.Health/Check` over HTTP/2, and SERVING is a pass.
//!
//! HTTP/2 is h2's, driven without a socket and without a runtime; messages are prost's.
//!
//! What is which code (DESIGN 3.3): an answer that is whole and says anything but SERVING, by its
//! message or by a gRPC status, is a valid response that did not match, so L7STS, and its detail
//! says what it said. What is no HTTP/2, or no gRPC, is L7RSP; RST_STREAM and GOAWAY before the
//! answer are L7CUT, as the end of the connection is.
//!
//! Bounds, whatever a target sends: 256 KiB are read, 16 KiB of headers and 4 KiB of message kept,
//! and 16 KiB wait to be sent. HTTP/2's own buffers, some 30 KiB, live as long as the connection.

mod call;
mod message;
mod pipe;

use super::{Action, Event, connect_failed, exchange_failed};
use crate::outcome::{Cause, Class, Code, Outcome};
use bytes::Bytes;
use call::Call;
use http::header::{CONTENT_TYPE, HeaderValue, TE, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Uri, Version};
use std::net::SocketAddr;
use std::time::Duration;

/// Bytes that a target may send in one call.
const RECEIVED_BYTES_MAX: usize = 256 * 1_024;
/// Where the first frame of HTTP/2 has its type, and the type that it must have (SETTINGS).
const FIRST_TYPE: (usize, u8) = (3, 4);

/// What is asked of each target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Check {
    /// The framed message.
    message: Bytes,
    /// What `:authority` says; none: each target's own address and port.
    authority: Option<Authority>,
    over_tls: bool,
    /// The header `grpc-timeout`.
    timeout: HeaderValue,
}

impl Check {
    /// Asks for the health of `service` (empty: of the server as a whole). `host` is sent as
    /// `:authority`; none: each target's own address and port. The target is told that nobody waits
    /// for longer than `timeout`.
    ///
    /// # Errors
    /// One line where `host` is none.
    pub fn new(service: &str, host: Option<&str>, timeout: Duration) -> Result<Self, String> {
        let authority = host.map(str::parse).transpose();
        let authority = authority.map_err(|_| "is not a host and port".to_owned())?;
        // At most eight digits, says gRPC.
        let timeout = format!("{}m", timeout.as_millis().clamp(1, 99_999_999));
        let timeout = HeaderValue::try_from(timeout).map_err(|error| error.to_string())?;
        Ok(Self { message: message::request(service), authority, over_tls: false, timeout })
    }

    /// The same over TLS, where the scheme is `https`.
    #[must_use]
    pub const fn over_tls(mut self) -> Self {
        self.over_tls = true;
        self
    }

    /// The request to the target at `address`; none cannot be, but is not trusted to.
    fn request(&self, address: SocketAddr) -> Option<Request<()>> {
        let authority = match &self.authority {
            Some(authority) => authority.clone(),
            None => address.to_string().parse().ok()?,
        };
        let uri = Uri::builder()
            .scheme(if self.over_tls { Scheme::HTTPS } else { Scheme::HTTP })
            .authority(authority)
            .path_and_query(PathAndQuery::from_static(message::PATH))
            .build()
            .ok()?;
        let agent = concat!("ringcheck/", env!("CARGO_PKG_VERSION"));
        Request::builder()
            .method(Method::POST)
            .version(Version::HTTP_2)
            .uri(uri)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
            .header(TE, HeaderValue::from_static("trailers"))
            .header(USER_AGENT, HeaderValue::from_static(agent))
            .header("grpc-timeout", self.timeout.clone())
            .body(())
            .ok()
    }
}

/// One run of a [`Check`].
#[derive(Debug, Default)]
pub struct Probe {
    /// Whether there is a connection.
    connected: bool,
    /// Whether a send is in flight.
    sending: bool,
    /// The request of this run was made.
    asked: bool,
    /// The run passed, and the connection takes another call.
    left: bool,
    /// Bytes that came in this run.
    received: usize,
    /// Bytes that came over the connection.
    begun: usize,
    /// Made with the first output.
    call: Option<Box<Call>>,
}

impl Probe {
    /// Makes this a fresh run over a fresh connection.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// Makes this another run over the connection of the last one, which left it.
    pub fn restart_kept(&mut self) {
        let (call, begun) = (self.call.take(), self.begun);
        *self = Self { call, begun, ..Self::default() };
    }

    /// Whether this run, which is over, left the connection for another one.
    #[must_use]
    pub const fn leaves_connection(&self) -> bool {
        self.left && !self.sending
    }

    /// Whether the target has said anything to this run's call.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.is_answered())
    }

    /// Appends what is to be sent to the target at `address`.
    pub fn output(&mut self, check: &Check, address: SocketAddr, out: &mut Vec<u8>) {
        let is_first = !std::mem::replace(&mut self.asked, true);
        if is_first && let Some(request) = check.request(address) {
            let message = check.message.clone();
            match &mut self.call {
                Some(call) => call.again(request, message),
                None => self.call = Call::new(request, message).map(Box::new),
            }
        }
        if let Some(call) = &mut self.call {
            call.take_output(out);
        }
    }

    /// Feeds one event, and says what to do.
    pub fn handle(&mut self, event: Event<'_>) -> Action {
        // Any event but these two says that there is a connection, whether it was told of or not.
        let connecting = !std::mem::replace(&mut self.connected, true);
        let outcome = match event {
            Event::ConnectFailed(errno) => connect_failed(errno),
            Event::Expired if connecting => Outcome::plain(Code::L4Tout),
            Event::Connected if connecting => {
                self.sending = true;
                return Action::Exchange;
            }
            Event::Connected => return Action::Wait,
            Event::Sent => {
                self.sending = false;
                match self.call.as_mut().and_then(|call| call.go_on()) {
                    Some(outcome) => outcome,
                    None => return self.send_more(Action::Send, Action::Wait),
                }
            }
            Event::SendFailed(errno) => match exchange_failed(errno) {
                // Nothing will be answered to what we did not send.
                fault if fault.class() == Class::LocalFault => fault,
                // The receive in flight tells more: an answer may have come before the reset.
                _ => return Action::Wait,
            },
            Event::Received(bytes) => match self.take(bytes) {
                Some(outcome) => outcome,
                None => return self.send_more(Action::Exchange, Action::Receive),
            },
            Event::Closed => Outcome::cause(Code::L7Cut, Cause::Closed),
            Event::ReceiveFailed(errno) => exchange_failed(errno),
            Event::Expired => Outcome::plain(Code::L7Tout),
        };
        let is_pass = outcome.code == Code::L7Ok;
        self.left = is_pass && self.call.as_mut().is_some_and(|call| call.takes_another());
        Action::Finish(outcome)
    }

    /// `send` where there is something to be sent and nothing is being sent, else `wait`.
    fn send_more(&mut self, send: Action, wait: Action) -> Action {
        let has_output = self.call.as_ref().is_some_and(|call| call.has_output());
        if self.sending || !has_output {
            return wait;
        }
        self.sending = true;
        send
    }

    /// Takes what came; the outcome once it is known.
    fn take(&mut self, bytes: &[u8]) -> Option<Outcome> {
        let (place, kind) = FIRST_TYPE;
        let first = place.checked_sub(self.begun).and_then(|place| bytes.get(place));
        if first.is_some_and(|&first| first != kind) {
            return Some(Outcome::cause(Code::L7Rsp, Cause::NotHttp2));
        }
        (self.begun, self.received) = (self.begun + bytes.len(), self.received + bytes.len());
        if self.received > RECEIVED_BYTES_MAX {
            return Some(Outcome::cause(Code::L7Rsp, Cause::BadHttp2));
        }
        let outcome = self.call.as_mut().and_then(|call| call.take(bytes));
        // The length of what is no frame may be too large for one.
        let is_first = self.begun <= place && outcome.is_some();
        if is_first { Some(Outcome::cause(Code::L7Rsp, Cause::NotHttp2)) } else { outcome }
    }
}

#[cfg(test)]
mod tests;
