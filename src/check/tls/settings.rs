//! What a person asks for of TLS, and what is in the files that this names.

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

/// The keys `tls.*` of a health check. Paths are as they are to be opened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Whether the certificate must be valid, known and for the right name.
    pub verify: bool,
    /// PEM file of those who may issue it; none: those that the system knows.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our own certificate, with those that vouch for it behind.
    pub client_cert: Option<PathBuf>,
    /// PEM file of its key.
    pub client_key: Option<PathBuf>,
    /// The name that is asked for (SNI) and verified; none: that of the health check's `host`.
    pub server_name: Option<String>,
    /// Protocols that are offered, best first.
    pub alpn: Vec<String>,
    /// Every so many probes of a target make a full handshake, also where a session could be
    /// resumed; 1: all of them. Not zero.
    pub full_handshake_every: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            verify: false,
            ca_file: None,
            client_cert: None,
            client_key: None,
            server_name: None,
            alpn: Vec::new(),
            full_handshake_every: 10,
        }
    }
}

/// The content of the files that settings name. Who holds settings reads them: nothing here does.
#[derive(Clone, Debug, Default)]
pub struct Pems {
    /// Who may issue a target's certificate; none: nothing is verified.
    pub roots: Option<Roots>,
    /// Our own certificate, with those that vouch for it behind, and its key.
    pub own: Option<(Vec<u8>, Vec<u8>)>,
}

/// Who may issue a target's certificate.
#[derive(Clone, Debug)]
pub enum Roots {
    /// Those that the system knows.
    System(Arc<RootCertStore>),
    /// Those in `ca_file`, of which this is the content.
    Pem(Vec<u8>),
}

/// Why settings cannot be used: which, what is wrong, and what a person can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {what}; {cure}")]
pub struct Error {
    /// The setting, as `tls.ca_file`.
    pub key: &'static str,
    /// What is wrong with it.
    pub what: String,
    /// What a person can do about it.
    pub cure: &'static str,
}

/// The key of [`Settings::ca_file`].
pub const CA_FILE: &str = "tls.ca_file";
/// The key of [`Settings::client_cert`].
pub const CLIENT_CERT: &str = "tls.client_cert";
/// The key of [`Settings::client_key`].
pub const CLIENT_KEY: &str = "tls.client_key";
const SERVER_NAME: &str = "tls.server_name";

impl Settings {
    /// The name to ask for and to verify; none where there is none, and each target's address must
    /// stand in its certificate. `host` is that of the health check, with or without a port.
    pub(super) fn name(&self, host: Option<&str>) -> Result<Option<ServerName<'static>>, Error> {
        let Some(name) = &self.server_name else {
            return Ok(host.and_then(name_of_host));
        };
        ServerName::try_from(name.clone()).map(Some).map_err(|_| Error {
            key: SERVER_NAME,
            what: format!("{name:?} is no name of a host"),
            cure: "write a DNS name or an address without port",
        })
    }
}

/// The name in a Host header; none where it is an address.
fn name_of_host(host: &str) -> Option<ServerName<'static>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() || host.parse::<SocketAddr>().is_ok() {
        return None;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    match ServerName::try_from(name.to_owned()) {
        Ok(name @ ServerName::DnsName(_)) => Some(name),
        Ok(_) | Err(_) => None,
    }
}

/// The certificates in `pem`, the content of the `file` of setting `key`; at least one.
pub(super) fn certificates(
    key: &'static str,
    file: &str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let broken = |error: Option<pem::Error>| {
        let why = error.map_or_else(String::new, |error| format!(": {error}"));
        let what = format!("{file} holds no certificate{why}");
        Error { key, what, cure: "name a PEM file with BEGIN CERTIFICATE in it" }
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| broken(Some(error)))?;
    if found.is_empty() { Err(broken(None)) } else { Ok(found) }
}

/// The key in `pem`, the content of the `file` of `tls.client_key`.
pub(super) fn key(file: &str, pem: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| Error {
        key: CLIENT_KEY,
        what: format!("{file} holds no key: {error}"),
        cure: "name a PEM file with a private key that needs no password",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_that_of_the_host_where_it_is_one() {
        let name = |server_name: Option<&str>, host| {
            let server_name = server_name.map(Into::into);
            let name = Settings { server_name, ..Settings::default() }.name(host);
            name.unwrap().map(|name| name.to_str().into_owned())
        };
        for (host, expected) in [
            (None, None),
            (Some("web.internal"), Some("web.internal")),
            (Some("web.internal:8443"), Some("web.internal")),
            (Some("10.0.0.1"), None),
            (Some("10.0.0.1:443"), None),
            (Some("::1"), None),
            (Some("[::1]"), None),
            (Some("[::1]:443"), None),
            (Some("what even"), None),
        ] {
            assert_eq!(name(None, host).as_deref(), expected, "{host:?}");
            assert_eq!(name(Some("other"), host).as_deref(), Some("other"));
        }
        assert_eq!(name(Some("10.0.0.1"), None).as_deref(), Some("10.0.0.1"));
        let wrong = Settings { server_name: Some("a b".into()), ..Settings::default() };
        assert!(wrong.name(None).unwrap_err().to_string().starts_with("tls.server_name: \"a b\""));
    }
}
