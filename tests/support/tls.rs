//! Targets that speak TLS, for the simulated network and for real sockets alike: talkers over the
//! library's own server, and a few that only pretend.
//!
//! All keys are Ed25519, whose signatures have one length, so that a simulated run repeats itself
//! although the library takes its random numbers from elsewhere.

use super::health::Health;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_ED25519,
    date_time_ymd,
};
use ringcheck::check::tls::{Client, Pems, Roots, Settings};
use ringcheck::io::sim::{Behaviour, Converse, End, Step, Talker};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// The name that targets are asked for where they are verified.
const NAME: &str = "web.internal";
/// Bytes of each flight that come one by one, where they do.
const DRIPPED: usize = 32;

/// Whose certificate a target shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The right one.
    Known,
    /// One that vouches for itself.
    SelfSigned,
    /// The right one, a quarter of a century ago.
    Expired,
    /// Somebody else's.
    Other,
    /// The right one, with 40 KiB of others behind it.
    LongChain,
    /// The same with 100 KiB, which is more than a handshake may take.
    EndlessChain,
}

/// What becomes of the first flight of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flight {
    /// It is sent.
    Whole,
    /// So much time passes between its first bytes, and of each flight that follows.
    Dripped(Duration),
    /// Its first record is sent, and then this follows.
    Cut(End),
}

/// A target that speaks TLS, and HTTP or gRPC over it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    pub who: Who,
    pub version: &'static SupportedProtocolVersion,
    /// Demands a certificate of the client.
    pub demands: bool,
    pub flight: Flight,
    /// The protocols that it knows.
    pub alpn: &'static [&'static str],
    /// What a request is answered with.
    pub answer: &'static [u8],
    /// So much time later comes what follows that.
    pub patience: Duration,
    /// Whether `close_notify` does.
    pub notifies: bool,
    /// And then this.
    pub end: End,
    /// Where it answers calls: in place of `answer`, `patience` and `end`.
    pub health: Option<Health>,
}

/// Answers as most do, by TLS 1.3.
pub(crate) const SERVER: Server = Server {
    who: Who::Known,
    version: &TLS13,
    demands: false,
    flight: Flight::Whole,
    alpn: &[],
    answer: super::scripts::OK,
    patience: Duration::ZERO,
    notifies: true,
    end: End::Close,
    health: None,
};
/// The same by TLS 1.2.
pub(crate) const OLDER: Server = Server { version: &TLS12, ..SERVER };

type Authority = CertifiedIssuer<'static, KeyPair>;

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "test authority");
    CertifiedIssuer::self_signed(params, key()).unwrap()
});

/// A client that verifies, or one that does not. Made once, as a group's is.
pub(crate) fn client(verify: bool) -> Arc<Client> {
    static CLIENTS: LazyLock<[Arc<Client>; 2]> =
        LazyLock::new(|| [false, true].map(|verify| made(verify, &[])));
    Arc::clone(&CLIENTS[usize::from(verify)])
}

/// One that asks for HTTP/2.
pub(crate) fn grpc_client() -> Arc<Client> {
    static CLIENT: LazyLock<Arc<Client>> = LazyLock::new(|| made(false, &["h2"]));
    Arc::clone(&CLIENT)
}

fn made(verify: bool, alpn: &[&str]) -> Arc<Client> {
    let (server_name, alpn) = (Some(NAME.to_owned()), alpn.iter().map(|&name| name.into()));
    let settings = Settings { verify, server_name, alpn: alpn.collect(), ..Settings::default() };
    let roots = verify.then(|| Roots::Pem(AUTHORITY.pem().into_bytes()));
    Client::new(&settings, None, &Pems { roots, own: None }).unwrap()
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ED25519).unwrap()
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(who: Who) -> Identity {
    const ALL: [Who; 6] =
        [Who::Known, Who::SelfSigned, Who::Expired, Who::Other, Who::LongChain, Who::EndlessChain];
    static IDENTITIES: LazyLock<Vec<Identity>> = LazyLock::new(|| ALL.map(issue).into());
    let place = ALL.iter().position(|&other| other == who).unwrap();
    let (chain, key) = &IDENTITIES[place];
    (chain.clone(), key.clone_key())
}

fn issue(who: Who) -> Identity {
    let name = if who == Who::Other { "other.internal" } else { NAME };
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    if who == Who::Expired {
        (params.not_before, params.not_after) =
            (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
    }
    let (key, authority) = (key(), &*AUTHORITY);
    let leaf = if who == Who::SelfSigned {
        params.self_signed(&key).unwrap()
    } else {
        params.signed_by(&key, authority).unwrap()
    };
    let behind = match who {
        Who::LongChain => 40 * 1_024 / authority.der().len(),
        Who::EndlessChain => 100 * 1_024 / authority.der().len(),
        Who::Known | Who::SelfSigned | Who::Expired | Who::Other => 0,
    };
    let mut chain = vec![leaf.der().clone()];
    chain.resize(1 + behind, authority.der().clone());
    (chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

impl Server {
    /// The target.
    pub(crate) fn behaviour(self) -> Behaviour {
        let config = self.config();
        Behaviour::Converse(Converse::new(move || {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let inside = self.health.map_or_else(
                || Box::new(Answering { server: self, request: Vec::new() }) as Box<dyn Talker>,
                Health::talker,
            );
            Box::new(Talking { server: self, connection, inside, flights: 0 })
        }))
    }

    /// As it is, byte by byte as far as a quarter of `timeout` allows.
    pub(crate) fn dripped(self, timeout: Duration) -> Self {
        Self { flight: Flight::Dripped(timeout / 400), ..self }
    }

    /// The target, whose first flight ends so after its first record.
    pub(crate) fn cut(self, end: End) -> Behaviour {
        Self { flight: Flight::Cut(end), ..self }.behaviour()
    }

    fn config(self) -> Arc<ServerConfig> {
        static PROVIDER: LazyLock<Arc<CryptoProvider>> =
            LazyLock::new(|| aws_lc_rs::default_provider().into());
        let provider = Arc::clone(&PROVIDER);
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[self.version])
            .unwrap();
        let config = if self.demands {
            let mut roots = RootCertStore::empty();
            roots.add(AUTHORITY.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            config.with_no_client_auth()
        };
        let (chain, key) = identity(self.who);
        let mut config = config.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.ticketer = aws_lc_rs::Ticketer::new().unwrap();
        Arc::new(config)
    }
}

/// One connection of a [`Server`].
struct Talking {
    server: Server,
    connection: ServerConnection,
    /// What is said over it.
    inside: Box<dyn Talker>,
    /// How often something was sent.
    flights: usize,
}

impl Talker for Talking {
    fn hear(&mut self, mut bytes: &[u8]) -> (Vec<Step>, End) {
        let mut end = End::Hold;
        while !bytes.is_empty() && end == End::Hold {
            let read = self.connection.read_tls(&mut bytes).unwrap();
            // What is wrong is said by an alert, and then there is nothing more to say.
            if read == 0 || self.connection.process_new_packets().is_err() {
                end = End::Close;
            }
        }
        let mut heard = Vec::new();
        // An error says that nothing more is there, or will be.
        let _ = self.connection.reader().read_to_end(&mut heard);
        let mut steps = Vec::new();
        if !heard.is_empty() {
            let (said, then) = self.inside.hear(&heard);
            let is_last = then != End::Hold;
            let is_said = !said.is_empty();
            for step in said {
                if let Step::Send(bytes) = &step {
                    self.connection.writer().write_all(bytes).unwrap();
                } else {
                    steps.extend(self.flight());
                    steps.push(step);
                }
            }
            if self.server.notifies && (is_said || is_last) {
                self.connection.send_close_notify();
            }
            end = then;
        }
        steps.extend(self.flight());
        match self.server.flight {
            Flight::Cut(end) if self.flights == 1 => (steps, end),
            Flight::Whole | Flight::Dripped(_) | Flight::Cut(_) => (steps, end),
        }
    }
}

impl Talking {
    /// What the connection has to send.
    fn flight(&mut self) -> Vec<Step> {
        let mut flight = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut flight).unwrap();
        }
        if flight.is_empty() {
            return Vec::new();
        }
        self.flights += 1;
        match self.server.flight {
            Flight::Cut(_) if self.flights == 1 => {
                // A record is its type, its version, its length and so many bytes.
                let length = u16::from_be_bytes([flight[3], flight[4]]);
                flight.truncate(5 + usize::from(length));
                vec![Step::Send(flight.into())]
            }
            Flight::Dripped(gap) => {
                let rest = flight.split_off(flight.len().min(DRIPPED));
                let rest = (!rest.is_empty()).then(|| Step::Send(rest.into()));
                let dripped = [Step::Drip(flight.into(), gap)];
                dripped.into_iter().chain(rest).collect()
            }
            Flight::Whole | Flight::Cut(_) => vec![Step::Send(flight.into())],
        }
    }
}

/// Answers requests.
struct Answering {
    server: Server,
    request: Vec<u8>,
}

impl Talker for Answering {
    fn hear(&mut self, bytes: &[u8]) -> (Vec<Step>, End) {
        self.request.extend_from_slice(bytes);
        if !self.request.ends_with(b"\r\n\r\n") {
            return (Vec::new(), End::Hold);
        }
        assert!(self.request.starts_with(b"GET / HTTP/1.1\r\nHost: "), "{:?}", self.request);
        self.request.clear();
        let Server { answer, patience, end, .. } = self.server;
        let pause = (!patience.is_zero()).then_some(Step::Pause(patience));
        ([Step::Send(answer.into())].into_iter().chain(pause).collect(), end)
    }
}

/// Says this to whatever it is told first, and then nothing.
struct Canned(Option<(Arc<[u8]>, End)>);

impl Talker for Canned {
    fn hear(&mut self, _: &[u8]) -> (Vec<Step>, End) {
        let Some((bytes, end)) = self.0.take() else { return (Vec::new(), End::Hold) };
        let steps = if bytes.is_empty() { Vec::new() } else { vec![Step::Send(bytes)] };
        (steps, end)
    }
}

/// A target that answers the first bytes with these, whatever they are.
pub(crate) fn canned(bytes: &[u8], end: End) -> Behaviour {
    let bytes: Arc<[u8]> = bytes.into();
    Behaviour::Converse(Converse::new(move || Box::new(Canned(Some((Arc::clone(&bytes), end))))))
}

/// The alert of one that speaks TLS 1.1 at most.
pub(crate) const TOO_NEW: &[u8] = b"\x15\x03\x01\x00\x02\x02\x46";
/// The alert of one that has no cipher in common.
pub(crate) const FAILURE: &[u8] = b"\x15\x03\x03\x00\x02\x02\x28";
