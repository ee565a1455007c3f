//! The native API (DESIGN 5.2): JSON under `/v1`, and the daemon's own figures.

mod event_stream;
mod events;
mod groups;
mod metrics;
mod reload;
mod routable;
mod summary;
mod targets;
mod wire;

use super::ApiState;
use axum::Router;
use axum::routing::{get, post};
use std::sync::Arc;

/// All paths of the native API.
pub(super) fn routes() -> Router<Arc<ApiState>> {
    Router::new()
        .route("/v1/summary", get(summary::summary))
        .route("/v1/groups", get(groups::list))
        .route("/v1/groups/{group}", get(groups::one))
        .route("/v1/groups/{group}/targets", get(targets::page))
        .route("/v1/groups/{group}/targets/{id}", get(targets::one))
        .route("/v1/groups/{group}/routable", get(routable::routable))
        .route("/v1/groups/{group}/bitmap", get(groups::bitmap))
        .route("/v1/events", get(events::list))
        .route("/v1/events/stream", get(event_stream::stream))
        .route("/v1/reload", post(reload::reload))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(summary::healthz))
}
