//! `GET /v1/events/stream?since=&group=`: transitions as server-sent events, each once and in
//! order.
//!
//! The history is looked at ten times a second, so the collector, which writes it, knows nothing of
//! its readers: any number of streams costs it nothing. A stream holds one piece at most, and makes
//! the next one when the client has taken that; a client that falls behind the history's ring is
//! told how many events it has lost. A stream ends when the daemon stops.
//!
//! Format: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use super::events::{asked_group, oldest};
use super::wire;
use crate::api::ApiState;
use crate::api::answer::append_json;
use crate::api::error::ApiError;
use crate::api::peer::Stopping;
use crate::api::query::{Query, crop};
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// Events of one piece.
const PIECE_EVENTS: usize = 512;
/// How often a stream that has given all looks for more.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Looks without a byte after which a comment says that the stream lives: 15 s.
const QUIET_LOOKS_MAX: u32 = 150;

/// What a client that reconnects has seen (the format's own header).
const LAST_EVENT_ID: &str = "last-event-id";

pub(super) async fn stream(
    State(state): State<Arc<ApiState>>,
    request: Request,
) -> Result<Response, ApiError> {
    let mut query = Query::of(request.uri())?;
    let since = query.number::<u64>("since")?;
    let group = asked_group(&state, &mut query)?;
    query.finish("since, group")?;
    // The header wins: a client reconnects to the address it was given, which has the old `since`.
    let since = last_event_id(&request)?.or(since);
    let newest = state.table.history().newest();
    // A number that was not given yet is one of a history before this one: all of this is news.
    let after = since.map_or(newest, |since| if since > newest { 0 } else { since });
    let stopping = request.extensions().get::<Stopping>().cloned();
    let stream = Stream {
        state,
        group,
        stopping,
        after,
        told: after,
        // The number to resume with, also if nothing comes before the connection breaks.
        piece: format!(": transitions after {after}\nid: {after}\n\n").into_bytes(),
        sleep: Box::pin(tokio::time::sleep(LOOK_EVERY)),
        quiet_looks: 0,
    };
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    Ok((headers, Body::new(stream)).into_response())
}

fn last_event_id(request: &Request) -> Result<Option<u64>, ApiError> {
    let Some(value) = request.headers().get(LAST_EVENT_ID) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number.map(Some).ok_or_else(|| {
        let shown = crop(&String::from_utf8_lossy(value.as_bytes()));
        let message = format!(
            "the header Last-Event-ID '{shown}' is not a number; send the last id as it is"
        );
        ApiError::parameter(message)
    })
}

/// See the module's head.
struct Stream {
    state: Arc<ApiState>,
    /// Name of the one group that is asked for.
    group: Option<String>,
    /// None where nobody says when to stop.
    stopping: Option<Stopping>,
    /// The last seq that was looked at.
    after: u64,
    /// The last seq that the client was told.
    told: u64,
    /// Made, not sent.
    piece: Vec<u8>,
    sleep: Pin<Box<Sleep>>,
    quiet_looks: u32,
}

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            if !self.piece.is_empty() {
                let piece = std::mem::take(&mut self.piece);
                return Poll::Ready(Some(Ok(Frame::data(piece.into()))));
            }
            if self.stopping.as_ref().is_some_and(Stopping::is_so) {
                return Poll::Ready(None);
            }
            if self.look() {
                self.quiet_looks = 0;
                // Sent at the next call, so that whatever else waits for the thread comes before.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            ready!(self.sleep.as_mut().poll(context));
            self.sleep.set(tokio::time::sleep(LOOK_EVERY));
            self.quiet_looks += 1;
            if self.quiet_looks == QUIET_LOOKS_MAX {
                self.quiet_looks = 0;
                self.beat();
            }
        }
    }
}

impl Stream {
    /// Makes a piece of what has come since the last look; false where nothing has.
    fn look(&mut self) -> bool {
        let history = self.state.table.history();
        let newest = history.newest();
        if newest == self.after {
            return false;
        }
        let oldest = oldest(self.state.now());
        let events = history.since(self.after, PIECE_EVENTS, oldest);
        if events.is_empty() {
            // All that was there is too old to be shown by now.
            self.skip_to(newest);
        }
        for event in &events {
            self.skip_to(event.seq - 1);
            self.after = event.seq;
            if self.group.as_deref().is_none_or(|group| *event.group == *group) {
                // Writing to a vector does not fail, here and below.
                let _ = write!(self.piece, "id: {}\nevent: transition\ndata: ", event.seq);
                append_json(&mut self.piece, &wire::EventForm::new(&self.state, event));
                self.piece.extend_from_slice(b"\n\n");
                self.told = event.seq;
            }
        }
        // A piece without an event of the group is progress too: the next look goes on behind it.
        true
    }

    /// Goes on behind `seq`; says how many events up to there the history no longer has.
    fn skip_to(&mut self, seq: u64) {
        let lost = self.state.table.history().given(self.after, seq);
        self.after = self.after.max(seq);
        if lost > 0 {
            let _ = write!(self.piece, "id: {seq}\nevent: lost\ndata: {{\"lost\":{lost}}}\n\n");
            self.told = seq;
        }
    }

    /// Says that the stream lives, and moves a client on that waits for a quiet group: it should
    /// not have to be told of losses that are none of its.
    fn beat(&mut self) {
        self.piece.extend_from_slice(b":\n");
        if self.told != self.after {
            let _ = writeln!(self.piece, "id: {}", self.after);
            self.told = self.after;
        }
        self.piece.push(b'\n');
    }
}
