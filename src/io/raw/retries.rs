//! When a SYN is sent again: after 1, 3, 7, 15, 31 and 63 s, and given up after 127 s, as by Linux
//! (`tcp_syn_retries` = 6). A packet that is lost is then no failed check, if the timeout is long
//! enough.
//!
//! One queue per try, each in the order of time by itself, because all its waits are equally long.
//! Probes that were answered stay queued until they come to the front or are due: a target that
//! answers costs no search.

use crate::time::Instant;
use std::collections::VecDeque;
use std::time::Duration;

const TRIES: usize = 7;

/// A probe that waits for its next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    due: Instant,
    /// Its slot.
    pub(super) slot: u32,
    /// Its generation.
    pub(super) generation: u32,
    /// SYNs that it has sent.
    pub(super) tries: u8,
}

/// Who waits for what.
#[derive(Debug, Default)]
pub(super) struct Retries {
    queues: [VecDeque<Waiting>; TRIES],
}

/// What a probe does whose wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Sends its SYN again.
    Again(Waiting),
    /// Has sent the last one long enough ago.
    GivenUp(Waiting),
}

impl Retries {
    /// A probe has sent its SYN for the `tries`th time, counted from 1.
    pub(super) fn sent(&mut self, slot: u32, generation: u32, tries: u8, now: Instant) {
        let queue = usize::from(tries).clamp(1, TRIES) - 1;
        let due = now + Duration::from_secs(1 << queue);
        self.queues[queue].push_back(Waiting { due, slot, generation, tries });
    }

    /// The next probe whose wait is over at `now`, among those that still wait.
    pub(super) fn due(
        &mut self,
        now: Instant,
        waits: impl Fn(&Waiting) -> bool + Copy,
    ) -> Option<Due> {
        for (place, queue) in self.queues.iter_mut().enumerate() {
            forget(queue, waits);
            if let Some(&first) = queue.front().filter(|first| first.due <= now) {
                queue.pop_front();
                let is_last = place + 1 == TRIES;
                return Some(if is_last { Due::GivenUp(first) } else { Due::Again(first) });
            }
        }
        None
    }

    /// When the next wait is over of a probe that still waits.
    pub(super) fn next(&mut self, waits: impl Fn(&Waiting) -> bool + Copy) -> Option<Instant> {
        let firsts = self.queues.iter_mut().filter_map(|queue| {
            forget(queue, waits);
            queue.front().map(|first| first.due)
        });
        firsts.min()
    }
}

fn forget(queue: &mut VecDeque<Waiting>, waits: impl Fn(&Waiting) -> bool) {
    while queue.front().is_some_and(|first| !waits(first)) {
        queue.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_target_is_asked_as_often_as_by_linux() {
        let mut retries = Retries::default();
        retries.sent(3, 9, 1, Instant::ZERO);
        let mut seconds = Vec::new();
        while let Some(next) = retries.next(|_| true) {
            assert_eq!(retries.due(next.back(Duration::from_nanos(1)), |_| true), None);
            seconds.push(next.as_millis() / 1_000);
            match retries.due(next, |_| true).unwrap() {
                Due::Again(waiting) => retries.sent(3, 9, waiting.tries + 1, next),
                Due::GivenUp(waiting) => assert_eq!((waiting.slot, waiting.generation), (3, 9)),
            }
        }
        assert_eq!(seconds, [1, 3, 7, 15, 31, 63, 127]);
    }

    #[test]
    fn who_was_answered_is_forgotten() {
        let mut retries = Retries::default();
        for slot in 0..10 {
            retries.sent(slot, 0, 1, Instant::from_millis(slot.into()));
        }
        let is_seven = |waiting: &Waiting| waiting.slot == 7;
        assert_eq!(retries.next(is_seven), Some(Instant::from_millis(1_007)));
        assert_eq!(retries.queues[0].len(), 3, "those behind it are not looked at");
        assert_eq!(retries.next(|_| false), None);
    }
}
