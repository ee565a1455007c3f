//! HTTP/1.1 on the socket, and over TCP: accepts, bounds and serves connections (DESIGN 5.2, 5.5).
//!
//! Bounds: 1,024 connections (the next one gets a 503), 16 KiB of head within 30 s, a client that
//! reads without a pause of 30 s. Whatever a client does costs one connection's memory at most.
//! Connections over TCP count like the others; their requests come by the [`Door`].

use super::deaf::{Deaf, cure};
use super::door::{Door, Gate};
use super::error::ApiError;
use super::peer::{Peer, Stopping};
use super::unread::Unread;
use super::{ApiState, router, stream::ClientStream};
use crate::limits::{
    API_CONNECTIONS_MAX, API_HEAD_BYTES_MAX, API_SEND_BUFFER_BYTES, API_STALL_MAX, STOP_GRACE,
};
use axum::Router;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Connections at once that are told that there are too many; more are just closed.
const REFUSALS_MAX: usize = 64;
/// Longest time for a refused client to take the answer.
const REFUSAL_TIME: Duration = Duration::from_secs(1);
/// Pause after the kernel had no file for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A connection that was accepted.
enum Client {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// By which way a request comes.
#[derive(Clone)]
enum Way {
    /// The socket, where everybody is let in who can open it.
    Socket(Peer),
    /// TCP, and who guards it.
    Tcp(Arc<Gate>),
}

/// What all connections share.
#[derive(Clone)]
struct Shared {
    router: Router,
    stopped: watch::Receiver<()>,
}

/// Answers on `listener`, and behind `door` if there is one, until `shutdown`; then lets running
/// answers end within [`STOP_GRACE`]. To be run on a tokio runtime with time and I/O.
pub async fn serve(
    listener: UnixListener,
    door: Option<Door>,
    state: Arc<ApiState>,
    shutdown: impl Future<Output = ()>,
) {
    let door = door.map(|Door { listener, gate }| (listener, Arc::new(gate)));
    let router = router(state);
    let places = Arc::new(Semaphore::new(API_CONNECTIONS_MAX));
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let shared = Shared { router, stopped };
    let mut shutdown = pin!(shutdown);
    let mut deaf = Deaf::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted.map(|(stream, _)| Client::Unix(stream)),
            accepted = accept_tcp(door.as_ref()) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let client = match accepted {
            Ok(client) => client,
            Err(error) => {
                if deaf.fails() {
                    let cure = cure(&error);
                    tracing::warn!("cannot accept connections of the API: {error}; {cure}");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if deaf.hears() {
            tracing::info!("connections of the API are accepted again");
        }
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let connection = connection(client, door.as_ref().map(|door| &door.1), shared.clone());
            connections.spawn(async move {
                connection.await;
                drop(place);
            });
        } else if let Ok(place) = Arc::clone(&refusals).try_acquire_owned() {
            connections.spawn(async move {
                let refusal = async {
                    match client {
                        Client::Unix(stream) => refuse(stream).await,
                        Client::Tcp(stream) => refuse(stream).await,
                    }
                };
                // A client that does not want the answer does without.
                let _ = tokio::time::timeout(REFUSAL_TIME, refusal).await;
                drop(place);
            });
        }
    }
    drop((listener, door, shared));
    drop(stop);
    let all_done = async { while connections.join_next().await.is_some() {} };
    // Whoever has not ended by now is cut off: dropping the set aborts its tasks.
    let _ = tokio::time::timeout(STOP_GRACE, all_done).await;
}

/// The next connection over TCP; never one where there is no door.
async fn accept_tcp(door: Option<&(TcpListener, Arc<Gate>)>) -> io::Result<Client> {
    match door {
        Some((listener, _)) => listener.accept().await.map(|(stream, _)| Client::Tcp(stream)),
        None => std::future::pending().await,
    }
}

/// Serves a connection to its end.
fn connection(
    client: Client,
    gate: Option<&Arc<Gate>>,
    shared: Shared,
) -> impl Future<Output = ()> + Send + 'static {
    let gate = gate.map(Arc::clone);
    async move {
        match (client, gate) {
            (Client::Unix(stream), _) => {
                let uid = stream.peer_cred().ok().map(|peer| peer.uid());
                serve_stream(stream, Way::Socket(Peer { uid, key: None }), shared).await;
            }
            (Client::Tcp(stream), Some(gate)) => {
                // Answers are written whole, so nothing is gained by waiting for more of them.
                let _ = stream.set_nodelay(true);
                serve_stream(stream, Way::Tcp(gate), shared).await;
            }
            // Nobody is accepted over TCP but by the listener of a door.
            (Client::Tcp(_), None) => {}
        }
    }
}

async fn serve_stream<S>(stream: S, way: Way, shared: Shared)
where
    S: AsyncRead + AsyncWrite + AsFd + Unpin + Send + 'static,
{
    // The kernel doubles what it is asked for. Without it, it holds more, which harms nothing.
    let _ = socket2::SockRef::from(&stream).set_send_buffer_size(API_SEND_BUFFER_BYTES / 2);
    let Shared { router, mut stopped } = shared;
    let stopping = Stopping(stopped.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(stopping.clone());
        answer(router.clone(), way.clone(), request.map(Unread::new))
    });
    let stream = TokioIo::new(ClientStream::new(stream, API_STALL_MAX));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(API_STALL_MAX)
        .max_header_size(API_HEAD_BYTES_MAX)
        .half_close(true)
        .serve_connection(stream, service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "API connection ended early");
    }
}

async fn answer(
    router: Router,
    way: Way,
    mut request: Request<Unread>,
) -> Result<Response, Infallible> {
    let router = TowerToHyperService::new(router);
    match way {
        Way::Socket(peer) => {
            request.extensions_mut().insert(peer);
            router.call(request).await
        }
        Way::Tcp(gate) => match gate.admit(request).await {
            Ok(request) => router.call(request).await,
            Err(refused) => Ok(refused),
        },
    }
}

/// Tells a client that there is no place for it, and waits until it has read that.
async fn refuse(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let message = format!("{API_CONNECTIONS_MAX} connections are open; try again later");
    let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "TooManyConnections", message);
    stream.write_all(&error.raw()).await?;
    stream.shutdown().await?;
    let mut request = [0; 1_024];
    while stream.read(&mut request).await? > 0 {}
    Ok(())
}
