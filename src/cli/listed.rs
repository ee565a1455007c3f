//! Targets as a command line and its file name them, and the bodies of the requests that they make.
//!
//! The daemon takes a bounded number of targets in one request, and carries each request out whole
//! or not at all; so a long list becomes several requests.

use super::Failure;
use crate::config::target_file::{self, Entry};
use crate::config::targets::{TargetRange, parse_target};
use crate::config::{ConfigError, Lifecycle};
use crate::limits::{API_BODY_BYTES_MAX, API_TARGETS_MAX, TARGETS_MAX};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Bytes of a request's last target and end at most: the longest id and zone, each character of
/// which JSON may write as six.
const REST_BYTES: usize = 8 * 1024;

/// Arguments that name targets.
#[derive(Clone, Debug, clap::Args)]
pub struct ListedArgs {
    /// Targets: an address, address:port, or a CIDR range with a port or without.
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// A file with targets (- for stdin): lines as above, or JSON as in targets files.
    #[arg(long = "targets", value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// A target in the body of a request.
#[derive(Debug, Serialize)]
pub(super) struct Item<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) zone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) weight: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lifecycle: Option<&'static str>,
}

/// The body of one request.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) text: String,
    /// Targets in it.
    pub(super) targets: u64,
}

impl ListedArgs {
    /// What the arguments and the file name, in their order. A TARGET that `other` knows is what
    /// it says.
    ///
    /// # Errors
    /// Exit status 2, with the first thing that is wrong.
    pub(super) fn entries(
        &self,
        other: impl Fn(&str) -> Option<Entry>,
    ) -> Result<Vec<Entry>, Failure> {
        let mut entries = Vec::new();
        for text in &self.targets {
            match parse_target(text) {
                Ok(range) => entries.push(range.into()),
                Err(problem) => match other(text) {
                    Some(entry) => entries.push(entry),
                    None => return Err(Failure::usage(problem)),
                },
            }
        }
        if let Some(path) = &self.file {
            read(path, &mut entries).map_err(Failure::usage)?;
        }
        let count = count(&entries);
        if count > TARGETS_MAX as u128 {
            let what = format_args!("more than {TARGETS_MAX} targets; a daemon takes no more");
            return Err(Failure::usage(what));
        }
        Ok(entries)
    }

    /// Whether nothing is named.
    pub(super) const fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.file.is_none()
    }
}

/// How many targets.
pub(super) fn count(entries: &[Entry]) -> u128 {
    entries.iter().map(|entry| entry.range.count()).fold(0, u128::saturating_add)
}

fn read(path: &Path, entries: &mut Vec<Entry>) -> Result<(), ConfigError> {
    let (file, source) = open(path)?;
    let bytes_max = target_file::bytes_max(TARGETS_MAX);
    target_file::read(&file, source, bytes_max, &mut |entry, _line| {
        entries.push(entry);
        Ok(())
    })
}

/// The file with targets at `path` (`-`: stdin), and its name for messages.
pub(super) fn open(path: &Path) -> Result<(String, Box<dyn Read>), ConfigError> {
    if path.as_os_str() == "-" {
        return Ok(("stdin".to_owned(), Box::new(io::stdin().lock())));
    }
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => Ok((name, Box::new(file))),
        Err(error) => {
            let what = format!("cannot read the targets ({error})");
            Err(ConfigError::new(what, name, "give the path of a readable file, or - for stdin"))
        }
    }
}

/// Every target of `entries`, ranges expanded, as `item` has it.
pub(super) fn items<'a>(
    entries: &'a [Entry],
    item: impl Fn(&'a Entry, IpAddr) -> Item<'a> + Copy,
) -> impl Iterator<Item = Item<'a>> {
    entries.iter().flat_map(move |entry| {
        let range: TargetRange = entry.range;
        range.addresses().map(move |address| item(entry, address))
    })
}

/// The word of a lifecycle that is worth saying.
pub(super) const fn lifecycle(lifecycle: Lifecycle) -> Option<&'static str> {
    match lifecycle {
        Lifecycle::Running => None,
        Lifecycle::Stopped => Some("stopped"),
        Lifecycle::Terminated => Some("terminated"),
    }
}

/// The bodies `{"targets":[…]}` that hold `items`.
pub(super) fn bodies<'a>(items: impl Iterator<Item = Item<'a>>) -> impl Iterator<Item = Body> {
    let mut items = items.peekable();
    std::iter::from_fn(move || {
        items.peek()?;
        let mut body = Body { text: "{\"targets\":[".to_owned(), targets: 0 };
        let has_room = |body: &Body| {
            body.targets < API_TARGETS_MAX as u64
                && body.text.len() < API_BODY_BYTES_MAX - REST_BYTES
        };
        while has_room(&body) {
            let Some(item) = items.next() else { break };
            if body.targets > 0 {
                body.text.push(',');
            }
            // Texts and numbers, all that JSON cannot say no to.
            body.text.push_str(&serde_json::to_string(&item).unwrap_or_default());
            body.targets += 1;
        }
        body.text.push_str("]}");
        Some(body)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(args: &[&str]) -> Vec<Body> {
        let targets = args.iter().map(|&text| text.to_owned()).collect();
        let entries = ListedArgs { targets, file: None }.entries(|_| None).unwrap();
        let item = |entry: &'static Entry, address| Item {
            id: entry.id.as_deref(),
            address: Some(address),
            port: entry.range.port,
            zone: None,
            weight: None,
            lifecycle: lifecycle(entry.lifecycle),
        };
        bodies(items(entries.leak(), item)).collect()
    }

    #[test]
    fn ranges_are_expanded_and_long_lists_cut() {
        let bodies = all(&["10.0.0.1", "10.0.0.2/31:80"]);
        assert_eq!(bodies.len(), 1);
        assert_eq!(
            bodies[0].text,
            "{\"targets\":[{\"address\":\"10.0.0.1\"},{\"address\":\"10.0.0.2\",\"port\":80},\
             {\"address\":\"10.0.0.3\",\"port\":80}]}"
        );
        let bodies = all(&["10.0.0.0/14:80"]);
        let counts: Vec<u64> = bodies.iter().map(|body| body.targets).collect();
        assert_eq!(counts, [100_000, 100_000, 62_144]);
        assert!(bodies.iter().all(|body| body.text.len() < API_BODY_BYTES_MAX));
        assert!(all(&[]).is_empty());
    }
}
