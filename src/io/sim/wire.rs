//! One accepted connection: how far the peer's talk is, and what lies in our receive queue.
//!
//! Errors follow Linux: bytes that came before a RST can still be read, the RST is told once (to a
//! send or a receive, whichever is first), then a receive finds the end and a send finds `EPIPE`.

use super::peer::{End, Starts, Step, Talk, Talker};
use crate::limits::RECEIVE_BUFFER_BYTES;
use crate::rng::Rng;
use crate::time::nanos;
use nix::errno::Errno;
use std::sync::Arc;
use std::time::Duration;

/// Bytes that the receive queue holds; a peer that sends more has to wait.
const QUEUE_BYTES: usize = 64 * 1_024;
/// Shortest gap between two pieces of an endless talk, so that virtual time goes on.
const GAP_MIN: Duration = Duration::from_micros(10);

/// One connection; reused for the next one of its slot, so that its memory is kept.
#[derive(Default)]
pub(super) struct Wire {
    talk: Option<Arc<Talk>>,
    /// Who makes the talk as it goes, where it is not written.
    talker: Option<Box<dyn Talker>>,
    /// A piece of the talker's is on its way.
    coming: bool,
    step: usize,
    offset: usize,
    begun: bool,
    queue: Vec<u8>,
    read: usize,
    /// The peer's FIN or RST is here.
    ended: bool,
    /// The RST is not told yet.
    error: Option<Errno>,
    reset: bool,
    /// This connection's round trip.
    pub(super) round_trip: Duration,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("talk", &self.talk).field("step", &self.step).finish()
    }
}

impl Wire {
    /// Makes this a fresh connection.
    pub(super) fn open(
        &mut self,
        talk: Option<Arc<Talk>>,
        talker: Option<Box<dyn Talker>>,
        round_trip: Duration,
    ) {
        let mut queue = std::mem::take(&mut self.queue);
        queue.clear();
        *self = Self { talk, talker, queue, round_trip, ..Self::default() };
    }

    /// The handshake is done: how long until the first bytes come, if they come unasked, or until
    /// the peer gives up.
    pub(super) fn established(&mut self, rng: &mut Rng) -> Option<Duration> {
        let talk = self.talk.as_ref()?;
        match talk.starts {
            Starts::AtOnce => {
                self.begun = true;
                Some(Duration::from_nanos(rng.below(nanos(self.round_trip) / 2 + 1)))
            }
            Starts::OnRequest => None,
            Starts::OnRequestWithin(patience) => Some(patience),
        }
    }

    /// Sends the request: how long until the first bytes come, if it makes them come.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<Option<Duration>, Errno> {
        if let Some(errno) = self.error.take() {
            return Err(errno);
        }
        if self.reset {
            return Err(Errno::EPIPE);
        }
        let first = !std::mem::replace(&mut self.begun, true);
        if let (Some(talk), Some(talker)) = (&self.talk, &mut self.talker) {
            let talk = talk.go_on(self.step, &mut **talker, bytes);
            let begins = !self.coming && !self.ended && talk.is_left(0);
            (self.talk, self.step) = (Some(Arc::new(talk)), 0);
            self.coming |= begins;
            return Ok(begins.then_some(self.round_trip));
        }
        Ok((first && !self.ended && self.talk.is_some()).then_some(self.round_trip))
    }

    /// The next piece comes; how long until the one after it, if there is one.
    pub(super) fn arrive(&mut self, rng: &mut Rng) -> Option<Duration> {
        let talk = Arc::clone(self.talk.as_ref()?);
        if !self.begun {
            return self.end(End::Close);
        }
        loop {
            match talk.steps.get(self.step) {
                None => {
                    self.coming = false;
                    return self.end(talk.end);
                }
                Some(Step::Pause(pause)) => {
                    self.step += 1;
                    return Some(*pause);
                }
                Some(Step::Send(bytes)) => {
                    let left = bytes.len() - self.offset;
                    let split = left > 1 && rng.chance(1, 4);
                    let taken = if split { below(left - 1, rng) + 1 } else { left };
                    self.take_in(bytes, taken);
                    // The next piece, or the FIN, is in the same packet or a little later.
                    if split || rng.chance(1, 2) {
                        let gap = rng.below(nanos(self.round_trip) / 4 + 1);
                        return Some(Duration::from_nanos(gap));
                    }
                }
                Some(Step::Drip(bytes, gap)) => {
                    self.take_in(bytes, bytes.len().min(1));
                    return Some((*gap).max(GAP_MIN));
                }
                Some(Step::Forever(bytes, gap)) => {
                    if self.queue.len() - self.read + bytes.len() <= QUEUE_BYTES {
                        self.queue.extend_from_slice(bytes);
                    }
                    return Some((*gap).max(GAP_MIN));
                }
            }
        }
    }

    fn take_in(&mut self, bytes: &[u8], count: usize) {
        self.queue.extend_from_slice(&bytes[self.offset..self.offset + count]);
        self.offset += count;
        if self.offset == bytes.len() {
            (self.step, self.offset) = (self.step + 1, 0);
        }
    }

    /// The talk is over; how long until the peer loses patience.
    fn end(&mut self, end: End) -> Option<Duration> {
        match end {
            End::Hold => {}
            End::Close => self.ended = true,
            End::Reset => {
                (self.ended, self.reset) = (true, true);
                self.error = Some(Errno::ECONNRESET);
            }
            End::Again(patience) => {
                (self.step, self.offset, self.begun) = (0, 0, false);
                return patience;
            }
        }
        None
    }

    /// Whether a receive has something to tell.
    pub(super) const fn readable(&self) -> bool {
        self.ended || self.read < self.queue.len()
    }

    /// What a receive may take now; no bytes are the end of the stream.
    pub(super) fn peek(&mut self) -> Result<&[u8], Errno> {
        if self.read == self.queue.len()
            && let Some(errno) = self.error.take()
        {
            return Err(errno);
        }
        let end = self.queue.len().min(self.read + RECEIVE_BUFFER_BYTES);
        Ok(&self.queue[self.read..end])
    }

    /// Takes what [`Wire::peek`] showed.
    pub(super) fn consume(&mut self, count: usize) {
        self.read += count;
        if self.read == self.queue.len() {
            self.read = 0;
            self.queue.clear();
        }
    }
}

fn below(bound: usize, rng: &mut Rng) -> usize {
    usize::try_from(rng.below(bound as u64)).unwrap_or(0)
}
