//! The real world where io_uring cannot be had: the same recycled sockets on epoll, one per worker.
//!
//! Why so: what recycling saves (`connect(AF_UNSPEC)` sends RST and keeps the socket with its
//! options) is more than what the ring does, so this costs little more per probe. A socket is
//! watched once, when it is made, and told of by edges: no `epoll_ctl` per probe. Operations are
//! queued by [`Io::submit`] and carried out by [`Io::wait`], in order, as a ring would; those that
//! the kernel cannot finish at once wait in their slot for an event. A socket is a file of the
//! process, so slots are bounded by its file limit.

#![allow(unsafe_code, reason = "epoll_pwait2 is in no crate")]

mod buffers;
mod interest;
mod slot;
mod socket;

use super::drops::Drops;
use super::{
    Buffer, Completion, Io, IoError, Kind, Op, Socket, Token, Unsupported, Waker, Watch, selftest,
};
use crate::limits::SQ_ENTRIES;
use crate::time::{Instant, monotonic};
use buffers::Buffers;
use interest::{EVENTS, Interest, WAKE, WATCHED};
use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;
use nix::unistd::read;
use slot::{Slot, Tried};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// Completions that one [`Io::wait`] brings before it leaves the rest to the next.
const REAP_MAX: usize = 16_384;

/// Sockets on one epoll. See [`Io`] for what it does.
#[derive(Debug)]
pub struct Epoll {
    interest: Interest,
    slots: Box<[Slot]>,
    /// What is to be carried out, in order.
    queue: Vec<Queued>,
    buffers: Buffers,
    /// Slots whose receive found all buffers lent.
    starved: VecDeque<u32>,
    drops: Drops,
    waker: Waker,
    /// Files of others that are watched.
    watched: Vec<RawFd>,
}

/// An operation to carry out; a send's bytes lie in its slot.
#[derive(Clone, Copy, Debug)]
enum Queued {
    Connect(Token, SocketAddr, Socket),
    Send(Token),
    Receive(Token),
    Cancel(Token),
    Disconnect(u32),
    Close(u32),
}

impl Epoll {
    /// An epoll for `capacity` slots.
    ///
    /// # Errors
    /// Where the process may have no more files, or the kernel has no memory: what, and the cure.
    pub fn new(capacity: u32) -> Result<Self, Unsupported> {
        let unsupported = |what: &str, errno: Errno| Unsupported {
            what: format!("cannot {what}: {} ({errno:?})", errno.desc().to_lowercase()),
            cure: "raise the file limit (ulimit -n, LimitNOFILE=)".to_owned(),
        };
        let interest = Interest::new().map_err(|errno| unsupported("create an epoll", errno))?;
        let waker = Waker::new().map_err(|errno| unsupported("create an eventfd", errno))?;
        interest
            .watch_readable(waker.fd(), WAKE)
            .map_err(|errno| unsupported("watch an eventfd", errno))?;
        Ok(Self {
            interest,
            slots: (0..capacity).map(|_| Slot::default()).collect(),
            queue: Vec::new(),
            buffers: Buffers::new(),
            starved: VecDeque::new(),
            drops: Drops::open(monotonic()),
            waker,
            watched: Vec::new(),
        })
    }

    /// An epoll as [`Epoll::new`] makes it, after a short exchange with a listener of its own on
    /// loopback has shown that recycled sockets work on this kernel.
    ///
    /// # Errors
    /// As [`Epoll::new`], and where the exchange went wrong.
    pub fn tested(capacity: u32) -> Result<Self, Unsupported> {
        let mut epoll = Self::new(capacity)?;
        selftest::run(&mut epoll).map_err(|wrong| Unsupported {
            what: format!("epoll self-test: {wrong}"),
            cure: "sockets do not behave here as on Linux; run ringcheck on another host"
                .to_owned(),
        })?;
        Ok(epoll)
    }

    /// What wakes [`Io::wait`] from another thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn slot(&mut self, slot: u32) -> &mut Slot {
        &mut self.slots[slot as usize]
    }

    /// Queues an operation whose completion the worker expects.
    fn expect(&mut self, token: Token, queued: Queued) {
        let Token { slot, kind, .. } = token;
        let bit = 1 << kind as u8;
        let in_flight = &mut self.slot(slot).in_flight;
        assert_eq!(*in_flight & bit, 0, "slot {slot} has a {kind:?} in flight");
        *in_flight |= bit;
        self.queue.push(queued);
    }

    fn assert_idle(&self, slot: u32) {
        let in_flight = self.slots[slot as usize].in_flight;
        assert_eq!(in_flight, 0, "slot {slot} has operations in flight");
    }

    /// Carries out all that was queued, in order.
    fn carry_out(&mut self, completions: &mut Vec<Completion>) {
        let mut queue = std::mem::take(&mut self.queue);
        for queued in queue.drain(..) {
            let tried = match queued {
                Queued::Connect(token, address, sort) => {
                    let slot = &mut self.slots[token.slot as usize];
                    slot.connect(token, address, sort, &self.interest)
                }
                Queued::Send(token) => self.slot(token.slot).send(token),
                Queued::Receive(token) => {
                    let slot = &mut self.slots[token.slot as usize];
                    slot.receive(token, &mut self.buffers)
                }
                Queued::Cancel(token) => self.slot(token.slot).cancel(token),
                Queued::Disconnect(slot) => {
                    self.slot(slot).disconnect();
                    continue;
                }
                Queued::Close(slot) => {
                    self.slot(slot).close();
                    continue;
                }
            };
            let (Queued::Connect(token, ..)
            | Queued::Send(token)
            | Queued::Receive(token)
            | Queued::Cancel(token)) = queued
            else {
                continue;
            };
            self.note(token.slot, tried, completions);
        }
        self.queue = queue;
    }

    /// Notes what became of a try on a slot.
    fn note(&mut self, slot: u32, tried: Tried, completions: &mut Vec<Completion>) {
        match tried {
            Tried::Done(token, done) => {
                self.slot(slot).in_flight &= !(1 << token.kind as u8);
                completions.push(Completion { token, done });
            }
            Tried::Waits => {}
            Tried::Starved => self.starved.push_back(slot),
        }
    }

    /// Receives for those that found all buffers lent; the worker has given them back since.
    fn feed_starved(&mut self, completions: &mut Vec<Completion>) {
        for _ in 0..self.starved.len() {
            let Some(slot) = self.starved.pop_front() else { return };
            let tried = self.slots[slot as usize].go_on_receiving(&mut self.buffers);
            self.note(slot, tried, completions);
        }
    }

    /// Lets the operations of one slot go on as far as its socket's readiness says.
    fn go_on(&mut self, slot: u32, flags: EpollFlags, completions: &mut Vec<Completion>) {
        self.slot(slot).ready(flags);
        let tried = self.slot(slot).go_on_connecting(flags);
        self.note(slot, tried, completions);
        if self.slot(slot).may_send(flags) {
            let tried = self.slot(slot).go_on_sending();
            self.note(slot, tried, completions);
        }
        let tried = self.slots[slot as usize].go_on_receiving(&mut self.buffers);
        self.note(slot, tried, completions);
    }

    /// Takes in the first `count` events; true where one of them is a wake-up, or
    /// of a watched file.
    fn take_events(&mut self, count: usize, completions: &mut Vec<Completion>) -> bool {
        let (mut woken, mut watched) = (false, false);
        for index in 0..count {
            let (key, flags) = self.interest.event(index);
            match u32::try_from(key) {
                Ok(slot) => self.go_on(slot, flags, completions),
                Err(_) if key == WATCHED => watched = true,
                Err(_) => woken = true,
            }
        }
        if woken {
            // It is readable, so this does not block: nobody else reads it.
            let _ = read(self.waker.fd(), &mut [0; size_of::<u64>()]);
        }
        woken || watched
    }
}

impl Io for Epoll {
    fn now(&mut self) -> Instant {
        monotonic()
    }

    #[expect(clippy::cast_possible_truncation, reason = "made from a u32")]
    fn capacity(&self) -> u32 {
        self.slots.len() as u32
    }

    fn room(&self) -> usize {
        SQ_ENTRIES
    }

    fn submit(&mut self, op: Op<'_>) {
        match op {
            Op::Connect { token, address, socket } => {
                assert_eq!(token.kind, Kind::Connect, "the token of a connect");
                self.expect(token, Queued::Connect(token, address, socket));
            }
            Op::Send { token, bytes } => {
                assert_eq!(token.kind, Kind::Send, "the token of a send");
                let slot = self.slot(token.slot);
                let sending = slot.in_flight & 1 << Kind::Send as u8;
                assert_eq!(sending, 0, "slot {} is sending", token.slot);
                slot.request.clear();
                slot.request.extend_from_slice(bytes);
                self.expect(token, Queued::Send(token));
            }
            Op::Receive { token } => {
                assert_eq!(token.kind, Kind::Receive, "the token of a receive");
                self.expect(token, Queued::Receive(token));
            }
            Op::Cancel { token } => self.queue.push(Queued::Cancel(token)),
            Op::Disconnect { slot } => {
                self.assert_idle(slot);
                self.queue.push(Queued::Disconnect(slot));
            }
            Op::Close { slot } => {
                self.assert_idle(slot);
                self.queue.push(Queued::Close(slot));
            }
        }
    }

    fn wait(&mut self, until: Instant, completions: &mut Vec<Completion>) -> Result<(), IoError> {
        let before = completions.len();
        self.feed_starved(completions);
        self.carry_out(completions);
        let mut woken = false;
        loop {
            let is_over = woken || completions.len() > before;
            let patience = if is_over { Duration::ZERO } else { until.since(monotonic()) };
            let count = self.interest.wait(patience).map_err(|errno| IoError {
                what: "epoll_wait",
                errno,
                cure: "this is a fault of ringcheck or of the kernel; please report it",
            })?;
            woken |= self.take_events(count, completions);
            let brought = completions.len() - before;
            if count == EVENTS && brought < REAP_MAX {
                // There may be more: take it too, so that no deadline is judged while an answer
                // lies unread.
                continue;
            }
            // Sockets that nobody waits for tell of their disconnects; that is no reason to return.
            if woken || brought > 0 || patience.is_zero() || monotonic() >= until {
                return Ok(());
            }
        }
    }

    fn bytes(&self, buffer: &Buffer) -> &[u8] {
        self.buffers.bytes(buffer)
    }

    fn recycle(&mut self, buffer: Buffer) {
        self.buffers.recycle(buffer.id);
    }

    fn dropped(&mut self) -> u64 {
        self.drops.dropped(monotonic())
    }
}

impl Watch for Epoll {
    fn watch(&mut self, fd: BorrowedFd<'_>) {
        // It is told of as long as it can be read, so once is enough. A file that cannot be watched
        // is found readable when the wait ends by itself, a tenth of a second later at most.
        if !self.watched.contains(&fd.as_raw_fd())
            && self.interest.watch_readable(fd, WATCHED).is_ok()
        {
            self.watched.push(fd.as_raw_fd());
        }
    }
}
