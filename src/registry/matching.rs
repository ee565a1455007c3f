//! Which configured targets are members already: one list looked up in another.
//!
//! A list that mostly kept its order costs one pass; one in any other order is sorted and merged,
//! which is several times faster than searching for each target in a million others.

use super::members::{Members, position_u32};
use crate::config::TargetConfig;
use crate::config::identity::{identity_of, sorted_positions};

/// Of this many targets one may stand elsewhere than behind the last one before the list counts as
/// one in another order.
const ORDERED: usize = 32;

/// For each of `targets` the position of the member of `old` with the same id and port; none where
/// there is no such member.
pub(super) fn positions(old: &Members, targets: &[TargetConfig]) -> Vec<Option<u32>> {
    let mut found = Vec::with_capacity(targets.len());
    let mut searches = targets.len() / ORDERED + 2;
    let mut guess = 0;
    for target in targets {
        let identity = identity_of(target);
        let is_hit = guess < old.len() && old.identity(guess) == identity;
        if !is_hit && searches == 0 {
            break;
        }
        searches -= usize::from(!is_hit);
        let position = if is_hit { Some(guess) } else { old.position_of(identity) };
        guess = position.map_or(guess, |position| position + 1);
        found.push(position.map(position_u32));
    }
    let rest = &targets[found.len()..];
    found.extend(merged(old, rest));
    found
}

/// The same for a list in any order.
fn merged(old: &Members, targets: &[TargetConfig]) -> Vec<Option<u32>> {
    let mut found = vec![None; targets.len()];
    let count = position_u32(targets.len());
    let order = sorted_positions(count, |place| identity_of(&targets[place]));
    let mut members = old.sorted().peekable();
    for place in order {
        let identity = identity_of(&targets[place as usize]);
        while members.next_if(|&at| old.identity(at as usize) < identity).is_some() {}
        found[place as usize] = members.next_if(|&at| old.identity(at as usize) == identity);
    }
    found
}
