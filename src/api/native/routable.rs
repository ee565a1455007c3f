//! `GET /v1/groups/{group}/routable`: where traffic may go (DESIGN 3.2, fail open).

use super::targets::in_zone;
use super::wire;
use crate::api::answer::{More, append_json, json_pieces};
use crate::api::error::ApiError;
use crate::api::query::Query;
use crate::api::{ApiState, Chosen};
use crate::config::Lifecycle;
use crate::registry::Group;
use crate::table::{Filter, ShownState, StateMask};
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use std::sync::Arc;

/// Members that one piece of the list looks at.
const PIECE_LOOKS: usize = 2_048;

pub(super) async fn routable(
    State(state): State<Arc<ApiState>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut query = Query::of(&uri)?;
    let zone = query.take("zone");
    query.finish("zone")?;
    let Chosen { group, sets, view: _ } = Chosen::find(&state, &name)?;
    // Healthy is shown only in enabled zones, so this is "where no enabled zone has a healthy one".
    let fail_open = sets.count(ShownState::Healthy) == 0;
    let states = if fail_open {
        StateMask::ALL.but(ShownState::Draining)
    } else {
        StateMask::only(ShownState::Healthy)
    };
    let (mut next, mut written, mut begun) = (0, 0_usize, false);
    Ok(json_pieces(move |out| {
        if !begun {
            out.extend_from_slice(b"{\"targets\":[");
            begun = true;
        }
        let positions = sets.positions(Filter { states, code: None }, next).enumerate();
        for (looks, position) in positions {
            if looks == PIECE_LOOKS {
                return More::Yes;
            }
            next = position + 1;
            let zone_fits = in_zone(group.members.zone(position), zone.as_deref());
            if zone_fits && (!fail_open || takes_traffic(&group, position)) {
                if written > 0 {
                    out.push(b',');
                }
                append_json(out, &form(&group, position));
                written += 1;
            }
        }
        out.extend_from_slice(b"],\"fail_open\":");
        append_json(out, &fail_open);
        out.extend_from_slice(b"}\n");
        More::No
    }))
}

/// Whether traffic may go to a member whose health is not known to be good: it runs and has weight.
fn takes_traffic(group: &Group, position: usize) -> bool {
    group.members.lifecycle(position) == Lifecycle::Running && group.members.weight(position) > 0
}

fn form(group: &Group, position: usize) -> wire::Routable<'_> {
    let member = group.members.get(position);
    let (address, port) = (member.endpoint.ip(), member.endpoint.port());
    wire::Routable { id: member.id, address, port, zone: member.zone }
}
