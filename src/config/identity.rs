//! What a target is known by within its group: its id and its port.

use super::TargetConfig;
use std::cmp::Ordering;
use std::net::IpAddr;

/// An id as it is compared: what is an address is compared as one, whatever its spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Id<'a> {
    Address(IpAddr),
    Given(&'a str),
}

impl<'a> Id<'a> {
    /// The id that `text` means.
    pub(crate) fn parse(text: &'a str) -> Self {
        text.parse().map_or(Self::Given(text), |ip: IpAddr| Self::Address(ip.to_canonical()))
    }

    /// The id of a configured target.
    pub(crate) fn of(target: &'a TargetConfig) -> Self {
        target.id.as_deref().map_or_else(|| Self::Address(target.endpoint.ip()), Self::Given)
    }
}

/// The positions `0..len` in the order of `compare`, equal ones by position. Lists that are in order
/// already, as most are, cost one pass.
pub(crate) fn sorted_positions(len: u32, compare: impl Fn(u32, u32) -> Ordering) -> Box<[u32]> {
    let mut positions: Box<[u32]> = (0..len).collect();
    positions.sort_unstable_by(|&a, &b| compare(a, b).then(a.cmp(&b)));
    positions
}
