//! What one wait does: carry out what was queued, let events happen, hand over what is ready.

use super::datagrams::Datagrams;
use super::event::What;
use super::ledger::{Fate, Start};
use super::line::Line;
use super::peer::{Behaviour, Talk};
use super::slot::{Fact, Flight, Stage};
use super::{Queued, Sim};
use crate::io::{Completion, Done, Kind, Token};
use crate::time::Instant;
use nix::errno::Errno;
use std::sync::Arc;
use std::time::Duration;

/// How long Linux tries to connect by itself (`tcp_syn_retries` = 6).
const KERNEL_TIMEOUT: Duration = Duration::from_secs(127);

impl Sim {
    pub(super) fn carry_out(&mut self) {
        let mut queued = std::mem::take(&mut self.queued);
        for op in queued.drain(..) {
            match op {
                Queued::Connect { slot, serial, socket, at, stopped } => {
                    let peer = self.slots[slot as usize].peer;
                    let fate = Fate::Peer(0);
                    self.connect(serial, Start { at, peer, slot, socket, fate, stopped });
                }
                Queued::Send { slot, serial } => self.send(slot, serial),
                Queued::Receive { slot, serial } => {
                    if self.slots[slot as usize].line.readable() {
                        self.due(slot, Kind::Receive, serial, Fact::Readable);
                    }
                }
                Queued::Cancel { token, serial } => self.cancel(token, serial),
            }
        }
        self.queued = queued;
        self.connects_queued = 0;
    }

    /// `start` is complete but for its fate.
    fn connect(&mut self, serial: u32, start: Start) {
        let slot = start.slot;
        let place = &mut self.slots[slot as usize];
        place.running = true;
        if let Some(errno) = self.faults.connect(self.now, &mut self.rng) {
            place.socket = None;
            self.ledger.start(Start { fate: Fate::Fault(errno), ..start });
            self.due(slot, Kind::Connect, serial, Fact::Failed(errno));
            return;
        }
        if self.faults.dropped(self.now, &mut self.rng) {
            self.dropped += 1;
            place.socket = Some(start.socket);
            self.ledger.start(Start { fate: Fate::Dropped, ..start });
            if start.socket.is_datagram() {
                place.line = Line::Datagrams(Datagrams::new(None, Duration::ZERO));
                self.due(slot, Kind::Connect, serial, Fact::Connected);
                return;
            }
            place.line.stream().open(None, None, Duration::ZERO);
            let gives_up = What::Due(Kind::Connect, serial, Fact::Failed(Errno::ETIMEDOUT));
            self.events.push(self.now + KERNEL_TIMEOUT, slot, gives_up);
            return;
        }
        let peer = self.network.peer(place.peer);
        let round_trip = peer.round_trip(&mut self.rng);
        let (index, behaviour) = peer.behaviour.resolve(start.at, &mut self.rng);
        self.ledger.start(Start { fate: Fate::Peer(index), ..start });
        place.socket = Some(start.socket);
        if start.socket.is_datagram() {
            place.line = Line::Datagrams(Datagrams::new(Some(behaviour), round_trip));
            self.due(slot, Kind::Connect, serial, Fact::Connected);
            return;
        }
        let (after, fact, talk) = match behaviour {
            Behaviour::Refuse => (round_trip, Fact::Failed(Errno::ECONNREFUSED), None),
            Behaviour::Silent => (KERNEL_TIMEOUT, Fact::Failed(Errno::ETIMEDOUT), None),
            Behaviour::Unreachable(errno) => (round_trip, Fact::Failed(*errno), None),
            Behaviour::Accept(talk) => (round_trip, Fact::Connected, Some(talk.clone())),
            Behaviour::Converse(_) => {
                (round_trip, Fact::Connected, Some(Arc::new(Talk::silence())))
            }
            Behaviour::Scheduled(_) | Behaviour::Random(_) => unreachable!("resolved above"),
        };
        let talker = if let Behaviour::Converse(converse) = behaviour {
            Some(converse.begin())
        } else {
            None
        };
        place.line.stream().open(talk, talker, round_trip);
        self.events.push(self.now + after, slot, What::Due(Kind::Connect, serial, fact));
    }

    fn send(&mut self, slot: u32, serial: u32) {
        let place = &mut self.slots[slot as usize];
        match place.line.send(&place.request) {
            Ok(answer) => {
                if let Some(after) = answer {
                    // The peer's patience until now counts no more.
                    place.epoch = place.epoch.wrapping_add(1);
                    self.events.push(self.now + after, slot, What::Arrive(place.epoch));
                }
                self.due(slot, Kind::Send, serial, Fact::Sent);
            }
            Err(errno) => self.due(slot, Kind::Send, serial, Fact::Failed(errno)),
        }
    }

    fn cancel(&mut self, token: Token, serial: u32) {
        // Who cancels has given the probe up; what is left is cleaning.
        self.probe_over(token.slot);
        let flight = self.slots[token.slot as usize].flight(token.kind);
        if flight.serial() != Some(serial) || self.faults.deaf(self.now, &mut self.rng) {
            return;
        }
        let cancelled = Fact::Failed(Errno::ECANCELED);
        match flight {
            Flight::None | Flight::Ready(_) => {}
            Flight::Waiting(_) => self.due(token.slot, token.kind, serial, cancelled),
            Flight::Late(_, fact) => {
                let told = if self.rng.chance(1, 2) { fact } else { cancelled };
                self.ready(token.slot, token.kind, serial, told);
            }
        }
    }

    /// An operation has come to something: tells it now, or later if a fault says so.
    fn due(&mut self, slot: u32, kind: Kind, serial: u32, fact: Fact) {
        match self.faults.late(self.now, &mut self.rng) {
            Some(late) => {
                self.slots[slot as usize].set(kind, Flight::Late(serial, fact));
                self.events.push(self.now + late, slot, What::LateDue(kind, serial, fact));
            }
            None => self.ready(slot, kind, serial, fact),
        }
    }

    fn ready(&mut self, slot: u32, kind: Kind, serial: u32, fact: Fact) {
        self.slots[slot as usize].set(kind, Flight::Ready(serial));
        self.ready.push_back((slot, kind, serial, fact));
    }

    /// Lets everything happen that is due by now.
    pub(super) fn happen(&mut self) {
        while let Some(event) = self.events.pop(self.now) {
            let slot = event.slot;
            let place = &mut self.slots[slot as usize];
            match event.what {
                What::Due(kind, serial, fact) if place.flight(kind) == Flight::Waiting(serial) => {
                    if fact == Fact::Connected
                        && let Some(after) = place.line.established(&mut self.rng)
                    {
                        self.events.push(event.at + after, slot, What::Arrive(place.epoch));
                    }
                    self.due(slot, kind, serial, fact);
                }
                What::LateDue(kind, serial, fact)
                    if place.flight(kind) == Flight::Late(serial, fact) =>
                {
                    self.ready(slot, kind, serial, fact);
                }
                What::Arrive(epoch) if place.epoch == epoch => {
                    if let Some(after) = place.line.arrive(&mut self.rng) {
                        self.events.push(event.at + after, slot, event.what);
                    }
                    if place.line.readable()
                        && let Flight::Waiting(serial) = place.flight(Kind::Receive)
                    {
                        self.due(slot, Kind::Receive, serial, Fact::Readable);
                    }
                }
                // Its operation was cancelled, or its connection is gone.
                What::Due(..) | What::LateDue(..) | What::Arrive(_) => {}
            }
        }
    }

    /// Hands over what is ready.
    pub(super) fn deliver(&mut self, completions: &mut Vec<Completion>) {
        let most = self.faults.batch(self.now, &mut self.rng).unwrap_or(usize::MAX);
        for _ in 0..most {
            let Some((slot, kind, serial, fact)) = self.ready.pop_front() else { return };
            let place = &mut self.slots[slot as usize];
            debug_assert_eq!(place.flight(kind), Flight::Ready(serial), "told once");
            place.set(kind, Flight::None);
            let token = place.token(slot, kind);
            let done = match fact {
                Fact::Connected => {
                    place.stage = Stage::Connected;
                    Done::Connected
                }
                Fact::Sent => Done::Sent,
                Fact::Readable => self.receive(slot),
                Fact::Failed(errno) => {
                    if kind == Kind::Connect {
                        self.connect_failed(slot, errno);
                    }
                    Done::Failed(errno)
                }
            };
            completions.push(Completion { token, done });
        }
    }

    fn receive(&mut self, slot: u32) -> Done {
        if self.faults.no_buffer(self.now, &mut self.rng) {
            return Done::Failed(Errno::ENOBUFS);
        }
        let line = &mut self.slots[slot as usize].line;
        let bytes = match line.peek() {
            Ok(bytes) => bytes,
            Err(errno) => return Done::Failed(errno),
        };
        let Some(buffer) = self.buffers.lend(bytes) else { return Done::Failed(Errno::ENOBUFS) };
        line.consume(buffer.len as usize);
        Done::Received(buffer)
    }

    fn connect_failed(&mut self, slot: u32, errno: Errno) {
        let place = &mut self.slots[slot as usize];
        if errno == Errno::ECANCELED {
            place.stage = Stage::Cancelled;
        } else {
            place.stage = Stage::Idle;
            self.probe_over(slot);
        }
    }

    /// Moves time on until something is ready, at most to `until`.
    pub(super) fn sleep(&mut self, until: Instant) {
        loop {
            self.happen();
            if !self.ready.is_empty() || self.now >= until {
                return;
            }
            self.now = self.events.next().map_or(until, |next| next.min(until)).max(self.now);
        }
    }
}
