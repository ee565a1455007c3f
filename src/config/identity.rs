//! What a target is known by within its group, its id and its port, and lists ordered by it.

use super::TargetConfig;
use crate::endpoint::Endpoint;
use std::net::IpAddr;

/// An id as it is compared: what is an address is compared as one, whatever its spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Id<'a> {
    V4(u32),
    V6(u128),
    Given(&'a str),
}

impl<'a> Id<'a> {
    /// The id that `text` means.
    pub(crate) fn parse(text: &'a str) -> Self {
        text.parse().map_or(Self::Given(text), Self::address)
    }

    /// The id of a target that has been given none.
    pub(crate) const fn address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.to_bits()),
            IpAddr::V6(ip) => Self::V6(ip.to_bits()),
        }
    }
}

/// An id and a port: what two targets of a group cannot have in common.
pub(crate) type Identity<'a> = (Id<'a>, u16);

/// The identity of a target with this id, if one was given, and this endpoint.
pub(crate) fn identity(id: Option<&str>, endpoint: Endpoint) -> Identity<'_> {
    (id.map_or_else(|| Id::address(endpoint.ip()), Id::Given), endpoint.port())
}

/// The identity of a configured target.
pub(crate) fn identity_of(target: &TargetConfig) -> Identity<'_> {
    identity(target.id.as_deref(), target.endpoint)
}

/// The first bits of an identity, in the same order: unequal ones decide. They lie beside each
/// other while the list is sorted, so that comparing seldom goes to the targets themselves.
fn prefix((id, port): Identity<'_>) -> u64 {
    match id {
        Id::V4(bits) => u64::from(bits) << 16 | u64::from(port),
        Id::V6(bits) => 1 << 62 | (bits >> 66) as u64,
        Id::Given(text) => {
            let mut first = [0; 8];
            let count = text.len().min(8);
            first[..count].copy_from_slice(&text.as_bytes()[..count]);
            2 << 62 | u64::from_be_bytes(first) >> 2
        }
    }
}

/// The positions `0..len` in the order of their identities, equal ones by position.
pub(crate) fn sorted_positions<'a>(
    len: u32,
    identity: impl Fn(usize) -> Identity<'a>,
) -> Box<[u32]> {
    let full = |position: u32| identity(position as usize);
    let mut keys: Vec<(u64, u32)> = (0..len).map(|p| (prefix(full(p)), p)).collect();
    keys.sort_unstable_by(|&(a_prefix, a), &(b_prefix, b)| {
        let by_identity = || full(a).cmp(&full(b)).then(a.cmp(&b));
        a_prefix.cmp(&b_prefix).then_with(by_identity)
    });
    keys.into_iter().map(|(_, position)| position).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_sorted_by_identity() {
        let ids = [
            "zz",
            "i-0000002",
            "i-0000001",
            "i-000000",
            "é",
            "10.0.0.2",
            "10.0.0.1",
            "::1",
            "2001:db8::2",
            "2001:db8::1",
            "255.255.255.255",
            "ffff::",
            "i-0000001",
            "0.0.0.0",
        ];
        let port = |position: usize| u16::try_from(position % 3).unwrap();
        let identity = |position: usize| (Id::parse(ids[position]), port(position));
        let mut expected: Vec<u32> = (0..14).collect();
        expected.sort_by_key(|&position| (identity(position as usize), position));
        assert_eq!(*sorted_positions(14, identity), *expected);
        assert_eq!(Id::parse("::ffff:10.0.0.1"), Id::parse("10.0.0.1"));
    }
}
