//! Targets that are probed once and shown in several groups (the same place, the same health
//! check).
//!
//! Of all members whose probes would be the same, one leads: a worker probes it, and whatever is
//! seen of it holds for those that follow. Who leads stays the leader as long as it is probed, so
//! that a change elsewhere does not move a target from one worker to another. Who was probed by
//! another health check does not lead one that was probed by this: what is known of it was not
//! found out by the check that the others trust.
//!
//! Cost: a step from one registry to the next looks at the places where it changed who is probed,
//! in each group with the same health check. Where that would be more work, all probed members of
//! those groups are sorted by where their probes go.

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
    followers: HashMap<TargetId, Arc<[TargetId]>>,
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

    /// The first of `same` leads, the others follow it.
    fn join(&mut self, same: &[TargetId]) {
        if let [leader, followers @ ..] = same
            && !followers.is_empty()
        {
            self.leaders.extend(followers.iter().map(|&follower| (follower, *leader)));
            self.followers.insert(*leader, followers.into());
        }
    }

    /// Nobody follows `target` any more, nor those that it follows.
    fn part(&mut self, target: TargetId) -> impl Iterator<Item = TargetId> {
        let leader = self.leaders.get(&target).copied().unwrap_or(target);
        let followers = self.followers.remove(&leader);
        for follower in followers.iter().flat_map(|followers| &**followers) {
            self.leaders.remove(follower);
        }
        let leader = followers.is_some().then_some(leader);
        leader.into_iter().chain(followers.into_iter().flat_map(|all| all.to_vec()))
    }
}

/// The step from the twins of one registry to those of the next.
pub(super) struct Pairing<'a> {
    next: &'a Registry,
    previous: &'a Registry,
    classes: HashMap<&'a Recipe, Class<'a>, FixedState>,
    twins: Arc<Twins>,
    /// Who led or followed before, or does now, where that was looked at; some of them twice.
    moved: Vec<TargetId>,
}

/// All groups with one health check, and where the step changes who is probed by it.
#[derive(Default)]
struct Class<'a> {
    groups: Vec<&'a Arc<Group>>,
    /// Members of all of `groups`.
    members: usize,
    touched: Touched,
}

enum Touched {
    /// Places, each with a member that was probed there or is now.
    Some(Vec<(Endpoint, TargetId)>),
    /// So many that all are looked at.
    All,
}

impl Default for Touched {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

/// One probed member of a group whose health check others have too.
struct Candidate {
    /// Hash of where its probes go.
    hash: u64,
    target: TargetId,
    /// Whether a worker does not probe it by this health check yet.
    is_new: bool,
    endpoint: Endpoint,
}

impl<'a> Pairing<'a> {
    /// The twins of `next`, whose members have their ids and were those of `previous` before, and
    /// all who have become or ceased to be twins (besides some who have not). `rebuilt` are the
    /// places in `next` of groups that are not the very ones of before, `left` are groups that are
    /// gone.
    pub(super) fn step(
        next: &'a Registry,
        previous: &'a Registry,
        rebuilt: &[usize],
        left: &'a [Arc<Group>],
    ) -> (Arc<Twins>, Vec<TargetId>) {
        let (twins, moved) = (Arc::clone(&previous.twins), Vec::new());
        let classes = HashMap::with_hasher(FixedState::default());
        let mut pairing = Self { next, previous, classes, twins, moved };
        for group in &next.groups {
            let class = pairing.classes.entry(&*group.recipe).or_default();
            class.groups.push(group);
            class.members += group.members.len();
        }
        if previous.twins.leaders.is_empty() {
            pairing.classes.retain(|_, class| class.groups.len() > 1);
        }
        for &place in rebuilt {
            let group = &next.groups[place];
            let old = previous.places.named(&group.config.name);
            pairing.compare(old.map(|place| &previous.groups[place]), group);
        }
        for old in left {
            pairing.touch_all(old);
        }
        pairing.settle();
        (pairing.twins, pairing.moved)
    }

    /// Notes where a group is probed now and was not, or was and is not.
    fn compare(&mut self, old: Option<&'a Arc<Group>>, new: &'a Arc<Group>) {
        if !self.may_have_twins(new) && old.is_none_or(|old| !self.may_have_twins(old)) {
            return;
        }
        let Some(old) = old.filter(|old| Arc::ptr_eq(&old.recipe, &new.recipe)) else {
            old.into_iter().chain([new]).for_each(|group| self.touch_all(group));
            return;
        };
        let is_probed = |registry: &Registry, target| {
            registry.home(target).is_some_and(|(group, position)| group.is_probed(position))
        };
        let (next, previous) = (self.next, self.previous);
        let stays = |target: TargetId| next.home(target).is_some();
        for (group, is_new) in [(old, false), (new, true)] {
            for (position, target) in group.members.targets().enumerate() {
                let changed = if is_new {
                    group.is_probed(position) != is_probed(previous, target)
                } else {
                    group.is_probed(position) && !stays(target)
                };
                if changed {
                    self.touch(group, position);
                }
            }
        }
    }

    fn touch_all(&mut self, group: &'a Arc<Group>) {
        if !self.may_have_twins(group) {
            return;
        }
        for position in (0..group.members.len()).filter(|&position| group.is_probed(position)) {
            self.touch(group, position);
        }
    }

    /// Whether a member of `group` can be a twin, or was one: with no twins before, a class of one
    /// group has none now.
    fn may_have_twins(&self, group: &Group) -> bool {
        !self.previous.twins.leaders.is_empty() || self.classes.contains_key(&*group.recipe)
    }

    fn touch(&mut self, group: &'a Arc<Group>, position: usize) {
        if !self.may_have_twins(group) {
            return;
        }
        let class = self.classes.entry(&*group.recipe).or_default();
        if let Touched::Some(places) = &mut class.touched {
            let endpoint = group.recipe.endpoint(group.members.endpoints[position]);
            places.push((endpoint, group.members.target(position)));
            if places.len() * class.groups.len() * 2 > class.members {
                class.touched = Touched::All;
            }
        }
    }

    /// Parts all twins at the places that were touched, and joins those that are there now.
    fn settle(&mut self) {
        let classes = std::mem::take(&mut self.classes);
        for (recipe, class) in &classes {
            match &class.touched {
                Touched::All => self.part_all(recipe),
                Touched::Some(places) => {
                    for &(endpoint, target) in places {
                        let here = class.groups.iter().flat_map(|group| at(group, endpoint));
                        let here: Vec<_> = here.map(|(_, target)| target).collect();
                        here.into_iter().chain([target]).for_each(|target| self.part(target));
                    }
                }
            }
        }
        for class in classes.into_values() {
            match class.touched {
                Touched::All => self.join_all(&class.groups),
                Touched::Some(places) => {
                    let places: HashSet<_> = places.into_iter().map(|(place, _)| place).collect();
                    places.into_iter().for_each(|place| self.join_at(&class.groups, place));
                }
            }
        }
    }

    fn part(&mut self, target: TargetId) {
        if self.twins.leader(target).is_some() || !self.twins.followers(target).is_empty() {
            self.moved.extend(Arc::make_mut(&mut self.twins).part(target));
        }
    }

    /// Parts all twins that had this health check.
    fn part_all(&mut self, recipe: &Recipe) {
        let had_it = |&target: &TargetId| {
            self.previous.home(target).is_some_and(|(group, _)| *group.recipe == *recipe)
        };
        let leaders: Vec<_> = self.twins.followers.keys().copied().filter(had_it).collect();
        leaders.into_iter().for_each(|leader| self.part(leader));
    }

    fn join(&mut self, same: &[TargetId]) {
        if same.len() > 1 {
            self.moved.extend(same);
            Arc::make_mut(&mut self.twins).join(same);
        }
    }

    /// Joins who is probed at `endpoint`: the first of each group.
    fn join_at(&mut self, groups: &[&Arc<Group>], endpoint: Endpoint) {
        let first = |group: &&Arc<Group>| {
            let (_, target) = at(group, endpoint).min_by_key(|&(position, _)| position)?;
            Some((self.is_new(group, target), target))
        };
        let mut same: Vec<_> = groups.iter().filter_map(first).collect();
        // Stable: of those that could lead, the one in the first group does.
        same.sort_by_key(|&(is_new, _)| is_new);
        let same: Vec<_> = same.into_iter().map(|(_, target)| target).collect();
        self.join(&same);
    }

    /// Joins all members of `groups`.
    fn join_all(&mut self, groups: &[&Arc<Group>]) {
        if groups.len() < 2 {
            return;
        }
        let mut candidates = Vec::new();
        for group in groups {
            // Within a group the same place under two names is two targets.
            let may_repeat = group.members.has_ids() || group.recipe.port.is_some();
            let mut own = HashSet::new();
            for position in (0..group.members.len()).filter(|&position| group.is_probed(position)) {
                let target = group.members.target(position);
                let endpoint = group.recipe.endpoint(group.members.endpoints[position]);
                if !may_repeat || own.insert(endpoint) {
                    let hash = FixedState::default().hash_one(endpoint);
                    let is_new = self.is_new(group, target);
                    candidates.push(Candidate { hash, target, is_new, endpoint });
                }
            }
        }
        // Stable, as in `join_at`.
        candidates.sort_by_key(|candidate| (candidate.hash, candidate.endpoint, candidate.is_new));
        let mut same = Vec::new();
        for chunk in candidates.chunk_by(|a, b| (a.hash, a.endpoint) == (b.hash, b.endpoint)) {
            same.clear();
            same.extend(chunk.iter().map(|candidate| candidate.target));
            self.join(&same);
        }
    }

    /// Whether no worker probes `target`, a member of `group`, by the health check of `group` yet.
    fn is_new(&self, group: &Group, target: TargetId) -> bool {
        let old = self.previous.home(target);
        !(old.is_some_and(|(old, _)| Arc::ptr_eq(&old.recipe, &group.recipe))
            && self.previous.is_led(target))
    }
}

/// The members of `group` that are probed at `endpoint`, and their positions.
fn at(group: &Group, endpoint: Endpoint) -> impl Iterator<Item = (u32, TargetId)> {
    let members = &group.members;
    let traffic_port = group.recipe.port.is_none().then_some(endpoint.port());
    let is_there = move |&position: &u32| {
        let position = position as usize;
        group.recipe.endpoint(members.endpoints[position]) == endpoint && group.is_probed(position)
    };
    let there = members.placed(endpoint.ip(), traffic_port).filter(is_there);
    there.map(|position| (position, members.target(position as usize)))
}
