//! A few rounds of `scripts/kill-loop`: a daemon is killed under changes of four clients, and what
//! was acknowledged is there when it comes up again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::Command;
use std::time::Duration;
use support::command::{RINGCHECK, Run};

#[test]
fn nothing_acknowledged_is_lost_and_states_are_warm() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kill-loop");
    let mut command = Command::new("python3");
    command.args([script, "--rounds", "5", "--seed", "1", "--binary", RINGCHECK]);
    let run = Run::within(Duration::from_secs(200), &mut command, "");
    assert_eq!(run.code, Some(0), "{}\n{}", run.stdout, run.stderr);
    let last = run.stdout.lines().last().unwrap();
    assert!(last.starts_with("5 kills, ") && last.contains("none lost"), "{last}");
}
