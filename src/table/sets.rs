//! The members of one group by shown state and by code: bit sets and counts.
//!
//! They make "who is not normal" cost what it returns: words without a hit are skipped whole. A set
//! that never had a member takes no memory. One writer; readers see each word as it is now. A
//! member that changes its state stands for a moment in both sets, never in none.

use crate::outcome::{Code, TABLE};
use crate::table::ShownState;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Which states a query asks for: one bit per [`ShownState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateMask(u8);

impl StateMask {
    /// Every state.
    pub const ALL: Self = Self((1 << ShownState::ALL.len()) - 1);

    /// One state.
    #[must_use]
    pub const fn only(state: ShownState) -> Self {
        Self(1 << state as u8)
    }

    /// Every state but `state`.
    #[must_use]
    pub const fn but(self, state: ShownState) -> Self {
        Self(self.0 & !(1 << state as u8))
    }

    /// Whether `state` is asked for.
    #[must_use]
    pub const fn contains(self, state: ShownState) -> bool {
        self.has(state as usize)
    }

    const fn has(self, index: usize) -> bool {
        self.0 >> index & 1 == 1
    }
}

/// What a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Members in one of these states,
    pub states: StateMask,
    /// and whose last outcome has this code, if one is given.
    pub code: Option<Code>,
}

impl Filter {
    /// Every member.
    pub const ALL: Self = Self { states: StateMask::ALL, code: None };
}

/// See the module's head. Positions are those of the group's members.
#[derive(Debug)]
pub struct GroupSets {
    len: usize,
    states: [Set; ShownState::ALL.len()],
    codes: [Set; TABLE.len()],
}

impl GroupSets {
    /// Sets for a group of `len` members, all empty.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self { len, states: Default::default(), codes: Default::default() }
    }

    /// Members of the group.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether the group has no member.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many members show `state`.
    #[must_use]
    pub fn count(&self, state: ShownState) -> u32 {
        self.states[state as usize].count.load(Ordering::Relaxed)
    }

    /// How many members' last outcome has `code`.
    #[must_use]
    pub fn code_count(&self, code: Code) -> u32 {
        self.codes[code as usize].count.load(Ordering::Relaxed)
    }

    /// Whether the member at `position` shows `state`.
    #[must_use]
    pub fn shows(&self, position: usize, state: ShownState) -> bool {
        self.states[state as usize].has(position)
    }

    /// The members that `filter` asks for, from position `from` on, in registration order.
    #[must_use]
    pub fn positions(&self, filter: Filter, from: usize) -> Positions<'_> {
        // Behind the last member there is nothing, however far behind.
        let from = from.min(self.len);
        let bits = self.word(filter, from / 64) & u64::MAX << (from % 64);
        Positions { sets: self, filter, word: from / 64, bits }
    }

    /// One bit per member, 1 where it shows healthy, in registration order, least significant bit
    /// first, padded with zeros to whole bytes (DESIGN 5.2).
    #[must_use]
    pub fn bitmap(&self) -> Vec<u8> {
        let healthy = &self.states[ShownState::Healthy as usize];
        let mut bytes: Vec<u8> =
            (0..self.len.div_ceil(64)).flat_map(|word| healthy.word(word).to_le_bytes()).collect();
        bytes.truncate(self.len.div_ceil(8));
        bytes
    }

    /// Moves a member from one state's set to another's. For the writer only.
    pub(crate) fn set_state(
        &self,
        position: usize,
        from: Option<ShownState>,
        to: Option<ShownState>,
    ) {
        let set = |state: ShownState| &self.states[state as usize];
        self.change(position, from.map(set), to.map(set));
    }

    /// Moves a member from one code's set to another's. For the writer only.
    pub(crate) fn set_code(&self, position: usize, from: Option<Code>, to: Option<Code>) {
        let set = |code: Code| &self.codes[code as usize];
        self.change(position, from.map(set), to.map(set));
    }

    fn change(&self, position: usize, from: Option<&Set>, to: Option<&Set>) {
        debug_assert!(position < self.len, "position {position} of {}", self.len);
        if let Some(to) = to {
            to.insert(position, self.len);
        }
        if let Some(from) = from
            && !to.is_some_and(|to| std::ptr::eq(from, to))
        {
            from.remove(position);
        }
    }

    /// The members of word `index` that `filter` asks for.
    fn word(&self, filter: Filter, index: usize) -> u64 {
        let in_states = if filter.states == StateMask::ALL {
            self.all(index)
        } else {
            let asked = self.states.iter().enumerate().filter(|&(i, _)| filter.states.has(i));
            asked.fold(0, |word, (_, set)| word | set.word(index))
        };
        match filter.code {
            None => in_states,
            Some(code) => in_states & self.codes[code as usize].word(index),
        }
    }

    /// The members of word `index`: ones up to the group's end.
    const fn all(&self, index: usize) -> u64 {
        match self.len.saturating_sub(index * 64) {
            left @ 0..64 => (1 << left) - 1,
            _ => u64::MAX,
        }
    }
}

/// Positions in ascending order; see [`GroupSets::positions`].
#[derive(Debug)]
pub struct Positions<'a> {
    sets: &'a GroupSets,
    filter: Filter,
    word: usize,
    bits: u64,
}

impl Iterator for Positions<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.bits == 0 {
            self.word += 1;
            if self.word * 64 >= self.sets.len {
                return None;
            }
            self.bits = self.sets.word(self.filter, self.word);
        }
        let bit = self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(self.word * 64 + bit)
    }
}

/// One bit set and its count.
#[derive(Debug, Default)]
struct Set {
    words: OnceLock<Box<[AtomicU64]>>,
    count: AtomicU32,
}

impl Set {
    fn word(&self, index: usize) -> u64 {
        let word = self.words.get().and_then(|words| words.get(index));
        word.map_or(0, |word| word.load(Ordering::Acquire))
    }

    fn has(&self, position: usize) -> bool {
        self.word(position / 64) >> (position % 64) & 1 == 1
    }

    fn insert(&self, position: usize, len: usize) {
        let words = self.words.get_or_init(|| zeros(len.div_ceil(64)));
        let (word, bit) = (&words[position / 64], 1 << (position % 64));
        let old = word.load(Ordering::Relaxed);
        if old & bit == 0 {
            word.store(old | bit, Ordering::Release);
            self.count.store(self.count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    fn remove(&self, position: usize) {
        let Some(words) = self.words.get() else { return };
        let (word, bit) = (&words[position / 64], 1 << (position % 64));
        let old = word.load(Ordering::Relaxed);
        if old & bit != 0 {
            word.store(old & !bit, Ordering::Release);
            self.count.store(self.count.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        }
    }
}

fn zeros(words: usize) -> Box<[AtomicU64]> {
    (0..words).map(|_| AtomicU64::new(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATES: [ShownState; 3] =
        [ShownState::Initial, ShownState::Healthy, ShownState::Unhealthy];

    #[test]
    fn a_group_without_members_has_no_positions_and_no_bitmap() {
        let sets = GroupSets::new(0);
        assert_eq!(sets.positions(Filter::ALL, 0).next(), None);
        assert_eq!(GroupSets::new(64).positions(Filter::ALL, usize::MAX).next(), None);
        assert_eq!(sets.bitmap(), Vec::<u8>::new());
    }

    #[test]
    fn the_bitmap_is_little_endian_and_padded_with_zeros() {
        let sets = GroupSets::new(70);
        for position in [0, 9, 69] {
            sets.set_state(position, None, Some(ShownState::Healthy));
        }
        assert_eq!(sets.bitmap(), [1, 2, 0, 0, 0, 0, 0, 0, 0b10_0000]);
    }

    proptest! {
        #[test]
        fn sets_and_counts_equal_a_list(
            len in 1..200_usize,
            moves in prop::collection::vec((0..200_usize, 0..3_usize, 0..12_usize), 0..300),
            from in 0..260_usize,
        ) {
            let sets = GroupSets::new(len);
            let mut model = vec![(None, None); len];
            for (position, state, code) in moves {
                let (position, state) = (position % len, STATES[state]);
                let code = Code::from_index(code).unwrap();
                sets.set_state(position, model[position].0, Some(state));
                sets.set_code(position, model[position].1, Some(code));
                model[position] = (Some(state), Some(code));
            }
            for state in STATES {
                let expect = |f: &dyn Fn(usize) -> bool| -> Vec<usize> {
                    (from..len).filter(|&p| f(p)).collect()
                };
                let found = |states, code| -> Vec<usize> {
                    sets.positions(Filter { states, code }, from).collect()
                };
                let is = |p: usize| model[p].0 == Some(state);
                let only = StateMask::only(state);
                prop_assert_eq!(found(only, None), expect(&is));
                let count = model.iter().filter(|m| m.0 == Some(state)).count();
                prop_assert_eq!(sets.count(state) as usize, count);
                let code = Code::L4Con;
                let both = expect(&|p| is(p) && model[p].1 == Some(code));
                prop_assert_eq!(found(only, Some(code)), both);
                let others = expect(&|p| model[p].0.is_some() && !is(p));
                prop_assert_eq!(found(StateMask::ALL.but(state), None), others);
            }
            let all: Vec<usize> = sets.positions(Filter::ALL, from).collect();
            prop_assert_eq!(all, (from..len).collect::<Vec<_>>());
        }
    }
}
