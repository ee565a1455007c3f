//! TLS of a health check: ready, or held back because a file that it needs is not as it was.

use super::violation::Violation;
use crate::check::tls::{Client, Settings};
use std::sync::Arc;

/// How the handshakes of a health check are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// All files were read. Equal where the content of the files is, too.
    Ready(Arc<Client>),
    /// A group of the API that was made with files which cannot be read any more: it is there, and
    /// its targets are not probed.
    HeldBack {
        /// What was asked for.
        settings: Settings,
        /// Why it cannot be had.
        why: Box<Violation>,
    },
}

impl Tls {
    /// What was asked for.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        match self {
            Self::Ready(client) => client.settings(),
            Self::HeldBack { settings, .. } => settings,
        }
    }
}

/// What becomes of a health check whose files cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Files {
    /// It is refused.
    Needed,
    /// It is held back.
    OnceTaken,
}
