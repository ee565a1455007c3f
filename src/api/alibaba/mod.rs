//! The Alibaba dialect: the NLB API of 2022-04-30, RPC style, JSON out (or XML where asked for).
//!
//! The objects are those that all dialects share. What Alibaba's clients rely on is kept to the
//! letter: names of parameters and members (`HeathCheckEnabled`, `LoadbalancerId`), defaults, codes
//! and statuses of errors. Sources: the seed (GetListenerHealthStatus) and the models of Alibaba's
//! SDK. Everything asked for is done before the answer, so every job has succeeded.

mod answer;
mod balancers;
mod check;
mod error;
mod groups;
mod health;
mod ids;
mod jobs;
mod listeners;
mod objects;
mod page;
mod request;
mod servers;
mod tokens;

pub(super) use tokens::Tokens;

use super::form::Params;
use super::peer::Peer;
use super::query::crop;
use super::{ApiError, ApiState};
use crate::edit::{Done, Edit, EditError};
use crate::table::View;
use answer::{Content, Format};
use axum::http::header::{ACCEPT, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use error::AlibabaError;
use request::Request;
use std::sync::Arc;
use tokens::Turn;
use uuid::Uuid;

/// The version of the API.
pub(super) const VERSION: &str = "2022-04-30";
/// The header that names the action; a request that has it is for this dialect.
pub(super) const ACTION_HEADER: &str = "x-acs-action";
const VERSION_HEADER: &str = "x-acs-version";
/// Characters of a ClientToken at most.
const TOKEN_CHARS_MAX: usize = 64;

/// All calls, and whether they change something.
const ACTIONS: [(&str, bool); 19] = [
    ("AddServersToServerGroup", true),
    ("CreateListener", true),
    ("CreateLoadBalancer", true),
    ("CreateServerGroup", true),
    ("DeleteListener", true),
    ("DeleteLoadBalancer", true),
    ("DeleteServerGroup", true),
    ("DescribeRegions", false),
    ("GetJobStatus", false),
    ("GetListenerAttribute", false),
    ("GetListenerHealthStatus", false),
    ("GetLoadBalancerAttribute", false),
    ("ListListeners", false),
    ("ListLoadBalancers", false),
    ("ListServerGroupServers", false),
    ("ListServerGroups", false),
    ("RemoveServersFromServerGroup", true),
    ("UpdateServerGroupAttribute", true),
    ("UpdateServerGroupServersAttribute", true),
];

/// One call on its way: who asks for what.
struct Call {
    state: Arc<ApiState>,
    peer: Peer,
    action: &'static str,
    /// Only look whether it could be done.
    dry_run: bool,
    region: String,
    /// The host that was asked.
    host: String,
}

impl Call {
    fn view(&self) -> Arc<View> {
        self.state.table.view()
    }

    /// Wall clock, milliseconds since 1970.
    fn now_ms(&self) -> u64 {
        self.state.unix_ms()
    }

    /// Carries out a change, and says in the log who made it. A dry run ends here.
    async fn apply(
        &self,
        edit: Edit,
        object: &str,
    ) -> Result<Result<Done, EditError>, AlibabaError> {
        if self.dry_run {
            return Err(AlibabaError::dry_run());
        }
        let done = self.state.edit(edit).await;
        let (peer, action, object) = (&self.peer, self.action, crop(object));
        match &done {
            Ok(done) => {
                let (revision, changed) = (done.revision, done.changed);
                tracing::info!(
                    %peer, action, object, changed, revision, "changed over the Alibaba API"
                );
            }
            Err(error) => {
                tracing::info!(%peer, action, object, %error, "change over the Alibaba API refused");
            }
        }
        Ok(done)
    }
}

/// The answer to the call that headers, query and body describe.
pub(super) async fn answer(
    state: Arc<ApiState>,
    peer: Peer,
    headers: &HeaderMap,
    query: &str,
    body: &[u8],
) -> Response {
    let request_id = request_id();
    let host = host(headers);
    let mut params = match Params::parse(query, body) {
        Ok(params) => params,
        Err(error) => {
            return answer::failure(accepted(headers), &error.into(), &request_id, &host);
        }
    };
    let format = match params.take("Format") {
        None => accepted(headers),
        Some(word) if word.eq_ignore_ascii_case("xml") => Format::Xml,
        Some(_) => Format::Json,
    };
    match carry_out(state, peer, headers, params, &host).await {
        Ok((action, content)) => answer::success(format, action, content, &request_id),
        Err(error) => answer::failure(format, &error, &request_id, &host),
    }
}

/// The answer to a request that was refused before it was read: its body, its signature.
pub(super) fn refusal(headers: &HeaderMap, error: &ApiError) -> Response {
    let error = AlibabaError::new(error.status, error.code, error.message.clone());
    answer::failure(accepted(headers), &error, &request_id(), &host(headers))
}

fn request_id() -> String {
    Uuid::new_v4().to_string().to_uppercase()
}

fn host(headers: &HeaderMap) -> String {
    crop(text_of(headers, HOST.as_str()).unwrap_or("localhost"))
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// XML where the client accepts that and not JSON, as Alibaba's command line has it.
fn accepted(headers: &HeaderMap) -> Format {
    let accept = text_of(headers, ACCEPT.as_str()).unwrap_or_default().to_ascii_lowercase();
    if accept.contains("xml") && !accept.contains("json") { Format::Xml } else { Format::Json }
}

async fn carry_out(
    state: Arc<ApiState>,
    peer: Peer,
    headers: &HeaderMap,
    mut params: Params,
    host: &str,
) -> Result<(&'static str, Content), AlibabaError> {
    let (action, changes) = action(headers, &mut params)?;
    let asked = tokens::asked(&params);
    let mut request = Request::new(params);
    let call = Call {
        peer,
        action,
        dry_run: changes && request.boolean("DryRun")?.unwrap_or(false),
        region: request
            .text_within("RegionId", 1..=64)?
            .unwrap_or_else(|| state.alibaba.region.clone()),
        host: host.to_owned(),
        state: Arc::clone(&state),
    };
    let token = request.text_within("ClientToken", 1..=TOKEN_CHARS_MAX)?;
    let ticket = match token.filter(|_| changes && !call.dry_run) {
        None => None,
        Some(token) => match state.tokens.turn(action, token, asked)? {
            Turn::Answered(content) => return Ok((action, content)),
            Turn::First(ticket) => Some(ticket),
        },
    };
    let content = dispatch(&call, request).await?;
    if let Some(ticket) = ticket {
        ticket.done(&content);
    }
    Ok((action, content))
}

/// The action that is asked for, and whether it changes something.
fn action(headers: &HeaderMap, params: &mut Params) -> Result<(&'static str, bool), AlibabaError> {
    let of = |header: &str, parameter: Option<String>| {
        text_of(headers, header).map(str::to_owned).or(parameter).filter(|text| !text.is_empty())
    };
    let (action, version) = (params.take("Action"), params.take("Version"));
    let action = of(ACTION_HEADER, action).ok_or_else(|| AlibabaError::missing("Action"))?;
    let version = of(VERSION_HEADER, version).ok_or_else(|| AlibabaError::missing("Version"))?;
    if version != VERSION {
        let message = format!("Version '{}' is not supported; use {VERSION}.", crop(&version));
        return Err(AlibabaError::bad("InvalidVersion", message));
    }
    ACTIONS.into_iter().find(|(known, _)| *known == action).ok_or_else(|| {
        let known = ACTIONS.map(|(known, _)| known).join(", ");
        let message = format!("Action {} is not supported; there are {known}", crop(&action));
        AlibabaError::new(StatusCode::NOT_FOUND, "InvalidAction.NotFound", message)
    })
}

async fn dispatch(call: &Call, request: Request) -> Result<Content, AlibabaError> {
    match call.action {
        "AddServersToServerGroup" => servers::add(call, request).await,
        "CreateListener" => listeners::create(call, request).await,
        "CreateLoadBalancer" => balancers::create(call, request).await,
        "CreateServerGroup" => groups::create(call, request).await,
        "DeleteListener" => listeners::delete(call, request).await,
        "DeleteLoadBalancer" => balancers::delete(call, request).await,
        "DeleteServerGroup" => groups::delete(call, request).await,
        "DescribeRegions" => Ok(jobs::regions(call)),
        "GetJobStatus" => jobs::status(request),
        "GetListenerAttribute" => listeners::get(call, request),
        "GetListenerHealthStatus" => health::listener(call, request),
        "GetLoadBalancerAttribute" => balancers::get(call, request),
        "ListListeners" => listeners::list(call, request),
        "ListLoadBalancers" => balancers::list(call, request),
        "ListServerGroupServers" => servers::list(call, request),
        "ListServerGroups" => groups::list(call, request),
        "RemoveServersFromServerGroup" => servers::remove(call, request).await,
        "UpdateServerGroupAttribute" => groups::update(call, request).await,
        _ => servers::update(call, request).await,
    }
}
