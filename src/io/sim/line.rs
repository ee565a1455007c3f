//! What a connected slot hears of its peer: a stream or datagrams.

use super::datagrams::Datagrams;
use super::wire::Wire;
use crate::rng::Rng;
use nix::errno::Errno;
use std::time::Duration;

/// One of the two; a stream is kept for the slot's next one, for its memory.
#[derive(Debug)]
pub(super) enum Line {
    /// TCP.
    Stream(Wire),
    /// UDP.
    Datagrams(Datagrams),
}

impl Default for Line {
    fn default() -> Self {
        Self::Stream(Wire::default())
    }
}

impl Line {
    /// Makes this a stream that is not open yet.
    pub(super) fn stream(&mut self) -> &mut Wire {
        if let Self::Datagrams(_) = self {
            *self = Self::default();
        }
        match self {
            Self::Stream(wire) => wire,
            Self::Datagrams(_) => unreachable!("replaced above"),
        }
    }

    /// See [`Wire::established`].
    pub(super) fn established(&mut self, rng: &mut Rng) -> Option<Duration> {
        match self {
            Self::Stream(wire) => wire.established(rng),
            Self::Datagrams(_) => None,
        }
    }

    /// See [`Wire::send`].
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<Option<Duration>, Errno> {
        match self {
            Self::Stream(wire) => wire.send(bytes),
            Self::Datagrams(datagrams) => datagrams.send(),
        }
    }

    /// See [`Wire::arrive`].
    pub(super) fn arrive(&mut self, rng: &mut Rng) -> Option<Duration> {
        match self {
            Self::Stream(wire) => wire.arrive(rng),
            Self::Datagrams(datagrams) => datagrams.arrive(),
        }
    }

    /// See [`Wire::readable`].
    pub(super) fn readable(&self) -> bool {
        match self {
            Self::Stream(wire) => wire.readable(),
            Self::Datagrams(datagrams) => datagrams.readable(),
        }
    }

    /// See [`Wire::peek`].
    pub(super) fn peek(&mut self) -> Result<&[u8], Errno> {
        match self {
            Self::Stream(wire) => wire.peek(),
            Self::Datagrams(datagrams) => datagrams.peek(),
        }
    }

    /// Takes `count` bytes that [`Line::peek`] showed; a datagram is taken whole.
    pub(super) fn consume(&mut self, count: usize) {
        match self {
            Self::Stream(wire) => wire.consume(count),
            Self::Datagrams(datagrams) => datagrams.consume(),
        }
    }
}
