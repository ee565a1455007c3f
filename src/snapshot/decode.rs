//! From the bytes of a snapshot to what is known of the targets of a registry.

use super::bytes::Reader;
use super::encode::recipe_mark;
use super::entry::Entry;
use super::{AHEAD_MAX, HEADER_BYTES, MAGIC, SnapshotError, TRAILER_BYTES, VERSION};
use crate::registry::Registry;
use crate::report::TargetId;
use crate::table::Reading;
use crate::wall::{Moment, WallClock};
use std::time::Duration;

/// A snapshot that has been walked from end to end, and is right.
#[derive(Debug)]
pub struct Snapshot {
    bytes: Vec<u8>,
    written_ms: i64,
    targets: usize,
}

/// Some targets of one group.
#[derive(Debug)]
pub struct Section<'a> {
    /// The group's name.
    pub group: &'a str,
    /// Tells one recipe of the group from another.
    recipe: u32,
    count: u32,
    entries: Reader<'a>,
}

impl Snapshot {
    /// The snapshot in `bytes`, which is at most `age_max` old when it is `now_ms` (since 1970).
    ///
    /// # Errors
    /// See [`SnapshotError`]; then nothing of it may be used.
    pub fn parse(bytes: Vec<u8>, now_ms: i64, age_max: Duration) -> Result<Self, SnapshotError> {
        let mut header = Reader::new(&bytes, 0);
        if !bytes.starts_with(&MAGIC[..bytes.len().min(MAGIC.len())]) {
            return Err(SnapshotError::NotASnapshot);
        }
        if bytes.len() < HEADER_BYTES + TRAILER_BYTES {
            return Err(SnapshotError::Truncated);
        }
        header.take(MAGIC.len())?;
        let version = header.u32()?;
        if version != VERSION {
            return Err(SnapshotError::Version(version));
        }
        let written_ms = header.i64()?;
        let (body, crc) = bytes.split_at(bytes.len() - 4);
        if crc32fast::hash(body).to_le_bytes() != crc {
            return Err(SnapshotError::Checksum);
        }
        fits_the_clock(written_ms, now_ms, age_max)?;
        let targets = walk(&body[HEADER_BYTES..])?;
        Ok(Self { bytes, written_ms, targets })
    }

    /// How many targets are in it.
    #[must_use]
    pub const fn targets(&self) -> usize {
        self.targets
    }

    /// What is known of the targets of `registry`, in pieces of some thousand: their places in the
    /// state table, with moments of `clock`, none of them after `now`. A target of a group with
    /// another recipe keeps its state, and its streak begins anew.
    pub fn known<'a>(
        &'a self,
        registry: &'a Registry,
        clock: &WallClock,
        now: Moment,
    ) -> impl Iterator<Item = Vec<(TargetId, Reading)>> + 'a {
        let written = clock.moment(self.written_ms);
        // A group's sections follow each other, and its targets are in the order of registration.
        let (mut last, mut guess) = ("", 0);
        self.sections().map(move |section| {
            if section.group != last {
                (last, guess) = (section.group, 0);
            }
            let Some(group) = registry.group(section.group) else { return Vec::new() };
            let is_same_recipe = recipe_mark(group) == section.recipe;
            let mut known = Vec::with_capacity(section.count as usize);
            for entry in section.entries(written) {
                let position = group.members.locate(entry.id, entry.endpoint, guess);
                let Some(position) = position else { continue };
                guess = position + 1;
                let reading = settled(entry.known, is_same_recipe, now);
                known.push((group.members.target(position), reading));
            }
            known
        })
    }

    /// All sections in the order of the file.
    pub fn sections(&self) -> impl Iterator<Item = Section<'_>> {
        let body = &self.bytes[HEADER_BYTES..self.bytes.len() - 4];
        let mut reader = Reader::new(body, HEADER_BYTES);
        // `parse` has walked here, so nothing fails; if it did, the rest would be left out.
        std::iter::from_fn(move || section(&mut reader).ok().flatten())
    }
}

impl<'a> Section<'a> {
    /// Its targets, where `written` is the moment at which the snapshot was written.
    pub fn entries(&self, written: Moment) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        let mut reader = self.entries;
        (0..self.count).map_while(move |_| Entry::take(&mut reader, written).ok())
    }
}

/// What was true when it was written is true now, but for streaks of another recipe and for times
/// that have not come yet.
fn settled(mut known: Reading, is_same_recipe: bool, now: Moment) -> Reading {
    known.verdict.since = known.verdict.since.min(now);
    if let Some(last) = &mut known.last {
        last.at = last.at.min(now);
        last.streak = if is_same_recipe { last.streak } else { 0 };
    }
    known
}

fn fits_the_clock(written_ms: i64, now_ms: i64, age_max: Duration) -> Result<(), SnapshotError> {
    let distance = Duration::from_millis(now_ms.abs_diff(written_ms));
    if written_ms > now_ms && distance > AHEAD_MAX {
        return Err(SnapshotError::FromTheFuture { ahead: distance });
    }
    if written_ms < now_ms && distance > age_max {
        return Err(SnapshotError::TooOld { age: distance, most: age_max });
    }
    Ok(())
}

/// Walks the sections from end to end; how many targets there are.
fn walk(body: &[u8]) -> Result<usize, SnapshotError> {
    let mut reader = Reader::new(body, HEADER_BYTES);
    let mut targets = 0;
    while let Some(section) = section(&mut reader)? {
        let mut entries = section.entries;
        for _ in 0..section.count {
            Entry::take(&mut entries, Moment(0))?;
        }
        if !entries.is_empty() {
            return Err(entries.garbled("bytes behind the last target"));
        }
        targets += section.count as usize;
    }
    if !reader.is_empty() {
        return Err(reader.garbled("bytes behind the last section"));
    }
    Ok(targets)
}

/// The next section; none at the end of the last one.
fn section<'a>(reader: &mut Reader<'a>) -> Result<Option<Section<'a>>, SnapshotError> {
    let name_len = usize::from(reader.u16()?);
    if name_len == 0 {
        return Ok(None);
    }
    let group = reader.text(name_len)?;
    let (recipe, count, bytes) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let at = reader.at();
    // A target takes some bytes, so a count that lies cannot ask for more memory than the file has.
    if count > bytes {
        return Err(reader.garbled("more targets than bytes"));
    }
    let entries = Reader::new(reader.take(bytes as usize)?, at);
    Ok(Some(Section { group, recipe, count, entries }))
}
