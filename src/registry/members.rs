//! The targets of one group, packed: 28 bytes per target, and 9 more where zones, ids and
//! lifecycles are given (besides the text of the ids themselves).
//!
//! No target owns a string: zones are interned, ids that are addresses are not stored, and the ids
//! that were given lie one after another in one text. The index by id is a sorted permutation.

use crate::config::identity::{self, Id, Identity, sorted_positions};
use crate::config::{Lifecycle, TargetConfig};
use crate::endpoint::Endpoint;
use crate::report::TargetId;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// The targets of a group as a structure of arrays, all of one length, in registration order. The
/// private arrays are empty where every target has the default.
#[derive(Debug, Default)]
pub struct Members {
    /// State table ids.
    pub targets: Box<[TargetId]>,
    /// Address and traffic port.
    pub endpoints: Box<[Endpoint]>,
    /// Weight; 100 where none was given.
    pub weights: Box<[u16]>,
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
    sorted: Box<[u32]>,
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
            target: self.targets[position],
            id,
            endpoint,
            zone: self.zone(position),
            weight: self.weights[position],
            lifecycle: self.lifecycle(position),
        }
    }

    /// The position of the target called `id` (an address in any spelling, or a given id) with
    /// traffic port `port`; where no port is asked for, that of the lowest port. O(log n).
    #[must_use]
    pub fn find(&self, id: &str, port: Option<u16>) -> Option<usize> {
        let id = Id::parse(id);
        match port {
            Some(port) => self.position_of((id, port)),
            None => self.named(id).first().map(|&position| position as usize),
        }
    }

    /// The positions of all targets called `id`, ordered by port. O(log n).
    #[must_use]
    pub fn find_all(&self, id: &str) -> &[u32] {
        self.named(Id::parse(id))
    }

    /// Whether the member at `position` runs.
    #[must_use]
    pub fn lifecycle(&self, position: usize) -> Lifecycle {
        self.lifecycles.get(position).copied().unwrap_or_default()
    }

    /// The zone of the member at `position`, where one was given.
    #[must_use]
    pub fn zone(&self, position: usize) -> Option<&str> {
        let zone = *self.zone_of.get(position)?;
        self.zones.get(zone as usize).map(|(name, _)| &**name)
    }

    /// Whether a load balancer enables the zone of the member at `position`; one without a zone is
    /// in every zone.
    #[must_use]
    pub fn zone_enabled(&self, position: usize) -> bool {
        let zone = self.zone_of.get(position).copied().unwrap_or(u32::MAX);
        self.zones.get(zone as usize).is_none_or(|&(_, enabled)| enabled)
    }

    /// Bytes on the heap, without the text of given ids and zones.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.targets)
            + size_of_val(&*self.endpoints)
            + size_of_val(&*self.weights)
            + size_of_val(&*self.lifecycles)
            + size_of_val(&*self.zone_of)
            + size_of_val(&*self.id_ends)
            + size_of_val(&*self.sorted)
    }

    /// Packs `configs`, all but the state table ids; `zones` are the enabled ones, none: all.
    pub(super) fn pack(configs: &[TargetConfig], zones: Option<&[Box<str>]>) -> Self {
        let mut members = Self {
            endpoints: configs.iter().map(|target| target.endpoint).collect(),
            weights: configs.iter().map(|target| target.weight.unwrap_or(100)).collect(),
            ..Self::default()
        };
        if configs.iter().any(|target| target.lifecycle != Lifecycle::Running) {
            members.lifecycles = configs.iter().map(|target| target.lifecycle).collect();
        }
        if configs.iter().any(|target| target.zone.is_some()) {
            members.pack_zones(configs, zones);
        }
        if configs.iter().any(|target| target.id.is_some()) {
            members.pack_ids(configs);
        }
        let len = position_u32(members.len());
        members.sorted = sorted_positions(len, |position| members.identity(position));
        members
    }

    /// Positions ordered by identity, for merging two registries.
    pub(super) const fn sorted(&self) -> &[u32] {
        &self.sorted
    }

    /// What a target is known by within its group: its id and traffic port.
    pub(super) fn identity(&self, position: usize) -> Identity<'_> {
        let given = Some(self.given_id(position)).filter(|id| !id.is_empty());
        identity::identity(given, self.endpoints[position])
    }

    /// The position of the target with this identity.
    pub(super) fn position_of(&self, identity: Identity<'_>) -> Option<usize> {
        let by_identity = |&p: &u32| self.identity(p as usize).cmp(&identity);
        let index = self.sorted.binary_search_by(by_identity).ok()?;
        Some(self.sorted[index] as usize)
    }

    fn named(&self, id: Id<'_>) -> &[u32] {
        let from = self.sorted.partition_point(|&p| self.identity(p as usize).0 < id);
        let rest = &self.sorted[from..];
        let count = rest.partition_point(|&p| self.identity(p as usize).0 == id);
        &rest[..count]
    }

    /// The id that was given to the member at `position`, or nothing.
    fn given_id(&self, position: usize) -> &str {
        let Some(&end) = self.id_ends.get(position) else { return "" };
        let start = position.checked_sub(1).map_or(0, |before| self.id_ends[before]);
        &self.id_text[start as usize..end as usize]
    }

    fn pack_zones(&mut self, configs: &[TargetConfig], enabled: Option<&[Box<str>]>) {
        let mut index: HashMap<&str, u32> = HashMap::new();
        let mut zones = Vec::new();
        let zone_of = configs.iter().map(|target| {
            let Some(zone) = &target.zone else { return u32::MAX };
            *index.entry(zone).or_insert_with(|| {
                let enabled = enabled.is_none_or(|all| all.iter().any(|name| **name == **zone));
                zones.push((Arc::clone(zone), enabled));
                position_u32(zones.len() - 1)
            })
        });
        self.zone_of = zone_of.collect();
        self.zones = zones.into();
    }

    fn pack_ids(&mut self, configs: &[TargetConfig]) {
        let given = |target: &TargetConfig| target.id.as_deref().map_or(0, str::len);
        let mut text = String::with_capacity(configs.iter().map(given).sum());
        let ends = configs.iter().map(|target| {
            text.push_str(target.id.as_deref().unwrap_or(""));
            position_u32(text.len())
        });
        self.id_ends = ends.collect();
        self.id_text = text.into();
    }
}

/// A position or an offset of id text; `limits` keeps both below 2^32.
pub(super) fn position_u32(position: usize) -> u32 {
    u32::try_from(position).expect("TARGETS_MAX x TARGET_ID_CHARS_MAX is below 2^32")
}
