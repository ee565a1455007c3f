//! An answer that lets probes go first: while a worker is behind, its next piece waits a little.
//!
//! Pieces are made on the control thread, and whoever reads them takes a core too. Where there is
//! none to spare, a listing of a million targets would make a second of probes late; so it is the
//! listing that takes longer. The first piece never waits, and so no short answer does, and each
//! other waits for [`PATIENCE`] at most: however loaded the host is, an answer comes to its end.

use super::ApiState;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// A worker that is behind by more needs the core. What it gathers on purpose, and what a busy host
/// costs anyhow, is not that late.
const BEHIND: Duration = Duration::from_millis(25);
/// How long a piece waits until it looks again.
const PAUSE: Duration = Duration::from_millis(1);
/// How long a piece waits at most.
const PATIENCE: Duration = Duration::from_millis(5);

/// Makes every answer a gentle one.
pub(super) async fn layer(
    State(state): State<Arc<ApiState>>,
    request: Request,
    next: Next,
) -> Response {
    let is_behind = move || state.behind() > BEHIND;
    next.run(request).await.map(|body| Body::new(Gentle::new(body, is_behind)))
}

struct Gentle<F> {
    body: Body,
    /// Whether a worker is.
    is_behind: F,
    /// The first piece is made.
    begun: bool,
    /// For the next piece.
    waited: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<F> Gentle<F> {
    const fn new(body: Body, is_behind: F) -> Self {
        Self { body, is_behind, begun: false, waited: Duration::ZERO, pause: None }
    }
}

impl<F: Fn() -> bool + Unpin> hyper::body::Body for Gentle<F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        while self.begun && self.waited < PATIENCE && (self.pause.is_some() || (self.is_behind)()) {
            ready!(self.pause.get_or_insert_with(|| Box::pin(sleep(PAUSE))).as_mut().poll(context));
            self.pause = None;
            self.waited += PAUSE;
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        (self.begun, self.waited) = (true, Duration::ZERO);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::answer::{More, json_pieces};
    use http_body_util::BodyExt;
    use std::cell::Cell;
    use tokio::time::Instant;

    /// Milliseconds that each of `count` pieces took while `is_behind` said so.
    async fn pieces(count: usize, is_behind: impl Fn() -> bool + Unpin) -> Vec<u128> {
        let mut left = count;
        let answer = json_pieces(move |out| {
            left -= 1;
            out.push(b'x');
            if left == 0 { More::No } else { More::Yes }
        });
        let mut body = Gentle::new(answer.into_body(), is_behind);
        let (mut took, mut before) = (Vec::new(), Instant::now());
        while let Some(frame) = body.frame().await {
            assert_eq!(frame.unwrap().into_data().unwrap(), "x");
            let now = Instant::now();
            took.push((now - before).as_millis());
            before = now;
        }
        took
    }

    #[tokio::test(start_paused = true)]
    async fn pieces_wait_for_workers_that_are_behind_but_not_for_long() {
        assert_eq!(pieces(3, || false).await, [0, 0, 0]);
        assert_eq!(pieces(1, || true).await, [0], "a short answer");
        let most = PATIENCE.as_millis();
        assert_eq!(pieces(4, || true).await, [0, most, most, most]);
        // As soon as they have caught up it goes on.
        let asked = Cell::new(0);
        let twice = || asked.replace(asked.get() + 1) < 2;
        assert_eq!(pieces(4, twice).await, [0, 2 * PAUSE.as_millis(), 0, 0]);
    }
}
