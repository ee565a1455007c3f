//! The system calls on one socket.

use super::interest::Interest;
use crate::defer_accept::DeferAccept;
use crate::io::{Socket, Transport};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, SockaddrIn6, sockopt,
};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

/// A socket that does not block, watched under `key` until it is closed. The socket's only
/// descriptor: closing it ends the watch.
pub(super) fn create(sort: Socket, interest: &Interest, key: u64) -> Result<OwnedFd, Errno> {
    let family = if sort.ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = match sort.transport {
        Transport::Stream { hold_ack } => {
            let fd = socket::socket(family, SockType::Stream, flags, None)?;
            if hold_ack {
                socket::setsockopt(&fd, DeferAccept, &1)?;
            }
            fd
        }
        // Without the option the kernel keeps ICMP errors to itself that may pass, such as a host's
        // that cannot be reached.
        Transport::Datagram => {
            let fd = socket::socket(family, SockType::Datagram, flags, None)?;
            if sort.ipv6 {
                socket::setsockopt(&fd, sockopt::Ipv6RecvErr, &true)?;
            } else {
                socket::setsockopt(&fd, sockopt::Ipv4RecvErr, &true)?;
            }
            fd
        }
        Transport::Raw => panic!("raw slots have no socket"),
    };
    interest.watch_changes(&fd, key)?;
    Ok(fd)
}

/// Begins to connect; true where the connection stands already.
pub(super) fn connect(fd: &OwnedFd, address: SocketAddr) -> Result<bool, Errno> {
    let begun = match address {
        SocketAddr::V4(address) => socket::connect(fd.as_raw_fd(), &SockaddrIn::from(address)),
        SocketAddr::V6(address) => socket::connect(fd.as_raw_fd(), &SockaddrIn6::from(address)),
    };
    match begun {
        Ok(()) => Ok(true),
        Err(Errno::EINPROGRESS | Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// What became of a connect that was not done at once, as far as it failed.
pub(super) fn failure(fd: &OwnedFd) -> Option<Errno> {
    match socket::getsockopt(fd, sockopt::SocketError) {
        Ok(0) => None,
        Ok(errno) => Some(Errno::from_raw(errno)),
        Err(errno) => Some(errno),
    }
}

/// Drops the connection with RST; the socket is as new, with its options (`tcp_disconnect` in the
/// kernel).
pub(super) fn disconnect(fd: &OwnedFd) -> Result<(), Errno> {
    /// `AF_UNSPEC`, which is an int where families are shorter.
    const UNSPEC_FAMILY: libc::sa_family_t = 0;
    const _: () = assert!(libc::AF_UNSPEC == 0);
    const UNSPEC: libc::sockaddr_in = libc::sockaddr_in {
        sin_family: UNSPEC_FAMILY,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: 0 },
        sin_zero: [0; 8],
    };
    socket::connect(fd.as_raw_fd(), &SockaddrIn::from(UNSPEC))
}

/// Sends what goes without waiting.
pub(super) fn send(fd: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    socket::send(fd.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL)
}

/// Receives what is there; 0 is the end of the stream, or an empty datagram.
pub(super) fn receive(fd: &OwnedFd, into: &mut [u8]) -> Result<usize, Errno> {
    socket::recv(fd.as_raw_fd(), into, MsgFlags::empty())
}
