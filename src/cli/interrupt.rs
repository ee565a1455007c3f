//! Ctrl-C as something to look at between two steps, so that a run can say what it has done so far.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The first SIGINT, kept for whoever asks. The second one ends the process as always.
#[derive(Debug)]
pub(super) struct Interrupt {
    signals: SigSet,
    caught: SignalFd,
}

impl Interrupt {
    /// Keeps SIGINT from this thread, and from those that it starts from now on.
    ///
    /// # Errors
    /// Where no file can be had.
    pub(super) fn catch() -> nix::Result<Self> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        let caught =
            SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        signals.thread_block()?;
        Ok(Self { signals, caught })
    }

    /// Whether SIGINT has come.
    pub(super) fn came(&self) -> bool {
        let came = matches!(self.caught.read_signal(), Ok(Some(_)));
        if came {
            // Where that fails, the second Ctrl-C does nothing: no reason to fail the first.
            let _ = self.signals.thread_unblock();
        }
        came
    }
}
