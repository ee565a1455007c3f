//! The recipes of a worker, by group.
//!
//! A changed recipe restarts the streak of each of its targets, and may pull their next starts in.
//! That touches every target, so it is not done at once: each recipe counts its changes, each
//! target remembers the count at which its streak began, and a look through the shard, a slice per
//! turn, finds those that differ. One look serves all recipes that changed together. A probe that
//! ends before the look has come to its target restarts the streak itself.

use crate::recipe::Recipe;
use crate::registry::GroupKey;
use std::rc::Rc;
use std::time::Duration;

/// All recipes.
#[derive(Debug, Default)]
pub(super) struct Recipes {
    /// By [`GroupKey`].
    known: Vec<Option<Known>>,
    /// Some have changed since the last look through the shard was over.
    changed: bool,
}

/// One recipe.
#[derive(Clone, Debug)]
struct Known {
    recipe: Rc<Recipe>,
    /// Counts changes.
    epoch: u16,
    /// Its interval has become shorter since the last look through the shard was over.
    hastened: bool,
}

impl Recipes {
    /// Takes a recipe in; true where it takes the place of another.
    pub(super) fn take(&mut self, group: GroupKey, recipe: Recipe) -> bool {
        let place = group.0 as usize;
        if self.known.len() <= place {
            self.known.resize(place + 1, None);
        }
        let known = &mut self.known[place];
        let Some(known) = known else {
            *known = Some(Known { recipe: Rc::new(recipe), epoch: 0, hastened: false });
            return false;
        };
        known.hastened &= self.changed;
        known.hastened |= recipe.interval < known.recipe.interval;
        known.epoch = known.epoch.wrapping_add(1);
        known.recipe = Rc::new(recipe);
        self.changed = true;
        true
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

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Recipe> {
        self.known.iter().flatten().map(|known| &*known.recipe)
    }

    fn known(&self, group: GroupKey) -> Option<&Known> {
        self.known.get(group.0 as usize)?.as_ref()
    }
}
