//! The commands that change groups and targets and follow events, on a daemon that checks real
//! targets on loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use nix::sys::signal::Signal;
use ringcheck::farm::{Farm, FarmOptions, range};
use ringcheck::time::monotonic;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::command::{RINGCHECK, Run};
use support::daemon::{Daemon, PATIENCE, request};
use support::wait_for;

fn farm() -> Farm {
    let mix = "healthy=1".parse().unwrap();
    Farm::start(FarmOptions { mix, ..FarmOptions::default() }).unwrap()
}

/// `ringcheck` with these arguments, on this daemon.
fn ask(daemon: &Daemon, args: &[&str]) -> Run {
    let socket = daemon.files.socket();
    Run::new(&[args, &["--socket", socket.to_str().unwrap()]].concat())
}

/// The same, which must end with 0 and say nothing on stderr; its output.
#[track_caller]
fn good(daemon: &Daemon, args: &[&str]) -> String {
    let run = ask(daemon, args);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{args:?}: {run:?}");
    run.stdout.trim_end().to_owned()
}

/// The same, which must end with `code` and one line of error.
#[track_caller]
fn bad(daemon: &Daemon, args: &[&str], code: i32) -> String {
    let run = ask(daemon, args);
    assert_eq!((run.code, run.stdout.as_str()), (Some(code), ""), "{args:?}: {run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    assert!(run.stderr.starts_with("error: "), "{run:?}");
    run.stderr
}

/// The first `count` addresses of a farm.
fn addresses(count: u32) -> Vec<String> {
    range::addresses(count).map(|ip| ip.to_string()).collect()
}

/// A group of the file with these targets, probed twice a second.
fn group(name: &str, port: u16, addresses: &[String]) -> String {
    let targets: Vec<String> = addresses.iter().map(|ip| format!("\"{ip}:{port}\"")).collect();
    format!(
        "[[group]]\nname = \"{name}\"\nrules = \"free\"\nderegistration_delay = \"0s\"\ntargets = [{}]\n\
         [group.health_check]\ninterval = \"500ms\"\n",
        targets.join(", ")
    )
}

#[test]
fn a_group_lives_from_its_first_command_to_its_last() {
    let farm = farm();
    let daemon = Daemon::start("");
    let port = farm.port().to_string();
    let ips = addresses(4);
    let made = good(
        &daemon,
        &[
            "put-group",
            "shop",
            "--rules",
            "free",
            "--port",
            &port,
            "--interval",
            "500ms",
            "--timeout",
            "400ms",
            "--deregistration-delay",
            "1s",
        ],
    );
    assert_eq!(made, "made group shop");
    let registered = good(&daemon, &["register", "shop", &ips[0], &ips[1]]);
    assert_eq!(registered, "registered 2 targets in shop");
    let again = good(&daemon, &["register", "shop", &ips[1], "--format", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&again).unwrap()["registered"], 0);
    let named = ["register", "shop", &ips[2], "--id", "i-2", "--zone", "zone-a", "--weight", "7"];
    assert_eq!(good(&daemon, &named), "registered 1 target in shop");
    assert_eq!(good(&daemon, &["wait", "shop"]), "3 of 3 targets healthy");

    let lines = good(&daemon, &["routable", "shop", "--format", "json"]);
    let routable: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(routable.len(), 3);
    assert_eq!(routable[2]["zone"], "zone-a");
    assert_eq!(good(&daemon, &["routable", "shop", "--zone", "zone-b"]).lines().count(), 3);

    let marked = good(&daemon, &["mark", "shop", "i-2", "--lifecycle", "stopped"]);
    assert_eq!(marked, "marked target i-2 of group shop");
    assert_eq!(
        good(&daemon, &["wait", "shop", "i-2", "--state", "unused"]),
        "1 of 1 target unused"
    );
    let late = ask(&daemon, &["wait", "shop", "--timeout", "10ms"]);
    assert_eq!((late.code, late.stdout.trim_end()), (Some(1), "2 of 3 targets healthy"));

    let changed = good(&daemon, &["put-group", "shop", "--timeout", "300ms"]);
    assert_eq!(changed, "changed group shop");
    let shop = daemon.get("/v1/groups/shop");
    assert_eq!(shop["health_check"]["timeout"], "300ms");
    assert_eq!(shop["health_check"]["interval"], "500ms");
    let disabled = good(&daemon, &["put-group", "shop", "--disabled", "--format", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&disabled).unwrap()["health_check"]["enabled"], false);
    let open = ask(&daemon, &["routable", "shop"]);
    assert_eq!(open.code, Some(1), "{open:?}");
    assert!(open.stderr.starts_with("warning: no target is healthy"), "{open:?}");

    let unknown = bad(&daemon, &["deregister", "shop", "i-2", "i-9"], 1);
    assert!(unknown.contains("no target 'i-9' in group 'shop'"), "{unknown}");
    assert_eq!(good(&daemon, &["deregister", "shop", "i-2"]), "deregistered 1 target of shop");
    let all = good(&daemon, &["deregister", "shop", "--all", "--wait"]);
    assert_eq!(all, "deregistered 2 targets of shop, and no target drains any more");
    assert_eq!(daemon.get("/v1/groups/shop")["targets"]["total"], 0);
    assert_eq!(good(&daemon, &["delete-group", "shop"]), "deleted group shop");
    bad(&daemon, &["delete-group", "shop"], 1);
    for change in ["group changed", "targets registered", "target marked", "group deleted"] {
        let log = daemon.log();
        let line =
            log.lines().find(|line| line.contains(change)).unwrap_or_else(|| panic!("{log}"));
        assert!(line.contains(&format!("uid {}", nix::unistd::getuid())), "{line}");
    }
}

#[test]
fn what_the_daemon_refuses_is_one_line_with_the_cure() {
    let ips = addresses(1);
    let daemon = Daemon::start(&group("web", 1, &ips));
    let line = bad(&daemon, &["register", "web", "127.0.0.1:1"], 1);
    assert!(line.contains("ringcheck.toml; change it there and reload"), "{line}");
    let line = bad(&daemon, &["put-group", "web", "--port", "80"], 1);
    assert!(line.contains("ringcheck.toml; change it there and reload"), "{line}");
    let line = bad(&daemon, &["put-group", "new", "--interval", "11s"], 2);
    assert!(line.contains("rules = \"free\" would allow it"), "{line}");
    let line = bad(&daemon, &["register", "new", "127.0.0.1:1"], 1);
    assert!(line.contains("no group 'new'"), "{line}");
    let line = bad(&daemon, &["mark", "web", &ips[0], "--weight", "1001"], 2);
    assert!(line.contains("allowed: 0 to 1000"), "{line}");
}

#[test]
fn a_hundred_thousand_targets_in_one_request_disturb_nobody() {
    const COUNT: u32 = 100_000;
    let farm = farm();
    let ips = addresses(COUNT);
    let daemon = Daemon::start(&group("small", farm.port(), &ips[..50]));
    daemon.summary_when("healthy", |summary| summary["targets"]["healthy"] == 50);
    let body = format!("{{\"rules\":\"classic\",\"port\":{}}}", farm.port());
    let socket = daemon.files.socket();
    assert_eq!(request(&socket, "PUT", "/v1/groups/large", &body).unwrap().0, 201);
    let mut body = "{\"targets\":[".to_owned();
    for (index, ip) in ips.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(body, "{comma}{{\"address\":\"{ip}\"}}").unwrap();
    }
    body.push_str("]}");
    let (mut asked, mut slowest) = (0, Duration::ZERO);
    std::thread::scope(|scope| {
        let path = "/v1/groups/large/targets";
        let registered = scope.spawn(|| request(&socket, "POST", path, &body).unwrap());
        while !registered.is_finished() {
            let began = monotonic();
            assert_eq!(daemon.get("/v1/groups/small/routable")["fail_open"], false);
            slowest = slowest.max(monotonic().since(began));
            asked += 1;
        }
        let (status, answer) = registered.join().unwrap();
        assert_eq!(status, 200, "{answer}");
        assert!(answer.starts_with("{\"registered\":100000,"), "{answer}");
    });
    // Reading the body would take longer than this by itself, on this kind of machine, if it held
    // up the control thread; what is left is the making of the next view.
    assert!(asked > 0 && slowest < Duration::from_secs(2), "{asked} asked, {slowest:?}");
    let summary = daemon.summary();
    assert_eq!(summary["targets"]["total"], u64::from(COUNT) + 50);
    assert_eq!(daemon.get("/v1/groups/small")["targets"]["healthy"], 50);
    daemon.summary_when("probed", |s| s["targets"]["healthy"].as_u64().unwrap() > 5_000);
    assert_eq!(daemon.get("/v1/groups/small")["targets"]["healthy"], 50);
    let all = good(&daemon, &["deregister", "large", "--all"]);
    assert_eq!(all, "deregistered 100,000 targets of large");
}

/// A command that runs on; killed when dropped.
struct Running {
    child: Child,
    directory: tempfile::TempDir,
}

impl Running {
    fn start(daemon: &Daemon, args: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = |name| File::create(directory.path().join(name)).unwrap();
        let mut command = Command::new(RINGCHECK);
        command.args(args).arg("--socket").arg(daemon.files.socket()).stdin(Stdio::null());
        let child = command.stdout(file("out")).stderr(file("err")).spawn().unwrap();
        Self { child, directory }
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    /// Waits for so many lines of output.
    #[track_caller]
    fn lines(&self, count: usize) -> Vec<String> {
        let lines = || self.text("out").lines().map(str::to_owned).collect::<Vec<_>>();
        let found = wait_for(PATIENCE, || Some(lines()).filter(|lines| lines.len() >= count));
        found.unwrap_or_else(|| panic!("{:?}, {}", lines(), self.text("err")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn following_shows_the_last_few_and_goes_on_over_a_restart() {
    let farm = farm();
    let ips = addresses(25);
    let mut daemon = Daemon::start(&group("web", farm.port(), &ips[..20]));
    daemon.summary_when("healthy", |summary| summary["targets"]["healthy"] == 20);
    let table = Running::start(&daemon, &["events", "--follow"]);
    assert_eq!(table.lines(10).len(), 10, "the last few");
    let args = ["events", "--follow", "--group", "web", "--format", "json", "--limit", "3"];
    let follower = Running::start(&daemon, &args);
    let everything = Running::start(&daemon, &["events", "--follow", "--since", "0"]);
    assert_eq!(follower.lines(3).len(), 3);
    assert_eq!(everything.lines(20).len(), 20);

    // Fewer targets than before, so that numbers that begin anew do not reach the old ones.
    daemon.files.configure(&group("web", farm.port(), &ips[20..]));
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.ended(PATIENCE).success());
    let warned = wait_for(PATIENCE, || (!follower.text("err").is_empty()).then_some(()));
    assert!(warned.is_some(), "an outage is told");
    daemon.again();
    let lines = follower.lines(8);
    assert_eq!(lines.len(), 8);
    let ids: Vec<Value> = lines[3..]
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone())
        .collect();
    assert!(ids.iter().all(|id| ips[20..].iter().any(|ip| ip == id)), "{ids:?}");
    assert_eq!(everything.lines(25).len(), 25);
    for running in [&table, &follower, &everything] {
        let err = running.text("err");
        assert_eq!(err.lines().count(), 1, "{err}");
        assert!(err.starts_with("warning: the daemon ") && err.contains("waiting up to"), "{err}");
    }
}
