//! The real world: the host's kernel, through whichever of its interfaces this process may use.
//!
//! A match per call and not a trait object: the branch is always the same one, and the worker's
//! loop is compiled once.

use super::uring::Uring;
use super::{Buffer, Completion, Io, IoError, Op, Unsupported, Waker};
use crate::time::Instant;

/// How sockets are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// One ring per worker, with direct descriptors.
    IoUring,
}

impl Backend {
    /// Every one.
    pub const ALL: [Self; 1] = [Self::IoUring];

    /// As configuration, logs and answers call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IoUring => "io_uring",
        }
    }
}

/// The sockets of one worker on this host. See [`Io`] for what it does.
pub enum Host {
    /// On io_uring.
    Uring(Box<Uring>),
}

impl Host {
    /// Sockets for `slots` slots, on the thread that will use them; if `tested`, after a short
    /// exchange on loopback has shown that all works that the worker relies on.
    ///
    /// # Errors
    /// Where the kernel lacks something, or forbids it: what, and the cure.
    pub fn open(backend: Backend, slots: u32, tested: bool) -> Result<Self, Unsupported> {
        match backend {
            Backend::IoUring => {
                let uring = if tested { Uring::tested(slots) } else { Uring::new(slots) };
                Ok(Self::Uring(Box::new(uring?)))
            }
        }
    }

    /// What wakes [`Io::wait`] from another thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        match self {
            Self::Uring(uring) => uring.waker(),
        }
    }

    /// The backend's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Uring(_) => Backend::IoUring.name(),
        }
    }
}

impl Io for Host {
    fn now(&mut self) -> Instant {
        match self {
            Self::Uring(uring) => uring.now(),
        }
    }

    fn capacity(&self) -> u32 {
        match self {
            Self::Uring(uring) => uring.capacity(),
        }
    }

    fn room(&self) -> usize {
        match self {
            Self::Uring(uring) => uring.room(),
        }
    }

    fn submit(&mut self, op: Op<'_>) {
        match self {
            Self::Uring(uring) => uring.submit(op),
        }
    }

    fn wait(&mut self, until: Instant, completions: &mut Vec<Completion>) -> Result<(), IoError> {
        match self {
            Self::Uring(uring) => uring.wait(until, completions),
        }
    }

    fn bytes(&self, buffer: &Buffer) -> &[u8] {
        match self {
            Self::Uring(uring) => uring.bytes(buffer),
        }
    }

    fn recycle(&mut self, buffer: Buffer) {
        match self {
            Self::Uring(uring) => uring.recycle(buffer),
        }
    }

    fn dropped(&mut self) -> u64 {
        match self {
            Self::Uring(uring) => uring.dropped(),
        }
    }
}
