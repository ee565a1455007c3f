//! The messages of `grpc.health.v1.Health/Check`, and how gRPC frames one: a byte that says whether
//! it is compressed, its length in four (big endian), and itself.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

/// The method's path.
pub(super) const PATH: &str = "/grpc.health.v1.Health/Check";
/// Bytes of a whole answer; a real one has seven.
pub(super) const ANSWER_BYTES_MAX: usize = 4 * 1_024;
/// Bytes before a message.
const PREFIX_BYTES: usize = 5;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Message)]
struct HealthCheckRequest {
    /// Whose health; empty: the server's.
    #[prost(string, tag = "1")]
    service: String,
}

/// What is answered.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct HealthCheckResponse {
    #[prost(enumeration = "ServingStatus", tag = "1")]
    status: i32,
}

/// The answer's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(super) enum ServingStatus {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

/// The framed request for the health of `service`.
pub(super) fn request(service: &str) -> Bytes {
    let message = HealthCheckRequest { service: service.to_owned() };
    let len = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + len);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
    bytes.extend_from_slice(&message.encode_to_vec());
    bytes.freeze()
}

/// What the framed answer says; none where it is no answer. A word that is not known says as much
/// as UNKNOWN.
pub(super) fn answer(bytes: &[u8]) -> Option<ServingStatus> {
    let (prefix, message) = bytes.split_first_chunk::<PREFIX_BYTES>()?;
    let [compressed, length @ ..] = *prefix;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    if compressed != 0 || message.len() != length {
        return None;
    }
    Some(HealthCheckResponse::decode(message).ok()?.status())
}

#[cfg(test)]
pub(super) fn framed(status: ServingStatus) -> Bytes {
    let message = HealthCheckResponse { status: status.into() }.encode_to_vec();
    let length = u8::try_from(message.len()).unwrap();
    [&[0, 0, 0, 0, length], &message[..]].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_framed_as_grpc_says() {
        assert_eq!(&request("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&request("ab")[..], [0, 0, 0, 0, 4, 0x0A, 2, b'a', b'b']);
        for (bytes, expected) in [
            (&[0, 0, 0, 0, 2, 8, 1][..], Some(ServingStatus::Serving)),
            (&[0, 0, 0, 0, 2, 8, 2], Some(ServingStatus::NotServing)),
            (&[0, 0, 0, 0, 0], Some(ServingStatus::Unknown)),
            (&[0, 0, 0, 0, 2, 8, 77], Some(ServingStatus::Unknown)),
            (&[0, 0, 0, 0, 4, 8, 1, 0x10, 9], Some(ServingStatus::Serving)),
            (&[], None),
            (&[0, 0, 0, 0], None),
            (&[1, 0, 0, 0, 2, 8, 1], None),
            (&[0, 0, 0, 0, 3, 8, 1], None),
            (&[0, 0, 0, 0, 1, 8, 1], None),
            (&[0, 0xFF, 0xFF, 0xFF, 0xFF, 8, 1], None),
            (&[0, 0, 0, 0, 2, 8, 0xFF], None),
        ] {
            assert_eq!(answer(bytes), expected, "{bytes:?}");
        }
        assert_eq!(answer(&framed(ServingStatus::Serving)), Some(ServingStatus::Serving));
    }
}
