//! Every endpoint's answer, byte for byte, against `tests/testdata/api.txt`
//! (reading) and `api-writes.txt`.
//!
//! `UPDATE_GOLDEN=1 cargo test --test api` writes the file anew; read the difference before you
//! commit it.

use crate::world::{NOW, World};
use ringcheck::api::{LastReload, ReloadError};
use std::fmt::Write;
use std::path::Path;

const QUESTIONS: [&str; 36] = [
    "GET /v1/summary",
    "GET /v1/groups",
    "GET /v1/groups/web",
    "GET /v1/groups/tg-off",
    "GET /v1/groups/web/targets",
    "GET /v1/groups/web/targets?state=unhealthy&limit=1",
    "GET /v1/groups/web/targets?code=l7ok&zone=zone-a",
    "GET /v1/groups/web/targets?state=draining",
    "GET /v1/groups/empty/targets",
    "GET /v1/groups/idle/targets",
    "GET /v1/groups/off/targets",
    "GET /v1/groups/web/targets/i-rising",
    "GET /v1/groups/web/targets/i-two?port=2",
    "GET /v1/groups/off/targets/127.3.0.1",
    "GET /v1/groups/web/routable",
    "GET /v1/groups/web/routable?zone=zone-b",
    "GET /v1/groups/sick/routable",
    "GET /v1/groups/sick/routable?zone=zone-b",
    "GET /v1/groups/web/bitmap",
    "GET /v1/load_balancers",
    "GET /v1/listeners",
    "GET /v1/events?limit=3",
    "GET /v1/events?since=3&limit=2",
    "GET /v1/events?since=99999",
    "GET /healthz",
    "GET /metrics",
    "GET /v1/nothing",
    "GET /v1/groups/nothing",
    "GET /v1/groups/web/targets/nothing",
    "GET /v1/groups/web/targets/i-well?port=9",
    "GET /v1/groups/web/targets?limit=0",
    "GET /v1/groups/web/targets?state=sick",
    "GET /v1/groups/web/targets?code=L4",
    "GET /v1/groups/web/targets?cursor=7",
    "GET /v1/summary?verbose=1",
    "DELETE /v1/summary",
];

#[tokio::test]
async fn every_answer_is_as_written_down() {
    let world = World::start();
    let mut transcript = String::new();
    for question in QUESTIONS {
        let (method, path) = question.split_once(' ').unwrap();
        note(&mut transcript, question, &world.ask(method, path).await);
    }
    note(&mut transcript, "POST /v1/reload", &world.post("/v1/reload", "").await);
    let error = "web.toml:3: unknown key 'prot', in [[group]]; did you mean 'port'?".to_owned();
    *world.reloads.last.lock().unwrap() = Some(LastReload { at: NOW, error: Some(error.clone()) });
    *world.reloads.answer.lock().unwrap() = Some(ReloadError::Invalid(error));
    let question = "POST /v1/reload {\"force\":true}";
    note(&mut transcript, question, &world.post("/v1/reload", "{\"force\":true}").await);
    let summary = world.get("/v1/summary").await.json();
    writeln!(transcript, "# then, in the summary\n{}", summary["last_reload"]).unwrap();

    compare(&transcript, "api.txt");
}

/// Asserts that `transcript` is what the golden `file` holds.
pub(crate) fn compare(transcript: &str, file: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, transcript).unwrap();
    }
    let golden = std::fs::read_to_string(&file).unwrap();
    for (now, then) in transcript.lines().zip(golden.lines()) {
        assert_eq!(now, then);
    }
    assert_eq!(transcript.len(), golden.len());
}

pub(crate) fn note(transcript: &mut String, question: &str, answer: &crate::world::Answer) {
    writeln!(transcript, "> {question}\n< {}", answer.status).unwrap();
    for (name, value) in &answer.headers {
        if !["date", "content-length", "connection"].contains(&name.as_str()) {
            writeln!(transcript, "< {name}: {value}").unwrap();
        }
    }
    match std::str::from_utf8(&answer.body) {
        Ok(text) if !question.ends_with("bitmap") => writeln!(transcript, "{text}").unwrap(),
        _ => writeln!(transcript, "{:02x?}\n", answer.body).unwrap(),
    }
}
