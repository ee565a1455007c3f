//! Settings of TLS and the files that they name.

use super::{AUTHORITY, verifying};
use crate::check::tls::{Client, Leaf, Settings};
use std::path::Path;

#[test]
fn settings_that_cannot_be_used_say_why() {
    let file = |name| Some(AUTHORITY.file(name));
    let garbage = AUTHORITY.file("garbage.pem");
    std::fs::write(&garbage, "garbage").unwrap();
    let garbage = Some(garbage);
    let pipe = AUTHORITY.file("pipe.pem");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let pipe = Some(pipe);
    let good = || Settings { client_cert: file("client.pem"), ..verifying() };
    for (settings, expected) in [
        (
            Settings { ca_file: Some(Path::new("/none").into()), ..verifying() },
            "tls.ca_file: cannot read /none",
        ),
        (Settings { ca_file: garbage.clone(), ..verifying() }, "tls.ca_file: "),
        (Settings { ca_file: pipe, ..verifying() }, "tls.ca_file: cannot read /"),
        (good(), "tls.client_cert: is set without tls.client_key; set both"),
        (Settings { client_key: garbage, ..good() }, "tls.client_key: "),
        (
            Settings { client_cert: file("ca.pem"), client_key: file("client.key"), ..verifying() },
            "tls.client_key: ",
        ),
    ] {
        let error = Client::new(&settings, None).unwrap_err().to_string();
        assert!(error.starts_with(expected) && error.contains("; "), "{error}");
    }
}

#[test]
fn clients_are_equal_where_settings_and_files_are() {
    let new = |settings: &Settings, host| Client::new(settings, host).unwrap();
    let a = new(&verifying(), Some("a"));
    assert_eq!(a, new(&verifying(), Some("a")));
    assert_ne!(a, new(&verifying(), Some("b")));
    assert_ne!(a, new(&Settings::default(), Some("a")));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let other = Settings { ca_file: Some(path.clone()), ..verifying() };
    std::fs::copy(AUTHORITY.file("ca.pem"), &path).unwrap();
    let before = new(&other, None);
    std::fs::copy(AUTHORITY.file("client.pem"), &path).unwrap();
    assert_ne!(before, new(&other, None));
    assert!(!format!("{before:?}").contains("PRIVATE"));
    let leaf = Leaf::parse(AUTHORITY.issuer.der()).unwrap();
    assert!(leaf.subject.contains("test authority"));
}
