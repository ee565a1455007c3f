//! Answers byte for byte, against `tests/testdata/aws.txt`.
//!
//! `UPDATE_GOLDEN=1 cargo test --test api` writes the file anew. Digits of ARNs, which are random,
//! and request ids are replaced by numbers in the order in which they came.

use super::client::{Reply, encode};
use crate::world::World;
use std::fmt::Write;
use std::path::Path;

/// What is kept of an answer as `{name}` for later forms, the element that holds it, and the form.
const SCRIPT: [(&str, &str, &str); 44] = [
    ("tg", "TargetGroupArn", "CreateTargetGroup&Name=my-targets&Protocol=TCP&Port=80&VpcId=vpc-1"),
    ("", "", "CreateTargetGroup&Name=my-targets&Protocol=TCP&Port=80&VpcId=vpc-1"),
    ("", "", "CreateTargetGroup&Name=my-targets&Protocol=TCP&Port=81&VpcId=vpc-1"),
    (
        "http",
        "TargetGroupArn",
        "CreateTargetGroup&Name=http-checks&Protocol=TLS&Port=443&TargetType=ip\
         &HealthCheckProtocol=HTTP&HealthCheckPath=%2Fhealthz%3Fa%3D1%26b&HealthCheckPort=8080\
         &HealthCheckIntervalSeconds=10&HealthyThresholdCount=2&UnhealthyThresholdCount=2\
         &Tags.member.1.Key=team&Tags.member.1.Value=a+b&Tags.member.2.Key=empty",
    ),
    ("", "", "DescribeTargetGroupAttributes&TargetGroupArn={tg}"),
    (
        "",
        "",
        "ModifyTargetGroupAttributes&TargetGroupArn={http}\
         &Attributes.member.1.Key=deregistration_delay.timeout_seconds\
         &Attributes.member.1.Value=0\
         &Attributes.member.2.Key=stickiness.enabled&Attributes.member.2.Value=true",
    ),
    (
        "",
        "",
        "RegisterTargets&TargetGroupArn={tg}&Targets.member.1.Id=127.0.5.1\
         &Targets.member.2.Id=127.0.5.2&Targets.member.2.Port=8080\
         &Targets.member.2.AvailabilityZone=zone-a&Targets.member.3.Id=i-well\
         &Targets.member.4.Id=127.0.5.4&Targets.member.4.AvailabilityZone=all\
         &Targets.member.5.Id=127.0.5.5&Targets.member.5.AvailabilityZone=zone-z",
    ),
    ("", "", "DescribeTargetHealth&TargetGroupArn={tg}"),
    (
        "lb",
        "LoadBalancerArn",
        "CreateLoadBalancer&Name=my-lb&Type=network&Subnets.member.1=subnet-zone-a\
         &Subnets.member.2=zone-b&Tags.member.1.Key=k&Tags.member.1.Value=v",
    ),
    (
        "",
        "",
        "CreateLoadBalancer&Name=my-lb&Subnets.member.1=zone-b&Subnets.member.2=subnet-zone-a",
    ),
    ("", "", "CreateLoadBalancer&Name=my-lb&Subnets.member.1=zone-b"),
    (
        "lsn",
        "ListenerArn",
        "CreateListener&LoadBalancerArn={lb}&Protocol=TCP&Port=80\
         &DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={tg}",
    ),
    (
        "",
        "",
        "CreateListener&LoadBalancerArn={lb}&Protocol=TCP&Port=80\
         &DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={tg}",
    ),
    (
        "",
        "",
        "CreateListener&LoadBalancerArn={lb}&Protocol=TLS&Port=80\
         &Certificates.member.1.CertificateArn=arn%3Ac\
         &DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={tg}",
    ),
    (
        "",
        "",
        "CreateListener&LoadBalancerArn={lb}&Protocol=TLS&Port=443&AlpnPolicy.member.1=None\
         &Certificates.member.1.CertificateArn=arn%3Ac&DefaultActions.member.1.Type=forward\
         &DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn={tg}\
         &DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.Weight=3\
         &DefaultActions.member.1.ForwardConfig.TargetGroups.member.2.TargetGroupArn={http}\
         &DefaultActions.member.1.ForwardConfig.TargetGroups.member.2.Weight=0",
    ),
    ("", "", "DescribeTargetHealth&TargetGroupArn={tg}&Targets=&Include.member.1=All"),
    (
        "",
        "",
        "DescribeTargetHealth&TargetGroupArn={tg}&Targets.member.1.Id=127.0.5.1\
         &Targets.member.1.Port=80&Targets.member.2.Id=127.0.5.1&Targets.member.2.Port=81\
         &Targets.member.2.AvailabilityZone=all&Targets.member.3.Id=127.0.5.2\
         &Targets.member.4.Id=i-nobody",
    ),
    ("", "", "DescribeTargetGroups&Names.member.1=my-targets&Names.member.2=http-checks"),
    ("", "", "DescribeTargetGroups&LoadBalancerArn={lb}&PageSize=1"),
    ("", "", "DescribeTargetGroups&Names.member.1=web"),
    ("", "", "DescribeTargetGroups&Names.member.1=nobody"),
    ("", "", "DescribeLoadBalancers"),
    ("", "", "DescribeLoadBalancers&Names.member.1=nobody"),
    ("", "", "DescribeListeners&LoadBalancerArn={lb}"),
    ("", "", "DescribeListeners&ListenerArns.member.1={lsn}"),
    ("", "", "DescribeLoadBalancerAttributes&LoadBalancerArn={lb}"),
    (
        "",
        "",
        "ModifyTargetGroup&TargetGroupArn={http}&HealthCheckProtocol=TCP\
         &HealthyThresholdCount=5&UnhealthyThresholdCount=5&HealthCheckPort=traffic-port",
    ),
    ("", "", "DescribeTags&ResourceArns.member.1={http}&ResourceArns.member.2={lb}"),
    ("", "", "AddTags&ResourceArns.member.1={tg}&Tags.member.1.Key=a&Tags.member.1.Value=b"),
    ("", "", "RemoveTags&ResourceArns.member.1={http}&TagKeys.member.1=team"),
    ("", "", "DescribeTags&ResourceArns.member.1={tg}&ResourceArns.member.2={http}"),
    (
        "",
        "",
        "DeregisterTargets&TargetGroupArn={tg}&Targets.member.1.Id=127.0.5.1\
         &Targets.member.2.Id=127.9.9.9",
    ),
    (
        "",
        "",
        "DescribeTargetHealth&TargetGroupArn={tg}&Targets.member.1.Id=127.0.5.1\
         &Targets.member.2.Id=127.9.9.9",
    ),
    ("", "", "DeleteTargetGroup&TargetGroupArn={tg}"),
    ("", "", "DeleteListener&ListenerArn={lsn}"),
    ("", "", "DeleteListener&ListenerArn={lsn}"),
    ("", "", "DeleteLoadBalancer&LoadBalancerArn={lb}"),
    ("", "", "DeleteLoadBalancer&LoadBalancerArn={lb}"),
    ("", "", "DeleteTargetGroup&TargetGroupArn={tg}"),
    ("", "", "DeleteTargetGroup&TargetGroupArn={tg}"),
    ("", "", "DescribeTargetHealth&TargetGroupArn={tg}"),
    ("", "", "DescribeTargetHealth&TargetGroupArn=web"),
    ("", "", "SetSubnets&LoadBalancerArn={lb}"),
    ("", "", ""),
];

#[tokio::test]
async fn every_answer_is_as_written_down() {
    let world = World::start();
    let mut transcript = String::new();
    let mut names: Vec<(String, String)> = Vec::new();
    let mut digits = Digits(Vec::new());
    for (name, element, form) in SCRIPT {
        let mut filled = if form.is_empty() { String::new() } else { format!("Action={form}") };
        for (name, arn) in &names {
            filled = filled.replace(&format!("{{{name}}}"), &encode(arn));
        }
        let reply = Reply::of(&world.post("/", &filled).await);
        world.take_up();
        if !name.is_empty() {
            names.push((name.to_owned(), reply.one(element)));
        }
        let text = digits.numbered(&reply.text).replace("><", ">\n<");
        writeln!(transcript, "> {form}\n< {}\n{text}\n", reply.status).unwrap();
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/aws.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &transcript).unwrap();
    }
    let golden = std::fs::read_to_string(&file).unwrap();
    for (line, (now, then)) in transcript.lines().zip(golden.lines()).enumerate() {
        assert_eq!(now, then, "line {}", line + 1);
    }
    assert_eq!(transcript.len(), golden.len());
}

/// Digits that were seen.
struct Digits(Vec<String>);

impl Digits {
    /// `text` with a number for every run of 16 hexadecimal digits, and no request id.
    fn numbered(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut run = String::new();
        for c in text.chars().chain(['\n']) {
            if c.is_ascii_digit() || ('a'..='f').contains(&c) {
                run.push(c);
                continue;
            }
            if run.len() == 16 {
                let known = self.0.iter().position(|known| *known == run);
                let number = known.unwrap_or_else(|| {
                    self.0.push(run.clone());
                    self.0.len() - 1
                });
                write!(out, "[digits {}]", number + 1).unwrap();
            } else {
                out.push_str(&run);
            }
            run.clear();
            out.push(c);
        }
        out.pop();
        let id = "<RequestId>";
        let Some(at) = out.find(id) else { return out };
        let end = at + id.len() + 36;
        format!("{}[request id]{}", &out[..at + id.len()], &out[end..])
    }
}
