//! What a probe costs the worker itself: the whole loop on the simulated network, no kernel. The
//! simulator's own cost is in the figure, so compare runs of this bench with each other only.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crossbeam_channel::{bounded, unbounded};
use ringcheck::check::Check;
use ringcheck::check::http::{self, Matcher};
use ringcheck::health::{Health, Thresholds};
use ringcheck::io::sim::{Behaviour, Network, Peer, Sim};
use ringcheck::recipe::{Close, Handshake, Recipe};
use ringcheck::registry::{Addition, GroupKey};
use ringcheck::report::TargetId;
use ringcheck::rng::hash_target;
use ringcheck::schedule::First;
use ringcheck::worker::{Command, Flow, Keep, Options, Reporter, Worker};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// What each target answers.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// Probes of each target in one iteration.
const ROUNDS: u32 = 3;

fn probes(criterion: &mut Criterion) {
    let targets = if std::env::args().any(|arg| arg == "--bench") { 10_000 } else { 100 };
    let mut group = criterion.benchmark_group("worker_on_the_simulator");
    group.sample_size(10);
    group.throughput(Throughput::Elements(u64::from(targets * ROUNDS)));
    group.bench_function("tcp", |bench| bench.iter(|| run(targets, &Check::Tcp)));
    let http = Check::Http(http::Check::new("/", None, Matcher::default()));
    group.bench_function("http", |bench| bench.iter(|| run(targets, &http)));
    group.finish();
}

/// Probes `targets` healthy targets a few times each; panics unless every probe passed.
fn run(targets: u32, check: &Check) {
    let address = |i: u32| SocketAddr::from((Ipv4Addr::from(0x0A00_0000 + i), 80));
    let mut network = Network::new();
    for i in 0..targets {
        network.add(address(i), Peer::new(Behaviour::healthy(ANSWER)));
    }
    let (commands, orders) = unbounded();
    let (out, batches) = bounded(1_024);
    let (spares, used) = bounded(1_024);
    let reporter = Reporter::new(0, Keep::All, out, used);
    let options = Options { rounds: Some(ROUNDS), rate: None };
    let mut worker = Worker::new(Sim::new(1, 4_096, network), options, orders, reporter);
    let recipe = Recipe {
        port: None,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(2),
        thresholds: Thresholds { healthy: 2, unhealthy: 2 },
        check: check.clone(),
        close: Close::Reset,
        handshake: Handshake::Half,
        proxy_protocol: None,
        reuse: None,
    };
    let additions = (0..targets).map(|i| Addition {
        target: TargetId(i),
        group: GroupKey(0),
        endpoint: address(i).into(),
        hash: hash_target("bench", address(i)),
        health: Health::default(),
    });
    let send = |command| commands.send(command).expect("the worker lives");
    send(Command::Recipe(GroupKey(0), Arc::new(recipe)));
    send(Command::Reserve(targets));
    send(Command::Add(First::Spread, additions.collect()));
    drop(commands);
    let (mut passed, mut flow) = (0, Flow::Continue);
    while flow == Flow::Continue {
        flow = worker.turn().expect("the simulated world does not break");
        for mut batch in batches.try_iter() {
            passed += batch.reports.iter().filter(|report| report.outcome.status < 400).count();
            batch.reports.clear();
            spares.send(batch).expect("the worker lives");
        }
    }
    worker.finish();
    passed += batches.try_iter().map(|batch| batch.reports.len()).sum::<usize>();
    assert_eq!(passed, (targets * ROUNDS) as usize);
}

criterion_group!(benches, probes);
criterion_main!(benches);
