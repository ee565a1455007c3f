//! The tables besides groups: `[engine]`, `[api]`, `[state]`, `[[load_balancer]]`, `[[listener]]`.

use super::error::{ConfigError, nearest, quoted};
use super::file::{Section, Setting};
use super::{
    ApiConfig, Backend, EngineConfig, GroupConfig, ListenerConfig, ListenerProtocol,
    LoadBalancerConfig, Origin, StateConfig,
};
use crate::limits::{
    IN_FLIGHT_MAX, TARGETS_MAX, TARGETS_MAX_DEFAULT, TLS_SESSION_MEMORY_DEFAULT,
    TLS_SESSION_MEMORY_MAX, WORKERS_MAX,
};
use crate::rng::mix;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Bytes of a Unix socket's path: `sun_path` without its NUL.
const SOCKET_PATH_MAX: usize = 107;
const API_KEYS: [&str; 4] = ["socket", "socket_mode", "socket_group", "listen"];
const SOCKET: &str = "/run/ringcheck/api.sock";
const SOCKET_MODE: u32 = 0o660;
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn engine(root: &Section<'_>) -> Result<EngineConfig, ConfigError> {
    let keys = [
        "workers",
        "max_in_flight",
        "tls_in_flight",
        "tls_session_memory",
        "backend",
        "max_targets",
    ];
    let section = root.section("engine", "engine", &keys)?;
    let count = |key, most: usize| {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let number = section.get(key).map(|setting| setting.integer(1..=most)).transpose()?;
        Ok(number.and_then(|number| usize::try_from(number).ok()))
    };
    Ok(EngineConfig {
        workers: count("workers", WORKERS_MAX)?,
        max_in_flight: count("max_in_flight", IN_FLIGHT_MAX)?,
        tls_in_flight: count("tls_in_flight", IN_FLIGHT_MAX)?,
        tls_session_memory: count("tls_session_memory", TLS_SESSION_MEMORY_MAX)?
            .unwrap_or(TLS_SESSION_MEMORY_DEFAULT),
        backend: section.get("backend").map_or(Ok(Backend::Auto), |setting| backend(&setting))?,
        max_targets: count("max_targets", TARGETS_MAX)?.unwrap_or(TARGETS_MAX_DEFAULT),
    })
}

fn backend(setting: &Setting<'_>) -> Result<Backend, ConfigError> {
    let words =
        [("auto", Backend::Auto), ("io_uring", Backend::IoUring), ("epoll", Backend::Epoll)];
    setting.word(&words)
}

pub(super) fn api(root: &Section<'_>) -> Result<ApiConfig, ConfigError> {
    let section = root.section("api", "api", &API_KEYS)?;
    Ok(ApiConfig {
        socket: section.get("socket").map_or_else(|| Ok(SOCKET.into()), |set| socket(&set))?,
        socket_mode: section
            .get("socket_mode")
            .map_or(Ok(SOCKET_MODE), |setting| socket_mode(&setting))?,
        socket_group: section.get("socket_group").map(|setting| setting.name()).transpose()?,
        listen: section.get("listen").map(|setting| listen(&setting)).transpose()?,
    })
}

/// A loopback address with a port. No other: what the signatures protect is not encrypted.
fn listen(setting: &Setting<'_>) -> Result<SocketAddr, ConfigError> {
    let address: SocketAddr = setting.text()?.parse().map_err(|_| {
        let cure = "write it as \"127.0.0.1:9411\" or \"[::1]:9411\"";
        setting.wrong("is not an address with a port", cure)
    })?;
    if !address.ip().to_canonical().is_loopback() {
        let cure = "use 127.0.0.1 or [::1]; others may come through a proxy";
        return Err(setting.wrong("is not on loopback", cure));
    }
    Ok(address)
}

/// Refuses `api.listen` without a directory for the keys that its requests are signed with.
pub(super) fn check_listen(root: &Section<'_>, state: &StateConfig) -> Result<(), ConfigError> {
    let api = root.section("api", "api", &API_KEYS)?;
    match (api.get("listen"), &state.dir) {
        (Some(setting), None) => {
            Err(setting.wrong("needs a directory for its keys", "add dir to [state]"))
        }
        (Some(_) | None, _) => Ok(()),
    }
}

fn socket(setting: &Setting<'_>) -> Result<PathBuf, ConfigError> {
    let path = path(setting)?;
    if path.len() > SOCKET_PATH_MAX {
        let cure = "the path of a Unix socket has at most 107 bytes";
        return Err(setting.wrong("is too long", cure));
    }
    Ok(path.into())
}

fn socket_mode(setting: &Setting<'_>) -> Result<u32, ConfigError> {
    let text = setting.text()?;
    let digits = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mode = u32::from_str_radix(text, 8).ok().filter(|&mode| digits && mode <= 0o777);
    mode.ok_or_else(|| setting.wrong("is not a mode", "write it in octal, as \"0660\""))
}

pub(super) fn state(root: &Section<'_>) -> Result<StateConfig, ConfigError> {
    let keys = ["dir", "snapshot_interval", "snapshot_max_age"];
    let section = root.section("state", "state", &keys)?;
    let duration = |key, default, most| {
        let least = Duration::from_secs(1);
        section.get(key).map_or(Ok(default), |setting| setting.duration_in(least..=most))
    };
    Ok(StateConfig {
        dir: section.get("dir").map(|setting| path(&setting)).transpose()?.map(Into::into),
        snapshot_interval: duration("snapshot_interval", Duration::from_secs(60), DAY)?,
        snapshot_max_age: duration("snapshot_max_age", Duration::from_secs(3_600), DAY * 365)?,
    })
}

/// A path: some text without NUL.
pub(super) fn path<'d>(setting: &Setting<'d>) -> Result<&'d str, ConfigError> {
    let text = setting.text()?;
    if text.is_empty() || text.contains('\0') {
        return Err(setting.wrong("is not a path", "write the path of a file"));
    }
    Ok(text)
}

pub(super) fn load_balancers(root: &Section<'_>) -> Result<Vec<LoadBalancerConfig>, ConfigError> {
    let mut unique = Unique::new("load_balancer", "nlb");
    let mut all = Vec::new();
    for section in root.sections("load_balancer", &["name", "id", "zones"])? {
        let (name, id) = unique.name_and_id(&section)?;
        let zones = section.get("zones").map_or(Ok(Vec::new()), |setting| {
            let zones = setting.texts(false)?;
            if zones.is_empty() {
                let cure = "name a zone, or remove the key to enable all";
                return Err(setting.wrong("enables no zone", cure));
            }
            Ok(zones.into_iter().map(|(zone, _)| zone.to_owned()).collect())
        })?;
        all.push(LoadBalancerConfig { name, id, zones, origin: Origin::default() });
    }
    Ok(all)
}

/// Names of the groups are checked later, in [`check_groups`], when they are known.
pub(super) fn listeners<'d>(
    root: &Section<'d>,
    load_balancers: &[LoadBalancerConfig],
) -> Result<Vec<(ListenerConfig, Section<'d>)>, ConfigError> {
    let keys = ["name", "id", "load_balancer", "port", "protocol", "groups"];
    let balancers: Vec<&str> = load_balancers.iter().map(|lb| lb.name.as_str()).collect();
    let protocols = ListenerProtocol::ALL.map(|protocol| (protocol.name(), protocol));
    let mut unique = Unique::new("listener", "lsn");
    let mut all = Vec::new();
    for section in root.sections("listener", &keys)? {
        let (name, id) = unique.name_and_id(&section)?;
        let setting = section.require("load_balancer")?;
        let load_balancer = setting.text()?.to_owned();
        if !balancers.contains(&load_balancer.as_str()) {
            return Err(
                setting.wrong("is not in the file", reference_cure(&load_balancer, &balancers))
            );
        }
        let protocol = section.get("protocol");
        let protocol =
            protocol.map_or(Ok(ListenerProtocol::Tcp), |setting| setting.word(&protocols))?;
        let port = section.require("port")?.port()?;
        let groups = section.require("groups")?.texts(false)?;
        let groups = groups.into_iter().map(|(group, _)| group.to_owned()).collect();
        let origin = Origin::default();
        let listener = ListenerConfig { name, id, load_balancer, port, protocol, groups, origin };
        all.push((listener, section));
    }
    Ok(all)
}

/// Refuses listeners that forward to a group that is not in `groups`, or to one twice.
pub(super) fn check_groups(
    listeners: &[(ListenerConfig, Section<'_>)],
    groups: &[GroupConfig],
) -> Result<(), ConfigError> {
    let names: HashSet<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    for (listener, section) in listeners {
        let mut seen = HashSet::new();
        for group in &listener.groups {
            let setting = section.require("groups")?;
            if !names.contains(group.as_str()) {
                let known: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
                let what = format!("group {} is not in the file", quoted(group));
                return Err(setting.error(what, reference_cure(group, &known)));
            }
            if !seen.insert(group) {
                let what = format!("group {} is named twice", quoted(group));
                return Err(setting.error(what, "name it once"));
            }
        }
    }
    Ok(())
}

/// The nearest of the names that exist; not a list of thousands.
fn reference_cure(name: &str, known: &[&str]) -> String {
    let cure = nearest(name, known);
    match known {
        [] => "add it".to_owned(),
        [_, ..] if known.len() > 10 && cure.starts_with("allowed") => "add it".to_owned(),
        [_, ..] => cure,
    }
}

/// Names and ids of one kind of object, each of which may occur once.
pub(super) struct Unique {
    kind: &'static str,
    prefix: &'static str,
    names: HashMap<String, usize>,
    ids: HashMap<String, usize>,
}

impl Unique {
    pub(super) fn new(kind: &'static str, prefix: &'static str) -> Self {
        Self { kind, prefix, names: HashMap::new(), ids: HashMap::new() }
    }

    /// Name and id of the object in `section`; an id that is not given is derived from the name.
    pub(super) fn name_and_id(
        &mut self,
        section: &Section<'_>,
    ) -> Result<(String, String), ConfigError> {
        let kind = self.kind;
        let setting = section.require("name")?;
        let name = setting.name()?;
        if let Some(line) = self.names.insert(name.clone(), setting.line()) {
            let cure = format!("it is that of the {kind} in line {line}; rename one of them");
            return Err(setting.wrong("is taken", cure));
        }
        let given = section.get("id");
        let id = given.as_ref().map(Setting::name).transpose()?;
        let id = id.unwrap_or_else(|| derived_id(self.prefix, &name));
        let at = given.as_ref().unwrap_or(&setting);
        if let Some(line) = self.ids.insert(id.clone(), at.line()) {
            let cure = format!("it is that of the {kind} in line {line}; change one of them");
            return Err(at.error(format!("id {} is taken", quoted(&id)), cure));
        }
        Ok((name, id))
    }
}

/// An id that follows from the name, the same for ever: `tg-` and a hash for prefix `tg`.
#[must_use]
pub fn derived_id(prefix: &str, name: &str) -> String {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for byte in name.bytes() {
        hash = mix(hash ^ u64::from(byte));
    }
    format!("{prefix}-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_never_change() {
        assert_eq!(derived_id("tg", "web"), "tg-80a8406f2e894342");
        assert_ne!(derived_id("tg", "web"), derived_id("tg", "wec"));
    }
}
