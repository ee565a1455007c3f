//! Why an edit is not carried out; nothing of it holds then.

use std::fmt;

/// See the module's head. The text is one line, `what; cure`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// There is no such object.
    #[error("no {kind} '{name}'; name one that exists")]
    Unknown {
        /// What was meant.
        kind: Kind,
        /// How it was called.
        name: String,
    },
    /// The target is not registered.
    #[error("no target '{target}' in group '{group}'; name one that is registered")]
    UnknownTarget {
        /// The group's name.
        group: String,
        /// Its id, with its port if one was given.
        target: String,
    },
    /// The name or id is taken.
    #[error("{kind} '{name}' exists; choose another name, or change that one")]
    Exists {
        /// What there is.
        kind: Kind,
        /// Its name or id.
        name: String,
    },
    /// The object belongs to the configuration file.
    #[error("{kind} '{name}' is from the file {file}; change it there and reload")]
    ReadOnly {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
        /// The configuration's file.
        file: String,
    },
    /// Something else needs the object.
    #[error("{kind} '{name}' is in use by {by}; remove that first")]
    InUse {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
        /// Who needs it: `listener 'web'`.
        by: String,
    },
    /// Another listener of the load balancer has the port.
    #[error("load balancer '{load_balancer}' has a listener on port {port}; choose another port")]
    PortTaken {
        /// Its name.
        load_balancer: String,
        /// The port.
        port: u16,
    },
    /// The settings have changed since they were read; read them again.
    #[error("the settings have changed meanwhile; read them again and repeat the change")]
    Stale,
    /// One more would be too many.
    #[error("more than {limit} {what}; remove some first")]
    TooMany {
        /// Of what: `targets`.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// Nobody can carry it out now.
    #[error("{0}")]
    Unavailable(String),
    /// It could not be made durable.
    #[error("{0}")]
    Store(String),
}

/// Kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the design")]
pub enum Kind {
    Group,
    LoadBalancer,
    Listener,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Group => "group",
            Self::LoadBalancer => "load balancer",
            Self::Listener => "listener",
        })
    }
}
