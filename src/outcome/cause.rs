//! What a check found that no errno says: one word and one sentence for each.

/// A cause that is not an errno; the discriminant fits nine bits together with the errnos.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Cause {
    /// The bytes do not begin like a response.
    NotHttp = 256,
    /// The status line is broken, or the status is outside 100-599.
    BadStatusLine,
    /// A header line without colon or name, or with a byte that no header may hold.
    BadHeader,
    /// A NUL byte.
    NulByte,
    /// More than 16 KiB of response heads.
    HeadTooLong,
    /// The status is not among those that match.
    StatusNotMatched,
    /// End of stream before a complete response.
    Closed,
    /// No free slot for `unhealthy_threshold` intervals.
    NoFreeSlot,
    /// No answer in time, but this host dropped packets by itself meanwhile.
    PacketsDropped,
    /// Connected and given up by the target, which had to wait for a checker that was not run.
    NotRun,
    /// What came first is no record of TLS.
    NotTls,
    /// End of stream before the handshake was done.
    TlsClosed,
    /// The version that the target chose is below 1.2.
    TlsTooOld,
    /// Client and target have no way to agree.
    TlsNothingInCommon,
    /// Bytes that no message of TLS has.
    TlsMalformed,
    /// A message that may not come, or not here.
    TlsMisbehaved,
    /// A record that was changed on its way, or made with another key.
    TlsUnreadable,
    /// More bytes than a handshake may take.
    TlsTooMuch,
    /// More bytes than all of a probe may take.
    TlsEndless,
    /// Whatever else the library can say.
    TlsOther,
    /// The certificate is no longer valid.
    CertificateExpired,
    /// The certificate is valid later.
    CertificateNotYetValid,
    /// Nobody who is trusted vouches for the certificate.
    CertificateUnknownIssuer,
    /// The certificate is for other names.
    CertificateWrongName,
    /// The certificate is for something else than servers.
    CertificateWrongPurpose,
    /// The certificate, or the handshake, was signed with another key.
    CertificateBadSignature,
    /// The certificate says that it is an authority's, and is not trusted by itself.
    CertificateOfAuthority,
    /// The certificate was signed in a way that is not supported, or no more.
    CertificateUnsupportedSignature,
    /// The certificate cannot be read, or has what nobody understands.
    CertificateBad,
    /// Whatever else is wrong with the certificate.
    CertificateOther,
    /// The target sent this alert of TLS.
    AlertUnexpectedMessage,
    /// The target sent this alert of TLS.
    AlertBadRecordMac,
    /// The target sent this alert of TLS.
    AlertRecordOverflow,
    /// The target sent this alert of TLS.
    AlertHandshakeFailure,
    /// The target sent this alert of TLS.
    AlertBadCertificate,
    /// The target sent this alert of TLS.
    AlertUnsupportedCertificate,
    /// The target sent this alert of TLS.
    AlertCertificateRevoked,
    /// The target sent this alert of TLS.
    AlertCertificateExpired,
    /// The target sent this alert of TLS.
    AlertCertificateUnknown,
    /// The target sent this alert of TLS.
    AlertIllegalParameter,
    /// The target sent this alert of TLS.
    AlertUnknownCa,
    /// The target sent this alert of TLS.
    AlertAccessDenied,
    /// The target sent this alert of TLS.
    AlertDecodeError,
    /// The target sent this alert of TLS.
    AlertDecryptError,
    /// The target sent this alert of TLS.
    AlertProtocolVersion,
    /// The target sent this alert of TLS.
    AlertInsufficientSecurity,
    /// The target sent this alert of TLS.
    AlertInternalError,
    /// The target sent this alert of TLS.
    AlertInappropriateFallback,
    /// The target sent this alert of TLS.
    AlertUserCanceled,
    /// The target sent this alert of TLS.
    AlertNoRenegotiation,
    /// The target sent this alert of TLS.
    AlertMissingExtension,
    /// The target sent this alert of TLS.
    AlertUnsupportedExtension,
    /// The target sent this alert of TLS.
    AlertUnrecognizedName,
    /// The target sent this alert of TLS.
    AlertBadStatusResponse,
    /// The target sent this alert of TLS.
    AlertUnknownPskIdentity,
    /// The target sent this alert of TLS.
    AlertCertificateRequired,
    /// The target sent this alert of TLS.
    AlertNoApplicationProtocol,
    /// The target sent this alert of TLS.
    AlertOther,
    /// The body is over, or larger than what is looked at, and what was looked for is not in it.
    BodyNotMatched,
    /// The body should come in chunks, and does not.
    BadChunk,
    /// A datagram came back, without what it must contain.
    AnswerNotMatched,
    /// Nothing came back, and nothing had to.
    Unanswered,
    /// The datagram had not left by the end of the timeout.
    NotSent,
    /// The target did not choose HTTP/2 by ALPN.
    NotH2,
    /// What came first is no frame of HTTP/2.
    NotHttp2,
    /// Frames that break the rules of HTTP/2, or too many of them.
    BadHttp2,
    /// An answer over HTTP/2 that is none of gRPC.
    NotGrpc,
    /// RST_STREAM before a complete response.
    StreamReset,
    /// GOAWAY before a complete response.
    GoAway,
    /// The health service says NOT_SERVING.
    NotServing,
    /// The health service says UNKNOWN.
    ServingUnknown,
    /// The health service says SERVICE_UNKNOWN.
    ServiceUnknown,
    /// A status of gRPC.
    GrpcCancelled,
    /// A status of gRPC.
    GrpcUnknown,
    /// A status of gRPC.
    GrpcInvalidArgument,
    /// A status of gRPC.
    GrpcDeadlineExceeded,
    /// A status of gRPC.
    GrpcNotFound,
    /// A status of gRPC.
    GrpcAlreadyExists,
    /// A status of gRPC.
    GrpcPermissionDenied,
    /// A status of gRPC.
    GrpcResourceExhausted,
    /// A status of gRPC.
    GrpcFailedPrecondition,
    /// A status of gRPC.
    GrpcAborted,
    /// A status of gRPC.
    GrpcOutOfRange,
    /// A status of gRPC.
    GrpcUnimplemented,
    /// A status of gRPC.
    GrpcInternal,
    /// A status of gRPC.
    GrpcUnavailable,
    /// A status of gRPC.
    GrpcDataLoss,
    /// A status of gRPC.
    GrpcUnauthenticated,
    /// A status of gRPC beyond those that it has.
    GrpcOther,
}

/// gRPC's statuses, in their order from 1 on.
const GRPC_STATUSES: [Cause; 16] = [
    Cause::GrpcCancelled,
    Cause::GrpcUnknown,
    Cause::GrpcInvalidArgument,
    Cause::GrpcDeadlineExceeded,
    Cause::GrpcNotFound,
    Cause::GrpcAlreadyExists,
    Cause::GrpcPermissionDenied,
    Cause::GrpcResourceExhausted,
    Cause::GrpcFailedPrecondition,
    Cause::GrpcAborted,
    Cause::GrpcOutOfRange,
    Cause::GrpcUnimplemented,
    Cause::GrpcInternal,
    Cause::GrpcUnavailable,
    Cause::GrpcDataLoss,
    Cause::GrpcUnauthenticated,
];

impl Cause {
    /// What a status of gRPC means that is not 0, which is no failure.
    #[must_use]
    pub fn of_grpc_status(status: u32) -> Self {
        let place = usize::try_from(status).unwrap_or(usize::MAX).wrapping_sub(1);
        GRPC_STATUSES.get(place).copied().unwrap_or(Self::GrpcOther)
    }
}

/// Every [`Cause`], in the order of its discriminants, with its sentence.
pub(super) const CAUSES: &[(Cause, &str)] = &[
    (Cause::NotHttp, "not an HTTP response"),
    (Cause::BadStatusLine, "malformed status line"),
    (Cause::BadHeader, "malformed header line"),
    (Cause::NulByte, "NUL byte in the response head"),
    (Cause::HeadTooLong, "response head over 16 KiB"),
    (Cause::StatusNotMatched, "status does not match"),
    (Cause::Closed, "closed before a complete response"),
    (Cause::NoFreeSlot, "no free probe slot in time"),
    (Cause::PacketsDropped, "no answer in time, but this host dropped packets itself meanwhile"),
    (Cause::NotRun, "given up by the target, but the checker was not run meanwhile"),
    (Cause::NotTls, "not TLS: the target answered in plain text"),
    (Cause::TlsClosed, "closed in the TLS handshake"),
    (Cause::TlsTooOld, "the target speaks no TLS from 1.2 on"),
    (Cause::TlsNothingInCommon, "no cipher or key exchange in common"),
    (Cause::TlsMalformed, "malformed TLS message"),
    (Cause::TlsMisbehaved, "the target broke the rules of TLS"),
    (Cause::TlsUnreadable, "a TLS record that does not decrypt"),
    (Cause::TlsTooMuch, "more than 128 KiB in the TLS handshake"),
    (Cause::TlsEndless, "more than 512 KiB over TLS"),
    (Cause::TlsOther, "TLS failed"),
    (Cause::CertificateExpired, "certificate expired"),
    (Cause::CertificateNotYetValid, "certificate not valid yet"),
    (Cause::CertificateUnknownIssuer, "certificate of an unknown issuer"),
    (Cause::CertificateWrongName, "certificate is not for this name"),
    (Cause::CertificateWrongPurpose, "certificate is not for servers"),
    (Cause::CertificateBadSignature, "certificate with a wrong signature"),
    (Cause::CertificateOfAuthority, "certificate is an authority's (CA:TRUE), not a server's"),
    (Cause::CertificateUnsupportedSignature, "certificate with an unsupported signature"),
    (Cause::CertificateBad, "malformed certificate"),
    (Cause::CertificateOther, "certificate refused"),
    (Cause::AlertUnexpectedMessage, "alert: unexpected message"),
    (Cause::AlertBadRecordMac, "alert: bad record MAC"),
    (Cause::AlertRecordOverflow, "alert: record overflow"),
    (Cause::AlertHandshakeFailure, "alert: handshake failure"),
    (Cause::AlertBadCertificate, "alert: bad certificate"),
    (Cause::AlertUnsupportedCertificate, "alert: unsupported certificate"),
    (Cause::AlertCertificateRevoked, "alert: certificate revoked"),
    (Cause::AlertCertificateExpired, "alert: certificate expired"),
    (Cause::AlertCertificateUnknown, "alert: certificate unknown"),
    (Cause::AlertIllegalParameter, "alert: illegal parameter"),
    (Cause::AlertUnknownCa, "alert: unknown CA"),
    (Cause::AlertAccessDenied, "alert: access denied"),
    (Cause::AlertDecodeError, "alert: decode error"),
    (Cause::AlertDecryptError, "alert: decrypt error"),
    (Cause::AlertProtocolVersion, "alert: protocol version"),
    (Cause::AlertInsufficientSecurity, "alert: insufficient security"),
    (Cause::AlertInternalError, "alert: internal error"),
    (Cause::AlertInappropriateFallback, "alert: inappropriate fallback"),
    (Cause::AlertUserCanceled, "alert: user canceled"),
    (Cause::AlertNoRenegotiation, "alert: no renegotiation"),
    (Cause::AlertMissingExtension, "alert: missing extension"),
    (Cause::AlertUnsupportedExtension, "alert: unsupported extension"),
    (Cause::AlertUnrecognizedName, "alert: unrecognized name"),
    (Cause::AlertBadStatusResponse, "alert: bad certificate status response"),
    (Cause::AlertUnknownPskIdentity, "alert: unknown PSK identity"),
    (Cause::AlertCertificateRequired, "alert: certificate required"),
    (Cause::AlertNoApplicationProtocol, "alert: no application protocol"),
    (Cause::AlertOther, "alert: of a kind that is not known"),
    (Cause::BodyNotMatched, "body does not match"),
    (Cause::BadChunk, "malformed chunk in the body"),
    (Cause::AnswerNotMatched, "answer does not match"),
    (Cause::Unanswered, "no answer, and no ICMP error"),
    (Cause::NotSent, "the datagram did not leave this host in time"),
    (Cause::NotH2, "the target did not choose h2 by ALPN"),
    (Cause::NotHttp2, "not HTTP/2"),
    (Cause::BadHttp2, "malformed HTTP/2"),
    (Cause::NotGrpc, "not a gRPC response"),
    (Cause::StreamReset, "stream reset before a complete response"),
    (Cause::GoAway, "GOAWAY before a complete response"),
    (Cause::NotServing, "not serving"),
    (Cause::ServingUnknown, "serving status unknown"),
    (Cause::ServiceUnknown, "service unknown"),
    (Cause::GrpcCancelled, "gRPC status 1 cancelled"),
    (Cause::GrpcUnknown, "gRPC status 2 unknown"),
    (Cause::GrpcInvalidArgument, "gRPC status 3 invalid argument"),
    (Cause::GrpcDeadlineExceeded, "gRPC status 4 deadline exceeded"),
    (Cause::GrpcNotFound, "gRPC status 5 not found"),
    (Cause::GrpcAlreadyExists, "gRPC status 6 already exists"),
    (Cause::GrpcPermissionDenied, "gRPC status 7 permission denied"),
    (Cause::GrpcResourceExhausted, "gRPC status 8 resource exhausted"),
    (Cause::GrpcFailedPrecondition, "gRPC status 9 failed precondition"),
    (Cause::GrpcAborted, "gRPC status 10 aborted"),
    (Cause::GrpcOutOfRange, "gRPC status 11 out of range"),
    (Cause::GrpcUnimplemented, "gRPC status 12 unimplemented"),
    (Cause::GrpcInternal, "gRPC status 13 internal"),
    (Cause::GrpcUnavailable, "gRPC status 14 unavailable"),
    (Cause::GrpcDataLoss, "gRPC status 15 data loss"),
    (Cause::GrpcUnauthenticated, "gRPC status 16 unauthenticated"),
    (Cause::GrpcOther, "a gRPC status above 16"),
];
