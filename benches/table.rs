//! What the state table costs: a batch of reports, a page of unhealthy targets, one target.
//!
//! `cargo bench --bench table` measures with 1,000 and 1,000,000 targets; `cargo test --benches`
//! runs each once with 1,000 only, so that the benchmark does not rot.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringcheck::collector::Collector;
use ringcheck::config::{
    AlibabaConfig, ApiConfig, AwsConfig, Backend, Config, EngineConfig, GroupConfig, HealthCheck,
    Lifecycle, Origin, Protocol, Rules, StateConfig, TargetConfig,
};
use ringcheck::endpoint::Endpoint;
use ringcheck::health::Observed;
use ringcheck::limits::{BATCH_REPORTS, PAGE_TARGETS_DEFAULT};
use ringcheck::outcome::{Code, Outcome};
use ringcheck::recipe::{Close, Handshake};
use ringcheck::registry::{IdAllocator, Registry};
use ringcheck::report::{Batch, Phases, Report, TargetId};
use ringcheck::rng::Rng;
use ringcheck::table::{Filter, ShownState, StateMask, StateTable};
use ringcheck::time::Instant;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

fn config(targets: u32) -> Config {
    let target = |n| TargetConfig {
        id: None,
        endpoint: Endpoint::new(Ipv4Addr::from(0x7F00_0000 + n).into(), 80),
        zone: None,
        weight: None,
        lifecycle: Lifecycle::Running,
    };
    let group = GroupConfig {
        name: "web".into(),
        id: "tg-web".into(),
        rules: Rules::Free,
        deregistration_delay: Duration::from_secs(300),
        port: None,
        health_check: HealthCheck {
            enabled: true,
            protocol: Protocol::Tcp,
            port: None,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            healthy_threshold: 3,
            unhealthy_threshold: 3,
            close: Close::Reset,
            handshake: Handshake::Half,
            proxy_protocol: None,
            reuse: None,
        },
        targets: (0..targets).map(target).collect(),
        targets_files: Vec::new(),
        origin: Origin::default(),
    };
    Config {
        file: "bench.toml".into(),
        engine: EngineConfig {
            workers: None,
            max_in_flight: None,
            tls_in_flight: None,
            tls_session_memory: 0,
            backend: Backend::Auto,
            max_targets: 2_000_000,
        },
        api: ApiConfig {
            socket: "api.sock".into(),
            socket_mode: 0o660,
            socket_group: None,
            listen: None,
        },
        state: StateConfig {
            dir: None,
            snapshot_interval: Duration::from_secs(60),
            snapshot_max_age: Duration::from_secs(3_600),
        },
        aws: AwsConfig::default(),
        alibaba: AlibabaConfig::default(),
        load_balancers: Vec::new(),
        listeners: Vec::new(),
        groups: vec![group],
    }
}

/// A table of `targets`, of which one in ten is unhealthy.
fn table(targets: u32) -> (Collector, Arc<StateTable>) {
    let table = Arc::new(StateTable::new(2_000_000, Instant::ZERO));
    let mut collector = Collector::new(Arc::clone(&table), 1, Instant::ZERO);
    let registry =
        Registry::build(&config(targets), None, &mut IdAllocator::default(), Instant::ZERO).0;
    collector.install(Arc::new(registry), Instant::ZERO).expect("two million places");
    let reports = (0..targets).map(|n| report(n, n % 10 == 9)).collect();
    let batch = Batch { worker: 0, revision: 1, reports, ..Batch::default() };
    collector.apply(batch, Instant::from_millis(1));
    (collector, table)
}

fn report(target: u32, sick: bool) -> Report {
    let (code, observed) =
        if sick { (Code::L4Con, Observed::Unhealthy) } else { (Code::L4Ok, Observed::Healthy) };
    Report {
        target: TargetId(target),
        at: Instant::from_millis(1),
        outcome: Outcome::plain(code),
        phases: Phases { connect_us: Some(85), total_us: 90, ..Phases::default() },
        observed,
        streak: 1,
        transition: None,
    }
}

fn bench(criterion: &mut Criterion) {
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let sizes: &[u32] = if measuring { &[1_000, 1_000_000] } else { &[1_000] };
    for &targets in sizes {
        let (mut collector, table) = table(targets);
        let mut group = criterion.benchmark_group("table");
        let mut rng = Rng::new(1);
        group.throughput(Throughput::Elements(BATCH_REPORTS as u64));
        group.bench_function(BenchmarkId::new("apply_512_reports", targets), |bencher| {
            let mut any = || u32::try_from(rng.below(u64::from(targets))).expect("below u32");
            let mut batch = || {
                let ids = (0..BATCH_REPORTS).map(|_| any());
                let reports = ids.map(|n| report(n, n % 10 == 9)).collect();
                Batch { worker: 0, revision: 1, reports, ..Batch::default() }
            };
            let apply = |batch| collector.apply(batch, Instant::from_millis(2));
            bencher.iter_batched(&mut batch, apply, BatchSize::SmallInput);
        });
        group.throughput(Throughput::Elements(PAGE_TARGETS_DEFAULT as u64));
        group.bench_function(BenchmarkId::new("page_of_100_unhealthy", targets), |bencher| {
            let states = StateMask::only(ShownState::Unhealthy);
            let from = (targets as usize - 1_000) / 2;
            bencher.iter(|| {
                let view = table.view();
                let members = &view.registry.groups[0].members;
                let page = view.sets[0].positions(Filter { states, code: None }, from);
                for position in page.take(PAGE_TARGETS_DEFAULT) {
                    black_box(table.read(members.target(position)));
                }
            });
        });
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("read_one_target", targets), |bencher| {
            let mut any = || u32::try_from(rng.below(u64::from(targets))).expect("below u32");
            bencher.iter_batched(&mut any, |id| table.read(TargetId(id)), BatchSize::SmallInput);
        });
        group.throughput(Throughput::Elements(u64::from(targets)));
        group.bench_function(BenchmarkId::new("install", targets), |bencher| {
            let registry = Arc::clone(&table.view().registry);
            let now = Instant::from_millis(3);
            bencher.iter(|| collector.install(Arc::clone(&registry), now));
        });
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
