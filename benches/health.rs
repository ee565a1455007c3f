//! What an outcome costs: a million observations, spread over as many targets as a worker may own.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringcheck::health::{Health, Thresholds};
use ringcheck::outcome::Class;
use ringcheck::rng::Rng;

const OBSERVATIONS: usize = 1_000_000;
const TARGETS: usize = 100_000;

fn observe(c: &mut Criterion) {
    let thresholds = Thresholds { healthy: 3, unhealthy: 3 };
    let mut rng = Rng::new(1);
    let outcomes: Vec<Class> = (0..OBSERVATIONS)
        .map(|_| match rng.below(100) {
            0 => Class::LocalFault,
            1..=10 => Class::Fail,
            _ => Class::Pass,
        })
        .collect();
    let mut healths = vec![Health::default(); TARGETS];
    let mut group = c.benchmark_group("health/observe");
    group.sample_size(10).throughput(Throughput::Elements(OBSERVATIONS as u64));
    group.bench_function("1000000", |b| {
        b.iter(|| {
            let observe = |(index, &class): (usize, &Class)| {
                healths[index % TARGETS].observe(class, thresholds).is_some()
            };
            outcomes.iter().enumerate().map(observe).filter(|&changed| changed).count()
        });
    });
    group.finish();
}

criterion_group!(benches, observe);
criterion_main!(benches);
