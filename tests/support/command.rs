//! The built binary, run to its end. A run that does not end is killed, and the test fails.

use super::wait_for;
use ringcheck::time::monotonic;
use serde_json::Value;
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The binary under test.
pub(crate) const RINGCHECK: &str = env!("CARGO_BIN_EXE_ringcheck");
/// A command that runs another one without io_uring: `python3 WITHOUT_IO_URING ERRNO COMMAND`.
pub(crate) const WITHOUT_IO_URING: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/without_io_uring.py");
/// Longer than any run takes unless it is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Run {
    /// Exit status; none where a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Run {
    /// `ringcheck` with these arguments.
    pub(crate) fn new(args: &[&str]) -> Self {
        Self::of(Command::new(RINGCHECK).args(args), "")
    }

    /// The same with this on its standard input.
    pub(crate) fn with_input(args: &[&str], input: &str) -> Self {
        Self::of(Command::new(RINGCHECK).args(args), input)
    }

    /// Any command.
    pub(crate) fn of(command: &mut Command, input: &str) -> Self {
        Self::within(PATIENCE, command.env_remove("RINGCHECK_SOCKET"), input)
    }

    /// The same, for as long as this at most. Files, not pipes, so that nobody waits for who reads.
    pub(crate) fn within(patience: Duration, command: &mut Command, input: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("in"), input).unwrap();
        command.env_remove("RUST_LOG");
        command.stdin(Stdio::from(File::open(path("in")).unwrap()));
        command.stdout(File::create(path("out")).unwrap());
        command.stderr(File::create(path("err")).unwrap());
        let began = monotonic();
        let mut child = command.spawn().unwrap();
        let status = wait_for(patience, || child.try_wait().unwrap());
        let took = monotonic().since(began);
        let text = |name| std::fs::read_to_string(path(name)).unwrap();
        let Some(status) = status else {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{command:?} still runs: {}", text("err"));
        };
        Self { code: status.code(), stdout: text("out"), stderr: text("err"), took }
    }

    /// Standard output as one JSON object a line.
    pub(crate) fn objects(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
