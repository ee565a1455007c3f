//! The targets of one run, compact: a CIDR range is one entry, whatever its size.
//!
//! Reports name a target by its place in the list; [`Targets::find`] turns that back into name and
//! endpoint. Invariants: entries ascend by `start`, the first one starts at 0, and together they
//! hold `count` targets.

use crate::config::Problem;
use crate::config::targets::TargetRange;
use crate::endpoint::Endpoint;
use crate::engine::oneshot::Shot;
use crate::limits::TARGETS_MAX_DEFAULT;
use std::net::Ipv6Addr;

/// All targets of a run.
#[derive(Debug, Default)]
pub struct Targets {
    entries: Vec<Entry>,
    count: u32,
    chars_max: usize,
}

/// Neighbouring addresses with one port and one recipe.
#[derive(Debug)]
struct Entry {
    /// The first one's address as IPv6 bits; IPv4 as IPv4-mapped.
    first: u128,
    /// As given; none: its address and port. An entry with a name has one target.
    name: Option<Box<str>>,
    /// Place of the first one.
    start: u32,
    recipe: u32,
    port: u16,
}

impl Targets {
    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Characters of the longest name.
    #[must_use]
    pub const fn chars_max(&self) -> usize {
        self.chars_max
    }

    /// Adds all addresses of `range`; `name` is that of a single target where it is not its address
    /// and port.
    ///
    /// # Errors
    /// Where there would be more targets than one run takes.
    pub(super) fn push(
        &mut self,
        range: TargetRange,
        port: u16,
        recipe: u32,
        name: Option<&str>,
    ) -> Result<(), Problem> {
        let most = TARGETS_MAX_DEFAULT - self.len();
        let fitting = u32::try_from(range.count()).ok().filter(|&count| count as usize <= most);
        let count = fitting.ok_or_else(too_many)?;
        let Some(first) = range.addresses().next() else { return Ok(()) };
        let endpoint = Endpoint::new(first, port);
        self.chars_max = self.chars_max.max(match name {
            Some(name) => name.chars().count(),
            // The last address of a range may have a few digits more than the first.
            None => endpoint.to_string().len() + if count > 1 { 4 } else { 0 },
        });
        let first = bits(first);
        if !self.extends_last(first, port, recipe) || name.is_some() {
            let name = name.map(Box::from);
            self.entries.push(Entry { first, name, start: self.count, recipe, port });
        }
        self.count += count;
        Ok(())
    }

    /// Whether a target at `first` goes on where the last entry ends, so that it needs none of its
    /// own.
    fn extends_last(&self, first: u128, port: u16, recipe: u32) -> bool {
        self.entries.last().is_some_and(|last| {
            let next = last.first.checked_add(u128::from(self.count - last.start));
            last.name.is_none() && (last.port, last.recipe) == (port, recipe) && next == Some(first)
        })
    }

    /// What to probe, in the order of the list.
    pub fn shots(&self) -> impl Iterator<Item = Shot> {
        let ends = self.entries.iter().skip(1).map(|entry| entry.start);
        let ends = ends.chain(std::iter::once(self.count));
        self.entries.iter().zip(ends).flat_map(|(entry, end)| {
            (0..end - entry.start)
                .map(|place| Shot { recipe: entry.recipe, endpoint: entry.endpoint(place) })
        })
    }

    /// Name (where it is not address and port) and endpoint of the target in `place`, below
    /// [`Targets::len`].
    #[must_use]
    pub fn find(&self, place: u32) -> (Option<&str>, Endpoint) {
        let index = self.entries.partition_point(|entry| entry.start <= place) - 1;
        let entry = &self.entries[index];
        (entry.name.as_deref(), entry.endpoint(place - entry.start))
    }
}

impl Entry {
    fn endpoint(&self, place: u32) -> Endpoint {
        let ip = Ipv6Addr::from_bits(self.first + u128::from(place));
        Endpoint::new(ip.to_canonical(), self.port)
    }
}

fn too_many() -> Problem {
    let most = crate::cli::units::count(TARGETS_MAX_DEFAULT as u64);
    Problem::new(
        format!("more than {most} targets"),
        "probe them in parts, or let 'ringcheck serve' do it",
    )
}

const fn bits(address: std::net::IpAddr) -> u128 {
    match address {
        std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        std::net::IpAddr::V6(ip) => ip.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::targets::parse_target;

    fn push(targets: &mut Targets, text: &str, recipe: u32, name: Option<&str>) {
        let range = parse_target(text).unwrap();
        targets.push(range, range.port.unwrap(), recipe, name).unwrap();
    }

    #[test]
    fn places_find_their_targets_back() {
        let mut targets = Targets::default();
        push(&mut targets, "10.0.0.0/30:80", 0, None);
        push(&mut targets, "10.0.0.4:80", 0, None);
        push(&mut targets, "10.0.0.5:80", 0, Some("five"));
        push(&mut targets, "10.0.0.6:80", 0, None);
        push(&mut targets, "10.0.0.7:81", 0, None);
        push(&mut targets, "10.0.0.8:81", 1, None);
        push(&mut targets, "[::1]:81", 1, None);
        push(&mut targets, "10.0.0.9:81", 1, None);
        assert_eq!(targets.entries.len(), 7, "four and one are one");
        let shots: Vec<_> = targets.shots().collect();
        assert_eq!((targets.len(), shots.len()), (11, 11));
        for (place, shot) in (0..).zip(&shots) {
            let (name, endpoint) = targets.find(place);
            assert_eq!(endpoint, shot.endpoint);
            assert_eq!(name, if place == 5 { Some("five") } else { None });
        }
        let text: Vec<_> =
            shots.iter().map(|shot| format!("{}/{}", shot.endpoint, shot.recipe)).collect();
        assert_eq!(
            text[3..7],
            ["10.0.0.3:80/0", "10.0.0.4:80/0", "10.0.0.5:80/0", "10.0.0.6:80/0"]
        );
        assert_eq!(text[7..], ["10.0.0.7:81/0", "10.0.0.8:81/1", "[::1]:81/1", "10.0.0.9:81/1"]);
    }

    #[test]
    fn a_large_range_costs_one_entry_and_too_large_a_one_is_refused() {
        let mut targets = Targets::default();
        push(&mut targets, "10.0.0.0/12:80", 0, None);
        assert_eq!((targets.len(), targets.entries.len()), (1 << 20, 1));
        let last = Endpoint::new("10.15.255.255".parse().unwrap(), 80);
        assert_eq!(targets.find((1 << 20) - 1), (None, last));
        for text in ["11.0.0.0/8", "0.0.0.0/0", "::/0", "12.0.0.0/12"] {
            let error = targets.push(parse_target(text).unwrap(), 80, 0, None).unwrap_err();
            assert!(error.what.starts_with("more than 2,000,000 targets"), "{text}: {error}");
        }
        push(&mut targets, "11.0.0.0/13:80", 0, None);
    }
}
