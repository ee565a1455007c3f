//! The AWS dialect: the query protocol of ELBv2 (version 2015-12-01), form in, XML out.
//!
//! The objects are those that all dialects share. What AWS's clients rely on is kept to the letter:
//! names and order of elements, lists that are always there, codes and texts of errors. Source:
//! the service's model in botocore, and the Network Load Balancer guide of 2018. What only AWS
//! knows (a VPC, stickiness, tags) is kept as attributes and repeated, and does nothing.

mod arn;
mod attributes;
mod balancer_attributes;
mod balancers;
mod check;
mod error;
mod find;
mod group_form;
mod groups;
mod health;
mod listener_form;
mod listeners;
mod names;
mod page;
mod request;
mod tags;
mod targets;

use super::answer::{More, pieces};
use super::form::Params;
use super::peer::Peer;
use super::query::crop;
use super::xml::{TEXT_XML, Xml};
use super::{ApiError, ApiState};
use crate::config::AwsConfig;
use crate::edit::{Done, Edit, EditError};
use crate::table::View;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use error::AwsError;
use request::Members;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

const NAMESPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";
const VERSION: &str = "2015-12-01";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// All calls.
const ACTIONS: [&str; 20] = [
    "AddTags",
    "CreateListener",
    "CreateLoadBalancer",
    "CreateTargetGroup",
    "DeleteListener",
    "DeleteLoadBalancer",
    "DeleteTargetGroup",
    "DeregisterTargets",
    "DescribeListeners",
    "DescribeLoadBalancerAttributes",
    "DescribeLoadBalancers",
    "DescribeTags",
    "DescribeTargetGroupAttributes",
    "DescribeTargetGroups",
    "DescribeTargetHealth",
    "ModifyLoadBalancerAttributes",
    "ModifyTargetGroup",
    "ModifyTargetGroupAttributes",
    "RegisterTargets",
    "RemoveTags",
];

/// What is kept of an object for AWS's clients only.
type Attributes = BTreeMap<String, String>;

/// What is inside of a call's result element.
enum Content {
    /// All of it.
    Whole(Xml),
    /// Pieces, each appended by a call.
    Pieces(Next),
}

/// Appends the next piece, and says whether there is another.
type Next = Box<dyn FnMut(&mut Vec<u8>) -> More + Send>;

impl Content {
    /// Nothing.
    fn empty() -> Self {
        Self::Whole(Xml::default())
    }

    /// What `write` writes.
    fn of(write: impl FnOnce(&mut Xml)) -> Self {
        let mut xml = Xml::default();
        write(&mut xml);
        Self::Whole(xml)
    }
}

/// One call on its way: who asks for what.
struct Call {
    state: Arc<ApiState>,
    peer: Peer,
    action: &'static str,
}

impl Call {
    fn view(&self) -> Arc<View> {
        self.state.table.view()
    }

    fn aws(&self) -> &AwsConfig {
        &self.state.aws
    }

    /// Carries out a change, and says in the log who made it.
    async fn apply(&self, edit: Edit, object: &str) -> Result<Done, EditError> {
        let done = self.state.edit(edit).await;
        let (peer, action, object) = (&self.peer, self.action, crop(object));
        match &done {
            Ok(done) => {
                let (revision, changed) = (done.revision, done.changed);
                tracing::info!(%peer, action, object, changed, revision, "changed over the AWS API");
            }
            Err(error) => {
                tracing::info!(%peer, action, object, %error, "change over the AWS API refused");
            }
        }
        done
    }
}

/// The answer to the call that query and body describe.
pub(super) async fn answer(state: Arc<ApiState>, peer: Peer, query: &str, body: &[u8]) -> Response {
    let request_id = Uuid::new_v4().to_string();
    let done = match parse(query, body) {
        Ok((action, members)) => {
            let call = Call { state, peer, action };
            dispatch(&call, members).await.map(|content| (action, content))
        }
        Err(error) => Err(error),
    };
    let mut response = match done {
        Ok((action, content)) => success(action, content, &request_id),
        Err(error) => failure(&error, &request_id),
    };
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The answer to a request whose body was refused.
pub(super) fn refusal(error: &ApiError) -> Response {
    let code = match error.status {
        StatusCode::PAYLOAD_TOO_LARGE => "RequestEntityTooLarge",
        StatusCode::REQUEST_TIMEOUT => "RequestTimeout",
        _ => "ValidationError",
    };
    let error = AwsError::with_status(error.status, code, error.message.clone());
    failure(&error, &Uuid::new_v4().to_string())
}

fn parse(query: &str, body: &[u8]) -> Result<(&'static str, Members), AwsError> {
    let mut members = Members::new(Params::parse(query, body)?);
    let Some(action) = members.text("Action").filter(|action| !action.is_empty()) else {
        let message = "The request must contain the parameter Action";
        return Err(AwsError::new("MissingAction", message));
    };
    let version = members.text("Version").unwrap_or_else(|| VERSION.to_owned());
    if version != VERSION {
        let version = crop(&version);
        return Err(AwsError::new(
            "InvalidAction",
            format!("Could not find operation {} for version {version}", crop(&action)),
        ));
    }
    let known = ACTIONS.iter().find(|known| **known == action);
    let known = known.ok_or_else(|| {
        let supported = ACTIONS.join(", ");
        let message =
            format!("The action {} is not supported here; there are {supported}", crop(&action));
        AwsError::new("InvalidAction", message)
    })?;
    Ok((known, members))
}

async fn dispatch(call: &Call, members: Members) -> Result<Content, AwsError> {
    match call.action {
        "AddTags" => tags::add(call, members).await,
        "CreateListener" => listeners::create(call, members).await,
        "CreateLoadBalancer" => balancers::create(call, members).await,
        "CreateTargetGroup" => groups::create(call, members).await,
        "DeleteListener" => listeners::delete(call, members).await,
        "DeleteLoadBalancer" => balancers::delete(call, members).await,
        "DeleteTargetGroup" => groups::delete(call, members).await,
        "DeregisterTargets" => targets::deregister(call, members).await,
        "DescribeListeners" => listeners::describe(call, members),
        "DescribeLoadBalancerAttributes" => balancer_attributes::describe(call, members),
        "DescribeLoadBalancers" => balancers::describe(call, members),
        "DescribeTags" => tags::describe(call, members),
        "DescribeTargetGroupAttributes" => attributes::describe(call, members),
        "DescribeTargetGroups" => groups::describe(call, members),
        "DescribeTargetHealth" => health::describe(call, members),
        "ModifyLoadBalancerAttributes" => balancer_attributes::modify(call, members),
        "ModifyTargetGroup" => groups::modify(call, members).await,
        "ModifyTargetGroupAttributes" => attributes::modify(call, members).await,
        "RegisterTargets" => targets::register(call, members).await,
        _ => tags::remove(call, members).await,
    }
}

fn success(action: &str, content: Content, request_id: &str) -> Response {
    let mut head = Xml::default();
    head.open_in(&format!("{action}Response"), NAMESPACE);
    let result = format!("{action}Result");
    let mut foot = Xml::default();
    foot.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
    foot.close(&format!("{action}Response"));
    match content {
        Content::Whole(inner) => {
            head.element(&result, |xml| xml.append(&inner.into_text()));
            head.append(&foot.into_text());
            ([(CONTENT_TYPE, TEXT_XML)], head.into_text()).into_response()
        }
        Content::Pieces(mut next) => {
            head.open(&result);
            let mut head = Some(head.into_text());
            let foot = format!("</{result}>{}", foot.into_text());
            pieces(TEXT_XML, move |out| {
                out.extend_from_slice(head.take().unwrap_or_default().as_bytes());
                let more = next(out);
                if more == More::No {
                    out.extend_from_slice(foot.as_bytes());
                }
                more
            })
        }
    }
}

fn failure(error: &AwsError, request_id: &str) -> Response {
    let kind = if error.status.is_client_error() { "Sender" } else { "Receiver" };
    let mut xml = Xml::default();
    xml.open_in("ErrorResponse", NAMESPACE);
    xml.element("Error", |xml| {
        xml.text("Type", kind);
        xml.text("Code", error.code);
        xml.text("Message", &error.message);
    });
    xml.text("RequestId", request_id);
    xml.close("ErrorResponse");
    (error.status, [(CONTENT_TYPE, TEXT_XML)], xml.into_text()).into_response()
}

/// Sixteen hexadecimal digits that no other object has.
fn fresh_hex() -> Result<String, AwsError> {
    let random = getrandom::u64().map_err(|error| {
        let message = format!("no random number for an id: {error}; try again");
        AwsError::with_status(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
    })?;
    Ok(format!("{random:016x}"))
}
