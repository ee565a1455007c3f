//! Scripts of TLS probes against the library's own server, in memory: bytes are carried to and fro
//! in pieces of any size, and nothing waits for anything.

mod alerts;
mod bounds;
mod certificates;
mod files;
mod kept;

use super::super::{Action, Event, http};
use super::{Check, Client, Inner, Pems, Probe, Roots, Session, Settings, Told};
use crate::outcome::{Cause, Code, Outcome};
use nix::errno::Errno;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::io::{Read as _, Write as _};
use std::sync::{Arc, LazyLock};

const ADDRESS: &str = "10.1.2.3:443";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An authority that issues certificates, and one that it issued to us.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// The content of the files: certificate and key.
    own: (Vec<u8>, Vec<u8>),
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let (certificate, key) = issue(&issuer, "client", |_| {});
    let own = (certificate.pem().into_bytes(), key.serialize_pem().into_bytes());
    Authority { issuer, own }
});

impl Authority {
    /// What is in the files that `settings` name, if there were any.
    fn pems(&self, settings: &Settings) -> Pems {
        let roots = settings.verify.then(|| Roots::Pem(self.issuer.pem().into_bytes()));
        let own = settings.client_cert.as_ref().map(|_| self.own.clone());
        Pems { roots, own }
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
        let (chain, key) = (self.identity.0.clone(), &self.identity.1);
        let key = super::client::provider().key_provider.load_private_key(key.clone_key());
        // Not asked whether they go together: some must not.
        let pair = rustls::sign::CertifiedKey::new(chain, key.unwrap());
        let mut config = config.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
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
    Check { client: Client::new(settings, host, &AUTHORITY.pems(settings)).unwrap(), inner }
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

/// A session as a target gives it, for tests of who keeps sessions.
pub(crate) fn session() -> Box<Session> {
    let check = tls(&Settings::default(), None, https());
    let peer = Peer::default();
    probe(&check, &peer, &peer.config(), None, 1_000).1.session.unwrap()
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

/// Both sorts of checks with these settings.
fn both(settings: &Settings) -> [(Check, Outcome); 2] {
    let host = Some("web.internal");
    [(tls(settings, host, Inner::Handshake), L6OK), (tls(settings, host, https()), L7OK)]
}

fn verifying() -> Settings {
    Settings { verify: true, ca_file: Some("ca.pem".into()), ..Settings::default() }
}

#[test]
fn who_demands_a_certificate_gets_ours_or_refuses() {
    let ours = Settings {
        client_cert: Some("client.pem".into()),
        client_key: Some("client.key".into()),
        ..Settings::default()
    };
    for version in [&TLS12, &TLS13] {
        for tickets in [true, false] {
            let versions = vec![version];
            let peer = Peer { versions, demands: true, tickets, ..Peer::default() };
            for (check, passed) in both(&ours) {
                assert_eq!(outcome_of(&check, &peer, 100), passed, "{version:?} {tickets}");
            }
            for (check, _) in both(&Settings::default()) {
                let expected = l6rsp(Cause::AlertCertificateRequired);
                assert_eq!(outcome_of(&check, &peer, 100), expected, "{version:?} {tickets}");
            }
        }
    }
}

#[test]
fn silence_after_a_demand_is_a_pass_and_an_end_is_not() {
    let check = tls(&Settings::default(), None, Inner::Handshake);
    let reset = Event::ReceiveFailed(Errno::ECONNRESET);
    for (event, farewell, expected) in [
        (Event::Expired, false, L6OK),
        (Event::Expired, true, l6rsp(Cause::TlsClosed)),
        (Event::Closed, false, l6rsp(Cause::TlsClosed)),
        (reset, false, Outcome::errno(Code::L6Rsp, Errno::ECONNRESET)),
    ] {
        let config = Peer { demands: true, ..Peer::default() }.config();
        let mut server = ServerConnection::new(config).unwrap();
        let mut script = Script::new(&check, 1_000);
        script.connect();
        server.read_tls(&mut &script.sent[..]).unwrap();
        server.process_new_packets().unwrap();
        let mut flight = Vec::new();
        server.write_tls(&mut flight).unwrap();
        script.sent();
        script.receive(&flight);
        assert!(script.probe.is_secured() && script.outcome.is_none());
        script.sent();
        if farewell {
            let mut bytes = Vec::new();
            server.send_close_notify();
            server.write_tls(&mut bytes).unwrap();
            script.receive(&bytes);
        } else {
            script.feed(event);
        }
        assert_eq!(script.outcome, Some(expected), "{event:?} {farewell}");
    }
}

/// A hello has gone out and `bytes` come back, in pieces, and then `end`.
fn answered(bytes: &[u8], piece: usize, end: Event<'_>) -> Outcome {
    let check = tls(&Settings::default(), None, https());
    let mut script = Script::new(&check, piece);
    script.connect();
    script.sent();
    script.receive(bytes);
    if script.outcome.is_none() {
        script.feed(end);
    }
    script.end().0
}

#[test]
fn what_is_no_handshake_is_said_in_words() {
    let alert = |alert| [0x15, 3, 3, 0, 2, 2, alert];
    // A ServerHello by which TLS 1.1 was chosen.
    let mut old = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    old.extend([7; 32]);
    old.extend([0, 0xC0, 0x09, 0]);
    for piece in [1, 1_000] {
        let found = |bytes: &[u8]| answered(bytes, piece, Event::Expired);
        assert_eq!(found(b"HTTP/1.1 400 Bad Request\r\n"), l6rsp(Cause::NotTls));
        assert_eq!(found(b"SSH-2.0-OpenSSH_9.6\r\n"), l6rsp(Cause::NotTls));
        assert_eq!(found(&alert(70)), l6rsp(Cause::AlertProtocolVersion));
        assert_eq!(found(&alert(40)), l6rsp(Cause::AlertHandshakeFailure));
        assert_eq!(found(&alert(112)), l6rsp(Cause::AlertUnrecognizedName));
        assert_eq!(found(&alert(0)), l6rsp(Cause::TlsClosed));
        assert_eq!(found(&alert(201)), l6rsp(Cause::AlertOther));
        assert_eq!(found(&old), l6rsp(Cause::TlsTooOld));
        assert_eq!(found(b"\x16\x03\x03\0\x04\x02\0\0\0"), l6rsp(Cause::TlsMalformed));
        assert_eq!(found(b"\x17\x03\x03\0\x04\x02\0\0\0"), l6rsp(Cause::TlsMisbehaved));
        assert_eq!(found(b"\x16\x03\x03\xff\xff"), Outcome::plain(Code::L6Tout));
    }
    let reset = Event::ReceiveFailed(Errno::ECONNRESET);
    assert_eq!(answered(b"", 1, Event::Closed), l6rsp(Cause::TlsClosed));
    assert_eq!(answered(b"\x16\x03", 1, reset), Outcome::errno(Code::L6Rsp, Errno::ECONNRESET));
    assert_eq!(answered(b"\x16\x03", 1, Event::Expired), Outcome::plain(Code::L6Tout));
    let fault = Event::ReceiveFailed(Errno::ENOBUFS);
    assert_eq!(answered(b"", 1, fault), Outcome::errno(Code::SockErr, Errno::ENOBUFS));
}

#[test]
fn before_the_connection_the_codes_are_those_of_a_connection() {
    let check = tls(&Settings::default(), None, Inner::Handshake);
    let refused = Errno::ECONNREFUSED;
    for (event, expected) in [
        (Event::ConnectFailed(refused), Outcome::errno(Code::L4Con, refused)),
        (Event::Expired, Outcome::plain(Code::L4Tout)),
    ] {
        let mut script = Script::new(&check, 1);
        script.feed(event);
        assert_eq!(script.outcome, Some(expected));
        assert!(script.end().1.terms.is_none());
    }
}

#[test]
fn an_answer_may_end_without_a_farewell() {
    let check = tls(&Settings::default(), None, https());
    for (answer, expected) in [
        (OK, L7OK),
        (&b""[..], Outcome::cause(Code::L7Cut, Cause::Closed)),
        (b"HTTP/1.1 200", Outcome::cause(Code::L7Cut, Cause::Closed)),
        (b"rubbish", Outcome::cause(Code::L7Rsp, Cause::NotHttp)),
    ] {
        for farewell in [true, false] {
            let mut server = ServerConnection::new(Peer::default().config()).unwrap();
            let mut script = Script::new(&check, 100);
            script.connect();
            script.run(&mut server, answer);
            if script.outcome.is_none() && farewell {
                server.send_close_notify();
                script.run(&mut server, b"");
            }
            if script.outcome.is_none() {
                assert!(!farewell);
                script.feed(Event::Closed);
            }
            assert_eq!(script.outcome, Some(expected), "{farewell}");
        }
    }
}

#[test]
fn sessions_are_resumed_and_forgotten_by_targets_without_harm() {
    let host = Some("web.internal");
    for (version, inner) in [
        (&TLS12, Inner::Handshake),
        (&TLS12, https()),
        // A mere handshake does not wait for the tickets that come after it.
        (&TLS13, https()),
    ] {
        let check = tls(&verifying(), host, inner);
        let peer = Peer { versions: vec![version], ..Peer::default() };
        let config = peer.config();
        let mut session = None;
        for round in 0..4 {
            let (found, told, server) = probe(&check, &peer, &config, session.take(), 1_000);
            assert!(matches!(found.code, Code::L6Ok | Code::L7Ok), "{found:?}");
            let resumed = server.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
            assert_eq!(resumed, round > 0, "{version:?}");
            assert_eq!(told.leaf.is_some(), round == 0);
            session = told.session;
            let bytes = session.as_ref().map_or(0, |session| session.bytes());
            let chain = peer.identity.0[0].len();
            assert!((chain + 256..chain + 1_024).contains(&bytes), "{bytes} with {chain}");
        }
        // Another server knows nothing of it.
        let (found, told, _) = probe(&check, &peer, &peer.config(), session, 1_000);
        assert!(matches!(found.code, Code::L6Ok | Code::L7Ok) && told.leaf.is_some());
        let never = Settings { full_handshake_every: 1, ..verifying() };
        let check = tls(&never, host, check.inner.clone());
        assert!(probe(&check, &peer, &config, None, 1_000).1.session.is_none());
    }
}

#[test]
fn a_request_for_renegotiation_that_is_not_encrypted_is_refused() {
    // The library's server never asks for it as one may.
    let check = tls(&Settings::default(), None, https());
    let peer = Peer { versions: vec![&TLS12], ..Peer::default() };
    let mut server = ServerConnection::new(peer.config()).unwrap();
    let mut script = Script::new(&check, 1_000);
    script.connect();
    script.run(&mut server, b"");
    assert!(script.probe.is_secured());
    script.receive(b"\x16\x03\x03\0\x04\0\0\0\0");
    let found = script.outcome.unwrap();
    assert_eq!(found, Outcome::cause(Code::L7Rsp, Cause::TlsUnreadable));
}
