//! Peers that would fill our memory or never let us go, by the dozen: each comes to its code in
//! time, and what all of them together cost in memory is bounded.

use crate::certificates;
use crate::odd::{ALERT, HANDSHAKE, say_hello_12};
use crate::peers::{ANSWER, Kit, Line, Peer, Peers, Talk, record};
use crate::support::daemon::{Daemon, Files, driven};
use crate::support::wait_for;
use nix::poll::{PollTimeout, poll};
use ringcheck::io::Backend;
use rustls::pki_types::CertificateDer;
use rustls::version::TLS13;
use std::io::{self, Write};
use std::time::Duration;

const CHANGE_CIPHER_SPEC: u8 = 20;
const DATA: u8 = 23;

/// What each does, and what it comes to.
#[rustfmt::skip]
const HOSTILE: &[(&str, Talk, &str)] = &[
    ("handshake fragments without end",  large_fragments,             "L6RSP"),
    ("fragments of one byte",            small_fragments,             "L6RSP"),
    ("a record of 64 KiB",               large_record,                "L6RSP"),
    ("warnings without end",             |line| of(line, ALERT, &[1, 90]), "L6RSP"),
    ("empty handshake records",          |line| of(line, HANDSHAKE, &[]), "L6RSP"),
    ("empty data records",               |line| of(line, DATA, &[]),  "L6RSP"),
    ("ChangeCipherSpec without end",     |line| of(line, CHANGE_CIPHER_SPEC, &[1]), "L6RSP"),
    ("zeros without end",                |line| flood(line, &[], &[0; 4_096]), "L6RSP"),
    ("a byte every 100 ms",              drip,                        "L6TOUT"),
    ("1.2: a certificate of 16 MiB",     large_certificate_12,        "L6RSP"),
    ("1.2: HelloRequests without end",   hello_requests,              "L6RSP"),
    ("1.3: a certificate of 4 MiB",      large_certificate,           "L6RSP"),
    ("1.3: 2,000 tickets",               tickets,                     "L6RSP"),
    ("1.3: KeyUpdates without end",      key_updates,                 "L7RSP"),
    ("1.3: warnings after the handshake", after_handshake,            "L7RSP"),
    ("a head without end",               |line| endless(line, b"", b"A: b\r\n"), "L7RSP"),
    ("a header without end",             |line| endless(line, b"A: ", b"x"), "L7RSP"),
    ("a body without end",               |line| endless(line, b"\r\n", b"x"), "L7OK"),
    ("a byte of a head every 100 ms",    dripped_head,                "L7TOUT"),
];

/// Targets of each.
const EACH: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(4);
/// What a deadline may be late on a machine that floods us at the same time.
const SLACK: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(90);
/// What all connections in flight may cost: 152 of them, some 200 KiB each, which is more than
/// three messages of the largest size.
const GROWN_KIB_MAX: u64 = 32 * 1_024;

/// The head of a handshake message of 16 MiB, in a record.
fn announced(kind: u8) -> Vec<u8> {
    record(HANDSHAKE, &[kind, 255, 255, 255])
}

fn fragment(bytes: usize) -> Vec<u8> {
    record(HANDSHAKE, &vec![7; bytes])
}

/// `first`, and then `more` for as long as it is taken, in pieces that make it no matter of calls.
fn flood(line: &mut Line, first: &[u8], more: &[u8]) -> io::Result<()> {
    line.record()?;
    line.socket.write_all(first)?;
    flood_on(line, more)
}

fn flood_on(line: &mut Line, more: &[u8]) -> io::Result<()> {
    let more = more.repeat(16_384_usize.div_ceil(more.len()));
    loop {
        line.socket.write_all(&more)?;
    }
}

/// Records of this sort without end.
fn of(line: &mut Line, kind: u8, payload: &[u8]) -> io::Result<()> {
    flood(line, &[], &record(kind, payload))
}

fn large_fragments(line: &mut Line) -> io::Result<()> {
    flood(line, &announced(2), &fragment(16_384))
}

fn small_fragments(line: &mut Line) -> io::Result<()> {
    // As long a message as one may be: it is put together, piece by piece.
    flood(line, &record(HANDSHAKE, &[2, 0, 255, 255]), &fragment(1))
}

fn large_record(line: &mut Line) -> io::Result<()> {
    flood(line, &[HANDSHAKE, 3, 3, 255, 255], &[1; 4_096])
}

fn hello_requests(line: &mut Line) -> io::Result<()> {
    say_hello_12(line)?;
    flood_on(line, &record(HANDSHAKE, &[0, 0, 0, 0]))
}

fn drip(line: &mut Line) -> io::Result<()> {
    for byte in line.flight(&TLS13)?.concat() {
        line.socket.write_all(&[byte])?;
        pause();
    }
    line.hold()
}

fn pause() {
    let _ = poll(&mut [], PollTimeout::from(100_u16));
}

fn large_certificate_12(line: &mut Line) -> io::Result<()> {
    say_hello_12(line)?;
    line.socket.write_all(&announced(11))?;
    flood_on(line, &fragment(16_384))
}

fn large_certificate(line: &mut Line) -> io::Result<()> {
    let chain = vec![CertificateDer::from(vec![0x30; 4 << 20])];
    let server = line.kit.server(&TLS13, 0, Some(chain));
    line.shake(server)?;
    line.hold()
}

fn tickets(line: &mut Line) -> io::Result<()> {
    let server = line.kit.server(&TLS13, 2_000, None);
    let mut server = line.shake(server)?;
    line.request(&mut server)?;
    line.say(&mut server, ANSWER)?;
    line.hold()
}

fn key_updates(line: &mut Line) -> io::Result<()> {
    let server = line.kit.server(&TLS13, 0, None);
    let mut server = line.shake(server)?;
    loop {
        server.refresh_traffic_keys().map_err(io::Error::other)?;
        line.flush(&mut server)?;
    }
}

/// Plain alerts where everything is to be encrypted.
fn after_handshake(line: &mut Line) -> io::Result<()> {
    let server = line.kit.server(&TLS13, 0, None);
    line.shake(server)?;
    flood_on(line, &record(ALERT, &[1, 90]))
}

/// A status line, `first`, and `more` without end.
fn endless(line: &mut Line, first: &[u8], more: &[u8]) -> io::Result<()> {
    let server = line.kit.server(&TLS13, 2, None);
    let mut server = line.shake(server)?;
    line.request(&mut server)?;
    line.say(&mut server, &[b"HTTP/1.1 200 OK\r\n", first].concat())?;
    let more = more.repeat(1_024);
    loop {
        line.say(&mut server, &more)?;
    }
}

fn dripped_head(line: &mut Line) -> io::Result<()> {
    let server = line.kit.server(&TLS13, 2, None);
    let mut server = line.shake(server)?;
    line.request(&mut server)?;
    for byte in b"HTTP/1.1 200 OK\r\nA: ".iter().chain([b'x'].iter().cycle()) {
        line.say(&mut server, &[*byte])?;
        pause();
    }
    Ok(())
}

fn config(on: Backend, peers: &Peers, enabled: bool) -> String {
    let timeout_ms = TIMEOUT.as_millis();
    let group = |(number, (_, at)): (usize, &(&str, std::net::SocketAddr))| {
        let target = |n| format!("127.0.0.{n}:{}", at.port());
        let targets: Vec<String> = (1..=EACH).map(target).collect();
        format!(
            "[[group]]\nname = \"g{number}\"\nrules = \"free\"\n\
             targets = {targets:?}\n\
             [group.health_check]\nenabled = {enabled}\nprotocol = \"HTTPS\"\ninterval = \"5s\"\n\
             timeout = \"{timeout_ms}ms\"\nhealthy_threshold = 1\nunhealthy_threshold = 1\n"
        )
    };
    let groups: String = peers.addresses.iter().enumerate().map(group).collect();
    driven(on, &format!("[engine]\nworkers = 1\n{groups}"))
}

pub(crate) fn hostile_peers_cost_bounded_memory_and_time(on: Backend) {
    let files = Files::new("");
    certificates::make(&files.path(""));
    let peers: Vec<Peer> = HOSTILE.iter().map(|&(name, talk, _)| (name, talk)).collect();
    let peers = Peers::start(&Kit::new(&files.path("")), &peers);
    files.configure(&config(on, &peers, false));
    let daemon = Daemon::on(files, &[]);
    let before = daemon.resident_kib();
    daemon.files.configure(&config(on, &peers, true));
    assert_eq!(daemon.reload(true).0, 200, "{}", daemon.log());
    // A probe that was not run because the machine was busy is no outcome; the next one is.
    let mut left = Vec::new();
    let all = wait_for(PATIENCE, || {
        left = HOSTILE
            .iter()
            .zip(0..)
            .filter_map(|(hostile, n)| unlike(&daemon, hostile, n))
            .collect();
        left.is_empty().then_some(())
    });
    assert!(all.is_some(), "{}\n{}", left.join("\n"), daemon.log());
    let turns = daemon.get("/v1/events?since=0&limit=10000");
    for turn in turns["events"].as_array().unwrap() {
        let number: usize = turn["group"].as_str().unwrap()[1..].parse().unwrap();
        let (name, _, code) = HOSTILE[number];
        assert!(turn["code"] == code || turn["code"] == "SOCKERR", "{name}: {code}: {turn}");
    }
    let grown = daemon.most_resident_kib().saturating_sub(before);
    assert!(grown <= GROWN_KIB_MAX, "{grown} KiB more than without probes");
}

/// A target that has not come to its code in time, if there is one.
fn unlike(daemon: &Daemon, (name, _, code): &(&str, Talk, &str), number: usize) -> Option<String> {
    let page = daemon.get(&format!("/v1/groups/g{number}/targets"));
    page["targets"].as_array().unwrap().iter().find_map(|target| {
        let took = target["last_probe"]["total_us"].as_u64().map(Duration::from_micros);
        let is_right = target["code"] == *code && took.is_some_and(|took| took < TIMEOUT + SLACK);
        (!is_right).then(|| format!("{name}: {code} was expected: {target}"))
    })
}
