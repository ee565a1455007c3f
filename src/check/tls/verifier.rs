//! Which certificates pass: any, or those that somebody who is trusted vouches for.
//!
//! Verified is as browsers do (webpki), with one exception that load balancers make: a certificate
//! that stands in `ca_file` itself is trusted although it says that it is an authority's. So does
//! each that `openssl req -x509` makes, and no authority has issued it but itself.

use super::notes::Notes;
use super::presented::Leaf;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;

/// Notes each certificate, and verifies it where that was asked for. Else any certificate and key
/// passes, as with load balancers, and not even the handshake's signature is verified: it would
/// prove that the target has a key which nobody knows.
#[derive(Debug)]
pub(super) struct Verifier(pub(super) Option<Strict>);

/// How certificates are verified.
#[derive(Debug)]
pub(super) struct Strict {
    /// By those who may issue them.
    pub(super) issuers: Arc<WebPkiServerVerifier>,
    /// These are trusted themselves.
    pub(super) trusted: Vec<CertificateDer<'static>>,
}

/// All that a target may sign with where nothing is verified.
const ALL_SCHEMES: [SignatureScheme; 13] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::ED448,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::ECDSA_SHA1_Legacy,
    SignatureScheme::RSA_PKCS1_SHA1,
];

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Notes::presented(leaf, others);
        let Some(strict) = &self.0 else { return Ok(ServerCertVerified::assertion()) };
        match strict.issuers.verify_server_cert(leaf, others, name, ocsp, now) {
            Err(Error::InvalidCertificate(error))
                if is_of_authority(&error) && strict.trusted.iter().any(|known| known == leaf) =>
            {
                is_valid(leaf, name, now).map(|()| ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.0 {
            Some(strict) => strict.issuers.verify_tls12_signature(message, leaf, signature),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.0 {
            Some(strict) => strict.issuers.verify_tls13_signature(message, leaf, signature),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match &self.0 {
            Some(strict) => strict.issuers.supported_verify_schemes(),
            None => ALL_SCHEMES.to_vec(),
        }
    }
}

/// Whether a certificate was refused because it is an authority's.
pub(super) fn is_of_authority(error: &CertificateError) -> bool {
    let CertificateError::Other(other) = error else { return false };
    other.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
}

/// Whether a certificate, for whom nobody need vouch, is for this name and day.
fn is_valid(leaf: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
    verify_server_name(&ParsedCertificate::try_from(leaf)?, name)?;
    let read = Leaf::parse(leaf).ok_or(CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < read.not_before {
        Err(CertificateError::NotValidYet.into())
    } else if now > read.not_after {
        Err(CertificateError::Expired.into())
    } else {
        Ok(())
    }
}
