//! The probe slots of one worker: a small pool of sockets, each with the probe that it is lent to.
//!
//! Invariants: a slot is free only when no operation of it is in flight; it is on exactly one free
//! list, in use, or kept; its generation counts its probes, so that a completion of an earlier one
//! is recognised. Freed slots are taken again last in, first out, by sort of socket: the pool stays
//! small and warm, and a recycled socket already has the options that the probe needs.
//!
//! A slot whose connection is kept for its target's next probe ([`super::kept`]) is a third sort:
//! neither free nor in use, and given up as soon as a probe needs one and none is free.
//!
//! A probe that fails mostly holds its slot for a whole timeout, one that passes for a round trip.
//! So that a dead group never takes all slots, probes of targets that failed last may hold all but
//! one in [`RESERVED`]; those are enough for many that answer, and cost a blackout little. And as
//! nobody knows of a group that it is dying before its targets have failed once, no group may hold
//! more than that either, where there are others.
//!
//! Raw slots have no socket. Their indices follow those of the others, and they are many, made as
//! they are needed; a dead group may have as many of them as it likes.

use crate::check::Probe;
use crate::io::{Kind, Socket, Token};
use crate::recipe::Recipe;
use crate::registry::GroupKey;
use crate::time::Instant;
use std::rc::Rc;
use std::time::Duration;

/// One probe in flight.
#[derive(Debug)]
pub(super) struct Run {
    /// Its target's index in the shard.
    pub(super) target: u32,
    /// The tick at which it was due.
    pub(super) due: u64,
    /// When it started.
    pub(super) started: Instant,
    /// What the worker had lost by then by not being run.
    pub(super) lost: Duration,
    /// Microseconds from the start to the connection.
    pub(super) connect_us: Option<u32>,
    /// Microseconds from the start to the end of the TLS handshake.
    pub(super) tls_us: Option<u32>,
    /// Microseconds from the start to the first byte of the response.
    pub(super) first_byte_us: Option<u32>,
    /// What goes first on a connection was sent.
    pub(super) introduced: bool,
    /// Where its connection comes from.
    pub(super) connection: Connection,
    /// The recipe that it follows, whatever a reload brings meanwhile.
    pub(super) recipe: Rc<Recipe>,
}

/// Where the connection of a run comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    /// It was made for this run.
    Fresh,
    /// So many probes of the target have used it before.
    Kept { probes: u16 },
    /// It was kept and turned out to be over; a fresh one is made as soon as nothing is in flight.
    Over,
}

impl Connection {
    /// How many probes have used it before.
    pub(super) const fn probes(self) -> u16 {
        match self {
            Self::Fresh | Self::Over => 0,
            Self::Kept { probes } => probes,
        }
    }
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
    /// Its connection waits for the next probe of its target, of this recipe; so many have used it.
    Kept { recipe: Rc<Recipe>, probes: u16 },
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
    /// Its target's group.
    group: GroupKey,
    /// Its target failed last when this probe started.
    failing: bool,
    /// Its probe speaks TLS.
    tls: bool,
    /// Its operations were cancelled long ago, and have not come back.
    stuck: bool,
}

/// One slot in so many is never held by a target that failed last, nor by the group that holds all
/// others.
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

    /// The next connection is another one than before.
    pub(super) const fn renew(&mut self) {
        self.generation = (self.generation + 1) & ((1 << Token::GENERATION_BITS) - 1);
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
    /// From index `capacity` on.
    raw: Vec<Slot>,
    free: [Vec<u32>; Socket::SORTS],
    capacity: u32,
    raw_capacity: u32,
    /// Without the raw ones.
    in_use: u32,
    raw_in_use: u32,
    failing: u32,
    /// TLS probes: those in use, kept connections, those of targets that failed last, and what all
    /// may hold.
    tls: u32,
    tls_kept: u32,
    tls_failing: u32,
    tls_max: u32,
    /// Where all slots are for everybody, failing targets have no share of their own.
    all: bool,
    /// By [`GroupKey`]: slots for sockets that its targets hold.
    held: Vec<u32>,
    /// What failing targets may hold, and what one group may hold beside others.
    share_max: u32,
    stuck: u32,
}

impl Slots {
    /// A pool of `capacity` slots for sockets and `raw_capacity` without, made as they are first
    /// needed. Where `all`, failing targets may take them all.
    #[must_use]
    pub(super) fn new(capacity: u32, raw_capacity: u32, all: bool) -> Self {
        let reserved = if all { 0 } else { capacity.div_ceil(RESERVED) };
        // A single slot is for everybody.
        let share_max = (capacity - reserved).max(capacity.min(1));
        Self {
            slots: Vec::new(),
            raw: Vec::new(),
            free: Default::default(),
            capacity,
            raw_capacity,
            in_use: 0,
            raw_in_use: 0,
            failing: 0,
            tls: 0,
            tls_kept: 0,
            tls_failing: 0,
            tls_max: capacity,
            all,
            held: Vec::new(),
            share_max,
            stuck: 0,
        }
    }

    /// Slots in use.
    #[must_use]
    pub(super) const fn in_use(&self) -> u32 {
        self.in_use + self.raw_in_use
    }

    /// Slots whose operations were cancelled long ago, and have not come back.
    #[must_use]
    pub(super) const fn stuck(&self) -> u32 {
        self.stuck
    }

    /// Notes that the operations of a slot do not come back.
    pub(super) fn note_stuck(&mut self, index: u32) {
        let slot = &mut self[index];
        let before = std::mem::replace(&mut slot.stuck, true);
        self.stuck += u32::from(!before);
    }

    /// Slots in all; the raw ones count where any was needed.
    #[must_use]
    pub(super) const fn capacity(&self) -> u32 {
        self.capacity + self.raw().1
    }

    /// Raw slots in use, and in all, where any was needed.
    #[must_use]
    pub(super) const fn raw(&self) -> (u32, u32) {
        (self.raw_in_use, if self.raw.is_empty() { 0 } else { self.raw_capacity })
    }

    /// Whether every slot is in use, of those for sockets or of the raw ones.
    #[must_use]
    pub(super) const fn is_full(&self, raw: bool) -> bool {
        if raw {
            // Where there are none, nobody waits for one.
            self.raw_in_use == self.raw_capacity && self.raw_capacity > 0
        } else {
            self.in_use == self.capacity
        }
    }

    /// Whether targets that failed last may take no further slot.
    #[must_use]
    pub(super) const fn is_full_for_failing(&self) -> bool {
        self.failing >= self.share_max || self.is_full(false)
    }

    /// Whether targets of this group may take no further slot.
    #[must_use]
    pub(super) fn is_full_for(&self, group: GroupKey) -> bool {
        let held = self.held.get(group.0 as usize).copied().unwrap_or(0);
        let beside_others = self.held.len() > 1;
        self.is_full(false) || beside_others && held >= self.share_max
    }

    /// Lets TLS probes hold so many slots at most.
    pub(super) const fn cap_tls(&mut self, most: u32) {
        self.tls_max = most;
    }

    /// Whether no further TLS probe may start, of a target that failed last or of another. Those
    /// that failed leave some to the others, as they do of all slots.
    #[must_use]
    pub(super) const fn is_full_for_tls(&self, failing: bool) -> bool {
        let reserved = if self.all { 0 } else { self.tls_max.div_ceil(RESERVED) };
        // A single one is for everybody.
        let share = self.tls_max - reserved;
        let share = if share == 0 { self.tls_max } else { share };
        self.tls >= self.tls_max || failing && self.tls_failing >= share
    }

    /// Whether a further TLS probe would hold memory beyond the cap because of those kept.
    #[must_use]
    pub(super) const fn is_full_with_kept_tls(&self) -> bool {
        self.tls_kept > 0 && self.tls + self.tls_kept >= self.tls_max
    }

    /// Notes that the slot was lent to a TLS probe.
    pub(super) fn note_tls(&mut self, index: u32) {
        let slot = &mut self[index];
        slot.tls = true;
        let failing = slot.failing;
        self.tls += 1;
        self.tls_failing += u32::from(failing);
    }

    /// Indices of the slots that exist.
    pub(super) fn made(&self) -> impl Iterator<Item = u32> + use<> {
        let raw = self.capacity..self.capacity + count(&self.raw);
        (0..count(&self.slots)).chain(raw)
    }

    /// All indices are below it. It grows by leaps, where raw slots have been made.
    #[must_use]
    pub(super) fn indices(&self) -> u32 {
        self.capacity + u32::try_from(self.raw.capacity()).unwrap_or(u32::MAX)
    }

    /// Lends a slot to a probe: one whose socket is of the right sort, else a fresh one, else any.
    /// To one without a socket, a raw slot. `failing`: its target, of `group`, failed last.
    pub(super) fn acquire(
        &mut self,
        socket: Socket,
        group: GroupKey,
        failing: bool,
    ) -> Option<u32> {
        let sort = socket.sort();
        let index = self.free[sort]
            .pop()
            .or_else(|| self.make(socket.is_raw()))
            .or_else(|| self.any(socket.is_raw()))?;
        let failing = failing && !socket.is_raw();
        let slot = &mut self[index];
        debug_assert!(matches!(slot.state, State::Free) && slot.is_idle());
        slot.sort = u8::try_from(sort).unwrap_or(0);
        slot.renew();
        (slot.failing, slot.group) = (failing, group);
        self.failing += u32::from(failing);
        if !socket.is_raw() {
            *self.held_by(group) += 1;
        }
        *self.count_of(index) += 1;
        Some(index)
    }

    /// A slot whose connection is kept is in use no more, but not free.
    pub(super) fn keep(&mut self, index: u32) {
        let slot = &mut self[index];
        debug_assert!(slot.is_idle() && !slot.stuck, "nobody listens to what is kept");
        let (group, failing) = (slot.group, std::mem::take(&mut slot.failing));
        let tls = slot.tls;
        self.failing -= u32::from(failing);
        self.tls -= u32::from(tls);
        self.tls_kept += u32::from(tls);
        self.tls_failing -= u32::from(tls && failing);
        *self.held_by(group) -= 1;
        *self.count_of(index) -= 1;
    }

    /// A kept slot is in use again.
    pub(super) fn resume(&mut self, index: u32, group: GroupKey, failing: bool) {
        let slot = &mut self[index];
        debug_assert!(matches!(slot.state, State::Kept { .. }));
        (slot.failing, slot.group) = (failing, group);
        let tls = slot.tls;
        self.failing += u32::from(failing);
        self.tls += u32::from(tls);
        self.tls_kept -= u32::from(tls);
        self.tls_failing += u32::from(tls && failing);
        *self.held_by(group) += 1;
        *self.count_of(index) += 1;
    }

    /// The group of the target that a slot was lent to last.
    pub(super) fn group(&self, index: u32) -> GroupKey {
        self[index].group
    }

    /// Takes a slot back. No operation of it may be in flight.
    pub(super) fn release(&mut self, index: u32) {
        let slot = &mut self[index];
        debug_assert!(slot.is_idle(), "a slot is free only when nothing is in flight");
        slot.state = State::Free;
        let (sort, group, failing) = (usize::from(slot.sort), slot.group, slot.failing);
        let stuck = std::mem::take(&mut slot.stuck);
        let tls = std::mem::take(&mut slot.tls);
        self.free[sort].push(index);
        self.failing -= u32::from(failing);
        self.tls -= u32::from(tls);
        self.tls_failing -= u32::from(tls && failing);
        if index < self.capacity {
            *self.held_by(group) -= 1;
        }
        self.stuck -= u32::from(stuck);
        *self.count_of(index) -= 1;
    }

    /// The slot at `index`; none where a token names a slot that was never made.
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Slot> {
        match index.checked_sub(self.capacity) {
            None => self.slots.get_mut(index as usize),
            Some(raw) => self.raw.get_mut(raw as usize),
        }
    }

    /// The count of a group; made as groups come.
    fn held_by(&mut self, group: GroupKey) -> &mut u32 {
        let place = group.0 as usize;
        if self.held.len() <= place {
            self.held.resize(place + 1, 0);
        }
        &mut self.held[place]
    }

    /// How many are in use of those to which `index` belongs.
    const fn count_of(&mut self, index: u32) -> &mut u32 {
        if index < self.capacity { &mut self.in_use } else { &mut self.raw_in_use }
    }

    fn make(&mut self, raw: bool) -> Option<u32> {
        let (slots, first, most) = if raw {
            (&mut self.raw, self.capacity, self.raw_capacity)
        } else {
            (&mut self.slots, 0, self.capacity)
        };
        let made = count(slots);
        if made == most {
            return None;
        }
        slots.push(Slot {
            state: State::Free,
            probe: Probe::default(),
            generation: 0,
            in_flight: 0,
            sort: 0,
            group: GroupKey(0),
            failing: false,
            tls: false,
            stuck: false,
        });
        Some(first + made)
    }

    /// A free slot with a socket of another sort, to be replaced.
    fn any(&mut self, raw: bool) -> Option<u32> {
        if raw { None } else { self.free[..Socket::RAW].iter_mut().find_map(Vec::pop) }
    }
}

impl std::ops::Index<u32> for Slots {
    type Output = Slot;

    fn index(&self, index: u32) -> &Slot {
        match index.checked_sub(self.capacity) {
            None => &self.slots[index as usize],
            Some(raw) => &self.raw[raw as usize],
        }
    }
}

impl std::ops::IndexMut<u32> for Slots {
    fn index_mut(&mut self, index: u32) -> &mut Slot {
        match index.checked_sub(self.capacity) {
            None => &mut self.slots[index as usize],
            Some(raw) => &mut self.raw[raw as usize],
        }
    }
}

/// How many slots there are in a list; below 2^32, as its capacity says.
fn count(slots: &[Slot]) -> u32 {
    u32::try_from(slots.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Transport;

    const STREAM: Transport = Transport::Stream { hold_ack: true };
    const V4: Socket = Socket { ipv6: false, transport: STREAM };
    const V6: Socket = Socket { ipv6: true, transport: STREAM };
    const RAW: Socket = Socket { ipv6: false, transport: Transport::Raw };

    #[test]
    fn slots_are_lent_by_sort_then_fresh_then_any() {
        let mut slots = Slots::new(2, 0, false);
        let a = slots.acquire(V4, GroupKey(0), false).unwrap();
        slots.release(a);
        assert_eq!(slots.acquire(V4, GroupKey(0), false), Some(a), "warm");
        slots.release(a);
        let b = slots.acquire(V6, GroupKey(0), false).unwrap();
        assert_ne!(a, b, "fresh before a socket of another sort is given up");
        assert_eq!(slots.acquire(V6, GroupKey(0), false), Some(a), "any");
        assert_eq!(slots.acquire(V6, GroupKey(0), false), None);
        assert!(slots.is_full(false));
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
            let mut slots = Slots::new(capacity, 0, all);
            let mut taken = Vec::new();
            while !slots.is_full_for_failing() {
                taken.push(slots.acquire(V4, GroupKey(0), true).unwrap());
            }
            assert_eq!(taken.len(), expected, "of {capacity}");
            while let Some(other) = slots.acquire(V4, GroupKey(0), false) {
                taken.push(other);
            }
            assert!(slots.is_full(false) && taken.len() == capacity as usize);
            for slot in taken.into_iter().rev() {
                assert_eq!(slots.is_full_for_failing(), slots.failing as usize == expected);
                slots.release(slot);
            }
            assert_eq!((slots.in_use(), slots.failing), (0, 0));
        }
    }

    #[test]
    fn probes_with_and_without_a_socket_take_nothing_from_each_other() {
        let mut slots = Slots::new(2, 2, false);
        assert_eq!(slots.capacity(), 2, "nobody asked for a raw slot");
        let raw = [slots.acquire(RAW, GroupKey(0), true), slots.acquire(RAW, GroupKey(0), true)];
        assert_eq!((raw, slots.acquire(RAW, GroupKey(0), true)), ([Some(2), Some(3)], None));
        assert!(slots.is_full(true) && !slots.is_full(false) && !slots.is_full_for_failing());
        let socket = slots.acquire(V4, GroupKey(0), false).unwrap();
        assert_eq!((socket, slots.in_use(), slots.capacity(), slots.raw()), (0, 3, 4, (2, 2)));
        assert!(slots.indices() >= 4);
        slots.release(2);
        slots.release(socket);
        assert_eq!(slots.acquire(V6, GroupKey(0), false), Some(1), "fresh");
        assert_eq!(
            slots.acquire(V6, GroupKey(0), false),
            Some(0),
            "of another sort, but never a raw one"
        );
        assert_eq!(slots.acquire(V6, GroupKey(0), false), None);
        assert_eq!(slots.acquire(RAW, GroupKey(0), false), Some(2));
        assert_eq!(slots.made().collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_group_leaves_slots_to_the_others_if_there_are_others() {
        let mut slots = Slots::new(32, 0, false);
        let (large, other) = (GroupKey(0), GroupKey(1));
        let alone: Vec<_> = (0..32).map_while(|_| slots.acquire(V4, large, false)).collect();
        assert!(alone.len() == 32 && slots.is_full_for(large));
        alone.into_iter().for_each(|slot| slots.release(slot));
        let others = slots.acquire(V4, other, false).unwrap();
        let mut taken = Vec::new();
        while !slots.is_full_for(large) {
            taken.push(slots.acquire(V4, large, false).unwrap());
        }
        assert_eq!(taken.len(), 30, "of 32");
        assert!(!slots.is_full_for(other));
        slots.release(taken.pop().unwrap());
        assert!(!slots.is_full_for(large));
        slots.release(others);
    }

    #[test]
    fn tls_probes_hold_so_many_slots_and_those_that_failed_fewer() {
        for (most, all, failing) in [(32, false, 30), (1, false, 1), (32, true, 32)] {
            let mut slots = Slots::new(64, 0, all);
            slots.cap_tls(most);
            let mut taken = Vec::new();
            for is_failing in [true, false] {
                while !slots.is_full_for_tls(is_failing) {
                    let slot = slots.acquire(V4, GroupKey(0), is_failing).unwrap();
                    slots.note_tls(slot);
                    taken.push(slot);
                }
                let expected = if is_failing { failing } else { most };
                assert_eq!(taken.len(), expected as usize, "{is_failing} of {most}");
            }
            assert!(!slots.is_full(false), "others may start");
            taken.into_iter().for_each(|slot| slots.release(slot));
            assert_eq!((slots.tls, slots.tls_failing), (0, 0));
        }
    }

    #[test]
    fn a_completion_of_an_earlier_probe_is_recognised() {
        let mut slots = Slots::new(1, 0, false);
        let index = slots.acquire(V4, GroupKey(0), false).unwrap();
        let old = slots[index].submit(index, Kind::Connect);
        assert!(!slots[index].is_idle());
        assert!(slots[index].complete(old));
        assert!(!slots[index].complete(old), "completes once");
        slots.release(index);
        slots.acquire(V4, GroupKey(0), false).unwrap();
        let new = slots[index].submit(index, Kind::Connect);
        assert!(!slots[index].complete(old));
        assert_eq!(slots[index].tokens(index).collect::<Vec<_>>(), [new]);
    }
}
