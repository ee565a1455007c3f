//! `DescribeTags`, `AddTags`, `RemoveTags`, and the tags that objects are created with.
//!
//! Tags are kept as attributes of the object and do nothing. Those of a load balancer or listener
//! are given when it is created; later only a group's can be changed.

use super::error::AwsError;
use super::groups::change_group;
use super::request::Members;
use super::{Attributes, Call, Content, crop, find};
use crate::config::GroupConfig;
use crate::registry::Registry;
use std::collections::HashSet;

const PREFIX: &str = "aws.tag.";
/// AWS's quota.
const TAGS_MAX: usize = 50;
/// AWS's bound of `ResourceArns`.
const RESOURCES_MAX: usize = 20;

/// Tags of a request, keys unique.
#[derive(Clone, Debug)]
pub(super) struct Tags(Vec<(String, String)>);

impl Tags {
    /// Keeps them among the attributes of an object.
    pub(super) fn store(&self, attributes: &mut Attributes) {
        for (key, value) in &self.0 {
            attributes.insert(format!("{PREFIX}{key}"), value.clone());
        }
    }
}

/// The tags that `members` give.
pub(super) fn read(members: &mut Members) -> Result<Tags, AwsError> {
    let mut tags = Vec::new();
    let mut keys = HashSet::new();
    for mut tag in members.list("Tags")? {
        let key = tag.required("Key")?;
        let value = tag.text_within("Value", 0..=256)?.unwrap_or_default();
        if key.is_empty() || key.chars().count() > 128 || !is_plain(&key) || !is_plain(&value) {
            let message = format!(
                "Tag '{}' must have a key of 1 to 128 and a value of at most 256 letters, digits, \
                 blanks and _.:/=+-@",
                crop(&key)
            );
            return Err(AwsError::validation(message));
        }
        if !keys.insert(key.clone()) {
            let message = format!("Tag key '{}' is given twice", crop(&key));
            return Err(AwsError::new("DuplicateTagKeys", message));
        }
        tags.push((key, value));
    }
    if tags.len() > TAGS_MAX { Err(too_many()) } else { Ok(Tags(tags)) }
}

/// The model's `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`.
fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c))
}

fn too_many() -> AwsError {
    AwsError::new("TooManyTags", format!("An object has at most {TAGS_MAX} tags"))
}

/// `DescribeTags`
pub(super) fn describe(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let arns = resources(&mut members)?;
    let view = call.view();
    let mut described = Vec::with_capacity(arns.len());
    for arn in arns {
        let attributes = attributes_of(&view.registry, &arn)?;
        described.push((arn, attributes));
    }
    Ok(Content::of(|xml| {
        xml.element("TagDescriptions", |xml| {
            for (arn, attributes) in &described {
                xml.element("member", |xml| {
                    xml.text("ResourceArn", arn);
                    xml.element("Tags", |xml| {
                        for (key, value) in attributes.iter() {
                            let Some(key) = key.strip_prefix(PREFIX) else { continue };
                            xml.element("member", |xml| {
                                xml.text("Key", key);
                                xml.text("Value", value);
                            });
                        }
                    });
                });
            }
        });
    }))
}

/// `AddTags`
pub(super) async fn add(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let arns = groups_only(call, &mut members)?;
    let tags = read(&mut members)?;
    if tags.0.is_empty() {
        members.required("Tags.member.1.Key")?;
    }
    let change = |group: &mut GroupConfig| {
        let attributes = &mut group.origin.attributes;
        tags.store(attributes);
        let count = attributes.keys().filter(|key| key.starts_with(PREFIX)).count();
        if count > TAGS_MAX { Err(too_many()) } else { Ok(()) }
    };
    for arn in arns {
        change_group(call, &arn, change).await?;
    }
    Ok(Content::empty())
}

/// `RemoveTags`
pub(super) async fn remove(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let arns = groups_only(call, &mut members)?;
    let keys = members.texts("TagKeys")?;
    if keys.is_empty() {
        members.required("TagKeys.member.1")?;
    }
    let change = |group: &mut GroupConfig| {
        for key in &keys {
            group.origin.attributes.remove(&format!("{PREFIX}{key}"));
        }
        Ok(())
    };
    for arn in arns {
        change_group(call, &arn, change).await?;
    }
    Ok(Content::empty())
}

fn resources(members: &mut Members) -> Result<Vec<String>, AwsError> {
    let arns = members.texts("ResourceArns")?;
    if arns.is_empty() {
        members.required("ResourceArns.member.1")?;
    }
    if arns.len() > RESOURCES_MAX {
        let rule = format!("Member must have length less than or equal to {RESOURCES_MAX}");
        return Err(members.broken("ResourceArns", &format!("{} ARNs", arns.len()), &rule));
    }
    Ok(arns)
}

/// The ARNs of a request that changes tags, each of them that of a group.
fn groups_only(call: &Call, members: &mut Members) -> Result<Vec<String>, AwsError> {
    let arns = resources(members)?;
    let view = call.view();
    for arn in &arns {
        attributes_of(&view.registry, arn)?;
        if find::group(&view.registry, arn).is_err() {
            let message = "Tags of load balancers and listeners are given when they are created; \
                only those of target groups can be changed";
            return Err(AwsError::new("OperationNotPermitted", message));
        }
    }
    Ok(arns)
}

fn attributes_of<'r>(registry: &'r Registry, arn: &str) -> Result<&'r Attributes, AwsError> {
    let origin = if arn.contains(":loadbalancer/") {
        &find::load_balancer(registry, arn)?.origin
    } else if arn.contains(":listener/") {
        &find::listener(registry, arn)?.0.origin
    } else {
        &find::group(registry, arn)?.config.origin
    };
    Ok(&origin.attributes)
}
