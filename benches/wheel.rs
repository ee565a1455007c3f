//! What a key costs in the timer wheel: insertion, its way down the levels, and its turn; at sizes
//! within and beyond the caches.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringcheck::rng::Rng;
use ringcheck::wheel::Wheel;
use std::hint::black_box;

/// The gap between two turns of a key, as of a check every 30 s.
const INTERVAL: u64 = 30_000;

/// A wheel at tick 0 with all `keys`, due at random ticks of the first interval.
fn spread(keys: u32) -> Wheel {
    let mut wheel = Wheel::new(0);
    wheel.grow(keys);
    let mut rng = Rng::new(1);
    for key in 0..keys {
        wheel.insert(key, 1 + rng.below(INTERVAL));
    }
    wheel
}

/// As a worker does: sleep until something is due, take all that is, and put each back for its next
/// turn. An iteration is a turn of every key.
fn turns(c: &mut Criterion) {
    let mut group = c.benchmark_group("wheel/turn");
    group.sample_size(10);
    for keys in [1_000, 100_000, 1_000_000] {
        group.throughput(Throughput::Elements(u64::from(keys)));
        let mut wheel = spread(keys);
        group.bench_function(BenchmarkId::from_parameter(keys), |b| {
            b.iter(|| {
                let end = wheel.elapsed() + INTERVAL;
                while let Some(next) = wheel.next_due().filter(|&next| next <= end) {
                    wheel.advance(next);
                    while let Some((key, due)) = wheel.pop() {
                        wheel.insert(key, due + INTERVAL);
                    }
                }
                wheel.advance(end);
            });
        });
    }
    group.finish();
}

/// A deadline that is set and, as most are, taken back.
fn deadlines(c: &mut Criterion) {
    let mut group = c.benchmark_group("wheel/insert+remove");
    group.throughput(Throughput::Elements(1));
    let mut wheel = spread(100_000);
    wheel.grow(100_001);
    group.bench_function("100000", |b| {
        b.iter(|| {
            wheel.insert(100_000, black_box(6_000));
            wheel.remove(100_000)
        });
    });
    group.finish();
}

/// A jump of a day over a wheel with everything in it.
fn jump(c: &mut Criterion) {
    let mut group = c.benchmark_group("wheel/jump");
    group.sample_size(10).throughput(Throughput::Elements(100_000));
    group.bench_function("100000", |b| {
        b.iter_batched_ref(
            || spread(100_000),
            |wheel| {
                wheel.advance(86_400_000);
                wheel.ready_len()
            },
            criterion::BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, turns, deadlines, jump);
criterion_main!(benches);
