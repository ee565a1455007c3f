//! From the published view and the state table to the bytes of a snapshot, a piece at a time.

use super::entry::Entry;
use super::{MAGIC, PIECE_TARGETS, VERSION};
use crate::registry::Group;
use crate::table::{StateTable, View};
use crate::wall::{Moment, WallClock};
use std::sync::Arc;

/// Writes one snapshot. What changes between two pieces is in it or is not; each target is whole.
#[derive(Debug)]
pub struct Encoder {
    view: Arc<View>,
    written: Moment,
    crc: crc32fast::Hasher,
    /// Where the next piece begins.
    group: usize,
    position: usize,
    targets: usize,
    is_over: bool,
}

impl Encoder {
    /// A snapshot of `view` that is written at the moment `written`, `clock` being the daemon's.
    /// Its header is appended to `out`.
    #[must_use]
    pub fn new(view: Arc<View>, written: Moment, clock: &WallClock, out: &mut Vec<u8>) -> Self {
        let begin = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&clock.wall_ms(written).to_le_bytes());
        let mut crc = crc32fast::Hasher::new();
        crc.update(&out[begin..]);
        Self { view, written, crc, group: 0, position: 0, targets: 0, is_over: false }
    }

    /// Appends the next piece, of [`PIECE_TARGETS`] targets or groups at most; false where that was
    /// the last one.
    pub fn piece(&mut self, table: &StateTable, out: &mut Vec<u8>) -> bool {
        if self.is_over {
            return false;
        }
        let begin = out.len();
        let mut room = PIECE_TARGETS;
        let view = Arc::clone(&self.view);
        while let Some(group) = view.registry.groups.get(self.group).filter(|_| room > 0) {
            let end = group.members.len().min(self.position + room);
            self.section(group, end, table, out);
            // A group costs something even where it is empty.
            room = room.saturating_sub((end - self.position).max(1));
            self.position = end;
            if end == group.members.len() {
                (self.group, self.position) = (self.group + 1, 0);
            }
        }
        self.is_over = self.group >= view.registry.groups.len();
        if self.is_over {
            out.extend_from_slice(&0_u16.to_le_bytes());
        }
        self.crc.update(&out[begin..]);
        if self.is_over {
            out.extend_from_slice(&self.crc.clone().finalize().to_le_bytes());
        }
        !self.is_over
    }

    /// How many targets are in it so far.
    #[must_use]
    pub const fn targets(&self) -> usize {
        self.targets
    }

    /// Appends the members from the current position to `end`, unless nothing is known of any.
    fn section(&mut self, group: &Group, end: usize, table: &StateTable, out: &mut Vec<u8>) {
        let begin = out.len();
        let name = group.config.name.as_bytes();
        // Names of groups are never empty, and far shorter.
        let Ok(name_len) = u16::try_from(name.len()) else { return };
        out.extend_from_slice(&name_len.to_le_bytes());
        out.extend_from_slice(name);
        out.extend_from_slice(&recipe_mark(group).to_le_bytes());
        let counts = out.len();
        out.extend_from_slice(&[0; 8]);
        let entries = out.len();
        let mut count = 0_u32;
        for position in (self.position..end).filter(|&position| group.is_probed(position)) {
            let members = &group.members;
            let known = table.read(members.target(position));
            let (id, endpoint) = (members.own_id(position), members.endpoints[position]);
            count += u32::from(Entry { id, endpoint, known }.put(self.written, out));
        }
        if count == 0 {
            out.truncate(begin);
            return;
        }
        self.targets += count as usize;
        // PIECE_TARGETS entries are far below 2^32 bytes.
        let bytes = u32::try_from(out.len() - entries).unwrap_or(u32::MAX);
        out[counts..counts + 4].copy_from_slice(&count.to_le_bytes());
        out[counts + 4..entries].copy_from_slice(&bytes.to_le_bytes());
    }
}

/// Tells one recipe from another: where it is another one after the restart, streaks begin anew.
/// It is compared with those of the same release or of another one; there, a difference that is
/// none costs a streak.
pub(super) fn recipe_mark(group: &Group) -> u32 {
    crc32fast::hash(format!("{:?}", group.config.health_check.recipe()).as_bytes())
}
