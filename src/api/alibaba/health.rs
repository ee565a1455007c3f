//! `GetListenerHealthStatus`: the servers of a listener that are not normal, and why (seed of
//! Alibaba's API; DESIGN 3.3).
//!
//! A page holds at most `MaxResults` of them over all server groups of the listener. They are found
//! in the sets of the state table, and their number comes from the sets' counts, so a page costs
//! what it shows, not what the groups hold. The listener forwards to its groups in order; servers
//! stand in the order of their registration. The first page names every group that it has passed;
//! a later one those only that it shows a server of.

use super::answer::{Content, content};
use super::error::AlibabaError;
use super::page::{Asked, Progress};
use super::request::Request;
use super::{Call, objects};
use crate::outcome::{Class, Code};
use crate::registry::Group;
use crate::table::{Filter, GroupSets, Reading, ShownState, StateMask, StateTable, View, explain};
use serde_json::{Value, json};
use std::sync::Arc;

/// States of servers that are listed.
const NON_NORMAL: Filter = Filter {
    states: StateMask::ALL.but(ShownState::Healthy).but(ShownState::Draining),
    code: None,
};

/// What is said of a server that is not normal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Status {
    word: &'static str,
    reason_code: Option<&'static str>,
}

pub(super) fn listener(call: &Call, mut request: Request) -> Result<Content, AlibabaError> {
    let id = request.required("ListenerId")?;
    let asked = Asked::of(&mut request)?;
    let view = call.view();
    let listener = objects::listener(&view, &id)?;
    let progress = match &asked.token {
        None => Progress::default(),
        Some(token) => Progress::parse(token, &listener.id)?,
    };
    let groups: Vec<_> = listener.groups.iter().filter_map(|name| view.group(name)).collect();
    let page = Page { table: &call.state.table, view: &view, groups: &groups, asked: &asked };
    let (infos, next_token) = page.of(&progress, &listener.id);
    let total: u64 = groups.iter().map(|(_, sets)| non_normal(sets)).sum();
    Ok(content(json!({
        "ListenerHealthStatus": [{
            "ListenerId": listener.id,
            "ListenerPort": listener.port,
            "ListenerProtocol": listener.protocol.name(),
            "ServerGroupInfos": infos,
        }],
        "TotalCount": total,
        "MaxResults": asked.max_results,
        "NextToken": next_token,
    })))
}

/// How many servers of a group are not normal.
fn non_normal(sets: &GroupSets) -> u64 {
    let states = ShownState::ALL.into_iter().filter(|state| NON_NORMAL.states.contains(*state));
    states.map(|state| u64::from(sets.count(state))).sum()
}

/// What a page is made from.
struct Page<'a> {
    table: &'a StateTable,
    view: &'a View,
    groups: &'a [(&'a Arc<Group>, &'a Arc<GroupSets>)],
    asked: &'a Asked,
}

impl Page<'_> {
    /// The groups of the page, and the token of the next one, empty at the end.
    fn of(&self, progress: &Progress, listener: &str) -> (Vec<Value>, String) {
        let (mut infos, mut shown) = (Vec::new(), 0);
        // Of the last server shown: place of its group, and its number there.
        let mut last = None;
        let mut ended: Vec<&str> = Vec::new();
        let ids = self.groups.iter().map(|(group, _)| &*group.config.id);
        for left in progress.left(ids) {
            let (group, sets) = self.groups[left.index];
            let from = left.behind.map_or(0, |number| group.members.behind(number));
            let (mut servers, mut is_full) = (Vec::new(), false);
            for position in sets.positions(NON_NORMAL, from) {
                // One that became normal since the sets were looked at is not there.
                let Some(server) = self.server(group, position) else { continue };
                if shown == self.asked.max_results {
                    is_full = true;
                    break;
                }
                servers.push(server);
                shown += 1;
                last = Some((left.index, group.members.serial(position)));
            }
            if !servers.is_empty() || progress.is_start() {
                infos.push(json!({
                    "ServerGroupId": group.config.id,
                    "HeathCheckEnabled": group.config.health_check.enabled,
                    "NonNormalServers": servers,
                }));
            }
            if let Some((index, number)) = last.filter(|_| is_full) {
                let id = &*self.groups[index].0.config.id;
                // The last server's own group may have ended, and is named by `last` alone.
                let ended = ended.into_iter().filter(|ended| *ended != id);
                return (infos, progress.token(listener, ended, (index, id, number)));
            }
            ended.push(&group.config.id);
        }
        (infos, String::new())
    }

    fn server(&self, group: &Group, position: usize) -> Option<Value> {
        let member = group.members.get(position);
        let reading = self.table.read(member.target);
        let taken_up = self.table.is_taken_up(self.view, &reading.verdict);
        let shown = explain(group, position, &reading, taken_up).state;
        let status = status(shown, group.config.health_check.is_on(), &reading)?;
        let mut server = json!({
            "ServerId": member.id,
            "ServerIp": member.endpoint.ip(),
            "Port": member.endpoint.port(),
            "Status": status.word,
        });
        if let Some(code) = status.reason_code {
            server["Reason"] = json!({ "ReasonCode": code });
        }
        Some(server)
    }
}

/// What is said of a server that shows `state`; none for one that is not listed. Where the
/// checker's own faults kept it from a verdict, there is no data: `Initial`, with the code of the
/// last failure, if there was one.
fn status(state: ShownState, checks_enabled: bool, reading: &Reading) -> Option<Status> {
    let failure = || reading.failure.and_then(|failure| reason_code(failure.code));
    let (word, reason_code) = match state {
        ShownState::Healthy | ShownState::Draining => return None,
        ShownState::Initial => ("Initial", failure()),
        ShownState::Unavailable if checks_enabled => ("Initial", failure()),
        ShownState::Unavailable => ("Unavailable", None),
        ShownState::Unhealthy => ("Unhealthy", failure()),
        ShownState::Unused => ("Unused", None),
    };
    Some(Status { word, reason_code })
}

/// Alibaba's word for a failure.
fn reason_code(code: Code) -> Option<&'static str> {
    let row = code.row();
    row.alibaba.filter(|_| row.class == Class::Fail)
}
