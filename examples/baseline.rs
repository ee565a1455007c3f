//! A bare ring loop, paced: the floor that scripts/bench-peers measures the daemon against.
//!
//! `baseline PORT RATE SECONDS` checks 20,000 addresses of 127.0.0.0/8 in turn at RATE per second,
//! one batch a millisecond, and prints `checks connected cpu_us` at the end.

#[path = "../benches/baselines/mod.rs"]
#[allow(unreachable_pub, reason = "shared by benches and examples")]
mod baselines;

use nix::sys::resource::{UsageWho, getrusage};
use ringcheck::time::monotonic;
use std::time::Duration;

/// Addresses that are checked in turn.
const TARGETS: usize = 20_000;

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let [port, rate, seconds] = numbers[..] else {
        eprintln!("usage: baseline PORT RATE SECONDS");
        std::process::exit(2);
    };
    let port = u16::try_from(port).expect("a port");
    let batch = (rate / 1_000).max(1);
    let mut ring = baselines::ring::Ring::new(batch);
    let (start, cpu) = (monotonic(), cpu_us());
    let (mut checks, mut connected) = (0, 0);
    while monotonic().since(start) < Duration::from_secs(seconds as u64) {
        let due = (checks..checks + batch).map(|i| baselines::address(i % TARGETS, port));
        connected += ring.batch(due);
        checks += batch;
        let due = start + Duration::from_secs_f64(checks as f64 / rate as f64);
        let pause = due.since(monotonic());
        ring.sleep(u32::try_from(pause.as_nanos()).unwrap_or(0));
    }
    println!("{checks} {connected} {}", cpu_us() - cpu);
}

/// CPU time of this process so far.
fn cpu_us() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("getrusage of oneself cannot fail");
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    micros(usage.user_time()) + micros(usage.system_time())
}
