//! The words for each alert, by its number.

use super::*;

/// RFC 8446, 6; and of RFC 5246, 7.2 those that newer ones left out.
#[rustfmt::skip]
const ALERTS: [(u8, &str); 28] = [
    (0,   "closed in the TLS handshake"),
    (10,  "alert: unexpected message"),
    (20,  "alert: bad record MAC"),
    (22,  "alert: record overflow"),
    (40,  "alert: handshake failure"),
    (42,  "alert: bad certificate"),
    (43,  "alert: unsupported certificate"),
    (44,  "alert: certificate revoked"),
    (45,  "alert: certificate expired"),
    (46,  "alert: certificate unknown"),
    (47,  "alert: illegal parameter"),
    (48,  "alert: unknown CA"),
    (49,  "alert: access denied"),
    (50,  "alert: decode error"),
    (51,  "alert: decrypt error"),
    (70,  "alert: protocol version"),
    (71,  "alert: insufficient security"),
    (80,  "alert: internal error"),
    (86,  "alert: inappropriate fallback"),
    (90,  "alert: user canceled"),
    (100, "alert: no renegotiation"),
    (109, "alert: missing extension"),
    (110, "alert: unsupported extension"),
    (112, "alert: unrecognized name"),
    (113, "alert: bad certificate status response"),
    (115, "alert: unknown PSK identity"),
    (116, "alert: certificate required"),
    (120, "alert: no application protocol"),
];

#[test]
fn each_alert_has_its_words() {
    for number in 0..=u8::MAX {
        let words = ALERTS.iter().find(|alert| alert.0 == number).map(|alert| alert.1);
        // One that ends the connection, by its level.
        let found = answered(&[0x15, 3, 3, 0, 2, 2, number], 1_000, Event::Expired);
        assert_eq!(found.code, Code::L6Rsp, "{number}");
        let expected = words.unwrap_or("alert: of a kind that is not known");
        assert_eq!(found.detail_text(), expected, "{number}");
    }
}
