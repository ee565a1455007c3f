//! `CreateLoadBalancer`, `DescribeLoadBalancers`, `DeleteLoadBalancer`.
//!
//! There is no VPC, so a subnet is known by its zone: its id is taken as the zone's name, without
//! `subnet-` at its beginning (`subnet-us-east-1a` is in `us-east-1a`, `zone-a` in `zone-a`).

use super::error::AwsError;
use super::group_form::{IP_ADDRESS_TYPE, VPC_ID, VPC_ID_DEFAULT};
use super::groups::READ_ONLY_OTHER;
use super::page::{Page, write_marker};
use super::request::Members;
use super::{Attributes, Call, Content, arn, crop, find, fresh_hex, names, tags};
use crate::api::xml::Xml;
use crate::config::{AwsConfig, LoadBalancerConfig, Origin, Source};
use crate::edit::{Edit, EditError};
use crate::wall::Rfc3339;

const SCHEME: &str = "aws.scheme";
const SECURITY_GROUPS: &str = "aws.security_groups";
/// Before a zone: the subnet that it was named by.
const SUBNET: &str = "aws.subnet.";
/// The zone of network load balancers' names in us-east-1.
const HOSTED_ZONE: &str = "Z26RNL4JYFTOTI";
const SUBNETS_MAX: usize = 100;
const TEXT_CHARS_MAX: usize = 255;
const FAMILIES: [&str; 3] = ["ipv4", "dualstack", "dualstack-without-public-ipv4"];

/// `CreateLoadBalancer`. The same settings again: the load balancer that is there.
pub(super) async fn create(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let wanted = wanted(call, &mut members)?;
    if let Some(there) = call.view().registry.load_balancer(&wanted.name) {
        return same(call, there, &wanted);
    }
    let edit = Edit::CreateLoadBalancer(Box::new(wanted.clone()));
    match call.apply(edit, &wanted.name).await {
        Ok(_) => Ok(answer(call.aws(), &[&wanted], None)),
        Err(EditError::Exists { .. }) => {
            let view = call.view();
            let there = view.registry.load_balancer(&wanted.name);
            same(call, there.ok_or_else(|| duplicate(&wanted.name))?, &wanted)
        }
        Err(error) => Err(AwsError::of_edit(&error, READ_ONLY_OTHER)),
    }
}

/// `DescribeLoadBalancers`: by ARN, by name, or all.
pub(super) fn describe(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let page = Page::of(&mut members)?;
    let (arns, names) = (members.texts("LoadBalancerArns")?, members.texts("Names")?);
    if !arns.is_empty() && !names.is_empty() {
        let message = "Load balancer names and load balancer ARNs cannot be specified at the \
            same time";
        return Err(AwsError::validation(message));
    }
    let view = call.view();
    let registry = &*view.registry;
    let mut chosen: Vec<&LoadBalancerConfig> = if !arns.is_empty() {
        arns.iter().map(|arn| find::load_balancer(registry, arn)).collect::<Result<_, _>>()?
    } else if !names.is_empty() {
        let named = |name: &String| {
            let found = registry.load_balancer(name).filter(|found| found.name == *name);
            found.ok_or_else(|| not_found(name))
        };
        names.iter().map(named).collect::<Result<_, _>>()?
    } else {
        registry.load_balancers.iter().collect()
    };
    chosen.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    chosen.dedup_by(|a, b| a.name == b.name);
    let (shown, marker) = page.of_all(chosen, |found| found.name.clone());
    Ok(answer(call.aws(), &shown, marker.as_deref()))
}

fn not_found(name: &str) -> AwsError {
    let message = format!("Load balancers '[{}]' not found", crop(name));
    AwsError::new("LoadBalancerNotFound", message)
}

/// `DeleteLoadBalancer`, with its listeners. One that is not there is deleted already.
pub(super) async fn delete(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let arn = members.required("LoadBalancerArn")?;
    let name = match find::load_balancer(&call.view().registry, &arn) {
        Ok(found) => found.name.clone(),
        Err(error) if error == AwsError::load_balancer_not_found() => return Ok(Content::empty()),
        Err(error) => return Err(error),
    };
    let edit = Edit::DeleteLoadBalancer { load_balancer: name.clone() };
    match call.apply(edit, &name).await {
        Ok(_) | Err(EditError::Unknown { .. }) => Ok(Content::empty()),
        Err(error) => Err(AwsError::of_edit(&error, READ_ONLY_OTHER)),
    }
}

/// The load balancer that `CreateLoadBalancer` asks for.
fn wanted(call: &Call, members: &mut Members) -> Result<LoadBalancerConfig, AwsError> {
    let name = members.required("Name")?;
    names::check("Load balancer", &name)?;
    if name.starts_with("internal-") {
        let message = format!("Load balancer name '{name}' cannot begin with 'internal-'");
        return Err(AwsError::validation(message));
    }
    // AWS makes an application load balancer where no type is given; here are only network ones.
    let kind = members.word("Type", &["application", "network", "gateway"])?;
    if let Some(kind) = kind.filter(|kind| *kind != "network") {
        let message =
            format!("Load balancers of type '{kind}' are not supported here; Type is 'network'");
        return Err(AwsError::configuration(message));
    }
    let scheme = members.word("Scheme", &["internet-facing", "internal"])?;
    let family = members.word("IpAddressType", &FAMILIES)?;
    let security_groups = members.texts("SecurityGroups")?;
    let (zones, subnets) = subnets(members)?;
    let mut attributes = Attributes::new();
    attributes.insert(SCHEME.to_owned(), scheme.unwrap_or("internet-facing").to_owned());
    attributes.insert(IP_ADDRESS_TYPE.to_owned(), family.unwrap_or("ipv4").to_owned());
    if !security_groups.is_empty() {
        let is_id = |group: &String| {
            (1..=TEXT_CHARS_MAX).contains(&group.len())
                && group.bytes().all(|b| b.is_ascii_graphic())
        };
        if !security_groups.iter().all(is_id) || security_groups.len() > SUBNETS_MAX {
            let message = "The specified security groups are not valid";
            return Err(AwsError::new("InvalidSecurityGroup", message));
        }
        attributes.insert(SECURITY_GROUPS.to_owned(), security_groups.join(" "));
    }
    for (zone, subnet) in zones.iter().zip(subnets) {
        attributes.insert(format!("{SUBNET}{zone}"), subnet);
    }
    tags::read(members)?.store(&mut attributes);
    let id = format!("nlb-{}", fresh_hex()?);
    let origin = Origin { source: Source::Aws, created_ms: call.state.unix_ms(), attributes };
    Ok(LoadBalancerConfig { name, id, zones, origin })
}

/// The zones of a request, and the subnets that they were named by.
fn subnets(members: &mut Members) -> Result<(Vec<String>, Vec<String>), AwsError> {
    let mut subnets = members.texts("Subnets")?;
    let mappings = members.list("SubnetMappings")?;
    if !subnets.is_empty() && !mappings.is_empty() {
        let message = "You must specify either subnets or subnet mappings, but not both";
        return Err(AwsError::validation(message));
    }
    for mut mapping in mappings {
        subnets.push(mapping.required("SubnetId")?);
    }
    if subnets.is_empty() {
        return Err(AwsError::validation("At least one subnet must be specified"));
    }
    if subnets.len() > SUBNETS_MAX {
        let message = format!("More than {SUBNETS_MAX} subnets were specified");
        return Err(AwsError::new("InvalidSubnet", message));
    }
    let mut zones: Vec<String> = Vec::with_capacity(subnets.len());
    for subnet in &subnets {
        let zone = subnet.strip_prefix("subnet-").unwrap_or(subnet);
        let fits = (1..=TEXT_CHARS_MAX).contains(&zone.len());
        if !fits || zone.contains(|c: char| c.is_control() || c == ' ') {
            let message = format!("The subnet ID '{}' is not valid", crop(subnet));
            return Err(AwsError::new("InvalidSubnet", message));
        }
        if zones.iter().any(|known| known == zone) {
            let message = "A load balancer cannot be attached to multiple subnets in the same \
                Availability Zone";
            return Err(AwsError::configuration(message));
        }
        zones.push(zone.to_owned());
    }
    Ok((zones, subnets))
}

/// The answer where `there` has the name of the wanted load balancer.
fn same(
    call: &Call,
    there: &LoadBalancerConfig,
    wanted: &LoadBalancerConfig,
) -> Result<Content, AwsError> {
    let keys = [SCHEME, IP_ADDRESS_TYPE, SECURITY_GROUPS];
    let attribute = |of: &LoadBalancerConfig, key: &str| of.origin.attributes.get(key).cloned();
    let mut zones = [there.zones.clone(), wanted.zones.clone()];
    zones.iter_mut().for_each(|zones| zones.sort_unstable());
    let is_same = there.origin.source == Source::Aws
        && zones[0] == zones[1]
        && keys.iter().all(|key| attribute(there, key) == attribute(wanted, key));
    if is_same { Ok(answer(call.aws(), &[there], None)) } else { Err(duplicate(&wanted.name)) }
}

fn duplicate(name: &str) -> AwsError {
    let message =
        format!("A load balancer with the same name '{name}' exists, but with different settings");
    AwsError::new("DuplicateLoadBalancerName", message)
}

/// The answer that shows these load balancers.
fn answer(aws: &AwsConfig, shown: &[&LoadBalancerConfig], marker: Option<&str>) -> Content {
    Content::of(|xml| {
        xml.element("LoadBalancers", |xml| {
            for found in shown {
                xml.element("member", |xml| write(xml, aws, found));
            }
        });
        write_marker(xml, marker);
    })
}

fn write(xml: &mut Xml, aws: &AwsConfig, found: &LoadBalancerConfig) {
    let attribute = |key: &str| found.origin.attributes.get(key).map(String::as_str);
    let scheme = attribute(SCHEME).unwrap_or("internet-facing");
    let (name, hex) = (&found.name, arn::hex(&found.id));
    xml.text("LoadBalancerArn", &find::arn_of_load_balancer(aws, found));
    xml.text("DNSName", &format!("{name}-{hex}.elb.{}.amazonaws.com", aws.region));
    xml.text("CanonicalHostedZoneId", HOSTED_ZONE);
    let created_ms = i64::try_from(found.origin.created_ms).unwrap_or(i64::MAX);
    xml.plain("CreatedTime", Rfc3339(created_ms));
    xml.text("LoadBalancerName", name);
    xml.text("Scheme", scheme);
    xml.text("VpcId", attribute(VPC_ID).unwrap_or(VPC_ID_DEFAULT));
    xml.element("State", |xml| xml.text("Code", "active"));
    xml.text("Type", "network");
    xml.element("AvailabilityZones", |xml| {
        for zone in &found.zones {
            let subnet = attribute(&format!("{SUBNET}{zone}"));
            let subnet = subnet.map_or_else(|| format!("subnet-{zone}"), str::to_owned);
            xml.element("member", |xml| {
                xml.text("ZoneName", zone);
                xml.text("SubnetId", &subnet);
                xml.element("LoadBalancerAddresses", |_| ());
            });
        }
    });
    if let Some(groups) = attribute(SECURITY_GROUPS) {
        xml.element("SecurityGroups", |xml| {
            groups.split(' ').for_each(|group| xml.text("member", group));
        });
    }
    xml.text("IpAddressType", attribute(IP_ADDRESS_TYPE).unwrap_or("ipv4"));
}
