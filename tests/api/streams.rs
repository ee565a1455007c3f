//! `GET /v1/events/stream`: every transition once and in order, whatever the client does.

use crate::world::{World, report};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ringcheck::health::Observed;
use ringcheck::limits::{EVENTS_MAX, STOP_GRACE};
use ringcheck::outcome::{Code, Outcome};
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

/// Targets of the group `big`.
const BIG: usize = 4_096;

/// A client of the stream.
struct Reader {
    body: Incoming,
    text: String,
}

/// What the format calls an event.
#[derive(Debug, Default, PartialEq)]
struct Message {
    id: Option<u64>,
    event: String,
    data: Value,
    comment: String,
}

impl Reader {
    async fn open(world: &World, query: &str, last_event_id: Option<&str>) -> Self {
        let stream = TokioIo::new(world.connect().await);
        let (mut sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut request = hyper::Request::get(format!("/v1/events/stream{query}"));
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let request = request.header("host", "x").body(Empty::<Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), text: String::new() }
    }

    /// The next message or comment; none at the end.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let message = Message::parse(block);
                self.text = rest.to_owned();
                return Some(message);
            }
            let frame = self.body.frame().await?.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&frame).unwrap());
        }
    }

    /// Reads up to the transition `last`: the seqs of all, and how many were lost.
    async fn read_to(&mut self, last: u64) -> (Vec<u64>, u64) {
        let (mut seqs, mut lost) = (Vec::new(), 0);
        while seqs.last() != Some(&last) {
            let message = self.next().await.unwrap();
            match message.event.as_str() {
                "transition" => {
                    assert_eq!(message.data["seq"], message.id.unwrap());
                    seqs.extend(message.id);
                }
                "lost" => lost += message.data["lost"].as_u64().unwrap(),
                _ => assert_eq!(message.data, Value::Null),
            }
        }
        (seqs, lost)
    }
}

impl Message {
    fn parse(block: &str) -> Self {
        let mut message = Self::default();
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap();
            let value = value.trim_start();
            match field {
                "" => message.comment = value.to_owned(),
                "id" => message.id = Some(value.parse().unwrap()),
                "event" => message.event = value.to_owned(),
                "data" => message.data = serde_json::from_str(value).unwrap(),
                _ => panic!("unknown field in {block}"),
            }
        }
        message
    }
}

/// Changes the state of the first `count` targets of `big`, which are all of one mind afterwards.
fn flip(world: &World, count: usize, to: Observed) {
    let outcome = Outcome::plain(if to == Observed::Healthy { Code::L4Ok } else { Code::L4Tout });
    let reports = (0..count).map(|at| report(world.target("big", at), 92_000, to, outcome));
    let reports = reports.collect();
    world.report(reports);
}

fn newest(world: &World) -> u64 {
    world.table.history().newest()
}

#[tokio::test(start_paused = true)]
async fn without_a_number_it_begins_with_what_comes_and_with_one_behind_it() {
    let world = World::start();
    let before = newest(&world);
    let mut fresh = Reader::open(&world, "", None).await;
    assert_eq!(fresh.next().await.unwrap().id, Some(before), "the number to resume with");
    flip(&world, 3, Observed::Unhealthy);
    let message = fresh.next().await.unwrap();
    assert_eq!((message.event.as_str(), message.id), ("transition", Some(before + 1)));
    let listed = world.get(&format!("/v1/events?since={before}&limit=1")).await.json();
    assert_eq!(message.data, listed["events"][0], "an event is that of the listing");

    let expected: Vec<u64> = (before - 1..=before + 3).collect();
    let since = format!("?since={}", before - 2);
    let mut resumed = Reader::open(&world, &since, None).await;
    assert_eq!(resumed.read_to(before + 3).await, (expected.clone(), 0));
    // The header wins over the parameter, as it does when a browser reconnects.
    let id = (before - 2).to_string();
    let mut again = Reader::open(&world, "?since=1", Some(&id)).await;
    assert_eq!(again.read_to(before + 3).await, (expected, 0));
}

#[tokio::test(start_paused = true)]
async fn every_transition_comes_once_and_in_order_while_many_happen() {
    let world = World::start();
    let before = newest(&world);
    let mut readers = Vec::new();
    for _ in 0..5 {
        readers.push(Reader::open(&world, "", None).await);
    }
    let mut seen: Vec<Vec<u64>> = vec![Vec::new(); readers.len()];
    flip(&world, BIG, Observed::Healthy);
    for round in 0..10 {
        let to = if round % 2 == 0 { Observed::Unhealthy } else { Observed::Healthy };
        flip(&world, BIG, to);
        let last = newest(&world);
        for (reader, seen) in readers.iter_mut().zip(&mut seen) {
            // Some readers leave some rounds out.
            if round == 9 || !(last + seen.len() as u64).is_multiple_of(3) {
                let (seqs, lost) = reader.read_to(last).await;
                assert_eq!(lost, 0);
                seen.extend(seqs);
            }
        }
    }
    let all: Vec<u64> = (before + 1..=newest(&world)).collect();
    assert!(all.len() > 10 * BIG);
    for seen in seen {
        assert!(seen == all, "{} of {} came", seen.len(), all.len());
    }
}

#[tokio::test(start_paused = true)]
async fn who_falls_behind_the_ring_is_told_how_many_are_lost_and_goes_on() {
    let world = World::start();
    flip(&world, BIG, Observed::Healthy);
    let before = newest(&world);
    for round in 0..EVENTS_MAX / BIG + 2 {
        let to = if round % 2 == 0 { Observed::Unhealthy } else { Observed::Healthy };
        flip(&world, BIG, to);
    }
    let last = newest(&world);
    let mut reader = Reader::open(&world, &format!("?since={before}"), None).await;
    let (seqs, lost) = reader.read_to(last).await;
    let oldest = last - EVENTS_MAX as u64 + 1;
    assert_eq!(lost, oldest - before - 1);
    assert!(seqs.iter().copied().eq(oldest..=last));
    // A number from before the events were numbered anew: all of them are news.
    let mut stranger = Reader::open(&world, &format!("?since={}", last + 1), None).await;
    assert_eq!(stranger.read_to(last).await.0.len(), EVENTS_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_group_can_be_asked_for_and_a_quiet_one_beats_every_15_seconds() {
    let world = World::start();
    let before = newest(&world);
    let mut reader = Reader::open(&world, "?group=tg-web", None).await;
    reader.next().await.unwrap();
    flip(&world, BIG, Observed::Unhealthy);
    let start = Instant::now();
    let beat = reader.next().await.unwrap();
    let waited = start.elapsed().as_secs_f64();
    assert!((14.0..16.5).contains(&waited), "{waited} s");
    let last = newest(&world);
    assert_eq!((beat.id, beat.event.as_str()), (Some(last), ""), "resumes behind the others'");
    assert_eq!(reader.next().await.unwrap(), Message::default(), "a bare comment");
    let outcome = Outcome::plain(Code::L7Tout);
    let sick = report(world.target("web", 0), 93_000, Observed::Unhealthy, outcome);
    world.report(vec![sick]);
    assert_eq!(reader.next().await.unwrap().data["id"], "i-well");
    let listed = world.get(&format!("/v1/events?group=web&since={before}&limit=9")).await.json();
    assert_eq!(listed["events"].as_array().unwrap().len(), 1);
    assert_eq!(listed["next_since"], last + 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_cut_off_and_costs_nobody_else() {
    let world = World::start();
    let mut stream = world.connect().await;
    let ask = b"GET /v1/events/stream?since=0 HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    flip(&world, BIG, Observed::Healthy);
    flip(&world, BIG, Observed::Unhealthy);
    tokio::time::sleep(Duration::from_secs(40)).await;
    let mut cut = Vec::new();
    let _ = stream.read_to_end(&mut cut).await;
    assert!(!cut.ends_with(b"0\r\n\r\n"), "{} bytes came", cut.len());
    assert_eq!(world.get("/healthz").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn streams_end_at_a_stop_at_once() {
    let world = World::start();
    let mut reader = Reader::open(&world, "", None).await;
    reader.next().await.unwrap();
    let start = Instant::now();
    let ended = tokio::spawn(async move { while reader.next().await.is_some() {} });
    world.stop().await;
    assert!(start.elapsed() < STOP_GRACE / 2, "{:?}", start.elapsed());
    ended.await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_resumed_is_a_400_and_an_unknown_group_a_404() {
    let world = World::start();
    for (query, expected) in [
        ("?since=-1", (400, "InvalidParameter")),
        ("?since=1&since=2", (400, "InvalidParameter")),
        ("?limit=1", (400, "UnknownParameter")),
        ("?group=nothing", (404, "UnknownGroup")),
    ] {
        let answer = world.get(&format!("/v1/events/stream{query}")).await;
        assert_eq!(answer.error(), (expected.0, expected.1.to_owned()), "{query}");
    }
    for id in ["", "-1", "+1", "x", "1,2", "99999999999999999999"] {
        let head = format!(
            "GET /v1/events/stream HTTP/1.1\r\nhost: x\r\nlast-event-id: {id}\r\n\
             connection: close\r\n\r\n"
        );
        let answer = crate::world::Answer::parse(&world.exchange(head.as_bytes()).await);
        assert_eq!(answer.error(), (400, "InvalidParameter".to_owned()), "{id}");
    }
}
