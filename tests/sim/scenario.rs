//! What one simulated run is made of, and how a seed draws one: targets and what they do, recipes,
//! slots, faults of the checker, and changes while it runs.

use crate::support::scripts::{Asked, SCRIPTS, Script};
use nix::errno::Errno;
use ringcheck::health::Thresholds;
use ringcheck::io::sim::{Behaviour, Fault, Faults, Window};
use ringcheck::limits::OVERSLEPT;
use ringcheck::outcome::{Class, Code};
use ringcheck::recipe::{Close, Handshake, Recipe};
use ringcheck::rng::Rng;
use ringcheck::time::Instant;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// One target.
#[derive(Debug)]
pub(crate) struct Target {
    pub address: SocketAddr,
    /// Index into [`Scenario::recipes`].
    pub group: usize,
    pub behaviour: Behaviour,
    /// Code and status of a probe, by the place of what it met among the behaviours.
    pub expects: Vec<(Code, u16)>,
    /// Part of the second wave: added while the worker runs.
    pub added_later: bool,
    /// Removed while the worker runs.
    pub removed: bool,
}

/// In which cases a report may differ from what the network saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doubts {
    /// Receives may fail by fault: any probe may come to a local fault.
    pub receives: bool,
    /// The worker may be stopped: what was too slow may look as if it had come in time.
    pub stalls: bool,
    /// The host may drop packets by itself: any timeout may be excused.
    pub drops: bool,
}

/// One run.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub seed: u64,
    pub recipes: Vec<Recipe>,
    pub targets: Vec<Target>,
    pub capacity: u32,
    /// Whether there is always a slot.
    pub ample: bool,
    /// Longest round trip by group.
    pub round_trips: Vec<Duration>,
    pub faults: Faults,
    /// From here on there are no faults.
    pub faults_end: Instant,
    /// When the second wave is added and the removed ones are removed.
    pub change_at: Instant,
    pub duration: Duration,
    /// What the faults do to the truth.
    pub doubts: Doubts,
}

/// The scenario of a seed.
pub(crate) fn draw(seed: u64) -> Scenario {
    let mut rng = Rng::new(seed);
    let groups = usize::try_from(1 + rng.below(4)).unwrap();
    let asked: Vec<Asked> = (0..groups).map(|_| pick(&Asked::ALL, &mut rng)).collect();
    let recipes: Vec<Recipe> = asked.iter().map(|&asked| recipe(asked, &mut rng)).collect();
    let longest = recipes.iter().map(|recipe| recipe.interval).max().unwrap();
    let duration = longest * 8 + Duration::from_secs(2 + rng.below(10));
    let mut targets = Vec::new();
    for group in 0..groups {
        let rounds = duration.as_millis() / recipes[group].interval.as_millis() + 1;
        // A handshake takes a millisecond of real time.
        let probes = if asked[group].is_secure() { 400 } else { 12_000 };
        let most = u64::try_from(probes / rounds).unwrap().clamp(1, 300);
        for _ in 0..=rng.below(most) {
            let index = u32::try_from(targets.len()).unwrap();
            targets.push(target(index, group, asked[group], recipes[group].timeout, &mut rng));
        }
    }
    let count = targets.len() as u64;
    let capacity = if rng.chance(2, 3) { count + rng.below(50) } else { 1 + rng.below(count) };
    let round_trips: Vec<_> = recipes.iter().map(|recipe| recipe.timeout / 20).collect();
    let shortest = recipes.iter().map(|recipe| recipe.timeout).min().unwrap();
    let faults_end = Instant::ZERO + duration / 2;
    let (faults, doubts) = faults(faults_end, shortest, &mut rng);
    Scenario {
        seed,
        recipes,
        targets,
        ample: capacity >= count,
        capacity: u32::try_from(capacity).unwrap(),
        round_trips,
        faults,
        faults_end,
        change_at: Instant::ZERO + duration / 3,
        duration,
        doubts,
    }
}

/// Nothing but recipes: no target, no fault, ten minutes, round trips up to 20 ms.
pub(crate) fn quiet(seed: u64, recipes: Vec<Recipe>) -> Scenario {
    Scenario {
        seed,
        round_trips: vec![Duration::from_millis(20); recipes.len()],
        recipes,
        targets: Vec::new(),
        capacity: 2_048,
        ample: true,
        faults: Faults::none(),
        faults_end: Instant::ZERO,
        change_at: Instant::ZERO,
        duration: Duration::from_secs(600),
        doubts: Doubts::default(),
    }
}

/// A recipe with the seed document's thresholds.
pub(crate) fn plain(asked: Asked, interval: Duration, timeout: Duration) -> Recipe {
    Recipe {
        port: None,
        interval,
        timeout,
        thresholds: Thresholds { healthy: 3, unhealthy: 3 },
        check: asked.check(),
        close: Close::Reset,
        handshake: Handshake::Half,
        proxy_protocol: None,
        reuse: None,
    }
}

/// Many targets of both kinds, an hour, and an interval as in the seed document.
pub(crate) fn hour(seed: u64, targets: u32) -> Scenario {
    let mut rng = Rng::new(seed);
    let (interval, seconds) = (Duration::from_secs(30), Duration::from_secs);
    let recipes =
        vec![plain(Asked::Tcp, interval, seconds(10)), plain(Asked::Http, interval, seconds(6))];
    let mut scenario = quiet(seed, recipes);
    scenario.duration = seconds(3_600);
    for index in 0..targets {
        let (group, asked) = if index % 2 == 0 { (0, Asked::Tcp) } else { (1, Asked::Http) };
        // One in ten is as it comes, so that most of the world is well.
        if rng.chance(1, 10) {
            let timeout = scenario.recipes[group].timeout;
            let any = target(index, group, asked, timeout, &mut rng);
            scenario.targets.push(Target { added_later: false, removed: false, ..any });
        } else {
            let well = SCRIPTS.iter().find(|script| script.asked == asked);
            scenario.play(group, &[*well.unwrap()]);
        }
    }
    scenario
}

impl Scenario {
    /// Adds a target to a group that plays one of these scripts each time, by chance.
    pub(crate) fn play(&mut self, group: usize, scripts: &[Script]) {
        let timeout = self.recipes[group].timeout;
        let behaviours = scripts.iter().map(|script| (script.behaviour)(timeout)).collect();
        let ip = Ipv4Addr::from_bits(0x0A00_0000 + u32::try_from(self.targets.len()).unwrap());
        self.targets.push(Target {
            address: SocketAddr::new(ip.into(), 80),
            group,
            behaviour: Behaviour::Random(behaviours),
            expects: scripts.iter().map(|script| (script.code, script.status)).collect(),
            added_later: false,
            removed: false,
        });
    }
}

/// One target for each script, all in good order.
pub(crate) fn every_script(timeout: Duration) -> Scenario {
    let recipes = Asked::ALL.map(|asked| plain(asked, timeout * 2, timeout));
    let mut scenario = quiet(1, recipes.to_vec());
    scenario.round_trips = vec![timeout / 20; Asked::ALL.len()];
    scenario.duration = timeout * 20;
    for script in SCRIPTS {
        let group = Asked::ALL.iter().position(|&asked| asked == script.asked);
        scenario.play(group.unwrap(), &[*script]);
    }
    scenario
}

const fn pick<T: Copy>(of: &[T], rng: &mut Rng) -> T {
    #[expect(clippy::cast_possible_truncation, reason = "below the length of a slice")]
    let index = rng.below(of.len() as u64) as usize;
    of[index]
}

fn recipe(asked: Asked, rng: &mut Rng) -> Recipe {
    let ms = Duration::from_millis;
    Recipe {
        port: None,
        interval: ms(pick(&[100, 250, 1_000, 1_500, 5_000, 10_000, 30_000], rng)),
        timeout: ms(pick(&[10, 50, 300, 1_000, 3_000, 10_000], rng)),
        thresholds: Thresholds {
            healthy: pick(&[1, 2, 3, 5], rng),
            unhealthy: pick(&[1, 2, 3, 5], rng),
        },
        check: asked.check(),
        close: pick(&[Close::Reset, Close::Graceful], rng),
        handshake: pick(&[Handshake::Half, Handshake::Full, Handshake::Raw], rng),
        proxy_protocol: None,
        reuse: None,
    }
}

fn target(index: u32, group: usize, asked: Asked, timeout: Duration, rng: &mut Rng) -> Target {
    let address = if rng.chance(1, 5) {
        let ip = Ipv6Addr::from_bits(0xFD00_u128 << 112 | u128::from(index));
        SocketAddr::new(ip.into(), 8_080)
    } else {
        SocketAddr::new(Ipv4Addr::from_bits(0x0A00_0000 + index).into(), 80)
    };
    let of_kind: Vec<&Script> = SCRIPTS.iter().filter(|script| script.asked == asked).collect();
    let passing: Vec<&Script> =
        of_kind.iter().copied().filter(|script| script.code.class() == Class::Pass).collect();
    let list: Vec<&Script> = match rng.below(20) {
        0..12 => vec![pick(&passing, rng)],
        12..17 => vec![pick(&of_kind, rng)],
        _ => (0..2 + rng.below(4)).map(|_| pick(&of_kind, rng)).collect(),
    };
    let expects = list.iter().map(|script| (script.code, script.status)).collect();
    let mut behaviours = list.iter().map(|script| (script.behaviour)(timeout));
    let behaviour = if list.len() == 1 {
        behaviours.next().unwrap()
    } else if rng.chance(1, 2) {
        Behaviour::Random(behaviours.collect())
    } else {
        let mut from = Instant::ZERO;
        let each = behaviours.map(|behaviour| {
            from += Duration::from_millis(rng.below(20_000));
            (from, behaviour)
        });
        Behaviour::Scheduled(each.collect())
    };
    let (added_later, removed) = (rng.chance(1, 10), rng.chance(1, 10));
    let removed = removed && !added_later;
    Target { address, group, behaviour, expects, added_later, removed }
}

/// What may go wrong with the checker until `to`. What delays a completion stays far below the
/// shortest timeout: who could tell it from a slow target? What stops the worker itself may last
/// for as long as it likes, where the timeout is a multiple of `OVERSLEPT`: a stop that ends before
/// a wait would have ended looks like a slow target.
fn faults(to: Instant, shortest: Duration, rng: &mut Rng) -> (Faults, Doubts) {
    let (mut faults, mut doubts) = (Faults::none(), Doubts::default());
    if rng.chance(2, 5) {
        return (faults, doubts);
    }
    let kinds = if shortest < OVERSLEPT * 5 { 7 } else { 10 };
    for _ in 0..1 + rng.below(4) {
        let stall = Duration::from_millis(pick(&[1, 9, 11, 50, 400, 3_000, 20_000], rng));
        let errno = pick(
            &[
                Errno::EMFILE,
                Errno::ENFILE,
                Errno::ENOBUFS,
                Errno::ENOMEM,
                Errno::EADDRNOTAVAIL,
                Errno::EACCES,
                Errno::EPERM,
            ],
            rng,
        );
        let rare = (1, 200 + rng.below(2_000));
        let (fault, chance) = match rng.below(kinds) {
            0 => (Fault::Connect(errno), (1, 2 + rng.below(20))),
            1 => (Fault::Connect(errno), (1, 1)),
            2 => (Fault::Room(pick(&[0, 1, 7, 50], rng)), (1, 1 + rng.below(3))),
            3 => (Fault::Late(shortest / 100), (1, 1 + rng.below(10))),
            4 => (Fault::Batch(usize::try_from(1 + rng.below(4)).unwrap()), (1, 1)),
            5 => (Fault::NoBuffer, (1, 2 + rng.below(50))),
            6 => (Fault::Dropped, (1, 1 + rng.below(50))),
            7 => (Fault::Oversleep(stall), rare),
            8 => (Fault::Pause(stall), rare),
            _ => (Fault::Held(stall), rare),
        };
        doubts.receives |= fault == Fault::NoBuffer;
        doubts.drops |= fault == Fault::Dropped;
        doubts.stalls |= matches!(fault, Fault::Oversleep(_) | Fault::Pause(_) | Fault::Held(_));
        // What always happens must not fill the whole run.
        let length = if chance == (1, 1) { 200_000_000 } else { to.as_nanos() };
        let from = Instant::from_nanos(rng.below(to.as_nanos()));
        let end = to.min(from + Duration::from_nanos(length));
        faults = faults.window(Window { from, to: end, chance, fault });
    }
    (faults, doubts)
}
