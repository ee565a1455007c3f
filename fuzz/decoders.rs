//! What must hold of every decoder of bytes from outside, whatever the bytes: it ends, it does not
//! panic, an error is one short line, and what it hands out is what was given.
//!
//! The fuzzer feeds these functions, and so does a property test that runs with all others.

#![allow(dead_code, reason = "each fuzz target calls one of them")]

use ringcheck::api::Query;
use ringcheck::api::form::Params;
use ringcheck::config::target_file;
use std::collections::BTreeSet;

/// Longest error that repeats what was sent: twice 64 characters, each as long as `\u{10ffff}`.
const ERROR_CHARS_MAX: usize = 1_600;
/// Bytes of a list of targets here.
const LIST_BYTES_MAX: u64 = 65_536;

/// Form parameters: the first line is the query, the rest the body.
pub(crate) fn form(bytes: &[u8]) {
    let mut lines = bytes.splitn(2, |&byte| byte == b'\n');
    let (first, body) = (lines.next().unwrap_or(&[]), lines.next().unwrap_or(&[]));
    let Ok(query) = std::str::from_utf8(first) else { return };
    let form = match Params::parse(query, body) {
        Ok(form) => form,
        Err(error) => return one_line(&error.to_string()),
    };
    let names: Vec<String> = form.rest().map(str::to_owned).collect();
    let given = bytes.iter().filter(|&&byte| byte == b'&').count() + 2;
    assert!(names.len() <= given, "{} of {given}", names.len());
    let lists: BTreeSet<&str> =
        names.iter().flat_map(|name| name.match_indices('.').map(|(at, _)| &name[..at])).collect();
    for list in lists {
        let below = names.iter().filter(|name| is_below(name, list)).count();
        let mut rest = form.clone();
        assert!(rest.given(list));
        match rest.list(list) {
            Ok(elements) => {
                let inside: usize = elements.iter().map(|element| element.rest().count()).sum();
                assert_eq!(inside, below);
                assert_eq!(rest.rest().count(), names.len() - below);
            }
            Err(error) => one_line(&error.to_string()),
        }
        let _ = form.clone().texts(list);
    }
    let mut form = form;
    for name in &names {
        assert!(form.take(name).is_some() && form.take(name).is_none() && form.given(name));
    }
    assert_eq!(form.rest().count(), 0);
}

fn is_below(name: &str, list: &str) -> bool {
    name.strip_prefix(list).is_some_and(|rest| rest.starts_with('.'))
}

/// A query of the native API.
pub(crate) fn query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Query::parse(text) {
        Err(error) => one_line(&error.message),
        Ok(mut query) => {
            for name in ["state", "zone", "a"] {
                assert!(query.take(name).is_none() || query.take(name).is_none());
            }
            for number in [query.number::<u16>("port"), query.number("limit")] {
                number.map_or_else(|error| one_line(&error.message), |_| ());
            }
            query.finish("").map_or_else(|error| one_line(&error.message), |()| ());
        }
    }
}

/// A list of targets, JSON or lines.
pub(crate) fn targets(bytes: &[u8]) {
    let mut count = 0;
    let read = target_file::read("list", bytes, LIST_BYTES_MAX, &mut |entry, line| {
        assert!(line > 0);
        assert!(entry.id.as_ref().is_none_or(|id| !id.is_empty()));
        count += 1;
        Ok(())
    });
    assert!(count <= bytes.len());
    read.map_or_else(|error| one_line(&error.to_string()), |()| ());
}

#[track_caller]
fn one_line(error: &str) {
    assert!(!error.is_empty() && !error.contains(['\n', '\r']), "{error:?}");
    assert!(error.chars().count() <= ERROR_CHARS_MAX, "{error:?}");
}
