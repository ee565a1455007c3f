//! Bodies of requests, within the limits of size and time.

use super::error::ApiError;
use crate::limits::{API_BODY_BYTES_MAX, API_CONNECTIONS_MAX, API_STALL_MAX};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use hyper::body::Body as _;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes of a body that any connection may send at any time.
const SMALL_BYTES: usize = 64 * 1_024;
/// Larger bodies at once; others wait. With these, all bodies together are below 128 MiB.
const LARGE_BODIES_MAX: usize = 8;

const _: () = assert!(
    LARGE_BODIES_MAX * API_BODY_BYTES_MAX + API_CONNECTIONS_MAX * SMALL_BYTES
        <= 128 * 1_024 * 1_024
);

/// Places for large bodies. One process has one API.
static LARGE_BODIES: Semaphore = Semaphore::const_new(LARGE_BODIES_MAX);

/// An error if the body is said to be too large, so that not a byte of it is waited for.
pub(super) fn refuse_large(request: &Request) -> Result<(), ApiError> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let bytes = length.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    if bytes > API_BODY_BYTES_MAX as u64 { Err(too_large()) } else { Ok(()) }
}

/// A body that was read. While one that may be large lives, it takes up one of a few places.
#[derive(Debug)]
pub(super) struct ReadBody {
    bytes: Bytes,
    _place: Option<SemaphorePermit<'static>>,
}

impl std::ops::Deref for ReadBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The whole body, within the limits of size and time, and of what all bodies take together.
pub(super) async fn read_body(body: Body) -> Result<ReadBody, ApiError> {
    let is_small = body.size_hint().upper().is_some_and(|bytes| bytes <= SMALL_BYTES as u64);
    let place = if is_small { None } else { Some(place().await?) };
    let late = |_| {
        let message = format!("the body did not come within {} s", API_STALL_MAX.as_secs());
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", message)
    };
    let read = tokio::time::timeout(API_STALL_MAX, to_bytes(body, API_BODY_BYTES_MAX));
    let bytes = read.await.map_err(late)?.map_err(|error| {
        if is_length_limit(&error) {
            return too_large();
        }
        ApiError::new(StatusCode::BAD_REQUEST, "InvalidBody", "the body is broken off or malformed")
    })?;
    Ok(ReadBody { bytes, _place: place })
}

/// A place for a large body.
async fn place() -> Result<SemaphorePermit<'static>, ApiError> {
    let place = tokio::time::timeout(API_STALL_MAX, LARGE_BODIES.acquire()).await;
    // Nobody closes it, so that only the time can be over.
    place.ok().and_then(Result::ok).ok_or_else(|| {
        let message = format!("{LARGE_BODIES_MAX} large requests are read; try again later");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", message)
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
