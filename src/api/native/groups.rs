//! `GET /v1/groups`, `GET /v1/groups/{group}` and its bitmap.

use super::wire;
use crate::api::answer::{More, append_json, json, json_pieces};
use crate::api::error::ApiError;
use crate::api::query::Query;
use crate::api::{ApiState, Chosen};
use crate::config::{HealthCheck, Protocol, duration};
use crate::recipe::{Close, Handshake};
use crate::registry::Group;
use crate::table::GroupSets;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;

/// Groups of one piece of a listing.
const PIECE_GROUPS: usize = 128;

#[derive(Serialize)]
struct GroupForm<'a> {
    name: &'a str,
    id: &'a str,
    source: &'static str,
    file: &'a str,
    rules: &'static str,
    port: Option<u16>,
    deregistration_delay: String,
    in_use: bool,
    health_check: CheckForm<'a>,
    targets: wire::Counts,
    codes: wire::Codes<'a>,
}

#[derive(Serialize)]
struct CheckForm<'a> {
    enabled: bool,
    protocol: &'static str,
    port: PortForm,
    interval: String,
    timeout: String,
    healthy_threshold: u8,
    unhealthy_threshold: u8,
    close: &'static str,
    #[serde(flatten)]
    own: OwnForm<'a>,
}

/// A port, or the word for the target's own.
#[derive(Serialize)]
#[serde(untagged)]
enum PortForm {
    Number(u16),
    Word(&'static str),
}

/// What only one protocol has.
#[derive(Serialize)]
#[serde(untagged)]
enum OwnForm<'a> {
    Tcp { handshake: &'static str },
    Http { path: &'a str, host: Option<&'a str>, matcher: String },
}

pub(super) async fn list(
    State(state): State<Arc<ApiState>>,
    uri: Uri,
) -> Result<Response, ApiError> {
    Query::of(&uri)?.finish("")?;
    let view = state.table.view();
    let mut next = 0;
    Ok(json_pieces(move |out| {
        if next == 0 {
            out.extend_from_slice(b"{\"groups\":[");
        }
        let groups = view.registry.groups.iter().zip(&view.sets).enumerate();
        for (index, (group, sets)) in groups.skip(next).take(PIECE_GROUPS) {
            if index > 0 {
                out.push(b',');
            }
            append_json(out, &form(&state, group, sets));
        }
        next += PIECE_GROUPS;
        if next < view.registry.groups.len() {
            return More::Yes;
        }
        out.extend_from_slice(b"]}\n");
        More::No
    }))
}

pub(super) async fn one(
    State(state): State<Arc<ApiState>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    Query::of(&uri)?.finish("")?;
    let chosen = Chosen::find(&state, &name)?;
    Ok(json(&form(&state, &chosen.group, &chosen.sets)))
}

pub(super) async fn bitmap(
    State(state): State<Arc<ApiState>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    Query::of(&uri)?.finish("")?;
    let bitmap = Chosen::find(&state, &name)?.sets.bitmap();
    Ok(([(CONTENT_TYPE, "application/octet-stream")], bitmap).into_response())
}

fn form<'a>(state: &'a ApiState, group: &'a Group, sets: &'a GroupSets) -> GroupForm<'a> {
    let config = &group.config;
    let mut targets = wire::Counts::default();
    targets.add(sets);
    GroupForm {
        name: &config.name,
        id: &config.id,
        source: "file",
        file: &state.file,
        rules: config.rules.name(),
        port: config.port,
        deregistration_delay: duration::text(config.deregistration_delay),
        in_use: group.in_use,
        health_check: check_form(&config.health_check),
        targets,
        codes: wire::Codes(sets),
    }
}

fn check_form(check: &HealthCheck) -> CheckForm<'_> {
    let (protocol, own) = match &check.protocol {
        Protocol::Tcp => {
            let handshake = match check.handshake {
                Handshake::Half => "half",
                Handshake::Full => "full",
            };
            ("TCP", OwnForm::Tcp { handshake })
        }
        Protocol::Http { path, host, matcher } => {
            let (host, matcher) = (host.as_deref(), matcher.to_string());
            ("HTTP", OwnForm::Http { path, host, matcher })
        }
    };
    CheckForm {
        enabled: check.enabled,
        protocol,
        port: check.port.map_or(PortForm::Word("traffic-port"), PortForm::Number),
        interval: duration::text(check.interval),
        timeout: duration::text(check.timeout),
        healthy_threshold: check.healthy_threshold,
        unhealthy_threshold: check.unhealthy_threshold,
        close: match check.close {
            Close::Reset => "reset",
            Close::Graceful => "graceful",
        },
        own,
    }
}
