//! The snapshot's file in the state directory: written in pieces, read whole.
//!
//! It is written under a temporary name, synced and renamed, and then the directory is synced: a
//! crash at any moment leaves the old snapshot or the new one. Between two pieces the thread does
//! what else it has to do.

use super::disk::{File, rename};
use super::entry::ENTRY_BYTES_MAX;
use super::{Disk, Encoder, Snapshot, SnapshotError};
use crate::table::StateTable;
use crate::wall::{Moment, WallClock};
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const NAME: &str = "snapshot";
const TEMPORARY: &str = "snapshot.new";
/// Bytes that are gathered before they are written.
const BLOCK_BYTES: usize = 256 * 1_024;
/// Bytes of a snapshot besides its targets.
const BESIDES_BYTES: u64 = 64 * 1_024 * 1_024;

/// The file in the state directory `dir`.
#[must_use]
pub fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// Writes what is known now, at the moment `now`; says of how many targets. Gives up, and returns
/// none, as soon as `is_over`.
///
/// # Errors
/// Where the disk or the directory refuses; the snapshot before this one is still there.
pub async fn write(
    dir: &Path,
    table: &StateTable,
    clock: &WallClock,
    now: Moment,
    disk: Disk,
    is_over: impl Fn() -> bool,
) -> io::Result<Option<usize>> {
    let temporary = dir.join(TEMPORARY);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let file = File::from_std(options.open(&temporary)?, disk);
    let mut block = Vec::with_capacity(BLOCK_BYTES * 2);
    let mut encoder = Encoder::new(table.view(), now, clock, &mut block);
    let (mut at, mut is_more) = (0, true);
    while is_more && !is_over() {
        is_more = encoder.piece(table, &mut block);
        if block.len() >= BLOCK_BYTES || !is_more {
            let count = block.len() as u64;
            let (written, back) = file.write_all_at(block, at).await;
            written?;
            (block, at) = (back, at + count);
            block.clear();
        }
        tokio::task::yield_now().await;
    }
    if is_more {
        return Ok(None);
    }
    file.sync_all().await?;
    file.close().await?;
    rename(temporary, path(dir), disk).await?;
    File::from_std(std::fs::File::open(dir)?, disk).sync_all().await?;
    Ok(Some(encoder.targets()))
}

/// Reads the snapshot, which holds at most `targets_max` targets and is at most `age_max` old when
/// it is `now_ms` (since 1970). None where there is none.
///
/// # Errors
/// See [`SnapshotError`].
pub fn read(
    dir: &Path,
    targets_max: usize,
    now_ms: i64,
    age_max: Duration,
) -> Result<Option<Snapshot>, SnapshotError> {
    let path = path(dir);
    // Looked at before it is opened: opening a pipe would wait for whoever writes to it.
    let kind = match std::fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        kind => kind?,
    };
    if !kind.is_file() {
        return Err(SnapshotError::NotASnapshot);
    }
    let file = std::fs::File::open(&path)?;
    let most = targets_max as u64 * ENTRY_BYTES_MAX as u64 + BESIDES_BYTES;
    let bytes = kind.len();
    if bytes > most {
        return Err(SnapshotError::TooLarge { bytes, most });
    }
    let mut text = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
    file.take(most).read_to_end(&mut text)?;
    Snapshot::parse(text, now_ms, age_max).map(Some)
}
