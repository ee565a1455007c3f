//! The real ring on loopback, one operation at a time.

use ringcheck::io::uring::Uring;
use ringcheck::io::{Completion, Done, Io, Kind, Op, Socket, Token};
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
