//! Nothing is allocated per probe: a worker on each real backend, turned by hand, and an allocator
//! that counts what this thread asks it for.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(unsafe_code, reason = "an allocator cannot be written without")]

mod support;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use ringcheck::check::Check;
use ringcheck::check::http;
use ringcheck::endpoint::Endpoint;
use ringcheck::farm::{Farm, FarmOptions, range};
use ringcheck::health::{Health, Thresholds};
use ringcheck::io::{Backend, HalfOpen, Host};
use ringcheck::outcome::Class;
use ringcheck::recipe::{Close, Handshake, Recipe};
use ringcheck::registry::{Addition, GroupKey};
use ringcheck::report::{Batch, TargetId};
use ringcheck::rng::mix;
use ringcheck::schedule::First;
use ringcheck::worker::{Command, Flow, Keep, Options, Reporter, Worker};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

/// The system's allocator, counting per thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came; the counter is a plain cell without
// a destructor, so it can be used at any time of a thread's life and allocates nothing itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above, and the memory came from there.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Targets of each recipe.
const TARGETS: u32 = 64;

/// Both checks, with both ways to close, and one without sockets. The timeout is short, so that
/// some probes are cancelled.
fn recipes() -> Vec<Recipe> {
    let http = http::Check::new("/", None, "200".parse().unwrap());
    let checks = [Check::Tcp, Check::Http(http)];
    let ways = [
        (Close::Reset, Handshake::Half),
        (Close::Graceful, Handshake::Half),
        (Close::Reset, Handshake::Raw),
    ];
    let all = checks.into_iter().flat_map(|check| {
        ways.map(|(close, handshake)| Recipe {
            port: None,
            interval: Duration::from_millis(100),
            timeout: Duration::from_millis(50),
            thresholds: Thresholds { healthy: 2, unhealthy: 2 },
            check: check.clone(),
            close,
            handshake,
            proxy_protocol: None,
            reuse: None,
        })
    });
    let is_one = |recipe: &Recipe| recipe.handshake != Handshake::Raw || recipe.check == Check::Tcp;
    all.filter(is_one).collect()
}

/// A worker with its channels, and the collector's part of them.
struct Bench {
    worker: Worker<HalfOpen<Host>>,
    batches: Receiver<Batch>,
    spares: Sender<Batch>,
    _commands: Sender<Command>,
}

impl Bench {
    fn new(on: Backend, port: u16) -> Self {
        let (commands, orders) = unbounded();
        let (reports, batches) = bounded(16);
        let (spares, returned) = bounded(16);
        let reporter = Reporter::new(0, Keep::Newest, reports, returned);
        let options = Options { rounds: None, rate: None };
        let host = HalfOpen::new(Host::open(on, 512, false).unwrap());
        let worker = Worker::new(host, options, orders, reporter);
        let mut ids = (0..).map(TargetId);
        for (key, recipe) in (0..).map(GroupKey).zip(recipes()) {
            commands.send(Command::Recipe(key, Arc::new(recipe))).unwrap();
            let addition = |(target, ip): (TargetId, Ipv4Addr)| Addition {
                target,
                group: key,
                endpoint: Endpoint::new(ip.into(), port),
                hash: mix(target.0.into()),
                health: Health::default(),
            };
            let targets = ids.by_ref().zip(range::addresses(TARGETS)).map(addition).collect();
            commands.send(Command::Add(First::Spread, targets)).unwrap();
        }
        Self { worker, batches, spares, _commands: commands }
    }

    /// Turns until `probes` more have ended; returns how often memory was asked for meanwhile, and
    /// how many passed.
    fn run(&mut self, probes: usize) -> (u64, usize) {
        let before = ALLOCATIONS.get();
        let (mut ended, mut passed) = (0, 0);
        while ended < probes {
            assert_eq!(self.worker.turn().unwrap(), Flow::Continue);
            while let Ok(mut batch) = self.batches.try_recv() {
                ended += batch.reports.len();
                let classes = batch.reports.iter().map(|report| report.outcome.class());
                passed += classes.filter(|&class| class == Class::Pass).count();
                batch.reports.clear();
                self.spares.try_send(batch).unwrap();
            }
        }
        (ALLOCATIONS.get() - before, passed)
    }
}

on_each_backend! {
    a_probe_allocates_nothing,
}

fn a_probe_allocates_nothing(on: Backend) {
    let mix = "healthy=5,refuse=1,silent=1,reset=1".parse().unwrap();
    let farm = Farm::start(FarmOptions { mix, ..FarmOptions::default() }).unwrap();
    let mut bench = Bench::new(on, farm.port());
    // Slots, buffers and batches come to their size, and the figures have gone round.
    let (warm_up, _) = bench.run(8_000);
    // A core that was busy elsewhere makes a buffer grow once more; what is allocated per probe is
    // allocated in every round.
    let rounds = [(); 3].map(|()| bench.run(8_000));
    assert!(warm_up > 20, "the allocator counts");
    assert!(rounds.iter().all(|&(_, passed)| passed > 4_000), "{rounds:?}: too few passed");
    let allocations = rounds.map(|(allocations, _)| allocations).into_iter().min().unwrap();
    assert!(allocations < 20, "{allocations} allocations for 8000 probes");
}
