//! A group's settings made ready for all its probes: files are read and keys parsed once.

use super::clock::WallTime;
use super::notes::{Ours, Store, Verifier};
use super::settings::{CA_FILE, CLIENT_CERT, CLIENT_KEY, Error, Settings};
use super::settings::{certificates, key, read};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
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
    /// Reads the files that `settings` name. `host` is that of the health check, with or without a
    /// port: where it is a name, it is asked for unless the settings say otherwise.
    ///
    /// # Errors
    /// Which setting cannot be used, and the cure.
    pub fn new(settings: &Settings, host: Option<&str>) -> Result<Arc<Self>, Error> {
        let name = settings.name(host)?;
        let mut digest = Sha256::new();
        let roots = settings.verify.then(|| roots(settings, &mut digest)).transpose()?;
        let ours = certified_key(settings, &mut digest)?;
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
    roots: Option<Arc<RootCertStore>>,
    ours: Option<Arc<CertifiedKey>>,
) -> Result<ClientConfig, Error> {
    let unusable = |error: String| Error {
        key: CA_FILE,
        what: format!("nothing can be verified by it: {error}"),
        cure: "name a PEM file of certificate authorities",
    };
    let strict = roots
        .map(|roots| {
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider())).build()
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

/// Who may issue a target's certificate.
fn roots(settings: &Settings, digest: &mut Sha256) -> Result<Arc<RootCertStore>, Error> {
    let Some(path) = &settings.ca_file else { return system_roots() };
    let pem = read(CA_FILE, path)?;
    note(digest, &pem);
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CA_FILE, path, &pem)? {
        roots.add(certificate).map_err(|error| Error {
            key: CA_FILE,
            what: format!("{} holds a certificate that nobody can use: {error}", path.display()),
            cure: "remove it from the file",
        })?;
    }
    Ok(Arc::new(roots))
}

/// Those that the system knows, read once: some hundred certificates, for all groups.
fn system_roots() -> Result<Arc<RootCertStore>, Error> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() {
        return Err(Error {
            key: "tls.verify",
            what: "this system has no certificate authorities".into(),
            cure: "install ca-certificates and restart, or set tls.ca_file",
        });
    }
    Ok(Arc::clone(roots))
}

/// Our own certificate and key, where there are both.
fn certified_key(
    settings: &Settings,
    digest: &mut Sha256,
) -> Result<Option<Arc<CertifiedKey>>, Error> {
    let lacks = |key, what: &str| Error {
        key,
        what: format!("is set without {what}"),
        cure: "set both or neither",
    };
    let (certificate, secret): (&Path, &Path) = match (&settings.client_cert, &settings.client_key)
    {
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(lacks(CLIENT_CERT, CLIENT_KEY)),
        (None, Some(_)) => return Err(lacks(CLIENT_KEY, CLIENT_CERT)),
        (Some(certificate), Some(key)) => (certificate, key),
    };
    let pems = (read(CLIENT_CERT, certificate)?, read(CLIENT_KEY, secret)?);
    note(digest, &pems.0);
    note(digest, &pems.1);
    let chain = certificates(CLIENT_CERT, certificate, &pems.0)?;
    let pair = CertifiedKey::from_der(chain, key(secret, &pems.1)?, provider());
    pair.map(|pair| Some(Arc::new(pair))).map_err(|error| Error {
        key: CLIENT_KEY,
        what: format!("{} does not go with the certificate: {error}", secret.display()),
        cure: "name the key that the certificate was made for",
    })
}

/// Each file with its length, so that no two lists of files are the same.
fn note(digest: &mut Sha256, file: &[u8]) {
    digest.update((file.len() as u64).to_be_bytes());
    digest.update(file);
}
