//! The real world: the host's kernel, through whichever of its interfaces this process may use.
//!
//! A match per call and not a trait object: the branch is always the same one, and the worker's
//! loop is compiled once.

use super::epoll::Epoll;
use super::uring::Uring;
use super::{Buffer, Completion, Io, IoError, Op, Unsupported, Waker, Watch};
use crate::time::Instant;
use std::os::fd::BorrowedFd;

/// How sockets are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// One ring per worker, with direct descriptors.
    IoUring,
    /// One epoll per worker, with a file of the process per socket.
    Epoll,
}

impl Backend {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::IoUring, Self::Epoll];

    /// As configuration, logs and answers call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        }
    }
}

/// The sockets of one worker on this host. See [`Io`] for what it does.
pub enum Host {
    /// On io_uring.
    Uring(Box<Uring>),
    /// On epoll.
    Epoll(Box<Epoll>),
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
            Backend::Epoll => {
                let epoll = if tested { Epoll::tested(slots) } else { Epoll::new(slots) };
                Ok(Self::Epoll(Box::new(epoll?)))
            }
        }
    }

    /// What wakes [`Io::wait`] from another thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        match self {
            Self::Uring(uring) => uring.waker(),
            Self::Epoll(epoll) => epoll.waker(),
        }
    }

    /// The backend's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Uring(_) => Backend::IoUring.name(),
            Self::Epoll(_) => Backend::Epoll.name(),
        }
    }
}

impl Io for Host {
    fn now(&mut self) -> Instant {
        match self {
            Self::Uring(uring) => uring.now(),
            Self::Epoll(epoll) => epoll.now(),
        }
    }

    fn capacity(&self) -> u32 {
        match self {
            Self::Uring(uring) => uring.capacity(),
            Self::Epoll(epoll) => epoll.capacity(),
        }
    }

    fn room(&self) -> usize {
        match self {
            Self::Uring(uring) => uring.room(),
            Self::Epoll(epoll) => epoll.room(),
        }
    }

    fn submit(&mut self, op: Op<'_>) {
        match self {
            Self::Uring(uring) => uring.submit(op),
            Self::Epoll(epoll) => epoll.submit(op),
        }
    }

    fn wait(&mut self, until: Instant, completions: &mut Vec<Completion>) -> Result<(), IoError> {
        match self {
            Self::Uring(uring) => uring.wait(until, completions),
            Self::Epoll(epoll) => epoll.wait(until, completions),
        }
    }

    fn bytes(&self, buffer: &Buffer) -> &[u8] {
        match self {
            Self::Uring(uring) => uring.bytes(buffer),
            Self::Epoll(epoll) => epoll.bytes(buffer),
        }
    }

    fn recycle(&mut self, buffer: Buffer) {
        match self {
            Self::Uring(uring) => uring.recycle(buffer),
            Self::Epoll(epoll) => epoll.recycle(buffer),
        }
    }

    fn dropped(&mut self) -> u64 {
        match self {
            Self::Uring(uring) => uring.dropped(),
            Self::Epoll(epoll) => epoll.dropped(),
        }
    }
}

impl Watch for Host {
    fn watch(&mut self, fd: BorrowedFd<'_>) {
        match self {
            Self::Uring(uring) => uring.watch(fd),
            Self::Epoll(epoll) => epoll.watch(fd),
        }
    }
}
