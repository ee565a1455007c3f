//! What the host gives: CPUs, files and a way to drive sockets, and the plan that follows from
//! them.

use super::EngineError;
use crate::config;
use crate::io::raw::CannotScan;
use crate::io::{Backend, Host, Unsupported};
use crate::limits::{
    API_CONNECTIONS_MAX, FILES_BESIDES, FILES_PER_WORKER, IN_FLIGHT_DEFAULT, IN_FLIGHT_MAX,
    RAW_FILES_PER_WORKER, TLS_IN_FLIGHT_DEFAULT, TLS_SESSION_MEMORY_DEFAULT,
};
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
    /// TLS probes in flight of each at most.
    pub tls_in_flight: u32,
    /// Bytes of the TLS sessions that each keeps.
    pub tls_session_memory: usize,
    /// CPUs that we may run on.
    pub(super) cpus: Vec<usize>,
    /// The file limit after it was raised as far as allowed.
    pub file_limit: u64,
    /// How all workers drive their sockets.
    pub backend: Backend,
    /// Why that is epoll and not io_uring, where nobody asked for epoll.
    pub instead: Option<Unsupported>,
}

#[expect(clippy::cast_possible_truncation, reason = "a constant below 2^32")]
const TLS_IN_FLIGHT: u32 = TLS_IN_FLIGHT_DEFAULT as u32;

impl Plan {
    /// Plans with what the host gives, and raises the soft file limit to the hard one. `backend`,
    /// `workers` and `max_in_flight` (per worker) are what the configuration asks for, if it does;
    /// `raw`: whether a group has `handshake = "raw"`.
    ///
    /// # Errors
    /// Where the configuration asks for more than the host gives. Whether io_uring, where it is
    /// asked for by name, can be had is seen when the workers start.
    pub fn new(
        backend: impl Into<config::Backend>,
        workers: Option<usize>,
        max_in_flight: Option<usize>,
        raw: bool,
    ) -> Result<Self, EngineError> {
        let cpus = cpus();
        let file_limit = raise_file_limit();
        let workers = workers_within(file_limit, workers, cpus.len(), raw)?;
        let plan = |backend, instead| {
            let slots = slots_within(backend, file_limit, workers, max_in_flight, raw)?;
            let cpus = cpus.clone();
            let tls_in_flight = slots.min(TLS_IN_FLIGHT);
            let tls_session_memory = TLS_SESSION_MEMORY_DEFAULT;
            Ok(Self {
                workers,
                slots,
                tls_in_flight,
                tls_session_memory,
                cpus,
                file_limit,
                backend,
                instead,
            })
        };
        match backend.into() {
            config::Backend::IoUring => plan(Backend::IoUring, None),
            config::Backend::Epoll => plan(Backend::Epoll, None),
            config::Backend::Auto => {
                let on_rings = plan(Backend::IoUring, None)?;
                match Host::open(Backend::IoUring, on_rings.slots, true) {
                    Ok(_) => Ok(on_rings),
                    Err(why) => plan(Backend::Epoll, Some(why)),
                }
            }
        }
    }

    /// The same with what the configuration asks for of TLS, per worker: probes in flight, if it
    /// does, and bytes of sessions.
    #[must_use]
    pub fn with_tls(self, in_flight: Option<usize>, session_memory: usize) -> Self {
        let asked = in_flight.map(|most| u32::try_from(most).unwrap_or(u32::MAX));
        let tls_in_flight = asked.unwrap_or(TLS_IN_FLIGHT).min(self.slots);
        Self { tls_in_flight, tls_session_memory: session_memory, ..self }
    }

    /// The CPU of worker number `worker`; none where there are more workers than CPUs, which then
    /// run wherever there is room.
    #[must_use]
    pub fn cpu(&self, worker: usize) -> Option<usize> {
        if self.workers > self.cpus.len() { None } else { self.cpus.get(worker).copied() }
    }

    /// Whether sockets can be driven in the best way, or in the one that was asked for by name.
    ///
    /// # Errors
    /// Why not, and the cure.
    pub fn can_be_driven(&self) -> Result<(), Unsupported> {
        match &self.instead {
            Some(why) => Err(why.clone()),
            None => Host::open(self.backend, self.slots, true).map(drop),
        }
    }

    /// Whether the files are enough for `handshake = "raw"` too, which the plan may not have
    /// reckoned with.
    ///
    /// # Errors
    /// What is missing, and the cure.
    pub fn room_to_scan(&self) -> Result<(), CannotScan> {
        let slots = match self.backend {
            Backend::IoUring => 0,
            Backend::Epoll => self.capacity(),
        };
        let needed = (FILES_BESIDES + self.workers * files_per_worker(true)) as u64 + slots;
        if needed <= self.file_limit {
            return Ok(());
        }
        let limit = self.file_limit;
        Err(CannotScan {
            what: format!("handshake \"raw\" needs {needed} files, and the limit is {limit}"),
            cure: "raise it (ulimit -n, LimitNOFILE=), or lower engine.workers, or use handshake \
                   \"half\"",
        })
    }

    /// Probes in flight of all workers together.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        self.slots as u64 * self.workers as u64
    }
}

impl From<Backend> for config::Backend {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::IoUring => Self::IoUring,
            Backend::Epoll => Self::Epoll,
        }
    }
}

const fn files_per_worker(raw: bool) -> usize {
    if raw { FILES_PER_WORKER + RAW_FILES_PER_WORKER } else { FILES_PER_WORKER }
}

/// How many slots each worker has: as many as asked for, else what there is room for.
fn slots_within(
    backend: Backend,
    file_limit: u64,
    workers: usize,
    asked: Option<usize>,
    raw: bool,
) -> Result<u32, EngineError> {
    let files = usize::try_from(file_limit).unwrap_or(usize::MAX);
    let most = match backend {
        // Direct descriptors are not files of the process, but each ring's table of them may not be
        // larger than its file limit.
        Backend::IoUring => files,
        // Each socket is a file of the process: what the rest leaves is shared out. Where it is
        // little, the API's clients get a quarter of it.
        Backend::Epoll => {
            let left = files.saturating_sub(FILES_BESIDES + workers * files_per_worker(raw));
            (left - API_CONNECTIONS_MAX.min(left / 4)) / workers
        }
    };
    let most = most.min(IN_FLIGHT_MAX);
    let slots = asked.unwrap_or_else(|| IN_FLIGHT_DEFAULT.min(most));
    if (1..=most).contains(&slots) {
        return Ok(u32::try_from(slots).unwrap_or(u32::MAX));
    }
    let on = match backend {
        Backend::IoUring => "",
        Backend::Epoll => ", of which each is a file on epoll",
    };
    let what = match asked {
        Some(slots) => format!("engine.max_in_flight is {slots}"),
        None => format!("{workers} workers need some"),
    };
    Err(EngineError::Resources(format!(
        "{what}, but the file limit allows {most} probes in flight per worker{on}; raise it (ulimit \
         -n, LimitNOFILE=) or lower engine.max_in_flight or engine.workers"
    )))
}

/// How many workers there are: as many as asked for, else one per CPU as far as the files go. What
/// starts with fewer files than it needs fails later, where nobody can say why.
fn workers_within(
    file_limit: u64,
    asked: Option<usize>,
    cpus: usize,
    raw: bool,
) -> Result<usize, EngineError> {
    let files = usize::try_from(file_limit).unwrap_or(usize::MAX);
    let each = files_per_worker(raw);
    let most = files.saturating_sub(FILES_BESIDES) / each;
    let workers = asked.unwrap_or_else(|| cpus.min(most)).max(1);
    if workers <= most {
        return Ok(workers);
    }
    let needed = FILES_BESIDES + workers * each;
    let raw = if raw { ", handshake = \"raw\"" } else { "" };
    Err(EngineError::Resources(format!(
        "the file limit is {file_limit}, but {needed} are needed, engine.workers = {workers}{raw}; raise \
         it (ulimit -n, LimitNOFILE=) or lower engine.workers"
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
        let workers = |files, asked, cpus| workers_within(files, asked, cpus, false);
        assert_eq!(workers(64, None, 2).unwrap(), 2);
        assert_eq!(workers(64, None, 100).unwrap(), 5);
        assert_eq!(workers(64, Some(5), 2).unwrap(), 5);
        assert_eq!(workers(u64::MAX, None, 100).unwrap(), 100);
        assert_eq!(workers_within(89, None, 2, true).unwrap(), 1);
        assert_eq!(workers_within(90, None, 2, true).unwrap(), 2);
        let error = workers_within(89, Some(2), 2, true).unwrap_err().to_string();
        let expected = "the file limit is 89, but 90 are needed, engine.workers = 2, handshake = \
                        \"raw\"; raise it (ulimit -n, LimitNOFILE=) or lower engine.workers";
        assert_eq!(error, expected);
        for (files, asked) in [(64, Some(6)), (37, None), (0, None)] {
            let error = workers(files, asked, 2).unwrap_err().to_string();
            let limit = format!("the file limit is {files}, but ");
            assert!(error.starts_with(&limit) && error.contains("ulimit -n"), "{error}");
        }
    }

    #[test]
    fn a_plan_fits_the_host_or_says_what_does_not() {
        for backend in Backend::ALL {
            let plan = Plan::new(backend, Some(1), Some(64), false).unwrap();
            assert_eq!((plan.workers, plan.slots, plan.capacity()), (1, 64, 64));
            assert_eq!((plan.backend, &plan.instead), (backend, &None));
            assert!(plan.cpu(0).is_some());
            assert_eq!(Plan::new(backend, Some(200), Some(64), false).unwrap().cpu(0), None);
            let error = Plan::new(backend, None, Some(1_000_000), false).unwrap_err().to_string();
            assert!(
                error.contains("max_in_flight is 1000000") && error.contains("ulimit -n"),
                "{error}"
            );
        }
        let auto = Plan::new(config::Backend::Auto, Some(1), Some(64), false).unwrap();
        assert_eq!((auto.backend, auto.instead), (Backend::IoUring, None), "tests run where it is");
    }

    #[test]
    fn scanning_needs_files_too() {
        let slots = slots_within(Backend::Epoll, 20_000, 2, None, true).unwrap();
        assert_eq!(slots, (20_000 - 32 - 12 - 46 - 1_024) / 2);
        let plan = Plan::new(Backend::IoUring, Some(2), Some(64), false).unwrap();
        let room =
            |backend, file_limit| Plan { backend, file_limit, ..plan.clone() }.room_to_scan();
        assert_eq!(room(Backend::IoUring, 90), Ok(()));
        assert_eq!(room(Backend::Epoll, 90 + 128), Ok(()));
        for (backend, files, needed) in [(Backend::IoUring, 89, 90), (Backend::Epoll, 217, 218)] {
            let error = room(backend, files).unwrap_err().to_string();
            let what =
                format!("handshake \"raw\" needs {needed} files, and the limit is {files}; ");
            assert!(error.starts_with(&what) && error.contains("ulimit -n"), "{error}");
        }
    }

    #[test]
    fn sockets_of_epoll_share_the_files_with_the_rest_of_the_process() {
        let slots =
            |files, workers, asked| slots_within(Backend::Epoll, files, workers, asked, false);
        // 32 and 2 x 6 for the rest, 1,024 for clients of the API, and half of what is left.
        assert_eq!(slots(20_000, 2, None).unwrap(), (20_000 - 32 - 12 - 1_024) / 2);
        assert_eq!(slots(20_000, 2, Some(9_466)).unwrap(), 9_466);
        assert_eq!(slots(1 << 20, 2, None).unwrap(), 16_384);
        assert_eq!(slots(u64::MAX, 1, None).unwrap(), 16_384);
        assert_eq!(slots(64, 2, None).unwrap(), 7);
        assert_eq!(slots(40, 1, None).unwrap(), 2);
        let error = slots(20_000, 2, Some(9_467)).unwrap_err().to_string();
        assert_eq!(
            error,
            "engine.max_in_flight is 9467, but the file limit allows 9466 probes in flight per \
             worker, of which each is a file on epoll; raise it (ulimit -n, LimitNOFILE=) or lower \
             engine.max_in_flight or engine.workers"
        );
        for (files, workers) in [(44, 2), (38, 1), (0, 1)] {
            let error = slots(files, workers, None).unwrap_err().to_string();
            assert!(error.contains("allows 0 probes") && error.contains("ulimit -n"), "{error}");
        }
        assert_eq!(slots_within(Backend::IoUring, 64, 2, None, false).unwrap(), 64);
    }
}
