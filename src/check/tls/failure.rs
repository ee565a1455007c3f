//! What the library's errors mean for an outcome.

use super::super::exchange_failed;
use super::verifier::is_of_authority;
use crate::outcome::{Cause, Code, Outcome};
use nix::errno::Errno;
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// The outcome of a connection that failed with `errno` in the handshake (DESIGN 3.6).
#[expect(clippy::wildcard_enum_match_arm, reason = "the third code that can come is SOCKERR")]
pub(super) fn handshake_failed(errno: Errno) -> Outcome {
    let code = match exchange_failed(errno).code {
        Code::L7Cut => Code::L6Rsp,
        Code::L7Tout => Code::L6Tout,
        other => other,
    };
    Outcome::errno(code, errno)
}

/// The outcome where the library gave up, as `code` unless it was our own doing.
pub(super) fn gave_up(code: Code, error: &Error) -> Outcome {
    let ours = matches!(
        error,
        Error::FailedToGetCurrentTime | Error::FailedToGetRandomBytes | Error::EncryptError
    );
    Outcome::cause(if ours { Code::SockErr } else { code }, cause(error))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list is open")]
fn cause(error: &Error) -> Cause {
    match error {
        Error::AlertReceived(alert) => alert_cause(*alert),
        Error::InvalidCertificate(error) => certificate_cause(error),
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            Cause::TlsTooOld
        }
        Error::PeerIncompatible(_) => Cause::TlsNothingInCommon,
        Error::InvalidMessage(_) | Error::PeerSentOversizedRecord => Cause::TlsMalformed,
        Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::NoCertificatesPresented
        | Error::PeerMisbehaved(_) => Cause::TlsMisbehaved,
        Error::DecryptError => Cause::TlsUnreadable,
        _ => Cause::TlsOther,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list is open")]
fn certificate_cause(error: &CertificateError) -> Cause {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => Cause::CertificateExpired,
        E::NotValidYet | E::NotValidYetContext { .. } => Cause::CertificateNotYetValid,
        E::UnknownIssuer => Cause::CertificateUnknownIssuer,
        E::NotValidForName | E::NotValidForNameContext { .. } => Cause::CertificateWrongName,
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => Cause::CertificateWrongPurpose,
        E::BadSignature => Cause::CertificateBadSignature,
        E::BadEncoding | E::UnhandledCriticalExtension => Cause::CertificateBad,
        E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            Cause::CertificateUnsupportedSignature
        }
        error if is_of_authority(error) => Cause::CertificateOfAuthority,
        _ => Cause::CertificateOther,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list is open")]
const fn alert_cause(alert: AlertDescription) -> Cause {
    use AlertDescription as A;
    match alert {
        A::CloseNotify => Cause::TlsClosed,
        A::UnexpectedMessage => Cause::AlertUnexpectedMessage,
        A::BadRecordMac => Cause::AlertBadRecordMac,
        A::RecordOverflow => Cause::AlertRecordOverflow,
        A::HandshakeFailure => Cause::AlertHandshakeFailure,
        A::BadCertificate => Cause::AlertBadCertificate,
        A::UnsupportedCertificate => Cause::AlertUnsupportedCertificate,
        A::CertificateRevoked => Cause::AlertCertificateRevoked,
        A::CertificateExpired => Cause::AlertCertificateExpired,
        A::CertificateUnknown => Cause::AlertCertificateUnknown,
        A::IllegalParameter => Cause::AlertIllegalParameter,
        A::UnknownCA => Cause::AlertUnknownCa,
        A::AccessDenied => Cause::AlertAccessDenied,
        A::DecodeError => Cause::AlertDecodeError,
        A::DecryptError => Cause::AlertDecryptError,
        A::ProtocolVersion => Cause::AlertProtocolVersion,
        A::InsufficientSecurity => Cause::AlertInsufficientSecurity,
        A::InternalError => Cause::AlertInternalError,
        A::InappropriateFallback => Cause::AlertInappropriateFallback,
        A::UserCanceled => Cause::AlertUserCanceled,
        A::NoRenegotiation => Cause::AlertNoRenegotiation,
        A::MissingExtension => Cause::AlertMissingExtension,
        A::UnsupportedExtension => Cause::AlertUnsupportedExtension,
        A::UnrecognisedName => Cause::AlertUnrecognizedName,
        A::BadCertificateStatusResponse => Cause::AlertBadStatusResponse,
        A::UnknownPSKIdentity => Cause::AlertUnknownPskIdentity,
        A::CertificateRequired => Cause::AlertCertificateRequired,
        A::NoApplicationProtocol => Cause::AlertNoApplicationProtocol,
        _ => Cause::AlertOther,
    }
}
