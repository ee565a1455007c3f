//! Sequence numbers that say which slot they are of, and that nobody can guess.
//!
//! A target acknowledges the sequence number of our SYN, so an answer names its slot by itself: no
//! table of connections is searched. The number is slot and probe count, 32 bits together, sent
//! through a permutation that only this worker knows: a Feistel network of four rounds (Luby and
//! Rackoff, SIAM J. Comput. 17, 1988) whose round function is SipHash under a random key. A
//! stranger who does not see our SYN must guess one number of 2^32, as with any TCP.

use std::hash::{BuildHasher, RandomState};

/// Bits of a slot's number.
pub(super) const SLOT_BITS: u32 = 18;
/// Bits that are left for the probe count.
const COUNT_BITS: u32 = u32::BITS - SLOT_BITS;
const ROUNDS: u8 = 4;

const _: () = assert!(crate::limits::RAW_IN_FLIGHT_MAX <= 1 << SLOT_BITS);

/// One worker's permutation.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    key: RandomState,
}

impl Sequence {
    /// The number of the SYN of a slot's probe; `generation` counts the slot's probes.
    pub(super) fn of(&self, slot: u32, generation: u32) -> u32 {
        let name = slot | generation << SLOT_BITS;
        let (mut left, mut right) = ((name >> 16) as u16, name as u16);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.mixed(round, right));
        }
        u32::from(left) << 16 | u32::from(right)
    }

    /// The inverse: the slot, and as much of its probe's `generation` as [`count`] keeps.
    pub(super) fn name(&self, sequence: u32) -> (u32, u32) {
        let (mut left, mut right) = ((sequence >> 16) as u16, sequence as u16);
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.mixed(round, left), left);
        }
        let name = u32::from(left) << 16 | u32::from(right);
        (name & ((1 << SLOT_BITS) - 1), name >> SLOT_BITS)
    }

    fn mixed(&self, round: u8, half: u16) -> u16 {
        self.key.hash_one((round, half)) as u16
    }
}

/// What of a generation a number says: stale answers are those of the last few probes of a slot.
pub(super) const fn count(generation: u32) -> u32 {
    generation & ((1 << COUNT_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_names_its_slot_and_probe() {
        let sequence = Sequence::default();
        for slot in (0..1 << SLOT_BITS).step_by(97).chain([(1 << SLOT_BITS) - 1]) {
            for generation in [0, 1, 77, (1 << COUNT_BITS) - 1, 1 << COUNT_BITS, u32::MAX] {
                let number = sequence.of(slot, generation);
                assert_eq!(sequence.name(number), (slot, count(generation)));
            }
        }
    }

    #[test]
    fn numbers_are_all_different_and_follow_from_the_key() {
        let (one, other) = (Sequence::default(), Sequence::default());
        let numbers: std::collections::HashSet<u32> =
            (0..1 << SLOT_BITS).map(|slot| one.of(slot, 5)).collect();
        assert_eq!(numbers.len(), 1 << SLOT_BITS);
        let same = (0..1_000).filter(|&slot| one.of(slot, 0) == other.of(slot, 0)).count();
        assert!(same < 5, "{same} of 1000 numbers do not depend on the key");
    }
}
