//! The targets of the simulated network, by address.

use super::peer::Behaviour;
use crate::endpoint::Endpoint;
use crate::rng::Rng;
use crate::time::nanos;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

/// What stands at one address.
#[derive(Clone, Debug)]
pub struct Peer {
    /// What it does.
    pub behaviour: Behaviour,
    /// Shortest and longest round trip; each is drawn evenly between them.
    pub round_trip: (Duration, Duration),
}

impl Peer {
    /// A peer with round trips between 200 µs and 2 ms.
    #[must_use]
    pub const fn new(behaviour: Behaviour) -> Self {
        let round_trip = (Duration::from_micros(200), Duration::from_millis(2));
        Self { behaviour, round_trip }
    }

    pub(super) fn round_trip(&self, rng: &mut Rng) -> Duration {
        let (shortest, longest) = self.round_trip;
        shortest + Duration::from_nanos(rng.below(nanos(longest.saturating_sub(shortest)) + 1))
    }
}

/// All peers. They are numbered in the order in which they were added, from 0.
#[derive(Clone, Debug, Default)]
pub struct Network {
    peers: Vec<Peer>,
    by_endpoint: HashMap<Endpoint, u32, foldhash::fast::FixedState>,
}

impl Network {
    /// A network without peers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a peer, or replaces the one at that address; returns its number.
    pub fn add(&mut self, address: SocketAddr, peer: Peer) -> u32 {
        let next = u32::try_from(self.peers.len()).expect("fewer than 2^32 peers");
        let index = *self.by_endpoint.entry(address.into()).or_insert(next);
        if index == next {
            self.peers.push(peer);
        } else {
            self.peers[index as usize] = peer;
        }
        index
    }

    /// Makes peer `index` behave like this from its next connection on.
    ///
    /// # Panics
    /// Where there is no such peer.
    pub fn behave(&mut self, index: u32, behaviour: Behaviour) {
        self.peers[index as usize].behaviour = behaviour;
    }

    /// The number of the peer at an address.
    #[must_use]
    pub fn find(&self, address: SocketAddr) -> Option<u32> {
        self.by_endpoint.get(&address.into()).copied()
    }

    /// Peer `index`.
    ///
    /// # Panics
    /// Where there is no such peer.
    #[must_use]
    pub fn peer(&self, index: u32) -> &Peer {
        &self.peers[index as usize]
    }

    /// How many peers there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_peer() {
        let mut network = Network::new();
        let address = |port| SocketAddr::from(([10, 0, 0, 1], port));
        assert_eq!(network.add(address(1), Peer::new(Behaviour::Refuse)), 0);
        assert_eq!(network.add(address(2), Peer::new(Behaviour::Refuse)), 1);
        assert_eq!(network.add(address(1), Peer::new(Behaviour::Silent)), 0);
        assert_eq!(network.peer(0).behaviour, Behaviour::Silent);
        assert_eq!((network.find(address(2)), network.find(address(3))), (Some(1), None));
        assert_eq!(network.len(), 2);
    }

    #[test]
    fn round_trips_stay_within_their_bounds() {
        let peer = Peer::new(Behaviour::Refuse);
        let mut rng = Rng::new(3);
        for _ in 0..1_000 {
            let drawn = peer.round_trip(&mut rng);
            assert!(drawn >= peer.round_trip.0 && drawn <= peer.round_trip.1);
        }
    }
}
