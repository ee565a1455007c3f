//! Nonces that were used, so that no request is good for twice.
//!
//! One is kept as long as the window of dates would let its request in again. Memory is bounded:
//! where there is no room, the request with the oldest date is forgotten, and everything as old as
//! it is refused from then on. So whatever the load, nothing is ever good for twice; what shrinks
//! is the time that a request may take to come.

use super::refusal::Refusal;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashSet};

/// A nonce of one key: half of a hash, which nobody can make collide.
type Tag = [u8; 16];

/// See the module's head.
#[derive(Debug)]
pub(super) struct Nonces {
    capacity: usize,
    window_ms: u64,
    /// Requests from before are refused.
    floor_ms: u64,
    used: HashSet<Tag>,
    /// The same by the date of their requests.
    by_date: BTreeSet<(u64, Tag)>,
}

impl Nonces {
    /// Room for `capacity` nonces, whose requests may be `window_ms` away from now. Dates are in
    /// whole seconds, so those of the second of `now_ms` are good.
    pub(super) fn new(capacity: usize, window_ms: u64, now_ms: u64) -> Self {
        let floor_ms = now_ms - now_ms % 1_000;
        let (used, by_date) = (HashSet::new(), BTreeSet::new());
        Self { capacity, window_ms, floor_ms, used, by_date }
    }

    /// Whether a request of this date may use this nonce.
    pub(super) fn check(
        &self,
        key_id: &str,
        nonce: &str,
        at_ms: u64,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        if at_ms < self.floor_ms {
            return Err(Refusal::Date { at_ms, now_ms, window_ms: self.window_ms });
        }
        if self.used.contains(&tag(key_id, nonce)) { Err(Refusal::NonceUsed) } else { Ok(()) }
    }

    /// Notes a nonce whose request was right.
    pub(super) fn insert(&mut self, key_id: &str, nonce: &str, at_ms: u64, now_ms: u64) {
        while let Some(&(oldest_ms, tag)) = self.by_date.first() {
            let is_over = oldest_ms.saturating_add(self.window_ms) < now_ms;
            if !is_over && self.used.len() < self.capacity {
                break;
            }
            if !is_over {
                self.floor_ms = self.floor_ms.max(oldest_ms + 1);
            }
            self.by_date.pop_first();
            self.used.remove(&tag);
        }
        let tag = tag(key_id, nonce);
        if self.used.insert(tag) {
            self.by_date.insert((at_ms, tag));
        }
    }
}

fn tag(key_id: &str, nonce: &str) -> Tag {
    let mut hash = Sha256::new();
    // Neither has a NUL in it: headers and keys may not.
    hash.update(key_id);
    hash.update([0]);
    hash.update(nonce);
    let hash: [u8; 32] = hash.finalize().into();
    let (tag, _) = hash.split_at(size_of::<Tag>());
    let mut half = Tag::default();
    half.copy_from_slice(tag);
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000;

    #[test]
    fn a_nonce_is_good_for_once_by_each_key() {
        let mut nonces = Nonces::new(10, 900_000, NOW);
        assert_eq!(nonces.check("a", "n", NOW, NOW), Ok(()));
        nonces.insert("a", "n", NOW, NOW);
        assert_eq!(nonces.check("a", "n", NOW + 5_000, NOW), Err(Refusal::NonceUsed));
        assert_eq!(nonces.check("b", "n", NOW, NOW), Ok(()));
        // As long as its date would let it in, and then no memory of it is left.
        nonces.insert("b", "n", NOW, NOW + 900_000);
        assert_eq!(nonces.check("a", "n", NOW, NOW), Err(Refusal::NonceUsed));
        nonces.insert("c", "n", NOW + 900_000, NOW + 900_001);
        assert_eq!((nonces.used.len(), nonces.by_date.len()), (1, 1));
    }

    #[test]
    fn what_was_signed_before_the_start_is_refused() {
        let nonces = Nonces::new(10, 900_000, NOW + 999);
        assert_eq!(nonces.check("a", "n", NOW, NOW), Ok(()));
        assert!(nonces.check("a", "n", NOW - 1, NOW).is_err());
    }

    #[test]
    fn a_full_cache_forgets_the_oldest_and_refuses_what_is_as_old() {
        let mut nonces = Nonces::new(3, 900_000, NOW);
        for n in 0..100_u64 {
            nonces.insert("a", &n.to_string(), NOW + n * 1_000, NOW);
            assert!(nonces.used.len() <= 3 && nonces.by_date.len() <= 3);
            for old in 0..=n {
                let again = nonces.check("a", &old.to_string(), NOW + old * 1_000, NOW);
                assert!(again.is_err(), "{old} again after {n}");
            }
            let next = nonces.check("a", "next", NOW + (n + 1) * 1_000, NOW);
            assert_eq!(next, Ok(()));
        }
    }
}
