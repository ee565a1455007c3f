//! TLS servers of our own making, that do what no honest one does: rustls for what must be real,
//! and bytes by hand for the rest. Each listens on a free port; a connection is a thread.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion, crypto, sign};
use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a peer waits for the other side.
const PATIENCE: Duration = Duration::from_secs(20);
/// A complete answer.
pub(crate) const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwell\n";

/// What a peer does with a connection; an error is the end of it.
pub(crate) type Talk = fn(&mut Line) -> io::Result<()>;

/// One peer: its name, and what it does.
pub(crate) type Peer = (&'static str, Talk);

/// What the connections of all peers share.
pub(crate) struct Kit {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn sign::SigningKey>,
}

/// One connection.
pub(crate) struct Line {
    pub socket: Socket,
    pub kit: Arc<Kit>,
}

impl Kit {
    /// With the certificate `web` of this folder.
    pub(crate) fn new(folder: &Path) -> Arc<Self> {
        let chain = CertificateDer::pem_file_iter(folder.join("web.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.join("web.key")).unwrap();
        let key = crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
        Arc::new(Self { chain: chain.map(Result::unwrap).collect(), key })
    }

    /// Its leaf.
    pub(crate) fn leaf(&self) -> &[u8] {
        &self.chain[0]
    }

    /// A server of one version that sends so many tickets and, where one is given, this in place of
    /// its certificate.
    pub(crate) fn server(
        &self,
        version: &'static SupportedProtocolVersion,
        tickets: usize,
        chain: Option<Vec<CertificateDer<'static>>>,
    ) -> ServerConnection {
        let chain = chain.unwrap_or_else(|| self.chain.clone());
        let certified = sign::CertifiedKey::new(chain, Arc::clone(&self.key));
        let resolver = Arc::new(sign::SingleCertAndKey::from(certified));
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(&[version]).unwrap().with_no_client_auth();
        let mut config = builder.with_cert_resolver(resolver);
        config.send_tls13_tickets = tickets;
        ServerConnection::new(Arc::new(config)).unwrap()
    }
}

impl Line {
    /// Reads one whole record: its bytes, head included.
    pub(crate) fn record(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 5];
        self.socket.read_exact(&mut bytes)?;
        bytes.resize(5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]])), 0);
        self.socket.read_exact(&mut bytes[5..])?;
        Ok(bytes)
    }

    /// Reads the ClientHello, and returns the first flight of a server of this version, cut into
    /// records.
    pub(crate) fn flight(
        &mut self,
        version: &'static SupportedProtocolVersion,
    ) -> io::Result<Vec<Vec<u8>>> {
        let mut server = self.kit.server(version, 0, None);
        server.read_tls(&mut &self.record()?[..])?;
        server.process_new_packets().map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes)?;
        }
        let mut records = Vec::new();
        while bytes.len() >= 5 {
            let rest = bytes.split_off(5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]])));
            records.push(std::mem::replace(&mut bytes, rest));
        }
        Ok(records)
    }

    /// A whole handshake by this server.
    pub(crate) fn shake(&mut self, mut server: ServerConnection) -> io::Result<ServerConnection> {
        while server.is_handshaking() {
            server.complete_io(&mut self.socket)?;
        }
        self.flush(&mut server)?;
        Ok(server)
    }

    /// Reads a request, of which the end has come.
    pub(crate) fn request(&mut self, server: &mut ServerConnection) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut bytes = [0; 1_024];
            match server.reader().read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => head.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if server.read_tls(&mut self.socket)? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    server.process_new_packets().map_err(io::Error::other)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends this text over TLS.
    pub(crate) fn say(&mut self, server: &mut ServerConnection, text: &[u8]) -> io::Result<()> {
        for piece in text.chunks(16_384) {
            server.writer().write_all(piece)?;
            self.flush(server)?;
        }
        Ok(())
    }

    /// Sends all that the server has to say.
    pub(crate) fn flush(&mut self, server: &mut ServerConnection) -> io::Result<()> {
        while server.wants_write() {
            server.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    /// Reads until the other side is gone.
    pub(crate) fn hold(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4_096];
        while self.socket.read(&mut bytes)? > 0 {}
        Ok(())
    }

    /// FIN, and then as above, so that no RST takes its place.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)?;
        self.hold()
    }

    /// RST.
    pub(crate) fn reset(&self) -> io::Result<()> {
        self.socket.set_linger(Some(Duration::ZERO))
    }
}

/// A record of this type with the version of all records.
pub(crate) fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    [&[kind, 3, 3], &length.to_be_bytes()[..], payload].concat()
}

/// A socket that listens on a free port of all addresses of loopback.
fn listening() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into()).unwrap();
    socket.bind_device(Some(b"lo")).unwrap();
    socket.listen(1_024).unwrap();
    socket
}

/// Listening peers, on all addresses of loopback; they end when this is dropped, their connections
/// when the other side does.
pub(crate) struct Peers {
    /// By place in the list that was given.
    pub addresses: Vec<(&'static str, SocketAddr)>,
    doors: Vec<(Arc<Socket>, JoinHandle<()>)>,
}

impl Peers {
    pub(crate) fn start(kit: &Arc<Kit>, peers: &[Peer]) -> Self {
        let (mut addresses, mut doors) = (Vec::new(), Vec::new());
        for &(name, talk) in peers {
            let door = Arc::new(listening());
            let port = door.local_addr().unwrap().as_socket().unwrap().port();
            addresses.push((name, SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
            let (kit, own) = (Arc::clone(kit), Arc::clone(&door));
            let accepting = move || {
                while let Ok((socket, _)) = own.accept() {
                    socket.set_tcp_nodelay(true).unwrap();
                    socket.set_read_timeout(Some(PATIENCE)).unwrap();
                    socket.set_write_timeout(Some(PATIENCE)).unwrap();
                    let mut line = Line { socket, kit: Arc::clone(&kit) };
                    // An error says that the other side is gone.
                    std::thread::spawn(move || drop(talk(&mut line)));
                }
            };
            doors.push((door, std::thread::spawn(accepting)));
        }
        Self { addresses, doors }
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        for (door, accepting) in self.doors.drain(..) {
            // Wakes who waits in accept.
            let _ = door.shutdown(Shutdown::Both);
            let _ = accepting.join();
        }
    }
}
