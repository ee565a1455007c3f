//! `GET /v1/groups/{group}/targets`, a page of a group, and one target by itself.

use super::wire;
use crate::api::answer::{More, append_json, json, json_pieces};
use crate::api::cursor::Cursor;
use crate::api::error::ApiError;
use crate::api::query::{Query, crop};
use crate::api::{ApiState, Chosen};
use crate::config::{Problem, ZONE_ALL, duration};
use crate::outcome::{Code, TABLE};
use crate::table::{Filter, Reading, ShownState, StateMask, explain};
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use std::sync::Arc;

/// Targets of one piece of a page.
const PIECE_TARGETS: usize = 256;
/// Members that one piece looks at to find them.
const PIECE_LOOKS: usize = 8_192;
/// Transitions shown with one target.
const TRANSITIONS_SHOWN: usize = 10;

/// What a page is asked for with.
#[derive(Debug)]
struct Asked {
    filter: Filter,
    zone: Option<String>,
    /// Only those whose certificate ends before this, seconds since 1970.
    expires_before: Option<i64>,
    limit: usize,
    cursor: Option<Cursor>,
}

pub(super) async fn page(
    State(state): State<Arc<ApiState>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let asked = Asked::of(&uri, state.unix_ms())?;
    let chosen = Chosen::find(&state, &name)?;
    let members = &chosen.group.members;
    // Where nobody presents anything, nobody is looked at.
    let nothing = asked.expires_before.is_some() && !chosen.group.config.health_check.has_tls();
    let from = asked.cursor.map_or(0, |cursor| cursor.resume(members));
    let from = if nothing { members.len() } else { from };
    state.now();
    let mut page = Page { state, chosen, asked, next: from, begun: false, last: None, written: 0 };
    Ok(json_pieces(move |out| page.piece(out)))
}

pub(super) async fn one(
    State(state): State<Arc<ApiState>>,
    Path((name, id)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut query = Query::of(&uri)?;
    let port = query.number::<u16>("port")?;
    query.finish("port")?;
    let chosen = Chosen::find(&state, &name)?;
    let members = &chosen.group.members;
    let position = members.find(&id, port).ok_or_else(|| unknown_target(&name, &id, port))?;
    state.now();
    let (target, endpoint) = (members.target(position), members.endpoints[position]);
    let reading = state.table.read(target);
    let group = &*chosen.group.config.name;
    let is_of_it =
        |event: &crate::table::Event| event.endpoint == endpoint && *event.group == *group;
    let events = state.table.history().of_target(target, TRANSITIONS_SHOWN, is_of_it);
    Ok(json(&wire::TargetInFull {
        target: form(&state, &chosen, position, &reading),
        group,
        streak: reading.last.map_or(0, |last| last.streak),
        transitions: events.iter().map(|event| wire::Transition::new(&state, event)).collect(),
    }))
}

fn unknown_target(group: &str, id: &str, port: Option<u16>) -> ApiError {
    let port = port.map(|port| format!(" with port {port}")).unwrap_or_default();
    let message = format!("no target '{}'{port} in group '{}'", crop(id), crop(group));
    ApiError::new(StatusCode::NOT_FOUND, "UnknownTarget", message)
}

impl Asked {
    fn of(uri: &Uri, unix_ms: u64) -> Result<Self, ApiError> {
        let mut query = Query::of(uri)?;
        let state = query.take("state").map(|word| state_named(&word)).transpose()?;
        let code = query.take("code").map(|word| code_named(&word)).transpose()?;
        let cursor = query.take("cursor").map(|text| cursor_from(&text)).transpose()?;
        let expires = query.take("expires_within");
        let expires_before = expires.map(|text| expires_before(&text, unix_ms)).transpose()?;
        let (zone, limit) = (query.take("zone"), query.limit()?);
        query.finish("state, code, zone, expires_within, limit, cursor")?;
        let states = state.map_or(StateMask::ALL, StateMask::only);
        Ok(Self { filter: Filter { states, code }, zone, expires_before, limit, cursor })
    }
}

fn state_named(word: &str) -> Result<ShownState, ApiError> {
    ShownState::ALL.into_iter().find(|state| state.name() == word).ok_or_else(|| {
        let known = ShownState::ALL.map(ShownState::name).join(", ");
        ApiError::parameter(format!("unknown state '{}'; there are {known}", crop(word)))
    })
}

fn code_named(word: &str) -> Result<Code, ApiError> {
    Code::from_name(word).ok_or_else(|| {
        let known = TABLE.each_ref().map(|row| row.name).join(", ");
        ApiError::parameter(format!("unknown code '{}'; there are {known}", crop(word)))
    })
}

/// The second before which a certificate ends that expires within the duration `text`.
fn expires_before(text: &str, unix_ms: u64) -> Result<i64, ApiError> {
    let within = duration::parse(text).map_err(|Problem { cure, .. }| {
        let what = format!("expires_within '{}' is not a duration", crop(text));
        ApiError::parameter(format!("{what}; {cure}"))
    })?;
    let seconds = (u128::from(unix_ms) + within.as_millis()).div_ceil(1_000);
    Ok(i64::try_from(seconds).unwrap_or(i64::MAX))
}

fn cursor_from(text: &str) -> Result<Cursor, ApiError> {
    Cursor::parse(text).ok_or_else(|| {
        let message = "the cursor is none that a page ended with; begin without one";
        ApiError::new(StatusCode::BAD_REQUEST, "InvalidCursor", message)
    })
}

/// A page on its way.
struct Page {
    state: Arc<ApiState>,
    chosen: Chosen,
    asked: Asked,
    /// First position that was not looked at.
    next: usize,
    begun: bool,
    /// Position of the last target written.
    last: Option<usize>,
    written: usize,
}

impl Page {
    /// Appends the next piece. A target is looked for in the sets and read afterwards, so one that
    /// changed in between is left out where a state or code was asked for.
    fn piece(&mut self, out: &mut Vec<u8>) -> More {
        if !self.begun {
            out.extend_from_slice(b"{\"targets\":[");
            self.begun = true;
        }
        let sets = Arc::clone(&self.chosen.sets);
        let end_of_piece = self.written + PIECE_TARGETS;
        for (looks, position) in sets.positions(self.asked.filter, self.next).enumerate() {
            let fits = self.is_asked_for(position);
            if fits && self.written == self.asked.limit {
                self.finish(out, true);
                return More::No;
            }
            if looks == PIECE_LOOKS || self.written == end_of_piece {
                return More::Yes;
            }
            if fits {
                self.append(out, position);
            }
            self.next = position + 1;
        }
        self.finish(out, false);
        More::No
    }

    fn is_asked_for(&self, position: usize) -> bool {
        let members = &self.chosen.group.members;
        in_zone(members.zone(position), self.asked.zone.as_deref())
            && self.asked.expires_before.is_none_or(|before| {
                let presented = self.state.table.presented(members.target(position));
                let leaf = presented.as_deref().and_then(|presented| presented.leaf.as_deref());
                leaf.is_some_and(|leaf| leaf.not_after < before)
            })
    }

    fn append(&mut self, out: &mut Vec<u8>, position: usize) {
        let reading = self.state.table.read(self.chosen.group.members.target(position));
        let form = form(&self.state, &self.chosen, position, &reading);
        let Filter { states, code } = self.asked.filter;
        let state_fits = ShownState::ALL
            .into_iter()
            .any(|state| states.contains(state) && state.name() == form.state);
        let code_fits = code.is_none_or(|code| form.code == Some(code.name()));
        if !state_fits || !code_fits {
            return;
        }
        if self.written > 0 {
            out.push(b',');
        }
        form.append(out);
        self.last = Some(position);
        self.written += 1;
    }

    fn finish(&self, out: &mut Vec<u8>, more: bool) {
        let cursor = self
            .last
            .filter(|_| more)
            .map(|position| Cursor { serial: self.chosen.group.members.serial(position) }.text());
        out.extend_from_slice(b"],\"next_cursor\":");
        append_json(out, &cursor);
        out.extend_from_slice(b"}\n");
    }
}

/// Whether a target in `zone` is asked for with `asked`: one without a zone, or with
/// [`ZONE_ALL`], is in every zone.
pub(super) fn in_zone(zone: Option<&str>, asked: Option<&str>) -> bool {
    asked.is_none() || zone.is_none_or(|zone| zone == ZONE_ALL) || zone == asked
}

fn form<'a>(
    state: &ApiState,
    chosen: &'a Chosen,
    position: usize,
    reading: &Reading,
) -> wire::Target<'a> {
    let members = &chosen.group.members;
    let endpoint = members.endpoints[position];
    let taken_up = state.table.is_taken_up(&chosen.view, &reading.verdict);
    let shown = explain(&chosen.group, position, reading, taken_up);
    let outcome = reading.verdict.outcome;
    // What was presented to an earlier check is no news of this one.
    let has_tls = chosen.group.config.health_check.has_tls();
    let presented = state.table.presented(members.target(position)).filter(|_| has_tls);
    wire::Target {
        id: members
            .own_id(position)
            .map_or_else(|| wire::Id::Address(endpoint.ip()), wire::Id::Given),
        address: endpoint.ip(),
        port: endpoint.port(),
        zone: members.zone(position),
        weight: members.weight(position),
        state: shown.state.name(),
        reason: shown.reason,
        description: shown.description,
        code: outcome.map(|outcome| outcome.code.name()),
        detail: outcome.and_then(|outcome| {
            let now_s = state.unix_ms() / 1_000;
            wire::detail_of_target(outcome, presented.as_deref(), i64::try_from(now_s).unwrap_or(0))
        }),
        status: outcome.map(|outcome| outcome.status).filter(|&status| status != 0),
        since: state.wall.rfc3339(reading.verdict.since),
        last_probe: reading.last.map(|last| wire::Probe::new(state, &last)),
        tls: presented.map(wire::Tls),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_targets_are_in_every_zone() {
        for (zone, asked, fits) in [
            (Some("a"), None, true),
            (Some("a"), Some("a"), true),
            (Some("a"), Some("b"), false),
            (None, Some("b"), true),
            (Some("all"), Some("b"), true),
        ] {
            assert_eq!(in_zone(zone, asked), fits, "{zone:?} {asked:?}");
        }
    }
}
