//! What is going to happen, ordered by virtual time and, at one instant, by the order of its
//! making.

use super::slot::Fact;
use crate::io::Kind;
use crate::time::Instant;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What happens to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The operation with this serial comes to this.
    Due(Kind, u32, Fact),
    /// The same, and it was late already.
    LateDue(Kind, u32, Fact),
    /// The peer's next piece comes, if the slot's epoch is still this.
    Arrive(u32),
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) at: Instant,
    order: u64,
    pub(super) slot: u32,
    pub(super) what: What,
}

impl Event {
    const fn key(&self) -> (Instant, u64) {
        (self.at, self.order)
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// All events to come.
#[derive(Debug, Default)]
pub(super) struct Events {
    heap: BinaryHeap<Reverse<Event>>,
    made: u64,
}

impl Events {
    pub(super) fn push(&mut self, at: Instant, slot: u32, what: What) {
        self.made += 1;
        self.heap.push(Reverse(Event { at, order: self.made, slot, what }));
    }

    /// When the next event happens.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(event)| event.at)
    }

    /// The next event, if it happens at `now` or before.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Event> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(event)| event)
    }
}
