//! `PUT`, `PATCH` and `DELETE /v1/groups/{group}`: the settings of a group.
//!
//! A change is made from the settings that were read, and holds only if these still do when the
//! keeper judges it. Where they do not, it is made anew from those that hold now: two clients that
//! change two settings at once both have their way.

use super::groups;
use super::refusal::{invalid_body, refusal};
use crate::api::answer::{json, json_with};
use crate::api::body::read_body;
use crate::api::error::ApiError;
use crate::api::peer::Peer;
use crate::api::query::{Query, crop};
use crate::api::{ApiState, Chosen};
use crate::config::{GroupConfig, GroupSpec, Origin, Source, Violation, derived_id, from_json};
use crate::edit::{Edit, EditError};
use crate::limits::API_CHANGE_TRIES;
use crate::registry::Group;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde::de::IgnoredAny;
use std::collections::HashMap;
use std::sync::Arc;

/// Makes the group with exactly these settings and the defaults, or gives it them.
pub(super) async fn put(
    State(state): State<Arc<ApiState>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (peer, spec) = asked(&name, request).await?;
    change(&state, &name, peer, "put", |found| match found {
        None => {
            let created_ms = state.unix_ms();
            let origin = Origin { source: Source::Native, created_ms, ..Origin::default() };
            let group = spec.build(&name, derived_id("tg", &name), origin)?;
            Ok((Edit::CreateGroup(Box::new(group)), StatusCode::CREATED))
        }
        Some(group) => {
            let mut spec = spec.clone();
            // A vendor's group keeps its vendor's rules unless told otherwise.
            if group.config.origin.source != Source::Native {
                spec.rules = spec.rules.or(Some(group.config.rules));
            }
            Ok((next(group, &spec)?, StatusCode::OK))
        }
    })
    .await
}

/// Gives the group the settings that are named; those of `health_check` by key.
pub(super) async fn patch(
    State(state): State<Arc<ApiState>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (peer, newer) = asked(&name, request).await?;
    Chosen::find(&state, &name)?;
    change(&state, &name, peer, "patch", |found| {
        let Some(group) = found else {
            // Gone since: the keeper says so.
            return Ok((Edit::DeleteGroup { group: name.clone() }, StatusCode::OK));
        };
        let mut spec = GroupSpec::of(&group.config);
        spec.overlay(newer.clone());
        Ok((next(group, &spec)?, StatusCode::OK))
    })
    .await
}

#[derive(Serialize)]
struct Deleted {
    deleted: String,
    revision: u64,
}

pub(super) async fn delete(
    State(state): State<Arc<ApiState>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    Query::of(request.uri())?.finish("")?;
    let peer = Peer::of(&request);
    let deleted = Chosen::find(&state, &name)?.group.config.name.clone();
    let edit = Edit::DeleteGroup { group: deleted.clone() };
    let done = state.edit(edit).await.map_err(|error| refusal(&error))?;
    tracing::info!(%peer, group = deleted, revision = done.revision, "group deleted");
    Ok(json(&Deleted { deleted, revision: done.revision }))
}

/// Who asks, and for which settings.
async fn asked(name: &str, request: Request) -> Result<(Peer, GroupSpec), ApiError> {
    Query::of(request.uri())?.finish("")?;
    let peer = Peer::of(&request);
    let body = read_body(request.into_body()).await?;
    if body.is_empty() {
        return Ok((peer, GroupSpec::default()));
    }
    let spec = from_json(&body).map_err(|what| {
        let keys: Option<HashMap<String, IgnoredAny>> = serde_json::from_slice(&body).ok();
        if keys.is_some_and(|keys| keys.contains_key("targets")) {
            let path = format!("/v1/groups/{}/targets", crop(name));
            return invalid_body(&format!("targets are no setting; register them by POST {path}"));
        }
        invalid_body(&what)
    })?;
    Ok((peer, spec))
}

/// Carries out what `make` makes of the group as it is now, and answers with the group.
async fn change(
    state: &ApiState,
    name: &str,
    peer: Peer,
    what: &str,
    make: impl Fn(Option<&Group>) -> Result<(Edit, StatusCode), Violation>,
) -> Result<Response, ApiError> {
    let mut refused = EditError::Stale;
    for _ in 0..API_CHANGE_TRIES {
        let view = state.table.view();
        let found = view.group(name).map(|(group, _)| &**group);
        let (edit, status) = make(found).map_err(|violation| {
            ApiError::new(StatusCode::BAD_REQUEST, "InvalidSetting", violation.to_string())
        })?;
        match state.edit(edit).await {
            Ok(done) => {
                tracing::info!(%peer, group = name, revision = done.revision, what, "group changed");
                let chosen = Chosen::find(state, name)?;
                return Ok(json_with(status, &groups::form(state, &chosen.group, &chosen.sets)));
            }
            Err(error @ (EditError::Stale | EditError::Exists { .. })) => refused = error,
            Err(error) => return Err(refusal(&error)),
        }
    }
    Err(refusal(&refused))
}

/// The edit that gives `group` the settings `spec`.
fn next(group: &Group, spec: &GroupSpec) -> Result<Edit, Violation> {
    let GroupConfig { name, id, origin, .. } = &group.config;
    let next = spec.build(name, id.clone(), origin.clone())?;
    Ok(Edit::ChangeGroup { group: Box::new(next), based_on: group.changed })
}
