//! Edits of the API, from the queue to the answer.
//!
//! Making a change durable takes a write to the disk, which several changes can share. So all that
//! wait are judged in their order, each against the registry that the one before it makes; then
//! they are committed together; then installed in the same order; and only then answered.

use super::keeper::{self, Keeper, Request};
use super::persist;
use crate::edit::{Done, Edit, EditError, Step};
use crate::registry::{IdAllocator, Registry};
use crate::schedule::First;
use crate::time::monotonic;
use crossbeam_channel::Receiver;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Edits of one commit at most, so that nobody waits for many others.
const BATCH_EDITS: usize = 64;
/// Homes that the registries of one commit hold together: 8 bytes each. Every edit makes a registry
/// of its own, and all of a batch are there at once.
const BATCH_HOMES: usize = 4 * 1_024 * 1_024;

/// An edit that waits for the keeper.
#[derive(Debug)]
pub(super) struct EditRequest {
    pub(super) edit: Edit,
    /// Who is told what came of it.
    pub(super) answer: oneshot::Sender<Result<Done, EditError>>,
}

/// An edit that was judged, and is to be made durable and installed.
struct Ready {
    answer: oneshot::Sender<Result<Done, EditError>>,
    done: Done,
    step: Step,
    /// As they are with it.
    ids: IdAllocator,
}

/// `first` and the edits that wait behind it, for a registry of so many `homes`; besides, the
/// request that ended the batch.
pub(super) fn batch(
    first: EditRequest,
    requests: &Receiver<Request>,
    homes: usize,
) -> (Vec<EditRequest>, Option<Request>) {
    let edits_max = BATCH_EDITS.min(BATCH_HOMES / homes.max(1));
    let mut batch = vec![first];
    while batch.len() < edits_max {
        match requests.try_recv() {
            Ok(Request::Edit(request)) => batch.push(request),
            Ok(other) => return (batch, Some(other)),
            Err(_) => break,
        }
    }
    (batch, None)
}

impl Keeper {
    /// Carries edits out, and answers each.
    pub(super) fn edit(&mut self, batch: Vec<EditRequest>) {
        self.ids.release(self.table.taken_up_revision());
        let ready = self.judge_all(batch);
        if ready.is_empty() {
            return;
        }
        let now = keeper::now();
        let ops = ready.iter().flat_map(|ready| persist::ops(&ready.step, now)).collect();
        if let Err(error) = self.store.commit(ops) {
            tracing::error!(%error, "changes asked for over the API are refused");
            let refuse =
                |Ready { answer, .. }| answer.send(Err(EditError::Store(error.to_string())));
            return ready.into_iter().map(refuse).for_each(drop);
        }
        for Ready { answer, done, step, ids } in ready {
            let result = self.adopt(step.registry, ids, step.change, First::Soon(0));
            // What is durable and could not be installed, because the daemon is stopping, holds
            // from the next start.
            let result = result.map_err(|error| EditError::Unavailable(error.to_string()));
            // Whoever asked may be gone; the edit holds all the same.
            let _ = answer.send(result.map(|()| done));
        }
    }

    /// Judges edits, each on top of those before it. Answers those that cannot be, and those that
    /// change nothing.
    fn judge_all(&self, batch: Vec<EditRequest>) -> Vec<Ready> {
        let mut ready: Vec<Ready> = Vec::new();
        for EditRequest { edit, answer } in batch {
            let (registry, ids) =
                ready.last().map_or((&self.registry, &self.ids), |r| (&r.step.registry, &r.ids));
            match self.judge_one(registry, ids.clone(), edit) {
                Ok((done, None)) => drop(answer.send(Ok(done))),
                Ok((done, Some((step, ids)))) => ready.push(Ready { answer, done, step, ids }),
                Err(error) => drop(answer.send(Err(error))),
            }
        }
        ready
    }

    fn judge_one(
        &self,
        registry: &Arc<Registry>,
        mut ids: IdAllocator,
        edit: Edit,
    ) -> Result<(Done, Option<(Step, IdAllocator)>), EditError> {
        let judged = self.judge.judge(registry, edit, &mut ids, monotonic())?;
        let Some(step) = judged.step else { return Ok((judged.done, None)) };
        if step.registry.homes.len() > self.table.capacity() {
            let what = "too many targets drain; try again when some of them are gone";
            return Err(EditError::Unavailable(what.to_owned()));
        }
        Ok((judged.done, Some((step, ids))))
    }
}
