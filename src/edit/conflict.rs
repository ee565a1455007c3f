//! What a new configuration must not take away from, or have in common with, what the API made.

use super::Kind;
use crate::config::{Config, ListenerConfig, Source};
use crate::limits::{GROUPS_MAX, LISTENERS_MAX, LOAD_BALANCERS_MAX};
use crate::registry::Registry;
use std::collections::{HashMap, HashSet};

/// Why `config` cannot stand beside what the API made of `registry`; one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A name or an id is taken.
    #[error(
        "{kind} '{name}' of the file exists already, made through the API; rename one of the two, \
         or delete the other through the API"
    )]
    Taken {
        /// What it is.
        kind: Kind,
        /// The name or id.
        name: String,
    },
    /// The API's listener would be left without it.
    #[error(
        "listener '{listener}', made through the API, needs {kind} '{name}', which is not in the \
         file any more; put it back, or delete that listener first"
    )]
    Needed {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
        /// Who needs it.
        listener: String,
    },
    /// Listeners of both would have one port.
    #[error(
        "listener '{listener}' has port {port} of load balancer '{load_balancer}', which listener \
         '{other}', made through the API, has; choose another port, or delete that listener"
    )]
    PortTaken {
        /// The listener of the file.
        listener: String,
        /// That of the API.
        other: String,
        /// Name of their load balancer.
        load_balancer: String,
        /// The port.
        port: u16,
    },
    /// There would be too many objects of a kind.
    #[error("{count} {what} with those of the API, at most {limit} are possible; list fewer")]
    TooManyObjects {
        /// Of what: `groups`.
        what: &'static str,
        /// How many there are in both.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// There would be too many.
    #[error(
        "{count} targets with those of the API, engine.max_targets is {limit}; list fewer, or \
         raise it"
    )]
    TooMany {
        /// Targets of both.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

impl Conflict {
    /// The first conflict between `config` and the API's objects of `registry`.
    ///
    /// # Errors
    /// That conflict.
    pub fn check(config: &Config, registry: &Registry) -> Result<(), Self> {
        let of_api = |source: Source| source != Source::File;
        let groups = registry.groups.iter().filter(|group| !group.is_of_file());
        let groups: Vec<_> = groups.map(|group| &**group).collect();
        let mine = config.groups.iter().map(|group| [&group.name, &group.id]);
        let theirs = groups.iter().map(|group| [&group.config.name, &group.config.id]);
        taken(Kind::Group, mine, theirs)?;
        let balancers = registry.load_balancers.iter().filter(|lb| of_api(lb.origin.source));
        let mine = config.load_balancers.iter().map(|lb| [&lb.name, &lb.id]);
        taken(Kind::LoadBalancer, mine, balancers.clone().map(|lb| [&lb.name, &lb.id]))?;
        let listeners = registry.listeners.iter().filter(|l| of_api(l.origin.source));
        let mine = config.listeners.iter().map(|l| [&l.name, &l.id]);
        taken(Kind::Listener, mine, listeners.clone().map(|l| [&l.name, &l.id]))?;

        let group_names = config.groups.iter().map(|group| &group.name);
        let group_names = group_names.chain(groups.iter().map(|group| &group.config.name));
        let group_names: HashSet<_> = group_names.collect();
        let balancer_names = config.load_balancers.iter().map(|lb| &lb.name);
        let balancer_names = balancer_names.chain(balancers.map(|lb| &lb.name));
        let balancer_names: HashSet<_> = balancer_names.collect();
        let port = |listener: &ListenerConfig| (listener.load_balancer.clone(), listener.port);
        let ports: HashMap<_, _> = config.listeners.iter().map(|l| (port(l), &l.name)).collect();
        let balancers = registry.load_balancers.iter().filter(|lb| of_api(lb.origin.source));
        for (what, of_file, of_api, limit) in [
            ("groups", config.groups.len(), groups.len(), GROUPS_MAX),
            ("load balancers", config.load_balancers.len(), balancers.count(), LOAD_BALANCERS_MAX),
            ("listeners", config.listeners.len(), listeners.clone().count(), LISTENERS_MAX),
        ] {
            let count = of_file + of_api;
            if count > limit {
                return Err(Self::TooManyObjects { what, count, limit });
            }
        }
        for listener in listeners {
            if let Some(&of_file) = ports.get(&port(listener)) {
                return Err(Self::PortTaken {
                    listener: of_file.clone(),
                    other: listener.name.clone(),
                    load_balancer: listener.load_balancer.clone(),
                    port: listener.port,
                });
            }
            let needed = |kind, name: &String| {
                Err(Self::Needed { kind, name: name.clone(), listener: listener.name.clone() })
            };
            if !balancer_names.contains(&listener.load_balancer) {
                return needed(Kind::LoadBalancer, &listener.load_balancer);
            }
            if let Some(group) = listener.groups.iter().find(|name| !group_names.contains(name)) {
                return needed(Kind::Group, group);
            }
        }
        let limit = config.engine.max_targets;
        let of_file: usize = config.groups.iter().map(|group| group.targets.len()).sum();
        let count = of_file + groups.iter().map(|group| group.members.len()).sum::<usize>();
        if count > limit { Err(Self::TooMany { count, limit }) } else { Ok(()) }
    }
}

/// An error if a name or id is on both sides.
fn taken<'a>(
    kind: Kind,
    mine: impl Iterator<Item = [&'a String; 2]>,
    theirs: impl Iterator<Item = [&'a String; 2]>,
) -> Result<(), Conflict> {
    let theirs: HashSet<&String> = theirs.flatten().collect();
    match mine.flatten().find(|name| theirs.contains(name)) {
        Some(name) => Err(Conflict::Taken { kind, name: name.clone() }),
        None => Ok(()),
    }
}
