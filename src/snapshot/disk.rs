//! The few calls on files that a snapshot needs, without waiting for the disk on the control
//! thread: through its ring, or on tokio's blocking threads where there is none.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Through io_uring; needs tokio-uring's runtime.
    Ring,
    /// On the blocking threads of tokio's runtime.
    Threads,
}

/// A file, or a directory that is to be synced.
pub(super) enum File {
    Ring(tokio_uring::fs::File),
    Threads(Arc<std::fs::File>),
}

impl File {
    /// The same file by these means.
    pub(super) fn from_std(file: std::fs::File, disk: Disk) -> Self {
        match disk {
            Disk::Ring => Self::Ring(tokio_uring::fs::File::from_std(file)),
            Disk::Threads => Self::Threads(Arc::new(file)),
        }
    }

    /// Writes all of `block` at this place; gives its memory back, unless the runtime is gone.
    pub(super) async fn write_all_at(&self, block: Vec<u8>, at: u64) -> (io::Result<()>, Vec<u8>) {
        match self {
            Self::Ring(file) => file.write_all_at(block, at).await,
            Self::Threads(file) => {
                let file = Arc::clone(file);
                let written = spawn_blocking(move || (file.write_all_at(&block, at), block)).await;
                written.unwrap_or_else(|error| (Err(error.into()), Vec::new()))
            }
        }
    }

    /// Waits until the disk has it.
    pub(super) async fn sync_all(&self) -> io::Result<()> {
        match self {
            Self::Ring(file) => file.sync_all().await,
            Self::Threads(file) => {
                let file = Arc::clone(file);
                spawn_blocking(move || file.sync_all()).await?
            }
        }
    }

    /// Closes it, where that does not wait for the disk.
    pub(super) async fn close(self) -> io::Result<()> {
        match self {
            Self::Ring(file) => file.close().await,
            // It was synced, so that nothing is left to wait for.
            Self::Threads(_) => Ok(()),
        }
    }
}

/// Renames a file.
pub(super) async fn rename(from: PathBuf, to: PathBuf, disk: Disk) -> io::Result<()> {
    match disk {
        Disk::Ring => tokio_uring::fs::rename(from, to).await,
        Disk::Threads => spawn_blocking(move || std::fs::rename(from, to)).await?,
    }
}
