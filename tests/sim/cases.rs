//! Cases that chance would find too seldom, each as a run of its own.

use crate::run::Run;
use crate::scenario::{Doubts, Scenario, Target, plain, quiet};
use crate::stage::Stage;
use crate::support::scripts::{Asked, OK, SCRIPTS, Script};
use nix::errno::Errno;
use ringcheck::health::{Health, Observed, Thresholds, Transition};
use ringcheck::io::sim::{Behaviour, Fate, Fault, Faults, Peer, Window};
use ringcheck::outcome::{Cause, Class, Code, Detail, Outcome};
use ringcheck::recipe::Recipe;
use ringcheck::registry::{Addition, GroupKey};
use ringcheck::report::{Report, TargetId};
use ringcheck::rng::hash_target;
use ringcheck::schedule::First;
use ringcheck::time::Instant;
use ringcheck::worker::{Command, Flow, Keep};
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn script(name: &str) -> Script {
    *SCRIPTS.iter().find(|script| script.name == name).expect("a script of that name")
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Healthy targets of both kinds, with this timeout, under these faults.
fn healthy(timeout: Duration, faults: Faults) -> Scenario {
    let recipes = [Asked::Tcp, Asked::Http].map(|asked| plain(asked, ms(250), timeout));
    let mut scenario = quiet(1, recipes.to_vec());
    scenario.round_trips = vec![timeout / 20; 2];
    for _ in 0..20 {
        scenario.play(0, &[script("tcp: accepts")]);
        scenario.play(1, &[script("http: 200")]);
    }
    scenario.faults = faults;
    scenario.faults_end = Instant::ZERO + scenario.duration;
    scenario.doubts = Doubts { receives: false, stalls: true, drops: true };
    scenario
}

/// However the worker is stopped, and wherever, no target fails for it.
#[test]
fn a_stopped_worker_blames_nobody() {
    let stop = Duration::from_secs(2);
    for fault in [Fault::Held(stop), Fault::Pause(stop), Fault::Oversleep(stop)] {
        let summary = Run::complete(&healthy(ms(60), Faults::none().chance(fault, 1, 50)));
        assert!(summary.codes.keys().all(|code| code.class() == Class::Pass), "{summary:?}");
        assert!(summary.skipped > 100, "the stops were felt: {summary:?}");
    }
}

/// A target that closes what asks nothing for a while is not to blame for a stop between the
/// handshake and the request.
#[test]
fn a_target_that_gave_a_stopped_worker_up_has_not_failed() {
    let mut scenario = quiet(1, vec![plain(Asked::Http, ms(250), ms(200))]);
    scenario.round_trips[0] = ms(40);
    for _ in 0..40 {
        scenario.play(0, &[script("http: 200")]);
        scenario.targets.last_mut().unwrap().behaviour =
            Behaviour::impatient(OK, Duration::from_secs(3));
    }
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    let (mut excused, mut reports) = (0, Vec::new());
    for second in 1..60 {
        reports.extend(stage.until(Instant::from_millis(second * 5_000)));
        stage.worker.io_mut().skip(Duration::from_secs(4));
    }
    for report in reports {
        let Outcome { code, detail, .. } = report.outcome;
        excused += u32::from(detail == Detail::Cause(Cause::NotRun));
        assert!(code == Code::L7Ok || detail == Detail::Cause(Cause::NotRun), "{report:?}");
    }
    assert!(excused > 50, "{excused} gave up");
}

/// A short timeout is not spent on a short stop.
#[test]
fn a_short_stop_is_given_back_to_a_short_timeout() {
    let mut scenario = quiet(1, vec![plain(Asked::Http, ms(250), ms(20))]);
    scenario.round_trips[0] = ms(7);
    for _ in 0..40 {
        scenario.play(0, &[script("http: 200")]);
    }
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    let (mut failed, mut stops) = (0, 0);
    let mut next = Instant::from_millis(1_000);
    while stage.worker.io().clock() < Instant::from_millis(120_000) {
        let _ = stage.worker.turn().unwrap();
        let reports = stage.batches.try_iter().flat_map(|batch| batch.reports);
        failed += reports.filter(|report| report.outcome.class() == Class::Fail).count();
        if stage.worker.io().clock() >= next {
            stage.worker.io_mut().skip(ms(9));
            next = stage.worker.io().clock() + ms(61);
            stops += 1;
        }
    }
    assert!(stops > 1_000 && failed == 0, "{failed} failures by {stops} stops");
}

/// How much of a stop counts as lost follows from the timeouts that there are, and from no other: a
/// short one of a group that has gone, or has been made longer, is forgotten.
#[test]
fn short_timeouts_that_are_gone_leave_nothing_behind() {
    let (short, long) = (plain(Asked::Tcp, ms(250), ms(20)), plain(Asked::Tcp, ms(250), ms(200)));
    let mut scenario = quiet(1, vec![long.clone(), short]);
    scenario.round_trips = vec![ms(1); 2];
    for group in [0, 1] {
        scenario.play(group, &[script("tcp: accepts")]);
    }
    let lost_by_a_stop = |stage: &mut Stage| {
        let now = stage.worker.io().clock();
        stage.until(now + ms(2_000));
        stage.worker.io_mut().skip(ms(8));
        let mut lost = 0;
        while stage.worker.io().clock() < now + ms(4_000) {
            let _ = stage.worker.turn().unwrap();
            let stats = stage.batches.try_iter().filter_map(|batch| batch.stats);
            lost += stats.map(|stats| stats.lost_us).sum::<u64>();
        }
        lost
    };
    for change in [Command::Remove(vec![TargetId(1)]), Command::Recipe(GroupKey(1), Arc::new(long))]
    {
        let mut stage = Stage::new(&scenario, Keep::Newest, None);
        let lost = lost_by_a_stop(&mut stage);
        assert!((1_000..8_000).contains(&lost), "most of 20 ms: {lost} us");
        stage.send(change);
        assert_eq!(lost_by_a_stop(&mut stage), 0, "nothing beside 200 ms");
    }
}

/// Who comes to a running daemon is probed within a second; from the second probe on, no second has
/// more of them than another.
#[test]
fn who_comes_together_does_not_stay_together() {
    let mut scenario = quiet(1, vec![plain(Asked::Tcp, Duration::from_secs(10), ms(3_000))]);
    scenario.round_trips[0] = ms(1);
    for _ in 0..1_000 {
        scenario.play(0, &[script("tcp: accepts")]);
    }
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    let addition = |(index, target): (u32, &Target)| Addition {
        target: TargetId(index),
        group: GroupKey(0),
        endpoint: target.address.into(),
        hash: hash_target("group", target.address),
        health: Health::default(),
    };
    let again = |first| {
        let targets = (0..).zip(&scenario.targets).map(addition).collect();
        [Command::Remove((0..1_000).map(TargetId).collect()), Command::Add(first, targets)]
    };
    stage.until(Instant::from_millis(20_000));
    stage.starts();
    again(First::Soon(1_000)).into_iter().for_each(|command| stage.send(command));
    stage.until(Instant::from_millis(80_000));
    let mut by_second = [0; 60];
    let mut by_target = vec![Vec::new(); 1_000];
    for start in stage.starts() {
        by_second[usize::try_from(start.at.as_millis() / 1_000 - 20).unwrap()] += 1;
        by_target[start.peer as usize].push(start.at);
    }
    assert!(by_second[0] > 990, "{by_second:?}");
    // A second after 16 s from 1,000 targets at 10 s: 100, and four times its deviation of 9.5.
    assert!(by_second[16..].iter().all(|starts| (62..=138).contains(starts)), "{by_second:?}");
    for starts in by_target {
        let gaps: Vec<_> = starts.windows(2).map(|pair| pair[1].since(pair[0])).collect();
        assert!((ms(4_980)..=ms(15_020)).contains(&gaps[0]), "{gaps:?}");
        let exact = |gap: &Duration| gap.abs_diff(ms(10_000)) <= ms(12);
        assert!(gaps.len() >= 4 && gaps[1..].iter().all(exact), "{gaps:?}");
    }
}

/// A timeout is given back what a stop took from it, and no more: a probe that started after the
/// stop has lost nothing.
#[test]
fn a_stopped_worker_still_notices_timeouts() {
    let stop = Duration::from_secs(2);
    for fault in [Fault::Held(stop), Fault::Pause(stop), Fault::Oversleep(stop)] {
        let mut scenario = healthy(ms(60), Faults::none().chance(fault, 1, 50));
        scenario.targets.clear();
        for _ in 0..20 {
            scenario.play(0, &[script("tcp: silent")]);
            scenario.play(1, &[script("http: never answers")]);
        }
        let summary = Run::complete(&scenario);
        assert_eq!(summary.codes.into_keys().collect::<Vec<_>>(), [Code::L4Tout, Code::L7Tout]);
    }
}

/// An answer and its deadline are seen in one turn: the answer was first.
#[test]
fn completions_are_taken_before_deadlines_are_judged() {
    let mut scenario = healthy(ms(50), Faults::none().chance(Fault::Oversleep(ms(9)), 1, 1));
    scenario.targets.retain(|target| target.group == 0);
    scenario.round_trips[0] = ms(49);
    let summary = Run::complete(&scenario);
    assert!(summary.codes.keys().all(|&code| code == Code::L4Ok), "{summary:?}");
}

/// Faults of the checker make targets unavailable, never unhealthy, and leave no trace.
#[test]
fn each_local_fault_is_nobodys_failure() {
    let errnos = [
        Errno::EMFILE,
        Errno::ENFILE,
        Errno::ENOBUFS,
        Errno::ENOMEM,
        Errno::EADDRNOTAVAIL,
        Errno::EACCES,
        Errno::EPERM,
    ];
    for errno in errnos {
        let at = Instant::from_millis;
        let faults = Faults::none().between(Fault::Connect(errno), at(10_000), at(20_000));
        let mut scenario = healthy(ms(60), faults);
        scenario.duration = Duration::from_secs(30);
        let (mut unavailable, mut last) = (0, Vec::new());
        let mut stage = Stage::new(&scenario, Keep::Newest, None);
        for target in stage.until(at(30_000)) {
            unavailable += usize::from(target.observed == Observed::Unavailable);
            assert_ne!(target.observed, Observed::Unhealthy, "{errno:?}");
            last.push(target);
        }
        assert!(unavailable > 40 * 30, "{errno:?}: {unavailable}");
        let recovered = last.iter().rev().take(40);
        assert!(recovered.clone().all(|r| r.observed == Observed::Healthy && r.streak > 70));
    }
}

/// Packets that the host drops by itself are held against nobody; and as soon as it drops none, a
/// silent target is found out again.
#[test]
fn what_the_host_drops_is_nobodys_failure() {
    let [from, to] = [100_000, 200_000].map(Instant::from_millis);
    for often in [1, 3, 1_000] {
        let chance = (1, often);
        let window = Window { from, to, chance, fault: Fault::Dropped };
        let mut scenario = healthy(ms(60), Faults::none().window(window));
        scenario.play(0, &[script("tcp: silent")]);
        scenario.play(1, &[script("http: never answers")]);
        let mut stage = Stage::new(&scenario, Keep::Newest, None);
        let reports = stage.until(Instant::from_millis(300_000));
        for report in &reports {
            let class = report.outcome.class();
            let well = report.target.0 < 40;
            assert!(!well || class != Class::Fail, "{report:?}");
            let dropping = from <= report.at && report.at < to + ms(1_500);
            let failed = class == Class::Fail || dropping && class == Class::LocalFault;
            assert!(well || failed, "{report:?}");
        }
        let dropped = reports.iter().filter(|report| report.outcome.code == Code::SockErr).count();
        assert!(dropped > 10, "{often}: {dropped}");
        let silent = |report: &&Report| report.target.0 >= 40 && report.at >= to + ms(1_500);
        let told: Vec<Observed> = reports.iter().filter(silent).map(|r| r.observed).collect();
        assert!(told.len() > 700 && told.iter().all(|&told| told == Observed::Unhealthy));
    }
}

/// The checks themselves can fail: here the truth is told wrong.
#[test]
#[should_panic(expected = "but the truth is L4Con 0")]
fn a_wrong_outcome_is_noticed() {
    let mut scenario = healthy(ms(60), Faults::none());
    scenario.targets[10].expects = vec![(Code::L4Con, 0)];
    Run::complete(&scenario);
}

/// A collector that is far behind sees fewer reports, but every transition, and the state as it is.
#[test]
fn a_slow_collector_loses_no_transition() {
    let mut scenario = quiet(5, vec![plain(Asked::Tcp, ms(100), ms(50))]);
    scenario.recipes[0].thresholds.unhealthy = 2;
    scenario.round_trips[0] = ms(1);
    for _ in 0..50 {
        scenario.play(0, &[script("tcp: accepts"), script("tcp: refuses")]);
    }
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    let mut reports = Vec::new();
    for second in 0..60 {
        while stage.worker.io().clock() < Instant::from_millis(second * 1_000) {
            assert_eq!(stage.worker.turn().unwrap(), Flow::Continue);
        }
        reports.extend(stage.batches.try_iter().flat_map(|batch| batch.reports));
    }
    let starts = stage.starts();
    reports.extend(stage.batches.try_iter().flat_map(|batch| batch.reports));
    let batches = stage.batches.clone();
    stage.worker.finish();
    reports.extend(batches.try_iter().flat_map(|batch| batch.reports));
    assert!(reports.len() < starts.len() * 9 / 10, "{} of {}", reports.len(), starts.len());

    for index in 0..50 {
        let (mut health, mut expected) = (Health::default(), Vec::new());
        let mut states = vec![(health.observed(), health.streak())];
        for start in starts.iter().filter(|start| start.peer == index) {
            let Fate::Peer(fate) = start.fate else { panic!("no fault was asked for") };
            let class = [Class::Pass, Class::Fail][usize::from(fate)];
            expected.extend(health.observe(class, scenario.recipes[0].thresholds));
            states.push((health.observed(), health.streak()));
        }
        let told: Vec<&Report> = reports.iter().filter(|r| r.target.0 == index).collect();
        let transitions: Vec<Transition> = told.iter().filter_map(|r| r.transition).collect();
        // The last probe may still be in flight.
        assert!(expected.starts_with(&transitions), "target {index}");
        assert!(expected.len() - transitions.len() <= 1 && expected.len() > 10, "target {index}");
        let last = told.last().map(|report| (report.observed, report.streak)).unwrap();
        assert!(states[states.len() - 2..].contains(&last), "target {index}: {last:?}");
    }
}

/// A changed recipe keeps the state, restarts the streak, and holds from the next probe on.
#[test]
fn a_changed_recipe_holds_from_the_next_probe_on() {
    let slow = plain(Asked::Tcp, Duration::from_secs(30), Duration::from_secs(10));
    let mut scenario = quiet(1, vec![slow.clone()]);
    for _ in 0..30 {
        scenario.play(0, &[script("tcp: accepts")]);
    }
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    let reports = stage.until(Instant::from_millis(100_000));
    assert!(reports.iter().any(|report| report.streak == 3));
    stage.starts();
    let fast = Recipe { interval: Duration::from_secs(1), ..slow };
    stage.send(Command::Recipe(GroupKey(0), Arc::new(fast)));
    let reports = stage.until(Instant::from_millis(140_000));
    let starts = stage.starts();
    for index in 0..30 {
        let mine = reports.iter().filter(|report| report.target.0 == index);
        for (report, streak) in mine.zip(1..) {
            assert_eq!((report.observed, report.transition), (Observed::Healthy, None));
            assert_eq!(report.streak, streak, "the streak began anew");
        }
        let at: Vec<Instant> = starts.iter().filter(|s| s.peer == index).map(|s| s.at).collect();
        assert!(at.len() >= 39, "target {index}: {} starts", at.len());
        let gaps: Vec<_> = at.windows(2).map(|pair| pair[1].since(pair[0])).collect();
        let second = |gap: &Duration| gap.abs_diff(Duration::from_secs(1)) < ms(1);
        assert!(gaps.iter().all(second), "target {index}: {gaps:?}");
    }
}

/// A change that leaves the interval alone moves nobody's start.
#[test]
fn a_changed_recipe_keeps_the_phase() {
    let recipe = plain(Asked::Tcp, Duration::from_secs(30), Duration::from_secs(10));
    let mut scenario = quiet(1, vec![recipe.clone()]);
    for _ in 0..30 {
        scenario.play(0, &[script("tcp: accepts")]);
    }
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    for (end, timeout) in [(100, 5), (170, 3), (250, 8)] {
        stage.until(Instant::from_millis(end * 1_000));
        let timeout = Duration::from_secs(timeout);
        stage.send(Command::Recipe(GroupKey(0), Arc::new(Recipe { timeout, ..recipe.clone() })));
    }
    stage.until(Instant::from_millis(400_000));
    let starts = stage.starts();
    for index in 0..30 {
        let at: Vec<Instant> = starts.iter().filter(|s| s.peer == index).map(|s| s.at).collect();
        let gaps: Vec<_> = at.windows(2).map(|pair| pair[1].since(pair[0]).as_secs()).collect();
        assert!(gaps.len() >= 11 && gaps.iter().all(|&gap| gap == 30), "{index}: {gaps:?}");
    }
}

/// A changed port is a changed recipe: the state stays, the streak restarts, the probes go there.
#[test]
fn a_changed_port_keeps_the_state_and_restarts_the_streak() {
    let thresholds = Thresholds { healthy: 3, unhealthy: 100 };
    let here = Recipe { thresholds, ..plain(Asked::Tcp, Duration::from_secs(1), ms(500)) };
    let mut scenario = quiet(1, vec![here.clone()]);
    scenario.play(0, &[script("tcp: accepts")]);
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    let mut other = scenario.targets[0].address;
    other.set_port(8_080);
    stage.worker.io_mut().network_mut().add(other, Peer::new(Behaviour::Refuse));
    stage.until(Instant::from_millis(10_000));
    let there = Recipe { port: Some(8_080), ..here.clone() };
    for (recipe, sign, code, end) in
        [(there, -1, Code::L4Con, 12_500), (here, 1, Code::L4Ok, 15_000)]
    {
        stage.send(Command::Recipe(GroupKey(0), Arc::new(recipe)));
        let reports = stage.until(Instant::from_millis(end));
        let seen: Vec<_> = reports.iter().map(|r| (r.observed, r.streak, r.outcome.code)).collect();
        assert_eq!(seen[..2], [1, 2].map(|n| (Observed::Healthy, n * sign, code)), "{seen:?}");
    }
}

/// A one-shot run probes each target as often as asked, at the rate asked for, and ends.
#[test]
fn a_one_shot_run_does_what_was_asked_and_ends() {
    let mut scenario = quiet(1, vec![plain(Asked::Http, Duration::ZERO, ms(500))]);
    scenario.round_trips[0] = ms(2);
    for name in ["http: 200", "http: never answers", "http: refuses"] {
        for _ in 0..20 {
            scenario.play(0, &[script(name)]);
        }
    }
    let mut stage = Stage::new(&scenario, Keep::All, Some(3));
    stage.commands = None;
    let mut turns = 0;
    while stage.worker.turn().unwrap() == Flow::Continue {
        turns += 1;
        assert!(turns < 100_000, "it never ends");
    }
    let starts = stage.starts();
    assert_eq!(starts.len(), 180);
    assert!(stage.worker.io().clock() > Instant::from_millis(1_700), "180 probes at 100 a second");
    let sim = stage.worker.finish();
    sim.assert_idle();
    let reports: Vec<Report> = stage.batches.try_iter().flat_map(|batch| batch.reports).collect();
    assert_eq!(reports.len(), 180);
    for index in 0..60 {
        let seen = sim.ledger().seen(index);
        assert_eq!((seen.starts, seen.in_flight_max), (3, 1), "target {index}");
        let code = scenario.targets[index as usize].expects[0].0;
        let mine = reports.iter().filter(|report| report.target.0 == index);
        assert!(mine.clone().count() == 3 && mine.clone().all(|r| r.outcome.code == code));
    }
}

/// Who is removed and added again while its probe runs begins when that probe is over, and is told
/// nothing of it.
#[test]
fn who_is_added_again_waits_for_its_former_probe_and_hears_nothing_of_it() {
    let mut scenario = quiet(1, vec![plain(Asked::Tcp, Duration::from_secs(20), ms(5_000))]);
    scenario.round_trips[0] = ms(1);
    for _ in 0..40 {
        scenario.play(0, &[script("tcp: silent")]);
    }
    let addition = |index: usize, group: u32| Addition {
        target: TargetId(u32::try_from(index).unwrap()),
        group: GroupKey(group),
        endpoint: scenario.targets[index].address.into(),
        hash: 0,
        health: Health::default(),
    };
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    stage.until(Instant::from_millis(22_000));
    let running = stage.worker.slots_in_use();
    assert!(running > 5, "{running} probes run");
    let former = stage.starts();
    for index in 0..40 {
        stage.worker.io_mut().network_mut().behave(index, Behaviour::healthy(b""));
    }
    let other = plain(Asked::Tcp, Duration::from_secs(20), ms(300));
    stage.send(Command::Recipe(GroupKey(1), Arc::new(other)));
    // Twice, so that who is back leaves again before it began. The last ten do not come back.
    for count in [40, 30] {
        stage.send(Command::Remove((0..40).map(TargetId).collect()));
        let targets = (0..count).map(|index| addition(index, 1)).collect();
        stage.send(Command::Add(First::Now, targets));
    }
    let again = stage.worker.io().clock();
    let mut reports = stage.until(Instant::from_millis(35_000));
    // Those of before may have been on their way.
    reports.retain(|report| report.at > again);
    let starts = stage.starts();
    let mut waited = 0;
    for index in 0..40 {
        let mine: Vec<&Report> = reports.iter().filter(|r| r.target.0 == index).collect();
        let start = starts.iter().find(|start| start.peer == index);
        if index >= 30 {
            assert!(mine.is_empty() && start.is_none(), "target {index} is gone");
            continue;
        }
        assert_eq!((mine[0].outcome.code, mine[0].streak), (Code::L4Ok, 1), "target {index}");
        let before = former.iter().rev().find(|start| start.peer == index).unwrap().at;
        let free = (before + ms(5_000)).max(again);
        waited += u32::from(free > again);
        let lateness = start.unwrap().at.since(free);
        assert!(lateness < ms(25), "target {index}: {lateness:?} after it could");
        assert_eq!(stage.worker.io().ledger().seen(index).in_flight_max, 1);
    }
    assert!(waited > 3, "{waited} of those that came back had to wait");
}

/// A change of a large group is looked through in pieces: whatever ends meanwhile counts once, and
/// what was asked after it comes after it.
#[test]
fn a_changed_recipe_of_very_many_targets_restarts_each_streak_once() {
    let slow = plain(Asked::Tcp, Duration::from_secs(30), Duration::from_secs(1));
    let mut scenario = quiet(1, vec![slow.clone()]);
    scenario.round_trips[0] = ms(1);
    for _ in 0..100_000 {
        scenario.play(0, &[script("tcp: accepts")]);
    }
    let sim = crate::run::world(&scenario).with_turn_cost(ms(2));
    let mut stage = Stage::on(sim, &scenario, Keep::Newest, None);
    stage.until(Instant::from_millis(60_000));
    let fast = Recipe { interval: Duration::from_secs(10), ..slow };
    stage.send(Command::Recipe(GroupKey(0), Arc::new(fast)));
    stage.send(Command::Revision(5));
    let begun = stage.worker.io().clock();
    let (mut seen, mut taken_up, mut last) = (vec![0_i16; 100_000], 0, begun);
    while stage.worker.io().clock() < begun + ms(12_000) {
        let _ = stage.worker.turn().unwrap();
        for batch in stage.batches.try_iter() {
            if batch.revision == 5 && taken_up == 0 {
                taken_up = stage.worker.io().clock().since(begun).as_millis();
            }
            for report in batch.reports {
                if report.at > begun {
                    let count = &mut seen[report.target.index()];
                    *count += 1;
                    assert_eq!(report.streak, *count, "{report:?}");
                }
                last = last.max(report.at);
            }
        }
    }
    assert!((20..200).contains(&taken_up), "the look through took {taken_up} ms");
    assert!(seen.iter().all(|&count| count >= 1), "all are due within the new interval");
}

/// Operations that do not come back when they are cancelled are noticed, and cancelled again.
#[test]
fn a_slot_that_is_stuck_is_said_and_comes_back() {
    let at = Instant::from_millis;
    let mut scenario = quiet(1, vec![plain(Asked::Tcp, Duration::from_secs(1), ms(300))]);
    scenario.capacity = 400;
    scenario.faults = Faults::none().between(Fault::Deaf, at(5_000), at(12_000));
    for _ in 0..20 {
        scenario.play(0, &[script("tcp: silent")]);
    }
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    let mut stuck = Vec::new();
    while stage.worker.io().clock() < at(25_000) {
        let _ = stage.worker.turn().unwrap();
        let stats = stage.batches.try_iter().filter_map(|batch| batch.stats);
        stuck.extend(stats.map(|stats| stats.slots_stuck));
    }
    assert_eq!((stuck[8], *stuck.last().unwrap()), (0, 0), "{stuck:?}");
    assert!((20..=140).contains(&stuck[12]), "{stuck:?}");
    assert!(stage.worker.slots_in_use() <= 20, "{} in use", stage.worker.slots_in_use());
}
