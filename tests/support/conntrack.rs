//! nf_conntrack in a network of its own, over netlink: made to track, filled, emptied. Its limit is
//! the host's, so the table is filled to that, and nothing of the host is changed.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use std::cell::Cell;
use std::os::fd::AsRawFd;

/// Subsystems and messages of nfnetlink: `NFNL_SUBSYS_*` << 8 | `NFT_MSG_*`, `IPCTNL_MSG_*`.
pub(super) const BATCH_BEGIN: u16 = 16;
pub(super) const BATCH_END: u16 = 17;
pub(super) const NEW_TABLE: u16 = 10 << 8;
pub(super) const NEW_CHAIN: u16 = 10 << 8 | 3;
pub(super) const NEW_RULE: u16 = 10 << 8 | 6;
const NEW_ENTRY: u16 = 1 << 8;
const DELETE_ENTRY: u16 = 1 << 8 | 2;

const REQUEST: u16 = 1;
pub(super) const ACK: u16 = 4;
pub(super) const CREATE: u16 = 0x400;
/// Entries of one send.
const ENTRIES: u32 = 256;

/// The table of connections of the calling thread's network.
pub(crate) struct Conntrack {
    /// How many were made.
    entries: Cell<u32>,
}

impl Conntrack {
    /// Makes the network track its connections: a rule that asks for their state is enough, even in
    /// a chain that nothing goes through.
    pub(crate) fn start() -> Self {
        let conntrack = Self { entries: Cell::new(0) };
        let name = text(1, "t");
        // The key NFT_CT_STATE (0) into register 1.
        let state = [attribute(1, &1_u32.to_be_bytes()), attribute(2, &[0; 4])].concat();
        let expression = [text(1, "ct"), nested(2, &state)].concat();
        let rule = [name.clone(), text(2, "c"), nested(4, &nested(1, &expression))].concat();
        let batch = [
            message(BATCH_BEGIN, 0, &[]),
            message(NEW_TABLE, CREATE, &name),
            message(NEW_CHAIN, CREATE, &[name, text(3, "c")].concat()),
            message(NEW_RULE, CREATE | ACK, &rule),
            message(BATCH_END, 0, &[]),
        ];
        conntrack.ask(&batch.concat());
        conntrack
    }

    /// Fills the table, as far as it is not, with connections that are alive and give way to none.
    pub(crate) fn fill(&self) {
        loop {
            let first = self.entries.get();
            self.entries.set(first + ENTRIES);
            let ack = |number| if number + 1 == first + ENTRIES { ACK } else { 0 };
            let entries = (first..first + ENTRIES)
                .map(|number| message(NEW_ENTRY, CREATE | ack(number), &entry(number)));
            match answer(&entries.collect::<Vec<_>>().concat()) {
                0 => {}
                errno => return assert_eq!(errno, -(Errno::ENOMEM as i32)),
            }
        }
    }

    /// Empties it.
    pub(crate) fn flush(&self) {
        self.ask(&message(DELETE_ENTRY, ACK, &[]));
    }

    fn ask(&self, messages: &[u8]) {
        assert_eq!(answer(messages), 0, "netlink refuses");
    }
}

/// Sends messages, one of which wants an answer; the first errno, negative, or 0.
pub(super) fn answer(messages: &[u8]) -> i32 {
    // What is refused is answered one by one: the rest goes with the socket.
    let (flags, protocol) = (SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter);
    let netlink = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol).unwrap();
    send(netlink.as_raw_fd(), messages, MsgFlags::empty()).unwrap();
    let mut answer = [0; 4_096];
    let count = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty()).unwrap();
    assert!(count >= 20 && answer[4..6] == [2, 0], "no NLMSG_ERROR: {:?}", &answer[..count]);
    i32::from_ne_bytes(answer[16..20].try_into().unwrap())
}

/// Connection number `number`: UDP from 10.x.x.x, seen in both directions.
fn entry(number: u32) -> Vec<u8> {
    let (ours, theirs) = ((0x0A00_0000 + number).to_be_bytes(), [192, 0, 2, 1]);
    let tuple = |kind, from: [u8; 4], to: [u8; 4]| {
        let ip = [attribute(1, &from), attribute(2, &to)].concat();
        let port = 53_u16.to_be_bytes();
        let protocol = [attribute(1, &[17]), attribute(2, &port), attribute(3, &port)].concat();
        nested(kind, &[nested(1, &ip), nested(2, &protocol)].concat())
    };
    // IPS_CONFIRMED, IPS_ASSURED, IPS_SEEN_REPLY; ten minutes.
    let status = attribute(3, &14_u32.to_be_bytes());
    let timeout = attribute(7, &600_u32.to_be_bytes());
    [tuple(1, ours, theirs), tuple(2, theirs, ours), status, timeout].concat()
}

/// A message with its two heads: IPv4, and for a batch the subsystem of nf_tables.
pub(super) fn message(kind: u16, flags: u16, attributes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(20 + attributes.len()).unwrap();
    let subsystem = if matches!(kind, BATCH_BEGIN | BATCH_END) { 10 } else { 0 };
    let mut message = length.to_ne_bytes().to_vec();
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&(REQUEST | flags).to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&[2, 0, 0, subsystem]);
    message.extend_from_slice(attributes);
    message
}

pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap();
    let mut attribute = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    attribute.extend_from_slice(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

pub(super) fn nested(kind: u16, attributes: &[u8]) -> Vec<u8> {
    const NESTED: u16 = 1 << 15;
    attribute(kind | NESTED, attributes)
}

pub(super) fn text(kind: u16, text: &str) -> Vec<u8> {
    attribute(kind, &[text.as_bytes(), &[0]].concat())
}
