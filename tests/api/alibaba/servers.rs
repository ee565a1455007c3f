//! Server groups and their servers: addresses, names, draining, tokens that make calls repeatable.

use super::{call, good, group_in_use, text};
use crate::world::{Answer, World};
use serde_json::{Value, json};
use std::time::Duration;

async fn create(world: &World, settings: &str) -> String {
    let form = format!("ServerGroupName=made&VpcId=vpc-1&{settings}");
    text(&good(world, "CreateServerGroup", &form).await, "ServerGroupId")
}

/// Id, address, port and weight of each server.
async fn servers(world: &World, group: &str) -> Vec<(String, String, u64, u64)> {
    let answer = good(world, "ListServerGroupServers", &format!("ServerGroupId={group}")).await;
    let one = |server: &Value| {
        let number = |name: &str| server[name].as_u64().unwrap();
        (text(server, "ServerId"), text(server, "ServerIp"), number("Port"), number("Weight"))
    };
    answer["Servers"].as_array().unwrap().iter().map(one).collect()
}

#[tokio::test]
async fn a_server_has_the_address_given_its_id_or_that_of_its_id_elsewhere() {
    let world = World::start();
    let group = create(&world, "").await;
    let cases = [
        ("Ip", "10.0.0.1", "", Some("10.0.0.1")),
        ("Ip", "2001:DB8::1", "", Some("2001:db8::1")),
        ("Ip", "10.0.0.2", "10.0.0.2", Some("10.0.0.2")),
        ("Ip", "10.0.0.2", "10.0.0.3", None),
        ("Ip", "i-1", "10.0.0.3", None),
        ("Ecs", "i-1", "10.0.0.4", Some("10.0.0.4")),
        ("Ecs", "10.0.0.5", "", Some("10.0.0.5")),
        // As in the file's group web.
        ("Ecs", "i-well", "", Some("127.0.0.1")),
        ("Eni", "i-503", "", Some("127.0.0.2")),
        ("Ecs", "i-nowhere", "", None),
        ("Eci", "i-2", "not-an-address", None),
    ];
    for (index, (kind, id, ip, expected)) in cases.into_iter().enumerate() {
        let port = 80 + index;
        let form = format!(
            "ServerGroupId={group}&Servers.1.ServerId={id}&Servers.1.ServerType={kind}&\
             Servers.1.ServerIp={ip}&Servers.1.Port={port}"
        );
        let answer = call(&world, "AddServersToServerGroup", &form).await;
        let Some(expected) = expected else {
            let message = text(&answer.json(), "Message");
            assert_eq!(
                (answer.status, text(&answer.json(), "Code").as_str()),
                (400, "IllegalParam")
            );
            assert!(message.starts_with("The param of Servers.1.Server"), "{message}");
            continue;
        };
        assert_eq!(answer.status, 200, "{id} {ip}: {}", answer.text());
        let all = servers(&world, &group).await;
        let last = all.last().unwrap();
        assert_eq!((&*last.1, last.2, last.3), (expected, port as u64, 100));
    }
}

#[tokio::test]
async fn one_bad_server_among_many_adds_none() {
    let world = World::start();
    let group = create(&world, "").await;
    let server = |n: u32, ip: &str| {
        format!("&Servers.{n}.ServerId={ip}&Servers.{n}.ServerType=Ip&Servers.{n}.Port=80")
    };
    let form = format!("ServerGroupId={group}{}{}", server(1, "10.0.0.1"), server(2, "x"));
    assert_eq!(call(&world, "AddServersToServerGroup", &form).await.status, 400);
    let form = format!("ServerGroupId={group}{}{}", server(1, "10.0.0.1"), server(2, "10.0.0.1"));
    let answer = call(&world, "AddServersToServerGroup", &form).await;
    assert_eq!(answer.json()["Code"], "DuplicatedParam.BackendServer");
    assert!(servers(&world, &group).await.is_empty());
    let many: String =
        (1..=1_000).map(|n| server(n, &format!("10.{}.{}.1", n / 200, n % 200))).collect();
    good(&world, "AddServersToServerGroup", &format!("ServerGroupId={group}{many}")).await;
    let answer = good(&world, "ListServerGroupServers", &format!("ServerGroupId={group}")).await;
    assert_eq!(answer["TotalCount"], 1_000);
}

#[tokio::test]
async fn weights_change_all_or_none() {
    let world = World::start();
    let group = create(&world, "").await;
    let form = format!(
        "ServerGroupId={group}&Servers.1.ServerId=10.0.0.1&Servers.1.ServerType=Ip&Servers.1.Port=80&\
         Servers.2.ServerId=10.0.0.1&Servers.2.ServerType=Ip&Servers.2.Port=81&Servers.2.Weight=0"
    );
    good(&world, "AddServersToServerGroup", &form).await;
    let weights = async || -> Vec<u64> {
        servers(&world, &group).await.into_iter().map(|server| server.3).collect()
    };
    assert_eq!(weights().await, [100, 0]);
    let form = |port: u16| {
        format!(
            "ServerGroupId={group}&Servers.1.ServerId=10.0.0.1&Servers.1.ServerType=Ip&\
             Servers.1.Port=80&Servers.1.Weight=5&Servers.2.ServerId=10.0.0.1&\
             Servers.2.ServerType=Ip&Servers.2.Port={port}&Servers.2.Weight=6"
        )
    };
    let answer = call(&world, "UpdateServerGroupServersAttribute", &form(9)).await;
    let code = answer.json()["Code"].clone();
    assert_eq!((answer.status, code), (404, json!("ResourceNotFound.BackendServer")));
    assert_eq!(weights().await, [100, 0]);
    good(&world, "UpdateServerGroupServersAttribute", &form(81)).await;
    assert_eq!(weights().await, [5, 6]);
}

#[tokio::test]
async fn draining_is_the_deregistration_delay_and_off_is_none() {
    let world = World::start();
    let group = create(&world, "").await;
    let delay = || {
        let view = world.table.view();
        view.registry.group(&group).unwrap().config.deregistration_delay.as_secs()
    };
    let update = async |settings: &str| {
        let form = format!("ServerGroupId={group}&{settings}");
        good(&world, "UpdateServerGroupAttribute", &form).await;
        delay()
    };
    assert_eq!(delay(), 0);
    assert_eq!(update("ConnectionDrainTimeout=7").await, 0);
    assert_eq!(update("ConnectionDrainEnabled=TRUE").await, 7);
    assert_eq!(update("ConnectionDrainTimeout=900").await, 900);
    assert_eq!(update("Scheduler=Rr").await, 900);
    assert_eq!(update("ConnectionDrainEnabled=false").await, 0);
    let group = create(&world, "ConnectionDrainEnabled=true").await;
    let view = world.table.view();
    let config = &view.registry.group(&group).unwrap().config;
    assert_eq!(config.deregistration_delay, Duration::from_secs(300));
}

#[tokio::test]
async fn a_name_that_is_taken_is_shown_all_the_same() {
    let world = World::start();
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(create(&world, "").await);
    }
    let list = async |name: &str| -> Vec<String> {
        let form = format!("ServerGroupNames.1={name}");
        let answer = good(&world, "ListServerGroups", &form).await;
        let groups = answer["ServerGroups"].as_array().unwrap().clone();
        groups.iter().map(|group| text(group, "ServerGroupId")).collect()
    };
    ids.sort();
    let mut found = list("made").await;
    found.sort();
    assert_eq!(found, ids);
    let form = format!("ServerGroupId={}&ServerGroupName=other", ids[0]);
    good(&world, "UpdateServerGroupAttribute", &form).await;
    assert_eq!(list("other").await, [ids[0].clone()]);
    assert_eq!(list("made").await, [ids[1].clone()]);
}

#[tokio::test]
async fn a_call_repeated_with_its_token_gets_the_same_answer_and_does_nothing() {
    let world = World::start();
    let form = "ServerGroupName=made&VpcId=vpc-1&ClientToken=t-1";
    let first = good(&world, "CreateServerGroup", form).await;
    let again = good(&world, "CreateServerGroup", form).await;
    assert_eq!(
        (&first["ServerGroupId"], &first["JobId"]),
        (&again["ServerGroupId"], &again["JobId"])
    );
    assert_ne!(first["RequestId"], again["RequestId"]);
    let group = text(&first, "ServerGroupId");
    let other = call(&world, "CreateServerGroup", &format!("{form}&Scheduler=Rr")).await;
    assert_eq!(other.json()["Code"], "IdempotentParameterMismatch");
    // A call that failed is carried out when it is repeated.
    let form = format!("ServerGroupId={group}&ClientToken=t-2");
    let add = format!("{form}&Servers.1.ServerId=i-9&Servers.1.ServerType=Ecs&Servers.1.Port=80");
    assert_eq!(call(&world, "AddServersToServerGroup", &add).await.status, 400);
    let known = format!(
        "ServerGroupId={group}&Servers.1.ServerId=i-9&Servers.1.ServerType=Ecs&Servers.1.Port=81&\
         Servers.1.ServerIp=10.0.0.9"
    );
    good(&world, "AddServersToServerGroup", &known).await;
    good(&world, "AddServersToServerGroup", &add).await;
    assert_eq!(servers(&world, &group).await.len(), 2);
    let delete = format!("ServerGroupId={group}&ClientToken=t-3");
    good(&world, "DeleteServerGroup", &delete).await;
    good(&world, "DeleteServerGroup", &delete).await;
}

#[tokio::test]
async fn a_dry_run_looks_and_does_nothing() {
    let world = World::start();
    let (group, listener) = group_in_use(&world, "").await;
    let server = "Servers.1.ServerId=10.0.0.1&Servers.1.ServerType=Ip&Servers.1.Port=80";
    let add = format!("ServerGroupId={group}&{server}");
    good(&world, "AddServersToServerGroup", &add).await;
    let revision = world.table.view().registry.revision;
    let zones = "ZoneMappings.1.ZoneId=z&ZoneMappings.1.VSwitchId=v";
    let view = world.table.view();
    let balancer = &view.registry.listener(&listener).unwrap().load_balancer;
    let calls = [
        ("CreateServerGroup", "ServerGroupName=dry&VpcId=v".to_owned()),
        ("UpdateServerGroupAttribute", format!("ServerGroupId={group}&Scheduler=Rr")),
        ("DeleteServerGroup", format!("ServerGroupId={group}")),
        ("AddServersToServerGroup", add.clone()),
        ("UpdateServerGroupServersAttribute", add.clone()),
        ("RemoveServersFromServerGroup", add),
        ("CreateLoadBalancer", format!("AddressType=Intranet&VpcId=v&{zones}")),
        ("DeleteLoadBalancer", format!("LoadBalancerId={balancer}")),
        (
            "CreateListener",
            format!(
                "LoadBalancerId={balancer}&ServerGroupId={group}&ListenerPort=81&\
                 ListenerProtocol=UDP"
            ),
        ),
        ("DeleteListener", format!("ListenerId={listener}")),
    ];
    for (action, form) in calls {
        let answer = call(&world, action, &format!("{form}&DryRun=True")).await;
        let code = answer.json()["Code"].clone();
        assert_eq!((answer.status, code), (400, json!("DryRunOperation")), "{action}");
    }
    assert_eq!(world.table.view().registry.revision, revision);
}

#[tokio::test]
async fn objects_of_a_file_are_shown_and_not_changed() {
    let world = World::start();
    let server = "Servers.1.ServerId=127.1.0.0&Servers.1.ServerType=Ip&Servers.1.Port=80";
    let calls = [
        ("UpdateServerGroupAttribute", "ServerGroupId=tg-big&Scheduler=Rr".to_owned()),
        ("AddServersToServerGroup", format!("ServerGroupId=tg-big&{server}")),
        ("RemoveServersFromServerGroup", format!("ServerGroupId=tg-big&{server}")),
        (
            "UpdateServerGroupServersAttribute",
            format!("ServerGroupId=tg-big&{server}&Servers.1.Weight=1"),
        ),
        ("DeleteServerGroup", "ServerGroupId=tg-idle".to_owned()),
        ("DeleteListener", "ListenerId=all".to_owned()),
        ("DeleteLoadBalancer", "LoadBalancerId=edge".to_owned()),
    ];
    for (action, form) in calls {
        let answer = call(&world, action, &form).await;
        let json = answer.json();
        assert_eq!((answer.status, &json["Code"]), (400, &json!("OperationDenied")), "{action}");
        assert!(text(&json, "Message").contains("/etc/ringcheck.toml"), "{json}");
    }
    // A new listener may forward to a group of the file.
    let form = "LoadBalancerId=edge&ServerGroupId=tg-idle&ListenerPort=81&ListenerProtocol=TCP";
    good(&world, "CreateListener", form).await;
}

#[tokio::test]
async fn the_settings_of_the_rule_set_have_the_documented_defaults_and_bounds() {
    let world = World::start();
    let check = async |settings: &str| {
        let group = create(&world, settings).await;
        let form = format!("ServerGroupIds.1={group}");
        good(&world, "ListServerGroups", &form).await["ServerGroups"][0]["HealthCheck"].clone()
    };
    let default = json!({
        "HealthCheckEnabled": true, "HealthCheckType": "TCP", "HealthCheckConnectPort": 0,
        "HealthCheckConnectTimeout": 5, "HealthCheckInterval": 5, "HealthyThreshold": 2,
        "UnhealthyThreshold": 2, "HealthCheckHttpCode": [],
    });
    assert_eq!(check("").await, default);
    assert_eq!(check("Protocol=UDP").await, default);
    let http = check("HealthCheckConfig.HealthCheckType=HTTP").await;
    let expected = json!({
        "HealthCheckUrl": "/", "HealthCheckDomain": "$SERVER_IP", "HttpCheckMethod": "GET",
        "HealthCheckHttpVersion": "HTTP1.0", "HealthCheckHttpCode": ["http_2xx"],
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(http[name], *value, "{name}");
    }
    let bounds = [
        ("HealthCheckInterval", 1, 50),
        ("HealthCheckConnectTimeout", 1, 300),
        ("HealthyThreshold", 2, 10),
        ("UnhealthyThreshold", 2, 10),
        ("HealthCheckConnectPort", 0, 65_535),
    ];
    for (name, least, most) in bounds {
        for value in [least, most] {
            let shown = check(&format!("HealthCheckConfig.{name}={value}")).await;
            assert_eq!(shown[name], value, "{name}");
        }
        for value in [i64::from(least) - 1, i64::from(most) + 1] {
            let form = format!("ServerGroupName=made&VpcId=v&HealthCheckConfig.{name}={value}");
            let answer = call(&world, "CreateServerGroup", &form).await;
            let message = text(&answer.json(), "Message");
            assert_eq!(text(&answer.json(), "Code"), "IllegalParam", "{value}");
            let expected = format!("The param of HealthCheckConfig.{name} is illegal: ");
            assert!(message.starts_with(&expected), "{value}: {message}");
        }
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused_in_alibabas_words() {
    let world = World::start();
    let head = "POST / HTTP/1.1\r\nhost: x\r\nx-acs-action: ListListeners\r\n\
                x-acs-version: 2022-04-30\r\ncontent-length: 9000000\r\n\r\n";
    let answer = Answer::parse(&world.exchange(head.as_bytes()).await);
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert!(answer.json()["RequestId"].is_string() && answer.json()["HostId"] == "x");
}

/// Controllers add their servers again and again, and know nothing of what the operator did.
#[tokio::test]
async fn adding_again_keeps_what_the_call_cannot_say() {
    let world = World::start();
    let group = create(&world, "").await;
    let add = format!(
        "ServerGroupId={group}&Servers.1.ServerId=10.0.0.1&Servers.1.ServerType=Ip&\
         Servers.1.Port=80"
    );
    good(&world, "AddServersToServerGroup", &add).await;
    let path = format!("/v1/groups/{group}/targets/10.0.0.1");
    let marked = world.send("PATCH", &path, "{\"lifecycle\":\"stopped\"}").await;
    assert_eq!(marked.status, 200, "{}", marked.text());
    good(&world, "AddServersToServerGroup", &format!("{add}&Servers.1.Weight=7")).await;
    let target = world.get(&path).await.json();
    assert_eq!(target["weight"], 7);
    let marked = world.send("PATCH", &path, "{\"lifecycle\":\"stopped\"}").await.json();
    assert_eq!(marked["marked"], 0, "it was stopped still");
}
