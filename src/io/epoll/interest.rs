//! The epoll itself: what it watches, and the one wait.

use nix::errno::Errno;
use nix::libc;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Events that one wait takes at most; what is left is taken by the next.
pub(super) const EVENTS: usize = 1_024;
/// The key of the waker; slots have theirs below.
pub(super) const WAKE: u64 = u64::MAX;
/// The key of what is watched for others.
pub(super) const WATCHED: u64 = u64::MAX - 1;

/// An epoll with room for its events.
#[derive(Debug)]
pub(super) struct Interest {
    epoll: Epoll,
    events: Box<[EpollEvent]>,
    /// Whether the kernel waits with a precision of nanoseconds: Linux 5.11, unless a filter
    /// forbids it.
    is_precise: bool,
}

impl Interest {
    pub(super) fn new() -> Result<Self, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let events = vec![EpollEvent::empty(); EVENTS].into_boxed_slice();
        let mut interest = Self { epoll, events, is_precise: true };
        interest.is_precise = interest.wait_precisely(Duration::ZERO).is_ok();
        Ok(interest)
    }

    /// Tells of each change of a socket's readiness, once.
    pub(super) fn watch_changes(&self, fd: impl AsFd, key: u64) -> Result<(), Errno> {
        let flags = EpollFlags::EPOLLIN
            | EpollFlags::EPOLLOUT
            | EpollFlags::EPOLLRDHUP
            | EpollFlags::EPOLLET;
        self.epoll.add(fd, EpollEvent::new(flags, key))
    }

    /// Tells of a descriptor as long as it can be read.
    pub(super) fn watch_readable(&self, fd: impl AsFd, key: u64) -> Result<(), Errno> {
        self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, key))
    }

    /// Waits until something is ready, for `patience` at most; returns how much is. A signal ends
    /// it early.
    pub(super) fn wait(&mut self, patience: Duration) -> Result<usize, Errno> {
        let waited = if self.is_precise {
            self.wait_precisely(patience)
        } else {
            self.epoll.wait(&mut self.events, whole_millis(patience))
        };
        if waited == Err(Errno::EINTR) { Ok(0) } else { waited }
    }

    /// The key and the flags of one event of the last wait.
    pub(super) fn event(&self, index: usize) -> (u64, EpollFlags) {
        let event = &self.events[index];
        (event.data(), event.events())
    }

    fn wait_precisely(&mut self, patience: Duration) -> Result<usize, Errno> {
        let patience = KernelTimespec {
            seconds: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            nanos: patience.subsec_nanos().into(),
        };
        // SAFETY: the events are EVENTS of the kernel's own layout (`EpollEvent` is transparent),
        // the kernel writes that many at most, and reads the timespec; both live until it returns.
        // Without a signal mask its size is not looked at.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.epoll.0.as_raw_fd(),
                self.events.as_mut_ptr(),
                EVENTS,
                &raw const patience,
                std::ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        Errno::result(count).map(|count| usize::try_from(count).unwrap_or(0))
    }
}

/// `struct __kernel_timespec`, which is the same on every machine.
#[repr(C)]
struct KernelTimespec {
    seconds: i64,
    nanos: i64,
}

/// Milliseconds, rounded up: waking before the time would make the worker ask again and again until
/// it has come.
fn whole_millis(patience: Duration) -> u16 {
    u16::try_from(patience.as_nanos().div_ceil(1_000_000)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::monotonic;

    #[test]
    fn both_ways_to_wait_last_as_long_as_asked_and_hardly_longer() {
        let mut interest = Interest::new().unwrap();
        assert!(interest.is_precise, "every kernel that the tests run on has it");
        for is_precise in [true, false] {
            interest.is_precise = is_precise;
            for micros in [0, 1, 999, 5_300] {
                let patience = Duration::from_micros(micros);
                // A busy machine may be late; it cannot be so each time.
                let took = (0..100).map(|_| {
                    let before = monotonic();
                    assert_eq!(interest.wait(patience), Ok(0));
                    monotonic().since(before)
                });
                let took = took.min().unwrap();
                let most = patience + Duration::from_millis(if is_precise { 1 } else { 2 });
                assert!(took >= patience && took < most, "{took:?} for {patience:?}");
            }
        }
        assert_eq!(whole_millis(Duration::MAX), u16::MAX);
    }
}
