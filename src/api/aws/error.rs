//! What the AWS dialect says when it cannot do what was asked: AWS's code, status and text.
//!
//! Codes and statuses are those of the service's model, and the common ones of its query protocol;
//! texts are AWS's own wherever one of them is known.

use crate::edit::{EditError, Kind};
use axum::http::StatusCode;

/// An error of the AWS dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AwsError {
    /// HTTP status.
    pub(super) status: StatusCode,
    /// AWS's code.
    pub(super) code: &'static str,
    /// One line.
    pub(super) message: String,
}

impl AwsError {
    /// An error of the client: 400.
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }

    /// An error with a status of its own.
    pub(super) fn with_status(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { status, code, message: message.into() }
    }

    /// A value that cannot be.
    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationError", message)
    }

    /// Values that cannot be together.
    pub(super) fn configuration(message: impl Into<String>) -> Self {
        Self::new("InvalidConfigurationRequest", message)
    }

    /// No such group.
    pub(super) fn group_not_found() -> Self {
        Self::new("TargetGroupNotFound", "One or more target groups not found")
    }

    /// No such load balancer.
    pub(super) fn load_balancer_not_found() -> Self {
        Self::new("LoadBalancerNotFound", "One or more load balancers not found")
    }

    /// No such listener.
    pub(super) fn listener_not_found() -> Self {
        Self::new("ListenerNotFound", "One or more listeners not found")
    }

    /// Why an edit was refused; `read_only` is the code for objects of a file, which depends on
    /// what a call's model allows.
    pub(super) fn of_edit(error: &EditError, read_only: &'static str) -> Self {
        match error {
            EditError::Unknown { kind: Kind::Group, .. } => Self::group_not_found(),
            EditError::Unknown { kind: Kind::LoadBalancer, .. } => Self::load_balancer_not_found(),
            EditError::Unknown { kind: Kind::Listener, .. } => Self::listener_not_found(),
            EditError::Exists { kind, .. } => {
                let code = match kind {
                    Kind::Group => "DuplicateTargetGroupName",
                    Kind::LoadBalancer => "DuplicateLoadBalancerName",
                    Kind::Listener => "DuplicateListener",
                };
                Self::new(code, error.to_string())
            }
            EditError::ReadOnly { .. } => Self::new(read_only, error.to_string()),
            EditError::InUse { .. } => Self::new("ResourceInUse", error.to_string()),
            EditError::PortTaken { .. } => Self::new("DuplicateListener", error.to_string()),
            EditError::UnknownTarget { .. } => Self::new("InvalidTarget", error.to_string()),
            EditError::TooMany { what, .. } => {
                let code = match *what {
                    "targets" => "TooManyTargets",
                    "groups" => "TooManyTargetGroups",
                    "load balancers" => "TooManyLoadBalancers",
                    "listeners" => "TooManyListeners",
                    _ => "InvalidConfigurationRequest",
                };
                Self::new(code, error.to_string())
            }
            EditError::Stale | EditError::Unavailable(_) | EditError::Store(_) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Self::with_status(status, "ServiceUnavailable", error.to_string())
            }
        }
    }
}
