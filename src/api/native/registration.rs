//! `POST` and `DELETE /v1/groups/{group}/targets`, `PATCH` and `DELETE …/targets/{id}`: which
//! targets a group has, and how they are marked. Each request is carried out whole or not at all.
//!
//! A body of 100,000 targets takes a tenth of a second to read, so bodies are read on the runtime's
//! blocking threads, and the control thread answers others meanwhile.

use super::refusal::{invalid_body, refusal};
use crate::api::answer::json;
use crate::api::body::{ReadBody, read_body};
use crate::api::error::ApiError;
use crate::api::peer::Peer;
use crate::api::query::Query;
use crate::api::{ApiState, Chosen};
use crate::config::{ConfigError, MarkSpec, TargetName, from_json, target_body};
use crate::edit::{Done, Edit, Mark, Unknown};
use crate::limits::API_TARGETS_MAX;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Registered {
    registered: usize,
    revision: u64,
}

#[derive(Serialize)]
struct Deregistered {
    deregistered: usize,
    revision: u64,
}

#[derive(Serialize)]
struct Marked {
    marked: usize,
    revision: u64,
}

pub(super) async fn register(
    State(state): State<Arc<ApiState>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    Query::of(request.uri())?.finish("")?;
    let (peer, port) = (Peer::of(&request), Chosen::find(&state, &name)?.group.config.port);
    let body = read_body(request.into_body()).await?;
    let targets = parsed(body, move |body| target_body::targets(body, port, API_TARGETS_MAX));
    let edit = Edit::Register { group: name.clone(), targets: targets.await? };
    let Done { revision, changed } = carried_out(&state, edit).await?;
    tracing::info!(%peer, group = name, targets = changed, revision, "targets registered");
    Ok(json(&Registered { registered: changed, revision }))
}

pub(super) async fn deregister(
    State(state): State<Arc<ApiState>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    Query::of(request.uri())?.finish("")?;
    let peer = Peer::of(&request);
    Chosen::find(&state, &name)?;
    let body = read_body(request.into_body()).await?;
    let targets = parsed(body, |body| target_body::names(body, API_TARGETS_MAX)).await?;
    deregistered(&state, peer, name, targets).await
}

pub(super) async fn deregister_one(
    State(state): State<Arc<ApiState>>,
    Path((name, id)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let target = named(id, &request)?;
    let peer = Peer::of(&request);
    deregistered(&state, peer, name, vec![target]).await
}

pub(super) async fn mark(
    State(state): State<Arc<ApiState>>,
    Path((name, id)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let target = named(id, &request)?;
    let peer = Peer::of(&request);
    let body = read_body(request.into_body()).await?;
    let MarkSpec { lifecycle, weight } = from_json(&body).map_err(|what| invalid_body(&what))?;
    let id = target.id.clone();
    let marks = vec![Mark { target, lifecycle, weight }];
    let Done { revision, changed } =
        carried_out(&state, Edit::Mark { group: name.clone(), marks }).await?;
    tracing::info!(%peer, group = name, %id, targets = changed, revision, "target marked");
    Ok(json(&Marked { marked: changed, revision }))
}

/// The target that a path and its `?port=` name; without a port, all ports of the id.
fn named(id: String, request: &Request) -> Result<TargetName, ApiError> {
    let mut query = Query::of(request.uri())?;
    let port = query.number::<u16>("port")?;
    query.finish("port")?;
    Ok(TargetName { id: id.into(), port })
}

async fn deregistered(
    state: &ApiState,
    peer: Peer,
    group: String,
    targets: Vec<TargetName>,
) -> Result<Response, ApiError> {
    let edit = Edit::Deregister { group: group.clone(), targets, unknown: Unknown::Refuse };
    let Done { revision, changed } = carried_out(state, edit).await?;
    tracing::info!(%peer, group, targets = changed, revision, "targets deregistered");
    Ok(json(&Deregistered { deregistered: changed, revision }))
}

async fn carried_out(state: &ApiState, edit: Edit) -> Result<Done, ApiError> {
    state.edit(edit).await.map_err(|error| refusal(&error))
}

/// What `parse` makes of a body, elsewhere than on the control thread.
async fn parsed<T: Send + 'static>(
    body: ReadBody,
    parse: impl FnOnce(&[u8]) -> Result<T, ConfigError> + Send + 'static,
) -> Result<T, ApiError> {
    let parsed = tokio::task::spawn_blocking(move || parse(&body)).await;
    // The one way to get here is a runtime that is being shut down.
    let parsed = parsed.map_err(|_| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", "the daemon is stopping")
    })?;
    parsed.map_err(|error| invalid_body(&error.to_string()))
}
