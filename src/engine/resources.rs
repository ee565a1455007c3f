//! What the host gives: CPUs and files, and the plan that follows from them.

use super::EngineError;
use crate::limits::{FILES_BESIDES, FILES_PER_WORKER, IN_FLIGHT_DEFAULT, IN_FLIGHT_MAX};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

/// How many workers with how many probe slots each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Worker threads.
    pub workers: usize,
    /// Probe slots of each: probes in flight at most.
    pub slots: u32,
    /// CPUs that we may run on.
    pub(super) cpus: Vec<usize>,
    /// The file limit after it was raised as far as allowed.
    pub file_limit: u64,
}

impl Plan {
    /// Plans with what the host gives, and raises the soft file limit to the hard one. `workers`
    /// and `max_in_flight` (per worker) are what the configuration asks for, if it does.
    ///
    /// # Errors
    /// Where the configuration asks for more than the host gives.
    pub fn new(workers: Option<usize>, max_in_flight: Option<usize>) -> Result<Self, EngineError> {
        let cpus = cpus();
        let file_limit = raise_file_limit();
        let workers = workers_within(file_limit, workers, cpus.len())?;
        // Direct descriptors are not files of the process, but each ring's table of them may not be
        // larger than its file limit.
        let most = usize::try_from(file_limit).unwrap_or(usize::MAX).min(IN_FLIGHT_MAX);
        let slots = max_in_flight.unwrap_or_else(|| IN_FLIGHT_DEFAULT.min(most));
        if slots > most {
            return Err(EngineError::Resources(format!(
                "engine.max_in_flight is {slots}, but the file limit allows {most} probes in flight \
                 per worker; raise it (ulimit -n, LimitNOFILE=) or lower engine.max_in_flight"
            )));
        }
        let slots = u32::try_from(slots).unwrap_or(u32::MAX);
        Ok(Self { workers, slots, cpus, file_limit })
    }

    /// The CPU of worker number `worker`; none where there are more workers than CPUs, which then
    /// run wherever there is room.
    #[must_use]
    pub fn cpu(&self, worker: usize) -> Option<usize> {
        if self.workers > self.cpus.len() { None } else { self.cpus.get(worker).copied() }
    }

    /// Probes in flight of all workers together.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        self.slots as u64 * self.workers as u64
    }
}

/// How many workers there are: as many as asked for, else one per CPU as far as the files go. What
/// starts with fewer files than it needs fails later, where nobody can say why.
fn workers_within(
    file_limit: u64,
    asked: Option<usize>,
    cpus: usize,
) -> Result<usize, EngineError> {
    let files = usize::try_from(file_limit).unwrap_or(usize::MAX);
    let most = files.saturating_sub(FILES_BESIDES) / FILES_PER_WORKER;
    let workers = asked.unwrap_or_else(|| cpus.min(most)).max(1);
    if workers <= most {
        return Ok(workers);
    }
    let needed = FILES_BESIDES + workers * FILES_PER_WORKER;
    Err(EngineError::Resources(format!(
        "the file limit is {file_limit}, but {needed} are needed, engine.workers = {workers}; raise it \
         (ulimit -n, LimitNOFILE=) or lower engine.workers"
    )))
}

/// The CPUs that we may run on; at least one.
fn cpus() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else { return vec![0] };
    let cpus: Vec<usize> =
        (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true)).collect();
    if cpus.is_empty() { vec![0] } else { cpus }
}

/// Binds the calling thread to one CPU. Not being allowed to costs speed only.
pub fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    if set.set(cpu).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set)).is_err() {
        tracing::debug!(cpu, "cannot pin a worker");
    }
}

/// Raises the soft file limit to the hard one; returns what holds then.
fn raise_file_limit() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1_024 };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return hard;
    }
    soft
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_as_many_as_the_files_allow() {
        assert_eq!(workers_within(64, None, 2).unwrap(), 2);
        assert_eq!(workers_within(64, None, 100).unwrap(), 5);
        assert_eq!(workers_within(64, Some(5), 2).unwrap(), 5);
        assert_eq!(workers_within(u64::MAX, None, 100).unwrap(), 100);
        for (files, asked) in [(64, Some(6)), (37, None), (0, None)] {
            let error = workers_within(files, asked, 2).unwrap_err().to_string();
            let limit = format!("the file limit is {files}, but ");
            assert!(error.starts_with(&limit) && error.contains("ulimit -n"), "{error}");
        }
    }

    #[test]
    fn a_plan_fits_the_host_or_says_what_does_not() {
        let plan = Plan::new(Some(1), Some(64)).unwrap();
        assert_eq!((plan.workers, plan.slots, plan.capacity()), (1, 64, 64));
        assert!(plan.cpu(0).is_some());
        assert_eq!(Plan::new(Some(200), Some(64)).unwrap().cpu(0), None);
        let error = Plan::new(None, Some(1_000_000)).unwrap_err().to_string();
        assert!(
            error.contains("max_in_flight is 1000000") && error.contains("ulimit -n"),
            "{error}"
        );
    }
}
