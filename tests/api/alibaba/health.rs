//! GetListenerHealthStatus: every row of DESIGN 3.2 and 3.3 in Alibaba's words.

use super::{call, good, group_in_use};
use crate::world::{World, report};
use ringcheck::health::Observed;
use ringcheck::outcome::{Cause, Code, Detail, Outcome, TABLE};
use serde_json::{Value, json};

/// Id, status and reason code of each server listed.
fn servers(answer: &Value) -> Vec<(String, String, String)> {
    let listener = &answer["ListenerHealthStatus"][0];
    let infos = listener["ServerGroupInfos"].as_array().unwrap();
    let servers = infos.iter().flat_map(|info| info["NonNormalServers"].as_array().unwrap());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    servers
        .map(|server| {
            let code = text(&server["Reason"]["ReasonCode"]);
            assert_eq!(server.get("Reason").is_some(), !code.is_empty(), "{server}");
            (text(&server["ServerId"]), text(&server["Status"]), code)
        })
        .collect()
}

async fn add(world: &World, group: &str, server: &str) {
    let form = format!(
        "ServerGroupId={group}&Servers.1.ServerId={server}&Servers.1.ServerType=Ip&Servers.1.Port=80"
    );
    good(world, "AddServersToServerGroup", &form).await;
}

#[tokio::test]
async fn every_code_has_alibabas_reason() {
    let world = World::start();
    let (group, listener) = group_in_use(&world, "").await;
    let reasons = [
        ("L4TOUT", "CONNECT_TIMEOUT"),
        ("L4CON", "CONNECT_FAILED"),
        ("L6TOUT", "RECV_RESPONSE_TIMEOUT"),
        ("L6RSP", "CONNECT_INTERRUPT"),
        ("L7TOUT", "RECV_RESPONSE_TIMEOUT"),
        ("L7CUT", "CONNECT_INTERRUPT"),
        ("L7RSP", "HTTP_INVALID_HEADER"),
        ("L7STS", "HTTP_CODE_NOT_MATCH"),
    ];
    let mut expected = Vec::new();
    for (number, row) in TABLE.iter().enumerate() {
        let server = format!("10.0.0.{number}");
        add(&world, &group, &server).await;
        let target = world.target(&group, number);
        let outcome = Outcome { code: row.code, status: 0, detail: Detail::None };
        let reason = reasons.iter().find(|(code, _)| *code == row.name).map(|(_, reason)| reason);
        let observed = match reason {
            Some(reason) => {
                expected.push((server, "Unhealthy".to_owned(), (*reason).to_owned()));
                Observed::Unhealthy
            }
            None if row.code == Code::SockErr => {
                expected.push((server, "Initial".to_owned(), String::new()));
                Observed::Unavailable
            }
            None => Observed::Healthy,
        };
        world.report(vec![report(target, 99_000, observed, outcome)]);
    }
    let answer = good(&world, "GetListenerHealthStatus", &format!("ListenerId={listener}")).await;
    assert_eq!(servers(&answer), expected);
    assert_eq!(answer["TotalCount"], json!(9));
}

#[tokio::test]
async fn every_row_of_the_shown_states_has_alibabas_status() {
    let world = World::start();
    // All groups of CONFIG, healthy ones left out: see tests/api/world.rs.
    let answer = good(&world, "GetListenerHealthStatus", "ListenerId=all&MaxResults=100").await;
    let mut expected: Vec<(&str, &str, &str)> = vec![
        ("i-503", "Unhealthy", "HTTP_CODE_NOT_MATCH"),
        // Its last outcome was a pass; the failure before is what it is unhealthy for.
        ("i-rising", "Unhealthy", "CONNECT_FAILED"),
        ("i-fault", "Initial", ""),
        ("i-new", "Initial", ""),
        ("i-light", "Unused", ""),
        ("i-stopped", "Unused", ""),
        ("i-abroad", "Unused", ""),
        ("i-two", "Initial", ""),
    ];
    let big: Vec<String> =
        (99..4_096).step_by(100).map(|p| format!("127.1.{}.{}", p / 256, p % 256)).collect();
    expected.extend(big.iter().map(|id| (&**id, "Unhealthy", "CONNECT_FAILED")));
    expected.extend([
        ("127.3.0.1", "Unavailable", ""),
        ("i-a", "Unhealthy", "CONNECT_FAILED"),
        ("i-stopped", "Unused", ""),
        ("i-light", "Unused", ""),
        ("i-b", "Unhealthy", "CONNECT_FAILED"),
    ]);
    let found = servers(&answer);
    let found: Vec<(&str, &str, &str)> =
        found.iter().map(|(id, status, code)| (&**id, &**status, &**code)).collect();
    assert_eq!(found, expected);
    assert_eq!(answer["TotalCount"], json!(expected.len()));
    assert_eq!((&answer["NextToken"], &answer["MaxResults"]), (&json!(""), &json!(100)));
    let infos = answer["ListenerHealthStatus"][0]["ServerGroupInfos"].as_array().unwrap();
    let groups: Vec<_> = infos.iter().map(|info| info["ServerGroupId"].as_str().unwrap()).collect();
    assert_eq!(groups, ["tg-web", "tg-big", "tg-off", "tg-empty", "tg-sick"]);
    let enabled: Vec<_> = infos.iter().map(|info| info["HeathCheckEnabled"].clone()).collect();
    assert_eq!(enabled, [true, true, false, true, true].map(Value::from));
}

#[tokio::test]
async fn an_initial_server_has_the_code_of_its_last_failure_and_a_draining_one_is_not_listed() {
    let world = World::start();
    let (group, listener) = group_in_use(&world, "ConnectionDrainEnabled=true").await;
    for server in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
        add(&world, &group, server).await;
    }
    let status = async || {
        let form = format!("ListenerId={listener}");
        servers(&good(&world, "GetListenerHealthStatus", &form).await)
    };
    let line =
        |id: &str, status: &str, code: &str| (id.to_owned(), status.to_owned(), code.to_owned());
    let fresh = |id| line(id, "Initial", "");
    assert_eq!(status().await, [fresh("10.0.0.1"), fresh("10.0.0.2"), fresh("10.0.0.3")]);

    let failed = Outcome::plain(Code::L4Tout);
    world.report(vec![report(world.target(&group, 0), 99_000, Observed::Initial, failed)]);
    let fault = Outcome::cause(Code::SockErr, Cause::NoFreeSlot);
    let target = world.target(&group, 1);
    world.report(vec![report(target, 99_000, Observed::Unhealthy, Outcome::plain(Code::L7Cut))]);
    world.report(vec![report(target, 99_001, Observed::Unavailable, fault)]);
    let form = format!(
        "ServerGroupId={group}&Servers.1.ServerId=10.0.0.3&Servers.1.ServerType=Ip&Servers.1.Port=80"
    );
    good(&world, "RemoveServersFromServerGroup", &form).await;
    let expected = [
        line("10.0.0.1", "Initial", "CONNECT_TIMEOUT"),
        line("10.0.0.2", "Initial", "CONNECT_INTERRUPT"),
    ];
    assert_eq!(status().await, expected);
}

#[tokio::test]
async fn a_group_without_a_listener_has_no_status_and_a_listener_by_name_is_found() {
    let world = World::start();
    let form = "ServerGroupName=made&VpcId=vpc-1";
    let group = good(&world, "CreateServerGroup", form).await;
    let id = group["ServerGroupId"].as_str().unwrap();
    let answer = call(&world, "GetListenerHealthStatus", &format!("ListenerId={id}")).await;
    assert_eq!((answer.status, &answer.json()["Code"]), (404, &json!("ResourceNotFound.listener")));
}
