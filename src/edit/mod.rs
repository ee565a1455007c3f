//! Changes that the API makes: what can be asked, and what it makes of a registry.
//!
//! Every dialect parses its requests into an [`Edit`]; the keeper judges it against the registry of
//! the moment ([`Judge`]), makes it durable, installs the next registry, and only then answers. So
//! the rules that hold for all dialects (names are unique, objects of the file are read-only, a
//! group in use stays) are here and nowhere else.

mod conflict;
mod error;
mod judge;
mod targets;

pub use conflict::Conflict;
pub use error::{EditError, Kind};
pub use judge::{Judge, Judged, Step, Touched};

use crate::config::{
    GroupConfig, Lifecycle, ListenerConfig, LoadBalancerConfig, TargetConfig, TargetName,
};
use std::pin::Pin;

/// One change, all or nothing. Objects are named by name or id.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Makes a group without targets; [`EditError::Exists`] if its name or id is taken.
    CreateGroup(Box<GroupConfig>),
    /// Puts these settings in place of those of the group with this name.
    ChangeGroup {
        /// The whole next settings; name, id and targets stay as they are.
        group: Box<GroupConfig>,
        /// [`crate::registry::Group::changed`] of the settings that they were made from;
        /// [`EditError::Stale`] if others hold by now.
        based_on: u64,
    },
    /// Removes a group with its targets, without draining; not while a listener forwards to it.
    DeleteGroup {
        /// Name or id.
        group: String,
    },
    /// Registers targets. One that is registered gets the new zone, weight and lifecycle; one that
    /// drains is registered again.
    Register {
        /// Name or id.
        group: String,
        /// Unique by id and port.
        targets: Vec<TargetConfig>,
    },
    /// Deregisters targets: they drain.
    Deregister {
        /// Name or id.
        group: String,
        /// Without a port: all ports of the id.
        targets: Vec<TargetName>,
        /// What to do about those that are not registered.
        unknown: Unknown,
    },
    /// Marks registered targets.
    Mark {
        /// Name or id.
        group: String,
        /// In this order.
        marks: Vec<Mark>,
    },
    /// Makes a load balancer.
    CreateLoadBalancer(Box<LoadBalancerConfig>),
    /// Removes a load balancer and its listeners.
    DeleteLoadBalancer {
        /// Name or id.
        load_balancer: String,
    },
    /// Makes a listener; its load balancer and groups are there, and its port is free.
    CreateListener(Box<ListenerConfig>),
    /// Removes a listener.
    DeleteListener {
        /// Name or id.
        listener: String,
    },
}

/// What becomes of a request to deregister a target that is not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It is left out.
    Ignore,
    /// Nothing is done: [`EditError::UnknownTarget`].
    Refuse,
}

/// New marks of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Without a port: all ports of the id.
    pub target: TargetName,
    /// None: as it is.
    pub lifecycle: Option<Lifecycle>,
    /// None: as it is.
    pub weight: Option<u16>,
}

/// An edit that holds, and survives whatever happens to the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// The registry's revision with it.
    pub revision: u64,
    /// Targets that were registered, deregistered or marked.
    pub changed: usize,
}

/// What an edit is waited for with.
pub type EditFuture<'a> = Pin<Box<dyn Future<Output = Result<Done, EditError>> + Send + 'a>>;

/// Whoever carries edits out.
pub trait Edits: Send + Sync {
    /// Carries `edit` out. When the future is ready, the published view shows it.
    fn apply(&self, edit: Edit) -> EditFuture<'_>;
}
