//! Groups that ask for `handshake = "raw"`, and whether this process may do it.
//!
//! Asked before a group is taken in, at the start, at a reload and at an edit, so that nobody has
//! to learn it from a thousand targets that are unavailable.

pub use crate::io::raw::{CannotScan, may_scan};

use super::Plan;
use crate::config::GroupConfig;

/// The first of `groups` that asks for it.
pub fn asked<'a>(groups: impl IntoIterator<Item = &'a GroupConfig>) -> Option<&'a GroupConfig> {
    let check = |group: &GroupConfig| group.health_check.enabled && group.health_check.is_raw();
    groups.into_iter().find(|group| check(group))
}

/// An error where one of `groups` asks for what this process may not do, or has no files for: one
/// line, `what, where; cure`.
///
/// # Errors
/// With the first such group.
pub fn refuse<'a>(
    groups: impl IntoIterator<Item = &'a GroupConfig>,
    plan: &Plan,
) -> Result<(), String> {
    let Some(group) = asked(groups) else { return Ok(()) };
    may_scan()
        .and_then(|()| plan.room_to_scan())
        .map_err(|CannotScan { what, cure }| format!("{what}, group '{}'; {cure}", group.name))
}
