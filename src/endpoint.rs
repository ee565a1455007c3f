//! An address and port in 18 bytes: what a million targets keep instead of a 32-byte `SocketAddr`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// An IP address (IPv4 as IPv4-mapped IPv6) and a port. Ordered by address, then port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    ip: [u8; 16],
    port: u16,
}

impl Endpoint {
    /// An endpoint; an IPv4-mapped IPv6 address is the IPv4 address.
    #[must_use]
    pub const fn new(ip: IpAddr, port: u16) -> Self {
        let ip = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Self { ip: ip.octets(), port }
    }

    /// The address.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        Ipv6Addr::from_octets(self.ip).to_canonical()
    }

    /// The port.
    #[must_use]
    pub const fn port(self) -> u16 {
        self.port
    }

    /// The form that sockets take.
    #[must_use]
    pub const fn socket_addr(self) -> SocketAddr {
        SocketAddr::new(self.ip(), self.port)
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip(), address.port())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket_addr().fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket_addr().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_survive() {
        for text in ["10.0.0.1:80", "[2001:db8::1]:443", "[::1]:1", "0.0.0.0:0"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(Endpoint::from(address).socket_addr(), address);
            assert_eq!(Endpoint::from(address).to_string(), text);
        }
        let mapped: SocketAddr = "[::ffff:10.0.0.1]:80".parse().unwrap();
        assert_eq!(Endpoint::from(mapped).to_string(), "10.0.0.1:80");
        assert_eq!(size_of::<Endpoint>(), 18);
    }
}
