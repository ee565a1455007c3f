//! What turns the light off and on for a running farm: it swaps the sockets' filters.
//!
//! The kernel takes a new filter in the old one's place at once, between two packets, so neither
//! the change nor the dark costs the farm anything. A connection that was taken before keeps the
//! filter of its time, and its answer.

use super::darkness::STEPS;
use super::listener::Listeners;
use super::refuse::Refuser;
use super::{Darkness, Mix, Percent};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The sockets, and who of their targets is silent. Invariant: while the lock is free, the filters
/// are those of `dark`.
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) mix: Arc<Mix>,
    pub(super) listeners: Arc<Listeners>,
    pub(super) refuser: Option<Arc<Refuser>>,
    pub(super) dark: Mutex<Darkness>,
}

impl Switch {
    /// Blacks this share out, and no other target; none: nobody.
    pub(super) fn black_out(&self, blackout: Option<Percent>) -> io::Result<()> {
        self.change(|dark| dark.blackout = blackout)
    }

    /// Steps the flapping targets on, [`STEPS`] times a `period`, until `stop` is readable.
    pub(super) fn flap(&self, period: Duration, stop: &EventFd) {
        let step = (period / STEPS).max(Duration::from_millis(1));
        let wait = PollTimeout::try_from(step).unwrap_or(PollTimeout::MAX);
        loop {
            let mut files = [PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
            match poll(&mut files, wait) {
                // A filter that is not taken for want of memory is taken at the next step.
                Ok(0) => drop(self.change(|dark| dark.step = dark.step.wrapping_add(1))),
                Err(nix::errno::Errno::EINTR) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut Darkness)) -> io::Result<()> {
        let mut dark = self.dark.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = *dark;
        change(&mut next);
        self.listeners.darken(&self.mix, next)?;
        if let Some(refuser) = &self.refuser {
            refuser.darken(&self.mix, next, self.listeners.port)?;
        }
        *dark = next;
        Ok(())
    }
}
