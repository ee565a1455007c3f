//! What an edit of a small group costs beside a big one: one target of 100 is registered, and
//! deregistered again.
//!
//! `cargo bench --bench edits` measures beside 1,000 and 1,000,000 targets; `cargo test --benches`
//! runs each once with 1,000 only, so that the benchmark does not rot. `other` is a big group with
//! another health check, `same` one with the same (but other places), `twins` one with the same
//! places too.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ringcheck::config::{
    GroupConfig, HealthCheck, Lifecycle, Origin, Protocol, Rules, Source, TargetConfig, TargetName,
};
use ringcheck::edit::{Edit, Judge, Unknown};
use ringcheck::endpoint::Endpoint;
use ringcheck::recipe::{Close, Handshake};
use ringcheck::registry::{IdAllocator, Registry};
use ringcheck::time::Instant;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

fn group(name: &str, interval: u64) -> GroupConfig {
    GroupConfig {
        name: name.to_owned(),
        id: format!("tg-{name}"),
        rules: Rules::Free,
        deregistration_delay: Duration::ZERO,
        port: None,
        health_check: HealthCheck {
            enabled: true,
            protocol: Protocol::Tcp,
            port: None,
            interval: Duration::from_secs(interval),
            timeout: Duration::from_secs(5),
            healthy_threshold: 3,
            unhealthy_threshold: 3,
            close: Close::Reset,
            handshake: Handshake::Half,
            proxy_protocol: None,
            reuse: None,
        },
        targets: Vec::new(),
        targets_files: Vec::new(),
        origin: Origin { source: Source::Native, ..Origin::default() },
    }
}

fn target(address: u32) -> TargetConfig {
    TargetConfig {
        id: None,
        endpoint: Endpoint::new(Ipv4Addr::from(0x0A00_0000 + address).into(), 80),
        zone: None,
        weight: None,
        lifecycle: Lifecycle::Running,
    }
}

/// A registry and what it is edited with.
struct World {
    registry: Arc<Registry>,
    ids: IdAllocator,
}

impl World {
    fn edit(&mut self, edit: Edit) {
        let judge = Judge { file: String::new(), targets_max: 4_000_000 };
        let judged = judge.judge(&self.registry, edit, &mut self.ids, Instant::ZERO);
        let step = judged.expect("it can be").step.expect("it changes something");
        self.registry = step.registry;
        self.ids.release(self.registry.revision);
    }

    fn group(&mut self, name: &str, interval: u64, targets: Vec<TargetConfig>) {
        self.edit(Edit::CreateGroup(Box::new(group(name, interval))));
        self.edit(Edit::Register { group: name.to_owned(), targets });
    }
}

fn one_target(c: &mut Criterion) {
    let mut benches = c.benchmark_group("edits/one_target");
    let is_test = std::env::args().any(|arg| arg == "--test");
    let counts: &[u32] = if is_test { &[1_000] } else { &[1_000, 1_000_000] };
    for &count in counts {
        for (name, interval, first) in [("other", 30, 1_000), ("same", 10, 1_000), ("twins", 10, 0)]
        {
            let mut world = World { registry: Arc::default(), ids: IdAllocator::default() };
            world.group("big", interval, (first..first + count).map(target).collect());
            world.group("small", 10, (0..100).map(target).collect());
            benches.bench_function(BenchmarkId::new(name, count), |b| {
                b.iter(|| {
                    let group = "small".to_owned();
                    world.edit(Edit::Register { group, targets: vec![target(500)] });
                    let id = Ipv4Addr::from(0x0A00_0000 + 500).to_string().into();
                    let targets = vec![TargetName { id, port: Some(80) }];
                    let (group, unknown) = ("small".to_owned(), Unknown::Refuse);
                    world.edit(Edit::Deregister { group, targets, unknown });
                });
            });
        }
    }
    benches.finish();
}

criterion_group!(benches, one_target);
criterion_main!(benches);
