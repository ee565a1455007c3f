//! Answers: JSON at once, or in pieces where it is long.
//!
//! The control thread does everything in turn, so a long answer is made piece by piece, and between
//! two pieces the thread does what else is due. A piece is made only when the client has room for
//! it, so a slow client costs one piece of memory.

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde::Serialize;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The content type of nearly everything.
pub(super) const JSON: &str = "application/json";

/// `value` as JSON and a line end, so that a terminal's prompt starts on its own line.
pub(super) fn to_json(value: &impl Serialize) -> String {
    // Our own types have texts as keys and finite numbers, all that JSON cannot say no to.
    let mut text = serde_json::to_string(value).expect("plain data has a JSON form");
    text.push('\n');
    text
}

/// Appends `value` as JSON.
pub(super) fn append_json(out: &mut Vec<u8>, value: &impl Serialize) {
    // As above, and a vector takes every byte.
    serde_json::to_writer(out, value).expect("plain data has a JSON form");
}

/// An answer of JSON with this status.
pub(super) fn json_with(status: StatusCode, value: &impl Serialize) -> Response {
    (status, [(CONTENT_TYPE, JSON)], to_json(value)).into_response()
}

/// An answer of JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    ([(CONTENT_TYPE, JSON)], to_json(value)).into_response()
}

/// Whether an answer has more pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    /// Call again.
    Yes,
    /// That was all.
    No,
}

/// An answer of JSON that `next` appends piece by piece.
pub(super) fn json_pieces<F>(next: F) -> Response
where
    F: FnMut(&mut Vec<u8>) -> More + Send + Unpin + 'static,
{
    pieces(JSON, next)
}

/// An answer that `next` appends piece by piece. One that is over after the first piece is sent
/// whole, with its length.
pub(super) fn pieces<F>(content_type: &'static str, mut next: F) -> Response
where
    F: FnMut(&mut Vec<u8>) -> More + Send + Unpin + 'static,
{
    let mut first = Vec::new();
    let body = match next(&mut first) {
        More::No => Body::from(first),
        More::Yes => Body::new(Pieces { next: Some(next), ready: Some(first.into()), bytes: 0 }),
    };
    ([(CONTENT_TYPE, content_type)], body).into_response()
}

struct Pieces<F> {
    /// None after the last piece.
    next: Option<F>,
    /// Made, not sent.
    ready: Option<Bytes>,
    /// Bytes of the largest piece so far: room for the next one.
    bytes: usize,
}

impl<F: FnMut(&mut Vec<u8>) -> More + Unpin> hyper::body::Body for Pieces<F> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(piece) = self.ready.take() {
            self.bytes = self.bytes.max(piece.len());
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let mut piece = Vec::with_capacity(self.bytes);
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        if next(&mut piece) == More::No {
            self.next = None;
        }
        // Sent at the next call, so that whatever else waits for the thread comes before.
        self.ready = Some(piece.into());
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
