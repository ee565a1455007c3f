//! What the API says when it cannot do what was asked: a status, a short word, and one line.

use super::answer::{JSON, to_json};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// An answer other than the one that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// A CamelCase word for programs.
    pub code: &'static str,
    /// One line for people: what, where; cure.
    pub message: String,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    message: &'a str,
}

impl ApiError {
    /// An error with everything given.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// 400: a query parameter that cannot be.
    pub(super) fn parameter(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidParameter", message)
    }

    /// 404: no group has this name or id.
    pub(super) fn unknown_group(name: &str) -> Self {
        let message = format!("no group '{name}'; GET /v1/groups lists them");
        Self::new(StatusCode::NOT_FOUND, "UnknownGroup", message)
    }

    /// The whole answer as bytes, for those to whom the HTTP library does not speak.
    pub(super) fn raw(&self) -> Vec<u8> {
        let (status, body) = (self.status, self.body());
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        )
        .into_bytes()
    }

    fn body(&self) -> String {
        let error = Body { code: self.code, message: &self.message };
        to_json(&Envelope { error })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, [(CONTENT_TYPE, JSON)], self.body()).into_response()
    }
}
