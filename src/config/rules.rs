//! The rule sets (DESIGN 3.1): what each of them allows of each setting. Source of `classic`: the
//! AWS Network Load Balancer guide of 2017-18; of `current`: the ELBv2 API today.

use super::duration;
use super::error::ConfigError;
use super::file::Setting;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Rule set of a group (DESIGN 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rules {
    /// The seed document.
    #[default]
    Classic,
    /// AWS today.
    Current,
    /// Whatever the engine can do.
    Free,
}

/// What a rule set allows of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Allowed<T> {
    /// These values only.
    OneOf(Vec<T>),
    /// Everything from first to last.
    Range(RangeInclusive<T>),
}

impl Rules {
    /// The word of the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Current => "current",
            Self::Free => "free",
        }
    }

    pub(super) fn interval(self) -> Allowed<Duration> {
        match self {
            Self::Classic => Allowed::OneOf(vec![seconds(10), seconds(30)]),
            Self::Current => Allowed::Range(seconds(5)..=seconds(300)),
            Self::Free => Allowed::Range(Duration::from_millis(100)..=seconds(24 * 3_600)),
        }
    }

    /// `default` is that of the protocol.
    pub(super) fn timeout(self, default: Duration) -> Allowed<Duration> {
        match self {
            Self::Classic => Allowed::OneOf(vec![default]),
            Self::Current => Allowed::Range(seconds(2)..=seconds(120)),
            Self::Free => Allowed::Range(Duration::from_millis(10)..=seconds(300)),
        }
    }

    pub(super) const fn threshold(self) -> Allowed<u8> {
        match self {
            Self::Classic | Self::Current => Allowed::Range(2..=10),
            Self::Free => Allowed::Range(1..=100),
        }
    }

    /// Defaults of healthy_threshold and unhealthy_threshold.
    pub(super) const fn thresholds(self) -> (u8, u8) {
        match self {
            Self::Classic | Self::Free => (3, 3),
            Self::Current => (5, 2),
        }
    }

    /// The statuses that a matcher may name; in `classic` it must name exactly these.
    pub(super) const fn statuses(self) -> RangeInclusive<u16> {
        match self {
            Self::Classic => 200..=399,
            Self::Current => 200..=599,
            Self::Free => 100..=599,
        }
    }

    /// Whether a probe may take longer than the interval.
    pub(super) const fn timeout_may_exceed_interval(self) -> bool {
        matches!(self, Self::Free)
    }

    /// The value of `setting`, if these rules allow it; `allowed` says what a rule set allows.
    pub(super) fn check<T: Copy + PartialOrd + Shown>(
        self,
        setting: &Setting<'_>,
        value: T,
        allowed: impl Fn(Self) -> Allowed<T>,
    ) -> Result<T, ConfigError> {
        if allowed(self).contains(value) {
            return Ok(value);
        }
        Err(self.outside(setting, &allowed(self).to_string(), allowed(Self::Free).contains(value)))
    }

    /// The error for a setting that these rules do not allow; `free_allows`: `free` would.
    pub(super) fn outside(
        self,
        setting: &Setting<'_>,
        allowed: &str,
        free_allows: bool,
    ) -> ConfigError {
        let hint = if free_allows { "; rules = \"free\" would allow it" } else { "" };
        let what = format!("is outside rules {:?}", self.name());
        setting.wrong(&what, format!("allowed: {allowed}{hint}"))
    }
}

impl<T: Copy + PartialOrd> Allowed<T> {
    fn contains(&self, value: T) -> bool {
        match self {
            Self::OneOf(values) => values.contains(&value),
            Self::Range(range) => range.contains(&value),
        }
    }
}

impl<T: Copy + Shown> fmt::Display for Allowed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(values) => {
                let values: Vec<String> = values.iter().map(|value| value.shown()).collect();
                let only = if values.len() == 1 { " only" } else { "" };
                write!(f, "{}{only}", values.join(" or "))
            }
            Self::Range(range) => {
                write!(f, "{} to {}", range.start().shown(), range.end().shown())
            }
        }
    }
}

/// How a value is written in the configuration.
pub(super) trait Shown {
    fn shown(&self) -> String;
}

impl Shown for Duration {
    fn shown(&self) -> String {
        duration::text(*self)
    }
}

impl Shown for u8 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
