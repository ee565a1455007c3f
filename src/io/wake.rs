//! Wakes a worker from another thread: an eventfd that the worker's backend waits for.

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// Wakes one worker. Cheap to clone, usable from any thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<EventFd>);

impl Waker {
    pub(super) fn new() -> Result<Self, Errno> {
        let fd = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC)?;
        Ok(Self(Arc::new(fd)))
    }

    /// What becomes readable by a wake-up.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Makes the worker's present or next wait return at once.
    pub fn wake(&self) {
        // The only error of a blocking eventfd is a counter that is full, and then it wakes
        // already; it cannot get there, because each wake-up adds one and each wait takes all.
        let result = self.0.write(1);
        debug_assert!(matches!(result, Ok(_) | Err(Errno::EAGAIN)));
    }
}
