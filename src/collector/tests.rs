//! The collector against workers that are played by hand.

mod model;

use super::*;
use crate::check::tls::Presented;
use crate::config::{
    AlibabaConfig, ApiConfig, AwsConfig, Backend, Config, EngineConfig, GroupConfig, HealthCheck,
    Lifecycle, Origin, Protocol, Rules, StateConfig, TargetConfig,
};
use crate::endpoint::Endpoint;
use crate::outcome::{Code, Outcome, TABLE};
use crate::recipe::{Close, Handshake};
use crate::registry::IdAllocator;
use crate::report::{Phases, TargetId};
use crate::stats::Stats;
use crate::table::{Failure, Filter, LastProbe, Reading, ShownState, StateMask};
use proptest::prelude::*;

const STATES: [Observed; 4] = Observed::ALL;

/// One registry after another, as reloads make them. Targets are named by the last two bytes of
/// their address; ids are dense, so the first registry's targets have the ids 0, 1, 2, …
#[derive(Default)]
struct Reloads {
    ids: IdAllocator,
    last: Arc<Registry>,
}

impl Reloads {
    /// The registry of groups `g0`, `g1`, … with these targets.
    fn next(&mut self, groups: &[&[u32]]) -> Arc<Registry> {
        self.next_with(groups, true)
    }

    fn next_with(&mut self, groups: &[&[u32]], enabled: bool) -> Arc<Registry> {
        let groups = groups.iter().enumerate();
        let config = config(groups.map(|(i, names)| group_config(i, names, enabled)).collect());
        let now = Instant::ZERO;
        self.last = Arc::new(Registry::build(&config, Some(&self.last), &mut self.ids, now).0);
        Arc::clone(&self.last)
    }
}

fn config(groups: Vec<GroupConfig>) -> Config {
    Config {
        file: "test.toml".into(),
        engine: EngineConfig {
            workers: None,
            max_in_flight: None,
            tls_in_flight: None,
            tls_session_memory: 0,
            backend: Backend::Auto,
            max_targets: 10_000,
        },
        api: ApiConfig {
            socket: "api.sock".into(),
            socket_mode: 0o660,
            socket_group: None,
            listen: None,
        },
        state: StateConfig {
            dir: None,
            snapshot_interval: Duration::from_secs(60),
            snapshot_max_age: Duration::from_secs(3_600),
        },
        aws: AwsConfig::default(),
        alibaba: AlibabaConfig::default(),
        load_balancers: Vec::new(),
        listeners: Vec::new(),
        groups,
    }
}

fn group_config(index: usize, names: &[u32], enabled: bool) -> GroupConfig {
    let target = |name: &u32| TargetConfig {
        id: (name % 2 == 1).then(|| format!("i-{name}").into()),
        endpoint: Endpoint::new(std::net::Ipv4Addr::from(0x7F00_0000 + name).into(), 80),
        zone: None,
        weight: None,
        lifecycle: Lifecycle::Running,
    };
    GroupConfig {
        name: format!("g{index}"),
        id: format!("tg-g{index}"),
        rules: Rules::Classic,
        deregistration_delay: Duration::ZERO,
        port: Some(80),
        health_check: HealthCheck {
            enabled,
            protocol: Protocol::Tcp,
            port: None,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            healthy_threshold: 3,
            unhealthy_threshold: 3,
            close: Close::Reset,
            handshake: Handshake::Half,
            proxy_protocol: None,
            reuse: None,
        },
        targets: names.iter().map(target).collect(),
        targets_files: Vec::new(),
        origin: Origin::default(),
    }
}

fn report(target: u32, at_ms: u64, observed: Observed, code: Code) -> Report {
    Report {
        target: TargetId(target),
        at: Instant::from_millis(at_ms),
        outcome: Outcome::plain(code),
        phases: Phases { total_us: u32::try_from(at_ms).unwrap(), ..Phases::default() },
        observed,
        streak: 1,
        transition: None,
    }
}

fn batch(worker: usize, revision: u64, reports: Vec<Report>) -> Batch {
    Batch { worker, revision, reports, ..Batch::default() }
}

fn collector(groups: &[&[u32]]) -> (Collector, Arc<StateTable>, Reloads) {
    let mut reloads = Reloads::default();
    let table = Arc::new(StateTable::new(10_000, Instant::ZERO));
    let mut collector = Collector::new(Arc::clone(&table), 2, Instant::ZERO);
    collector.install(reloads.next(groups), Instant::ZERO).unwrap();
    (collector, table, reloads)
}

/// What the records say, counted one by one, equals what the sets say.
fn assert_sets_fit(table: &StateTable) {
    let view = table.view();
    for (group, sets) in view.registry.groups.iter().zip(&view.sets) {
        let verdicts: Vec<Verdict> = group.members.targets().map(|id| table.verdict(id)).collect();
        let of = |filter: &dyn Fn(usize) -> bool| -> Vec<usize> {
            (0..verdicts.len()).filter(|&p| filter(p)).collect()
        };
        for state in ShownState::ALL {
            let expect = of(&|p| shown_state(group, p, verdicts[p].observed) == state);
            let filter = Filter { states: StateMask::only(state), code: None };
            assert_eq!(sets.positions(filter, 0).collect::<Vec<_>>(), expect, "{state:?}");
            assert_eq!(sets.count(state) as usize, expect.len());
        }
        for row in &TABLE {
            let expect = of(&|p| verdicts[p].outcome.is_some_and(|o| o.code == row.code));
            let filter = Filter { states: StateMask::ALL, code: Some(row.code) };
            assert_eq!(sets.positions(filter, 0).collect::<Vec<_>>(), expect, "{}", row.name);
            assert_eq!(sets.code_count(row.code) as usize, expect.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_reports_leave_records_sets_and_history_as_a_plain_model_has_them(
        reports in prop::collection::vec((0..110_u32, 0..4_usize, 0..12_usize), 0..400),
    ) {
        let ids: Vec<u32> = (0..100).collect();
        let (mut collector, table, _) = collector(&[&ids[..30], &ids[30..]]);
        let mut model = vec![(Observed::Initial, None, 0, 0); 100];
        let mut transitions = 0;
        for (n, chunk) in reports.chunks(7).enumerate() {
            let at = 10 + n as u64;
            let reports = chunk.iter().map(|&(id, state, code)| {
                let code = Code::from_index(code).unwrap();
                if let Some(entry) = model.get_mut(id as usize) {
                    let changed = entry.0 != STATES[state];
                    transitions += u64::from(changed);
                    let since = if changed { at } else { entry.2 };
                    *entry = (STATES[state], Some(code), since, at);
                }
                report(id, at, STATES[state], code)
            });
            let empty = collector.apply(batch(0, 1, reports.collect()), Instant::from_millis(at));
            prop_assert!(empty.reports.is_empty());
        }
        for (id, &(observed, code, since, at)) in model.iter().enumerate() {
            let reading = table.read(TargetId(u32::try_from(id).unwrap()));
            prop_assert_eq!(reading.verdict.observed, observed);
            prop_assert_eq!(reading.verdict.outcome.map(|o| o.code), code);
            prop_assert_eq!(reading.verdict.since, Instant::from_millis(since).into());
            let last = reading.last.map(|last| last.at);
            prop_assert_eq!(last, code.map(|_| Instant::from_millis(at).into()));
        }
        assert_sets_fit(&table);
        prop_assert_eq!(table.history().newest(), transitions);
    }
}

#[test]
fn a_new_registry_keeps_what_stays_and_begins_what_is_new() {
    let (mut collector, table, mut reloads) = collector(&[&[10, 11, 12, 13], &[20]]);
    let sick = [1, 2, 4].map(|id| report(id, 5, Observed::Unhealthy, Code::L4Con)).to_vec();
    collector.apply(batch(0, 1, sick), Instant::from_millis(5));
    let events = table.history().since(0, 10, Moment(0));
    let named: Vec<_> = events.iter().map(|event| (&*event.group, event.id())).collect();
    let expect = [("g0", "i-11"), ("g0", "127.0.0.12"), ("g1", "127.0.0.20")];
    assert_eq!(named, expect.map(|(group, id)| (group, id.to_owned())));

    // 12 leaves, 99 comes with the next id, the others stay in their order.
    collector.install(reloads.next(&[&[11, 10, 99, 13], &[20]]), Instant::from_millis(7)).unwrap();
    let view = table.view();
    assert!(view.registry.groups[0].members.targets().eq([0, 1, 3, 5].map(TargetId)));
    assert_eq!(table.verdict(TargetId(1)).observed, Observed::Unhealthy);
    assert_eq!(table.verdict(TargetId(5)).since, Moment(7));
    assert_eq!(view.sets[0].count(ShownState::Unhealthy), 1);
    assert!(view.sets[0].shows(1, ShownState::Unhealthy));
    assert!(view.group("g1").is_some() && view.group("tg-g1").is_some());
    assert!(view.group("g2").is_none());
    assert_sets_fit(&table);

    // A late report of the one that left changes nothing, not even the history.
    let newest = table.history().newest();
    let late = vec![report(2, 8, Observed::Healthy, Code::L4Ok)];
    collector.apply(batch(0, 1, late), Instant::from_millis(8));
    assert_eq!(table.history().newest(), newest);
    assert_eq!(table.verdict(TargetId(2)).observed, Observed::Unhealthy);

    // Its place is given to another target, which starts without a past.
    reloads.ids.release(2);
    let next = reloads.next(&[&[11, 10, 99, 13, 50], &[20]]);
    assert_eq!(next.groups[0].members.target(4), TargetId(2));
    collector.install(next, Instant::from_millis(9)).unwrap();
    let verdict = Verdict { observed: Observed::Initial, outcome: None, since: Moment(9) };
    assert_eq!(table.read(TargetId(2)), Reading { verdict, last: None, failure: None });
    assert_sets_fit(&table);
}

#[test]
fn targets_of_a_disabled_check_show_nothing_of_the_past_when_it_is_enabled_again() {
    let (mut collector, table, mut reloads) = collector(&[&[0, 1]]);
    let well = vec![report(0, 5, Observed::Healthy, Code::L4Ok)];
    collector.apply(batch(0, 1, well), Instant::from_millis(5));
    let off = reloads.next_with(&[&[0, 1]], false);
    collector.install(off, Instant::from_millis(6)).unwrap();
    assert_eq!(table.view().sets[0].count(ShownState::Unavailable), 2);

    // A report that was on its way when the check was disabled changes no state.
    let late = vec![report(1, 6, Observed::Healthy, Code::L4Ok)];
    collector.apply(batch(0, 1, late), Instant::from_millis(6));
    assert_eq!(table.view().sets[0].count(ShownState::Unavailable), 2);
    assert_eq!(table.verdict(TargetId(1)).observed, Observed::Initial);
    assert_eq!(table.history().newest(), 1);

    collector.install(reloads.next(&[&[0, 1]]), Instant::from_millis(7)).unwrap();
    assert_eq!(table.view().sets[0].count(ShownState::Initial), 2);
    assert_sets_fit(&table);
}

#[test]
fn what_is_remembered_is_shown_and_counted_and_is_no_transition() {
    let (mut collector, table, mut reloads) = collector(&[&[0, 1, 2, 3, 4]]);
    let known = |observed, code| Reading {
        verdict: Verdict { observed, outcome: Some(Outcome::plain(code)), since: Moment(-5_000) },
        last: Some(LastProbe { at: Moment(-10), streak: -1, phases: Phases::default() }),
        failure: None,
    };
    let healthy = known(Observed::Healthy, Code::L4Ok);
    let unhealthy = Reading {
        failure: Some(Failure { code: Code::L4Con, status: 0 }),
        ..known(Observed::Unhealthy, Code::L4Con)
    };
    collector.restore(&[
        (TargetId(0), healthy),
        (TargetId(1), unhealthy),
        (TargetId(2), unhealthy),
        (TargetId(2), healthy),
        (TargetId(77), healthy),
    ]);
    assert_sets_fit(&table);
    assert_eq!(table.read(TargetId(1)), unhealthy);
    let sets = &table.view().sets[0];
    let counts = [ShownState::Healthy, ShownState::Unhealthy, ShownState::Initial];
    assert_eq!(counts.map(|state| sets.count(state)), [2, 1, 2]);
    assert_eq!(table.history().newest(), 0);

    // From here on it is as if it had been so in this run.
    let sick = vec![report(0, 5, Observed::Unhealthy, Code::L4Con)];
    collector.apply(batch(0, 1, sick), Instant::from_millis(5));
    assert_eq!(table.history().since(0, 9, Moment(0))[0].transition.from, Observed::Healthy);
    assert_eq!(table.verdict(TargetId(1)).since, Moment(-5_000));
    assert_sets_fit(&table);

    // Who is not probed shows nothing of the past.
    collector.install(reloads.next_with(&[&[0, 1, 2, 3, 4]], false), Instant::ZERO).unwrap();
    collector.restore(&[(TargetId(3), healthy)]);
    assert_eq!(table.view().sets[0].count(ShownState::Unavailable), 5);
    assert_sets_fit(&table);
}

#[test]
fn a_registry_with_too_many_ids_is_refused_and_changes_nothing() {
    let (mut collector, table, mut reloads) = collector(&[&[0]]);
    let many: Vec<u32> = (0..10_001).collect();
    let refused = collector.install(reloads.next(&[&many]), Instant::ZERO);
    assert_eq!(refused, Err(TableFull { ids: 10_001, capacity: 10_000 }));
    assert_eq!(table.view().registry.revision, 1);
}

#[test]
fn a_revision_is_taken_up_when_the_slowest_worker_says_so() {
    let (mut collector, table, _) = collector(&[&[0]]);
    let fresh = table.verdict(TargetId(0));
    assert!(!table.is_taken_up(&table.view(), &fresh));
    collector.apply(batch(0, 1, Vec::new()), Instant::ZERO);
    assert_eq!(collector.taken_up_revision(), 0);
    collector.apply(batch(1, 1, Vec::new()), Instant::ZERO);
    assert_eq!((collector.taken_up_revision(), table.taken_up_revision()), (1, 1));
    assert!(table.is_taken_up(&table.view(), &fresh));
    collector.apply(batch(7, 9, Vec::new()), Instant::ZERO);
    assert_eq!(collector.taken_up_revision(), 1, "an unknown worker counts for nothing");
}

#[test]
fn figures_are_published_once_a_second_and_a_silent_worker_is_stuck() {
    let (mut collector, table, _) = collector(&[&[0]]);
    let mut stats = Stats::default();
    stats.start(Duration::from_secs(3));
    let with_stats = Batch { stats: Some(Box::new(stats)), ..batch(0, 1, Vec::new()) };
    let back = collector.apply(with_stats, Instant::from_millis(999));
    assert!(back.stats.is_some(), "the memory goes back to the worker");
    assert_eq!(table.stats().total.started, 0);
    collector.tick(Instant::from_millis(1_000));
    assert_eq!(table.stats().total.started, 1);
    assert!(table.stats().is_overloaded());

    collector.apply(batch(0, 1, Vec::new()), Instant::from_millis(5_500));
    let stats = table.stats();
    let stuck = |ms| -> Vec<bool> {
        stats.workers.iter().map(|worker| worker.is_stuck(Instant::from_millis(ms))).collect()
    };
    assert_eq!(stuck(5_500), [false, true]);
    assert_eq!(stuck(5_000), [false, false]);
    assert!(!stats.is_stale(Instant::from_millis(10_500)));
    assert!(stats.is_stale(Instant::from_millis(10_501)));
}

#[test]
fn racing_readers_never_see_parts_of_two_reports() {
    let (mut collector, table, _) = collector(&[&[0]]);
    let rounds: u64 = 100_000;
    std::thread::scope(|scope| {
        let reader = || loop {
            let reading = table.read(TargetId(0));
            let Some(last) = reading.last else { continue };
            // Report n: state, code and status by n % 4, at and total n.
            let n = last.phases.total_us % 4;
            let outcome = reading.verdict.outcome.unwrap();
            assert_eq!(u32::from(outcome.status), 100 + n);
            assert_eq!(outcome.code as u32, n);
            assert_eq!(reading.verdict.observed as u32, n);
            assert_eq!(reading.verdict.since, last.at, "every report changes the state");
            assert_eq!(last.at.0.rem_euclid(4_096), i64::from(last.phases.total_us));
            if last.at.0 >= i64::try_from(rounds).unwrap() {
                break;
            }
        };
        scope.spawn(reader);
        scope.spawn(reader);
        for n in 1..=rounds {
            let kind = usize::try_from(n % 4).unwrap();
            let mut report = report(0, n, STATES[kind], Code::from_index(kind).unwrap());
            report.outcome.status = 100 + u16::try_from(kind).unwrap();
            report.phases.total_us = u32::try_from(n % 4_096).unwrap();
            collector.apply(batch(0, 1, vec![report]), Instant::from_millis(n));
        }
    });
}

#[test]
fn the_thread_installs_takes_in_recycles_and_ends() {
    use crossbeam_channel::{bounded, unbounded};
    let table = Arc::new(StateTable::new(100, monotonic()));
    let collector = Collector::new(Arc::clone(&table), 1, monotonic());
    let (commands, commands_end) = unbounded();
    let (batches, batches_end) = bounded(4);
    let (recycle, spares) = bounded(1);
    let thread = std::thread::spawn(move || collector.run(&batches_end, &[recycle], &commands_end));
    let (done, installed) = bounded(1);
    commands.send(Command::Install(Reloads::default().next(&[&[0, 1]]), done)).unwrap();
    installed.recv().unwrap().unwrap();
    batches.send(batch(0, 1, vec![report(1, 5, Observed::Healthy, Code::L4Ok)])).unwrap();
    assert!(spares.recv().unwrap().reports.is_empty());
    assert_eq!(table.view().sets[0].count(ShownState::Healthy), 1);

    // What is in the channel when the stop comes is still taken in; a closed channel is no stop.
    batches.send(batch(0, 1, vec![report(0, 6, Observed::Unhealthy, Code::L4Con)])).unwrap();
    drop(batches);
    commands.send(Command::Stop).unwrap();
    thread.join().unwrap();
    assert_eq!(table.view().sets[0].count(ShownState::Unhealthy), 1);
}

#[test]
fn what_was_presented_is_there_until_the_target_is_gone() {
    let (mut collector, table, mut reloads) = collector(&[&[1, 2]]);
    let presented = Arc::new(Presented {
        version: "TLSv1.3",
        cipher: "TLS_AES_128_GCM_SHA256",
        alpn: None,
        leaf: None,
    });
    let news = [0, 1, 9].map(|id| (TargetId(id), Arc::clone(&presented)));
    let mut told = Batch { presented: news.to_vec(), ..batch(0, 1, Vec::new()) };
    told = collector.apply(told, Instant::ZERO);
    assert!(told.presented.is_empty() && told.presented.capacity() >= 3);
    let known = |id| table.presented(TargetId(id)).is_some();
    assert_eq!([known(0), known(1), known(9)], [true, true, false]);
    collector.install(reloads.next(&[&[1]]), Instant::ZERO).unwrap();
    for seconds in 1..10 {
        collector.tick(Instant::from_millis(1_000 * seconds));
    }
    assert_eq!([known(0), known(1)], [true, false], "seen when its chunk is looked through");
}
