//! `ringcheck probe` as its users run it: the built binary against 65,536 targets of a farm on
//! loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringcheck::farm::{Behaviour, Farm, FarmOptions, range};
use ringcheck::io::Backend;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;
use support::command::{RINGCHECK, Run, WITHOUT_IO_URING};
use support::wait_for;

fn farm(mix: &str) -> Farm {
    Farm::start(FarmOptions { mix: mix.parse().unwrap(), ..FarmOptions::default() }).unwrap()
}

fn probe(args: &[&str]) -> Run {
    Run::new(&[&["probe"], args].concat())
}

/// The same on this backend.
fn probe_on(on: Backend, args: &[&str]) -> Run {
    probe(&[&["--backend", on.name()], args].concat())
}

/// The code that a target comes to.
fn expected(does: Behaviour, is_http: bool) -> &'static str {
    match (does, is_http) {
        (Behaviour::Refuse, _) => "L4CON",
        (Behaviour::Silent, _) => "L4TOUT",
        (_, false) => "L4OK",
        (Behaviour::Healthy, true) => "L7OK",
        (Behaviour::Stall | Behaviour::Dribble, true) => "L7TOUT",
        (Behaviour::Status(_), true) => "L7STS",
        (Behaviour::Garbage | Behaviour::Endless, true) => "L7RSP",
        (Behaviour::Reset | Behaviour::Cut, true) => "L7CUT",
        (Behaviour::Flap, true) => unreachable!("comes to nothing for good"),
    }
}

const MIX: &str = "healthy=90,refuse=2,silent=1,stall=1,503=2,garbage=1,reset=1,cut=1,endless=1";

fn whole_range(on: Backend, is_http: bool) {
    let farm = farm(MIX);
    let cidr = format!("127.1.0.0/16:{}", farm.port());
    let protocol = if is_http { "http" } else { "tcp" };
    // As fast as it goes would be faster than the farm on a busy machine: its backlog would
    // overflow, and what the kernel drops there is a time-out in truth. What is dropped all the
    // same is sent anew after 1, 3 and 7 s.
    let pace = ["--rate", "10000", "--timeout", "8s"];
    let run =
        probe_on(on, &[&[&*cidr, "--protocol", protocol, "--format", "json"], &pace[..]].concat());
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let rows = run.objects();
    assert_eq!(rows.len(), 65_536, "{}", run.stderr);
    let (mut seen, mut codes) = (HashSet::new(), BTreeMap::<&str, u64>::new());
    for row in &rows {
        let target = row["target"].as_str().unwrap();
        assert!(seen.insert(target), "{target} twice");
        let ip: Ipv4Addr = target.split(':').next().unwrap().parse().unwrap();
        let code = expected(farm.mix().behaviour(ip), is_http);
        assert_eq!(row["code"], code, "{row}");
        *codes.entry(code).or_default() += 1;
    }
    // The summary counts the same.
    for (code, count) in codes {
        let line = run.stderr.lines().find(|line| line.trim_start().starts_with(code)).unwrap();
        let shown = line.split_whitespace().nth(1).unwrap().replace(',', "");
        assert_eq!(shown, count.to_string(), "{line}");
    }
}

on_each_backend! {
    a_range_of_65_536_targets_comes_out_as_the_farm_says_by_http,
    a_range_of_65_536_targets_comes_out_as_the_farm_says_by_tcp,
    count_workers_and_rate_do_what_they_say,
    the_exit_status_says_what_came_of_it,
}

fn a_range_of_65_536_targets_comes_out_as_the_farm_says_by_http(on: Backend) {
    whole_range(on, true);
}

fn a_range_of_65_536_targets_comes_out_as_the_farm_says_by_tcp(on: Backend) {
    whole_range(on, false);
}

fn count_workers_and_rate_do_what_they_say(on: Backend) {
    let farm = farm("healthy=1");
    let target = format!("127.1.0.0/29:{}", farm.port());
    let run = probe_on(on, &[&target, "--count", "25", "--rate", "200", "--workers", "3"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    // The header, 200 rows, and the summary, which a table has on standard output.
    let rows = run.stdout.lines().filter(|line| line.starts_with("127.1.0.")).count();
    assert_eq!(rows, 200, "{}", run.stdout);
    assert!(run.stdout.contains("200 probes in "), "{}", run.stdout);
    // 200 starts at 200 a second: the last one is due after 995 ms, less what may be caught up.
    assert!(run.took > Duration::from_millis(800), "{:?}", run.took);
    let quick = probe_on(on, &[&target, "--count", "25"]);
    assert_eq!(quick.code, Some(0));
    for (ip, count) in range::addresses(8).map(|ip| (ip, 25)) {
        let rows = run.stdout.lines().filter(|line| line.starts_with(&format!("{ip}:"))).count();
        assert_eq!(rows, count, "{ip}");
    }
}

/// The first address that behaves so.
fn place(farm: &Farm, does: Behaviour) -> String {
    let ip = range::addresses(1_000).find(|&ip| farm.mix().behaviour(ip) == does).unwrap();
    format!("{ip}:{}", farm.port())
}

#[test]
fn json_and_csv_say_the_same_with_the_same_names() {
    let farm = farm(MIX);
    let healthy = format!("http://{}", place(&farm, Behaviour::Healthy));
    let refuses = place(&farm, Behaviour::Refuse);
    let args = [&*healthy, &*refuses, "--format"];
    let json = probe(&[&args[..], &["json"]].concat());
    // Rows come as probes finish, in any order.
    let rows = json.objects();
    let first = rows.iter().find(|row| row["target"] == *healthy).unwrap();
    assert_eq!(first["outcome"], "pass");
    assert_eq!((&first["code"], &first["status"]), (&"L7OK".into(), &200.into()));
    assert!(
        first["tls_us"].is_null() && first["total_us"].as_u64() >= first["connect_us"].as_u64()
    );
    let keys = "target,address,outcome,code,detail,status,connect_us,tls_us,first_byte_us,total_us";
    let line = json.stdout.lines().next().unwrap();
    let places: Vec<_> = keys.split(',').map(|key| line.find(&format!("\"{key}\":"))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{line}");
    let csv = probe(&[&args[..], &["csv"]].concat());
    let lines: Vec<_> = csv.stdout.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, keys));
    let row = |start: String| lines.iter().any(|line| line.starts_with(&start));
    let address = healthy.trim_start_matches("http://");
    assert!(row(format!("{healthy},{address},pass,L7OK,,200,")), "{}", csv.stdout);
    assert!(row(format!("{refuses},{refuses},fail,L4CON,")), "{}", csv.stdout);
    for run in [json, csv] {
        assert_eq!(run.code, Some(1));
        assert!(run.stderr.contains("2 probes in ") && run.stderr.contains("1 passed, 1 failed"));
    }
}

#[test]
fn targets_come_from_a_file_or_standard_input_too() {
    let farm = farm("healthy=1");
    let list = format!("# two\n127.1.0.1:{0}\n\n127.1.0.2:{0} # the second\n", farm.port());
    let run = Run::with_input(&["probe", "--targets", "-", "--format", "json"], &list);
    assert_eq!((run.code, run.objects().len()), (Some(0), 2), "{run:?}");
    let objects = format!("[{{\"address\":\"::1\",\"port\":{}}}]", farm.port());
    let run = Run::with_input(&["probe", "--targets", "-", "--format", "json"], &objects);
    assert_eq!((run.code, run.objects().len()), (Some(0), 1), "{run:?}");
    let run = Run::with_input(&["probe", "--targets", "-"], "127.0.0.1:1\n127.0.0.1:port\n");
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("error: ") && run.stderr.contains("stdin:2"), "{run:?}");
}

fn the_exit_status_says_what_came_of_it(on: Backend) {
    let farm = farm("healthy=1");
    let good = format!("127.1.0.1:{}", farm.port());
    // A link-local address without a zone: the kernel says EINVAL, which is our fault, not a
    // target's.
    let fault = "[fe80::1]:9";
    let cases: [(&[&str], i32); 9] = [
        (&[&good], 0),
        (&[&good, "127.0.0.1:1"], 1),
        (&["127.0.0.1:1", fault], 1),
        (&[&good, fault], 3),
        (&[fault], 3),
        (&[], 2),
        (&[&good, "--count", "0"], 2),
        (&[&good, "--rate", "0"], 2),
        (&["127.0.0.1:99999"], 2),
    ];
    for (args, code) in cases {
        let run = probe_on(on, args);
        assert_eq!(run.code, Some(code), "{args:?} {run:?}");
        let errors = run.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, usize::from(code >= 2), "{args:?} {run:?}");
    }
}

/// Where io_uring is forbidden, epoll does it unless io_uring was asked for by name.
#[test]
fn without_io_uring_it_probes_on_epoll() {
    let farm = farm("healthy=1");
    let target = format!("127.1.0.0/24:{}", farm.port());
    let run = |backend: &[&str]| {
        let mut command = Command::new("python3");
        command.args([WITHOUT_IO_URING, "1", RINGCHECK, "probe", &target]).args(backend);
        Run::of(&mut command, "")
    };
    for backend in [&[][..], &["--backend", "auto"], &["--backend", "epoll"]] {
        let run = run(backend);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.stdout.contains("256 probes in "), "{run:?}");
    }
    let run = run(&["--backend", "io_uring"]);
    assert_eq!((run.code, &*run.stdout), (Some(3), ""), "{run:?}");
    let said = "error: cannot set up io_uring: operation not permitted (EPERM); a seccomp filter";
    assert!(run.stderr.starts_with(said) && run.stderr.lines().count() == 1, "{run:?}");
}

/// What was done so far is summed up, and the status is that of an interrupted command.
#[test]
fn ctrl_c_ends_it_with_a_summary() {
    let farm = farm("healthy=1");
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    let mut child = Command::new(RINGCHECK)
        .args(["probe", &format!("127.1.0.0/16:{}", farm.port()), "--rate", "50"])
        .stdout(File::create(path("out")).unwrap())
        .stderr(File::create(path("err")).unwrap())
        .spawn()
        .unwrap();
    let patience = Duration::from_secs(20);
    let rows = wait_for(patience, || Some(read("out")).filter(|out| out.lines().count() > 3));
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let ended = wait_for(patience, || child.try_wait().unwrap());
    // Whatever came of it, it does not outlive the test.
    let _ = child.kill();
    assert!(rows.is_some(), "no rows");
    assert_eq!(ended.unwrap().code(), Some(130), "{}", read("err"));
    let out = read("out");
    assert!(out.contains(" passed, 0 failed\n") && out.contains("L4OK"), "{out}");
    let err = read("err");
    assert!(err.starts_with("error: interrupted after ") && err.lines().count() == 1, "{err}");
}
