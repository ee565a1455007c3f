//! The observed health of one target: consecutive outcomes in, state out (DESIGN 3.2).
//!
//! Pure and four bytes small; its worker is the only writer. Local faults leave the streak untouched
//! and, when they persist, hide the state behind `Unavailable` until the next real outcome, which goes
//! on from the state before.

use crate::outcome::Class;

/// What a worker says of a target. Whether that is what the API shows is decided in `shown`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Observed {
    /// No decision yet.
    #[default]
    Initial,
    /// Passed.
    Healthy,
    /// Failed often enough.
    Unhealthy,
    /// We do not know, by our own fault.
    Unavailable,
}

impl Observed {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 4] = [Self::Initial, Self::Healthy, Self::Unhealthy, Self::Unavailable];

    /// The word of the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Consecutive passes and failures that change the state; both at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Passes that make an unhealthy target healthy.
    pub healthy: u8,
    /// Failures that make a target unhealthy.
    pub unhealthy: u8,
}

/// A change of the observed state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: Observed,
    /// The state now; never equal to `from`.
    pub to: Observed,
}

/// The state of one target. Invariants: `base` is never `Unavailable`; `streak` is positive after
/// passes, negative after failures, and saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    base: Observed,
    /// Consecutive local faults, saturating.
    faults: u8,
    streak: i16,
    // `Unavailable` is derived: faults >= the threshold at the time of the last observation.
    unavailable: bool,
}

impl Health {
    /// The state after `state` was remembered from before; `Unavailable` resumes as `Initial`.
    #[must_use]
    pub const fn resumed(state: Observed) -> Self {
        let base = match state {
            Observed::Unavailable => Observed::Initial,
            Observed::Initial | Observed::Healthy | Observed::Unhealthy => state,
        };
        Self { base, faults: 0, streak: 0, unavailable: false }
    }

    /// The state now.
    #[must_use]
    pub const fn observed(self) -> Observed {
        if self.unavailable { Observed::Unavailable } else { self.base }
    }

    /// Consecutive passes (positive) or failures (negative), saturating.
    #[must_use]
    pub const fn streak(self) -> i16 {
        self.streak
    }

    /// Starts the streak anew and keeps the state: the settings have changed (DESIGN 3.1).
    pub const fn restart_streak(&mut self) {
        self.streak = 0;
        self.faults = 0;
    }

    /// Takes one outcome in; says what changed, if anything did.
    pub fn observe(&mut self, class: Class, thresholds: Thresholds) -> Option<Transition> {
        let from = self.observed();
        match class {
            Class::LocalFault => {
                self.faults = self.faults.saturating_add(1);
                self.unavailable |= self.faults >= thresholds.unhealthy;
            }
            Class::Pass => {
                self.decided();
                self.streak = self.streak.max(0).saturating_add(1);
                let enough = self.streak >= i16::from(thresholds.healthy);
                if self.base == Observed::Initial || enough {
                    self.base = Observed::Healthy;
                }
            }
            Class::Fail => {
                self.decided();
                self.streak = self.streak.min(0).saturating_sub(1);
                if -self.streak >= i16::from(thresholds.unhealthy) {
                    self.base = Observed::Unhealthy;
                }
            }
        }
        let to = self.observed();
        (from != to).then_some(Transition { from, to })
    }

    const fn decided(&mut self) {
        self.faults = 0;
        self.unavailable = false;
    }
}
