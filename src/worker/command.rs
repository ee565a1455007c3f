//! What the control thread asks of a worker, carried out between two turns of its loop.

use crate::recipe::Recipe;
use crate::registry::{Addition, GroupKey};
use crate::report::TargetId;
use crate::schedule::First;
use std::sync::Arc;

/// One command. Lists hold at most [`crate::limits::COMMAND_TARGETS`], so that none stalls the
/// loop.
#[derive(Clone, Debug)]
pub enum Command {
    /// A new or changed recipe; its targets keep their state and restart their streaks.
    Recipe(GroupKey, Arc<Recipe>),
    /// Targets with ids up to this one, exclusive, will come.
    Reserve(u32),
    /// Targets of this worker to probe from now on; their recipe was sent before.
    Add(First, Vec<Addition>),
    /// Targets of this worker to probe no more. No report of them follows the next batch's
    /// revision.
    Remove(Vec<TargetId>),
    /// All commands of this registry revision have been sent: say so with the next batch.
    Revision(u64),
    /// Finish: cancel what is in flight, send the last reports, end.
    Stop,
}

impl Command {
    /// Targets that it names.
    pub(super) const fn targets(&self) -> usize {
        match self {
            Self::Add(_, targets) => targets.len(),
            Self::Remove(targets) => targets.len(),
            Self::Recipe(..) | Self::Reserve(_) | Self::Revision(_) | Self::Stop => 0,
        }
    }
}
