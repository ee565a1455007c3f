//! The words of the API for a target's state, and which one a member of a group shows.

use crate::health::Observed;
use crate::registry::Group;

/// What the API says of a target (DESIGN 3.2); the discriminant numbers the group's sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the words of the vendor")]
pub enum ShownState {
    Initial,
    Healthy,
    Unhealthy,
    Draining,
    Unused,
    Unavailable,
}

impl ShownState {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 6] = [
        Self::Initial,
        Self::Healthy,
        Self::Unhealthy,
        Self::Draining,
        Self::Unused,
        Self::Unavailable,
    ];
}

/// What the member at `position` shows when its worker says `observed`.
#[must_use]
pub fn shown_state(group: &Group, position: usize, observed: Observed) -> ShownState {
    if !group.is_probed(position) {
        let disabled = group.in_use && !group.config.health_check.enabled;
        return if disabled { ShownState::Unavailable } else { ShownState::Unused };
    }
    match observed {
        Observed::Initial => ShownState::Initial,
        Observed::Healthy => ShownState::Healthy,
        Observed::Unhealthy => ShownState::Unhealthy,
        Observed::Unavailable => ShownState::Unavailable,
    }
}
