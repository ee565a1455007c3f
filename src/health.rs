//! The observed health of one target: consecutive outcomes in, state out (DESIGN 3.2).
//!
//! Pure and six bytes small; its worker is the only writer. Local faults leave the streak untouched
//! and, when they persist, hide the state behind `Unavailable` until the next real outcome, which
//! goes on from the state before.

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
/// passes, negative after failures, and saturates, as `faults` does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    base: Observed,
    /// Consecutive local faults, saturating.
    faults: u8,
    streak: i16,
    /// Whether `faults` reached the threshold of its time; only a real outcome takes it back.
    unavailable: bool,
}

const _: () = assert!(size_of::<Health>() == 6);

impl Health {
    /// Goes on from a state and a streak that are remembered: from before a restart, or from
    /// another owner. What hid behind `Unavailable` is not known: that resumes as `Initial`.
    #[must_use]
    pub const fn resumed(state: Observed, streak: i16) -> Self {
        let base = match state {
            Observed::Unavailable => Observed::Initial,
            Observed::Initial | Observed::Healthy | Observed::Unhealthy => state,
        };
        Self { base, faults: 0, streak, unavailable: false }
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

    /// Whether the last real outcome was a failure.
    #[must_use]
    pub const fn is_failing(self) -> bool {
        self.streak < 0
    }

    /// Whether local faults hide the state.
    #[must_use]
    pub const fn is_unavailable(self) -> bool {
        self.unavailable
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
                if self.streak <= -i16::from(thresholds.unhealthy) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn class(letter: char) -> Class {
        match letter {
            'P' => Class::Pass,
            'F' => Class::Fail,
            'L' => Class::LocalFault,
            _ => panic!("{letter:?} is no outcome"),
        }
    }

    const fn letter(state: Observed) -> char {
        match state {
            Observed::Initial => 'i',
            Observed::Healthy => 'h',
            Observed::Unhealthy => 'u',
            Observed::Unavailable => '?',
        }
    }

    /// The states after each of `outcomes`, a letter each.
    fn states(health: &mut Health, thresholds: Thresholds, outcomes: &str) -> String {
        let observe = |outcome| {
            health.observe(class(outcome), thresholds);
            letter(health.observed())
        };
        outcomes.chars().map(observe).collect()
    }

    #[test]
    fn each_row_of_the_design_is_a_script() {
        #[rustfmt::skip]
        let scripts = [
            // row                                      healthy, unhealthy, outcomes, states
            ("initial: the first pass is enough",             5, 2, "P",        "h"),
            ("initial: also after a failure",                 5, 3, "FFP",      "iih"),
            ("initial: failures in a row",                    2, 3, "FFF",      "iiu"),
            ("initial: one failure where one is enough",      2, 1, "F",        "u"),
            ("healthy: failures in a row",                    2, 3, "PFFF",     "hhhu"),
            ("healthy: a pass starts them anew",              2, 3, "PFFPFFF",  "hhhhhhu"),
            ("unhealthy: passes in a row",                    3, 2, "FFPPP",    "iuuuh"),
            ("unhealthy: a failure starts them anew",         3, 2, "FFPPFPPP", "iuuuuuuh"),
            ("unhealthy: one pass is not enough",             2, 1, "FPFPP",    "uuuuh"),
            ("local faults: too few are not seen",            2, 3, "PLLPLL",   "hhhhhh"),
            ("local faults: in a row, from initial",          2, 3, "LLL",      "ii?"),
            ("local faults: in a row, from healthy",          2, 2, "PLLL",     "hh??"),
            ("local faults: in a row, from unhealthy",        2, 2, "FFLL",     "iuu?"),
            ("local faults: a failure resumes healthy",       2, 2, "PLLFF",    "hh?hu"),
            ("local faults: a pass resumes unhealthy",        2, 2, "FFLLPP",   "iuu?uh"),
            ("local faults: a pass resumes initial",          2, 2, "LLP",      "i?h"),
            ("local faults: a failure resumes initial",       2, 3, "LLLF",     "ii?i"),
            ("local faults: failures go on across them",      2, 3, "PFFLF",    "hhhhu"),
            ("local faults: failures go on from behind them", 2, 3, "PFFLLLF",  "hhhhh?u"),
            ("local faults: passes go on across them",        3, 2, "FFPPLP",   "iuuuuh"),
        ];
        for (row, healthy, unhealthy, outcomes, expected) in scripts {
            let thresholds = Thresholds { healthy, unhealthy };
            assert_eq!(states(&mut Health::default(), thresholds, outcomes), expected, "{row}");
        }
    }

    /// The state after `outcomes`, from all of them at once: what was decided last, and where.
    fn oracle(outcomes: &[Class], thresholds: Thresholds) -> Observed {
        let (healthy, unhealthy) =
            (usize::from(thresholds.healthy), usize::from(thresholds.unhealthy));
        let faults = outcomes.iter().rev().take_while(|&&c| c == Class::LocalFault).count();
        if faults >= unhealthy {
            return Observed::Unavailable;
        }
        let real: Vec<Class> =
            outcomes.iter().copied().filter(|&class| class != Class::LocalFault).collect();
        let ends_run = |class, len| {
            let ends: Vec<usize> = (len..=real.len())
                .filter(|&end| real[end - len..end].iter().all(|&c| c == class))
                .collect();
            ends
        };
        let failed = ends_run(Class::Fail, unhealthy);
        let mut passed = ends_run(Class::Pass, healthy);
        if let Some(first_pass) = real.iter().position(|&c| c == Class::Pass)
            && failed.iter().all(|&end| end > first_pass)
        {
            passed.push(first_pass + 1);
        }
        match (passed.iter().max(), failed.iter().max()) {
            (None, None) => Observed::Initial,
            (passed, failed) if passed > failed => Observed::Healthy,
            _ => Observed::Unhealthy,
        }
    }

    /// The streak after `outcomes`: the last run of real ones.
    fn oracle_streak(outcomes: &[Class]) -> i16 {
        let mut real = outcomes.iter().rev().filter(|&&class| class != Class::LocalFault);
        let Some(&last) = real.next() else { return 0 };
        let run = 1 + i16::try_from(real.take_while(|&&class| class == last).count()).unwrap();
        if last == Class::Pass { run } else { -run }
    }

    /// All strings of `len` outcomes of `classes`, under all thresholds of 1 to 4, step by step.
    fn compare_all(classes: &[Class], len: u32) {
        for number in 0..classes.len().pow(len) {
            let digit = |place| number / classes.len().pow(place) % classes.len();
            let outcomes: Vec<Class> = (0..len).map(|place| classes[digit(place)]).collect();
            for (healthy, unhealthy) in (1..=4).flat_map(|h| (1..=4).map(move |u| (h, u))) {
                let thresholds = Thresholds { healthy, unhealthy };
                let mut health = Health::default();
                let mut from = Observed::Initial;
                for (index, &class) in outcomes.iter().enumerate() {
                    let seen = &outcomes[..=index];
                    let to = oracle(seen, thresholds);
                    let transition = (from != to).then_some(Transition { from, to });
                    let told = health.observe(class, thresholds);
                    assert_eq!(told, transition, "{seen:?}, {thresholds:?}");
                    assert_eq!(health.observed(), to, "{seen:?}, {thresholds:?}");
                    assert_eq!(health.streak(), oracle_streak(seen), "{seen:?}");
                    from = to;
                }
            }
        }
    }

    #[test]
    fn all_strings_of_eight_outcomes_end_where_the_oracle_says() {
        compare_all(&[Class::Pass, Class::Fail, Class::LocalFault], 8);
    }

    #[test]
    fn all_strings_of_ten_passes_and_failures_end_where_the_oracle_says() {
        compare_all(&[Class::Pass, Class::Fail], 10);
    }

    #[test]
    fn long_streaks_saturate() {
        let thresholds = Thresholds { healthy: 100, unhealthy: 100 };
        let mut health = Health::default();
        for (outcome, state, streak) in [
            (Class::Fail, Observed::Unhealthy, i16::MIN),
            (Class::Pass, Observed::Healthy, i16::MAX),
            (Class::LocalFault, Observed::Unavailable, i16::MAX),
            (Class::Fail, Observed::Unhealthy, i16::MIN),
        ] {
            for _ in 0..70_000 {
                health.observe(outcome, thresholds);
            }
            assert_eq!((health.observed(), health.streak()), (state, streak));
        }
    }

    #[test]
    fn new_settings_keep_the_state_and_restart_the_streak() {
        let thresholds = Thresholds { healthy: 2, unhealthy: 3 };
        for (before, after, expected) in [
            ("PFF", "FFF", "hhu"),
            ("FFFP", "PP", "uh"),
            ("FF", "FFF", "iiu"),
            ("PLL", "LLL", "hh?"),
            ("PLLL", "LF", "?h"),
        ] {
            let mut health = Health::default();
            states(&mut health, thresholds, before);
            let kept = health.observed();
            health.restart_streak();
            assert_eq!((health.observed(), health.streak()), (kept, 0), "{before}");
            assert_eq!(states(&mut health, thresholds, after), expected, "{before}, then {after}");
        }
    }

    #[test]
    fn a_remembered_state_is_resumed_and_what_we_did_not_know_is_found_out_anew() {
        let thresholds = Thresholds { healthy: 2, unhealthy: 2 };
        for (state, streak, outcomes, expected) in [
            (Observed::Healthy, 0, "FF", "hu"),
            (Observed::Healthy, 9, "FF", "hu"),
            (Observed::Healthy, -1, "F", "u"),
            (Observed::Healthy, -1, "PFF", "hhu"),
            (Observed::Unhealthy, 0, "PP", "uh"),
            (Observed::Unhealthy, 1, "P", "h"),
            (Observed::Unhealthy, i16::MIN, "PP", "uh"),
            (Observed::Initial, 0, "P", "h"),
            (Observed::Initial, -1, "F", "u"),
            (Observed::Unavailable, 0, "FP", "ih"),
        ] {
            let mut health = Health::resumed(state, streak);
            let told = states(&mut health, thresholds, outcomes);
            assert_eq!(told, expected, "{state:?}, {streak}");
        }
    }
}
