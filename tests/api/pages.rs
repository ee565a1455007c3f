//! Pages, cursors and long answers.

use crate::world::{World, report};
use ringcheck::health::Observed;
use ringcheck::outcome::{Code, Outcome};
use serde_json::Value;

fn ids(json: &Value) -> Vec<String> {
    let targets = json["targets"].as_array().unwrap();
    targets.iter().map(|target| target["id"].as_str().unwrap().to_owned()).collect()
}

/// All pages from `query` on; `between` is done after each.
async fn walk(world: &World, query: &str, mut between: impl FnMut(&World)) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let json = world.get(&format!("/v1/groups/big/targets?{query}{cursor}")).await.json();
        all.extend(ids(&json));
        match json["next_cursor"].as_str() {
            None => return all,
            Some(text) => cursor = format!("&cursor={text}"),
        }
        between(world);
    }
}

fn big(positions: impl Iterator<Item = usize>) -> Vec<String> {
    positions.map(|p| format!("127.1.{}.{}", p / 256, p % 256)).collect()
}

#[tokio::test]
async fn pages_cover_a_group_once_and_in_order_whatever_their_size() {
    let world = World::start();
    for limit in [7, 1_000, 4_095, 4_096, 10_000] {
        let all = walk(&world, &format!("limit={limit}"), |_| ()).await;
        assert_eq!(all, big(0..4_096), "{limit}");
    }
    let sick = walk(&world, "state=unhealthy&limit=9", |_| ()).await;
    assert_eq!(sick, big((99..4_096).step_by(100)));
    let coded = walk(&world, "code=L4CON&limit=40", |_| ()).await;
    assert_eq!(coded, sick);
    assert!(walk(&world, "code=L4CON&state=healthy", |_| ()).await.is_empty());
}

#[tokio::test]
async fn a_long_page_comes_in_pieces_and_a_short_one_with_its_length() {
    let world = World::start();
    let long = world.get("/v1/groups/big/targets?limit=10000").await;
    assert_eq!(long.header("transfer-encoding"), Some("chunked"));
    let short = world.get("/v1/groups/big/targets?limit=256").await;
    assert!(short.header("content-length").is_some(), "{:?}", short.headers);
    assert_eq!(ids(&short.json()).len(), 256);
}

#[tokio::test]
async fn targets_that_change_their_state_between_pages_move_no_other() {
    let world = World::start();
    let mut next = 0;
    let seen = walk(&world, "state=unhealthy&limit=5", |world| {
        // One that was on a page already recovers.
        let target = world.target("big", next * 100 + 99);
        let ok = Outcome::plain(Code::L4Ok);
        world.report(vec![report(target, 99_000, Observed::Healthy, ok)]);
        next += 1;
    })
    .await;
    assert_eq!(seen, big((99..4_096).step_by(100)));
}

#[tokio::test]
async fn pages_miss_and_repeat_nobody_who_stays_whatever_comes_and_goes_between_them() {
    let world = World::start();
    let mut pages = 0;
    let seen = walk(&world, "limit=100", |world| {
        pages += 1;
        match pages {
            // The first 112 leave, the page's last target among them.
            1 => world.install_with_big(r#"["127.1.0.112/28", "127.1.0.128/25", "127.1.1.0/24"]"#),
            // New ones at the head of the file, the old ones in another order, 127.1.0.212 left.
            2 => world.install_with_big(
                r#"["127.9.0.0/31", "127.1.1.0/24", "127.1.0.224/27", "127.1.0.192/28",
                    "127.1.0.208/30", "127.1.0.213", "127.1.0.214/31", "127.1.0.216/29",
                    "127.1.0.128/26", "127.1.0.112/28"]"#,
            ),
            _ => {}
        }
    })
    .await;
    let mut expected = big((0..100).chain(112..512).filter(|&place| place != 212));
    // The page before the second reload ended with 127.1.0.211.
    expected.extend(["127.9.0.0".to_owned(), "127.9.0.1".to_owned()]);
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_cursor_whose_target_was_the_last_one_ends_the_listing() {
    let world = World::start();
    let first = world.get("/v1/groups/big/targets?limit=100").await.json();
    world.install_with_big(r#"["127.1.0.0", "127.1.0.1"]"#);
    let cursor = first["next_cursor"].as_str().unwrap();
    let page = world.get(&format!("/v1/groups/big/targets?cursor={cursor}")).await.json();
    assert_eq!((ids(&page), &page["next_cursor"]), (vec![], &Value::Null));
}

#[tokio::test]
async fn the_bitmap_has_a_bit_for_every_member() {
    let world = World::start();
    let bitmap = world.get("/v1/groups/big/bitmap").await;
    assert_eq!(bitmap.header("content-type"), Some("application/octet-stream"));
    assert_eq!(bitmap.body.len(), 512);
    for position in 0..4_096 {
        let bit = bitmap.body[position / 8] >> (position % 8) & 1 == 1;
        assert_eq!(bit, position % 100 != 99, "{position}");
    }
    assert!(world.get("/v1/groups/empty/bitmap").await.body.is_empty());
}

#[tokio::test]
async fn counts_of_the_summary_add_up_and_events_page_through() {
    let world = World::start();
    let targets = world.get("/v1/summary").await.json()["targets"].clone();
    let states = ["initial", "healthy", "unhealthy", "draining", "unused", "unavailable"];
    let sum: u64 = states.iter().map(|state| targets[state].as_u64().unwrap()).sum();
    assert_eq!(targets["total"].as_u64(), Some(sum));
    assert_eq!(sum, 10 + 4_096 + 1 + 1 + 4);

    let (mut since, mut seqs) = (0, Vec::new());
    loop {
        let page = world.get(&format!("/v1/events?since={since}&limit=1000")).await.json();
        let events = page["events"].as_array().unwrap();
        seqs.extend(events.iter().map(|event| event["seq"].as_u64().unwrap()));
        since = page["next_since"].as_u64().unwrap();
        if events.is_empty() {
            break;
        }
    }
    let newest = world.table.history().newest();
    assert_eq!(seqs, (1..=newest).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_long_list_of_groups_comes_whole() {
    let world = World::start();
    let group = |n| format!("[[group]]\nname = \"g{n}\"\ntargets = [\"127.9.0.1:80\"]\n");
    for count in [0, 1, 128, 129, 300] {
        world.install(&(0..count).map(group).collect::<String>());
        let json = world.get("/v1/groups").await.json();
        let groups = json["groups"].as_array().unwrap();
        let names: Vec<_> = groups.iter().map(|group| group["name"].clone()).collect();
        assert_eq!(names, (0..count).map(|n| format!("g{n}")).collect::<Vec<_>>());
    }
}
