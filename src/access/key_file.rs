//! `keys.toml` in the state directory: read only where nobody else can, written as a whole.
//!
//! Whoever changes it holds a lock on the directory meanwhile, writes another file, syncs it and
//! renames it; so a reader needs no lock, and sees all of it or what was before.

use super::keys::{Key, Keys, KeysError};
use crate::limits::KEY_FILE_BYTES_MAX;
use crate::time::Instant;
use nix::fcntl::{Flock, FlockArg, OFlag};
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Its name in the state directory.
const NAME: &str = "keys.toml";
const TEMPORARY: &str = "keys.toml.new";
const MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
/// How often a running daemon looks whether the file has changed.
const REFRESH: Duration = Duration::from_secs(1);

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Others may read it, and may have.
    #[error(
        "{0} can be read by others, its mode is {1:04o}; chmod 600 it, and make new keys with \
         'ringcheck keys' if others may have read it"
    )]
    Open(PathBuf, u32),
    /// Somebody else might decide what it is.
    #[error("{0} is no plain file; replace it by one, or remove it and a new one is made")]
    NoFile(PathBuf),
    /// It cannot be understood.
    #[error("{what}, {path}:{line}; {cure}", what = .1.what, path = .0.display(), line = .1.line,
            cure = .1.cure)]
    Invalid(PathBuf, KeysError),
    /// Too large.
    #[error("{0} is above {KEY_FILE_BYTES_MAX} bytes; remove keys that nobody uses")]
    TooLarge(PathBuf),
    /// A change that cannot be made.
    #[error(transparent)]
    Change(#[from] KeysError),
    /// The kernel refused.
    #[error("cannot {0} {1}: {2}; check who may write there")]
    Refused(&'static str, PathBuf, io::Error),
    /// The kernel has no random numbers.
    #[error("the kernel gives no random numbers: {0}; see getrandom(2)")]
    NoChance(getrandom::Error),
}

/// What tells one state of the file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    mode: u32,
    changed: (i64, i64),
    written: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(of: &Metadata) -> Self {
        Self {
            inode: of.ino(),
            bytes: of.len(),
            mode: of.mode(),
            changed: (of.ctime(), of.ctime_nsec()),
            written: (of.mtime(), of.mtime_nsec()),
        }
    }
}

/// The file, and what it says.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    keys: Arc<Keys>,
    /// As it was when it was last read, well or not; none where it was not there.
    stamp: Option<Stamp>,
    looked: Option<Instant>,
}

/// What a look at the file brought.
#[derive(Debug)]
pub enum Change {
    /// Nothing.
    None,
    /// Other keys.
    Taken,
    /// A file that cannot be used; the keys are those of before. Told once.
    Refused(KeyFileError),
}

impl KeyFile {
    /// The keys of a state directory. Where there is no file yet, one is made with one random key.
    ///
    /// # Errors
    /// Where the file cannot be used, or not made.
    pub fn open(directory: &Path) -> Result<Self, KeyFileError> {
        let path = directory.join(NAME);
        let found = match read(&path)? {
            Some(found) => found,
            None => create(directory, &path)?,
        };
        let (keys, stamp) = found;
        Ok(Self { path, keys: Arc::new(keys), stamp: Some(stamp), looked: None })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys as they were last read.
    #[must_use]
    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys)
    }

    /// Looks whether the file has changed, unless that was done within a second; takes it then.
    pub fn refresh(&mut self, now: Instant) -> Change {
        if self.looked.is_some_and(|looked| now.since(looked) < REFRESH) {
            return Change::None;
        }
        self.looked = Some(now);
        let stamp = std::fs::symlink_metadata(&self.path).ok().map(|found| Stamp::from(&found));
        if stamp == self.stamp {
            return Change::None;
        }
        self.stamp = stamp;
        match read(&self.path) {
            Ok(Some((keys, stamp))) => {
                self.stamp = Some(stamp);
                self.keys = Arc::new(keys);
                Change::Taken
            }
            Ok(None) => {
                let gone = io::ErrorKind::NotFound.into();
                Change::Refused(KeyFileError::Refused("open", self.path.clone(), gone))
            }
            Err(error) => Change::Refused(error),
        }
    }

    /// Reads the keys of a state directory; none where there is no file.
    ///
    /// # Errors
    /// Where the file cannot be used.
    pub fn load(directory: &Path) -> Result<Keys, KeyFileError> {
        Ok(read(&directory.join(NAME))?.map(|(keys, _)| keys).unwrap_or_default())
    }

    /// Adds a key with a random secret; its id is random too where none is given. Makes directory
    /// and file where they are missing.
    ///
    /// # Errors
    /// Where the id is taken or cannot be one, or the file cannot be used.
    pub fn add(directory: &Path, id: Option<&str>) -> Result<Key, KeyFileError> {
        let key = Key::random(id, chance)?;
        let made = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory);
        made.map_err(|error| KeyFileError::Refused("make", directory.to_owned(), error))?;
        let _locked = lock(directory)?;
        let mut keys = Self::load(directory)?;
        keys.add(key.clone())?;
        write(directory, &keys)?;
        Ok(key)
    }

    /// Removes a key; whether there was one.
    ///
    /// # Errors
    /// Where the file cannot be used.
    pub fn remove(directory: &Path, id: &str) -> Result<bool, KeyFileError> {
        let _locked = lock(directory)?;
        let mut keys = Self::load(directory)?;
        let was_there = keys.remove(id);
        if was_there {
            write(directory, &keys)?;
        }
        Ok(was_there)
    }
}

fn chance(bytes: &mut [u8]) -> Result<(), KeyFileError> {
    getrandom::fill(bytes).map_err(KeyFileError::NoChance)
}

/// The file with one random key, unless somebody else has just made it.
fn create(directory: &Path, path: &Path) -> Result<(Keys, Stamp), KeyFileError> {
    let _locked = lock(directory)?;
    if let Some(found) = read(path)? {
        return Ok(found);
    }
    let mut keys = Keys::default();
    keys.add(Key::random(None, chance)?)?;
    write(directory, &keys)?;
    let gone = || KeyFileError::Refused("open", path.to_owned(), io::ErrorKind::NotFound.into());
    read(path)?.ok_or_else(gone)
}

/// Reads the file, if it is there, and is one that nobody else may read.
fn read(path: &Path) -> Result<Option<(Keys, Stamp)>, KeyFileError> {
    let refused = |error| KeyFileError::Refused("read", path.to_owned(), error);
    // Neither through a link, nor waiting for the other end of a pipe.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) => {
            return Err(KeyFileError::NoFile(path.to_owned()));
        }
        Err(error) => return Err(refused(error)),
    };
    let found = file.metadata().map_err(refused)?;
    if !found.is_file() {
        return Err(KeyFileError::NoFile(path.to_owned()));
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Open(path.to_owned(), mode));
    }
    let mut bytes = Vec::new();
    file.take(KEY_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > KEY_FILE_BYTES_MAX {
        return Err(KeyFileError::TooLarge(path.to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..valid].iter().filter(|&&byte| byte == b'\n').count();
        let what = "this is not UTF-8".to_owned();
        KeyFileError::Invalid(path.to_owned(), KeysError { what, line, cure: "correct the text" })
    })?;
    let keys = Keys::parse(&text).map_err(|error| KeyFileError::Invalid(path.to_owned(), error))?;
    Ok(Some((keys, Stamp::from(&found))))
}

fn lock(directory: &Path) -> Result<Flock<File>, KeyFileError> {
    let refused = |error| KeyFileError::Refused("lock", directory.to_owned(), error);
    let file = File::open(directory).map_err(refused)?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| refused(errno.into()))
}

/// Replaces the file. The caller holds the lock.
fn write(directory: &Path, keys: &Keys) -> Result<(), KeyFileError> {
    let temporary = directory.join(TEMPORARY);
    let written = write_temporary(directory, &temporary, keys).and_then(|()| {
        std::fs::rename(&temporary, directory.join(NAME))?;
        File::open(directory)?.sync_all()
    });
    written.map_err(|error| {
        // What cannot be removed is replaced by the next change.
        let _ = std::fs::remove_file(&temporary);
        KeyFileError::Refused("write", directory.join(NAME), error)
    })
}

fn write_temporary(directory: &Path, temporary: &Path, keys: &Keys) -> io::Result<()> {
    match std::fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(temporary)?;
    // The umask may have taken more than it should.
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(keys.to_toml().as_bytes())?;
    // Where root does it for a daemon that is not root, the daemon must be able to read it.
    let owner = std::fs::metadata(directory)?;
    if nix::unistd::geteuid().is_root() {
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    file.sync_all()
}
