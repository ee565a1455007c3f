//! What a target presented, as JSON: the value of `tls` in the API and in the rows of `probe`.

use super::Presented;
use crate::wall::Rfc3339;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// All eight keys; what only a certificate tells is null where it could not be read.
impl Serialize for Presented {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let Self { version, cipher, alpn, leaf } = self;
        let leaf = leaf.as_deref();
        let time = |seconds: i64| Rfc3339(seconds.saturating_mul(1_000));
        let mut map = json.serialize_map(Some(8))?;
        map.serialize_entry("version", version)?;
        map.serialize_entry("cipher", cipher)?;
        map.serialize_entry("alpn", alpn)?;
        map.serialize_entry("subject", &leaf.map(|leaf| &leaf.subject))?;
        map.serialize_entry("issuer", &leaf.map(|leaf| &leaf.issuer))?;
        map.serialize_entry("not_before", &leaf.map(|leaf| time(leaf.not_before)))?;
        map.serialize_entry("not_after", &leaf.map(|leaf| time(leaf.not_after)))?;
        map.serialize_entry("names", &leaf.map(|leaf| &*leaf.names))?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tls::Leaf;
    use std::sync::Arc;

    #[test]
    fn the_eight_keys_stand_in_their_order() {
        let leaf = Leaf {
            subject: "CN=web".into(),
            issuer: "CN=ca".into(),
            not_before: -1,
            not_after: 1_609_459_200,
            names: ["web.internal".into(), "10.0.0.1".into()].into(),
        };
        let presented = Presented {
            version: "TLSv1.3",
            cipher: "TLS_AES_128_GCM_SHA256",
            alpn: Some("h2".into()),
            leaf: Some(Arc::new(leaf)),
        };
        let expected = r#"{"version":"TLSv1.3","cipher":"TLS_AES_128_GCM_SHA256","alpn":"h2","subject":"CN=web","issuer":"CN=ca","not_before":"1969-12-31T23:59:59.000Z","not_after":"2021-01-01T00:00:00.000Z","names":["web.internal","10.0.0.1"]}"#;
        assert_eq!(serde_json::to_string(&presented).unwrap(), expected);
        let unread = Presented { leaf: None, alpn: None, ..presented };
        let json = serde_json::to_string(&unread).unwrap();
        assert!(json.ends_with(r#""alpn":null,"subject":null,"issuer":null,"not_before":null,"not_after":null,"names":null}"#));
    }
}
