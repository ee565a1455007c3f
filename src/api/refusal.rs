//! Refusals of the TCP listener as answers, each in the dialect of its request.

use super::answer::to_json;
use super::error::ApiError;
use crate::access::{Dialect, Refused, Said};
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use quick_xml::escape::escape;
use serde::Serialize;
use uuid::Uuid;

const AWS_NAMESPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";
const AWS_REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// The body of Alibaba's errors.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AlibabaError<'a> {
    request_id: String,
    host_id: &'a str,
    code: &'a str,
    message: &'a str,
}

/// The answer to a refused request; `headers` are its own.
pub(super) fn answer(refused: &Refused, headers: &HeaderMap) -> Response {
    let Said { status, code, message } = refused.said();
    // Our own table has no other statuses.
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
    let id = Uuid::new_v4();
    match refused.dialect {
        Dialect::Aws => {
            let fault = if status.is_server_error() { "Receiver" } else { "Sender" };
            let message = escape(message.as_ref());
            let body = format!(
                "<ErrorResponse xmlns=\"{AWS_NAMESPACE}\"><Error><Type>{fault}</Type>\
                 <Code>{code}</Code><Message>{message}</Message></Error>\
                 <RequestId>{id}</RequestId></ErrorResponse>\n"
            );
            (status, [(CONTENT_TYPE, "text/xml"), (AWS_REQUEST_ID, &id.to_string())], body)
                .into_response()
        }
        Dialect::Alibaba => {
            let request_id = id.to_string().to_uppercase();
            let host = headers.get("host").and_then(|host| host.to_str().ok());
            let host_id = host.unwrap_or_default();
            let error = AlibabaError { request_id, host_id, code, message: &message };
            let body = to_json(&error);
            (status, [(CONTENT_TYPE, "application/json;charset=utf-8")], body).into_response()
        }
        Dialect::Native => {
            let mut answer = ApiError::new(status, code, message).into_response();
            if status == StatusCode::UNAUTHORIZED {
                let how = HeaderValue::from_static("AWS4-HMAC-SHA256");
                answer.headers_mut().insert(WWW_AUTHENTICATE, how);
            }
            answer
        }
    }
}
