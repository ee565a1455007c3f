//! The listening sockets of a farm: 0.0.0.0 with its filter, and `[::1]` where there is IPv6.

use super::mix::Mix;
use super::{Darkness, FarmError, filter};
use crate::defer_accept::DeferAccept;
use nix::sys::socket::setsockopt;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longer than any `net.core.somaxconn`, which the kernel cuts it down to.
const BACKLOG: i32 = 65_535;
/// Ports tried where any will do, until one is free for both families.
const PORTS_TRIED: usize = 16;
/// Seconds for which a connection without a request stays in the kernel.
const DEFER_SECONDS: i32 = 1;

/// Both sockets, listening.
#[derive(Debug)]
pub(super) struct Listeners {
    /// The port of both.
    pub(super) port: u16,
    /// All of 127.0.0.0/8.
    pub(super) ipv4: Socket,
    /// `::1`.
    pub(super) ipv6: Option<Socket>,
}

impl Listeners {
    /// Opens both on `port`; 0: on one that is free for both.
    pub(super) fn open(port: u16, mix: &Mix) -> Result<Self, FarmError> {
        let wrap = |source| FarmError::Listen { port, source };
        let mut tried = 0;
        loop {
            let ipv4 = ipv4(port, mix).map_err(wrap)?;
            let bound = ipv4.local_addr().map_err(wrap)?;
            let bound = bound.as_socket().map_or(port, |address| address.port());
            match ipv6(bound) {
                Ok(ipv6) => return Ok(Self { port: bound, ipv4, ipv6 }),
                Err(error) if port != 0 || tried == PORTS_TRIED => return Err(wrap(error)),
                Err(_) => tried += 1,
            }
        }
    }

    /// From now on, who is silent follows `dark`.
    pub(super) fn darken(&self, mix: &Mix, dark: Darkness) -> io::Result<()> {
        self.ipv4.attach_filter(&filter::listening(mix, dark))?;
        let Some(ipv6) = &self.ipv6 else { return Ok(()) };
        ipv6.attach_filter(&filter::listening_ipv6(dark))
    }
}

fn ipv4(port: u16, mix: &Mix) -> io::Result<Socket> {
    let socket = stream(Domain::IPV4)?;
    // Before bind, so that no packet is ever seen unfiltered.
    socket.attach_filter(&filter::listening(mix, Darkness::default()))?;
    listen(&socket, (Ipv4Addr::UNSPECIFIED, port).into())?;
    Ok(socket)
}

/// None where the host has no IPv6.
fn ipv6(port: u16) -> io::Result<Option<Socket>> {
    let Ok(socket) = stream(Domain::IPV6) else { return Ok(None) };
    socket.set_only_v6(true)?;
    match listen(&socket, (Ipv6Addr::LOCALHOST, port).into()) {
        Ok(()) => Ok(Some(socket)),
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => Ok(None),
        Err(error) => Err(error),
    }
}

fn stream(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Taking a connection, reading and answering then need no wait between them, and one that sends
    // nothing costs us nothing.
    setsockopt(&socket, DeferAccept, &DEFER_SECONDS)?;
    Ok(socket)
}

fn listen(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)
}
