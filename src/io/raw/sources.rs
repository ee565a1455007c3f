//! From which of this host's addresses the kernel would connect to a target: TCP's checksum covers
//! it, so we must know it before the kernel routes the SYN.
//!
//! A UDP socket that connects sends nothing and is told by the routing table. That takes three
//! system calls, so what was told is kept until anything changes in this host's addresses, routes,
//! rules or links: rtnetlink(7) says so before the change can matter for more than a turn. The
//! answer also stands for the errors that a connect would have brought at once (no route,
//! prohibited, ..).

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use socket2::{Domain, SockAddr, Socket, Type};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

/// Addresses that are kept at least, and at most: a million targets cost some megabytes.
const ENTRIES_MIN: usize = 1 << 10;
const ENTRIES_MAX: usize = 1 << 20;
/// `RTMGRP_LINK`, `_IPV4_IFADDR`, `_IPV4_ROUTE`, `_IPV4_RULE`, `_IPV6_IFADDR`, `_IPV6_ROUTE`, and
/// the bit of `RTNLGRP_IPV6_RULE`.
const CHANGES: u32 = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 1 << 18;

/// What is known of this host's addresses.
#[derive(Debug)]
pub(super) struct Sources {
    v4: Kept<u32>,
    v6: Kept<u128>,
    asker_v4: Option<Socket>,
    asker_v6: Option<Socket>,
    /// Where changes are told; none: nobody tells, so nothing is kept.
    changes: Option<OwnedFd>,
}

impl Sources {
    /// Knows nothing yet.
    pub(super) fn new() -> Self {
        let changes = changes().inspect_err(|errno| {
            tracing::debug!("no word of changed routes ({errno}): each probe asks for its own");
        });
        Self {
            v4: Kept::new(),
            v6: Kept::new(),
            asker_v4: None,
            asker_v6: None,
            changes: changes.ok(),
        }
    }

    /// Forgets everything where anything has changed. Once before each batch.
    pub(super) fn refresh(&mut self) {
        let Some(changes) = &self.changes else { return };
        let mut changed = false;
        // Messages that were lost (ENOBUFS) tell of a change too.
        while !matches!(
            recv(changes.as_raw_fd(), &mut [0; 64], MsgFlags::MSG_DONTWAIT),
            Err(Errno::EAGAIN | Errno::EBADF)
        ) {
            changed = true;
        }
        if changed {
            self.v4.forget();
            self.v6.forget();
        }
    }

    /// The address from which a connect to `to` would go, or how it would fail.
    pub(super) fn of(&mut self, to: SocketAddr) -> Result<IpAddr, Errno> {
        let keeps = self.changes.is_some();
        match to.ip() {
            IpAddr::V4(ip) => {
                if let Some(kept) = self.v4.get(ip.to_bits()) {
                    return Ok(Ipv4Addr::from_bits(kept).into());
                }
                if ip.is_multicast() || ip.is_broadcast() {
                    return Err(Errno::ENETUNREACH);
                }
                let source = ask(&mut self.asker_v4, to)?;
                if let (IpAddr::V4(source), true) = (source, keeps) {
                    self.v4.put(ip.to_bits(), source.to_bits());
                }
                Ok(source)
            }
            IpAddr::V6(ip) => {
                // A link-local address means another place on each link.
                let keeps = keeps && !ip.is_unicast_link_local();
                if let Some(kept) = self.v6.get(ip.to_bits()).filter(|_| keeps) {
                    return Ok(Ipv6Addr::from_bits(kept).into());
                }
                if ip.is_multicast() {
                    return Err(Errno::ENETUNREACH);
                }
                let source = ask(&mut self.asker_v6, to)?;
                if let (IpAddr::V6(source), true) = (source, keeps) {
                    self.v6.put(ip.to_bits(), source.to_bits());
                }
                Ok(source)
            }
        }
    }
}

/// A socket that hears of every change.
fn changes() -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let protocol = SockProtocol::NetlinkRoute;
    let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, CHANGES))?;
    Ok(fd)
}

/// Asks the routing table.
fn ask(asker: &mut Option<Socket>, to: SocketAddr) -> Result<IpAddr, Errno> {
    let asked = (|| {
        let socket = match asker {
            Some(socket) => socket,
            None => asker.insert(new_asker(to)?),
        };
        // A socket that is connected keeps its own address: it must let go of it first.
        disconnect(socket)?;
        socket.connect(&SockAddr::from(to))?;
        socket.local_addr()
    })();
    let own = asked.map_err(|error| {
        // Should it have been left in a state that it cannot get out of.
        *asker = None;
        Errno::from_raw(error.raw_os_error().unwrap_or(0))
    })?;
    own.as_socket().map(|own| own.ip()).ok_or(Errno::EAFNOSUPPORT)
}

fn new_asker(to: SocketAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None)?;
    // Else a broadcast address is EACCES, as is a route that prohibits.
    if to.is_ipv4() {
        socket.set_broadcast(true)?;
    }
    Ok(socket)
}

fn disconnect(socket: &Socket) -> std::io::Result<()> {
    let nowhere =
        libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    // SAFETY: the address is a sockaddr of the length that is given, and lives until the call is
    // over.
    let result = unsafe {
        libc::connect(
            socket.as_raw_fd(),
            &raw const nowhere,
            size_of::<libc::sockaddr>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Pairs of addresses, target and own: a table in which each target has two places, which others
/// may take. It grows while that happens often. 0 is no target.
#[derive(Debug)]
struct Kept<A> {
    pairs: Vec<(A, A)>,
    /// Pairs put in since the table grew or was last looked at, and those that another had to go
    /// for.
    put: usize,
    displaced: usize,
}

impl<A: Copy + Default + PartialEq + Into<u128>> Kept<A> {
    const fn new() -> Self {
        Self { pairs: Vec::new(), put: 0, displaced: 0 }
    }

    /// The first of a target's two places; the other is its neighbour.
    fn place(&self, target: A) -> usize {
        let bits: u128 = target.into();
        let mixed = crate::rng::mix(bits as u64 ^ crate::rng::mix((bits >> 64) as u64));
        mixed as usize & (self.pairs.len() - 1)
    }

    fn get(&self, target: A) -> Option<A> {
        if self.pairs.is_empty() {
            return None;
        }
        let place = self.place(target);
        let kept = [self.pairs[place], self.pairs[place ^ 1]];
        kept.into_iter().find(|pair| pair.0 == target).map(|pair| pair.1)
    }

    fn put(&mut self, target: A, own: A) {
        if self.put == self.pairs.len() {
            self.look();
        }
        self.put += 1;
        self.insert(target, own);
    }

    fn insert(&mut self, target: A, own: A) {
        let place = self.place(target);
        let is_free = |place: usize| [A::default(), target].contains(&self.pairs[place].0);
        let place = if is_free(place) || !is_free(place ^ 1) { place } else { place ^ 1 };
        self.displaced += usize::from(!is_free(place));
        self.pairs[place] = (target, own);
    }

    /// As many pairs were put in as there are places: makes twice as many, if a quarter of the
    /// pairs had to go for others.
    fn look(&mut self) {
        let wanted = self.pairs.is_empty() || self.displaced > self.pairs.len() / 4;
        if wanted && self.pairs.len() < ENTRIES_MAX {
            let grown = (self.pairs.len() * 2).max(ENTRIES_MIN);
            let before = std::mem::replace(&mut self.pairs, vec![Default::default(); grown]);
            for (target, own) in before.into_iter().filter(|pair| pair.0 != A::default()) {
                self.insert(target, own);
            }
        }
        (self.put, self.displaced) = (0, 0);
    }

    fn forget(&mut self) {
        self.pairs.fill(Default::default());
        (self.put, self.displaced) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_reached_from_loopback_and_the_answer_is_kept() {
        let mut sources = Sources::new();
        for _ in 0..2 {
            for (to, own) in [("127.1.2.3:80", "127.0.0.1"), ("[::1]:80", "::1")] {
                assert_eq!(sources.of(to.parse().unwrap()), Ok(own.parse().unwrap()));
            }
        }
        assert!(sources.v4.get(0x7F01_0203).is_some());
        assert_eq!(sources.of("255.255.255.255:1".parse().unwrap()), Err(Errno::ENETUNREACH));
        assert_eq!(sources.of("224.0.0.1:1".parse().unwrap()), Err(Errno::ENETUNREACH));
        assert_eq!(sources.of("[fe80::1]:1".parse().unwrap()), Err(Errno::EINVAL));
    }

    #[test]
    fn the_table_grows_to_what_is_asked_for_and_forgets_all_at_once() {
        let mut kept = Kept::<u32>::new();
        for round in 0..20 {
            let known = (1..=50_000).filter(|&ip| kept.get(ip).is_some()).count();
            assert!(round < 19 || known > 45_000, "{known} of 50000 are known");
            for ip in 1..=50_000 {
                match kept.get(ip) {
                    Some(own) => assert_eq!(own, ip + 1),
                    None => kept.put(ip, ip + 1),
                }
            }
        }
        assert!(kept.pairs.len() <= 1 << 17, "{}", kept.pairs.len());
        kept.forget();
        assert!((1..=50_000).all(|ip| kept.get(ip).is_none()));
    }
}
