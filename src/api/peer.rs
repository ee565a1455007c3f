//! What a request knows of its connection: who asks, and whether the daemon stops.

use tokio::sync::watch;

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// By SO_PEERCRED; none where the kernel does not say.
    pub(super) uid: Option<u32>,
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
