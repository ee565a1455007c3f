//! Whatever a client sends, it gets AWS's error: never a 500, never a panic.

use super::client::{Reply, arn_of, call, fails, group, load_balancer, ok};
use crate::world::{Answer, World};
use ringcheck::config::AwsConfig;
use ringcheck::limits::API_BODY_BYTES_MAX;
use ringcheck::rng::Rng;
use std::fmt::Write;

/// Every call, with the members that it requires; `{tg}`, `{lb}` and `{lsn}` are ARNs.
const CALLS: [(&str, &[(&str, &str)]); 20] = [
    ("AddTags", &[("ResourceArns.member.1", "{tg}"), ("Tags.member.1.Key", "a")]),
    (
        "CreateListener",
        &[
            ("LoadBalancerArn", "{lb}"),
            ("Protocol", "TCP"),
            ("Port", "80"),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", "{tg}"),
        ],
    ),
    ("CreateLoadBalancer", &[("Name", "l"), ("Subnets.member.1", "zone-a")]),
    ("CreateTargetGroup", &[("Name", "t"), ("Protocol", "TCP"), ("Port", "80")]),
    ("DeleteListener", &[("ListenerArn", "{lsn}")]),
    ("DeleteLoadBalancer", &[("LoadBalancerArn", "{lb}")]),
    ("DeleteTargetGroup", &[("TargetGroupArn", "{tg}")]),
    ("DeregisterTargets", &[("TargetGroupArn", "{tg}"), ("Targets.member.1.Id", "127.0.0.1")]),
    ("DescribeListeners", &[("LoadBalancerArn", "{lb}")]),
    ("DescribeLoadBalancerAttributes", &[("LoadBalancerArn", "{lb}")]),
    ("DescribeLoadBalancers", &[]),
    ("DescribeTags", &[("ResourceArns.member.1", "{tg}")]),
    ("DescribeTargetGroupAttributes", &[("TargetGroupArn", "{tg}")]),
    ("DescribeTargetGroups", &[]),
    ("DescribeTargetHealth", &[("TargetGroupArn", "{tg}")]),
    (
        "ModifyLoadBalancerAttributes",
        &[
            ("LoadBalancerArn", "{lb}"),
            ("Attributes.member.1.Key", "deletion_protection.enabled"),
            ("Attributes.member.1.Value", "false"),
        ],
    ),
    ("ModifyTargetGroup", &[("TargetGroupArn", "{tg}")]),
    (
        "ModifyTargetGroupAttributes",
        &[
            ("TargetGroupArn", "{tg}"),
            ("Attributes.member.1.Key", "stickiness.enabled"),
            ("Attributes.member.1.Value", "true"),
        ],
    ),
    ("RegisterTargets", &[("TargetGroupArn", "{tg}"), ("Targets.member.1.Id", "127.0.0.1")]),
    ("RemoveTags", &[("ResourceArns.member.1", "{tg}"), ("TagKeys.member.1", "a")]),
];

/// Members of all calls, to be given where they do not belong.
const MEMBERS: [&str; 24] = [
    "TargetGroupArn",
    "LoadBalancerArn",
    "ListenerArn",
    "Name",
    "Names.member.1",
    "Targets.member.1.Id",
    "Targets.member.1.Port",
    "Targets.member.1.AvailabilityZone",
    "Targets",
    "PageSize",
    "Marker",
    "Include.member.1",
    "Attributes.member.1.Key",
    "Attributes.member.1.Value",
    "HealthCheckPath",
    "HealthCheckIntervalSeconds",
    "Matcher.HttpCode",
    "Subnets.member.1",
    "Tags.member.1.Key",
    "DefaultActions.member.1.Type",
    "DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.Weight",
    "Certificates.member.1.CertificateArn",
    "SslPolicy",
    "VpcId",
];

struct Arns {
    group: String,
    load_balancer: String,
    listener: String,
}

impl Arns {
    async fn new(world: &World) -> Self {
        let (tg, lb) = (group(world, "g", "").await, load_balancer(world, "lb").await);
        let listener = super::client::listener(world, &lb, 443, &tg).await;
        Self { group: tg, load_balancer: lb, listener }
    }

    fn fill(&self, text: &str) -> String {
        let text = text.replace("{tg}", &self.group).replace("{lb}", &self.load_balancer);
        text.replace("{lsn}", &self.listener)
    }

    fn form(&self, action: &str, members: &[(&str, &str)]) -> String {
        let mut form = format!("Action={action}&Version=2015-12-01");
        for (name, value) in members {
            write!(form, "&{name}={}", self.fill(value)).unwrap();
        }
        form
    }
}

#[tokio::test]
async fn a_required_member_that_is_missing_or_not_an_arn_is_said() {
    let world = World::start();
    let arns = Arns::new(&world).await;
    for (action, members) in CALLS {
        let required = members.iter().filter(|(name, _)| !name.ends_with(".Value"));
        for (missing, value) in required {
            let others: Vec<_> =
                members.iter().copied().filter(|(name, _)| name != missing).collect();
            let form = arns.form(action, &others);
            let (status, code, message) = fails(&world, &form).await;
            assert_eq!((status, code.as_str()), (400, "ValidationError"), "{form}: {message}");
            if !value.starts_with('{') {
                continue;
            }
            for (wrong, codes) in [
                ("x", ["ValidationError"; 2]),
                ("arn%3Aaws%3As3%3A%3A%3Abucket", ["ValidationError"; 2]),
                (&"x".repeat(100_000), ["ValidationError"; 2]),
                ("%00%1B%0A%EF%BF%BF", ["ValidationError"; 2]),
                ("", ["ValidationError"; 2]),
            ] {
                let form = format!("{form}&{missing}={wrong}");
                let (status, code, message) = fails(&world, &form).await;
                assert_eq!(status, 400, "{message}");
                assert!(codes.contains(&code.as_str()), "{action} {missing}: {code} {message}");
                assert!(message.chars().count() < 300, "{message}");
            }
        }
    }
}

#[tokio::test]
async fn an_arn_of_nobody_is_not_found_or_nothing_to_delete() {
    let world = World::start();
    let arns = Arns::new(&world).await;
    for (action, members) in CALLS {
        for place in 0..members.len() {
            let (name, value) = members[place];
            if !value.starts_with('{') {
                continue;
            }
            let mut others = members.to_vec();
            others.remove(place);
            let arn = arns.fill(value);
            let (start, _) = arn.rsplit_once("%2F").unwrap();
            let form = format!("{}&{name}={start}%2F0000000000000000", arns.form(action, &others));
            let code = match value {
                "{tg}" => "TargetGroupNotFound",
                "{lb}" => "LoadBalancerNotFound",
                _ => "ListenerNotFound",
            };
            let reply = call(&world, &form).await;
            if ["DeleteTargetGroup", "DeleteLoadBalancer"].contains(&action) {
                assert_eq!(reply.status, 200, "{form}");
            } else {
                let (status, got, _) = reply.error();
                assert_eq!((status, got.as_str()), (400, code), "{form}");
            }
        }
    }
}

#[tokio::test]
async fn broken_encoding_deep_nesting_and_strange_values_end_in_a_400() {
    let world = World::start();
    let arns = Arns::new(&world).await;
    for (action, members) in CALLS {
        let form = arns.form(action, members);
        for broken in ["&X=%", "&X=%4", "&X=%zz", "&%C3=1", "&X=%FF", "&a..b=1", "&=1"] {
            let (status, code, _) = fails(&world, &format!("{form}{broken}")).await;
            assert_eq!((status, code.as_str()), (400, "ValidationError"), "{action}{broken}");
        }
        let deep = format!("{form}&Targets{}=1", ".member.1".repeat(100));
        assert_eq!(fails(&world, &deep).await.0, 400, "{action}");
        for member in MEMBERS {
            let long = "x".repeat(5_000);
            for value in ["", "%00", "-1", "1e9", "99999999999999999999", "%F0%9F%98%80", &long] {
                let form = format!("Action={action}&{member}={value}");
                let reply = call(&world, &form).await;
                assert!([200, 400].contains(&reply.status), "{form}: {}", reply.text);
            }
            for name in [
                format!("{member}.member.0.Id"),
                format!("{member}.x"),
                format!("{member}.member.1000001"),
                member.replace(".1", ".01"),
            ] {
                let reply = call(&world, &format!("Action={action}&{name}=1")).await;
                assert!([200, 400].contains(&reply.status), "{name}: {}", reply.text);
            }
        }
    }
}

#[tokio::test]
async fn actions_and_versions_that_are_not_here_are_said() {
    let world = World::start();
    for (form, code, text) in [
        ("Version=2015-12-01", "MissingAction", "The request must contain the parameter Action"),
        ("", "MissingAction", "The request must contain the parameter Action"),
        ("Action=SetSubnets", "InvalidAction", "DescribeTargetHealth"),
        ("Action=describeTargetHealth", "InvalidAction", "there are AddTags"),
        ("Action=DescribeTargetHealth&Version=2012-06-01", "InvalidAction", "2012-06-01"),
    ] {
        let (status, got, message) = fails(&world, form).await;
        assert_eq!((status, got.as_str()), (400, code), "{form}");
        assert!(message.contains(text), "{message}");
    }
    let arn = arn_of(&world, "off").await;
    let path = format!("/?Action=DescribeTargetHealth&Version=2015-12-01&TargetGroupArn={arn}");
    assert_eq!(Reply::of(&world.get(&path).await).one("State"), "unavailable", "by GET");
    let split = format!("/?Action=DescribeTargetHealth&TargetGroupArn={arn}");
    let reply = Reply::of(&world.post(&split, "Targets.member.1.Id=127.3.0.1").await);
    assert_eq!(reply.one("State"), "unavailable", "query and body together");
    assert_eq!(Reply::of(&world.get("/?x=1").await).error().1, "MissingAction");
    assert_eq!(world.get("/").await.status, 404);
    assert_eq!(world.ask("DELETE", "/?Action=DescribeTargetHealth").await.status, 405);
}

#[tokio::test]
async fn ten_thousand_elements_and_a_hundred_thousand_targets() {
    let world = World::with(AwsConfig::default(), 200_000);
    let arns = Arns::new(&world).await;
    let list = |name: &str, value: &str| -> String {
        (1..=10_000).map(|n| format!("&{name}.member.{n}{value}")).collect()
    };
    for (action, name, value, status) in [
        ("DescribeTargetGroups", "Names", "=web", 200),
        ("DescribeTargetGroups", "TargetGroupArns", "=x", 400),
        ("DescribeLoadBalancers", "Names", "=edge", 200),
        ("DescribeTags", "ResourceArns", "=x", 400),
        ("AddTags", "Tags", ".Key=x", 400),
        ("CreateLoadBalancer", "Subnets", "=zone-a", 400),
        ("CreateLoadBalancer", "SecurityGroups", "=sg", 400),
        ("ModifyTargetGroupAttributes", "Attributes", ".Key=stickiness.enabled", 400),
        ("ModifyLoadBalancerAttributes", "Attributes", ".Key=x", 400),
        ("CreateListener", "DefaultActions", ".Type=forward", 400),
        ("CreateListener", "Certificates", ".CertificateArn=c", 400),
        ("DescribeTargetHealth", "Include", "=All", 200),
        ("DescribeTargetHealth", "Targets", ".Id=nobody", 200),
        ("DeregisterTargets", "Targets", ".Id=nobody", 200),
        ("RegisterTargets", "Targets", ".Id=nobody", 400),
    ] {
        let form = arns.form(action, &[("Name", "x"), ("LoadBalancerArn", "{lb}")]);
        let form = match action {
            "DescribeTargetGroups" => format!("Action={action}"),
            "CreateListener" => format!("{form}&Protocol=TLS&Port=9"),
            _ => format!("{form}&TargetGroupArn={}", arns.group),
        };
        let reply = call(&world, &format!("{form}{}", list(name, value))).await;
        assert_eq!(reply.status, status, "{action} {name}: {:.300}", reply.text);
    }
    let mut form = format!("Action=RegisterTargets&TargetGroupArn={}", arns.group);
    for n in 0..100_000_u32 {
        let [_, b, c, d] = n.to_be_bytes();
        write!(form, "&Targets.member.{}.Id=127.{}.{c}.{d}", n + 1, b + 16).unwrap();
        write!(form, "&Targets.member.{}.Port=8080", n + 1).unwrap();
    }
    assert!(form.len() < API_BODY_BYTES_MAX);
    ok(&world, &form).await;
    assert_eq!(world.table.view().registry.group("g").unwrap().members.len(), 100_000);
    let one = "Action=DescribeTargetHealth&Targets.member.1.Id=127.17.1.1";
    let one = format!("{one}&Targets.member.1.Port=8080&TargetGroupArn={}", arns.group);
    assert_eq!(ok(&world, &one).await.one("HealthCheckPort"), "8080");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_said_in_xml() {
    let world = World::start();
    let said =
        format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", API_BODY_BYTES_MAX + 1);
    let answer = Answer::parse(&world.exchange(said.as_bytes()).await);
    assert_eq!(answer.status, 413);
    assert!(answer.text().contains("<Code>RequestEntityTooLarge</Code>"), "{}", answer.text());
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(0x10_0000));
    let head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let unsaid = format!("{head}{}0\r\n\r\n", chunk.repeat(9));
    let answer = Answer::parse(&world.exchange(unsaid.as_bytes()).await);
    assert_eq!(answer.status, 413);
    assert!(answer.text().contains("<Code>RequestEntityTooLarge</Code>"), "{}", answer.text());
}

#[tokio::test]
async fn random_forms_never_end_in_a_500() {
    let world = World::start();
    let arns = Arns::new(&world).await;
    let mut rng = Rng::new(20_261_121);
    let mut pick = |count: usize| usize::try_from(rng.below(count as u64)).unwrap();
    let values = ["{tg}", "{lb}", "{lsn}", "1", "80", "TCP", "true", "forward", "127.0.0.1", "%3C"];
    for _ in 0..3_000 {
        let (action, members) = CALLS[pick(CALLS.len())];
        let mut chosen: Vec<(&str, &str)> = members.to_vec();
        for _ in 0..pick(4) {
            chosen.push((MEMBERS[pick(MEMBERS.len())], values[pick(values.len())]));
        }
        if !chosen.is_empty() {
            chosen.remove(pick(chosen.len()));
        }
        let form = arns.form(action, &chosen);
        let reply = call(&world, &form).await;
        assert!([200, 400].contains(&reply.status), "{form}: {}", reply.text);
    }
}
