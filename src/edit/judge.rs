//! What an edit makes of a registry, or why it cannot be: a pure function, the time an input.
//!
//! Nothing has happened when it answers. The keeper may throw the result away, for example because
//! it could not be made durable.

use super::targets;
use super::{Done, Edit, EditError, Kind};
use crate::config::{
    GroupConfig, ListenerConfig, LoadBalancerConfig, Source, TargetConfig, TargetName,
};
use crate::limits::{GROUPS_MAX, LISTENERS_MAX, LOAD_BALANCERS_MAX};
use crate::registry::{Change, Group, IdAllocator, Next, Plan, Registry};
use crate::time::Instant;
use std::sync::Arc;

/// Judges edits.
#[derive(Clone, Debug)]
pub struct Judge {
    /// The configuration's file, for messages.
    pub file: String,
    /// Targets of all groups together at most (`engine.max_targets`).
    pub targets_max: usize,
}

/// An edit that can be carried out.
#[derive(Debug)]
pub struct Judged {
    /// What whoever asked is told.
    pub done: Done,
    /// None: everything is as it was asked for already.
    pub step: Option<Step>,
}

/// The step to the next registry.
#[derive(Debug)]
pub struct Step {
    /// The registry with the edit.
    pub registry: Arc<Registry>,
    /// What the workers must do.
    pub change: Change,
    /// What the store must note.
    pub touched: Touched,
}

/// What an edit touched; whatever is named is as it stands in the registry before or after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// Settings of the group with this name; its targets are untouched.
    Group(String),
    /// The group with this id is gone, with its targets.
    GroupGone(String),
    /// Some targets of the group with this name. Those that are not its members now are gone.
    Targets(String, Vec<TargetName>),
    /// The load balancer with this id is new.
    LoadBalancer(String),
    /// The load balancer with this id is gone, with the listeners with these ids.
    LoadBalancerGone(String, Vec<String>),
    /// The listener with this id is new.
    Listener(String),
    /// The listener with this id is gone.
    ListenerGone(String),
}

/// One edit on its way.
pub(super) struct Case<'a> {
    pub(super) judge: &'a Judge,
    pub(super) registry: &'a Registry,
    ids: &'a mut IdAllocator,
    now: Instant,
}

impl Judge {
    /// What `edit` makes of `registry`; `ids` are those that it was built with, and are unchanged
    /// where the edit cannot be.
    ///
    /// # Errors
    /// Why the edit cannot be carried out.
    pub fn judge(
        &self,
        registry: &Registry,
        edit: Edit,
        ids: &mut IdAllocator,
        now: Instant,
    ) -> Result<Judged, EditError> {
        let case = Case { judge: self, registry, ids, now };
        match edit {
            Edit::CreateGroup(group) => case.create_group(&group),
            Edit::ChangeGroup { group, based_on } => case.change_group(*group, based_on),
            Edit::DeleteGroup { group } => case.delete_group(&group),
            Edit::Register { group, targets } => targets::register(case, &group, targets),
            Edit::Deregister { group, targets, unknown } => {
                targets::deregister(case, &group, &targets, unknown)
            }
            Edit::Mark { group, marks } => targets::mark(case, &group, &marks),
            Edit::CreateLoadBalancer(load_balancer) => case.create_load_balancer(*load_balancer),
            Edit::DeleteLoadBalancer { load_balancer } => case.delete_load_balancer(&load_balancer),
            Edit::CreateListener(listener) => case.create_listener(*listener),
            Edit::DeleteListener { listener } => case.delete_listener(&listener),
        }
    }

    /// An error where the object is from the file.
    fn writable(&self, kind: Kind, name: &str, source: Source) -> Result<(), EditError> {
        match source {
            Source::File => {
                Err(EditError::ReadOnly { kind, name: name.to_owned(), file: self.file.clone() })
            }
            Source::Native | Source::Aws | Source::Alibaba => Ok(()),
        }
    }
}

impl<'a> Case<'a> {
    fn create_group(self, group: &GroupConfig) -> Result<Judged, EditError> {
        let places = &self.registry.places;
        if let Some(taken) = [&group.name, &group.id].into_iter().find(|n| places.of(n).is_some()) {
            return Err(EditError::Exists { kind: Kind::Group, name: taken.clone() });
        }
        room("groups", self.registry.groups.len(), GROUPS_MAX)?;
        let mut plan = Plan::keep(self.registry);
        plan.groups.push(Next::Whole(group));
        Ok(self.step(&plan, Touched::Group(group.name.clone()), 0))
    }

    fn change_group(self, group: GroupConfig, based_on: u64) -> Result<Judged, EditError> {
        let (place, old) = self.group(&group.name)?;
        if old.changed != based_on {
            return Err(EditError::Stale);
        }
        // Who it is stays.
        let (name, id) = (old.config.name.clone(), old.config.id.clone());
        let mut settings = GroupConfig { name, id, targets: Vec::new(), ..group };
        settings.origin.source = old.config.origin.source;
        settings.origin.created_ms = old.config.origin.created_ms;
        if settings == old.config {
            return Ok(self.unchanged());
        }
        let name = settings.name.clone();
        let mut plan = Plan::keep(self.registry);
        let settings = Some(&settings);
        plan.groups[place] = Next::Edited { group: old, settings, register: &[], deregister: &[] };
        Ok(self.step(&plan, Touched::Group(name), 0))
    }

    fn delete_group(self, name: &str) -> Result<Judged, EditError> {
        let (place, group) = self.group(name)?;
        let name = &group.config.name;
        let user = self.registry.listeners.iter().find(|listener| listener.groups.contains(name));
        if let Some(listener) = user {
            let by = format!("listener '{}'", listener.name);
            return Err(EditError::InUse { kind: Kind::Group, name: name.clone(), by });
        }
        let changed = group.members.registered();
        let id = group.config.id.clone();
        let mut plan = Plan::keep(self.registry);
        plan.groups.remove(place);
        Ok(self.step(&plan, Touched::GroupGone(id), changed))
    }

    fn create_load_balancer(self, new: LoadBalancerConfig) -> Result<Judged, EditError> {
        let is_taken = |name: &&String| self.registry.load_balancer(name).is_some();
        if let Some(taken) = [&new.name, &new.id].into_iter().find(is_taken) {
            return Err(EditError::Exists { kind: Kind::LoadBalancer, name: taken.clone() });
        }
        room("load balancers", self.registry.load_balancers.len(), LOAD_BALANCERS_MAX)?;
        let id = new.id.clone();
        let mut plan = Plan::keep(self.registry);
        plan.load_balancers = plan.load_balancers.iter().cloned().chain([new]).collect();
        Ok(self.step(&plan, Touched::LoadBalancer(id), 0))
    }

    fn delete_load_balancer(self, name: &str) -> Result<Judged, EditError> {
        let kind = Kind::LoadBalancer;
        let found = self.registry.load_balancer(name);
        let old = found.ok_or_else(|| EditError::Unknown { kind, name: name.to_owned() })?;
        self.judge.writable(kind, &old.name, old.origin.source)?;
        let mut plan = Plan::keep(self.registry);
        let is_its = |listener: &&ListenerConfig| listener.load_balancer == old.name;
        let listeners = plan.listeners.iter().filter(is_its).map(|l| l.id.clone()).collect();
        plan.listeners = plan.listeners.iter().filter(|l| !is_its(l)).cloned().collect();
        plan.load_balancers =
            plan.load_balancers.iter().filter(|lb| lb.id != old.id).cloned().collect();
        Ok(self.step(&plan, Touched::LoadBalancerGone(old.id.clone(), listeners), 0))
    }

    fn create_listener(self, new: ListenerConfig) -> Result<Judged, EditError> {
        let is_taken = |name: &&String| self.registry.listener(name).is_some();
        if let Some(taken) = [&new.name, &new.id].into_iter().find(is_taken) {
            return Err(EditError::Exists { kind: Kind::Listener, name: taken.clone() });
        }
        let unknown = |kind, name: &str| EditError::Unknown { kind, name: name.to_owned() };
        let balancer = self.registry.load_balancers.iter().find(|lb| lb.name == new.load_balancer);
        if balancer.is_none() {
            return Err(unknown(Kind::LoadBalancer, &new.load_balancer));
        }
        let no_group = |name: &&String| self.registry.places.named(name).is_none();
        if let Some(group) = new.groups.iter().find(no_group) {
            return Err(unknown(Kind::Group, group));
        }
        let clash = |other: &ListenerConfig| {
            other.load_balancer == new.load_balancer && other.port == new.port
        };
        if self.registry.listeners.iter().any(clash) {
            let load_balancer = new.load_balancer;
            return Err(EditError::PortTaken { load_balancer, port: new.port });
        }
        room("listeners", self.registry.listeners.len(), LISTENERS_MAX)?;
        let id = new.id.clone();
        let mut plan = Plan::keep(self.registry);
        plan.listeners = plan.listeners.iter().cloned().chain([new]).collect();
        Ok(self.step(&plan, Touched::Listener(id), 0))
    }

    fn delete_listener(self, name: &str) -> Result<Judged, EditError> {
        let kind = Kind::Listener;
        let found = self.registry.listener(name);
        let old = found.ok_or_else(|| EditError::Unknown { kind, name: name.to_owned() })?;
        self.judge.writable(kind, &old.name, old.origin.source)?;
        let mut plan = Plan::keep(self.registry);
        plan.listeners = plan.listeners.iter().filter(|l| l.id != old.id).cloned().collect();
        Ok(self.step(&plan, Touched::ListenerGone(old.id.clone()), 0))
    }

    /// The group with this name or id, which the API may change, and its place.
    pub(super) fn group(&self, name: &str) -> Result<(usize, &'a Group), EditError> {
        let kind = Kind::Group;
        let unknown = || EditError::Unknown { kind, name: name.to_owned() };
        let place = self.registry.places.of(name).ok_or_else(unknown)?;
        let group = &*self.registry.groups[place];
        self.judge.writable(kind, &group.config.name, group.config.origin.source)?;
        Ok((place, group))
    }

    /// The edit of targets of the group at `place`.
    pub(super) fn edit_targets(
        self,
        place: usize,
        register: &[TargetConfig],
        deregister: &[u32],
        touched: Vec<TargetName>,
    ) -> Judged {
        let group = &*self.registry.groups[place];
        let mut plan = Plan::keep(self.registry);
        plan.groups[place] = Next::Edited { group, settings: None, register, deregister };
        let changed = register.len() + deregister.len();
        self.step(&plan, Touched::Targets(group.config.name.clone(), touched), changed)
    }

    /// Nothing need be done.
    pub(super) fn unchanged(&self) -> Judged {
        Judged { done: Done { revision: self.registry.revision, changed: 0 }, step: None }
    }

    fn step(self, plan: &Plan<'_>, touched: Touched, changed: usize) -> Judged {
        let (registry, change) = self.registry.next(plan, self.ids, self.now);
        let done = Done { revision: registry.revision, changed };
        let registry = Arc::new(registry);
        Judged { done, step: Some(Step { registry, change, touched }) }
    }
}

/// An error if there is no room for one more.
fn room(what: &'static str, count: usize, limit: usize) -> Result<(), EditError> {
    if count < limit { Ok(()) } else { Err(EditError::TooMany { what, limit }) }
}
