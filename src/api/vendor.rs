//! `POST /` and `GET /?Action=…`: which vendor's dialect a request speaks.
//!
//! Alibaba's clients send headers `x-acs-…`, or sign in the query (`SignatureNonce`,
//! `AccessKeyId`), or name the version 2022-04-30; everything else is AWS's.

use super::body::read_body;
use super::error::ApiError;
use super::peer::Peer;
use super::{ApiState, alibaba, aws, unknown_path};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

/// The path of both vendors' dialects.
pub(super) const PATH: &str = "/";

/// A vendor's dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Aws,
    Alibaba,
}

/// The path of both dialects.
pub(super) fn routes() -> Router<Arc<ApiState>> {
    Router::new().route(PATH, get(answer).post(answer))
}

async fn answer(State(state): State<Arc<ApiState>>, request: Request) -> Response {
    let asks_nothing = request.uri().query().is_none_or(str::is_empty);
    if asks_nothing && request.method() != Method::POST {
        return unknown_path(request.uri().clone()).await.into_response();
    }
    let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(refused) => return refusal_in(&parts.headers, query, &refused),
    };
    match dialect(&parts.headers, query, &body) {
        Dialect::Aws => aws::answer(state, peer, query, &body).await,
        Dialect::Alibaba => alibaba::answer(state, peer, &parts.headers, query, &body).await,
    }
}

/// The answer to a request whose body is refused before it is read.
pub(super) fn refusal(request: &Request, refused: &ApiError) -> Response {
    let query = request.uri().query().unwrap_or_default();
    refusal_in(request.headers(), query, refused)
}

fn refusal_in(headers: &HeaderMap, query: &str, refused: &ApiError) -> Response {
    match dialect(headers, query, b"") {
        Dialect::Aws => aws::refusal(refused),
        Dialect::Alibaba => alibaba::refusal(headers, refused),
    }
}

fn dialect(headers: &HeaderMap, query: &str, body: &[u8]) -> Dialect {
    let acs = headers.keys().any(|name| name.as_str().starts_with("x-acs-"));
    let signs =
        |part: &str| part.starts_with("SignatureNonce=") || part.starts_with("AccessKeyId=");
    let in_query = query.split('&').any(|part| signs(part) || part == "Version=2022-04-30");
    let in_body = || body.split(|&byte| byte == b'&').any(|part| part == b"Version=2022-04-30");
    if acs || in_query || in_body() { Dialect::Alibaba } else { Dialect::Aws }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_request_speaks_alibaba_where_it_says_so_and_else_aws() {
        let none = HeaderMap::new();
        let of = |query: &str, body: &str| dialect(&none, query, body.as_bytes());
        assert_eq!(of("", "Action=DescribeTargetHealth&Version=2015-12-01"), Dialect::Aws);
        assert_eq!(of("Action=X", ""), Dialect::Aws);
        assert_eq!(of("", "Action=X&Name=AccessKeyId"), Dialect::Aws);
        assert_eq!(of("Action=X&Version=2022-04-30", ""), Dialect::Alibaba);
        assert_eq!(of("", "Action=X&Version=2022-04-30"), Dialect::Alibaba);
        assert_eq!(of("A=1&AccessKeyId=k", ""), Dialect::Alibaba);
        assert_eq!(of("SignatureNonce=n&A=1", ""), Dialect::Alibaba);
        let mut acs = HeaderMap::new();
        acs.insert("x-acs-action", HeaderValue::from_static("ListListeners"));
        assert_eq!(dialect(&acs, "", b""), Dialect::Alibaba);
    }
}
