//! A health check as a worker uses it: settings rendered once per group, nothing left to parse.

use crate::check::Check;
use crate::endpoint::Endpoint;
use crate::health::Thresholds;
use std::time::Duration;

/// How the connection of a finished probe ends (DESIGN 3.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Close {
    /// RST; no TIME_WAIT, the socket is recycled.
    #[default]
    Reset,
    /// FIN; a fresh socket per probe.
    Graceful,
}

/// How far the handshake of a TCP check goes (DESIGN 3.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Handshake {
    /// The last ACK is held back, so that the server's `accept()` never fires.
    #[default]
    Half,
    /// The handshake is completed.
    Full,
    /// Half, and without a socket: SYN out, SYN-ACK or RST in. Needs CAP_NET_RAW.
    Raw,
}

/// Which PROXY protocol header goes first on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words of the protocol")]
pub enum ProxyProtocol {
    V1,
    V2,
}

impl ProxyProtocol {
    /// The header (haproxy's proxy-protocol.txt, 2.1 and 2.2). It says that the connection is the
    /// checker's own: LOCAL in version 2, UNKNOWN in version 1, which each receiver must take, and
    /// for which it uses the connection's real addresses. To name them ourselves would cost a
    /// system call per probe, because the kernel chooses the source port as it connects.
    #[must_use]
    pub const fn header(self) -> &'static [u8] {
        match self {
            Self::V1 => b"PROXY UNKNOWN\r\n",
            Self::V2 => b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
        }
    }
}

/// A connection that is kept for its target's next probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reuse {
    /// Every so many probes of a target begin with a fresh connection; 2 or more.
    pub fresh_connection_every: u16,
}

/// What a worker must know to probe the targets of one group. Invariants: `interval` is whole
/// milliseconds and not zero (zero is allowed for one-shot runs only), `timeout` is not zero.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recipe {
    /// Port that probes go to; none: each target's own (`traffic-port`).
    pub port: Option<u16>,
    /// Gap between the starts of two probes of a target.
    pub interval: Duration,
    /// Longest time of one probe.
    pub timeout: Duration,
    /// Consecutive outcomes that change the state.
    pub thresholds: Thresholds,
    /// What is asked.
    pub check: Check,
    /// How the connection ends.
    pub close: Close,
    /// How far a mere connect goes.
    pub handshake: Handshake,
    /// What goes before everything else on a connection, TLS too.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// None: each probe has a connection of its own.
    pub reuse: Option<Reuse>,
}

impl Recipe {
    /// Where a probe of the target at `traffic` goes.
    #[must_use]
    pub const fn endpoint(&self, traffic: Endpoint) -> Endpoint {
        match self.port {
            Some(port) => Endpoint::new(traffic.ip(), port),
            None => traffic,
        }
    }
}
