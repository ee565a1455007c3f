//! Connects without sockets, on the real kernel: what they cost in files, whom they believe, and
//! that a network's errors are those of a connect.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use nix::errno::Errno;
use ringcheck::io::sim::Behaviour;
use ringcheck::io::{
    Backend, Completion, Done, HalfOpen, Host, Io, Kind, Op, Socket, Token, Transport,
};
use ringcheck::time::monotonic;
use socket2::{Domain, Protocol, SockAddr, Type};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;
use support::command::{RINGCHECK, Run};
use support::daemon::{Daemon, Files, request};
use support::netns::in_own_network;
use support::stage::{Stage, bound};

/// Longer than anything here takes unless it is broken.
const PATIENCE: Duration = Duration::from_secs(10);
/// Long enough for what comes at once on loopback to be there.
const MOMENT: Duration = Duration::from_millis(50);
const SLOTS: u32 = 8;

type World = HalfOpen<Host>;

on_each_backend! {
    thousands_of_silent_targets_take_no_file_and_each_connect_completes_once,
    only_the_target_itself_can_answer,
    a_late_answer_is_not_taken_for_the_next_probe,
    a_syn_that_is_lost_is_sent_again_after_a_second,
    what_icmp_says_of_a_syn_is_what_a_connect_fails_with,
    what_icmp_says_of_a_syn_over_ipv6_is_heard,
    no_port_for_answers_is_no_port_for_a_connect,
    answers_that_find_our_queue_full_are_counted,
    a_host_that_lost_nothing_tells_nothing,
    nowhere_is_here_and_ipv4_in_clothes_of_ipv6_is_ipv4,
}

fn world(on: Backend) -> World {
    HalfOpen::new(Host::open(on, SLOTS, false).unwrap())
}

fn connect(io: &mut World, number: u32, address: SocketAddr) -> Token {
    let token = Token { slot: SLOTS + number, generation: 7, kind: Kind::Connect };
    let socket = Socket { ipv6: address.is_ipv6(), transport: Transport::Raw };
    io.submit(Op::Connect { token, address, socket });
    token
}

/// What has completed after `count` completions, or after a while.
fn wait(io: &mut World, count: usize, patience: Duration) -> Vec<Completion> {
    let mut completions = Vec::new();
    let give_up = monotonic() + patience;
    while completions.len() < count && monotonic() < give_up {
        io.wait(give_up, &mut completions).unwrap();
    }
    completions
}

fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn thousands_of_silent_targets_take_no_file_and_each_connect_completes_once(on: Backend) {
    const COUNT: u32 = 20_000;
    let stage = Stage::start(&[(false, Behaviour::Silent), (true, Behaviour::Silent)]);
    let mut io = world(on);
    for (number, &address) in (0..).zip(&stage.addresses) {
        connect(&mut io, number, address);
    }
    assert_eq!(wait(&mut io, 1, MOMENT), []);
    let before = files();
    for number in 2..COUNT {
        connect(&mut io, number, stage.addresses[number as usize % 2]);
    }
    assert_eq!(wait(&mut io, 1, MOMENT), []);
    assert_eq!(files(), before, "no file per connect");
    for number in 0..COUNT {
        io.submit(Op::Cancel {
            token: Token { slot: SLOTS + number, generation: 7, kind: Kind::Connect },
        });
    }
    let completions = wait(&mut io, COUNT as usize, PATIENCE);
    assert_eq!(completions.len(), COUNT as usize);
    assert!(completions.iter().all(|c| c.done == Done::Failed(Errno::ECANCELED)));
    let mut slots: Vec<u32> = completions.iter().map(|c| c.token.slot).collect();
    slots.sort_unstable();
    assert!(slots.into_iter().eq(SLOTS..SLOTS + COUNT));
    assert_eq!(wait(&mut io, 1, MOMENT), [], "once");
}

/// A raw socket that sees every TCP packet of this network, and can send any.
struct Wire {
    socket: socket2::Socket,
}

/// A packet's ends and numbers.
#[derive(Clone, Copy, Debug)]
struct Segment {
    from: SocketAddr,
    to: SocketAddr,
    sequence: u32,
    acknowledged: u32,
    flags: u8,
}

const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const RST_ACK: u8 = 0x14;

impl Wire {
    fn tap() -> Self {
        let socket = socket2::Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::TCP)).unwrap();
        socket.set_header_included_v4(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket }
    }

    /// The next SYN to `to`, and its bytes.
    fn syn_to(&self, to: SocketAddr) -> (Segment, Vec<u8>) {
        let mut bytes = [0; 256];
        loop {
            let count = nix::sys::socket::recv(
                std::os::fd::AsRawFd::as_raw_fd(&self.socket),
                &mut bytes,
                nix::sys::socket::MsgFlags::empty(),
            )
            .expect("a SYN");
            let packet = &bytes[..count];
            let tcp = &packet[20..];
            let ip = |at: usize| {
                Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3])
            };
            let half = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
            let word = |at: usize| u32::from(half(at)) << 16 | u32::from(half(at + 2));
            let segment = Segment {
                from: SocketAddr::new(ip(12).into(), half(0)),
                to: SocketAddr::new(ip(16).into(), half(2)),
                sequence: word(4),
                acknowledged: word(8),
                flags: tcp[13],
            };
            if segment.to == to && segment.flags & 0x17 == SYN {
                return (segment, packet.to_vec());
            }
        }
    }

    fn send(&self, segment: Segment) {
        let (IpAddr::V4(from), IpAddr::V4(to)) = (segment.from.ip(), segment.to.ip()) else {
            panic!("IPv4 only")
        };
        let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0];
        packet.extend_from_slice(&from.octets());
        packet.extend_from_slice(&to.octets());
        packet.extend_from_slice(&segment.from.port().to_be_bytes());
        packet.extend_from_slice(&segment.to.port().to_be_bytes());
        packet.extend_from_slice(&segment.sequence.to_be_bytes());
        packet.extend_from_slice(&segment.acknowledged.to_be_bytes());
        packet.extend_from_slice(&[0x50, segment.flags, 1, 0, 0, 0, 0, 0]);
        self.socket.send_to(&packet, &SockAddr::from(segment.to)).unwrap();
    }
}

/// The right answer to a SYN.
const fn answer(syn: Segment, flags: u8) -> Segment {
    let acknowledged = syn.sequence.wrapping_add(1);
    Segment { from: syn.to, to: syn.from, sequence: 1, acknowledged, flags }
}

fn only_the_target_itself_can_answer(on: Backend) {
    in_own_network(|_| {
        let stage = Stage::start(&[(false, Behaviour::Silent)]);
        let (target, wire) = (stage.addresses[0], Wire::tap());
        let stranger = |port| SocketAddr::new(Ipv4Addr::new(127, 0, 0, 9).into(), port);
        for (flags, done) in
            [(SYN_ACK, Done::Connected), (RST_ACK, Done::Failed(Errno::ECONNREFUSED))]
        {
            let mut io = world(on);
            let token = connect(&mut io, 3, target);
            assert_eq!(wait(&mut io, 1, MOMENT), []);
            let (syn, _) = wire.syn_to(target);
            assert_eq!(syn.from.ip(), Ipv4Addr::LOCALHOST);
            let right = answer(syn, flags);
            let port = |port: u16| SocketAddr::new(target.ip(), port);
            let forged = [
                Segment { acknowledged: right.acknowledged.wrapping_add(1), ..right },
                Segment { acknowledged: syn.sequence, ..right },
                Segment { acknowledged: right.acknowledged ^ 0x8000_0000, ..right },
                Segment { from: stranger(target.port()), ..right },
                Segment { from: port(target.port() ^ 1), ..right },
                Segment { to: port(syn.from.port() ^ 1), ..right },
                Segment { flags: 0x10, ..right },
                Segment { flags: 0x04, ..right },
                Segment { flags: SYN, ..right },
            ];
            for segment in forged {
                wire.send(segment);
                assert_eq!(wait(&mut io, 1, MOMENT), [], "{segment:?}");
            }
            wire.send(right);
            assert_eq!(wait(&mut io, 1, PATIENCE), [Completion { token, done }]);
            wire.send(right);
            assert_eq!(wait(&mut io, 1, MOMENT), [], "once");
        }
    });
}

/// An answer of the slot's former probe is none of the present one's.
fn a_late_answer_is_not_taken_for_the_next_probe(on: Backend) {
    in_own_network(|_| {
        let stage = Stage::start(&[(false, Behaviour::Silent)]);
        let (target, wire) = (stage.addresses[0], Wire::tap());
        let mut io = world(on);
        let mut probe = |generation: u32| {
            let token = Token { slot: SLOTS, generation, kind: Kind::Connect };
            let socket = Socket { ipv6: false, transport: Transport::Raw };
            io.submit(Op::Connect { token, address: target, socket });
            assert_eq!(wait(&mut io, 1, MOMENT), []);
            wire.syn_to(target).0
        };
        let first = probe(1);
        io.submit(Op::Cancel { token: Token { slot: SLOTS, generation: 1, kind: Kind::Connect } });
        assert_eq!(wait(&mut io, 1, PATIENCE).len(), 1);
        let token = Token { slot: SLOTS, generation: 2, kind: Kind::Connect };
        let socket = Socket { ipv6: false, transport: Transport::Raw };
        io.submit(Op::Connect { token, address: target, socket });
        assert_eq!(wait(&mut io, 1, MOMENT), []);
        let second = wire.syn_to(target).0;
        assert_ne!(first.from.port(), second.from.port(), "another port each time");
        wire.send(answer(first, SYN_ACK));
        assert_eq!(wait(&mut io, 1, MOMENT), []);
        wire.send(answer(second, SYN_ACK));
        assert_eq!(wait(&mut io, 1, PATIENCE), [Completion { token, done: Done::Connected }]);
    });
}

fn a_syn_that_is_lost_is_sent_again_after_a_second(on: Backend) {
    in_own_network(|_| {
        let stage = Stage::start(&[(false, Behaviour::Silent)]);
        let (target, wire) = (stage.addresses[0], Wire::tap());
        let mut io = world(on);
        let before = monotonic();
        let token = connect(&mut io, 0, target);
        assert_eq!(wait(&mut io, 1, MOMENT), []);
        let (first, _) = wire.syn_to(target);
        // Nothing is asked of it, and it must do it all the same.
        assert_eq!(wait(&mut io, 1, Duration::from_millis(1_200)), []);
        let (second, _) = wire.syn_to(target);
        assert!(monotonic().since(before) >= Duration::from_secs(1));
        assert_eq!((second.from, second.sequence), (first.from, first.sequence));
        wire.send(answer(second, SYN_ACK));
        assert_eq!(wait(&mut io, 1, PATIENCE), [Completion { token, done: Done::Connected }]);
    });
}

/// Sends the ICMP message of `kind` and `code` about a packet to who sent it.
fn complain(kind: u8, code: u8, about: &[u8]) {
    let socket = socket2::Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).unwrap();
    let mut message = vec![kind, code, 0, 0, 0, 0, 5, 0];
    message.extend_from_slice(&about[..28]);
    let sum: u32 = message.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = (sum & 0xFFFF) + (sum >> 16);
    let sum = !u16::try_from((sum & 0xFFFF) + (sum >> 16)).unwrap();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let to = Ipv4Addr::new(about[12], about[13], about[14], about[15]);
    socket.send_to(&message, &SockAddr::from(SocketAddr::new(to.into(), 0))).unwrap();
}

/// What a connect with a socket comes to, for the same complaint.
fn connect_with_a_socket(wire: &Wire, target: SocketAddr, kind: u8, code: u8) -> Option<Errno> {
    let socket = bound(false);
    let _ = socket.connect(&SockAddr::from(target));
    let (_, packet) = wire.syn_to(target);
    complain(kind, code, &packet);
    let error = socket.take_error().unwrap()?;
    Some(Errno::from_raw(error.raw_os_error().unwrap()))
}

fn what_icmp_says_of_a_syn_is_what_a_connect_fails_with(on: Backend) {
    in_own_network(|_| {
        let stage = Stage::start(&[(false, Behaviour::Silent)]);
        let (target, wire) = (stage.addresses[0], Wire::tap());
        let mut io = world(on);
        let unreachable = (0..16).map(|code| (3, code));
        let others = [(11, 0), (11, 1), (12, 0), (4, 0)];
        for (number, (kind, code)) in (0..).zip(unreachable.chain(others)) {
            let expected = connect_with_a_socket(&wire, target, kind, code);
            let ignored = [(3, 4), (4, 0), (11, 1)].contains(&(kind, code));
            assert_eq!(expected.is_none(), ignored, "ICMP {kind} {code}");
            let token = connect(&mut io, number, target);
            assert_eq!(wait(&mut io, 1, MOMENT), []);
            let (_, mut packet) = wire.syn_to(target);
            // About another probe's SYN first, then about this one.
            packet[24] ^= 0xFF;
            complain(kind, code, &packet);
            assert_eq!(wait(&mut io, 1, MOMENT), []);
            packet[24] ^= 0xFF;
            complain(kind, code, &packet);
            match expected {
                Some(errno) => {
                    let done = Done::Failed(errno);
                    assert_eq!(wait(&mut io, 1, PATIENCE), [Completion { token, done }]);
                }
                None => {
                    assert_eq!(wait(&mut io, 1, MOMENT), [], "ICMP {kind} {code}");
                    io.submit(Op::Cancel { token });
                    assert_eq!(wait(&mut io, 1, PATIENCE).len(), 1);
                }
            }
        }
        // An error of one probe is not the next one's.
        let listener = bound(false);
        listener.listen(8).unwrap();
        let healthy = listener.local_addr().unwrap().as_socket().unwrap();
        let token = connect(&mut io, 100, healthy);
        assert_eq!(wait(&mut io, 1, PATIENCE), [Completion { token, done: Done::Connected }]);
    });
}

fn what_icmp_says_of_a_syn_over_ipv6_is_heard(on: Backend) {
    in_own_network(|_| {
        let stage = Stage::start(&[(true, Behaviour::Silent)]);
        let target = stage.addresses[0];
        let raw = |protocol| socket2::Socket::new(Domain::IPV6, Type::RAW, protocol).unwrap();
        let (tap, icmp) = (raw(Some(Protocol::TCP)), raw(Some(Protocol::ICMPV6)));
        tap.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut io = world(on);
        let token = connect(&mut io, 5, target);
        assert_eq!(wait(&mut io, 1, MOMENT), []);
        // An IPv6 socket brings TCP's header only: the one before it is made again.
        let mut syn = [0; 24];
        let mut message = vec![1, 3, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(&[0x60, 0, 0, 0, 0, 24, 6, 64]);
        message.extend_from_slice(&[Ipv6Addr::LOCALHOST.octets(); 2].concat());
        while syn[13] & 0x17 != SYN || syn[2..4] != target.port().to_be_bytes() {
            std::io::Read::read_exact(&mut &tap, &mut syn).unwrap();
        }
        message.extend_from_slice(&syn);
        let complain = |message: &[u8]| {
            let here = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0);
            icmp.send_to(message, &SockAddr::from(here)).unwrap();
        };
        message[52] ^= 0xFF;
        complain(&message);
        assert_eq!(wait(&mut io, 1, MOMENT), [], "of another sequence number");
        message[52] ^= 0xFF;
        complain(&message);
        let done = Done::Failed(Errno::EHOSTUNREACH);
        assert_eq!(wait(&mut io, 1, PATIENCE), [Completion { token, done }]);
    });
}

/// Where others have all ports, that is said as a connect would say it.
fn no_port_for_answers_is_no_port_for_a_connect(on: Backend) {
    in_own_network(|network| {
        network.set("ipv4/ip_local_port_range", "40000 40003");
        let hold = |port: u16| {
            let socket = socket2::Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
            socket.set_only_v6(false).unwrap();
            let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
            socket.bind(&SockAddr::from(any)).unwrap();
            socket
        };
        let held: Vec<_> = (40_000..=40_003).map(hold).collect();
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 9);
        let mut io = world(on);
        let done = |errno| Done::Failed(errno);
        let token = connect(&mut io, 0, address);
        let none = done(Errno::EADDRNOTAVAIL);
        assert_eq!(wait(&mut io, 1, PATIENCE), [Completion { token, done: none }]);
        drop(held);
        let token = connect(&mut io, 1, address);
        let refused = done(Errno::ECONNREFUSED);
        assert_eq!(wait(&mut io, 1, PATIENCE), [Completion { token, done: refused }]);
    });
}

/// A worker that takes its answers too late loses some, and says so: what came of those probes is
/// nobody's fault but ours.
fn answers_that_find_our_queue_full_are_counted(on: Backend) {
    const COUNT: u32 = 60_000;
    in_own_network(|_| {
        let listener = bound(false);
        listener.listen(4_096).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut io = world(on);
        let token = connect(&mut io, COUNT, address);
        let done = Done::Connected;
        assert_eq!(wait(&mut io, 1, PATIENCE), [Completion { token, done }]);
        let before = io.dropped();
        for number in 0..COUNT {
            connect(&mut io, number, address);
        }
        // All of them leave before the first answer is taken.
        let mut completions = Vec::new();
        io.wait(monotonic(), &mut completions).unwrap();
        assert!(completions.iter().all(|c| c.done == Done::Connected));
        let lost = COUNT as usize - completions.len();
        assert!(lost > 0, "the queue holds {COUNT} answers; the test needs more of them");
        let told = usize::try_from(io.dropped() - before).unwrap();
        assert!(told >= lost, "{lost} are missing, {told} are told");
    });
}

fn a_host_that_lost_nothing_tells_nothing(on: Backend) {
    in_own_network(|_| {
        let listener = bound(false);
        listener.listen(64).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut io = world(on);
        let before = io.dropped();
        for number in 0..1_000 {
            connect(&mut io, number, address);
            assert_eq!(wait(&mut io, 1, PATIENCE).len(), 1);
        }
        assert_eq!(io.dropped(), before);
    });
}

fn nowhere_is_here_and_ipv4_in_clothes_of_ipv6_is_ipv4(on: Backend) {
    for (ipv6, written) in [
        (false, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        (true, IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        (false, IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped())),
    ] {
        let listener = bound(ipv6);
        listener.listen(8).unwrap();
        let port = listener.local_addr().unwrap().as_socket().unwrap().port();
        let mut io = world(on);
        let token = connect(&mut io, 0, SocketAddr::new(written, port));
        let done = wait(&mut io, 1, PATIENCE);
        assert_eq!(done, [Completion { token, done: Done::Connected }], "{written}");
    }
}

#[test]
#[should_panic(expected = "can connect and no more")]
fn nothing_can_be_sent_without_a_socket() {
    let token = Token { slot: SLOTS, generation: 1, kind: Kind::Send };
    world(Backend::IoUring).submit(Op::Send { token, bytes: b"a" });
}

/// A command that runs its arguments without CAP_NET_RAW.
const WITHOUT: [&str; 3] = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"];

const CURE: &str = "run setcap cap_net_raw+ep on the binary, or set \
    AmbientCapabilities=CAP_NET_RAW in the unit file, or give the container --cap-add NET_RAW, or \
    use handshake \"half\"";

fn group(handshake: &str) -> String {
    format!(
        "[[group]]\nname = \"web\"\nrules = \"free\"\ntargets = [\"127.0.0.1:9\"]\n\
         [group.health_check]\ninterval = \"100ms\"\nhandshake = \"{handshake}\"\n"
    )
}

#[test]
fn who_may_not_scan_is_told_the_cure() {
    let missing = "handshake \"raw\" needs CAP_NET_RAW, which this process does not have";
    let probe = |handshake| {
        let args = ["probe", "127.0.0.1:9", "--handshake", handshake];
        Run::of(Command::new(WITHOUT[0]).args(&WITHOUT[1..]).arg(RINGCHECK).args(args), "")
    };
    let run = probe("raw");
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), ""), "{run:?}");
    assert_eq!(run.stderr, format!("error: {missing}; {CURE}\n"));
    assert_eq!(probe("half").code, Some(1), "connection refused");

    let files = Files::new(&group("raw"));
    let ended = files.run(&WITHOUT);
    let log = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(3), "{log}");
    let told = format!("error: {missing}, group 'web'; {CURE}");
    assert!(log.contains(&told), "{log}");

    let path = files.path("ringcheck.toml");
    let validate = ["validate", path.to_str().unwrap()];
    let run =
        Run::of(Command::new(WITHOUT[0]).args(&WITHOUT[1..]).arg(RINGCHECK).args(validate), "");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.starts_with("warning: ") && run.stderr.contains(missing), "{run:?}");
    assert_eq!(Run::new(&validate).stderr, "", "who may scan is not warned");
}

#[test]
fn a_daemon_that_may_not_scan_refuses_reloads_and_edits_that_ask_for_it() {
    let daemon = Daemon::on(Files::new(&group("half")), &WITHOUT);
    let put = |handshake| {
        let body = format!(r#"{{"rules":"free","health_check":{{"handshake":"{handshake}"}}}}"#);
        request(&daemon.files.socket(), "PUT", "/v1/groups/more", &body).unwrap()
    };
    let (status, answer) = put("raw");
    assert_eq!(status, 503, "{answer}");
    assert!(answer.contains("needs CAP_NET_RAW") && answer.contains("group 'more'"), "{answer}");
    let (status, answer) = put("half");
    assert_eq!(status, 201, "{answer}");

    daemon.files.configure(&group("raw"));
    let (status, answer) = daemon.reload(false);
    assert_ne!(status, 200, "{answer}");
    assert!(answer.to_string().contains("needs CAP_NET_RAW, which this process"), "{answer}");
}

#[test]
fn a_daemon_that_may_scan_does() {
    let daemon = Daemon::start(&group("raw"));
    let seen = support::wait_for(PATIENCE, || {
        let targets = daemon.targets("web");
        (targets[0].1 == "unhealthy").then(|| targets[0].2.clone())
    });
    assert_eq!(seen.as_deref(), Some("L4CON"), "{}", daemon.log());
}
