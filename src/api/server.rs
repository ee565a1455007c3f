//! HTTP/1.1 on the socket: accepts, bounds and serves connections (DESIGN 5.2, 5.5).
//!
//! Bounds: 1,024 connections (the next one gets a 503), 16 KiB of head within 30 s, a client that
//! reads without a pause of 30 s. Whatever a client does costs one connection's memory at most.

use super::error::ApiError;
use super::peer::{Peer, Stopping};
use super::{ApiState, router, stream::ClientStream};
use crate::limits::{
    API_CONNECTIONS_MAX, API_HEAD_BYTES_MAX, API_SEND_BUFFER_BYTES, API_STALL_MAX, STOP_GRACE,
};
use axum::Router;
use axum::http::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Connections at once that are told that there are too many; more are just closed.
const REFUSALS_MAX: usize = 64;
/// Longest time for a refused client to take the answer.
const REFUSAL_TIME: Duration = Duration::from_secs(1);
/// Pause after the kernel had no file for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers on `listener` until `shutdown`, then lets running answers end within
/// [`STOP_GRACE`]. To be run on a tokio runtime with time and I/O.
pub async fn serve(
    listener: UnixListener,
    state: Arc<ApiState>,
    shutdown: impl Future<Output = ()>,
) {
    let router = router(state);
    let places = Arc::new(Semaphore::new(API_CONNECTIONS_MAX));
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection on the API socket");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let connection = connection(stream, router.clone(), stopped.clone());
            connections.spawn(async move {
                connection.await;
                drop(place);
            });
        } else if let Ok(place) = Arc::clone(&refusals).try_acquire_owned() {
            connections.spawn(async move {
                // A client that does not want the answer does without.
                let _ = tokio::time::timeout(REFUSAL_TIME, refuse(stream)).await;
                drop(place);
            });
        }
    }
    drop(listener);
    drop(stop);
    let all_done = async { while connections.join_next().await.is_some() {} };
    // Whoever has not ended by now is cut off: dropping the set aborts its tasks.
    let _ = tokio::time::timeout(STOP_GRACE, all_done).await;
}

async fn connection(stream: UnixStream, router: Router, mut stopped: watch::Receiver<()>) {
    // The kernel doubles what it is asked for. Without it, it holds more, which harms nothing.
    let _ = socket2::SockRef::from(&stream).set_send_buffer_size(API_SEND_BUFFER_BYTES / 2);
    let peer = Peer { uid: stream.peer_cred().ok().map(|peer| peer.uid()) };
    let stopping = Stopping(stopped.clone());
    let inner = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(stopping.clone());
        inner.call(request)
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
        tracing::debug!(%error, uid = peer.uid, "API connection ended early");
    }
}

/// Tells a client that there is no place for it, and waits until it has read that.
async fn refuse(mut stream: UnixStream) -> std::io::Result<()> {
    let message = format!("{API_CONNECTIONS_MAX} connections are open; try again later");
    let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "TooManyConnections", message);
    stream.write_all(&error.raw()).await?;
    stream.shutdown().await?;
    let mut request = [0; 1_024];
    while stream.read(&mut request).await? > 0 {}
    Ok(())
}
