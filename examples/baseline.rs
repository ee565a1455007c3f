//! Bare loops, paced: what scripts/bench-peers measures the daemon against.
//!
//! `baseline LOOP PORT RATE SECONDS [TARGETS]` checks TARGETS (20,000) addresses of 127.0.0.0/8 in
//! turn at RATE per second, one batch a millisecond, and prints `checks passed cpu_us rss_kib` at
//! the end. LOOP is `ring-tcp` or `ring-http` (the floor: recycled sockets on a bare ring),
//! `epoll-tcp` or `epoll-http` (a socket per check).

#[path = "../benches/baselines/mod.rs"]
#[allow(unreachable_pub, reason = "shared by benches and examples")]
mod baselines;

use nix::sys::resource::{UsageWho, getrusage};
use ringcheck::time::monotonic;
use std::net::SocketAddr;
use std::time::Duration;

/// Addresses that are checked in turn where nothing is said.
const TARGETS: usize = 20_000;

/// One of the loops.
enum Loop {
    Ring(Box<baselines::ring::Ring>),
    Epoll,
}

impl Loop {
    /// Checks a batch; how many passed.
    fn batch(&mut self, addresses: impl Iterator<Item = SocketAddr>, is_http: bool) -> usize {
        match self {
            Self::Ring(ring) if is_http => ring.batch_http(addresses),
            Self::Ring(ring) => ring.batch(addresses),
            Self::Epoll => baselines::epoll::batch(addresses, is_http),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a plain loop has nothing else to wait in")]
    fn sleep(&self, pause: Duration) {
        match self {
            Self::Ring(ring) => ring.sleep(u32::try_from(pause.as_nanos()).unwrap_or(0)),
            Self::Epoll => std::thread::sleep(pause),
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<usize> =
        arguments.iter().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let name = arguments.first().and_then(|name| name.split_once('-'));
    let (Some((kind @ ("ring" | "epoll"), protocol @ ("tcp" | "http"))), [port, rate, seconds, ..]) =
        (name, &numbers[..])
    else {
        eprintln!(
            "usage: baseline ring-tcp|ring-http|epoll-tcp|epoll-http PORT RATE SECONDS [TARGETS]"
        );
        std::process::exit(2);
    };
    let (is_http, targets) = (protocol == "http", numbers.get(3).copied().unwrap_or(TARGETS));
    let port = u16::try_from(*port).expect("a port");
    let batch = (rate / 1_000).max(1);
    let mut run = if kind == "ring" {
        Loop::Ring(Box::new(baselines::ring::Ring::new(batch)))
    } else {
        Loop::Epoll
    };
    let (start, cpu) = (monotonic(), cpu_us());
    let (mut checks, mut passed) = (0, 0);
    while monotonic().since(start) < Duration::from_secs(*seconds as u64) {
        let due = (checks..checks + batch).map(|i| baselines::address(i % targets, port));
        passed += run.batch(due, is_http);
        checks += batch;
        let due = start + Duration::from_secs_f64(checks as f64 / *rate as f64);
        run.sleep(due.since(monotonic()));
    }
    println!("{checks} {passed} {} {}", cpu_us() - cpu, usage().max_rss());
}

fn usage() -> nix::sys::resource::Usage {
    getrusage(UsageWho::RUSAGE_SELF).expect("getrusage of oneself cannot fail")
}

/// CPU time of this process so far.
fn cpu_us() -> i64 {
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    micros(usage().user_time()) + micros(usage().system_time())
}
