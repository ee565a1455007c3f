//! Reads all that is kept, once, at start. What does not read as what was written is damage: a
//! daemon that left it out would tell clients that their objects never were.

use super::events::{text_as, unsigned};
use super::rows::{GroupRow, Loaded, LoadedGroup, TargetRow};
use super::{StoreError, events};
use crate::config::{
    Lifecycle, ListenerConfig, ListenerProtocol, LoadBalancerConfig, Origin, Source, TargetConfig,
};
use crate::endpoint::Endpoint;
use rusqlite::types::Type;
use rusqlite::{Connection, Row};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

const LIFECYCLES: [Lifecycle; 3] = [Lifecycle::Running, Lifecycle::Stopped, Lifecycle::Terminated];

/// Everything.
pub(super) fn all(connection: &Connection, file: &Path) -> Result<Loaded, StoreError> {
    let wrong = |error: rusqlite::Error| StoreError::of(file, &error);
    // A third of a second for a million targets, so it is done at every start.
    let check = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    let found = check.map_err(wrong)?;
    if found != "ok" {
        return Err(StoreError::damaged(file, found.replace('\n', " ")));
    }
    let sql = "SELECT newest_seq, is_open FROM marks";
    let (marked_seq, was_killed) =
        connection.query_row(sql, [], |row| Ok((unsigned(row, 0)?, row.get(1)?))).map_err(wrong)?;
    let (keys, mut groups) = groups(connection).map_err(wrong)?;
    targets(connection, &keys, &mut groups).map_err(wrong)?;
    for group in &mut groups {
        group.targets.sort_unstable_by_key(|target| target.serial);
        let highest = group.targets.last().map_or(0, |target| target.serial + 1);
        let is_twice = |pair: &[TargetRow]| pair[0].serial == pair[1].serial;
        if highest > group.next_serial || group.targets.windows(2).any(is_twice) {
            let what = format!("the serials of group {} do not fit", group.row.id);
            return Err(StoreError::damaged(file, what));
        }
    }
    let events = events::load(connection).map_err(wrong)?;
    let newest_seq = events.last().map_or(0, |event| event.seq).max(marked_seq);
    Ok(Loaded {
        load_balancers: load_balancers(connection).map_err(wrong)?,
        listeners: listeners(connection).map_err(wrong)?,
        groups,
        events,
        newest_seq,
        was_killed,
    })
}

fn load_balancers(connection: &Connection) -> rusqlite::Result<Vec<LoadBalancerConfig>> {
    let sql = "SELECT id, name, source, created_ms, attributes, zones FROM load_balancers \
               ORDER BY key";
    let read = |row: &Row<'_>| {
        Ok(LoadBalancerConfig {
            id: row.get(0)?,
            name: row.get(1)?,
            origin: origin(row)?,
            zones: json(row, 5)?,
        })
    };
    connection.prepare(sql)?.query_map([], read)?.collect()
}

fn listeners(connection: &Connection) -> rusqlite::Result<Vec<ListenerConfig>> {
    let sql = "SELECT id, name, source, created_ms, attributes, load_balancer, port, protocol, \
               groups FROM listeners ORDER BY key";
    let protocol = |name: &str| ListenerProtocol::ALL.into_iter().find(|p| p.name() == name);
    let read = |row: &Row<'_>| {
        Ok(ListenerConfig {
            id: row.get(0)?,
            name: row.get(1)?,
            origin: origin(row)?,
            load_balancer: row.get(5)?,
            port: row.get(6)?,
            protocol: text_as(row, 7, protocol)?,
            groups: json(row, 8)?,
        })
    };
    connection.prepare(sql)?.query_map([], read)?.collect()
}

/// The groups without targets, and the place of each by its key.
fn groups(connection: &Connection) -> rusqlite::Result<(HashMap<i64, usize>, Vec<LoadedGroup>)> {
    let sql = "SELECT id, name, source, created_ms, attributes, settings, next_serial, key \
               FROM groups ORDER BY key";
    let read = |row: &Row<'_>| {
        let settings_json = row.get(5)?;
        let group =
            GroupRow { id: row.get(0)?, name: row.get(1)?, origin: origin(row)?, settings_json };
        let next_serial = unsigned(row, 6)?;
        Ok((row.get(7)?, LoadedGroup { row: group, next_serial, targets: Vec::new() }))
    };
    let mut statement = connection.prepare(sql)?;
    let read: Vec<(i64, LoadedGroup)> = statement.query_map([], read)?.collect::<Result<_, _>>()?;
    let keys = read.iter().enumerate().map(|(place, (key, _))| (*key, place)).collect();
    Ok((keys, read.into_iter().map(|(_, group)| group).collect()))
}

/// All targets, each into its group.
fn targets(
    connection: &Connection,
    keys: &HashMap<i64, usize>,
    groups: &mut [LoadedGroup],
) -> rusqlite::Result<()> {
    let sql = "SELECT group_key, id, port, serial, address, zone, weight, lifecycle, \
               drains_until_ms FROM targets";
    let mut zones: HashSet<Arc<str>> = HashSet::new();
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let place = keys.get(&row.get(0)?);
        let group = place.and_then(|&place| groups.get_mut(place));
        let group = group.ok_or_else(|| wrong(0, "no such group"))?;
        let address = text_as(row, 4, |text| text.parse::<IpAddr>().ok())?;
        let endpoint = Endpoint::new(address, row.get(2)?);
        let id = row.get_ref(1)?.as_str()?;
        // An id that is an address was not given.
        let id = (id != row.get_ref(4)?.as_str()?).then(|| id.into());
        let zone = row.get_ref(5)?.as_str_or_null()?.map(|name| interned(&mut zones, name));
        let lifecycle = LIFECYCLES.get(usize::from(row.get::<_, u8>(7)?));
        let lifecycle = *lifecycle.ok_or_else(|| wrong(7, "no such lifecycle"))?;
        group.targets.push(TargetRow {
            serial: unsigned(row, 3)?,
            target: TargetConfig { id, endpoint, zone, weight: row.get(6)?, lifecycle },
            drains_until_ms: row.get(8)?,
        });
    }
    Ok(())
}

/// A name that is kept once however many targets have it.
fn interned(names: &mut HashSet<Arc<str>>, name: &str) -> Arc<str> {
    if let Some(known) = names.get(name) {
        return Arc::clone(known);
    }
    let new: Arc<str> = name.into();
    names.insert(Arc::clone(&new));
    new
}

/// The columns 2 to 4 of every object.
fn origin(row: &Row<'_>) -> rusqlite::Result<Origin> {
    let source = |name: &str| Source::ALL.into_iter().find(|source| source.name() == name);
    let source = text_as(row, 2, source)?;
    Ok(Origin { source, created_ms: unsigned(row, 3)?, attributes: json(row, 4)? })
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    text_as(row, column, |text| serde_json::from_str(text).ok())
}

/// What stands in a column cannot be.
pub(super) fn wrong(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into())
}
