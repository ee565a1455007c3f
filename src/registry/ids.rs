//! Dense numbers for targets and groups, reused only when nobody can mean the former owner any
//! more.
//!
//! A number that a reload frees is quarantined with that reload's revision. A worker that has
//! carried the revision out will not report on the number again, so once all of them have
//! ([`IdAllocator::release`]) it may have a new owner. Invariant: a number is in use, in quarantine
//! or free, never two of these.

use super::GroupKey;
use crate::report::TargetId;
use std::collections::VecDeque;

/// Hands out [`TargetId`]s and [`GroupKey`]s. A clone is for a registry that may yet be refused.
#[derive(Clone, Debug, Default)]
pub struct IdAllocator {
    targets: Pool,
    groups: Pool,
}

impl IdAllocator {
    /// A target's place in the state table.
    pub(super) fn target(&mut self) -> TargetId {
        TargetId(self.targets.take())
    }

    /// A group's key for the workers.
    pub(super) fn group(&mut self) -> GroupKey {
        GroupKey(self.groups.take())
    }

    /// Puts what revision `revision` no longer uses into quarantine.
    pub(super) fn free(&mut self, revision: u64, targets: Vec<u32>, groups: Vec<u32>) {
        self.targets.quarantine(revision, targets);
        self.groups.quarantine(revision, groups);
    }

    /// Every worker has carried out `revision` and all before it.
    pub fn release(&mut self, revision: u64) {
        self.targets.release(revision);
        self.groups.release(revision);
    }

    /// One more than the largest target id ever handed out: the size of a table that holds them
    /// all.
    #[must_use]
    pub const fn target_bound(&self) -> usize {
        self.targets.next as usize
    }
}

#[derive(Clone, Debug, Default)]
struct Pool {
    next: u32,
    free: Vec<u32>,
    /// By revision, ascending.
    quarantine: VecDeque<(u64, Vec<u32>)>,
}

impl Pool {
    fn take(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            let id = self.next;
            // limits::TARGETS_MAX and GROUPS_MAX are far below 2^32, even twice over.
            self.next += 1;
            id
        })
    }

    fn quarantine(&mut self, revision: u64, ids: Vec<u32>) {
        if !ids.is_empty() {
            self.quarantine.push_back((revision, ids));
        }
    }

    fn release(&mut self, revision: u64) {
        let done = self.quarantine.partition_point(|&(freed, _)| freed <= revision);
        for (_, ids) in self.quarantine.drain(..done) {
            self.free.extend(ids.into_iter().rev());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_id_waits_for_its_revision() {
        let mut ids = IdAllocator::default();
        let first: Vec<_> = (0..3).map(|_| ids.target().0).collect();
        assert_eq!(first, [0, 1, 2]);
        ids.free(7, vec![0, 1], vec![]);
        ids.free(9, vec![2], vec![]);
        ids.release(6);
        assert_eq!(ids.target().0, 3);
        ids.release(8);
        assert_eq!([ids.target().0, ids.target().0, ids.target().0], [0, 1, 4]);
        ids.release(9);
        assert_eq!(ids.target().0, 2);
        assert_eq!(ids.target_bound(), 5);
    }
}
