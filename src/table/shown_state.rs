//! The words of the API for a target's state, and which one a member of a group shows.

use super::Reading;
use crate::health::Observed;
use crate::outcome::AwsReason;
use crate::registry::Group;
use std::borrow::Cow;

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

    /// The word of the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
            Self::Unused => "unused",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A shown state with what AWS says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The state.
    pub state: ShownState,
    /// AWS's reason code.
    pub reason: Option<&'static str>,
    /// AWS's description.
    pub description: Option<Cow<'static, str>>,
}

/// What the member at `position` shows, and why.
#[must_use]
pub fn explain(group: &Group, position: usize, reading: &Reading, taken_up: bool) -> Shown {
    let state = shown_state(group, position, reading.verdict.observed);
    let (reason, description): (_, Cow<'static, str>) = match state {
        ShownState::Healthy => return Shown { state, reason: None, description: None },
        ShownState::Unhealthy => {
            let failure = reading.failure;
            let aws = failure.and_then(|failure| failure.code.row().aws);
            let aws = aws.unwrap_or(AwsReason::FailedHealthChecks);
            let status = failure.map_or(0, |failure| failure.status);
            (aws.name(), aws.description(status).into())
        }
        ShownState::Initial if taken_up => {
            ("Elb.InitialHealthChecking", "Initial health checks in progress".into())
        }
        ShownState::Initial => {
            ("Elb.RegistrationInProgress", "Target registration is in progress".into())
        }
        ShownState::Draining => {
            ("Target.DeregistrationInProgress", "Target deregistration is in progress".into())
        }
        ShownState::Unused => (
            "Target.NotInUse",
            "Target group is not configured to receive traffic from the load balancer".into(),
        ),
        ShownState::Unavailable if group.config.health_check.enabled => {
            ("Elb.InternalError", "Health checks failed due to an internal error".into())
        }
        ShownState::Unavailable => {
            ("Target.HealthCheckDisabled", "Health checks are disabled".into())
        }
    };
    Shown { state, reason: Some(reason), description: Some(description) }
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
