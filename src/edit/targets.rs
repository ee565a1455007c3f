//! Edits of a group's targets: register, deregister, mark.

use super::judge::{Case, Judged};
use super::{EditError, Mark, Unknown};
use crate::config::{TargetConfig, TargetName};
use crate::registry::{Group, Members};
use std::collections::{BTreeMap, BTreeSet, HashSet};

pub(super) fn register(
    case: Case<'_>,
    group: &str,
    mut targets: Vec<TargetConfig>,
) -> Result<Judged, EditError> {
    let (place, group) = case.group(group)?;
    let members = &group.members;
    let known = |target: &TargetConfig| {
        let position = members.find(&id_of(target), Some(target.endpoint.port()))?;
        Some((position, members.config(position)))
    };
    let mut fresh = 0;
    targets.retain(|target| match known(target) {
        Some((position, old)) => {
            let drains = members.drains_until(position).is_some();
            drains || old != TargetConfig { weight: target.weight.or(Some(100)), ..target.clone() }
        }
        None => {
            fresh += 1;
            true
        }
    });
    if targets.is_empty() {
        return Ok(case.unchanged());
    }
    let limit = case.judge.targets_max;
    if case.registry.target_count() + fresh > limit {
        return Err(EditError::TooMany { what: "targets", limit });
    }
    let touched = targets.iter().map(name_of).collect();
    Ok(case.edit_targets(place, &targets, &[], touched))
}

pub(super) fn deregister(
    case: Case<'_>,
    group: &str,
    targets: &[TargetName],
    unknown: Unknown,
) -> Result<Judged, EditError> {
    let (place, group) = case.group(group)?;
    let mut leaving = BTreeSet::new();
    // A name without a port may mean very many, and may come very often, in many spellings.
    let mut seen = HashSet::new();
    for target in targets {
        let found = positions(&group.members, target);
        let Some(first) = found.clone().next() else {
            match unknown {
                Unknown::Refuse => return Err(unknown_target(group, target)),
                Unknown::Ignore => continue,
            }
        };
        if !seen.insert((first, found.len())) {
            continue;
        }
        // Who drains already has been deregistered: asking again is no error.
        let drains = |at: u32| group.members.drains_until(at as usize).is_some();
        leaving.extend(found.filter(|&at| !drains(at)));
    }
    if leaving.is_empty() {
        return Ok(case.unchanged());
    }
    let leaving: Vec<u32> = leaving.into_iter().collect();
    let name = |&at: &u32| name_of(&group.members.config(at as usize));
    let touched = leaving.iter().map(name).collect();
    Ok(case.edit_targets(place, &[], &leaving, touched))
}

pub(super) fn mark(case: Case<'_>, group: &str, marks: &[Mark]) -> Result<Judged, EditError> {
    let (place, group) = case.group(group)?;
    let members = &group.members;
    let mut marked: BTreeMap<u32, TargetConfig> = BTreeMap::new();
    for Mark { target, lifecycle, weight } in marks {
        let registered = |&at: &u32| members.drains_until(at as usize).is_none();
        let mut found = positions(members, target).filter(registered).peekable();
        if found.peek().is_none() {
            return Err(unknown_target(group, target));
        }
        for at in found {
            let config = marked.entry(at).or_insert_with(|| members.config(at as usize));
            config.lifecycle = lifecycle.unwrap_or(config.lifecycle);
            config.weight = weight.or(config.weight);
        }
    }
    marked.retain(|&at, config| members.config(at as usize) != *config);
    let targets: Vec<_> = marked.into_values().collect();
    if targets.is_empty() {
        return Ok(case.unchanged());
    }
    let touched = targets.iter().map(name_of).collect();
    Ok(case.edit_targets(place, &targets, &[], touched))
}

/// The positions of all members that `name` means, by port.
fn positions<'a>(
    members: &'a Members,
    name: &TargetName,
) -> impl ExactSizeIterator<Item = u32> + Clone + 'a {
    members.find_all(&name.id, name.port)
}

fn unknown_target(group: &Group, name: &TargetName) -> EditError {
    let port = name.port.map(|port| format!(":{port}")).unwrap_or_default();
    let (group, target) = (group.config.name.clone(), format!("{}{port}", name.id));
    EditError::UnknownTarget { group, target }
}

fn id_of(target: &TargetConfig) -> Box<str> {
    target.id.clone().unwrap_or_else(|| target.endpoint.ip().to_string().into())
}

fn name_of(target: &TargetConfig) -> TargetName {
    TargetName { id: id_of(target), port: Some(target.endpoint.port()) }
}
