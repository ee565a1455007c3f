//! A network of its own for one thread and those that it starts: routes that go nowhere, few ports,
//! impatient SYNs, without touching the host's. Needs root (CAP_SYS_ADMIN).

use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

/// What a route does with a packet (`RTN_*` of rtnetlink(7)).
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Route {
    /// EINVAL.
    Blackhole = 6,
    /// EHOSTUNREACH.
    Unreachable = 7,
    /// EACCES.
    Prohibit = 8,
}

/// A network with nothing but loopback.
pub(crate) struct Network {
    netlink: OwnedFd,
}

/// Runs `test` on a thread in a network of its own.
pub(crate) fn in_own_network(test: impl FnOnce(&Network) + Send) {
    std::thread::scope(|scope| {
        let ended = scope.spawn(|| test(&Network::enter())).join();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

impl Network {
    /// Moves the calling thread into it, for good.
    fn enter() -> Self {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace; run the tests as root");
        let protocol = SockProtocol::NetlinkRoute;
        let flags = SockFlag::SOCK_CLOEXEC;
        let netlink = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol).unwrap();
        let network = Self { netlink };
        // RTM_NEWLINK: interface 1, which is lo, gets IFF_UP.
        let mut link = vec![0; 16];
        (link[4], link[8], link[12]) = (1, 1, 1);
        network.ask(16, 0, &link);
        network
    }

    /// What lies at `ip` cannot be reached, in this way.
    pub(crate) fn route(&self, ip: Ipv4Addr, route: Route) {
        // RTM_NEWROUTE of AF_INET: /32, main table, static, then RTA_DST.
        let mut message = vec![2, 32, 0, 0, 254, 4, 0, route as u8, 0, 0, 0, 0, 8, 0, 1, 0];
        message.extend_from_slice(&ip.octets());
        const CREATE: u16 = 0x400;
        self.ask(24, CREATE, &message);
    }

    /// Sets `/proc/sys/net/{name}`.
    pub(crate) fn set(&self, name: &str, value: &str) {
        std::fs::write(format!("/proc/sys/net/{name}"), value).unwrap();
    }

    fn ask(&self, kind: u16, flags: u16, body: &[u8]) {
        const REQUEST_ACK: u16 = 5;
        let length = u32::try_from(16 + body.len()).unwrap();
        let mut message = length.to_ne_bytes().to_vec();
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&(REQUEST_ACK | flags).to_ne_bytes());
        message.extend_from_slice(&[0; 8]);
        message.extend_from_slice(body);
        send(self.netlink.as_raw_fd(), &message, MsgFlags::empty()).unwrap();
        let mut answer = [0; 256];
        let count = recv(self.netlink.as_raw_fd(), &mut answer, MsgFlags::empty()).unwrap();
        // NLMSG_ERROR, whose errno is 0 where all is well.
        assert_eq!(&answer[16..20], [0; 4], "netlink refuses: {:?}", &answer[..count]);
    }
}
