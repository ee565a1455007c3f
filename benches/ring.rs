//! One TCP check on loopback: the engine on each backend against a bare ring, epoll, tokio and
//! tokio-uring, each on one thread in the same run. Compare the rows of one run with each other,
//! never with another machine's.

#[path = "baselines/mod.rs"]
#[allow(unreachable_pub, reason = "shared by benches and examples")]
mod baselines;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringcheck::check::Check;
use ringcheck::endpoint::Endpoint;
use ringcheck::engine::Plan;
use ringcheck::engine::oneshot::{OneShot, Shot, collect};
use ringcheck::health::Thresholds;
use ringcheck::io::Backend;
use ringcheck::outcome::Code;
use ringcheck::recipe::{Close, Handshake, Recipe};
use std::time::Duration;

fn checks(criterion: &mut Criterion) {
    let port = baselines::listen();
    // Large enough that starting a runtime or a worker vanishes; small where criterion only tests.
    let count = if std::env::args().any(|arg| arg == "--bench") { 20_000 } else { 200 };
    let mut group = criterion.benchmark_group("tcp_check");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    group.throughput(Throughput::Elements(count as u64));
    let mut ring = baselines::ring::Ring::new(baselines::IN_FLIGHT);
    group.bench_function("bare_ring", |bench| {
        bench.iter(|| assert_eq!(baselines::ring::run(&mut ring, port, count), count));
    });
    for on in Backend::ALL {
        let name = format!("ringcheck_{}", on.name());
        group.bench_function(name, |bench| bench.iter(|| engine(on, port, count)));
    }
    group.bench_function("epoll", |bench| {
        bench.iter(|| assert_eq!(baselines::epoll::run(port, count), count));
    });
    group.bench_function("tokio", |bench| {
        bench.iter(|| assert_eq!(baselines::tokio::run(port, count), count));
    });
    group.bench_function("tokio_uring", |bench| {
        bench.iter(|| assert_eq!(baselines::tokio_uring::run(port, count), count));
    });
    group.finish();
}

/// A whole one-shot run: start of a worker, its self-test, all checks, the end.
fn engine(on: Backend, port: u16, count: usize) {
    let recipe = Recipe {
        port: None,
        interval: Duration::ZERO,
        timeout: Duration::from_secs(10),
        thresholds: Thresholds { healthy: 1, unhealthy: 1 },
        check: Check::Tcp,
        close: Close::Reset,
        handshake: Handshake::Half,
        proxy_protocol: None,
        reuse: None,
    };
    // The host of a bench has a CPU and more files than this.
    let plan = Plan::new(on, Some(1), Some(1_024), false).expect("one worker fits anywhere");
    let shots = (0..count)
        .map(|i| Shot { recipe: 0, endpoint: Endpoint::from(baselines::address(i, port)) });
    let run = OneShot::start(&plan, &[recipe], shots, count, 1, None).expect("both work here");
    let reports = collect(run).expect("the run ends");
    assert_eq!(reports.len(), count);
    assert!(reports.iter().all(|report| report.outcome.code == Code::L4Ok));
}

criterion_group!(benches, checks);
criterion_main!(benches);
