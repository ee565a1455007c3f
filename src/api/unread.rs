//! Bodies of requests whose rest is taken off the wire when nobody wants it.
//!
//! A request can be answered before its body is read: it is too large, the path is unknown, the
//! signature is missing. Were the connection closed then, a client in the middle of sending would
//! see a broken pipe and never read why. So what is left of a body is read and thrown away behind
//! the answer, within bounds of time and size; whoever sends for longer is cut off.

use crate::limits::API_BODY_BYTES_MAX;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

const DRAIN_TIME: Duration = Duration::from_secs(1);
const DRAIN_BYTES: usize = 2 * API_BODY_BYTES_MAX;

/// A body; none once it has ended.
#[derive(Debug)]
pub(super) struct Unread(Option<Incoming>);

impl Unread {
    /// The body of a request that begins.
    pub(super) const fn new(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl Body for Unread {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let Some(body) = self.0.take().filter(|body| !body.is_end_stream()) else { return };
        // Without a runtime the connection is gone already.
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            let mut body = Limited::new(body, DRAIN_BYTES);
            let rest = async { while let Some(Ok(_)) = body.frame().await {} };
            // Whoever sends for longer does without the answer.
            let _ = timeout(DRAIN_TIME, rest).await;
        });
    }
}
