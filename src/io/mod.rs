//! The seam between the engine and the world: operations in, completions out, and the clock.
//!
//! The world is network *and* time. [`Io`] is all that the worker knows of it; [`host`] is the real
//! one, `io::sim` a simulated one that follows from a seed. No other test double exists.
//!
//! Contract, which both worlds check with assertions where it is cheap:
//! - A slot is a place for one socket. The backend creates the socket when a slot is first
//!   connected, and again after [`Op::Close`], after an unexpected error, or when [`Socket`]
//!   differs from the last.
//! - Each `Connect`, `Send` and `Receive` that was submitted brings exactly one [`Completion`] with
//!   its token. `Cancel`, `Disconnect` and `Close` bring none.
//! - Operations of one slot are carried out in the order of their submission. `Disconnect` and
//!   `Close` may be submitted only when no other operation of the slot is in flight; the slot may
//!   be connected anew in the same batch.
//! - `Cancel` makes the operation of that token complete soon: with `ECANCELED`, or with what it
//!   had already come to.
//! - Raw slots ([`Io::raw_capacity`]) have no socket, and take `Connect` and `Cancel`; `Disconnect`
//!   and `Close` are nothing to them.
//! - Nothing is carried out before [`Io::wait`], which submits all that was pushed and waits once.

pub mod drops;
pub mod epoll;
pub mod host;
pub mod raw;
mod selftest;
pub mod sim;
pub mod uring;
mod wake;

pub use host::{Backend, Host};
pub use raw::HalfOpen;
pub use wake::Waker;

use crate::time::Instant;
use nix::errno::Errno;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

/// What an operation is, as far as its completion must be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A connection to a target.
    Connect,
    /// A request's bytes.
    Send,
    /// A response's bytes.
    Receive,
}

/// What ties a completion to its operation. `generation` counts the probes of a slot, so that a
/// stale completion is told apart from one of the slot's present probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// The probe slot, below [`Io::capacity`], or one of the raw slots that follow.
    pub slot: u32,
    /// The slot's probe count, modulo 2^24.
    pub generation: u32,
    /// Which of the probe's operations.
    pub kind: Kind,
}

impl Token {
    /// Bits of a generation; it wraps after that many probes of one slot.
    pub const GENERATION_BITS: u32 = 24;

    /// The token in 64 bits: slot (32), generation (24), kind (8), least significant last.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        (self.slot as u64) << 32
            | ((self.generation as u64) & ((1 << Self::GENERATION_BITS) - 1)) << 8
            | self.kind as u64
    }

    /// The inverse of [`Token::to_bits`]; none where the low byte names no kind.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "each part is shifted or masked to its size"
    )]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        let kind = match bits & 0xFF {
            0 => Kind::Connect,
            1 => Kind::Send,
            2 => Kind::Receive,
            _ => return None,
        };
        let generation = (bits >> 8) as u32 & ((1 << Self::GENERATION_BITS) - 1);
        Some(Self { slot: (bits >> 32) as u32, generation, kind })
    }
}

/// What sort of socket a slot needs. Options stick to a recycled socket, so the sort is part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Socket {
    /// IPv6, else IPv4.
    pub ipv6: bool,
    /// What goes over it.
    pub transport: Transport,
}

/// What goes over a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP.
    Stream {
        /// Hold the handshake's last ACK back (client-side `TCP_DEFER_ACCEPT`): it then leaves with
        /// the request, or becomes the RST, and a server's `accept()` does not fire for a mere
        /// connect.
        hold_ack: bool,
    },
    /// UDP. `Connect` is done at once and no packet leaves; each `Send` is a datagram, be it empty,
    /// and each `Receive` brings one, cut off where a buffer ends. ICMP errors of all kinds fail
    /// the next operation, or the one that waits. Such a socket serves one probe and is closed:
    /// what comes late lies in its queue, and would be taken for the next target's answer.
    Datagram,
    /// No socket at all: the slot is one of the raw ones, and can connect and no more.
    Raw,
}

impl Socket {
    /// How many sorts there are.
    pub const SORTS: usize = 7;
    /// The sort of raw slots, which have no options.
    pub const RAW: usize = 6;

    /// A number below [`Socket::SORTS`], for tables by sort.
    #[must_use]
    pub const fn sort(self) -> usize {
        let family = self.ipv6 as usize;
        match self.transport {
            Transport::Stream { hold_ack } => family * 2 + hold_ack as usize,
            Transport::Datagram => 4 + family,
            Transport::Raw => Self::RAW,
        }
    }

    /// Whether the slot is one of the raw ones.
    #[must_use]
    pub const fn is_raw(self) -> bool {
        matches!(self.transport, Transport::Raw)
    }

    /// Whether it is for datagrams.
    #[must_use]
    pub const fn is_datagram(self) -> bool {
        matches!(self.transport, Transport::Datagram)
    }
}

/// An operation to carry out.
#[derive(Clone, Copy, Debug)]
pub enum Op<'a> {
    /// Connect the slot's socket; completes with `Connected` or `Failed`.
    Connect {
        /// Names the completion; `kind` is `Connect`.
        token: Token,
        /// Where to.
        address: SocketAddr,
        /// The sort of socket; the family is that of `address`.
        socket: Socket,
    },
    /// Send all of `bytes`, which the backend copies; completes with `Sent` or `Failed`.
    Send {
        /// Names the completion; `kind` is `Send`.
        token: Token,
        /// The request.
        bytes: &'a [u8],
    },
    /// Receive what comes next; completes with `Received` (no bytes: end of stream, or an empty
    /// datagram) or `Failed`.
    Receive {
        /// Names the completion; `kind` is `Receive`.
        token: Token,
    },
    /// Make the operation of this token complete soon.
    Cancel {
        /// The operation's own token.
        token: Token,
    },
    /// Drop the connection with RST, keep the socket for the slot's next probe. For streams only.
    Disconnect {
        /// The slot.
        slot: u32,
    },
    /// Close the connection with FIN, if it is a stream's, and give the socket up.
    Close {
        /// The slot.
        slot: u32,
    },
}

/// Bytes that a `Receive` brought, lent by the backend until [`Io::recycle`].
#[derive(Debug, PartialEq, Eq)]
pub struct Buffer {
    /// The backend's own name for it.
    pub id: u16,
    /// How many bytes came; 0 is the end of the stream, or an empty datagram.
    pub len: u32,
}

/// What came of an operation.
#[derive(Debug, PartialEq, Eq)]
pub enum Done {
    /// The connection stands.
    Connected,
    /// All bytes were taken.
    Sent,
    /// Bytes came; the buffer must be given back by [`Io::recycle`].
    Received(Buffer),
    /// The kernel refused, or the operation was cancelled (`ECANCELED`).
    Failed(Errno),
}

/// What came back for one operation.
#[derive(Debug, PartialEq, Eq)]
pub struct Completion {
    /// The operation's token.
    pub token: Token,
    /// What came of it.
    pub done: Done,
}

/// An error of the world itself, after which a worker cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {errno}; {cure}")]
pub struct IoError {
    /// What was tried.
    pub what: &'static str,
    /// What the kernel said.
    pub errno: Errno,
    /// What a person can do about it.
    pub cure: &'static str,
}

/// Why a backend cannot be used here, and the cure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {cure}")]
pub struct Unsupported {
    /// What is missing or forbidden.
    pub what: String,
    /// What a person can do about it.
    pub cure: String,
}

/// The world as a worker sees it. One value per worker, used by its thread only.
pub trait Io {
    /// The monotonic clock, read now.
    fn now(&mut self) -> Instant;

    /// How many slots for sockets there are.
    fn capacity(&self) -> u32;

    /// How many raw slots there are: their numbers follow those of the sockets.
    fn raw_capacity(&self) -> u32 {
        0
    }

    /// How many `Connect`s may be submitted before the next [`Io::wait`]; 0 while the ring is full.
    /// All other operations are always taken.
    fn room(&self) -> usize;

    /// Queues one operation.
    fn submit(&mut self, op: Op<'_>);

    /// Carries out what was queued, waits until something completes, a wake-up comes, or `until` is
    /// reached (an instant that is past means: wait no longer than batching takes, a fraction of a
    /// millisecond), and appends what completed. Brings *all* completions that are ready, unless
    /// `completions` would grow beyond its capacity by more than the backend's own batch.
    ///
    /// # Errors
    /// Only where the world is broken for good; trouble of a single operation is its completion.
    fn wait(&mut self, until: Instant, completions: &mut Vec<Completion>) -> Result<(), IoError>;

    /// The bytes of a buffer.
    fn bytes(&self, buffer: &Buffer) -> &[u8];

    /// Gives a buffer back.
    fn recycle(&mut self, buffer: Buffer);

    /// Packets that this host has dropped by itself so far, as far as it tells: on their way out,
    /// or in queues of ours. Where this has changed, some were. Cheap enough for every probe that
    /// ran out of time.
    fn dropped(&mut self) -> u64;
}

/// A world whose [`Io::wait`] can be ended by a file of somebody else's.
pub trait Watch {
    /// The next wait also ends when `fd` can be read, or has an error to tell; once at least, if it
    /// is not asked for again. `fd` must stay open as long as this world.
    fn watch(&mut self, fd: BorrowedFd<'_>);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_packing() {
        for kind in [Kind::Connect, Kind::Send, Kind::Receive] {
            for (slot, generation) in [(0, 0), (1, 2), (u32::MAX, (1 << 24) - 1)] {
                let token = Token { slot, generation, kind };
                assert_eq!(Token::from_bits(token.to_bits()), Some(token));
            }
        }
        assert_eq!(Token::from_bits(0xFF), None);
    }
}
