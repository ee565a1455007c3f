//! Targets that are probed once and shown in several groups (the same place, the same health
//! check).
//!
//! Of all members whose probes would be the same, one leads: a worker probes it, and whatever is
//! seen of it holds for those that follow. Who leads stays the leader as long as it is probed, so
//! that a change elsewhere does not move a target from one worker to another.
//!
//! Cost: nothing while no two groups have the same health check. Else the probed members of those
//! groups are sorted by where their probes go: some 80 ns each.

use super::{Group, Registry};
use crate::endpoint::Endpoint;
use crate::recipe::Recipe;
use crate::report::TargetId;
use foldhash::fast::FixedState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;

/// Who follows whom. Invariants: nobody both leads and follows; all of them are probed members of
/// different groups with equal recipes and equal probe endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Twins {
    leaders: HashMap<TargetId, TargetId>,
    followers: HashMap<TargetId, Box<[TargetId]>>,
}

/// One probed member of a group whose health check others have too.
struct Candidate {
    /// Hash of where its probes go.
    hash: u64,
    target: TargetId,
    /// Whether a worker does not probe it yet.
    is_new: bool,
    endpoint: Endpoint,
}

impl Twins {
    /// Whom `target` follows; none: it is probed itself, if at all.
    #[must_use]
    pub fn leader(&self, target: TargetId) -> Option<TargetId> {
        // The map is empty nearly everywhere; asking it costs a hash all the same.
        if self.leaders.is_empty() { None } else { self.leaders.get(&target).copied() }
    }

    /// Who follows `target`.
    #[must_use]
    pub fn followers(&self, target: TargetId) -> &[TargetId] {
        if self.followers.is_empty() {
            return &[];
        }
        self.followers.get(&target).map_or(&[], |followers| followers)
    }

    /// All that follow somebody.
    pub(super) fn all_followers(&self) -> impl Iterator<Item = TargetId> {
        self.leaders.keys().copied()
    }

    /// The twins of `next`, whose members have their ids and were those of `previous` before.
    pub(super) fn of(next: &Registry, previous: &Registry) -> Self {
        let mut classes: HashMap<&Recipe, Vec<&Arc<Group>>> = HashMap::new();
        for group in &next.groups {
            classes.entry(&group.recipe).or_default().push(group);
        }
        let mut twins = Self::default();
        for groups in classes.into_values().filter(|groups| groups.len() > 1) {
            twins.pair(&groups, previous);
        }
        twins
    }

    fn pair(&mut self, groups: &[&Arc<Group>], previous: &Registry) {
        let mut candidates = Vec::new();
        for group in groups {
            // Within a group the same place under two names is two targets.
            let may_repeat = group.members.has_ids() || group.recipe.port.is_some();
            let mut own = HashSet::new();
            for position in (0..group.members.len()).filter(|&position| group.is_probed(position)) {
                let target = group.members.targets[position];
                let endpoint = group.recipe.endpoint(group.members.endpoints[position]);
                if !may_repeat || own.insert(endpoint) {
                    let hash = FixedState::default().hash_one(endpoint);
                    let is_new = !previous.is_led(target);
                    candidates.push(Candidate { hash, target, is_new, endpoint });
                }
            }
        }
        // Stable: of those that could lead, the one in the first group does.
        candidates.sort_by_key(|candidate| (candidate.hash, candidate.endpoint, candidate.is_new));
        for same in candidates.chunk_by(|a, b| (a.hash, a.endpoint) == (b.hash, b.endpoint)) {
            let [leader, followers @ ..] = same else { continue };
            if followers.is_empty() {
                continue;
            }
            let ids: Box<[_]> = followers.iter().map(|follower| follower.target).collect();
            self.leaders.extend(ids.iter().map(|&follower| (follower, leader.target)));
            self.followers.insert(leader.target, ids);
        }
    }
}
