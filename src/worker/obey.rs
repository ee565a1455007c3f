//! Commands of the control thread, carried out between two turns of the loop, and never so many at
//! once that a turn would take much longer for it.

use super::shard::Stay;
use super::slots::State;
use super::{Command, Worker};
use crate::check::{Check, tls};
use crate::io::Io;
use crate::limits::{COMMAND_TARGETS, STOP_GRACE};
use crate::registry::Addition;
use crate::report::TargetId;
use crate::rng::mix;
use crate::schedule::First;
use crossbeam_channel::TryRecvError;
use std::rc::Rc;

/// Commands that are carried out between two turns at most, unless they name as many targets as one
/// command may.
const COMMANDS_PER_TURN: usize = 64;
/// Targets that one turn looks at for changed recipes, and those of them that it changes.
const LOOK_SLICE: u32 = 65_536;
const RENEWED_SLICE: u32 = 4_096;

impl<I: Io> Worker<I> {
    /// Carries out some of the commands that wait; true where more may.
    pub(super) fn take_commands(&mut self) -> bool {
        if self.look_through() {
            return true;
        }
        let mut targets = 0;
        for _ in 0..COMMANDS_PER_TURN {
            let command = match self.held.take().map_or_else(|| self.commands.try_recv(), Ok) {
                Ok(command) => command,
                Err(TryRecvError::Empty) => {
                    self.look = self.recipes.is_changed().then_some(0);
                    return self.look.is_some();
                }
                Err(TryRecvError::Disconnected) => {
                    self.sealed = true;
                    // Only a one-shot run goes on without somebody who could stop it.
                    if self.options.rounds.is_none() && self.stop_by.is_none() {
                        self.stop();
                    }
                    return false;
                }
            };
            // Recipes that change together are looked through together, before anything follows.
            if self.recipes.is_changed() && !matches!(command, Command::Recipe(..)) {
                self.held = Some(command);
                self.look = Some(0);
                return true;
            }
            targets += command.targets();
            self.obey(command);
            if targets >= COMMAND_TARGETS {
                break;
            }
        }
        true
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Recipe(key, recipe) => {
                if matches!(recipe.check, Check::Tls(_)) {
                    tls::warm_up();
                }
                self.recipes.take(key, (*recipe).clone());
            }
            Command::Reserve(bound) => self.reserve(bound),
            Command::Add(first, targets) => targets.iter().for_each(|t| self.add(first, t)),
            Command::Remove(targets) => targets.iter().for_each(|&t| self.remove(t)),
            Command::Revision(revision) => self.reporter.revision(revision, self.now),
            Command::Stop => self.stop(),
        }
    }

    /// Goes on looking through the shard for targets whose recipe has changed; false where there is
    /// nothing to look for.
    fn look_through(&mut self) -> bool {
        let Some(from) = self.look else { return false };
        let to = from.saturating_add(LOOK_SLICE).min(self.shard.slots());
        let (mut index, mut renewed) = (from, 0);
        while index < to && renewed < RENEWED_SLICE {
            let group = self.shard.group(index);
            let is_target = matches!(self.shard.stay(index), Stay::Here | Stay::Back);
            if is_target && self.shard.renew(index, self.recipes.epoch(group)) {
                renewed += 1;
                self.sessions.forget_session(index);
                // Any other change keeps the phase.
                if let Some(interval) = self.recipes.hastened(group) {
                    self.schedule.hasten(index, interval, mix(u64::from(index)), self.now);
                }
            }
            index += 1;
        }
        self.look = (index < self.shard.slots()).then_some(index);
        if self.look.is_none() {
            self.recipes.looked_through();
        }
        true
    }

    fn reserve(&mut self, bound: u32) {
        let slots = self.shard.reserve(bound, self.options.rounds.is_some());
        self.schedule.grow(slots);
    }

    fn add(&mut self, first: First, target: &Addition) {
        // The control thread sends a group's recipe before its targets.
        let Some(recipe) = self.recipes.of(target.group) else {
            debug_assert!(false, "no recipe for {:?}", target.group);
            return;
        };
        let (interval, epoch) = (recipe.interval, self.recipes.epoch(target.group));
        self.reserve(target.target.0 + 1);
        self.remove(target.target);
        self.recipes.join(target.group);
        let index = self.shard.index(target.target);
        let waits = self.shard.add(target, epoch, self.options.rounds);
        if matches!(first, First::Soon(_)) {
            self.shard.bunch(index);
        }
        if waits {
            self.schedule.add(index, first, interval, target.hash, self.now);
        }
    }

    fn remove(&mut self, target: TargetId) {
        let index = self.shard.index(target);
        if matches!(self.shard.stay(index), Stay::Here | Stay::Back) {
            let waits = self.schedule.remove(index);
            if let Some(slot) = self.kept.take(index) {
                self.give_up(slot);
            }
            self.recipes.leave(self.shard.group(index));
            self.leave(index, !waits);
        }
    }

    fn stop(&mut self) {
        self.stop_by = Some(self.now + STOP_GRACE);
        while self.give_up_newest() {}
        for index in self.slots.made() {
            if let State::Running(run) = &self.slots[index].state {
                let recipe = Rc::clone(&run.recipe);
                self.deadlines.remove(index);
                self.end(index, recipe);
            }
        }
    }
}
