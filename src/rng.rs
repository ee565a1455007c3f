//! A small seeded generator (SplitMix64: Steele, Lea, Flood, OOPSLA 2014), and the hash that
//! spreads targets over shards and phases.
//!
//! The simulator and the tests need numbers that a seed repeats for ever; a generator of ten lines
//! that never changes is the surest way to that.

/// A SplitMix64 generator.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose whole sequence follows from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number in `0..bound`; 0 where `bound` is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }

    /// True in `numerator` of `denominator` cases.
    pub const fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }
}

/// SplitMix64's finaliser: a bijection of 64 bits in which every input bit reaches every output
/// bit.
#[must_use]
pub const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The place of a target in shards and phases: stable over restarts, reloads and list changes.
#[must_use]
pub fn hash_target(group: &str, address: std::net::SocketAddr) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for byte in group.bytes() {
        hash = mix(hash ^ u64::from(byte));
    }
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        std::net::IpAddr::V6(ip) => ip.to_bits(),
    };
    #[expect(clippy::cast_possible_truncation, reason = "both halves are mixed in")]
    let (low, high) = (ip as u64, (ip >> 64) as u64);
    mix(mix(mix(hash ^ low) ^ high) ^ u64::from(address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_sequence() {
        let (mut a, mut b) = (Rng::new(7), Rng::new(7));
        assert!((0..100).all(|_| a.next_u64() == b.next_u64()));
        assert_ne!(Rng::new(7).next_u64(), Rng::new(8).next_u64());
    }

    #[test]
    fn neighbouring_addresses_spread_evenly() {
        let mut shards = [0_u32; 8];
        for i in 0..8_000_u32 {
            let address = (std::net::Ipv4Addr::from(0x7F00_0000 + i), 80).into();
            shards[usize::try_from(hash_target("g", address) % 8).unwrap()] += 1;
        }
        assert!(shards.iter().all(|&n| (850..1_150).contains(&n)), "{shards:?}");
    }
}
