//! The targets of one worker, by their index in the shard.
//!
//! 32 bytes a target besides the wheel's, side by side, so that a probe touches one cache line of
//! its target. Indices are dense and reused; a target that is removed while its probe runs keeps
//! its index until the probe is over.

use crate::endpoint::Endpoint;
use crate::health::Health;
use crate::registry::{Addition, GroupKey};
use crate::report::TargetId;

/// What a worker knows of its targets.
#[derive(Debug, Default)]
pub(super) struct Shard {
    targets: Vec<Target>,
    /// Probes left to start, in one-shot runs only (else empty).
    rounds: Vec<u32>,
    vacant: Vec<u32>,
}

/// One target.
#[derive(Clone, Copy, Debug)]
struct Target {
    /// [`NOBODY`] where the index holds no target (any more).
    id: TargetId,
    group: GroupKey,
    endpoint: Endpoint,
    health: Health,
}

const _: () = assert!(size_of::<Target>() == 32);

/// The id of an index that holds no target (any more).
const NOBODY: TargetId = TargetId(u32::MAX);

impl Shard {
    /// Makes room for `more` targets at once, so that adding them moves memory at most once;
    /// returns what [`Shard::slots`] will then be.
    pub(super) fn reserve(&mut self, more: usize) -> u32 {
        let more = more.saturating_sub(self.vacant.len());
        self.targets.reserve_exact(more);
        self.slots().saturating_add(u32::try_from(more).unwrap_or(u32::MAX))
    }

    /// Takes a target in; returns its index. `rounds` is none where it is probed for ever.
    pub(super) fn add(&mut self, new: &Addition, rounds: Option<u32>) -> u32 {
        let &Addition { target: id, group, endpoint, health, .. } = new;
        let target = Target { id, group, endpoint, health };
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.targets.push(target);
            self.rounds.extend(rounds);
            self.slots() - 1
        });
        self.targets[index as usize] = target;
        if let Some(rounds) = rounds {
            self.rounds[index as usize] = rounds;
        }
        index
    }

    /// Makes the target at `index` nobody's; its reports are no longer wanted.
    pub(super) fn forget(&mut self, index: u32) {
        self.targets[index as usize].id = NOBODY;
    }

    /// Gives the index back. Only after [`Shard::forget`], with no probe running and no due time.
    pub(super) fn vacate(&mut self, index: u32) {
        debug_assert_eq!(self.targets[index as usize].id, NOBODY);
        self.vacant.push(index);
    }

    /// One more than the highest index.
    #[must_use]
    pub(super) fn slots(&self) -> u32 {
        // TargetIds are u32 and unique, so a shard cannot hold more.
        u32::try_from(self.targets.len()).expect("at most u32::MAX targets")
    }

    /// How many targets there are (those forgotten but still running count).
    #[must_use]
    pub(super) fn len(&self) -> u32 {
        self.slots() - u32::try_from(self.vacant.len()).unwrap_or(0)
    }

    /// Whether there is no target.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The target at `index`; none where it was forgotten.
    #[must_use]
    pub(super) fn target(&self, index: u32) -> Option<TargetId> {
        Some(self.targets[index as usize].id).filter(|&target| target != NOBODY)
    }

    /// The group of the target at `index`.
    #[must_use]
    pub(super) fn group(&self, index: u32) -> GroupKey {
        self.targets[index as usize].group
    }

    /// Address and traffic port of the target at `index`.
    #[must_use]
    pub(super) fn endpoint(&self, index: u32) -> Endpoint {
        self.targets[index as usize].endpoint
    }

    /// The health of the target at `index`.
    pub(super) fn health(&mut self, index: u32) -> &mut Health {
        &mut self.targets[index as usize].health
    }

    /// Counts one start; false where it was the last that was asked for.
    pub(super) fn again(&mut self, index: u32) -> bool {
        let Some(left) = self.rounds.get_mut(index as usize) else { return true };
        *left = left.saturating_sub(1);
        *left > 0
    }

    /// Indices of the targets of `group`. Looks at every index: for changes, not for probes.
    pub(super) fn of_group(&self, group: GroupKey) -> impl Iterator<Item = u32> + '_ {
        (0..self.slots())
            .filter(move |&index| self.group(index) == group && self.target(index).is_some())
    }

    /// Indices of the targets for which `wanted` holds. Looks at every index, as above.
    pub(super) fn matching<'a>(
        &'a self,
        wanted: impl Fn(TargetId) -> bool + 'a,
    ) -> impl Iterator<Item = u32> + 'a {
        (0..self.slots()).filter(move |&index| self.target(index).is_some_and(&wanted))
    }
}
