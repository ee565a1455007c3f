//! Hierarchical timer wheel over dense keys: what is due next, for millions of keys, and no clock.
//!
//! The scheme is that of Varghese and Lauck (Hashed and Hierarchical Timing Wheels, SOSP 1987),
//! with the bit arithmetic of tokio's wheel. A tick is a number; to the worker it is 1 ms:
//!
//! | level | one slot | 64 slots |
//! |---|---|---|
//! | 0 | 1 tick (1 ms) | 64 ms |
//! | 1 | 64 ms | 4 s |
//! | 2 | 4 s | 4 min |
//! | 3 | 4 min | 5 h |
//! | 4 | 5 h | 12 days |
//! | 5-10 | 12 days … | every `u64` |
//!
//! Written to base 64, time and a due tick agree in their upper digits. The highest digit in which
//! they differ is the level, and the due tick's digit there is the slot. So:
//!
//! - the place of a key follows from time and its due tick alone, and needs no memory of its own;
//! - keys of one due tick always share one list, which keeps them in the order of their insertion;
//! - every key of a level is due before any key of the levels above it;
//! - all occupied slots of a level lie after the slot that time is in: no level is a ring.
//!
//! Eleven levels hold every `u64`, so there is no horizon, and no clamped key to insert again. The
//! levels that nobody reaches cost 5 KiB, never touched.
//!
//! A key costs 16 bytes: its due tick and the links of a doubly linked list, side by side, so that
//! one cache line holds what an operation needs. Nothing is allocated but in [`Wheel::grow`].

/// Bits of a digit: 64 slots a level, so that a level's occupied slots fit a `u64`.
const DIGIT_BITS: u32 = 6;
/// Slots of a level.
const SLOTS: usize = 1 << DIGIT_BITS;
/// Levels: as many digits as a `u64` has.
const LEVELS: usize = u64::BITS.div_ceil(DIGIT_BITS) as usize;

/// Lists of keys that are set aside.
pub const ASIDES: usize = 3;

/// No key: the end of a list.
const NIL: u32 = u32::MAX;
/// Stands in [`Entry::prev`] of a key that is not in the wheel.
const ABSENT: u32 = u32::MAX - 1;

/// One key's place in its list. Invariant: `prev` is [`ABSENT`] exactly if the key is not in the
/// wheel.
#[derive(Clone, Copy, Debug)]
struct Entry {
    due: u64,
    next: u32,
    prev: u32,
}

const _: () = assert!(size_of::<Entry>() == 16);

/// Head and tail of a list of keys, and how many it holds.
#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
    len: u32,
}

impl List {
    const EMPTY: Self = Self { head: NIL, tail: NIL, len: 0 };
}

/// Where a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// On the ready list, or aside.
    Ready,
    Slot(usize, usize),
}

/// A timer wheel over the keys `0..keys`, each of them in it at most once.
///
/// Invariants: a key in the wheel is on the ready list or aside if its due tick is not after
/// `elapsed`, else in the slot that `place` says; a bit of `occupied` is set exactly if its slot's
/// list is not empty.
#[derive(Debug)]
pub struct Wheel {
    elapsed: u64,
    occupied: [u64; LEVELS],
    slots: Box<[[List; SLOTS]; LEVELS]>,
    /// Its length counts those aside too: a key does not know which of these lists it is on, and
    /// need not, because only a list knows of its ends.
    ready: List,
    /// Ready keys that were set aside. Their own lengths are not kept.
    asides: [List; ASIDES],
    entries: Vec<Entry>,
    len: u32,
}

impl Wheel {
    /// An empty wheel without keys, at the tick `elapsed`.
    #[must_use]
    pub fn new(elapsed: u64) -> Self {
        Self {
            elapsed,
            occupied: [0; LEVELS],
            slots: Box::new([[List::EMPTY; SLOTS]; LEVELS]),
            ready: List::EMPTY,
            asides: [List::EMPTY; ASIDES],
            entries: Vec::new(),
            len: 0,
        }
    }

    /// Makes the keys `0..keys` valid; never shrinks. Allocates exactly what they need.
    ///
    /// # Panics
    /// If `keys` is above `u32::MAX - 1`: the last two numbers mean something else here.
    pub fn grow(&mut self, keys: u32) {
        assert!(keys <= ABSENT, "{keys} keys, of at most {ABSENT}");
        let keys = keys as usize;
        let more = keys.saturating_sub(self.entries.len());
        self.entries.reserve_exact(more);
        let absent = Entry { due: 0, next: NIL, prev: ABSENT };
        self.entries.resize(self.entries.len() + more, absent);
    }

    /// The tick that the wheel has come to.
    #[must_use]
    pub const fn elapsed(&self) -> u64 {
        self.elapsed
    }

    /// Keys in the wheel, the ready ones included.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether no key is in the wheel.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `key` is in the wheel; a ready one is, until it is popped or removed.
    #[must_use]
    pub fn contains(&self, key: u32) -> bool {
        self.due(key).is_some()
    }

    /// The due tick of `key`, if it is in the wheel.
    #[must_use]
    pub fn due(&self, key: u32) -> Option<u64> {
        let entry = self.entries.get(key as usize)?;
        (entry.prev != ABSENT).then_some(entry.due)
    }

    /// Puts `key` into the wheel. Where `due` is not after the elapsed tick it is ready at once,
    /// after those that are ready already.
    ///
    /// # Panics
    /// If `key` is not below the `keys` of [`Wheel::grow`]; in a debug build also if it is in the
    /// wheel.
    pub fn insert(&mut self, key: u32, due: u64) {
        debug_assert!(!self.contains(key), "key {key} is in the wheel, due {:?}", self.due(key));
        self.entries[key as usize].due = due;
        self.push_back(place(self.elapsed, due), key);
        self.len += 1;
    }

    /// Takes `key` out of the wheel; false if it was not in it.
    pub fn remove(&mut self, key: u32) -> bool {
        let Some(due) = self.due(key) else { return false };
        self.unlink(place(self.elapsed, due), key);
        self.len -= 1;
        true
    }

    /// Moves time to `now`, and every key with a due tick up to it onto the ready list: in the
    /// order of their due ticks, and for one tick in the order of insertion. An earlier `now`
    /// changes nothing.
    ///
    /// The cost is that of the keys which become ready or come down a level, however long the jump.
    pub fn advance(&mut self, now: u64) {
        while let Some((level, slot, start)) = self.first_slot() {
            if start > now {
                break;
            }
            debug_assert!(start > self.elapsed, "slot {start} not after {}", self.elapsed);
            // First the time, then the keys: each goes where the new time puts it, a level or more
            // down, or onto the ready list if the start of the slot is its due tick.
            self.elapsed = start;
            let list = std::mem::replace(&mut self.slots[level][slot], List::EMPTY);
            self.occupied[level] &= !(1 << slot);
            if level == 0 {
                self.append_ready(list);
                continue;
            }
            let mut key = list.head;
            while key != NIL {
                let Entry { due, next, .. } = self.entries[key as usize];
                self.push_back(place(start, due), key);
                key = next;
            }
        }
        self.elapsed = self.elapsed.max(now);
    }

    /// Takes the first key off the ready list, with its due tick.
    pub fn pop(&mut self) -> Option<(u32, u64)> {
        let (key, due) = self.peek()?;
        self.unlink(Place::Ready, key);
        self.len -= 1;
        Some((key, due))
    }

    /// The first key of the ready list, with its due tick.
    #[must_use]
    pub fn peek(&self) -> Option<(u32, u64)> {
        let key = self.ready.head;
        self.entries.get(key as usize).map(|entry| (key, entry.due))
    }

    /// Keys on the ready list and aside.
    #[must_use]
    pub const fn ready_len(&self) -> u32 {
        self.ready.len
    }

    /// Puts the first key of the ready list aside, onto list `aside`, which is below [`ASIDES`],
    /// behind those that are there already: it stays ready, but [`Wheel::pop`] and
    /// [`Wheel::next_due`] pass it over.
    pub fn set_aside(&mut self, aside: usize) {
        if let Some((key, _)) = self.peek() {
            self.unlink(Place::Ready, key);
            let tail = self.asides[aside].tail;
            self.hang(key, tail);
            if tail == NIL {
                self.asides[aside].head = key;
            }
            self.asides[aside].tail = key;
            self.ready.len += 1;
        }
    }

    /// The key that was set aside onto that list first, with its due tick.
    #[must_use]
    pub fn peek_aside(&self, aside: usize) -> Option<(u32, u64)> {
        let key = self.asides[aside].head;
        self.entries.get(key as usize).map(|entry| (key, entry.due))
    }

    /// Takes the key that was set aside onto that list first, with its due tick.
    pub fn pop_aside(&mut self, aside: usize) -> Option<(u32, u64)> {
        let (key, due) = self.peek_aside(aside)?;
        self.unlink(Place::Ready, key);
        self.len -= 1;
        Some((key, due))
    }

    /// The due tick of the first ready key; if none is ready, a tick to [`Wheel::advance`] to:
    /// after the elapsed one, and not after the earliest due tick. It is that due tick itself if it
    /// lies within the same 64 ticks as the elapsed one, else the start of its slot.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        match self.peek() {
            Some((_, due)) => Some(due),
            None => self.first_slot().map(|(_, _, start)| start),
        }
    }

    /// The occupied slot that is due first: level, slot, and the tick at which the slot starts.
    fn first_slot(&self) -> Option<(usize, usize, u64)> {
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        let slot = self.occupied[level].trailing_zeros() as usize;
        Some((level, slot, slot_start(self.elapsed, level, slot)))
    }

    fn push_back(&mut self, place: Place, key: u32) {
        if let Place::Slot(level, slot) = place {
            self.occupied[level] |= 1 << slot;
        }
        let list = self.list(place);
        let tail = std::mem::replace(&mut list.tail, key);
        list.len += 1;
        if tail == NIL {
            list.head = key;
        }
        self.hang(key, tail);
    }

    /// Hangs `key` behind `tail`, if there is one, as the last of its list.
    fn hang(&mut self, key: u32, tail: u32) {
        if let Some(before) = self.entries.get_mut(tail as usize) {
            before.next = key;
        }
        let entry = &mut self.entries[key as usize];
        (entry.next, entry.prev) = (NIL, tail);
    }

    fn unlink(&mut self, place: Place, key: u32) {
        let Entry { next, prev, .. } = self.entries[key as usize];
        self.entries[key as usize].prev = ABSENT;
        if let Some(after) = self.entries.get_mut(next as usize) {
            after.prev = prev;
        }
        if let Some(before) = self.entries.get_mut(prev as usize) {
            before.next = next;
        }
        let list = self.list(place);
        list.len -= 1;
        if next == NIL {
            self.ending_with(place, |list| list.tail == key).tail = prev;
        }
        if prev == NIL {
            self.ending_with(place, |list| list.head == key).head = next;
        }
        if let (Place::Slot(level, slot), NIL, NIL) = (place, next, prev) {
            self.occupied[level] &= !(1 << slot);
        }
    }

    /// Hangs a whole list, which is not empty, behind the ready ones.
    fn append_ready(&mut self, list: List) {
        self.entries[list.head as usize].prev = self.ready.tail;
        match self.entries.get_mut(self.ready.tail as usize) {
            Some(tail) => tail.next = list.head,
            None => self.ready.head = list.head,
        }
        self.ready.tail = list.tail;
        self.ready.len += list.len;
    }

    /// Of the lists that a key at `place` may be on, the one whose end it is.
    fn ending_with(&mut self, place: Place, is_end: impl Fn(&List) -> bool) -> &mut List {
        match place {
            Place::Ready => {
                let aside = self.asides.iter().position(is_end);
                aside.map_or(&mut self.ready, |aside| &mut self.asides[aside])
            }
            Place::Slot(..) => self.list(place),
        }
    }

    fn list(&mut self, place: Place) -> &mut List {
        match place {
            Place::Ready => &mut self.ready,
            Place::Slot(level, slot) => &mut self.slots[level][slot],
        }
    }
}

/// Where a key that is due at `due` is while time is at `elapsed`.
const fn place(elapsed: u64, due: u64) -> Place {
    if due <= elapsed {
        return Place::Ready;
    }
    let level = level_for(elapsed, due);
    Place::Slot(level, slot_for(due, level))
}

/// The highest digit in which the two differ; 0 if in none.
const fn level_for(elapsed: u64, due: u64) -> usize {
    let differing = (elapsed ^ due) | 1;
    (differing.ilog2() / DIGIT_BITS) as usize
}

/// The digit of `due` at `level`.
const fn slot_for(due: u64, level: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "a digit is below 64")]
    let digit = ((due >> shift(level)) % SLOTS as u64) as usize;
    digit
}

/// The first tick of a slot, where time is at `elapsed`: its upper digits, then `slot`, then zeros.
const fn slot_start(elapsed: u64, level: usize, slot: usize) -> u64 {
    let upper = (elapsed >> shift(level)) & !(SLOTS as u64 - 1);
    (upper | slot as u64) << shift(level)
}

/// Bits below the digit of `level`.
#[expect(clippy::cast_possible_truncation, reason = "a level is below 11")]
const fn shift(level: usize) -> u32 {
    level as u32 * DIGIT_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: u32 = 24;

    fn wheel(elapsed: u64) -> Wheel {
        let mut wheel = Wheel::new(elapsed);
        wheel.grow(KEYS);
        wheel
    }

    fn drain(wheel: &mut Wheel) -> Vec<(u32, u64)> {
        std::iter::from_fn(|| wheel.pop()).collect()
    }

    /// The first tick of `level`'s slot `slot`, counted from tick 0.
    fn tick(level: usize, slot: u64) -> u64 {
        slot << shift(level)
    }

    /// Slots of a level that a `u64` has: the last digit has four bits only.
    fn slots(level: usize) -> u64 {
        if level == LEVELS - 1 { 16 } else { SLOTS as u64 }
    }

    #[test]
    fn the_level_is_the_highest_differing_digit() {
        for due in 1..64 {
            assert_eq!(level_for(0, due), 0, "due {due}");
        }
        for level in 1..LEVELS {
            for slot in 1..slots(level) {
                let start = tick(level, slot);
                assert_eq!(level_for(0, start), level, "level {level}, slot {slot}");
                assert_eq!(level_for(0, start + 1), level, "level {level}, slot {slot}, + 1");
                let below = if slot == 1 { level - 1 } else { level };
                assert_eq!(level_for(0, start - 1), below, "level {level}, slot {slot}, - 1");
                assert_eq!(level_for(start - 1, start), level, "level {level}, slot {slot}: step");
                assert_eq!(level_for(start, start + 1), 0, "level {level}, slot {slot}: in it");
            }
        }
        assert_eq!(level_for(0, u64::MAX), LEVELS - 1);
        assert_eq!(level_for(u64::MAX, u64::MAX), 0);
    }

    #[test]
    fn the_slot_is_the_digit_of_its_level() {
        for level in 0..LEVELS {
            for slot in 0..slots(level) {
                let start = tick(level, slot);
                let last = start + (tick(level, 1) - 1);
                assert_eq!(slot_for(start, level) as u64, slot, "level {level}");
                assert_eq!(slot_for(last, level) as u64, slot, "level {level}");
                let next = last.wrapping_add(1);
                assert_eq!(slot_for(next, level) as u64, (slot + 1) % slots(level));
            }
        }
    }

    #[test]
    fn a_slot_starts_at_the_first_tick_that_falls_into_it() {
        for elapsed in [0, 63, 64, 4_095, 123_456_789, u64::MAX / 3, u64::MAX >> 4] {
            for level in 0..LEVELS {
                let slots = usize::try_from(slots(level)).unwrap();
                for slot in slot_for(elapsed, level) + 1..slots {
                    let start = slot_start(elapsed, level, slot);
                    assert!(start > elapsed, "{elapsed} {level} {slot}");
                    assert_eq!(place(elapsed, start), Place::Slot(level, slot));
                    assert_ne!(place(elapsed, start - 1), Place::Slot(level, slot));
                }
            }
        }
    }

    #[test]
    fn a_key_is_ready_at_its_tick_and_not_before() {
        for level in 0..LEVELS {
            for slot in 1..slots(level) {
                for due in [tick(level, slot) - 1, tick(level, slot), tick(level, slot) + 1] {
                    let mut wheel = wheel(0);
                    wheel.insert(7, due);
                    wheel.advance(due.saturating_sub(1));
                    let early = if due == 0 { 1 } else { 0 };
                    assert_eq!(wheel.ready_len(), early, "level {level}, slot {slot}, due {due}");
                    wheel.advance(due);
                    assert_eq!(drain(&mut wheel), [(7, due)], "level {level}, slot {slot}");
                }
            }
        }
    }

    #[test]
    fn ready_keys_come_in_the_order_of_ticks_and_then_of_insertion() {
        let mut wheel = wheel(1_000);
        let dues = [9_000, 1_001, 90_000_000, 1_001, 5_000, 9_000, 1_000, 9_000, 1_001];
        for (key, due) in (0..).zip(dues) {
            wheel.insert(key, due);
        }
        // Keys 1, 3 and 8 go straight to level 0; key 9 shares a tick with keys that came down.
        wheel.advance(8_990);
        wheel.insert(9, 9_000);
        wheel.advance(u64::MAX);
        let keys: Vec<u32> = drain(&mut wheel).iter().map(|&(key, _)| key).collect();
        assert_eq!(keys, [6, 1, 3, 8, 4, 0, 5, 7, 9, 2]);
        assert!(wheel.is_empty() && wheel.ready_len() == 0);
    }

    #[test]
    fn a_late_key_is_ready_behind_those_that_are() {
        let mut wheel = wheel(100);
        wheel.insert(0, 105);
        wheel.advance(110);
        wheel.insert(1, 50);
        wheel.insert(2, 110);
        assert_eq!(wheel.next_due(), Some(105));
        assert_eq!(wheel.ready_len(), 3);
        assert_eq!(drain(&mut wheel), [(0, 105), (1, 50), (2, 110)]);
    }

    #[test]
    fn a_ready_key_can_be_removed() {
        let mut wheel = wheel(0);
        for key in 0..4 {
            wheel.insert(key, 5);
        }
        wheel.advance(5);
        assert!(wheel.contains(2) && wheel.remove(2) && !wheel.contains(2) && !wheel.remove(2));
        assert!(wheel.remove(0) && wheel.remove(3));
        assert_eq!((wheel.len(), wheel.ready_len(), wheel.peek()), (1, 1, Some((1, 5))));
        assert_eq!(drain(&mut wheel), [(1, 5)]);
    }

    #[test]
    fn time_does_not_go_back() {
        let mut wheel = wheel(50);
        wheel.advance(40);
        assert_eq!(wheel.elapsed(), 50);
        wheel.insert(0, 45);
        assert_eq!(wheel.peek(), Some((0, 45)));
    }

    #[test]
    fn growing_keeps_what_is_there_and_allocates_exactly() {
        let mut wheel = Wheel::new(0);
        assert!(!wheel.contains(0) && !wheel.remove(0) && wheel.next_due().is_none());
        for keys in [1, 1_000, 10, 1_001] {
            wheel.grow(keys);
        }
        wheel.insert(1_000, 9);
        wheel.grow(5_000);
        assert_eq!((wheel.entries.capacity(), wheel.due(1_000)), (5_000, Some(9)));
        assert!(!wheel.contains(4_999) && !wheel.contains(5_000) && !wheel.contains(u32::MAX));
    }

    #[test]
    fn a_sleeper_who_trusts_next_due_is_never_late_and_soon_there() {
        for due in [1, 63, 64, 65, 4_096, 90_000_001, 1 << 40, u64::MAX] {
            let mut wheel = wheel(0);
            wheel.insert(0, due);
            let mut wakes = 0;
            while wheel.ready_len() == 0 {
                let next = wheel.next_due().unwrap();
                assert!(next > wheel.elapsed() && next <= due, "{next} for {due}");
                wheel.advance(next);
                wakes += 1;
            }
            assert_eq!(wheel.elapsed(), due);
            assert!(wakes <= LEVELS, "{wakes} wakes for {due}");
        }
    }
}
