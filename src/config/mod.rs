//! Configuration: text in, a [`Config`] in which everything is valid out.
//!
//! Parse, don't validate: whoever holds a `Config` need not look again. The first thing wrong is
//! the error, one line with its place and its cure; nothing is half taken.

mod alibaba;
mod aws;
pub mod duration;
mod error;
mod file;
mod given;
mod group;
mod group_spec;
mod health_check;
mod http_spec;
pub(crate) mod identity;
mod mark_spec;
mod payload;
mod pem_files;
mod protocol;
mod rules;
mod sections;
mod spec;
mod spec_json;
pub mod target_body;
mod target_fields;
pub mod target_file;
mod target_json;
mod target_list;
pub mod targets;
mod tls;
mod tls_spec;
mod value;
mod violation;

pub use alibaba::AlibabaConfig;
pub use aws::AwsConfig;
pub(crate) use error::quoted;
pub use error::{ConfigError, Problem};
pub use given::Given;
pub use group_spec::GroupSpec;
pub(crate) use http_spec::{PATH_CURE, path_wrong};
pub use mark_spec::MarkSpec;
pub use payload::Payload;
pub use protocol::CheckProtocol;
pub use rules::Rules;
pub use sections::derived_id;
pub use spec::{CheckPort, HealthCheckSpec, handshake_name};
pub use spec_json::from_json;
pub use tls::Tls;
pub use tls_spec::TlsSpec;
pub use violation::{Violation, Wrong};

use crate::check::http::{BodyMatch, Matcher, Request};
use crate::endpoint::Endpoint;
use crate::recipe::{Close, Handshake, ProxyProtocol, Reuse};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Reads the configuration in `path` and the targets files that it names.
///
/// # Errors
/// The first thing that is wrong, as one line `what, where; cure`.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let doc = file::Document::open(path)?;
    let table = doc.parse()?;
    let keys = ["engine", "api", "state", "load_balancer", "listener", "group", "aws", "alibaba"];
    let root = file::Section::root(&doc, table.get_ref(), &keys)?;
    let engine = sections::engine(&root)?;
    let api = sections::api(&root)?;
    let state = sections::state(&root)?;
    sections::check_listen(&root, &state)?;
    let aws = aws::read(&root)?;
    let alibaba = alibaba::read(&root)?;
    let load_balancers = sections::load_balancers(&root)?;
    let listeners = sections::listeners(&root, &load_balancers)?;
    let groups = group::read(&doc, &root, engine.max_targets)?;
    sections::check_groups(&listeners, &groups)?;
    let listeners = listeners.into_iter().map(|(listener, _)| listener).collect();
    let file = path.to_owned();
    Ok(Config { file, engine, api, state, aws, alibaba, load_balancers, listeners, groups })
}

/// A whole configuration; whatever is in it has been checked against its rule set.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from.
    pub file: PathBuf,
    /// `[engine]`
    pub engine: EngineConfig,
    /// `[api]`
    pub api: ApiConfig,
    /// `[state]`
    pub state: StateConfig,
    /// `[aws]`
    pub aws: AwsConfig,
    /// `[alibaba]`
    pub alibaba: AlibabaConfig,
    /// `[[load_balancer]]`, in file order.
    pub load_balancers: Vec<LoadBalancerConfig>,
    /// `[[listener]]`, in file order.
    pub listeners: Vec<ListenerConfig>,
    /// `[[group]]`, in file order, names unique.
    pub groups: Vec<GroupConfig>,
}

/// `[engine]`
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Worker threads; none: one per CPU that we may run on.
    pub workers: Option<usize>,
    /// Probes in flight per worker; none: from the file limit.
    pub max_in_flight: Option<usize>,
    /// TLS probes in flight per worker; none: as many as are safe.
    pub tls_in_flight: Option<usize>,
    /// Bytes of the TLS sessions that each worker keeps.
    pub tls_session_memory: usize,
    /// Which I/O backend.
    pub backend: Backend,
    /// Most targets of all groups together.
    pub max_targets: usize,
}

/// `engine.backend`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The best that works here.
    #[default]
    Auto,
    /// io_uring, or exit 3.
    IoUring,
    /// epoll, whatever else works here.
    Epoll,
}

/// `[api]`
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Path of the Unix socket.
    pub socket: PathBuf,
    /// Its mode, whatever the umask.
    pub socket_mode: u32,
    /// Its group, by name or number; none: the process's.
    pub socket_group: Option<String>,
    /// Loopback address and port that signed requests are answered on; port 0: any that is free.
    pub listen: Option<SocketAddr>,
}

/// `[state]`
#[derive(Clone, Debug)]
pub struct StateConfig {
    /// Directory of store and snapshot.
    pub dir: Option<PathBuf>,
    /// How often the snapshot is written.
    pub snapshot_interval: Duration,
    /// How old a snapshot may be to be taken up.
    pub snapshot_max_age: Duration,
}

/// `[[load_balancer]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancerConfig {
    /// Unique name.
    pub name: String,
    /// Id, given or derived from the name.
    pub id: String,
    /// Enabled zones; none: all.
    pub zones: Vec<String>,
    /// Who made it, and what else is known of it.
    pub origin: Origin,
}

/// `[[listener]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Unique name.
    pub name: String,
    /// Id, given or derived from the name.
    pub id: String,
    /// Name of its load balancer.
    pub load_balancer: String,
    /// Port, 1-65535.
    pub port: u16,
    /// What it listens for.
    pub protocol: ListenerProtocol,
    /// Names of the groups that it forwards to.
    pub groups: Vec<String>,
    /// Who made it, and what else is known of it.
    pub origin: Origin,
}

/// `protocol` of a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the vendors")]
pub enum ListenerProtocol {
    #[default]
    Tcp,
    Udp,
    TcpSsl,
}

impl ListenerProtocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::TcpSsl];

    /// As the configuration and Alibaba write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::TcpSsl => "TCPSSL",
        }
    }
}

/// Where a load balancer, listener or group comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Who made it.
    pub source: Source,
    /// When it was made, wall clock, milliseconds since 1970; 0 for those from the file.
    pub created_ms: u64,
    /// What a vendor's API must repeat and the product does not act on, by keys such as
    /// `aws.vpc_id`.
    pub attributes: BTreeMap<String, String>,
}

/// Who made an object: that decides who may change it, and when a group is in use (DESIGN 5.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The configuration file; the API cannot change it.
    #[default]
    File,
    /// `PUT /v1/groups/{group}`.
    Native,
    /// The AWS ELBv2 API.
    Aws,
    /// The Alibaba NLB API.
    Alibaba,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::File, Self::Native, Self::Aws, Self::Alibaba];

    /// The word that the store keeps.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Native => "native",
            Self::Aws => "aws",
            Self::Alibaba => "alibaba",
        }
    }
}

/// `[[group]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// Unique name.
    pub name: String,
    /// Id, given or derived from the name and stable.
    pub id: String,
    /// Rule set.
    pub rules: Rules,
    /// 0 s to 3600 s.
    pub deregistration_delay: Duration,
    /// Default port of its targets.
    pub port: Option<u16>,
    /// The health check, complete with defaults.
    pub health_check: HealthCheck,
    /// Its targets, ranges expanded, `targets` before `targets_file`, in the order of the files,
    /// unique by (id, port).
    pub targets: Vec<TargetConfig>,
    /// Files that `targets` came from besides the configuration itself.
    pub targets_files: Vec<PathBuf>,
    /// Who made it, and what else is known of it.
    pub origin: Origin,
}

/// The zone of a target that is in every zone; the word is AWS's.
pub const ZONE_ALL: &str = "all";

impl GroupConfig {
    /// The settings, without the targets.
    #[must_use]
    pub fn without_targets(&self) -> Self {
        Self {
            name: self.name.clone(),
            id: self.id.clone(),
            rules: self.rules,
            deregistration_delay: self.deregistration_delay,
            port: self.port,
            health_check: self.health_check.clone(),
            targets: Vec::new(),
            targets_files: self.targets_files.clone(),
            origin: self.origin.clone(),
        }
    }
}

/// One target as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetConfig {
    /// Its id where one was given; else its id is its address. Never the text of an address.
    pub id: Option<Box<str>>,
    /// Address and traffic port.
    pub endpoint: Endpoint,
    /// Zone where one was given; else, and where it is [`ZONE_ALL`], it is in every zone. Shared:
    /// a zone's name is kept once.
    pub zone: Option<Arc<str>>,
    /// Weight where one was given.
    pub weight: Option<u16>,
    /// Whether it runs.
    pub lifecycle: Lifecycle,
}

/// A target as callers name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetName {
    /// Its id, or its address in any spelling.
    pub id: Box<str>,
    /// Its traffic port; none: every port of that id.
    pub port: Option<u16>,
}

/// Whether a target runs (DESIGN 5.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the vendor")]
pub enum Lifecycle {
    #[default]
    Running,
    Stopped,
    Terminated,
}

/// `[group.health_check]`, complete and valid under the group's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Whether targets are probed at all.
    pub enabled: bool,
    /// What a probe does, with the settings that only that protocol has.
    pub protocol: Protocol,
    /// `traffic-port` (none) or a port.
    pub port: Option<u16>,
    /// Gap between probe starts, whole milliseconds.
    pub interval: Duration,
    /// Longest time of a probe, whole milliseconds.
    pub timeout: Duration,
    /// Passes that make an unhealthy target healthy.
    pub healthy_threshold: u8,
    /// Failures that make a target unhealthy.
    pub unhealthy_threshold: u8,
    /// How a connection ends.
    pub close: Close,
    /// How far a TCP check's handshake goes.
    pub handshake: Handshake,
    /// What goes first on a connection.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// None: each probe has a connection of its own.
    pub reuse: Option<Reuse>,
}

/// Protocol of a health check with its own settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A connection is enough.
    Tcp,
    /// A datagram, and what comes back if anything must.
    Udp(UdpSettings),
    /// A request and a matching status.
    Http(HttpSettings),
    /// The same over TLS.
    Https(HttpSettings, Tls),
    /// A handshake.
    Tls(Tls),
    /// grpc.health.v1 over cleartext HTTP/2.
    Grpc(GrpcSettings),
    /// The same over TLS.
    Grpcs(GrpcSettings, Tls),
}

impl Protocol {
    /// The word of it.
    #[must_use]
    pub const fn word(&self) -> CheckProtocol {
        match self {
            Self::Tcp => CheckProtocol::Tcp,
            Self::Udp(_) => CheckProtocol::Udp,
            Self::Http(_) => CheckProtocol::Http,
            Self::Https(..) => CheckProtocol::Https,
            Self::Tls(_) => CheckProtocol::Tls,
            Self::Grpc(_) => CheckProtocol::Grpc,
            Self::Grpcs(..) => CheckProtocol::Grpcs,
        }
    }

    /// The settings of an HTTP or HTTPS check.
    #[must_use]
    pub const fn http(&self) -> Option<&HttpSettings> {
        match self {
            Self::Http(http) | Self::Https(http, _) => Some(http),
            Self::Tcp | Self::Udp(_) | Self::Tls(_) | Self::Grpc(_) | Self::Grpcs(..) => None,
        }
    }

    /// How handshakes are made, where there are any.
    #[must_use]
    pub const fn tls(&self) -> Option<&Tls> {
        match self {
            Self::Https(_, tls) | Self::Tls(tls) | Self::Grpcs(_, tls) => Some(tls),
            Self::Tcp | Self::Udp(_) | Self::Http(_) | Self::Grpc(_) => None,
        }
    }
}

/// Settings of a UDP check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UdpSettings {
    /// The datagram; it may be empty.
    pub send: Payload,
    /// What a datagram that comes back must contain; none: silence passes too.
    pub expect: Option<Payload>,
}

/// Settings of a request and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// What is asked.
    pub request: Request,
    /// Statuses that match, as written (`200-399`, `200,204`).
    pub matcher: Matcher,
    /// What must be found in the body of the answer.
    pub body_match: Option<BodyMatch>,
}

/// Settings of a gRPC check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrpcSettings {
    /// The service that is asked about; empty: the server as a whole.
    pub service: String,
    /// The authority; none: each target's own address and port.
    pub host: Option<String>,
}
