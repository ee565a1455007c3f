//! `GET /metrics`: OpenMetrics by group, state and code, and the engine's own figures; never one
//! series per target.
//!
//! The text is made on the runtime's blocking thread, because it grows with the number of groups.

use super::ApiState;
use super::error::ApiError;
use super::query::Query;
use crate::outcome::TABLE;
use crate::table::{Figures, Percentiles, ShownState, StateTable, StatsView, View};
use crate::time::Instant;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn metrics(
    State(state): State<Arc<ApiState>>,
    uri: Uri,
) -> Result<Response, ApiError> {
    Query::of(&uri)?.finish("")?;
    let now = state.now();
    let scrape = Scrape {
        view: state.table.view(),
        stats: state.table.stats(),
        table: Arc::clone(&state.table),
        started: state.started,
        now,
    };
    let text = tokio::task::spawn_blocking(move || scrape.text()).await.ok().flatten();
    // The one way to get here is a runtime that is being shut down.
    let text = text.ok_or_else(|| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", "the daemon is stopping")
    })?;
    Ok(([(CONTENT_TYPE, OPENMETRICS)], text).into_response())
}

/// What one scrape is made from.
#[derive(Debug)]
struct Scrape {
    view: Arc<View>,
    stats: Arc<StatsView>,
    table: Arc<StateTable>,
    started: Instant,
    now: Instant,
}

impl Scrape {
    fn text(self) -> Option<String> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        encode(&mut text, &registry).ok()?;
        Some(text)
    }

    fn targets(&self, encoder: &mut Encoder<'_>) -> fmt::Result {
        let groups = || self.view.registry.groups.iter().zip(&self.view.sets);
        let name = "ringcheck_targets";
        encoder.gauges(name, "Targets by group and shown state", |emit| {
            for (group, sets) in groups() {
                for state in ShownState::ALL {
                    let labels = [("group", &*group.config.name), ("state", state.name())];
                    emit(&labels, f64::from(sets.count(state)))?;
                }
            }
            Ok(())
        })?;
        let name = "ringcheck_target_codes";
        encoder.gauges(name, "Targets by group and code of the last outcome", |emit| {
            for (group, sets) in groups() {
                for row in &TABLE {
                    let count = sets.code_count(row.code);
                    if count > 0 {
                        let labels = [("group", &*group.config.name), ("code", row.name)];
                        emit(&labels, f64::from(count))?;
                    }
                }
            }
            Ok(())
        })
    }

    fn probes(&self, encoder: &mut Encoder<'_>) -> fmt::Result {
        let counters: [Figure; 7] = [
            ("ringcheck_probes_started", "Probes started", |f| f.started),
            ("ringcheck_probes_passed", "Probes that passed", |f| f.passed),
            ("ringcheck_probes_failed", "Probes that failed", |f| f.failed),
            ("ringcheck_probes_local_fault", "Probes that the checker failed", |f| f.local_faults),
            ("ringcheck_probes_skipped", "Starts that fell into a running probe", |f| f.skipped),
            ("ringcheck_reports_merged", "Reports merged into a newer one", |f| f.merged),
            ("ringcheck_lost_microseconds", "Time lost by not being run", |f| f.lost_us),
        ];
        for (name, help, of) in counters {
            encoder.counters(name, help, |emit| {
                self.by_worker(|worker, figures| emit(&[("worker", worker)], of(figures)))
            })?;
        }
        let gauges: [Figure; 4] = [
            ("ringcheck_in_flight", "Probes in flight", |f| f.in_flight),
            ("ringcheck_in_flight_capacity", "Most probes in flight", |f| f.in_flight_capacity),
            ("ringcheck_backlog", "Targets due that wait for a slot", |f| f.backlog),
            ("ringcheck_shard_targets", "Targets that are probed", |f| f.targets),
        ];
        for (name, help, of) in gauges {
            encoder.gauges(name, help, |emit| {
                self.by_worker(|worker, figures| emit(&[("worker", worker)], number(of(figures))))
            })?;
        }
        Ok(())
    }

    fn engine(&self, encoder: &mut Encoder<'_>) -> fmt::Result {
        let total = &self.stats.total;
        let name = "ringcheck_lateness_microseconds";
        let help = "Start of a probe minus the time it was due, over the last minute";
        encoder.gauges(name, help, |emit| quantiles(&total.lateness_us, emit))?;
        let name = "ringcheck_latency_microseconds";
        let help = "Duration of passed probes, over the last minute";
        encoder.gauges(name, help, |emit| quantiles(&total.latency_us, emit))?;
        let stuck = self.stats.workers.iter().filter(|worker| worker.is_stuck(self.now)).count();
        let uptime = self.now.since(self.started).as_secs();
        let overloaded = u64::from(self.stats.is_overloaded());
        let single = [
            ("ringcheck_overloaded", "1 while probes start too late to be fair", overloaded),
            ("ringcheck_workers_stuck", "Workers that were not heard of", stuck as u64),
            ("ringcheck_registry_revision", "Reloads taken up", self.view.registry.revision),
            ("ringcheck_uptime_seconds", "Time since the start", uptime),
        ];
        for (name, help, value) in single {
            encoder.gauges(name, help, |emit| emit(&[], number(value)))?;
        }
        let rate = ("ringcheck_probes_per_second", "Probes started per second");
        encoder.gauges(rate.0, rate.1, |emit| emit(&[], total.per_second))?;
        let newest = self.table.history().newest();
        let name = "ringcheck_transitions";
        encoder.counters(name, "Changes of an observed state", |emit| emit(&[], newest))?;
        encoder.gauges("ringcheck_build", "The version that runs", |emit| {
            emit(&[("version", env!("CARGO_PKG_VERSION"))], 1.0)
        })
    }

    fn by_worker(&self, mut emit: impl FnMut(&str, &Figures) -> fmt::Result) -> fmt::Result {
        let mut workers = self.stats.workers.iter().enumerate();
        workers.try_for_each(|(n, worker)| emit(&n.to_string(), &worker.figures))
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut encoder = Encoder(encoder);
        self.targets(&mut encoder)?;
        self.probes(&mut encoder)?;
        self.engine(&mut encoder)
    }
}

/// Name, help, and where the value stands.
type Figure = (&'static str, &'static str, fn(&Figures) -> u64);

type Labels<'a> = [(&'a str, &'a str)];

/// Families of samples, in the library's encoder.
struct Encoder<'a>(DescriptorEncoder<'a>);

impl Encoder<'_> {
    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        samples: impl FnOnce(&mut dyn FnMut(&Labels<'_>, f64) -> fmt::Result) -> fmt::Result,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        samples(&mut |labels, value| family.encode_family(&labels)?.encode_gauge(&value))
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        samples: impl FnOnce(&mut dyn FnMut(&Labels<'_>, u64) -> fmt::Result) -> fmt::Result,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        samples(&mut |labels, value| {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }
}

fn quantiles(
    percentiles: &Percentiles,
    emit: &mut dyn FnMut(&Labels<'_>, f64) -> fmt::Result,
) -> fmt::Result {
    let Percentiles { p50, p99, p999, max } = *percentiles;
    for (quantile, value) in [("0.5", p50), ("0.99", p99), ("0.999", p999), ("1", max)] {
        emit(&[("quantile", quantile)], number(value))?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "samples are floats, exact below 2^53")]
const fn number(value: u64) -> f64 {
    value as f64
}
