//! Checks fed with what a target may say: random bytes, mutations of good answers, and a real TLS
//! server of which any part is different. What must hold stands beside the fuzz targets, which feed
//! the same functions.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../fuzz/answers.rs"]
mod answers;
#[path = "support/mutation.rs"]
mod mutation;

use mutation::mutated;
use proptest::collection::vec;
use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair, SanType};
use std::sync::LazyLock;

const ANSWERS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwell\n",
    b"HTTP/1.0 200 OK\n\nall is well",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nwell\n\r\n0\r\nA: b\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 99\r\n\r\n1\r\nx\r\n",
    b"HTTP/1.1 503 Busy\r\nContent-Length: 18446744073709551615\r\n\r\n",
];

/// The frames of a good answer to a gRPC check, whole and one by one, and some others.
const FRAMES: &[&[u8]] = &[
    b"\0\0\0\x04\0\0\0\0\0\0\0\x13\x01\x04\0\0\0\x01\x88\x5f\x10application/grpc\
      \0\0\x07\0\0\0\0\0\x01\0\0\0\0\x02\x08\x01\
      \0\0\x0f\x01\x05\0\0\0\x01\x40\x0bgrpc-status\x010",
    b"\0\0\0\x04\0\0\0\0\0",
    b"\0\0\0\x04\x01\0\0\0\0",
    b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x01",
    b"\0\0\x08\x06\0\0\0\0\0pingping",
    b"\0\0\x13\x01\x04\0\0\0\x01\x88\x5f\x10application/grpc",
    b"\0\0\x07\0\0\0\0\0\x01\0\0\0\0\x02\x08\x01",
    b"\0\0\x07\0\0\0\0\0\x01\x01\xff\xff\xff\xff\x08\x01",
    b"\0\0\x0f\x01\x05\0\0\0\x01\x40\x0bgrpc-status\x010",
    b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x07",
    b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\0\0\x04\x08\0\0\0\0\0\x7f\xff\xff\xff",
];

/// Hellos and alerts, as far as they can be good without knowing the client's.
const RECORDS: &[&[u8]] = &[
    b"\x15\x03\x03\0\x02\x02\x28",
    b"\x15\x03\x01\0\x02\x01\0",
    b"\x16\x03\x03\0\x04\x0e\0\0\0",
    b"\x16\x03\x03\0\x2a\x02\0\0\x26\x03\x03ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF\0\xc0\x2b\0",
    b"\x16\x03\x03\0\x30\x02\0\0\x2c\x03\x03ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF\0\x13\x01\0\
      \0\x04\0\x2b\0\0",
    b"\x16\x03\x03\0\x0b\x0b\0\x00\x07\0\0\x04\0\0\x01\x30",
    b"\x14\x03\x03\0\x01\x01",
    b"\x17\x03\x03\0\x05hello",
    b"\x16\x03\x03\x40\0\x02\xff\xff\xff",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
];

/// A certificate with names of several kinds.
static LEAF: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut params =
        CertificateParams::new(["web.test".to_owned(), "*.web.test".to_owned()]).unwrap();
    params.subject_alt_names.push(SanType::IpAddress("10.0.0.1".parse().unwrap()));
    let name = "\u{202e}web\u{7}".try_into().ok();
    params.subject_alt_names.extend(name.map(SanType::Rfc822Name));
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
});

/// Bytes that mean something in one of these.
const SPECIAL: &[u8] = b"\r\n :;\0/.,=09aF\x03\x16\x17\x15\x30\x31\x82\x7f\x80\xff";

fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), prop::sample::select(SPECIAL)]
}

/// `good` with a few bytes changed.
fn changed(good: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    mutated(good, byte(), 8)
}

/// Some of `good` in a row.
fn row(good: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    vec(prop::sample::select(good), 1..4).prop_map(|pieces| pieces.concat())
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(byte(), 0..200)
}

/// In front, the byte that says how the stream is cut.
fn cut(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (0..40_u8, bytes).prop_map(|(first, bytes)| [&[first][..], &bytes].concat())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn http_checks_come_to_one_outcome(
        bytes in cut(prop_oneof![3 => changed(row(ANSWERS)), 1 => any_bytes()])
    ) {
        answers::http(&bytes);
    }

    #[test]
    fn grpc_checks_come_to_one_outcome(
        bytes in cut(prop_oneof![4 => changed(row(FRAMES)), 1 => any_bytes()])
    ) {
        answers::grpc(&bytes);
    }

    #[test]
    fn udp_checks_come_to_what_the_datagram_holds(bytes in any_bytes()) {
        answers::datagram(&bytes);
    }

    #[test]
    fn tls_checks_make_no_handshake_of_anything(
        bytes in cut(prop_oneof![3 => changed(row(RECORDS)), 1 => any_bytes()])
    ) {
        answers::tls(&bytes);
    }

    #[test]
    fn a_certificate_is_read_or_not(
        bytes in prop_oneof![4 => changed(Just(LEAF.clone())), 1 => any_bytes()]
    ) {
        answers::leaf(&bytes);
    }

    #[test]
    fn a_server_of_which_something_is_different_is_no_danger(
        place in 0..2_500_u16,
        how in any::<u8>(),
        change in prop_oneof![2 => vec(byte(), 0..4), 1 => any_bytes(), 1 => row(RECORDS)],
    ) {
        answers::tls_changed(&[&place.to_be_bytes()[..], &[how], &change].concat());
    }
}
