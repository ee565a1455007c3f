//! Bodies of requests, within the limits of size and time.

use super::error::ApiError;
use crate::limits::{API_BODY_BYTES_MAX, API_STALL_MAX};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;

/// An error if the body is said to be too large, so that not a byte of it is waited for.
pub(super) fn refuse_large(request: &Request) -> Result<(), ApiError> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let bytes = length.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    if bytes > API_BODY_BYTES_MAX as u64 { Err(too_large()) } else { Ok(()) }
}

/// The whole body, within the limits of size and time.
pub(super) async fn read_body(body: Body) -> Result<Bytes, ApiError> {
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
