//! The Alibaba dialect over the real router.

mod bad;
mod health;
mod pages;
mod script;
mod servers;

use crate::world::{Answer, World};

const VERSION: &str = "2022-04-30";

/// The answer to a call as the SDK sends it: action and version in headers, parameters in a form.
pub(crate) async fn call(world: &World, action: &str, form: &str) -> Answer {
    send(world, "/", &[("x-acs-action", action), ("x-acs-version", VERSION)], form).await
}

/// The answer to a POST with these headers.
async fn send(world: &World, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:80\r\nconnection: close\r\n{headers}\
         content-length: {length}\r\n\r\n"
    );
    Answer::parse(&world.exchange(format!("{head}{body}").as_bytes()).await)
}

/// A call that is carried out.
async fn good(world: &World, action: &str, form: &str) -> serde_json::Value {
    let answer = call(world, action, form).await;
    assert_eq!(answer.status, 200, "{action} {form}: {}", answer.text());
    answer.json()
}

/// A server group with a listener that makes it one in use: their ids.
async fn group_in_use(world: &World, settings: &str) -> (String, String) {
    let form = format!("ServerGroupName=made&VpcId=vpc-1&{settings}");
    let group = text(&good(world, "CreateServerGroup", &form).await, "ServerGroupId");
    let form =
        "AddressType=Intranet&VpcId=vpc-1&ZoneMappings.1.ZoneId=z&ZoneMappings.1.VSwitchId=v";
    let balancer = text(&good(world, "CreateLoadBalancer", form).await, "LoadbalancerId");
    let form = format!(
        "LoadBalancerId={balancer}&ServerGroupId={group}&ListenerPort=80&ListenerProtocol=TCP"
    );
    let listener = text(&good(world, "CreateListener", &form).await, "ListenerId");
    (group, listener)
}

fn text(json: &serde_json::Value, name: &str) -> String {
    json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned()
}
