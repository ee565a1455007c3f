//! The real world: sockets on io_uring, one ring per worker thread.
//!
//! Why so (docs/PERFORMANCE.md has the figures): sockets are direct descriptors that are created
//! once per slot and recycled by `CONNECT(AF_UNSPEC)`, which sends RST, keeps the socket's options
//! and picks a fresh source port; operations are unlinked, because the kernel attempts them in the
//! order of submission and each link would cost a second pass; one `io_uring_enter` a turn submits
//! and waits, bounded by an absolute deadline; there is no kernel timer per probe.
//!
//! `unsafe` lives in this folder only. What it must uphold:
//! - Memory that the kernel reads or writes after submission (request bytes, addresses, receive
//!   buffers, the wake-up counter) is owned by `Memory`, never moves, is not touched while an
//!   operation uses it (asserted by each slot's in-flight bits), and is freed only after every
//!   operation has come back; else it is leaked.
//! - A ring is created, used and dropped on one thread.

#![allow(unsafe_code, reason = "the I/O backend is where unsafe code is allowed")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "the kernel's fields are 32 bits wide; what is cast is constant or bounded by capacity"
)]
#![expect(clippy::wildcard_enum_match_arm, reason = "matches over errnos name those that matter")]

mod buffers;
mod memory;
mod setup;
mod verdict;

use super::drops::Drops;
use super::{
    Buffer, Completion, Done, Io, IoError, Kind, Op, Socket, Token, Transport, Unsupported, Waker,
    Watch, selftest,
};
use crate::limits::SQ_ENTRIES;
use crate::time::{Instant, monotonic};
use io_uring::types::{DestinationSlot, Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use memory::Memory;
use nix::errno::Errno;
use nix::libc;
use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// Completions that one enter is asked for at most; also how much deferred work it then runs.
const WANT_MAX: usize = 256;
/// How long an enter waits for more than one completion. Bounds what batching adds to a latency.
const MIN_WAIT_US: u32 = 200;
/// Completions that one [`Io::wait`] brings before it leaves the rest to the next.
const REAP_MAX: usize = 16_384;
/// How long nothing is submitted after the kernel had no memory for it.
const BUSY_PAUSE: Duration = Duration::from_millis(1);
/// The receive buffers' group.
const BUFFER_GROUP: u16 = 0;

/// A deadline that is over: submit, run deferred work, do not wait.
const PAST: Instant = Instant::ZERO;

/// The id of a received buffer where the kernel took none: at the end of the stream.
const NO_BUFFER: u16 = u16::MAX;

/// Flags of `io_uring_enter(2)`; the crate keeps its own to itself.
mod enter {
    pub(super) const GETEVENTS: u32 = 1;
    pub(super) const EXT_ARG: u32 = 1 << 3;
    pub(super) const ABS_TIMER: u32 = 1 << 5;
    pub(super) const NO_IOWAIT: u32 = 1 << 7;
}

/// Low bytes of the `user_data` of operations that are the backend's own affair; [`Token`]s use
/// 0-2.
mod tag {
    pub(super) const SOCKET: u8 = 0xF0;
    pub(super) const OPTION: u8 = 0xF1;
    pub(super) const DISCONNECT: u8 = 0xF2;
    pub(super) const CLOSE: u8 = 0xF3;
    pub(super) const CANCEL: u8 = 0xF4;
    /// With slot and generation, as a [`Token`](super::Token).
    pub(super) const VERDICT: u8 = 0xF5;
    pub(super) const WATCH: u8 = 0xFE;
    pub(super) const WAKE: u8 = 0xFF;
}

/// One ring with its sockets. See [`Io`] for what it does.
pub struct Uring {
    ring: IoUring,
    /// Freed in `drop`, once nothing is in flight.
    memory: ManuallyDrop<Memory>,
    /// By slot.
    sockets: Box<[SlotSocket]>,
    /// Entries that found the submission queue full, in order.
    overflow: VecDeque<squeue::Entry>,
    /// Operations whose completion is still to come and may touch [`Memory`].
    in_flight: usize,
    /// Connects that the kernel calls good, and that are asked whether they are.
    asked: usize,
    /// Operations submitted since the last wait that will bring a completion.
    fresh: usize,
    /// The kernel had no memory or no room at the last enter: start nothing new.
    busy: bool,
    enter_flags: u32,
    waker: Waker,
    drops: Drops,
    /// Files of others whose readiness ends a wait, and whether the kernel watches each just now.
    watched: Vec<(RawFd, bool)>,
}

/// The socket of one slot.
#[derive(Clone, Copy, Debug, Default)]
struct SlotSocket {
    /// The sort of socket in the slot; none: it must be created first.
    sort: Option<Socket>,
    /// Why the socket could not be created, until the connect that needed it has failed.
    fault: Option<Errno>,
    /// One bit per [`Kind`] in flight.
    in_flight: u8,
}

impl Uring {
    /// A ring with `capacity` slots, on the thread that will use it.
    ///
    /// # Errors
    /// Where the kernel lacks something, or forbids it: what, and the cure.
    pub fn new(capacity: u32) -> Result<Self, Unsupported> {
        let (ring, memory) = setup::build(capacity)?;
        let no_iowait = ring.params().is_feature_no_iowait();
        let mut uring = Self {
            ring,
            memory: ManuallyDrop::new(memory),
            sockets: vec![SlotSocket::default(); capacity as usize].into_boxed_slice(),
            overflow: VecDeque::new(),
            in_flight: 0,
            asked: 0,
            fresh: 0,
            busy: false,
            enter_flags: enter::GETEVENTS
                | enter::EXT_ARG
                | enter::ABS_TIMER
                | if no_iowait { enter::NO_IOWAIT } else { 0 },
            waker: Waker::new()
                .map_err(|errno| Unsupported::new("cannot create an eventfd", errno))?,
            drops: Drops::open(monotonic()),
            watched: Vec::new(),
        };
        uring.arm_wake();
        Ok(uring)
    }

    /// A ring as [`Uring::new`] makes it, after a short exchange with a listener of its own on
    /// loopback has shown that each thing the worker relies on works on this kernel.
    ///
    /// # Errors
    /// As [`Uring::new`], and where the exchange went wrong.
    pub fn tested(capacity: u32) -> Result<Self, Unsupported> {
        let mut uring = Self::new(capacity)?;
        selftest::run(&mut uring)
            .map_err(|wrong| Unsupported::feature(format!("io_uring self-test: {wrong}")))?;
        Ok(uring)
    }

    /// What wakes this ring's [`Io::wait`] from another thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    // -- submission --

    /// Queues an entry, behind those that found the queue full.
    fn push(&mut self, entry: squeue::Entry) {
        if !self.overflow.is_empty() || !self.try_push(&entry) {
            self.overflow.push_back(entry);
        }
    }

    fn try_push(&mut self, entry: &squeue::Entry) -> bool {
        for _ in 0..2 {
            // SAFETY: every pointer in an entry points into `Memory` or to a static, see the module
            // documentation; descriptors are the ring's own slots or the waker's eventfd.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return true;
            }
            // Full: submit without waiting, which makes room unless the kernel refuses.
            if self.enter(0, PAST).is_err() || self.busy {
                return false;
            }
        }
        false
    }

    /// As many overflown entries as fit, in order.
    fn drain_overflow(&mut self) {
        while let Some(entry) = self.overflow.pop_front() {
            if !self.try_push(&entry) {
                self.overflow.push_front(entry);
                return;
            }
        }
    }

    /// Queues an operation whose completion the worker expects.
    fn push_token(&mut self, entry: squeue::Entry, token: Token) {
        let socket = &mut self.sockets[token.slot as usize];
        let bit = 1 << token.kind as u8;
        assert_eq!(
            socket.in_flight & bit,
            0,
            "slot {} has a {:?} in flight",
            token.slot,
            token.kind
        );
        socket.in_flight |= bit;
        self.in_flight += 1;
        self.fresh += 1;
        self.push(entry.user_data(token.to_bits()));
    }

    /// Queues the question whether a connect is as good as the kernel says; until it is answered,
    /// the connect counts as in flight.
    fn ask(&mut self, token: Token) {
        self.sockets[token.slot as usize].in_flight |= 1 << Kind::Connect as u8;
        self.in_flight += 1;
        self.asked += 1;
        let entry = verdict::ask(token.slot, &raw mut self.memory.errors[token.slot as usize]);
        self.push(entry.user_data(token.to_bits() | u64::from(tag::VERDICT)));
    }

    /// Queues an operation of our own that brings a completion only if it fails.
    fn push_silent(&mut self, entry: squeue::Entry, slot: u32, tag: u8) {
        let entry = entry.flags(squeue::Flags::SKIP_SUCCESS);
        self.push(entry.user_data(u64::from(slot) << 32 | u64::from(tag)));
    }

    fn connect(&mut self, token: Token, address: SocketAddr, socket: Socket) {
        let slot = token.slot;
        if self.sockets[slot as usize].sort != Some(socket) {
            self.create(slot, socket);
        }
        let (address, len) = self.memory.addresses[slot as usize].set(address);
        self.push_token(opcode::Connect::new(Fixed(slot), address, len).build(), token);
    }

    /// Puts a fresh socket of the right sort into a slot; the kernel closes a former one.
    fn create(&mut self, slot: u32, socket: Socket) {
        self.assert_idle(slot);
        let domain = if socket.ipv6 { libc::AF_INET6 } else { libc::AF_INET };
        let (kind, option) = match socket.transport {
            Transport::Stream { hold_ack } => {
                let defer = (libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT);
                (libc::SOCK_STREAM, hold_ack.then_some(defer))
            }
            // Else the kernel keeps ICMP errors to itself that may pass, such as a host's that
            // cannot be reached.
            Transport::Datagram if socket.ipv6 => {
                (libc::SOCK_DGRAM, Some((libc::IPPROTO_IPV6, libc::IPV6_RECVERR)))
            }
            Transport::Datagram => (libc::SOCK_DGRAM, Some((libc::IPPROTO_IP, libc::IP_RECVERR))),
            Transport::Raw => panic!("slot {slot} is none of the raw ones"),
        };
        // `capacity` was checked against the kernel's limit, so every slot is a valid target.
        let Ok(target) = DestinationSlot::try_from_slot_target(slot) else { return };
        let create = opcode::Socket::new(domain, kind, 0).file_index(Some(target));
        self.push_silent(create.build(), slot, tag::SOCKET);
        if let Some((level, option)) = option {
            static ONE: libc::c_int = 1;
            let option = opcode::SetSockOpt::new(
                Fixed(slot),
                level as u32,
                option as u32,
                (&raw const ONE).cast(),
                size_of_val(&ONE) as u32,
            );
            self.push_silent(option.build(), slot, tag::OPTION);
        }
        self.sockets[slot as usize] = SlotSocket { sort: Some(socket), fault: None, in_flight: 0 };
    }

    fn receive(&mut self, token: Token) {
        /// `IORING_RECVSEND_POLL_FIRST`: nothing is there yet, so do not try before waiting.
        const POLL_FIRST: u16 = 1;
        let receive = opcode::Recv::new(Fixed(token.slot), std::ptr::null_mut(), 0)
            .buf_group(BUFFER_GROUP)
            .ioprio(POLL_FIRST)
            .build()
            .flags(squeue::Flags::BUFFER_SELECT);
        self.push_token(receive, token);
    }

    fn close(&mut self, slot: u32) {
        self.assert_idle(slot);
        self.sockets[slot as usize].sort = None;
        self.push_silent(opcode::Close::new(Fixed(slot)).build(), slot, tag::CLOSE);
    }

    fn assert_idle(&self, slot: u32) {
        let in_flight = self.sockets[slot as usize].in_flight;
        assert_eq!(in_flight, 0, "slot {slot} has operations in flight");
    }

    fn arm_wake(&mut self) {
        let (fd, counter) = (Fd(self.waker.fd().as_raw_fd()), self.memory.wake_counter());
        let read = opcode::Read::new(fd, counter, size_of::<u64>() as u32).build();
        self.in_flight += 1;
        self.push(read.user_data(u64::from(tag::WAKE)));
    }

    // -- waiting --

    /// One `io_uring_enter`: submits everything, waits for `want` completions or until `until`.
    fn enter(&mut self, want: usize, until: Instant) -> Result<(), IoError> {
        let queued = self.ring.submission().len();
        self.enter_with(queued, want, until)
    }

    /// The same, submitting the first `queued` entries only.
    fn enter_with(&mut self, queued: usize, want: usize, until: Instant) -> Result<(), IoError> {
        let nanos = until.as_nanos();
        let deadline =
            Timespec::new().sec(nanos / 1_000_000_000).nsec((nanos % 1_000_000_000) as u32);
        let min_wait = if want > 1 && until > PAST { MIN_WAIT_US } else { 0 };
        let args = SubmitArgs::new().timespec(&deadline).min_wait_usec(min_wait);
        // SAFETY: with EXT_ARG the argument is an io_uring_getevents_arg, which SubmitArgs is by
        // its representation; it and the timespec live until the call returns.
        let result = unsafe {
            self.ring.submitter().enter(queued as u32, want as u32, self.enter_flags, Some(&args))
        };
        self.busy = false;
        let Err(error) = result else { return Ok(()) };
        match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
            // ETIME is how a wait ends that was not cut short.
            Errno::ETIME | Errno::EINTR => Ok(()),
            // Completions must be taken first, or the kernel is short of memory for requests.
            Errno::EBUSY | Errno::EAGAIN | Errno::ENOMEM => {
                self.busy = true;
                Ok(())
            }
            errno => Err(IoError {
                what: "io_uring_enter",
                errno,
                cure: "this is a fault of ringcheck or of the kernel; please report it",
            }),
        }
    }

    /// Waits a little without submitting: an enter that the kernel had no memory for has not
    /// waited, and trying it again at once would only take the CPU from whoever can give memory
    /// back.
    fn rest(&mut self, until: Instant) -> Result<(), IoError> {
        self.enter_with(0, 1, until.min(monotonic() + BUSY_PAUSE))?;
        self.busy = true;
        Ok(())
    }

    /// Asks the connects that the kernel calls good, and takes the answers.
    fn settle(&mut self, completions: &mut Vec<Completion>) -> Result<(), IoError> {
        while self.asked > 0 && !self.busy {
            self.drain_overflow();
            self.enter(0, PAST)?;
            self.reap(completions);
        }
        Ok(())
    }

    /// Takes what has completed.
    fn reap(&mut self, completions: &mut Vec<Completion>) {
        loop {
            let Some(entry) = self.ring.completion().next() else { return };
            if let Some(completion) = self.completed(&entry) {
                completions.push(completion);
            }
        }
    }

    /// What one completion queue entry means to the worker, if anything.
    fn completed(&mut self, entry: &cqueue::Entry) -> Option<Completion> {
        let (data, result) = (entry.user_data(), entry.result());
        let is_verdict = data as u8 == tag::VERDICT;
        let token = Token::from_bits(data ^ if is_verdict { u64::from(tag::VERDICT) } else { 0 });
        let Some(token) = token else {
            self.housekeeping((data >> 32) as u32, data as u8, result);
            return None;
        };
        self.in_flight -= 1;
        self.asked -= usize::from(is_verdict);
        let socket = &mut self.sockets[token.slot as usize];
        socket.in_flight &= !(1 << token.kind as u8);
        let done = match (token.kind, u32::try_from(result)) {
            // The former socket of the slot, of another sort, may be there still, and connect.
            (Kind::Connect, _) if socket.fault.is_some() => {
                Done::Failed(socket.fault.take().unwrap_or(Errno::EBADF))
            }
            (Kind::Connect, Ok(_)) if is_verdict => match self.memory.errors[token.slot as usize] {
                0 => Done::Connected,
                errno => Done::Failed(Errno::from_raw(errno)),
            },
            // No packet has left yet that anything could have refused.
            (Kind::Connect, Ok(_)) if socket.sort.is_some_and(Socket::is_datagram) => {
                Done::Connected
            }
            (Kind::Connect, Ok(_)) => {
                self.ask(token);
                return None;
            }
            (Kind::Send, Ok(_)) => Done::Sent,
            (Kind::Receive, Ok(len)) => {
                let id = cqueue::buffer_select(entry.flags());
                id.inspect(|&id| self.memory.buffers.lend(id));
                Done::Received(Buffer { id: id.unwrap_or(NO_BUFFER), len })
            }
            (kind, Err(_)) => match Errno::from_raw(-result) {
                Errno::ENOBUFS if kind == Kind::Receive => {
                    // All buffers are lent out and will be back before the next wait.
                    self.receive(token);
                    return None;
                }
                errno => Done::Failed(errno),
            },
        };
        Some(Completion { token, done })
    }

    /// A completion of one of our own operations.
    fn housekeeping(&mut self, slot: u32, tag: u8, result: i32) {
        match tag {
            tag::WAKE => {
                self.in_flight -= 1;
                self.arm_wake();
            }
            // The connect behind it comes back after this, and says this instead.
            tag::SOCKET => {
                let socket = &mut self.sockets[slot as usize];
                socket.sort = None;
                socket.fault = Some(Errno::from_raw(-result));
            }
            // The socket would not let go of its connection, or lacks an option: a fresh one next
            // time.
            tag::DISCONNECT | tag::OPTION => self.sockets[slot as usize].sort = None,
            // What can be read is read by who asked to watch, who then asks again.
            tag::WATCH => self.watched[slot as usize].1 = false,
            // A cancel finds nothing where the operation had just completed; a close finds nothing
            // where the socket could not be created.
            tag::CANCEL | tag::CLOSE => {}
            other => debug_assert!(false, "completion with tag {other:#x}"),
        }
    }
}

impl Io for Uring {
    fn now(&mut self) -> Instant {
        monotonic()
    }

    fn capacity(&self) -> u32 {
        self.sockets.len() as u32
    }

    fn room(&self) -> usize {
        if self.busy || !self.overflow.is_empty() { 0 } else { SQ_ENTRIES }
    }

    fn submit(&mut self, op: Op<'_>) {
        match op {
            Op::Connect { token, address, socket } => {
                assert_eq!(token.kind, Kind::Connect, "the token of a connect");
                self.connect(token, address, socket);
            }
            Op::Send { token, bytes } => {
                // The in-flight bit of this kind is all that keeps the request from being changed
                // while the kernel reads it.
                assert_eq!(token.kind, Kind::Send, "the token of a send");
                let sending = self.sockets[token.slot as usize].in_flight & 1 << Kind::Send as u8;
                assert_eq!(sending, 0, "slot {} is sending", token.slot);
                let request = &mut self.memory.requests[token.slot as usize];
                request.clear();
                request.extend_from_slice(bytes);
                let (bytes, len) = (request.as_ptr(), request.len() as u32);
                let send = opcode::Send::new(Fixed(token.slot), bytes, len)
                    .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL);
                self.push_token(send.build(), token);
            }
            Op::Receive { token } => {
                assert_eq!(token.kind, Kind::Receive, "the token of a receive");
                self.receive(token);
            }
            Op::Cancel { token } => {
                let cancel = opcode::AsyncCancel::new(token.to_bits()).build();
                self.push_silent(cancel, token.slot, tag::CANCEL);
            }
            Op::Disconnect { slot } => {
                self.assert_idle(slot);
                let (address, len) = memory::UNSPEC.pointer();
                let disconnect = opcode::Connect::new(Fixed(slot), address, len).build();
                self.push_silent(disconnect, slot, tag::DISCONNECT);
            }
            Op::Close { slot } => self.close(slot),
        }
    }

    fn wait(&mut self, until: Instant, completions: &mut Vec<Completion>) -> Result<(), IoError> {
        self.drain_overflow();
        let want = std::mem::take(&mut self.fresh).clamp(1, WANT_MAX);
        self.enter(want, until)?;
        self.reap(completions);
        self.settle(completions)?;
        if self.busy && completions.is_empty() {
            self.rest(until)?;
            self.reap(completions);
        }
        // One enter runs only so much deferred work: take the rest too, so that no deadline is
        // judged while an answer lies unread. The flag may be stale (the kernel sets it after it
        // has queued work, which may have been run by then), so an enter that brings nothing ends
        // this.
        let mut taken = 0;
        while completions.len() > taken && self.ring.submission().taskrun() && taken < REAP_MAX {
            taken = completions.len();
            self.enter(WANT_MAX, PAST)?;
            self.reap(completions);
            self.settle(completions)?;
        }
        Ok(())
    }

    fn bytes(&self, buffer: &Buffer) -> &[u8] {
        if buffer.id == NO_BUFFER { &[] } else { self.memory.buffers.bytes(buffer) }
    }

    fn recycle(&mut self, buffer: Buffer) {
        if buffer.id != NO_BUFFER {
            self.memory.buffers.recycle(buffer.id);
        }
    }

    fn dropped(&mut self) -> u64 {
        self.drops.dropped(monotonic())
    }
}

impl Watch for Uring {
    fn watch(&mut self, fd: BorrowedFd<'_>) {
        let fd = fd.as_raw_fd();
        let place = self.watched.iter().position(|watched| watched.0 == fd);
        let place = place.unwrap_or_else(|| {
            self.watched.push((fd, false));
            self.watched.len() - 1
        });
        if !std::mem::replace(&mut self.watched[place].1, true) {
            let poll = opcode::PollAdd::new(Fd(fd), libc::POLLIN as u32).build();
            self.push(poll.user_data((place as u64) << 32 | u64::from(tag::WATCH)));
        }
    }
}

/// Whether the operation with this user data is one that may touch [`Memory`] until it comes back.
const fn owns_memory(user_data: u64) -> bool {
    let kind = user_data as u8;
    user_data == tag::WAKE as u64 || kind == tag::VERDICT || Token::from_bits(user_data).is_some()
}

impl Drop for Uring {
    /// Gets every operation back before the memory that it uses is freed. The kernel finishes them
    /// by itself when a ring closes, but not before `close` returns.
    fn drop(&mut self) {
        /// How long that may take. Cancelling 16,384 operations takes milliseconds.
        const PATIENCE: Duration = Duration::from_secs(1);
        let give_up = monotonic() + PATIENCE;
        let everything = io_uring::types::CancelBuilder::any();
        // What was not submitted yet cannot be cancelled; and what will not be, need not come back.
        let _ = self.enter(0, PAST);
        let never = self.overflow.drain(..).filter(|entry| owns_memory(entry.get_user_data()));
        self.in_flight -= never.count();
        // An error leaves operations in flight, which the loop below finds out.
        let _ = self.ring.submitter().register_sync_cancel(None, everything);
        while self.in_flight > 0 && monotonic() < give_up {
            if self.enter(1, give_up).is_err() {
                break;
            }
            while let Some(entry) = self.ring.completion().next() {
                self.in_flight -= usize::from(owns_memory(entry.user_data()));
            }
        }
        if self.in_flight == 0 {
            // SAFETY: no operation that could touch the memory is left, and `memory` is not used
            // again.
            unsafe { ManuallyDrop::drop(&mut self.memory) };
        }
    }
}
