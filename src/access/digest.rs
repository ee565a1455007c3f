//! Hashes and their comparison: all that is secret goes through here.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// SHA-256 in hexadecimal, small letters.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// HMAC-SHA256.
pub(super) fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    // RFC 2104: a key of any length.
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

/// HMAC-SHA1.
pub(super) fn hmac_sha1(key: &[u8], message: &[u8]) -> Vec<u8> {
    // As above.
    let mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

/// Whether two signatures are the same, in a time that does not depend on where they differ.
pub(super) fn is_same(ours: &str, theirs: &str) -> bool {
    ours.as_bytes().ct_eq(theirs.as_bytes()).into()
}
