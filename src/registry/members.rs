//! The targets of one group, packed: 18 bytes per target where they are registered in the order of
//! their addresses with no more said of them, else up to 37 (besides the text of given ids).
//!
//! No target owns a string: zones are interned, ids that are addresses are not stored, and the ids
//! that were given lie one after another in one text. The index by id is a sorted permutation.

use super::numbers::Numbers;
use crate::config::identity::{self, Id, Identity, sorted_positions};
use crate::config::{Lifecycle, TargetConfig, ZONE_ALL};
use crate::endpoint::Endpoint;
use crate::report::TargetId;
use crate::time::Instant;
use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The weight of a target that was given none.
const WEIGHT: u16 = 100;

/// The targets of a group as a structure of arrays, all of one length, in registration order.
/// Arrays of what may be given are empty where no target was given it.
#[derive(Debug, Default)]
pub struct Members {
    /// State table ids.
    targets: Numbers,
    /// Address and traffic port.
    pub endpoints: Box<[Endpoint]>,
    weights: Box<[u16]>,
    lifecycles: Box<[Lifecycle]>,
    /// Index into `zones`; `u32::MAX`: no zone was given.
    zone_of: Box<[u32]>,
    /// Each zone's name, and whether a load balancer enables it.
    zones: Box<[(Arc<str>, bool)]>,
    /// All given ids, one after another.
    id_text: Box<str>,
    /// Where each member's part of `id_text` ends; an empty part: its id is its address.
    id_ends: Box<[u32]>,
    /// Positions ordered by (id, port).
    sorted: Numbers,
    /// Positions ordered by (address, port), where that is another order and was asked for.
    placed: OnceLock<Numbers>,
    /// Position of each one that drains, ascending, and when it is gone.
    drains: Box<[(u32, Instant)]>,
    /// Each one's number in the order of registration, ascending; empty: its position.
    serials: Box<[u64]>,
    /// The number of the next one that is registered.
    next_serial: u64,
}

/// What members are packed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// Id where one was given.
    id: Option<&'a str>,
    endpoint: Endpoint,
    zone: Option<&'a Arc<str>>,
    weight: u16,
    lifecycle: Lifecycle,
    /// When it is gone, where it drains.
    pub(super) drains_until: Option<Instant>,
}

/// What is given for any target of a list.
#[derive(Clone, Copy, Debug, Default)]
struct Given {
    id: bool,
    zone: bool,
    weight: bool,
    lifecycle: bool,
    drains: bool,
}

impl Given {
    fn with(self, entry: Entry<'_>) -> Self {
        Self {
            id: self.id || entry.id.is_some(),
            zone: self.zone || entry.zone.is_some(),
            weight: self.weight || entry.weight != WEIGHT,
            lifecycle: self.lifecycle || entry.lifecycle != Lifecycle::Running,
            drains: self.drains || entry.drains_until.is_some(),
        }
    }
}

impl<'a> Entry<'a> {
    /// A configured target.
    pub(super) fn of(target: &'a TargetConfig) -> Self {
        Self {
            id: target.id.as_deref(),
            endpoint: target.endpoint,
            zone: target.zone.as_ref(),
            weight: target.weight.unwrap_or(WEIGHT),
            lifecycle: target.lifecycle,
            drains_until: None,
        }
    }
}

/// One member, assembled for the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// State table id.
    pub target: TargetId,
    /// Its id: as given, or its address.
    pub id: Cow<'a, str>,
    /// Address and traffic port.
    pub endpoint: Endpoint,
    /// Zone, where one was given.
    pub zone: Option<&'a str>,
    /// Weight.
    pub weight: u16,
    /// Whether it runs.
    pub lifecycle: Lifecycle,
}

impl Members {
    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// The member at `position`, which is below [`Members::len`].
    #[must_use]
    pub fn get(&self, position: usize) -> Member<'_> {
        let endpoint = self.endpoints[position];
        let id = match self.given_id(position) {
            "" => Cow::Owned(endpoint.ip().to_string()),
            id => Cow::Borrowed(id),
        };
        Member {
            target: self.target(position),
            id,
            endpoint,
            zone: self.zone(position),
            weight: self.weight(position),
            lifecycle: self.lifecycle(position),
        }
    }

    /// The state table id of the member at `position`.
    #[must_use]
    pub fn target(&self, position: usize) -> TargetId {
        TargetId(self.targets.at(position))
    }

    /// The state table ids of all members.
    #[must_use]
    pub fn targets(&self) -> impl ExactSizeIterator<Item = TargetId> + Clone + '_ {
        self.targets.within(0..self.len()).map(TargetId)
    }

    /// State table ids that go up one by one from member to member, each row with the position
    /// where it begins.
    pub(super) fn rows(&self) -> impl Iterator<Item = (u32, Range<u32>)> + '_ {
        self.targets.rows().map(|(begin, ids)| (position_u32(begin), ids))
    }

    /// Gives each member its state table id, in order.
    pub(super) fn seat(&mut self, targets: impl Iterator<Item = TargetId>) {
        self.targets = targets.map(|target| target.0).collect::<Box<[u32]>>().into();
        debug_assert_eq!(self.targets.len(), self.len());
    }

    /// The position of the target called `id` (an address in any spelling, or a given id) with
    /// traffic port `port`; where no port is asked for, that of the lowest port. O(log n).
    #[must_use]
    pub fn find(&self, id: &str, port: Option<u16>) -> Option<usize> {
        let id = Id::parse(id);
        self.named(id, port).next().map(|position| position as usize)
    }

    /// The positions of all targets called `id`, those with traffic port `port` where one is asked
    /// for, ordered by port. O(log n).
    #[must_use]
    pub fn find_all(
        &self,
        id: &str,
        port: Option<u16>,
    ) -> impl ExactSizeIterator<Item = u32> + Clone + '_ {
        self.named(Id::parse(id), port)
    }

    /// The position of the target with this given id (none: its address), and this endpoint. Looks
    /// at `guess` first, so that a list in the order of registration costs one pass.
    #[must_use]
    pub fn locate(&self, id: Option<&str>, endpoint: Endpoint, guess: usize) -> Option<usize> {
        let identity = identity::identity(id, endpoint);
        let is_hit = guess < self.len() && self.identity(guess) == identity;
        let position = if is_hit { Some(guess) } else { self.position_of(identity) };
        // Another address under an old name is another target.
        position.filter(|&position| self.endpoints[position] == endpoint)
    }

    /// The id that was given to the member at `position`; none: its id is its address.
    #[must_use]
    pub fn own_id(&self, position: usize) -> Option<&str> {
        Some(self.given_id(position)).filter(|id| !id.is_empty())
    }

    /// The weight of the member at `position`; 100 where none was given.
    #[must_use]
    pub fn weight(&self, position: usize) -> u16 {
        self.weights.get(position).copied().unwrap_or(WEIGHT)
    }

    /// Whether the member at `position` runs.
    #[must_use]
    pub fn lifecycle(&self, position: usize) -> Lifecycle {
        self.lifecycles.get(position).copied().unwrap_or_default()
    }

    /// The zone of the member at `position`, where one was given.
    #[must_use]
    pub fn zone(&self, position: usize) -> Option<&str> {
        self.zone_name(position).map(|name| &**name)
    }

    /// Whether a load balancer enables the zone of the member at `position`; one without a zone, or
    /// with [`ZONE_ALL`], is in every zone.
    #[must_use]
    pub fn zone_enabled(&self, position: usize) -> bool {
        let zone = self.zone_of.get(position).copied().unwrap_or(u32::MAX);
        self.zones.get(zone as usize).is_none_or(|&(_, enabled)| enabled)
    }

    /// When the member at `position` is gone, where it was deregistered and drains.
    #[must_use]
    pub fn drains_until(&self, position: usize) -> Option<Instant> {
        let found = self.drains.binary_search_by_key(&position, |&(at, _)| at as usize);
        found.ok().map(|index| self.drains[index].1)
    }

    /// When the first member that drains is gone; none where none drains.
    #[must_use]
    pub fn first_drain_end(&self) -> Option<Instant> {
        self.drains.iter().map(|&(_, end)| end).min()
    }

    /// How many members are registered: all but those that drain.
    #[must_use]
    pub fn registered(&self) -> usize {
        self.len() - self.drains.len()
    }

    /// The number of the member at `position` in the order of registration. It stays the same while
    /// the target is a member, and nobody has it afterwards.
    #[must_use]
    pub fn serial(&self, position: usize) -> u64 {
        self.serials.get(position).copied().unwrap_or(position as u64)
    }

    /// The first position behind all members with this number or a lower one. O(log n).
    #[must_use]
    pub fn behind(&self, serial: u64) -> usize {
        if self.serials.is_empty() {
            return usize::try_from(serial)
                .map_or(self.len(), |s| s.saturating_add(1))
                .min(self.len());
        }
        self.serials.partition_point(|&other| other <= serial)
    }

    /// Bytes on the heap, without the names of zones.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.targets.bytes()
            + size_of_val(&*self.endpoints)
            + size_of_val(&*self.weights)
            + size_of_val(&*self.lifecycles)
            + size_of_val(&*self.zone_of)
            + self.id_text.len()
            + size_of_val(&*self.id_ends)
            + self.sorted.bytes()
            + self.placed.get().map_or(0, Numbers::bytes)
            + size_of_val(&*self.drains)
            + size_of_val(&*self.serials)
    }

    /// Packs `len` entries, all but the state table ids. `serials` are the numbers of the first of
    /// them in the order of registration; whoever comes behind is new, and numbered from
    /// `next_serial` on. `zones` are the enabled ones, none: all.
    pub(super) fn pack<'a>(
        len: usize,
        entry: impl Fn(usize) -> Entry<'a>,
        serials: Vec<u64>,
        next_serial: u64,
        zones: Option<&[Box<str>]>,
    ) -> Self {
        let entries = || (0..len).map(&entry);
        let added = (len - serials.len()) as u64;
        let mut members = Self {
            endpoints: entries().map(|entry| entry.endpoint).collect(),
            next_serial: next_serial + added,
            ..Self::default()
        };
        let given = entries().fold(Given::default(), Given::with);
        if given.weight {
            members.weights = entries().map(|entry| entry.weight).collect();
        }
        if given.lifecycle {
            members.lifecycles = entries().map(|entry| entry.lifecycle).collect();
        }
        if given.zone {
            members.pack_zones(entries().map(|entry| entry.zone), zones);
        }
        if given.id {
            members.pack_ids(entries().map(|entry| entry.id.unwrap_or("")));
        }
        if given.drains {
            let ends = entries().map(|entry| entry.drains_until).enumerate();
            let drains = ends.filter_map(|(at, end)| Some((position_u32(at), end?)));
            members.drains = drains.collect();
        }
        let serials = serials.into_iter().chain(next_serial..next_serial + added);
        if serials.clone().ne(0..len as u64) {
            members.serials = serials.collect();
        }
        members.sorted = sorted(len, |position| members.identity(position));
        members
    }

    /// What the member at `position` was packed from.
    pub(super) fn entry(&self, position: usize) -> Entry<'_> {
        Entry {
            id: self.own_id(position),
            endpoint: self.endpoints[position],
            zone: self.zone_name(position),
            weight: self.weight(position),
            lifecycle: self.lifecycle(position),
            drains_until: self.drains_until(position),
        }
    }

    /// Whether any member was given an id.
    #[must_use]
    pub const fn has_ids(&self) -> bool {
        !self.id_ends.is_empty()
    }

    /// The member at `position` as it would be configured.
    #[must_use]
    pub fn config(&self, position: usize) -> TargetConfig {
        let entry = self.entry(position);
        TargetConfig {
            id: entry.id.map(Into::into),
            endpoint: entry.endpoint,
            zone: entry.zone.cloned(),
            weight: Some(entry.weight),
            lifecycle: entry.lifecycle,
        }
    }

    /// The number of the next member that is registered: never one that somebody had.
    #[must_use]
    pub const fn next_serial(&self) -> u64 {
        self.next_serial
    }

    /// Positions ordered by identity, for merging with another list.
    pub(super) fn sorted(&self) -> impl Iterator<Item = u32> + '_ {
        self.sorted.within(0..self.len())
    }

    /// The positions of all members at this address (and traffic port), whatever their ids. O(log
    /// n); where ids were given, the first time O(n log n).
    pub(super) fn placed(
        &self,
        address: IpAddr,
        port: Option<u16>,
    ) -> impl ExactSizeIterator<Item = u32> + Clone + '_ {
        let place = |position: usize| identity::identity(None, self.endpoints[position]);
        let placed = if self.has_ids() {
            self.placed.get_or_init(|| sorted(self.len(), place))
        } else {
            &self.sorted
        };
        placed.within(among(placed, Id::address(address), port, place))
    }

    /// What a target is known by within its group: its id and traffic port.
    pub(super) fn identity(&self, position: usize) -> Identity<'_> {
        identity::identity(self.own_id(position), self.endpoints[position])
    }

    /// The position of the target with this identity. O(log n).
    pub(super) fn position_of(&self, identity: Identity<'_>) -> Option<usize> {
        let (id, port) = identity;
        self.named(id, Some(port)).next().map(|position| position as usize)
    }

    fn named(
        &self,
        id: Id<'_>,
        port: Option<u16>,
    ) -> impl ExactSizeIterator<Item = u32> + Clone + '_ {
        self.sorted.within(among(&self.sorted, id, port, |position| self.identity(position)))
    }

    fn zone_name(&self, position: usize) -> Option<&Arc<str>> {
        let zone = *self.zone_of.get(position)?;
        self.zones.get(zone as usize).map(|(name, _)| name)
    }

    /// The id that was given to the member at `position`, or nothing.
    fn given_id(&self, position: usize) -> &str {
        let Some(&end) = self.id_ends.get(position) else { return "" };
        let start = position.checked_sub(1).map_or(0, |before| self.id_ends[before]);
        &self.id_text[start as usize..end as usize]
    }

    fn pack_zones<'a>(
        &mut self,
        zones_of: impl Iterator<Item = Option<&'a Arc<str>>>,
        enabled: Option<&[Box<str>]>,
    ) {
        let mut index: HashMap<&str, u32> = HashMap::new();
        let mut zones = Vec::new();
        let zone_of = zones_of.map(|zone| {
            let Some(zone) = zone else { return u32::MAX };
            *index.entry(zone).or_insert_with(|| {
                let is_in = |all: &[Box<str>]| all.iter().any(|name| **name == **zone);
                let enabled = &**zone == ZONE_ALL || enabled.is_none_or(is_in);
                zones.push((Arc::clone(zone), enabled));
                position_u32(zones.len() - 1)
            })
        });
        self.zone_of = zone_of.collect();
        self.zones = zones.into();
    }

    fn pack_ids<'a>(&mut self, ids: impl Iterator<Item = &'a str> + Clone) {
        let mut text = String::with_capacity(ids.clone().map(str::len).sum());
        let ends = ids.map(|id| {
            text.push_str(id);
            position_u32(text.len())
        });
        self.id_ends = ends.collect();
        self.id_text = text.into();
    }
}

/// The positions below `len` in the order of their identities.
fn sorted<'a>(len: usize, identity: impl Fn(usize) -> Identity<'a>) -> Numbers {
    let len_u32 = position_u32(len);
    if (1..len).all(|position| identity(position - 1) < identity(position)) {
        return Numbers::Row(0..len_u32);
    }
    sorted_positions(len_u32, identity).into()
}

/// Where in `order`, that of `identity`, the positions with this id and this port (none: any) are.
fn among<'a>(
    order: &Numbers,
    id: Id<'_>,
    port: Option<u16>,
    identity: impl Fn(usize) -> Identity<'a>,
) -> Range<usize> {
    let (first, last) = (port.unwrap_or(0), port.unwrap_or(u16::MAX));
    let at = |position: u32| identity(position as usize);
    let from = order.partition_point(0, |position| at(position) < (id, first));
    from..order.partition_point(from, |position| at(position) <= (id, last))
}

/// A position or an offset of id text; `limits` keeps both below 2^32.
pub(super) fn position_u32(position: usize) -> u32 {
    u32::try_from(position).expect("TARGETS_MAX x TARGET_ID_CHARS_MAX is below 2^32")
}
