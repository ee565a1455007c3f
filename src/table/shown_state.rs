//! What a member of a group shows, asked with what the table knows; the rule itself stands in
//! [`crate::shown`].

use super::Reading;
use crate::health::Observed;
use crate::outcome::{Detail, Outcome};
use crate::registry::Group;
use crate::shown::{self, Facts, Seen};

pub use crate::shown::{Shown, State as ShownState};

/// What the member at `position` shows, and why.
#[must_use]
pub fn explain(group: &Group, position: usize, reading: &Reading, taken_up: bool) -> Shown {
    let outcome = reading.failure.map(|failure| Outcome {
        code: failure.code,
        status: failure.status,
        detail: Detail::None,
    });
    let seen = Seen { taken_up, observed: reading.verdict.observed, outcome };
    shown::shown(&Facts::of(group, position), &seen)
}

/// What a target shows that was asked for by name and is not in `group`.
#[must_use]
pub fn explain_absent(group: &Group) -> Shown {
    let seen = Seen { taken_up: true, observed: Observed::Initial, outcome: None };
    shown::shown(&Facts::not_registered(group), &seen)
}

/// What the member at `position` shows when its worker says `observed`.
#[must_use]
pub fn shown_state(group: &Group, position: usize, observed: Observed) -> ShownState {
    shown::state(&Facts::of(group, position), true, observed)
}
