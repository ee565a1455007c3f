//! `CreateListener`, `DescribeListeners`, `DeleteListener`.
//!
//! What a listener does here is to bring its groups into use. Certificates, policies and weights
//! are repeated.

use super::error::AwsError;
use super::groups::{READ_ONLY, READ_ONLY_OTHER};
use super::listener_form::{self, ALPN_POLICY, CERTIFICATES, PROTOCOL, SSL_POLICY, WEIGHT};
use super::page::{Page, write_marker};
use super::request::Members;
use super::{Attributes, Call, Content, check, find, fresh_hex, group_form, tags};
use crate::config::{
    GroupConfig, ListenerConfig, ListenerProtocol, LoadBalancerConfig, Origin, Source,
};
use crate::edit::{Edit, EditError};
use crate::registry::Registry;

const ACTION_TYPES: [&str; 6] = [
    "forward",
    "authenticate-oidc",
    "authenticate-cognito",
    "redirect",
    "fixed-response",
    "jwt-validation",
];
/// Groups of one action at most.
const GROUPS_MAX: usize = 5;
const CERTIFICATES_MAX: usize = 25;
const TEXT_CHARS_MAX: usize = 255;

/// `CreateListener`. The same settings again: the listener that is there.
pub(super) async fn create(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let (wanted, of) = {
        let view = call.view();
        wanted(call, &view.registry, &mut members)?
    };
    if let Some(there) = on_port(&call.view().registry, &of, wanted.port) {
        return same(call, there, &wanted, &of);
    }
    let edit = Edit::CreateListener(Box::new(wanted.clone()));
    match call.apply(edit, &wanted.name).await {
        Ok(_) => Ok(answer(call, &call.view().registry, &[(&wanted, &of)], None)),
        Err(EditError::PortTaken { .. }) => {
            let view = call.view();
            let there = on_port(&view.registry, &of, wanted.port);
            same(call, there.ok_or_else(|| port_taken(call, &of))?, &wanted, &of)
        }
        Err(error) => Err(AwsError::of_edit(&error, READ_ONLY)),
    }
}

/// `DescribeListeners`: those of a load balancer, or by ARN.
pub(super) fn describe(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let page = Page::of(&mut members)?;
    let (of, arns) = (members.text("LoadBalancerArn"), members.texts("ListenerArns")?);
    let view = call.view();
    let registry = &*view.registry;
    let mut chosen: Vec<(&ListenerConfig, &LoadBalancerConfig)> = match (&of, &*arns) {
        (Some(of), []) => {
            let of = find::load_balancer(registry, of)?;
            let all = registry.listeners.iter();
            let is_of = |listener: &&ListenerConfig| listener.load_balancer == of.name;
            all.filter(is_of).map(|listener| (listener, of)).collect()
        }
        (None, [_, ..]) => {
            arns.iter().map(|arn| find::listener(registry, arn)).collect::<Result<_, _>>()?
        }
        (None, []) => {
            let message = "You must specify either listener ARNs or a load balancer ARN";
            return Err(AwsError::validation(message));
        }
        (Some(_), [_, ..]) => {
            let message =
                "Listener ARNs and a load balancer ARN cannot be specified at the same time";
            return Err(AwsError::validation(message));
        }
    };
    chosen.sort_unstable_by(|a, b| a.0.id.cmp(&b.0.id));
    chosen.dedup_by(|a, b| a.0.id == b.0.id);
    let key =
        |(listener, _): &(&ListenerConfig, _)| format!("{:05} {}", listener.port, listener.id);
    let (shown, marker) = page.of_all(chosen, key);
    Ok(answer(call, registry, &shown, marker.as_deref()))
}

/// `DeleteListener`
pub(super) async fn delete(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let arn = members.required("ListenerArn")?;
    let name = find::listener(&call.view().registry, &arn)?.0.name.clone();
    let done = call.apply(Edit::DeleteListener { listener: name.clone() }, &name).await;
    done.map_err(|error| AwsError::of_edit(&error, READ_ONLY_OTHER))?;
    Ok(Content::empty())
}

/// The listener that `CreateListener` asks for, and its load balancer.
fn wanted(
    call: &Call,
    registry: &Registry,
    members: &mut Members,
) -> Result<(ListenerConfig, LoadBalancerConfig), AwsError> {
    let arn = members.required("LoadBalancerArn")?;
    let protocol = members.word("Protocol", &check::PROTOCOLS)?;
    let protocol =
        protocol.ok_or_else(|| AwsError::validation("A listener protocol must be specified"))?;
    let kind = match protocol {
        "TCP" | "TCP_UDP" => ListenerProtocol::Tcp,
        "UDP" => ListenerProtocol::Udp,
        "TLS" => ListenerProtocol::TcpSsl,
        _ => {
            let message = format!(
                "Listener protocol '{protocol}' is not supported for network load balancers. Must \
                 be one of the following values '[TCP, TLS, UDP, TCP_UDP]'."
            );
            return Err(AwsError::new("UnsupportedProtocol", message));
        }
    };
    let port = members.port("Port")?;
    let port = port.ok_or_else(|| AwsError::validation("A listener port must be specified"))?;
    let mut attributes = Attributes::new();
    attributes.insert(PROTOCOL.to_owned(), protocol.to_owned());
    security(members, protocol, &mut attributes)?;
    let actions = members.required_list("DefaultActions")?;
    let of = find::load_balancer(registry, &arn)?.clone();
    let mut groups = Vec::new();
    for (group, weight) in forward(registry, actions)? {
        compatible(protocol, group)?;
        if groups.contains(&group.name) {
            let message = "A target group cannot be specified twice in one action";
            return Err(AwsError::validation(message));
        }
        if let Some(weight) = weight {
            attributes.insert(format!("{WEIGHT}{}", group.name), weight.to_string());
        }
        groups.push(group.name.clone());
    }
    tags::read(members)?.store(&mut attributes);
    let id = format!("lsn-{}", fresh_hex()?);
    let origin = Origin { source: Source::Aws, created_ms: call.state.unix_ms(), attributes };
    let load_balancer = of.name.clone();
    // A listener of AWS has no name.
    let name = id.clone();
    Ok((ListenerConfig { name, id, load_balancer, port, protocol: kind, groups, origin }, of))
}

/// What belongs to TLS.
fn security(
    members: &mut Members,
    protocol: &str,
    attributes: &mut Attributes,
) -> Result<(), AwsError> {
    let policy = members.text_within("SslPolicy", 1..=TEXT_CHARS_MAX)?;
    let mut certificates = Vec::new();
    for mut certificate in members.list("Certificates")? {
        let arn = certificate.required("CertificateArn")?;
        if arn.is_empty() || arn.len() > 2_048 || !arn.bytes().all(|b| b.is_ascii_graphic()) {
            let message = format!("Certificate ARN '{}' is not valid", super::crop(&arn));
            return Err(AwsError::validation(message));
        }
        certificates.push(arn);
    }
    if certificates.len() > CERTIFICATES_MAX {
        let message = format!("A listener has at most {CERTIFICATES_MAX} certificates");
        return Err(AwsError::new("TooManyCertificates", message));
    }
    if protocol == "TLS" && certificates.is_empty() {
        let message = "A certificate must be specified for TLS listeners";
        return Err(AwsError::validation(message));
    }
    if protocol != "TLS" && (policy.is_some() || !certificates.is_empty()) {
        let message = format!(
            "Certificates and security policies cannot be specified for {protocol} listeners"
        );
        return Err(AwsError::configuration(message));
    }
    let alpn = members.texts("AlpnPolicy")?;
    let alpn_words = ["HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None"];
    if alpn.len() > 1 || alpn.iter().any(|policy| !alpn_words.contains(&policy.as_str())) {
        let message = format!("An ALPN policy must be one of '[{}]'", alpn_words.join(", "));
        return Err(AwsError::new("ALPNPolicyNotFound", message));
    }
    let policy =
        policy.or_else(|| (protocol == "TLS").then(|| "ELBSecurityPolicy-2016-08".to_owned()));
    let kept = [
        (SSL_POLICY, policy),
        (CERTIFICATES, Some(certificates.join(" ")).filter(|text| !text.is_empty())),
        (ALPN_POLICY, alpn.into_iter().next()),
    ];
    for (key, value) in kept {
        if let Some(value) = value {
            attributes.insert(key.to_owned(), value);
        }
    }
    Ok(())
}

/// The groups that the actions forward to, with the weights that they are given.
fn forward(
    registry: &Registry,
    mut actions: Vec<Members>,
) -> Result<Vec<(&GroupConfig, Option<u32>)>, AwsError> {
    if actions.len() > 1 {
        let message = "A listener of a network load balancer has one default action";
        return Err(AwsError::new("TooManyActions", message));
    }
    // The list was required to have one.
    let Some(mut action) = actions.pop() else { return Ok(Vec::new()) };
    let kind = action.required("Type")?;
    if kind != "forward" {
        if !ACTION_TYPES.contains(&kind.as_str()) {
            let rule = format!("Member must satisfy enum value set: [{}]", ACTION_TYPES.join(", "));
            return Err(action.broken("Type", &kind, &rule));
        }
        let message = format!("Action type '{kind}' is not valid on a network load balancer");
        return Err(AwsError::new("InvalidLoadBalancerAction", message));
    }
    action.integer("Order", 1..=50_000)?;
    let mut groups = Vec::new();
    let tuples = action.list("ForwardConfig.TargetGroups")?;
    if tuples.len() > GROUPS_MAX {
        let message = format!("An action forwards to at most {GROUPS_MAX} target groups");
        return Err(AwsError::new("TooManyUniqueTargetGroupsPerLoadBalancer", message));
    }
    for mut tuple in tuples {
        let weight = tuple.integer("Weight", 0..=999)?;
        let arn = tuple.required("TargetGroupArn")?;
        groups.push((&find::group(registry, &arn)?.config, weight));
    }
    if let Some(arn) = action.text("TargetGroupArn") {
        let group = &find::group(registry, &arn)?.config;
        match &*groups {
            [] => groups.push((group, None)),
            [(only, _)] if only.name == group.name => {}
            [_, ..] => {
                let message = "You can specify both a target group ARN and a forward \
                    configuration only if they name the same single target group";
                return Err(AwsError::validation(message));
            }
        }
    }
    if groups.is_empty() {
        return Err(AwsError::validation("A target group ARN must be specified"));
    }
    Ok(groups)
}

/// Groups from elsewhere have no protocol of their own, and fit every listener.
fn compatible(protocol: &str, group: &GroupConfig) -> Result<(), AwsError> {
    if !group_form::is_ours(group) {
        return Ok(());
    }
    let of_group = group_form::protocol(group);
    let fits = match protocol {
        "TLS" => ["TCP", "TLS"].contains(&of_group),
        "UDP" => ["UDP", "TCP_UDP"].contains(&of_group),
        "TCP" => ["TCP", "TCP_UDP"].contains(&of_group),
        _ => of_group == protocol,
    };
    if fits {
        return Ok(());
    }
    let message = format!(
        "Listener protocol '{protocol}' and target group protocol '{of_group}' are incompatible"
    );
    Err(AwsError::new("IncompatibleProtocols", message))
}

fn on_port<'r>(
    registry: &'r Registry,
    of: &LoadBalancerConfig,
    port: u16,
) -> Option<&'r ListenerConfig> {
    registry.listeners.iter().find(|l| l.load_balancer == of.name && l.port == port)
}

/// The answer where `there` has the port of the wanted listener.
fn same(
    call: &Call,
    there: &ListenerConfig,
    wanted: &ListenerConfig,
    of: &LoadBalancerConfig,
) -> Result<Content, AwsError> {
    let settings = |listener: &ListenerConfig| {
        let attributes = listener.origin.attributes.clone().into_iter();
        attributes.filter(|(key, _)| !key.starts_with("aws.tag.")).collect::<Attributes>()
    };
    let is_same = there.origin.source == Source::Aws
        && there.groups == wanted.groups
        && there.protocol == wanted.protocol
        && settings(there) == settings(wanted);
    if is_same {
        Ok(answer(call, &call.view().registry, &[(there, of)], None))
    } else {
        Err(port_taken(call, of))
    }
}

fn port_taken(call: &Call, of: &LoadBalancerConfig) -> AwsError {
    let arn = find::arn_of_load_balancer(call.aws(), of);
    let message = format!("A listener already exists on this port for this load balancer '{arn}'");
    AwsError::new("DuplicateListener", message)
}

/// The answer that shows these listeners.
fn answer(
    call: &Call,
    registry: &Registry,
    shown: &[(&ListenerConfig, &LoadBalancerConfig)],
    marker: Option<&str>,
) -> Content {
    Content::of(|xml| {
        xml.element("Listeners", |xml| {
            for &pair in shown {
                xml.element("member", |xml| {
                    listener_form::write(xml, call.aws(), registry, pair);
                });
            }
        });
        write_marker(xml, marker);
    })
}
