//! Peers that break off, stall, or speak something else, at every stage of a connection.

use crate::peers::{ANSWER, Line, Peer, record};
use nix::poll::{PollTimeout, poll};
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use std::io::{self, Write};

pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const ALERT: u8 = 21;

/// An empty Finished message.
const FINISHED: &[u8] = &[HANDSHAKE, 3, 3, 0, 4, 20, 0, 0, 0];

#[rustfmt::skip]
pub(crate) const ODD: &[Peer] = &[
    ("silent",                    |line| line.hold()),
    ("FIN at once",               |line| line.end()),
    ("RST at once",               |line| line.reset()),
    ("FIN after ClientHello",     |line| { line.record()?; line.end() }),
    ("RST after ClientHello",     |line| { line.record()?; line.reset() }),
    ("silent after ClientHello",  |line| { line.record()?; line.hold() }),
    ("part of a record",          |line| { say_part(line)?; line.hold() }),
    ("FIN in a record",           |line| { say_part(line)?; line.end() }),
    ("silent after ServerHello",  |line| { say_hello(line)?; line.hold() }),
    ("FIN after ServerHello",     |line| { say_hello(line)?; line.end() }),
    ("RST after ServerHello",     |line| { say_hello(line)?; line.reset() }),
    ("silent after ServerHello 1.2", |line| { say_hello_12(line)?; line.hold() }),
    ("FIN after ServerHello 1.2", |line| { say_hello_12(line)?; line.end() }),
    ("RST after ServerHello 1.2", |line| { say_hello_12(line)?; line.reset() }),
    ("drip",                      drip),
    ("SSH",                       |line| says(line, b"SSH-2.0-OpenSSH_9.2\r\n")),
    ("SMTP",                      |line| says(line, b"220 mail.test ESMTP\r\n")),
    ("HTTP",                      |line| { line.record()?; says(line, ANSWER) }),
    ("binary",                    |line| says(line, &[0xff; 64])),
    ("zeros",                     |line| says(line, &[0; 64])),
    ("alert",                     |line| { line.record()?; says(line, &record(ALERT, &[2, 80])) }),
    ("alert: name",               |line| { line.record()?; says(line, &record(ALERT, &[2, 112])) }),
    ("alert of no meaning",       |line| { line.record()?; says(line, &record(ALERT, &[2, 199])) }),
    ("close_notify at once",      |line| { line.record()?; says(line, &record(ALERT, &[1, 0])) }),
    ("its own ClientHello",       |line| { let hello = line.record()?; says(line, &hello) }),
    ("Finished at once",          |line| { line.record()?; says(line, FINISHED) }),
    ("wrong ServerHello",         wrong_hello),
    ("certificate of rubbish",    |line| serve_as(line, vec![b"not a certificate".to_vec()])),
    ("certificate cut off",       |line| { let cut = cut_certificate(line); serve_as(line, cut) }),
    ("certificate of 60 KB",      |line| serve_as(line, vec![vec![0x30; 60_000]])),
    ("no close_notify",           |line| serve(line, ANSWER, End::Fin)),
    ("close_notify",              |line| serve(line, ANSWER, End::Notify)),
    ("RST after the answer",      |line| serve(line, ANSWER, End::Rst)),
    ("503",                       |line| serve(line, b"HTTP/1.1 503 Busy\r\n\r\n", End::Notify)),
    ("rubbish over TLS",          |line| serve(line, b"220 mail.test\r\n", End::Notify)),
    ("half a head",               |line| serve(line, b"HTTP/1.1 200 OK\r\nA: ", End::Notify)),
    ("half a head, no close_notify", |line| serve(line, b"HTTP/1.1 200 OK\r\nA: ", End::Fin)),
    ("no answer, close_notify",   |line| serve(line, b"", End::Notify)),
    ("no answer, FIN",            |line| serve(line, b"", End::Fin)),
    ("no answer, RST",            |line| serve(line, b"", End::Rst)),
    ("no answer",                 |line| serve(line, b"", End::Hold)),
    ("half a head, then silence", |line| serve(line, b"HTTP/1.1 200 OK\r\nA: ", End::Hold)),
    ("close_notify, no request", |line| after_handshake(line, End::Notify)),
    ("FIN, no request",   |line| after_handshake(line, End::Fin)),
    ("answers before it is asked", |line| {
        let server = line.kit.server(&TLS13, 2, None);
        let mut server = line.shake(server)?;
        line.say(&mut server, ANSWER)?;
        line.hold()
    }),
    ("KeyUpdate before the answer", |line| {
        let server = line.kit.server(&TLS13, 2, None);
        let mut server = line.shake(server)?;
        line.request(&mut server)?;
        server.refresh_traffic_keys().map_err(io::Error::other)?;
        line.say(&mut server, ANSWER)?;
        line.hold()
    }),
    ("plain text after handshake", |line| {
        let server = line.kit.server(&TLS13, 2, None);
        line.shake(server)?;
        says(line, ANSWER)
    }),
    ("wrong MAC",                 |line| {
        let server = line.kit.server(&TLS13, 0, None);
        line.shake(server)?;
        says(line, &record(23, &[7; 100]))
    }),
    ("wrong MAC, 1.2",            |line| {
        let server = line.kit.server(&TLS12, 0, None);
        line.shake(server)?;
        says(line, &record(23, &[7; 100]))
    }),
    ("no close_notify, 1.2",      |line| {
        let server = line.kit.server(&TLS12, 0, None);
        let mut server = line.shake(server)?;
        line.request(&mut server)?;
        line.say(&mut server, ANSWER)?;
        line.end()
    }),
];

/// How a peer ends what it has said.
enum End {
    Hold,
    /// close_notify and FIN.
    Notify,
    Fin,
    Rst,
}

fn says(line: &mut Line, bytes: &[u8]) -> io::Result<()> {
    line.socket.write_all(bytes)?;
    line.end()
}

fn say_part(line: &mut Line) -> io::Result<()> {
    let records = line.flight(&TLS13)?;
    line.socket.write_all(&records[0][..20])
}

/// The first record, which is the ServerHello.
fn say_hello(line: &mut Line) -> io::Result<()> {
    let records = line.flight(&TLS13)?;
    line.socket.write_all(&records[0])
}

/// The ServerHello alone.
pub(crate) fn say_hello_12(line: &mut Line) -> io::Result<()> {
    let records = line.flight(&TLS12)?;
    // The length of the message in the record's handshake head.
    let length = usize::from(u16::from_be_bytes([records[0][7], records[0][8]]));
    line.socket.write_all(&record(HANDSHAKE, &records[0][5..9 + length]))
}

/// A flight that is good, a byte every 20 ms: 1,000 bytes take much longer than the timeout.
fn drip(line: &mut Line) -> io::Result<()> {
    for byte in line.flight(&TLS13)?.concat() {
        line.socket.write_all(&[byte])?;
        let _ = poll(&mut [], PollTimeout::from(20_u16));
    }
    line.hold()
}

/// A ServerHello with a cipher suite that nobody has offered.
fn wrong_hello(line: &mut Line) -> io::Result<()> {
    line.record()?;
    let mut hello = vec![2, 0, 0, 38, 3, 3];
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0x12, 0x34, 0]);
    says(line, &record(HANDSHAKE, &hello))
}

/// The certificate without its last byte.
fn cut_certificate(line: &Line) -> Vec<Vec<u8>> {
    let mut whole = line.kit.leaf().to_vec();
    whole.pop();
    vec![whole]
}

/// A server with these bytes for a certificate.
fn serve_as(line: &mut Line, chain: Vec<Vec<u8>>) -> io::Result<()> {
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    let server = line.kit.server(&TLS13, 2, Some(chain));
    let mut server = line.shake(server)?;
    line.request(&mut server)?;
    line.say(&mut server, ANSWER)?;
    line.hold()
}

/// Answers a request with `text`.
fn serve(line: &mut Line, text: &[u8], end: End) -> io::Result<()> {
    let server = line.kit.server(&TLS13, 2, None);
    let mut server = line.shake(server)?;
    line.request(&mut server)?;
    line.say(&mut server, text)?;
    finish(line, &mut server, end)
}

fn after_handshake(line: &mut Line, end: End) -> io::Result<()> {
    let server = line.kit.server(&TLS13, 0, None);
    let mut server = line.shake(server)?;
    finish(line, &mut server, end)
}

fn finish(line: &mut Line, server: &mut rustls::ServerConnection, end: End) -> io::Result<()> {
    match end {
        End::Hold => line.hold(),
        End::Notify => {
            server.send_close_notify();
            line.flush(server)?;
            line.end()
        }
        End::Fin => line.end(),
        End::Rst => line.reset(),
    }
}
