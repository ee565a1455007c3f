//! What a UDP check sends and expects: text as it is, or bytes as `hex:0a0b`.

use super::error::Problem;
use crate::limits::UDP_PAYLOAD_BYTES_MAX;

const HEX: &str = "hex:";

/// Bytes, and how they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    written: String,
    bytes: Vec<u8>,
}

impl Payload {
    /// The bytes that `written` says.
    ///
    /// # Errors
    /// Behind `hex:` stands what is not pairs of hexadecimal digits, or it is too long; the first
    /// part goes behind the value.
    pub fn parse(written: &str) -> Result<Self, Problem> {
        let bytes = match written.strip_prefix(HEX) {
            None => written.as_bytes().to_vec(),
            Some(digits) => hex::decode(digits).map_err(|_| {
                Problem::new("is not hexadecimal", "write pairs of digits, as \"hex:0d0a\"")
            })?,
        };
        if bytes.len() > UDP_PAYLOAD_BYTES_MAX {
            let cure = format!("allowed: up to {UDP_PAYLOAD_BYTES_MAX} bytes");
            return Err(Problem::new("is too long", cure));
        }
        Ok(Self { written: written.to_owned(), bytes })
    }

    /// As it was written.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }

    /// What goes over the wire.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_sent_as_it_is_and_hex_as_bytes() {
        for (written, bytes) in [
            ("", &b""[..]),
            ("ping\n", b"ping\n"),
            ("hex:", b""),
            ("hex:00fF0a", b"\x00\xFF\x0a"),
            ("HEX:00", b"HEX:00"),
        ] {
            let payload = Payload::parse(written).unwrap();
            assert_eq!((payload.written(), payload.bytes()), (written, bytes));
        }
        for bad in ["hex:0", "hex:0g", "hex:00 00", "hex:é0"] {
            assert_eq!(Payload::parse(bad).unwrap_err().what, "is not hexadecimal", "{bad}");
        }
        assert!(Payload::parse(&"x".repeat(UDP_PAYLOAD_BYTES_MAX)).is_ok());
        assert!(Payload::parse(&"x".repeat(UDP_PAYLOAD_BYTES_MAX + 1)).is_err());
        let hex = format!("hex:{}", "00".repeat(UDP_PAYLOAD_BYTES_MAX));
        assert!(Payload::parse(&hex).is_ok());
    }
}
