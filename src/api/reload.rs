//! The seam to whoever reloads the files.

use crate::time::Instant;
use serde::Serialize;
use std::pin::Pin;

/// What came of a reload that was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReloadSummary {
    /// The registry's new revision.
    pub revision: u64,
    /// Groups now.
    pub groups: usize,
    /// Targets now.
    pub targets: usize,
    /// Targets that were not there before.
    pub added: usize,
    /// Targets that are no longer there.
    pub removed: usize,
    /// Settings that were changed and hold from the next start only, as `engine.workers`.
    pub from_next_start: Vec<&'static str>,
}

/// Why a reload was not done; what was before runs on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// The files are not a valid configuration.
    #[error("{0}")]
    Invalid(String),
    /// It would remove more than half of a large group, and was not forced.
    #[error("{0}")]
    MassRemoval(String),
    /// Nobody can carry it out: the daemon stops, or another reload is going on.
    #[error("{0}")]
    Unavailable(String),
}

/// The last reload, whoever asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastReload {
    /// When it was over.
    pub at: Instant,
    /// Why it was not done; none where it was.
    pub error: Option<String>,
}

/// What a reload is waited for with.
pub type ReloadFuture<'a> =
    Pin<Box<dyn Future<Output = Result<ReloadSummary, ReloadError>> + Send + 'a>>;

/// Whoever reloads the files.
pub trait ReloadHandle: Send + Sync {
    /// Reloads all files, in spite of the guard against mass removal if `force`.
    fn reload(&self, force: bool) -> ReloadFuture<'_>;

    /// The last reload, whoever asked for it; none since the start.
    fn last(&self) -> Option<LastReload>;
}
