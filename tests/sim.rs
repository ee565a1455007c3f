//! The whole engine but the kernel: a real worker on a simulated network and clock, run by seed and
//! checked against what the network saw. A failing seed prints the line that repeats it.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "sim/cases.rs"]
mod cases;
#[path = "sim/kept.rs"]
mod kept;
#[path = "sim/kept_calls.rs"]
mod kept_calls;
#[path = "sim/run.rs"]
mod run;
#[path = "sim/scenario.rs"]
mod scenario;
#[path = "sim/shortage.rs"]
mod shortage;
#[path = "sim/stage.rs"]
mod stage;
mod support;
#[path = "sim/tls.rs"]
mod tls;
#[path = "sim/truth.rs"]
mod truth;
#[path = "sim/udp.rs"]
mod udp;

use ringcheck::outcome::{Code, TABLE};
use ringcheck::rng::mix;
use ringcheck::time::{monotonic, wall_ms};
use run::{Run, Summary};
use std::collections::BTreeSet;
use std::time::Duration;
use support::scripts::SCRIPTS;

/// Says how to repeat a seed, if it fails.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!("RINGCHECK_SEED={seed} cargo test --test sim one_seed -- --nocapture");
        }
    }
}

fn run(seed: u64) -> Summary {
    let _replay = Replay(seed);
    Run::complete(&scenario::draw(seed))
}

/// Ten thousand targets for an hour of virtual time.
#[test]
fn simulation() {
    let begun = monotonic();
    let summary = Run::complete(&scenario::hour(1, 10_000));
    let wall = monotonic().since(begun);
    println!("{} probes in {wall:?}: {summary:?}", summary.probes);
    assert!(summary.probes.abs_diff(1_200_000) <= 10_000, "{}", summary.probes);
    assert_eq!(summary.skipped, 0);
}

#[test]
fn fixed_seeds() {
    for seed in 0..20 {
        run(seed);
    }
}

/// Other seeds each time; `RINGCHECK_SEEDS` says how many.
#[test]
fn fresh_seeds() {
    let base = wall_ms();
    println!("fresh seeds are made from {base}");
    let count = std::env::var("RINGCHECK_SEEDS").map_or(20, |text| text.parse().unwrap());
    for index in 0..count {
        run(mix(base + index));
    }
}

/// The seed of `RINGCHECK_SEED`, or some other one.
#[test]
fn one_seed() {
    let seed = std::env::var("RINGCHECK_SEED").map_or(7, |text| text.parse().unwrap());
    println!("{:?}", run(seed));
}

#[test]
fn a_seed_repeats_its_run() {
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).digest, run(4).digest);
}

/// The table of scripts, long and short; and it covers every code.
#[test]
fn every_script_gives_its_code() {
    for timeout in [Duration::from_millis(20), Duration::from_secs(2)] {
        let summary = Run::complete(&scenario::every_script(timeout));
        let told: BTreeSet<Code> = summary.codes.into_keys().collect();
        let table: BTreeSet<Code> = SCRIPTS.iter().map(|script| script.code).collect();
        assert_eq!(told, table);
        assert_eq!(table.len(), TABLE.len(), "every code there is");
    }
}
