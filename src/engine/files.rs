//! The PEM files of groups that were made through the API. They are read when a group is made or
//! changed, at the start, and at each reload; a group whose files cannot be read any more is held
//! back: it is there, and its targets are not probed until a reload finds the files.

use crate::config::{GroupConfig, GroupSpec};
use crate::registry::{Next, Plan, Registry};
use std::collections::HashMap;

/// Says that `group` is held back, if it is.
pub(super) fn say_if_held_back(group: &GroupConfig) {
    if let Some(why) = group.health_check.held_back() {
        tracing::error!(
            group = group.name,
            "the targets of this group are not probed: {why}; then reload"
        );
    }
}

/// The groups of the API whose files are not as they were when they were read last, by name.
pub(super) fn changed(registry: &Registry) -> HashMap<String, GroupConfig> {
    let groups = registry.groups.iter().filter(|group| !group.is_of_file());
    groups.filter_map(|group| next(&group.config)).map(|next| (next.name.clone(), next)).collect()
}

/// Puts what is `changed` into `plan`.
pub(super) fn put_in<'a>(changed: &'a HashMap<String, GroupConfig>, plan: &mut Plan<'a>) {
    for next in &mut plan.groups {
        if let Next::Keep(group) = *next
            && let Some(settings) = changed.get(&group.config.name)
        {
            let settings = Some(settings);
            *next = Next::Edited { group, settings, register: &[], deregister: &[] };
        }
    }
}

/// What `group` is with its files as they are now, if that is another. One whose files were read
/// once goes on with what was read.
fn next(group: &GroupConfig) -> Option<GroupConfig> {
    if !group.health_check.has_files() {
        return None;
    }
    let (name, id, origin) = (&group.name, group.id.clone(), group.origin.clone());
    match GroupSpec::of(group).build(name, id, origin) {
        Ok(next) => (next.health_check != group.health_check)
            .then(|| GroupConfig { targets_files: group.targets_files.clone(), ..next }),
        Err(why) => {
            let held_back = group.health_check.held_back().is_some();
            let so = if held_back { "are not probed" } else { "are probed as before" };
            tracing::error!(group = group.name, "the targets of this group {so}: {why}");
            None
        }
    }
}
