//! Each rule of a health check, broken: AWS's error and its text.

use super::client::{Reply, arn_of, fails, group, ok, world_of};
use crate::world::World;
use ringcheck::config::Rules;

const CONFIGURATION: &str = "InvalidConfigurationRequest";
const VALIDATION: &str = "ValidationError";
const TIMEOUTS: &str = "Custom health check timeouts are not supported for health checks for \
    target groups with the TCP protocol";
const MATCHERS: &str = "Custom health check matchers are not supported for health checks for \
    target groups with the TCP protocol";
const THRESHOLDS: &str = "Health check healthy threshold and unhealthy threshold must be the same \
    for target groups with the TCP protocol";

fn interval(seconds: u32) -> String {
    format!(
        "Health check interval '{seconds}' not supported for target groups with the TCP protocol. \
         Must be one of the following values '[10, 30]'."
    )
}

fn broken(value: &str, place: &str, rule: &str) -> String {
    let value = if value == "null" { value.to_owned() } else { format!("'{value}'") };
    format!(
        "1 validation error detected: Value {value} at '{place}' failed to satisfy constraint: \
         {rule}"
    )
}

/// What rule set `classic` refuses, with code and text, of a group with the TCP protocol.
fn classic() -> Vec<(&'static str, &'static str, String)> {
    let http = "&HealthCheckProtocol=HTTP";
    let matcher = "Health check matchers are not supported for TCP health checks";
    let path = "Health check paths are not supported for TCP health checks";
    let udp = "Health check protocol 'UDP' is not supported for target groups with the TCP \
        protocol. Must be one of the following values '[TCP, HTTP, HTTPS]'.";
    let rows = [
        ("&HealthCheckIntervalSeconds=60", CONFIGURATION, interval(60)),
        ("&HealthCheckIntervalSeconds=5", CONFIGURATION, interval(5)),
        ("&HealthCheckTimeoutSeconds=6", CONFIGURATION, TIMEOUTS.to_owned()),
        ("{http}&HealthCheckTimeoutSeconds=10", CONFIGURATION, TIMEOUTS.to_owned()),
        ("{http}&Matcher.HttpCode=200", CONFIGURATION, MATCHERS.to_owned()),
        ("&Matcher.HttpCode=200-399", CONFIGURATION, matcher.to_owned()),
        ("&HealthCheckPath=%2F", CONFIGURATION, path.to_owned()),
        ("&HealthyThresholdCount=5", CONFIGURATION, THRESHOLDS.to_owned()),
        ("&UnhealthyThresholdCount=2", CONFIGURATION, THRESHOLDS.to_owned()),
        (
            "&HealthyThresholdCount=5&UnhealthyThresholdCount=4",
            CONFIGURATION,
            THRESHOLDS.to_owned(),
        ),
        (
            "&HealthCheckProtocol=HTTPS&HealthCheckTimeoutSeconds=6",
            CONFIGURATION,
            TIMEOUTS.to_owned(),
        ),
        ("&HealthCheckProtocol=UDP", CONFIGURATION, udp.to_owned()),
    ];
    let http = |members: &str| -> &'static str {
        // A test's memory.
        Box::leak(members.replace("{http}", http).into_boxed_str())
    };
    rows.into_iter().map(|(members, code, text)| (http(members), code, text)).collect()
}

/// What breaks the service's model, whatever the rule set.
fn model() -> Vec<(&'static str, String)> {
    let least = |n: u32| format!("Member must have value greater than or equal to {n}");
    let most = |n: u32| format!("Member must have value less than or equal to {n}");
    let port = "Health check port '0' must be 'traffic-port' or between 1 and 65535";
    let check = "healthCheckIntervalSeconds";
    vec![
        ("&HealthCheckIntervalSeconds=4", broken("4", check, &least(5))),
        ("&HealthCheckIntervalSeconds=301", broken("301", check, &most(300))),
        ("&HealthCheckIntervalSeconds=99999999999", broken("99999999999", check, &most(300))),
        ("&HealthCheckIntervalSeconds=1e1", broken("1e1", check, "Member must be an integer")),
        ("&HealthCheckTimeoutSeconds=1", broken("1", "healthCheckTimeoutSeconds", &least(2))),
        ("&HealthCheckTimeoutSeconds=121", broken("121", "healthCheckTimeoutSeconds", &most(120))),
        ("&HealthyThresholdCount=1", broken("1", "healthyThresholdCount", &least(2))),
        ("&HealthyThresholdCount=11", broken("11", "healthyThresholdCount", &most(10))),
        ("&UnhealthyThresholdCount=-3", broken("-3", "unhealthyThresholdCount", &least(2))),
        ("&HealthCheckPort=0", port.to_owned()),
        (
            "&HealthCheckEnabled=maybe",
            broken("maybe", "healthCheckEnabled", "Member must be a boolean, true or false"),
        ),
        (
            "&HealthCheckProtocol=tcp",
            broken(
                "tcp",
                "healthCheckProtocol",
                "Member must satisfy enum value set: \
                 [HTTP, HTTPS, TCP, TLS, UDP, TCP_UDP, GENEVE, QUIC, TCP_QUIC]",
            ),
        ),
        (
            "&HealthCheckProtocol=HTTP&HealthCheckPath=",
            broken("", "healthCheckPath", "Member must have length greater than or equal to 1"),
        ),
    ]
}

async fn refused_by(world: &World, form: &str, code: &str, text: &str) {
    let error = fails(world, form).await;
    assert_eq!(error, (400, code.to_owned(), text.to_owned()), "{form}");
}

#[tokio::test]
async fn a_broken_rule_has_awss_text_when_a_group_is_made_and_when_it_is_changed() {
    let world = World::start();
    let tg = group(&world, "there", "").await;
    let create = "Action=CreateTargetGroup&Name=new&Protocol=TCP&Port=80";
    let modify = format!("Action=ModifyTargetGroup&TargetGroupArn={tg}");
    for (members, code, text) in classic() {
        refused_by(&world, &format!("{create}{members}"), code, &text).await;
        refused_by(&world, &format!("{modify}{members}"), code, &text).await;
    }
    for (members, text) in model() {
        refused_by(&world, &format!("{create}{members}"), VALIDATION, &text).await;
        refused_by(&world, &format!("{modify}{members}"), VALIDATION, &text).await;
    }
    assert!(world.table.view().registry.group("new").is_none());
    let there = ok(&world, "Action=DescribeTargetGroups&Names.member.1=there").await;
    assert_eq!(there.one("HealthCheckIntervalSeconds"), "30", "nothing of it was taken");
}

#[tokio::test]
async fn the_text_names_the_protocol_of_the_group() {
    let world = World::start();
    for protocol in ["TLS", "UDP", "TCP_UDP"] {
        let form = format!(
            "Action=CreateTargetGroup&Name=g&Protocol={protocol}&Port=80\
             &HealthCheckTimeoutSeconds=5"
        );
        let text = TIMEOUTS.replace("the TCP", &format!("the {protocol}"));
        refused_by(&world, &form, CONFIGURATION, &text).await;
    }
}

/// Settings as [interval, timeout, healthy, unhealthy].
fn settings(reply: &Reply) -> [String; 4] {
    [
        "HealthCheckIntervalSeconds",
        "HealthCheckTimeoutSeconds",
        "HealthyThresholdCount",
        "UnhealthyThresholdCount",
    ]
    .map(|name| reply.one(name))
}

#[tokio::test]
async fn defaults_are_those_of_the_rule_set_and_fixed_values_may_be_given() {
    let world = World::start();
    let create = "Action=CreateTargetGroup&Protocol=TCP&Port=80&Name";
    let tcp = ok(&world, &format!("{create}=a&HealthCheckTimeoutSeconds=10")).await;
    assert_eq!(settings(&tcp), ["30", "10", "3", "3"]);
    let members = "&HealthCheckProtocol=HTTP&HealthCheckTimeoutSeconds=6&Matcher.HttpCode=200-399";
    let http = ok(&world, &format!("{create}=b{members}")).await;
    assert_eq!(settings(&http), ["30", "6", "3", "3"]);
    assert_eq!((http.one("HealthCheckPath"), http.one("HttpCode")), ("/".into(), "200-399".into()));

    let world = world_of(Rules::Current);
    let tcp = ok(&world, &format!("{create}=a")).await;
    assert_eq!(settings(&tcp), ["30", "10", "5", "2"]);
    let members = "&HealthCheckProtocol=HTTP&HealthCheckIntervalSeconds=5\
        &HealthCheckTimeoutSeconds=2&HealthyThresholdCount=10&Matcher.HttpCode=200,500-599";
    let http = ok(&world, &format!("{create}=b{members}")).await;
    assert_eq!(settings(&http), ["5", "2", "10", "2"]);
    assert_eq!(http.one("HttpCode"), "200,500-599");
}

#[tokio::test]
async fn todays_rules_refuse_less() {
    let world = world_of(Rules::Current);
    let create = "Action=CreateTargetGroup&Name=g&Protocol=TCP&Port=80";
    let greater = "Health check interval must be greater than the timeout.";
    let over = "&HealthCheckIntervalSeconds=9&HealthCheckTimeoutSeconds=10";
    refused_by(&world, &format!("{create}{over}"), VALIDATION, greater).await;
    let matcher = format!("{create}&HealthCheckProtocol=HTTP&Matcher.HttpCode=199-300");
    let (status, code, text) = fails(&world, &matcher).await;
    assert_eq!((status, code.as_str()), (400, VALIDATION));
    assert!(text.contains("199-300") && text.contains("200-599"), "{text}");
    for (members, code, text) in classic() {
        let was_custom = [TIMEOUTS, MATCHERS, THRESHOLDS].contains(&text.as_str());
        let was_interval = text == interval(60);
        if text == interval(5) {
            // Which is below the default timeout now.
            refused_by(&world, &format!("{create}{members}"), VALIDATION, greater).await;
            continue;
        }
        let form = format!("{create}{members}");
        if was_custom || was_interval {
            let arn = super::client::encode(&ok(&world, &form).await.one("TargetGroupArn"));
            ok(&world, &format!("Action=DeleteTargetGroup&TargetGroupArn={arn}")).await;
        } else {
            refused_by(&world, &form, code, &text).await;
        }
    }
}

#[tokio::test]
async fn a_change_of_protocol_drops_what_belonged_to_the_old_one() {
    let world = World::start();
    let more = "&HealthCheckProtocol=HTTP&HealthCheckPath=%2Fx";
    let tg = group(&world, "g", more).await;
    let modify = format!("Action=ModifyTargetGroup&TargetGroupArn={tg}");
    let tcp = ok(&world, &format!("{modify}&HealthCheckProtocol=TCP")).await;
    assert_eq!(settings(&tcp), ["30", "10", "3", "3"]);
    assert!(!tcp.text.contains("HealthCheckPath") && !tcp.text.contains("Matcher"));
    let http = ok(&world, &format!("{modify}&HealthCheckProtocol=HTTP")).await;
    assert_eq!(
        (settings(&http), http.one("HealthCheckPath")),
        (["30", "6", "3", "3"].map(str::to_owned), "/".to_owned(),)
    );
    let empty = ok(&world, &modify).await;
    assert_eq!(settings(&empty), settings(&http), "nothing given, nothing changed");
    let off = ok(&world, &format!("{modify}&HealthCheckEnabled=False")).await;
    assert_eq!(off.one("HealthCheckEnabled"), "false");
}

#[tokio::test]
async fn names_protocols_and_target_types_are_awss() {
    let world = World::start();
    let create = |members: &str| format!("Action=CreateTargetGroup{members}");
    let name = |what: &str, name: &str| format!("Target group name '{name}' {what}");
    let alphanumeric = "can only contain characters that are alphanumeric characters or hyphens(-)";
    let long = "n".repeat(33);
    for (members, code, text) in [
        ("&Protocol=TCP&Port=80", VALIDATION, broken("null", "name", "Member must not be null")),
        ("&Name=&Protocol=TCP&Port=80", VALIDATION, name("cannot be empty", "")),
        (
            &format!("&Name={long}&Protocol=TCP&Port=80"),
            VALIDATION,
            name("cannot be longer than '32' characters", &long),
        ),
        ("&Name=a_b&Protocol=TCP&Port=80", VALIDATION, name(alphanumeric, "a_b")),
        ("&Name=%C3%A9&Protocol=TCP&Port=80", VALIDATION, name(alphanumeric, "é")),
        (
            "&Name=-a&Protocol=TCP&Port=80",
            VALIDATION,
            name("cannot begin or end with '-'", "-a"),
        ),
        (
            "&Name=a-&Protocol=TCP&Port=80",
            VALIDATION,
            name("cannot begin or end with '-'", "a-"),
        ),
        ("&Name=a&Port=80", VALIDATION, "A protocol must be specified".to_owned()),
        ("&Name=a&Protocol=TCP", VALIDATION, "A port must be specified".to_owned()),
        (
            "&Name=a&Protocol=TCP&Port=0",
            VALIDATION,
            broken("0", "port", "Member must have value greater than or equal to 1"),
        ),
        (
            "&Name=a&Protocol=TCP&Port=65536",
            VALIDATION,
            broken("65536", "port", "Member must have value less than or equal to 65535"),
        ),
        (
            "&Name=a&Protocol=HTTP&Port=80",
            CONFIGURATION,
            "Target groups with the HTTP protocol are not supported for network load balancers. \
             Must be one of the following values '[TCP, TLS, UDP, TCP_UDP]'."
                .to_owned(),
        ),
        (
            "&Name=a&Protocol=TCP&Port=80&TargetType=lambda",
            CONFIGURATION,
            "Target groups with target type 'lambda' are not supported here; use 'instance' or 'ip'"
                .to_owned(),
        ),
        (
            "&Name=a&Protocol=TCP&Port=80&TargetType=pod",
            VALIDATION,
            broken(
                "pod",
                "targetType",
                "Member must satisfy enum value set: [instance, ip, lambda, alb]",
            ),
        ),
    ] {
        refused_by(&world, &create(members), code, &text).await;
    }
    assert!(arn_of(&world, "web").await.contains("targetgroup"));
}
