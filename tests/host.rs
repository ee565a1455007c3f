//! The host's own trouble, made on purpose: whatever it is, no healthy target is shown unhealthy
//! for it, and the daemon says what is wrong and the cure.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use ringcheck::farm::{Farm, FarmOptions};
use support::conntrack::Conntrack;
use support::daemon::Daemon;
use support::netns::in_own_network;

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
        for (id, _, code) in daemon.targets("g") {
            assert_eq!(code, "SOCKERR", "{id}");
        }
        conntrack.flush();
        all_are(&daemon, "healthy");
        assert_none_was_unhealthy(&daemon);
    });
}
