//! The snapshot: states and streaks of all targets in one file, for a warm restart.
//!
//! ```text
//! header   magic 8 | version 4 | written (ms since 1970) 8
//! section  name length 2 | name | recipe 4 | targets 4 | bytes 4 | one entry per target
//! trailer  a name length of 0 | CRC-32 of all before it 4
//! ```
//!
//! Numbers are little-endian. A group has as many sections as it needs, of [`PIECE_TARGETS`]
//! targets at most, so that writing can stop between any two of them. A target is known by its
//! identity: its group's name, its id where one was given, its address and traffic port. Only who
//! has an outcome, and a state that is its own, is in the file. Encoding and decoding are pure over
//! bytes; time is an input; the file itself is [`mod@file`]'s.
//!
//! Nothing in the file is trusted. It is taken whole or not at all: [`Snapshot::parse`] has walked
//! all of it before the first target is looked at.

mod bytes;
mod decode;
mod disk;
mod encode;
mod entry;
pub mod file;

pub use decode::{Section, Snapshot};
pub use disk::Disk;
pub use encode::Encoder;
pub use entry::Entry;

use std::time::Duration;

/// Targets that one call of [`Encoder::piece`] looks at, at most.
pub const PIECE_TARGETS: usize = 4_096;
/// What every snapshot begins with.
const MAGIC: [u8; 8] = *b"ringsnap";
/// A change of the layout, or of the order of codes, causes or states, is a new version.
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 20;
const TRAILER_BYTES: usize = 6;
/// How far a snapshot may be ahead of the wall clock, which is set by hands and by NTP.
const AHEAD_MAX: Duration = Duration::from_secs(60);

/// Why a snapshot is not taken up.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It is larger than all targets that the daemon can hold.
    #[error("has {bytes} bytes, more than {most} that all targets could take")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// What would be read.
        most: u64,
    },
    /// It ends too early.
    #[error("is cut off")]
    Truncated,
    /// It is something else.
    #[error("is not a snapshot")]
    NotASnapshot,
    /// Another release has written it.
    #[error("has version {0}, this release reads version {VERSION}")]
    Version(u32),
    /// Some of its bytes are not those that were written, or are missing.
    #[error("is damaged or cut off: its checksum is wrong")]
    Checksum,
    /// Its checksum is right, and what it says cannot be.
    #[error("is damaged: {0} at byte {1}")]
    Garbled(&'static str, usize),
    /// What it says is not worth knowing any more.
    #[error("is {} s old, state.snapshot_max_age is {} s", age.as_secs(), most.as_secs())]
    TooOld {
        /// Its age.
        age: Duration,
        /// The oldest that is taken.
        most: Duration,
    },
    /// The wall clock was set back since, or was wrong then.
    #[error("was written {} s after now; the wall clock was set back", ahead.as_secs())]
    FromTheFuture {
        /// By how much.
        ahead: Duration,
    },
}

#[cfg(test)]
mod tests;
