//! Plain epoll: a non-blocking socket per check, connect, wait until writable, close with RST; over
//! HTTP, ask and read an answer that fits one packet in between.

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

/// Checks `count` addresses, [`super::IN_FLIGHT`] at a time.
pub fn run(port: u16, count: usize) -> usize {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    let mut sockets: Vec<Option<Socket>> = (0..super::IN_FLIGHT).map(|_| None).collect();
    let mut events = [EpollEvent::empty(); super::IN_FLIGHT];
    let (mut started, mut ended, mut connected) = (0, 0, 0);
    while ended < count {
        for (slot, place) in sockets.iter_mut().enumerate() {
            if place.is_some() || started == count {
                continue;
            }
            let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap();
            socket.set_linger(Some(Duration::ZERO)).unwrap();
            // Non-blocking: EINPROGRESS is what success looks like here.
            let _ = socket.connect(&super::address(started, port).into());
            let interest = EpollEvent::new(EpollFlags::EPOLLOUT, slot as u64);
            epoll.add(&socket, interest).unwrap();
            *place = Some(socket);
            started += 1;
        }
        let ready = epoll.wait(&mut events, EpollTimeout::NONE).unwrap();
        for event in &events[..ready] {
            let slot = usize::try_from(event.data()).unwrap();
            if let Some(socket) = sockets[slot].take() {
                connected += usize::from(socket.take_error().unwrap().is_none());
                ended += 1;
            }
        }
    }
    connected
}

/// Checks a batch of addresses, all at once; how many passed.
pub fn batch(addresses: impl Iterator<Item = SocketAddr>, is_http: bool) -> usize {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    let mut sockets: Vec<Option<Socket>> = Vec::new();
    for (slot, address) in addresses.enumerate() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap();
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        let _ = socket.connect(&address.into());
        epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLOUT, slot as u64)).unwrap();
        sockets.push(Some(socket));
    }
    let mut events = [EpollEvent::empty(); super::IN_FLIGHT];
    let (mut left, mut passed, mut buffer) = (sockets.len(), 0, [0; 1_024]);
    while left > 0 {
        let ready = epoll.wait(&mut events, EpollTimeout::NONE).unwrap();
        for event in &events[..ready] {
            let place = &mut sockets[event.data() as usize];
            let Some(socket) = place else { continue };
            if is_http && event.events() == EpollFlags::EPOLLOUT {
                let _ = socket.write(super::REQUEST);
                let mut interest = EpollEvent::new(EpollFlags::EPOLLIN, event.data());
                epoll.modify(&*socket, &mut interest).unwrap();
                continue;
            }
            passed += usize::from(if is_http {
                matches!(socket.read(&mut buffer), Ok(12..)) && buffer.starts_with(super::GOOD)
            } else {
                socket.take_error().unwrap().is_none()
            });
            *place = None;
            left -= 1;
        }
    }
    passed
}
