//! The life of a probe in its slot: start, completions as events for its check, deadline, end.

use super::Worker;
use super::drops::Drops;
use super::sessions::Offer;
use super::shard::Stay;
use super::slots::{Connection, Run, State};
use crate::check::{Action, Check, Event, Probe};
use crate::endpoint::Endpoint;
use crate::io::{Completion, Done, Io, Kind, Op, Socket, Transport};
use crate::limits::TARGET_PATIENCE;
use crate::outcome::{Cause, Class, Code, Detail, Outcome};
use crate::recipe::{Close, Handshake, Recipe};
use crate::report::Phases;
use crate::schedule::Due;
use crate::stats::micros;
use crate::time::Instant;
use nix::errno::Errno;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// What was cancelled should be back within microseconds; after this it is said and tried again.
const STUCK_AFTER: Duration = Duration::from_secs(5);

impl<I: Io> Worker<I> {
    /// Starts the probe of a target that was taken off the schedule. A slot must be free.
    pub(super) fn start(&mut self, due: Due, now: Instant) {
        let Some(recipe) = self.recipe(due.target) else { return };
        // Whatever the recipe asks now: what an earlier one has left is used or given up.
        if self.start_kept(due, &recipe, now) {
            return;
        }
        let (address, socket) = endpoint(&recipe, self.shard.endpoint(due.target));
        let (group, failing) =
            (self.shard.group(due.target), self.shard.health(due.target).is_failing());
        let is_tls = matches!(recipe.check, Check::Tls(_));
        while is_tls && self.slots.is_full_with_kept_tls() && self.give_up_newest() {}
        let mut index = self.slots.acquire(socket, group, failing);
        if index.is_none() && self.give_up_newest() {
            index = self.slots.acquire(socket, group, failing);
        }
        let Some(index) = index else { return };
        self.run(index, due, recipe, Connection::Fresh, now);
        self.connect(index, address, socket);
    }

    /// The probe of a target runs in this slot from now on.
    pub(super) fn run(
        &mut self,
        index: u32,
        due: Due,
        recipe: Rc<Recipe>,
        connection: Connection,
        now: Instant,
    ) {
        self.stats.start(now.since(self.schedule.instant(due.tick)));
        let deadline = self.run_tick(now + recipe.timeout) + 1;
        self.deadlines.grow(self.slots.indices());
        self.deadlines.insert(index, deadline);
        if matches!(recipe.check, Check::Tls(_)) && connection == Connection::Fresh {
            self.slots.note_tls(index);
        }
        self.slots[index].state = State::Running(Run {
            target: due.target,
            due: due.tick,
            started: now,
            lost: self.lost,
            connect_us: None,
            tls_us: None,
            first_byte_us: None,
            introduced: connection != Connection::Fresh,
            connection,
            recipe,
        });
    }

    /// Makes the slot's probe a fresh run, and connects it.
    pub(super) fn connect(&mut self, index: u32, address: SocketAddr, socket: Socket) {
        let slot = &mut self.slots[index];
        let State::Running(run) = &slot.state else { return };
        slot.probe.restart(&run.recipe.check);
        if let (Probe::Tls(probe), Check::Tls(check)) = (&mut slot.probe, &run.recipe.check) {
            let every = check.client.settings().full_handshake_every;
            let Offer { session, group } = self.sessions.offer(run.target, every);
            probe.resume(session, group);
        }
        let token = slot.submit(index, Kind::Connect);
        self.io.submit(Op::Connect { token, address, socket });
    }

    /// Takes one completion: an event for a running probe, or one less to wait for.
    pub(super) fn complete(&mut self, completion: Completion) {
        let token = completion.token;
        let ours = self.slots.get_mut(token.slot).is_some_and(|slot| slot.complete(token));
        debug_assert!(ours, "a slot is free only when nothing is in flight: {token:?}");
        if ours {
            self.feed(token.slot, &completion);
        }
        if let Done::Received(buffer) = completion.done {
            self.io.recycle(buffer);
        }
    }

    fn feed(&mut self, index: u32, completion: &Completion) {
        let slot = &mut self.slots[index];
        let run = match &mut slot.state {
            State::Running(run) => run,
            State::Ending(recipe) => {
                let close = closes(recipe);
                if slot.is_idle() {
                    self.deadlines.remove(index);
                    self.dispose(index, close);
                }
                return;
            }
            State::Kept { .. } | State::Free => return,
        };
        if run.connection == Connection::Over {
            if slot.is_idle() {
                self.over.push(index);
            }
            return;
        }
        let elapsed_us = elapsed_us(run.started, self.now);
        let event = match (&completion.done, completion.token.kind) {
            (Done::Connected, _) => {
                if !is_datagram(&run.recipe) {
                    run.connect_us = Some(elapsed_us);
                }
                if is_introduced_only(&run.recipe) {
                    return self.send(index);
                }
                Event::Connected
            }
            (Done::Sent, _) => Event::Sent,
            (Done::Received(buffer), _) if buffer.len == 0 => Event::Closed,
            (Done::Received(buffer), _) => {
                // What TLS protects is told of below.
                if !matches!(slot.probe, Probe::Tls(_)) {
                    run.first_byte_us.get_or_insert(elapsed_us);
                }
                Event::Received(self.io.bytes(buffer))
            }
            (Done::Failed(errno), Kind::Connect) => Event::ConnectFailed(*errno),
            (Done::Failed(errno), Kind::Send) => Event::SendFailed(*errno),
            (Done::Failed(errno), Kind::Receive) => Event::ReceiveFailed(*errno),
        };
        let action = slot.probe.handle(&run.recipe.check, event);
        if let Probe::Tls(probe) = &slot.probe {
            let reached = |phase: &mut Option<u32>, is: bool| {
                *phase = phase.or(is.then_some(elapsed_us));
            };
            let is_new = run.connection == Connection::Fresh;
            reached(&mut run.tls_us, is_new && probe.is_secured());
            reached(&mut run.first_byte_us, probe.has_come());
        }
        self.act(index, action);
    }

    pub(super) fn act(&mut self, index: u32, action: Action) {
        match action {
            Action::Wait => {}
            Action::Receive => self.receive(index),
            Action::Send => self.send(index),
            Action::Exchange => {
                self.send(index);
                self.receive(index);
            }
            Action::Finish(outcome) => self.finish_probe(index, outcome),
        }
    }

    fn send(&mut self, index: u32) {
        let slot = &mut self.slots[index];
        let State::Running(run) = &mut slot.state else { return };
        self.request.clear();
        if let Some(proxy_protocol) = run.recipe.proxy_protocol
            && !std::mem::replace(&mut run.introduced, true)
        {
            self.request.extend_from_slice(proxy_protocol.header());
        }
        let address = run.recipe.endpoint(self.shard.endpoint(run.target)).socket_addr();
        slot.probe.output(&run.recipe.check, address, &mut self.request);
        let token = slot.submit(index, Kind::Send);
        self.io.submit(Op::Send { token, bytes: &self.request });
    }

    fn receive(&mut self, index: u32) {
        let token = self.slots[index].submit(index, Kind::Receive);
        self.io.submit(Op::Receive { token });
    }

    /// Expires the probes whose deadline has passed on the clock that stands still while the worker
    /// is not run. All completions that had come in have been handled before.
    pub(super) fn expire(&mut self) {
        self.deadlines.advance(self.run_tick(self.now));
        while let Some((index, _)) = self.deadlines.pop() {
            let slot = &mut self.slots[index];
            match &slot.state {
                State::Running(run) if run.connection == Connection::Over => {
                    // What was cancelled has not come back, or nothing could be connected.
                    self.finish_probe(index, Outcome::cause(Code::SockErr, Cause::NoFreeSlot));
                }
                State::Running(run) => {
                    let action = slot.probe.handle(&run.recipe.check, Event::Expired);
                    self.act(index, action);
                }
                State::Ending(_) => {
                    self.slots.note_stuck(index);
                    self.cancel(index);
                }
                State::Kept { .. } | State::Free => {}
            }
        }
    }

    /// The probe is over: settle its outcome and end its use of the slot.
    fn finish_probe(&mut self, index: u32, outcome: Outcome) {
        if self.refresh(index, outcome) {
            return;
        }
        self.deadlines.remove(index);
        let State::Running(run) = &self.slots[index].state else { return };
        let outcome = if is_silence(outcome) {
            unless_dropped(outcome, run.started, &mut self.io, &mut self.drops, self.now)
        } else {
            let is_connected = run.connect_us.is_some() || run.connection.probes() > 0;
            unless_kept_waiting(outcome, is_connected, self.lost - run.lost)
        };
        let phases = Phases {
            connect_us: run.connect_us,
            tls_us: run.tls_us,
            first_byte_us: run.first_byte_us,
            total_us: elapsed_us(run.started, self.now),
        };
        self.pace.ended(run.started, self.now);
        let due = Due { target: run.target, tick: run.due };
        let recipe = Rc::clone(&run.recipe);
        let is_fresh = run.connection == Connection::Fresh;
        if is_fresh {
            self.learn(index, due.target, &recipe, outcome);
        }
        let was_here = self.shard.stay(due.target) == Stay::Here;
        self.settle(due, &recipe, outcome, phases, self.now);
        let is_here = was_here && self.shard.stay(due.target) == Stay::Here;
        if !(is_here && self.keep(index, due.target, outcome)) {
            self.slots[index].probe.disconnected();
            self.end(index, recipe);
        }
    }

    /// Takes in what a TLS probe found out.
    fn learn(&mut self, index: u32, target: u32, recipe: &Recipe, outcome: Outcome) {
        let (Probe::Tls(probe), Check::Tls(check)) = (&mut self.slots[index].probe, &recipe.check)
        else {
            return;
        };
        let told = probe.tell();
        // Nobody wants to know what was presented by who has left.
        if self.shard.stay(target) == Stay::Here {
            let every = check.client.settings().full_handshake_every;
            let id = self.shard.id(target);
            let passed = outcome.class() == Class::Pass;
            if let Some(presented) = self.sessions.learn((target, id), told, passed, every) {
                self.reporter.presented(id, presented, self.now);
            }
        }
    }

    /// Cancels what is in flight; the slot is free as soon as nothing is.
    pub(super) fn end(&mut self, index: u32, recipe: Rc<Recipe>) {
        let slot = &mut self.slots[index];
        if slot.is_idle() {
            self.dispose(index, closes(&recipe));
            return;
        }
        slot.state = State::Ending(recipe);
        self.cancel(index);
    }

    /// Cancels what is in flight of a slot, and sees to it that this is done again should nothing
    /// come of it.
    fn cancel(&mut self, index: u32) {
        self.deadlines.insert(index, self.run_tick(self.now + STUCK_AFTER));
        for token in self.slots[index].tokens(index) {
            self.io.submit(Op::Cancel { token });
        }
    }

    pub(super) fn dispose(&mut self, index: u32, close: Close) {
        self.disconnect(index, close);
        self.slots.release(index);
    }

    /// Ends the connection of a slot of which nothing is in flight.
    pub(super) fn disconnect(&mut self, index: u32, close: Close) {
        self.io.submit(match close {
            Close::Reset => Op::Disconnect { slot: index },
            Close::Graceful => Op::Close { slot: index },
        });
    }
}

/// Where probes of the target at `traffic` go, and what over.
pub(super) fn endpoint(recipe: &Recipe, traffic: Endpoint) -> (SocketAddr, Socket) {
    let address = recipe.endpoint(traffic).socket_addr();
    (address, Socket { ipv6: address.is_ipv6(), transport: transport(recipe) })
}

/// Whether that nothing came is what the outcome says, be it a failure or not.
const fn is_silence(outcome: Outcome) -> bool {
    matches!(outcome.code, Code::L4Tout | Code::L6Tout | Code::L7Tout)
        || matches!(outcome.detail, Detail::Cause(Cause::Unanswered))
}

/// A failure as it is told that was no timeout: none of a target's that was connected and then had
/// to wait for a worker that was not run, which has `lost` so much since the probe's start. A
/// timeout is given that time back instead.
fn unless_kept_waiting(outcome: Outcome, is_connected: bool, lost: Duration) -> Outcome {
    // Who looks late sees the reset of a connection by its connect; a SYN that is answered with RST
    // was refused.
    let was_connected =
        is_connected || matches!(outcome.detail, Detail::Errno(Errno::ECONNRESET | Errno::EPIPE));
    if outcome.class() == Class::Fail && was_connected && lost >= TARGET_PATIENCE {
        Outcome::cause(Code::SockErr, Cause::NotRun)
    } else {
        outcome
    }
}

/// A silence as it is told: no target's doing while this host drops packets by itself.
fn unless_dropped(
    outcome: Outcome,
    started: Instant,
    io: &mut impl Io,
    drops: &mut Drops,
    now: Instant,
) -> Outcome {
    drops.read(io.dropped(), now);
    if drops.since(started) {
        Outcome::cause(Code::SockErr, Cause::PacketsDropped)
    } else {
        outcome
    }
}

/// What its probes go over; whether the handshake's last ACK may be held back: DESIGN 3.5.
fn transport(recipe: &Recipe) -> Transport {
    if is_datagram(recipe) {
        Transport::Datagram
    } else if is_raw(recipe) {
        Transport::Raw
    } else {
        let hold_ack = recipe.handshake == Handshake::Half && recipe.check.speaks_first();
        Transport::Stream { hold_ack }
    }
}

const fn is_datagram(recipe: &Recipe) -> bool {
    matches!(recipe.check, Check::Udp(_))
}

/// How its probes end. A datagram socket is never recycled: an answer of the last target that comes
/// late would lie in its queue and be taken for the next target's.
pub(super) const fn closes(recipe: &Recipe) -> Close {
    if is_datagram(recipe) { Close::Graceful } else { recipe.close }
}

/// Whether its probes need no socket.
pub(super) fn is_raw(recipe: &Recipe) -> bool {
    let is_tcp = recipe.check == Check::Tcp;
    is_tcp && recipe.handshake == Handshake::Raw && recipe.proxy_protocol.is_none()
}

/// Whether a PROXY header is all that its probes say, so that they pass once it was sent.
fn is_introduced_only(recipe: &Recipe) -> bool {
    recipe.check == Check::Tcp && recipe.proxy_protocol.is_some()
}

fn elapsed_us(from: Instant, to: Instant) -> u32 {
    u32::try_from(micros(to.since(from))).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waited_for_a_worker_that_was_not_run_has_not_failed() {
        let (long, short) = (TARGET_PATIENCE, TARGET_PATIENCE / 2);
        let cut = Outcome::cause(Code::L7Cut, Cause::Closed);
        let refused = Outcome::errno(Code::L4Con, Errno::ECONNREFUSED);
        let reset = Outcome::errno(Code::L4Con, Errno::ECONNRESET);
        for (outcome, is_connected, lost, is_excused) in [
            (cut, true, long, true),
            (cut, true, short, false),
            (reset, false, long, true),
            (reset, false, short, false),
            (refused, false, long, false),
            (Outcome::plain(Code::L7Ok), true, long, false),
        ] {
            let told = unless_kept_waiting(outcome, is_connected, lost);
            let expected =
                if is_excused { Outcome::cause(Code::SockErr, Cause::NotRun) } else { outcome };
            assert_eq!(told, expected, "{outcome:?} {lost:?}");
        }
    }
}
