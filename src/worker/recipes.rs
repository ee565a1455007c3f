//! The recipes of a worker, by group, and the least of what they ask for.
//!
//! A changed recipe restarts the streak of each of its targets, and may pull their next starts in.
//! That touches every target, so it is not done at once: each recipe counts its changes, each
//! target remembers the count at which its streak began, and a look through the shard, a slice per
//! turn, finds those that differ. One look serves all recipes that changed together. A probe that
//! ends before the look has come to its target restarts the streak itself.
//!
//! Several bounds of a worker follow from its shortest interval, shortest timeout and least
//! patience. They are those of recipes that have targets now: a group that goes, or becomes slower,
//! leaves nothing behind.

use crate::recipe::Recipe;
use crate::registry::GroupKey;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// All recipes.
#[derive(Debug, Default)]
pub(super) struct Recipes {
    /// By [`GroupKey`].
    known: Vec<Option<Known>>,
    /// Some have changed since the last look through the shard was over.
    changed: bool,
    /// How many recipes with targets ask for what.
    intervals: Values,
    timeouts: Values,
    patiences: Values,
    least: Least,
}

/// One recipe.
#[derive(Clone, Debug)]
struct Known {
    recipe: Rc<Recipe>,
    /// Targets that follow it.
    targets: u32,
    /// Counts changes.
    epoch: u16,
    /// Its interval has become shorter since the last look through the shard was over.
    hastened: bool,
}

/// The least of each, of all recipes that have targets; [`Duration::MAX`] where none has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Least {
    /// From one probe to the next.
    pub(super) interval: Duration,
    /// Of a probe.
    pub(super) timeout: Duration,
    /// See [`patience`].
    pub(super) patience: Duration,
}

impl Default for Least {
    fn default() -> Self {
        Self { interval: Duration::MAX, timeout: Duration::MAX, patience: Duration::MAX }
    }
}

/// How long a target of this recipe waits for a slot before it is excused.
pub(super) fn patience(recipe: &Recipe) -> Duration {
    recipe.interval.saturating_mul(recipe.thresholds.unhealthy.into())
}

/// Values, and how many times each is there. Those of recipes are few, however many groups share
/// them.
#[derive(Debug, Default)]
struct Values(BTreeMap<Duration, u32>);

impl Values {
    fn put(&mut self, value: Duration) {
        *self.0.entry(value).or_default() += 1;
    }

    fn take(&mut self, value: Duration) {
        let count = self.0.entry(value).or_default();
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.0.remove(&value);
        }
    }

    fn least(&self) -> Duration {
        self.0.keys().next().copied().unwrap_or(Duration::MAX)
    }
}

impl Recipes {
    /// Takes a recipe in; true where it takes the place of another.
    pub(super) fn take(&mut self, group: GroupKey, recipe: Recipe) -> bool {
        let place = group.0 as usize;
        if self.known.len() <= place {
            self.known.resize(place + 1, None);
        }
        let recipe = Rc::new(recipe);
        let known = &mut self.known[place];
        let Some(known) = known else {
            *known = Some(Known { recipe, targets: 0, epoch: 0, hastened: false });
            return false;
        };
        known.hastened &= self.changed;
        known.hastened |= recipe.interval < known.recipe.interval;
        known.epoch = known.epoch.wrapping_add(1);
        let former = std::mem::replace(&mut known.recipe, Rc::clone(&recipe));
        self.changed = true;
        if known.targets > 0 {
            self.ask(&recipe);
            self.ask_no_more(&former);
        }
        true
    }

    /// A target follows the recipe of its group.
    pub(super) fn join(&mut self, group: GroupKey) {
        let Some(known) = self.known_mut(group) else { return };
        known.targets += 1;
        if known.targets == 1 {
            let recipe = Rc::clone(&known.recipe);
            self.ask(&recipe);
        }
    }

    /// A target no longer follows the recipe of its group.
    pub(super) fn leave(&mut self, group: GroupKey) {
        let Some(known) = self.known_mut(group) else { return };
        debug_assert!(known.targets > 0, "who leaves had joined");
        known.targets = known.targets.saturating_sub(1);
        if known.targets == 0 {
            let recipe = Rc::clone(&known.recipe);
            self.ask_no_more(&recipe);
        }
    }

    /// The least that the recipes ask for.
    pub(super) const fn least(&self) -> Least {
        self.least
    }

    /// The recipe of a group.
    #[must_use]
    pub(super) fn of(&self, group: GroupKey) -> Option<&Rc<Recipe>> {
        self.known(group).map(|known| &known.recipe)
    }

    /// Changes of the recipe of a group so far.
    #[must_use]
    pub(super) fn epoch(&self, group: GroupKey) -> u16 {
        self.known(group).map_or(0, |known| known.epoch)
    }

    /// The new interval of a group whose targets must not wait for as long as they do; none where
    /// it did not become shorter.
    #[must_use]
    pub(super) fn hastened(&self, group: GroupKey) -> Option<Duration> {
        self.known(group).filter(|known| known.hastened).map(|known| known.recipe.interval)
    }

    /// Whether the shard must be looked through.
    #[must_use]
    pub(super) const fn is_changed(&self) -> bool {
        self.changed
    }

    /// The shard has been looked through.
    pub(super) const fn looked_through(&mut self) {
        self.changed = false;
    }

    fn ask(&mut self, recipe: &Recipe) {
        self.intervals.put(recipe.interval);
        self.timeouts.put(recipe.timeout);
        self.patiences.put(patience(recipe));
        self.find_least();
    }

    fn ask_no_more(&mut self, recipe: &Recipe) {
        self.intervals.take(recipe.interval);
        self.timeouts.take(recipe.timeout);
        self.patiences.take(patience(recipe));
        self.find_least();
    }

    fn find_least(&mut self) {
        self.least = Least {
            interval: self.intervals.least(),
            timeout: self.timeouts.least(),
            patience: self.patiences.least(),
        };
    }

    fn known(&self, group: GroupKey) -> Option<&Known> {
        self.known.get(group.0 as usize)?.as_ref()
    }

    fn known_mut(&mut self, group: GroupKey) -> Option<&mut Known> {
        self.known.get_mut(group.0 as usize)?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Check;
    use crate::health::Thresholds;
    use crate::recipe::{Close, Handshake};

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    const fn recipe(interval: u64, timeout: u64, unhealthy: u8) -> Recipe {
        Recipe {
            port: None,
            interval: ms(interval),
            timeout: ms(timeout),
            thresholds: Thresholds { healthy: 1, unhealthy },
            check: Check::Tcp,
            close: Close::Reset,
            handshake: Handshake::Half,
            proxy_protocol: None,
            reuse: None,
        }
    }

    const fn least(interval: u64, timeout: u64, patience: u64) -> Least {
        Least { interval: ms(interval), timeout: ms(timeout), patience: ms(patience) }
    }

    #[test]
    fn the_least_is_that_of_recipes_with_targets_and_rises_again() {
        let (slow, quick) = (GroupKey(0), GroupKey(7));
        let mut recipes = Recipes::default();
        recipes.take(slow, recipe(10_000, 3_000, 2));
        recipes.take(quick, recipe(100, 10, 3));
        assert_eq!(recipes.least(), Least::default(), "nobody follows them");
        recipes.join(slow);
        assert_eq!(recipes.least(), least(10_000, 3_000, 20_000));
        recipes.join(quick);
        recipes.join(quick);
        assert_eq!(recipes.least(), least(100, 10, 300));
        recipes.leave(quick);
        assert_eq!(recipes.least(), least(100, 10, 300), "one is left");
        recipes.leave(quick);
        assert_eq!(recipes.least(), least(10_000, 3_000, 20_000), "all have gone");
        recipes.leave(slow);
        assert_eq!(recipes.least(), Least::default());
    }

    #[test]
    fn the_least_follows_a_changed_recipe_both_ways() {
        let (one, other) = (GroupKey(0), GroupKey(1));
        let mut recipes = Recipes::default();
        for group in [one, other] {
            recipes.take(group, recipe(10_000, 3_000, 2));
            recipes.join(group);
        }
        // Each is the least of its own.
        for (changed, expected) in [
            (recipe(500, 4_000, 50), least(500, 3_000, 20_000)),
            (recipe(20_000, 10, 2), least(10_000, 10, 20_000)),
            (recipe(11_000, 3_000, 1), least(10_000, 3_000, 11_000)),
            (recipe(10_000, 3_000, 2), least(10_000, 3_000, 20_000)),
        ] {
            assert!(recipes.take(one, changed));
            assert_eq!(recipes.least(), expected);
        }
        recipes.leave(one);
        recipes.take(one, recipe(1, 1, 1));
        assert_eq!(recipes.least(), least(10_000, 3_000, 20_000), "nobody follows it");
        recipes.join(one);
        assert_eq!(recipes.least(), least(1, 1, 1));
    }
}
