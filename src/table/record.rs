//! One target's record: three 64-bit atomics, 24 bytes, one writer, any number of readers.
//!
//! ```text
//! verdict  since 38 | detail 9 | status 10 | code 4 | has outcome 1 | observed 2
//! last     at 38 | streak 16 | code of the last failure 4 | count 5 | being written 1
//! phases   total 16 | first byte 16 | tls 16 | connect 16
//! ```
//!
//! An unhealthy target is explained by its last *failing* outcome, also after a pass or a local
//! fault. The HTTP status of that failure stands in the field that the outcome after it leaves
//! empty: a pass has no detail, a local fault no status.
//!
//! Each word is whole by itself, so a verdict (state, code, status, detail, since) is never torn.
//! The three together are a sequence lock (Hans Boehm, "Can seqlocks get along with programming
//! language memory models?", 2012): the writer marks `last` before it touches the others, the
//! reader looks at `last` before and after. A reader takes no lock: after [`READS_MAX`] tries it
//! takes what it has.
//!
//! Precision: times are milliseconds; phases keep 12 significant bits (an error below 0.025 %).
//! A record of zeros is that of a target that nothing is known of.

use crate::health::Observed;
use crate::outcome::{Class, Code, Detail, Outcome};
use crate::report::{Phases, Report};
use crate::time::Instant;
use crate::wall::Moment;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Tries of a reader to get three words of the same report.
const READS_MAX: usize = 10_000;
/// How many of them go without giving the CPU away.
const READS_SPINNING: usize = 16;
const TIME_BITS: u32 = 38;
/// Both times may lie before the table's epoch (a state that was remembered), so zero is 4.3 years
/// before it.
const TIME_BIAS: i64 = 1 << (TIME_BITS - 1);
const TIME_SHIFT: u32 = 64 - TIME_BITS;
const STREAK_SHIFT: u32 = 10;
const FAILURE_SHIFT: u32 = 6;
const BEING_WRITTEN: u64 = 1;
const COUNT_STEP: u64 = 2;
const COUNT_MASK: u64 = 0b11_1110;
const STATUS_SHIFT: u32 = 7;
const DETAIL_SHIFT: u32 = 17;
/// A status of the last failure in the nine bits of the detail: 0 is none, 1 is this one more.
const STATUS_BEFORE_FIRST: u16 = 99;

/// What is known of a target's state; read from one word, so its parts belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The observed state.
    pub observed: Observed,
    /// The last outcome; none before the first.
    pub outcome: Option<Outcome>,
    /// Since when the state has been this one.
    pub since: Moment,
}

/// The last probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastProbe {
    /// When it was over.
    pub at: Moment,
    /// Consecutive passes (positive) or failures (negative).
    pub streak: i16,
    /// How long its phases took.
    pub phases: Phases,
}

/// The last failing outcome, as far as it explains a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its code.
    pub code: Code,
    /// HTTP status 100-599, or 0 where there was none.
    pub status: u16,
}

/// All that the table knows of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// State and last outcome.
    pub verdict: Verdict,
    /// The last probe; none before the first.
    pub last: Option<LastProbe>,
    /// The last failure; none before the first.
    pub failure: Option<Failure>,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Record {
    verdict: AtomicU64,
    last: AtomicU64,
    phases: AtomicU64,
}

impl Record {
    /// The verdict alone.
    pub(super) fn verdict(&self, epoch: Instant) -> Verdict {
        unpack_verdict(self.verdict.load(Ordering::Acquire), epoch)
    }

    /// Verdict and last probe, of the same report unless the writer was faster [`READS_MAX`] times.
    pub(super) fn read(&self, epoch: Instant) -> Reading {
        let mut words = (0, 0, 0);
        for attempt in 0..READS_MAX {
            let before = self.last.load(Ordering::Acquire);
            let verdict = self.verdict.load(Ordering::Relaxed);
            let phases = self.phases.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            let after = self.last.load(Ordering::Relaxed);
            words = (verdict, after, phases);
            if before == after && before & BEING_WRITTEN == 0 {
                break;
            }
            if attempt < READS_SPINNING {
                std::hint::spin_loop();
            } else {
                // The writer was stopped within its few instructions: let it run.
                std::thread::yield_now();
            }
        }
        let (verdict, last, phases) = words;
        let failure = unpack_failure(verdict, last);
        let verdict = unpack_verdict(verdict, epoch);
        let last = verdict.outcome.map(|_| unpack_last(last, phases, epoch));
        Reading { verdict, last, failure }
    }

    /// Takes a report in; `since` is that of the verdict to write. For the writer only.
    pub(super) fn write(&self, report: &Report, since: Moment, epoch: Instant) {
        let Outcome { code, status, .. } = report.outcome;
        let failure = match code.class() {
            Class::Fail => Some(Failure { code, status }),
            Class::Pass | Class::LocalFault => unpack_failure(
                self.verdict.load(Ordering::Relaxed),
                self.last.load(Ordering::Relaxed),
            ),
        };
        let verdict = Verdict { observed: report.observed, outcome: Some(report.outcome), since };
        let verdict = pack_verdict(verdict, failure, epoch);
        let last = pack_last(report.at.into(), report.streak, failure, epoch);
        self.store(verdict, last, pack_phases(report.phases));
    }

    /// Takes over what is remembered of before. For the writer only.
    pub(super) fn restore(&self, known: &Reading, epoch: Instant) {
        let verdict = pack_verdict(known.verdict, known.failure, epoch);
        let last = known.last.map_or((0, 0), |last| {
            let word = pack_last(last.at, last.streak, known.failure, epoch);
            (word, pack_phases(last.phases))
        });
        self.store(verdict, last.0, last.1);
    }

    /// Forgets all but the given state: the target is new. For the writer only.
    pub(super) fn reset(&self, observed: Observed, since: Moment, epoch: Instant) {
        let verdict = Verdict { observed, outcome: None, since };
        self.store(pack_verdict(verdict, None, epoch), 0, 0);
    }

    /// Takes over all that `other` says. For the writer only.
    pub(super) fn copy(&self, other: &Self) {
        let last = other.last.load(Ordering::Relaxed) & !(COUNT_MASK | BEING_WRITTEN);
        let verdict = other.verdict.load(Ordering::Relaxed);
        self.store(verdict, last, other.phases.load(Ordering::Relaxed));
    }

    /// Moves the time since when the state is shown. For the writer only.
    pub(super) fn restamp(&self, since: Moment, epoch: Instant) {
        let word = self.verdict.load(Ordering::Relaxed);
        let failure = unpack_failure(word, self.last.load(Ordering::Relaxed));
        let verdict = Verdict { since, ..unpack_verdict(word, epoch) };
        self.verdict.store(pack_verdict(verdict, failure, epoch), Ordering::Release);
    }

    fn store(&self, verdict: u64, last: u64, phases: u64) {
        let old = self.last.load(Ordering::Relaxed);
        self.last.store(old | BEING_WRITTEN, Ordering::Relaxed);
        fence(Ordering::Release);
        self.verdict.store(verdict, Ordering::Relaxed);
        self.phases.store(phases, Ordering::Relaxed);
        let count = (old & COUNT_MASK).wrapping_add(COUNT_STEP) & COUNT_MASK;
        self.last.store(last | count, Ordering::Release);
    }
}

fn pack_verdict(verdict: Verdict, failure: Option<Failure>, epoch: Instant) -> u64 {
    let known = match verdict.outcome {
        None => 0,
        Some(outcome) => {
            let failed = failure.map_or(0, |failure| failure.status);
            let (status, detail) = match outcome.code.class() {
                Class::Pass => (outcome.status, failed.saturating_sub(STATUS_BEFORE_FIRST)),
                Class::Fail => (outcome.status, outcome.detail.to_bits()),
                Class::LocalFault => (failed, outcome.detail.to_bits()),
            };
            let (status, detail) = (u64::from(status.min(1_023)), u64::from(detail.min(511)));
            1 << 2 | (outcome.code as u64) << 3 | status << STATUS_SHIFT | detail << DETAIL_SHIFT
        }
    };
    pack_time(verdict.since, epoch) | known | verdict.observed as u64
}

fn unpack_verdict(word: u64, epoch: Instant) -> Verdict {
    let observed = Observed::ALL[(word & 0b11) as usize];
    let (status, detail) = (status_bits(word), Detail::from_bits(detail_bits(word)));
    let outcome = unpack_code(word).map(|code| match code.class() {
        Class::Pass => Outcome { code, status, detail: Detail::None },
        Class::Fail => Outcome { code, status, detail },
        Class::LocalFault => Outcome { code, status: 0, detail },
    });
    Verdict { observed, outcome, since: unpack_time(word, epoch) }
}

/// A time in the upper bits of a word.
fn pack_time(at: Moment, epoch: Instant) -> u64 {
    let at = at.0.saturating_sub(Moment::from(epoch).0).saturating_add(TIME_BIAS);
    at.clamp(0, (1 << TIME_BITS) - 1).unsigned_abs() << TIME_SHIFT
}

fn unpack_time(word: u64, epoch: Instant) -> Moment {
    let at = i64::try_from(word >> TIME_SHIFT).unwrap_or(0) - TIME_BIAS;
    Moment(Moment::from(epoch).0.saturating_add(at))
}

fn unpack_failure(verdict: u64, last: u64) -> Option<Failure> {
    let code = Code::from_index((last >> FAILURE_SHIFT & 0xF) as usize);
    let code = code.filter(|code| code.class() == Class::Fail)?;
    let status = match unpack_code(verdict)?.class() {
        Class::Pass => match detail_bits(verdict) {
            0 => 0,
            bits => bits + STATUS_BEFORE_FIRST,
        },
        Class::Fail | Class::LocalFault => status_bits(verdict),
    };
    Some(Failure { code, status })
}

fn unpack_code(verdict: u64) -> Option<Code> {
    Code::from_index((verdict >> 3 & 0xF) as usize).filter(|_| verdict & 1 << 2 != 0)
}

fn status_bits(verdict: u64) -> u16 {
    (verdict >> STATUS_SHIFT & 0x3FF) as u16
}

fn detail_bits(verdict: u64) -> u16 {
    (verdict >> DETAIL_SHIFT & 0x1FF) as u16
}

fn pack_last(at: Moment, streak: i16, failure: Option<Failure>, epoch: Instant) -> u64 {
    let streak = u64::from(streak.cast_unsigned());
    // Row 0 of the table of codes is a pass, so it stands for none.
    let failure = failure.map_or(0, |failure| failure.code as u64);
    pack_time(at, epoch) | streak << STREAK_SHIFT | failure << FAILURE_SHIFT
}

fn unpack_last(last: u64, phases: u64, epoch: Instant) -> LastProbe {
    let streak = (last >> STREAK_SHIFT & 0xFFFF) as u16;
    let at = unpack_time(last, epoch);
    LastProbe { at, streak: streak.cast_signed(), phases: unpack_phases(phases) }
}

fn pack_phases(phases: Phases) -> u64 {
    let Phases { connect_us, tls_us, first_byte_us, total_us } = phases;
    let part = |us: Option<u32>| u64::from(us.map_or(ABSENT, pack_float));
    part(connect_us) | part(tls_us) << 16 | part(first_byte_us) << 32 | part(Some(total_us)) << 48
}

#[expect(clippy::cast_possible_truncation, reason = "each part is masked to its size")]
fn unpack_phases(word: u64) -> Phases {
    let part = |shift: u32| unpack_float((word >> shift) as u16);
    Phases {
        connect_us: part(0),
        tls_us: part(16),
        first_byte_us: part(32),
        total_us: part(48).unwrap_or(0),
    }
}

/// No time: the phase was not reached. Above every packed time.
const ABSENT: u16 = 0xFFFF;
const MANTISSA_BITS: u32 = 11;

/// A time in 16 bits: 5 of exponent, 11 of mantissa with a hidden bit; exact below 4096, else
/// rounded to the nearest of 12 significant bits.
#[expect(clippy::cast_possible_truncation, reason = "12 significant bits, the top one hidden")]
fn pack_float(us: u32) -> u16 {
    let us = u64::from(us);
    let bits = u64::BITS - us.leading_zeros();
    let shift = bits.saturating_sub(MANTISSA_BITS + 1);
    let mut rounded = (us + (1 << shift >> 1)) >> shift;
    let mut exponent = shift;
    if rounded >> (MANTISSA_BITS + 1) != 0 {
        rounded >>= 1;
        exponent += 1;
    }
    if rounded < 1 << MANTISSA_BITS {
        return rounded as u16;
    }
    ((exponent + 1) << MANTISSA_BITS | (rounded as u32 & ((1 << MANTISSA_BITS) - 1))) as u16
}

fn unpack_float(bits: u16) -> Option<u32> {
    if bits == ABSENT {
        return None;
    }
    let exponent = u32::from(bits >> MANTISSA_BITS);
    let mantissa = u64::from(bits) & ((1 << MANTISSA_BITS) - 1);
    let us = match exponent {
        0 => mantissa,
        _ => (mantissa | 1 << MANTISSA_BITS) << (exponent - 1),
    };
    Some(u32::try_from(us).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Cause, TABLE};
    use proptest::prelude::*;

    #[test]
    fn a_record_takes_24_bytes() {
        assert_eq!(size_of::<Record>(), 24);
    }

    #[test]
    fn zeros_are_a_target_that_nothing_is_known_of() {
        let reading = Record::default().read(Instant::ZERO);
        assert_eq!(reading.verdict.observed, Observed::Initial);
        assert_eq!((reading.verdict.outcome, reading.last, reading.failure), (None, None, None));
    }

    fn report(code: Code, status: u16, detail: Detail) -> Report {
        Report {
            target: crate::report::TargetId(0),
            at: Instant::from_millis(7),
            outcome: Outcome { code, status, detail },
            phases: Phases::default(),
            observed: Observed::Unhealthy,
            streak: -3,
            transition: None,
        }
    }

    #[test]
    fn every_verdict_survives_packing() {
        let epoch = Instant::from_millis(123_456);
        for observed in Observed::ALL {
            for row in &TABLE {
                for since in [-100_000_000_000, 0, 123_455, 123_456, 100_000_000_000] {
                    let (status, detail) = match row.class {
                        Class::Pass => (599, Detail::None),
                        Class::Fail => (599, Detail::Cause(Cause::NoFreeSlot)),
                        Class::LocalFault => (0, Detail::Cause(Cause::NoFreeSlot)),
                    };
                    let outcome = Some(Outcome { code: row.code, status, detail });
                    let verdict = Verdict { observed, outcome, since: Moment(since) };
                    let failure = Some(Failure { code: Code::L7Sts, status: 503 });
                    let word = pack_verdict(verdict, failure, epoch);
                    assert_eq!(unpack_verdict(word, epoch), verdict);
                }
            }
        }
    }

    #[test]
    fn the_last_failure_outlives_passes_and_local_faults() {
        let record = Record::default();
        let take = |code, status, detail| {
            record.write(&report(code, status, detail), Moment(0), Instant::ZERO);
            let reading = record.read(Instant::ZERO);
            let expected = Outcome { code, status, detail };
            assert_eq!(reading.verdict.outcome, Some(expected), "{code:?}");
            reading.failure
        };
        let fault = Detail::Cause(Cause::NoFreeSlot);
        assert_eq!(take(Code::L7Ok, 200, Detail::None), None);
        assert_eq!(take(Code::SockErr, 0, fault), None);
        for status in [100, 503, 599] {
            let mismatch = Detail::Cause(Cause::StatusNotMatched);
            let failure = Some(Failure { code: Code::L7Sts, status });
            assert_eq!(take(Code::L7Sts, status, mismatch), failure);
            assert_eq!(take(Code::L7Ok, 200, Detail::None), failure);
            assert_eq!(take(Code::SockErr, 0, fault), failure);
            assert_eq!(take(Code::L7Ok, 204, Detail::None), failure);
        }
        let refused = Some(Failure { code: Code::L4Con, status: 0 });
        assert_eq!(take(Code::L4Con, 0, Detail::None), refused);
        assert_eq!(take(Code::L4Ok, 0, Detail::None), refused);
    }

    #[test]
    fn a_since_out_of_range_is_clamped_and_harms_nothing_else() {
        for since in [i64::MIN, i64::MAX] {
            let outcome = Some(Outcome::plain(Code::L4Ok));
            let verdict = Verdict { observed: Observed::Healthy, outcome, since: Moment(since) };
            let back = unpack_verdict(pack_verdict(verdict, None, Instant::ZERO), Instant::ZERO);
            assert_eq!((back.observed, back.outcome), (verdict.observed, outcome));
        }
    }

    proptest! {
        #[test]
        fn phases_keep_twelve_significant_bits(us in any::<u32>()) {
            let back = unpack_float(pack_float(us)).unwrap();
            prop_assert!(f64::from(back.abs_diff(us)) <= f64::from(us) * 0.000_25);
            prop_assert!(us >= 4_096 || back == us);
            prop_assert!(pack_float(us) != ABSENT);
        }

        #[test]
        fn last_probes_survive_packing(at in -1_i64 << 37..1_i64 << 37, streak in any::<i16>()) {
            let epoch = Instant::from_millis(77);
            let at = Moment(at + 77);
            let last = unpack_last(pack_last(at, streak, None, epoch), 0, epoch);
            prop_assert_eq!((last.at, last.streak), (at, streak));
        }

        #[test]
        fn what_is_restored_is_read_again(
            (observed, streak) in (0..4_usize, any::<i16>()),
            (code, failure) in (0..12_usize, prop::option::of(3..11_usize)),
            (since, at) in (-100_000_000_000..0_i64, -100_000_000_000..0_i64),
            us in prop::option::of(0..4_096_u32),
        ) {
            let plain = |index| Outcome::plain(Code::from_index(index).unwrap());
            let outcome = plain(code);
            let failed = |code: Code| (code.class() == Class::Fail)
                .then_some(Failure { code, status: 0 });
            let failure = failed(outcome.code)
                .or_else(|| failure.and_then(|code| failed(plain(code).code)));
            let phases = Phases { connect_us: us, total_us: 9, ..Phases::default() };
            let known = Reading {
                verdict: Verdict {
                    observed: Observed::ALL[observed],
                    outcome: Some(outcome),
                    since: Moment(since),
                },
                last: Some(LastProbe { at: Moment(at), streak, phases }),
                failure,
            };
            let record = Record::default();
            record.write(&report(Code::L7Sts, 503, Detail::None), Moment(3), Instant::ZERO);
            record.restore(&known, Instant::ZERO);
            prop_assert_eq!(record.read(Instant::ZERO), known);
        }
    }
}
