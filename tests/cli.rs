//! The built command from outside: help, errors in one line, exit statuses, formats.

#![expect(clippy::unwrap_used, reason = "a test may say so by panicking")]

use ringcheck::farm::{Behaviour, Farm, FarmOptions, range};
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::process::{Command, Output, Stdio};

const COMMANDS: [&str; 20] = [
    "probe",
    "serve",
    "validate",
    "demo",
    "farm",
    "reload",
    "status",
    "groups",
    "targets",
    "target",
    "events",
    "routable",
    "wait",
    "put-group",
    "delete-group",
    "register",
    "deregister",
    "mark",
    "keys",
    "top",
];
const WITHOUT_IO_URING: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/without_io_uring.py");
const KEYS: &str =
    "target,address,outcome,code,detail,status,connect_us,tls_us,first_byte_us,total_us";

fn ringcheck(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringcheck"));
    command.args(args).env_remove("RINGCHECK_SOCKET").stdin(Stdio::null());
    command
}

struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        // A process that a signal ended has no status.
        let status = output.status.code().unwrap();
        Self { status, out: text(output.stdout), err: text(output.stderr) }
    }
}

fn run(args: &[&str]) -> Ran {
    ringcheck(args).output().unwrap().into()
}

/// Asserts that `args` end with `status` and one line of error, and returns it.
fn error(args: &[&str], status: i32) -> String {
    let ran = run(args);
    assert_eq!((ran.status, ran.out.as_str()), (status, ""), "{args:?}: {}", ran.err);
    assert!(ran.err.starts_with("error: "), "{args:?}: {}", ran.err);
    assert_eq!(ran.err.matches('\n').count(), 1, "{args:?}: {}", ran.err);
    ran.err.trim_end().to_owned()
}

fn farm(mix: &str) -> Farm {
    Farm::start(FarmOptions { mix: mix.parse().unwrap(), ..FarmOptions::default() }).unwrap()
}

fn target(farm: &Farm, behaviour: Behaviour) -> String {
    let mut all = range::addresses(range::TARGETS_MAX);
    let ip: Ipv4Addr = all.find(|&ip| farm.mix().behaviour(ip) == behaviour).unwrap();
    format!("{ip}:{}", farm.port())
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in COMMANDS {
        let ran = run(&[command, "--help"]);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{command}");
        let (_, examples) = ran.out.split_once("\nExample").unwrap();
        assert!(examples.contains(&format!("\n  ringcheck {command}")), "{command}: {examples}");
    }
    let ran = run(&["--help"]);
    assert_eq!(ran.status, 0);
    assert!(COMMANDS.iter().all(|command| ran.out.contains(&format!("\n  {command} "))));
    assert_eq!(run(&["--version"]).out, format!("ringcheck {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn usage_errors_are_one_line_and_exit_2() {
    let cases: [&[&str]; 32] = [
        &[],
        &["prob"],
        &["--frobnicate"],
        &["probe"],
        &["probe", "10.0.0.1"],
        &["probe", "10.0.0.1:0"],
        &["probe", "10.0.0.0/33:80"],
        &["probe", "10.0.0.0/8:80"],
        &["probe", "ftp://10.0.0.1"],
        &["probe", "UDP://10.0.0.1"],
        &["probe", "--protocol", "tls", "10.0.0.1:1", "--tls-ca-file", "/dev/null"],
        &["probe", "10.0.0.1:1", "--rate", "0"],
        &["probe", "10.0.0.1:1", "--workers", "0"],
        &["probe", "10.0.0.1:1", "--count", "0"],
        &["probe", "10.0.0.1:1", "--path", "/x"],
        &["probe", "10.0.0.1:1", "--format", "xml"],
        &["probe", "10.0.0.1:1", "--timeout", "5"],
        &["serve"],
        &["farm", "--port", "0", "--mix", "helthy=1"],
        &["farm", "--port", "0", "--blackout", "101%"],
        &["farm", "--port", "0", "--flap-period", "1ms"],
        &["targets", "--limit", "0"],
        &["targets", "--state", "helthy"],
        &["target", "web"],
        &["events", "--limit", "0"],
        &["put-group"],
        &["put-group", "web", "--enabled", "--disabled"],
        &["mark", "web", "i-1"],
        &["mark", "web", "i-1", "--lifecycle", "stoped"],
        &["wait", "web", "--timeout", "5"],
        &["top", "extra"],
        &["top", "--format", "xml"],
    ];
    for args in cases {
        let line = error(args, 2);
        let (_, place) = line.rsplit_once("; see 'ringcheck ").unwrap();
        let known = args.first().filter(|arg| COMMANDS.contains(arg));
        let command = known.map(|command| format!("{command} ")).unwrap_or_default();
        assert_eq!(place, format!("{command}--help'"), "{args:?}");
    }
    let line = error(&["farm", "--port", "0", "--mix", "helthy=1"], 2);
    assert!(line.contains("endless") && line.contains("did you mean 'healthy'?"), "{line}");
    let line = error(&["probe", "--targets", "/does/not/exist"], 2);
    assert!(line.contains("/does/not/exist; give the path of a readable file"), "{line}");
}

#[test]
fn what_names_no_targets_or_the_wrong_ones_is_told_before_the_daemon_is_asked() {
    for (args, expected) in [
        (&["register", "web"] as &[&str], "no targets; name some"),
        (&["deregister", "web"], "no targets; name some by address or id"),
        (&["register", "web", "i-1"], "target \"i-1\" is a name"),
        (&["register", "web", "10.0.0.1:0"], "not a port"),
        (&["register", "web", "10.0.0.0/30", "--id", "i-1"], "--id names one target, not 4"),
        (&["register", "web", "10.0.0.0/7"], "more than 16000000 targets"),
        (&["register", "web", "--targets", "/does/not/exist"], "give the path of a readable file"),
    ] {
        let line = error(args, 2);
        assert!(line.contains(expected), "{args:?}: {line}");
    }
    let piped = error(&["top"], 2);
    assert!(piped.contains("on a terminal only; use 'ringcheck status'"), "{piped}");
    let both = error(&["deregister", "web", "10.0.0.1", "--all"], 2);
    assert!(both.contains("cannot be used with"), "{both}");
}

#[test]
fn without_a_daemon_queries_exit_3_and_say_how_to_start_it() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("api.sock");
    let socket = socket.to_str().unwrap();
    let queries: [&[&str]; 14] = [
        &["status"],
        &["groups"],
        &["targets"],
        &["target", "g", "i"],
        &["events"],
        &["events", "--follow"],
        &["reload"],
        &["routable", "g"],
        &["wait", "g"],
        &["put-group", "g"],
        &["delete-group", "g"],
        &["register", "g", "127.0.0.1"],
        &["deregister", "g", "127.0.0.1"],
        &["mark", "g", "i", "--weight", "1"],
    ];
    for query in queries {
        let line = error(&[query, &["--socket", socket]].concat(), 3);
        assert!(line.contains(&format!("the daemon is not running, no socket {socket}; ")));
        assert!(line.contains("ringcheck serve --config"), "{line}");
    }
    let by_environment = ringcheck(&["status"]).env("RINGCHECK_SOCKET", socket).output().unwrap();
    assert!(Ran::from(by_environment).err.contains(socket));
    std::fs::write(socket, "").unwrap();
    error(&["status", "--socket", socket], 3);
}

/// Who validates where io_uring is forbidden is told what `serve` would do, and why.
#[test]
fn validate_says_what_becomes_of_a_forbidden_io_uring() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (backend, expected) in [
        ("io_uring", "not start: cannot set up io_uring: "),
        ("auto", "take epoll, which costs more: cannot set up io_uring: "),
        ("epoll", ""),
    ] {
        std::fs::write(file.path(), format!("[engine]\nbackend = \"{backend}\"\n")).unwrap();
        let mut command = Command::new("python3");
        command.args([WITHOUT_IO_URING, "1", env!("CARGO_BIN_EXE_ringcheck"), "validate"]);
        let ran: Ran = command.arg(file.path()).output().unwrap().into();
        assert_eq!(ran.status, 0, "{}", ran.err);
        if expected.is_empty() {
            assert_eq!(ran.err, "");
        } else {
            let expected = format!("warning: as this user, 'ringcheck serve' would {expected}");
            assert!(ran.err.starts_with(&expected) && ran.err.contains("seccomp"), "{}", ran.err);
        }
    }
}

#[test]
fn probe_prints_json_objects_and_the_summary_on_stderr() {
    let farm = farm("healthy=3,503=1");
    let url = format!("http://{}/x", target(&farm, Behaviour::Status(503)));
    let range = format!("127.1.0.0/29:{}", farm.port());
    let ran = run(&["probe", &range, &url, "--protocol", "http", "--format", "json"]);
    assert_eq!(ran.status, 1, "{}", ran.err);
    let rows: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 9);
    for (row, line) in rows.iter().zip(ran.out.lines()) {
        let keys: Vec<_> =
            line.split("\"").filter(|part| KEYS.split(',').any(|k| k == *part)).collect();
        assert_eq!(keys.join(","), KEYS, "{line}");
        let (name, address) = (row["target"].as_str().unwrap(), row["address"].as_str().unwrap());
        assert!(name == address || name == url, "{line}");
        let ip: Ipv4Addr = address.split(':').next().unwrap().parse().unwrap();
        let passes = farm.mix().behaviour(ip) == Behaviour::Healthy;
        let (outcome, code, status) =
            if passes { ("pass", "L7OK", 200) } else { ("fail", "L7STS", 503) };
        assert_eq!(
            (&row["outcome"], &row["code"], &row["status"]),
            (&outcome.into(), &code.into(), &status.into()),
            "{line}"
        );
        assert!(row["tls_us"].is_null() && row["total_us"].is_u64(), "{line}");
    }
    let names = rows.iter().filter(|row| row["target"] == url.as_str()).count();
    assert_eq!(names, 1, "{}", ran.out);
    assert!(ran.err.starts_with("9 probes in "), "{}", ran.err);
    assert!(ran.err.contains(": 6 passed, 3 failed\n"), "{}", ran.err);
    assert!(ran.err.contains("  L7STS  ") && ran.err.contains("latency of what passed: p50 "));
}

#[test]
fn probe_prints_csv_and_tables() {
    let farm = farm("healthy=1");
    let range = format!("tcp://127.1.0.0/30:{}", farm.port());
    let ran = run(&["probe", &range, "--format", "csv", "--count", "2"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let mut lines = ran.out.lines();
    assert_eq!(lines.next(), Some(KEYS));
    assert_eq!(lines.filter(|line| line.contains(",pass,L4OK,,,")).count(), 8, "{}", ran.out);
    let ran = run(&["probe", &range]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert!(ran.out.starts_with("TARGET "), "{}", ran.out);
    assert!(ran.out.contains("\n4 probes in ") && !ran.out.contains('\u{1b}'), "{}", ran.out);
}

#[test]
fn probe_reads_targets_from_standard_input() {
    let farm = farm("cut=1");
    let mut child =
        ringcheck(&["probe", "--targets", "-", "--protocol", "HTTP", "--format", "json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
    let lines = format!("# two\n127.0.0.1:{0}\n\nhttp://localhost:{0}/x # named\n", farm.port());
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.status, ran.out.lines().count()), (1, 2), "{}", ran.err);
    assert!(ran.out.contains("\"code\":\"L7CUT\""), "{}", ran.out);
    assert!(ran.out.contains(&format!("{{\"target\":\"http://localhost:{}/x\",", farm.port())));
}

#[test]
fn a_reader_that_goes_ends_probe_quietly() {
    let farm = farm("healthy=1");
    let range = format!("127.1.0.0/20:{}", farm.port());
    let mut child = ringcheck(&["probe", &range, "--count", "20", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    // Dropped after the first line, with most of the rows still to come.
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert!(first.starts_with("{\"target\":\"127.1."), "{first}");
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
}

#[test]
fn farm_serves_until_it_is_told_to_stop() {
    let mut child =
        ringcheck(&["farm", "--port", "0", "--mix", "healthy=1,503=1", "--targets", "3"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let (_, rest) = line.split_once("farm on 127.0.0.0/8 and [::1], port ").unwrap();
    let (port, mix) = rest.split_once(", ").unwrap();
    assert_eq!(mix, "mix healthy=1,503=1\n");
    let mut examples = String::new();
    out.read_line(&mut examples).unwrap();
    let list = format!("ringcheck probe 127.1.0.0/31:{port} 127.1.0.2/32:{port}\n");
    assert!(examples.ends_with(&list), "{examples}");
    let ran = run(&["probe", &format!("http://127.1.0.0:{port}"), "--matcher", "200,503"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn signals_black_a_farm_out_and_end_that() {
    let mut child = ringcheck(&["farm", "--port", "0", "--blackout", "100%"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let port = first.split_once("port ").unwrap().1.split_once(',').unwrap().0;
    // The introduction's last line.
    lines.find(|line| line.as_ref().unwrap().contains("curl")).unwrap().unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    let signal = |signal| nix::sys::signal::kill(pid, signal).unwrap();
    let one = format!("127.1.0.0:{port}");
    let probe = || run(&["probe", &one, "--timeout", "300ms"]);
    assert_eq!(probe().status, 0);
    signal(nix::sys::signal::Signal::SIGUSR1);
    assert_eq!(lines.next().unwrap().unwrap(), "blackout: 100% of the targets are silent");
    let dark = probe();
    assert!(dark.status == 1 && dark.out.contains("L4TOUT"), "{}{}", dark.out, dark.err);
    signal(nix::sys::signal::Signal::SIGUSR2);
    assert_eq!(lines.next().unwrap().unwrap(), "blackout is over");
    assert_eq!(probe().status, 0);
    signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
