//! One call over HTTP/2: h2 is given what came, polled until it has nothing more to do, and asked
//! what it has to say and what became of the call. It needs no runtime: it keeps no timer, and what
//! would wake a task is known here, because nothing happens but what is fed.

use super::message::{self, ANSWER_BYTES_MAX, ServingStatus};
use super::pipe::Pipe;
use crate::outcome::{Cause, Code, Detail, Outcome};
use bytes::Bytes;
use h2::RecvStream;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use http::{HeaderMap, Request, StatusCode};
use std::fmt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// What the target may send of an answer before we say that we have read it.
const WINDOW_BYTES: u32 = 16 * 1_024;
/// Bytes of a list of headers, names and values and 32 for each.
const HEADER_LIST_BYTES_MAX: u32 = 16 * 1_024;

/// A connection with HTTP/2 on it, and the call that is made over it.
pub(super) struct Call {
    pipe: Pipe,
    connection: Connection<Pipe, Bytes>,
    requests: SendRequest<Bytes>,
    at: At,
}

/// How far the call has come.
enum At {
    /// Waits for the response's headers.
    Asked(ResponseFuture),
    /// Takes the message, then the trailers.
    Answered(RecvStream, Vec<u8>),
    /// It is over.
    Over,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("pipe", &self.pipe).finish_non_exhaustive()
    }
}

impl Call {
    /// Makes the call over a new connection; none where h2 refuses the request.
    pub(super) fn new(request: Request<()>, message: Bytes) -> Option<Self> {
        let pipe = Pipe::default();
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(WINDOW_BYTES)
            .max_header_list_size(HEADER_LIST_BYTES_MAX)
            .max_concurrent_streams(0)
            .max_concurrent_reset_streams(0);
        let mut context = Context::from_waker(Waker::noop());
        // It waits for nothing but room to write, of which there is enough.
        let handshake = pin!(builder.handshake(pipe.clone())).poll(&mut context);
        let Poll::Ready(Ok((mut requests, connection))) = handshake else { return None };
        let (response, mut stream) = requests.send_request(request, false).ok()?;
        stream.send_data(message, true).ok()?;
        let mut call = Self { pipe, connection, requests, at: At::Asked(response) };
        call.drive();
        Some(call)
    }

    /// Whether the connection takes another call.
    pub(super) fn takes_another(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        !self.drive() && matches!(self.requests.poll_ready(&mut context), Poll::Ready(Ok(())))
    }

    /// Makes another call over the same connection, which takes one.
    pub(super) fn again(&mut self, request: Request<()>, message: Bytes) {
        let asked = self.requests.send_request(request, false);
        debug_assert!(asked.is_ok(), "it was asked before whether it takes one");
        if let Ok((response, mut stream)) = asked {
            self.at = At::Asked(response);
            // It can fail only where the connection is over, which is told by the response.
            let _ = stream.send_data(message, true);
            self.drive();
        }
    }

    /// Takes what came; the outcome once it is known.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<Outcome> {
        self.pipe.give(bytes);
        self.go_on()
    }

    /// Goes on where something that was in the way is gone; the outcome once it is known.
    pub(super) fn go_on(&mut self) -> Option<Outcome> {
        let broken = self.drive();
        let judged = self.judge();
        // What was read makes room for more, of which the target must hear.
        self.drive();
        judged.or_else(|| broken.then(|| Outcome::cause(Code::L7Rsp, Cause::BadHttp2)))
    }

    /// Whether the target has said anything to this call: what it says of the connection (PING,
    /// SETTINGS, GOAWAY) it may have said before it was asked.
    pub(super) const fn is_answered(&self) -> bool {
        !matches!(self.at, At::Asked(_))
    }

    /// Whether there is something to be sent.
    pub(super) fn has_output(&self) -> bool {
        self.pipe.has_output()
    }

    /// How much is to be sent.
    #[cfg(test)]
    pub(super) fn output_len(&self) -> usize {
        self.pipe.output_len()
    }

    /// Moves what is to be sent to `out`.
    pub(super) fn take_output(&self, out: &mut Vec<u8>) {
        self.pipe.take_output(out);
    }

    /// Lets the connection do what it can; whether it is broken.
    fn drive(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut self.connection).poll(&mut context).is_ready()
    }

    /// What became of the call, as far as it has come.
    fn judge(&mut self) -> Option<Outcome> {
        let mut context = Context::from_waker(Waker::noop());
        if let At::Asked(response) = &mut self.at {
            let response = match Pin::new(response).poll(&mut context) {
                Poll::Pending => return None,
                Poll::Ready(Err(error)) => {
                    let outcome = failed(&error);
                    if error.is_reset() {
                        self.at = At::Over;
                    }
                    return Some(outcome);
                }
                Poll::Ready(Ok(response)) => response,
            };
            if let Some(outcome) = judge_head(response.status(), response.headers()) {
                return Some(outcome);
            }
            self.at = At::Answered(response.into_body(), Vec::new());
        }
        let At::Answered(body, message) = &mut self.at else { return None };
        loop {
            match body.poll_data(&mut context) {
                Poll::Pending => return None,
                Poll::Ready(Some(Err(error))) => return Some(failed(&error)),
                Poll::Ready(Some(Ok(bytes))) => {
                    if message.len() + bytes.len() > ANSWER_BYTES_MAX {
                        return Some(Outcome::cause(Code::L7Rsp, Cause::NotGrpc));
                    }
                    message.extend_from_slice(&bytes);
                    // It can fail only where more is given back than was taken.
                    let _ = body.flow_control().release_capacity(bytes.len());
                }
                Poll::Ready(None) => break,
            }
        }
        let outcome = match body.poll_trailers(&mut context) {
            Poll::Pending => return None,
            Poll::Ready(Err(error)) => failed(&error),
            Poll::Ready(Ok(trailers)) => match trailers.as_ref().and_then(grpc_status) {
                None => Outcome::cause(Code::L7Rsp, Cause::NotGrpc),
                Some(0) => judge_message(message),
                Some(status) => not_matched(Cause::of_grpc_status(status)),
            },
        };
        self.at = At::Over;
        Some(outcome)
    }
}

/// What a response's head says already.
fn judge_head(status: StatusCode, headers: &HeaderMap) -> Option<Outcome> {
    if status != StatusCode::OK {
        let detail = Detail::Cause(Cause::StatusNotMatched);
        return Some(Outcome { code: Code::L7Sts, status: status.as_u16(), detail });
    }
    let kind = headers.get(http::header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    if !kind.is_some_and(|kind| kind.starts_with(b"application/grpc")) {
        return Some(Outcome::cause(Code::L7Rsp, Cause::NotGrpc));
    }
    // An answer without a message has its status here.
    match grpc_status(headers) {
        None => None,
        Some(0) => Some(Outcome::cause(Code::L7Rsp, Cause::NotGrpc)),
        Some(status) => Some(not_matched(Cause::of_grpc_status(status))),
    }
}

fn judge_message(message: &[u8]) -> Outcome {
    match message::answer(message) {
        None => Outcome::cause(Code::L7Rsp, Cause::NotGrpc),
        Some(ServingStatus::Serving) => Outcome::plain(Code::L7Ok),
        Some(ServingStatus::NotServing) => not_matched(Cause::NotServing),
        Some(ServingStatus::Unknown) => not_matched(Cause::ServingUnknown),
        Some(ServingStatus::ServiceUnknown) => not_matched(Cause::ServiceUnknown),
    }
}

/// A valid answer that says no. HTTP's status was 200, which is not what did not match; so none is
/// told, and nobody reads of checks that failed with these codes: 200.
const fn not_matched(cause: Cause) -> Outcome {
    Outcome::cause(Code::L7Sts, cause)
}

/// gRPC's status; 2 (unknown) stands for one that is no number, as gRPC wants it.
fn grpc_status(headers: &HeaderMap) -> Option<u32> {
    let value = headers.get("grpc-status")?;
    Some(value.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(2))
}

/// The outcome of a call that h2 says has failed.
fn failed(error: &h2::Error) -> Outcome {
    match (error.is_remote(), error.is_go_away()) {
        (true, true) => Outcome::cause(Code::L7Cut, Cause::GoAway),
        (true, false) => Outcome::cause(Code::L7Cut, Cause::StreamReset),
        (false, _) => Outcome::cause(Code::L7Rsp, Cause::BadHttp2),
    }
}
