//! docs/API.md against the API: every request in it is answered, every answer in it has the fields
//! of the real one, every metric and every error code is there.

use crate::world::{NOW, World};
use ringcheck::api::LastReload;
use serde_json::Value;
use std::collections::BTreeSet;

const REFERENCE: &str = include_str!("../../docs/API.md");

/// A request of the document.
struct Example {
    method: &'static str,
    path: &'static str,
    body: &'static str,
    /// The answer that is given below it, if one is.
    answer: Option<Value>,
}

fn examples() -> Vec<Example> {
    // The walk-through is run as a whole, by tests/clients.
    let reference = REFERENCE.split("\n# Walk-through\n").next().unwrap_or_default();
    let blocks = reference.split("```sh\n").skip(1);
    let example = |rest: &'static str| {
        let (command, below) = rest.split_once("\n```").expect("a closing fence");
        let (_, url) = command.split_once("http://localhost").expect("a URL");
        let path = url.split(['\'', ' ']).next().unwrap_or_default();
        let body = command.split_once("-d '").map(|(_, body)| body.trim_end_matches('\''));
        let body = body.map(|body| body.split("' http").next().unwrap_or_default());
        let body = body.unwrap_or_default();
        let default = if body.is_empty() { "GET" } else { "POST" };
        let method = command.split_once("-X ").and_then(|(_, rest)| rest.split(' ').next());
        let answer = below.trim_start().strip_prefix("```json\n");
        let answer = answer.map(|text| text.split_once("```").expect("a closing fence").0);
        let answer = answer.map(|text| serde_json::from_str(text).expect("an answer is JSON"));
        Example { method: method.unwrap_or(default), path, body, answer }
    };
    blocks.map(example).collect()
}

/// The fields of an answer, as `targets[].last_probe.at`, with the kind of what they hold.
fn fields(value: &Value, at: &str, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(key, value)| fields(value, &format!("{at}.{key}"), all));
        }
        Value::Array(items) => items.iter().for_each(|item| fields(item, &format!("{at}[]"), all)),
        // A field that may be null is so in one of them and not in the other.
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            all.insert(at.to_owned());
        }
    }
}

fn fields_of(value: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    fields(value, "", &mut all);
    all
}

#[tokio::test]
async fn every_request_is_answered_with_the_fields_that_are_shown() {
    let world = World::start();
    *world.reloads.last.lock().unwrap() = Some(LastReload { at: NOW, error: None });
    let examples = examples();
    assert!(examples.len() >= 20, "only {} examples were found", examples.len());
    for Example { method, path, body, answer: shown } in examples {
        if path.contains("/stream") {
            continue; // it has no end; tests/api/streams.rs reads it
        }
        let answer = world.send(method, path, body).await;
        let is_error = shown.as_ref().is_some_and(|shown| shown.get("error").is_some());
        let good = if method == "PUT" { 201 } else { 200 };
        let expected = if is_error { 400 } else { good };
        assert_eq!(answer.status, expected, "{method} {path}: {}", answer.text());
        if let Some(shown) = shown {
            assert_eq!(fields_of(&shown), fields_of(&answer.json()), "{path}");
            assert!(!is_error || shown == answer.json(), "{path}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn every_heading_is_a_path_and_every_path_has_a_heading() {
    let world = World::start();
    let headings: Vec<(&str, &str)> = REFERENCE
        .lines()
        .filter_map(|line| line.strip_prefix("## ")?.split_once(' '))
        .filter(|(_, path)| path.starts_with('/'))
        .collect();
    for (method, path) in &headings {
        let path = path.replace("{group}", "web").replace("{id}", "i-503");
        if path.ends_with("/stream") {
            continue; // as above
        }
        // The others have a body, which the examples give.
        let expected: &[u16] = if *method == "GET" { &[200] } else { &[200, 400, 409] };
        let answer = world.ask(method, &path).await;
        assert!(expected.contains(&answer.status), "{method} {path}: {}", answer.status);
    }
    // Whoever adds a handler to the router adds a heading.
    let routes = include_str!("../../src/api/native/mod.rs");
    let methods = ["get(", "put(", "post(", "patch(", "delete("];
    let handlers: usize = methods.iter().map(|method| routes.matches(method).count()).sum();
    assert_eq!(headings.len(), handlers);
}

#[tokio::test]
async fn the_metrics_are_those_that_there_are() {
    let row = |line: &'static str| line.strip_prefix("| `ringcheck_")?.split_once('`');
    let listed: BTreeSet<&str> = REFERENCE.lines().filter_map(row).map(|(name, _)| name).collect();
    let answer = World::start().get("/metrics").await;
    // A gauge of groups of which there is none here has its head only.
    let lines = || answer.text().lines();
    let heads = lines().filter_map(|line| line.strip_prefix("# TYPE ringcheck_"));
    let gauges = heads.filter_map(|line| line.strip_suffix(" gauge"));
    let series = lines().filter_map(|line| line.strip_prefix("ringcheck_"));
    let series = series.filter_map(|line| line.split(['{', ' ']).next());
    let real: BTreeSet<&str> = series.chain(gauges).collect();
    assert_eq!(listed, real);
}

/// The words after a status in the sources of the API.
#[test]
fn every_error_code_is_explained() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api");
    let mut codes = BTreeSet::new();
    let files =
        [folder.clone(), folder.join("native")].map(|in_it| std::fs::read_dir(in_it).unwrap());
    for path in files.into_iter().flatten().map(|file| file.unwrap().path()) {
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (at, _) in shipped.match_indices("StatusCode::") {
            let rest = &shipped[at..];
            let statement = rest.split(['(', ')', ';']).next().unwrap_or_default();
            codes.extend(statement.split('"').nth(1).map(str::to_owned));
        }
    }
    assert!(codes.len() > 10, "only {codes:?} were found");
    for code in codes {
        assert!(REFERENCE.contains(&format!("`{code}`")), "{code} is not in docs/API.md");
    }
}
