//! The PEM files that settings of TLS name: read here, so that checks need no file.

use crate::check::tls::settings::{CA_FILE, CLIENT_CERT, CLIENT_KEY};
use crate::check::tls::{Error, Pems, Roots, Settings};
use crate::limits::TLS_FILE_BYTES_MAX;
use nix::libc;
use rustls::RootCertStore;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Reads what `settings` name.
pub(super) fn read(settings: &Settings) -> Result<Pems, Error> {
    let roots = settings.verify.then(|| match &settings.ca_file {
        Some(path) => file(CA_FILE, path).map(Roots::Pem),
        None => system_roots().map(Roots::System),
    });
    let lacks = |key, what: &str| Error {
        key,
        what: format!("is set without {what}"),
        cure: "set both or neither",
    };
    let roots = roots.transpose()?;
    let own = match (&settings.client_cert, &settings.client_key) {
        (None, None) => None,
        (Some(_), None) => return Err(lacks(CLIENT_CERT, CLIENT_KEY)),
        (None, Some(_)) => return Err(lacks(CLIENT_KEY, CLIENT_CERT)),
        (Some(certificate), Some(key)) => {
            Some((file(CLIENT_CERT, certificate)?, file(CLIENT_KEY, key)?))
        }
    };
    Ok(Pems { roots, own })
}

/// The file of setting `key`.
fn file(key: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    let wrong = |what, cure| Error { key, what, cure };
    let mut bytes = Vec::new();
    // Without waiting: a pipe that nobody writes to would hold up whoever asks.
    let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    opened
        .and_then(|file| match file.metadata()?.is_file() {
            true => file.take(TLS_FILE_BYTES_MAX + 1).read_to_end(&mut bytes),
            false => Err(std::io::Error::other("not a regular file")),
        })
        .map_err(|error| {
            let what = format!("cannot read {}: {error}", path.display());
            wrong(what, "name a PEM file that ringcheck may read")
        })?;
    if bytes.len() as u64 > TLS_FILE_BYTES_MAX {
        let what = format!("{} is larger than 4 MiB", path.display());
        return Err(wrong(what, "name a PEM file with the certificates that are needed"));
    }
    Ok(bytes)
}

/// Those that the system knows, read once: some hundred certificates, for all groups.
fn system_roots() -> Result<Arc<RootCertStore>, Error> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() {
        return Err(Error {
            key: "tls.verify",
            what: "this system has no certificate authorities".into(),
            cure: "install ca-certificates and restart, or set tls.ca_file",
        });
    }
    Ok(Arc::clone(roots))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_far_as_they_are_needed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| Some(folder.path().join(name));
        std::fs::write(folder.path().join("a.pem"), "a").unwrap();
        std::fs::write(folder.path().join("b.pem"), "b").unwrap();
        let all = Settings {
            verify: true,
            ca_file: path("a.pem"),
            client_cert: path("a.pem"),
            client_key: path("b.pem"),
            ..Settings::default()
        };
        let pems = read(&all).unwrap();
        assert!(matches!(pems.roots, Some(Roots::Pem(pem)) if pem == b"a"));
        assert_eq!(pems.own, Some((b"a".to_vec(), b"b".to_vec())));
        // Who does not verify needs no roots, and so no file of them.
        let trusting = Settings { verify: false, ca_file: path("none"), ..all };
        assert!(read(&trusting).unwrap().roots.is_none());
    }

    #[test]
    fn files_that_cannot_be_read_say_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| Some(folder.path().join(name));
        nix::unistd::mkfifo(&folder.path().join("pipe.pem"), nix::sys::stat::Mode::S_IRWXU)
            .unwrap();
        let large = File::create(folder.path().join("large.pem")).unwrap();
        large.set_len(TLS_FILE_BYTES_MAX + 1).unwrap();
        let verify = |ca_file| Settings { verify: true, ca_file, ..Settings::default() };
        let own =
            |client_cert, client_key| Settings { client_cert, client_key, ..Settings::default() };
        for (settings, expected) in [
            (verify(Some("/none".into())), "tls.ca_file: cannot read /none: No such file"),
            (verify(path("pipe.pem")), "tls.ca_file: cannot read "),
            (verify(path("large.pem")), "tls.ca_file: "),
            (verify(path("")), "tls.ca_file: cannot read "),
            (own(path("large.pem"), None), "tls.client_cert: is set without tls.client_key; set"),
            (own(None, path("large.pem")), "tls.client_key: is set without tls.client_cert; set"),
            (own(path("none"), path("large.pem")), "tls.client_cert: cannot read "),
        ] {
            let error = read(&settings).unwrap_err().to_string();
            assert!(error.starts_with(expected) && error.contains("; "), "{error}");
        }
    }
}
