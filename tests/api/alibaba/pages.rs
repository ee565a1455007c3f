//! Paging through what is not normal while everything changes, against a model: whoever stays is
//! neither missed nor shown twice.

use super::{good, group_in_use};
use crate::world::{World, report};
use ringcheck::health::Observed;
use ringcheck::outcome::{Code, Outcome};
use ringcheck::rng::Rng;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Group and server.
type Server = (String, String);

/// One page: its servers, and the token of the next one.
async fn page(world: &World, listener: &str, max: usize, token: &str) -> (Vec<Server>, String) {
    let form = format!("ListenerId={listener}&MaxResults={max}&NextToken={token}");
    let answer = good(world, "GetListenerHealthStatus", &form).await;
    let mut servers = Vec::new();
    for info in answer["ListenerHealthStatus"][0]["ServerGroupInfos"].as_array().unwrap() {
        let group = info["ServerGroupId"].as_str().unwrap();
        for server in info["NonNormalServers"].as_array().unwrap() {
            servers.push((group.to_owned(), server["ServerId"].as_str().unwrap().to_owned()));
        }
    }
    assert!(servers.len() <= max);
    (servers, answer["NextToken"].as_str().unwrap().to_owned())
}

/// Marks a server healthy or unhealthy.
fn mark(world: &World, (group, server): &Server, healthy: bool) {
    let view = world.table.view();
    let group = view.registry.group(group).unwrap();
    let position = group.members.find(server, None).unwrap();
    let (observed, code) =
        if healthy { (Observed::Healthy, Code::L4Ok) } else { (Observed::Unhealthy, Code::L4Con) };
    let target = group.members.target(position);
    world.report(vec![report(target, 99_000, observed, Outcome::plain(code))]);
}

#[tokio::test]
async fn two_hundred_and_fifty_by_twenty_while_servers_come_and_go() {
    for seed in 0..4 {
        churn_of_one_group(seed).await;
    }
}

async fn churn_of_one_group(seed: u64) {
    let world = World::start();
    let mut rng = Rng::new(seed);
    let (group, listener) = group_in_use(&world, "").await;
    let name = |n: u64| format!("10.0.{}.{}", n / 250, n % 250);
    let form = |range: std::ops::Range<u64>| {
        let one = |(index, n)| {
            let index = index + 1;
            let name = name(n);
            format!(
                "&Servers.{index}.ServerId={name}&Servers.{index}.ServerType=Ip&Servers.{index}.Port=80"
            )
        };
        let servers: String = range.enumerate().map(one).collect();
        format!("ServerGroupId={group}{servers}")
    };
    good(&world, "AddServersToServerGroup", &form(0..500)).await;
    let server = |n: u64| (group.clone(), name(n));
    // Every second one is not normal.
    let mut abnormal: BTreeMap<u64, bool> = (0..500).map(|n| (n, n % 2 == 0)).collect();
    abnormal.iter().for_each(|(&n, &abnormal)| mark(&world, &server(n), !abnormal));
    let mut stays: BTreeSet<u64> = (0..500).filter(|n| abnormal[n]).collect();
    let (mut shown, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let (servers, next) = page(&world, &listener, 20, &token).await;
        assert!(next.is_empty() || servers.len() == 20);
        shown.extend(servers);
        pages += 1;
        if next.is_empty() {
            break;
        }
        token = next;
        for _ in 0..15 {
            let n = rng.below(500);
            if let Some(state) = abnormal.get_mut(&n) {
                *state = !*state;
                mark(&world, &server(n), !*state);
                stays.remove(&n);
            }
        }
        // Some leave for ever, be it the one that the token names; some are new.
        let last = shown.last().unwrap().1.clone();
        let leave = (0..500).find(|n| name(*n) == last && rng.chance(1, 2));
        for n in leave.into_iter().chain([rng.below(500)]) {
            if abnormal.remove(&n).is_some() {
                stays.remove(&n);
                good(&world, "RemoveServersFromServerGroup", &form(n..n + 1)).await;
            }
        }
        let new = 500 + pages;
        good(&world, "AddServersToServerGroup", &form(new..new + 1)).await;
    }
    let once: BTreeSet<Server> = shown.iter().cloned().collect();
    assert_eq!(once.len(), shown.len(), "seed {seed}: a server was shown twice");
    let missed: Vec<_> = stays.iter().filter(|n| !once.contains(&server(**n))).collect();
    assert!(missed.is_empty(), "seed {seed}: {missed:?} were missed");
    assert!(pages >= 10, "seed {seed}: {pages} pages");
}

/// No two groups have an address in common: what is probed once would change in both.
fn address(group: &str, n: u64) -> String {
    format!("127.5.{}.{n}", group.as_bytes()[0])
}

/// Three groups behind one listener of a file.
fn config(order: &[&str], targets: &BTreeMap<&str, BTreeSet<u64>>) -> String {
    let quoted = |texts: Vec<String>| format!("[{}]", texts.join(", "));
    let names = quoted(order.iter().map(|name| format!("\"{name}\"")).collect());
    let mut text = format!(
        "[[load_balancer]]\nname = \"lb\"\n[[listener]]\nname = \"lsn\"\nload_balancer = \"lb\"\n\
         port = 80\ngroups = {names}\n"
    );
    for (name, targets) in targets {
        let targets = targets.iter().map(|n| format!("\"{}:80\"", address(name, *n)));
        let targets = quoted(targets.collect());
        text.push_str(&format!(
            "[[group]]\nname = \"{name}\"\nid = \"{name}\"\nderegistration_delay = \"0s\"\n\
             targets = {targets}\n"
        ));
    }
    text
}

#[tokio::test]
async fn groups_of_a_listener_come_go_and_change_places_between_pages() {
    for seed in 0..4 {
        churn_of_groups(seed).await;
    }
}

/// A place below `len`.
fn below(rng: &mut Rng, len: usize) -> usize {
    usize::try_from(rng.below(len as u64)).unwrap()
}

async fn churn_of_groups(seed: u64) {
    let world = World::start();
    let mut rng = Rng::new(seed);
    let mut order = vec!["a", "b", "c"];
    let mut targets: BTreeMap<&str, BTreeSet<u64>> =
        order.iter().map(|name| (*name, (0..60).collect())).collect();
    world.install(&config(&order, &targets));
    let mut stays: BTreeSet<Server> = BTreeSet::new();
    let server = |group: &str, n: u64| (group.to_owned(), address(group, n));
    for (group, targets) in &targets {
        stays.extend(targets.iter().map(|n| server(group, *n)));
    }
    let (mut shown, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let (servers, next) = page(&world, "lsn", 7, &token).await;
        shown.extend(servers);
        pages += 1;
        if next.is_empty() {
            break;
        }
        token = next;
        // Initial until now: from here on some are healthy for good.
        let group = order[below(&mut rng, order.len())];
        let n = rng.below(60);
        if targets[group].contains(&n) {
            mark(&world, &server(group, n), true);
            stays.remove(&server(group, n));
        }
        if pages % 3 == 0 {
            let group = order[below(&mut rng, order.len())];
            let n = rng.below(60);
            targets.get_mut(group).unwrap().remove(&n);
            stays.remove(&server(group, n));
            let places = order.len();
            order.swap(below(&mut rng, places), below(&mut rng, places));
            if pages == 6 {
                order.insert(below(&mut rng, places), "new");
                targets.insert("new", (0..20).collect());
            }
            if pages == 12 {
                let gone = order.remove(below(&mut rng, places));
                targets.remove(gone);
                stays.retain(|(group, _)| group != gone);
            }
            world.install(&config(&order, &targets));
        }
    }
    let once: BTreeSet<Server> = shown.iter().cloned().collect();
    assert_eq!(once.len(), shown.len(), "seed {seed}: a server was shown twice");
    let missed: Vec<_> = stays.difference(&once).collect();
    assert!(missed.is_empty(), "seed {seed}: {missed:?} were missed");
    assert!(pages > 12, "seed {seed}: {pages} pages");
}

#[tokio::test]
async fn listings_page_through_objects_and_servers() {
    let world = World::start();
    for n in 0..7 {
        let form = format!("ServerGroupName=made-{n}&VpcId=vpc-9");
        good(&world, "CreateServerGroup", &form).await;
    }
    let walk = async |action: &str, form: &str, list: &str, id: &str| -> (Vec<String>, Value) {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let form = format!("{form}&MaxResults=3&NextToken={token}");
            let answer = good(&world, action, &form).await;
            let page = answer[list].as_array().unwrap();
            all.extend(page.iter().map(|one| one[id].as_str().unwrap().to_owned()));
            token = answer["NextToken"].as_str().unwrap().to_owned();
            if token.is_empty() {
                return (all, answer["TotalCount"].clone());
            }
        }
    };
    let (groups, total) =
        walk("ListServerGroups", "VpcId=vpc-9", "ServerGroups", "ServerGroupId").await;
    assert_eq!(
        (groups.iter().collect::<BTreeSet<_>>().len(), groups.len(), total),
        (7, 7, 7.into())
    );
    let (servers, total) =
        walk("ListServerGroupServers", "ServerGroupId=web", "Servers", "ServerId").await;
    let expected = [
        "i-well",
        "i-503",
        "i-rising",
        "i-fault",
        "i-new",
        "i-light",
        "i-stopped",
        "i-abroad",
        "i-two",
        "i-two",
    ];
    assert_eq!((servers, total), (expected.map(str::to_owned).to_vec(), 10.into()));
    let form = "ServerGroupId=big&ServerIps.1=127.1.0.9&ServerIps.2=127.1.0.8&ServerIps.3=127.1.0.7&\
                ServerIps.4=127.1.0.6";
    let (servers, _) = walk("ListServerGroupServers", form, "Servers", "ServerId").await;
    assert_eq!(servers, ["127.1.0.6", "127.1.0.7", "127.1.0.8", "127.1.0.9"]);
}
