//! Bad input to every call: Alibaba's error, never a 500, and nothing is changed.

use super::{VERSION, call, send};
use crate::world::World;
use serde_json::Value;

/// Every call with parameters that it takes, as far as they can be named beforehand.
const CALLS: [(&str, &str); 19] = [
    (
        "AddServersToServerGroup",
        "ServerGroupId=web&Servers.1.ServerId=10.0.0.1&Servers.1.ServerType=Ip&Servers.1.Port=80",
    ),
    (
        "CreateListener",
        "LoadBalancerId=edge&ServerGroupId=web&ListenerPort=80&ListenerProtocol=TCP",
    ),
    (
        "CreateLoadBalancer",
        "AddressType=Intranet&VpcId=v&ZoneMappings.1.ZoneId=z&ZoneMappings.1.VSwitchId=v",
    ),
    ("CreateServerGroup", "ServerGroupName=made&VpcId=v"),
    ("DeleteListener", "ListenerId=all"),
    ("DeleteLoadBalancer", "LoadBalancerId=edge"),
    ("DeleteServerGroup", "ServerGroupId=web"),
    ("DescribeRegions", ""),
    ("GetJobStatus", "JobId=x"),
    ("GetListenerAttribute", "ListenerId=all"),
    ("GetListenerHealthStatus", "ListenerId=all"),
    ("GetLoadBalancerAttribute", "LoadBalancerId=edge"),
    ("ListListeners", ""),
    ("ListLoadBalancers", ""),
    ("ListServerGroupServers", "ServerGroupId=web"),
    ("ListServerGroups", ""),
    (
        "RemoveServersFromServerGroup",
        "ServerGroupId=web&Servers.1.ServerId=i-well&Servers.1.ServerType=Ecs&Servers.1.Port=8080",
    ),
    ("UpdateServerGroupAttribute", "ServerGroupId=web"),
    (
        "UpdateServerGroupServersAttribute",
        "ServerGroupId=web&Servers.1.ServerId=i-well&Servers.1.ServerType=Ecs&Servers.1.Port=8080",
    ),
];

/// Status and code of an answer that refuses; for `IllegalParam`, the parameter that the message
/// names comes behind it.
async fn refused(world: &World, action: &str, form: &str) -> (u16, String) {
    let answer = call(world, action, form).await;
    let json: Value = answer.json();
    assert!(answer.status >= 400 && answer.status != 500, "{action} {form}: {json}");
    let message = json["Message"].as_str().unwrap();
    assert!(!message.contains('\n') && message.chars().count() < 1_000, "{message}");
    assert_eq!(json["HostId"], "127.0.0.1:80");
    let code = json["Code"].as_str().unwrap();
    let named = message.strip_prefix("The param of ").and_then(|rest| rest.split_once(" is "));
    match named {
        Some((name, _)) if code == "IllegalParam" => (answer.status, format!("{code}.{name}")),
        Some(_) | None => (answer.status, code.to_owned()),
    }
}

#[tokio::test]
async fn each_parameter_that_must_be_given_is_missed() {
    let world = World::start();
    let optional = |action: &str, name: &str| {
        // An id names all ports; the order of checks names another one first.
        name == "Servers.1.Port" && action == "RemoveServersFromServerGroup"
    };
    for (action, form) in CALLS {
        for name in form.split('&').filter(|name| !name.is_empty()) {
            let left: Vec<&str> = form.split('&').filter(|other| *other != name).collect();
            let name = name.split('=').next().unwrap();
            if optional(action, name) {
                continue;
            }
            for form in [left.join("&"), format!("{}&{name}=", left.join("&"))] {
                let found = refused(&world, action, &form).await;
                assert_eq!(found, (400, format!("MissingParam.{name}")), "{action} {form}");
            }
        }
        let is_listed = ["Servers.1", "ZoneMappings.1"].iter().any(|list| form.contains(list));
        if is_listed {
            let left: Vec<&str> = form.split('&').filter(|one| !one.contains(".1.")).collect();
            let (status, code) = refused(&world, action, &left.join("&")).await;
            assert_eq!(status, 400);
            assert!(
                ["MissingParam.Servers", "MissingParam.ZoneMappings"].contains(&&*code),
                "{code}"
            );
        }
    }
}

#[tokio::test]
async fn what_no_call_can_read_is_refused_by_every_call() {
    let world = World::start();
    let revision = world.table.view().registry.revision;
    let long = format!("A{}=1", "x".repeat(300));
    let deep = "a.".repeat(50) + "a=1";
    let broken =
        ["A=%", "A=%zz", "A=%FF", "A=1&A=2", ".=1", "a..b=1", &long, &deep, "RegionId=%00"];
    for (action, form) in CALLS {
        for broken in broken {
            let (status, code) = refused(&world, action, &format!("{form}&{broken}")).await;
            assert_eq!(status, 400, "{action} {broken}");
            assert!(code.starts_with("IllegalParam"), "{action} {broken}: {code}");
        }
    }
    assert_eq!(world.table.view().registry.revision, revision);
}

#[tokio::test]
async fn values_that_cannot_be_are_refused_by_name() {
    let world = World::start();
    let (add, listener, balancer) = (CALLS[0], CALLS[1], CALLS[2]);
    let (create, health, list) = (CALLS[3], CALLS[10], CALLS[15]);
    let update = CALLS[17];
    let x = |count: usize| "x".repeat(count);
    let cases = [
        (add, "Servers.1.Port", vec!["0", "65536", "-1", "x", "80.0"]),
        (add, "Servers.1.Weight", vec!["-1", "101", "x"]),
        (add, "Servers.1.ServerType", vec!["ip", "Vm"]),
        (add, "Servers.1.ServerId", vec!["%01"]),
        (add, "DryRun", vec!["maybe", "1"]),
        (listener, "ListenerPort", vec!["0", "65536", "http"]),
        (listener, "ListenerProtocol", vec!["tcp", "HTTP", "QUIC"]),
        (listener, "IdleTimeout", vec!["0", "901"]),
        (listener, "Mss", vec!["1501"]),
        (listener, "Cps", vec!["1000001"]),
        (listener, "ProxyProtocolEnabled", vec!["on"]),
        (listener, "ListenerDescription", vec!["x"]),
        (balancer, "AddressType", vec!["Private"]),
        (balancer, "AddressIpVersion", vec!["Ipv6"]),
        (balancer, "LoadBalancerType", vec!["Application"]),
        (balancer, "LoadBalancerName", vec!["1", "-a", "a b", "1a"]),
        (create, "ServerGroupName", vec!["x", "1x", "a%2Fb", "a%0Ab"]),
        (create, "Protocol", vec!["tcp", "SCTP"]),
        (create, "ServerGroupType", vec!["Fc"]),
        (create, "Scheduler", vec!["Random"]),
        (create, "AnyPortEnabled", vec!["true", "7"]),
        (create, "ConnectionDrainTimeout", vec!["901", "-1"]),
        (create, "HealthCheckConfig.HealthCheckType", vec!["HTTPS", "ICMP"]),
        (create, "HealthCheckConfig.HealthCheckEnabled", vec!["yes"]),
        (create, "HealthCheckConfig.HealthCheckUrl", vec!["/"]),
        (create, "HealthCheckConfig.HealthCheckHttpCode", vec![]),
        (create, "HealthCheckConfig.HttpCheckMethod", vec!["POST", "GET"]),
        (update, "HealthCheckConfig.HealthCheckInterval", vec!["x", "99999"]),
        (health, "MaxResults", vec!["0", "101", "-1", "x", "1e1"]),
        (health, "NextToken", vec!["x", "AAAA", "%C3%A4"]),
        (list, "MaxResults", vec!["0", "101"]),
        (list, "NextToken", vec!["x", "MSAyIG5hbWVk"]),
        (list, "ServerGroupType", vec!["Other"]),
    ];
    for ((action, form), name, values) in cases {
        let left: Vec<&str> =
            form.split('&').filter(|one| !one.starts_with(&format!("{name}="))).collect();
        for value in values {
            let form = format!("{}&{name}={value}", left.join("&"));
            let found = refused(&world, action, &form).await;
            assert_eq!(found, (400, format!("IllegalParam.{name}")), "{value}");
        }
    }
    let long = [
        ("CreateServerGroup", format!("VpcId=v&ServerGroupName={}", x(129)), "ServerGroupName"),
        ("CreateServerGroup", format!("ServerGroupName=aa&VpcId={}", x(65)), "VpcId"),
        ("CreateServerGroup", format!("{}&ClientToken={}", create.1, x(65)), "ClientToken"),
        ("CreateServerGroup", format!("{}&Tag.1.Key={}", create.1, x(129)), "Tag.1.Key"),
        ("AddServersToServerGroup", add.1.replace("10.0.0.1", &x(256)), "Servers.1.ServerId"),
        ("AddServersToServerGroup", add.1.replace("Servers.1", "Servers.x"), "Servers.x.Port"),
        ("AddServersToServerGroup", add.1.replace("Servers.1", "Servers.0"), "Servers.0.Port"),
    ];
    for (action, form, name) in long {
        let found = refused(&world, action, &form).await;
        assert_eq!(found, (400, format!("IllegalParam.{name}")), "{action}");
    }
}

#[tokio::test]
async fn unknown_objects_actions_and_versions_are_named() {
    let world = World::start();
    let unknown = [
        ("AddServersToServerGroup", "ServerGroupId", "serverGroup"),
        ("DeleteListener", "ListenerId", "listener"),
        ("DeleteLoadBalancer", "LoadBalancerId", "loadBalancer"),
        ("DeleteServerGroup", "ServerGroupId", "serverGroup"),
        ("GetListenerAttribute", "ListenerId", "listener"),
        ("GetListenerHealthStatus", "ListenerId", "listener"),
        ("GetLoadBalancerAttribute", "LoadBalancerId", "loadBalancer"),
        ("ListServerGroupServers", "ServerGroupId", "serverGroup"),
        ("RemoveServersFromServerGroup", "ServerGroupId", "serverGroup"),
        ("UpdateServerGroupAttribute", "ServerGroupId", "serverGroup"),
        ("UpdateServerGroupServersAttribute", "ServerGroupId", "serverGroup"),
        ("CreateListener", "LoadBalancerId", "loadBalancer"),
        ("CreateListener", "ServerGroupId", "serverGroup"),
    ];
    for (action, name, kind) in unknown {
        let form = CALLS.iter().find(|(known, _)| *known == action).unwrap().1;
        let left: Vec<&str> =
            form.split('&').filter(|one| !one.starts_with(&format!("{name}="))).collect();
        let form = format!("{}&{name}=no-such", left.join("&"));
        let found = refused(&world, action, &form).await;
        assert_eq!(found, (404, format!("ResourceNotFound.{kind}")), "{action}");
    }
    let found = refused(&world, "StopListener", "ListenerId=all").await;
    assert_eq!(found, (404, "InvalidAction.NotFound".to_owned()));
    let versions = [("", "MissingParam.Version"), ("2019-01-01", "InvalidVersion")];
    for (version, code) in versions {
        let headers = [("x-acs-action", "ListListeners"), ("x-acs-version", version)];
        let answer = send(&world, "/", &headers, "").await;
        assert_eq!((answer.status, &answer.json()["Code"]), (400, &code.into()));
    }
    let headers = [("x-acs-version", VERSION)];
    let answer = send(&world, "/", &headers, "").await;
    assert_eq!((answer.status, &answer.json()["Code"]), (400, &"MissingParam.Action".into()));
}

#[tokio::test]
async fn lists_of_ten_thousand_are_answered() {
    let world = World::start();
    let ids: String = (1..=10_000).map(|n| format!("ServerIds.{n}=i-{n}&")).collect();
    let answer = call(&world, "ListServerGroupServers", &format!("{ids}ServerGroupId=web")).await;
    // There is an i-503.
    assert_eq!((answer.status, &answer.json()["TotalCount"]), (200, &1.into()));
    let servers: String = (1..=10_000)
        .map(|n| {
            format!("Servers.{n}.ServerId=i-{n}&Servers.{n}.ServerType=Ecs&Servers.{n}.Port=1&")
        })
        .collect();
    for action in ["RemoveServersFromServerGroup", "UpdateServerGroupServersAttribute"] {
        let found = refused(&world, action, &format!("{servers}ServerGroupId=web")).await;
        assert_eq!(found, (404, "ResourceNotFound.BackendServer".to_owned()));
    }
    let form = format!("{servers}ServerGroupId=web");
    let found = refused(&world, "AddServersToServerGroup", &form).await;
    assert_eq!(found, (400, "IllegalParam.Servers.1.ServerIp".to_owned()));
}
