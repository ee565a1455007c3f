//! Certificates with their keys, made anew in a folder for each run, so that none of them is ever
//! older than the test that needs it: `{name}.pem` (the chain, leaf first), `{name}.rest` (without
//! its leaf), `{name}.key`, and chain and key in `{name}.both` for HAProxy. `ca.pem` signs those
//! that are not made by openssl.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SignatureAlgorithm, date_time_ymd,
};
use ringcheck::time::wall_ms;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The name in all of them but `other`.
pub(crate) const NAME: &str = "web.test";
/// Certificates in the chains `deep` and `long`.
const CHAIN: usize = 20;
const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3_600);

type Authority = (String, Issuer<'static, KeyPair>);

/// Seconds since 1970.
pub(crate) fn now() -> Duration {
    Duration::from_millis(wall_ms())
}

/// Makes them all.
pub(crate) fn make(folder: &Path) {
    let root = authority("ringcheck test root", None);
    write(folder, "ca.pem", &root.0);
    let good = (now() - DAY, now() + 30 * DAY);
    leaf(folder, "web", NAME, &PKCS_ECDSA_P256_SHA256, good, &root.1, "");
    leaf(folder, "client", "client.test", &PKCS_ECDSA_P256_SHA256, good, &root.1, "");
    leaf(folder, "other", "other.test", &PKCS_ECDSA_P256_SHA256, good, &root.1, "");
    leaf(folder, "p384", NAME, &PKCS_ECDSA_P384_SHA384, good, &root.1, "");
    let expired = (now() - 90 * DAY, now() - 3 * DAY - HOUR);
    leaf(folder, "expired", NAME, &PKCS_ECDSA_P256_SHA256, expired, &root.1, "");
    let early = (now() + 5 * DAY + HOUR, now() + 90 * DAY);
    leaf(folder, "early", NAME, &PKCS_ECDSA_P256_SHA256, early, &root.1, "");
    deep(folder, root.1);
    self_signed(folder, "self", "rsa:2048 -sha256");
    self_signed(folder, "ed25519", "ed25519");
    self_signed(folder, "rsa1024", "rsa:1024 -sha256");
    self_signed(folder, "sha1", "rsa:2048 -sha1");
    self_signed(folder, "p521", "ec -pkeyopt ec_paramgen_curve:secp521r1 -sha512");
}

/// A chain in which each certificate is signed by the next, and one of as many that have nothing to
/// do with its leaf.
fn deep(folder: &Path, root: Issuer<'static, KeyPair>) {
    let good = (now() - DAY, now() + 30 * DAY);
    let mut chain = String::new();
    let mut last = root;
    for depth in 2..=CHAIN {
        let (pem, next) = authority(&format!("intermediate {depth}"), Some(&last));
        if depth == 2 {
            leaf(
                folder,
                "long",
                NAME,
                &PKCS_ECDSA_P256_SHA256,
                good,
                &last,
                &pem.repeat(CHAIN - 1),
            );
        }
        chain.insert_str(0, &pem);
        last = next;
    }
    leaf(folder, "deep", NAME, &PKCS_ECDSA_P256_SHA256, good, &last, &chain);
}

/// A certificate that signs others; PEM, and what signs. Long names make its chain longer than a
/// record.
fn authority(name: &str, by: Option<&Issuer<'_, KeyPair>>) -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = params(name, (now() - DAY, now() + 30 * DAY));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::OrganizationName, "o".repeat(600));
    let made: Certificate = match by {
        None => params.self_signed(&key).unwrap(),
        Some(by) => params.signed_by(&key, by).unwrap(),
    };
    (made.pem(), Issuer::new(params, key))
}

fn leaf(
    folder: &Path,
    file: &str,
    name: &str,
    algorithm: &'static SignatureAlgorithm,
    valid: (Duration, Duration),
    by: &Issuer<'_, KeyPair>,
    rest: &str,
) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let made = params(name, valid).signed_by(&key, by).unwrap();
    store(folder, file, &(made.pem() + rest), &key.serialize_pem());
    write(folder, &format!("{file}.rest"), rest);
}

fn params(name: &str, (from, until): (Duration, Duration)) -> CertificateParams {
    let mut params = CertificateParams::new([name.replace(' ', "-")]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let epoch = date_time_ymd(1970, 1, 1);
    (params.not_before, params.not_after) = (epoch + from, epoch + until);
    params
}

/// What nobody signed but itself, by openssl, which makes weak keys too.
fn self_signed(folder: &Path, file: &str, key: &str) {
    let (pem, key_pem) = (format!("{file}.pem"), format!("{file}.key"));
    let made = Command::new("openssl")
        .args("req -x509 -nodes -days 2 -subj /CN=web.test -newkey".split(' '))
        .args(key.split(' '))
        .args(["-addext", "subjectAltName=DNS:web.test", "-out", &pem, "-keyout", &key_pem])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("openssl is missing; install it: apt-get install openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text = |name| std::fs::read_to_string(folder.join(name)).unwrap();
    store(folder, file, &text(&pem), &text(&key_pem));
}

fn store(folder: &Path, file: &str, pem: &str, key: &str) {
    write(folder, &format!("{file}.pem"), pem);
    write(folder, &format!("{file}.key"), key);
    write(folder, &format!("{file}.both"), &format!("{pem}{key}"));
}

fn write(folder: &Path, file: &str, text: &str) {
    std::fs::write(folder.join(file), text).unwrap();
}
