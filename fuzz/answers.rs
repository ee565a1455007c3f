//! What must hold of every check, whatever bytes a target answers: it ends, it asks for one send
//! and one receive at a time, it says little, the end of the stream is its end, a byte stream has
//! one outcome however it is cut, and nothing that a target says is the checker's fault.
//!
//! The fuzzer feeds these functions, and so does a property test that runs with all others.

#![allow(dead_code, reason = "each fuzz target calls one of them")]

use rcgen::{CertificateParams, KeyPair};
use ringcheck::check::http::{self, BodyMatch, Matcher, Request};
use ringcheck::check::tls::{self, Client, Inner, Leaf, Pems, Settings};
use ringcheck::check::{Action, Check, Event, Probe, grpc, udp};
use ringcheck::limits::{TLS_NAME_BYTES_MAX, TLS_NAMES_MAX};
use ringcheck::outcome::{Class, Code, Outcome};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, crypto};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// All that a check says in one run, at most.
const SAID_MAX: usize = 64 * 1_024;
const ADDRESS: &str = "10.1.2.3:443";

/// A probe with a backend around it, as far as there is a contract between them.
struct Run<'a> {
    check: &'a Check,
    probe: Probe,
    said: Vec<u8>,
    sending: bool,
    receiving: bool,
}

impl<'a> Run<'a> {
    fn new(check: &'a Check) -> Self {
        let mut probe = Probe::default();
        probe.restart(check);
        let mut run = Self { check, probe, said: Vec::new(), sending: false, receiving: false };
        assert_eq!(run.feed(Event::Connected), None, "a connection is no outcome here");
        run
    }

    fn feed(&mut self, event: Event<'_>) -> Option<Outcome> {
        let action = self.probe.handle(self.check, event);
        let (send, receive) = match action {
            Action::Finish(outcome) => {
                assert_ne!(outcome.class(), Class::LocalFault, "{outcome:?}");
                return Some(outcome);
            }
            Action::Wait => (false, false),
            Action::Send => (true, false),
            Action::Receive => (false, true),
            Action::Exchange => (true, true),
        };
        let twice = send && self.sending || receive && self.receiving;
        assert!(!twice, "{action:?} while that is in flight");
        (self.sending, self.receiving) = (self.sending || send, self.receiving || receive);
        assert!(self.sending || self.receiving, "nothing will come");
        if send {
            self.probe.output(self.check, ADDRESS.parse::<SocketAddr>().unwrap(), &mut self.said);
            assert!(self.said.len() <= SAID_MAX, "{} bytes said", self.said.len());
        }
        None
    }

    /// What was to be sent is sent.
    fn sent(&mut self) -> Option<Outcome> {
        while std::mem::take(&mut self.sending) {
            let outcome = self.feed(Event::Sent);
            if outcome.is_some() {
                return outcome;
            }
        }
        None
    }

    /// The target says this.
    fn hear(&mut self, bytes: &[u8]) -> Option<Outcome> {
        assert!(self.receiving, "nobody listens any more");
        self.receiving = false;
        let outcome = self.feed(Event::Received(bytes));
        outcome.or_else(|| self.sent())
    }

    /// The target says no more.
    fn end(mut self) -> Outcome {
        self.receiving = false;
        self.feed(Event::Closed).expect("the end of the stream is an end")
    }
}

/// What comes of a target that sends `bytes` in pieces and closes.
fn outcome<'a>(check: &Check, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut run = Run::new(check);
    let mut over = run.sent();
    for piece in pieces {
        if over.is_some() {
            break;
        }
        over = run.hear(piece);
    }
    over.unwrap_or_else(|| run.end())
}

/// The outcome of a byte stream, which is the same in one piece, in bytes, and in pieces of `size`.
fn one_outcome(check: &Check, bytes: &[u8], size: usize) -> Outcome {
    let whole = outcome(check, Some(bytes).filter(|bytes| !bytes.is_empty()).into_iter());
    assert_eq!(outcome(check, bytes.chunks(1)), whole, "byte by byte");
    assert_eq!(outcome(check, bytes.chunks(size)), whole, "in pieces of {size}");
    whole
}

/// An answer to HTTP checks that look at the head alone, at the body too, and at its end.
pub(crate) fn http(bytes: &[u8]) {
    static CHECKS: LazyLock<[Check; 4]> = LazyLock::new(|| {
        let get = Request::get("/");
        let asking = || http::Check::asking(&get, Matcher::default());
        let text = BodyMatch::contains("well").unwrap();
        let regex = BodyMatch::regex("w[el]+$").unwrap();
        [
            Check::Http(asking()),
            Check::Http(asking().matching(text)),
            Check::Http(asking().matching(regex)),
            Check::Http(http::Check::reusing(&get, Matcher::default())),
        ]
    });
    let Some((&first, bytes)) = bytes.split_first() else { return };
    for check in &*CHECKS {
        let code = one_outcome(check, bytes, usize::from(first) + 1).code;
        assert!(matches!(code, Code::L7Ok | Code::L7Sts | Code::L7Rsp | Code::L7Cut), "{code:?}");
    }
}

/// An answer to a gRPC check. In which words a connection is refused that speaks no HTTP/2 may
/// depend on how its bytes come; the code does not.
pub(crate) fn grpc(bytes: &[u8]) {
    static CHECK: LazyLock<Check> =
        LazyLock::new(|| Check::Grpc(grpc::Check::new("", None, Duration::from_secs(1)).unwrap()));
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let come = |size| outcome(&CHECK, bytes.chunks(size)).code;
    let whole = come(bytes.len().max(1));
    assert_eq!((come(1), come(usize::from(first) + 1)), (whole, whole));
    assert!(matches!(whole, Code::L7Ok | Code::L7Sts | Code::L7Rsp | Code::L7Cut), "{whole:?}");
}

/// A datagram.
pub(crate) fn datagram(bytes: &[u8]) {
    let check = |expect: Option<&[u8]>| {
        Check::Udp(udp::Check { send: (*b"ping").into(), expect: expect.map(Into::into) })
    };
    let answered =
        |check: &Check| outcome(check, Some(bytes).filter(|b| !b.is_empty()).into_iter());
    assert_eq!(answered(&check(None)).code, Code::L4Ok);
    let (part, _) = bytes.split_at(bytes.len() / 2);
    assert_eq!(answered(&check(Some(part))).code, Code::L7Ok);
    let longer = [bytes, b"x"].concat();
    assert_eq!(answered(&check(Some(&longer))).code, Code::L7Rsp);
}

/// A certificate in DER.
pub(crate) fn leaf(bytes: &[u8]) {
    let Some(leaf) = Leaf::parse(bytes) else { return };
    assert!(leaf.names.len() <= TLS_NAMES_MAX);
    for text in leaf.names.iter().chain([&leaf.subject, &leaf.issuer]) {
        assert!(text.len() <= TLS_NAME_BYTES_MAX, "{text:?}");
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}

static TLS_CHECKS: LazyLock<[Check; 2]> = LazyLock::new(|| {
    let inner = http::Check::new("/", None, Matcher::default());
    [Inner::Http(inner), Inner::Handshake].map(|inner| {
        let client = Client::new(&Settings::default(), None, &Pems::default()).unwrap();
        Check::Tls(Arc::new(tls::Check { client, inner }))
    })
});

/// A target that says this in place of TLS: no handshake comes of it.
pub(crate) fn tls(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    for check in &*TLS_CHECKS {
        // Hellos are random, but nothing that was made before can be an answer to one.
        let outcome = one_outcome(check, bytes, usize::from(first) + 1);
        assert_eq!(outcome.code, Code::L6Rsp, "{outcome:?}");
    }
}

/// A server of each version, with a certificate of its own.
static SERVERS: LazyLock<[Arc<ServerConfig>; 2]> = LazyLock::new(|| {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["web.test".to_owned()]).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![params.self_signed(&key).unwrap().into()];
    [&TLS12, &TLS13].map(|version| {
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(&[version]).unwrap().with_no_client_auth();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Arc::new(builder.with_single_cert(chain.clone(), key).unwrap())
    })
});

/// A real server of which something is different, at any byte of the stream that it sends: two
/// bytes for the place, one for version, check and kind of change, the rest takes the place of as
/// many bytes, is put in, or is all that still comes.
pub(crate) fn tls_changed(bytes: &[u8]) {
    let [high, low, how, change @ ..] = bytes else { return };
    let place = usize::from(u16::from_be_bytes([*high, *low])) % 4_096;
    let check = &TLS_CHECKS[usize::from(how >> 1 & 1)];
    let mut server = ServerConnection::new(Arc::clone(&SERVERS[usize::from(how & 1)])).unwrap();
    let mut run = Run::new(check);
    let (mut heard, mut said, mut over) = (0, 0, run.sent());
    while over.is_none() {
        let mut stream = Vec::new();
        serve(&mut server, &run.said[said..], &mut stream);
        said = run.said.len();
        if stream.is_empty() {
            break;
        }
        let at = place.checked_sub(heard).filter(|&at| at < stream.len());
        heard += stream.len();
        if let Some(at) = at {
            let end = match how >> 2 & 3 {
                0 | 1 => (at + change.len()).min(stream.len()),
                2 => at,
                _ => stream.len(),
            };
            stream.splice(at..end, change.iter().copied());
        }
        for piece in stream.chunks(usize::from(how >> 4) * 97 + 1) {
            over = run.hear(piece);
            if over.is_some() {
                break;
            }
        }
    }
    let outcome = over.unwrap_or_else(|| run.end());
    let expected = [Code::L6Rsp, Code::L6Ok, Code::L7Ok, Code::L7Rsp, Code::L7Cut];
    assert!(expected.contains(&outcome.code), "{outcome:?}");
    assert!(
        !change.is_empty() || outcome.class() == Class::Pass || how >> 2 & 3 == 3,
        "{outcome:?}"
    );
}

/// What the server says to `said`, as long as it understands.
fn serve(server: &mut ServerConnection, mut said: &[u8], stream: &mut Vec<u8>) {
    while !said.is_empty() && server.read_tls(&mut said).is_ok_and(|count| count > 0) {
        if server.process_new_packets().is_err() {
            break;
        }
        let mut request = [0; 1_024];
        if server.reader().read(&mut request).is_ok_and(|count| count > 0) {
            server.writer().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    }
    while server.wants_write() {
        server.write_tls(stream).unwrap();
    }
}
