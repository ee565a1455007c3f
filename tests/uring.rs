//! The real ring on loopback, one operation at a time.

use ringcheck::io::uring::Uring;
use ringcheck::io::{Buffer, Completion, Done, Io, Kind, Op, Socket, Token};
use ringcheck::time::monotonic;
use std::time::Duration;

#[test]
fn the_self_test_passes_and_a_ring_can_be_dropped_with_thousands_in_flight() {
    let mut uring = Uring::tested(4_096).unwrap();
    // A listener whose backlog is full leaves connects waiting.
    let listener =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    for slot in 0..4_096 {
        let token = Token { slot, generation: 1, kind: Kind::Connect };
        let socket = Socket { ipv6: false, hold_ack: false };
        uring.submit(Op::Connect { token, address, socket });
    }
    let mut completions: Vec<Completion> = Vec::new();
    uring.wait(monotonic() + Duration::from_millis(50), &mut completions).unwrap();
    assert!(completions.iter().all(|c| c.done == Done::Connected), "{completions:?}");
    assert!(completions.len() < 100, "{}", completions.len());
    let before = monotonic();
    drop(uring);
    let took = monotonic().since(before);
    println!("drop took {took:?}");
    assert!(took < Duration::from_secs(1));
}

const fn token(slot: u32, kind: Kind) -> Token {
    Token { slot, generation: 1, kind }
}

/// A ring waits for its operations when it is dropped, but not for those that never went out.
#[test]
fn a_ring_that_has_never_waited_is_dropped_at_once() {
    let mut uring = Uring::new(64).unwrap();
    for slot in 0..64 {
        let address = "127.0.0.1:9".parse().unwrap();
        let socket = Socket { ipv6: false, hold_ack: true };
        uring.submit(Op::Connect { token: token(slot, Kind::Connect), address, socket });
    }
    let before = monotonic();
    drop(uring);
    let took = monotonic().since(before);
    assert!(took < Duration::from_millis(900), "{took:?}");
}

// Who breaks the contract of `Io` gets a panic, never memory that the kernel uses too.

#[test]
#[should_panic(expected = "the token of a send")]
fn a_request_is_not_changed_under_another_kinds_token_while_the_kernel_reads_it() {
    let mut uring = Uring::new(4).unwrap();
    uring.submit(Op::Send { token: token(0, Kind::Receive), bytes: b"a" });
}

#[test]
#[should_panic(expected = "slot 0 is sending")]
fn a_slot_sends_one_request_at_a_time() {
    let mut uring = Uring::new(4).unwrap();
    uring.submit(Op::Send { token: token(0, Kind::Send), bytes: b"a" });
    uring.submit(Op::Send { token: Token { generation: 2, ..token(0, Kind::Send) }, bytes: b"b" });
}

#[test]
#[should_panic(expected = "buffer 3 is not lent")]
fn a_buffer_that_is_the_kernels_cannot_be_read() {
    let uring = Uring::new(4).unwrap();
    let _ = uring.bytes(&Buffer { id: 3, len: 10 });
}

#[test]
#[should_panic(expected = "buffer 3 is in the ring already")]
fn a_buffer_cannot_be_given_back_twice() {
    Uring::new(4).unwrap().recycle(Buffer { id: 3, len: 10 });
}
