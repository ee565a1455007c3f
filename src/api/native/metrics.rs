//! `GET /metrics`: OpenMetrics by group, state and code, and the engine's own figures; never one
//! series per target.
//!
//! The text is made on the runtime's blocking thread, because it grows with the number of groups.

use crate::api::ApiState;
use crate::api::error::ApiError;
use crate::api::query::Query;
use crate::outcome::{FAULTS, TABLE};
use crate::table::{Figures, Percentiles, ShownState, StateTable, StatsView, View, troubles};
use crate::time::Instant;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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
        backend: state.backend,
        now,
        unix_ms: state.unix_ms(),
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
    backend: &'static str,
    now: Instant,
    unix_ms: u64,
}

/// What [`Scrape::certificates`] calls soon.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 86_400);

impl Scrape {
    fn text(self) -> Option<String> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        encode(&mut text, &registry).ok()?;
        Some(text)
    }

    /// Targets whose certificate ends soon, of groups with TLS.
    fn certificates(&self, encoder: &mut Encoder<'_>) -> fmt::Result {
        let before = self.unix_ms / 1_000 + EXPIRES_SOON.as_secs();
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let ends = |target| {
            let presented = self.table.presented(target);
            let leaf = presented.as_deref().and_then(|presented| presented.leaf.as_deref());
            leaf.is_some_and(|leaf| leaf.not_after < before)
        };
        let name = "ringcheck_targets_expiring";
        let help =
            "Targets whose certificate has expired or does within 14 days, by group with TLS";
        encoder.gauges(name, help, |emit| {
            let groups = self.view.registry.groups.iter();
            for group in groups.filter(|group| group.config.health_check.has_tls()) {
                let count = group.members.targets().filter(|&target| ends(target)).count();
                emit(&[("group", &*group.config.name)], number(count as u64))?;
            }
            Ok(())
        })
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
            ("ringcheck_probes_started", "Probes started", |f| number(f.started)),
            ("ringcheck_probes_passed", "Probes that passed", |f| number(f.passed)),
            ("ringcheck_probes_failed", "Probes that failed", |f| number(f.failed)),
            ("ringcheck_probes_local_fault", "Probes that the checker itself failed", |f| {
                number(f.local_faults)
            }),
            ("ringcheck_probes_skipped", "Starts that fell into a running probe", |f| {
                number(f.skipped)
            }),
            ("ringcheck_reports_merged", "Reports merged into a newer one", |f| number(f.merged)),
            ("ringcheck_lost_seconds", "Time lost by not being run", |f| seconds(f.lost_us)),
        ];
        let gauges: [Figure; 7] = [
            ("ringcheck_in_flight", "Probes in flight", |f| number(f.in_flight)),
            ("ringcheck_in_flight_capacity", "Most probes in flight", |f| {
                number(f.in_flight_capacity)
            }),
            ("ringcheck_raw_in_flight", "Probes in flight that need no socket", |f| {
                number(f.raw_in_flight)
            }),
            ("ringcheck_raw_in_flight_capacity", "Most probes in flight without a socket", |f| {
                number(f.raw_in_flight_capacity)
            }),
            ("ringcheck_slots_stuck", "Slots whose operations do not come back", |f| {
                number(f.slots_stuck)
            }),
            ("ringcheck_backlog", "Targets due that wait for a slot", |f| number(f.backlog)),
            ("ringcheck_shard_targets", "Targets that are probed", |f| number(f.targets)),
        ];
        let counters = counters.map(|figure| (MetricType::Counter, figure));
        let gauges = gauges.map(|figure| (MetricType::Gauge, figure));
        for (kind, (name, help, of)) in counters.into_iter().chain(gauges) {
            encoder.family(kind, name, help, |emit| {
                self.by_worker(|worker, figures| emit(&[("worker", worker)], of(figures)))
            })?;
        }
        Ok(())
    }

    fn engine(&self, encoder: &mut Encoder<'_>) -> fmt::Result {
        let total = &self.stats.total;
        let name = "ringcheck_lateness_seconds";
        let help = "Start of a probe minus the time it was due, over the last minute";
        encoder.gauges(name, help, |emit| quantiles(&total.lateness_us, emit))?;
        let name = "ringcheck_latency_seconds";
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
        let newest = number(self.table.history().newest());
        let (name, help) = ("ringcheck_transitions", "Changes of an observed state");
        encoder.family(MetricType::Counter, name, help, |emit| emit(&[], newest))?;
        encoder.gauges("ringcheck_build", "The version that runs", |emit| {
            emit(&[("version", env!("CARGO_PKG_VERSION"))], 1.0)
        })?;
        encoder.gauges("ringcheck_backend", "How sockets are driven", |emit| {
            emit(&[("backend", self.backend)], 1.0)
        })
    }

    fn trouble(&self, encoder: &mut Encoder<'_>) -> fmt::Result {
        let total = &self.stats.total;
        let (name, help) = ("ringcheck_local_faults", "Probes that the checker itself failed");
        encoder.family(MetricType::Counter, name, help, |emit| {
            let mut counts = FAULTS.iter().zip(total.faults);
            counts.try_for_each(|(fault, count)| emit(&[("cause", fault.name)], number(count)))
        })?;
        let (name, help) = ("ringcheck_trouble", "1 while this is wrong; /v1/summary has the cure");
        encoder.gauges(name, help, |emit| {
            let mut found = troubles(&self.stats, self.now).into_iter();
            found.try_for_each(|trouble| emit(&[("code", trouble.code)], 1.0))
        })?;
        let (name, help) = ("ringcheck_turn_max_seconds", "Longest turn, over the last minute");
        encoder.gauges(name, help, |emit| {
            self.by_worker(|worker, f| emit(&[("worker", worker)], seconds(f.turn_max_us)))
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
        self.certificates(&mut encoder)?;
        self.probes(&mut encoder)?;
        self.engine(&mut encoder)?;
        self.trouble(&mut encoder)
    }
}

/// Name, help, and where the value stands.
type Figure = (&'static str, &'static str, fn(&Figures) -> f64);

type Labels<'a> = [(&'a str, &'a str)];

/// Takes one sample: its labels and its value.
type Emit<'a> = dyn FnMut(&Labels<'_>, f64) -> fmt::Result + 'a;

/// Families of samples, in the library's encoder.
struct Encoder<'a>(DescriptorEncoder<'a>);

impl Encoder<'_> {
    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        samples: impl FnOnce(&mut Emit<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.family(MetricType::Gauge, name, help, samples)
    }

    fn family(
        &mut self,
        kind: MetricType,
        name: &str,
        help: &str,
        samples: impl FnOnce(&mut Emit<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        let encode = |metric: &mut MetricEncoder<'_>, value: f64| match kind {
            MetricType::Counter => metric.encode_counter::<NoLabelSet, _, f64>(&value, None),
            MetricType::Gauge | MetricType::Histogram | MetricType::Info | MetricType::Unknown => {
                metric.encode_gauge(&value)
            }
        };
        samples(&mut |labels, value| match labels {
            [] => encode(&mut family, value),
            labels => encode(&mut family.encode_family(&labels)?, value),
        })
    }
}

fn quantiles(percentiles: &Percentiles, emit: &mut Emit<'_>) -> fmt::Result {
    let Percentiles { p50, p99, p999, max } = *percentiles;
    for (quantile, us) in [("0.5", p50), ("0.99", p99), ("0.999", p999), ("1", max)] {
        emit(&[("quantile", quantile)], seconds(us))?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "samples are floats, exact below 2^53")]
const fn number(value: u64) -> f64 {
    value as f64
}

const fn seconds(us: u64) -> f64 {
    number(us) / 1e6
}
