//! A client's stream as the HTTP library sees it: pauses of a client that reads are bounded, and
//! what the library says by itself gets a body.
//!
//! hyper answers a head that it cannot parse (400, 431) without calling us, and without a body.
//! Such an answer is a single write of a head with `content-length: 0`; we never write one, so it
//! is told apart for sure, and replaced by the same status with the error as JSON.

use super::error::ApiError;
use axum::http::StatusCode;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_io_timeout::TimeoutStream;

/// See the module's head.
#[derive(Debug)]
pub(super) struct ClientStream<S> {
    stream: Pin<Box<TimeoutStream<S>>>,
    /// What is written instead of the library's own answer, and how much of it went out.
    instead: Option<(Vec<u8>, usize)>,
}

impl<S: AsyncRead + AsyncWrite> ClientStream<S> {
    /// `stream`, whose writes fail when the client has read nothing for `pause_max`.
    pub(super) fn new(stream: S, pause_max: Duration) -> Self {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(pause_max));
        Self { stream: Box::pin(stream), instead: None }
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncWrite for ClientStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.instead.is_none() {
            self.instead = replacement(bytes).map(|error| (error.raw(), 0));
        }
        let Self { stream, instead } = &mut *self;
        let Some((text, written)) = instead else {
            return stream.as_mut().poll_write(context, bytes);
        };
        while *written < text.len() {
            match ready!(stream.as_mut().poll_write(context, &text[*written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => *written += more,
            }
        }
        *instead = None;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(context)
    }
}

/// The error to write instead of `bytes`, if these are the library's own answer.
fn replacement(bytes: &[u8]) -> Option<ApiError> {
    let head = bytes.strip_prefix(b"HTTP/1.1 4")?;
    let head = std::str::from_utf8(head.strip_suffix(b"\r\n\r\n")?).ok()?;
    let (status, headers) = head.split_once("\r\n")?;
    if !headers.split("\r\n").any(|header| header.eq_ignore_ascii_case("content-length: 0")) {
        return None;
    }
    let error = match status.get(..2)? {
        "00" => ApiError::new(
            StatusCode::BAD_REQUEST,
            "InvalidRequest",
            "this is not an HTTP/1.1 request; see GET /v1/summary",
        ),
        "31" => ApiError::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "HeadTooLarge",
            "the request head is above 16384 bytes or 100 headers; send less",
        ),
        _ => return None,
    };
    Some(error)
}
