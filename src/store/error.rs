//! Why the store cannot be had, or a commit was not kept: one line each, with the cure.

use super::schema::VERSION;
use rusqlite::ErrorCode;
use std::path::{Path, PathBuf};

/// See the module's head.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file is not what was written.
    #[error(
        "the store {} is damaged: {what}; restore it from a backup, or move it and the files \
         beside it away to begin without what was made through the API", file.display()
    )]
    Damaged {
        /// The database.
        file: PathBuf,
        /// What was found.
        what: String,
    },
    /// A newer release has written the file.
    #[error(
        "the store {} has version {version}, this release knows {VERSION}; run the newer release, \
         or restore the backup from before it", file.display()
    )]
    Newer {
        /// The database.
        file: PathBuf,
        /// Its version.
        version: i64,
    },
    /// The disk, or a limit of the process, has no room.
    #[error("the store {} cannot grow: {what}; free space in state.dir", file.display())]
    Full {
        /// The database.
        file: PathBuf,
        /// What SQLite says.
        what: String,
    },
    /// It cannot be read or written.
    #[error(
        "cannot use the store {}: {what}; check the disk, who may write there, and that no other \
         program holds it", file.display()
    )]
    Refused {
        /// The database.
        file: PathBuf,
        /// What SQLite says.
        what: String,
    },
    /// An op names a group that is not kept.
    #[error("the store has no group {0}; this is a bug, please report it")]
    NoGroup(String),
    /// The store's thread has ended.
    #[error("the daemon is stopping")]
    Closed,
}

impl StoreError {
    /// What an error of SQLite means for the database `file`.
    pub(super) fn of(file: &Path, error: &rusqlite::Error) -> Self {
        let (file, what) = (file.to_owned(), one_line(&error.to_string()));
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { file, what },
            // `Unknown` is what it says of tables and columns that are missing, and none is an
            // error of ours: what is read is not of the kind that was written.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
            | None => Self::Damaged { file, what },
            Some(_) => Self::Refused { file, what },
        }
    }

    pub(super) fn refused(file: &Path, error: &std::io::Error) -> Self {
        Self::Refused { file: file.to_owned(), what: one_line(&error.to_string()) }
    }

    pub(super) fn damaged(file: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_owned(), what: what.into() }
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
