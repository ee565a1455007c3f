//! The arguments of `probe`, as clap reads them.

use crate::check::http::Method;
use crate::cli::usage::at_least_one;
use crate::config::CheckProtocol;
use crate::recipe::{Handshake, ProxyProtocol};
use clap::ValueEnum;
use std::path::PathBuf;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProbeFormat {
    /// Aligned columns for people.
    #[default]
    Table,
    /// One JSON object per line.
    Json,
    /// Comma-separated values with a header line.
    Csv,
}

/// Protocol of targets that name none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProbeProtocol {
    /// A connection is enough.
    #[default]
    Tcp,
    /// A request and a matching status.
    Http,
    /// The same over TLS.
    Https,
    /// A TLS handshake.
    Tls,
    /// A datagram, and what comes back.
    Udp,
    /// grpc.health.v1.Health/Check answers SERVING.
    Grpc,
    /// The same over TLS.
    Grpcs,
}

impl From<ProbeProtocol> for CheckProtocol {
    fn from(given: ProbeProtocol) -> Self {
        match given {
            ProbeProtocol::Tcp => Self::Tcp,
            ProbeProtocol::Http => Self::Http,
            ProbeProtocol::Https => Self::Https,
            ProbeProtocol::Tls => Self::Tls,
            ProbeProtocol::Udp => Self::Udp,
            ProbeProtocol::Grpc => Self::Grpc,
            ProbeProtocol::Grpcs => Self::Grpcs,
        }
    }
}

/// How sockets are driven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProbeBackend {
    /// The best that works here.
    #[default]
    Auto,
    /// io_uring, or exit 3.
    #[value(name = "io_uring")]
    IoUring,
    /// epoll, whatever else works here.
    Epoll,
}

/// How far the handshake of a TCP check goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProbeHandshake {
    /// The last ACK is held back: the target's accept() does not see the probe. The default.
    Half,
    /// The handshake is completed.
    Full,
    /// As half, and without a socket: SYN out, SYN-ACK or RST in. Needs CAP_NET_RAW.
    Raw,
}

impl From<ProbeHandshake> for Handshake {
    fn from(given: ProbeHandshake) -> Self {
        match given {
            ProbeHandshake::Half => Self::Half,
            ProbeHandshake::Full => Self::Full,
            ProbeHandshake::Raw => Self::Raw,
        }
    }
}

/// Which PROXY protocol header goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProbeProxy {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

impl From<ProbeProxy> for ProxyProtocol {
    fn from(given: ProbeProxy) -> Self {
        match given {
            ProbeProxy::V1 => Self::V1,
            ProbeProxy::V2 => Self::V2,
        }
    }
}

/// Method of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the words of HTTP")]
pub enum ProbeMethod {
    Get,
    Head,
    Options,
    Post,
}

impl From<ProbeMethod> for Method {
    fn from(given: ProbeMethod) -> Self {
        match given {
            ProbeMethod::Get => Self::Get,
            ProbeMethod::Head => Self::Head,
            ProbeMethod::Options => Self::Options,
            ProbeMethod::Post => Self::Post,
        }
    }
}

/// Probe targets now: once, without a daemon.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck probe 10.0.0.1:80 http://10.0.0.2:8080/healthz https://www.example.com
  ringcheck probe 10.0.0.0/16:80 --timeout 1s --rate 20000
  ringcheck probe 10.0.0.0/12:80 --timeout 2s --handshake raw
  ringcheck probe --targets list.txt --protocol https --path /healthz --format json
  ringcheck probe tls://mail.example.com:465 --tls-verify
  ringcheck probe udp://10.0.0.53:53 --send hex:abcd010000010000000000000000020001 --expect hex:abcd
  ringcheck probe grpcs://10.0.0.7:8443 --grpc-service shop.Cart

A target is host:port, tcp://host:port, http://host:port/path, https://host/path, tls://host,
udp://host:port, grpc://host:port, grpcs://host, a CIDR range 10.0.0.0/16:80, or [::1]:80. Ports
default to 80 for http and 443 for https, tls and grpcs. Exit status: 0 all passed, 1 some did not,
3 only the checker's own faults. Ctrl-C sums up what was done so far.")]
pub struct ProbeArgs {
    /// What to probe.
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// More targets from a file, or - for standard input: JSON, or one a line with # comments.
    #[arg(long = "targets", value_name = "FILE")]
    pub targets_file: Option<PathBuf>,
    /// Protocol of targets that name none.
    #[arg(long, value_enum, value_name = "P", default_value_t, ignore_case = true)]
    pub protocol: ProbeProtocol,
    /// Port of targets that name none.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Longest time of one probe, 10ms to 5m; without it 10s, for HTTP 6s.
    #[arg(long, value_name = "D")]
    pub timeout: Option<String>,
    /// How often each target is probed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = at_least_one::<u32>)]
    pub count: u32,
    /// Probes started per second at most; without it as fast as it goes.
    #[arg(long, value_name = "N", value_parser = at_least_one::<u64>)]
    pub rate: Option<u64>,
    /// Worker threads; without it one per CPU.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// How sockets are driven; auto is io_uring where it can be had, else epoll.
    #[arg(long, value_enum, value_name = "B", default_value_t)]
    pub backend: ProbeBackend,
    /// How to print the results.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: ProbeFormat,
    /// Those of TCP.
    #[command(flatten)]
    pub tcp: TcpArgs,
    /// Those of HTTP and HTTPS.
    #[command(flatten)]
    pub http: HttpArgs,
    /// Those of HTTPS, TLS and GRPCS.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Those of UDP.
    #[command(flatten)]
    pub udp: UdpArgs,
    /// Those of GRPC and GRPCS.
    #[command(flatten)]
    pub grpc: GrpcArgs,
}

/// Options of connections.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connections")]
pub struct TcpArgs {
    /// How far the handshake of TCP targets goes; without it half.
    #[arg(long, value_enum, value_name = "H")]
    pub handshake: Option<ProbeHandshake>,
    /// Begin each connection with a PROXY protocol header, as a proxy before the target would; the
    /// handshake of TCP targets is then completed.
    #[arg(long, value_enum, value_name = "V")]
    pub proxy_protocol: Option<ProbeProxy>,
}

/// Options of requests.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "HTTP and HTTPS")]
pub struct HttpArgs {
    /// Path of targets that name none; / without it.
    #[arg(long, value_name = "P")]
    pub path: Option<String>,
    /// Statuses that pass, as 200,204,301-302; without it 200-399.
    #[arg(long, value_name = "M")]
    pub matcher: Option<String>,
    /// Method of the request; without it GET.
    #[arg(long, value_enum, value_name = "M", ignore_case = true)]
    pub method: Option<ProbeMethod>,
    /// A header of the request, as 'Accept: text/plain'; may be given again. Host is that of the
    /// target.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// What a POST sends.
    #[arg(long, value_name = "TEXT")]
    pub body: Option<String>,
    /// Pass only where the first 64 KiB of the answer's body contain this.
    #[arg(long, value_name = "TEXT", conflicts_with = "body_regex")]
    pub body_contains: Option<String>,
    /// The same with a regular expression.
    #[arg(long, value_name = "REGEX")]
    pub body_regex: Option<String>,
}

/// Options of TLS.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "HTTPS, TLS and GRPCS")]
pub struct TlsArgs {
    /// Pass only where the certificate is valid, known to this system and for the name or address
    /// of the target; without it any certificate passes, as with load balancers.
    #[arg(long)]
    pub tls_verify: bool,
    /// Verify by the certificate authorities in this PEM file instead of the system's.
    #[arg(long, value_name = "FILE", requires = "tls_verify")]
    pub tls_ca_file: Option<PathBuf>,
    /// Show this certificate to targets that ask for one: PEM, with its chain.
    #[arg(long, value_name = "FILE", requires = "tls_client_key")]
    pub tls_client_cert: Option<PathBuf>,
    /// The key of that certificate: PEM, without a password.
    #[arg(long, value_name = "FILE", requires = "tls_client_cert")]
    pub tls_client_key: Option<PathBuf>,
    /// Ask for this name (SNI) and verify it; without it the target's name, if it has one.
    #[arg(long, value_name = "NAME")]
    pub tls_server_name: Option<String>,
    /// Offer these protocols by ALPN, best first, as h2,http/1.1.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub tls_alpn: Vec<String>,
}

/// Options of datagrams.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "UDP")]
pub struct UdpArgs {
    /// The datagram, as text, or bytes as hex:0d0a; without it an empty one.
    #[arg(long, value_name = "TEXT")]
    pub send: Option<String>,
    /// Pass only where a datagram comes back that contains this; without it silence passes too, and
    /// only a closed port fails.
    #[arg(long, value_name = "TEXT")]
    pub expect: Option<String>,
}

/// Options of gRPC.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "GRPC and GRPCS")]
pub struct GrpcArgs {
    /// Ask for the health of this service; without it for that of the whole server.
    #[arg(long, value_name = "NAME")]
    pub grpc_service: Option<String>,
}
