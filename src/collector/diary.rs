//! Tells the log of troubles: once as each begins, and once when it is over, with how long it was.
//!
//! One that comes and goes is one trouble: it is over when it was away for [`OVER_AFTER`].

use crate::table::Trouble;
use crate::time::Instant;
use std::time::Duration;

/// How long a trouble must be away to be over.
const OVER_AFTER: Duration = Duration::from_secs(10);

/// The troubles that the log was told of and that are not over.
#[derive(Debug, Default)]
pub(super) struct Diary(Vec<Told>);

#[derive(Debug)]
struct Told {
    code: &'static str,
    began: Instant,
    seen: Instant,
}

/// A line of the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// It has begun.
    Began(&'a Trouble),
    /// The trouble of this code is over; it was for so long.
    Over(&'static str, Duration),
}

impl Diary {
    /// Takes in what is wrong at `now`, and tells the log what is new.
    pub(super) fn tell(&mut self, troubles: &[Trouble], now: Instant) {
        self.note(troubles, now, |line| match line {
            Line::Began(Trouble { code, message, cure, .. }) => {
                tracing::warn!("{code}: {message}; {cure}");
            }
            Line::Over(code, lasted) => {
                tracing::info!("{code} is over; it lasted {:.1} s", lasted.as_secs_f64());
            }
        });
    }

    fn note(&mut self, troubles: &[Trouble], now: Instant, mut line: impl FnMut(Line<'_>)) {
        for trouble in troubles {
            match self.0.iter_mut().find(|told| told.code == trouble.code) {
                Some(told) => told.seen = now,
                None => {
                    line(Line::Began(trouble));
                    self.0.push(Told { code: trouble.code, began: now, seen: now });
                }
            }
        }
        self.0.retain(|told| {
            let is_over = now.since(told.seen) >= OVER_AFTER;
            if is_over {
                line(Line::Over(told.code, told.seen.since(told.began)));
            }
            !is_over
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_told_once_as_it_begins_and_once_when_it_is_over() {
        let trouble = |code| Trouble { code, message: String::new(), cure: "", grave: false };
        let (a, b) = (trouble("A"), trouble("B"));
        let mut diary = Diary::default();
        let mut lines = |troubles: &[Trouble], second: u64| {
            let mut lines = Vec::new();
            diary.note(troubles, Instant::from_millis(second * 1_000), |line| {
                lines.push(match line {
                    Line::Began(trouble) => format!("+{}", trouble.code),
                    Line::Over(code, lasted) => format!("-{code} {}", lasted.as_secs()),
                });
            });
            lines
        };
        let both = [a.clone(), b.clone()];
        assert_eq!(lines(&[a], 1), ["+A"]);
        assert_eq!(lines(&both, 2), ["+B"]);
        assert_eq!(lines(&[b], 8), [""; 0]);
        assert_eq!(lines(&both, 11), [""; 0], "it was away, but not for long");
        assert_eq!(lines(&[], 20), [""; 0]);
        assert_eq!(lines(&[], 21), ["-A 10", "-B 9"]);
        assert_eq!(lines(&both, 22), ["+A", "+B"]);
    }
}
