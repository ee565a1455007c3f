//! Names that AWS allows for groups and load balancers: at most 32 letters, digits and hyphens.

use super::crop;
use super::error::AwsError;

const CHARS_MAX: usize = 32;

/// An error unless `name` can be the name of a `kind`, as `Target group`.
pub(super) fn check(kind: &str, name: &str) -> Result<(), AwsError> {
    let wrong = |what: &str| {
        let message = format!("{kind} name '{}' {what}", crop(name));
        Err(AwsError::validation(message))
    };
    if name.is_empty() {
        return wrong("cannot be empty");
    }
    if name.chars().count() > CHARS_MAX {
        return wrong("cannot be longer than '32' characters");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return wrong("can only contain characters that are alphanumeric characters or hyphens(-)");
    }
    if name.starts_with('-') || name.ends_with('-') {
        return wrong("cannot begin or end with '-'");
    }
    Ok(())
}
