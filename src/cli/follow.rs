//! `ringcheck events --follow`: the last few transitions, and then each as it happens.
//!
//! The stream begins by saying after which number it does, so that what was before can be asked for
//! without a gap. When the daemon goes, the connection is made anew, after the last number that was
//! printed.

use super::client::{Client, encoded, parse, pause};
use super::events::{Event, EventsArgs, Page, Transition};
use super::{Answer, Exit, Failure, Format, table};
use crate::time::{Instant, monotonic};
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{self, BufWriter, StdoutLock, Write};
use std::time::Duration;

/// Events from before that are printed first, unless `--limit` says otherwise.
const BEFORE: u64 = 10;
/// Events that are looked through for those of one group.
const BEFORE_LOOKED_AT: u64 = 1_000;
/// The daemon says at least every 15 s that it lives.
const SILENCE_MAX: Duration = Duration::from_secs(40);
/// Longest time without a daemon.
const OUTAGE_MAX: Duration = Duration::from_secs(60);
/// Pause between two attempts to reach it.
const RETRY_EVERY: Duration = Duration::from_millis(250);
/// Bytes of one event of the stream at most; a daemon sends a thousandth of it.
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// Runs the command until its reader or the daemon is gone.
pub(super) fn run(args: &EventsArgs) -> Answer {
    let out = BufWriter::new(io::stdout().lock());
    let mut follower = Follower { args, last: args.since, has_begun: false, outage: None, out };
    loop {
        match follower.session() {
            Ok(()) => return Ok(Exit::Good),
            Err(failure) if failure.exit() == Exit::Engine && follower.has_begun => {
                follower.bear(failure)?;
            }
            Err(failure) => return Err(failure),
        }
    }
}

struct Follower<'a> {
    args: &'a EventsArgs,
    /// The number to go on after.
    last: Option<u64>,
    /// Whether the daemon was there once.
    has_begun: bool,
    /// Since when it is not.
    outage: Option<Instant>,
    out: BufWriter<StdoutLock<'static>>,
}

/// `data:` of an event `lost`.
#[derive(Deserialize)]
struct Lost {
    lost: u64,
}

/// One event of the stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Message {
    id: Option<u64>,
    event: String,
    data: String,
}

impl Follower<'_> {
    /// Follows one connection. Ends well where nobody reads any more.
    fn session(&mut self) -> Result<(), Failure> {
        let group = self.group();
        let mut client = Client::connect(&self.args.daemon.socket)?;
        let last = self.last.map(|last| last.to_string());
        let header = last.as_deref().map(|last| ("last-event-id", last));
        let mut stream = client.open(&format!("/v1/events/stream?{group}"), header)?;
        let mut text = Vec::new();
        loop {
            let piece: Bytes = stream.next(SILENCE_MAX)?;
            text.extend_from_slice(&piece);
            if text.len() > EVENT_BYTES_MAX {
                let what = "cannot understand the daemon's stream";
                return Err(Failure::engine(format_args!("{what}; is it of the same version?")));
            }
            let mut taken = 0;
            while let Some(length) = text[taken..].windows(2).position(|two| two == b"\n\n") {
                let block = String::from_utf8_lossy(&text[taken..taken + length]);
                taken += length + 2;
                let taken_in = self.take(&Message::parse(&block));
                if !goes_on(taken_in)? {
                    return Ok(());
                }
            }
            text.drain(..taken);
            let flushed = self.out.flush().map_err(Stop::Output);
            if !goes_on(flushed)? {
                return Ok(());
            }
        }
    }

    fn take(&mut self, message: &Message) -> Result<(), Stop> {
        self.outage = None;
        if !self.has_begun {
            self.has_begun = true;
            if let (None, Some(id)) = (self.last, message.id) {
                self.print_before(id)?;
            }
        }
        self.last = message.id.or(self.last);
        match message.event.as_str() {
            "transition" => self.print(&message.data),
            "lost" => {
                let Lost { lost } = parse(&message.data)?;
                // Where stderr is gone, nobody wants to know.
                let _ = writeln!(
                    anstream::stderr(),
                    "warning: {} lost, the daemon no longer has them",
                    super::units::counted(lost, "event")
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The last few events up to `id`.
    fn print_before(&mut self, id: u64) -> Result<(), Stop> {
        let limit = self.args.limit.unwrap_or(BEFORE);
        let looked_at = if self.args.group.is_some() { BEFORE_LOOKED_AT.max(limit) } else { limit };
        let since = id.saturating_sub(looked_at);
        let group = self.group();
        let path = format!("/v1/events?since={since}&limit={}&{group}", looked_at.min(10_000));
        let mut client = Client::connect(&self.args.daemon.socket)?;
        let page: Page = parse(&client.get(&path)?)?;
        let mut events = Vec::new();
        for event in &page.events {
            // Those that came meanwhile are in the stream.
            if parse::<Event>(event.get())?.seq <= id {
                events.push(event);
            }
        }
        let skipped = events.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        events.into_iter().skip(skipped).try_for_each(|event| self.print(event.get()))
    }

    fn print(&mut self, event: &str) -> Result<(), Stop> {
        match self.args.daemon.format {
            Format::Json => {
                let event: Box<RawValue> = parse(event)?;
                writeln!(self.out, "{event}").map_err(Stop::Output)
            }
            Format::Table => {
                let line = line(&parse(event)?);
                writeln!(self.out, "{line}").map_err(Stop::Output)
            }
        }
    }

    /// Waits a little for the daemon to come back; one line says so for each outage.
    fn bear(&mut self, failure: Failure) -> Result<(), Failure> {
        let now = monotonic();
        let since = *self.outage.get_or_insert_with(|| {
            let seconds = OUTAGE_MAX.as_secs();
            let note = format!("warning: {failure}; waiting up to {seconds} s for it to come back");
            // As above.
            let _ = writeln!(anstream::stderr(), "{}", table::clean(&note));
            now
        });
        if now.since(since) > OUTAGE_MAX {
            return Err(failure);
        }
        pause(RETRY_EVERY);
        Ok(())
    }

    fn group(&self) -> String {
        let group = self.args.group.as_deref();
        group.map(|group| format!("group={}", encoded(group))).unwrap_or_default()
    }
}

/// Why a session ends.
enum Stop {
    /// It cannot go on.
    Failed(Failure),
    /// Standard output takes no more.
    Output(io::Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Whether there is somebody who reads.
fn goes_on(result: Result<(), Stop>) -> Result<bool, Failure> {
    match result {
        Ok(()) => Ok(true),
        Err(Stop::Failed(failure)) => Err(failure),
        Err(Stop::Output(error)) => match table::gone(error) {
            Ok(()) => Ok(false),
            // Not an outage of the daemon, so not to be borne.
            Err(error) => Err(Failure::refused(Failure::output(&error))),
        },
    }
}

/// An event in one line, its columns wide enough for most.
fn line(event: &Event) -> String {
    let Transition { at, from, to, code, detail } = &event.transition;
    let target = format!("{}:{}", event.id, event.port);
    let text = format!(
        "{at}  {:<12}  {target:<21}  {from} -> {to}  {code}  {}",
        event.group,
        detail.as_deref().unwrap_or("")
    );
    table::clean(text.trim_end())
}

impl Message {
    fn parse(block: &str) -> Self {
        let mut message = Self::default();
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => message.id = value.parse().ok(),
                "event" => value.clone_into(&mut message.event),
                "data" => message.data.push_str(value),
                _ => {}
            }
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_apart() {
        let message = Message::parse("id: 31\nevent: transition\ndata: {\"seq\":31}");
        let data = "{\"seq\":31}".to_owned();
        let expected = Message { id: Some(31), event: "transition".to_owned(), data };
        assert_eq!(message, expected);
        assert_eq!(Message::parse(":"), Message::default());
        assert_eq!(Message::parse(": after 3\nid: 3").id, Some(3));
    }

    #[test]
    fn an_event_is_a_line() {
        let text = r#"{"seq":12,"at":"2026-01-02T03:04:05.678Z","group":"web","id":"10.0.0.1",
            "address":"10.0.0.1","port":80,"from":"healthy","to":"unhealthy",
            "reason":"Target.Timeout","code":"L4TOUT","detail":null}"#;
        let expected = "2026-01-02T03:04:05.678Z  web           10.0.0.1:80            healthy -> unhealthy  L4TOUT";
        assert_eq!(line(&parse(text).unwrap()), expected);
    }
}
