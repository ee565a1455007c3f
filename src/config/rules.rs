//! The rule sets (DESIGN 3.1): what each of them allows of each setting. Source of `classic`: the
//! AWS Network Load Balancer guide of 2017-18; of `current`: the ELBv2 API today; of `alibaba`: the
//! Alibaba NLB API of 2022-04-30.

use super::duration;
use super::protocol::CheckProtocol;
use super::violation::{Violation, Wrong};
use crate::check::http::{Matcher, Method, Version};
use crate::limits::{ALIBABA_PATH_CHARS_MAX, HTTP_PATH_CHARS_MAX};
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
    /// Server groups of the Alibaba API.
    Alibaba,
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
    /// Each rule set.
    pub const ALL: [Self; 4] = [Self::Classic, Self::Current, Self::Free, Self::Alibaba];

    /// The word of the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Current => "current",
            Self::Free => "free",
            Self::Alibaba => "alibaba",
        }
    }

    /// The gap between two probes of a health check that names none.
    #[must_use]
    pub const fn interval_default(self) -> Duration {
        match self {
            Self::Classic | Self::Current | Self::Free => seconds(30),
            Self::Alibaba => seconds(5),
        }
    }

    /// The timeout of a health check that names none; `protocol` is that of its protocol.
    pub(super) const fn timeout_default(self, protocol: Duration) -> Duration {
        match self {
            Self::Classic | Self::Current | Self::Free => protocol,
            Self::Alibaba => seconds(5),
        }
    }

    /// The statuses that pass where a health check names none.
    #[must_use]
    pub fn matcher_default(self) -> Matcher {
        match self {
            Self::Classic | Self::Current | Self::Free => Matcher::default(),
            Self::Alibaba => Matcher::of_classes([2]),
        }
    }

    /// The version of the request of a health check that names none.
    #[must_use]
    pub const fn version_default(self) -> Version {
        match self {
            Self::Classic | Self::Current | Self::Free => Version::Http11,
            Self::Alibaba => Version::Http10,
        }
    }

    /// What a health check can be.
    #[must_use]
    pub const fn protocols(self) -> &'static [CheckProtocol] {
        use CheckProtocol::{Grpc, Grpcs, Http, Https, Tcp, Tls, Udp};
        match self {
            Self::Classic | Self::Current => &[Tcp, Http, Https],
            Self::Free => &[Tcp, Http, Https, Tls, Udp, Grpc, Grpcs],
            Self::Alibaba => &[Tcp, Http, Udp],
        }
    }

    /// Whether the version of the request can be chosen.
    pub(super) const fn version_can_be_chosen(self) -> bool {
        matches!(self, Self::Free | Self::Alibaba)
    }

    /// What the method of the request may be, in words, if it may not be `method`.
    pub(super) fn method_allowed(self, method: Method) -> Result<(), &'static str> {
        let (fits, allowed) = match self {
            Self::Classic | Self::Current => (method == Method::Get, "GET only"),
            Self::Alibaba => (matches!(method, Method::Get | Method::Head), "GET or HEAD"),
            Self::Free => (true, "all"),
        };
        if fits { Ok(()) } else { Err(allowed) }
    }

    /// An error unless these are the rules that allow everything.
    pub(super) fn free_only(
        self,
        setting: &'static str,
        shown: impl FnOnce() -> String,
    ) -> Result<(), Violation> {
        match self {
            Self::Free => Ok(()),
            Self::Classic | Self::Current | Self::Alibaba => {
                Err(self.outside(setting, shown(), "none", true))
            }
        }
    }

    pub(super) fn interval(self, protocol: CheckProtocol) -> Allowed<Duration> {
        match self {
            Self::Classic => Allowed::OneOf(vec![seconds(10), seconds(30)]),
            Self::Current => Allowed::Range(seconds(5)..=seconds(300)),
            Self::Free => Allowed::Range(Duration::from_millis(100)..=seconds(24 * 3_600)),
            Self::Alibaba if protocol == CheckProtocol::Udp => {
                Allowed::Range(seconds(1)..=seconds(300))
            }
            Self::Alibaba => Allowed::Range(seconds(1)..=seconds(50)),
        }
    }

    /// `default` is that of the protocol.
    pub(super) fn timeout(self, default: Duration) -> Allowed<Duration> {
        match self {
            Self::Classic => Allowed::OneOf(vec![default]),
            Self::Current => Allowed::Range(seconds(2)..=seconds(120)),
            Self::Free => Allowed::Range(Duration::from_millis(10)..=seconds(300)),
            Self::Alibaba => Allowed::Range(seconds(1)..=seconds(300)),
        }
    }

    pub(super) const fn threshold(self) -> Allowed<u8> {
        match self {
            Self::Classic | Self::Current | Self::Alibaba => Allowed::Range(2..=10),
            Self::Free => Allowed::Range(1..=100),
        }
    }

    /// Defaults of healthy_threshold and unhealthy_threshold.
    pub(super) const fn thresholds(self) -> (u8, u8) {
        match self {
            Self::Classic | Self::Free => (3, 3),
            Self::Current => (5, 2),
            Self::Alibaba => (2, 2),
        }
    }

    /// Most characters of a path.
    pub(super) const fn path_chars_max(self) -> usize {
        match self {
            Self::Classic | Self::Current | Self::Free => HTTP_PATH_CHARS_MAX,
            Self::Alibaba => ALIBABA_PATH_CHARS_MAX,
        }
    }

    /// What a matcher may be, in words, if it may not be `matcher`.
    pub(super) fn matcher_allowed(self, matcher: &Matcher) -> Result<(), &'static str> {
        let (fits, allowed) = match self {
            Self::Classic => (*matcher == Matcher::default(), "200-399 only"),
            Self::Current => (!(100..200).any(|status| matcher.matches(status)), "200-599"),
            Self::Free => (true, "100-599"),
            Self::Alibaba => {
                let classes = matcher.classes().filter(|classes| !classes.contains(&1));
                (classes.is_some(), "200-299, 300-399, 400-499 and 500-599, each as a whole")
            }
        };
        if fits { Ok(()) } else { Err(allowed) }
    }

    /// Whether a probe may take longer than the interval.
    pub(super) const fn timeout_may_exceed_interval(self) -> bool {
        matches!(self, Self::Free | Self::Alibaba)
    }

    /// `value`, if these rules allow it for `setting`; `allowed` says what a rule set allows, and
    /// `shown` is the value in an error.
    pub(super) fn check<T: Copy + PartialOrd + Shown>(
        self,
        setting: &'static str,
        value: T,
        shown: impl FnOnce() -> String,
        allowed: impl Fn(Self) -> Allowed<T>,
    ) -> Result<T, Violation> {
        if allowed(self).contains(value) {
            return Ok(value);
        }
        let free_allows = allowed(Self::Free).contains(value);
        Err(self.outside(setting, shown(), allowed(self).to_string(), free_allows))
    }

    /// The violation that these rules do not allow `value`; `free_allows`: `free` would.
    pub(super) fn outside(
        self,
        setting: &'static str,
        value: String,
        allowed: impl Into<String>,
        free_allows: bool,
    ) -> Violation {
        let allowed = allowed.into();
        Violation { setting, value, wrong: Wrong::Outside { rules: self, allowed, free_allows } }
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
