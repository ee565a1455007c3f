//! What can come of which check: every protocol with every code of DESIGN 3.3, on the simulated
//! network and on the real kernel by each backend.
//!
//! A cell names a script that comes to that code, or is `-`: no target can make it so. The table is
//! the whole truth: a script that came to a code where a `-` stands would make it fail.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "sim/run.rs"]
mod run;
#[path = "sim/scenario.rs"]
#[allow(dead_code, reason = "what draws whole runs is for another test")]
mod scenario;
mod support;
#[path = "sim/truth.rs"]
mod truth;

use nix::errno::Errno;
use ringcheck::endpoint::Endpoint;
use ringcheck::engine::Plan;
use ringcheck::engine::oneshot::{OneShot, Shot, collect};
use ringcheck::io::Backend;
use ringcheck::io::sim::Behaviour;
use ringcheck::outcome::{Code, TABLE};
use ringcheck::recipe::Recipe;
use ringcheck::report::Report;
use run::Run;
use scenario::{plain, quiet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use support::netns::{Route, in_own_network};
use support::scripts::{SCRIPTS, Script};
use support::stage::{Scene, Stage};

/// The columns: each begins the names of its scripts.
const PROTOCOLS: [&str; 7] = ["tcp", "udp", "http", "tls", "https", "grpc", "grpcs"];

#[rustfmt::skip]
const MATRIX: [(&str, [&str; 7]); 12] = [
    //          TCP               UDP                     HTTP                 TLS and the rest
    ("L4OK",    ["accepts",        "silent",               "-",                 "-",               "-",                      "-",                "-"]),
    ("L6OK",    ["-",              "-",                    "-",                 "1.3",             "-",                      "-",                "-"]),
    ("L7OK",    ["-",              "answers as expected",  "200",               "-",               "200",                    "serving",          "serving"]),
    ("L4TOUT",  ["silent",         "-",                    "silent",            "silent",          "silent",                 "silent",           "silent"]),
    ("L4CON",   ["refuses",        "port unreachable",     "refuses",           "refuses",         "refuses",                "refuses",          "refuses"]),
    ("L6TOUT",  ["-",              "-",                    "-",                 "never answers",   "stops in the handshake", "-",                "stops in the handshake"]),
    ("L6RSP",   ["-",              "-",                    "-",                 "1.1 at most",     "speaks HTTP",            "-",                "no TLS"]),
    ("L7TOUT",  ["-",              "never answers",        "never answers",     "-",               "never answers",          "never answers",    "never answers"]),
    ("L7CUT",   ["-",              "-",                    "closes when asked", "-",               "closes when asked",      "closes when asked", "goes away"]),
    ("L7RSP",   ["-",              "answers otherwise",    "rubbish",           "-",               "rubbish",                "speaks HTTP/1",    "chooses no HTTP/2"]),
    ("L7STS",   ["-",              "-",                    "503",               "-",               "503",                    "not serving",      "not serving"]),
    ("SOCKERR", ["forbidden here", "forbidden here",       "forbidden here",    "forbidden here",  "forbidden here",         "forbidden here",   "forbidden here"]),
];

/// Nobody is there, and this host lets nobody go there.
const FORBIDDEN: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

/// The scripts of all cells, with the code of their rows.
fn cells() -> Vec<(Code, Script)> {
    let mut cells = Vec::new();
    for (row, (name, columns)) in TABLE.iter().zip(MATRIX) {
        assert_eq!(row.name, name, "rows stand in the order of the codes");
        for (protocol, cell) in PROTOCOLS.iter().zip(columns) {
            if cell != "-" {
                let name = format!("{protocol}: {cell}");
                let script = SCRIPTS.iter().find(|script| script.name == name);
                cells.push((row.code, *script.unwrap_or_else(|| panic!("no script '{name}'"))));
            }
        }
    }
    cells
}

#[test]
fn the_matrix_is_the_whole_truth() {
    for (code, script) in cells() {
        assert_eq!(script.code, code, "{}", script.name);
    }
    for script in SCRIPTS {
        let protocol = script.name.split(':').next().unwrap();
        let column = PROTOCOLS.iter().position(|&other| other == protocol);
        let cell = MATRIX[script.code as usize].1[column.expect("a protocol of the matrix")];
        assert_ne!(cell, "-", "{} comes to {}", script.name, script.code.name());
    }
}

#[test]
fn each_cell_comes_true_on_the_simulated_network() {
    let (timeout, cells) = (Duration::from_millis(200), cells());
    let recipes = cells.iter().map(|(_, script)| plain(script.asked, timeout * 2, timeout));
    let mut scenario = quiet(1, recipes.collect());
    scenario.round_trips = vec![timeout / 20; cells.len()];
    scenario.duration = timeout * 20;
    for (group, (_, script)) in cells.iter().enumerate() {
        scenario.play(group, &[*script]);
    }
    // Each report is compared with its script as it comes.
    let summary = Run::complete(&scenario);
    assert!(summary.probes >= 9 * cells.len() as u64, "{summary:?}");
    assert!(summary.codes.keys().copied().eq(TABLE.iter().map(|row| row.code)), "{summary:?}");
}

on_each_backend! {
    each_cell_comes_true_on_the_real_kernel,
}

fn each_cell_comes_true_on_the_real_kernel(on: Backend) {
    const TIMEOUT: Duration = Duration::from_secs(2);
    in_own_network(|network| {
        network.route(FORBIDDEN, Route::Prohibit);
        let cells = cells();
        let behaviour = |script: &Script| (script.behaviour)(TIMEOUT);
        let is_forbidden =
            |script: &Script| behaviour(script) == Behaviour::Unreachable(Errno::EACCES);
        let played = cells.iter().filter(|(_, script)| !is_forbidden(script));
        let scenes: Vec<Scene> = played
            .map(|(_, script)| Scene {
                udp: script.asked.is_udp(),
                ipv6: false,
                behaviour: behaviour(script),
            })
            .collect();
        let stage = Stage::play(&scenes);
        let mut addresses = stage.addresses.iter().copied();
        let shots: Vec<SocketAddr> = cells
            .iter()
            .map(|(_, script)| {
                let forbidden = is_forbidden(script).then_some((FORBIDDEN, 9).into());
                forbidden.unwrap_or_else(|| addresses.next().unwrap())
            })
            .collect();
        let recipes: Vec<Recipe> =
            cells.iter().map(|(_, script)| plain(script.asked, Duration::ZERO, TIMEOUT)).collect();
        for (report, (code, script)) in probe(on, &recipes, &shots).iter().zip(&cells) {
            assert_eq!(report.outcome.code, *code, "{}: {report:?}", script.name);
            assert_eq!(report.outcome.status, script.status, "{}", script.name);
        }
    });
}

/// Probes each target once by its own recipe; reports by place in the list.
fn probe(on: Backend, recipes: &[Recipe], targets: &[SocketAddr]) -> Vec<Report> {
    let plan = Plan::new(on, Some(1), Some(128), false).unwrap();
    let shots = (0..)
        .zip(targets)
        .map(|(recipe, &address)| Shot { recipe, endpoint: Endpoint::from(address) });
    let run = OneShot::start(&plan, recipes, shots, targets.len(), 1, None).unwrap();
    let mut reports = collect(run).unwrap();
    reports.sort_by_key(|report| report.target);
    assert_eq!(reports.len(), targets.len(), "each probe is reported once");
    reports
}
