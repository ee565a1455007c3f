//! The Unix socket: made with the right mode from the start, never taken from a daemon that lives.
//!
//! The socket listens only after its mode and group are set, so neither the umask nor the moment in
//! between opens it to anybody. The directory is locked meanwhile, so that of two daemons that
//! start at once one sees the other.

use crate::limits::API_CONNECTIONS_MAX;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Bytes of a socket's path at most: `sun_path` has 108, the last is zero.
const PATH_BYTES_MAX: usize = 107;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody answers there.
    #[error("another daemon answers on {0}; stop it, or choose another api.socket")]
    Alive(PathBuf),
    /// Longer than the kernel takes.
    #[error(
        "api.socket {path} is {bytes} bytes long, the kernel takes {PATH_BYTES_MAX}; choose a \
         shorter path"
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its bytes.
        bytes: usize,
    },
    /// There is no such directory.
    #[error("the directory {0} of api.socket does not exist; create it, or choose another path")]
    NoDirectory(PathBuf),
    /// There is a file that is no socket.
    #[error("{0} exists and is no socket; remove it, or choose another api.socket")]
    NoSocket(PathBuf),
    /// The group is not known.
    #[error("api.socket_group '{0}' does not exist; create it, or name another")]
    NoGroup(String),
    /// The kernel refused.
    #[error("cannot {what} {path}: {source}; check who may write there")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The socket's name in the file system. To be dropped after the listener: it then removes the
/// file, unless another daemon answers there by now.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // What cannot be removed now is replaced by the next start.
        let _ = lock(directory_of(&self.path)).and_then(|_locked| remove_stale(&self.path));
    }
}

/// A listening socket at `path` with `mode`, whatever the umask, and of `group` (a name or a
/// number). It does not block, so `tokio::net::UnixListener::from_std` takes it.
///
/// # Errors
/// See [`BindError`]. A socket that nobody answers on is replaced.
pub fn bind(
    path: &Path,
    mode: u32,
    group: Option<&str>,
) -> Result<(UnixListener, SocketFile), BindError> {
    let bytes = path.as_os_str().len();
    if bytes > PATH_BYTES_MAX {
        return Err(BindError::TooLong { path: path.to_owned(), bytes });
    }
    let gid = group.map(gid_of).transpose()?;
    let refused =
        |what| move |source: io::Error| BindError::Refused { what, path: path.to_owned(), source };
    let locked = lock(directory_of(path))?;
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(refused("make"))?;
    let address = SockAddr::unix(path).map_err(refused("name"))?;
    socket.bind(&address).map_err(refused("bind"))?;
    if gid.is_some() {
        std::os::unix::fs::chown(path, None, gid).map_err(refused("change the group of"))?;
    }
    std::fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(refused("change the mode of"))?;
    let backlog = i32::try_from(API_CONNECTIONS_MAX).unwrap_or(i32::MAX);
    socket.listen(backlog).map_err(refused("listen on"))?;
    socket.set_nonblocking(true).map_err(refused("set up"))?;
    drop(locked);
    Ok((socket.into(), SocketFile { path: path.to_owned() }))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    }
}

fn gid_of(group: &str) -> Result<u32, BindError> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let found = nix::unistd::Group::from_name(group).ok().flatten();
    found.map(|group| group.gid.as_raw()).ok_or_else(|| BindError::NoGroup(group.to_owned()))
}

fn lock(directory: &Path) -> Result<Flock<File>, BindError> {
    let refused = |source: io::Error| {
        if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&source.kind()) {
            return BindError::NoDirectory(directory.to_owned());
        }
        BindError::Refused { what: "open", path: directory.to_owned(), source }
    };
    let file = File::open(directory).map_err(refused)?;
    if !file.metadata().map_err(refused)?.is_dir() {
        return Err(BindError::NoDirectory(directory.to_owned()));
    }
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| BindError::Refused {
        what: "lock",
        path: directory.to_owned(),
        source: errno.into(),
    })
}

/// Removes a socket that a daemon left behind; an error if one lives.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    let refused = |what, source| BindError::Refused { what, path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused("look at", error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(BindError::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    // Not blocking, because a daemon whose queue is full must not hold us up: it lives.
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None);
    let answer = probe.and_then(|probe| {
        probe.set_nonblocking(true)?;
        probe.connect(&SockAddr::unix(path)?)
    });
    let errno = answer.err().map(|error| (error.raw_os_error().map(Errno::from_raw), error));
    match errno {
        None | Some((Some(Errno::EAGAIN), _)) => Err(BindError::Alive(path.to_owned())),
        Some((Some(Errno::ECONNREFUSED), _)) => {
            std::fs::remove_file(path).map_err(|error| refused("remove the stale", error))
        }
        Some((Some(Errno::ENOENT), _)) => Ok(()),
        Some((_, error)) => Err(refused("connect to", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn the_mode_is_as_asked_and_the_file_goes_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        for mode in [0o600, 0o660, 0o666] {
            let own = nix::unistd::getgid().to_string();
            let (listener, file) = bind(&path, mode, Some(&own)).unwrap();
            assert_eq!(mode_of(&path), mode);
            drop(listener);
            drop(file);
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_live_daemon_is_left_alone_and_a_dead_ones_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        let (listener, file) = bind(&path, 0o600, None).unwrap();
        let refused = bind(&path, 0o600, None).unwrap_err();
        assert!(refused.to_string().starts_with("another daemon answers on /"), "{refused}");
        drop(listener);
        let (_second, second_file) = bind(&path, 0o600, None).unwrap();
        drop(file);
        assert!(path.exists(), "the first owner does not remove the second's socket");
        drop(second_file);
    }

    #[test]
    fn a_daemon_whose_queue_is_full_lives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        let address = SockAddr::unix(&path).unwrap();
        socket.bind(&address).unwrap();
        socket.listen(0).unwrap();
        let mut clients = Vec::new();
        loop {
            let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            if client.connect(&address).is_err() {
                break;
            }
            clients.push(client);
        }
        assert!(matches!(bind(&path, 0o600, None), Err(BindError::Alive(_))));
    }

    #[test]
    fn what_cannot_be_a_socket_is_one_clear_line() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "precious").unwrap();
        let line = |path: &Path, group| bind(path, 0o600, group).unwrap_err().to_string();
        assert!(line(&at("file"), None).contains("exists and is no socket"));
        assert_eq!(std::fs::read(at("file")).unwrap(), b"precious");
        assert!(line(&at("missing/api.sock"), None).contains("does not exist; create it"));
        assert!(line(&at("file/api.sock"), None).contains("does not exist; create it"));
        let long = at(&"x".repeat(108));
        assert!(line(&long, None).contains("the kernel takes 107"));
        assert!(line(&at("s"), Some("no-such-group")).contains("'no-such-group' does not exist"));
        assert!(!at("s").exists());
    }
}
