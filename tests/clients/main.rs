//! Unmodified clients (AWS CLI, boto3, Alibaba's SDK, curl) against a real daemon with real targets
//! on loopback: the scripts beside this file, and the walk-through of docs/API.md.
//!
//! The clients come from PyPI, pinned by `requirements.txt`, into an environment under `target/`
//! that is made once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod environment;
#[path = "../support/mod.rs"]
mod support;
mod walk_through;

use environment::environment;
use ringcheck::access::KeyFile;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::command::Run;
use support::daemon::{Daemon, Files};

/// Longer than any script takes unless it is broken.
const PATIENCE: Duration = Duration::from_secs(240);

/// Runs a script of this folder against a daemon of its own, with endpoint and credentials in its
/// environment, as a user would have them.
fn run(script: &str) {
    let files = Files::new("");
    let state = files.path("state");
    let api = "listen = \"127.0.0.1:0\"\n";
    files.configure(&format!("{api}[state]\ndir = {state:?}\nsnapshot_interval = \"1s\"\n"));
    let mut daemon = Daemon::on(files, &[]);
    let endpoint = daemon.summary()["listen"].as_str().unwrap().to_owned();
    let key = KeyFile::load(&state).unwrap().all()[0].clone();
    let mut command = Command::new(environment().join("bin/python"));
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script));
    only_ours(&mut command, &daemon.files);
    command.env("RINGCHECK_ENDPOINT", endpoint).env("RINGCHECK_SOCKET", daemon.files.socket());
    command.env("AWS_ACCESS_KEY_ID", &key.id).env("AWS_SECRET_ACCESS_KEY", key.secret.expose());
    command.env("ALIBABA_CLOUD_ACCESS_KEY_ID", &key.id);
    command.env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", key.secret.expose());
    let run = Run::within(PATIENCE, &mut command, "");
    let (log, ended) = (daemon.log(), daemon.child.try_wait().unwrap());
    assert!(ended.is_none(), "{script}: the daemon ended with {ended:?}: {log}");
    assert_eq!(run.code, Some(0), "{script}:\n{}\n{}\n{log}", run.stdout, run.stderr);
    assert!(run.stdout.ends_with("done\n"), "{script} ended early:\n{}", run.stdout);
}

/// Takes the user's own settings of the clients from a command's environment.
fn only_ours(command: &mut Command, files: &Files) {
    for (name, _) in std::env::vars() {
        let name_of = name.to_ascii_lowercase();
        let is_theirs = ["aws_", "alibaba_", "ringcheck_"].iter().any(|of| name_of.starts_with(of));
        if is_theirs || name_of.ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    command.env("HOME", files.path("")).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
}

#[test]
fn the_life_of_a_target_by_boto3() {
    run("aws_life.py");
}

#[test]
fn pages_and_errors_by_boto3() {
    run("aws_errors.py");
}

#[test]
fn the_life_of_a_target_by_alibabas_sdk() {
    run("alibaba_life.py");
}

#[test]
fn abnormal_servers_by_pages_while_others_change() {
    run("alibaba_pages.py");
}
