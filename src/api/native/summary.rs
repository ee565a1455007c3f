//! `GET /v1/summary` and `GET /healthz`: how everything is, and how the engine itself is.

use super::{reload, wire};
use crate::api::ApiState;
use crate::api::answer::json;
use crate::api::error::ApiError;
use crate::api::query::Query;
use crate::outcome::{FAULTS, FaultCounts};
use crate::registry::Group;
use crate::table::{GroupSets, ShownState, Trouble, View, WorkerView, troubles};
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
        in_flight_worst: in_flight_worst(&view),
        raw_in_flight: stats.total.raw_in_flight,
        raw_in_flight_capacity: stats.total.raw_in_flight_capacity,
        slots_stuck: stats.total.slots_stuck,
        backlog: stats.total.backlog,
        merged: stats.total.merged,
        lost_us: stats.total.lost_us,
        turn_max_us: stats.total.turn_max_us,
        faults: faults(&stats.total.recent_faults),
        troubles: troubles(&stats, now).into_iter().map(Into::into).collect(),
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
        raw_in_flight: figures.raw_in_flight,
        raw_in_flight_capacity: figures.raw_in_flight_capacity,
        slots_stuck: figures.slots_stuck,
        backlog: figures.backlog,
        merged: figures.merged,
        lost_us: figures.lost_us,
        turn_max_us: figures.turn_max_us,
        last_seen: state.wall.rfc3339(view.seen),
        stuck: view.is_stuck(now),
    }
}

/// Probes in flight where no target answers, of those that need a socket.
fn in_flight_worst(view: &View) -> u64 {
    use ShownState::{Healthy, Initial, Unavailable, Unhealthy};
    let groups = view.registry.groups.iter().zip(&view.sets);
    let of_group = |(group, sets): (&Arc<Group>, &Arc<GroupSets>)| {
        let check = &group.config.health_check;
        let states = [Initial, Healthy, Unhealthy, Unavailable];
        let probed = states.into_iter().map(|state| u64::from(sets.count(state))).sum();
        if check.is_on() && !check.is_raw() { check.in_flight_worst(probed) } else { 0 }
    };
    groups.map(of_group).sum()
}

/// Those that there were, the most frequent first.
fn faults(counts: &FaultCounts) -> Vec<wire::Fault> {
    let counted = FAULTS.iter().zip(counts).filter(|(_, count)| **count > 0);
    let mut faults: Vec<_> =
        counted.map(|(f, &count)| wire::Fault { cause: f.name, count, cure: f.cure }).collect();
    faults.sort_by_key(|fault| std::cmp::Reverse(fault.count));
    faults
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
    match worst(troubles(&state.table.stats(), state.now())) {
        None => Ok(json(&Well { status: "ok" })),
        Some((code, message)) => Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, message)),
    }
}

/// The worst that is wrong with the engine itself; trouble of the host that it copes with is not.
fn worst(troubles: Vec<Trouble>) -> Option<(&'static str, String)> {
    let grave = troubles.into_iter().find(|trouble| trouble.grave)?;
    Some((grave.code, format!("{}; {}", grave.message, grave.cure)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_grave_is_unhealthy() {
        let trouble = |code, grave| Trouble { code, message: "m".to_owned(), cure: "c", grave };
        assert_eq!(worst(vec![trouble("LostTime", false)]), None);
        let both = vec![trouble("SlotsFull", false), trouble("Overloaded", true)];
        assert_eq!(worst(both), Some(("Overloaded", "m; c".to_owned())));
    }
}
