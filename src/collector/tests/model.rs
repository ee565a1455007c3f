//! The collector against a model that knows targets by name and has no ids, sets or places: edits,
//! twins, draining and reports, late ones too, in any order.

use super::*;
use crate::registry::{Next, Plan};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    /// Makes the group, or deletes it where it is there.
    Toggle(usize),
    Register(usize, Vec<(u32, u16)>),
    Deregister(usize, Vec<u32>),
    Interval(usize, u64),
    Wait(u64),
    /// Id, state, code.
    Report(u32, usize, usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let group = || 0..3_usize;
    let weight = prop_oneof![3 => Just(100_u16), 1 => Just(0)];
    let weighted = prop::collection::vec((10..16_u32, weight), 1..6);
    let names = prop::collection::vec(10..16_u32, 1..3);
    prop_oneof![
        1 => group().prop_map(Step::Toggle),
        6 => (group(), weighted).prop_map(|(group, targets)| Step::Register(group, targets)),
        4 => (group(), names).prop_map(|(group, names)| Step::Deregister(group, names)),
        2 => (group(), 1..3_u64).prop_map(|(group, seconds)| Step::Interval(group, seconds)),
        2 => (1..3_000_u64).prop_map(Step::Wait),
        25 => (0..24_u32, 0..4_usize, 0..12_usize)
            .prop_map(|(id, state, code)| Step::Report(id, state, code)),
    ]
}

/// Settings of a group whose targets drain for two seconds, probed every ten or twenty.
fn settings(index: usize, seconds: u64) -> GroupConfig {
    let mut group = group_config(index, &[], true);
    group.deregistration_delay = Duration::from_secs(2);
    group.health_check.interval = Duration::from_secs(seconds * 10);
    group
}

/// The registry after `registry` that `step` makes, if it makes one.
fn next(registry: &Registry, step: &Step, ids: &mut IdAllocator, now: Instant) -> Option<Registry> {
    let at = |group: usize| registry.places.named(&format!("g{group}"));
    let (new, changed, mut register, deregister);
    let mut plan = Plan::keep(registry);
    match *step {
        Step::Toggle(group) => {
            new = settings(group, 1);
            match at(group) {
                Some(place) => drop(plan.groups.remove(place)),
                None => plan.groups.push(Next::Whole(&new)),
            }
        }
        Step::Register(group, ref targets) => {
            let names: BTreeMap<u32, u16> = targets.iter().copied().collect();
            let place = at(group)?;
            let keys: Vec<u32> = names.keys().copied().collect();
            register = group_config(group, &keys, true).targets;
            for (target, &weight) in register.iter_mut().zip(names.values()) {
                target.weight = Some(weight);
            }
            let group = &registry.groups[place];
            plan.groups[place] =
                Next::Edited { group, settings: None, register: &register, deregister: &[] };
        }
        Step::Deregister(group, ref names) => {
            let place = at(group)?;
            let group = &registry.groups[place];
            let leaves = |&position: &usize| {
                let address = group.members.endpoints[position].ip();
                let is_it = |&name: &u32| address == std::net::Ipv4Addr::from(0x7F00_0000 + name);
                names.iter().any(is_it) && group.members.drains_until(position).is_none()
            };
            let leaving = (0..group.members.len()).filter(leaves);
            deregister = leaving.map(|at| u32::try_from(at).unwrap()).collect::<Vec<_>>();
            plan.groups[place] =
                Next::Edited { group, settings: None, register: &[], deregister: &deregister };
        }
        Step::Interval(group, seconds) => {
            let place = at(group)?;
            changed = settings(group, seconds);
            let group = &registry.groups[place];
            let settings = Some(&changed);
            plan.groups[place] = Next::Edited { group, settings, register: &[], deregister: &[] };
        }
        Step::Wait(_) => return Some(registry.expire(ids, now).0),
        Step::Report(..) => return None,
    }
    Some(registry.next(&plan, ids, now).0)
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Known {
    observed: Observed,
    code: Option<Code>,
    since: Moment,
}

/// By group and endpoint.
type Model = BTreeMap<(String, Endpoint), Known>;

fn key(registry: &Registry, target: TargetId) -> Option<(String, Endpoint)> {
    let (group, position) = registry.home(target)?;
    Some((group.config.name.clone(), group.members.endpoints[position]))
}

/// What is known when `new` takes the place of `old`.
fn installed(model: &Model, old: &Registry, new: &Registry, now: Instant) -> Model {
    let mut next = Model::new();
    for group in &new.groups {
        for (position, target) in group.members.targets().enumerate() {
            let place = (group.config.name.clone(), group.members.endpoints[position]);
            let before = old.group(&place.0).and_then(|old| {
                let found = old.members.endpoints.iter().position(|&other| other == place.1);
                Some((old, found?))
            });
            let mut known = match before {
                Some((old, at)) if old.is_probed(at) || !group.is_probed(position) => model[&place],
                Some(_) | None => {
                    let leader = new.twins.leader(target).filter(|&leader| old.is_led(leader));
                    let initial =
                        Known { observed: Observed::Initial, code: None, since: now.into() };
                    leader.and_then(|leader| key(old, leader)).map_or(initial, |l| model[&l])
                }
            };
            let shows = |group, at| shown_state(group, at, known.observed);
            if before.is_none_or(|(old, at)| shows(old, at) != shows(group, position)) {
                known.since = now.into();
            }
            assert!(next.insert(place, known).is_none());
        }
    }
    next
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn edits_and_reports_in_any_order(steps in prop::collection::vec(any_step(), 1..150)) {
        let mut ids = IdAllocator::default();
        let mut registry = Arc::new(Registry::default());
        let table = Arc::new(StateTable::new(10_000, Instant::ZERO));
        let mut collector = Collector::new(Arc::clone(&table), 1, Instant::ZERO);
        let (mut model, mut transitions, mut at_ms) = (Model::new(), 0, 0);
        let first = [Step::Toggle(0), Step::Toggle(1), Step::Toggle(2)];
        for step in first.into_iter().chain(steps) {
            at_ms += if let Step::Wait(ms) = step { ms } else { 1 };
            let now = Instant::from_millis(at_ms);
            if let Some(next) = next(&registry, &step, &mut ids, now) {
                model = installed(&model, &registry, &next, now);
                registry = Arc::new(next);
                collector.install(Arc::clone(&registry), now).unwrap();
                ids.release(registry.revision);
            }
            if let Step::Report(id, state, code) = step {
                let (observed, code) = (STATES[state], Code::from_index(code).unwrap());
                let followers = registry.twins.followers(TargetId(id)).iter().copied();
                for target in [TargetId(id)].into_iter().chain(followers) {
                    let Some((group, position)) = registry.home(target) else { continue };
                    let known = model.get_mut(&key(&registry, target).unwrap()).unwrap();
                    if known.observed == observed {
                        known.code = Some(code);
                    } else if group.is_probed(position) {
                        *known = Known { observed, code: Some(code), since: now.into() };
                        transitions += 1;
                    }
                }
                collector.apply(batch(0, 1, vec![report(id, at_ms, observed, code)]), now);
            }
            assert_sets_fit(&table);
        }
        for (place, known) in &model {
            let group = registry.group(&place.0).unwrap();
            let position = group.members.endpoints.iter().position(|&e| e == place.1).unwrap();
            let verdict = table.verdict(group.members.target(position));
            let Verdict { observed, outcome, since } = verdict;
            let code = outcome.map(|outcome| outcome.code);
            prop_assert_eq!(*known, Known { observed, code, since }, "{:?}", place);
        }
        prop_assert_eq!(registry.target_count(), model.len());
        prop_assert_eq!(table.history().newest(), transitions);
    }
}
