//! One table of what targets do and what must be said of it (DESIGN 3.3, 3.6), for the simulated
//! network and for real sockets alike.
//!
//! A behaviour is plain data; it is made for a timeout, so that both worlds can choose how long
//! they want to wait: what must be in time is done within a quarter of it, what must not is never
//! done.

use super::health::{Health, MUTE, NOT_SERVING, Reply, SERVING};
use super::tls::{FAILURE, OLDER, SERVER, Server, TOO_NEW, Who, canned, client, grpc_client};
use nix::errno::Errno;
use ringcheck::check::http::{self, Matcher};
use ringcheck::check::{Check, grpc, tls, udp};
use ringcheck::io::sim::{Behaviour, End, Starts, Step};
use ringcheck::outcome::Code;
use std::sync::Arc;
use std::time::Duration;

/// Which check is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A mere connection.
    Tcp,
    /// `GET /`; 200-399 match.
    Http,
    /// A datagram, and what must come back.
    Udp {
        /// The datagram.
        send: &'static str,
        /// What the answer must contain.
        expect: Option<&'static str>,
    },
    /// A TLS handshake; whether the certificate must be right.
    Tls {
        /// It must.
        verify: bool,
    },
    /// `GET /` over TLS; 200-399 match.
    Https,
    /// Whether the server as a whole is serving.
    Grpc,
    /// The same over TLS.
    Grpcs,
}

impl Asked {
    /// A datagram that need not be answered.
    pub(crate) const OPEN: Self = Self::Udp { send: "ping", expect: None };
    /// An empty one.
    pub(crate) const EMPTY: Self = Self::Udp { send: "", expect: None };
    /// One that must be.
    pub(crate) const PONG: Self = Self::Udp { send: "ping", expect: Some("pong") };
    /// A handshake with anybody.
    pub(crate) const TLS: Self = Self::Tls { verify: false };
    /// A handshake with whom we know.
    pub(crate) const VERIFIED: Self = Self::Tls { verify: true };
    /// All that is asked.
    pub(crate) const ALL: [Self; 10] = [
        Self::Tcp,
        Self::Http,
        Self::OPEN,
        Self::EMPTY,
        Self::PONG,
        Self::TLS,
        Self::VERIFIED,
        Self::Https,
        Self::Grpc,
        Self::Grpcs,
    ];

    /// The check.
    pub(crate) fn check(self) -> Check {
        match self {
            Self::Tcp => Check::Tcp,
            Self::Http => Check::Http(http::Check::new("/", None, Matcher::default())),
            Self::Udp { send, expect } => Check::Udp(udp::Check {
                send: send.as_bytes().into(),
                expect: expect.map(|expect| expect.as_bytes().into()),
            }),
            Self::Grpc => Check::Grpc(health()),
            Self::Grpcs => {
                let inner = tls::Inner::Grpc(health().over_tls());
                Check::Tls(Arc::new(tls::Check { client: grpc_client(), inner }))
            }
            Self::Tls { verify } => {
                let inner = tls::Inner::Handshake;
                Check::Tls(Arc::new(tls::Check { client: client(verify), inner }))
            }
            Self::Https => {
                let inner = tls::Inner::Http(http::Check::new("/", None, Matcher::default()));
                Check::Tls(Arc::new(tls::Check { client: client(false), inner }))
            }
        }
    }

    /// Whether it goes over TLS.
    pub(crate) const fn is_secure(self) -> bool {
        matches!(self, Self::Tls { .. } | Self::Https | Self::Grpcs)
    }

    /// Whether it goes over UDP.
    pub(crate) const fn is_udp(self) -> bool {
        matches!(self, Self::Udp { .. })
    }
}

fn health() -> grpc::Check {
    grpc::Check::new("", None, Duration::from_secs(1)).unwrap()
}

/// One row: what is asked, what the target does, what must come of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    /// For people.
    pub name: &'static str,
    /// The check that is made.
    pub asked: Asked,
    /// What the target does, for a check with this timeout.
    pub behaviour: fn(Duration) -> Behaviour,
    /// The code of the outcome.
    pub code: Code,
    /// The HTTP status of the outcome, 0 for none.
    pub status: u16,
}

const fn tcp(name: &'static str, behaviour: fn(Duration) -> Behaviour, code: Code) -> Script {
    Script { name, asked: Asked::Tcp, behaviour, code, status: 0 }
}

const fn http(
    name: &'static str,
    behaviour: fn(Duration) -> Behaviour,
    code: Code,
    status: u16,
) -> Script {
    Script { name, asked: Asked::Http, behaviour, code, status }
}

/// One that has no status.
const fn plain(
    name: &'static str,
    asked: Asked,
    behaviour: fn(Duration) -> Behaviour,
    code: Code,
) -> Script {
    Script { name, asked, behaviour, code, status: 0 }
}

const fn https(
    name: &'static str,
    behaviour: fn(Duration) -> Behaviour,
    code: Code,
    status: u16,
) -> Script {
    Script { name, asked: Asked::Https, behaviour, code, status }
}

const fn grpc(name: &'static str, behaviour: fn(Duration) -> Behaviour, code: Code) -> Script {
    plain(name, Asked::Grpc, behaviour, code)
}

const fn grpcs(name: &'static str, behaviour: fn(Duration) -> Behaviour, code: Code) -> Script {
    plain(name, Asked::Grpcs, behaviour, code)
}

/// An answer as short as can be.
const SHORT: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
/// An answer as a healthy target gives it.
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
const MOVED: &[u8] = b"HTTP/1.1 301 Moved Permanently\r\nLocation: /there\r\n\r\n";
const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
const NOT_FOUND: &[u8] = b"HTTP/1.0 404 Not Found\r\n\r\n";
const CONTINUE_OK: &[u8] =
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 \r\n\r\n";
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n";
const LINE_FEEDS: &[u8] = b"\r\nHTTP/1.1 200 OK\nServer : x\n folded\n\n";
const BANNER: &[u8] = b"220 mail.example ESMTP ready\r\n";

/// The table.
#[rustfmt::skip]
pub(crate) const SCRIPTS: &[Script] = &[
    tcp("tcp: accepts", |_| Behaviour::stall(), Code::L4Ok),
    tcp("tcp: accepts and closes", |_| talk(Starts::AtOnce, vec![], End::Close), Code::L4Ok),
    tcp("tcp: accepts and resets", |_| Behaviour::reset_at_once(), Code::L4Ok),
    tcp("tcp: refuses", |_| Behaviour::Refuse, Code::L4Con),
    tcp("tcp: silent", |_| Behaviour::Silent, Code::L4Tout),
    tcp("tcp: host unreachable", |_| Behaviour::Unreachable(Errno::EHOSTUNREACH), Code::L4Con),
    tcp("tcp: network unreachable", |_| Behaviour::Unreachable(Errno::ENETUNREACH), Code::L4Con),
    tcp("tcp: protocol unreachable", |_| Behaviour::Unreachable(Errno::ENOPROTOOPT), Code::L4Con),
    tcp("tcp: reset while connecting", |_| Behaviour::Unreachable(Errno::ECONNRESET), Code::L4Con),
    tcp("tcp: timed out by the kernel", |_| Behaviour::Unreachable(Errno::ETIMEDOUT), Code::L4Tout),
    tcp("tcp: our network is down", |_| Behaviour::Unreachable(Errno::ENETDOWN), Code::SockErr),
    tcp("tcp: forbidden here", |_| Behaviour::Unreachable(Errno::EACCES), Code::SockErr),
    tcp("tcp: our own mistake", |_| Behaviour::Unreachable(Errno::EINVAL), Code::SockErr),

    http("http: 200", |_| Behaviour::healthy(OK), Code::L7Ok, 200),
    http("http: 301", |_| Behaviour::healthy(MOVED), Code::L7Ok, 301),
    http("http: skips 1xx", |_| Behaviour::healthy(CONTINUE_OK), Code::L7Ok, 204),
    http("http: line feeds, blanks, folds", |_| Behaviour::healthy(LINE_FEEDS), Code::L7Ok, 200),
    http("http: head, then silence", |_| Behaviour::garbage(SHORT), Code::L7Ok, 200),
    http("http: head, then RST", |_| Behaviour::reset_after(SHORT), Code::L7Ok, 200),
    http("http: byte by byte", |timeout| Behaviour::dribble(SHORT, timeout / 200), Code::L7Ok, 200),
    http("http: answers unasked", |_| Behaviour::early_answer(OK, End::Hold), Code::L7Ok, 200),
    http("http: answers unasked, closes", |_| Behaviour::early_answer(OK, End::Close), Code::L7Ok, 200),
    http("http: answers in two parts", |timeout| two_parts(timeout / 8), Code::L7Ok, 200),
    http("http: 503", |_| Behaviour::healthy(UNAVAILABLE), Code::L7Sts, 503),
    http("http: 404 by HTTP/1.0", |_| Behaviour::healthy(NOT_FOUND), Code::L7Sts, 404),
    http("http: 101", |_| Behaviour::healthy(SWITCHING), Code::L7Sts, 101),
    http("http: refuses", |_| Behaviour::Refuse, Code::L4Con, 0),
    http("http: silent", |_| Behaviour::Silent, Code::L4Tout, 0),
    http("http: host unreachable", |_| Behaviour::Unreachable(Errno::EHOSTUNREACH), Code::L4Con, 0),
    http("http: forbidden here", |_| Behaviour::Unreachable(Errno::EACCES), Code::SockErr, 0),
    http("http: never answers", |_| Behaviour::stall(), Code::L7Tout, 0),
    http("http: half an answer", |_| Behaviour::garbage(&SHORT[..12]), Code::L7Tout, 0),
    http("http: too slow", |timeout| Behaviour::dribble(SHORT, timeout / 2), Code::L7Tout, 0),
    http("http: a header now and then", |timeout| headers(b"A: b\r\n", timeout / 50), Code::L7Tout, 0),
    http("http: resets at once", |_| Behaviour::reset_at_once(), Code::L7Cut, 0),
    http("http: resets when asked", |_| Behaviour::reset_after(b""), Code::L7Cut, 0),
    http("http: resets in its answer", |_| Behaviour::reset_after(&OK[..20]), Code::L7Cut, 0),
    http("http: closes when asked", |_| Behaviour::cut_after(b""), Code::L7Cut, 0),
    http("http: closes at once", |_| talk(Starts::AtOnce, vec![], End::Close), Code::L7Cut, 0),
    http("http: closes in its status line", |_| Behaviour::cut_after(&OK[..7]), Code::L7Cut, 0),
    http("http: closes in its head", |_| Behaviour::cut_after(&OK[..40]), Code::L7Cut, 0),
    http("http: closes after 100", |_| Behaviour::cut_after(&CONTINUE_OK[..25]), Code::L7Cut, 0),
    http("http: speaks SMTP", |_| Behaviour::early_answer(BANNER, End::Hold), Code::L7Rsp, 0),
    http("http: rubbish", |_| Behaviour::garbage(b"\x16\x03\x01\x02\x00 rubbish\r\n\r\n"), Code::L7Rsp, 0),
    http("http: rubbish, then RST", |_| Behaviour::reset_after(BANNER), Code::L7Rsp, 0),
    http("http: HTTP/2", |_| Behaviour::garbage(b"HTTP/2 200 OK\r\n\r\n"), Code::L7Rsp, 0),
    http("http: status 600", |_| Behaviour::garbage(b"HTTP/1.1 600 Odd\r\n\r\n"), Code::L7Rsp, 0),
    http("http: two blanks", |_| Behaviour::garbage(b"HTTP/1.1  200 OK\r\n\r\n"), Code::L7Rsp, 0),
    http("http: header without colon", |_| Behaviour::garbage(b"HTTP/1.1 200 OK\r\nodd\r\n\r\n"), Code::L7Rsp, 0),
    http("http: NUL", |_| Behaviour::garbage(b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n"), Code::L7Rsp, 0),
    http("http: headers for ever", |timeout| headers(&LONG, timeout / 100), Code::L7Rsp, 0),
    http("http: 1xx for ever", |timeout| hints(timeout / 100), Code::L7Rsp, 0),

    plain("udp: answers", Asked::OPEN, |_| datagrams(&["pong"]), Code::L4Ok),
    plain("udp: answers with an empty datagram", Asked::OPEN, |_| datagrams(&[""]), Code::L4Ok),
    plain("udp: silent", Asked::OPEN, |_| Behaviour::Silent, Code::L4Ok),
    plain("udp: port unreachable", Asked::OPEN, |_| Behaviour::Refuse, Code::L4Con),
    plain("udp: host unreachable", Asked::OPEN, |_| Behaviour::Unreachable(Errno::EHOSTUNREACH), Code::L4Con),
    plain("udp: too long for the way", Asked::OPEN, |_| Behaviour::Unreachable(Errno::EMSGSIZE), Code::SockErr),
    plain("udp: answers an empty datagram", Asked::EMPTY, |_| datagrams(&["pong"]), Code::L4Ok),
    plain("udp: silent to an empty datagram", Asked::EMPTY, |_| Behaviour::Silent, Code::L4Ok),
    plain("udp: refuses an empty datagram", Asked::EMPTY, |_| Behaviour::Refuse, Code::L4Con),
    plain("udp: answers as expected", Asked::PONG, |_| datagrams(&["pong"]), Code::L7Ok),
    plain("udp: answers in two datagrams", Asked::PONG, |_| datagrams(&["a pong.", "pong"]), Code::L7Ok),
    plain("udp: answers late, in time", Asked::PONG, |timeout| late(timeout / 8), Code::L7Ok),
    plain("udp: answers too late", Asked::PONG, |timeout| late(timeout * 2), Code::L7Tout),
    plain("udp: never answers", Asked::PONG, |_| Behaviour::Silent, Code::L7Tout),
    plain("udp: answers otherwise", Asked::PONG, |_| datagrams(&["ping"]), Code::L7Rsp),
    plain("udp: answers otherwise first", Asked::PONG, |_| datagrams(&["ping", "pong"]), Code::L7Rsp),
    plain("udp: answers with nothing", Asked::PONG, |_| datagrams(&[""]), Code::L7Rsp),
    plain("udp: nobody to answer", Asked::PONG, |_| Behaviour::Refuse, Code::L4Con),
    plain("udp: forbidden here", Asked::PONG, |_| Behaviour::Unreachable(Errno::EACCES), Code::SockErr),
    plain("udp: network unreachable", Asked::PONG, |_| Behaviour::Unreachable(Errno::ENETUNREACH), Code::L4Con),

    plain("tls: 1.3", Asked::TLS, |_| SERVER.behaviour(), Code::L6Ok),
    plain("tls: 1.2", Asked::TLS, |_| OLDER.behaviour(), Code::L6Ok),
    plain("tls: self-signed", Asked::TLS, |_| by(Who::SelfSigned), Code::L6Ok),
    plain("tls: expired", Asked::TLS, |_| by(Who::Expired), Code::L6Ok),
    plain("tls: another's certificate", Asked::TLS, |_| by(Who::Other), Code::L6Ok),
    plain("tls: a long chain", Asked::TLS, |_| by(Who::LongChain), Code::L6Ok),
    plain("tls: byte by byte", Asked::TLS, |timeout| SERVER.dripped(timeout).behaviour(), Code::L6Ok),
    plain("tls: 1.2, byte by byte", Asked::TLS, |timeout| OLDER.dripped(timeout).behaviour(), Code::L6Ok),
    plain("tls: verified", Asked::VERIFIED, |_| SERVER.behaviour(), Code::L6Ok),
    plain("tls: verified, 1.2", Asked::VERIFIED, |_| OLDER.behaviour(), Code::L6Ok),
    plain("tls: verified, self-signed", Asked::VERIFIED, |_| by(Who::SelfSigned), Code::L6Rsp),
    plain("tls: verified, expired", Asked::VERIFIED, |_| by(Who::Expired), Code::L6Rsp),
    plain("tls: verified, another's certificate", Asked::VERIFIED, |_| by(Who::Other), Code::L6Rsp),
    plain("tls: a chain without end", Asked::TLS, |_| by(Who::EndlessChain), Code::L6Rsp),
    plain("tls: demands a certificate", Asked::TLS, |_| Server { demands: true, ..SERVER }.behaviour(), Code::L6Rsp),
    plain("tls: 1.2, demands a certificate", Asked::TLS, |_| Server { demands: true, ..OLDER }.behaviour(), Code::L6Rsp),
    plain("tls: 1.1 at most", Asked::TLS, |_| canned(TOO_NEW, End::Close), Code::L6Rsp),
    plain("tls: alert", Asked::TLS, |_| canned(FAILURE, End::Hold), Code::L6Rsp),
    plain("tls: speaks HTTP", Asked::TLS, |_| canned(NOT_FOUND, End::Close), Code::L6Rsp),
    plain("tls: speaks SMTP", Asked::TLS, |_| Behaviour::early_answer(BANNER, End::Hold), Code::L6Rsp),
    plain("tls: closes at once", Asked::TLS, |_| talk(Starts::AtOnce, vec![], End::Close), Code::L6Rsp),
    plain("tls: closes when asked", Asked::TLS, |_| canned(b"", End::Close), Code::L6Rsp),
    plain("tls: closes in its flight", Asked::TLS, |_| SERVER.cut(End::Close), Code::L6Rsp),
    plain("tls: 1.2, closes in its flight", Asked::TLS, |_| OLDER.cut(End::Close), Code::L6Rsp),
    plain("tls: resets at once", Asked::TLS, |_| Behaviour::reset_at_once(), Code::L6Rsp),
    plain("tls: resets when asked", Asked::TLS, |_| canned(b"", End::Reset), Code::L6Rsp),
    plain("tls: resets in its flight", Asked::TLS, |_| SERVER.cut(End::Reset), Code::L6Rsp),
    plain("tls: never answers", Asked::TLS, |_| canned(b"", End::Hold), Code::L6Tout),
    plain("tls: stops in its flight", Asked::TLS, |_| SERVER.cut(End::Hold), Code::L6Tout),
    plain("tls: half an alert", Asked::TLS, |_| canned(&FAILURE[..6], End::Hold), Code::L6Tout),
    plain("tls: refuses", Asked::TLS, |_| Behaviour::Refuse, Code::L4Con),
    plain("tls: host unreachable", Asked::TLS, |_| Behaviour::Unreachable(Errno::EHOSTUNREACH), Code::L4Con),
    plain("tls: silent", Asked::TLS, |_| Behaviour::Silent, Code::L4Tout),
    plain("tls: forbidden here", Asked::TLS, |_| Behaviour::Unreachable(Errno::EACCES), Code::SockErr),

    https("https: 200", |_| SERVER.behaviour(), Code::L7Ok, 200),
    https("https: 200 by 1.2", |_| OLDER.behaviour(), Code::L7Ok, 200),
    https("https: self-signed", |_| by(Who::SelfSigned), Code::L7Ok, 200),
    https("https: byte by byte", |timeout| SERVER.dripped(timeout).behaviour(), Code::L7Ok, 200),
    https("https: no close_notify", |_| Server { notifies: false, ..SERVER }.behaviour(), Code::L7Ok, 200),
    https("https: stays open", |_| Server { end: End::Hold, ..SERVER }.behaviour(), Code::L7Ok, 200),
    https("https: 503", |_| answers(UNAVAILABLE), Code::L7Sts, 503),
    https("https: 404 by HTTP/1.0", |_| answers(NOT_FOUND), Code::L7Sts, 404),
    https("https: never answers", |_| stays(b""), Code::L7Tout, 0),
    https("https: half an answer", |_| stays(&SHORT[..12]), Code::L7Tout, 0),
    https("https: closes when asked", |_| answers(b""), Code::L7Cut, 0),
    https("https: closes in its head", |_| answers(&OK[..40]), Code::L7Cut, 0),
    https("https: ends in its head", |_| Server { notifies: false, answer: &OK[..40], ..SERVER }.behaviour(), Code::L7Cut, 0),
    https("https: resets when asked", |_| Server { end: End::Reset, ..stays_open(b"") }.behaviour(), Code::L7Cut, 0),
    https("https: rubbish", |_| answers(BANNER), Code::L7Rsp, 0),
    https("https: speaks HTTP", |_| canned(NOT_FOUND, End::Close), Code::L6Rsp, 0),
    https("https: closes in the handshake", |_| SERVER.cut(End::Close), Code::L6Rsp, 0),
    https("https: stops in the handshake", |_| SERVER.cut(End::Hold), Code::L6Tout, 0),
    https("https: refuses", |_| Behaviour::Refuse, Code::L4Con, 0),
    https("https: silent", |_| Behaviour::Silent, Code::L4Tout, 0),
    https("https: forbidden here", |_| Behaviour::Unreachable(Errno::EACCES), Code::SockErr, 0),

    grpc("grpc: serving", |_| SERVING.behaviour(), Code::L7Ok),
    grpc("grpc: serving, closes", |_| closing(SERVING).behaviour(), Code::L7Ok),
    grpc("grpc: serving, leaves", |_| Health { leaves: true, ..SERVING }.behaviour(), Code::L7Ok),
    grpc("grpc: not serving", |_| NOT_SERVING.behaviour(), Code::L7Sts),
    grpc("grpc: never answers", |_| canned(b"", End::Hold), Code::L7Tout),
    grpc("grpc: settings, then silence", |_| MUTE.behaviour(), Code::L7Tout),
    grpc("grpc: closes when asked", |_| canned(b"", End::Close), Code::L7Cut),
    grpc("grpc: settings, then RST", |_| Health { end: End::Reset, ..MUTE }.behaviour(), Code::L7Cut),
    grpc("grpc: goes away", |_| replies(Reply::GoAway).behaviour(), Code::L7Cut),
    grpc("grpc: speaks HTTP/1", |_| canned(NOT_FOUND, End::Close), Code::L7Rsp),
    grpc("grpc: refuses", |_| Behaviour::Refuse, Code::L4Con),
    grpc("grpc: silent", |_| Behaviour::Silent, Code::L4Tout),
    grpc("grpc: forbidden here", |_| Behaviour::Unreachable(Errno::EACCES), Code::SockErr),

    grpcs("grpcs: serving", |_| over_tls(SERVING).behaviour(), Code::L7Ok),
    grpcs("grpcs: serving by 1.2", |_| Server { version: OLDER.version, ..over_tls(SERVING) }.behaviour(), Code::L7Ok),
    grpcs("grpcs: serving, closes", |_| notifying(closing(SERVING)).behaviour(), Code::L7Ok),
    grpcs("grpcs: self-signed", |_| Server { who: Who::SelfSigned, ..over_tls(SERVING) }.behaviour(), Code::L7Ok),
    grpcs("grpcs: byte by byte", |timeout| over_tls(SERVING).dripped(timeout).behaviour(), Code::L7Ok),
    grpcs("grpcs: not serving", |_| over_tls(NOT_SERVING).behaviour(), Code::L7Sts),
    grpcs("grpcs: never answers", |_| over_tls(MUTE).behaviour(), Code::L7Tout),
    grpcs("grpcs: closes when asked", |_| notifying(closing(MUTE)).behaviour(), Code::L7Cut),
    grpcs("grpcs: ends when asked", |_| over_tls(closing(MUTE)).behaviour(), Code::L7Cut),
    grpcs("grpcs: resets when asked", |_| over_tls(Health { end: End::Reset, ..MUTE }).behaviour(), Code::L7Cut),
    grpcs("grpcs: goes away", |_| over_tls(replies(Reply::GoAway)).behaviour(), Code::L7Cut),
    grpcs("grpcs: speaks HTTP/1", |_| over_tls(replies(Reply::Bytes(NOT_FOUND))).behaviour(), Code::L7Rsp),
    grpcs("grpcs: chooses no HTTP/2", |_| Server { alpn: &[], ..over_tls(SERVING) }.behaviour(), Code::L7Rsp),
    grpcs("grpcs: knows no HTTP/2", |_| Server { alpn: &["http/1.1"], ..SERVER }.behaviour(), Code::L6Rsp),
    grpcs("grpcs: no TLS", |_| canned(b"\0\0\0\x04\0\0\0\0\0", End::Hold), Code::L6Rsp),
    grpcs("grpcs: closes in the handshake", |_| over_tls(SERVING).cut(End::Close), Code::L6Rsp),
    grpcs("grpcs: resets in the handshake", |_| over_tls(SERVING).cut(End::Reset), Code::L6Rsp),
    grpcs("grpcs: stops in the handshake", |_| over_tls(SERVING).cut(End::Hold), Code::L6Tout),
    grpcs("grpcs: refuses", |_| Behaviour::Refuse, Code::L4Con),
    grpcs("grpcs: silent", |_| Behaviour::Silent, Code::L4Tout),
    grpcs("grpcs: forbidden here", |_| Behaviour::Unreachable(Errno::EACCES), Code::SockErr),
];

/// The same over TLS; it ends without `close_notify`.
pub(crate) const fn over_tls(health: Health) -> Server {
    Server { alpn: &["h2"], notifies: false, health: Some(health), ..SERVER }
}

const fn notifying(health: Health) -> Server {
    Server { notifies: true, ..over_tls(health) }
}

const fn closing(health: Health) -> Health {
    Health { end: End::Close, ..health }
}

const fn replies(reply: Reply) -> Health {
    Health { replies: [reply; 2], ..SERVING }
}

fn by(who: Who) -> Behaviour {
    Server { who, ..SERVER }.behaviour()
}

fn answers(answer: &'static [u8]) -> Behaviour {
    Server { answer, ..SERVER }.behaviour()
}

const fn stays_open(answer: &'static [u8]) -> Server {
    Server { answer, notifies: false, end: End::Hold, ..SERVER }
}

fn stays(answer: &'static [u8]) -> Behaviour {
    stays_open(answer).behaviour()
}

/// Four kilobytes of headers.
const LONG: [u8; 4_096] = {
    let mut long = [b'x'; 4_096];
    (long[0], long[1], long[4_094], long[4_095]) = (b'A', b':', b'\r', b'\n');
    long
};

fn talk(starts: Starts, steps: Vec<Step>, end: End) -> Behaviour {
    Behaviour::talk(starts, steps, end)
}

fn datagrams(all: &[&str]) -> Behaviour {
    let steps = all.iter().map(|datagram| Step::Send(datagram.as_bytes().into()));
    talk(Starts::OnRequest, steps.collect(), End::Hold)
}

fn late(pause: Duration) -> Behaviour {
    let steps = vec![Step::Pause(pause), Step::Send((*b"pong").into())];
    talk(Starts::OnRequest, steps, End::Hold)
}

fn two_parts(pause: Duration) -> Behaviour {
    let (first, second) = OK.split_at(11);
    let steps = vec![Step::Send(first.into()), Step::Pause(pause), Step::Send(second.into())];
    talk(Starts::OnRequest, steps, End::Close)
}

fn headers(line: &[u8], gap: Duration) -> Behaviour {
    Behaviour::endless(b"HTTP/1.1 200 OK\r\n", line, gap)
}

fn hints(gap: Duration) -> Behaviour {
    Behaviour::endless(b"", &b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100), gap)
}
