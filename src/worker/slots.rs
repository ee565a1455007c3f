//! The probe slots of one worker: a small pool of sockets, each with the probe that it is lent to.
//!
//! Invariants: a slot is free only when no operation of it is in flight; it is on exactly one free
//! list or in use; its generation counts its probes, so that a completion of an earlier one is
//! recognised. Freed slots are taken again last in, first out, by sort of socket: the pool stays
//! small and warm, and a recycled socket already has the options that the probe needs.
//!
//! A probe that fails mostly holds its slot for a whole timeout, one that passes for a round trip.
//! So that a dead group never takes all slots, probes of targets that failed last may hold all but
//! one in [`RESERVED`]; those are enough for many that answer, and cost a blackout little.

use crate::check::Probe;
use crate::io::{Kind, Socket, Token};
use crate::recipe::Recipe;
use crate::time::Instant;
use std::rc::Rc;

/// One probe in flight.
#[derive(Debug)]
pub(super) struct Run {
    /// Its target's index in the shard.
    pub(super) target: u32,
    /// The tick at which it was due.
    pub(super) due: u64,
    /// When it started.
    pub(super) started: Instant,
    /// Microseconds from the start to the connection.
    pub(super) connect_us: Option<u32>,
    /// Microseconds from the start to the first byte received.
    pub(super) first_byte_us: Option<u32>,
    /// The recipe that it follows, whatever a reload brings meanwhile.
    pub(super) recipe: Rc<Recipe>,
}

/// What a slot is doing.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing.
    Free,
    /// A probe runs.
    Running(Run),
    /// Its probe is over; operations in flight have been cancelled and must come back first.
    Ending(Rc<Recipe>),
}

/// One slot.
#[derive(Debug)]
pub(super) struct Slot {
    /// What it is doing.
    pub(super) state: State,
    /// The state machine of its probe, kept for its memory.
    pub(super) probe: Probe,
    generation: u32,
    /// One bit per [`Kind`] in flight.
    in_flight: u8,
    sort: u8,
    /// Its target failed last when this probe started.
    failing: bool,
    /// Its operations were cancelled long ago, and have not come back.
    stuck: bool,
}

/// One slot in so many is never held by a target that failed last.
const RESERVED: u32 = 16;

/// The kinds of operations that a slot can have in flight.
const KINDS: [Kind; 3] = [Kind::Connect, Kind::Send, Kind::Receive];

impl Slot {
    /// Notes an operation as submitted; returns its token.
    pub(super) fn submit(&mut self, slot: u32, kind: Kind) -> Token {
        debug_assert_eq!(self.in_flight & 1 << kind as u8, 0, "{kind:?} is already in flight");
        self.in_flight |= 1 << kind as u8;
        Token { slot, generation: self.generation, kind }
    }

    /// Notes an operation as completed; false where it is none of the slot's present probe.
    #[must_use]
    pub(super) fn complete(&mut self, token: Token) -> bool {
        let ours =
            token.generation == self.generation && self.in_flight & 1 << token.kind as u8 != 0;
        if ours {
            self.in_flight &= !(1 << token.kind as u8);
        }
        ours
    }

    /// Whether no operation is in flight.
    #[must_use]
    pub(super) const fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    /// The tokens of the operations in flight.
    pub(super) fn tokens(&self, slot: u32) -> impl Iterator<Item = Token> + use<> {
        let (generation, in_flight) = (self.generation, self.in_flight);
        let flying = move |kind: &Kind| in_flight & 1 << *kind as u8 != 0;
        KINDS.into_iter().filter(flying).map(move |kind| Token { slot, generation, kind })
    }
}

/// All slots of one worker.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    free: [Vec<u32>; Socket::SORTS],
    capacity: u32,
    in_use: u32,
    failing: u32,
    failing_max: u32,
    stuck: u32,
}

impl Slots {
    /// A pool of `capacity` slots, made as they are first needed. Where `all`, failing targets may
    /// take them all.
    #[must_use]
    pub(super) fn new(capacity: u32, all: bool) -> Self {
        let reserved = if all { 0 } else { capacity.div_ceil(RESERVED) };
        // A single slot is for everybody.
        let failing_max = (capacity - reserved).max(capacity.min(1));
        let (slots, free) = (Vec::new(), Default::default());
        Self { slots, free, capacity, in_use: 0, failing: 0, failing_max, stuck: 0 }
    }

    /// Slots in use.
    #[must_use]
    pub(super) const fn in_use(&self) -> u32 {
        self.in_use
    }

    /// Slots whose operations were cancelled long ago, and have not come back.
    #[must_use]
    pub(super) const fn stuck(&self) -> u32 {
        self.stuck
    }

    /// Notes that the operations of a slot do not come back.
    pub(super) fn note_stuck(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        self.stuck += u32::from(!std::mem::replace(&mut slot.stuck, true));
    }

    /// Slots in all.
    #[must_use]
    pub(super) const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Whether every slot is in use.
    #[must_use]
    pub(super) const fn is_full(&self) -> bool {
        self.in_use == self.capacity
    }

    /// Whether targets that failed last may take no further slot.
    #[must_use]
    pub(super) const fn is_full_for_failing(&self) -> bool {
        self.failing >= self.failing_max || self.is_full()
    }

    /// Slots that exist; indices are below it.
    #[must_use]
    pub(super) fn made(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Lends a slot to a probe: one whose socket is of the right sort, else a fresh one, else any.
    /// `failing`: its target failed last.
    pub(super) fn acquire(&mut self, socket: Socket, failing: bool) -> Option<u32> {
        let sort = socket.sort();
        let index = self.free[sort]
            .pop()
            .or_else(|| self.make())
            .or_else(|| self.free.iter_mut().find_map(Vec::pop))?;
        let slot = &mut self.slots[index as usize];
        debug_assert!(matches!(slot.state, State::Free) && slot.is_idle());
        slot.sort = u8::try_from(sort).unwrap_or(0);
        slot.generation = (slot.generation + 1) & ((1 << Token::GENERATION_BITS) - 1);
        slot.failing = failing;
        self.failing += u32::from(failing);
        self.in_use += 1;
        Some(index)
    }

    /// Takes a slot back. No operation of it may be in flight.
    pub(super) fn release(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        debug_assert!(slot.is_idle(), "a slot is free only when nothing is in flight");
        slot.state = State::Free;
        self.free[usize::from(slot.sort)].push(index);
        self.failing -= u32::from(slot.failing);
        self.stuck -= u32::from(std::mem::take(&mut slot.stuck));
        self.in_use -= 1;
    }

    /// The slot at `index`; none where a token names a slot that was never made.
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Slot> {
        self.slots.get_mut(index as usize)
    }

    fn make(&mut self) -> Option<u32> {
        let index = self.made();
        if index == self.capacity {
            return None;
        }
        self.slots.push(Slot {
            state: State::Free,
            probe: Probe::default(),
            generation: 0,
            in_flight: 0,
            sort: 0,
            failing: false,
            stuck: false,
        });
        Some(index)
    }
}

impl std::ops::Index<u32> for Slots {
    type Output = Slot;

    fn index(&self, index: u32) -> &Slot {
        &self.slots[index as usize]
    }
}

impl std::ops::IndexMut<u32> for Slots {
    fn index_mut(&mut self, index: u32) -> &mut Slot {
        &mut self.slots[index as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: Socket = Socket { ipv6: false, hold_ack: true };
    const V6: Socket = Socket { ipv6: true, hold_ack: true };

    #[test]
    fn slots_are_lent_by_sort_then_fresh_then_any() {
        let mut slots = Slots::new(2, false);
        let a = slots.acquire(V4, false).unwrap();
        slots.release(a);
        assert_eq!(slots.acquire(V4, false), Some(a), "warm");
        slots.release(a);
        let b = slots.acquire(V6, false).unwrap();
        assert_ne!(a, b, "fresh before a socket of another sort is given up");
        assert_eq!(slots.acquire(V6, false), Some(a), "any");
        assert_eq!(slots.acquire(V6, false), None);
        assert!(slots.is_full());
    }

    #[test]
    fn targets_that_failed_leave_slots_to_the_others() {
        for (capacity, all, expected) in [
            (0, false, 0),
            (1, false, 1),
            (2, false, 1),
            (16, false, 15),
            (17, false, 15),
            (4_096, false, 3_840),
            (16, true, 16),
        ] {
            let mut slots = Slots::new(capacity, all);
            let mut taken = Vec::new();
            while !slots.is_full_for_failing() {
                taken.push(slots.acquire(V4, true).unwrap());
            }
            assert_eq!(taken.len(), expected, "of {capacity}");
            while let Some(other) = slots.acquire(V4, false) {
                taken.push(other);
            }
            assert!(slots.is_full() && taken.len() == capacity as usize);
            for slot in taken.into_iter().rev() {
                assert_eq!(slots.is_full_for_failing(), slots.failing as usize == expected);
                slots.release(slot);
            }
            assert_eq!((slots.in_use(), slots.failing), (0, 0));
        }
    }

    #[test]
    fn a_completion_of_an_earlier_probe_is_recognised() {
        let mut slots = Slots::new(1, false);
        let index = slots.acquire(V4, false).unwrap();
        let old = slots[index].submit(index, Kind::Connect);
        assert!(!slots[index].is_idle());
        assert!(slots[index].complete(old));
        assert!(!slots[index].complete(old), "completes once");
        slots.release(index);
        slots.acquire(V4, false).unwrap();
        let new = slots[index].submit(index, Kind::Connect);
        assert!(!slots[index].complete(old));
        assert_eq!(slots[index].tokens(index).collect::<Vec<_>>(), [new]);
    }
}
