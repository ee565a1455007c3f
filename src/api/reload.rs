//! `POST /v1/reload`, and the seam to whoever carries it out.

use super::answer::json;
use super::error::ApiError;
use super::query::{Query, crop};
use super::server::Peer;
use super::{ApiState, wire};
use crate::limits::{API_BODY_BYTES_MAX, API_STALL_MAX};
use crate::time::Instant;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::pin::Pin;
use std::sync::Arc;

/// What came of a reload that was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReloadSummary {
    /// The registry's new revision.
    pub revision: u64,
    /// Groups now.
    pub groups: usize,
    /// Targets now.
    pub targets: usize,
    /// Targets that were not there before.
    pub added: usize,
    /// Targets that are no longer there.
    pub removed: usize,
}

/// Why a reload was not done; what was before runs on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// The files are not a valid configuration.
    #[error("{0}")]
    Invalid(String),
    /// It would remove more than half of a large group, and was not forced.
    #[error("{0}")]
    MassRemoval(String),
    /// Nobody can carry it out: the daemon stops, or another reload is going on.
    #[error("{0}")]
    Unavailable(String),
}

/// The last reload, whoever asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastReload {
    /// When it was over.
    pub at: Instant,
    /// Why it was not done; none where it was.
    pub error: Option<String>,
}

/// What a reload is waited for with.
pub type ReloadFuture<'a> =
    Pin<Box<dyn Future<Output = Result<ReloadSummary, ReloadError>> + Send + 'a>>;

/// Whoever reloads the files.
pub trait ReloadHandle: Send + Sync {
    /// Reloads all files, in spite of the guard against mass removal if `force`.
    fn reload(&self, force: bool) -> ReloadFuture<'_>;

    /// The last reload, whoever asked for it; none since the start.
    fn last(&self) -> Option<LastReload>;
}

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
    let uid = request.extensions().get::<Peer>().and_then(|peer| peer.uid);
    let body = read_body(request.into_body()).await?;
    let Asked { force } = if body.is_empty() { Asked::default() } else { parse(&body)? };
    tracing::info!(uid, force, "reload asked for over the API");
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

/// An error if the body is said to be too large, so that not a byte of it is waited for.
pub(super) fn body_size(request: &Request) -> Result<(), ApiError> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let bytes = length.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    if bytes > API_BODY_BYTES_MAX as u64 { Err(too_large()) } else { Ok(()) }
}

/// The whole body, within the limits of size and time.
async fn read_body(body: Body) -> Result<Bytes, ApiError> {
    let late = |_| {
        let message = format!("the body did not come within {} s", API_STALL_MAX.as_secs());
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", message)
    };
    let read = tokio::time::timeout(API_STALL_MAX, to_bytes(body, API_BODY_BYTES_MAX));
    read.await.map_err(late)?.map_err(|error| {
        if is_length_limit(&error) {
            return too_large();
        }
        ApiError::new(StatusCode::BAD_REQUEST, "InvalidBody", "the body is broken off or malformed")
    })
}

fn is_length_limit(error: &axum::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        source = error.source();
    }
    false
}

fn too_large() -> ApiError {
    let message = format!("the body is above {API_BODY_BYTES_MAX} bytes; send less at a time");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "BodyTooLarge", message)
}
