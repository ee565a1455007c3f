//! What the store has acknowledged is there, whatever becomes of the process: killed at any moment,
//! or out of room.
//!
//! The process is this test again, with its directory in an environment variable: it commits one
//! numbered group after another, each with some targets and each second one without them again, and
//! prints a number when it is acknowledged.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ringcheck::config::{Lifecycle, Origin, TargetConfig};
use ringcheck::endpoint::Endpoint;
use ringcheck::rng::Rng;
use ringcheck::store::{Database, GroupRow, Loaded, Op, StoreError, TargetKey, TargetRow};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const DIRECTORY: &str = "RINGCHECK_TEST_STORE";
const ROUNDS: u64 = 8;

/// Starts the test called `name` again as the process that commits to `dir`; `before` is shell.
fn committer(name: &str, dir: &Path, before: &str) -> Child {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{before} exec \"$0\" \"$@\""));
    command.arg(std::env::current_exe().unwrap()).args(["--exact", name, "--nocapture"]);
    command.env(DIRECTORY, dir);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// The directory to commit to, in the process that does.
fn directory() -> Option<std::path::PathBuf> {
    std::env::var_os(DIRECTORY).map(Into::into)
}

fn target(serial: u64) -> TargetRow {
    let ip = std::net::Ipv4Addr::from(0x0A00_0000 + u32::try_from(serial).unwrap());
    let target = TargetConfig {
        id: None,
        endpoint: Endpoint::new(ip.into(), 80),
        zone: None,
        weight: None,
        lifecycle: Lifecycle::Running,
    };
    TargetRow { serial, target, drains_until_ms: None }
}

/// The commits of one number: the group with ten targets, and, for the odd ones, nine less.
fn commits(number: usize) -> Vec<Vec<Op>> {
    let group_id = format!("tg-{number}");
    let row = GroupRow {
        id: group_id.clone(),
        name: format!("group {number}"),
        origin: Origin::default(),
        settings_json: "x".repeat(100),
    };
    let rows: Vec<_> = (0..10).map(target).collect();
    let keys = rows[1..].iter().map(|row| TargetKey::of(&row.target)).collect();
    let put = Op::PutTargets { group_id: group_id.clone(), rows };
    let mut commits = vec![vec![Op::PutGroup(row), put]];
    if number % 2 == 1 {
        commits.push(vec![Op::RemoveTargets { group_id, keys }]);
    }
    commits
}

/// Commits from the first number that is not there on, until that fails. Whoever was killed before
/// may have left the last one half done.
fn commit_for_ever(dir: &Path) -> StoreError {
    let (mut database, loaded) = Database::open(dir).unwrap();
    let last = loaded.groups.last().filter(|last| last.targets.len() == 10);
    let next = loaded.groups.len();
    let first = next - usize::from(last.is_some());
    for number in first.. {
        for ops in commits(number).into_iter().skip(usize::from(number < next)) {
            if let Err(error) = database.commit(&ops) {
                return error;
            }
        }
        println!("acknowledged {number}");
    }
    unreachable!("it is killed, or the disk is full")
}

/// The number that a line of the process acknowledges; the harness prints before it.
fn number(line: &str) -> Option<usize> {
    line.split("acknowledged ").last()?.parse().ok()
}

/// All numbers up to `acknowledged` are there and whole; the next one may be.
fn assert_kept(loaded: &Loaded, acknowledged: usize) {
    let count = loaded.groups.len();
    let most = acknowledged + 2;
    assert!(count > acknowledged && count <= most, "{count} groups, {acknowledged} acknowledged");
    for (number, group) in loaded.groups.iter().enumerate() {
        assert_eq!(group.row.id, format!("tg-{number}"));
        let targets = group.targets.len();
        let expected = if number % 2 == 1 { 1 } else { 10 };
        // Between the two commits of the last one.
        let is_under_way = number > acknowledged && targets == 10;
        assert!(targets == expected || is_under_way, "group {number} has {targets} targets");
        assert_eq!(group.next_serial, 10);
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9_at_any_moment() {
    if let Some(dir) = directory() {
        panic!("{}", commit_for_ever(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(ringcheck::time::monotonic().as_nanos());
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let name = "what_was_acknowledged_survives_kill_9_at_any_moment";
        let mut child = committer(name, dir.path(), "");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut left = rng.below(60) + 1;
        while left > 0 {
            let line = lines.next().expect("it prints until it is killed").unwrap();
            if let Some(number) = number(&line) {
                (acknowledged, left) = (number, left - 1);
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it printed before it died is acknowledged too.
        for line in lines.map_while(Result::ok) {
            acknowledged = number(&line).unwrap_or(acknowledged);
        }
        let (database, loaded) = Database::open(dir.path()).unwrap();
        assert_kept(&loaded, acknowledged);
        // Some rounds go on from a clean end, and some from the next crash.
        if round % 3 == 0 {
            database.close(0).unwrap();
        }
    }
}

#[test]
fn a_process_that_may_write_no_more_loses_nothing_and_keeps_nothing_unacknowledged() {
    if let Some(dir) = directory() {
        println!("refused {}", commit_for_ever(&dir));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let name = "a_process_that_may_write_no_more_loses_nothing_and_keeps_nothing_unacknowledged";
    // No file above 300 KiB (512 bytes each); the signal that would end the process is ignored.
    let limit = "trap '' XFSZ; ulimit -f 600;";
    let output = committer(name, dir.path(), limit).wait_with_output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let acknowledged = output.lines().filter_map(number).max().unwrap();
    let refused = output.lines().find(|line| line.contains("refused ")).unwrap();
    assert!(acknowledged > 10 && refused.contains("; "), "{output}");
    let loaded = Database::open(dir.path()).unwrap().1;
    assert_kept(&loaded, acknowledged);
}
