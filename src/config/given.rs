//! Which configuration the command line gives: a file, and what goes before it. A reload reads the
//! same, so that it sees a change only where there is one.

use super::{Config, ConfigError, load};
use std::path::PathBuf;

/// See the module's head.
#[derive(Clone, Debug)]
pub struct Given {
    /// The file.
    pub file: PathBuf,
    /// Goes before `api.socket`.
    pub socket: Option<PathBuf>,
    /// Goes before `state.dir`.
    pub state_dir: Option<PathBuf>,
}

impl Given {
    /// The file alone.
    #[must_use]
    pub const fn file(file: PathBuf) -> Self {
        Self { file, socket: None, state_dir: None }
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        let mut config = load(&self.file)?;
        if let Some(socket) = &self.socket {
            config.api.socket.clone_from(socket);
        }
        if self.state_dir.is_some() {
            config.state.dir.clone_from(&self.state_dir);
        }
        Ok(config)
    }
}
