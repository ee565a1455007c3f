//! Why a setting was refused, apart from where it was written: the file reader adds file and line,
//! the native API prints it as it is, a vendor's dialect looks at it and says it in its own words.

use super::duration;
use super::error::Problem;
use super::protocol::CheckProtocol;
use super::rules::Rules;
use std::fmt;
use std::time::Duration;

/// A setting that cannot be. Printed as one line `what; cure`, as in
/// `interval "5s" is outside rules "classic"; allowed: 10s or 30s; rules = "free" would allow it`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .wrong.problem(.setting, .value))]
pub struct Violation {
    /// Its key, as `interval`. Of two that do not go together, one that was given.
    pub setting: &'static str,
    /// Its value as JSON would have it, shortened: `"5s"`, `3`.
    pub value: String,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The rule set does not allow the value.
    Outside {
        /// The rule set.
        rules: Rules,
        /// What it allows, in words: `10s or 30s`.
        allowed: String,
        /// Whether rule set `free` would allow the value.
        free_allows: bool,
    },
    /// The timeout is above the interval, which the rule set does not allow; `free` would.
    AboveInterval {
        /// The rule set.
        rules: Rules,
        /// The interval, given or the default.
        interval: Duration,
        /// The timeout.
        timeout: Duration,
        /// Whether the timeout is the default, and only the interval was given.
        timeout_is_default: bool,
    },
    /// The thresholds differ, which `classic` does not allow; `free` would.
    ThresholdsDiffer {
        /// The healthy threshold, and whether it is the default.
        healthy: (u8, bool),
        /// The unhealthy threshold, and whether it is the default.
        unhealthy: (u8, bool),
    },
    /// The setting has no meaning for the protocol of the health check.
    NoMeaning {
        /// That protocol.
        protocol: CheckProtocol,
    },
    /// The value is not what the setting holds, in any rule set.
    Malformed {
        /// What it is (not), behind key and value: `does not begin with /`.
        what: &'static str,
        /// What would be right.
        cure: String,
    },
    /// A part of the value is wrong.
    Part {
        /// What is wrong, with the part, behind the key: `"2xx" in "2xx" is not a status`.
        what: String,
        /// What would be right.
        cure: String,
    },
}

impl Violation {
    /// The setting `setting` with the value `value` is `what`.
    pub(super) fn malformed(
        setting: &'static str,
        value: String,
        what: &'static str,
        cure: impl Into<String>,
    ) -> Self {
        Self { setting, value, wrong: Wrong::Malformed { what, cure: cure.into() } }
    }

    /// What was written and what would be right.
    #[must_use]
    pub fn problem(&self) -> Problem {
        self.wrong.problem(self.setting, &self.value)
    }
}

impl Wrong {
    /// As [`Violation::problem`], with the value as it was `written`.
    pub(super) fn problem(&self, setting: &str, written: &str) -> Problem {
        let free = "; rules = \"free\" would allow it";
        let wrong =
            |what: &str, cure: String| Problem::new(format!("{setting} {written} {what}"), cure);
        match self {
            Self::Outside { rules, allowed, free_allows } => {
                let hint = if *free_allows { free } else { "" };
                let what = format!("is outside rules {:?}", rules.name());
                wrong(&what, format!("allowed: {allowed}{hint}"))
            }
            Self::AboveInterval { rules, interval, timeout, timeout_is_default } => {
                let [interval, timeout] = [*interval, *timeout].map(duration::text);
                let default = UnlessGiven(*timeout_is_default);
                let rules = rules.name();
                let what = format!(
                    "timeout {timeout:?}{default} is above interval {interval:?}, \
                     outside rules {rules:?}"
                );
                Problem::new(what, format!("allowed: up to the interval{free}"))
            }
            Self::ThresholdsDiffer { healthy, unhealthy } => {
                let what = format!(
                    "unhealthy_threshold {}{} does not equal healthy_threshold {}{}, \
                     outside rules \"classic\"",
                    unhealthy.0,
                    UnlessGiven(unhealthy.1),
                    healthy.0,
                    UnlessGiven(healthy.1),
                );
                let cure = "set both to the same number from 2 to 10";
                Problem::new(what, format!("{cure}{free}"))
            }
            Self::NoMeaning { protocol } => {
                let near = protocol.nearest_with(setting).name();
                let cure = format!("remove {setting}, or set protocol = {near:?}");
                wrong(&format!("has no meaning for {}", protocol.check()), cure)
            }
            Self::Malformed { what, cure } => wrong(what, cure.clone()),
            Self::Part { what, cure } => Problem::new(format!("{setting} {what}"), cure),
        }
    }
}

/// Says that a value was not given.
struct UnlessGiven(bool);

impl fmt::Display for UnlessGiven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { " (the default)" } else { "" })
    }
}
