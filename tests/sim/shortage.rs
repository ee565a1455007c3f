//! Where slots or the CPU are too few for what is due: who waits, for how long, and what is said of
//! it.

use crate::cases::script;
use crate::run::world;
use crate::scenario::{Scenario, Target, plain, quiet};
use crate::stage::Stage;
use crate::support::scripts::Asked;
use ringcheck::health::Observed;
use ringcheck::io::sim::{Behaviour, Start};
use ringcheck::outcome::{Class, Code};
use ringcheck::report::Report;
use ringcheck::rng::hash_target;
use ringcheck::schedule::millis;
use ringcheck::time::Instant;
use ringcheck::upcoming::Upcoming;
use ringcheck::worker::{Command, Keep};
use std::sync::Arc;
use std::time::Duration;

const fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1_000)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Adds `count` targets to `group` that accept, but between two instants are silent.
fn add(scenario: &mut Scenario, group: usize, count: usize, silent: Option<(Instant, Instant)>) {
    for _ in 0..count {
        scenario.play(group, &[script("tcp: accepts")]);
        let target = scenario.targets.last_mut().unwrap();
        let well = target.behaviour.clone();
        if let Some((from, to)) = silent {
            let list = vec![(Instant::ZERO, well.clone()), (from, Behaviour::Silent), (to, well)];
            target.behaviour = Behaviour::Scheduled(list);
        }
    }
}

/// TCP at this interval and timeout, both thresholds 3, round trips of a millisecond.
fn tcp(timings: &[(Duration, Duration)], capacity: u32) -> Scenario {
    let recipes = timings.iter().map(|&(interval, timeout)| plain(Asked::Tcp, interval, timeout));
    let mut scenario = quiet(1, recipes.collect());
    scenario.round_trips = vec![Duration::from_millis(1); timings.len()];
    scenario.capacity = capacity;
    scenario.ample = false;
    scenario
}

/// How late each of these starts was of targets whose turns were all kept, sorted.
pub(crate) fn latenesses(scenario: &Scenario, starts: &[Start]) -> Vec<Duration> {
    let late = |start: &Start| {
        let target: &Target = &scenario.targets[start.peer as usize];
        let interval = scenario.recipes[target.group].interval;
        let phase = hash_target("group", target.address) % millis(interval);
        let since = start.at.since(Instant::from_millis(phase)).as_nanos() % interval.as_nanos();
        Duration::from_nanos(u64::try_from(since).unwrap())
    };
    let mut latenesses: Vec<Duration> = starts.iter().map(late).collect();
    latenesses.sort_unstable();
    latenesses
}

pub(crate) fn p99(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() * 99 / 100]
}

/// Least and most starts of the targets in `of`.
fn counts(starts: &[Start], of: std::ops::Range<u32>) -> (usize, usize) {
    let mut counts = vec![0; of.len()];
    for start in starts.iter().filter(|start| of.contains(&start.peer)) {
        counts[(start.peer - of.start) as usize] += 1;
    }
    (counts.iter().copied().min().unwrap(), counts.iter().copied().max().unwrap())
}

/// When 99 % of `count` targets were last seen to come to `state`.
fn reached(reports: &[Report], state: Observed, count: usize) -> Instant {
    let turned = reports.iter().filter(|r| r.transition.is_some_and(|t| t.to == state));
    let mut at: Vec<Instant> = turned.map(|report| report.at).collect();
    at.sort_unstable();
    assert_eq!(at.len(), count, "each once");
    at[count * 99 / 100]
}

/// Everything falls silent at once, and a blackout needs more slots than there are: 100,000 targets
/// at 5 s with a timeout of 2 s need 40,000, two workers have 32,768. Here a tenth of all.
#[test]
fn a_blackout_is_noticed_in_time_although_slots_are_too_few() {
    let mut scenario = tcp(&[(seconds(5), seconds(2))], 3_277);
    add(&mut scenario, 0, 10_000, Some((at(20), at(80))));
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    stage.until(at(20));
    let dark = stage.until(at(80));
    let noticed = reached(&dark, Observed::Unhealthy, 10_000);
    assert!(noticed < at(20 + 3 * 5 + 2 + 5), "{noticed:?}");
    let light = stage.until(at(120));
    let recovered = reached(&light, Observed::Healthy, 10_000);
    assert!(recovered < at(80 + 3 * 5 + 5), "{recovered:?}");
    let blamed = dark.iter().chain(&light).filter(|r| r.outcome.code == Code::SockErr).count();
    assert_eq!(blamed, 0, "no local fault");
}

/// A large group falls silent that needs five times the slots: the other one keeps its turns from
/// the first moment on, before any of the dead has failed.
#[test]
fn a_dying_group_leaves_slots_to_the_others_from_the_first_moment() {
    let mut scenario = tcp(&[(seconds(5), seconds(2)), (seconds(5), seconds(2))], 160);
    add(&mut scenario, 0, 2_000, Some((at(20), at(80))));
    add(&mut scenario, 1, 200, None);
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    stage.until(at(20));
    stage.starts();
    // Less than one interval: none of the dead has failed twice, most have not failed yet.
    let reports = stage.until(at(24));
    let starts: Vec<Start> =
        stage.starts().into_iter().filter(|start| start.peer >= 2_000).collect();
    let late = latenesses(&scenario, &starts);
    assert!(late.len() >= 150 && p99(&late) < Duration::from_millis(20), "{:?}", p99(&late));
    let well = reports.iter().filter(|report| report.target.index() >= 2_000);
    assert!(well.clone().count() > 150 && well.clone().all(|r| r.outcome.code == Code::L4Ok));
}

/// One in twenty falls silent, with slots enough: the others notice nothing.
#[test]
fn a_blackout_of_a_few_does_not_delay_the_rest() {
    let mut scenario = tcp(&[(seconds(5), seconds(2))], 3_277);
    scenario.ample = true;
    add(&mut scenario, 0, 9_500, None);
    add(&mut scenario, 0, 500, Some((at(40), at(80))));
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    stage.until(at(20));
    stage.starts();
    stage.until(at(40));
    let rest = |mut starts: Vec<Start>| {
        starts.retain(|start| start.peer < 9_500);
        p99(&latenesses(&scenario, &starts))
    };
    let before = rest(stage.starts());
    stage.until(at(80));
    let during = rest(stage.starts());
    assert!(during < before + Duration::from_millis(10), "{before:?}, {during:?}");
}

/// A dead group that needs five times the slots that there are makes itself wait, and nobody else.
#[test]
fn a_large_dead_group_does_not_starve_a_small_healthy_one() {
    let mut scenario = tcp(&[(seconds(1), Duration::from_millis(900)); 2], 1_000);
    add(&mut scenario, 0, 5_000, Some((at(10), at(1_000))));
    add(&mut scenario, 1, 500, None);
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    stage.until(at(20));
    stage.starts();
    let reports = stage.until(at(80));
    let starts = stage.starts();
    let healthy: Vec<Start> = starts.iter().filter(|s| s.peer >= 5_000).copied().collect();
    let (least, most) = counts(&healthy, 5_000..5_500);
    assert!(least >= 60 && most <= 61, "no turn is lost: {least} to {most}");
    let latest = *latenesses(&scenario, &healthy).last().unwrap();
    assert!(latest < Duration::from_millis(20), "{latest:?}");
    let (least, most) = counts(&starts, 0..5_000);
    assert!(least >= 11 && most <= least + 2, "all wait alike: {least} to {most}");
    assert!(reports.iter().filter(|r| r.target.0 >= 5_000).all(|r| r.streak > 0));
}

/// A dead group that holds all slots that it may have, and waits for more, is told of although the
/// others have some left.
#[test]
fn slots_that_are_too_few_for_the_dead_are_told_of() {
    let mut scenario = tcp(&[(seconds(1), Duration::from_millis(900))], 100);
    add(&mut scenario, 0, 500, Some((at(10), at(30))));
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    let mut told = Vec::new();
    while stage.worker.io().clock() < at(50) {
        let _ = stage.worker.turn().unwrap();
        let stats = stage.batches.try_iter().filter_map(|batch| batch.stats);
        told.extend(stats.map(|stats| (stats.slots_full, stats.in_flight)));
    }
    assert!(!told[8].0 && !told[48].0, "{told:?}");
    assert!(told[15..28].iter().all(|&(full, taken)| full && taken < 100), "{told:?}");
}

/// Those that come back while the others are dead are noticed at the pace of the dead.
#[test]
fn who_comes_back_among_the_dead_is_served_in_turn() {
    let mut scenario = tcp(&[(seconds(1), Duration::from_millis(900))], 500);
    add(&mut scenario, 0, 2_000, Some((at(10), at(1_000))));
    add(&mut scenario, 0, 100, Some((at(10), at(40))));
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    stage.until(at(40));
    let reports = stage.until(at(60));
    let back = reports.iter().filter(|r| r.target.0 >= 2_000 && r.streak == 3);
    let last = back.map(|report| report.at).max().unwrap();
    // The first of three waits with the dead, whose interval has stretched to some 4 s.
    assert!(last < at(40 + 5 + 2 + 1), "{last:?}");
}

/// Who waits for a slot for too long is excused, however patient those before it are; it keeps its
/// turn, and its next real outcome holds.
#[test]
fn who_waits_for_too_long_says_so_and_keeps_its_turn() {
    let timings = [(seconds(3_600), seconds(120)), (seconds(5), seconds(4))];
    let mut scenario = tcp(&timings, 1);
    add(&mut scenario, 0, 20, Some((Instant::ZERO, at(100_000))));
    add(&mut scenario, 1, 5, None);
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    let reports = stage.until(at(10_000));
    for index in 20..25 {
        let mine: Vec<&Report> = reports.iter().filter(|r| r.target.0 == index).collect();
        let excuses = mine.iter().filter(|r| r.outcome.class() == Class::LocalFault);
        assert!(excuses.clone().count() > 3, "it had to wait for the dead");
        for pair in mine.windows(2) {
            let silence = pair[1].at.since(pair[0].at);
            if pair[0].observed == Observed::Healthy {
                assert!(silence < seconds(5 + 15 + 1), "{silence:?} without a word");
                // It was due after that outcome, and has patience from then on.
                let waited = pair[1].outcome.class() != Class::LocalFault || silence >= seconds(15);
                assert!(waited, "excused after {silence:?}");
                assert!(pair[1].streak == pair[0].streak + 1 || pair[1].streak == pair[0].streak);
            } else {
                assert_eq!(pair[1].observed, Observed::Healthy, "said once, then served");
            }
        }
    }
}

/// Ten times more is due than the CPU can do: everybody is probed equally often, nobody fails, and
/// commands and reports go on.
#[test]
fn an_overload_stretches_every_interval_alike() {
    let mut scenario = tcp(&[(Duration::from_millis(100), Duration::from_millis(50)); 2], 4_096);
    add(&mut scenario, 0, 2_500, None);
    add(&mut scenario, 1, 2_500, None);
    // 5,000 a second can be done, of 50,000.
    let sim = world(&scenario).with_start_cost(Duration::from_micros(200));
    let mut stage = Stage::on(sim, &scenario, Keep::Newest, None);
    let upcoming = Arc::new(Upcoming::new(1));
    stage.worker = stage.worker.with_upcoming(Arc::clone(&upcoming), 0);
    stage.until(at(10));
    stage.starts();
    let reports = stage.until(at(40));
    let behind = upcoming.behind(stage.worker.io().clock());
    // The first in line is a stretched interval late, and who can wait is told so.
    assert!(behind > Duration::from_millis(100), "{behind:?}");
    let starts = stage.starts();
    assert!(starts.len() < 160_000, "{} starts: no overload", starts.len());
    let (least, most) = counts(&starts, 0..5_000);
    assert!(least >= 25 && most <= least + 2, "{least} to {most}");
    assert!(reports.iter().all(|report| report.outcome.class() == Class::Pass));
    let pauses = reports.windows(2).map(|pair| pair[1].at.since(pair[0].at)).max().unwrap();
    assert!(pauses < Duration::from_millis(50), "{pauses:?} without a report");
    stage.send(Command::Revision(7));
    let asked = stage.worker.io().clock();
    while stage.batches.try_iter().all(|batch| batch.revision < 7) {
        assert!(stage.worker.io().clock().since(asked) < Duration::from_millis(100));
        let _ = stage.worker.turn().unwrap();
    }
}

/// What a turn costs by itself is shared by more probes where more are due.
#[test]
fn a_busy_worker_starts_more_in_a_turn() {
    let mut scenario = tcp(&[(seconds(1), Duration::from_millis(900))], 16_384);
    scenario.ample = true;
    add(&mut scenario, 0, 50_000, None);
    let sim = world(&scenario)
        .with_turn_cost(Duration::from_micros(400))
        .with_start_cost(Duration::from_micros(8));
    let mut stage = Stage::on(sim, &scenario, Keep::Newest, None);
    stage.until(at(3));
    stage.starts();
    stage.until(at(6));
    let late = p99(&latenesses(&scenario, &stage.starts()));
    assert!(late < Duration::from_millis(30), "{late:?}");
}
