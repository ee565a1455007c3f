//! `GET /v1/events?since=&limit=`: the last transitions.

use super::wire;
use crate::api::ApiState;
use crate::api::answer::{More, append_json, json_pieces};
use crate::api::error::ApiError;
use crate::api::query::Query;
use crate::limits::EVENTS_AGE_MAX;
use crate::wall::Moment;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use std::sync::Arc;

/// Events of one piece of an answer.
const PIECE_EVENTS: usize = 512;

/// Oldest first, after `since`. `next_since` is what to ask with the next time.
pub(super) async fn list(
    State(state): State<Arc<ApiState>>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut query = Query::of(&uri)?;
    let since = query.number::<u64>("since")?.unwrap_or(0);
    let limit = query.limit()?;
    query.finish("since, limit")?;
    let now = state.now();
    let age_ms = i64::try_from(EVENTS_AGE_MAX.as_millis()).unwrap_or(i64::MAX);
    let oldest = Moment(Moment::from(now).0.saturating_sub(age_ms));
    let (mut next, mut written, mut begun) = (since, 0, false);
    Ok(json_pieces(move |out| {
        if !begun {
            out.extend_from_slice(b"{\"events\":[");
            begun = true;
        }
        let asked = PIECE_EVENTS.min(limit - written);
        let events = state.table.history().since(next, asked, oldest);
        for event in &events {
            if written > 0 {
                out.push(b',');
            }
            append_json(out, &wire::EventForm::new(&state, event));
            written += 1;
            next = event.seq;
        }
        if events.len() == asked && written < limit {
            return More::Yes;
        }
        out.extend_from_slice(b"],\"next_since\":");
        append_json(out, &next);
        out.extend_from_slice(b"}\n");
        More::No
    }))
}
