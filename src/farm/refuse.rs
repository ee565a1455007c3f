//! Refusing targets: a packet socket sees their SYNs, and a raw socket answers each with RST.
//!
//! A listener cannot refuse a connection for one address and take it for the next, so the
//! listener's filter hides those SYNs from TCP, and we send what TCP would have sent: RST+ACK from
//! the target's address, acknowledging the SYN (RFC 9293, 3.5.2, group 1). A packet socket rather
//! than a raw one to receive, because its filter runs before the packet is copied, and every packet
//! on the host passes by here. Both need CAP_NET_RAW.

use super::mix::{Behaviour, Mix};
use super::{Darkness, FarmError, filter};
use crate::checksum::{fold, sum};
use nix::sys::socket::{MsgFlags, recv};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// `ETH_P_IP` in network order, as packet sockets want it.
const ETHERTYPE_IPV4: i32 = 0x0800_u16.to_be() as i32;
/// `IPPROTO_RAW`: we write the IP header; nothing is ever received.
const PROTOCOL_RAW: i32 = 255;
/// SYNs of a burst that wait for us; the kernel grants what `net.core.rmem_max` allows.
const RECEIVE_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// RSTs of one turn, so that a burst of them does not hold up the connections.
const RESETS_PER_TURN: usize = 64;
const IP_HEADER_BYTES: usize = 20;
const RESET_BYTES: usize = 40;

/// The pair of sockets.
#[derive(Debug)]
pub(super) struct Refuser {
    listen: Socket,
    answer: Socket,
}

impl Refuser {
    /// Opens both sockets for the refusing classes of `mix` on `port`.
    pub(super) fn open(mix: &Mix, port: u16) -> Result<Self, FarmError> {
        // Created with protocol 0 it would receive nothing until bound; with the filter attached
        // right after, the few packets in between are told apart by `reset_for`.
        let ipv4 = Some(Protocol::from(ETHERTYPE_IPV4));
        let listen = Socket::new(Domain::PACKET, Type::DGRAM, ipv4).map_err(denied)?;
        let refusing = filter::refusing(mix, Darkness::default(), port);
        listen.attach_filter(&refusing).map_err(FarmError::Filter)?;
        listen.set_nonblocking(true).map_err(FarmError::Filter)?;
        // A smaller buffer only means that a burst of SYNs is refused a second later.
        let _ = listen.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
        let raw = Some(Protocol::from(PROTOCOL_RAW));
        let answer = Socket::new(Domain::IPV4, Type::RAW, raw).map_err(denied)?;
        answer.set_nonblocking(true).map_err(denied)?;
        Ok(Self { listen, answer })
    }

    /// From now on, those that `dark` covers are not refused.
    pub(super) fn darken(&self, mix: &Mix, dark: Darkness, port: u16) -> io::Result<()> {
        self.listen.attach_filter(&filter::refusing(mix, dark, port))
    }

    /// Answers the SYNs that wait, a turn's worth at most, and returns how many.
    pub(super) fn turn(&self, mix: &Mix, port: u16) -> usize {
        let mut packet = [0_u8; 128];
        for refused in 0..RESETS_PER_TURN {
            let fd = self.listen.as_raw_fd();
            let Ok(length) = recv(fd, &mut packet, MsgFlags::MSG_DONTWAIT) else {
                return refused;
            };
            let Some((reset, to)) = reset_for(&packet[..length], mix, port) else { continue };
            // A lost RST is like a lost SYN: the client asks again.
            let _ = self.answer.send_to(&reset, &SockAddr::from(to));
        }
        RESETS_PER_TURN
    }
}

impl AsFd for Refuser {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listen.as_fd()
    }
}

fn denied(source: io::Error) -> FarmError {
    if source.kind() == io::ErrorKind::PermissionDenied {
        return FarmError::Permission;
    }
    FarmError::Filter(source)
}

/// The RST for the SYN in `packet` (an IPv4 packet) and its receiver; none where it is no such SYN.
fn reset_for(packet: &[u8], mix: &Mix, port: u16) -> Option<([u8; RESET_BYTES], SocketAddrV4)> {
    let header = usize::from(packet.first()? & 0x0F) * 4;
    let (ip, tcp) = packet.split_at_checked(header).filter(|p| p.0.len() >= IP_HEADER_BYTES)?;
    let tcp: &[u8; 20] = tcp.first_chunk()?;
    let source: [u8; 4] = ip[12..16].try_into().ok()?;
    let target: [u8; 4] = ip[16..20].try_into().ok()?;
    let is_syn = tcp[13] & 0x17 == 0x02;
    let is_ours = tcp[2..4] == port.to_be_bytes()
        && ip[9] == 6
        && target[0] == 127
        && mix.behaviour(target.into()) == Behaviour::Refuse;
    if !is_syn || !is_ours {
        return None;
    }
    let sequence = u32::from_be_bytes(tcp[4..8].try_into().ok()?);
    let to = SocketAddrV4::new(Ipv4Addr::from(source), u16::from_be_bytes([tcp[0], tcp[1]]));
    Some((reset(target, port, to, sequence.wrapping_add(1)), to))
}

/// An IPv4 packet with RST+ACK from `target`:`port`. The kernel fills in length and checksum of the
/// IP header (raw(7)); TCP's checksum is ours.
fn reset(target: [u8; 4], port: u16, to: SocketAddrV4, acknowledge: u32) -> [u8; RESET_BYTES] {
    let mut packet = [0_u8; RESET_BYTES];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&40_u16.to_be_bytes());
    packet[6] = 0x40; // don't fragment
    packet[8] = 64;
    packet[9] = 6;
    packet[12..16].copy_from_slice(&target);
    packet[16..20].copy_from_slice(&to.ip().octets());
    packet[20..22].copy_from_slice(&port.to_be_bytes());
    packet[22..24].copy_from_slice(&to.port().to_be_bytes());
    packet[28..32].copy_from_slice(&acknowledge.to_be_bytes());
    packet[32] = 5 << 4;
    packet[33] = 0x14;
    // The pseudo header is both addresses, the protocol and the length of the segment.
    let sum = fold(sum(&packet[12..]) + 6 + 20);
    packet[36..38].copy_from_slice(&sum.to_be_bytes());
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn syn(flags: u8) -> Vec<u8> {
        let to = SocketAddrV4::new(Ipv4Addr::new(127, 1, 0, 9), 80);
        let mut packet = reset([127, 0, 0, 1], 4_000, to, 0).to_vec();
        packet[24..28].copy_from_slice(&u32::MAX.to_be_bytes());
        packet[33] = flags;
        packet
    }

    #[test]
    fn the_reset_acknowledges_the_syn_from_the_targets_address() {
        let mix = Mix::all(Behaviour::Refuse);
        let (packet, to) = reset_for(&syn(0x02), &mix, 80).unwrap();
        assert_eq!(to, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4_000));
        assert_eq!(packet[12..20], [127, 1, 0, 9, 127, 0, 0, 1]);
        assert_eq!(packet[28..32], [0; 4], "sequence number 2^32 - 1, plus one");
        assert_eq!(packet[33], 0x14);
        assert_eq!(fold(sum(&packet[12..]) + 26), 0, "a right checksum sums up to zero");
    }

    #[test]
    fn nothing_but_a_syn_to_a_refusing_target_is_answered() {
        let mix = Mix::all(Behaviour::Refuse);
        for flags in [0x12, 0x04, 0x14, 0x10, 0x01, 0x00] {
            assert!(reset_for(&syn(flags), &mix, 80).is_none(), "flags {flags:#x}");
        }
        assert!(reset_for(&syn(0x02), &mix, 81).is_none());
        assert!(reset_for(&syn(0x02), &Mix::all(Behaviour::Healthy), 80).is_none());
        for length in 0..40 {
            assert!(reset_for(&syn(0x02)[..length], &mix, 80).is_none(), "{length} bytes");
        }
    }
}
