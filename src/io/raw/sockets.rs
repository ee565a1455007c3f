//! The raw sockets of one address family, and the ports that answers come to.
//!
//! Two sockets: one sends and hears nothing (`IPPROTO_RAW`), one hears and sends nothing. An ICMP
//! error is told to the hearing one, and its next system call would fail by it; a batch of SYNs
//! must not fail by the error of another probe.
//!
//! Raw sockets rather than a packet socket to hear: they stand where TCP stands, behind the
//! firewall, address translation and IPsec of this host, so that both handshakes come to the same.
//! The price is that the kernel clones each TCP packet of the host for each worker.

use super::batch::{Inbox, Outbox};
use super::filter;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, recvmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// `IPPROTO_RAW`: we write the IP header; nothing is ever received.
const PROTOCOL_RAW: i32 = 255;
/// Answers that wait while the worker is busy; the kernel grants what `net.core.rmem_max` allows
/// who lacks CAP_NET_ADMIN.
const RECEIVE_BUFFER_BYTES: usize = 16 * 1024 * 1024;
const SEND_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Ports of one worker. More than one, so that what a target, a firewall or a NAT remembers of one
/// probe does not stand in the way of the next.
const PORTS: usize = 16;

/// TCP sockets that are bound and do nothing else: nobody else gets their ports, and the kernel,
/// which knows no connection there, answers each SYN-ACK with RST.
#[derive(Debug)]
pub(super) struct Ports {
    numbers: Vec<u16>,
    _holders: Vec<Socket>,
}

impl Ports {
    /// Reserves ports for both families.
    pub(super) fn reserve() -> Result<Self, Errno> {
        let mut holders = Vec::with_capacity(PORTS);
        let mut numbers = Vec::with_capacity(PORTS);
        for _ in 0..PORTS {
            let held = hold(true).or_else(|error| match errno(&error) {
                Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL => hold(false),
                _ => Err(error),
            });
            match held {
                Ok((socket, port)) => {
                    holders.push(socket);
                    numbers.push(port);
                }
                // Few are enough; none is not. Where there is no port, a connect says
                // EADDRNOTAVAIL, and so do we.
                Err(error) if numbers.is_empty() => {
                    return Err(match errno(&error) {
                        Errno::EADDRINUSE => Errno::EADDRNOTAVAIL,
                        other => other,
                    });
                }
                Err(_) => break,
            }
        }
        Ok(Self { numbers, _holders: holders })
    }

    /// The port of a probe; any number will do.
    pub(super) fn of(&self, number: u32) -> u16 {
        self.numbers[number as usize % self.numbers.len()]
    }
}

fn hold(both: bool) -> std::io::Result<(Socket, u16)> {
    let (domain, any) = if both {
        (Domain::IPV6, IpAddr::V6(Ipv6Addr::UNSPECIFIED))
    } else {
        (Domain::IPV4, IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if both {
        socket.set_only_v6(false)?;
    }
    socket.bind(&SockAddr::from(SocketAddr::new(any, 0)))?;
    let port = socket.local_addr()?.as_socket().map_or(0, |own| own.port());
    Ok((socket, port))
}

/// The pair of sockets of one family.
#[derive(Debug)]
pub(super) struct Sockets {
    send: Socket,
    hear: Socket,
    ipv6: bool,
    /// Where the kernel puts what it says about an ICMP error.
    control: Vec<u8>,
}

/// An ICMP error, as far as the kernel has made it out.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What a connect would have failed with.
    pub(super) errno: Errno,
    /// Where the SYN went to.
    pub(super) to: IpAddr,
    /// Bytes of the quoted SYN.
    pub(super) quoted: usize,
}

impl Sockets {
    /// Opens both; needs CAP_NET_RAW.
    pub(super) fn open(ipv6: bool, ports: &Ports) -> Result<Self, Errno> {
        Self::try_open(ipv6, ports).map_err(|error| errno(&error))
    }

    fn try_open(ipv6: bool, ports: &Ports) -> std::io::Result<Self> {
        let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
        // What comes between these two lines is told apart by `Scanner::hear`, as all that comes.
        let hear = Socket::new(domain, Type::RAW, Some(Protocol::TCP))?;
        hear.attach_filter(&filter::answers(&ports.numbers, ipv6))?;
        hear.set_nonblocking(true)?;
        let send = Socket::new(domain, Type::RAW, Some(Protocol::from(PROTOCOL_RAW)))?;
        send.set_nonblocking(true)?;
        for socket in [&hear, &send] {
            // On the one that sends, this is how a full queue of a device is told (ENOBUFS).
            if ipv6 {
                setsockopt(socket, sockopt::Ipv6RecvErr, &true)?;
            } else {
                setsockopt(socket, sockopt::Ipv4RecvErr, &true)?;
                // A TCP connect to a broadcast address is told so by its errno, and so are we.
                setsockopt(socket, sockopt::Broadcast, &false)?;
            }
        }
        // Smaller buffers mean more local faults in a burst, and never a wrong outcome.
        if setsockopt(&hear, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES).is_err() {
            let _ = hear.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
        }
        let _ = send.set_send_buffer_size(SEND_BUFFER_BYTES);
        let control = cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
        Ok(Self { send, hear, ipv6, control })
    }

    /// What to watch for answers.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.hear.as_fd()
    }

    /// Sends what is in `outbox` from number `first` on; see [`Outbox::send`].
    pub(super) fn send(&self, outbox: &mut Outbox, first: usize) -> Result<usize, Errno> {
        outbox.send(&self.send, first)
    }

    /// Takes answers; see [`Inbox::receive`].
    pub(super) fn receive(&self, inbox: &mut Inbox) -> Result<usize, Errno> {
        inbox.receive(&self.hear)
    }

    /// The next ICMP error; none where no other waits.
    pub(super) fn trouble(&mut self, quoted: &mut [u8]) -> Option<Trouble> {
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let fd = self.hear.as_raw_fd();
        loop {
            let buffer = &mut [IoSliceMut::new(quoted)];
            let (to, error, length) = if self.ipv6 {
                let message =
                    recvmsg::<SockaddrIn6>(fd, buffer, Some(&mut self.control), flags).ok()?;
                let to = message.address.map(|to| IpAddr::V6(to.ip()));
                (to, extended_error(message.cmsgs()), message.bytes)
            } else {
                let message =
                    recvmsg::<SockaddrIn>(fd, buffer, Some(&mut self.control), flags).ok()?;
                let to = message.address.map(|to| IpAddr::V4(to.ip()));
                (to, extended_error(message.cmsgs()), message.bytes)
            };
            // A path that takes smaller packets only (EMSGSIZE) is no failure of a SYN.
            if let (Some(to), Some(errno)) = (to, error)
                && errno != Errno::EMSGSIZE
            {
                return Some(Trouble { errno, to, quoted: length });
            }
        }
    }

    /// Packets that found the queue full, so far.
    pub(super) fn dropped(&self) -> u32 {
        super::batch::drops(&self.hear)
    }
}

fn extended_error(
    messages: nix::Result<impl Iterator<Item = ControlMessageOwned>>,
) -> Option<Errno> {
    messages.ok()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
            i32::try_from(error.ee_errno).ok().map(Errno::from_raw)
        }
        _ => None,
    })
}

pub(super) fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}
