//! What `top` shows, as the daemon says it.

use crate::cli::Failure;
use crate::cli::client::{Client, parse};
use crate::cli::events::Transition;
use crate::cli::status::{Counts, Trouble};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Events that are asked for: more than any screen shows.
const EVENTS: u64 = 50;
/// The stream says at once where it begins.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whom to ask.
pub(super) struct Source {
    client: Client,
    socket: PathBuf,
}

/// One look at the daemon.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) summary: Summary,
    pub(super) groups: Vec<Group>,
    /// Newest last.
    pub(super) events: Vec<Event>,
}

/// `GET /v1/summary`, as far as it is shown.
#[derive(Debug, Deserialize)]
pub(super) struct Summary {
    pub(super) version: String,
    pub(super) targets: Counts,
    pub(super) probes: Probes,
    pub(super) lateness_us: Percentiles,
    pub(super) latency_us: Percentiles,
    pub(super) in_flight: u64,
    pub(super) in_flight_capacity: u64,
    pub(super) overloaded: bool,
    #[serde(default)]
    pub(super) troubles: Vec<Trouble>,
    pub(super) uptime_seconds: u64,
    pub(super) workers: Vec<Worker>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Probes {
    pub(super) per_second: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Percentiles {
    pub(super) p50: u64,
    pub(super) p99: u64,
}

/// One worker.
#[derive(Debug, Deserialize)]
pub(super) struct Worker {
    pub(super) worker: u64,
    pub(super) targets: u64,
    pub(super) probes: Probes,
    pub(super) lateness_us: Percentiles,
    pub(super) in_flight: u64,
    pub(super) backlog: u64,
    pub(super) stuck: bool,
}

/// One group.
#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) targets: Counts,
}

/// One event.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    pub(super) group: String,
    pub(super) id: String,
    pub(super) port: u16,
    #[serde(flatten)]
    pub(super) transition: Transition,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Events {
    events: Vec<Event>,
}

impl Source {
    /// The daemon behind `socket`.
    pub(super) fn connect(socket: &Path) -> Result<Self, Failure> {
        Ok(Self { client: Client::connect(socket)?, socket: socket.to_owned() })
    }

    /// Looks.
    pub(super) fn fetch(&mut self) -> Result<Look, Failure> {
        let summary = parse(&self.client.get("/v1/summary")?)?;
        let Groups { groups } = parse(&self.client.get("/v1/groups")?)?;
        let since = self.newest()?.saturating_sub(EVENTS);
        let path = format!("/v1/events?since={since}&limit={EVENTS}");
        let Events { events } = parse(&self.client.get(&path)?)?;
        Ok(Look { summary, groups, events })
    }

    /// The newest event's number: the stream begins by saying it. One that is not said is 0.
    fn newest(&self) -> Result<u64, Failure> {
        let mut client = Client::connect(&self.socket)?;
        let first = client.open("/v1/events/stream", None)?.next(PATIENCE)?;
        let text = String::from_utf8_lossy(&first);
        let id = text.lines().find_map(|line| line.strip_prefix("id: "));
        Ok(id.and_then(|id| id.parse().ok()).unwrap_or(0))
    }
}
