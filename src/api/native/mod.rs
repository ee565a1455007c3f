//! The native API (DESIGN 5.2): JSON under `/v1`, and the daemon's own figures.

mod balancers;
mod event_stream;
mod events;
mod groups;
mod metrics;
mod refusal;
mod registration;
mod reload;
mod routable;
mod settings;
mod summary;
mod targets;
mod wire;

use super::ApiState;
use axum::Router;
use axum::routing::{get, post};
use std::sync::Arc;

/// All paths of the native API.
pub(super) fn routes() -> Router<Arc<ApiState>> {
    let one_group =
        get(groups::one).put(settings::put).patch(settings::patch).delete(settings::delete);
    let many_targets =
        get(targets::page).post(registration::register).delete(registration::deregister);
    let one_target =
        get(targets::one).patch(registration::mark).delete(registration::deregister_one);
    Router::new()
        .route("/v1/summary", get(summary::summary))
        .route("/v1/groups", get(groups::list))
        .route("/v1/groups/{group}", one_group)
        .route("/v1/groups/{group}/targets", many_targets)
        .route("/v1/groups/{group}/targets/{id}", one_target)
        .route("/v1/groups/{group}/routable", get(routable::routable))
        .route("/v1/groups/{group}/bitmap", get(groups::bitmap))
        .route("/v1/load_balancers", get(balancers::load_balancers))
        .route("/v1/listeners", get(balancers::listeners))
        .route("/v1/events", get(events::list))
        .route("/v1/events/stream", get(event_stream::stream))
        .route("/v1/reload", post(reload::reload))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(summary::healthz))
}
