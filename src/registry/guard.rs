//! The guard against a reload that would empty a group by mistake: a truncated file, a failed
//! export (DESIGN 5.1, 5.5).

use super::{Members, Registry, matching};
use crate::config::{Config, GroupConfig};
use crate::limits::MASS_REMOVAL_TARGETS;
use std::collections::HashMap;
use thiserror::Error;

/// A reload that is refused unless it is forced.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "reload would remove {removed} of {total} targets, group {group:?}; \
     if that is meant, run 'ringcheck reload --force'"
)]
pub struct Refusal {
    /// Name of the first group that would lose too much.
    pub group: String,
    /// Targets that it would lose.
    pub removed: usize,
    /// Targets that it has.
    pub total: usize,
}

/// Refuses `new` if a group of 100 targets or more would lose more than half of them, or be gone.
pub fn mass_removal(old: &Registry, new: &Config) -> Result<(), Refusal> {
    let groups: HashMap<&str, &GroupConfig> =
        new.groups.iter().map(|group| (group.name.as_str(), group)).collect();
    for old in old.groups.iter().filter(|group| group.is_of_file()) {
        let total = old.members.registered();
        if total < MASS_REMOVAL_TARGETS {
            continue;
        }
        let kept = groups.get(old.config.name.as_str()).map_or(0, |new| kept(&old.members, new));
        let removed = total - kept;
        if removed * 2 > total {
            return Err(Refusal { group: old.config.name.clone(), removed, total });
        }
    }
    Ok(())
}

/// How many registered targets of `old` are in `new`.
fn kept(old: &Members, new: &GroupConfig) -> usize {
    let is_registered = |&position: &u32| old.drains_until(position as usize).is_none();
    matching::positions(old, &new.targets).into_iter().flatten().filter(is_registered).count()
}
