//! `DescribeTargetHealth`: what a group's targets show, and why.
//!
//! All targets of a group are answered in pieces; one that is named costs the search for it.

use super::error::AwsError;
use super::request::Members;
use super::targets::Asked;
use super::{Call, Content, find};
use crate::api::ApiState;
use crate::api::answer::More;
use crate::api::xml::Xml;
use crate::registry::Group;
use crate::table::{Shown, View, explain, explain_absent};
use std::sync::Arc;

/// Targets of one piece of an answer.
const PIECE_TARGETS: usize = 256;
const LIST: &str = "TargetHealthDescriptions";

/// `DescribeTargetHealth`. `Include` asks for what only other load balancers have.
pub(super) fn describe(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let arn = members.required("TargetGroupArn")?;
    for include in members.texts("Include")? {
        if !["AnomalyDetection", "All"].contains(&include.as_str()) {
            let rule = "Member must satisfy enum value set: [AnomalyDetection, All]";
            return Err(members.broken("Include", &include, rule));
        }
    }
    let asked = Asked::all(members.list("Targets")?)?;
    let view = call.view();
    let group = Arc::clone(find::group(&view.registry, &arn)?);
    let listing = Listing { state: Arc::clone(&call.state), view, group };
    Ok(if asked.is_empty() { listing.all() } else { listing.named(asked) })
}

/// A group of one view.
struct Listing {
    state: Arc<ApiState>,
    view: Arc<View>,
    group: Arc<Group>,
}

impl Listing {
    fn all(self) -> Content {
        let mut next = 0;
        Content::Pieces(Box::new(move |out| {
            let mut xml = Xml::default();
            let len = self.group.members.len();
            let end = len.min(next + PIECE_TARGETS);
            if next == 0 {
                xml.open(LIST);
            }
            (next..end).for_each(|position| self.write(&mut xml, position));
            next = end;
            let more = if next < len { More::Yes } else { More::No };
            if more == More::No {
                xml.close(LIST);
            }
            out.extend_from_slice(xml.into_text().as_bytes());
            more
        }))
    }

    fn named(self, asked: Vec<Asked>) -> Content {
        let mut left = asked.into_iter().peekable();
        let mut begun = false;
        Content::Pieces(Box::new(move |out| {
            let mut xml = Xml::default();
            if !std::mem::replace(&mut begun, true) {
                xml.open(LIST);
            }
            for asked in left.by_ref().take(PIECE_TARGETS) {
                self.write_named(&mut xml, &asked);
            }
            let more = if left.peek().is_some() { More::Yes } else { More::No };
            if more == More::No {
                xml.close(LIST);
            }
            out.extend_from_slice(xml.into_text().as_bytes());
            more
        }))
    }

    /// A target that was asked for. Without a port: the one on the group's port, else all of the
    /// id.
    fn write_named(&self, xml: &mut Xml, asked: &Asked) {
        let members = &self.group.members;
        let of_group = self.group.config.port;
        let port = asked.port.or(of_group);
        let exact = port.and_then(|port| members.find(&asked.id, Some(port)));
        if let Some(position) = exact {
            return self.write(xml, position);
        }
        let every = members.find_all(&asked.id, asked.port);
        if every.len() == 0 {
            return self.write_absent(xml, asked, port);
        }
        every.for_each(|position| self.write(xml, position as usize));
    }

    fn write(&self, xml: &mut Xml, position: usize) {
        let member = self.group.members.get(position);
        let reading = self.state.table.read(member.target);
        let taken_up = self.state.table.is_taken_up(&self.view, &reading.verdict);
        let shown = explain(&self.group, position, &reading, taken_up);
        let port = member.endpoint.port();
        self.write_one(xml, (&member.id, Some(port), member.zone), &shown);
    }

    fn write_absent(&self, xml: &mut Xml, asked: &Asked, port: Option<u16>) {
        let shown = explain_absent(&self.group);
        self.write_one(xml, (&asked.id, port, asked.zone.as_deref()), &shown);
    }

    fn write_one(
        &self,
        xml: &mut Xml,
        (id, port, zone): (&str, Option<u16>, Option<&str>),
        shown: &Shown,
    ) {
        let check_port = self.group.config.health_check.port.or(port);
        xml.element("member", |xml| {
            xml.element("Target", |xml| {
                xml.text("Id", id);
                if let Some(port) = port {
                    xml.plain("Port", port);
                }
                xml.text_if("AvailabilityZone", zone);
            });
            if let Some(port) = check_port {
                xml.plain("HealthCheckPort", port);
            }
            xml.element("TargetHealth", |xml| {
                xml.plain("State", shown.state.name());
                xml.text_if("Reason", shown.reason);
                xml.text_if("Description", shown.description.as_deref());
            });
        });
    }
}
