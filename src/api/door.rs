//! The door of the TCP listener: every request shows where it comes from and whose it is before
//! anything else sees it (DESIGN 5.4). The Unix socket has none; its mode is the rule there.
//!
//! The order is that of cost: Host and Origin, the head of the signature, the body, the signature.
//! Bodies are held whole until then, so all of them together have a bound, but for small ones,
//! which the number of connections bounds.

use super::peer::Peer;
use super::refusal;
use super::unread::Unread;
use crate::access::{Change, Claim, Guard, Head, KeyFile, Keys, Refusal, Refused, check_origin};
use crate::limits::{API_BODIES_BYTES_MAX, API_FORM_BYTES_MAX, API_STALL_MAX};
use crate::time::Instant;
use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Bytes;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// What one permit for bodies stands for.
const PERMIT_BYTES: usize = 1_024;

/// A TCP listener on loopback, and who guards it.
#[derive(Debug)]
pub struct Door {
    pub(super) listener: TcpListener,
    pub(super) gate: Gate,
}

impl Door {
    /// Lets those in whose requests are signed with a key of `keys`. Requests of AWS's clients must
    /// be signed for `region`, if one is given. `clocks` are the monotonic clock, and milliseconds
    /// since 1970.
    #[must_use]
    pub fn new(
        listener: TcpListener,
        keys: KeyFile,
        region: Option<String>,
        clocks: fn() -> (Instant, u64),
    ) -> Self {
        let guarded = Mutex::new((Guard::new(region, clocks().1), keys));
        let bodies = Semaphore::new(API_BODIES_BYTES_MAX / PERMIT_BYTES);
        Self { listener, gate: Gate { guarded, bodies, clocks } }
    }
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Gate {
    guarded: Mutex<(Guard, KeyFile)>,
    bodies: Semaphore,
    clocks: fn() -> (Instant, u64),
}

impl Gate {
    /// The request with its whole body and its key's id as [`Peer`]; or the answer to it.
    pub(super) async fn admit(&self, request: Request<Unread>) -> Result<Request<Body>, Response> {
        let (mut parts, body) = request.into_parts();
        match self.judge(&parts, body).await {
            Ok((key, body)) => {
                parts.extensions.insert(Peer { uid: None, key: Some(key) });
                Ok(Request::from_parts(parts, Body::from(body)))
            }
            Err(refused) => {
                let code = refused.said().code;
                tracing::debug!(code, refusal = ?refused.refusal, "request over TCP refused");
                Err(refusal::answer(&refused, &parts.headers))
            }
        }
    }

    async fn judge(&self, parts: &Parts, mut body: Unread) -> Result<(Arc<str>, Bytes), Refused> {
        let headers: Vec<(&str, &[u8])> =
            parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let head = Head {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &headers,
        };
        let claim = check_origin(&head, parts.uri.authority().map(|authority| authority.as_str()))
            .and_then(|()| self.guard(|guard, keys, now| guard.admit(&head, keys, now)));
        let read = match claim {
            Ok(claim) => {
                let whole = self.whole(&claim, &parts.headers, &mut body).await;
                whole
                    .map(|body| (claim, body))
                    .map_err(|refusal| Refused { dialect: head.dialect(), refusal })
            }
            Err(refused) => Err(refused),
        };
        read.and_then(|(claim, (body, _room))| {
            let verify =
                |guard: &mut Guard, keys: &Keys, now| guard.verify(claim, &head, &body, keys, now);
            let key = self.guard(verify)?;
            Ok((key.into(), body))
        })
    }

    /// Asks the guard, with keys that are not older than a second.
    fn guard<T>(&self, ask: impl FnOnce(&mut Guard, &Keys, u64) -> T) -> T {
        // Whoever panicked with it in hand left nothing half done: each change is one step.
        let mut guarded = self.guarded.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, file) = &mut *guarded;
        let (now, now_ms) = (self.clocks)();
        let path = file.path().display().to_string();
        match file.refresh(now) {
            Change::None => {}
            Change::Taken => tracing::info!(keys = file.keys().all().len(), %path, "keys taken"),
            Change::Refused(error) => {
                tracing::warn!(%error, "the keys of before hold, because the file cannot be used");
            }
        }
        ask(guard, &file.keys(), now_ms)
    }

    /// The whole body, and the room that it takes.
    async fn whole(
        &self,
        claim: &Claim<'_>,
        headers: &HeaderMap,
        body: &mut Unread,
    ) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Refusal> {
        let bytes_max = claim.body_bytes_max();
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let length = length.and_then(|text| text.parse::<u64>().ok());
        let bytes = match length {
            Some(length) if length > bytes_max as u64 => return Err(Refusal::BodyTooLarge),
            // It fits into the bound, so into a machine's word.
            Some(length) => usize::try_from(length).unwrap_or(bytes_max),
            None if hyper::body::Body::is_end_stream(body) => 0,
            None => bytes_max,
        };
        let room = if bytes > API_FORM_BYTES_MAX {
            // The bound of one body is that of a number of 32 bits.
            let permits = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX);
            let room = timeout(API_STALL_MAX, self.bodies.acquire_many(permits)).await;
            Some(room.map_err(|_| Refusal::Busy)?.map_err(|_| Refusal::Busy)?)
        } else {
            None
        };
        let read = timeout(API_STALL_MAX, Limited::new(body, bytes_max).collect()).await;
        let read = read.map_err(|_| Refusal::BodyLate)?.map_err(|error| {
            let is_large = error.is::<LengthLimitError>();
            if is_large { Refusal::BodyTooLarge } else { Refusal::BodyBroken }
        })?;
        Ok((read.to_bytes(), room))
    }
}
