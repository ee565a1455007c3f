//! Every call once, byte for byte, against `tests/testdata/alibaba.txt`: `UPDATE_GOLDEN=1` writes
//! that anew. Random ids are numbered in the order of their first appearance.

use super::{VERSION, call, send};
use crate::world::{Answer, World};
use std::fmt::Write;
use std::path::Path;

/// `sgp-#1` stands for the first server group's id.
const SCRIPT: [&str; 48] = [
    "CreateServerGroup ServerGroupName=web&VpcId=vpc-1",
    "CreateServerGroup ServerGroupName=full&VpcId=vpc-1&Protocol=TCPSSL&ServerGroupType=Ip&\
     Scheduler=Rr&AddressIPVersion=DualStack&ResourceGroupId=rg-1&PreserveClientIpEnabled=False&\
     ConnectionDrainEnabled=True&ConnectionDrainTimeout=10&Tag.1.Key=k&Tag.1.Value=v&\
     HealthCheckConfig.HealthCheckEnabled=true&HealthCheckConfig.HealthCheckType=HTTP&\
     HealthCheckConfig.HealthCheckConnectPort=8080&HealthCheckConfig.HealthCheckConnectTimeout=9&\
     HealthCheckConfig.HealthCheckInterval=7&HealthCheckConfig.HealthyThreshold=3&\
     HealthCheckConfig.UnhealthyThreshold=4&HealthCheckConfig.HealthCheckUrl=%2Fhealthz&\
     HealthCheckConfig.HealthCheckDomain=web.internal&HealthCheckConfig.HttpCheckMethod=HEAD&\
     HealthCheckConfig.HealthCheckHttpVersion=HTTP1.1&\
     HealthCheckConfig.HealthCheckHttpCode.1=http_2xx&\
     HealthCheckConfig.HealthCheckHttpCode.2=http_4xx",
    "CreateServerGroup ServerGroupName=web&VpcId=vpc-1&DryRun=true",
    "ListServerGroups ServerGroupIds.1=tg-web&ServerGroupIds.2=sgp-#1",
    "ListServerGroups ServerGroupNames.1=off&ServerGroupNames.2=full&Format=XML",
    "ListServerGroups Tag.1.Key=k&MaxResults=1",
    "UpdateServerGroupAttribute ServerGroupId=sgp-#1&ServerGroupName=renamed&Scheduler=Wlc&\
     ConnectionDrainEnabled=true&HealthCheckConfig.HealthCheckInterval=50",
    "ListServerGroups ServerGroupNames.1=renamed",
    "AddServersToServerGroup ServerGroupId=sgp-#1&Servers.1.ServerId=10.0.0.1&\
     Servers.1.ServerType=Ip&Servers.1.Port=80&Servers.2.ServerId=i-2&Servers.2.ServerType=Ecs&\
     Servers.2.ServerIp=10.0.0.2&Servers.2.Port=81&Servers.2.Weight=7&Servers.2.Description=two",
    "UpdateServerGroupServersAttribute ServerGroupId=sgp-#1&Servers.1.ServerId=i-2&\
     Servers.1.ServerType=Ecs&Servers.1.Port=81&Servers.1.Weight=0",
    "ListServerGroupServers ServerGroupId=sgp-#1",
    "ListServerGroupServers ServerGroupId=sgp-#1&ServerIps.1=10.0.0.2&Format=XML",
    "CreateLoadBalancer AddressType=Internet&VpcId=vpc-1&LoadBalancerName=edge&\
     ZoneMappings.1.ZoneId=z-a&ZoneMappings.1.VSwitchId=vsw-a&ZoneMappings.2.ZoneId=z-b&\
     ZoneMappings.2.VSwitchId=vsw-b",
    "GetLoadBalancerAttribute LoadBalancerId=nlb-#1",
    "ListLoadBalancers LoadBalancerNames.1=edge",
    "ListLoadBalancers LoadBalancerIds.1=nlb-#1&Format=XML",
    "GetListenerHealthStatus ListenerId=all&MaxResults=9",
    "CreateListener LoadBalancerId=nlb-#1&ServerGroupId=sgp-#1&ListenerPort=80&\
     ListenerProtocol=TCPSSL&ListenerDescription=mine&CertificateIds.1=c1&CertificateIds.2=c2&\
     IdleTimeout=30&AlpnEnabled=True",
    "GetListenerAttribute ListenerId=lsn-#1@80",
    "ListListeners LoadBalancerIds.1=nlb-#1",
    "ListListeners ListenerProtocol=TCPSSL&Format=XML",
    "GetListenerHealthStatus ListenerId=lsn-#1@80",
    "GetListenerHealthStatus ListenerId=lsn-#1@80&Format=XML",
    "DescribeRegions AcceptLanguage=en-US&RegionId=cn-beijing",
    "DescribeRegions Format=xml",
    "GetJobStatus JobId=uuid-#1",
    "GetJobStatus JobId=uuid-#1&Format=XML",
    "CreateListener LoadBalancerId=nlb-#1&ServerGroupId=sgp-#2&ListenerPort=80&ListenerProtocol=TCP",
    "DeleteServerGroup ServerGroupId=sgp-#1",
    "RemoveServersFromServerGroup ServerGroupId=sgp-#1&Servers.1.ServerId=10.0.0.1&\
     Servers.1.ServerType=Ip&Servers.1.Port=80",
    "ListServerGroupServers ServerGroupId=sgp-#1&ServerIds.1=10.0.0.1",
    "RemoveServersFromServerGroup ServerGroupId=sgp-#1&Servers.1.ServerId=10.0.0.9&\
     Servers.1.ServerType=Ip&Servers.1.Port=80",
    "DeleteListener ListenerId=lsn-#1@80&DryRun=True",
    "DeleteListener ListenerId=lsn-#1@80",
    "DeleteListener ListenerId=lsn-#1@80",
    "DeleteServerGroup ServerGroupId=sgp-#1",
    "DeleteServerGroup ServerGroupId=sgp-#1&Format=XML",
    "DeleteLoadBalancer LoadBalancerId=nlb-#1",
    "GetLoadBalancerAttribute LoadBalancerId=nlb-#1",
    "DeleteServerGroup ServerGroupId=web",
    "UpdateServerGroupAttribute ServerGroupId=big&Scheduler=Rr",
    "DeleteLoadBalancer LoadBalancerId=edge",
    "DeleteListener ListenerId=all",
    "StartListener ListenerId=all",
    "CreateServerGroup ServerGroupName=web&VpcId=vpc-1&HealthCheckConfig.HealthCheckType=HTTPS",
    "CreateServerGroup ServerGroupName=dns&VpcId=vpc-1&Protocol=UDP&\
     HealthCheckConfig.HealthCheckType=UDP&HealthCheckConfig.HealthCheckInterval=300&\
     HealthCheckConfig.HealthCheckReq=ping&HealthCheckConfig.HealthCheckExp=pong",
    "ListServerGroups ServerGroupNames.1=dns",
    "GetJobStatus JobId=00000000-0000-0000-0000-000000000000",
];

/// Random ids, by the names that they have in the script.
#[derive(Default)]
struct Names(Vec<(String, String)>);

impl Names {
    /// `text` with names for ids.
    fn mask(&mut self, text: &str) -> String {
        let (mut masked, mut rest) = (String::new(), text);
        while let Some(next) = rest.chars().next() {
            let found = id_at(rest)
                .filter(|_| !masked.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '-'));
            let Some((kind, id)) = found else {
                masked.push(next);
                rest = &rest[next.len_utf8()..];
                continue;
            };
            masked.push_str(&self.name(kind, id));
            rest = &rest[id.len()..];
        }
        masked
    }

    fn name(&mut self, kind: &str, id: &str) -> String {
        if let Some((name, _)) = self.0.iter().find(|(_, known)| known == id) {
            return name.clone();
        }
        let count = self.0.iter().filter(|(name, _)| name.starts_with(kind)).count();
        let name = format!("{kind}-#{}", count + 1);
        self.0.push((name.clone(), id.to_owned()));
        name
    }

    /// `text` with ids for names.
    fn fill_in(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, id)| text.replace(name, id))
    }
}

/// The random id that `text` begins with, and its kind. Of UUIDs only those of jobs are kept, which
/// are in lower case.
fn id_at(text: &str) -> Option<(&'static str, &str)> {
    for kind in ["sgp", "lsn", "nlb"] {
        let id = text.get(..22).filter(|id| id.starts_with(kind) && id[3..].starts_with('-'));
        let random =
            |id: &&str| id[4..].bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if let Some(id) = id.filter(random) {
            return Some((kind, id));
        }
    }
    let uuid = text.get(..36).filter(|id| {
        id.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        })
    })?;
    Some(if uuid.contains(|c: char| c.is_ascii_uppercase()) {
        ("REQUEST", uuid)
    } else {
        ("uuid", uuid)
    })
}

fn note(transcript: &mut String, names: &mut Names, question: &str, answer: &Answer) {
    let content_type = answer.header("content-type").unwrap_or_default();
    let body = names.mask(answer.text().trim_end());
    writeln!(transcript, "> {question}\n< {} {content_type}\n{body}\n", answer.status).unwrap();
}

#[tokio::test]
async fn every_call_is_answered_as_written_down() {
    let world = World::start();
    let (mut transcript, mut names) = (String::new(), Names::default());
    for line in SCRIPT {
        let (action, form) = line.split_once(' ').unwrap();
        let answer = call(&world, action, &names.fill_in(form)).await;
        note(&mut transcript, &mut names, line, &answer);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/alibaba.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &transcript).unwrap();
    }
    let golden = std::fs::read_to_string(&file).unwrap();
    for (now, then) in transcript.lines().zip(golden.lines()) {
        assert_eq!(now, then);
    }
    assert_eq!(transcript.len(), golden.len());
}

#[tokio::test]
async fn action_version_and_parameters_come_in_headers_query_and_body() {
    let world = World::start();
    let query = format!("Action=DescribeRegions&Version={VERSION}&RegionId=r-1");
    let answers = [
        send(&world, &format!("/?{query}"), &[], "").await,
        send(&world, "/", &[], &query).await,
        send(&world, &format!("/?Version={VERSION}"), &[], "Action=DescribeRegions&RegionId=r-1")
            .await,
        world.get(&format!("/?{query}")).await,
        send(
            &world,
            "/?RegionId=r-1",
            &[("X-Acs-Action", "DescribeRegions"), ("x-acs-version", VERSION)],
            "Action=Other",
        )
        .await,
    ];
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json;charset=utf-8"));
        assert_eq!(answer.json()["Regions"][0]["RegionId"], "r-1");
    }
}

#[tokio::test]
async fn xml_is_for_those_who_ask_for_it() {
    let world = World::start();
    let is_xml = async |accept: &str, form: &str| {
        let headers =
            [("x-acs-action", "DescribeRegions"), ("x-acs-version", VERSION), ("accept", accept)];
        let answer = send(&world, "/", &headers, form).await;
        let kind = answer.header("content-type").unwrap().to_owned();
        assert_eq!(answer.text().starts_with("<?xml"), kind == "text/xml;charset=utf-8");
        kind.starts_with("text/xml")
    };
    assert!(!is_xml("application/json", "").await);
    assert!(!is_xml("*/*", "").await);
    assert!(!is_xml("application/json, text/xml", "").await);
    assert!(!is_xml("application/xml", "Format=JSON").await);
    assert!(is_xml("application/xml", "").await);
    assert!(is_xml("application/json", "Format=xml").await);
}
