//! Transitions on their way between the history, which counts by the monotonic clock and names a
//! target's place in the table, and the store, which outlives both.

use crate::registry::Registry;
use crate::report::TargetId;
use crate::store::{EventRow, Feed};
use crate::table::{Event, StateTable};
use crate::time::{monotonic, wall_ms};
use crate::wall::{Moment, WallClock};
use std::collections::HashMap;
use std::sync::Arc;

/// The place of a target that is there no longer.
const NOWHERE: TargetId = TargetId(u32::MAX);

/// The history as the store reads it.
#[derive(Debug)]
pub(super) struct Journal {
    table: Arc<StateTable>,
    clock: Arc<WallClock>,
}

impl Journal {
    pub(super) const fn new(table: Arc<StateTable>, clock: Arc<WallClock>) -> Self {
        Self { table, clock }
    }
}

impl Feed for Journal {
    fn since(&mut self, seq: u64, limit: usize) -> Vec<EventRow> {
        let events = self.table.history().since(seq, limit, Moment(i64::MIN));
        events.into_iter().map(|event| row(event, &self.clock)).collect()
    }

    fn newest(&self) -> u64 {
        self.table.history().newest()
    }

    fn now_ms(&self) -> i64 {
        self.clock.observe(monotonic(), wall_ms());
        self.clock.wall_ms(monotonic().into())
    }
}

fn row(event: Event, clock: &WallClock) -> EventRow {
    EventRow {
        seq: event.seq,
        at_ms: clock.wall_ms(event.at),
        group: (&*event.group).into(),
        id: event.id,
        endpoint: event.endpoint,
        transition: event.transition,
        outcome: event.outcome,
    }
}

/// The events of `rows`, of targets of `registry` where they are there still.
pub(super) fn events(rows: Vec<EventRow>, registry: &Registry, clock: &WallClock) -> Vec<Event> {
    let mut names: HashMap<Box<str>, Arc<str>> = HashMap::new();
    let event = |row: EventRow| {
        let group = registry.group(&row.group);
        let place = group.and_then(|group| {
            let position = group.members.locate(row.id.as_deref(), row.endpoint, 0)?;
            Some(group.members.target(position))
        });
        let name = names.entry(row.group).or_insert_with_key(|name| (&**name).into());
        Event {
            seq: row.seq,
            at: clock.moment(row.at_ms),
            target: place.unwrap_or(NOWHERE),
            group: Arc::clone(name),
            id: row.id,
            endpoint: row.endpoint,
            transition: row.transition,
            outcome: row.outcome,
        }
    };
    rows.into_iter().map(event).collect()
}
