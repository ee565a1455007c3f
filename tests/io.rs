//! The real backends on loopback, one operation at a time: the contract of `Io`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use nix::errno::Errno;
use ringcheck::io::{
    Backend, Buffer, Completion, Done, Host, Io, Kind, Op, Socket, Token, Transport,
};
use ringcheck::limits::{RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS};
use ringcheck::time::monotonic;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use support::firewall::{Unreachable, refuse_tcp, refuse_udp};
use support::netns::in_own_network;

on_each_backend! {
    the_self_test_passes_and_thousands_in_flight_can_be_dropped,
    a_host_that_has_never_waited_is_dropped_at_once,
    nothing_is_carried_out_before_it_is_waited_for,
    all_of_a_large_request_is_sent_and_completes_once,
    what_comes_is_received_in_order_and_then_its_end,
    who_finds_all_buffers_lent_receives_when_they_are_back,
    what_came_for_one_probe_is_not_taken_for_the_next_ones,
    a_connection_is_reset_by_a_disconnect_and_ended_by_a_close,
    what_waits_is_cancelled_and_completes_once,
    a_refused_connect_says_so_and_its_slot_goes_on,
    what_icmp_refuses_at_once_is_not_connected,
    datagrams_go_and_come_whole_and_empty_ones_too,
    what_icmp_says_of_a_datagram_fails_the_receive_that_waits,
    a_wait_lasts_until_its_time_or_a_wake_up,
    #[should_panic(expected = "the token of a send")]
    a_request_is_not_changed_under_another_kinds_token,
    #[should_panic(expected = "slot 0 is sending")]
    a_slot_sends_one_request_at_a_time,
    #[should_panic(expected = "slot 0 has operations in flight")]
    a_slot_is_not_given_up_under_an_operation,
    #[should_panic(expected = "buffer 3 is not lent")]
    a_buffer_that_is_not_lent_cannot_be_read,
    #[should_panic(expected = "buffer 3 was given back already")]
    a_buffer_cannot_be_given_back_twice,
}

/// Longer than anything takes unless it is broken.
const PATIENCE: Duration = Duration::from_secs(10);
/// Long enough that what is wrong would have shown itself.
const A_WHILE: Duration = Duration::from_millis(30);

const fn token(slot: u32, kind: Kind) -> Token {
    Token { slot, generation: 1, kind }
}

const fn connect(token: Token, address: SocketAddr) -> Op<'static> {
    Op::Connect {
        token,
        address,
        socket: Socket { ipv6: false, transport: Transport::Stream { hold_ack: false } },
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A listener whose backlog is full leaves connects waiting.
fn full_listener() -> (socket2::Socket, SocketAddr) {
    let tcp = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let listener = tcp();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address.as_socket().unwrap())
}

/// Waits once, and brings what came.
fn wait(host: &mut Host, patience: Duration) -> Vec<Completion> {
    let mut completions = Vec::new();
    host.wait(monotonic() + patience, &mut completions).unwrap();
    completions
}

/// Waits for the only operation in flight; what came of it.
#[track_caller]
fn only(host: &mut Host, token: Token) -> Done {
    let completions = wait(host, PATIENCE);
    let mut completions = completions.into_iter();
    let completion = completions.next().expect("a completion in time");
    assert_eq!((completion.token, completions.next()), (token, None));
    completion.done
}

/// Connects a slot.
#[track_caller]
fn connected(host: &mut Host, token: Token, address: SocketAddr) {
    host.submit(connect(token, address));
    assert_eq!(only(host, token), Done::Connected);
}

/// Receives once; the bytes.
#[track_caller]
fn received(host: &mut Host, token: Token) -> Vec<u8> {
    host.submit(Op::Receive { token });
    let Done::Received(buffer) = only(host, token) else { panic!("nothing was received") };
    let bytes = host.bytes(&buffer).to_vec();
    host.recycle(buffer);
    bytes
}

fn the_self_test_passes_and_thousands_in_flight_can_be_dropped(on: Backend) {
    let mut host = Host::open(on, 4_096, true).unwrap();
    assert_eq!((host.name(), host.capacity()), (on.name(), 4_096));
    let (_listener, address) = full_listener();
    for slot in 0..4_096 {
        host.submit(connect(token(slot, Kind::Connect), address));
    }
    let completions = wait(&mut host, Duration::from_millis(50));
    assert!(completions.iter().all(|c| c.done == Done::Connected), "{completions:?}");
    assert!(completions.len() < 100, "{}", completions.len());
    let before = monotonic();
    drop(host);
    let took = monotonic().since(before);
    assert!(took < Duration::from_secs(1), "{took:?}");
}

/// A ring waits for its operations when it is dropped, but not for those that never went out.
fn a_host_that_has_never_waited_is_dropped_at_once(on: Backend) {
    let mut host = Host::open(on, 64, false).unwrap();
    for slot in 0..64 {
        host.submit(connect(token(slot, Kind::Connect), "127.0.0.1:9".parse().unwrap()));
    }
    let before = monotonic();
    drop(host);
    let took = monotonic().since(before);
    assert!(took < Duration::from_millis(900), "{took:?}");
}

fn nothing_is_carried_out_before_it_is_waited_for(on: Backend) {
    let mut host = Host::open(on, 1, false).unwrap();
    let (listener, address) = listener();
    listener.set_nonblocking(true).unwrap();
    host.submit(connect(token(0, Kind::Connect), address));
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(only(&mut host, token(0, Kind::Connect)), Done::Connected);
    // Loopback delivers within the call that sends.
    listener.accept().unwrap();
}

fn all_of_a_large_request_is_sent_and_completes_once(on: Backend) {
    let mut host = Host::open(on, 1, false).unwrap();
    let (listener, address) = listener();
    connected(&mut host, token(0, Kind::Connect), address);
    let (mut peer, _) = listener.accept().unwrap();
    // More than both kernels' buffers hold.
    let request: Vec<u8> = (0..16_u32 << 20).map(|n| (n % 251) as u8).collect();
    host.submit(Op::Send { token: token(0, Kind::Send), bytes: &request });
    assert_eq!(wait(&mut host, A_WHILE), [], "it waits for the peer");
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        all
    });
    assert_eq!(only(&mut host, token(0, Kind::Send)), Done::Sent);
    host.submit(Op::Close { slot: 0 });
    assert_eq!(wait(&mut host, A_WHILE), []);
    assert!(reader.join().unwrap() == request, "all bytes, in their order");
}

fn what_comes_is_received_in_order_and_then_its_end(on: Backend) {
    let mut host = Host::open(on, 1, false).unwrap();
    let (listener, address) = listener();
    connected(&mut host, token(0, Kind::Connect), address);
    let (mut peer, _) = listener.accept().unwrap();
    let receive = token(0, Kind::Receive);
    host.submit(Op::Receive { token: receive });
    assert_eq!(wait(&mut host, A_WHILE), [], "nothing has come");
    peer.write_all(b"first").unwrap();
    let Done::Received(first) = only(&mut host, receive) else { panic!("nothing was received") };
    assert_eq!(host.bytes(&first), b"first");
    host.recycle(first);
    host.submit(Op::Receive { token: receive });
    assert_eq!(wait(&mut host, A_WHILE), [], "nothing more has come");
    let sent: Vec<u8> = (0..=250).cycle().take(RECEIVE_BUFFER_BYTES * 2 + 7).collect();
    peer.write_all(&sent).unwrap();
    drop(peer);
    let Done::Received(first) = only(&mut host, receive) else { panic!("nothing was received") };
    let mut came = host.bytes(&first).to_vec();
    assert_eq!(came.len(), RECEIVE_BUFFER_BYTES);
    host.recycle(first);
    for _ in 0..2 {
        came.extend(received(&mut host, receive));
    }
    assert_eq!(came, sent);
    assert!(received(&mut host, receive).is_empty(), "the end of the stream");
}

fn who_finds_all_buffers_lent_receives_when_they_are_back(on: Backend) {
    const SLOTS: u32 = RECEIVE_BUFFERS as u32 + 88;
    let mut host = Host::open(on, SLOTS, false).unwrap();
    let (listener, address) = listener();
    let mut peers = Vec::new();
    for slot in 0..SLOTS {
        connected(&mut host, token(slot, Kind::Connect), address);
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(&slot.to_le_bytes()).unwrap();
        peers.push(peer);
    }
    for slot in 0..SLOTS {
        host.submit(Op::Receive { token: token(slot, Kind::Receive) });
    }
    let mut came = Vec::new();
    let give_up = monotonic() + PATIENCE;
    while came.len() < SLOTS as usize && monotonic() < give_up {
        // As the worker does: all are given back before the next wait.
        for Completion { token, done } in wait(&mut host, PATIENCE) {
            let Done::Received(buffer) = done else { panic!("{token:?}: {done:?}") };
            assert_eq!(host.bytes(&buffer), token.slot.to_le_bytes());
            host.recycle(buffer);
            came.push(token.slot);
        }
    }
    came.sort_unstable();
    assert!(came.into_iter().eq(0..SLOTS), "each one once");
}

/// Bytes, the end and the reset of a connection that is over say nothing of the next one.
fn what_came_for_one_probe_is_not_taken_for_the_next_ones(on: Backend) {
    let mut host = Host::open(on, 1, false).unwrap();
    let (listener, address) = listener();
    let next = |generation, kind| Token { slot: 0, generation, kind };
    connected(&mut host, next(0, Kind::Connect), address);
    for generation in 1..20 {
        let (mut old, _) = listener.accept().unwrap();
        old.write_all(b"old").unwrap();
        if generation % 3 == 1 {
            // Some were told of, and nobody asked.
            assert_eq!(wait(&mut host, Duration::from_millis(1)), []);
        }
        drop(old);
        host.submit(Op::Disconnect { slot: 0 });
        connected(&mut host, next(generation, Kind::Connect), address);
        let receive = next(generation, Kind::Receive);
        host.submit(Op::Receive { token: receive });
        assert_eq!(wait(&mut host, Duration::from_millis(1)), [], "nothing has come");
        // A cancel of the probe before is nobody's.
        host.submit(Op::Cancel { token: next(generation - 1, Kind::Receive) });
        assert_eq!(wait(&mut host, Duration::from_millis(1)), []);
        host.submit(Op::Cancel { token: receive });
        assert_eq!(only(&mut host, receive), Done::Failed(Errno::ECANCELED));
    }
}

fn a_connection_is_reset_by_a_disconnect_and_ended_by_a_close(on: Backend) {
    let mut host = Host::open(on, 1, false).unwrap();
    let (listener, address) = listener();
    connected(&mut host, token(0, Kind::Connect), address);
    let (mut first, from) = listener.accept().unwrap();
    // In one batch, and in this order.
    host.submit(Op::Disconnect { slot: 0 });
    connected(&mut host, token(0, Kind::Connect), address);
    let error = first.read(&mut [0; 4]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let (mut second, from_second) = listener.accept().unwrap();
    assert_ne!(from, from_second, "a fresh port");
    host.submit(Op::Close { slot: 0 });
    connected(&mut host, token(0, Kind::Connect), address);
    assert_eq!(second.read(&mut [0; 4]).unwrap(), 0);
    // Another sort of socket needs another socket; the former one is closed.
    let (mut third, _) = listener.accept().unwrap();
    host.submit(Op::Disconnect { slot: 0 });
    let socket = Socket { ipv6: false, transport: Transport::Stream { hold_ack: true } };
    host.submit(Op::Connect { token: token(0, Kind::Connect), address, socket });
    assert_eq!(only(&mut host, token(0, Kind::Connect)), Done::Connected);
    assert!(third.read(&mut [0; 4]).is_err());
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "half a handshake is not accepted");
}

fn what_waits_is_cancelled_and_completes_once(on: Backend) {
    let mut host = Host::open(on, 8, false).unwrap();
    let (_listener, address) = full_listener();
    for slot in 0..8 {
        host.submit(connect(token(slot, Kind::Connect), address));
    }
    // Some find room in the backlog.
    let stand = wait(&mut host, A_WHILE);
    assert!(stand.len() < 8, "{stand:?}");
    let waits = |slot: &u32| stand.iter().all(|completion| completion.token.slot != *slot);
    let waiting: Vec<u32> = (0..8).filter(waits).collect();
    (0..8).for_each(|slot| host.submit(Op::Cancel { token: token(slot, Kind::Connect) }));
    let mut cancelled = Vec::new();
    let give_up = monotonic() + PATIENCE;
    while cancelled.len() < waiting.len() && monotonic() < give_up {
        for Completion { token, done } in wait(&mut host, PATIENCE) {
            assert_eq!(done, Done::Failed(Errno::ECANCELED));
            cancelled.push(token.slot);
        }
    }
    cancelled.sort_unstable();
    assert_eq!(cancelled, waiting);
    assert_eq!(wait(&mut host, A_WHILE), []);
    // A connect that is cancelled in its own batch, and the slot's next one.
    let (_listener, address) = listener();
    let slot = waiting[0];
    host.submit(Op::Disconnect { slot });
    connected(&mut host, token(slot, Kind::Connect), address);
}

fn a_refused_connect_says_so_and_its_slot_goes_on(on: Backend) {
    let mut host = Host::open(on, 1, false).unwrap();
    let (listener, address) = listener();
    let refusing = support::stage::bound(false);
    let refusing_address = refusing.local_addr().unwrap().as_socket().unwrap();
    for _ in 0..3 {
        host.submit(connect(token(0, Kind::Connect), refusing_address));
        let done = only(&mut host, token(0, Kind::Connect));
        assert_eq!(done, Done::Failed(Errno::ECONNREFUSED));
        host.submit(Op::Disconnect { slot: 0 });
        connected(&mut host, token(0, Kind::Connect), address);
        listener.accept().unwrap();
        host.submit(Op::Disconnect { slot: 0 });
    }
}

/// A firewall of this host, or one behind a virtual link of it (a container), refuses with an ICMP
/// message that is back before the connect has returned.
fn what_icmp_refuses_at_once_is_not_connected(on: Backend) {
    in_own_network(|_| {
        let mut host = Host::open(on, 2, false).unwrap();
        let (_listener, address) = listener();
        connected(&mut host, token(0, Kind::Connect), address);
        host.submit(Op::Disconnect { slot: 0 });
        refuse_tcp("first", Unreachable::Port);
        for slot in [0, 0, 1] {
            host.submit(connect(token(slot, Kind::Connect), address));
            let done = only(&mut host, token(slot, Kind::Connect));
            assert_eq!(done, Done::Failed(Errno::ECONNREFUSED));
            host.submit(Op::Disconnect { slot });
        }
    });
    in_own_network(|_| {
        let mut host = Host::open(on, 1, false).unwrap();
        let (_listener, address) = listener();
        refuse_tcp("t", Unreachable::Host);
        host.submit(connect(token(0, Kind::Connect), address));
        let done = only(&mut host, token(0, Kind::Connect));
        assert_eq!(done, Done::Failed(Errno::EHOSTUNREACH));
    });
}

/// Connects a slot for datagrams.
#[track_caller]
fn datagrams(host: &mut Host, token: Token, address: SocketAddr) {
    let socket = Socket { ipv6: address.is_ipv6(), transport: Transport::Datagram };
    host.submit(Op::Connect { token, address, socket });
    assert_eq!(only(host, token), Done::Connected);
}

fn datagrams_go_and_come_whole_and_empty_ones_too(on: Backend) {
    let mut host = Host::open(on, 1, false).unwrap();
    let mut ports = Vec::new();
    for ip in ["127.0.0.1:0", "[::1]:0"] {
        let peer = std::net::UdpSocket::bind(ip).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        datagrams(&mut host, token(0, Kind::Connect), peer.local_addr().unwrap());
        let mut bytes = [0; 8_192];
        for sent in [&b"ping"[..], b"", &[b'x'; 5_000]] {
            host.submit(Op::Send { token: token(0, Kind::Send), bytes: sent });
            assert_eq!(only(&mut host, token(0, Kind::Send)), Done::Sent);
            let (count, from) = peer.recv_from(&mut bytes).unwrap();
            assert!(&bytes[..count] == sent, "{count} bytes of {}", sent.len());
            peer.send_to(&bytes[..count], from).unwrap();
            ports.push(from.port());
        }
        assert_eq!(received(&mut host, token(0, Kind::Receive)), b"ping");
        assert_eq!(received(&mut host, token(0, Kind::Receive)), b"");
        assert_eq!(received(&mut host, token(0, Kind::Receive)), [b'x'; 2_048]);
        host.submit(Op::Close { slot: 0 });
    }
    assert!(ports[0] == ports[2] && ports[0] != ports[3], "{ports:?}: a socket for each");
}

fn what_icmp_says_of_a_datagram_fails_the_receive_that_waits(on: Backend) {
    let refused = |host: &mut Host, address: SocketAddr, errno| {
        datagrams(host, token(0, Kind::Connect), address);
        host.submit(Op::Send { token: token(0, Kind::Send), bytes: b"ping" });
        host.submit(Op::Receive { token: token(0, Kind::Receive) });
        let mut done = Vec::new();
        while done.len() < 2 {
            let came = wait(host, PATIENCE);
            assert!(!came.is_empty(), "{done:?}, and no more");
            done.extend(came.into_iter().map(|completion| completion.done));
        }
        assert_eq!(done, [Done::Sent, Done::Failed(errno)], "{address}");
        host.submit(Op::Close { slot: 0 });
    };
    in_own_network(|_| {
        let mut host = Host::open(on, 1, false).unwrap();
        for ip in ["127.0.0.1:9", "[::1]:9"] {
            refused(&mut host, ip.parse().unwrap(), Errno::ECONNREFUSED);
        }
        refuse_udp("u", Unreachable::Host);
        refused(&mut host, "127.0.0.1:9".parse().unwrap(), Errno::EHOSTUNREACH);
    });
}

fn a_wait_lasts_until_its_time_or_a_wake_up(on: Backend) {
    let mut host = Host::open(on, 1, false).unwrap();
    let (listener, address) = listener();
    connected(&mut host, token(0, Kind::Connect), address);
    listener.accept().unwrap();
    // What the kernel has to say of a disconnect is no reason to return.
    host.submit(Op::Disconnect { slot: 0 });
    for patience in [Duration::ZERO, Duration::from_micros(50), A_WHILE] {
        let before = monotonic();
        assert_eq!(wait(&mut host, patience), []);
        let took = monotonic().since(before);
        assert!(took >= patience, "{took:?} of {patience:?}");
    }
    let waker = host.waker();
    waker.wake();
    waker.wake();
    let before = monotonic();
    assert_eq!(wait(&mut host, PATIENCE), []);
    let thread = std::thread::spawn(move || waker.wake());
    assert_eq!(wait(&mut host, PATIENCE), []);
    assert!(monotonic().since(before) < PATIENCE, "one wake-up ends one wait");
    thread.join().unwrap();
    let before = monotonic();
    assert_eq!(wait(&mut host, A_WHILE), []);
    assert!(monotonic().since(before) >= A_WHILE, "and not the next one");
}

// Who breaks the contract of `Io` gets a panic, never memory that the kernel uses too.

fn a_request_is_not_changed_under_another_kinds_token(on: Backend) {
    let mut host = Host::open(on, 4, false).unwrap();
    host.submit(Op::Send { token: token(0, Kind::Receive), bytes: b"a" });
}

fn a_slot_sends_one_request_at_a_time(on: Backend) {
    let mut host = Host::open(on, 4, false).unwrap();
    host.submit(Op::Send { token: token(0, Kind::Send), bytes: b"a" });
    host.submit(Op::Send { token: Token { generation: 2, ..token(0, Kind::Send) }, bytes: b"b" });
}

fn a_slot_is_not_given_up_under_an_operation(on: Backend) {
    let mut host = Host::open(on, 4, false).unwrap();
    host.submit(Op::Receive { token: token(0, Kind::Receive) });
    host.submit(Op::Close { slot: 0 });
}

fn a_buffer_that_is_not_lent_cannot_be_read(on: Backend) {
    let host = Host::open(on, 4, false).unwrap();
    let _ = host.bytes(&Buffer { id: 3, len: 10 });
}

fn a_buffer_cannot_be_given_back_twice(on: Backend) {
    Host::open(on, 4, false).unwrap().recycle(Buffer { id: 3, len: 10 });
}
