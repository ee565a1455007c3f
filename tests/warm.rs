//! What a daemon knows of its targets outlives it: stopped, killed, with a snapshot that is right
//! or is not.
//!
//! The second run's checks have an interval of a day. So what it shows is what the first one wrote.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use nix::sys::signal::Signal;
use ringcheck::farm::{Farm, FarmOptions, range};
use ringcheck::io::Backend;
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::time::SystemTime;
use support::daemon::{Daemon, Files, PATIENCE, driven};
use support::wait_for;

const TARGETS: u32 = 200;

/// A group on a farm's targets, of which some are named, with a state directory.
fn config(files: &Files, port: u16, state: &str, check: &str) -> String {
    let list = range::addresses(TARGETS).enumerate().map(|(index, ip)| {
        let id = if index % 3 == 0 { format!("\"id\":\"i-{index}\",") } else { String::new() };
        format!("{{{id}\"address\":\"{ip}\",\"port\":{port}}}")
    });
    files.write("web.json", &format!("[{}]", list.collect::<Vec<_>>().join(",")));
    format!(
        "[state]\ndir = {:?}\n{state}\n[[group]]\nname = \"web\"\nrules = \"free\"\n\
         targets_file = \"web.json\"\n[group.health_check]\nprotocol = \"HTTP\"\ntimeout = \"1s\"\n\
         {check}\n",
        files.path("state")
    )
}

const OFTEN: &str = "interval = \"200ms\"\nhealthy_threshold = 2\nunhealthy_threshold = 2";
const DAILY: &str = "interval = \"24h\"\nhealthy_threshold = 2\nunhealthy_threshold = 2";

fn farm() -> Farm {
    let mix = "healthy=4,refuse=1,503=1,garbage=1".parse().unwrap();
    Farm::start(FarmOptions { mix, ..FarmOptions::default() }).unwrap()
}

/// A daemon that has decided on all its targets, and what it shows of them.
fn decided(port: u16, state: &str) -> (Daemon, Vec<Value>) {
    decided_on(Backend::IoUring, port, state)
}

/// The same on this backend.
fn decided_on(on: Backend, port: u16, state: &str) -> (Daemon, Vec<Value>) {
    let files = Files::new("");
    files.configure(&driven(on, &config(&files, port, state, OFTEN)));
    let daemon = Daemon::on(files, &[]);
    daemon.summary_when("decided", |summary| summary["targets"]["initial"] == 0);
    let shown = shown(&daemon);
    (daemon, shown)
}

/// What must survive, by target: who it is, its state, why, and since when.
fn shown(daemon: &Daemon) -> Vec<Value> {
    let page = daemon.get("/v1/groups/web/targets?limit=10000");
    let keys = ["id", "port", "state", "reason", "description", "code", "status", "since"];
    let of = |target: &Value| keys.iter().map(|&key| target[key].clone()).collect();
    page["targets"].as_array().unwrap().iter().map(of).collect()
}

/// Lets the daemon run again with an interval of a day.
fn again(daemon: &mut Daemon, port: u16, state: &str) {
    again_on(Backend::IoUring, daemon, port, state);
}

/// The same on this backend.
fn again_on(on: Backend, daemon: &mut Daemon, port: u16, state: &str) {
    daemon.files.configure(&driven(on, &config(&daemon.files, port, state, DAILY)));
    daemon.again();
}

fn stop(daemon: &mut Daemon) {
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.ended(PATIENCE).success(), "{}", daemon.log());
}

on_each_backend! {
    a_clean_restart_keeps_states_reasons_and_since,
    after_kill_9_the_last_periodic_snapshot_holds,
}

fn a_clean_restart_keeps_states_reasons_and_since(on: Backend) {
    let farm = farm();
    let (mut daemon, before) = decided_on(on, farm.port(), "");
    let counts = daemon.summary()["targets"].clone();
    let group = daemon.get("/v1/groups/web");
    stop(&mut daemon);
    again_on(on, &mut daemon, farm.port(), "");
    assert_eq!(shown(&daemon), before);
    assert_eq!(daemon.summary()["targets"], counts);
    assert!(counts["healthy"].as_u64() > Some(0) && counts["unhealthy"].as_u64() > Some(0));
    let restored = daemon.get("/v1/groups/web");
    assert_eq!((&restored["targets"], &restored["codes"]), (&group["targets"], &group["codes"]));
    assert!(daemon.log().contains("restored=200 remembered=200"), "{}", daemon.log());
    // The recipe is another one, so the streak began anew; it has been probed all the same.
    let one = daemon.get("/v1/groups/web/targets/i-0");
    assert_eq!(one["streak"], 0, "{one}");
    assert!(one["last_probe"]["total_us"].as_u64() > Some(0), "{one}");

    // A third run, of which the first knew all.
    stop(&mut daemon);
    daemon.again();
    assert_eq!(shown(&daemon), before);
}

/// Seqs and texts of the events behind `since`.
fn events(daemon: &Daemon, since: u64) -> Vec<(u64, Value)> {
    let answer = daemon.get(&format!("/v1/events?since={since}&limit=10000"));
    let events = answer["events"].as_array().unwrap().clone();
    events.into_iter().map(|event| (event["seq"].as_u64().unwrap(), event)).collect()
}

/// Makes all targets turn: none of them answers with this status.
fn turn(daemon: &mut Daemon, port: u16) {
    let check = format!("matcher = \"299\"\n{OFTEN}");
    daemon.files.configure(&config(&daemon.files, port, "", &check));
    daemon.again();
    daemon.summary_when("turned", |summary| summary["targets"]["healthy"] == 0);
}

#[test]
fn events_go_on_over_a_clean_restart_and_leap_after_a_crash() {
    let farm = farm();
    let (mut daemon, _) = decided(farm.port(), "");
    let first = events(&daemon, 0);
    assert!(first.iter().map(|event| event.0).eq(1..=u64::from(TARGETS)), "{first:?}");
    stop(&mut daemon);
    turn(&mut daemon, farm.port());
    let second = events(&daemon, 0);
    // Whoever has seen a part goes on behind it, over the restart.
    assert_eq!(second[..first.len()], first);
    assert!(second.iter().map(|event| event.0).eq(1..=second.len() as u64));
    let half = u64::from(TARGETS) / 2;
    assert_eq!(events(&daemon, half)[..], second[second.len() - events(&daemon, half).len()..]);
    assert_eq!(events(&daemon, half)[0].0, half + 1);
    let transitions = daemon.get("/v1/groups/web/targets/i-0")["transitions"].clone();
    assert_eq!(transitions.as_array().map(Vec::len), Some(2), "{transitions}");
    stop(&mut daemon);
    again(&mut daemon, farm.port(), "");
    assert_eq!(events(&daemon, 0), second, "times and all");

    // A run that was killed may have given seqs that nobody remembers.
    daemon.signal(Signal::SIGKILL);
    daemon.ended(PATIENCE);
    daemon.files.configure(&config(&daemon.files, farm.port(), "", OFTEN));
    daemon.again();
    assert!(daemon.log().contains("did not end cleanly"), "{}", daemon.log());
    daemon.summary_when("turned", |summary| summary["targets"]["healthy"].as_u64() > Some(0));
    let third = events(&daemon, second.len() as u64);
    assert!(third[0].0 > 1 << 32, "{third:?}");
    assert_eq!(events(&daemon, 1 << 31)[0], third[0]);
    assert_eq!(events(&daemon, 0)[..second.len()], second);
}

#[test]
fn a_store_that_is_damaged_ends_the_start_with_the_cure() {
    let farm = farm();
    let (mut daemon, _) = decided(farm.port(), "");
    stop(&mut daemon);
    daemon.files.write("state/ringcheck.db", "not a database, but long enough to be read as one");
    let refused = daemon.files.run(&[]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("ringcheck.db is damaged: ") && said.contains("backup"), "{said}");
}

fn after_kill_9_the_last_periodic_snapshot_holds(on: Backend) {
    let farm = farm();
    let state = "snapshot_interval = \"1s\"";
    let (mut daemon, before) = decided_on(on, farm.port(), state);
    let file = daemon.files.path("state").join("snapshot");
    let changed = |since: Option<SystemTime>| {
        let changed = wait_for(PATIENCE, || {
            let at = std::fs::metadata(&file).ok()?.modified().ok();
            at.filter(|_| at != since)
        });
        Some(changed.expect("a snapshot every second"))
    };
    // One was begun before all was decided, perhaps; the next one was not.
    let first = changed(None);
    let second = changed(first);
    changed(second);
    daemon.signal(Signal::SIGKILL);
    daemon.ended(PATIENCE);
    again_on(on, &mut daemon, farm.port(), state);
    assert_eq!(shown(&daemon), before);
}

/// Rewrites the snapshot's bytes, and its checksum if `is_signed`.
fn rewrite(directory: &Path, is_signed: bool, change: impl FnOnce(&mut Vec<u8>)) {
    let file = directory.join("snapshot");
    let mut bytes = std::fs::read(&file).unwrap();
    change(&mut bytes);
    if is_signed {
        let end = bytes.len() - 4;
        let crc = crc32fast::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(&crc.to_le_bytes());
    }
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn a_snapshot_that_is_old_or_damaged_is_ignored_and_said() {
    let farm = farm();
    let (mut daemon, before) = decided(farm.port(), "");
    stop(&mut daemon);
    let directory = daemon.files.path("state");
    let good = std::fs::read(directory.join("snapshot")).unwrap();
    let written = |bytes: &mut Vec<u8>, by: i64| {
        let at = i64::from_le_bytes(bytes[12..20].try_into().unwrap()) + by;
        bytes[12..20].copy_from_slice(&at.to_le_bytes());
    };
    let hour = 3_600_000;
    type Change<'a> = &'a dyn Fn(&mut Vec<u8>);
    let cases: [(bool, Change<'_>, &str); 6] = [
        (true, &|bytes| written(bytes, -2 * hour), "s old, state.snapshot_max_age is 3600 s"),
        (true, &|bytes| written(bytes, 2 * hour), "s after now; the wall clock was set back"),
        (true, &|bytes| bytes[8] = 99, "has version 99, this release reads version 1"),
        (false, &|bytes| bytes.truncate(1_000), "is damaged or cut off: its checksum is wrong"),
        (false, &|bytes| bytes[500] ^= 1, "is damaged or cut off: its checksum is wrong"),
        (false, &|bytes| bytes.clear(), "is cut off"),
    ];
    for (is_signed, change, said) in cases {
        std::fs::write(directory.join("snapshot"), &good).unwrap();
        rewrite(&directory, is_signed, change);
        again(&mut daemon, farm.port(), "");
        let log = daemon.log();
        assert!(log.contains(said) && log.contains("it is ignored"), "{log}");
        assert_eq!(daemon.summary()["targets"]["initial"], TARGETS, "{said}");
        daemon.signal(Signal::SIGKILL);
        daemon.ended(PATIENCE);
    }
    std::fs::write(directory.join("snapshot"), &good).unwrap();
    again(&mut daemon, farm.port(), "");
    assert_eq!(shown(&daemon), before, "the good one is taken all the same");
}

#[test]
fn who_turned_meanwhile_needs_the_thresholds_and_comes_from_the_state_before() {
    let up = TcpListener::bind("127.0.0.1:0").unwrap();
    let down = support::stage::bound(false);
    let ports =
        [up.local_addr().unwrap().port(), down.local_addr().unwrap().as_socket().unwrap().port()];
    let files = Files::new("");
    let with_thresholds = |files: &Files, threshold: u8| {
        files.configure(&format!(
            "[state]\ndir = {:?}\n[[group]]\nname = \"web\"\nrules = \"free\"\n\
             targets = [\"127.0.0.1:{}\", \"127.0.0.1:{}\"]\n[group.health_check]\n\
             interval = \"200ms\"\nhealthy_threshold = {threshold}\n\
             unhealthy_threshold = {threshold}\n",
            files.path("state"),
            ports[0],
            ports[1],
        ));
    };
    with_thresholds(&files, 2);
    let mut daemon = Daemon::on(files, &[]);
    let states = |summary: &Value| {
        let count = |state| summary["targets"][state].as_u64().unwrap();
        (count("healthy"), count("unhealthy"))
    };
    daemon.summary_when("decided", |summary| states(summary) == (1, 1));
    stop(&mut daemon);
    drop(up);
    down.listen(128).unwrap();

    // A worker that did not know the states would turn the second one with its first pass.
    with_thresholds(&daemon.files, 100);
    daemon.again();
    let of = |daemon: &Daemon, port| {
        daemon.get(&format!("/v1/groups/web/targets/127.0.0.1?port={port}"))
    };
    let contrary = wait_for(PATIENCE, || {
        let streaks = ports.map(|port| of(&daemon, port)["streak"].as_i64().unwrap());
        (streaks[0] <= -2 && streaks[1] >= 2).then_some(())
    });
    contrary.unwrap_or_else(|| panic!("never probed: {}", daemon.log()));
    assert_eq!(ports.map(|port| of(&daemon, port)["state"].clone()), ["healthy", "unhealthy"]);

    with_thresholds(&daemon.files, 2);
    assert_eq!(daemon.reload(false).0, 200);
    let turned = |daemon: &Daemon| ports.map(|port| of(daemon, port)["state"].clone());
    wait_for(PATIENCE, || (turned(&daemon) == ["unhealthy", "healthy"]).then_some(()))
        .unwrap_or_else(|| panic!("never turned: {}", daemon.log()));
    for (port, from) in ports.into_iter().zip(["healthy", "unhealthy"]) {
        let events = daemon.get("/v1/events");
        let mut events = events["events"].as_array().unwrap().iter();
        let last = events.rfind(|event| event["port"] == port).unwrap();
        assert_eq!(last["from"], from, "{last}");
    }
}
