//! What a health check's protocol is called, and which settings have a meaning for it.

use std::time::Duration;

/// Protocol of a health check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words of the configuration")]
pub enum CheckProtocol {
    #[default]
    Tcp,
    Http,
    Https,
    Tls,
    Udp,
    Grpc,
    Grpcs,
}

use CheckProtocol::{Grpc, Grpcs, Http, Https, Tcp, Tls, Udp};

impl CheckProtocol {
    /// All of them.
    pub const ALL: [Self; 7] = [Tcp, Http, Https, Tls, Udp, Grpc, Grpcs];

    /// The word of the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Tcp => "TCP",
            Http => "HTTP",
            Https => "HTTPS",
            Tls => "TLS",
            Udp => "UDP",
            Grpc => "GRPC",
            Grpcs => "GRPCS",
        }
    }

    /// With its article: `a TCP check`, `an HTTP check`.
    pub(crate) fn check(self) -> String {
        let article = if matches!(self, Http | Https) { "an" } else { "a" };
        format!("{article} {} check", self.name())
    }

    /// The timeout of a health check that names none (DESIGN 3.1).
    #[must_use]
    pub const fn timeout_default(self) -> Duration {
        match self {
            Http => Duration::from_secs(6),
            Tcp | Https | Tls | Udp | Grpc | Grpcs => Duration::from_secs(10),
        }
    }

    /// Whether its probes shake hands by TLS.
    #[must_use]
    pub const fn has_tls(self) -> bool {
        matches!(self, Https | Tls | Grpcs)
    }

    /// Whether `setting`, a key of a health check, has a meaning for it.
    pub(crate) fn has(self, setting: &str) -> bool {
        protocols_with(setting).contains(&self)
    }

    /// The protocol that has `setting` and differs least from this one, for a cure.
    pub(crate) fn nearest_with(self, setting: &str) -> Self {
        let with = protocols_with(setting);
        let wished = match self {
            Tcp | Udp => Tls,
            Http | Tls => Https,
            Grpc => Grpcs,
            Https => Http,
            Grpcs => Grpc,
        };
        let is_tls = setting == "tls" || setting.starts_with("tls.");
        let near = with.iter().find(|&&protocol| protocol == wished && is_tls);
        near.or_else(|| with.first()).copied().unwrap_or(self)
    }
}

/// The protocols for which `setting` has a meaning, the plainest first.
fn protocols_with(setting: &str) -> &'static [CheckProtocol] {
    match setting {
        "path" | "matcher" | "method" | "http_version" | "headers" | "body" | "body_contains"
        | "body_regex" => &[Http, Https],
        "host" | "reuse" | "fresh_connection_every" => &[Http, Https, Grpc, Grpcs],
        "handshake" => &[Tcp],
        "close" | "proxy_protocol" => &[Tcp, Http, Https, Tls, Grpc, Grpcs],
        "send" | "expect" => &[Udp],
        "grpc_service" => &[Grpc, Grpcs],
        tls if tls == "tls" || tls.starts_with("tls.") => &[Tls, Https, Grpcs],
        _ => &CheckProtocol::ALL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cure_names_a_protocol_that_has_the_setting() {
        for protocol in CheckProtocol::ALL {
            for setting in ["path", "host", "handshake", "send", "tls.verify", "grpc_service"] {
                let near = protocol.nearest_with(setting);
                assert!(near.has(setting), "{protocol:?} {setting}");
            }
        }
        assert_eq!(Http.nearest_with("tls.verify"), Https);
        assert_eq!(Grpc.nearest_with("tls.verify"), Grpcs);
        assert_eq!(Tcp.nearest_with("path"), Http);
    }
}
