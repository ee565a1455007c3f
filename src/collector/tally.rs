//! The running figures of one worker: totals since the start, and a window over the last minute.

use crate::outcome::FaultCounts;
use crate::stats::Stats;
use crate::table::{Figures, Lately, Percentiles};
use crate::time::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// The window's grain, and how many grains it holds: a minute.
const BUCKET: Duration = Duration::from_secs(10);
const BUCKETS: usize = 6;
/// Buckets of what was lately: between ten and twenty seconds.
const LATELY: usize = 2;
/// Stretches that the rate of starts is taken over; a worker sends one a second.
const RATE_STRETCHES: usize = 5;
/// A worker sends its figures every second; one that is later than this has started nothing since.
const RATE_PAUSE: Duration = Duration::from_secs(2);

/// See the module's head.
#[derive(Debug)]
pub(super) struct Tally {
    figures: Figures,
    window: Window,
    /// (end of stretch, starts up to then), oldest first; never empty.
    starts: VecDeque<(Instant, u64)>,
}

impl Tally {
    pub(super) fn new(now: Instant) -> Self {
        let figures = Figures::default();
        Self { figures, window: Window::default(), starts: VecDeque::from([(now, 0)]) }
    }

    /// Takes in what a worker did since it last said.
    pub(super) fn add(&mut self, stats: &Stats, now: Instant) {
        let figures = &mut self.figures;
        figures.started += stats.started;
        figures.passed += stats.passed;
        figures.failed += stats.failed;
        figures.local_faults += stats.local_faults;
        add_counts(&mut figures.faults, &stats.faults);
        figures.skipped += stats.skipped;
        figures.merged += stats.merged;
        figures.lost_us += stats.lost_us;
        figures.in_flight = u64::from(stats.in_flight);
        figures.in_flight_capacity = u64::from(stats.in_flight_capacity);
        figures.raw_in_flight = u64::from(stats.raw_in_flight);
        figures.raw_in_flight_capacity = u64::from(stats.raw_in_flight_capacity);
        figures.slots_stuck = u64::from(stats.slots_stuck);
        figures.backlog = u64::from(stats.backlog);
        figures.slots_full = stats.slots_full;
        figures.targets = u64::from(stats.targets);
        self.starts.push_back((now, figures.started));
        if self.starts.len() > RATE_STRETCHES + 1 {
            self.starts.pop_front();
        }
        self.window.add(stats, now);
    }

    /// The figures at `now`.
    pub(super) fn figures(&self, now: Instant) -> Figures {
        let mut figures = Figures { per_second: self.per_second(now), ..self.figures };
        of_the_window(&mut figures, std::slice::from_ref(self), now);
        figures
    }

    fn per_second(&self, now: Instant) -> f64 {
        let (Some(&(from, before)), Some(&(to, after))) = (self.starts.front(), self.starts.back())
        else {
            return 0.0;
        };
        let to = if now.since(to) > RATE_PAUSE { now } else { to };
        let seconds = to.since(from).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "starts of a few seconds")]
        let starts = (after - before) as f64;
        if seconds > 0.0 { starts / seconds } else { 0.0 }
    }
}

/// All workers together.
pub(super) fn total(tallies: &[Tally], workers: &[Figures], now: Instant) -> Figures {
    let mut total = Figures::default();
    for figures in workers {
        total.started += figures.started;
        total.passed += figures.passed;
        total.failed += figures.failed;
        total.local_faults += figures.local_faults;
        add_counts(&mut total.faults, &figures.faults);
        total.skipped += figures.skipped;
        total.merged += figures.merged;
        total.lost_us += figures.lost_us;
        total.per_second += figures.per_second;
        total.in_flight += figures.in_flight;
        total.in_flight_capacity += figures.in_flight_capacity;
        total.raw_in_flight += figures.raw_in_flight;
        total.raw_in_flight_capacity += figures.raw_in_flight_capacity;
        total.slots_stuck += figures.slots_stuck;
        total.backlog += figures.backlog;
        total.slots_full |= figures.slots_full;
        total.targets += figures.targets;
    }
    of_the_window(&mut total, tallies, now);
    total
}

/// Sets those of the figures that are of the last minute, or of the last seconds.
fn of_the_window(figures: &mut Figures, tallies: &[Tally], now: Instant) {
    let mut minute = Stats::default();
    tallies.iter().for_each(|tally| tally.window.sum_into(now, BUCKETS, &mut minute));
    figures.lateness_us = Percentiles::of(&minute.lateness_us);
    figures.latency_us = Percentiles::of(&minute.latency_us);
    figures.turn_max_us = minute.turn_max_us;
    figures.recent_faults = minute.faults;
    minute.clear();
    let mut lately = minute;
    tallies.iter().for_each(|tally| tally.window.sum_into(now, LATELY, &mut lately));
    figures.lately = Lately {
        started: lately.started,
        skipped: lately.skipped,
        local_faults: lately.local_faults,
        merged: lately.merged,
        lost_us: lately.lost_us,
        lateness_p99_us: lately.lateness_us.value_at_quantile(0.99),
    };
}

fn add_counts(counts: &mut FaultCounts, more: &FaultCounts) {
    counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
}

/// The last minute, in a ring of buckets.
#[derive(Debug, Default)]
struct Window {
    buckets: [Option<Bucket>; BUCKETS],
}

#[derive(Debug)]
struct Bucket {
    /// Which stretch of [`BUCKET`] since the clock's origin.
    number: u64,
    stats: Stats,
}

impl Window {
    fn add(&mut self, stats: &Stats, now: Instant) {
        let number = number(now);
        let place = usize::try_from(number % BUCKETS as u64).unwrap_or(0);
        match &mut self.buckets[place] {
            Some(bucket) if bucket.number == number => bucket.stats.merge(stats),
            bucket => *bucket = Some(Bucket { number, stats: stats.clone() }),
        }
    }

    /// Adds the newest `count` buckets to `sum`.
    fn sum_into(&self, now: Instant, count: usize, sum: &mut Stats) {
        let newest = number(now);
        let counts = |bucket: &&Bucket| bucket.number + count as u64 > newest;
        self.buckets.iter().flatten().filter(counts).for_each(|bucket| sum.merge(&bucket.stats));
    }
}

const fn number(now: Instant) -> u64 {
    now.as_nanos() / crate::time::nanos(BUCKET)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Cause, Code, Outcome};

    fn stretch(starts: u64, lateness_ms: u64) -> Stats {
        let mut stats = Stats::default();
        for _ in 0..starts {
            stats.start(Duration::from_millis(lateness_ms));
            stats.finish(Outcome::plain(Code::L4Ok), Duration::from_millis(2));
        }
        stats.in_flight = 7;
        stats.in_flight_capacity = 90;
        stats.raw_in_flight = 5;
        stats.raw_in_flight_capacity = 80;
        stats.slots_stuck = 2;
        stats
    }

    #[test]
    fn totals_grow_and_the_window_forgets() {
        let second = |n: u64| Instant::from_millis(n * 1_000);
        let mut tally = Tally::new(second(0));
        tally.add(&stretch(10, 500), second(1));
        tally.add(&stretch(10, 1), second(45));
        let now = tally.figures(second(45));
        assert_eq!((now.started, now.passed, now.in_flight), (20, 20, 7));
        assert!((500_000..510_000).contains(&now.lateness_us.max), "{:?}", now.lateness_us);
        let later = tally.figures(second(60));
        assert!((1_000..1_010).contains(&later.lateness_us.max), "{:?}", later.lateness_us);
        assert!((2_000..2_020).contains(&later.latency_us.p50), "{:?}", later.latency_us);
        assert_eq!(tally.figures(second(200)).lateness_us, Percentiles::default());
        assert_eq!(tally.figures(second(200)).started, 20);
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds_and_fades_when_a_worker_falls_silent() {
        let at = |ms: u64| Instant::from_millis(ms);
        let mut tally = Tally::new(at(0));
        assert!(tally.figures(at(0)).per_second.abs() < f64::EPSILON);
        for n in 1..=20 {
            tally.add(&stretch(if n < 10 { 9 } else { 100 }, 1), at(n * 1_000 + n % 3));
        }
        let rate = tally.figures(at(20_500)).per_second;
        assert!((99.0..101.0).contains(&rate), "{rate}");
        let silent = tally.figures(at(65_000)).per_second;
        assert!((9.0..11.0).contains(&silent), "{silent}");
    }

    #[test]
    fn faults_are_counted_by_cause_and_what_was_lately_is_soon_over() {
        let second = |n: u64| Instant::from_millis(n * 1_000);
        let fault = Outcome::cause(Code::SockErr, Cause::PacketsDropped);
        let place = fault.fault().unwrap();
        let mut stats = stretch(3, 2_000);
        stats.finish(fault, Duration::ZERO);
        (stats.lost_us, stats.merged, stats.skipped) = (5_000_000, 2, 7);
        let mut tally = Tally::new(second(0));
        tally.add(&stats, second(9));
        let now = tally.figures(second(19));
        assert_eq!((now.faults[place], now.recent_faults[place], now.local_faults), (1, 1, 1));
        assert!(now.lately.lateness_p99_us >= 2_000_000, "{now:?}");
        let Lately { started, skipped, merged, lost_us, .. } = now.lately;
        assert_eq!((started, skipped, merged, lost_us), (3, 7, 2, 5_000_000));
        let later = tally.figures(second(20));
        assert_eq!((later.lately, later.lost_us), (Lately::default(), 5_000_000));
        assert_eq!(later.recent_faults[place], 1);
        let after = tally.figures(second(60));
        assert_eq!((after.faults[place], after.recent_faults[place]), (1, 0));
    }

    #[test]
    fn all_workers_together_are_their_sum() {
        let now = Instant::from_millis(1_000);
        let mut tallies = [Tally::new(Instant::ZERO), Tally::new(Instant::ZERO)];
        tallies[0].add(&stretch(10, 3), now);
        tallies[1].add(&stretch(30, 1), now);
        let workers: Vec<Figures> = tallies.iter().map(|tally| tally.figures(now)).collect();
        let total = total(&tallies, &workers, now);
        assert_eq!((total.started, total.in_flight, total.in_flight_capacity), (40, 14, 180));
        let raw = (total.raw_in_flight, total.raw_in_flight_capacity);
        assert_eq!((raw, total.slots_stuck), ((10, 160), 4));
        assert!((39.0..41.0).contains(&total.per_second));
        assert!((1_000..1_010).contains(&total.lateness_us.p50));
        assert!((3_000..3_030).contains(&total.lateness_us.max));
    }
}
