//! What ringcheck is measured against, in the same run: the same TCP check (connect, then RST)
//! written plainly on epoll, tokio, tokio-uring, and on a bare io_uring loop with recycled sockets.
//!
//! The bare ring loop is the floor: no targets, no schedule, no health, no reports. All of them
//! check addresses of 127.0.0.0/8 behind one listener and count what connected.

#![allow(dead_code, reason = "each bench and example uses its share of the baselines")]
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench that cannot run should stop")]
#![allow(clippy::cast_possible_truncation, reason = "slots are few")]

pub mod epoll;
pub mod ring;
pub mod tokio;
pub mod tokio_uring;

use ringcheck::defer_accept::DeferAccept;
use std::net::{Ipv4Addr, SocketAddr};

/// Checks in flight at once, in each baseline.
pub const IN_FLIGHT: usize = 64;

/// What is asked over HTTP: as much as the daemon asks.
pub const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: 127.1.0.0:20000\r\nUser-Agent: ringcheck/0.1.0\r\n\
    Accept: */*\r\nConnection: close\r\n\r\n";
/// How a good answer begins.
pub const GOOD: &[u8] = b"HTTP/1.1 200";

/// A listener on every address of 127.0.0.0/8; returns its port. Connections that end with RST stay
/// out of its queue (`TCP_DEFER_ACCEPT`); those that end with FIN are taken by a thread.
pub fn listen() -> u16 {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    nix::sys::socket::setsockopt(&socket, DeferAccept, &30).unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(4_096).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    std::thread::spawn(move || while socket.accept().is_ok() {});
    port
}

/// The address of target number `i`.
pub fn address(i: usize, port: u16) -> SocketAddr {
    let offset = u32::try_from(i % 1_000_000).unwrap();
    (Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 0)) + offset), port).into()
}
