//! The targets of one group as they are collected: bounded before ranges are expanded, with the
//! place of each kept until the list is known to be without duplicates.

use super::TargetConfig;
use super::error::{ConfigError, Problem};
use super::identity::{identity_of, sorted_positions};
use super::target_file::Entry;
use super::targets::TargetRange;
use crate::endpoint::Endpoint;
use crate::limits::TARGETS_MAX;
use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// How many targets all groups together, or one body, may still have.
pub(super) struct Budget {
    most: usize,
    left: usize,
    /// What to do where they are too many for a body.
    body_cure: Option<&'static str>,
}

impl Budget {
    /// Of all files, `engine.max_targets`.
    pub(super) const fn new(most: usize) -> Self {
        Self { most, left: most, body_cure: None }
    }

    /// Of the body of a request.
    pub(super) const fn of_body(most: usize) -> Self {
        Self { most, left: most, body_cure: Some("send fewer at a time") }
    }

    /// Takes one target.
    pub(super) fn take_one(&mut self) -> Result<(), Problem> {
        self.take(TargetRange::single(Ipv4Addr::UNSPECIFIED.into(), None))
    }

    fn take(&mut self, range: TargetRange) -> Result<(), Problem> {
        let count = range.count();
        let left = usize::try_from(count).ok().and_then(|count| self.left.checked_sub(count));
        let Some(left) = left else {
            let what = match count {
                1 => format!("more than {} targets", self.most),
                _ => format!("range {range} has {count} addresses, {} are left", self.left),
            };
            if let Some(cure) = self.body_cure {
                return Err(Problem::new(what, cure));
            }
            let needed = (self.most - self.left) as u128;
            let can_raise = needed.saturating_add(count) <= TARGETS_MAX as u128;
            let hint = if can_raise { ", or raise it" } else { "" };
            let cure = format!("engine.max_targets is {}; list fewer{hint}", self.most);
            return Err(Problem::new(what, cure));
        };
        self.left = left;
        Ok(())
    }
}

/// The targets of one group so far.
pub(super) struct TargetList<'a> {
    /// Its name; none: the targets are those of a body.
    group: Option<&'a str>,
    default_port: Option<u16>,
    budget: &'a mut Budget,
    targets: Vec<TargetConfig>,
    zones: HashSet<Arc<str>>,
    /// The files that targets came from, the configuration first.
    sources: Vec<String>,
    /// Ascending by `start`.
    runs: Vec<Run>,
}

/// The targets from position `start` on stand in this line, until the next run.
struct Run {
    start: u32,
    source: u32,
    line: u32,
}

impl<'a> TargetList<'a> {
    pub(super) fn new(
        file: &str,
        group: &'a str,
        default_port: Option<u16>,
        budget: &'a mut Budget,
    ) -> Self {
        Self {
            group: Some(group),
            default_port,
            budget,
            targets: Vec::new(),
            zones: HashSet::new(),
            sources: vec![file.to_owned()],
            runs: Vec::new(),
        }
    }

    /// A list of the targets of a body, whose lines are their indexes.
    pub(super) fn of_body(default_port: Option<u16>, budget: &'a mut Budget) -> Self {
        Self { group: None, ..Self::new("", "", default_port, budget) }
    }

    /// The entries to come are from `file`.
    pub(super) fn source(&mut self, file: &str) {
        self.sources.push(file.to_owned());
    }

    pub(super) const fn targets_max(&self) -> usize {
        self.budget.most
    }

    /// Takes the targets of one entry in line `line`.
    pub(super) fn push(&mut self, entry: Entry, line: u32) -> Result<(), Problem> {
        let Entry { range, id, zone, weight, lifecycle } = entry;
        let port = range.port.or(self.default_port).ok_or_else(|| {
            let first = range.addresses().next().map(|ip| ip.to_string()).unwrap_or_default();
            let cure = "write it with a port, or set port in the group";
            Problem::new(format!("target {first} has no port"), cure)
        })?;
        self.budget.take(range)?;
        let zone = zone.map(|zone| self.zone(&zone));
        // The budget keeps both below 2^32.
        let start = u32::try_from(self.targets.len()).unwrap_or(u32::MAX);
        let source = u32::try_from(self.sources.len() - 1).unwrap_or(u32::MAX);
        self.runs.push(Run { start, source, line });
        if range.count() == 1 {
            let address = range.addresses().next();
            self.targets.extend(address.map(|address| {
                let endpoint = Endpoint::new(address, port);
                TargetConfig { id, endpoint, zone, weight, lifecycle }
            }));
            return Ok(());
        }
        self.targets.extend(range.addresses().map(|address| {
            let endpoint = Endpoint::new(address, port);
            TargetConfig { id: None, endpoint, zone: zone.clone(), weight, lifecycle }
        }));
        Ok(())
    }

    /// `file:line (group)`, for a line of the configuration itself; `targets[line]` for a body.
    pub(super) fn place(&self, line: u32) -> String {
        match self.group {
            Some(_) => format!("{}:{line} (group)", self.sources[0]),
            None => format!("targets[{line}]"),
        }
    }

    /// The targets, no two of which have the same id and port.
    pub(super) fn finish(mut self) -> Result<Vec<TargetConfig>, ConfigError> {
        if let Some((first, second)) = self.duplicate() {
            let target = &self.targets[second];
            let what = match &target.id {
                Some(id) => format!("target {id:?} with port {}", target.endpoint.port()),
                None => format!("target {}", target.endpoint),
            };
            let group = self.group.map(|group| format!(" in group {group:?}")).unwrap_or_default();
            let what = format!("{what} is given twice{group}");
            let cure = format!("it is also in {}; remove one of them", self.where_is(first));
            return Err(ConfigError::new(what, self.where_is(second), cure));
        }
        self.targets.shrink_to_fit();
        Ok(self.targets)
    }

    /// One zone's name for all of its targets.
    fn zone(&mut self, name: &str) -> Arc<str> {
        if let Some(zone) = self.zones.get(name) {
            return Arc::clone(zone);
        }
        let zone: Arc<str> = name.into();
        self.zones.insert(Arc::clone(&zone));
        zone
    }

    /// The first target that stood before, and where: positions of both. O(n) where the list is in
    /// order, else O(n log n).
    fn duplicate(&self) -> Option<(usize, usize)> {
        let targets = &self.targets;
        if targets.windows(2).all(|pair| identity_of(&pair[0]) < identity_of(&pair[1])) {
            return None;
        }
        let identity = |position: usize| identity_of(&targets[position]);
        let len = u32::try_from(targets.len()).unwrap_or(u32::MAX);
        let sorted = sorted_positions(len, identity);
        let pairs = sorted.windows(2).map(|pair| (pair[0] as usize, pair[1] as usize));
        let equal = pairs.filter(|&(a, b)| identity(a) == identity(b));
        equal.min_by_key(|&(_, second)| second)
    }

    /// File and line of the target at `position`.
    fn where_is(&self, position: usize) -> String {
        let run = self.runs.partition_point(|run| run.start as usize <= position);
        let Run { source, line, .. } = self.runs[run - 1];
        match source {
            0 => self.place(line),
            _ => format!("{}:{line}", self.sources[source as usize]),
        }
    }
}
