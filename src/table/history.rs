//! The last transitions, in a ring of bounded size: the collector writes, readers never wait.
//!
//! An event names its target by itself (group, id, address), because it outlives the target. Each
//! place of the ring is an `ArcSwapOption`: a reader gets a whole event or none, and what was
//! overwritten meanwhile is seen by its number. Places are allocated in chunks when they are first
//! used. Events of one target are found through chains by a hash of its id, so that the answer for
//! one target does not read the whole ring.
//!
//! An event has two numbers. Its *place number* counts the events of the ring without a gap; its
//! *seq* is what clients see, and goes on over restarts: a run that did not end cleanly may have
//! given more of them than anybody remembers, so the next one leaps ahead. Both only grow, so an
//! event is found by its seq in a binary search.

use crate::endpoint::Endpoint;
use crate::health::Transition;
use crate::limits::EVENTS_MAX;
use crate::outcome::Outcome;
use crate::report::TargetId;
use crate::wall::Moment;
use arc_swap::ArcSwapOption;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

const CHUNK: usize = 1_024;
/// Chains; a power of two.
const CHAINS: usize = 1 << 14;
/// Events of a chain that one question looks at, its own target's or not.
const CHAIN_STEPS_MAX: usize = 1_000;

/// One change of a target's observed state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Ascends over restarts; without a gap while the daemon runs.
    pub seq: u64,
    /// When.
    pub at: Moment,
    /// Its place in the state table, which may have another owner by now.
    pub target: TargetId,
    /// Name of its group.
    pub group: Arc<str>,
    /// Its id, where that is not its address.
    pub id: Option<Box<str>>,
    /// Its address and traffic port.
    pub endpoint: Endpoint,
    /// From which state to which.
    pub transition: Transition,
    /// The outcome that brought it.
    pub outcome: Outcome,
}

impl Event {
    /// The target's id: as given, or its address.
    #[must_use]
    pub fn id(&self) -> String {
        self.id.as_deref().map_or_else(|| self.endpoint.ip().to_string(), str::to_owned)
    }
}

type Chunk = Box<[ArcSwapOption<Link>]>;

#[derive(Debug)]
struct Link {
    event: Event,
    /// Its place number.
    number: u64,
    /// Place number of the event before this one in its chain; 0: none.
    before: u64,
}

/// See the module's head.
#[derive(Debug)]
pub struct History {
    capacity: u64,
    chunks: Box<[OnceLock<Chunk>]>,
    /// Place number of the newest event of each chain; 0: none.
    chains: Box<[AtomicU64]>,
    /// Place number of the newest event of all; 0: none.
    last: AtomicU64,
    /// The newest seq; 0: none. Never behind an event that can be read.
    newest: AtomicU64,
    /// Seqs that nobody was given, from which (exclusive) to which (inclusive); ascending.
    leaps: OnceLock<Vec<(u64, u64)>>,
}

impl Default for History {
    fn default() -> Self {
        Self::with_capacity(EVENTS_MAX)
    }
}

impl History {
    /// A ring of `capacity` events, at least 1.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self {
            capacity: capacity as u64,
            chunks: (0..capacity.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect(),
            chains: (0..CHAINS).map(|_| AtomicU64::new(0)).collect(),
            last: AtomicU64::new(0),
            newest: AtomicU64::new(0),
            leaps: OnceLock::new(),
        }
    }

    /// The newest seq that was given, in this run or before; 0 before the first.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    /// At most `limit` events after `seq` and not before `oldest`, oldest first.
    #[must_use]
    pub fn since(&self, seq: u64, limit: usize, oldest: Moment) -> Vec<Event> {
        let last = self.last.load(Ordering::Acquire);
        (self.behind(seq, last)..=last)
            .filter_map(|number| self.get(number))
            .filter(|link| link.event.at >= oldest && link.event.seq > seq)
            .map(|link| link.event.clone())
            .take(limit)
            .collect()
    }

    /// How many events were given the seqs behind `after` up to `upto`, whether they can still be
    /// read or not.
    #[must_use]
    pub fn given(&self, after: u64, upto: u64) -> u64 {
        let leaps = self.leaps.get().map_or(&[][..], Vec::as_slice);
        let leapt = |&(from, to): &(u64, u64)| to.min(upto).saturating_sub(from.max(after));
        upto.saturating_sub(after).saturating_sub(leaps.iter().map(leapt).sum())
    }

    /// At most `limit` events of `target` that `is_of_it` (its place may have had another owner),
    /// newest first.
    #[must_use]
    pub fn of_target(
        &self,
        target: TargetId,
        limit: usize,
        is_of_it: impl Fn(&Event) -> bool,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        let mut next = self.chains[chain(target)].load(Ordering::Acquire);
        for _ in 0..CHAIN_STEPS_MAX {
            let Some(link) = self.get(next).filter(|_| events.len() < limit) else { break };
            if link.event.target == target && is_of_it(&link.event) {
                events.push(link.event.clone());
            }
            next = link.before;
        }
        events
    }

    /// Appends an event, whose seq is set here. For the writer only.
    pub(crate) fn push(&self, mut event: Event) {
        event.seq = self.newest.load(Ordering::Relaxed) + 1;
        self.append(event);
    }

    /// Takes over the events of earlier runs, by ascending seq; the first one of this run has a seq
    /// above `newest`. Once, before the first [`History::push`], and for the writer only.
    pub(crate) fn restore(&self, events: impl IntoIterator<Item = Event>, newest: u64) {
        let mut leaps = Vec::new();
        let mut before: Option<u64> = None;
        for event in events {
            if let Some(before) = before.filter(|before| before + 1 < event.seq) {
                leaps.push((before, event.seq - 1));
            }
            before = Some(event.seq);
            self.append(event);
        }
        leaps.extend(before.filter(|&before| before < newest).map(|before| (before, newest)));
        // It is called once.
        let _ = self.leaps.set(leaps);
        self.newest.fetch_max(newest, Ordering::Release);
    }

    fn append(&self, event: Event) {
        let (number, seq) = (self.last.load(Ordering::Relaxed) + 1, event.seq);
        let head = &self.chains[chain(event.target)];
        let link = Link { event, number, before: head.load(Ordering::Relaxed) };
        let (chunk, place) = self.place(number);
        let empty = || (0..CHUNK).map(|_| ArcSwapOption::empty()).collect();
        self.chunks[chunk].get_or_init(empty)[place].store(Some(Arc::new(link)));
        head.store(number, Ordering::Release);
        self.newest.store(seq, Ordering::Release);
        self.last.store(number, Ordering::Release);
    }

    /// The number of the first place that may hold an event behind `seq`, `last` being the last
    /// place in use. What is overwritten meanwhile counts as older.
    fn behind(&self, seq: u64, last: u64) -> u64 {
        let (mut from, mut to) = ((last + 1).saturating_sub(self.capacity).max(1), last + 1);
        while from < to {
            let middle = from.midpoint(to);
            match self.get(middle).filter(|link| link.event.seq > seq) {
                Some(_) => to = middle,
                None => from = middle + 1,
            }
        }
        from
    }

    fn get(&self, number: u64) -> Option<arc_swap::Guard<Arc<Link>>> {
        let (chunk, place) = self.place(number);
        let link = self.chunks[chunk].get()?[place].load();
        let link = arc_swap::Guard::into_inner(link)?;
        (link.number == number).then(|| arc_swap::Guard::from_inner(link))
    }

    fn place(&self, number: u64) -> (usize, usize) {
        // The remainder is below `capacity`, which came from a usize.
        let index = usize::try_from(number % self.capacity).unwrap_or(0);
        (index / CHUNK, index % CHUNK)
    }
}

const fn chain(target: TargetId) -> usize {
    target.index() % CHAINS
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::health::Observed;
    use crate::outcome::Code;

    pub(crate) fn event(target: u32, at: i64) -> Event {
        Event {
            seq: 0,
            at: Moment(at),
            target: TargetId(target),
            group: "g".into(),
            id: None,
            endpoint: Endpoint::new([127, 0, 0, 1].into(), 80),
            transition: Transition { from: Observed::Initial, to: Observed::Healthy },
            outcome: Outcome::plain(Code::L4Ok),
        }
    }

    fn seqs(events: &[Event]) -> Vec<u64> {
        events.iter().map(|event| event.seq).collect()
    }

    #[test]
    fn the_ring_keeps_the_newest_and_counts_without_a_gap() {
        let history = History::with_capacity(10);
        assert_eq!(history.since(0, 100, Moment(0)), []);
        for i in 0..25 {
            history.push(event(i % 3, i64::from(i)));
        }
        let all = Moment(i64::MIN);
        assert_eq!(seqs(&history.since(0, 100, all)), (16..=25).collect::<Vec<_>>());
        assert_eq!(seqs(&history.since(20, 2, all)), [21, 22]);
        assert!(seqs(&history.since(25, 2, all)).is_empty());
        assert!(seqs(&history.since(u64::MAX, 2, all)).is_empty());
        assert_eq!(seqs(&history.since(0, 100, Moment(23))), [24, 25]);
    }

    #[test]
    fn events_of_one_target_come_newest_first_and_only_its_own() {
        let history = History::with_capacity(8);
        let (a, b) = (1, 1 + u32::try_from(CHAINS).unwrap());
        for i in 0..12 {
            history.push(event(if i % 2 == 0 { a } else { b }, i));
        }
        let of = |id, limit| seqs(&history.of_target(TargetId(id), limit, |_| true));
        assert_eq!(of(a, 100), [11, 9, 7, 5]);
        assert_eq!(of(b, 2), [12, 10]);
        assert!(of(2, 100).is_empty());
        let young = history.of_target(TargetId(a), 9, |event| event.at.0 > 8);
        assert_eq!(seqs(&young), [11]);
    }

    #[test]
    fn seqs_go_on_over_restarts_and_a_leap_loses_nothing() {
        let history = History::with_capacity(10);
        let known = [3, 4, 9, 10, 11].map(|seq| Event { seq, ..event(7, 0) });
        history.restore(known, 100);
        let all = Moment(i64::MIN);
        assert_eq!((history.newest(), seqs(&history.since(100, 9, all))), (100, vec![]));
        assert_eq!(seqs(&history.since(0, 100, all)), [3, 4, 9, 10, 11]);
        for _ in 0..3 {
            history.push(event(7, 0));
        }
        assert_eq!(history.newest(), 103);
        let rows: [(u64, &[u64]); 9] = [
            (2, &[3, 4, 9, 10, 11, 101, 102, 103]),
            (3, &[4, 9, 10, 11, 101, 102, 103]),
            (4, &[9, 10, 11, 101, 102, 103]),
            (6, &[9, 10, 11, 101, 102, 103]),
            (11, &[101, 102, 103]),
            (50, &[101, 102, 103]),
            (100, &[101, 102, 103]),
            (102, &[103]),
            (103, &[]),
        ];
        for (since, expected) in rows {
            assert_eq!(seqs(&history.since(since, 100, all)), expected, "since {since}");
        }
        assert_eq!(seqs(&history.since(4, 4, all)), [9, 10, 11, 101]);
        let of_target = seqs(&history.of_target(TargetId(7), 100, |_| true));
        assert_eq!(of_target, [103, 102, 101, 11, 10, 9, 4, 3]);
        for (after, upto, given) in [
            (0, 103, 10),
            (2, 103, 8),
            (4, 103, 6),
            (6, 9, 1),
            (11, 50, 0),
            (50, 102, 2),
            (101, 103, 2),
            (103, 103, 0),
            (200, 103, 0),
        ] {
            assert_eq!(history.given(after, upto), given, "{after} to {upto}");
        }
        (0..10).for_each(|_| history.push(event(7, 0)));
        assert_eq!(seqs(&history.since(0, 100, all)), (104..=113).collect::<Vec<_>>());
    }

    #[test]
    fn a_history_without_a_past_begins_with_one() {
        let history = History::with_capacity(10);
        history.restore([], 0);
        history.push(event(7, 0));
        assert_eq!((history.newest(), history.given(0, 1)), (1, 1));
        let leapt = History::with_capacity(10);
        leapt.restore([], 50);
        leapt.push(event(7, 0));
        assert_eq!(seqs(&leapt.since(0, 100, Moment(0))), [51]);
    }

    #[test]
    fn readers_that_race_with_the_writer_see_whole_events_in_order() {
        let history = History::with_capacity(64);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..20_000).for_each(|i| history.push(event(i, i64::from(i)))));
            while history.newest() < 20_000 {
                let events = history.since(0, 64, Moment(0));
                for event in &events {
                    assert_eq!(event.at.0 + 1, i64::try_from(event.seq).unwrap());
                    assert_eq!(u64::from(event.target.0) + 1, event.seq);
                }
                assert!(events.is_sorted_by_key(|event| event.seq));
            }
        });
    }
}
