//! Targets with TLS over many probes: sessions that are resumed, certificates that are told once,
//! and handshakes in flight that are bounded.

use crate::scenario::{Scenario, plain, quiet};
use crate::shortage::{latenesses, p99};
use crate::stage::Stage;
use crate::support::scripts::Asked;
use crate::support::tls::SERVER;
use ringcheck::io::sim::{Behaviour, Converse, End, Step, Talker};
use ringcheck::outcome::Code;
use ringcheck::time::Instant;
use ringcheck::worker::{Flow, Keep};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// A first flight with a certificate in it is longer than this, one without shorter.
const CERTIFICATE: usize = 500;

/// What all connections of a target, or of several, came to.
#[derive(Default)]
struct Counts {
    full: AtomicUsize,
    short: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

/// A connection that is counted.
struct Counted {
    talker: Option<Box<dyn Talker>>,
    counts: Arc<Counts>,
    spoke: bool,
}

impl Talker for Counted {
    fn hear(&mut self, bytes: &[u8]) -> (Vec<Step>, End) {
        let Some(talker) = &mut self.talker else { return (Vec::new(), End::Hold) };
        let (steps, end) = talker.hear(bytes);
        if let [Step::Send(flight), ..] = &steps[..]
            && !std::mem::replace(&mut self.spoke, true)
        {
            let is_full = flight.len() > CERTIFICATE;
            if is_full { &self.counts.full } else { &self.counts.short }.fetch_add(1, Relaxed);
        }
        (steps, end)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counts.open.fetch_sub(1, Relaxed);
    }
}

/// A target with TLS, or one that accepts connections and says nothing.
fn counted(counts: &Arc<Counts>, silent: bool) -> Behaviour {
    let Behaviour::Converse(converse) = SERVER.behaviour() else { panic!("TLS is a conversation") };
    let counts = Arc::clone(counts);
    Behaviour::Converse(Converse::new(move || {
        let open = counts.open.fetch_add(1, Relaxed) + 1;
        counts.most_open.fetch_max(open, Relaxed);
        let talker = (!silent).then(|| converse.begin());
        Box::new(Counted { talker, counts: Arc::clone(&counts), spoke: false })
    }))
}

fn scenario(behaviours: impl IntoIterator<Item = Behaviour>, timeout_ms: u64) -> Scenario {
    let (interval, timeout) = (Duration::from_millis(250), Duration::from_millis(timeout_ms));
    let mut scenario = quiet(1, vec![plain(Asked::Https, interval, timeout)]);
    scenario.round_trips[0] = Duration::from_millis(2);
    for behaviour in behaviours {
        scenario.play(0, &[crate::cases::script("https: 200")]);
        scenario.targets.last_mut().unwrap().behaviour = behaviour;
    }
    scenario
}

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

#[test]
fn sessions_are_resumed_and_certificates_told_once() {
    let counts: Arc<Counts> = Arc::default();
    // One server that all know, and its sessions hold for all.
    let behaviour = counted(&counts, false);
    let scenario = scenario(std::iter::repeat_n(behaviour, 20), 100);
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    let mut told: BTreeMap<u32, usize> = BTreeMap::new();
    let mut probes = 0;
    while stage.worker.io().clock() < at(25_200) {
        assert_eq!(stage.worker.turn().unwrap(), Flow::Continue);
        for batch in stage.batches.try_iter() {
            for (target, presented) in batch.presented {
                *told.entry(target.0).or_default() += 1;
                assert_eq!(presented.version, "TLSv1.3");
                let leaf = presented.leaf.as_ref().unwrap();
                assert_eq!(&*leaf.names, ["web.internal".into()]);
            }
            probes += batch.reports.len();
            for report in batch.reports {
                assert_eq!(report.outcome.code, Code::L7Ok);
                let phases = report.phases;
                let [tls, first] = [phases.tls_us, phases.first_byte_us].map(Option::unwrap);
                assert!(phases.connect_us.unwrap() < tls && tls < first, "{phases:?}");
            }
        }
    }
    assert!((1_990..=2_020).contains(&probes), "{probes}");
    assert!(told.len() == 20 && told.values().all(|&times| times == 1), "{told:?}");
    let (full, short) = (counts.full.load(Relaxed), counts.short.load(Relaxed));
    // One of ten, and each target's first.
    assert!((200..=240).contains(&full), "{full}");
    assert!(short + full >= probes && short > 1_700, "{short}");
}

#[test]
fn no_session_is_kept_where_there_is_no_room() {
    let counts: Arc<Counts> = Arc::default();
    let scenario = scenario(std::iter::repeat_n(counted(&counts, false), 5), 100);
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    stage.worker = stage.worker.with_tls(100, 0);
    stage.until(at(5_000));
    assert!(counts.full.load(Relaxed) > 90 && counts.short.load(Relaxed) == 0);
}

#[test]
fn so_many_handshakes_are_in_flight_and_no_more() {
    let (dead, well): (Arc<Counts>, Arc<Counts>) = Default::default();
    let behaviours = std::iter::repeat_n(counted(&dead, true), 60)
        .chain(std::iter::repeat_n(counted(&well, false), 50));
    let scenario = scenario(behaviours, 200);
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    stage.worker = stage.worker.with_tls(32, 1 << 20);
    let reports = stage.until(at(20_000));
    // Sixty need a place for a fifth of a second four times a second: forty-eight at once. A target
    // hears a little late that its connection is gone.
    let most = dead.most_open.load(Relaxed);
    assert!((30..=34).contains(&most), "{most}");
    let good: Vec<_> = reports.iter().filter(|report| report.target.0 >= 60).collect();
    assert!(good.iter().all(|report| report.outcome.code == Code::L7Ok));
    assert!(good.len() >= 3_950, "{} of 4,000", good.len());
    // As soon as it is known who is silent, two places are left to the others, and who waits for
    // one of these waits for no silent one.
    let starts = stage.starts().into_iter().filter(|start| start.at > at(2_000));
    let good: Vec<_> = starts.filter(|start| start.peer >= 60).collect();
    let late = p99(&latenesses(&scenario, &good));
    assert!(late < Duration::from_millis(60), "{late:?}");
    let bad = reports.iter().filter(|report| report.outcome.code == Code::L6Tout).count();
    assert!((2_700..=3_010).contains(&bad), "{bad}: thirty places, five probes a second each");
}
