//! What the network saw of the checker: the truth that reports are compared with.

use crate::io::Socket;
use crate::time::Instant;
use nix::errno::Errno;
use std::time::Duration;

/// What a probe met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The peer's behaviour, by its place in the outermost list of behaviours (0: there is no
    /// list).
    Peer(u16),
    /// A fault of the checker itself; no packet left.
    Fault(Errno),
    /// The host dropped its packets by itself.
    Dropped,
}

/// The start of one probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// When.
    pub at: Instant,
    /// The peer's number.
    pub peer: u32,
    /// From which slot.
    pub slot: u32,
    /// With which sort of socket.
    pub socket: Socket,
    /// What it met.
    pub fate: Fate,
    /// [`super::Sim::stopped`] when it started.
    pub stopped: Duration,
}

/// What one peer saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Probes started.
    pub starts: u64,
    /// The first start, if there was one.
    pub first: Option<Instant>,
    /// The last start, if there was one.
    pub last: Option<Instant>,
    /// Shortest and longest time between two starts.
    pub gaps: Option<(Duration, Duration)>,
    /// Probes in flight now.
    pub in_flight: u32,
    /// Most probes that were in flight at once.
    pub in_flight_max: u32,
    /// Requests received.
    pub requests: u64,
}

/// Everything that the network saw.
#[derive(Debug, Default)]
pub struct Ledger {
    seen: Vec<Seen>,
    log: Option<Vec<Start>>,
    starts: u64,
    open: u64,
}

impl Ledger {
    /// What peer `index` saw; all zero where nobody ever came.
    #[must_use]
    pub fn seen(&self, index: u32) -> Seen {
        self.seen.get(index as usize).copied().unwrap_or_default()
    }

    /// Probes started, all in all.
    #[must_use]
    pub const fn starts(&self) -> u64 {
        self.starts
    }

    /// Probes whose connection neither failed nor was given up (by a cancel, a disconnect, a
    /// close).
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.open
    }

    /// Keeps a log of all starts from now on.
    pub fn keep_log(&mut self) {
        self.log.get_or_insert_default();
    }

    /// The starts since the last call, oldest first. Empty unless [`Ledger::keep_log`] was called.
    pub fn take_log(&mut self) -> Vec<Start> {
        self.log.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn start(&mut self, start: Start) {
        let index = start.peer as usize;
        if self.seen.len() <= index {
            self.seen.resize(index + 1, Seen::default());
        }
        let seen = &mut self.seen[index];
        if let Some(last) = seen.last {
            let gap = start.at.since(last);
            let (shortest, longest) = seen.gaps.unwrap_or((gap, gap));
            seen.gaps = Some((shortest.min(gap), longest.max(gap)));
        }
        seen.starts += 1;
        seen.first.get_or_insert(start.at);
        seen.last = Some(start.at);
        seen.in_flight += 1;
        seen.in_flight_max = seen.in_flight_max.max(seen.in_flight);
        self.starts += 1;
        self.open += 1;
        if let Some(log) = &mut self.log {
            log.push(start);
        }
    }

    pub(super) fn request(&mut self, peer: u32) {
        self.seen[peer as usize].requests += 1;
    }

    pub(super) fn end(&mut self, peer: u32) {
        self.seen[peer as usize].in_flight -= 1;
        self.open -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Transport;

    #[test]
    fn overlaps_and_gaps_are_remembered() {
        let mut ledger = Ledger::default();
        ledger.keep_log();
        let mut start = |ms| {
            ledger.start(Start {
                at: Instant::from_millis(ms),
                peer: 2,
                slot: 0,
                socket: Socket { ipv6: false, transport: Transport::Datagram },
                fate: Fate::Peer(0),
                stopped: Duration::ZERO,
            });
        };
        for ms in [5, 8, 20] {
            start(ms);
        }
        ledger.end(2);
        let seen = ledger.seen(2);
        assert_eq!((seen.starts, seen.in_flight, seen.in_flight_max), (3, 2, 3));
        assert_eq!(seen.gaps, Some((Duration::from_millis(3), Duration::from_millis(12))));
        assert_eq!(ledger.seen(7), Seen::default());
        assert_eq!((ledger.take_log().len(), ledger.take_log().len()), (3, 0));
        assert_eq!((ledger.starts(), ledger.open()), (3, 2));
    }
}
