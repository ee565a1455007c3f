//! Drives a real worker over the simulated world, turn by turn, and checks it as it goes.

use crate::scenario::{Scenario, Target};
use crate::truth::{LATE, Truth};
use crossbeam_channel::{Receiver, Sender, unbounded};
use ringcheck::check::Check;
use ringcheck::health::Health;
use ringcheck::io::sim::{Network, Peer, Sim, Start};
use ringcheck::outcome::Code;
use ringcheck::recipe::{ProxyProtocol, Recipe};
use ringcheck::registry::{Addition, GroupKey};
use ringcheck::report::{Batch, Report, TargetId};
use ringcheck::rng::{hash_target, mix};
use ringcheck::schedule::{First, millis};
use ringcheck::time::Instant;
use ringcheck::worker::{Command, Flow, Keep, Options, Reporter, Worker};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What a run came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub probes: u64,
    pub turns: u64,
    pub skipped: u64,
    pub codes: BTreeMap<Code, u64>,
    pub lateness_max: Duration,
    /// A hash of every report, in order.
    pub digest: u64,
}

/// Longest stall of the worker that a scenario draws.
pub(crate) const STALL_MAX: Duration = Duration::from_secs(20);
/// The revision of the change in the middle of a run.
const CHANGED: u64 = 2;

/// One run of a scenario.
pub(crate) struct Run<'a> {
    worker: Worker<Sim>,
    commands: Sender<Command>,
    batches: Receiver<Batch>,
    spares: Sender<Batch>,
    checks: Checks<'a>,
}

impl<'a> Run<'a> {
    /// Runs it all.
    ///
    /// # Panics
    /// Where anything is not as it must be.
    pub(crate) fn complete(scenario: &'a Scenario) -> Summary {
        let mut run = Self::new(scenario);
        run.add(false, First::Spread);
        let end = Instant::ZERO + scenario.duration;
        let mut changed = false;
        while run.checks.now < end {
            if !changed && run.checks.now >= scenario.change_at {
                changed = true;
                run.change();
            }
            run.turn();
        }
        run.finish()
    }

    fn new(scenario: &'a Scenario) -> Self {
        let (commands, orders) = unbounded();
        let (out, batches) = unbounded();
        let (spares, used) = unbounded();
        let reporter = Reporter::new(0, Keep::Newest, out, used);
        let options = Options { rounds: None, rate: None };
        let worker = Worker::new(world(scenario), options, orders, reporter);
        Self { worker, commands, batches, spares, checks: Checks::new(scenario) }
    }

    /// Adds the targets of one wave.
    fn add(&mut self, later: bool, first: First) {
        let scenario = self.checks.scenario;
        let now = self.checks.now.as_millis();
        if !later {
            for (key, recipe) in (0..).zip(&scenario.recipes) {
                let recipe = Arc::new(recipe.clone());
                self.commands.send(Command::Recipe(GroupKey(key), recipe)).unwrap();
            }
        }
        let mut additions = Vec::new();
        for (index, target) in (0..).zip(&scenario.targets) {
            if target.added_later != later {
                continue;
            }
            let hash = hash_target("group", target.address);
            additions.push(Addition {
                target: TargetId(index),
                group: GroupKey(u32::try_from(target.group).unwrap()),
                endpoint: target.address.into(),
                hash,
                health: Health::default(),
            });
            // DESIGN 3.4: over the interval at the start of a daemon, within min(interval, 1 s)
            // later.
            let interval = millis(scenario.recipes[target.group].interval);
            let window = if later { interval.min(1_000) } else { interval };
            self.checks.truths[index as usize].due = Some(now + hash % window);
        }
        self.commands.send(Command::Add(first, additions)).unwrap();
    }

    fn change(&mut self) {
        let scenario = self.checks.scenario;
        let later = scenario.targets.iter().filter(|target| target.added_later).count();
        self.add(true, First::Soon(later));
        let mut removed = Vec::new();
        for (index, target) in (0..).zip(&scenario.targets) {
            if target.removed {
                removed.push(TargetId(index));
                self.checks.truths[index as usize].gone = true;
            }
        }
        self.commands.send(Command::Remove(removed)).unwrap();
        self.commands.send(Command::Revision(CHANGED)).unwrap();
    }

    fn turn(&mut self) {
        assert_eq!(self.worker.turn().unwrap(), Flow::Continue);
        self.look();
    }

    fn look(&mut self) {
        let sim = self.worker.io_mut();
        (self.checks.now, self.checks.stopped) = (sim.clock(), sim.stopped());
        self.checks.starts(sim.ledger_mut().take_log());
        while let Ok(mut batch) = self.batches.try_recv() {
            self.checks.batch(&batch);
            batch.reports.clear();
            self.spares.send(batch).unwrap();
        }
    }

    fn finish(mut self) -> Summary {
        let end = self.checks.now;
        self.commands.send(Command::Stop).unwrap();
        while self.worker.turn().unwrap() == Flow::Continue {
            self.look();
        }
        self.look();
        assert_eq!(self.worker.slots_in_use(), 0, "slots that never came back");
        let sim = self.worker.finish();
        for batch in self.batches.try_iter() {
            self.checks.batch(&batch);
        }
        sim.assert_idle();
        assert_eq!(sim.ledger().open(), 0, "connections that were never given up");
        self.checks.finish(end, &sim)
    }
}

/// The network of a scenario.
pub(crate) fn world(scenario: &Scenario) -> Sim {
    let mut network = Network::new();
    for target in &scenario.targets {
        let longest = scenario.round_trips[target.group];
        let round_trip = (longest.min(Duration::from_micros(20)), longest);
        network.add(target.address, Peer { behaviour: target.behaviour.clone(), round_trip });
    }
    let mut sim = Sim::new(scenario.seed, scenario.capacity, network)
        .with_raw(scenario.capacity)
        .with_faults(scenario.faults.clone())
        .with_turn_cost(Duration::from_micros(5));
    sim.ledger_mut().keep_log();
    let recipe = |target: &Target| (target.address, scenario.recipes[target.group].clone());
    let recipes: HashMap<SocketAddr, Recipe> = scenario.targets.iter().map(recipe).collect();
    sim.on_request(move |address, request| {
        let recipe = &recipes[&address];
        // Whether it belongs there is looked at by who takes the connection.
        let header = recipe.proxy_protocol.map_or(&b""[..], ProxyProtocol::header);
        let request = request.strip_prefix(header).unwrap_or(request);
        match &recipe.check {
            Check::Udp(check) => {
                return assert_eq!(request, &*check.send, "not the datagram for {address}");
            }
            // Records; what they protect is looked at by who can read it.
            Check::Tls(_) => {
                return assert!((0x14..=0x17).contains(&request[0]), "no TLS for {address}");
            }
            Check::Grpc(_) => return assert!(!request.is_empty(), "nothing for {address}"),
            Check::Tcp | Check::Http(_) => {}
        }
        let host = address.to_string();
        let begin =
            format!("GET / HTTP/1.1\r\nHost: {}\r\n", host.strip_suffix(":80").unwrap_or(&host));
        let request = std::str::from_utf8(request).unwrap();
        let one = request.find("\r\n\r\n").is_some_and(|end| end + 4 == request.len());
        assert!(one && request.starts_with(&begin), "not a request for {host}: {request:?}");
    });
    sim
}

/// What has been seen of a run, and what must hold of it.
struct Checks<'a> {
    scenario: &'a Scenario,
    truths: Vec<Truth>,
    summary: Summary,
    /// Started, passed, failed, local faults, skipped: as the worker counts them.
    figures: [u64; 5],
    /// The virtual time after the last turn.
    now: Instant,
    /// How long the worker had been stopped by then.
    stopped: Duration,
    /// What is due from here on must start on time: all that was held up has been worked off.
    calm: Instant,
}

impl<'a> Checks<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let longest = scenario.recipes.iter().map(|r| r.interval + r.timeout).max();
        let trouble = if scenario.faults_end == Instant::ZERO { Duration::ZERO } else { STALL_MAX };
        let truths = (0..)
            .zip(&scenario.targets)
            .map(|(index, target)| Truth::new(scenario, index, target))
            .collect();
        Self {
            scenario,
            truths,
            summary: Summary::default(),
            figures: [0; 5],
            now: Instant::ZERO,
            stopped: Duration::ZERO,
            calm: scenario.faults_end + trouble + longest.unwrap_or_default(),
        }
    }

    fn starts(&mut self, starts: Vec<Start>) {
        for start in starts {
            let index = start.peer as usize;
            let family = self.scenario.targets[index].address.is_ipv6();
            assert_eq!(start.socket.ipv6, family, "a socket of the other family");
            if let Err(what) = self.truths[index].started(start) {
                self.fail(index, &what);
            }
        }
    }

    fn batch(&mut self, batch: &Batch) {
        for report in &batch.reports {
            self.report(report);
        }
        if let Some(stats) = &batch.stats {
            let counts =
                [stats.started, stats.passed, stats.failed, stats.local_faults, stats.skipped];
            for (figure, count) in self.figures.iter_mut().zip(counts) {
                *figure += count;
            }
            self.summary.turns += stats.turns;
            assert_eq!(stats.merged, 0, "the channel was never full");
        }
        if batch.revision == CHANGED {
            // What was on its way came with this batch; now there must be nothing more.
            for truth in self.truths.iter_mut().filter(|truth| truth.gone) {
                truth.due = None;
            }
        }
    }

    fn report(&mut self, report: &Report) {
        let index = report.target.index();
        let due = self.truths[index].due.map_or(Instant::ZERO, Instant::from_millis);
        match self.truths[index].report(report, self.stopped) {
            Err(what) => self.fail(index, &format!("{what}; {report:?}")),
            Ok(None) => {}
            Ok(Some(lateness)) => {
                self.summary.lateness_max = self.summary.lateness_max.max(lateness);
                if due > self.calm && self.scenario.ample && lateness > LATE {
                    self.fail(index, &format!("started {lateness:?} late for no reason"));
                }
            }
        }
        *self.summary.codes.entry(report.outcome.code).or_default() += 1;
        let words = [
            u64::from(report.target.0),
            report.at.as_nanos(),
            report.outcome.code as u64,
            u64::from(report.phases.total_us),
        ];
        for word in words {
            self.summary.digest = mix(self.summary.digest ^ word);
        }
    }

    fn finish(mut self, end: Instant, sim: &Sim) -> Summary {
        // Those who wait for too long are looked for a few times a second.
        let slack = if self.scenario.ample { LATE } else { Duration::from_millis(300) };
        let slack = if end > self.calm { slack } else { Duration::MAX };
        for (index, truth) in (0..).zip(&self.truths) {
            if let Err(what) = truth.finish(end, slack) {
                self.fail(index, &what);
            }
            let seen = sim.ledger().seen(u32::try_from(index).unwrap());
            if seen.in_flight_max > 1 {
                self.fail(index, "two probes of it were in flight at once");
            }
        }
        let reports: u64 = self.truths.iter().map(|truth| truth.reports).sum();
        let skipped = self.truths.iter().map(|truth| truth.skipped).sum();
        let [started, passed, failed, local_faults, counted] = self.figures;
        assert_eq!(started, sim.ledger().starts(), "starts, as counted and as seen");
        assert_eq!(passed + failed + local_faults, reports, "reports, as counted and as seen");
        assert_eq!(counted, skipped, "skipped starts, as counted and as reckoned");
        self.summary.probes = started;
        self.summary.skipped = skipped;
        self.summary
    }

    fn fail(&self, index: usize, what: &str) -> ! {
        let target: &Target = &self.scenario.targets[index];
        let recipe = &self.scenario.recipes[target.group];
        let (now, faults) = (self.now, &self.scenario.faults);
        panic!("{what}\n  virtual time {now:?}\n  {target:?}\n  {recipe:?}\n  {faults:?}");
    }
}
