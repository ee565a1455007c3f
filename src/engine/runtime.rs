//! What asynchronous code runs on: the control thread, and the last snapshot of a clean stop.

use crate::io::Backend;
use crate::snapshot::Disk;
use std::io;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// Runs `future` to its end on this thread: on tokio-uring's runtime, or where the workers have no
/// io_uring on tokio's own, which tokio-uring's is but for its ring.
///
/// # Errors
/// Where no runtime can be had.
pub(super) fn run<F: Future>(backend: Backend, future: F) -> io::Result<F::Output> {
    match backend {
        Backend::IoUring => Ok(tokio_uring::start(future)),
        Backend::Epoll => {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            Ok(LocalSet::new().block_on(&runtime, future))
        }
    }
}

/// How files are written on that runtime.
pub(super) const fn disk(backend: Backend) -> Disk {
    match backend {
        Backend::IoUring => Disk::Ring,
        Backend::Epoll => Disk::Threads,
    }
}
