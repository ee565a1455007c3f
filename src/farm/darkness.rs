//! Which targets are silent at the moment although their class answers: those of a blackout, and
//! the flapping ones in the dark half of their period.
//!
//! Invariant: a pure function of (darkness, behaviour, address), the same one that the socket
//! filters compute, so that a script can say beforehand who is silent. Both follow a
//! multiplicative hash of the address (Knuth, TAOCP 6.4: 2^32 by the golden ratio), so that neither
//! coincides with the classes of a mix: of a hundred remainders of the hash without its 12 lowest
//! bits, a blackout of P % takes those below P; the hash's four highest bits are the phase of a
//! flapping target, in sixteenths of the period.

use super::mix::Behaviour;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Factor of the hash.
pub(super) const FACTOR: u32 = 0x9E37_79B1;
/// Bits of the hash below those that decide about blackouts.
pub(super) const SHARE_SHIFT: u32 = 12;
/// Bits of the hash below the phase.
pub(super) const PHASE_SHIFT: u32 = 28;
/// Steps of one flap period.
pub const STEPS: u32 = 16;

/// A share of the targets: 1 % to 100 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent(u8);

impl Percent {
    /// All of them.
    pub const ALL: Self = Self(100);

    /// 1 to 100.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

/// A text that is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no share of the targets; write 1% to 100%, for example 5%")]
pub struct PercentError(String);

impl FromStr for Percent {
    type Err = PercentError;

    fn from_str(text: &str) -> Result<Self, PercentError> {
        let number = text.trim().trim_end_matches('%').trim_end().parse().ok();
        let share = number.filter(|percent| (1..=100).contains(percent));
        share.map(Self).ok_or_else(|| PercentError(text.trim().to_owned()))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// Who is silent at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Darkness {
    /// The share that is blacked out.
    pub blackout: Option<Percent>,
    /// Steps of the flap period that have passed.
    pub step: u32,
}

impl Darkness {
    /// Whether the target at `ip`, which behaves like this in the light, is silent.
    #[must_use]
    pub fn covers(self, behaviour: Behaviour, ip: Ipv4Addr) -> bool {
        let hash = ip.to_bits().wrapping_mul(FACTOR);
        let blackout = self.blackout.map_or(0, |share| u32::from(share.get()));
        let phase = (hash >> PHASE_SHIFT).wrapping_add(self.step) % STEPS;
        (hash >> SHARE_SHIFT) % 100 < blackout || behaviour == Behaviour::Flap && phase >= STEPS / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::farm::range;

    #[test]
    fn a_blackout_takes_its_share_and_larger_ones_hold_smaller_ones() {
        let dark = |blackout| Darkness { blackout, step: 0 };
        let covered = |percent: u8| {
            let dark = dark(Some(Percent(percent)));
            range::addresses(100_000).filter(move |&ip| dark.covers(Behaviour::Healthy, ip))
        };
        for percent in [1_u8, 5, 50, 99] {
            let (count, expected) = (covered(percent).count(), usize::from(percent) * 1_000);
            assert!(count.abs_diff(expected) < 200, "{percent}%: {count} of 100,000");
        }
        assert!(covered(5).all(|ip| dark(Some(Percent(6))).covers(Behaviour::Healthy, ip)));
        assert_eq!(covered(100).count(), 100_000);
        assert!(!range::addresses(1_000).any(|ip| dark(None).covers(Behaviour::Healthy, ip)));
    }

    #[test]
    fn a_flapping_target_is_dark_for_one_half_of_its_period_in_one_piece() {
        let mut dark_at_start = 0;
        for ip in range::addresses(1_000) {
            let at = |step| Darkness { blackout: None, step }.covers(Behaviour::Flap, ip);
            let dark: Vec<_> = (0..STEPS).map(at).collect();
            let changes = (0..STEPS).filter(|&step| at(step) != at(step + 1)).count();
            assert_eq!((dark.iter().filter(|dark| **dark).count(), changes), (8, 2), "{ip}");
            dark_at_start += usize::from(dark[0]);
            assert!(!Darkness::default().covers(Behaviour::Healthy, ip));
        }
        assert!((400..600).contains(&dark_at_start), "{dark_at_start} of 1,000");
    }

    #[test]
    fn a_share_is_one_to_a_hundred_percent() {
        for (text, percent) in [("5%", 5), ("100", 100), (" 1 %", 1)] {
            assert_eq!(text.parse(), Ok(Percent(percent)));
        }
        for text in ["0%", "101%", "", "%", "5.5%", "all"] {
            let error = text.parse::<Percent>().unwrap_err().to_string();
            assert!(error.contains("write 1% to 100%"), "{error}");
        }
    }
}
