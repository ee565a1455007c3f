//! What the kernel reads and writes while operations are in flight: owned in one place, never
//! moved.

use super::buffers::Buffers;
use nix::libc;
use std::net::SocketAddr;

/// All memory of one ring that operations point into.
pub(super) struct Memory {
    /// By slot: where its connect goes. Read by the kernel when the entry is submitted.
    pub(super) addresses: Box<[Address]>,
    /// By slot: the request of its probe. Read by the kernel until the send has completed; changed
    /// only while the slot has no send in flight. A vector's bytes stay where they are even though
    /// the vectors are reused, because each is grown only in that state.
    pub(super) requests: Box<[Vec<u8>]>,
    /// By slot: what its socket says of a connect. Written by the kernel while it is asked.
    pub(super) errors: Box<[libc::c_int]>,
    /// Receive buffers.
    pub(super) buffers: Buffers,
    /// Where the eventfd's counter is read to.
    wake: Box<u64>,
}

impl Memory {
    pub(super) fn new(capacity: u32) -> Self {
        Self {
            addresses: vec![Address::UNSPEC; capacity as usize].into_boxed_slice(),
            requests: vec![Vec::new(); capacity as usize].into_boxed_slice(),
            errors: vec![0; capacity as usize].into_boxed_slice(),
            buffers: Buffers::new(),
            wake: Box::new(0),
        }
    }

    pub(super) fn wake_counter(&mut self) -> *mut u8 {
        (&raw mut *self.wake).cast()
    }
}

/// The address that undoes a connect: `tcp_disconnect` in the kernel.
pub(super) static UNSPEC: Address = Address::UNSPEC;

/// A socket address as the kernel wants it: `sockaddr_in` or `sockaddr_in6`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) union Address {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl Address {
    const UNSPEC: Self = Self {
        v6: libc::sockaddr_in6 {
            sin6_family: libc::AF_UNSPEC as libc::sa_family_t,
            sin6_port: 0,
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
            sin6_scope_id: 0,
        },
    };

    /// Sets the address; returns it as connect takes it.
    pub(super) fn set(&mut self, address: SocketAddr) -> (*const libc::sockaddr, libc::socklen_t) {
        let len = match address {
            SocketAddr::V4(address) => {
                self.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: address.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
                    sin_zero: [0; 8],
                };
                size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(address) => {
                self.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: address.port().to_be(),
                    sin6_flowinfo: address.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                    sin6_scope_id: address.scope_id(),
                };
                size_of::<libc::sockaddr_in6>()
            }
        };
        ((&raw const *self).cast(), len as libc::socklen_t)
    }

    /// The address as connect takes it, with room for either family.
    pub(super) const fn pointer(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        ((&raw const *self).cast(), size_of::<Self>() as libc::socklen_t)
    }
}
