//! The host's own trouble, made on purpose: whatever it is, no healthy target is shown unhealthy
//! for it, and the daemon says what is wrong and the cure.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use nix::sys::signal::Signal;
use ringcheck::farm::{Farm, FarmOptions};
use serde_json::Value;
use std::time::Duration;
use support::command::Run;
use support::conntrack::Conntrack;
use support::daemon::{Daemon, PATIENCE};
use support::netns::in_own_network;
use support::wait_for;

/// Well above what a busy machine loses by itself.
const STOP: Duration = Duration::from_secs(4);

const TARGETS: u64 = 50;

/// Targets that are well, probed twice a second, which a single failure would turn.
fn healthy(farm: &Farm) -> String {
    let port = farm.port();
    let list: Vec<String> = (1..=TARGETS).map(|n| format!("\"127.1.0.{n}:{port}\"")).collect();
    format!(
        "[[group]]\nname = \"g\"\nrules = \"free\"\ntargets = [{}]\n[group.health_check]\n\
         interval = \"500ms\"\ntimeout = \"400ms\"\nhealthy_threshold = 1\n\
         unhealthy_threshold = 1\n",
        list.join(", ")
    )
}

fn farm() -> Farm {
    let mix = "healthy=1".parse().unwrap();
    Farm::start(FarmOptions { mix, ..FarmOptions::default() }).unwrap()
}

fn all_are(daemon: &Daemon, state: &str) {
    daemon.summary_when(state, |summary| summary["targets"][state] == TARGETS);
}

fn assert_none_was_unhealthy(daemon: &Daemon) {
    let events = daemon.get("/v1/events?limit=10000");
    let events = events["events"].as_array().unwrap();
    assert!(events.iter().all(|event| event["to"] != "unhealthy"), "{events:?}");
}

/// What `ringcheck status` prints.
fn status(daemon: &Daemon) -> String {
    Run::new(&["status", "--socket", daemon.files.socket().to_str().unwrap()]).stdout
}

fn has_trouble(summary: &Value, code: &str) -> bool {
    summary["troubles"].as_array().unwrap().iter().any(|trouble| trouble["code"] == code)
}

/// A stop is told of, with its cure, once in the log; and it is over soon.
#[test]
fn a_stop_is_told_of_and_goes_away() {
    let farm = farm();
    let daemon = Daemon::start(&healthy(&farm));
    all_are(&daemon, "healthy");
    daemon.signal(Signal::SIGSTOP);
    assert!(wait_for(STOP, || None::<()>).is_none(), "stopped for a while");
    daemon.signal(Signal::SIGCONT);
    daemon.summary_when("told of", |summary| has_trouble(summary, "LostTime"));
    let status = status(&daemon);
    assert!(status.contains("trouble    LostTime: worker "), "{status}");
    let log = daemon.log();
    assert_eq!(log.matches(" WARN LostTime: worker ").count(), 1, "{log}");
    let is_well = |summary: &Value| summary["troubles"].as_array().unwrap().is_empty();
    let over = wait_for(2 * PATIENCE, || Some(daemon.summary()).filter(is_well));
    assert_eq!(over.expect("it goes away")["overloaded"], false);
    assert_none_was_unhealthy(&daemon);
}

/// The kernel drops each SYN and says so to nobody.
#[test]
fn a_full_table_of_connections_is_nobodys_failure() {
    in_own_network(|_| {
        let farm = farm();
        let conntrack = Conntrack::start();
        let daemon = Daemon::start(&healthy(&farm));
        all_are(&daemon, "healthy");
        // Connections of before end meanwhile, and make room.
        daemon.summary_when("unavailable", |summary| {
            conntrack.fill();
            summary["targets"]["unavailable"] == TARGETS
        });
        // Figures are a second old at most.
        daemon.summary_when("told of", |summary| has_trouble(summary, "PacketsDropped"));
        let status = status(&daemon);
        let words = "trouble    PacketsDropped: this host dropped packets: ";
        assert!(status.contains(words) && status.contains("nf_conntrack_max"), "{status}");
        conntrack.flush();
        all_are(&daemon, "healthy");
        assert_none_was_unhealthy(&daemon);
    });
}
