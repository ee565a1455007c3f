//! `GET /v1/summary` and `GET /healthz`: how everything is, and how the engine itself is.

use super::{reload, wire};
use crate::api::ApiState;
use crate::api::answer::json;
use crate::api::error::ApiError;
use crate::api::query::Query;
use crate::table::{StatsView, WorkerView};
use crate::time::Instant;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;

pub(super) async fn summary(
    State(state): State<Arc<ApiState>>,
    uri: Uri,
) -> Result<Response, ApiError> {
    Query::of(&uri)?.finish("")?;
    let now = state.now();
    let (view, stats) = (state.table.view(), state.table.stats());
    let mut targets = wire::Counts::default();
    view.sets.iter().for_each(|sets| targets.add(sets));
    let workers = stats.workers.iter().enumerate();
    Ok(json(&wire::Summary {
        version: env!("CARGO_PKG_VERSION"),
        revision: view.registry.revision,
        targets,
        probes: (&stats.total).into(),
        lateness_us: stats.total.lateness_us,
        latency_us: stats.total.latency_us,
        in_flight: stats.total.in_flight,
        in_flight_capacity: stats.total.in_flight_capacity,
        backlog: stats.total.backlog,
        merged: stats.total.merged,
        lost_us: stats.total.lost_us,
        overloaded: stats.is_overloaded(),
        backend: state.backend,
        uptime_seconds: now.since(state.started).as_secs(),
        workers: workers.map(|(n, view)| worker(&state, n, view, now)).collect(),
        last_reload: reload::last(&state),
        listen: state.listen,
    }))
}

fn worker(state: &ApiState, number: usize, view: &WorkerView, now: Instant) -> wire::Worker {
    let figures = &view.figures;
    wire::Worker {
        worker: number,
        targets: figures.targets,
        probes: figures.into(),
        lateness_us: figures.lateness_us,
        latency_us: figures.latency_us,
        in_flight: figures.in_flight,
        in_flight_capacity: figures.in_flight_capacity,
        backlog: figures.backlog,
        merged: figures.merged,
        lost_us: figures.lost_us,
        last_seen: state.wall.rfc3339(view.seen),
        stuck: view.is_stuck(now),
    }
}

#[derive(Serialize)]
struct Well {
    status: &'static str,
}

pub(super) async fn healthz(
    State(state): State<Arc<ApiState>>,
    uri: Uri,
) -> Result<Response, ApiError> {
    Query::of(&uri)?.finish("")?;
    match trouble(&state.table.stats(), state.now()) {
        None => Ok(json(&Well { status: "ok" })),
        Some((code, message)) => Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, message)),
    }
}

/// What is wrong with the engine, the worst first.
fn trouble(stats: &StatsView, now: Instant) -> Option<(&'static str, String)> {
    if stats.is_stale(now) {
        let seconds = now.since(stats.at).as_secs();
        return Some(("CollectorStuck", format!("the collector was not run for {seconds} s")));
    }
    let stuck = stats.workers.iter().enumerate().find(|(_, worker)| worker.is_stuck(now));
    if let Some((number, worker)) = stuck {
        let seconds = now.since(worker.seen).as_secs();
        let message = format!("worker {number} was not heard of for {seconds} s");
        return Some(("WorkerStuck", message));
    }
    stats.is_overloaded().then(|| {
        let ms = stats.total.lateness_us.p99 / 1_000;
        let message = format!(
            "probes start late: p99 of the last minute is {ms} ms; more workers, longer intervals \
             or fewer targets would help"
        );
        ("Overloaded", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Figures, Percentiles};

    #[test]
    fn trouble_is_named_the_worst_first() {
        let at = |ms: u64| Instant::from_millis(ms);
        let late = Percentiles { p99: 1_000_001, ..Percentiles::default() };
        let well = StatsView {
            at: at(9_000),
            total: Figures::default(),
            workers: vec![WorkerView { seen: at(9_000), ..WorkerView::default() }],
        };
        let overloaded = Figures { lateness_us: late, ..Figures::default() };
        let overloaded = StatsView { total: overloaded, ..well.clone() };
        let silent = WorkerView { seen: at(3_000), ..WorkerView::default() };
        let stuck = StatsView { workers: vec![well.workers[0], silent], ..overloaded.clone() };
        let code = |stats, ms| trouble(stats, at(ms)).map(|(code, _)| code);
        assert_eq!(code(&well, 9_000), None);
        assert_eq!(code(&overloaded, 9_000), Some("Overloaded"));
        assert_eq!(code(&stuck, 8_000), Some("Overloaded"));
        assert_eq!(code(&stuck, 9_000), Some("WorkerStuck"));
        assert_eq!(code(&stuck, 14_001), Some("CollectorStuck"));
        let message = trouble(&stuck, at(9_000)).unwrap().1;
        assert_eq!(message, "worker 1 was not heard of for 6 s");
    }
}
