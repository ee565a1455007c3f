//! SYNs as bytes, and what the bytes that come back say. Pure: no socket, no clock.
//!
//! We write the IP header too (`IP_HDRINCL`), because TCP's checksum covers the source address: who
//! computes the one must know the other. IPv4 answers come with their IP header, IPv6 answers
//! without (raw(7), ipv6(7)).

use crate::checksum::{fold, sum};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of the longest SYN: an IPv6 header, TCP's, and one option.
pub(super) const SYN_BYTES_MAX: usize = IPV6_HEADER + TCP_BYTES;
/// Bytes of an answer that are looked at: both headers, the IP header with all its options.
pub(super) const ANSWER_BYTES: usize = 60 + TCP_HEADER;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const TCP_HEADER: usize = 20;
/// Header and the option that says the longest segment: some firewalls drop a SYN without it.
const TCP_BYTES: usize = TCP_HEADER + 4;
const PROTOCOL_TCP: u8 = 6;
/// As Linux sends them.
const HOPS: u8 = 64;
const WINDOW: u16 = 64_240;

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// What a target answered to a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Who says so.
    pub(super) from: SocketAddr,
    /// To which of our ports.
    pub(super) port: u16,
    /// The sequence number of the SYN that it answers.
    pub(super) sequence: u32,
    /// RST; else SYN-ACK.
    pub(super) refused: bool,
}

/// Writes a SYN; returns its length. Both addresses are of one family.
pub(super) fn write_syn(
    bytes: &mut [u8; SYN_BYTES_MAX],
    from: IpAddr,
    port: u16,
    to: SocketAddr,
    sequence: u32,
) -> usize {
    let pseudo_header;
    let start = match (from, to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            // The kernel fills in the checksum and the identification (raw(7)).
            bytes[..IPV4_HEADER].fill(0);
            bytes[0] = 0x45;
            bytes[3] = (IPV4_HEADER + TCP_BYTES) as u8;
            bytes[6] = 0x40; // don't fragment
            (bytes[8], bytes[9]) = (HOPS, PROTOCOL_TCP);
            bytes[12..16].copy_from_slice(&from.octets());
            bytes[16..20].copy_from_slice(&to.octets());
            pseudo_header = &bytes[12..20];
            IPV4_HEADER
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            bytes[..IPV6_HEADER].fill(0);
            bytes[0] = 0x60;
            bytes[5] = TCP_BYTES as u8;
            (bytes[6], bytes[7]) = (PROTOCOL_TCP, HOPS);
            bytes[8..24].copy_from_slice(&from.octets());
            bytes[24..40].copy_from_slice(&to.octets());
            pseudo_header = &bytes[8..40];
            IPV6_HEADER
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return 0,
    };
    let addresses = sum(pseudo_header);
    let tcp = &mut bytes[start..start + TCP_BYTES];
    tcp.fill(0);
    tcp[0..2].copy_from_slice(&port.to_be_bytes());
    tcp[2..4].copy_from_slice(&to.port().to_be_bytes());
    tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
    tcp[12] = ((TCP_BYTES / 4) << 4) as u8;
    tcp[13] = SYN;
    tcp[14..16].copy_from_slice(&WINDOW.to_be_bytes());
    let segment: u16 = if start == IPV4_HEADER { 1_460 } else { 1_440 };
    (tcp[20], tcp[21]) = (2, 4);
    tcp[22..24].copy_from_slice(&segment.to_be_bytes());
    let total = addresses + u32::from(PROTOCOL_TCP) + TCP_BYTES as u32 + sum(tcp);
    tcp[16..18].copy_from_slice(&fold(total).to_be_bytes());
    start + TCP_BYTES
}

/// The answer in an IPv4 packet; none where it is no answer to a SYN.
pub(super) fn read_v4(packet: &[u8]) -> Option<Answer> {
    let header = usize::from(packet.first()? & 0x0F) * 4;
    let (ip, tcp) = packet.split_at_checked(header)?;
    let from: [u8; 4] = ip.get(12..16)?.try_into().ok()?;
    if ip[9] != PROTOCOL_TCP {
        return None;
    }
    read_tcp(Ipv4Addr::from(from).into(), tcp)
}

/// The same of an IPv6 packet from `from`, which has lost its headers but TCP's.
pub(super) fn read_v6(from: Ipv6Addr, tcp: &[u8]) -> Option<Answer> {
    read_tcp(from.into(), tcp)
}

fn read_tcp(from: IpAddr, tcp: &[u8]) -> Option<Answer> {
    let tcp: &[u8; TCP_HEADER] = tcp.first_chunk()?;
    // In this state TCP heeds a RST only where it acknowledges the SYN (RFC 9293, 3.10.7.3).
    let refused = match tcp[13] & (SYN | RST | ACK) {
        flags if flags == SYN | ACK => false,
        flags if flags & (RST | ACK) == RST | ACK => true,
        _ => return None,
    };
    let acknowledged = u32::from_be_bytes([tcp[8], tcp[9], tcp[10], tcp[11]]);
    Some(Answer {
        from: SocketAddr::new(from, half(tcp, 0)),
        port: half(tcp, 2),
        sequence: acknowledged.wrapping_sub(1),
        refused,
    })
}

/// Of a SYN that an ICMP message quotes (its first eight bytes at least): our port, the target's,
/// and the sequence number.
pub(super) fn read_quoted(tcp: &[u8]) -> Option<(u16, u16, u32)> {
    let tcp: &[u8; 8] = tcp.first_chunk()?;
    let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
    Some((half(tcp, 0), half(tcp, 2), sequence))
}

const fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn syn(from: &str, to: &str) -> Vec<u8> {
        let mut bytes = [0xAA; SYN_BYTES_MAX];
        let length =
            write_syn(&mut bytes, from.parse().unwrap(), 4_000, to.parse().unwrap(), 0xFFFF_FFFF);
        bytes[..length].to_vec()
    }

    #[test]
    fn a_syn_is_whole_and_its_checksum_right() {
        for (from, to, header, addresses) in [
            ("192.0.2.1", "192.0.2.2:80", IPV4_HEADER, 12..20),
            ("2001:db8::1", "[2001:db8::2]:80", IPV6_HEADER, 8..40),
        ] {
            let syn = syn(from, to);
            assert_eq!(syn.len(), header + TCP_BYTES);
            let tcp = &syn[header..];
            assert_eq!((half(tcp, 0), half(tcp, 2), tcp[13]), (4_000, 80, SYN));
            assert_eq!(read_quoted(tcp), Some((4_000, 80, u32::MAX)));
            let total = sum(&syn[addresses]) + u32::from(PROTOCOL_TCP) + TCP_BYTES as u32;
            assert_eq!(fold(total + sum(tcp)), 0, "a right checksum sums up to zero");
        }
    }

    #[test]
    fn the_checksum_is_that_of_a_packet_seen_on_the_wire() {
        // From a SYN of Linux to port 80 of 192.0.2.2, with the one option and our fields.
        let mut bytes = [0; SYN_BYTES_MAX];
        let from = "192.0.2.1".parse().unwrap();
        write_syn(&mut bytes, from, 1, "192.0.2.2:2".parse().unwrap(), 3);
        // 0xC000 + 0x0201 + 0xC000 + 0x0202 + 6 + 24 + 1 + 2 + 3 + 0x6002 + 64240 + 0x0204 + 1460
        let by_hand = 0xC000 + 0x0201 + 0xC000 + 0x0202 + 6 + 24 + 6 + 0x6002 + 64_240 + 0x0204;
        assert_eq!(half(&bytes, 36), fold(by_hand + 1_460));
    }

    /// The answer of `flags` to the SYN above, as IPv4 brings it.
    fn answer(flags: u8) -> Vec<u8> {
        let mut packet = syn("192.0.2.2", "192.0.2.1:4000");
        packet[IPV4_HEADER..IPV4_HEADER + 2].copy_from_slice(&80_u16.to_be_bytes());
        packet[IPV4_HEADER + 8..IPV4_HEADER + 12].copy_from_slice(&[0; 4]);
        packet[IPV4_HEADER + 13] = flags;
        packet
    }

    #[test]
    fn nothing_but_a_syn_ack_or_a_rst_that_acknowledges_is_an_answer() {
        let from = "192.0.2.2:80".parse().unwrap();
        for flags in 0..=0x1F {
            let read = read_v4(&answer(flags));
            let expected =
                |refused| Some(Answer { from, port: 4_000, sequence: u32::MAX, refused });
            match flags & 0x16 {
                0x12 => assert_eq!(read, expected(false)),
                0x14 | 0x16 => assert_eq!(read, expected(true)),
                _ => assert_eq!(read, None, "flags {flags:#x}"),
            }
        }
        let packet = answer(SYN | ACK);
        for length in 0..40 {
            assert_eq!(read_v4(&packet[..length]), None, "{length} bytes");
        }
        let mut udp = packet;
        udp[9] = 17;
        assert_eq!(read_v4(&udp), None);
    }

    #[test]
    fn an_ipv6_answer_comes_without_its_header() {
        let tcp = answer(SYN | ACK)[IPV4_HEADER..].to_vec();
        let read = read_v6(Ipv6Addr::LOCALHOST, &tcp).unwrap();
        assert_eq!(read.from, "[::1]:80".parse().unwrap());
        assert_eq!(read_v6(Ipv6Addr::LOCALHOST, &tcp[..19]), None);
    }
}
