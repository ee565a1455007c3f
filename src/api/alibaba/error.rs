//! Errors as Alibaba's clients know them: a status, a code with the parameter or the kind of object
//! behind a dot, and one line for people.
//!
//! Codes are those of the NLB API and of its gateway as far as they are published; a change of what
//! a file owns is `OperationDenied`.

use crate::api::form::FormError;
use crate::api::query::crop;
use crate::edit::{EditError, Kind};
use axum::http::StatusCode;
use std::borrow::Cow;

/// See the module's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AlibabaError {
    /// HTTP status.
    pub(super) status: StatusCode,
    /// A CamelCase word for programs.
    pub(super) code: Cow<'static, str>,
    /// One line.
    pub(super) message: String,
}

impl AlibabaError {
    /// An error with everything given.
    pub(super) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }

    /// 400 with a code of its own.
    pub(super) fn bad(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 400: a parameter whose value cannot be.
    pub(super) fn illegal(name: &str, why: impl std::fmt::Display) -> Self {
        let name = crop(name);
        Self::bad("IllegalParam", format!("The param of {name} is illegal: {why}"))
    }

    /// 400: a parameter that must be given.
    pub(super) fn missing(name: &str) -> Self {
        let name = crop(name);
        Self::bad(format!("MissingParam.{name}"), format!("The param of {name} is missing."))
    }

    /// 404: no object of this kind has this id.
    pub(super) fn not_found(kind: Kind, id: &str) -> Self {
        let word = word(kind);
        let message = format!("The specified resource {word} '{}' is not found.", crop(id));
        Self::new(StatusCode::NOT_FOUND, format!("ResourceNotFound.{word}"), message)
    }

    /// 404: no such server in the server group.
    pub(super) fn server_not_found(server: &str) -> Self {
        let message =
            format!("The specified resource BackendServer '{}' is not found.", crop(server));
        Self::new(StatusCode::NOT_FOUND, "ResourceNotFound.BackendServer", message)
    }

    /// 400: it would have been done.
    pub(super) fn dry_run() -> Self {
        let message = "Request validation has been passed with DryRun flag set.";
        Self::bad("DryRunOperation", message)
    }

    /// 400: try again.
    pub(super) fn busy(message: impl Into<String>) -> Self {
        Self::bad("SystemBusy", message)
    }

    /// 503: the daemon cannot do it now.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
    }
}

/// The word for a kind of object behind the dot of a code.
const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Group => "serverGroup",
        Kind::LoadBalancer => "loadBalancer",
        Kind::Listener => "listener",
    }
}

impl From<FormError> for AlibabaError {
    fn from(error: FormError) -> Self {
        match &error {
            FormError::TooLong(_) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "IllegalParam", error.to_string())
            }
            FormError::TooMany => Self::bad("IllegalParam", error.to_string()),
            FormError::Encoding(name)
            | FormError::Name(name)
            | FormError::Twice(name)
            | FormError::Index(name)
            | FormError::NotText(name) => Self::illegal(name, &error),
        }
    }
}

impl From<EditError> for AlibabaError {
    fn from(error: EditError) -> Self {
        let message = error.to_string();
        match error {
            EditError::Unknown { kind, name } => Self::not_found(kind, &name),
            EditError::UnknownTarget { target, .. } => Self::server_not_found(&target),
            EditError::Exists { kind, .. } => {
                Self::bad(format!("ResourceAlreadyExist.{}", word(kind)), message)
            }
            EditError::ReadOnly { .. } => Self::bad("OperationDenied", message),
            EditError::InUse { kind, .. } => {
                Self::bad(format!("ResourceInUse.{}", word(kind)), message)
            }
            EditError::PortTaken { .. } => Self::bad("ResourceAlreadyExist.listener", message),
            EditError::Stale => Self::busy(message),
            EditError::TooMany { what, .. } => {
                Self::bad(format!("QuotaExceeded.{}", what.replace(' ', "")), message)
            }
            EditError::Unavailable(_) | EditError::Store(_) => Self::unavailable(message),
        }
    }
}
