//! A group's settings made ready for all its probes: certificates and keys are parsed once.

use super::clock::WallTime;
use super::notes::{Ours, Store};
use super::settings::{CA_FILE, CLIENT_CERT, CLIENT_KEY, Error, Pems, Roots, Settings};
use super::settings::{certificates, key};
use super::verifier::{Strict, Verifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha256};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// How handshakes are made. Two are equal where settings, name and the content of all files are.
pub struct Client {
    settings: Settings,
    name: Option<ServerName<'static>>,
    /// Of the files.
    digest: [u8; 32],
    config: Arc<ClientConfig>,
}

impl Client {
    /// `pems` is what is in the files that `settings` name. `host` is that of the health check,
    /// with or without a port: where it is a name, it is asked for unless the settings say
    /// otherwise.
    ///
    /// # Errors
    /// Which setting cannot be used, and the cure.
    pub fn new(settings: &Settings, host: Option<&str>, pems: &Pems) -> Result<Arc<Self>, Error> {
        let name = settings.name(host)?;
        let mut digest = Sha256::new();
        let roots = pems.roots.as_ref().map(|roots| trusted(settings, roots, &mut digest));
        let roots = roots.transpose()?;
        let ours = pems.own.as_ref().map(|own| certified_key(settings, own, &mut digest));
        let ours = ours.transpose()?;
        let config = Arc::new(config(settings, roots, ours)?);
        let digest = digest.finalize().into();
        Ok(Arc::new(Self { settings: settings.clone(), name, digest, config }))
    }

    /// What it was made from.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The name that is asked for and verified; none: the target's address is verified.
    pub(super) const fn name(&self) -> Option<&ServerName<'static>> {
        self.name.as_ref()
    }

    pub(super) const fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }
}

impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        (&self.settings, &self.name, self.digest) == (&other.settings, &other.name, other.digest)
    }
}

impl Eq for Client {}

impl Hash for Client {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.settings, &self.name, self.digest).hash(state);
    }
}

/// Without the key.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settings, name, .. } = self;
        f.debug_struct("Client").field("settings", settings).field("name", name).finish()
    }
}

fn config(
    settings: &Settings,
    trusted: Option<Trusted>,
    ours: Option<Arc<CertifiedKey>>,
) -> Result<ClientConfig, Error> {
    let unusable = |error: String| Error {
        key: CA_FILE,
        what: format!("nothing can be verified by it: {error}"),
        cure: "name a PEM file of certificate authorities",
    };
    let strict = trusted
        .map(|Trusted { roots, certificates }| {
            let issuers =
                WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider()));
            issuers.build().map(|issuers| Strict { issuers, trusted: certificates })
        })
        .transpose()
        .map_err(|error| unusable(error.to_string()))?;
    let mut config = ClientConfig::builder_with_details(Arc::clone(provider()), Arc::new(WallTime))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier(strict)))
        .with_client_cert_resolver(Arc::new(Ours(ours)));
    config.alpn_protocols = settings.alpn.iter().map(|name| name.clone().into_bytes()).collect();
    config.resumption = if settings.full_handshake_every > 1 {
        Resumption::store(Arc::new(Store))
    } else {
        Resumption::disabled()
    };
    Ok(config)
}

/// Ciphers and key exchanges, the same for all, the cheap ones first: those with SHA-256, which
/// processors have instructions for and SHA-384 they have none. No key exchange with post-quantum
/// keys: they are ten times as long, and a health check has no secret to keep for decades.
pub(super) fn provider() -> &'static Arc<CryptoProvider> {
    use aws_lc_rs::cipher_suite as suites;
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519};
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        let cipher_suites = vec![
            suites::TLS13_AES_128_GCM_SHA256,
            suites::TLS13_CHACHA20_POLY1305_SHA256,
            suites::TLS13_AES_256_GCM_SHA384,
            suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            suites::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            suites::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ];
        let kx_groups = vec![X25519, SECP256R1, SECP384R1];
        let provider = aws_lc_rs::default_provider();
        Arc::new(CryptoProvider { cipher_suites, kx_groups, ..provider })
    })
}

/// Who may issue a target's certificate, and which certificates are trusted themselves.
struct Trusted {
    roots: Arc<RootCertStore>,
    certificates: Vec<CertificateDer<'static>>,
}

/// Whom the system knows does not change while we run, and so is no part of the digest.
fn trusted(settings: &Settings, roots: &Roots, digest: &mut Sha256) -> Result<Trusted, Error> {
    let pem = match roots {
        Roots::System(roots) => {
            return Ok(Trusted { roots: Arc::clone(roots), certificates: Vec::new() });
        }
        Roots::Pem(pem) => pem,
    };
    note(digest, pem);
    let file = shown(settings.ca_file.as_deref());
    let certificates = certificates(CA_FILE, &file, pem)?;
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots.add(certificate.clone()).map_err(|error| Error {
            key: CA_FILE,
            what: format!("{file} holds a certificate that nobody can use: {error}"),
            cure: "remove it from the file",
        })?;
    }
    Ok(Trusted { roots: Arc::new(roots), certificates })
}

/// Our own certificate and key.
fn certified_key(
    settings: &Settings,
    (certificate, secret): &(Vec<u8>, Vec<u8>),
    digest: &mut Sha256,
) -> Result<Arc<CertifiedKey>, Error> {
    note(digest, certificate);
    note(digest, secret);
    let chain = certificates(CLIENT_CERT, &shown(settings.client_cert.as_deref()), certificate)?;
    let file = shown(settings.client_key.as_deref());
    let pair = CertifiedKey::from_der(chain, key(&file, secret)?, provider());
    pair.map(Arc::new).map_err(|error| Error {
        key: CLIENT_KEY,
        what: format!("{file} does not go with the certificate: {error}"),
        cure: "name the key that the certificate was made for",
    })
}

/// A file as it stands in an error.
fn shown(path: Option<&Path>) -> String {
    path.map_or_else(|| "what was given".to_owned(), |path| path.display().to_string())
}

/// Makes this thread ready for handshakes: the library takes tens of milliseconds for its first
/// random numbers, which would else be part of the first handshake's time.
pub fn warm_up() {
    // Who has none is told so by each handshake.
    let _ = provider().secure_random.fill(&mut [0]);
}

/// Each file with its length, so that no two lists of files are the same.
fn note(digest: &mut Sha256, file: &[u8]) {
    digest.update((file.len() as u64).to_be_bytes());
    digest.update(file);
}
