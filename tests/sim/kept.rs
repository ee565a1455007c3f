//! Connections that are kept for their target's next probe, on targets that keep them, close them
//! and lose them, with slots to spare and without.

use crate::scenario::{Doubts, Scenario, plain, quiet};
use crate::stage::Stage;
use crate::support::scripts::Asked;
use crate::support::tls::{SERVER, Server, client};
use ringcheck::check::Check;
use ringcheck::check::http::{self, Matcher, Request};
use ringcheck::check::tls;
use ringcheck::io::sim::{Behaviour, Converse, End, Fault, Faults, Starts, Step, Talker};
use ringcheck::outcome::{Class, Code};
use ringcheck::recipe::{ProxyProtocol, Recipe, Reuse};
use ringcheck::registry::GroupKey;
use ringcheck::report::{Report, TargetId};
use ringcheck::time::Instant;
use ringcheck::worker::{Command, Flow, Keep};
use std::sync::Arc;
use std::time::Duration;

const KEEPS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CHUNKS: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
const CLOSES: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
const IMPATIENT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
pub(crate) const INTERVAL: Duration = Duration::from_millis(250);

fn reusing(path: &str, fresh_connection_every: u16) -> Recipe {
    let request = Request::get(path);
    Recipe {
        check: Check::Http(http::Check::reusing(&request, Matcher::default())),
        reuse: Some(Reuse { fresh_connection_every }),
        ..plain(Asked::Http, INTERVAL, Duration::from_millis(100))
    }
}

/// So many targets that all do the same.
fn scenario(targets: usize, behaviour: &Behaviour) -> Scenario {
    let mut scenario = quiet(1, vec![reusing("/", 10)]);
    scenario.round_trips[0] = Duration::from_millis(2);
    for _ in 0..targets {
        scenario.play(0, &[crate::cases::script("http: 200")]);
        scenario.targets.last_mut().unwrap().behaviour = behaviour.clone();
    }
    scenario
}

pub(crate) fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// Whether so many connections were made for so many probes, of which the last may run still.
#[track_caller]
pub(crate) fn assert_fresh(stage: &mut Stage, fresh: usize) {
    let made = stage.starts().len();
    assert!((fresh..=fresh + 20).contains(&made), "{made} connections, {fresh} were reported");
}

/// How many of these probes had a connection of their own.
pub(crate) fn fresh(reports: &[Report]) -> usize {
    reports.iter().filter(|report| report.phases.connect_us.is_some()).count()
}

/// Stops the worker: nothing is left behind.
pub(crate) fn stop(mut stage: Stage) {
    stage.send(Command::Stop);
    // Nobody wants its last reports.
    drop(stage.batches);
    while stage.worker.turn().unwrap() == Flow::Continue {}
    assert_eq!(stage.worker.slots_in_use(), 0);
    let sim = stage.worker.finish();
    sim.assert_idle();
    assert_eq!(sim.ledger().open(), 0, "connections that were never given up");
}

#[test]
fn a_connection_serves_so_many_probes_and_no_more() {
    for answer in [KEEPS, CHUNKS] {
        let mut stage =
            Stage::new(&scenario(20, &Behaviour::lasting(answer, None)), Keep::Newest, None);
        let reports = stage.until(at(25_200));
        assert!((1_990..=2_020).contains(&reports.len()), "{}", reports.len());
        assert!(reports.iter().all(|report| report.outcome.code == Code::L7Ok));
        assert!((200..=220).contains(&fresh(&reports)), "{}", fresh(&reports));
        assert_fresh(&mut stage, fresh(&reports));
        // Each target by itself: one of its own, then nine over the same.
        let of_one: Vec<bool> = reports
            .iter()
            .filter(|report| report.target == TargetId(3))
            .map(|report| report.phases.connect_us.is_some())
            .collect();
        assert!(of_one.iter().enumerate().all(|(place, &is)| is == (place % 10 == 0)));
        stop(stage);
    }
}

#[test]
fn who_does_not_keep_it_is_connected_anew_each_time() {
    let mut stage = Stage::new(&scenario(20, &Behaviour::healthy(CLOSES)), Keep::Newest, None);
    let reports = stage.until(at(5_000));
    assert!(reports.iter().all(|report| report.outcome.code == Code::L7Ok));
    assert_eq!(fresh(&reports), reports.len());
    assert_fresh(&mut stage, reports.len());
    stop(stage);
}

/// Some time after each answer, while nobody asks.
pub(crate) const PATIENCE: Duration = Duration::from_millis(100);

/// A target that has forgotten a connection by the time of its second request, and says so by RST.
struct Forgetful {
    asked: bool,
}

impl Talker for Forgetful {
    fn hear(&mut self, bytes: &[u8]) -> (Vec<Step>, End) {
        match (bytes.ends_with(b"\r\n\r\n"), self.asked) {
            (false, false) => (Vec::new(), End::Hold),
            (true, false) => {
                self.asked = true;
                (vec![Step::Send(KEEPS.into())], End::Hold)
            }
            (_, true) => (Vec::new(), End::Reset),
        }
    }
}

/// Every kept connection is over when its probe begins, by FIN or by RST, or as soon as it is used.
#[test]
fn a_target_that_closed_between_two_probes_has_not_failed() {
    let resets = vec![Step::Send(KEEPS.into()), Step::Pause(PATIENCE)];
    for closing in [
        Behaviour::lasting(KEEPS, Some(PATIENCE)),
        Behaviour::talk(Starts::OnRequest, resets, End::Reset),
        Behaviour::Converse(Converse::new(|| Box::new(Forgetful { asked: false }))),
    ] {
        let mut stage = Stage::new(&scenario(20, &closing), Keep::Newest, None);
        let reports = stage.until(at(10_000));
        assert!((780..=800).contains(&reports.len()), "{}", reports.len());
        assert_each_fresh(stage, &reports);
    }
}

/// The same with TLS, where a farewell may come before the end.
#[test]
fn a_target_with_tls_that_closed_between_two_probes_has_not_failed() {
    let server = Server { answer: KEEPS, patience: PATIENCE, ..SERVER };
    for (notifies, end) in [(true, End::Close), (false, End::Close), (false, End::Reset)] {
        let scenario = secured(&Server { notifies, end, ..server });
        let mut stage = Stage::new(&scenario, Keep::Newest, None);
        let reports = stage.until(at(5_000));
        assert!((76..=80).contains(&reports.len()), "{}", reports.len());
        assert_each_fresh(stage, &reports);
    }
}

/// A target behind a proxy: it answers who begins a connection with a PROXY header, and then asks
/// for no more of them.
struct Proxied {
    heard: Vec<u8>,
    introduced: bool,
    end: End,
}

impl Talker for Proxied {
    fn hear(&mut self, bytes: &[u8]) -> (Vec<Step>, End) {
        self.heard.extend_from_slice(bytes);
        if !self.heard.ends_with(b"\r\n\r\n") {
            return (Vec::new(), End::Hold);
        }
        let heard = std::mem::take(&mut self.heard);
        let header = ProxyProtocol::V1.header();
        let request = match std::mem::replace(&mut self.introduced, true) {
            true => Some(&heard[..]),
            false => heard.strip_prefix(header),
        };
        if !request.is_some_and(|request| request.starts_with(b"GET ")) {
            return (Vec::new(), End::Reset);
        }
        (vec![Step::Send(KEEPS.into()), Step::Pause(PATIENCE)], self.end)
    }
}

#[test]
fn each_connection_is_introduced_and_no_probe_is_twice() {
    for (end, most) in [(End::Hold, 16), (End::Close, 160)] {
        let proxied = move || {
            let proxied = Proxied { heard: Vec::new(), introduced: false, end };
            Box::new(proxied) as Box<dyn Talker>
        };
        let mut scenario = scenario(4, &Behaviour::Converse(Converse::new(proxied)));
        scenario.recipes[0].proxy_protocol = Some(ProxyProtocol::V1);
        let mut stage = Stage::new(&scenario, Keep::Newest, None);
        let reports = stage.until(at(10_000));
        assert!((156..=160).contains(&reports.len()), "{}", reports.len());
        for report in &reports {
            assert_eq!(report.outcome.code, Code::L7Ok, "{report:?}");
        }
        assert_eq!(fresh(&reports), most.min(reports.len()));
        stop(stage);
    }
}

/// All passed, and each made a connection of its own in the end.
#[track_caller]
pub(crate) fn assert_each_fresh(mut stage: Stage, reports: &[Report]) {
    for report in reports {
        assert_eq!(report.outcome.code, Code::L7Ok, "{report:?}");
        assert!(report.phases.connect_us.is_some(), "{report:?}");
    }
    assert_fresh(&mut stage, reports.len());
    stop(stage);
}

/// What a kept connection brings is believed unless it is the target's farewell.
#[test]
fn a_failure_over_a_kept_connection_is_one() {
    let mut stage =
        Stage::new(&scenario(1, &Behaviour::lasting(IMPATIENT, None)), Keep::Newest, None);
    let reports = stage.until(at(3_000));
    // The fresh connection says the same, so it is meant.
    assert!(reports.len() >= 10);
    assert!(reports.iter().all(|report| report.outcome.code == Code::L7Sts));
    assert_fresh(&mut stage, reports.len());
    stop(stage);
}

#[test]
fn kept_connections_give_way_where_slots_run_short() {
    let mut scenario = scenario(40, &Behaviour::lasting(KEEPS, None));
    scenario.capacity = 6;
    // Others, who keep nothing, must not go short either.
    scenario.recipes.push(plain(Asked::Tcp, INTERVAL, Duration::from_millis(100)));
    scenario.round_trips.push(Duration::from_millis(2));
    for _ in 0..40 {
        scenario.play(1, &[crate::cases::script("tcp: accepts")]);
    }
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    let reports = stage.until(at(10_000));
    assert!((3_120..=3_200).contains(&reports.len()), "{}", reports.len());
    assert!(reports.iter().all(|report| report.outcome.class() == Class::Pass));
    assert!(stage.worker.slots_in_use() <= 6);
    // Those that are kept are still there when their targets' turn comes: two of forty at least.
    let asked: Vec<_> = reports.into_iter().filter(|report| report.target.0 < 40).collect();
    let over_kept = asked.len() - fresh(&asked);
    assert!(over_kept * 20 >= asked.len(), "{over_kept} of {}", asked.len());
    stop(stage);
}

#[test]
fn a_target_that_leaves_takes_its_connection_along() {
    let scenario = scenario(10, &Behaviour::lasting(KEEPS, None));
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    stage.until(at(1_100));
    let open = |stage: &Stage| stage.worker.io().ledger().open();
    assert_eq!((open(&stage), stage.worker.slots_in_use()), (10, 0), "kept, not in use");
    stage.send(Command::Remove((0..4).map(TargetId).collect()));
    let reports = stage.until(at(2_100));
    assert_eq!(open(&stage), 6);
    assert!(reports.iter().all(|report| report.target.0 >= 4));
    stop(stage);
}

#[test]
fn a_changed_recipe_begins_with_fresh_connections() {
    let scenario = scenario(10, &Behaviour::lasting(KEEPS, None));
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    stage.until(at(1_100));
    stage.starts();
    let changed = Recipe { timeout: Duration::from_millis(90), ..reusing("/", 10) };
    stage.send(Command::Recipe(GroupKey(0), Arc::new(changed)));
    let reports = stage.until(at(1_360));
    assert_eq!((reports.len(), stage.starts().len()), (10, 10));
    assert_eq!(stage.worker.io().ledger().open(), 10, "the old ones are gone");
    stop(stage);
}

#[test]
fn who_asks_to_keep_none_any_more_lets_go_of_those_kept() {
    let scenario = scenario(10, &Behaviour::lasting(KEEPS, None));
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    stage.until(at(1_100));
    assert_eq!(stage.worker.io().ledger().open(), 10);
    let tcp = plain(Asked::Tcp, INTERVAL, Duration::from_millis(100));
    stage.send(Command::Recipe(GroupKey(0), Arc::new(tcp)));
    let reports = stage.until(at(2_100));
    assert!(reports.iter().all(|report| report.outcome.class() == Class::Pass));
    assert_eq!(stage.worker.io().ledger().open(), 0, "all are given up");
    stop(stage);
}

/// Four of these, asked over TLS.
fn secured(server: &Server) -> Scenario {
    let mut scenario = scenario(4, &server.behaviour());
    let inner = http::Check::reusing(&Request::get("/"), Matcher::default());
    let check = tls::Check { client: client(false), inner: tls::Inner::Http(inner) };
    scenario.recipes[0].check = Check::Tls(Arc::new(check));
    scenario
}

#[test]
fn a_connection_with_tls_is_kept_too() {
    let server = Server { answer: KEEPS, notifies: false, end: End::Hold, ..SERVER };
    let mut stage = Stage::new(&secured(&server), Keep::Newest, None);
    let reports = stage.until(at(10_000));
    assert!((156..=160).contains(&reports.len()), "{}", reports.len());
    for report in &reports {
        assert_eq!(report.outcome.code, Code::L7Ok, "{report:?}");
        assert_eq!(report.phases.tls_us.is_some(), report.phases.connect_us.is_some());
        assert!(report.phases.first_byte_us.is_some());
    }
    assert_eq!(fresh(&reports), 16, "one of ten");
    assert_fresh(&mut stage, 16);
    stop(stage);
}

/// Faults of the checker, targets that stall and targets that refuse: no probe is lost, no slot is.
#[test]
fn nothing_is_lost_in_trouble() {
    for seed in 0..20 {
        let patience = Some(Duration::from_millis(260));
        let behaviours = [
            Behaviour::lasting(KEEPS, None),
            Behaviour::lasting(KEEPS, patience),
            Behaviour::healthy(CLOSES),
            Behaviour::stall(),
            Behaviour::Refuse,
        ];
        let all = Behaviour::Random(behaviours.to_vec());
        let mut scenario = scenario(30, &all);
        (scenario.seed, scenario.capacity) = (seed, 12);
        scenario.faults = Faults::none()
            .chance(Fault::Late(Duration::from_millis(30)), 1, 20)
            .chance(Fault::Room(1), 1, 10)
            .chance(Fault::Batch(1), 1, 10);
        scenario.faults_end = at(20_000);
        scenario.doubts = Doubts { receives: false, stalls: true, drops: true };
        let mut stage = Stage::new(&scenario, Keep::Newest, None);
        let reports = stage.until(at(20_000));
        for target in 0..30 {
            let count = reports.iter().filter(|report| report.target.0 == target).count();
            assert!((40..=81).contains(&count), "seed {seed}: {count} probes of {target}");
        }
        stop(stage);
    }
}
