//! Scripts of TLS probes against the library's own server, in memory: bytes are carried to and fro
//! in pieces of any size, and nothing waits for anything.

use super::super::{Action, Event, http};
use super::{Check, Client, Inner, Leaf, Probe, Session, Settings, Told};
use crate::limits::{TLS_BYTES_MAX, TLS_HANDSHAKE_BYTES_MAX};
use crate::outcome::{Cause, Code, Outcome};
use nix::errno::Errno;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, LazyLock};

const ADDRESS: &str = "10.1.2.3:443";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An authority, whose certificate lies in a file, and who issues certificates.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
    let (certificate, key) = issue(&issuer, "client", |_| {});
    std::fs::write(folder.path().join("client.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.path().join("client.key"), key.serialize_pem()).unwrap();
    Authority { issuer, folder }
});

impl Authority {
    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

fn issue(
    issuer: &CertifiedIssuer<'static, KeyPair>,
    name: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap(), key)
}

/// A peer's certificate with its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let (certificate, key) = issue(&AUTHORITY.issuer, name, change);
    (vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

/// How a peer is set up.
struct Peer {
    versions: Vec<&'static SupportedProtocolVersion>,
    identity: Identity,
    /// It demands a certificate of the client.
    demands: bool,
    tickets: bool,
    answer: Vec<u8>,
}

impl Default for Peer {
    fn default() -> Self {
        Self {
            versions: vec![&TLS13],
            identity: identity("web.internal", |_| {}),
            demands: false,
            tickets: true,
            answer: OK.to_vec(),
        }
    }
}

impl Peer {
    fn config(&self) -> Arc<ServerConfig> {
        let provider = Arc::clone(super::client::provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions)
            .unwrap();
        let config = if self.demands {
            let mut roots = RootCertStore::empty();
            roots.add(AUTHORITY.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            config.with_no_client_auth()
        };
        let (chain, key) = (self.identity.0.clone(), self.identity.1.clone_key());
        let mut config = config.with_single_cert(chain, key).unwrap();
        if self.tickets {
            config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        } else {
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        }
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

fn tls(settings: &Settings, host: Option<&str>, inner: Inner) -> Check {
    Check { client: Client::new(settings, host).unwrap(), inner }
}

fn https() -> Inner {
    Inner::Http(http::Check::new("/", None, http::Matcher::default()))
}

/// A probe and its peer, and how bytes go between them.
struct Script<'c> {
    check: &'c Check,
    probe: Probe,
    /// Bytes go in pieces of this size.
    piece: usize,
    /// What the probe sent.
    sent: Vec<u8>,
    sending: bool,
    receiving: bool,
    outcome: Option<Outcome>,
}

impl<'c> Script<'c> {
    fn new(check: &'c Check, piece: usize) -> Self {
        let probe = Probe::default();
        let (sent, outcome) = (Vec::new(), None);
        Self { check, probe, piece, sent, sending: false, receiving: false, outcome }
    }

    fn feed(&mut self, event: Event<'_>) {
        assert_eq!(self.outcome, None, "an event after the end: {event:?}");
        let (send, receive) = match self.probe.handle(self.check, event) {
            Action::Wait => (false, false),
            Action::Exchange => (true, true),
            Action::Send => (true, false),
            Action::Receive => (false, true),
            Action::Finish(outcome) => return self.outcome = Some(outcome),
        };
        if send {
            assert!(!std::mem::replace(&mut self.sending, true), "two sends after {event:?}");
            self.probe.output(self.check, ADDRESS.parse().unwrap(), &mut self.sent);
        }
        if receive {
            assert!(!std::mem::replace(&mut self.receiving, true), "two receives: {event:?}");
        }
    }

    /// The connection stands, and the first bytes are on their way.
    fn connect(&mut self) {
        self.feed(Event::Connected);
        assert!(self.sending && self.receiving && !self.sent.is_empty());
    }

    /// Bytes of the probe have left it, if any are on their way.
    fn sent(&mut self) {
        if self.outcome.is_none() && std::mem::take(&mut self.sending) {
            self.feed(Event::Sent);
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.piece) {
            if self.outcome.is_none() && self.receiving {
                self.receiving = false;
                self.feed(Event::Received(piece));
            }
        }
    }

    fn end(mut self) -> (Outcome, Told) {
        (self.outcome.expect("the probe is over"), self.probe.end())
    }

    /// Carries bytes to and fro until nothing moves.
    fn run(&mut self, server: &mut ServerConnection, answer: &[u8]) {
        loop {
            let sent = std::mem::take(&mut self.sent);
            self.sent();
            let mut rest = &sent[..];
            while !rest.is_empty() && server.read_tls(&mut rest).is_ok_and(|n| n > 0) {
                let _ = server.process_new_packets();
            }
            let mut request = Vec::new();
            let _ = server.reader().read_to_end(&mut request);
            if request.ends_with(b"\r\n\r\n") {
                server.writer().write_all(answer).unwrap();
            }
            let mut out = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut out).unwrap();
            }
            if out.is_empty() && self.sent.is_empty() && !self.sending || self.outcome.is_some() {
                return;
            }
            self.receive(&out);
        }
    }
}

/// A whole probe; what the peer does not end, the timeout does.
fn probe(
    check: &Check,
    peer: &Peer,
    config: &Arc<ServerConfig>,
    session: Option<Box<Session>>,
    piece: usize,
) -> (Outcome, Told, ServerConnection) {
    let mut server = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut script = Script::new(check, piece);
    script.probe.resume(session, None);
    script.connect();
    script.run(&mut server, &peer.answer);
    if script.outcome.is_none() {
        script.feed(Event::Expired);
    }
    let (outcome, told) = script.end();
    (outcome, told, server)
}

fn outcome_of(check: &Check, peer: &Peer, piece: usize) -> Outcome {
    probe(check, peer, &peer.config(), None, piece).0
}

const L6OK: Outcome = Outcome::plain(Code::L6Ok);
const L7OK: Outcome =
    Outcome { code: Code::L7Ok, status: 200, detail: crate::outcome::Detail::None };

const fn l6rsp(cause: Cause) -> Outcome {
    Outcome::cause(Code::L6Rsp, cause)
}

#[test]
fn a_handshake_passes_in_pieces_of_any_size() {
    let bare = tls(&Settings::default(), None, Inner::Handshake);
    let full = tls(&Settings::default(), Some("web.internal"), https());
    for versions in [vec![&TLS13], vec![&TLS12], vec![&TLS12, &TLS13]] {
        let peer = Peer { versions: versions.clone(), ..Peer::default() };
        for piece in [1, 7, 100_000] {
            assert_eq!(outcome_of(&bare, &peer, piece), L6OK, "{versions:?} {piece}");
            assert_eq!(outcome_of(&full, &peer, piece), L7OK, "{versions:?} {piece}");
        }
    }
}
