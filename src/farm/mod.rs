//! Simulated targets on loopback, for `ringcheck farm`, for the demo, for benches and tests.
//!
//! One listener on 0.0.0.0:port stands for all 16 million addresses of 127.0.0.0/8; how a target
//! behaves follows from its address alone ([`Mix::behaviour`]). What can be decided in the kernel
//! is decided there, by socket filters: silent and refusing targets, and that nothing but
//! 127.0.0.0/8 is served, so that the listener cannot be reached from another host. The rest is one
//! thread with epoll and canned answers, because it shares its cores with the engine under test.
//! `[::1]:port`, where the host has IPv6, is one more healthy target. Targets that flap, and
//! blackouts ([`Farm::black_out`]), are other filters in the place of the first ones.

mod answers;
mod connections;
pub mod darkness;
mod exchange;
mod filter;
mod listener;
pub mod mix;
pub mod range;
mod refuse;
mod serving;
mod switch;

pub use darkness::{Darkness, Percent};
pub use mix::{Behaviour, Mix, MixError};

use listener::Listeners;
use nix::sys::eventfd::{EfdFlags, EventFd};
use refuse::Refuser;
use serving::{Serving, Shared};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use switch::Switch;

/// Threads of one farm at most.
const THREADS_MAX: usize = 64;
/// Open connections of one thread at least and at most, where the file limit decides.
const CONNECTIONS_RANGE: std::ops::RangeInclusive<u64> = 16..=65_536;

/// What to start.
#[derive(Clone, Debug)]
pub struct FarmOptions {
    /// Port of every target; 0: one that is free.
    pub port: u16,
    /// Who behaves how.
    pub mix: Mix,
    /// Threads that serve, 1 to 64.
    pub threads: usize,
    /// Connections open at once per thread; past that the oldest is closed. None: from the file
    /// limit.
    pub connections: Option<usize>,
    /// Time in which a flapping target is healthy once and silent once.
    pub flap_period: Duration,
}

/// [`FarmOptions::flap_period`] where nothing is said.
pub const FLAP_PERIOD_DEFAULT: Duration = Duration::from_secs(60);

impl Default for FarmOptions {
    fn default() -> Self {
        Self {
            port: 0,
            mix: Mix::all(Behaviour::Healthy),
            threads: 1,
            connections: None,
            flap_period: FLAP_PERIOD_DEFAULT,
        }
    }
}

/// Why a farm cannot start; each message names the cure.
#[derive(Debug, thiserror::Error)]
pub enum FarmError {
    /// The port cannot be had.
    #[error(
        "cannot listen on 0.0.0.0:{port}: {source}; choose a port that nothing on this host uses, \
         or 0 for any"
    )]
    Listen {
        /// As asked.
        port: u16,
        /// What the kernel said.
        source: io::Error,
    },
    /// No CAP_NET_RAW.
    #[error(
        "refusing targets need CAP_NET_RAW, which this process lacks; run as root or with that \
         capability, or leave 'refuse' out of the mix"
    )]
    Permission,
    /// A socket option or a socket filter was not taken.
    #[error("cannot set up the farm's sockets: {0}; Linux 5.10 or later is needed")]
    Filter(#[source] io::Error),
    /// No thread, no epoll, no eventfd.
    #[error("cannot start the farm's thread: {0}; raise the limits on files and processes")]
    Start(#[source] io::Error),
}

/// What a farm has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FarmCounts {
    /// Connections taken.
    pub accepted: u64,
    /// Requests answered, whatever the answer.
    pub answered: u64,
    /// SYNs answered with RST.
    pub refused: u64,
}

/// [`FarmCounts`] that several threads add to.
#[derive(Debug, Default)]
struct Counters {
    accepted: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
}

/// A running farm; stops when dropped.
#[derive(Debug)]
pub struct Farm {
    port: u16,
    mix: Arc<Mix>,
    counters: Arc<Counters>,
    stop: Arc<EventFd>,
    switch: Arc<Switch>,
    threads: Vec<JoinHandle<()>>,
}

impl Farm {
    /// Opens the sockets and starts the threads. When this returns, connects are answered.
    pub fn start(options: FarmOptions) -> Result<Self, FarmError> {
        let mix = Arc::new(options.mix);
        let listeners = Arc::new(Listeners::open(options.port, &mix)?);
        let port = listeners.port;
        let refuses = mix.has(Behaviour::Refuse);
        let refuser = if refuses { Some(Arc::new(Refuser::open(&mix, port)?)) } else { None };
        let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let stop = Arc::new(stop.map_err(start_error)?);
        let counters = Arc::new(Counters::default());
        let switch = Arc::new(Switch {
            mix: Arc::clone(&mix),
            listeners: Arc::clone(&listeners),
            refuser: refuser.clone(),
            dark: Mutex::default(),
        });
        let mut farm = Self { port, mix, counters, stop, switch, threads: Vec::new() };
        // An early return stops the threads before.
        farm.serve(&listeners, refuser, options.threads, options.connections)?;
        if farm.mix.has(Behaviour::Flap) {
            let (switch, stop) = (Arc::clone(&farm.switch), Arc::clone(&farm.stop));
            farm.spawn("farm-flap".to_owned(), move || switch.flap(options.flap_period, &stop))?;
        }
        Ok(farm)
    }

    /// Starts the threads that serve; the first one takes the refusals.
    fn serve(
        &mut self,
        listeners: &Arc<Listeners>,
        mut refuser: Option<Arc<Refuser>>,
        threads: usize,
        connections: Option<usize>,
    ) -> Result<(), FarmError> {
        let threads = threads.clamp(1, THREADS_MAX);
        let connections_max = connections.unwrap_or_else(|| connections_default(threads)).max(1);
        for index in 0..threads {
            let shared = Shared {
                mix: Arc::clone(&self.mix),
                listeners: Arc::clone(listeners),
                counters: Arc::clone(&self.counters),
                stop: Arc::clone(&self.stop),
                connections_max,
            };
            let serving = Serving::new(shared, refuser.take()).map_err(start_error)?;
            self.spawn(format!("farm-{index}"), move || serving.run())?;
        }
        Ok(())
    }

    fn spawn(
        &mut self,
        name: String,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), FarmError> {
        let thread = std::thread::Builder::new().name(name).spawn(run).map_err(FarmError::Start)?;
        self.threads.push(thread);
        Ok(())
    }

    /// From now on, this share of the targets is silent ([`Darkness::covers`] says who), and no
    /// other one is because of a blackout; none: the blackout is over. `[::1]` is part of a
    /// blackout of all.
    ///
    /// # Errors
    /// [`FarmError::Filter`] where the kernel has no memory for it.
    pub fn black_out(&self, share: Option<Percent>) -> Result<(), FarmError> {
        self.switch.black_out(share).map_err(FarmError::Filter)
    }

    /// The port of every target.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Who behaves how.
    #[must_use]
    pub fn mix(&self) -> &Mix {
        &self.mix
    }

    /// What was done so far.
    #[must_use]
    pub fn counts(&self) -> FarmCounts {
        FarmCounts {
            accepted: self.counters.accepted.load(Ordering::Relaxed),
            answered: self.counters.answered.load(Ordering::Relaxed),
            refused: self.counters.refused.load(Ordering::Relaxed),
        }
    }

    /// Closes all connections, ends the threads, and returns all that was done.
    pub fn stop(mut self) -> FarmCounts {
        self.end();
        self.counts()
    }

    fn end(&mut self) {
        // Fails only where the counter is full, and then the threads have been woken already.
        let _ = self.stop.write(1);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so on stderr.
            let _ = thread.join();
        }
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        self.end();
    }
}

/// Half of the files that we may open, shared by the threads: the engine may live in this process.
fn connections_default(threads: usize) -> usize {
    use nix::sys::resource::{Resource, getrlimit};
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1_024, |limits| limits.0);
    let share = files / 2 / u64::try_from(threads).unwrap_or(1);
    let bounded = share.clamp(*CONNECTIONS_RANGE.start(), *CONNECTIONS_RANGE.end());
    usize::try_from(bounded).unwrap_or(1_024)
}

fn start_error(errno: nix::errno::Errno) -> FarmError {
    FarmError::Start(errno.into())
}
