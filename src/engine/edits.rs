//! Edits of the API, from the queue to the answer.
//!
//! Making a change durable takes a write to the disk, which several changes can share. So all that
//! wait are judged in their order, each against the registry that the one before it makes; then
//! they are committed together; then installed in the same order; and only then answered.

use super::keeper::{self, Keeper, Request};
use super::{persist, scan};
use crate::edit::{Done, Edit, EditError, Step};
use crate::registry::{IdAllocator, Registry};
use crate::schedule::First;
use crate::store::Op;
use crate::time::monotonic;
use crossbeam_channel::Receiver;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Edits of one commit at most, so that nobody waits for many others.
const BATCH_EDITS: usize = 64;
/// Targets that the registries of one commit name together. Every edit makes a registry of its own,
/// all of a batch are there at once, and each may have its own copy of one large group.
const BATCH_TARGETS: usize = 4 * 1_024 * 1_024;

/// An edit that waits for the keeper.
#[derive(Debug)]
pub(super) struct EditRequest {
    pub(super) edit: Edit,
    /// Who is told what came of it.
    pub(super) answer: oneshot::Sender<Result<Done, EditError>>,
}

/// An edit that was judged.
struct Judged {
    answer: oneshot::Sender<Result<Done, EditError>>,
    result: Result<Done, EditError>,
    /// What is to be made durable and installed, if it changes anything.
    ready: Option<Ready>,
}

/// The registry with an edit.
struct Ready {
    step: Step,
    /// As they are with it.
    ids: IdAllocator,
}

/// `first` and the edits that wait behind it, for a registry of so many `targets`; besides, the
/// request that ended the batch.
pub(super) fn batch(
    first: EditRequest,
    requests: &Receiver<Request>,
    targets: usize,
) -> (Vec<EditRequest>, Option<Request>) {
    let edits_max = BATCH_EDITS.min(BATCH_TARGETS / targets.max(1));
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
        let mut judged = self.judge_all(batch);
        let now = keeper::now();
        let steps = judged.iter().filter_map(|judged| judged.ready.as_ref());
        let ops: Vec<_> = steps.flat_map(|ready| persist::ops(&ready.step, now)).collect();
        if let Some(first) = judged.iter().position(|judged| judged.ready.is_some())
            && let Err(error) = self.make_durable(ops)
        {
            // Those behind the first change were judged as if it were made.
            for Judged { result, ready, .. } in &mut judged[first..] {
                (*result, *ready) = (Err(error.clone()), None);
            }
        }
        for Judged { answer, mut result, ready } in judged {
            if let Some(Ready { step, ids }) = ready
                && let Err(error) = self.adopt(step.registry, ids, step.change, First::Soon(0))
            {
                // What is durable and could not be installed, because the daemon stops just now,
                // holds from the next start.
                result = Err(EditError::Unavailable(error.to_string()));
            }
            // Whoever asked may be gone; the edit holds all the same.
            let _ = answer.send(result);
        }
    }

    fn make_durable(&self, ops: Vec<Op>) -> Result<(), EditError> {
        // What could not be installed any more is not kept either: it would hold after all.
        self.goes_on().map_err(|error| EditError::Unavailable(error.to_string()))?;
        self.store.commit(ops).map_err(|error| {
            tracing::error!(%error, "changes asked for over the API are refused");
            EditError::Store(error.to_string())
        })
    }

    /// Judges edits, each on top of those before it. None is answered yet, not even one that is
    /// refused or changes nothing: that it exists already, say, is true only once what it stands on
    /// is durable and can be seen.
    fn judge_all(&self, batch: Vec<EditRequest>) -> Vec<Judged> {
        let mut all: Vec<Judged> = Vec::with_capacity(batch.len());
        for EditRequest { edit, answer } in batch {
            let last = all.iter().rev().find_map(|judged| judged.ready.as_ref());
            let (registry, ids) = last
                .map_or((&self.registry, &self.ids), |ready| (&ready.step.registry, &ready.ids));
            let (result, ready) = match self.judge_one(registry, ids.clone(), edit) {
                Ok((done, ready)) => (Ok(done), ready),
                Err(error) => (Err(error), None),
            };
            all.push(Judged { answer, result, ready });
        }
        all
    }

    fn judge_one(
        &self,
        registry: &Arc<Registry>,
        mut ids: IdAllocator,
        edit: Edit,
    ) -> Result<(Done, Option<Ready>), EditError> {
        match &edit {
            Edit::CreateGroup(group) | Edit::ChangeGroup { group, .. } => {
                scan::refuse([&**group], self.engine.plan()).map_err(EditError::Unavailable)?;
            }
            Edit::DeleteGroup { .. }
            | Edit::Register { .. }
            | Edit::Deregister { .. }
            | Edit::Mark { .. }
            | Edit::CreateLoadBalancer(_)
            | Edit::DeleteLoadBalancer { .. }
            | Edit::CreateListener(_)
            | Edit::DeleteListener { .. } => {}
        }
        let judged = self.judge.judge(registry, edit, &mut ids, monotonic())?;
        let Some(step) = judged.step else { return Ok((judged.done, None)) };
        if step.registry.homes.bound() > self.table.capacity() {
            let what = "too many targets drain; try again when some of them are gone";
            return Err(EditError::Unavailable(what.to_owned()));
        }
        Ok((judged.done, Some(Ready { step, ids })))
    }
}
