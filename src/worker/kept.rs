//! Connections that wait in their slots for their target's next probe (`reuse`).
//!
//! A probe that passed and whose answer came to its end leaves its connection, with nothing in
//! flight; the next probe of that target begins with its request. Nobody listens meanwhile, so
//! what the target does to the connection is found out only then: where it is over before anything
//! was answered, or the answer is that the target had waited for too long, the probe goes on over a
//! fresh connection within what is left of its timeout, and the target has not failed.
//!
//! A kept slot is neither in use nor free: probes take it as soon as there is no other, so nobody
//! ever waits for one. They take the one that was kept last, because its target's turn comes last:
//! targets are probed in a round, and where slots are fewer than targets, those kept first would
//! all be gone just before they are wanted. It is given up too when its target leaves, when its
//! recipe has changed, and after `fresh_connection_every` probes.

use super::Worker;
use super::probes::{closes, endpoint};
use super::slots::{Connection, State};
use crate::check::Event;
use crate::io::{Io, Op};
use crate::outcome::{Cause, Class, Code, Detail, Outcome};
use crate::recipe::Recipe;
use crate::schedule::Due;
use crate::time::Instant;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::rc::Rc;

/// Places in the order that may be of slots that are kept no more, before they are cleared away.
const STALE_MIN: usize = 64;
/// HTTP's answer to who asked nothing for too long (RFC 9110, 15.5.9).
const REQUEST_TIMEOUT: u16 = 408;

/// Which slot is kept for which target.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// By target: its slot, and the number of its keeping.
    slots: HashMap<u32, (u32, u64), RandomState>,
    /// Targets and numbers of keepings, the newest last. Those whose number is not in `slots` any
    /// more mean nothing.
    order: Vec<(u32, u64)>,
    count: u64,
}

impl Kept {
    /// Keeps `slot` for a target that has none.
    fn keep(&mut self, target: u32, slot: u32) {
        self.count += 1;
        let before = self.slots.insert(target, (slot, self.count));
        debug_assert!(before.is_none(), "a target has one connection");
        self.order.push((target, self.count));
        if self.order.len() > 2 * self.slots.len() + STALE_MIN {
            let slots = &self.slots;
            self.order.retain(|(target, number)| slots.get(target).is_some_and(|s| s.1 == *number));
        }
    }

    /// The slot of a target, which is kept no more.
    pub(super) fn take(&mut self, target: u32) -> Option<u32> {
        // Most workers keep nothing, and need not look.
        if self.slots.is_empty() {
            return None;
        }
        self.slots.remove(&target).map(|(slot, _)| slot)
    }

    /// The slot that was kept last.
    pub(super) fn take_newest(&mut self) -> Option<u32> {
        while let Some((target, number)) = self.order.pop() {
            if self.slots.get(&target).is_some_and(|kept| kept.1 == number) {
                return self.take(target);
            }
        }
        None
    }
}

impl<I: Io> Worker<I> {
    /// Starts the probe over the connection that its target's last one left; false where none is
    /// left that may be used.
    pub(super) fn start_kept(&mut self, due: Due, recipe: &Rc<Recipe>, now: Instant) -> bool {
        let Some(index) = self.kept.take(due.target) else { return false };
        let State::Kept { recipe: before, probes } = &self.slots[index].state else {
            debug_assert!(false, "only kept slots are known as such");
            return false;
        };
        if before != recipe {
            self.give_up(index);
            return false;
        }
        let connection = Connection::Kept { probes: *probes };
        let (group, failing) =
            (self.shard.group(due.target), self.shard.health(due.target).is_failing());
        self.slots.resume(index, group, failing);
        self.slots[index].probe.restart_kept(&recipe.check);
        self.run(index, due, Rc::clone(recipe), connection, now);
        let action = self.slots[index].probe.handle(&recipe.check, Event::Connected);
        self.act(index, action);
        true
    }

    /// Keeps the connection of a probe that is over, if it can be kept; else false.
    pub(super) fn keep(&mut self, index: u32, target: u32, outcome: Outcome) -> bool {
        let slot = &mut self.slots[index];
        let State::Running(run) = &slot.state else { return false };
        let Some(reuse) = run.recipe.reuse else { return false };
        let probes = run.connection.probes() + 1;
        let may_be_kept = outcome.class() == Class::Pass
            && probes < reuse.fresh_connection_every
            && slot.is_idle()
            && slot.probe.leaves_connection()
            && self.stop_by.is_none();
        if !may_be_kept {
            return false;
        }
        slot.state = State::Kept { recipe: Rc::clone(&run.recipe), probes };
        self.slots.keep(index);
        self.kept.keep(target, index);
        true
    }

    /// Closes a kept connection; its slot is free.
    pub(super) fn give_up(&mut self, index: u32) {
        let State::Kept { recipe, .. } = &self.slots[index].state else {
            debug_assert!(false, "nobody uses it");
            return;
        };
        let close = closes(recipe);
        let group = self.slots.group(index);
        self.slots.resume(index, group, false);
        self.slots[index].probe.disconnected();
        self.dispose(index, close);
    }

    /// Closes the connection that was kept last; false where there is none.
    pub(super) fn give_up_newest(&mut self) -> bool {
        let newest = self.kept.take_newest();
        if let Some(index) = newest {
            self.give_up(index);
        }
        newest.is_some()
    }

    /// Where `outcome` says no more than that a kept connection was over when the probe began: lets
    /// it go on over a fresh one. False for any other outcome.
    pub(super) fn refresh(&mut self, index: u32, outcome: Outcome) -> bool {
        let slot = &mut self.slots[index];
        let State::Running(run) = &mut slot.state else { return false };
        let is_kept = matches!(run.connection, Connection::Kept { .. });
        let is_answered = run.first_byte_us.is_some() && slot.probe.is_answered();
        if !is_kept || !was_over(outcome, is_answered) {
            return false;
        }
        run.connection = Connection::Over;
        (run.introduced, run.first_byte_us) = (false, None);
        slot.probe.restart(&run.recipe.check);
        if slot.is_idle() {
            self.over.push(index);
        } else {
            for token in slot.tokens(index) {
                self.io.submit(Op::Cancel { token });
            }
        }
        true
    }

    /// Connects those anew whose kept connection was over, as far as the ring has room.
    pub(super) fn connect_anew(&mut self) {
        while self.io.room() > 0
            && let Some(index) = self.over.pop()
        {
            let slot = &mut self.slots[index];
            let is_idle = slot.is_idle();
            let State::Running(run) = &mut slot.state else { continue };
            // It may have ended meanwhile, and another have begun.
            if run.connection != Connection::Over || !is_idle {
                continue;
            }
            run.connection = Connection::Fresh;
            let (address, socket) = endpoint(&run.recipe, self.shard.endpoint(run.target));
            let close = closes(&run.recipe);
            self.disconnect(index, close);
            self.slots[index].renew();
            self.connect(index, address, socket);
        }
    }
}

/// Whether an outcome over a kept connection says only that the connection was over.
fn was_over(outcome: Outcome, is_answered: bool) -> bool {
    let is_going = matches!(outcome.detail, Detail::Cause(Cause::GoAway));
    match outcome.code {
        Code::L7Cut => !is_answered || is_going,
        // As TLS says that it is over.
        Code::L6Rsp => !is_answered,
        // A target's last words before it closes, which crossed our request.
        Code::L7Sts => outcome.status == REQUEST_TIMEOUT,
        Code::L4Ok
        | Code::L6Ok
        | Code::L7Ok
        | Code::L4Tout
        | Code::L4Con
        | Code::L6Tout
        | Code::L7Tout
        | Code::L7Rsp
        | Code::SockErr => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_taken_first_and_each_once() {
        let mut kept = Kept::default();
        for target in 0..5 {
            kept.keep(target, 100 + target);
        }
        assert_eq!(kept.take(0), Some(100));
        assert_eq!(kept.take(0), None);
        kept.keep(0, 107);
        assert_eq!(kept.take(2), Some(102));
        let rest: Vec<u32> = std::iter::from_fn(|| kept.take_newest()).collect();
        assert_eq!(rest, [107, 104, 103, 101]);
        assert!(kept.slots.is_empty() && kept.order.is_empty());
    }

    #[test]
    fn what_is_kept_no_more_takes_no_memory() {
        let mut kept = Kept::default();
        for round in 0..10_000 {
            kept.keep(round % 7, round % 7);
            assert_eq!(kept.take(round % 7), Some(round % 7));
            assert!(kept.order.len() <= STALE_MIN + 2);
        }
    }

    #[test]
    fn only_the_end_of_the_connection_is_excused() {
        let closed = Outcome::cause(Code::L7Cut, Cause::Closed);
        let status = |status| Outcome { code: Code::L7Sts, status, detail: Detail::None };
        for (outcome, is_answered, expected) in [
            (closed, false, true),
            (closed, true, false),
            (Outcome::cause(Code::L7Cut, Cause::GoAway), true, true),
            (Outcome::cause(Code::L6Rsp, Cause::TlsClosed), false, true),
            (Outcome::cause(Code::L6Rsp, Cause::TlsClosed), true, false),
            (status(408), true, true),
            (status(503), true, false),
            (Outcome::plain(Code::L7Tout), false, false),
            (Outcome::plain(Code::L7Ok), true, false),
        ] {
            assert_eq!(was_over(outcome, is_answered), expected, "{outcome:?}");
        }
    }
}
