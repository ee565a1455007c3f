//! The scripts that measure: each says how it is used, and small runs of the long ones go through,
//! so that they are whole when somebody needs their figures. Which bars are met is no matter here:
//! a machine that runs tests is no quiet one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::command::{RINGCHECK, Run};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/");

fn run(script: &str, args: &[&str]) -> Run {
    let mut command = Command::new("python3");
    command.arg(format!("{FOLDER}{script}")).args(args).env("RINGCHECK_BINARY", RINGCHECK);
    Run::within(Duration::from_secs(120), &mut command, "")
}

/// What a run printed; it went through to its verdict.
fn printed(script: &str, args: &[&str]) -> Option<String> {
    let run = run(script, args);
    if !nix::unistd::geteuid().is_root() {
        assert_eq!(run.code, Some(2), "{}\n{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("needs root"), "{}", run.stderr);
        return None;
    }
    assert!(matches!(run.code, Some(0 | 1)), "{script}: {}\n{}", run.stdout, run.stderr);
    Some(run.stdout)
}

/// Asserts that each text begins a line.
fn assert_lines(out: &str, texts: &[&str]) {
    for text in texts {
        assert!(out.lines().any(|line| line.starts_with(text)), "no line '{text}…' in:\n{out}");
    }
}

#[test]
fn every_script_says_how_it_is_used() {
    let mut scripts = 0;
    for entry in std::fs::read_dir(FOLDER).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // Modules and the unit of systemd are no scripts.
        if Path::new(&name).extension().is_some() || name.starts_with('_') {
            continue;
        }
        let help = run(&name, &["--help"]);
        assert_eq!(help.code, Some(0), "{name}: {}", help.stderr);
        assert!(help.stdout.starts_with(&format!("usage: {name} ")), "{name}: {}", help.stdout);
        let wrong = run(&name, &["--frobnicate"]);
        assert_eq!(wrong.code, Some(2), "{name}: {}{}", wrong.stdout, wrong.stderr);
        scripts += 1;
    }
    assert!(scripts >= 8, "only {scripts} scripts");
    assert!(!Path::new(FOLDER).join("__pycache__").exists(), "scripts leave something behind");
}

#[test]
fn scale_goes_through() {
    let args = ["--targets", "3000", "--interval", "1", "--minutes", "0.1"];
    let Some(out) = printed("bench-scale", &args) else { return };
    assert_lines(
        &out,
        &[
            "start, from exec to the first probes: ",
            "probes started in 0.1 minutes, of ",
            "starts skipped: ",
            "lateness p99, worst of the samples: ",
            "one target, p99 of ",
            "page of 3 abnormal, p99 of ",
            "all 3,000 as JSON lines, worst of ",
            "targets with a last probe: 3,000 ",
            "oldest last probe: ",
        ],
    );
}

#[test]
fn blackout_goes_through() {
    let args = ["--targets", "1000", "--interval", "1", "--timeout", "0.3", "--minute", "3"];
    let Some(out) = printed("bench-blackout", &args) else { return };
    assert_lines(
        &out,
        &[
            "- until 99 % are unhealthy: ",
            "- until 99 % are healthy again: ",
            "- unhealthy by a local fault: 0 (bar: at most 0) met",
            "blackout of 5 %: ",
            "- other targets that ever became unhealthy: 0 (bar: at most 0) met",
            "- lateness p99 of all moved, ",
        ],
    );
}

#[test]
fn overload_goes_through() {
    let args = ["--only", "stop,ports", "--targets", "500", "--seconds", "4"];
    let Some(out) = printed("bench-overload", &args) else { return };
    assert_lines(&out, &["stop:", "ports:", "- status says:", "- /healthz says "]);
    let well = out.matches("- healthy targets shown unhealthy: 0 (bar: at most 0) met").count();
    let back = out.matches("- all healthy by themselves afterwards: yes").count();
    assert_eq!((well, back), (2, 2), "{out}");
}

#[test]
fn https_goes_through() {
    let args = ["--targets", "200", "--interval", "1", "--rest", "1", "--minutes", "0.1"];
    let Some(out) = printed("bench-https", &args) else { return };
    assert_lines(
        &out,
        &[
            "probes started in 0.1 minutes, of ",
            "failed, of ",
            "local faults: ",
            "starts skipped: ",
            "lateness p99, worst of the samples: ",
            "CPU per probe: ",
            "memory without targets: ",
            "memory per target without a session, of ",
            "memory per target with a session, of ",
        ],
    );
}

#[test]
fn https_against_haproxy_goes_through() {
    let args = ["--only-https", "--rounds", "1", "--seconds", "3", "--part", "0.1"];
    let run = run("bench-peers", &args);
    assert!(matches!(run.code, Some(0 | 1)), "{}\n{}", run.stdout, run.stderr);
    assert_lines(
        &run.stdout,
        &[
            "| ringcheck, HTTPS | ",
            "| HAProxy, HTTPS | ",
            "| ringcheck, full handshakes, HTTPS | ",
            "| HAProxy, full handshakes, HTTPS | ",
            "HTTPS, against HAProxy: ",
            "HTTPS, full handshakes, against HAProxy: ",
        ],
    );
}

#[test]
fn soak_goes_through_in_pieces_and_writes_its_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name).into_os_string().into_string().unwrap();
    let (report, state) = (path("SOAK.md"), path("soak.jsonl"));
    let args = ["--targets", "1000", "--minutes", "0.07", "--every", "1"];
    let args = [&args[..], &["--report", &report, "--state", &state]].concat();
    let (Some(_), Some(out)) = (printed("soak", &args), printed("soak", &args)) else { return };
    assert_lines(&out, &["piece 1: 0.", "piece 2: 0.", "- slots in use at rest, most: 0 "]);
    let report = std::fs::read_to_string(report).unwrap();
    assert_lines(&report, &["# Soak", "piece 2: 0.", "| piece | minute | RSS |", "| 2 | 0."]);
}
