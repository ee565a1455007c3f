//! The walk-through of docs/API.md, as a reader pastes it: its blocks, in order, in one shell. What
//! it prints is what stands in the document.
//!
//! Ports are replaced, because a test needs no fixed one. Where the document has `…`, an answer is
//! the reader's own; everything else is to the letter but for blanks.

use crate::environment::environment;
use crate::support::command::{RINGCHECK, Run};
use crate::support::daemon::Files;
use crate::{PATIENCE, only_ours};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

const DOCUMENT: &str = include_str!("../../docs/API.md");
/// What the shell prints behind a block; no block prints it.
const END_OF_BLOCK: &str = "\u{1e}";
/// Ports of the document.
const PORTS: [&str; 2] = ["9411", "18080"];

/// A block that is run, and the one that says what it prints.
struct Step {
    command: String,
    output: Option<String>,
}

/// The steps of the chapter.
fn steps() -> Vec<Step> {
    let chapter = DOCUMENT.split("\n# Walk-through\n").nth(1).unwrap();
    let chapter = chapter.split("\n# ").next().unwrap();
    let mut steps: Vec<Step> = Vec::new();
    // Text between fences is at even places.
    for (place, part) in chapter.split("\n```").enumerate() {
        if place % 2 == 0 {
            continue;
        }
        let (language, text) = part.split_once('\n').unwrap();
        let text = format!("{text}\n");
        if language == "sh" {
            steps.push(Step { command: text, output: None });
        } else {
            let step = steps.last_mut().unwrap();
            assert!(step.output.is_none(), "two outputs of one block: {text}");
            step.output = Some(text);
        }
    }
    assert!(steps.len() > 8, "only {} blocks were found", steps.len());
    steps
}

/// A port for each of the document's, which nobody has.
fn ports() -> [String; 2] {
    // Kept at once, so that they differ.
    let listeners = PORTS.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port().to_string())
}

#[test]
fn the_walk_through_prints_what_it_shows() {
    let (steps, ports) = (steps(), ports());
    let of_test = |text: &str| {
        let pairs = PORTS.iter().zip(&ports);
        pairs.fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
    };
    let mut script = "trap 'kill $(jobs -p) 2> /dev/null || :' EXIT\n".to_owned();
    for step in &steps {
        script += &format!("{}printf '\\x1e'\n", of_test(&step.command));
    }
    let files = Files::new("");
    files.write("walk.sh", &script);
    let mut command = Command::new("bash");
    command.arg("-e").arg(files.path("walk.sh")).current_dir(files.path(""));
    only_ours(&mut command, &files);
    let programs = [&*environment().join("bin"), Path::new(RINGCHECK).parent().unwrap()];
    let inherited = std::env::var_os("PATH").unwrap();
    let inherited = std::env::split_paths(&inherited).collect::<Vec<_>>();
    let all = programs.into_iter().chain(inherited.iter().map(|path| &**path));
    command.env("PATH", std::env::join_paths(all).unwrap());
    let run = Run::within(PATIENCE, &mut command, "");
    let log = std::fs::read_to_string(files.path("walk/daemon.log")).unwrap_or_default();
    let parts: Vec<&str> = run.stdout.split(END_OF_BLOCK).collect();
    for (step, printed) in steps.iter().zip(&parts) {
        let Some(expected) = &step.output else { continue };
        let expected = of_test(expected);
        assert!(
            is_like(printed, &expected),
            "{}\nprinted:\n{printed}\nand the document shows:\n{expected}\n{}\n{log}",
            step.command,
            run.stderr
        );
    }
    assert_eq!(run.code, Some(0), "{}\n{}\n{log}", run.stdout, run.stderr);
    assert_eq!(parts.len(), steps.len() + 1, "{}", run.stdout);
}

/// Whether `printed` is `expected`, blanks aside, where `…` stands for anything.
fn is_like(printed: &str, expected: &str) -> bool {
    let without_blanks =
        |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let (printed, expected) = (without_blanks(printed), without_blanks(expected));
    let mut parts = expected.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn an_output_is_compared_but_for_its_blanks_and_dots() {
    assert!(is_like("{\"a\": 1,\n\"b\":2}\n", "{\"a\":1,…}"));
    assert!(is_like("a b c b d", "a…b…d"));
    assert!(!is_like("a b c", "a…b"));
    assert!(!is_like("a b", "a…b…b"));
    assert!(!is_like("x a", "a"));
    assert!(!is_like("a x", "a"));
}
