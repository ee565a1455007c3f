//! Settings of TLS and what is in the files that they name.

use super::{AUTHORITY, verifying};
use crate::check::tls::{Client, Leaf, Pems, Roots, Settings};

#[test]
fn files_that_cannot_be_used_say_why() {
    let (certificate, key) = AUTHORITY.own.clone();
    let garbage = b"garbage".to_vec();
    let ca = AUTHORITY.issuer.pem().into_bytes();
    let own = |certificate: &[u8], key: &[u8]| Pems {
        roots: None,
        own: Some((certificate.to_vec(), key.to_vec())),
    };
    for (pems, expected) in [
        (
            Pems { roots: Some(Roots::Pem(garbage.clone())), own: None },
            "tls.ca_file: ca.pem holds no certificate; name a PEM file",
        ),
        (own(&garbage, &key), "tls.client_cert: client.pem holds no certificate; name a PEM file"),
        (own(&certificate, &garbage), "tls.client_key: client.key holds no key: "),
        (own(&ca, &key), "tls.client_key: client.key does not go with the certificate: "),
    ] {
        let settings = Settings {
            client_cert: Some("client.pem".into()),
            client_key: Some("client.key".into()),
            ..verifying()
        };
        let error = Client::new(&settings, None, &pems).unwrap_err().to_string();
        assert!(error.starts_with(expected) && error.contains("; "), "{error}");
    }
}

#[test]
fn clients_are_equal_where_settings_and_files_are() {
    let new =
        |settings: &Settings, host| Client::new(settings, host, &AUTHORITY.pems(settings)).unwrap();
    let a = new(&verifying(), Some("a"));
    assert_eq!(a, new(&verifying(), Some("a")));
    assert_ne!(a, new(&verifying(), Some("b")));
    assert_ne!(a, new(&Settings::default(), Some("a")));
    let other = Pems { roots: Some(Roots::Pem(AUTHORITY.own.0.clone())), own: None };
    assert_ne!(a, Client::new(&verifying(), Some("a"), &other).unwrap());
    assert!(!format!("{a:?}").contains("PRIVATE"));
    let leaf = Leaf::parse(AUTHORITY.issuer.der()).unwrap();
    assert!(leaf.subject.contains("test authority"));
}
