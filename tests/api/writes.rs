//! What the native API changes: groups, targets, marks; every answer and refusal byte for byte, and
//! what it is told must never do.

use crate::golden::{compare, note};
use crate::world::{Answer, World};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// One after the other, in one world.
const REQUESTS: [&str; 84] = [
    // groups
    "PUT /v1/groups/new {\"rules\":\"free\",\"port\":8080,\"deregistration_delay\":\"20s\",\
     \"health_check\":{\"protocol\":\"HTTP\",\"path\":\"/up\",\"interval\":\"500ms\",\"timeout\":\"250ms\"}}",
    "PUT /v1/groups/bare",
    "GET /v1/groups/new",
    "PUT /v1/groups/new {\"rules\":\"free\",\"port\":8081}",
    "PATCH /v1/groups/new {\"health_check\":{\"interval\":\"2s\",\"timeout\":\"1s\"}}",
    "PATCH /v1/groups/new {\"health_check\":{\"protocol\":\"HTTP\",\"matcher\":\"200\"}}",
    "PATCH /v1/groups/new {\"deregistration_delay\":\"1m\",\"health_check\":null}",
    "PATCH /v1/groups/new {}",
    "PATCH /v1/groups/new",
    "PUT /v1/groups/new {\"targets\":[{\"address\":\"127.0.0.1\"}]}",
    "PUT /v1/groups/new {\"prot\":80}",
    "PUT /v1/groups/new {\"port\":80,\"port\":81}",
    "PUT /v1/groups/new {\"port\":\"80\"}",
    "PUT /v1/groups/new {\"port\":0}",
    "PUT /v1/groups/new {\"port\":NaN}",
    "PUT /v1/groups/new {\"port\":80} {}",
    "PUT /v1/groups/new {\"port\":",
    "PUT /v1/groups/new []",
    "PUT /v1/groups/new {\"health_check\":{\"intervall\":\"10s\"}}",
    "PUT /v1/groups/new {\"health_check\":{\"interval\":\"11s\"}}",
    "PUT /v1/groups/new {\"health_check\":{\"interval\":10}}",
    "PUT /v1/groups/new {\"health_check\":{\"path\":\"/up\"}}",
    "PUT /v1/groups/new {\"health_check\":[]}",
    "PUT /v1/groups/new {\"deregistration_delay\":\"2h\"}",
    "PUT /v1/groups/new {\"rules\":\"strict\"}",
    "PUT /v1/groups/new?force=1 {}",
    "PATCH /v1/groups/new {\"rules\":\"classic\"}",
    "PATCH /v1/groups/web {\"port\":80}",
    "PUT /v1/groups/tg-web {\"port\":80}",
    "PATCH /v1/groups/nothing {\"port\":80}",
    "DELETE /v1/groups/web",
    "DELETE /v1/groups/nothing",
    "POST /v1/groups/new {}",
    // targets
    "POST /v1/groups/new/targets {\"targets\":[{\"address\":\"127.9.0.1\"},{\"id\":\"i-1\",\"address\":\"127.9.0.2\",\
     \"port\":90,\"zone\":\"zone-a\",\"weight\":5},{\"id\":\"i-1\",\"address\":\"127.9.0.2\",\"port\":91}]}",
    "GET /v1/groups/new/targets",
    "POST /v1/groups/new/targets {\"targets\":[{\"address\":\"127.9.0.1\"},{\"address\":\"127.9.0.3\"}]}",
    "POST /v1/groups/new/targets {\"targets\":[{\"address\":\"127.9.0.1\"}]}",
    "POST /v1/groups/new/targets {\"targets\":[]}",
    "POST /v1/groups/new/targets {\"targets\":[{\"address\":\"127.9.0.4\"},{\"address\":\"127.9.0.999\"}]}",
    "POST /v1/groups/new/targets {\"targets\":[{\"address\":\"127.9.0.4\"},{\"adress\":\"127.9.0.5\"}]}",
    "POST /v1/groups/new/targets {\"targets\":[{\"address\":\"127.9.0.4\"},{\"address\":\"127.9.0.4\"}]}",
    "POST /v1/groups/new/targets {\"targets\":[{\"address\":\"127.9.0.4\",\"port\":65536}]}",
    "POST /v1/groups/new/targets {\"targets\":[{\"address\":\"127.9.0.4\",\"weight\":1.5}]}",
    "POST /v1/groups/new/targets {\"targets\":[{\"address\":\"127.9.0.0/24\"}]}",
    "POST /v1/groups/new/targets {\"targets\":[{\"address\":\"web.internal\"}]}",
    "POST /v1/groups/new/targets {\"targets\":{}}",
    "POST /v1/groups/new/targets {\"target\":[]}",
    "POST /v1/groups/new/targets {\"targets\":[],\"targets\":[]}",
    "POST /v1/groups/new/targets {\"targets\":[]}x",
    "POST /v1/groups/new/targets",
    "POST /v1/groups/new/targets [{\"address\":\"127.9.0.4\"}]",
    "POST /v1/groups/bare/targets {\"targets\":[{\"address\":\"127.9.0.4\"}]}",
    "POST /v1/groups/web/targets {\"targets\":[{\"address\":\"127.9.0.4\"}]}",
    "POST /v1/groups/nothing/targets {\"targets\":[{\"address\":\"127.9.0.4\"}]}",
    "POST /v1/groups/new/targets?port=1 {\"targets\":[]}",
    // marks
    "PATCH /v1/groups/new/targets/127.9.0.1 {\"lifecycle\":\"stopped\"}",
    "PATCH /v1/groups/new/targets/127.9.0.1 {\"lifecycle\":\"stopped\"}",
    "GET /v1/groups/new/targets/127.9.0.1",
    "PATCH /v1/groups/new/targets/i-1?port=91 {\"weight\":0}",
    "GET /v1/groups/new/targets/i-1?port=91",
    "PATCH /v1/groups/new/targets/i-1 {\"weight\":7,\"lifecycle\":null}",
    "PATCH /v1/groups/new/targets/i-1 {}",
    "PATCH /v1/groups/new/targets/i-1",
    "PATCH /v1/groups/new/targets/i-1 {\"weight\":1001}",
    "PATCH /v1/groups/new/targets/i-1 {\"lifecycle\":\"stoped\"}",
    "PATCH /v1/groups/new/targets/i-1 {\"wait\":1}",
    "PATCH /v1/groups/new/targets/i-1 {\"weight\":1,\"weight\":1}",
    "PATCH /v1/groups/new/targets/i-1?port=92 {\"weight\":1}",
    "PATCH /v1/groups/new/targets/i-9 {\"weight\":1}",
    "PATCH /v1/groups/new/targets/i-1?port=x {\"weight\":1}",
    "PATCH /v1/groups/web/targets/i-well {\"weight\":1}",
    // and away with them
    "DELETE /v1/groups/new/targets {\"targets\":[{\"id\":\"127.9.0.3\"},{\"id\":\"i-9\"}]}",
    "GET /v1/groups/new/targets/127.9.0.3",
    "DELETE /v1/groups/new/targets {\"targets\":[{\"id\":\"127.9.0.3\"},{\"id\":\"i-1\",\"port\":91}]}",
    "DELETE /v1/groups/new/targets {\"targets\":[{\"address\":\"127.9.0.3\"}]}",
    "GET /v1/groups/new/targets?state=draining",
    "DELETE /v1/groups/new/targets",
    "DELETE /v1/groups/new/targets {\"targets\":[{\"id\":\"i-1\",\"zone\":\"zone-a\"}]}",
    "DELETE /v1/groups/new/targets/127.9.0.1",
    "DELETE /v1/groups/new/targets/i-1?port=92",
    "DELETE /v1/groups/web/targets/i-well",
    "POST /v1/groups/new/targets {\"targets\":[{\"address\":\"127.9.0.3\"}]}",
    "DELETE /v1/groups/new",
    "GET /v1/groups/new",
];

async fn ask(world: &World, request: &str) -> Answer {
    let (method, rest) = request.split_once(' ').unwrap();
    let (path, body) = rest.split_once(' ').unwrap_or((rest, ""));
    world.send(method, path, body).await
}

#[tokio::test]
async fn every_change_and_refusal_is_as_written_down() {
    let world = World::start();
    let mut transcript = String::new();
    for request in REQUESTS {
        let answer = ask(&world, request).await;
        if answer.status >= 400 {
            answer.error();
        }
        note(&mut transcript, request, &answer);
    }
    compare(&transcript, "api-writes.txt");
}

#[tokio::test]
async fn a_request_that_is_wrong_in_one_place_changes_nothing() {
    let world = World::start();
    ask(&world, "PUT /v1/groups/new {\"rules\":\"free\",\"port\":80}").await;
    let mut targets: Vec<String> =
        (0..2_000).map(|n| format!("{{\"address\":\"127.8.{}.{}\"}}", n / 250, n % 250)).collect();
    let before = world.table.view().registry.revision;
    // The limit of this world is 6,000 targets, of which its file has 4,112.
    let body = format!("POST /v1/groups/new/targets {{\"targets\":[{}]}}", targets.join(","));
    assert_eq!(ask(&world, &body).await.error(), (409, "TooMany".to_owned()));
    targets.truncate(1_000);
    targets[999] = "{\"address\":\"127.8.0.1\",\"port\":-1}".to_owned();
    let body = format!("POST /v1/groups/new/targets {{\"targets\":[{}]}}", targets.join(","));
    let refused = ask(&world, &body).await;
    assert_eq!(refused.error(), (400, "InvalidBody".to_owned()));
    assert!(refused.text().contains("targets[999]"), "{}", refused.text());
    assert_eq!(world.table.view().registry.revision, before);
    assert_eq!(world.get("/v1/groups/new").await.json()["targets"]["total"], 0);
}

#[tokio::test]
async fn deep_and_endless_bodies_are_a_400_and_cost_no_stack() {
    let world = World::start();
    ask(&world, "PUT /v1/groups/new {\"rules\":\"free\"}").await;
    let paths = ["/v1/groups/new", "/v1/groups/new/targets", "/v1/groups/new/targets/i"];
    for nested in ["[", "{\"targets\":[", "{\"targets\":{\"a\":", "{\"health_check\":{\"host\":["] {
        let body = nested.repeat(1_000_000 / nested.len());
        for (method, path) in ["PUT", "POST", "PATCH"].into_iter().zip(paths) {
            let answer = world.send(method, path, &body).await;
            assert_eq!(answer.error(), (400, "InvalidBody".to_owned()), "{method} {nested}");
        }
        let answer = world.send("DELETE", paths[1], &body).await;
        assert_eq!(answer.error(), (400, "InvalidBody".to_owned()), "{nested}");
    }
    for rubbish in ["\u{0}", "nul", "\"", "{\"a\":\"\\ud800\"}", "\u{feff}{}", "1e999", "{]"] {
        for (method, path) in ["PUT", "POST", "PATCH"].into_iter().zip(paths) {
            let answer = world.send(method, path, rubbish).await;
            assert_eq!(answer.error().0, 400, "{method} {rubbish}");
        }
    }
}

#[tokio::test]
async fn clients_that_change_different_settings_at_once_both_have_their_way() {
    let world = World::start();
    ask(&world, "PUT /v1/groups/new {\"rules\":\"free\"}").await;
    let change = async |key: &str, values: std::ops::Range<u32>| {
        for value in values {
            let body = format!("PATCH /v1/groups/new {{\"health_check\":{{\"{key}\":{value}}}}}");
            assert_eq!(ask(&world, &body).await.status, 200);
        }
    };
    tokio::join!(change("healthy_threshold", 5..50), change("unhealthy_threshold", 5..60));
    let check = &world.get("/v1/groups/new").await.json()["health_check"];
    assert_eq!(
        (&check["healthy_threshold"], &check["unhealthy_threshold"]),
        (&49.into(), &59.into())
    );
}

#[tokio::test]
async fn a_group_that_a_listener_uses_stays() {
    let world = World::start();
    ask(&world, "PUT /v1/groups/new {}").await;
    let load_balancer = "edge".to_owned();
    let origin = ringcheck::config::Origin {
        source: ringcheck::config::Source::Aws,
        ..ringcheck::config::Origin::default()
    };
    let listener = ringcheck::config::ListenerConfig {
        name: "to-new".to_owned(),
        id: "listener-new".to_owned(),
        load_balancer,
        port: 81,
        protocol: ringcheck::config::ListenerProtocol::Tcp,
        groups: vec!["new".to_owned()],
        origin,
    };
    world.edit(ringcheck::edit::Edit::CreateListener(Box::new(listener))).await.unwrap();
    let listed = world.get("/v1/listeners").await.json();
    assert_eq!(listed["listeners"][1]["source"], "api");
    assert_eq!(listed["listeners"][1]["file"], serde_json::Value::Null);
    let refused = ask(&world, "DELETE /v1/groups/new").await;
    assert_eq!(refused.error(), (409, "InUse".to_owned()));
    assert!(refused.text().contains("listener 'to-new'"), "{}", refused.text());
}

#[tokio::test]
async fn wrong_methods_are_told_the_right_ones() {
    let world = World::start();
    let cases = [
        ("POST", "/v1/groups/web", "DELETE,GET,HEAD,PATCH,PUT"),
        ("PUT", "/v1/groups/web/targets", "DELETE,GET,HEAD,POST"),
        ("PUT", "/v1/groups/web/targets/i-well", "DELETE,GET,HEAD,PATCH"),
        ("GET", "/v1/reload", "POST"),
        ("POST", "/v1/listeners", "GET,HEAD"),
    ];
    for (method, path, expected) in cases {
        let answer = world.send(method, path, "").await;
        assert_eq!(answer.error(), (405, "MethodNotAllowed".to_owned()));
        let mut allowed: Vec<&str> = answer.header("allow").unwrap().split(',').collect();
        allowed.sort_unstable();
        assert_eq!(allowed.join(","), expected, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn large_bodies_wait_for_a_place_and_small_ones_do_not() {
    let world = World::start();
    let head = "POST /v1/groups/web/targets HTTP/1.1\r\nhost: x\r\ncontent-length: 8000000\r\n\r\n";
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut stream = world.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    let small = world.post("/v1/groups/web/targets", "{\"targets\":[]}").await;
    assert_eq!(small.error(), (409, "ReadOnly".to_owned()));
    let large = format!("{{\"targets\":[]{}}}", " ".repeat(100_000));
    let start = tokio::time::Instant::now();
    let waited = world.post("/v1/groups/web/targets", &large).await;
    assert_eq!(waited.error(), (409, "ReadOnly".to_owned()), "once the slow ones are cut off");
    assert!(start.elapsed() > Duration::from_secs(20), "{:?}", start.elapsed());
}
