//! `GET /v1/load_balancers` and `GET /v1/listeners`: what forwards to groups, for reading. They are
//! made by the configuration or through a vendor's API.

use crate::api::ApiState;
use crate::api::answer::{More, append_json, json_pieces};
use crate::api::error::ApiError;
use crate::api::query::Query;
use crate::config::Source;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;

/// Objects of one piece of a listing.
const PIECE_OBJECTS: usize = 512;

#[derive(Serialize)]
struct LoadBalancerForm<'a> {
    name: &'a str,
    id: &'a str,
    source: &'static str,
    file: Option<&'a str>,
    zones: &'a [String],
}

#[derive(Serialize)]
struct ListenerForm<'a> {
    name: &'a str,
    id: &'a str,
    source: &'static str,
    file: Option<&'a str>,
    load_balancer: &'a str,
    port: u16,
    protocol: &'static str,
    groups: &'a [String],
}

pub(super) async fn load_balancers(
    State(state): State<Arc<ApiState>>,
    uri: Uri,
) -> Result<Response, ApiError> {
    Query::of(&uri)?.finish("")?;
    let all = Arc::clone(&state.table.view().registry.load_balancers);
    Ok(listing("load_balancers", all.len(), move |out, index| {
        let one = &all[index];
        let (source, file) = source(&state, one.origin.source);
        let (name, id, zones) = (&*one.name, &*one.id, &*one.zones);
        append_json(out, &LoadBalancerForm { name, id, source, file, zones });
    }))
}

pub(super) async fn listeners(
    State(state): State<Arc<ApiState>>,
    uri: Uri,
) -> Result<Response, ApiError> {
    Query::of(&uri)?.finish("")?;
    let all = Arc::clone(&state.table.view().registry.listeners);
    Ok(listing("listeners", all.len(), move |out, index| {
        let one = &all[index];
        let (source, file) = source(&state, one.origin.source);
        append_json(
            out,
            &ListenerForm {
                name: &one.name,
                id: &one.id,
                source,
                file,
                load_balancer: &one.load_balancer,
                port: one.port,
                protocol: one.protocol.name(),
                groups: &one.groups,
            },
        );
    }))
}

/// How answers name who made an object: the file, and which, or the API.
pub(super) fn source(state: &ApiState, source: Source) -> (&'static str, Option<&str>) {
    match source {
        Source::File => ("file", Some(&state.file)),
        Source::Native | Source::Aws | Source::Alibaba => ("api", None),
    }
}

/// `{"key":[…]}` of `count` objects, each of which `append` appends.
fn listing(
    key: &'static str,
    count: usize,
    append: impl Fn(&mut Vec<u8>, usize) + Send + Unpin + 'static,
) -> Response {
    let mut next = 0;
    json_pieces(move |out| {
        if next == 0 {
            out.extend_from_slice(format!("{{\"{key}\":[").as_bytes());
        }
        let end = count.min(next + PIECE_OBJECTS);
        for index in next..end {
            if index > 0 {
                out.push(b',');
            }
            append(out, index);
        }
        next = end;
        if next < count {
            return More::Yes;
        }
        out.extend_from_slice(b"]}\n");
        More::No
    })
}
