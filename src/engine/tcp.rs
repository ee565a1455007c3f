//! What a daemon that answers over TCP needs besides: the listener, and the keys.

use crate::access::{KeyFile, KeyFileError};
use crate::api::{Door, ListenError, Parts, listen};
use crate::config::Config;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Why nobody can be answered over TCP.
#[derive(Debug, thiserror::Error)]
pub enum TcpError {
    /// The keys have no place.
    #[error("api.listen is set, but there is no place for its keys, keys.toml; set state.dir")]
    NoStateDir,
    /// The port cannot be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The keys cannot be had.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
}

/// A port that is bound, and the keys of those who are let in.
#[derive(Debug)]
pub(super) struct Tcp {
    listener: TcpListener,
    address: SocketAddr,
    keys: KeyFile,
    region: String,
}

impl Tcp {
    /// What `config` asks for, if it does. The state directory is there, and ours.
    pub(super) fn open(config: &Config) -> Result<Option<Self>, TcpError> {
        let Some(address) = config.api.listen else { return Ok(None) };
        let directory = config.state.dir.as_deref().ok_or(TcpError::NoStateDir)?;
        let (listener, address) = listen(address)?;
        let keys = KeyFile::open(directory)?;
        Ok(Some(Self { listener, address, keys, region: config.aws.region.clone() }))
    }

    /// With the port that the kernel chose, where it had to.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The door, inside of the runtime that serves it.
    pub(super) fn door(self) -> io::Result<Door> {
        let Self { listener, address, keys, region } = self;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (count, path) = (keys.keys().all().len(), keys.path().display().to_string());
        tracing::info!(keys = count, %path, "answering on {address}");
        Ok(Door::new(listener, keys, Some(region), Parts::CLOCKS))
    }
}
