//! What the native API says of an edit that is not carried out.

use crate::api::error::ApiError;
use crate::edit::{EditError, Kind};
use axum::http::StatusCode;

/// The answer to an edit that came to `error`.
pub(super) fn refusal(error: &EditError) -> ApiError {
    let (status, code) = match error {
        EditError::Unknown { kind: Kind::Group, name } => return ApiError::unknown_group(name),
        EditError::Unknown { kind: Kind::LoadBalancer, .. } => {
            (StatusCode::NOT_FOUND, "UnknownLoadBalancer")
        }
        EditError::Unknown { kind: Kind::Listener, .. } => {
            (StatusCode::NOT_FOUND, "UnknownListener")
        }
        EditError::UnknownTarget { .. } => (StatusCode::NOT_FOUND, "UnknownTarget"),
        EditError::Exists { .. } => (StatusCode::CONFLICT, "Exists"),
        EditError::ReadOnly { .. } => (StatusCode::CONFLICT, "ReadOnly"),
        EditError::InUse { .. } => (StatusCode::CONFLICT, "InUse"),
        EditError::PortTaken { .. } => (StatusCode::CONFLICT, "PortTaken"),
        EditError::Stale => (StatusCode::CONFLICT, "Stale"),
        EditError::TooMany { .. } => (StatusCode::CONFLICT, "TooMany"),
        EditError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "Unavailable"),
        EditError::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "StoreFailed"),
    };
    ApiError::new(status, code, error.to_string())
}

/// 400: a body that is not what it should be; `what` is one line with its cure.
pub(super) fn invalid_body(what: &str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "InvalidBody", what)
}
