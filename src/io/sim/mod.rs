//! The simulated world: network and clock behind [`Io`], fully determined by a seed.
//!
//! There is no thread, no real time and no socket here. Time stands still while the worker computes
//! and moves in [`Sim::wait`] alone (and in faults that mean it to). The network plays each peer's
//! [`Behaviour`]; [`Faults`] make the checker's own machine fail; the [`Ledger`] remembers what the
//! network saw. What breaks the contract of [`crate::io`] panics, with seed, virtual time and slot.
//!
//! It is stricter than a kernel where the contract is silent on purpose: a held-back ACK does not
//! keep a peer from speaking at once, completions of one instant come in the order of their making,
//! and which of two results a cancelled operation has is a matter of the seed.

mod buffer;
mod datagrams;
mod event;
pub mod faults;
pub mod ledger;
mod line;
pub mod network;
pub mod peer;
mod slot;
#[cfg(test)]
mod tests;
mod turn;
mod wire;

pub use faults::{Fault, Faults, Window};
pub use ledger::{Fate, Ledger, Seen, Start};
pub use network::{Network, Peer};
pub use peer::{Behaviour, Converse, End, Starts, Step, Talk, Talker};

use super::{Buffer, Completion, Io, IoError, Kind, Op, Socket, Token};
use crate::limits::SQ_ENTRIES;
use crate::rng::Rng;
use crate::time::Instant;
use buffer::Buffers;
use event::Events;
use slot::{Fact, Slot, Stage, Violation};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// Connects that are taken between two waits: a ring's entries, less those for other operations.
const ROOM: usize = SQ_ENTRIES / 4;
/// Waits in a row that may bring nothing and pass no time; a worker that does more never sleeps.
const IDLE_WAITS_MAX: u32 = 100_000;

/// What is done with each request that a peer receives.
type OnRequest = Box<dyn FnMut(SocketAddr, &[u8])>;

/// An operation that was submitted and is carried out by the next wait.
#[derive(Clone, Copy, Debug)]
enum Queued {
    Connect { slot: u32, serial: u32, socket: Socket, at: Instant, stopped: Duration },
    Send { slot: u32, serial: u32 },
    Receive { slot: u32, serial: u32 },
    Cancel { token: Token, serial: u32 },
}

/// The simulated world of one worker.
pub struct Sim {
    seed: u64,
    rng: Rng,
    now: Instant,
    turn_cost: Duration,
    start_cost: Duration,
    stopped: Duration,
    /// Those for sockets, then the raw ones.
    slots: Vec<Slot>,
    capacity: u32,
    addresses: Vec<SocketAddr>,
    network: Network,
    faults: Faults,
    ledger: Ledger,
    queued: Vec<Queued>,
    connects_queued: usize,
    room: usize,
    events: Events,
    ready: VecDeque<(u32, Kind, u32, Fact)>,
    buffers: Buffers,
    idle_waits: u32,
    dropped: u64,
    on_request: Option<OnRequest>,
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim").field("seed", &self.seed).field("now", &self.now).finish()
    }
}

impl Sim {
    /// A world with `capacity` slots, at [`Instant::ZERO`], without faults.
    #[must_use]
    pub fn new(seed: u64, capacity: u32, network: Network) -> Self {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            seed,
            rng: Rng::new(seed),
            now: Instant::ZERO,
            turn_cost: Duration::ZERO,
            start_cost: Duration::ZERO,
            stopped: Duration::ZERO,
            slots: (0..capacity).map(|_| Slot::default()).collect(),
            capacity,
            addresses: vec![unknown; capacity as usize],
            network,
            faults: Faults::none(),
            ledger: Ledger::default(),
            queued: Vec::new(),
            connects_queued: 0,
            room: ROOM,
            events: Events::default(),
            ready: VecDeque::new(),
            buffers: Buffers::new(),
            idle_waits: 0,
            dropped: 0,
            on_request: None,
        }
    }

    /// The same world with faults of the checker.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.set_faults(faults);
        self
    }

    /// The same world, with raw slots besides.
    #[must_use]
    pub fn with_raw(mut self, slots: u32) -> Self {
        let all = (self.capacity + slots) as usize;
        self.slots.resize_with(all, Slot::default);
        self.addresses.resize(all, SocketAddr::from(([0, 0, 0, 0], 0)));
        self
    }

    /// The same world, in which each wait takes at least this long.
    #[must_use]
    pub const fn with_turn_cost(mut self, turn_cost: Duration) -> Self {
        self.turn_cost = turn_cost;
        self
    }

    /// The same world, in which a wait takes this long for each connect that it carries out.
    #[must_use]
    pub const fn with_start_cost(mut self, start_cost: Duration) -> Self {
        self.start_cost = start_cost;
        self
    }

    /// Calls `look` with each request and the address it goes to.
    pub fn on_request(&mut self, look: impl FnMut(SocketAddr, &[u8]) + 'static) {
        self.on_request = Some(Box::new(look));
    }

    /// The virtual time, without any fault.
    #[must_use]
    pub const fn clock(&self) -> Instant {
        self.now
    }

    /// Lets time pass in which the worker is not run.
    pub fn skip(&mut self, by: Duration) {
        self.now += by;
        self.stopped += by;
    }

    /// Time in which the worker was not run, by faults and by [`Sim::skip`].
    #[must_use]
    pub const fn stopped(&self) -> Duration {
        self.stopped
    }

    /// What the network saw.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The ledger, to keep and take its log.
    pub const fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// The peers, to change what they do.
    pub const fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }

    /// Replaces the faults from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
        self.make_room();
    }

    /// Sockets that exist.
    #[must_use]
    pub fn sockets(&self) -> usize {
        let has_socket = |slot: &&Slot| slot.socket.is_some_and(|socket| !socket.is_raw());
        self.slots.iter().filter(has_socket).count()
    }

    /// Checks that a worker without probes has left nothing behind.
    ///
    /// # Panics
    /// Where an operation is in flight, a connection stands, or a buffer is lent.
    pub fn assert_idle(&self) {
        for (index, slot) in (0_u32..).zip(&self.slots) {
            if !slot.quiet() {
                self.violated(index, "idle, but an operation is in flight");
            }
            if slot.stage != Stage::Idle {
                self.violated(index, "idle, but neither disconnected nor closed");
            }
        }
        let lent = self.buffers.lent();
        assert!(lent == 0, "contract (seed {}): {lent} buffers never came back", self.seed);
    }

    fn make_room(&mut self) {
        self.room = self.faults.room(self.now, &mut self.rng).unwrap_or(ROOM);
    }

    fn violated(&self, slot: u32, sentence: Violation) -> ! {
        let (seed, micros) = (self.seed, self.now.as_nanos() / 1_000);
        panic!("contract: {sentence} (seed {seed}, virtual time {micros} us, slot {slot})");
    }

    /// What a step of a slot says, or the panic that it deserves.
    fn check<T>(&mut self, slot: u32, step: impl FnOnce(&mut Slot) -> Result<T, Violation>) -> T {
        let Some(place) = self.slots.get_mut(slot as usize) else {
            self.violated(slot, "a slot beyond the capacity")
        };
        match step(place) {
            Ok(value) => value,
            Err(sentence) => self.violated(slot, sentence),
        }
    }

    fn submit_connect(&mut self, token: Token, address: SocketAddr, socket: Socket) {
        let slot = token.slot;
        if self.room() == 0 {
            self.violated(slot, "Connect beyond the room");
        }
        if address.is_ipv6() != socket.ipv6 {
            self.violated(slot, "Connect with a socket of the other family");
        }
        if socket.is_raw() != (slot >= self.capacity) {
            self.violated(slot, "a socket in a raw slot, or none in another");
        }
        let Some(peer) = self.network.find(address) else {
            self.violated(slot, "Connect to an address that no target has");
        };
        let serial = self.check(slot, |place| place.connect(token));
        self.slots[slot as usize].peer = peer;
        self.addresses[slot as usize] = address;
        self.connects_queued += 1;
        let (at, stopped) = (self.now, self.stopped);
        self.queued.push(Queued::Connect { slot, serial, socket, at, stopped });
    }

    /// The probe of a slot, if there is one, is over.
    fn probe_over(&mut self, slot: u32) {
        let place = &mut self.slots[slot as usize];
        if std::mem::take(&mut place.running) {
            self.ledger.end(place.peer);
        }
    }

    fn submit_send(&mut self, token: Token, bytes: &[u8]) {
        let slot = token.slot;
        if slot >= self.capacity {
            self.violated(slot, "Send in a raw slot");
        }
        let serial = self.check(slot, |place| place.exchange(token, Kind::Send));
        if bytes.is_empty() && !self.slots[slot as usize].is_datagram() {
            self.violated(slot, "Send without bytes");
        }
        if let Some(look) = &mut self.on_request {
            look(self.addresses[slot as usize], bytes);
        }
        let place = &mut self.slots[slot as usize];
        place.request.clear();
        place.request.extend_from_slice(bytes);
        self.ledger.request(place.peer);
        self.queued.push(Queued::Send { slot, serial });
    }

    fn submit_give_up(&mut self, slot: u32, keep_socket: bool) {
        self.check(slot, Slot::give_up);
        if keep_socket && self.slots[slot as usize].is_datagram() {
            self.violated(slot, "Disconnect of a datagram socket, which may hold a late answer");
        }
        let place = &mut self.slots[slot as usize];
        if !keep_socket {
            place.socket = None;
        }
        self.probe_over(slot);
    }
}

impl Io for Sim {
    fn now(&mut self) -> Instant {
        if let Some(pause) = self.faults.pause(self.now, &mut self.rng) {
            self.skip(pause);
        }
        self.now
    }

    fn capacity(&self) -> u32 {
        self.capacity
    }

    fn raw_capacity(&self) -> u32 {
        u32::try_from(self.slots.len()).expect("made from a u32") - self.capacity
    }

    fn room(&self) -> usize {
        self.room.saturating_sub(self.connects_queued)
    }

    fn submit(&mut self, op: Op<'_>) {
        match op {
            Op::Connect { token, address, socket } => self.submit_connect(token, address, socket),
            Op::Send { token, bytes } => self.submit_send(token, bytes),
            Op::Receive { token } => {
                let serial = self.check(token.slot, |slot| slot.exchange(token, Kind::Receive));
                self.queued.push(Queued::Receive { slot: token.slot, serial });
            }
            Op::Cancel { token } => {
                if let Some(serial) = self.check(token.slot, |slot| Ok(slot.cancelled(token))) {
                    self.queued.push(Queued::Cancel { token, serial });
                }
            }
            Op::Disconnect { slot } => self.submit_give_up(slot, true),
            Op::Close { slot } => self.submit_give_up(slot, false),
        }
    }

    fn wait(&mut self, until: Instant, completions: &mut Vec<Completion>) -> Result<(), IoError> {
        let (before, asked, had) = (self.now, self.queued.len(), completions.len());
        let connects = u32::try_from(self.connects_queued).unwrap_or(u32::MAX);
        self.now += self.turn_cost + self.start_cost * connects;
        if let Some(held) = self.faults.held(self.now, &mut self.rng) {
            self.skip(held);
        }
        let carried_out = self.now;
        self.carry_out();
        if self.ready.is_empty() {
            self.sleep(until);
        } else {
            self.happen();
        }
        // Only a wait that slept can oversleep.
        if self.now > carried_out
            && let Some(late) = self.faults.oversleep(self.now, &mut self.rng)
        {
            self.skip(late);
            self.happen();
        }
        self.deliver(completions);
        self.make_room();
        let idle = asked == 0 && self.now == before && completions.len() == had;
        self.idle_waits = if idle { self.idle_waits + 1 } else { 0 };
        if self.idle_waits > IDLE_WAITS_MAX {
            self.violated(u32::MAX, "the worker waits again and again for no time at all");
        }
        Ok(())
    }

    fn bytes(&self, buffer: &Buffer) -> &[u8] {
        let Some(bytes) = self.buffers.bytes(buffer) else {
            self.violated(u32::MAX, "bytes of a buffer that is not lent")
        };
        bytes
    }

    fn recycle(&mut self, buffer: Buffer) {
        if !self.buffers.give_back(buffer.id) {
            self.violated(u32::MAX, "a buffer given back that is not lent");
        }
    }

    fn dropped(&mut self) -> u64 {
        self.dropped
    }
}
