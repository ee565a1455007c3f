//! The daemon's state directory: made where it is missing, and one daemon's alone.

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Only the daemon reads what it keeps.
const MODE: u32 = 0o700;

/// Why the state directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Another daemon has it.
    #[error("another daemon uses the state directory {0}; stop it, or choose another state.dir")]
    Taken(PathBuf),
    /// The kernel refused.
    #[error("cannot use the state directory {0}: {1}; check who may write there")]
    Refused(PathBuf, io::Error),
}

/// The directory, ours as long as this lives, and no longer than the process.
#[derive(Debug)]
pub(super) struct StateDir {
    _lock: Flock<File>,
}

impl StateDir {
    /// Takes the directory `path`.
    pub(super) fn take(path: &Path) -> Result<Self, StateDirError> {
        let refused = |error| StateDirError::Refused(path.to_owned(), error);
        DirBuilder::new().recursive(true).mode(MODE).create(path).map_err(refused)?;
        let file = File::create(path.join("lock")).map_err(refused)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { _lock: lock }),
            Err((_, Errno::EWOULDBLOCK)) => Err(StateDirError::Taken(path.to_owned())),
            Err((_, errno)) => Err(refused(errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made/on/the/way");
        let first = StateDir::take(&path).unwrap();
        let error = StateDir::take(&path).unwrap_err().to_string();
        assert!(error.starts_with("another daemon uses the state directory "), "{error}");
        drop(first);
        StateDir::take(&path).unwrap();
        let error = StateDir::take(&path.join("lock")).unwrap_err().to_string();
        assert!(error.contains("/lock: ") && error.contains("; check"), "{error}");
    }
}
