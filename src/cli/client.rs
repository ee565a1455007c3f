//! The daemon's API over its Unix socket: one connection per command, one request after the other.
//!
//! HTTP/1.1 by hyper in a current-thread runtime; answers are JSON texts, parsed by whoever prints
//! them. Every error says whether the daemon could not be reached (3) or said no (1).

use super::{Failure, Format};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use nix::poll::{PollTimeout, poll};
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

/// Bytes of one answer at most: a page of 10,000 targets is about 5 MB.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest time for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Arguments of every command that asks the daemon.
#[derive(Clone, Debug, clap::Args)]
pub struct DaemonArgs {
    /// Path of the daemon's socket.
    #[arg(long, value_name = "PATH", env = "RINGCHECK_SOCKET", hide_env_values = true)]
    #[arg(default_value = "/run/ringcheck/api.sock")]
    pub socket: PathBuf,
    /// How to print the answer.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    sender: SendRequest<Full<Bytes>>,
    /// Memory for the next answer.
    spare: Vec<u8>,
}

/// `{"error":{"code":"…","message":"…"}}`
#[derive(Deserialize)]
struct ErrorAnswer {
    error: ErrorBody,
}

#[derive(Deserialize)]
struct ErrorBody {
    message: String,
}

impl Client {
    /// Connects to the daemon behind `socket`.
    ///
    /// # Errors
    /// Exit status 3, with the way to start the daemon where none is running.
    pub fn connect(socket: &Path) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::engine(format_args!("cannot start a client: {error}")))?;
        let sender = runtime.block_on(async {
            let stream =
                UnixStream::connect(socket).await.map_err(|error| unreachable(socket, &error))?;
            let (sender, connection) =
                http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
            // It ends with the connection, and its error is that of the request under way.
            tokio::spawn(async { drop(connection.await) });
            Ok::<_, Failure>(sender)
        })?;
        Ok(Self { runtime, sender, spare: Vec::new() })
    }

    /// `GET path`: the JSON text of the answer.
    ///
    /// # Errors
    /// Exit status 2 where the daemon does not understand, 1 where it says no, 3 where it breaks
    /// off.
    pub fn get(&mut self, path: &str) -> Result<String, Failure> {
        self.request(Method::GET, path, String::new())
    }

    /// Takes an answer back that has been read, so that its memory serves for the next one: long
    /// answers would else be given to the kernel and taken from it again, page by page.
    pub fn recycle(&mut self, answer: String) {
        self.spare = answer.into_bytes();
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn post(&mut self, path: &str, body: String) -> Result<String, Failure> {
        self.request(Method::POST, path, body)
    }

    /// `PUT path` with a JSON body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn put(&mut self, path: &str, body: String) -> Result<String, Failure> {
        self.request(Method::PUT, path, body)
    }

    /// `PATCH path` with a JSON body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn patch(&mut self, path: &str, body: String) -> Result<String, Failure> {
        self.request(Method::PATCH, path, body)
    }

    /// `DELETE path` with a JSON body, or none.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn delete(&mut self, path: &str, body: String) -> Result<String, Failure> {
        self.request(Method::DELETE, path, body)
    }

    fn request(&mut self, method: Method, path: &str, body: String) -> Result<String, Failure> {
        let (status, text) = self.exchange(method, path, body)?;
        good(status, path, text)
    }

    /// The answer to a request, whatever it says.
    ///
    /// # Errors
    /// Exit status 3 where the daemon breaks off.
    pub fn exchange(
        &mut self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<(StatusCode, String), Failure> {
        let request = request(method, path, None, body)?;
        let spare = std::mem::take(&mut self.spare);
        let exchange = async {
            let response = send(&mut self.sender, request).await?;
            let status = response.status();
            Ok((status, whole(response.into_body(), spare).await?))
        };
        self.runtime.block_on(timely(path, exchange))
    }

    /// `GET path` of an answer that has no end of its own, with one more header.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn open(
        &mut self,
        path: &str,
        header: Option<(&str, &str)>,
    ) -> Result<Stream<'_>, Failure> {
        let request = request(Method::GET, path, header, String::new())?;
        let opened = async {
            let response = send(&mut self.sender, request).await?;
            let status = response.status();
            if status.is_success() {
                return Ok(response.into_body());
            }
            Err(said_no(status, path, &whole(response.into_body(), Vec::new()).await?))
        };
        let body = self.runtime.block_on(timely(path, opened))?;
        Ok(Stream { runtime: &self.runtime, body })
    }
}

/// An answer that has no end of its own.
#[derive(Debug)]
pub struct Stream<'c> {
    runtime: &'c Runtime,
    body: Incoming,
}

impl Stream<'_> {
    /// The next piece of it.
    ///
    /// # Errors
    /// Exit status 3 where the daemon ends it, breaks off, or says nothing for `silence_max`.
    pub fn next(&mut self, silence_max: Duration) -> Result<Bytes, Failure> {
        let frame = async { tokio::time::timeout(silence_max, self.body.frame()).await };
        match self.runtime.block_on(frame) {
            // There are no trailers; if there were, they would be nothing to us.
            Ok(Some(Ok(frame))) => Ok(frame.into_data().unwrap_or_default()),
            Ok(Some(Err(error))) => Err(broken(&error)),
            Ok(None) => Err(Failure::engine("the daemon has stopped")),
            Err(_) => {
                let seconds = silence_max.as_secs();
                Err(Failure::engine(format_args!("the daemon said nothing for {seconds} s")))
            }
        }
    }
}

fn request(
    method: Method,
    path: &str,
    header: Option<(&str, &str)>,
    body: String,
) -> Result<Request<Full<Bytes>>, Failure> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(hyper::header::HOST, "localhost")
        .header(hyper::header::CONTENT_TYPE, "application/json");
    let request = match header {
        Some((name, value)) => request.header(name, value),
        None => request,
    };
    request.body(Full::new(Bytes::from(body))).map_err(|error| broken(&error))
}

async fn send(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<hyper::Response<Incoming>, Failure> {
    sender.ready().await.map_err(|error| broken(&error))?;
    sender.send_request(request).await.map_err(|error| broken(&error))
}

/// The text of an answer, in the memory of `text`.
async fn whole(body: Incoming, mut text: Vec<u8>) -> Result<String, Failure> {
    text.clear();
    let mut body = Limited::new(body, ANSWER_BYTES_MAX);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(error.as_ref()))?;
        // There are no trailers; if there were, they would be nothing to us.
        text.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
    }
    let lossy = |error: FromUtf8Error| String::from_utf8_lossy(error.as_bytes()).into_owned();
    Ok(String::from_utf8(text).unwrap_or_else(lossy))
}

/// The answer of `exchange`, if it comes in time.
async fn timely<T>(
    path: &str,
    exchange: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(ANSWER_TIMEOUT, exchange).await.unwrap_or_else(|_| {
        let seconds = ANSWER_TIMEOUT.as_secs();
        let what = format_args!("the daemon did not answer {path} within {seconds} s");
        Err(Failure::engine(format_args!("{what}; see its log")))
    })
}

/// The text of an answer that is a yes.
///
/// # Errors
/// As [`Client::get`].
pub fn good(status: StatusCode, path: &str, text: String) -> Result<String, Failure> {
    if status.is_success() { Ok(text) } else { Err(said_no(status, path, &text)) }
}

/// Waits before the daemon is asked again.
pub fn pause(duration: Duration) {
    // A signal that ends it early costs a question.
    let _ = poll(&mut [], PollTimeout::try_from(duration).unwrap_or(PollTimeout::MAX));
}

/// An answer as what it stands for.
///
/// # Errors
/// Exit status 3: a daemon of another version.
pub fn parse<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        let what = format_args!("cannot understand the daemon's answer: {error}");
        Failure::engine(format_args!("{what}; is the daemon of the same version?"))
    })
}

/// `text` as one segment of a path or one value of a query (RFC 3986, unreserved characters).
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn unreachable(socket: &Path, error: &io::Error) -> Failure {
    let socket = socket.display();
    let start = "start it with 'ringcheck serve --config FILE', or name its socket with --socket";
    if error.kind() == io::ErrorKind::NotFound {
        return Failure::engine(format_args!(
            "the daemon is not running, no socket {socket}; {start}"
        ));
    }
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return Failure::engine(format_args!(
            "the daemon is not running, nobody listens on {socket}; {start}"
        ));
    }
    if error.kind() == io::ErrorKind::PermissionDenied {
        return Failure::engine(format_args!(
            "no access to the daemon's socket, {socket}; run as root or as a member of its group"
        ));
    }
    Failure::engine(format_args!("cannot reach the daemon, {socket}: {error}; {start}"))
}

fn broken(error: &(impl std::fmt::Display + ?Sized)) -> Failure {
    Failure::engine(format_args!("the daemon broke off: {error}; see its log"))
}

/// 400 is bad usage (2), another 4xx the answer to what was asked (1), 5xx the daemon's own trouble
/// (3).
fn said_no(status: StatusCode, path: &str, text: &str) -> Failure {
    let message = match serde_json::from_str::<ErrorAnswer>(text) {
        Ok(answer) => answer.error.message,
        Err(_) => format!("the daemon answered {path} with {status}; see its log"),
    };
    match status {
        StatusCode::BAD_REQUEST => Failure::usage(message),
        _ if status.is_client_error() => Failure::refused(message),
        _ => Failure::engine(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_for_a_path() {
        assert_eq!(encoded("web-1.a_b~"), "web-1.a_b~");
        assert_eq!(encoded("a/b?c=ü [::1]"), "a%2Fb%3Fc%3D%C3%BC%20%5B%3A%3A1%5D");
    }
}
