//! Who asks.

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// By SO_PEERCRED; none where the kernel does not say.
    pub(super) uid: Option<u32>,
}
