//! `GET /v1/events?since=&group=&limit=`: the last transitions.

use super::wire;
use crate::api::answer::{More, append_json, json_pieces};
use crate::api::error::ApiError;
use crate::api::query::Query;
use crate::api::{ApiState, Chosen};
use crate::limits::EVENTS_AGE_MAX;
use crate::time::Instant;
use crate::wall::Moment;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use std::sync::Arc;

/// Events that one piece of an answer looks at.
const PIECE_EVENTS: usize = 512;

/// Oldest first, after `since`. `next_since` is what to ask with the next time.
pub(super) async fn list(
    State(state): State<Arc<ApiState>>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut query = Query::of(&uri)?;
    let since = query.number::<u64>("since")?.unwrap_or(0);
    let group = asked_group(&state, &mut query)?;
    let limit = query.limit()?;
    query.finish("since, group, limit")?;
    let oldest = oldest(state.now());
    let (mut next, mut written, mut begun) = (since, 0, false);
    Ok(json_pieces(move |out| {
        if !begun {
            out.extend_from_slice(b"{\"events\":[");
            begun = true;
        }
        let events = state.table.history().since(next, PIECE_EVENTS, oldest);
        for event in &events {
            if written == limit {
                break;
            }
            next = event.seq;
            if group.as_deref().is_some_and(|group| *event.group != *group) {
                continue;
            }
            if written > 0 {
                out.push(b',');
            }
            append_json(out, &wire::EventForm::new(&state, event));
            written += 1;
        }
        if events.len() == PIECE_EVENTS && written < limit {
            return More::Yes;
        }
        out.extend_from_slice(b"],\"next_since\":");
        append_json(out, &next);
        out.extend_from_slice(b"}\n");
        More::No
    }))
}

/// The name of the group that `group=` asks for by name or id.
pub(super) fn asked_group(state: &ApiState, query: &mut Query) -> Result<Option<String>, ApiError> {
    let Some(asked) = query.take("group") else { return Ok(None) };
    let chosen = Chosen::find(state, &asked)?;
    Ok(Some(chosen.group.config.name.clone()))
}

/// The oldest event that is shown.
pub(super) fn oldest(now: Instant) -> Moment {
    let age_ms = i64::try_from(EVENTS_AGE_MAX.as_millis()).unwrap_or(i64::MAX);
    Moment(Moment::from(now).0.saturating_sub(age_ms))
}
