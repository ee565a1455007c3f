//! Health checks as sans-IO state machines: one event in, exactly one action out.
//!
//! A [`Check`] is what a group asks of its targets, rendered once when its configuration is taken
//! up. A [`Probe`] is one run of it. Nothing here opens a file or a socket: the worker feeds events
//! and carries out actions, so a test is a script of events. Nothing reads a clock either, but for
//! the date that certificates are held against (`tls::clock`).

pub mod grpc;
pub mod head;
pub mod http;
pub mod matcher;
pub mod tcp;
pub mod tls;
pub mod udp;

use crate::outcome::{Code, Outcome};
use nix::errno::Errno;
use std::net::SocketAddr;
use std::sync::Arc;

/// What is asked of a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// A connection is enough.
    Tcp,
    /// A datagram, and what comes back if anything must.
    Udp(udp::Check),
    /// A request, and a response whose status matches.
    Http(http::Check),
    /// The health service's word.
    Grpc(grpc::Check),
    /// A TLS handshake, and what is asked over it.
    Tls(Arc<tls::Check>),
}

/// What happened to the probe. Bytes are lent for the call only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The connection stands.
    Connected,
    /// The connection failed.
    ConnectFailed(Errno),
    /// The request is on its way.
    Sent,
    /// The request could not be sent.
    SendFailed(Errno),
    /// Bytes came, or a datagram; never empty.
    Received(&'a [u8]),
    /// End of stream, or an empty datagram.
    Closed,
    /// Receiving failed.
    ReceiveFailed(Errno),
    /// The timeout is over.
    Expired,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Nothing; another event will come.
    Wait,
    /// Send what [`Probe::output`] gives, and receive at the same time (an early answer counts).
    Exchange,
    /// Send what [`Probe::output`] gives. Only while nothing else is being sent.
    Send,
    /// Receive more.
    Receive,
    /// The probe is over. No further event may be fed.
    Finish(Outcome),
}

/// One run of a check. Kept in its slot and restarted, so that its memory is reused.
#[derive(Debug, Default)]
pub enum Probe {
    /// A run of [`Check::Tcp`].
    #[default]
    Tcp,
    /// A run of [`Check::Udp`].
    Udp(udp::Probe),
    /// A run of [`Check::Http`].
    Http(http::Probe),
    /// A run of [`Check::Grpc`].
    Grpc(grpc::Probe),
    /// A run of [`Check::Tls`].
    Tls(Box<tls::Probe>),
}

impl Check {
    /// Whether the client speaks first or not at all, so that the handshake's ACK can be held back.
    #[must_use]
    pub const fn speaks_first(&self) -> bool {
        match self {
            Self::Tcp | Self::Udp(_) | Self::Http(_) | Self::Grpc(_) | Self::Tls(_) => true,
        }
    }
}

impl Probe {
    /// Makes this a fresh run of `check`, keeping memory where it can.
    pub fn restart(&mut self, check: &Check) {
        match (check, &mut *self) {
            (Check::Tcp, _) => *self = Self::Tcp,
            (Check::Udp(_), _) => *self = Self::Udp(udp::Probe::default()),
            (Check::Http(_), Self::Http(probe)) => probe.restart(),
            (Check::Http(_), _) => *self = Self::Http(http::Probe::default()),
            (Check::Grpc(_), _) => *self = Self::Grpc(grpc::Probe::default()),
            (Check::Tls(_), Self::Tls(probe)) => probe.restart(),
            (Check::Tls(_), _) => *self = Self::Tls(Box::default()),
        }
    }

    /// Makes this another run of the same check over the connection that the last one left.
    pub fn restart_kept(&mut self, check: &Check) {
        match self {
            Self::Grpc(probe) => probe.restart_kept(),
            Self::Tls(probe) => probe.restart_kept(),
            Self::Tcp | Self::Udp(_) | Self::Http(_) => self.restart(check),
        }
    }

    /// Whether this run, which passed, left its connection for another one.
    #[must_use]
    pub fn leaves_connection(&mut self) -> bool {
        match self {
            Self::Http(probe) => probe.leaves_connection(),
            Self::Grpc(probe) => probe.leaves_connection(),
            Self::Tls(probe) => probe.leaves_connection(),
            Self::Tcp | Self::Udp(_) => false,
        }
    }

    /// Whether what came was said to what this run asked. On HTTP/2 a target says something of the
    /// connection now and then, and it may be there since long before.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        match self {
            Self::Grpc(probe) => probe.is_answered(),
            Self::Tls(probe) => probe.is_answered(),
            Self::Tcp | Self::Udp(_) | Self::Http(_) => true,
        }
    }

    /// The connection is over: gives the memory back that only it needed.
    pub fn disconnected(&mut self) {
        match self {
            Self::Grpc(probe) => probe.restart(),
            Self::Tls(probe) => probe.restart(),
            Self::Tcp | Self::Udp(_) | Self::Http(_) => {}
        }
    }

    /// Appends the bytes that [`Action::Exchange`] or [`Action::Send`] asked to send, for a target
    /// at `address`. `check` is that of the last [`Probe::restart`].
    pub fn output(&mut self, check: &Check, address: SocketAddr, out: &mut Vec<u8>) {
        match (self, check) {
            (_, Check::Tcp) => {}
            (_, Check::Udp(check)) => out.extend_from_slice(&check.send),
            (_, Check::Http(check)) => check.render(address, out),
            (Self::Tls(probe), Check::Tls(check)) => probe.output(check, address, out),
            (Self::Grpc(probe), Check::Grpc(check)) => probe.output(check, address, out),
            (Self::Tcp | Self::Udp(_) | Self::Http(_) | Self::Grpc(_) | Self::Tls(_), _) => {
                debug_assert!(false, "a probe is of its check's sort");
            }
        }
    }

    /// Feeds one event, and says what to do. `check` is that of the last [`Probe::restart`].
    pub fn handle(&mut self, check: &Check, event: Event<'_>) -> Action {
        match (self, check) {
            (Self::Http(probe), Check::Http(check)) => probe.handle(check, event),
            (Self::Udp(probe), Check::Udp(check)) => probe.handle(check, event),
            (Self::Tls(probe), Check::Tls(check)) => probe.handle(check, event),
            (Self::Grpc(probe), Check::Grpc(_)) => probe.handle(event),
            (Self::Tcp | Self::Udp(_) | Self::Http(_) | Self::Grpc(_) | Self::Tls(_), _) => {
                tcp::handle(event)
            }
        }
    }
}

/// The outcome of a connection that failed with `errno` (DESIGN 3.3, 3.6). What is not known to be
/// the target's doing is the checker's: an errno that nobody thought of must not kill a target.
#[must_use]
pub fn connect_failed(errno: Errno) -> Outcome {
    use Errno::{
        ECONNABORTED, ECONNREFUSED, ECONNRESET, EHOSTDOWN, EHOSTUNREACH, ENETUNREACH, ENOPROTOOPT,
        EPIPE, EPROTO, ETIMEDOUT,
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other errno is ours, see above")]
    let code = match errno {
        ECONNREFUSED | ECONNRESET | ECONNABORTED | EHOSTUNREACH | EHOSTDOWN | ENETUNREACH
        | ENOPROTOOPT | EPIPE | EPROTO => Code::L4Con,
        ETIMEDOUT => Code::L4Tout,
        _ => Code::SockErr,
    };
    Outcome::errno(code, errno)
}

/// The outcome of an exchange over a standing connection that failed with `errno`.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "the third code that can come is SOCKERR")]
pub fn exchange_failed(errno: Errno) -> Outcome {
    let code = match connect_failed(errno).code {
        Code::L4Con => Code::L7Cut,
        Code::L4Tout => Code::L7Tout,
        other => other,
    };
    Outcome::errno(code, errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_errno_is_the_targets_or_ours() {
        let expect = [
            (Errno::ECONNREFUSED, Code::L4Con, Code::L7Cut),
            (Errno::ECONNRESET, Code::L4Con, Code::L7Cut),
            (Errno::EHOSTUNREACH, Code::L4Con, Code::L7Cut),
            (Errno::ENETUNREACH, Code::L4Con, Code::L7Cut),
            (Errno::ENOPROTOOPT, Code::L4Con, Code::L7Cut),
            (Errno::ETIMEDOUT, Code::L4Tout, Code::L7Tout),
            (Errno::ENETDOWN, Code::SockErr, Code::SockErr),
            (Errno::EINVAL, Code::SockErr, Code::SockErr),
            (Errno::EMFILE, Code::SockErr, Code::SockErr),
            (Errno::ENFILE, Code::SockErr, Code::SockErr),
            (Errno::ENOBUFS, Code::SockErr, Code::SockErr),
            (Errno::ENOMEM, Code::SockErr, Code::SockErr),
            (Errno::EADDRNOTAVAIL, Code::SockErr, Code::SockErr),
            (Errno::EACCES, Code::SockErr, Code::SockErr),
            (Errno::EPERM, Code::SockErr, Code::SockErr),
        ];
        for (errno, connect, exchange) in expect {
            assert_eq!(connect_failed(errno).code, connect, "{errno:?}");
            assert_eq!(exchange_failed(errno).code, exchange, "{errno:?}");
        }
    }
}
