//! Targets in the body of a request: `{"targets":[…]}`, all of them or an error that says which one
//! is wrong, as `targets[17].port`.

use super::error::ConfigError;
use super::target_json;
use super::target_list::{Budget, TargetList};
use super::{TargetConfig, TargetName};

/// The targets of `body`, whose objects are those of targets files: `id`, `address`, `port`,
/// `zone`, `weight`, `lifecycle`. Those without a port have `default_port`. At most `targets_max`,
/// no two of which have the same id and port.
///
/// # Errors
/// The first thing that is wrong, as one line `what, where; cure`.
pub fn targets(
    body: &[u8],
    default_port: Option<u16>,
    targets_max: usize,
) -> Result<Vec<TargetConfig>, ConfigError> {
    let mut budget = Budget::of_body(targets_max);
    let mut list = TargetList::of_body(default_port, &mut budget);
    target_json::read_targets(body, &mut |entry, index| {
        list.push(entry, index).map_err(|problem| problem.at(format!("targets[{index}]")))
    })?;
    list.finish()
}

/// The names in `body`, whose objects are `{"id","port"}` or `{"address","port"}`, the port
/// optional. At most `targets_max`; the same name may come twice.
///
/// # Errors
/// As [`targets`].
pub fn names(body: &[u8], targets_max: usize) -> Result<Vec<TargetName>, ConfigError> {
    let mut budget = Budget::of_body(targets_max);
    let mut names = Vec::new();
    target_json::read_names(body, &mut |name, index| {
        budget.take_one().map_err(|problem| problem.at(format!("targets[{index}]")))?;
        names.push(name);
        Ok(())
    })?;
    Ok(names)
}
