//! The tables, how a new database is made, and what an old one must be.
//!
//! A new database is made under a temporary name and renamed when it is whole. So one that is
//! empty, or has no tables, was not left behind by a crash: it is damaged.

use super::StoreError;
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The database's name in the state directory.
pub const FILE: &str = "ringcheck.db";
/// The version of the tables, kept as `user_version`. A change of them is a new version, with a
/// step that brings the one before up to it.
pub(super) const VERSION: i64 = 1;
/// Tells our databases from others: `ring`, kept as `application_id`.
const APPLICATION: i64 = 0x7269_6E67;
/// What the kernel makes room for; the default of SQLite is an eighth of it.
const CACHE_KIB: i64 = 16 * 1_024;
/// The write-ahead log is cut down to this after a commit that made it longer.
const LOG_BYTES_MAX: i64 = 64 * 1_024 * 1_024;
/// How long another program, such as a backup, may hold the database.
const BUSY_MAX: std::time::Duration = std::time::Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE load_balancers (
    key        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL UNIQUE,
    source     TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    zones      TEXT NOT NULL
) STRICT;
CREATE TABLE listeners (
    key           INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL UNIQUE,
    source        TEXT NOT NULL,
    created_ms    INTEGER NOT NULL,
    attributes    TEXT NOT NULL,
    load_balancer TEXT NOT NULL,
    port          INTEGER NOT NULL,
    protocol      TEXT NOT NULL,
    groups        TEXT NOT NULL
) STRICT;
CREATE TABLE groups (
    key         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL UNIQUE,
    source      TEXT NOT NULL,
    created_ms  INTEGER NOT NULL,
    attributes  TEXT NOT NULL,
    settings    TEXT NOT NULL,
    next_serial INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE targets (
    group_key       INTEGER NOT NULL REFERENCES groups (key) ON DELETE CASCADE,
    id              TEXT NOT NULL,
    port            INTEGER NOT NULL,
    serial          INTEGER NOT NULL,
    address         TEXT NOT NULL,
    zone            TEXT,
    weight          INTEGER,
    lifecycle       INTEGER NOT NULL,
    drains_until_ms INTEGER,
    PRIMARY KEY (group_key, id, port)
) STRICT, WITHOUT ROWID;
CREATE INDEX targets_that_drain ON targets (drains_until_ms) WHERE drains_until_ms IS NOT NULL;
CREATE TABLE events (
    seq        INTEGER PRIMARY KEY,
    at_ms      INTEGER NOT NULL,
    group_name TEXT NOT NULL,
    id         TEXT,
    address    TEXT NOT NULL,
    port       INTEGER NOT NULL,
    from_state TEXT NOT NULL,
    to_state   TEXT NOT NULL,
    code       TEXT NOT NULL,
    status     INTEGER NOT NULL,
    detail     INTEGER NOT NULL
) STRICT;
CREATE TABLE marks (
    -- No event has been given a higher seq.
    newest_seq INTEGER NOT NULL,
    -- 1 while a daemon runs.
    is_open    INTEGER NOT NULL
) STRICT;
INSERT INTO marks VALUES (0, 0);
";

/// A connection to the database in `dir`, made where there is none.
pub(super) fn connect(dir: &Path) -> Result<(Connection, PathBuf), StoreError> {
    let file = dir.join(FILE);
    match std::fs::metadata(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(dir, &file)?,
        Err(error) => return Err(StoreError::refused(&file, &error)),
        Ok(meta) if !meta.is_file() => return Err(StoreError::damaged(&file, "it is no file")),
        Ok(meta) if meta.len() == 0 => return Err(StoreError::damaged(&file, "it is empty")),
        Ok(_) => {}
    }
    let wrong = |error: rusqlite::Error| StoreError::of(&file, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&file, flags).map_err(wrong)?;
    connection.busy_timeout(BUSY_MAX).map_err(wrong)?;
    fits(&connection, &file)?;
    let mode = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0));
    let mode: String = mode.map_err(wrong)?;
    if mode != "wal" {
        let what = "its file system has no write-ahead logs".to_owned();
        return Err(StoreError::Refused { file, what });
    }
    let set = |name, value: &str| connection.pragma_update(None, name, value).map_err(wrong);
    set("synchronous", "full")?;
    set("foreign_keys", "on")?;
    set("cache_size", &format!("-{CACHE_KIB}"))?;
    set("journal_size_limit", &LOG_BYTES_MAX.to_string())?;
    Ok((connection, file))
}

/// An error where the database is not one of ours, or of a version that this release knows.
fn fits(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    let number = |name| {
        let number = connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        number.map_err(|error| StoreError::of(file, &error))
    };
    if number("application_id")? != APPLICATION {
        return Err(StoreError::damaged(file, "it is a database of another program"));
    }
    match number("user_version")? {
        VERSION => Ok(()),
        version if version > VERSION => Err(StoreError::Newer { file: file.to_owned(), version }),
        version => Err(StoreError::damaged(file, format!("its version is {version}"))),
    }
}

/// Makes an empty database: whole, or not at all.
fn make(dir: &Path, file: &Path) -> Result<(), StoreError> {
    let log = dir.join(format!("{FILE}-wal"));
    if log.exists() {
        let what = format!("it is missing, and its log {} is there", log.display());
        return Err(StoreError::damaged(file, what));
    }
    let new = dir.join(format!("{FILE}.new"));
    let refused = |error: io::Error| StoreError::refused(file, &error);
    for leftover in [&new, &dir.join(format!("{FILE}.new-journal"))] {
        match std::fs::remove_file(leftover) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error)),
            Ok(()) | Err(_) => {}
        }
    }
    // SQLite gives the files beside it the same mode.
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(&new).map_err(refused)?;
    let fill = || -> rusqlite::Result<()> {
        let connection = Connection::open(&new)?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.execute_batch(&format!(
            "BEGIN; {TABLES} PRAGMA application_id = {APPLICATION}; \
             PRAGMA user_version = {VERSION}; COMMIT;"
        ))?;
        connection.close().map_err(|(_, error)| error)
    };
    fill().map_err(|error| StoreError::of(file, &error))?;
    std::fs::rename(&new, file).map_err(refused)?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(refused)
}
