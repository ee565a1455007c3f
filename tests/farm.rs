//! The simulated targets over real sockets: each behaviour is what a client on this kernel sees.

#![expect(clippy::unwrap_used, reason = "a test may say so by panicking")]

use ringcheck::farm::{Behaviour, Darkness, Farm, FarmError, FarmOptions, Mix, Percent, range};
use ringcheck::time::monotonic;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Longer than anything here takes unless it is broken.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a test looks at silence.
const SILENCE: Duration = Duration::from_millis(300);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: farm\r\nConnection: close\r\n\r\n";

fn start(mix: &str) -> Farm {
    try_start(mix).unwrap()
}

fn try_start(mix: &str) -> Result<Farm, FarmError> {
    Farm::start(FarmOptions { mix: mix.parse().unwrap(), ..FarmOptions::default() })
}

/// The first target of `farm` that behaves so.
fn target(farm: &Farm, behaviour: Behaviour) -> SocketAddr {
    let mut all = range::addresses(range::TARGETS_MAX);
    let ip = all.find(|&ip| farm.mix().behaviour(ip) == behaviour).unwrap();
    (ip, farm.port()).into()
}

fn connect(to: SocketAddr, timeout: Duration) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.connect_timeout(&SockAddr::from(to), timeout)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Connects, sends `request`, and reads to the end.
fn exchange(to: SocketAddr, request: &[u8]) -> io::Result<String> {
    let mut socket = connect(to, PATIENCE)?;
    socket.write_all(request)?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Whether this process may open raw sockets (bit 13 of the effective capabilities).
fn has_net_raw() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap() & (1 << 13) != 0
}

#[test]
fn healthy_targets_answer_200_on_every_address_and_on_ipv6() {
    let farm = start("healthy=1");
    for ip in ["127.0.0.1", "127.1.2.3", "127.255.255.254", "::1"] {
        let ip: IpAddr = ip.parse().unwrap();
        let answer = exchange((ip, farm.port()).into(), REQUEST).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{ip}: {answer}");
        assert!(answer.ends_with("\r\n\r\nok\n"), "{ip}: {answer}");
    }
    let counts = farm.stop();
    assert_eq!((counts.accepted, counts.answered), (4, 4));
}

#[test]
fn a_mere_connect_passes() {
    let farm = start("healthy=1,503=1,stall=1");
    for ip in range::addresses(3) {
        connect((ip, farm.port()).into(), PATIENCE).unwrap();
    }
}

#[test]
fn a_request_in_pieces_is_answered_at_its_end() {
    let farm = start("healthy=1,503=1");
    let mut socket = connect(target(&farm, Behaviour::Status(503)), PATIENCE).unwrap();
    socket.set_tcp_nodelay(true).unwrap();
    for piece in REQUEST.chunks(7) {
        socket.write_all(piece).unwrap();
    }
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
}

#[test]
fn silent_targets_time_out_and_refusing_ones_refuse_at_once() {
    if !has_net_raw() {
        assert!(matches!(try_start("healthy=1,refuse=1"), Err(FarmError::Permission)));
        return;
    }
    let farm = start("healthy=1,silent=1,refuse=1");
    let silent = connect(target(&farm, Behaviour::Silent), SILENCE).unwrap_err();
    assert_eq!(silent.kind(), ErrorKind::TimedOut);
    for _ in 0..20 {
        // Shorter than the second after which a lost SYN would be sent again.
        let refused = connect(target(&farm, Behaviour::Refuse), SILENCE).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
    connect(target(&farm, Behaviour::Healthy), SILENCE).unwrap();
    assert_eq!(farm.stop().refused, 20);
}

#[test]
fn a_stalled_target_takes_the_request_and_says_nothing() {
    let farm = start("stall=1");
    let mut socket = connect(target(&farm, Behaviour::Stall), PATIENCE).unwrap();
    socket.write_all(REQUEST).unwrap();
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    assert_eq!(socket.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn broken_answers_are_broken_each_in_its_way() {
    let farm = start("garbage=1,reset=1,cut=1,404=1");
    let answer = |behaviour| exchange(target(&farm, behaviour), REQUEST);
    let garbage = answer(Behaviour::Garbage).unwrap();
    assert!(!garbage.is_empty() && !garbage.starts_with("HTTP"), "{garbage:?}");
    assert_eq!(answer(Behaviour::Reset).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(answer(Behaviour::Cut).unwrap(), "HTTP/1.");
    assert!(answer(Behaviour::Status(404)).unwrap().starts_with("HTTP/1.1 404 Not Found\r\n"));
}

#[test]
fn a_dribbled_answer_comes_whole_but_byte_by_byte() {
    let farm = start("dribble=1");
    let mut socket = connect(target(&farm, Behaviour::Dribble), PATIENCE).unwrap();
    socket.write_all(REQUEST).unwrap();
    let (mut reads, mut answer) = (0, String::new());
    let mut buffer = [0; 64];
    loop {
        let count = socket.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        reads += 1;
        answer.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    assert_eq!(answer, "HTTP/1.1 200 OK\r\n\r\n");
    assert!(reads > 10, "{reads} reads");
}

#[test]
fn an_endless_head_goes_on_past_every_limit() {
    let farm = start("endless=1");
    let mut socket = connect(target(&farm, Behaviour::Endless), PATIENCE).unwrap();
    socket.write_all(REQUEST).unwrap();
    let mut head = vec![0; 22 * 1_024];
    socket.read_exact(&mut head).unwrap();
    assert!(head.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(!head.windows(4).any(|window| window == b"\r\n\r\n"));
}

/// What a client finds out about one target with a request.
fn observe(to: SocketAddr) -> Behaviour {
    match exchange(to, REQUEST) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200") => Behaviour::Healthy,
        Ok(answer) if answer == "HTTP/1." => Behaviour::Cut,
        Ok(answer) => Behaviour::Status(answer[9..12].parse().unwrap()),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Behaviour::Reset,
        Err(error) => panic!("{to}: {error}"),
    }
}

#[test]
fn two_hundred_addresses_behave_as_the_mix_says() {
    let refuse = if has_net_raw() { ",refuse=2" } else { "" };
    let farm = start(&format!("healthy=5,silent=3{refuse},503=2,reset=1,cut=4,404=6"));
    let mut seen = HashMap::new();
    for ip in range::addresses(200) {
        let (to, expected) = (SocketAddr::from((ip, farm.port())), farm.mix().behaviour(ip));
        let (silent, refused) = (Behaviour::Silent, Behaviour::Refuse);
        let observed = match connect(to, Duration::from_millis(40)) {
            Err(error) if error.kind() == ErrorKind::TimedOut => silent,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => refused,
            Err(error) => panic!("{ip}: {error}"),
            Ok(_) => observe(to),
        };
        assert_eq!(observed, expected, "{ip}");
        *seen.entry(observed.to_string()).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), farm.mix().classes().len(), "{seen:?}");
}

#[test]
fn only_loopback_addresses_are_served() {
    let farm = start("healthy=1");
    // An address of this host that is not a loopback one, found without sending anything.
    let probe = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    let documentation = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 9));
    if probe.connect(&SockAddr::from(documentation)).is_err() {
        return; // The host has no address but loopback ones: nothing to reach it by.
    }
    let mut own = probe.local_addr().unwrap().as_socket().unwrap();
    own.set_port(farm.port());
    assert!(!own.ip().is_loopback());
    assert_eq!(connect(own, SILENCE).unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn peers_that_reset_at_any_point_do_no_harm() {
    let farm = start("healthy=2,stall=1,dribble=1,endless=1,reset=1,garbage=1");
    for (index, ip) in range::addresses(700).enumerate() {
        let mut socket = connect((ip, farm.port()).into(), PATIENCE).unwrap();
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        let bytes = [0, 5, REQUEST.len()][index % 3];
        let _ = socket.write_all(&REQUEST[..bytes]);
        if index % 2 == 0 {
            let _ = socket.shutdown(std::net::Shutdown::Write);
        }
    }
    let answer = exchange(target(&farm, Behaviour::Healthy), REQUEST).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn with_no_room_left_the_oldest_stalled_connection_goes() {
    let mix = "stall=1,healthy=1".parse().unwrap();
    let options = FarmOptions { mix, connections: Some(2), ..FarmOptions::default() };
    let farm = Farm::start(options).unwrap();
    let stalled = || {
        let mut socket = connect(target(&farm, Behaviour::Stall), PATIENCE).unwrap();
        socket.write_all(REQUEST).unwrap();
        socket
    };
    let (mut first, _second, mut third) = (stalled(), stalled(), stalled());
    assert!(matches!(first.read(&mut [0; 1]), Ok(0)), "the first one is closed");
    third.set_read_timeout(Some(SILENCE)).unwrap();
    assert_eq!(third.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(exchange(target(&farm, Behaviour::Healthy), REQUEST).is_ok());
}

#[test]
fn several_threads_serve_one_port_and_stop_frees_it() {
    let options = FarmOptions { threads: 3, ..FarmOptions::default() };
    let farm = Farm::start(options).unwrap();
    let port = farm.port();
    for ip in range::addresses(100) {
        assert!(exchange((ip, port).into(), REQUEST).unwrap().contains("200 OK"));
    }
    let taken = Farm::start(FarmOptions { port, ..FarmOptions::default() }).unwrap_err();
    assert!(taken.to_string().contains(&format!("cannot listen on 0.0.0.0:{port}: ")), "{taken}");
    farm.stop();
    let refused = connect((Ipv6Addr::LOCALHOST, port).into(), PATIENCE).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    Farm::start(FarmOptions { port, mix: Mix::all(Behaviour::Cut), ..FarmOptions::default() })
        .unwrap();
}

fn is_silent(to: SocketAddr) -> bool {
    match connect(to, SILENCE) {
        Ok(_) => false,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => false,
        Err(error) if error.kind() == ErrorKind::TimedOut => true,
        Err(error) => panic!("{to}: {error}"),
    }
}

#[test]
fn a_blackout_of_all_is_dark_at_once_and_over_at_once() {
    let mix = if has_net_raw() { "healthy=1,503=1,refuse=1" } else { "healthy=1,503=1,stall=1" };
    let farm = start(mix);
    let mut all: Vec<IpAddr> = range::addresses(3).map(IpAddr::V4).collect();
    all.push(Ipv6Addr::LOCALHOST.into());
    for (blackout, silent) in [(None, false), (Some(Percent::ALL), true), (None, false)] {
        farm.black_out(blackout).unwrap();
        for &ip in &all {
            assert_eq!(is_silent((ip, farm.port()).into()), silent, "{ip}, {blackout:?}");
        }
    }
}

#[test]
fn a_blackout_of_a_share_silences_whom_it_covers_and_nobody_else() {
    let farm = start("healthy=1,503=1");
    let dark = Darkness { blackout: Some("8%".parse().unwrap()), step: 0 };
    farm.black_out(dark.blackout).unwrap();
    let mut count = 0;
    for ip in range::addresses(100) {
        let covered = dark.covers(farm.mix().behaviour(ip), ip);
        assert_eq!(is_silent((ip, farm.port()).into()), covered, "{ip}");
        count += usize::from(covered);
    }
    assert!((1..50).contains(&count), "{count} of 100");
}

#[test]
fn a_flapping_target_comes_and_goes_and_its_neighbours_do_not() {
    let options = FarmOptions {
        mix: "flap=1,healthy=1".parse().unwrap(),
        flap_period: Duration::from_millis(640),
        ..FarmOptions::default()
    };
    let farm = Farm::start(options).unwrap();
    let flapping = target(&farm, Behaviour::Flap);
    let give_up = monotonic() + PATIENCE;
    let mut seen = Vec::new();
    while seen.len() < 6 {
        assert!(monotonic() < give_up, "{seen:?}");
        let is_there = connect(flapping, Duration::from_millis(20)).is_ok();
        if seen.last() != Some(&is_there) {
            seen.push(is_there);
        }
        assert!(!is_silent(target(&farm, Behaviour::Healthy)));
    }
    farm.black_out(Some(Percent::ALL)).unwrap();
    for _ in 0..3 {
        assert!(is_silent(flapping), "a blackout covers the light half too");
    }
}
