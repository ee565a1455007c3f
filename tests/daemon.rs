//! `ringcheck serve` as its users run it: the built binary, real targets on loopback, its socket,
//! signals.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use nix::sys::signal::Signal;
use ringcheck::farm::{Behaviour as Does, Farm, FarmOptions, Mix, range};
use ringcheck::io::Backend;
use ringcheck::io::sim::{Behaviour, End, Starts, Step};
use ringcheck::time::monotonic;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use support::command::{Run, WITHOUT_IO_URING};
use support::daemon::{Daemon, Files, PATIENCE, driven, request};
use support::scripts::OK;
use support::stage::Stage;
use support::wait_for;

fn farm(mix: &str) -> Farm {
    Farm::start(FarmOptions { mix: mix.parse().unwrap(), ..FarmOptions::default() }).unwrap()
}

/// A group of rule set free; `check` is more of its health check.
fn group(name: &str, targets: &str, check: &str) -> String {
    format!(
        "[[group]]\nname = \"{name}\"\nrules = \"free\"\nderegistration_delay = \"0s\"\n{targets}\n\
         [group.health_check]\ninterval = \"500ms\"\nhealthy_threshold = 1\n{check}\n"
    )
}

/// The first `count` targets of a farm, as a list of the configuration.
fn list(farm: &Farm, count: u32) -> String {
    let targets = range::addresses(count).map(|ip| format!("\"{ip}:{}\"", farm.port()));
    format!("targets = [{}]", targets.collect::<Vec<_>>().join(", "))
}

/// The same, one a line.
fn lines(farm: &Farm, count: u32) -> String {
    range::addresses(count).fold(String::new(), |mut lines, ip| {
        writeln!(lines, "{ip}:{}", farm.port()).unwrap();
        lines
    })
}

/// A targets file with `count` targets that are all at one address.
fn same(address: SocketAddr, count: usize) -> String {
    let (ip, port) = (address.ip(), address.port());
    let target = |id| format!("{{\"id\":\"i-{id}\",\"address\":\"{ip}\",\"port\":{port}}}");
    format!("[{}]", (0..count).map(target).collect::<Vec<_>>().join(","))
}

fn count(summary: &Value, state: &str) -> u64 {
    summary["targets"][state].as_u64().unwrap()
}

/// State and code that a target of a farm comes to.
fn expected(does: Does, is_http: bool) -> (&'static str, &'static str) {
    match (does, is_http) {
        (Does::Refuse, _) => ("unhealthy", "L4CON"),
        (Does::Silent, _) => ("unhealthy", "L4TOUT"),
        (_, false) => ("healthy", "L4OK"),
        (Does::Healthy, true) => ("healthy", "L7OK"),
        (Does::Stall | Does::Dribble, true) => ("unhealthy", "L7TOUT"),
        (Does::Status(_), true) => ("unhealthy", "L7STS"),
        (Does::Garbage | Does::Endless, true) => ("unhealthy", "L7RSP"),
        (Does::Reset | Does::Cut, true) => ("unhealthy", "L7CUT"),
        (Does::Flap, true) => unreachable!("comes to nothing for good"),
    }
}

/// Waits until no target of a group is initial, and compares all with what the farm says.
fn assert_comes_true(daemon: &Daemon, group: &str, mix: &Mix, is_http: bool) {
    daemon.summary_when("decided", |summary| count(summary, "initial") == 0);
    for (id, state, code) in daemon.targets(group) {
        let ip: Ipv4Addr = id.split(':').next().unwrap().parse().unwrap();
        let does = mix.behaviour(ip);
        assert_eq!((&*state, &*code), expected(does, is_http), "{id} does {does}");
    }
}

on_each_backend! {
    a_mix_of_targets_shows_its_states_and_codes_with_one_worker_and_on_ipv6_too,
    sigterm_ends_it_within_two_seconds_whatever_is_in_flight,
    a_daemon_that_was_stopped_for_a_while_holds_nothing_against_its_targets,
    it_runs_with_64_files,
    too_few_files_end_it_with_3_and_one_line,
    a_pool_of_buffers_that_runs_dry_costs_no_target_its_outcome,
}

const MIX: &str = "healthy=4,refuse=1,silent=1,stall=1,503=1,garbage=1,reset=1,cut=1,endless=1";

fn a_mix_of_targets_shows_its_states_and_codes_with_one_worker_and_on_ipv6_too(on: Backend) {
    let farm = farm(MIX);
    let targets = list(&farm, 600);
    let often = "timeout = \"1s\"\nunhealthy_threshold = 2";
    let http = group("web", &targets, &format!("protocol = \"HTTP\"\n{often}"));
    let tcp = group("cache", &targets, often);
    let ipv6 = format!("targets = [\"[::1]:{}\", \"[::1]:1\"]", farm.port());
    let ipv6 = group("six", &ipv6, &format!("protocol = \"HTTP\"\n{often}"));
    let config = format!("[engine]\nworkers = 1\n{http}{tcp}{ipv6}");
    let daemon = Daemon::start(&driven(on, &config));
    assert_comes_true(&daemon, "web", farm.mix(), true);
    assert_comes_true(&daemon, "cache", farm.mix(), false);
    let six: Vec<_> = daemon.targets("six").into_iter().map(|t| (t.1, t.2)).collect();
    let text = |state: &str, code: &str| (state.to_owned(), code.to_owned());
    assert_eq!(six, [text("healthy", "L7OK"), text("unhealthy", "L4CON")]);
    let summary = daemon.summary();
    assert_eq!(count(&summary, "total"), 1_202);
    assert_eq!(summary["workers"].as_array().unwrap().len(), 1);
    assert_eq!(summary["backend"], on.name());
    assert_eq!(summary["probes"]["local_faults"], 0, "{summary}");
}

fn sigterm_ends_it_within_two_seconds_whatever_is_in_flight(on: Backend) {
    let farm = farm("silent=1");
    let check = "timeout = \"60s\"";
    let config = group("g", &list(&farm, 5_000), check);
    let mut daemon = Daemon::start(&driven(on, &config));
    daemon.summary_when("in flight", |summary| summary["in_flight"].as_u64() > Some(4_000));
    let began = monotonic();
    daemon.signal(Signal::SIGTERM);
    let status = daemon.ended(PATIENCE);
    let took = monotonic().since(began);
    assert!(status.success(), "{status}: {}", daemon.log());
    assert!(took < Duration::from_secs(2), "{took:?}: {}", daemon.log());
    assert!(!daemon.files.socket().exists());
}

/// Reloads of half a million targets wait one behind the other; nobody waits for them at the end.
#[test]
fn sigterm_ends_it_within_two_seconds_while_reloads_are_waiting() {
    let check = "timeout = \"1s\"";
    let files = Files::new(&group("g", "targets_file = \"g.json\"", check).replace("500ms", "1h"));
    files.write("g.json", &same(SocketAddr::from(([127, 0, 0, 1], 1)), 600_000));
    let mut daemon = Daemon::on(files, &[]);
    let socket = daemon.files.socket();
    let (done, first) = std::sync::mpsc::channel();
    let clients: Vec<_> = (0..5)
        .map(|_| {
            let (socket, done) = (socket.clone(), done.clone());
            std::thread::spawn(move || {
                let answer = request(&socket, "POST", "/v1/reload", "{\"force\":false}");
                // The first one tells the test, which does not listen to the others.
                let _ = done.send(());
                answer
            })
        })
        .collect();
    first.recv().unwrap();
    let began = monotonic();
    daemon.signal(Signal::SIGTERM);
    let status = daemon.ended(PATIENCE);
    let took = monotonic().since(began);
    // Whether they were answered or cut off is all the same.
    clients.into_iter().for_each(|client| drop(client.join().unwrap()));
    assert!(status.success(), "{status}: {}", daemon.log());
    assert!(took < Duration::from_secs(2), "{took:?}: {}", daemon.log());
    assert!(!daemon.files.socket().exists());
}

/// Two groups: one whose targets answer at once, by far most of them between two stops; and one
/// whose targets have all been asked when the stop comes, and answer only after it, long past the
/// timeout.
fn a_daemon_that_was_stopped_for_a_while_holds_nothing_against_its_targets(on: Backend) {
    const HELD: usize = 100;
    let farm = farm("healthy=1");
    let stage = Stage::start(&[(false, Behaviour::healthy(OK))]);
    let check = "protocol = \"HTTP\"\nunhealthy_threshold = 1\ntimeout = ";
    let quick = group("quick", &list(&farm, 2_000), &format!("{check}\"500ms\""));
    let held = group("held", "targets_file = \"held.json\"", &format!("{check}\"3s\""));
    let config = format!("{quick}{held}").replace("interval = \"500ms\"", "interval = \"1s\"");
    let files = Files::new(&driven(on, &config));
    files.write("held.json", &same(stage.addresses[0], HELD));
    let daemon = Daemon::on(files, &[]);
    let everybody = 2_000 + HELD as u64;
    let summary = daemon.summary_when("healthy", |s| count(s, "healthy") == everybody);
    let before = summary["probes"]["started"].as_u64().unwrap();

    stage.hush(true);
    let asked = wait_for(PATIENCE, || (stage.asked() == HELD).then_some(()));
    assert!(asked.is_some(), "{} of {HELD} asked", stage.asked());
    daemon.signal(Signal::SIGSTOP);
    let nobody = wait_for(Duration::from_secs(5), || None::<()>);
    assert!(nobody.is_none(), "stopped for 5 s");
    daemon.signal(Signal::SIGCONT);
    stage.hush(false);

    let lost = |summary: &Value| -> u64 {
        summary["workers"].as_array().unwrap().iter().map(|w| w["lost_us"].as_u64().unwrap()).sum()
    };
    let summary = daemon.summary_when("all probed again", |summary| {
        let started = summary["probes"]["started"].as_u64().unwrap();
        started > before + 3 * everybody && lost(summary) > 0
    });
    assert!(lost(&summary) >= 4_000_000, "{summary}");
    assert_eq!(count(&summary, "healthy"), everybody, "{summary}");
    let events = daemon.get("/v1/events?limit=10000");
    let events = events["events"].as_array().unwrap();
    assert!(events.iter().all(|event| event["to"] == "healthy"), "{events:?}");
    assert_eq!(events.len() as u64, everybody, "initial to healthy, and nothing since");
}

#[test]
fn reload_adds_removes_and_changes_and_a_bad_file_changes_nothing() {
    let farm = farm(MIX);
    let check = "protocol = \"HTTP\"\ntimeout = \"1s\"\nunhealthy_threshold = 1";
    let daemon = Daemon::start(&group("g", &list(&farm, 48), check));
    assert_comes_true(&daemon, "g", farm.mix(), true);
    let before = daemon.get("/v1/groups/g/targets?limit=48");
    let last = |summary: &Value| summary["last_reload"].clone();
    assert!(last(&daemon.summary()).is_null());

    // More targets and other settings: whoever was there keeps state and since.
    let config = group("g", &list(&farm, 60), check);
    let config = config.replace("\nhealthy_threshold = 1\n", "\nhealthy_threshold = 7\n");
    daemon.files.configure(&config);
    daemon.signal(Signal::SIGHUP);
    let summary = daemon.summary_when("reloaded", |s| last(s)["ok"] == true);
    assert_eq!(count(&summary, "total"), 60);
    let after = daemon.get("/v1/groups/g/targets?limit=48");
    for (old, new) in
        before["targets"].as_array().unwrap().iter().zip(after["targets"].as_array().unwrap())
    {
        assert_eq!(
            (&old["id"], &old["state"], &old["since"]),
            (&new["id"], &new["state"], &new["since"])
        );
    }
    assert_eq!(daemon.get("/v1/groups/g")["health_check"]["healthy_threshold"], 7);
    assert_comes_true(&daemon, "g", farm.mix(), true);

    // Fewer: they are gone, the others are not touched.
    daemon.files.configure(&group("g", &list(&farm, 36), check));
    let (status, answer) = daemon.reload(false);
    assert_eq!((status, &answer["removed"], &answer["targets"]), (200, &24.into(), &36.into()));
    assert_comes_true(&daemon, "g", farm.mix(), true);

    // A file with an error: said so, and everything runs on.
    daemon.files.configure("[[group]]\nname = 7\n");
    daemon.signal(Signal::SIGHUP);
    let summary = daemon.summary_when("refused", |s| last(s)["ok"] == false);
    let error = summary["last_reload"]["error"].as_str().unwrap();
    assert!(error.contains("name") && error.contains("ringcheck.toml"), "{error}");
    assert_eq!(count(&summary, "healthy") + count(&summary, "unhealthy"), 36);
    let (status, answer) = daemon.reload(true);
    assert_eq!((status, &answer["error"]["message"]), (422, &error.into()));
    let started = summary["probes"]["started"].as_u64();
    daemon.summary_when("probing on", |s| s["probes"]["started"].as_u64() > started);
}

#[test]
fn who_leaves_the_file_drains_for_its_delay_and_is_gone_then() {
    let farm = farm("healthy=1");
    let config = |count, delay: &str| {
        group("g", &list(&farm, count), "timeout = \"1s\"").replace("\"0s\"", delay)
    };
    let daemon = Daemon::start(&config(3, "\"1h\""));
    daemon.summary_when("healthy", |summary| count(summary, "healthy") == 3);
    daemon.files.configure(&config(1, "\"1h\""));
    let (_, answer) = daemon.reload(false);
    assert_eq!((&answer["targets"], &answer["removed"]), (&1.into(), &2.into()));
    let before = daemon.targets("g");
    let states: Vec<_> = before.iter().map(|(_, state, _)| state.as_str()).collect();
    assert_eq!(states, ["healthy", "draining", "draining"]);
    let leaving = daemon.get(&format!("/v1/groups/g/targets/{}", before[1].0));
    assert_eq!(leaving["reason"], "Target.DeregistrationInProgress");
    assert_eq!(leaving["description"], "Target deregistration is in progress");
    assert!(leaving["since"].as_str() > leaving["last_probe"]["at"].as_str(), "{leaving}");
    let routable = daemon.get("/v1/groups/g/routable");
    assert_eq!(routable["targets"].as_array().unwrap().len(), 1);

    // One comes back in time, and begins anew; the other one is gone when its time is over.
    daemon.files.configure(&config(2, "\"1h\""));
    daemon.reload(false);
    daemon.summary_when("back", |s| (count(s, "healthy"), count(s, "draining")) == (2, 1));
    daemon.files.configure(&config(1, "\"3s\""));
    daemon.reload(false);
    assert_eq!(count(&daemon.summary(), "draining"), 2, "the delay counts from the start");
    daemon.summary_when("gone", |s| (count(s, "draining"), count(s, "total")) == (1, 2));
    let left = daemon.targets("g");
    assert_eq!((&left[0].0, &left[1].0), (&before[0].0, &before[2].0));
}

#[test]
fn a_changed_port_of_the_health_check_keeps_state_and_since() {
    let farm = farm("healthy=1");
    let check = "timeout = \"1s\"\nunhealthy_threshold = 100";
    let daemon = Daemon::start(&group("g", &list(&farm, 1), check));
    daemon.summary_when("healthy", |summary| count(summary, "healthy") == 1);
    let id = daemon.targets("g").swap_remove(0).0;
    let target = || daemon.get(&format!("/v1/groups/g/targets/{id}"));
    let before = target();
    // Nobody listens on port 1.
    daemon.files.configure(&group("g", &list(&farm, 1), &format!("{check}\nport = 1")));
    let (_, answer) = daemon.reload(false);
    assert_eq!((&answer["added"], &answer["removed"]), (&0.into(), &0.into()));
    let after = wait_for(PATIENCE, || Some(target()).filter(|target| target["code"] == "L4CON"));
    let after = after.unwrap();
    assert_eq!((&after["state"], &after["since"]), (&"healthy".into(), &before["since"]));
    assert!(after["streak"].as_i64() < Some(0), "{after}");
}

#[test]
fn a_second_daemon_on_the_state_directory_ends_with_3_and_one_line() {
    let state = tempfile::tempdir().unwrap();
    let config = format!("[state]\ndir = {:?}\n", state.path().join("state"));
    let daemon = Daemon::start(&config);
    let output = Files::new(&config).run(&[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("error: another daemon uses the state directory "), "{stderr}");
    drop(daemon);
    drop(Daemon::start(&config));
}

#[test]
fn a_reload_that_would_empty_a_large_group_needs_force() {
    let farm = farm("healthy=1");
    let check = "timeout = \"1s\"";
    let daemon = Daemon::start(&group("g", &list(&farm, 200), check));
    daemon.summary_when("healthy", |summary| count(summary, "healthy") == 200);
    daemon.files.configure(&group("g", &list(&farm, 99), check));
    daemon.signal(Signal::SIGHUP);
    let summary = daemon.summary_when("refused", |s| s["last_reload"]["ok"] == false);
    let error = summary["last_reload"]["error"].as_str().unwrap();
    assert!(error.contains("101 of 200") && error.contains("reload --force"), "{error}");
    let (status, _) = daemon.reload(false);
    assert_eq!(status, 409);
    assert_eq!(count(&daemon.summary(), "healthy"), 200);
    let socket = daemon.files.socket();
    let reload = |more: &[&str]| {
        Run::new(&[&["reload", "--socket", socket.to_str().unwrap()], more].concat())
    };
    let refused = reload(&[]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
    assert!(refused.stderr.contains("reload --force"), "{refused:?}");
    let done = reload(&["--force"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains("101"), "{done:?}");
    daemon.summary_when("smaller", |summary| count(summary, "healthy") == 99);
}

/// The ids of targets that are gone come free only when all workers have let them go: until then, a
/// table has places for both.
#[test]
fn all_targets_can_be_replaced_again_and_again() {
    let farm = farm("healthy=1");
    let config = |skip: usize| {
        let ips = range::addresses(16).skip(skip).take(8);
        let targets = ips.map(|ip| format!("\"{ip}:{}\"", farm.port())).collect::<Vec<_>>();
        let targets = format!("targets = [{}]", targets.join(", "));
        format!("[engine]\nmax_targets = 10\n{}", group("g", &targets, "timeout = \"1s\""))
    };
    let daemon = Daemon::start(&config(0));
    for round in 1..6 {
        daemon.summary_when("healthy", |summary| count(summary, "healthy") == 8);
        daemon.files.configure(&config(round % 2 * 8));
        let (status, answer) = daemon.reload(true);
        assert_eq!((status, &answer["removed"]), (200, &8.into()), "round {round}: {answer}");
    }
}

#[test]
fn a_changed_targets_file_is_taken_within_five_seconds() {
    let farm = farm("healthy=1");
    let files = Files::new(&group("g", "targets_file = \"g.txt\"", "timeout = \"1s\""));
    files.write("g.txt", &lines(&farm, 10));
    let daemon = Daemon::on(files, &[]);
    daemon.summary_when("healthy", |summary| count(summary, "healthy") == 10);
    let before = monotonic();
    daemon.files.write("g.txt", &lines(&farm, 15));
    daemon.summary_when("taken", |summary| count(summary, "total") == 15);
    let took = monotonic().since(before);
    assert!(took < Duration::from_secs(5), "{took:?}");
    daemon.summary_when("healthy", |summary| count(summary, "healthy") == 15);
    // Rubbish is refused, and taken once it is mended.
    daemon.files.write("g.txt", "127.0.0.1:1\nno target at all\n");
    let summary = daemon.summary_when("refused", |s| s["last_reload"]["ok"] == false);
    let error = summary["last_reload"]["error"].as_str().unwrap();
    assert!(error.contains("g.txt"), "{error}");
    assert_eq!(count(&summary, "healthy"), 15);
    daemon.files.write("g.txt", &lines(&farm, 12));
    daemon.summary_when("mended", |summary| count(summary, "total") == 12);
}

#[test]
fn a_second_daemon_on_the_socket_ends_with_3_and_one_line() {
    let daemon = Daemon::start("");
    let output = daemon.files.run(&[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    let errors: Vec<_> = stderr.lines().collect();
    assert_eq!(errors.len(), 1, "{stderr}");
    assert!(errors[0].starts_with("error: another daemon answers on "), "{stderr}");
    assert_eq!(count(&daemon.summary(), "total"), 0, "the first one lives");
    drop(daemon);
}

#[test]
fn a_socket_that_a_killed_daemon_left_behind_is_taken_over() {
    let mut daemon = Daemon::start("");
    daemon.signal(Signal::SIGKILL);
    daemon.ended(PATIENCE);
    assert!(daemon.files.socket().exists());
    let files = std::mem::replace(&mut daemon.files, Files::new(""));
    let again = Daemon::on(files, &[]);
    assert_eq!(count(&again.summary(), "total"), 0);
}

fn it_runs_with_64_files(on: Backend) {
    let farm = farm(MIX);
    let check = "protocol = \"HTTP\"\ntimeout = \"300ms\"\nunhealthy_threshold = 1";
    // On epoll there are 14 slots then.
    let config = group("g", &list(&farm, 300), check).replace("\"500ms\"", "\"2s\"");
    let files = Files::new(&driven(on, &config));
    let daemon = Daemon::on(files, &["prlimit", "--nofile=64:64"]);
    assert_comes_true(&daemon, "g", farm.mix(), true);
    // As many clients as there are files do no harm either.
    let clients: Vec<_> =
        (0..100).map_while(|_| UnixStream::connect(daemon.files.socket()).ok()).collect();
    assert!(clients.len() > 20, "{}", clients.len());
    drop(clients);
    assert_comes_true(&daemon, "g", farm.mix(), true);
}

#[test]
fn what_the_configuration_gets_wrong_ends_it_with_2_or_3_and_one_line() {
    let cases = [
        ("[[group]]\nname = \"g\"\ntargets = [\"nowhere\"]\n", 2, "nowhere"),
        ("[engine]\nworker = 1\n", 2, "workers"),
        ("[engine]\nmax_in_flight = 16000\n", 3, "ulimit -n"),
        ("[engine]\nworkers = 1\nmax_in_flight = 900\nbackend = \"epoll\"\n", 3, "a file on epoll"),
    ];
    for (config, code, word) in cases {
        let output = Files::new(config).run(&["prlimit", "--nofile=1000:1000"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains(word), "{stderr}");
    }
}

/// However few: it says so in one line, and no library panics on the way.
fn too_few_files_end_it_with_3_and_one_line(on: Backend) {
    for files in [5, 8, 12, 16, 24, 34] {
        let limit = format!("--nofile={files}:{files}");
        let output = Files::new(&driven(on, "[engine]\nworkers = 1\n")).run(&["prlimit", &limit]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{files}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{files}: {stderr}");
        assert!(stderr.contains("ulimit -n"), "{files}: {stderr}");
    }
}

/// Where a seccomp filter forbids io_uring, or a kernel has none, and it is asked for by name: 3,
/// the cure, and no socket left behind.
#[test]
fn without_the_io_uring_that_it_is_told_to_use_it_ends_with_3_and_the_cure() {
    for (errno, cure) in [("1", "seccomp"), ("38", "no io_uring"), ("12", "memory limit")] {
        let files = Files::new(&driven(Backend::IoUring, ""));
        let output = files.run(&["python3", WITHOUT_IO_URING, errno]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with("error: cannot set up io_uring: "), "{stderr}");
        assert!(stderr.contains(cure), "{stderr}");
        assert!(!files.socket().exists(), "{stderr}");
    }
}

/// Else epoll takes its place, in the control thread too, and the first line says why.
#[test]
fn without_io_uring_it_serves_on_epoll_and_says_why() {
    let farm = farm("healthy=1,refuse=1");
    let check = "timeout = \"1s\"\nunhealthy_threshold = 1";
    let group = group("g", &list(&farm, 40), check);
    for (errno, why) in [("1", "(EPERM); a seccomp filter"), ("38", "(ENOSYS); this kernel has no")]
    {
        let files = Files::new("");
        files.configure(&format!("[state]\ndir = {:?}\n{group}", files.path("state")));
        let mut daemon = Daemon::on(files, &["python3", WITHOUT_IO_URING, errno]);
        assert_comes_true(&daemon, "g", farm.mix(), false);
        let log = daemon.log();
        assert!(log.contains("probing on epoll: cannot set up io_uring: "), "{log}");
        assert!(log.contains(why), "{log}");
        assert_eq!(daemon.summary()["backend"], "epoll");
        let status = Run::new(&["status", "--socket", daemon.files.socket().to_str().unwrap()]);
        assert!(status.stdout.contains(", on epoll\n"), "{status:?}");
        daemon.signal(Signal::SIGTERM);
        assert!(daemon.ended(PATIENCE).success(), "{}", daemon.log());
        assert!(daemon.files.path("state/snapshot").exists(), "{}", daemon.log());
    }
}

#[test]
fn junk_on_the_socket_hurts_nothing() {
    let farm = farm("healthy=1");
    let daemon = Daemon::start(&group("g", &list(&farm, 50), "timeout = \"1s\""));
    let long = [b"GET /".as_slice(), &[b'a'; 100_000], b" HTTP/1.1\r\n\r\n"].concat();
    let binary: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let junk: [&[u8]; 7] = [
        b"",
        b"\r\n\r\n\r\n",
        b"GET",
        &binary,
        &long,
        b"POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
        b"GET /v1/groups/%ff%00/targets HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ];
    // Half of the clients leave at once, half stay.
    let mut stay = Vec::new();
    for (place, bytes) in junk.iter().cycle().take(280).enumerate() {
        let mut stream = UnixStream::connect(daemon.files.socket()).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        // The daemon may have hung up before it has read all.
        let _ = stream.write_all(bytes);
        if place % 2 == 0 {
            stay.push(stream);
        }
    }
    daemon.summary_when("healthy", |summary| count(summary, "healthy") == 50);
    // The one that sent binary rubbish and stayed: place 10.
    let mut refused = stay.swap_remove(5);
    refused.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    let _ = refused.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 4"), "{:?}", String::from_utf8_lossy(&answer));
}

#[test]
fn a_hundred_thousand_targets_start_within_seconds() {
    let farm = farm("healthy=1");
    let files = Files::new(
        &group("g", "targets_file = \"g.txt\"", "timeout = \"1s\"")
            .replace("interval = \"500ms\"", "interval = \"30s\""),
    );
    files.write("g.txt", &lines(&farm, 100_000));
    let before = monotonic();
    let daemon = Daemon::on(files, &[]);
    let summary = daemon.summary_when("probing", |s| s["probes"]["passed"].as_u64() > Some(0));
    let took = monotonic().since(before);
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert_eq!(count(&summary, "total"), 100_000);
    assert!(daemon.resident_kib() < 150 * 1_024, "{} KiB", daemon.resident_kib());
}

/// All answers lie in the sockets before the daemon is run again: more than it has receive buffers,
/// so that the pool runs dry for certain, and each is more than the pool holds.
fn a_pool_of_buffers_that_runs_dry_costs_no_target_its_outcome(on: Backend) {
    const EACH: usize = 300;
    let head = |more: &[u8]| [b"HTTP/1.1 200 OK\r\n".as_slice(), more].concat();
    let huge = [OK, &vec![b'x'; 200_000]].concat();
    let long = [&head(&b"A: b\r\n".repeat(2_000)), b"\r\n".as_slice()].concat();
    let send = |bytes: &[u8]| {
        Behaviour::talk(Starts::OnRequest, vec![Step::Send(bytes.into())], End::Hold)
    };
    let scenes = [
        (send(&huge), "L7OK"),
        (send(&long), "L7OK"),
        (send(&head(&[b'x'; 60_000])), "L7RSP"),
        (send(&b"HTTP/1.1 100 Continue\r\n\r\n".repeat(4_000)), "L7RSP"),
    ];
    let stage: Vec<_> = scenes.iter().map(|(behaviour, _)| (false, behaviour.clone())).collect();
    let stage = Stage::start(&stage);
    stage.hush(true);
    let check = "protocol = \"HTTP\"\ntimeout = \"15s\"\nunhealthy_threshold = 1";
    let names: Vec<String> = (0..scenes.len()).map(|place| format!("g{place}")).collect();
    let groups =
        names.iter().map(|name| group(name, &format!("targets_file = \"{name}.json\""), check));
    let config = driven(on, &format!("[engine]\nworkers = 1\n{}", groups.collect::<String>()));
    let files = Files::new(&config.replace("interval = \"500ms\"", "interval = \"1s\""));
    for (name, address) in names.iter().zip(&stage.addresses) {
        files.write(&format!("{name}.json"), &same(*address, EACH));
    }
    let daemon = Daemon::on(files, &[]);
    let everybody = EACH * scenes.len();
    assert!(wait_for(PATIENCE, || (stage.asked() == everybody).then_some(())).is_some());
    let before = daemon.resident_kib();
    daemon.signal(Signal::SIGSTOP);
    stage.hush(false);
    assert!(wait_for(PATIENCE, || (stage.spoken() == everybody).then_some(())).is_some());
    daemon.signal(Signal::SIGCONT);
    daemon.summary_when("decided", |summary| count(summary, "initial") == 0);
    for (name, (_, code)) in names.iter().zip(&scenes) {
        let codes = daemon.get(&format!("/v1/groups/{name}"))["codes"].clone();
        assert_eq!(codes[*code], EACH, "{name}: {codes}");
    }
    let grown = daemon.resident_kib().saturating_sub(before);
    assert!(grown < 32 * 1_024, "{grown} KiB more");
}
