//! `POST /v1/reload`.

use super::wire;
use crate::api::ApiState;
use crate::api::answer::json;
use crate::api::body::read_body;
use crate::api::error::ApiError;
use crate::api::peer::Peer;
use crate::api::query::{Query, crop};
use crate::api::reload::ReloadError;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    force: bool,
}

pub(super) async fn reload(
    State(state): State<Arc<ApiState>>,
    request: Request,
) -> Result<Response, ApiError> {
    Query::of(request.uri())?.finish("")?;
    let peer = Peer::of(&request);
    let body = read_body(request.into_body()).await?;
    let Asked { force } = if body.is_empty() { Asked::default() } else { parse(&body)? };
    tracing::info!(%peer, force, "reload asked for over the API");
    match state.reload.reload(force).await {
        Ok(summary) => Ok(json(&summary)),
        Err(error) => Err(refusal(&error)),
    }
}

fn parse(body: &[u8]) -> Result<Asked, ApiError> {
    // By way of a map, because a list would do for a struct.
    let map = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body);
    map.and_then(|map| serde_json::from_value(map.into())).map_err(|error| {
        let message = format!("body: {}; send {{\"force\":false}}", crop(&error.to_string()));
        ApiError::new(StatusCode::BAD_REQUEST, "InvalidBody", message)
    })
}

fn refusal(error: &ReloadError) -> ApiError {
    let (status, code) = match error {
        ReloadError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "InvalidConfiguration"),
        ReloadError::MassRemoval(_) => (StatusCode::CONFLICT, "MassRemoval"),
        ReloadError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "Unavailable"),
    };
    ApiError::new(status, code, error.to_string())
}

/// The last reload as summary shows it.
pub(super) fn last(state: &ApiState) -> Option<wire::LastReload> {
    let last = state.reload.last()?;
    Some(wire::LastReload {
        at: state.wall.rfc3339(last.at),
        ok: last.error.is_none(),
        error: last.error,
    })
}
