//! Where each target stands, by its id: in pages that registries share until they differ.
//!
//! Ids and positions mostly go up together, because targets that are registered together get ids in
//! a row; a page where they do is two numbers, whatever it holds. Any other page takes eight bytes
//! an id. The next registry copies the list of pages (a few bytes for each [`PAGE`] targets), and
//! makes its own only those that it changes.

use super::Home;
use super::members::position_u32;
use crate::report::TargetId;
use std::ops::Range;
use std::sync::Arc;

/// Ids of one page: small, so that few pages are in two groups of a thousand targets.
const PAGE: u32 = 256;

/// Homes by target id.
#[derive(Clone, Debug, Default)]
pub struct Homes {
    pages: Vec<Page>,
}

#[derive(Clone, Debug)]
enum Page {
    /// The home of its first id; each further id has the next position of that group, or all have
    /// [`Home::NONE`].
    Row(Home),
    Each(Arc<[Home; PAGE as usize]>),
}

impl Homes {
    /// The home of `target`; none where the id is not in use.
    #[must_use]
    pub fn get(&self, target: TargetId) -> Option<Home> {
        let home = self.pages.get((target.0 / PAGE) as usize)?.at(target.0 % PAGE);
        (home.group != Home::NONE.group).then_some(home)
    }

    /// One more than the highest id that is in use.
    #[must_use]
    pub fn bound(&self) -> usize {
        let Some((last, before)) = self.pages.split_last() else { return 0 };
        let used = (0..PAGE).rfind(|&place| last.at(place).group != Home::NONE.group);
        before.len() * PAGE as usize + used.map_or(0, |place| place as usize + 1)
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let own = self.pages.iter().filter(|page| matches!(page, Page::Each(_))).count();
        self.pages.capacity() * size_of::<Page>() + own * size_of::<[Home; PAGE as usize]>()
    }

    /// The first of `ids` is at home in `first`, each other one at the next position there.
    pub(super) fn settle(&mut self, ids: Range<u32>, first: Home) {
        let pages = ids.end.div_ceil(PAGE) as usize;
        if self.pages.len() < pages {
            self.pages.resize(pages, Page::Row(Home::NONE));
        }
        let mut id = ids.start;
        while id < ids.end {
            let end = ids.end.min((id / PAGE + 1) * PAGE);
            let page = &mut self.pages[(id / PAGE) as usize];
            page.settle(id % PAGE..id % PAGE + (end - id), first.forward(id - ids.start));
            id = end;
        }
    }

    /// Nobody has `ids` any more.
    pub(super) fn forget(&mut self, ids: Range<u32>) {
        self.settle(ids, Home::NONE);
    }

    /// Lets go of the pages at the end in which no id is in use.
    pub(super) fn trim(&mut self) {
        let is_empty = |page: &Page| (0..PAGE).all(|at| page.at(at).group == Home::NONE.group);
        while self.pages.pop_if(|page| is_empty(page)).is_some() {}
        self.pages.shrink_to_fit();
    }
}

impl Page {
    fn at(&self, place: u32) -> Home {
        match self {
            Self::Row(first) => first.forward(place),
            Self::Each(homes) => homes[place as usize],
        }
    }

    fn settle(&mut self, places: Range<u32>, first: Home) {
        if places.len() == PAGE as usize {
            *self = Self::Row(first);
            return;
        }
        if places.clone().all(|place| self.at(place) == first.forward(place - places.start)) {
            return;
        }
        if let Self::Row(row) = self {
            let homes = std::array::from_fn(|place| row.forward(position_u32(place)));
            *self = Self::Each(Arc::new(homes));
        }
        if let Self::Each(homes) = self {
            let homes = Arc::make_mut(homes);
            for place in places.clone() {
                homes[place as usize] = first.forward(place - places.start);
            }
        }
    }
}

impl Home {
    /// The home of nobody.
    pub(super) const NONE: Self = Self { group: u32::MAX, position: 0 };

    /// The home `by` positions further on in the same group; of nobody, nobody's.
    const fn forward(self, by: u32) -> Self {
        match self.group {
            u32::MAX => self,
            group => Self { group, position: self.position + by },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::collections::BTreeMap;

    #[test]
    fn ids_in_a_row_take_next_to_nothing() {
        let mut homes = Homes::default();
        homes.settle(0..100_000, Home { group: 3, position: 0 });
        homes.trim();
        assert!(homes.bytes() < 100_000 / 10, "{}", homes.bytes());
        assert_eq!((homes.bound(), homes.get(TargetId(100_000))), (100_000, None));
        assert_eq!(homes.get(TargetId(99_999)), Some(Home { group: 3, position: 99_999 }));
    }

    #[test]
    fn any_steps_come_to_what_a_map_says_and_leave_the_copy_alone() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let (mut homes, mut model) = (Homes::default(), BTreeMap::new());
            for _ in 0..8 {
                let (copy, before) = (homes.clone(), model.clone());
                let mut number =
                    |below: u64| u32::try_from(rng.below(below)).expect("it is below 2^32");
                let (start, len) = (number(2_000), number(if seed % 2 == 0 { 9 } else { 1_500 }));
                let (ids, group, position) = (start..start + len, number(3), number(100));
                if number(3) == 0 {
                    model.retain(|id, _| !ids.contains(id));
                    homes.forget(ids);
                } else {
                    let home = |id| (id, Home { group, position: position + (id - start) });
                    model.extend(ids.clone().map(home));
                    homes.settle(ids, Home { group, position });
                }
                homes.trim();
                let all = |homes: &Homes| -> BTreeMap<_, _> {
                    (0..4_000).filter_map(|id| Some((id, homes.get(TargetId(id))?))).collect()
                };
                assert_eq!(all(&homes), model, "seed {seed}");
                assert_eq!(all(&copy), before, "seed {seed}");
                let bound = model.last_key_value().map_or(0, |(&id, _)| id as usize + 1);
                assert_eq!(homes.bound(), bound, "seed {seed}");
            }
        }
    }
}
