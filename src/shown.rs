//! What the API shows of a target: a pure function of registry facts and of what its worker
//! observed (DESIGN 3.2). The first row of the table that applies wins; `Row` holds the rows in
//! their order.
//!
//! Table, API and vendor dialects all ask here, so that no two of them can disagree.

use crate::config::Lifecycle;
use crate::health::Observed;
use crate::outcome::{AwsReason, Class, Outcome};
use crate::registry::Group;
use std::borrow::Cow;

/// The state that the API shows; the discriminant numbers a group's sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "the words of the vendor")]
pub enum State {
    Initial,
    Healthy,
    Unhealthy,
    Draining,
    Unused,
    Unavailable,
}

impl State {
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

    /// The state with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What the registry knows of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// It is in the group; false for one that was asked for by name only.
    pub registered: bool,
    /// It was deregistered, and the deregistration delay is not over.
    pub draining: bool,
    /// Whether it runs.
    pub lifecycle: Lifecycle,
    /// A listener forwards to the group, or the file mentions none at all.
    pub in_use: bool,
    /// A load balancer of the group enables its zone, or it is in every zone.
    pub zone_enabled: bool,
    /// Its weight.
    pub weight: u16,
    /// The group's health checks are on.
    pub checks_enabled: bool,
}

impl Facts {
    /// The facts of the member at `position`.
    #[must_use]
    pub fn of(group: &Group, position: usize) -> Self {
        Self {
            registered: true,
            draining: group.members.drains_until(position).is_some(),
            lifecycle: group.members.lifecycle(position),
            in_use: group.in_use,
            zone_enabled: group.members.zone_enabled(position),
            weight: group.members.weight(position),
            checks_enabled: group.config.health_check.is_on(),
        }
    }

    /// The facts of a target that is not in the group.
    #[must_use]
    pub fn not_registered(group: &Group) -> Self {
        Self {
            registered: false,
            draining: false,
            lifecycle: Lifecycle::Running,
            in_use: group.in_use,
            zone_enabled: true,
            weight: 100,
            checks_enabled: group.config.health_check.is_on(),
        }
    }
}

/// What the worker of a target says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The worker has taken the target up.
    pub taken_up: bool,
    /// The observed state.
    pub observed: Observed,
    /// The last failing outcome, as far as it is known. Any other outcome says nothing here.
    pub outcome: Option<Outcome>,
}

/// State, reason and description, in AWS's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The state.
    pub state: State,
    /// AWS's reason code; none for a healthy target.
    pub reason: Option<&'static str>,
    /// AWS's description; none for a healthy target.
    pub description: Option<Cow<'static, str>>,
}

/// What the API shows of a target.
#[must_use]
pub fn shown(facts: &Facts, seen: &Seen) -> Shown {
    let row = Row::of(facts, seen.taken_up, seen.observed);
    let (reason, description) = row.words(seen.outcome).unzip();
    Shown { state: row.state(), reason, description }
}

/// The state alone, as [`shown`] says it.
#[must_use]
pub fn state(facts: &Facts, taken_up: bool, observed: Observed) -> State {
    Row::of(facts, taken_up, observed).state()
}

/// The rows of DESIGN 3.2, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    NotRegistered,
    Draining,
    Stopped,
    Terminated,
    GroupNotInUse,
    ZoneNotEnabled,
    WeightZero,
    ChecksOff,
    LocalFaults,
    NotTakenUp,
    Undecided,
    Unhealthy,
    Healthy,
}

impl Row {
    /// The first row that applies.
    fn of(facts: &Facts, taken_up: bool, observed: Observed) -> Self {
        if !facts.registered {
            return Self::NotRegistered;
        }
        if facts.draining {
            return Self::Draining;
        }
        match facts.lifecycle {
            Lifecycle::Stopped => return Self::Stopped,
            Lifecycle::Terminated => return Self::Terminated,
            Lifecycle::Running => {}
        }
        if !facts.in_use {
            return Self::GroupNotInUse;
        }
        if !facts.zone_enabled {
            return Self::ZoneNotEnabled;
        }
        if facts.weight == 0 {
            return Self::WeightZero;
        }
        if !facts.checks_enabled {
            return Self::ChecksOff;
        }
        match observed {
            Observed::Unavailable => Self::LocalFaults,
            Observed::Initial | Observed::Healthy | Observed::Unhealthy if !taken_up => {
                Self::NotTakenUp
            }
            Observed::Initial => Self::Undecided,
            Observed::Unhealthy => Self::Unhealthy,
            Observed::Healthy => Self::Healthy,
        }
    }

    const fn state(self) -> State {
        match self {
            Self::NotRegistered
            | Self::Stopped
            | Self::Terminated
            | Self::GroupNotInUse
            | Self::ZoneNotEnabled
            | Self::WeightZero => State::Unused,
            Self::Draining => State::Draining,
            Self::ChecksOff | Self::LocalFaults => State::Unavailable,
            Self::NotTakenUp | Self::Undecided => State::Initial,
            Self::Unhealthy => State::Unhealthy,
            Self::Healthy => State::Healthy,
        }
    }

    /// Reason and description.
    fn words(self, outcome: Option<Outcome>) -> Option<(&'static str, Cow<'static, str>)> {
        let (reason, description) = match self {
            Self::NotRegistered => {
                ("Target.NotRegistered", "Target is not registered to the target group")
            }
            Self::Draining => {
                ("Target.DeregistrationInProgress", "Target deregistration is in progress")
            }
            Self::Stopped => ("Target.InvalidState", "Target is in the stopped state"),
            Self::Terminated => ("Target.InvalidState", "Target is in the terminated state"),
            Self::GroupNotInUse => (
                "Target.NotInUse",
                "Target group is not configured to receive traffic from the load balancer",
            ),
            Self::ZoneNotEnabled => (
                "Target.NotInUse",
                "Target is in an Availability Zone that is not enabled for the load balancer",
            ),
            Self::WeightZero => ("Target.NotInUse", "Target has weight 0"),
            Self::ChecksOff => ("Target.HealthCheckDisabled", "Health checks are disabled"),
            Self::LocalFaults => {
                return Some(reason_words(AwsReason::InternalError, 0));
            }
            Self::NotTakenUp => {
                ("Elb.RegistrationInProgress", "Target registration is in progress")
            }
            Self::Undecided => ("Elb.InitialHealthChecking", "Initial health checks in progress"),
            Self::Unhealthy => return Some(failure_words(outcome)),
            Self::Healthy => return None,
        };
        Some((reason, Cow::Borrowed(description)))
    }
}

/// Reason and description of an unhealthy target. Where the failing outcome is not known any more
/// (a pass or a local fault came after it, or a restart), what holds of every failure.
fn failure_words(outcome: Option<Outcome>) -> (&'static str, Cow<'static, str>) {
    let failing = outcome.filter(|outcome| outcome.class() == Class::Fail);
    let reason = failing.and_then(|outcome| outcome.code.row().aws);
    let status = failing.map_or(0, |outcome| outcome.status);
    reason_words(reason.unwrap_or(AwsReason::FailedHealthChecks), status)
}

fn reason_words(reason: AwsReason, status: u16) -> (&'static str, Cow<'static, str>) {
    (reason.name(), reason.description(status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Code;

    const FACTS: Facts = Facts {
        registered: true,
        draining: false,
        lifecycle: Lifecycle::Running,
        in_use: true,
        zone_enabled: true,
        weight: 100,
        checks_enabled: true,
    };

    fn seen(observed: Observed) -> Seen {
        Seen { taken_up: true, observed, outcome: None }
    }

    fn check(facts: Facts, seen: Seen, state: State, reason: &str, description: &str) {
        let shown = shown(&facts, &seen);
        assert_eq!(shown.state, state);
        assert_eq!(shown.reason.unwrap_or(""), reason);
        assert_eq!(shown.description.as_deref().unwrap_or(""), description);
        assert_eq!(super::state(&facts, seen.taken_up, seen.observed), state);
    }

    /// For facts that decide whatever was observed.
    fn check_facts(facts: Facts, state: State, reason: &str, description: &str) {
        for observed in Observed::ALL {
            check(facts, seen(observed), state, reason, description);
        }
    }

    #[test]
    fn not_registered() {
        let text = "Target is not registered to the target group";
        let facts = Facts { registered: false, ..FACTS };
        check_facts(facts, State::Unused, "Target.NotRegistered", text);
    }

    #[test]
    fn draining() {
        let text = "Target deregistration is in progress";
        let facts = Facts { draining: true, ..FACTS };
        check_facts(facts, State::Draining, "Target.DeregistrationInProgress", text);
    }

    #[test]
    fn stopped_or_terminated() {
        let facts = Facts { lifecycle: Lifecycle::Stopped, ..FACTS };
        let text = "Target is in the stopped state";
        check_facts(facts, State::Unused, "Target.InvalidState", text);
        let facts = Facts { lifecycle: Lifecycle::Terminated, ..FACTS };
        let text = "Target is in the terminated state";
        check_facts(facts, State::Unused, "Target.InvalidState", text);
    }

    #[test]
    fn group_not_in_use() {
        let text = "Target group is not configured to receive traffic from the load balancer";
        let facts = Facts { in_use: false, ..FACTS };
        check_facts(facts, State::Unused, "Target.NotInUse", text);
    }

    #[test]
    fn zone_not_enabled() {
        let text = "Target is in an Availability Zone that is not enabled for the load balancer";
        let facts = Facts { zone_enabled: false, ..FACTS };
        check_facts(facts, State::Unused, "Target.NotInUse", text);
    }

    #[test]
    fn weight_zero() {
        let facts = Facts { weight: 0, ..FACTS };
        check_facts(facts, State::Unused, "Target.NotInUse", "Target has weight 0");
    }

    #[test]
    fn checks_off() {
        let text = "Health checks are disabled";
        let facts = Facts { checks_enabled: false, ..FACTS };
        check_facts(facts, State::Unavailable, "Target.HealthCheckDisabled", text);
    }

    #[test]
    fn local_faults() {
        let text = "Health checks failed due to an internal error";
        let mut seen = seen(Observed::Unavailable);
        check(FACTS, seen, State::Unavailable, "Elb.InternalError", text);
        seen.taken_up = false;
        check(FACTS, seen, State::Unavailable, "Elb.InternalError", text);
    }

    #[test]
    fn not_taken_up() {
        let text = "Target registration is in progress";
        for observed in [Observed::Initial, Observed::Healthy, Observed::Unhealthy] {
            let seen = Seen { taken_up: false, ..seen(observed) };
            check(FACTS, seen, State::Initial, "Elb.RegistrationInProgress", text);
        }
    }

    #[test]
    fn no_decision_yet() {
        let text = "Initial health checks in progress";
        let mut seen = seen(Observed::Initial);
        check(FACTS, seen, State::Initial, "Elb.InitialHealthChecking", text);
        seen.outcome = Some(Outcome::plain(Code::L4Con));
        check(FACTS, seen, State::Initial, "Elb.InitialHealthChecking", text);
    }

    #[test]
    fn unhealthy_by_the_last_failing_outcome() {
        let (failed, timeout) = ("Health checks failed", "Request timed out");
        let mismatch = "Health checks failed with these codes: [503]";
        let cases = [
            (Some(Code::L4Tout), "Target.Timeout", timeout),
            (Some(Code::L4Con), "Target.FailedHealthChecks", failed),
            (Some(Code::L6Tout), "Target.Timeout", timeout),
            (Some(Code::L6Rsp), "Target.FailedHealthChecks", failed),
            (Some(Code::L7Tout), "Target.Timeout", timeout),
            (Some(Code::L7Cut), "Target.FailedHealthChecks", failed),
            (Some(Code::L7Rsp), "Target.FailedHealthChecks", failed),
            (Some(Code::L7Sts), "Target.ResponseCodeMismatch", mismatch),
            // Not known any more.
            (None, "Target.FailedHealthChecks", failed),
            (Some(Code::L4Ok), "Target.FailedHealthChecks", failed),
            (Some(Code::SockErr), "Target.FailedHealthChecks", failed),
        ];
        for (code, reason, text) in cases {
            let outcome = code.map(|code| Outcome { status: 503, ..Outcome::plain(code) });
            let seen = Seen { outcome, ..seen(Observed::Unhealthy) };
            check(FACTS, seen, State::Unhealthy, reason, text);
        }
    }

    #[test]
    fn healthy_has_no_reason() {
        let outcome = Some(Outcome::plain(Code::L4Con));
        check(FACTS, Seen { outcome, ..seen(Observed::Healthy) }, State::Healthy, "", "");
    }

    #[test]
    fn states_have_names() {
        for (index, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, index);
            assert_eq!(State::from_name(state.name()), Some(state));
        }
        assert_eq!(State::from_name("Healthy"), None);
    }

    /// All facts with all observations, against the table written down as a list.
    #[test]
    fn the_first_row_that_applies_wins() {
        let mut combinations = 0;
        for bits in 0..1_u32 << 6 {
            let bit = |index: u32| bits >> index & 1 == 1;
            for lifecycle in [Lifecycle::Running, Lifecycle::Stopped, Lifecycle::Terminated] {
                for observed in Observed::ALL {
                    for taken_up in [false, true] {
                        let facts = Facts {
                            registered: bit(0),
                            draining: bit(1),
                            lifecycle,
                            in_use: bit(2),
                            zone_enabled: bit(3),
                            weight: u16::from(bit(4)),
                            checks_enabled: bit(5),
                        };
                        let seen = Seen { taken_up, observed, outcome: None };
                        let shown = shown(&facts, &seen);
                        assert_eq!((shown.state, shown.reason), naive(&facts, &seen));
                        assert_eq!(shown.reason.is_some(), shown.description.is_some());
                        combinations += 1;
                    }
                }
            }
        }
        assert_eq!(combinations, 64 * 3 * 4 * 2);
    }

    fn naive(facts: &Facts, seen: &Seen) -> (State, Option<&'static str>) {
        let rows = [
            (!facts.registered, State::Unused, "Target.NotRegistered"),
            (facts.draining, State::Draining, "Target.DeregistrationInProgress"),
            (facts.lifecycle != Lifecycle::Running, State::Unused, "Target.InvalidState"),
            (!facts.in_use, State::Unused, "Target.NotInUse"),
            (!facts.zone_enabled, State::Unused, "Target.NotInUse"),
            (facts.weight == 0, State::Unused, "Target.NotInUse"),
            (!facts.checks_enabled, State::Unavailable, "Target.HealthCheckDisabled"),
            (seen.observed == Observed::Unavailable, State::Unavailable, "Elb.InternalError"),
            (!seen.taken_up, State::Initial, "Elb.RegistrationInProgress"),
            (seen.observed == Observed::Initial, State::Initial, "Elb.InitialHealthChecking"),
            (seen.observed == Observed::Unhealthy, State::Unhealthy, "Target.FailedHealthChecks"),
        ];
        rows.into_iter()
            .find(|&(applies, ..)| applies)
            .map_or((State::Healthy, None), |(_, state, reason)| (state, Some(reason)))
    }
}
