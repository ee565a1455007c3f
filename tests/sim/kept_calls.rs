//! Connections that are kept for their target's next call of gRPC, in plain text and over TLS.

use crate::kept::{INTERVAL, PATIENCE, assert_each_fresh, assert_fresh, at, fresh, stop};
use crate::scenario::{Scenario, plain, quiet};
use crate::stage::Stage;
use crate::support::health::{Health, NOT_SERVING, Reply, SERVING};
use crate::support::scripts::{Asked, over_tls};
use ringcheck::io::sim::End;
use ringcheck::outcome::{Cause, Code, Outcome};
use ringcheck::recipe::{Recipe, Reuse};
use ringcheck::report::{Report, TargetId};
use ringcheck::worker::Keep;
use std::time::Duration;

const BOTH: [Asked; 2] = [Asked::Grpc, Asked::Grpcs];

/// Four targets that answer so.
fn scenario(asked: Asked, health: Health) -> Scenario {
    let (behaviour, script) = if asked.is_secure() {
        (over_tls(health).behaviour(), "grpcs: serving")
    } else {
        (health.behaviour(), "grpc: serving")
    };
    let reuse = Some(Reuse { fresh_connection_every: 10 });
    let recipe = Recipe { reuse, ..plain(asked, INTERVAL, Duration::from_millis(100)) };
    let mut scenario = quiet(1, vec![recipe]);
    scenario.round_trips[0] = Duration::from_millis(2);
    for _ in 0..4 {
        scenario.play(0, &[crate::cases::script(script)]);
        scenario.targets.last_mut().unwrap().behaviour = behaviour.clone();
    }
    scenario
}

#[test]
fn a_connection_serves_so_many_calls_and_no_more() {
    for asked in BOTH {
        let mut stage = Stage::new(&scenario(asked, SERVING), Keep::Newest, None);
        let reports = stage.until(at(10_000));
        assert!((156..=160).contains(&reports.len()), "{}", reports.len());
        for report in &reports {
            assert_eq!(report.outcome.code, Code::L7Ok, "{report:?}");
            let (connected, secured) = (report.phases.connect_us, report.phases.tls_us);
            assert_eq!(secured.is_some(), asked == Asked::Grpcs && connected.is_some());
            assert!(report.phases.first_byte_us.is_some());
        }
        assert_eq!(fresh(&reports), 16, "one of ten");
        assert_fresh(&mut stage, 16);
        stop(stage);
    }
}

/// However it says farewell: every kept connection is over when its call begins.
#[test]
fn a_target_that_left_between_two_calls_has_not_failed() {
    for asked in BOTH {
        for (leaves, end) in [
            (true, End::Hold),
            (true, End::Close),
            (true, End::Reset),
            (false, End::Close),
            (false, End::Reset),
        ] {
            let health = Health { patience: PATIENCE, leaves, end, ..SERVING };
            let mut stage = Stage::new(&scenario(asked, health), Keep::Newest, None);
            let reports = stage.until(at(5_000));
            assert!((76..=80).contains(&reports.len()), "{}", reports.len());
            assert_each_fresh(stage, &reports);
        }
    }
}

/// A farewell that comes with the answer is heard at once, and nothing is kept.
#[test]
fn who_says_farewell_with_its_answer_is_connected_anew() {
    for asked in BOTH {
        let health = Health { leaves: true, ..SERVING };
        let mut stage = Stage::new(&scenario(asked, health), Keep::Newest, None);
        let reports = stage.until(at(5_000));
        assert_each_fresh(stage, &reports);
    }
}

/// How the calls of one target came out.
fn outcomes(reports: &[Report]) -> Vec<(Outcome, bool)> {
    let of_one = reports.iter().filter(|report| report.target == TargetId(2));
    of_one.map(|report| (report.outcome, report.phases.connect_us.is_some())).collect()
}

/// What a kept connection says of the target is believed.
#[test]
fn a_word_over_a_kept_connection_is_one() {
    for asked in BOTH {
        let [serving, _] = SERVING.replies;
        let [not_serving, _] = NOT_SERVING.replies;
        let health = Health { replies: [serving, not_serving], ..SERVING };
        let mut stage = Stage::new(&scenario(asked, health), Keep::Newest, None);
        let found = outcomes(&stage.until(at(3_000)));
        let no = Outcome::cause(Code::L7Sts, Cause::NotServing);
        // Behind a failure the connection is a fresh one.
        for pair in found.chunks_exact(2) {
            assert_eq!(pair, [(Outcome::plain(Code::L7Ok), true), (no, false)]);
        }
        assert!(found.len() >= 10);
        stop(stage);
    }
}

/// A connection that ends with the first call made over it is no kept one.
#[test]
fn a_farewell_on_a_fresh_connection_is_a_failure() {
    for asked in BOTH {
        let health = Health { replies: [Reply::GoAway; 2], ..SERVING };
        let mut stage = Stage::new(&scenario(asked, health), Keep::Newest, None);
        let found = outcomes(&stage.until(at(3_000)));
        let gone = Outcome::cause(Code::L7Cut, Cause::GoAway);
        assert!(found.len() >= 10 && found.iter().all(|&one| one == (gone, true)), "{found:?}");
        stop(stage);
    }
}
