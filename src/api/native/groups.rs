//! `GET /v1/groups`, `GET /v1/groups/{group}` and its bitmap.

use super::balancers::source;
use super::wire;
use crate::api::answer::{More, append_json, json, json_pieces};
use crate::api::error::ApiError;
use crate::api::query::Query;
use crate::api::{ApiState, Chosen};
use crate::config::{HealthCheckSpec, duration};
use crate::registry::Group;
use crate::table::GroupSets;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;

/// Groups of one piece of a listing.
const PIECE_GROUPS: usize = 128;

#[derive(Serialize)]
pub(super) struct GroupForm<'a> {
    name: &'a str,
    id: &'a str,
    source: &'static str,
    /// None: it was made through the API.
    file: Option<&'a str>,
    rules: &'static str,
    port: Option<u16>,
    deregistration_delay: String,
    in_use: bool,
    health_check: HealthCheckSpec,
    /// Why its targets are not probed although its health check is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_back: Option<String>,
    targets: wire::Counts,
    codes: wire::Codes<'a>,
}

pub(super) async fn list(
    State(state): State<Arc<ApiState>>,
    uri: Uri,
) -> Result<Response, ApiError> {
    Query::of(&uri)?.finish("")?;
    let view = state.table.view();
    let mut next = 0;
    Ok(json_pieces(move |out| {
        if next == 0 {
            out.extend_from_slice(b"{\"groups\":[");
        }
        let groups = view.registry.groups.iter().zip(&view.sets).enumerate();
        for (index, (group, sets)) in groups.skip(next).take(PIECE_GROUPS) {
            if index > 0 {
                out.push(b',');
            }
            append_json(out, &form(&state, group, sets));
        }
        next += PIECE_GROUPS;
        if next < view.registry.groups.len() {
            return More::Yes;
        }
        out.extend_from_slice(b"]}\n");
        More::No
    }))
}

pub(super) async fn one(
    State(state): State<Arc<ApiState>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    Query::of(&uri)?.finish("")?;
    let chosen = Chosen::find(&state, &name)?;
    Ok(json(&form(&state, &chosen.group, &chosen.sets)))
}

pub(super) async fn bitmap(
    State(state): State<Arc<ApiState>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    Query::of(&uri)?.finish("")?;
    let bitmap = Chosen::find(&state, &name)?.sets.bitmap();
    Ok(([(CONTENT_TYPE, "application/octet-stream")], bitmap).into_response())
}

pub(super) fn form<'a>(
    state: &'a ApiState,
    group: &'a Group,
    sets: &'a GroupSets,
) -> GroupForm<'a> {
    let config = &group.config;
    let mut targets = wire::Counts::default();
    targets.add(sets);
    let (source, file) = source(state, config.origin.source);
    GroupForm {
        name: &config.name,
        id: &config.id,
        source,
        file,
        rules: config.rules.name(),
        port: config.port,
        deregistration_delay: duration::text(config.deregistration_delay),
        in_use: group.in_use,
        health_check: HealthCheckSpec::of(&config.health_check),
        held_back: config.health_check.held_back().map(ToString::to_string),
        targets,
        codes: wire::Codes(sets),
    }
}
