//! Listeners as AWS describes them, those of the file and of the other dialects among them.

use super::find;
use crate::api::xml::Xml;
use crate::config::{AwsConfig, ListenerConfig, ListenerProtocol, LoadBalancerConfig};
use crate::registry::Registry;

/// Attributes of a listener made through the AWS API.
pub(super) const PROTOCOL: &str = "aws.protocol";
/// As above.
pub(super) const SSL_POLICY: &str = "aws.ssl_policy";
/// As above; ARNs, with blanks between them.
pub(super) const CERTIFICATES: &str = "aws.certificates";
/// As above.
pub(super) const ALPN_POLICY: &str = "aws.alpn_policy";
/// Before the name of a group: the weight that it was given.
pub(super) const WEIGHT: &str = "aws.weight.";

/// Its protocol in AWS's words.
pub(super) fn protocol(listener: &ListenerConfig) -> &str {
    let elsewhere = match listener.protocol {
        ListenerProtocol::Tcp => "TCP",
        ListenerProtocol::Udp => "UDP",
        ListenerProtocol::TcpSsl => "TLS",
    };
    attribute(listener, PROTOCOL).unwrap_or(elsewhere)
}

fn attribute<'l>(listener: &'l ListenerConfig, key: &str) -> Option<&'l str> {
    listener.origin.attributes.get(key).map(String::as_str)
}

/// Members of one listener.
pub(super) fn write(
    xml: &mut Xml,
    aws: &AwsConfig,
    registry: &Registry,
    (listener, of): (&ListenerConfig, &LoadBalancerConfig),
) {
    xml.text("ListenerArn", &find::arn_of_listener(aws, of, listener));
    xml.text("LoadBalancerArn", &find::arn_of_load_balancer(aws, of));
    xml.plain("Port", listener.port);
    xml.text("Protocol", protocol(listener));
    if let Some(certificates) = attribute(listener, CERTIFICATES) {
        xml.element("Certificates", |xml| {
            for arn in certificates.split(' ') {
                xml.element("member", |xml| xml.text("CertificateArn", arn));
            }
        });
    }
    xml.text_if("SslPolicy", attribute(listener, SSL_POLICY));
    let groups = listener.groups.iter().filter_map(|name| registry.group(name));
    let arn = |group: &str| registry.group(group).map(|g| find::arn_of_group(aws, &g.config));
    let arns: Vec<(String, Option<&str>)> = groups
        .filter_map(|group| {
            let name = &group.config.name;
            Some((arn(name)?, attribute(listener, &format!("{WEIGHT}{name}"))))
        })
        .collect();
    xml.element("DefaultActions", |xml| {
        xml.element("member", |xml| write_action(xml, &arns));
    });
    if let Some(policy) = attribute(listener, ALPN_POLICY) {
        xml.element("AlpnPolicy", |xml| xml.text("member", policy));
    }
}

fn write_action(xml: &mut Xml, groups: &[(String, Option<&str>)]) {
    xml.text("Type", "forward");
    if let [(arn, _)] = groups {
        xml.text("TargetGroupArn", arn);
    }
    xml.plain("Order", 1);
    xml.element("ForwardConfig", |xml| {
        xml.element("TargetGroups", |xml| {
            for (arn, weight) in groups {
                xml.element("member", |xml| {
                    xml.text("TargetGroupArn", arn);
                    xml.text_if("Weight", *weight);
                });
            }
        });
    });
}
