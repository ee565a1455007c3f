//! Which addresses the targets of a farm have: all of 127.0.0.0/8 answer, and whoever wants `n`
//! targets takes the first `n` from 127.1.0.0 on (127.0.0.x is where a host's own services listen).

use ipnet::{Ipv4Net, Ipv4Subnets};
use std::net::Ipv4Addr;

/// The first target.
pub const FIRST: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);
/// The last address that connects: 127.255.255.255 is the broadcast address.
pub const LAST: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 254);
/// Most targets of one farm.
pub const TARGETS_MAX: u32 = LAST.to_bits() - FIRST.to_bits() + 1;

/// The addresses of `count` targets, at most [`TARGETS_MAX`], ascending.
pub fn addresses(count: u32) -> impl Iterator<Item = Ipv4Addr> {
    let first = FIRST.to_bits();
    (first..first + count.min(TARGETS_MAX)).map(Ipv4Addr::from_bits)
}

/// The same addresses as the fewest CIDR ranges, ascending.
#[must_use]
pub fn cidrs(count: u32) -> Vec<Ipv4Net> {
    let Some(last) = addresses(count).last() else { return Vec::new() };
    Ipv4Subnets::new(FIRST, last, 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_addresses_are_the_same() {
        for count in [0, 1, 2, 3, 1_000, 65_536, 100_000] {
            let from_ranges: Vec<_> = cidrs(count)
                .iter()
                .flat_map(|net| net.network().to_bits()..=net.broadcast().to_bits())
                .map(Ipv4Addr::from_bits)
                .collect();
            assert!(addresses(count).eq(from_ranges), "{count}");
        }
        assert_eq!(cidrs(65_536)[0].to_string(), "127.1.0.0/16");
        assert_eq!(addresses(u32::MAX).last(), Some(LAST));
    }
}
