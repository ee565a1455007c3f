//! `DescribeLoadBalancerAttributes` and `ModifyLoadBalancerAttributes`.
//!
//! None of them acts, and none can be changed: there is no traffic, no log, and nothing to protect.
//! To set one to the value that it has is fine, because tools do that with every load balancer.

use super::error::AwsError;
use super::request::Members;
use super::{Call, Content, crop, find};

const ATTRIBUTES: [(&str, &str); 8] = [
    ("access_logs.s3.enabled", "false"),
    ("access_logs.s3.bucket", ""),
    ("access_logs.s3.prefix", ""),
    ("deletion_protection.enabled", "false"),
    ("ipv6.deny_all_igw_traffic", "false"),
    ("load_balancing.cross_zone.enabled", "false"),
    ("dns_record.client_routing_policy", "any_availability_zone"),
    ("zonal_shift.config.enabled", "false"),
];
const ATTRIBUTES_MAX: usize = 20;

/// `DescribeLoadBalancerAttributes`
pub(super) fn describe(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let arn = members.required("LoadBalancerArn")?;
    find::load_balancer(&call.view().registry, &arn)?;
    Ok(answer())
}

/// `ModifyLoadBalancerAttributes`
pub(super) fn modify(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let arn = members.required("LoadBalancerArn")?;
    let list = members.required_list("Attributes")?;
    find::load_balancer(&call.view().registry, &arn)?;
    if list.len() > ATTRIBUTES_MAX {
        let rule = format!("Member must have length less than or equal to {ATTRIBUTES_MAX}");
        return Err(members.broken("Attributes", &format!("{} of them", list.len()), &rule));
    }
    for mut attribute in list {
        let key = attribute.required("Key")?;
        let value = attribute.text_within("Value", 0..=1_024)?.unwrap_or_default();
        let known = ATTRIBUTES.iter().find(|(known, _)| *known == key);
        let Some((key, only)) = known else {
            let message = format!("Load balancer attribute key '{}' is not recognized", crop(&key));
            return Err(AwsError::validation(message));
        };
        if value != *only {
            let message = format!(
                "Load balancer attribute '{key}' is '{only}' and cannot be changed in this \
                 version of ringcheck"
            );
            return Err(AwsError::configuration(message));
        }
    }
    Ok(answer())
}

fn answer() -> Content {
    Content::of(|xml| {
        xml.element("Attributes", |xml| {
            for (key, value) in ATTRIBUTES {
                xml.element("member", |xml| {
                    xml.text("Key", key);
                    xml.text("Value", value);
                });
            }
        });
    })
}
