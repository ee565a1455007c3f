//! TLS and HTTPS checks against real servers (nginx, HAProxy, `openssl s_server`) with odd settings
//! and certificates, and against peers of our own making that no honest server resembles: what each
//! comes to, on each backend, probe after probe, with sessions resumed and without.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cases;
mod certificates;
mod hostile;
mod odd;
mod peers;
mod programs;
mod renegotiation;
#[path = "../support/mod.rs"]
mod support;

use cases::{CASES, Case};
use certificates::NAME;
use hostile::hostile_peers_cost_bounded_memory_and_time;
use peers::{Kit, Peers};
use programs::Programs;
use renegotiation::a_server_that_negotiates_anew_is_cut_off_in_time;
use ringcheck::io::Backend;
use ringcheck::wall::Rfc3339;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use support::command::Run;
use support::daemon::{Daemon, Files, driven};
use support::wait_for;

/// Probes of each case: the first is a full handshake, the others may resume.
const PROBES: usize = 3;
const TIMEOUT: Duration = Duration::from_secs(8);
/// Of those who never answer.
const SHORT: Duration = Duration::from_millis(700);
/// What a deadline may be late on a busy machine.
const SLACK: Duration = Duration::from_secs(3);
/// Longer than all probes of all cases take unless something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

on_each_backend! {
    each_server_comes_to_its_code,
    hostile_peers_cost_bounded_memory_and_time,
    a_server_that_negotiates_anew_is_cut_off_in_time,
}

/// The part of the case in a configuration.
fn group(number: usize, (_, protocol, keys, code, ..): &Case, at: SocketAddr) -> String {
    let timeout_ms = timeout(code).as_millis();
    format!(
        "[[group]]\nname = \"g{number}\"\nrules = \"free\"\ntargets = [\"{at}\"]\n\
         [group.health_check]\nprotocol = \"{protocol}\"\ninterval = \"1s\"\n\
         timeout = \"{timeout_ms}ms\"\nhealthy_threshold = 1\nunhealthy_threshold = 1\n{keys}"
    )
}

fn timeout(code: &str) -> Duration {
    if code.ends_with("TOUT") { SHORT } else { TIMEOUT }
}

/// What is wrong with what came of a case; nothing where all is well.
fn wrong((.., code, part, version): &Case, target: &Value) -> Option<&'static str> {
    let took = Duration::from_micros(target["last_probe"]["total_us"].as_u64().unwrap());
    let detail = target["detail"].as_str().unwrap_or("");
    let tls = target.get("tls");
    let shown = tls.map_or("", |tls| tls["version"].as_str().unwrap_or("?"));
    let healthy = code.ends_with("OK");
    let checks = [
        (target["code"] == *code, "code"),
        (detail.contains(part), "detail"),
        (healthy || code.ends_with("TOUT") || !detail.is_empty(), "no detail"),
        (!detail.contains('\n') && detail.len() <= 200, "length of the detail"),
        (shown == *version, "version"),
        (took < timeout(code) + SLACK, "time"),
        (!code.ends_with("TOUT") || took >= SHORT, "too early"),
        (target["state"] == if healthy { "healthy" } else { "unhealthy" }, "state"),
    ];
    checks.into_iter().find_map(|(is_right, what)| (!is_right).then_some(what))
}

fn each_server_comes_to_its_code(on: Backend) {
    let files = Files::new("");
    let folder = files.path("");
    certificates::make(&folder);
    let peers = Peers::start(&Kit::new(&folder), odd::ODD);
    let mut found = peers.addresses.clone();
    let _programs = Programs::start(&folder, &mut found);
    let addresses: BTreeMap<&str, SocketAddr> = found.into_iter().collect();
    let config: String =
        (0..).zip(CASES).map(|(n, case)| group(n, case, addresses[case.0])).collect();
    files.configure(&driven(on, &config));
    let daemon = Daemon::on(files, &[]);
    let targets = after_probes(&daemon, PROBES);
    let turns = daemon.get("/v1/events?since=0&limit=10000");
    let mut faults = Vec::new();
    for (number, (case, target)) in CASES.iter().zip(&targets).enumerate() {
        let name = format!("g{number}");
        let turned: Vec<&Value> =
            turns["events"].as_array().unwrap().iter().filter(|e| e["group"] == *name).collect();
        // It came to the same every time.
        let changed = (turned.len() != 1).then_some("transitions");
        let what = wrong(case, target).or(changed);
        if let Some(what) = what {
            faults.push(format!("{what}: {case:?} was expected\n  {target}\n  {turned:?}"));
        }
    }
    let count = faults.len();
    assert!(faults.is_empty(), "{count} of {}:\n{}", CASES.len(), faults.join("\n"));
    let of = |server: &str| {
        let place = CASES.iter().position(|case| case.0 == server).unwrap();
        &targets[place]["tls"]
    };
    what_was_presented(of);
    what_expires_is_listed(&daemon, &targets);
}

/// The target of each case, when it has been probed so often.
fn after_probes(daemon: &Daemon, probes: usize) -> Vec<Value> {
    let mut seen = vec![(Value::Null, 0); CASES.len()];
    let all = wait_for(PATIENCE, || {
        let page = |n| daemon.get(&format!("/v1/groups/g{n}/targets"))["targets"][0].clone();
        for (number, (at, count)) in seen.iter_mut().enumerate().filter(|(_, s)| s.1 < probes) {
            let probed = page(number)["last_probe"]["at"].clone();
            if probed != *at && !probed.is_null() {
                (*at, *count) = (probed, *count + 1);
            }
        }
        seen.iter().all(|(_, count)| *count >= probes).then(|| (0..CASES.len()).map(page).collect())
    });
    all.unwrap_or_else(|| panic!("not all were probed: {seen:?}\n{}", daemon.log()))
}

/// What stands in the leaf is in the API, whoever signed it and however long ago.
fn what_was_presented<'a>(of: impl Fn(&str) -> &'a Value) {
    let nginx = of("nginx");
    assert_eq!(nginx["names"], Value::from(vec![NAME]), "{nginx}");
    assert!(nginx["subject"].as_str().unwrap().contains(NAME), "{nginx}");
    assert!(nginx["issuer"].as_str().unwrap().contains("ringcheck test root"), "{nginx}");
    assert!(nginx["cipher"].as_str().unwrap().starts_with("TLS_AES_"), "{nginx}");
    assert!(nginx["alpn"].is_null(), "{nginx}");
    assert_eq!(of("haproxy h2")["alpn"], "h2");
    assert!(of("certificate of rubbish")["not_after"].is_null());
    let (expired, early) = (of("nginx expired"), of("nginx early"));
    assert!(is_past(expired, "not_after") && !is_past(nginx, "not_after"), "{expired}");
    assert!(is_past(nginx, "not_before") && !is_past(early, "not_before"), "{early}");
}

/// Times of the API are ordered as their texts are.
fn is_past(tls: &Value, key: &str) -> bool {
    tls[key].as_str().unwrap() < &*days_from_now(0)
}

fn days_from_now(days: u64) -> String {
    let at_ms = certificates::now().as_millis() + u128::from(days) * 86_400_000;
    Rfc3339(i64::try_from(at_ms).unwrap()).to_string()
}

/// `ringcheck targets --expires-within` lists those whose certificate does, or has.
fn what_expires_is_listed(daemon: &Daemon, targets: &[Value]) {
    let socket = daemon.files.socket();
    let socket = socket.to_str().unwrap();
    for (within, days) in [("14d", 14), ("1h", 0), ("60d", 60)] {
        let args = ["targets", "--expires-within", within, "--format", "json", "--socket", socket];
        let run = Run::new(&[&args[..], &["--limit", "10000"]].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let end = days_from_now(days);
        let expires =
            |target: &&Value| target["tls"]["not_after"].as_str().is_some_and(|at| at < &*end);
        let id = |target: &Value| target["id"].as_str().unwrap().to_owned();
        let expected: Vec<String> = targets.iter().filter(expires).map(id).collect();
        let listed: Vec<String> = run.objects().iter().map(id).collect();
        assert!(!expected.is_empty() && expected.len() < targets.len());
        assert_eq!(listed.len(), expected.len(), "{within}: {listed:?}, not {expected:?}");
    }
}
