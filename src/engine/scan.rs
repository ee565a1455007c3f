//! Groups that ask for `handshake = "raw"`, and whether this process may do it.
//!
//! Asked before a group is taken in, at the start, at a reload and at an edit, so that nobody has
//! to learn it from a thousand targets that are unavailable.

pub use crate::io::raw::{CannotScan, may_scan};

use crate::config::GroupConfig;
use crate::recipe::Handshake;

/// An error where one of `groups` asks for what this process may not do: one line, `what, where;
/// cure`.
///
/// # Errors
/// With the first such group.
pub fn refuse<'a>(groups: impl IntoIterator<Item = &'a GroupConfig>) -> Result<(), String> {
    let asks = |group: &&GroupConfig| {
        group.health_check.enabled && group.health_check.handshake == Handshake::Raw
    };
    let Some(group) = groups.into_iter().find(asks) else { return Ok(()) };
    may_scan()
        .map_err(|CannotScan { what, cure }| format!("{what}, group '{}'; {cure}", group.name))
}
