//! What an HTTP answer costs: a usual head and a long one in one piece, a usual one in two, and the
//! worst, 16 KiB that come byte by byte.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringcheck::check::http::{Check, Matcher, Probe};
use ringcheck::check::{Action, Event};
use ringcheck::limits::HTTP_HEAD_BYTES_MAX;

/// A head of exactly `len` bytes, in headers of a usual size.
fn head(len: usize) -> Vec<u8> {
    let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
    let header = b"X-Request-Id: 5b1f0c2e9d7a4e18\r\n";
    while bytes.len() + 2 * header.len() < len {
        bytes.extend_from_slice(header);
    }
    bytes.extend_from_slice(b"X-Fill: ");
    bytes.resize(len - 4, b'x');
    bytes.extend_from_slice(b"\r\n\r\n");
    bytes
}

/// A run of the check whose answer comes in pieces of `piece` bytes.
fn run(probe: &mut Probe, check: &Check, bytes: &[u8], piece: usize) -> Action {
    probe.restart();
    let mut action = probe.handle(check, Event::Connected);
    for chunk in bytes.chunks(piece) {
        action = probe.handle(check, Event::Received(chunk));
    }
    assert!(matches!(action, Action::Finish(_)), "{action:?}");
    action
}

fn heads(c: &mut Criterion) {
    let check = Check::new("/", None, Matcher::default());
    let mut probe = Probe::default();
    let mut group = c.benchmark_group("http_head");
    for (name, len, piece) in [
        ("in one piece", 200, usize::MAX),
        ("in one piece", 2_048, usize::MAX),
        ("in two pieces", 200, 150),
        ("byte by byte", HTTP_HEAD_BYTES_MAX, 1),
    ] {
        let bytes = head(len);
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::new(name, len), |b| {
            b.iter(|| run(&mut probe, &check, &bytes, piece));
        });
    }
    group.finish();
}

criterion_group!(benches, heads);
criterion_main!(benches);
