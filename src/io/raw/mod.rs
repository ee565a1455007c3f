//! TCP connects without sockets (`handshake = "raw"`), beside those with sockets.
//!
//! A socket that waits for a silent target is kernel memory, a slot and a timer; thousands of them
//! are what makes a blackout dear. Here a probe is a SYN out of a raw socket and forty bytes of
//! ours, and its answer is found by the number that it acknowledges. Needs CAP_NET_RAW.
//!
//! [`HalfOpen`] puts the two together: slots from [`Io::capacity`] on are raw, the others are those
//! of the sockets that it wraps. `unsafe` is in `batch` and `sources`, with what it must uphold.

#![allow(unsafe_code, reason = "an I/O backend is where unsafe code is allowed")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "fields of packets and of the kernel are narrow; what is cast is constant or masked"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "matches over errnos and control messages name those that matter"
)]

mod batch;
mod filter;
mod packet;
mod retries;
mod scanner;
mod sequence;
mod sockets;
mod sources;

use super::{Buffer, Completion, Io, IoError, Op, Watch};
use crate::limits::RAW_IN_FLIGHT_MAX;
use crate::time::Instant;
use nix::errno::Errno;
use scanner::Scanner;

/// A backend with sockets, and raw slots above its own. See [`Io`] for what it does.
pub struct HalfOpen<I> {
    sockets: I,
    /// None until the first raw connect.
    scanner: Option<Box<Scanner>>,
    /// What the scanner has lost so far, where it was asked since the last wait.
    lost: Option<u64>,
}

/// An instant that is over: a wait until then does not wait.
const PAST: Instant = Instant::ZERO;

impl<I: Io> HalfOpen<I> {
    /// Raw slots beside those of `sockets`. Opens nothing before the first raw connect.
    pub const fn new(sockets: I) -> Self {
        Self { sockets, scanner: None, lost: None }
    }

    /// The raw side, if `slot` is one of its.
    fn raw(&mut self, slot: u32) -> Option<&mut Scanner> {
        let base = self.sockets.capacity();
        (slot >= base)
            .then(|| &mut **self.scanner.get_or_insert_with(|| Box::new(Scanner::new(base))))
    }
}

impl<I: Io + Watch> Io for HalfOpen<I> {
    fn now(&mut self) -> Instant {
        self.sockets.now()
    }

    fn capacity(&self) -> u32 {
        self.sockets.capacity()
    }

    fn raw_capacity(&self) -> u32 {
        RAW_IN_FLIGHT_MAX
    }

    fn room(&self) -> usize {
        self.sockets.room()
    }

    fn submit(&mut self, op: Op<'_>) {
        let slot = match op {
            Op::Connect { token, .. }
            | Op::Send { token, .. }
            | Op::Receive { token }
            | Op::Cancel { token } => token.slot,
            Op::Disconnect { slot } | Op::Close { slot } => slot,
        };
        let Some(scanner) = self.raw(slot) else { return self.sockets.submit(op) };
        match op {
            Op::Connect { token, address, .. } => scanner.connect(token, address),
            Op::Cancel { token } => scanner.cancel(token),
            // The kernel has sent its RST long since.
            Op::Disconnect { slot } | Op::Close { slot } => scanner.assert_idle(slot),
            Op::Send { .. } | Op::Receive { .. } => panic!("slot {slot} can connect and no more"),
        }
    }

    fn wait(&mut self, until: Instant, completions: &mut Vec<Completion>) -> Result<(), IoError> {
        let Some(scanner) = &mut self.scanner else { return self.sockets.wait(until, completions) };
        self.lost = None;
        let now = self.sockets.now();
        if scanner.flush(now) {
            // Near targets have answered by now.
            scanner.hear();
        }
        scanner.deliver(completions);
        if completions.is_empty() {
            scanner.fds().for_each(|fd| self.sockets.watch(fd));
            let until = scanner.wake(now).map_or(until, |wake| wake.min(until));
            self.sockets.wait(until, completions)?;
        } else {
            self.sockets.wait(PAST, completions)?;
        }
        // So that no deadline is judged while an answer lies unread.
        scanner.hear();
        scanner.deliver(completions);
        Ok(())
    }

    fn bytes(&self, buffer: &Buffer) -> &[u8] {
        self.sockets.bytes(buffer)
    }

    fn recycle(&mut self, buffer: Buffer) {
        self.sockets.recycle(buffer);
    }

    fn dropped(&mut self) -> u64 {
        let scanner = self.scanner.as_deref();
        let lost = *self.lost.get_or_insert_with(|| scanner.map_or(0, Scanner::lost));
        self.sockets.dropped().wrapping_add(lost)
    }
}

/// Why this process cannot scan. The text is one line, `what; cure`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {cure}")]
pub struct CannotScan {
    /// What is missing.
    pub what: String,
    /// What a person can do about it.
    pub cure: &'static str,
}

/// Says whether this process may scan.
///
/// # Errors
/// What is missing, and the cure.
pub fn may_scan() -> Result<(), CannotScan> {
    use socket2::{Domain, Protocol, Socket, Type};
    let Err(error) = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::TCP)) else {
        return Ok(());
    };
    let (what, cure) = match sockets::errno(&error) {
        Errno::EPERM | Errno::EACCES => {
            let what = "CAP_NET_RAW, which this process does not have".to_owned();
            let cure = "run setcap cap_net_raw+ep on the binary, or set \
                        AmbientCapabilities=CAP_NET_RAW in the unit file, or give the container \
                        --cap-add NET_RAW, or use handshake \"half\"";
            (what, cure)
        }
        errno => (format!("raw sockets, which cannot be had ({errno})"), "use handshake \"half\""),
    };
    Err(CannotScan { what: format!("handshake \"raw\" needs {what}"), cure })
}
