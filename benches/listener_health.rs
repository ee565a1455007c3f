//! What a page of GetListenerHealthStatus costs: the request through the router, the answer as
//! JSON. It is to cost what it shows, not what the group holds.
//!
//! `cargo bench --bench listener_health` measures with 1,000 and 1,000,000 targets, of which one in
//! a hundred is unhealthy; `cargo test --benches` runs each once with 1,000 only.

use axum::body::Body;
use axum::http::Request;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use ringcheck::api::{
    ApiState, LastReload, Parts, ReloadError, ReloadFuture, ReloadHandle, router,
};
use ringcheck::collector::Collector;
use ringcheck::config::{self, AlibabaConfig, AwsConfig};
use ringcheck::edit::{Edit, EditError, EditFuture, Edits};
use ringcheck::health::Observed;
use ringcheck::outcome::{Code, Outcome};
use ringcheck::registry::{IdAllocator, Registry};
use ringcheck::report::{Batch, Phases, Report, TargetId};
use ringcheck::table::StateTable;
use ringcheck::time::Instant;
use ringcheck::wall::WallClock;
use std::fmt::Write;
use std::sync::Arc;

/// Whoever is asked to change something here: nobody does.
struct Nobody;

impl Edits for Nobody {
    fn apply(&self, _edit: Edit) -> EditFuture<'_> {
        Box::pin(async { Err(EditError::Unavailable("nobody is here".to_owned())) })
    }
}

impl ReloadHandle for Nobody {
    fn reload(&self, _force: bool) -> ReloadFuture<'_> {
        Box::pin(async { Err(ReloadError::Unavailable("nobody is here".to_owned())) })
    }

    fn last(&self) -> Option<LastReload> {
        None
    }
}

/// A table of `targets` in one group behind one listener; every hundredth is unhealthy.
fn table(targets: u32) -> Arc<StateTable> {
    let dir = tempfile::tempdir().expect("a directory for temporary files");
    let mut list = String::new();
    for n in 0..targets {
        let [_, a, b, c] = n.to_be_bytes();
        writeln!(list, "127.{a}.{b}.{c}:80").expect("a string takes everything");
    }
    let file = dir.path().join("bench.toml");
    let text = "[[load_balancer]]\nname = \"lb\"\n[[listener]]\nname = \"lsn\"\nport = 80\n\
                load_balancer = \"lb\"\ngroups = [\"web\"]\n[[group]]\nname = \"web\"\n\
                targets_file = \"targets.txt\"\n";
    std::fs::write(dir.path().join("targets.txt"), list).expect("room for it");
    std::fs::write(&file, text).expect("room for it");
    let config = config::load(&file).expect("a valid configuration");
    let table = Arc::new(StateTable::new(2_000_000, Instant::ZERO));
    let mut collector = Collector::new(Arc::clone(&table), 1, Instant::ZERO);
    let registry = Registry::build(&config, None, &mut IdAllocator::default(), Instant::ZERO).0;
    collector.install(Arc::new(registry), Instant::ZERO).expect("two million places");
    let reports = (0..targets).map(|n| report(n, n % 100 == 99)).collect();
    let batch = Batch { worker: 0, revision: 1, reports, ..Batch::default() };
    collector.apply(batch, Instant::from_millis(1));
    table
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
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut group = criterion.benchmark_group("listener_health");
    for &targets in sizes {
        let parts = Parts {
            upcoming: Arc::default(),
            table: table(targets),
            reload: Arc::new(Nobody),
            edits: Arc::new(Nobody),
            file: "bench.toml".to_owned(),
            backend: "io_uring",
            aws: AwsConfig::default(),
            alibaba: AlibabaConfig::default(),
            listen: None,
            wall: Arc::new(WallClock::new(Instant::from_millis(2), 0)),
            clocks: || (Instant::from_millis(2), 0),
        };
        let service = TowerToHyperService::new(router(Arc::new(ApiState::new(parts))));
        let ask = |query: &str| {
            let uri = format!("/?ListenerId=lsn&{query}");
            let request = Request::post(uri)
                .header("x-acs-action", "GetListenerHealthStatus")
                .header("x-acs-version", "2022-04-30")
                .body(Body::empty())
                .expect("a valid request");
            let service = &service;
            async move {
                let answer = service.call(request).await.expect("the router answers");
                assert_eq!(answer.status(), 200);
                answer.into_body().collect().await.expect("a whole body").to_bytes()
            }
        };
        let whole = runtime.block_on(ask("MaxResults=5"));
        let whole: serde_json::Value = serde_json::from_slice(&whole).expect("JSON");
        let token = whole["NextToken"].as_str().expect("more pages").to_owned();
        // The same page for both, and the largest where there are as many.
        let sizes: &[u32] = if targets > 10_000 { &[5, 20, 100] } else { &[5] };
        for max in sizes {
            group.throughput(Throughput::Elements(u64::from(*max)));
            let id = BenchmarkId::new(format!("page_of_{max}"), targets);
            let query = format!("MaxResults={max}&NextToken={token}");
            group.bench_function(id, |bencher| bencher.iter(|| runtime.block_on(ask(&query))));
        }
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
