//! The transition history in the store: bounded by count and by age.

use super::load::wrong;
use super::rows::EventRow;
use crate::endpoint::Endpoint;
use crate::health::{Observed, Transition};
use crate::limits::{EVENTS_AGE_MAX, EVENTS_MAX};
use crate::outcome::{Code, Detail, Outcome};
use rusqlite::{Connection, Row, params};
use std::net::IpAddr;

/// Events beyond the bound that are there before they are forgotten, all at once.
const EXCESS: usize = 1_000;

/// Appends transitions.
pub(super) fn push(connection: &Connection, rows: &[EventRow]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO events (seq, at_ms, group_name, id, address, port, from_state, to_state, \
               code, status, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let mut push = connection.prepare_cached(sql)?;
    for row in rows {
        push.execute(params![
            super::database::signed(row.seq),
            row.at_ms,
            row.group,
            row.id,
            row.endpoint.ip().to_string(),
            row.endpoint.port(),
            row.transition.from.name(),
            row.transition.to.name(),
            row.outcome.code.name(),
            row.outcome.status,
            row.outcome.detail.to_bits(),
        ])?;
    }
    Ok(())
}

/// Forgets what is too much of `count` events, and what is too old; how many are left.
pub(super) fn forget(
    connection: &Connection,
    count: usize,
    now_ms: i64,
) -> rusqlite::Result<usize> {
    let mut left = count;
    if left >= EVENTS_MAX + EXCESS {
        let sql = "DELETE FROM events WHERE seq IN (SELECT seq FROM events ORDER BY seq LIMIT ?)";
        let excess = i64::try_from(left - EVENTS_MAX).unwrap_or(i64::MAX);
        left -= connection.prepare_cached(sql)?.execute([excess])?;
    }
    // The oldest come first, so that this looks at no more than it forgets, and at EXCESS.
    let sql = "DELETE FROM events WHERE seq IN (SELECT seq FROM events ORDER BY seq LIMIT ?) \
               AND at_ms < ?";
    let age_max_ms = i64::try_from(EVENTS_AGE_MAX.as_millis()).unwrap_or(i64::MAX);
    let oldest_ms = now_ms.saturating_sub(age_max_ms);
    let excess = i64::try_from(EXCESS).unwrap_or(i64::MAX);
    left -= connection.prepare_cached(sql)?.execute([excess, oldest_ms])?;
    Ok(left)
}

/// All of them, by seq.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<Vec<EventRow>> {
    let sql = "SELECT seq, at_ms, group_name, id, address, port, from_state, to_state, code, \
               status, detail FROM events ORDER BY seq";
    connection.prepare(sql)?.query_map([], read)?.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<EventRow> {
    let state = |name: &str| Observed::ALL.into_iter().find(|state| state.name() == name);
    let address = text_as(row, 4, |text| text.parse::<IpAddr>().ok())?;
    Ok(EventRow {
        seq: unsigned(row, 0)?,
        at_ms: row.get(1)?,
        group: row.get(2)?,
        id: row.get(3)?,
        endpoint: Endpoint::new(address, row.get(5)?),
        transition: Transition { from: text_as(row, 6, state)?, to: text_as(row, 7, state)? },
        outcome: Outcome {
            code: text_as(row, 8, Code::from_name)?,
            status: row.get(9)?,
            detail: Detail::from_bits(row.get(10)?),
        },
    })
}

/// The text in a column as what `parse` makes of it.
pub(super) fn text_as<T>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    parse(text).ok_or_else(|| wrong(column, "no value of this column"))
}

/// A number that is not negative.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|_| wrong(column, "a negative number"))
}
