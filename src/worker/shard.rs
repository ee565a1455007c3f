//! The targets of one worker, by their index in the shard.
//!
//! Ids are dense and go round the workers, so a target's index follows from its id and the number
//! of workers: adding and removing cost the same however many there are, and nothing is searched.
//! 32 bytes a target besides the wheel's, side by side, so that a probe touches one cache line of
//! its target.
//!
//! A target that is removed while its probe runs keeps its place until the probe is over, whose
//! outcome nobody wants; where it was added again meanwhile, it begins only then. So two probes of
//! one place never run at once, and an outcome never reaches who came later.

use crate::endpoint::Endpoint;
use crate::health::Health;
use crate::registry::{Addition, GroupKey};
use crate::report::TargetId;

/// What a worker knows of its targets.
#[derive(Debug)]
pub(super) struct Shard {
    targets: Vec<Target>,
    /// Probes left to start, in one-shot runs only (else empty).
    rounds: Vec<u32>,
    /// Places that are not vacant.
    taken: u32,
    /// How many workers there are, and which this is.
    workers: u32,
    number: u32,
}

/// One place.
#[derive(Clone, Copy, Debug)]
struct Target {
    group: GroupKey,
    endpoint: Endpoint,
    health: Health,
    /// Of its group's recipe, when its streak began (see [`super::recipes`]).
    epoch: u16,
    stay: Stay,
    /// Its first probe, which came soon, is not over: a second one on a phase of its own follows.
    bunched: bool,
}

const _: () = assert!(size_of::<Target>() == 32);

/// Who is in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    /// Nobody.
    Vacant,
    /// A target: it waits in the schedule, or its probe runs.
    Here,
    /// Nobody, but the probe of a former target runs.
    Left,
    /// A target that begins when the probe of the former one is over.
    Back,
}

/// Memory grows by one part in so many at least, so that small additions seldom move it.
const GROWTH: usize = 16;

impl Shard {
    /// No targets, of worker `number` of so many.
    #[must_use]
    pub(super) const fn new(workers: u32, number: u32) -> Self {
        Self { targets: Vec::new(), rounds: Vec::new(), taken: 0, workers, number }
    }

    /// The place of a target of this worker.
    #[must_use]
    pub(super) const fn index(&self, target: TargetId) -> u32 {
        debug_assert!(target.0 % self.workers == self.number);
        target.0 / self.workers
    }

    /// The target that has, had or will have the place `index`.
    #[must_use]
    pub(super) const fn id(&self, index: u32) -> TargetId {
        TargetId(index * self.workers + self.number)
    }

    /// Makes places for all ids below `bound`; returns how many places there are.
    pub(super) fn reserve(&mut self, bound: u32, rounds: bool) -> u32 {
        let (slots, needed) = (self.targets.len(), bound.div_ceil(self.workers) as usize);
        if needed > slots {
            // What the last worker needs is enough for each.
            let places = needed.max(slots + slots / GROWTH);
            let vacant = Target {
                group: GroupKey(0),
                endpoint: Endpoint::new([0, 0, 0, 0].into(), 0),
                health: Health::default(),
                epoch: 0,
                stay: Stay::Vacant,
                bunched: false,
            };
            self.targets.reserve_exact(places - slots);
            self.targets.resize(places, vacant);
            if rounds {
                self.rounds.resize(places, 0);
            }
        }
        self.slots()
    }

    /// Takes a target in, at a place that [`Shard::reserve`] has made and that is vacant or was
    /// left. True where it waits for nothing, false where a former probe must be over first.
    /// `rounds` is none where it is probed for ever.
    pub(super) fn add(&mut self, new: &Addition, epoch: u16, rounds: Option<u32>) -> bool {
        let &Addition { target: id, group, endpoint, health, .. } = new;
        let index = self.index(id) as usize;
        let vacant = self.targets[index].stay == Stay::Vacant;
        debug_assert!(vacant || self.targets[index].stay == Stay::Left);
        self.taken += u32::from(vacant);
        let stay = if vacant { Stay::Here } else { Stay::Back };
        self.targets[index] = Target { group, endpoint, health, epoch, stay, bunched: false };
        if let Some(rounds) = rounds {
            self.rounds[index] = rounds;
        }
        vacant
    }

    /// The first probe of the target at `index` comes soon, with those of all who came together.
    pub(super) fn bunch(&mut self, index: u32) {
        self.targets[index as usize].bunched = true;
    }

    /// Whether that was so; it is no longer.
    pub(super) fn scatter(&mut self, index: u32) -> bool {
        std::mem::take(&mut self.targets[index as usize].bunched)
    }

    /// The target at `index` leaves; `running`: a probe from its place is not over.
    pub(super) fn leave(&mut self, index: u32, running: bool) {
        let target = &mut self.targets[index as usize];
        debug_assert_ne!(target.stay, Stay::Vacant);
        target.stay = if running { Stay::Left } else { Stay::Vacant };
        self.taken -= u32::from(!running);
    }

    /// The former probe is over: who is back begins.
    pub(super) fn begin(&mut self, index: u32) {
        let target = &mut self.targets[index as usize];
        debug_assert_eq!(target.stay, Stay::Back);
        target.stay = Stay::Here;
    }

    /// Who is at `index`.
    #[must_use]
    pub(super) fn stay(&self, index: u32) -> Stay {
        self.targets.get(index as usize).map_or(Stay::Vacant, |target| target.stay)
    }

    /// Places, taken or not.
    #[must_use]
    pub(super) fn slots(&self) -> u32 {
        // TargetIds are u32 and unique, so a shard cannot hold more.
        u32::try_from(self.targets.len()).expect("at most u32::MAX targets")
    }

    /// How many targets there are (those that left but whose probe runs count).
    #[must_use]
    pub(super) const fn len(&self) -> u32 {
        self.taken
    }

    /// Whether there is no target.
    #[must_use]
    pub(super) const fn is_empty(&self) -> bool {
        self.taken == 0
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

    /// Starts the streak of the target at `index` anew unless it began in this `epoch` of its
    /// recipe; true where it did so.
    pub(super) fn renew(&mut self, index: u32, epoch: u16) -> bool {
        let target = &mut self.targets[index as usize];
        let renewed = target.epoch != epoch;
        if renewed {
            target.epoch = epoch;
            target.health.restart_streak();
        }
        renewed
    }

    /// Counts one start; false where it was the last that was asked for.
    pub(super) fn again(&mut self, index: u32) -> bool {
        let Some(left) = self.rounds.get_mut(index as usize) else { return true };
        *left = left.saturating_sub(1);
        *left > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addition(id: u32) -> Addition {
        Addition {
            target: TargetId(id),
            group: GroupKey(3),
            endpoint: Endpoint::new([10, 0, 0, 1].into(), 80),
            hash: 0,
            health: Health::default(),
        }
    }

    #[test]
    fn places_follow_from_ids() {
        let mut shard = Shard::new(3, 2);
        assert_eq!(shard.reserve(30, false), 10);
        for id in (2..30).step_by(3) {
            assert!(shard.add(&addition(id), 0, None));
            assert_eq!(shard.id(shard.index(TargetId(id))), TargetId(id));
            assert_eq!(shard.stay(id / 3), Stay::Here);
        }
        assert_eq!((shard.len(), shard.stay(10)), (10, Stay::Vacant));
        assert_eq!(shard.reserve(12, false), 10, "never shrinks");
    }

    #[test]
    fn memory_grows_in_steps() {
        let mut shard = Shard::new(1, 0);
        assert_eq!(shard.reserve(160_000, true), 160_000);
        assert_eq!((shard.targets.capacity(), shard.rounds.len()), (160_000, 160_000));
        assert_eq!(shard.reserve(160_001, false), 170_000);
        assert_eq!(shard.reserve(500_000, false), 500_000);
    }

    #[test]
    fn who_is_back_waits_for_the_probe_of_who_left() {
        let mut shard = Shard::new(1, 0);
        shard.reserve(1, false);
        assert!(shard.add(&addition(0), 0, None));
        for _ in 0..2 {
            shard.leave(0, true);
            assert_eq!((shard.stay(0), shard.len()), (Stay::Left, 1));
            assert!(!shard.add(&addition(0), 0, None));
            assert_eq!((shard.stay(0), shard.len()), (Stay::Back, 1));
        }
        shard.begin(0);
        assert_eq!((shard.stay(0), shard.len()), (Stay::Here, 1));
        shard.leave(0, false);
        assert!(shard.is_empty() && shard.add(&addition(0), 0, None));
    }
}
