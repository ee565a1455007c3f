//! The API: what is asked over the socket, answered from the state table.
//!
//! Here is what every dialect has in common: the server, the router, bodies, queries, answers and
//! cursors. A dialect is a folder: `native` (DESIGN 5.2), `aws` and `alibaba` (5.3).
//!
//! Nothing here writes to the table or waits for a worker: every answer is made from the published
//! view, the records and the history. What changes something (a reload) is handed to
//! [`ReloadHandle`]. The server around it is [`serve`].

mod alibaba;
mod answer;
mod aws;
mod bind;
mod body;
mod cursor;
mod deaf;
mod door;
mod error;
pub mod form;
mod gentle;
mod listen;
mod native;
mod peer;
mod percent;
mod query;
mod refusal;
mod reload;
mod server;
mod stream;
mod unread;
mod vendor;
mod xml;

pub use bind::{BindError, SocketFile, bind};
pub use door::Door;
pub use error::ApiError;
pub use listen::{ListenError, listen};
pub use query::Query;
pub use reload::{LastReload, ReloadError, ReloadFuture, ReloadHandle, ReloadSummary};
pub use server::serve;

use crate::config::{AlibabaConfig, AwsConfig};
use crate::edit::{Done, Edit, EditError, Edits};
use crate::registry::Group;
use crate::table::{GroupSets, StateTable, View};
use crate::time::{Instant, monotonic, wall_ms};
use crate::upcoming::Upcoming;
use crate::wall::WallClock;
use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use percent::{Plus, decode};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What the API is made of.
pub struct Parts {
    /// What is known of all targets.
    pub table: Arc<StateTable>,
    /// Who reloads.
    pub reload: Arc<dyn ReloadHandle>,
    /// Who carries changes out.
    pub edits: Arc<dyn Edits>,
    /// The configuration file's name in answers.
    pub file: String,
    /// When the workers mean to act next.
    pub upcoming: Arc<Upcoming>,
    /// How the workers drive their sockets.
    pub backend: &'static str,
    /// How the AWS dialect names itself.
    pub aws: AwsConfig,
    /// Where it answers over TCP, if it does.
    pub listen: Option<SocketAddr>,
    /// How the Alibaba dialect names itself.
    pub alibaba: AlibabaConfig,
    /// The daemon's clock for people.
    pub wall: Arc<WallClock>,
    /// Both clocks, now: the monotonic one, and milliseconds since 1970. Tests have their own.
    pub clocks: fn() -> (Instant, u64),
}

impl Parts {
    /// The system's clocks.
    pub const CLOCKS: fn() -> (Instant, u64) = || (monotonic(), wall_ms());
}

/// All that answers are made from.
pub struct ApiState {
    table: Arc<StateTable>,
    reload: Arc<dyn ReloadHandle>,
    edits: Arc<dyn Edits>,
    /// The configuration file that groups come from.
    file: String,
    upcoming: Arc<Upcoming>,
    backend: &'static str,
    aws: AwsConfig,
    listen: Option<SocketAddr>,
    alibaba: AlibabaConfig,
    /// What the Alibaba dialect remembers of calls that may be repeated.
    tokens: alibaba::Tokens,
    started: Instant,
    wall: Arc<WallClock>,
    /// Both clocks, now. Tests have their own.
    clocks: fn() -> (Instant, u64),
}

impl fmt::Debug for ApiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiState").field("file", &self.file).finish_non_exhaustive()
    }
}

impl ApiState {
    /// The state of an API made of `parts`.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            table,
            reload,
            edits,
            file,
            upcoming,
            backend,
            aws,
            alibaba,
            listen,
            wall,
            clocks,
        } = parts;
        let (started, _) = clocks();
        let tokens = alibaba::Tokens::default();
        Self {
            table,
            reload,
            edits,
            file,
            upcoming,
            backend,
            aws,
            alibaba,
            tokens,
            listen,
            started,
            wall,
            clocks,
        }
    }

    /// Carries an edit out; the published view shows it then.
    async fn edit(&self, edit: Edit) -> Result<Done, EditError> {
        self.edits.apply(edit).await
    }

    /// Milliseconds since 1970, for display.
    fn unix_ms(&self) -> u64 {
        (self.clocks)().1
    }

    /// By how much probes are behind at this moment.
    fn behind(&self) -> Duration {
        self.upcoming.behind((self.clocks)().0)
    }

    /// The time now; keeps the wall clock's offset right on the way.
    fn now(&self) -> Instant {
        let (now, wall_ms) = (self.clocks)();
        self.wall.observe(now, wall_ms);
        now
    }
}

/// One group of one view, as long as an answer takes.
#[derive(Clone)]
struct Chosen {
    view: Arc<View>,
    group: Arc<Group>,
    sets: Arc<GroupSets>,
}

impl Chosen {
    /// The group with this name or id.
    fn find(state: &ApiState, name: &str) -> Result<Self, ApiError> {
        let view = state.table.view();
        let (group, sets) = view.group(name).ok_or_else(|| ApiError::unknown_group(name))?;
        let (group, sets) = (Arc::clone(group), Arc::clone(sets));
        Ok(Self { view, group, sets })
    }
}

/// The API as a service for requests with any body.
pub fn router(state: Arc<ApiState>) -> Router {
    Router::new()
        .merge(native::routes())
        .merge(vendor::routes())
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(check))
        .layer(from_fn_with_state(Arc::clone(&state), gentle::layer))
        .with_state(state)
}

/// Refuses what no handler should have to think about.
async fn check(request: Request, next: Next) -> Response {
    if decode(request.uri().path(), Plus::Itself).is_none() {
        let message = "the path is not percent-encoded UTF-8";
        return ApiError::new(StatusCode::BAD_REQUEST, "InvalidPath", message).into_response();
    }
    if let Err(refused) = body::refuse_large(&request) {
        let is_vendors = request.uri().path() == vendor::PATH;
        return if is_vendors {
            vendor::refusal(&request, &refused)
        } else {
            refused.into_response()
        };
    }
    next.run(request).await
}

async fn unknown_path(uri: Uri) -> ApiError {
    let message = format!("no such path: {}; see GET /v1/summary", query::crop(uri.path()));
    ApiError::new(StatusCode::NOT_FOUND, "UnknownPath", message)
}

async fn wrong_method(request: Request) -> ApiError {
    let (method, path) = (query::crop(request.method().as_str()), request.uri().path());
    let message = format!("{method} is not possible on {}", query::crop(path));
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
}
