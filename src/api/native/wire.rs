//! The JSON of the native API, field by field as DESIGN 5.2 and 5.5 name them.

use crate::api::ApiState;
use crate::api::answer::append_json;
use crate::check::tls::Presented;
use crate::check::tls::presented::detail_text;
use crate::outcome::{Outcome, TABLE};
use crate::report::Phases;
use crate::table::{Event, Figures, GroupSets, LastProbe, Percentiles, ShownState, Trouble};
use crate::wall::Rfc3339;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Targets by shown state.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Counts {
    total: u64,
    initial: u64,
    healthy: u64,
    unhealthy: u64,
    draining: u64,
    unused: u64,
    unavailable: u64,
}

impl Counts {
    /// Adds the targets of one group.
    pub(super) fn add(&mut self, sets: &GroupSets) {
        let count = |state| u64::from(sets.count(state));
        self.total += sets.len() as u64;
        self.initial += count(ShownState::Initial);
        self.healthy += count(ShownState::Healthy);
        self.unhealthy += count(ShownState::Unhealthy);
        self.draining += count(ShownState::Draining);
        self.unused += count(ShownState::Unused);
        self.unavailable += count(ShownState::Unavailable);
    }
}

/// Targets of a group by code: every code, so that a client need not ask whether one is there.
pub(super) struct Codes<'a>(pub(super) &'a GroupSets);

impl Serialize for Codes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(TABLE.len()))?;
        for row in &TABLE {
            map.serialize_entry(row.name, &self.0.code_count(row.code))?;
        }
        map.end()
    }
}

#[derive(Debug, Serialize)]
#[serde(remote = "Percentiles")]
struct PercentilesForm {
    p50: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

/// `GET /v1/summary`
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) version: &'static str,
    pub(super) revision: u64,
    pub(super) targets: Counts,
    pub(super) probes: Probes,
    #[serde(with = "PercentilesForm")]
    pub(super) lateness_us: Percentiles,
    #[serde(with = "PercentilesForm")]
    pub(super) latency_us: Percentiles,
    pub(super) in_flight: u64,
    pub(super) in_flight_capacity: u64,
    pub(super) in_flight_worst: u64,
    pub(super) raw_in_flight: u64,
    pub(super) raw_in_flight_capacity: u64,
    pub(super) slots_stuck: u64,
    pub(super) backlog: u64,
    pub(super) merged: u64,
    pub(super) lost_us: u64,
    pub(super) turn_max_us: u64,
    pub(super) faults: Vec<Fault>,
    pub(super) troubles: Vec<TroubleForm>,
    pub(super) overloaded: bool,
    pub(super) backend: &'static str,
    pub(super) uptime_seconds: u64,
    pub(super) workers: Vec<Worker>,
    pub(super) last_reload: Option<LastReload>,
    pub(super) listen: Option<SocketAddr>,
}

/// Counters of probes since the start.
#[derive(Debug, Serialize)]
pub(super) struct Probes {
    started: u64,
    passed: u64,
    failed: u64,
    local_faults: u64,
    skipped: u64,
    /// One digit behind the point.
    per_second: f64,
}

impl From<&Figures> for Probes {
    fn from(figures: &Figures) -> Self {
        Self {
            started: figures.started,
            passed: figures.passed,
            failed: figures.failed,
            local_faults: figures.local_faults,
            skipped: figures.skipped,
            per_second: (figures.per_second * 10.0).round() / 10.0,
        }
    }
}

/// One worker of the summary.
#[derive(Debug, Serialize)]
pub(super) struct Worker {
    pub(super) worker: usize,
    pub(super) targets: u64,
    pub(super) probes: Probes,
    #[serde(with = "PercentilesForm")]
    pub(super) lateness_us: Percentiles,
    #[serde(with = "PercentilesForm")]
    pub(super) latency_us: Percentiles,
    pub(super) in_flight: u64,
    pub(super) in_flight_capacity: u64,
    pub(super) raw_in_flight: u64,
    pub(super) raw_in_flight_capacity: u64,
    pub(super) slots_stuck: u64,
    pub(super) backlog: u64,
    pub(super) merged: u64,
    pub(super) lost_us: u64,
    pub(super) turn_max_us: u64,
    pub(super) last_seen: Rfc3339,
    pub(super) stuck: bool,
}

/// Local faults of the last minute by one cause.
#[derive(Debug, Serialize)]
pub(super) struct Fault {
    pub(super) cause: &'static str,
    pub(super) count: u64,
    pub(super) cure: &'static str,
}

/// One thing that is wrong with the engine or its host.
#[derive(Debug, Serialize)]
pub(super) struct TroubleForm {
    code: &'static str,
    message: String,
    cure: &'static str,
}

impl From<Trouble> for TroubleForm {
    fn from(Trouble { code, message, cure, grave: _ }: Trouble) -> Self {
        Self { code, message, cure }
    }
}

/// The last reload.
#[derive(Debug, Serialize)]
pub(super) struct LastReload {
    pub(super) at: Rfc3339,
    pub(super) ok: bool,
    pub(super) error: Option<String>,
}

/// One target.
#[derive(Debug, Serialize)]
pub(super) struct Target<'a> {
    pub(super) id: Id<'a>,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) zone: Option<&'a str>,
    pub(super) weight: u16,
    pub(super) state: &'static str,
    pub(super) reason: Option<&'static str>,
    pub(super) description: Option<Cow<'static, str>>,
    pub(super) code: Option<&'static str>,
    pub(super) detail: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) since: Rfc3339,
    pub(super) last_probe: Option<Probe>,
    /// Absent where it presented nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls: Option<Tls>,
}

/// What a target presented in its last TLS handshake.
#[derive(Debug)]
pub(super) struct Tls(pub(super) Arc<Presented>);

impl Serialize for Tls {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(json)
    }
}

/// The id of a target: its own, or that of its address.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Id<'a> {
    Given(&'a str),
    Address(IpAddr),
}

impl Target<'_> {
    /// Appends what `Serialize` would make of it, in half the time: a listing may have a million
    /// targets and shares the cores with the probes. Keys and words of our own need no look for
    /// what JSON escapes.
    pub(super) fn append(&self, out: &mut Vec<u8>) {
        let Self {
            id,
            address,
            port,
            zone,
            weight,
            state,
            reason,
            description,
            code,
            detail,
            status,
            since,
            last_probe,
            tls,
        } = self;
        member(out, b"{\"id\":", id);
        member(out, b",\"address\":", address);
        member(out, b",\"port\":", port);
        member(out, b",\"zone\":", zone);
        member(out, b",\"weight\":", weight);
        word(out, b",\"state\":", Some(state));
        word(out, b",\"reason\":", *reason);
        member(out, b",\"description\":", description);
        word(out, b",\"code\":", *code);
        member(out, b",\"detail\":", detail);
        member(out, b",\"status\":", status);
        out.extend_from_slice(b",\"since\":\"");
        since.append(out);
        out.extend_from_slice(b"\",\"last_probe\":");
        match last_probe {
            None => out.extend_from_slice(b"null"),
            Some(probe) => probe.append(out),
        }
        if let Some(tls) = tls {
            member(out, b",\"tls\":", tls);
        }
        out.push(b'}');
    }
}

/// A key with all that stands around it, and any value.
fn member(out: &mut Vec<u8>, key: &[u8], value: &impl Serialize) {
    out.extend_from_slice(key);
    append_json(out, value);
}

/// The same, where the value is a word of our own, or nothing.
fn word(out: &mut Vec<u8>, key: &[u8], word: Option<&'static str>) {
    out.extend_from_slice(key);
    let Some(word) = word else { return out.extend_from_slice(b"null") };
    out.push(b'"');
    out.extend_from_slice(word.as_bytes());
    out.push(b'"');
}

/// One target when it is asked for by itself.
#[derive(Debug, Serialize)]
pub(super) struct TargetInFull<'a> {
    #[serde(flatten)]
    pub(super) target: Target<'a>,
    pub(super) group: &'a str,
    pub(super) streak: i16,
    pub(super) transitions: Vec<Transition>,
}

/// The last probe of a target.
#[derive(Debug, Serialize)]
pub(super) struct Probe {
    at: Rfc3339,
    connect_us: Option<u32>,
    tls_us: Option<u32>,
    first_byte_us: Option<u32>,
    total_us: u32,
}

impl Probe {
    pub(super) fn new(state: &ApiState, last: &LastProbe) -> Self {
        let Phases { connect_us, tls_us, first_byte_us, total_us } = last.phases;
        Self { at: state.wall.rfc3339(last.at), connect_us, tls_us, first_byte_us, total_us }
    }

    /// See [`Target::append`].
    fn append(&self, out: &mut Vec<u8>) {
        let Self { at, connect_us, tls_us, first_byte_us, total_us } = self;
        out.extend_from_slice(b"{\"at\":\"");
        at.append(out);
        member(out, b"\",\"connect_us\":", connect_us);
        member(out, b",\"tls_us\":", tls_us);
        member(out, b",\"first_byte_us\":", first_byte_us);
        member(out, b",\"total_us\":", total_us);
        out.push(b'}');
    }
}

/// A member of a routable list.
#[derive(Debug, Serialize)]
pub(super) struct Routable<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) zone: Option<&'a str>,
}

/// What an event says of a change of state.
#[derive(Debug, Serialize)]
pub(super) struct Transition {
    seq: u64,
    at: Rfc3339,
    from: &'static str,
    to: &'static str,
    reason: Option<&'static str>,
    code: &'static str,
    detail: Option<String>,
}

impl Transition {
    pub(super) fn new(state: &ApiState, event: &Event) -> Self {
        Self {
            seq: event.seq,
            at: state.wall.rfc3339(event.at),
            from: event.transition.from.name(),
            to: event.transition.to.name(),
            reason: event.outcome.code.row().aws.map(|aws| aws.name()),
            code: event.outcome.code.name(),
            detail: detail(&event.outcome),
        }
    }
}

/// `GET /v1/events`: one of them.
#[derive(Debug, Serialize)]
pub(super) struct EventForm<'a> {
    seq: u64,
    at: Rfc3339,
    group: &'a str,
    id: String,
    address: IpAddr,
    port: u16,
    from: &'static str,
    to: &'static str,
    reason: Option<&'static str>,
    code: &'static str,
    detail: Option<String>,
}

impl<'a> EventForm<'a> {
    pub(super) fn new(state: &ApiState, event: &'a Event) -> Self {
        let Transition { seq, at, from, to, reason, code, detail } = Transition::new(state, event);
        let (address, port) = (event.endpoint.ip(), event.endpoint.port());
        let (group, id) = (&*event.group, event.id());
        Self { seq, at, group, id, address, port, from, to, reason, code, detail }
    }
}

/// The detail of a target's last outcome, with what its certificate tells.
pub(super) fn detail_of_target(
    outcome: Outcome,
    presented: Option<&Presented>,
    now_s: i64,
) -> Option<String> {
    Some(detail_text(outcome, presented, now_s)).filter(|text| !text.is_empty())
}

/// The detail of an outcome; none where its code says it all.
pub(super) fn detail(outcome: &Outcome) -> Option<String> {
    Some(outcome.detail_text()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_written_as_it_would_be_serialized() {
        let probe = Probe {
            at: Rfc3339(1_753_920_123_456),
            connect_us: Some(410),
            tls_us: None,
            first_byte_us: Some(u32::MAX),
            total_us: 0,
        };
        let full = Target {
            id: Id::Given("a\"b\\\u{1}ü"),
            address: "2001:db8::1".parse().unwrap(),
            port: 65_535,
            zone: Some("z\"1"),
            weight: 100,
            state: "unhealthy",
            reason: Some("Target.Timeout"),
            description: Some("it said \"no\"".into()),
            code: Some("L4TOUT"),
            detail: Some("a\nb".to_owned()),
            status: Some(503),
            since: Rfc3339(-1),
            last_probe: Some(probe),
            tls: Some(Tls(Arc::new(Presented {
                version: "TLSv1.3",
                cipher: "TLS_AES_128_GCM_SHA256",
                alpn: Some("h2".into()),
                leaf: None,
            }))),
        };
        let bare = Target {
            id: Id::Address([10, 0, 0, 1].into()),
            address: [10, 0, 0, 1].into(),
            port: 0,
            zone: None,
            weight: 0,
            state: "initial",
            reason: None,
            description: None,
            code: None,
            detail: None,
            status: None,
            since: Rfc3339(253_402_300_800_000),
            last_probe: None,
            tls: None,
        };
        for target in [full, bare] {
            let mut out = Vec::new();
            target.append(&mut out);
            let expected = serde_json::to_string(&target).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn words_of_our_own_need_no_escapes() {
        let states = ShownState::ALL.map(ShownState::name);
        let codes = TABLE.each_ref().map(|row| row.name);
        let plain =
            |word: &&str| word.bytes().all(|c| c.is_ascii_graphic() && !b"\"\\".contains(&c));
        assert!(states.iter().chain(&codes).all(plain));
    }
}
