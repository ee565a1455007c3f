//! The database and its transactions.

use super::rows::{GroupRow, Loaded, Op, TargetKey, TargetRow};
use super::{EventRow, StoreError, events, load, schema};
use crate::config::{ListenerConfig, LoadBalancerConfig, Origin};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::path::{Path, PathBuf};

/// Seqs that are set aside at a time: more than a daemon can give between two commits, also where
/// the disk refuses them for hours (100,000 a second for twelve hours).
const SEQS_RESERVED: u64 = 1 << 32;

/// The open database of a state directory. The directory's lock is the caller's.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    file: PathBuf,
    /// Events that are in it.
    events: usize,
    /// No event may be given a higher seq before more are set aside.
    reserved_seq: u64,
}

impl Database {
    /// Opens the database in `dir`, made where there is none, and reads all of it.
    ///
    /// # Errors
    /// Where it is damaged, newer than this release, or cannot be used. Nothing of it has
    /// changed.
    pub fn open(dir: &Path) -> Result<(Self, Loaded), StoreError> {
        let (connection, file) = schema::connect(dir)?;
        let loaded = load::all(&connection, &file)?;
        let database = Self { connection, file, events: loaded.events.len(), reserved_seq: 0 };
        Ok((database, loaded))
    }

    /// Notes that events will be given seqs behind `newest_seq`. If this run does not end by
    /// [`Database::close`], the next one goes on far behind all that it can have given.
    ///
    /// # Errors
    /// As [`Database::commit`].
    pub fn begin(&mut self, newest_seq: u64) -> Result<(), StoreError> {
        self.reserve(newest_seq)
    }

    /// Carries out all of `ops`, or none; they are durable when this returns.
    ///
    /// # Errors
    /// Where the disk refuses; then nothing has changed.
    pub fn commit(&mut self, ops: &[Op]) -> Result<(), StoreError> {
        self.write(|changes| ops.iter().try_for_each(|op| changes.carry_out(op)))
    }

    /// Keeps transitions, whose seqs ascend and are new; forgets the oldest where there are too
    /// many, and those that are too old when it is `now_ms`.
    ///
    /// # Errors
    /// As [`Database::commit`].
    pub fn push_events(&mut self, rows: &[EventRow], now_ms: i64) -> Result<(), StoreError> {
        let Some(newest) = rows.last().map(|row| row.seq) else { return Ok(()) };
        let count = self.events;
        self.events = self.write(|changes| {
            events::push(&changes.0, rows)?;
            Ok(events::forget(&changes.0, count + rows.len(), now_ms)?)
        })?;
        if self.reserved_seq.saturating_sub(newest) < SEQS_RESERVED / 2 {
            self.reserve(newest)?;
        }
        Ok(())
    }

    /// Notes that the daemon ends cleanly, `newest_seq` being the last seq that it gave.
    ///
    /// # Errors
    /// As [`Database::commit`].
    pub fn close(mut self, newest_seq: u64) -> Result<(), StoreError> {
        self.mark(newest_seq, false)?;
        let file = self.file;
        self.connection.close().map_err(|(_, error)| StoreError::of(&file, &error))
    }

    /// For tests, which break things.
    #[cfg(test)]
    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sets seqs behind `newest` aside: whoever comes after a crash goes on behind all of them.
    fn reserve(&mut self, newest: u64) -> Result<(), StoreError> {
        let seq = newest.saturating_add(SEQS_RESERVED);
        self.mark(seq, true)?;
        self.reserved_seq = seq;
        Ok(())
    }

    fn mark(&mut self, newest_seq: u64, is_open: bool) -> Result<(), StoreError> {
        let seq = i64::try_from(newest_seq).unwrap_or(i64::MAX);
        self.write(|changes| {
            let sql = "UPDATE marks SET newest_seq = ?, is_open = ?";
            changes.0.execute(sql, params![seq, is_open])?;
            Ok(())
        })
    }

    fn write<T>(
        &mut self,
        body: impl FnOnce(&Changes<'_>) -> Result<T, Wrong>,
    ) -> Result<T, StoreError> {
        let Self { connection, file, .. } = self;
        // Dropped without a commit, a transaction is rolled back.
        let write = || -> Result<T, Wrong> {
            let behavior = TransactionBehavior::Immediate;
            let changes = Changes(connection.transaction_with_behavior(behavior)?);
            let result = body(&changes)?;
            changes.0.commit()?;
            Ok(result)
        };
        write().map_err(|wrong| match wrong {
            Wrong::Sqlite(error) => StoreError::of(file, &error),
            Wrong::NoGroup(id) => StoreError::NoGroup(id),
        })
    }
}

/// Why a transaction is rolled back.
enum Wrong {
    Sqlite(rusqlite::Error),
    NoGroup(String),
}

impl From<rusqlite::Error> for Wrong {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// A transaction under way.
struct Changes<'a>(Transaction<'a>);

impl Changes<'_> {
    fn carry_out(&self, op: &Op) -> Result<(), Wrong> {
        match op {
            Op::PutLoadBalancer(row) => self.put_load_balancer(row)?,
            Op::DeleteLoadBalancer(id) => {
                self.delete("DELETE FROM load_balancers WHERE id = ?", id)?
            }
            Op::PutListener(row) => self.put_listener(row)?,
            Op::DeleteListener(id) => self.delete("DELETE FROM listeners WHERE id = ?", id)?,
            Op::PutGroup(row) => self.put_group(row)?,
            Op::DeleteGroup(id) => self.delete("DELETE FROM groups WHERE id = ?", id)?,
            Op::PutTargets { group_id, rows } => self.put_targets(self.group(group_id)?, rows)?,
            Op::RemoveTargets { group_id, keys } => {
                self.remove_targets(self.group(group_id)?, keys)?;
            }
            Op::ExpireTargets { now_ms } => {
                let sql = "DELETE FROM targets WHERE drains_until_ms <= ?";
                self.0.prepare_cached(sql)?.execute([now_ms])?;
            }
        }
        Ok(())
    }

    fn put_load_balancer(&self, row: &LoadBalancerConfig) -> rusqlite::Result<()> {
        let sql = "INSERT INTO load_balancers (id, name, source, created_ms, attributes, zones) \
                   VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
                   source = excluded.source, created_ms = excluded.created_ms, \
                   attributes = excluded.attributes, zones = excluded.zones";
        let Origin { source, created_ms, attributes } = &row.origin;
        let (made, attributes) = (signed(*created_ms), json(attributes));
        let values = params![row.id, row.name, source.name(), made, attributes, json(&row.zones)];
        self.0.prepare_cached(sql)?.execute(values).map(drop)
    }

    fn put_listener(&self, row: &ListenerConfig) -> rusqlite::Result<()> {
        let sql = "INSERT INTO listeners (id, name, source, created_ms, attributes, load_balancer, \
                   port, protocol, groups) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO \
                   UPDATE SET name = excluded.name, source = excluded.source, \
                   created_ms = excluded.created_ms, attributes = excluded.attributes, \
                   load_balancer = excluded.load_balancer, port = excluded.port, \
                   protocol = excluded.protocol, groups = excluded.groups";
        let Origin { source, created_ms, attributes } = &row.origin;
        self.0.prepare_cached(sql)?.execute(params![
            row.id,
            row.name,
            source.name(),
            signed(*created_ms),
            json(attributes),
            row.load_balancer,
            row.port,
            row.protocol.name(),
            json(&row.groups),
        ])?;
        Ok(())
    }

    fn put_group(&self, row: &GroupRow) -> rusqlite::Result<()> {
        let sql = "INSERT INTO groups (id, name, source, created_ms, attributes, settings) \
                   VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
                   source = excluded.source, created_ms = excluded.created_ms, \
                   attributes = excluded.attributes, settings = excluded.settings";
        let Origin { source, created_ms, attributes } = &row.origin;
        let (made, attributes) = (signed(*created_ms), json(attributes));
        let values = params![row.id, row.name, source.name(), made, attributes, row.settings_json];
        self.0.prepare_cached(sql)?.execute(values).map(drop)
    }

    fn put_targets(&self, group: i64, rows: &[TargetRow]) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO targets (group_key, id, port, serial, address, zone, \
                   weight, lifecycle, drains_until_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let mut put = self.0.prepare_cached(sql)?;
        for TargetRow { serial, target, drains_until_ms } in rows {
            let key = TargetKey::of(target);
            put.execute(params![
                group,
                key.id,
                key.port,
                signed(*serial),
                target.endpoint.ip().to_string(),
                target.zone,
                target.weight,
                target.lifecycle as u8,
                drains_until_ms,
            ])?;
        }
        // A serial that was given once is spent, also when its target is gone.
        if let Some(highest) = rows.iter().map(|row| row.serial).max() {
            let sql = "UPDATE groups SET next_serial = max(next_serial, ?) WHERE key = ?";
            let next = signed(highest).saturating_add(1);
            self.0.prepare_cached(sql)?.execute([next, group])?;
        }
        Ok(())
    }

    fn remove_targets(&self, group: i64, keys: &[TargetKey]) -> rusqlite::Result<()> {
        let sql = "DELETE FROM targets WHERE group_key = ? AND id = ? AND port = ?";
        let mut remove = self.0.prepare_cached(sql)?;
        for key in keys {
            remove.execute(params![group, key.kept_id(), key.port])?;
        }
        Ok(())
    }

    fn delete(&self, sql: &str, id: &str) -> rusqlite::Result<()> {
        self.0.prepare_cached(sql)?.execute([id]).map(drop)
    }

    /// The key of a group.
    fn group(&self, id: &str) -> Result<i64, Wrong> {
        let mut find = self.0.prepare_cached("SELECT key FROM groups WHERE id = ?")?;
        let key = find.query_row([id], |row| row.get(0)).optional()?;
        key.ok_or_else(|| Wrong::NoGroup(id.to_owned()))
    }
}

/// A list or a map of texts as JSON.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("texts and lists and maps of them are JSON")
}

/// As SQLite counts: serials and times are far below 2^63.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
