//! What a request knows of its connection: who asks, and whether the daemon stops.

use axum::extract::Request;
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// Who is at the other end. Printed for logs as `uid 0`, or as `key ID`.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    /// On the socket: by SO_PEERCRED; none where the kernel does not say.
    pub(super) uid: Option<u32>,
    /// Over TCP: the id of the key that signed the request.
    pub(super) key: Option<Arc<str>>,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.key, self.uid) {
            (Some(key), _) => write!(f, "key {key}"),
            (None, Some(uid)) => write!(f, "uid {uid}"),
            (None, None) => f.write_str("nobody known"),
        }
    }
}

impl Peer {
    /// Whoever sent `request`.
    pub(super) fn of(request: &Request) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }
}

/// Whether the daemon stops, for answers that have no end of their own.
#[derive(Clone, Debug)]
pub(super) struct Stopping(pub(super) watch::Receiver<()>);

impl Stopping {
    /// The server says so by dropping its end.
    pub(super) fn is_so(&self) -> bool {
        self.0.has_changed().is_err()
    }
}
