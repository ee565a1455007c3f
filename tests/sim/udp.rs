//! What is particular to UDP: silence may be a pass, so nothing of our own may look like it.

use crate::cases::script;
use crate::run::Run;
use crate::scenario::{Doubts, Scenario, plain, quiet};
use crate::stage::Stage;
use crate::support::scripts::Asked;
use ringcheck::io::sim::{Fault, Faults, Window};
use ringcheck::outcome::{Cause, Class, Code, Detail, Outcome};
use ringcheck::report::Report;
use ringcheck::time::Instant;
use ringcheck::worker::Keep;
use std::time::Duration;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Silent targets that pass, others that answer, and some that are not there.
fn mixed(faults: Faults) -> Scenario {
    let recipes = [Asked::OPEN, Asked::PONG].map(|asked| plain(asked, ms(250), ms(60)));
    let mut scenario = quiet(1, recipes.to_vec());
    scenario.round_trips = vec![ms(3); 2];
    for _ in 0..20 {
        scenario.play(0, &[script("udp: silent")]);
        scenario.play(0, &[script("udp: port unreachable")]);
        scenario.play(1, &[script("udp: answers as expected")]);
    }
    scenario.faults = faults;
    scenario.faults_end = Instant::ZERO + scenario.duration;
    scenario.doubts = Doubts { receives: false, stalls: true, drops: true };
    scenario
}

/// However the worker is stopped: who is there passes, and who is not fails, by ICMP and at once.
#[test]
fn a_stopped_worker_takes_no_refusal_for_silence() {
    let stop = Duration::from_secs(2);
    for fault in [Fault::Held(stop), Fault::Pause(stop), Fault::Oversleep(stop)] {
        let summary = Run::complete(&mixed(Faults::none().chance(fault, 1, 50)));
        assert_eq!(
            summary.codes.keys().copied().collect::<Vec<_>>(),
            [Code::L4Ok, Code::L7Ok, Code::L4Con],
            "{fault:?}"
        );
        assert!(summary.skipped > 100, "the stops were felt: {summary:?}");
    }
}

/// A datagram that this host has dropped is no silence of the target.
#[test]
fn silence_is_no_pass_while_this_host_drops_packets() {
    let [from, to] = [100_000, 200_000].map(Instant::from_millis);
    let window = Window { from, to, chance: (1, 3), fault: Fault::Dropped };
    let scenario = mixed(Faults::none().window(window));
    let mut stage = Stage::new(&scenario, Keep::Newest, None);
    let reports = stage.until(Instant::from_millis(300_000));
    let silent = Outcome::cause(Code::L4Ok, Cause::Unanswered);
    let dropped = Outcome::cause(Code::SockErr, Cause::PacketsDropped);
    let is_quiet = |report: &&Report| report.target.0.is_multiple_of(3);
    let mut excused = 0;
    for report in reports.iter().filter(is_quiet) {
        // A reading of the counter tells nothing of when it was, within a second.
        let dropping = from <= report.at && report.at < to + ms(1_500);
        assert!(report.outcome == silent || dropping && report.outcome == dropped, "{report:?}");
        excused += u32::from(report.outcome == dropped);
    }
    assert!(excused > 1_000, "{excused}");
    assert!(reports.iter().all(|r| r.outcome.class() != Class::Fail || r.target.0 % 3 == 1));
}

/// There is no connection that would have taken its time.
#[test]
fn a_report_names_no_connection() {
    let mut stage = Stage::new(&mixed(Faults::none()), Keep::Newest, None);
    let reports = stage.until(Instant::from_millis(2_000));
    assert!(reports.len() > 300, "{}", reports.len());
    for report in reports {
        let answered = report.outcome.code == Code::L7Ok;
        let phases = report.phases;
        assert_eq!((phases.connect_us, phases.first_byte_us.is_some()), (None, answered));
        let silent = report.outcome.detail == Detail::Cause(Cause::Unanswered);
        assert_eq!(phases.total_us >= 60_000, silent, "{report:?}");
    }
}
