//! `DescribeTargetHealth`: every row of the table of states, in AWS's words.

use super::client::{Reply, arn_of, encode, fails, group, listener, load_balancer, ok};
use crate::world::{NOW, World, report};
use ringcheck::health::Observed;
use ringcheck::outcome::{Code, Outcome};
use std::time::Duration;

/// State, reason and description of the only target of an answer.
fn shown(reply: &Reply) -> (String, String, String) {
    let optional = |name| reply.all(name).into_iter().next().unwrap_or_default();
    (reply.one("State"), optional("Reason"), optional("Description"))
}

async fn ask(world: &World, arn: &str, target: &str) -> Reply {
    let form = format!(
        "Action=DescribeTargetHealth&TargetGroupArn={arn}&Targets.member.1.Id={}",
        encode(target)
    );
    ok(world, &form).await
}

async fn expect(world: &World, arn: &str, target: &str, state: &str, words: (&str, &str)) {
    let reply = ask(world, arn, target).await;
    let (reason, description) = words;
    assert_eq!(shown(&reply), (state.into(), reason.into(), description.into()), "{target}");
    assert!(!reply.text.contains("<Reason/>") && !reply.text.contains("<Description/>"));
}

#[tokio::test]
async fn every_row_of_files_groups_is_shown() {
    let world = World::start();
    let not_enabled = "Target is in an Availability Zone that is not enabled for the load balancer";
    let not_in_use = "Target group is not configured to receive traffic from the load balancer";
    let mismatch = "Health checks failed with these codes: [503]";
    let internal = "Health checks failed due to an internal error";
    for (group, target, state, reason, description) in [
        ("web", "i-well", "healthy", "", ""),
        ("web", "i-503", "unhealthy", "Target.ResponseCodeMismatch", mismatch),
        ("web", "i-rising", "unhealthy", "Target.FailedHealthChecks", "Health checks failed"),
        ("web", "i-fault", "unavailable", "Elb.InternalError", internal),
        (
            "web",
            "i-new",
            "initial",
            "Elb.InitialHealthChecking",
            "Initial health checks in progress",
        ),
        ("web", "i-light", "unused", "Target.NotInUse", "Target has weight 0"),
        ("web", "i-stopped", "unused", "Target.InvalidState", "Target is in the stopped state"),
        ("web", "i-abroad", "unused", "Target.NotInUse", not_enabled),
        ("idle", "127.2.0.1", "unused", "Target.NotInUse", not_in_use),
        (
            "off",
            "127.3.0.1",
            "unavailable",
            "Target.HealthCheckDisabled",
            "Health checks are disabled",
        ),
        (
            "web",
            "i-nobody",
            "unused",
            "Target.NotRegistered",
            "Target is not registered to the target group",
        ),
    ] {
        let arn = arn_of(&world, group).await;
        expect(&world, &arn, target, state, (reason, description)).await;
    }
}

#[tokio::test]
async fn the_life_of_a_target() {
    let world = World::start();
    let tg = group(&world, "life", "").await;
    let register =
        format!("Action=RegisterTargets&TargetGroupArn={tg}&Targets.member.1.Id=127.0.7.1");
    ok(&world, &register).await;
    let not_in_use = "Target group is not configured to receive traffic from the load balancer";
    let unused = ("Target.NotInUse", not_in_use);
    expect(&world, &tg, "127.0.7.1", "unused", unused).await;

    let lb = load_balancer(&world, "lb").await;
    listener(&world, &lb, 80, &tg).await;
    let registering = ("Elb.RegistrationInProgress", "Target registration is in progress");
    expect(&world, &tg, "127.0.7.1", "initial", registering).await;
    world.take_up();
    let initial = ("Elb.InitialHealthChecking", "Initial health checks in progress");
    expect(&world, &tg, "127.0.7.1", "initial", initial).await;

    let target = world.target("life", 0);
    let failed = ("Target.FailedHealthChecks", "Health checks failed");
    for (code, observed, state, words) in [
        (Code::L4Ok, Observed::Healthy, "healthy", ("", "")),
        (Code::L4Tout, Observed::Unhealthy, "unhealthy", ("Target.Timeout", "Request timed out")),
        (Code::L4Con, Observed::Unhealthy, "unhealthy", failed),
        (Code::L7Cut, Observed::Unhealthy, "unhealthy", failed),
    ] {
        world.report(vec![report(target, 99_000, observed, Outcome::plain(code))]);
        expect(&world, &tg, "127.0.7.1", state, words).await;
    }

    let deregister = register.replace("RegisterTargets", "DeregisterTargets");
    ok(&world, &deregister).await;
    let draining = ("Target.DeregistrationInProgress", "Target deregistration is in progress");
    expect(&world, &tg, "127.0.7.1", "draining", draining).await;
    ok(&world, &register).await;
    assert_ne!(shown(&ask(&world, &tg, "127.0.7.1").await).0, "draining", "registered again");
    ok(&world, &deregister).await;
    world.expire(NOW + Duration::from_secs(301));
    let gone = ("Target.NotRegistered", "Target is not registered to the target group");
    expect(&world, &tg, "127.0.7.1", "unused", gone).await;
    let all = ok(&world, &format!("Action=DescribeTargetHealth&TargetGroupArn={tg}")).await;
    assert!(all.text.contains("<TargetHealthDescriptions></TargetHealthDescriptions>"));
}

#[tokio::test]
async fn a_target_in_all_zones_is_in_every_zone() {
    let world = World::start();
    let tg = group(&world, "zones", "").await;
    let lb = load_balancer(&world, "lb").await;
    listener(&world, &lb, 80, &tg).await;
    let form = format!(
        "Action=RegisterTargets&TargetGroupArn={tg}\
         &Targets.member.1.Id=127.0.7.1&Targets.member.1.AvailabilityZone=all\
         &Targets.member.2.Id=127.0.7.2&Targets.member.2.AvailabilityZone=zone-b\
         &Targets.member.3.Id=127.0.7.3&Targets.member.3.AvailabilityZone=zone-z"
    );
    ok(&world, &form).await;
    let all = ok(&world, &format!("Action=DescribeTargetHealth&TargetGroupArn={tg}")).await;
    assert_eq!(all.all("State"), ["initial", "initial", "unused"]);
    assert_eq!(all.all("AvailabilityZone"), ["all", "zone-b", "zone-z"]);
}

#[tokio::test]
async fn a_long_answer_comes_in_pieces_and_a_named_target_with_its_length() {
    let world = World::start();
    let arn = arn_of(&world, "big").await;
    let form = format!("Action=DescribeTargetHealth&TargetGroupArn={arn}");
    let answer = world.post("/", &form).await;
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    let all = Reply::of(&answer);
    let ids: Vec<String> = (0..4_096).map(|p| format!("127.1.{}.{}", p / 256, p % 256)).collect();
    assert_eq!(all.all("Id"), ids);
    let unhealthy = all.all("State").iter().filter(|state| *state == "unhealthy").count();
    assert_eq!(unhealthy, 40);

    let named: String =
        (0..1_000).map(|n| format!("&Targets.member.{}.Id=127.1.0.{}", n + 1, n % 256)).collect();
    let many = ok(&world, &format!("{form}{named}")).await;
    assert_eq!(many.all("Id").len(), 1_000);
    let one = world.post("/", &format!("{form}&Targets.member.1.Id=127.1.3.4")).await;
    assert!(one.header("content-length").is_some());
    assert_eq!(Reply::of(&one).one("Id"), "127.1.3.4");
}

#[tokio::test]
async fn a_port_chooses_and_without_one_all_of_the_id_are_shown() {
    let world = World::start();
    let arn = arn_of(&world, "web").await;
    let two = ask(&world, &arn, "i-two").await;
    assert_eq!(
        (two.all("Port"), two.all("State")),
        (vec!["1".to_owned(), "2".to_owned()], vec!["healthy".to_owned(), "initial".to_owned()],)
    );
    let form = format!(
        "Action=DescribeTargetHealth&TargetGroupArn={arn}&Targets.member.1.Id=i-two\
         &Targets.member.1.Port=2&Targets.member.2.Id=i-two&Targets.member.2.Port=3"
    );
    let chosen = ok(&world, &form).await;
    assert_eq!(chosen.all("State"), ["initial", "unused"]);
    assert_eq!(chosen.all("Reason")[1], "Target.NotRegistered");
    assert_eq!(chosen.all("HealthCheckPort"), ["2", "3"]);
    let spelled = ask(&world, &arn_of(&world, "big").await, "::ffff:127.1.0.1").await;
    assert_eq!(spelled.one("State"), "healthy", "an address in any spelling");
    let include = format!("{form}&Include.member.1=Everything");
    assert_eq!(fails(&world, &include).await.1, "ValidationError");
}
