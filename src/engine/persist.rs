//! Between the registry and the store: what an edit changes there, and the way back at the start.
//!
//! What a run before acknowledged is taken up even where the file has changed meanwhile: a listener
//! of the API loses the groups that are gone, and one whose load balancer is gone is left out; both
//! are said in the log and stay in the store. What stops the start: a name, an id or a port that
//! two objects want, and more targets than there may be.

use super::files;
use crate::config::{Config, GroupSpec, ListenerConfig, TargetName, from_json};
use crate::edit::{Conflict, Step, Touched};
use crate::limits::DEREGISTRATION_DELAY_MAX;
use crate::registry::{Group, IdAllocator, Next, Plan, Registry, Restored};
use crate::store::{GroupRow, Loaded, LoadedGroup, Op, TargetKey, TargetRow};
use crate::time::Instant;
use std::collections::HashSet;
use std::time::Duration;

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) at: Instant,
    /// Since 1970.
    pub(super) wall_ms: u64,
}

/// Why what the store has cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestoreError {
    /// File and API want the same thing.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A row that this release does not understand.
    #[error(
        "the settings of group '{group}' in the store are not understood: {problem}; start the \
         release that wrote them, or restore a backup of state.dir"
    )]
    Settings {
        /// Its name.
        group: String,
        /// What is wrong.
        problem: String,
    },
}

/// What the store must note of a step.
pub(super) fn ops(step: &Step, now: Now) -> Vec<Op> {
    let registry = &step.registry;
    match &step.touched {
        Touched::Group(name) => group_named(registry, name).map(put_group).into_iter().collect(),
        Touched::GroupGone(id) => vec![Op::DeleteGroup(id.clone())],
        Touched::Targets(name, targets) => {
            let group = group_named(registry, name);
            group.map(|group| put_targets(group, targets, now)).unwrap_or_default()
        }
        Touched::LoadBalancer(id) => {
            let all = registry.load_balancers.iter();
            all.filter(|lb| lb.id == *id).cloned().map(Op::PutLoadBalancer).collect()
        }
        Touched::LoadBalancerGone(id, listeners) => {
            let listeners = listeners.iter().cloned().map(Op::DeleteListener);
            listeners.chain([Op::DeleteLoadBalancer(id.clone())]).collect()
        }
        Touched::Listener(id) => {
            let all = registry.listeners.iter();
            all.filter(|listener| listener.id == *id).cloned().map(Op::PutListener).collect()
        }
        Touched::ListenerGone(id) => vec![Op::DeleteListener(id.clone())],
    }
}

/// The first registry: the file's objects, and behind them those of `loaded`, whose groups it
/// takes.
pub(super) fn first(
    config: &Config,
    loaded: &mut Loaded,
    ids: &mut IdAllocator,
    now: Now,
) -> Result<(Registry, crate::registry::Change), RestoreError> {
    let empty = Registry::default();
    let groups = std::mem::take(&mut loaded.groups).into_iter();
    let groups = groups.map(|group| restored(group, now)).collect::<Result<Vec<_>, _>>()?;
    check(config, loaded, &groups)?;
    let mut plan = Plan::reload(config, &empty);
    plan.groups.extend(groups.iter().map(Next::Restored));
    let balancers = config.load_balancers.iter().chain(&loaded.load_balancers).cloned();
    plan.load_balancers = balancers.collect();
    let listeners = loaded.listeners.iter().filter_map(|listener| alive(listener, &plan));
    plan.listeners = config.listeners.iter().cloned().chain(listeners).collect();
    Ok(empty.next(&plan, ids, now.at))
}

/// An error where the file and the API want the same name, or there are too many targets.
fn check(config: &Config, loaded: &Loaded, groups: &[Restored]) -> Result<(), Conflict> {
    let nameless = |group: &Restored| Restored {
        config: group.config.without_targets(),
        serials: Vec::new(),
        drains_until: Vec::new(),
        next_serial: 0,
    };
    let named: Vec<Restored> = groups.iter().map(nameless).collect();
    let balancers = || config.load_balancers.iter().chain(&loaded.load_balancers);
    // What they need may be in the file, or not any more; `alive` looks after that.
    let has_balancer =
        |listener: &&ListenerConfig| balancers().any(|lb| lb.name == listener.load_balancer);
    let alone =
        |listener: &ListenerConfig| ListenerConfig { groups: Vec::new(), ..listener.clone() };
    let plan = Plan {
        load_balancers: loaded.load_balancers.clone().into(),
        listeners: loaded.listeners.iter().filter(has_balancer).map(alone).collect(),
        groups: named.iter().map(Next::Restored).collect(),
    };
    let (of_api, _) = Registry::default().next(&plan, &mut IdAllocator::default(), Instant::ZERO);
    Conflict::check(config, &of_api)?;
    let limit = config.engine.max_targets;
    let of_file = config.groups.iter().map(|group| group.targets.len());
    let of_api = groups.iter().map(|group| group.config.targets.len());
    let count = of_file.chain(of_api).sum();
    if count > limit { Err(Conflict::TooMany { count, limit }) } else { Ok(()) }
}

/// The group with this name; edits name groups that are there.
fn group_named<'a>(registry: &'a Registry, name: &str) -> Option<&'a Group> {
    registry.places.named(name).map(|place| &*registry.groups[place])
}

fn put_group(group: &Group) -> Op {
    let config = &group.config;
    // Our own types have texts as keys and finite numbers, all that JSON cannot say no to.
    let settings =
        serde_json::to_string(&GroupSpec::of(config)).expect("settings have a JSON form");
    Op::PutGroup(GroupRow {
        id: config.id.clone(),
        name: config.name.clone(),
        origin: config.origin.clone(),
        settings_json: settings,
    })
}

/// Targets as they are now; those that are no members any more are forgotten.
fn put_targets(group: &Group, targets: &[TargetName], now: Now) -> Vec<Op> {
    let members = &group.members;
    let (mut rows, mut keys) = (Vec::new(), Vec::new());
    for TargetName { id, port } in targets {
        match members.find(id, *port) {
            Some(position) => rows.push(TargetRow {
                serial: members.serial(position),
                target: members.config(position),
                drains_until_ms: members.drains_until(position).map(|end| wall(end, now)),
            }),
            None => keys.extend(port.map(|port| TargetKey { id: id.clone(), port })),
        }
    }
    let group_id = || group.config.id.clone();
    let put = (!rows.is_empty()).then(|| Op::PutTargets { group_id: group_id(), rows });
    let remove = (!keys.is_empty()).then(|| Op::RemoveTargets { group_id: group_id(), keys });
    put.into_iter().chain(remove).collect()
}

/// A group out of the store, without those of its targets whose draining is over.
fn restored(loaded: LoadedGroup, now: Now) -> Result<Restored, RestoreError> {
    let LoadedGroup { row, next_serial, targets } = loaded;
    let wrong = |problem: String| RestoreError::Settings { group: row.name.clone(), problem };
    let spec: GroupSpec = from_json(row.settings_json.as_bytes()).map_err(wrong)?;
    let built = spec.build_once_taken(&row.name, row.id.clone(), row.origin.clone());
    let mut config = built.map_err(|violation| wrong(violation.to_string()))?;
    files::say_if_held_back(&config);
    let (mut serials, mut drains_until) = (Vec::new(), Vec::new());
    for row in targets {
        let end = row.drains_until_ms.map(|end_ms| monotonic(end_ms, now));
        if end.is_none_or(|end| end > now.at) {
            config.targets.push(row.target);
            serials.push(row.serial);
            drains_until.push(end);
        }
    }
    Ok(Restored { config, serials, drains_until, next_serial })
}

/// A listener of the API with those of its groups that are there; none without a load balancer.
fn alive(listener: &ListenerConfig, plan: &Plan<'_>) -> Option<ListenerConfig> {
    let mut alive = listener.clone();
    if !plan.load_balancers.iter().any(|lb| lb.name == listener.load_balancer) {
        tracing::warn!(
            listener = listener.name,
            load_balancer = listener.load_balancer,
            "a listener made through the API is left out: its load balancer is not in the file any \
             more; put it back and restart"
        );
        return None;
    }
    let names = plan.groups.iter().map(|group| match group {
        Next::Keep(group) => &group.config.name,
        Next::Edited { group, .. } => &group.config.name,
        Next::Whole(config) => &config.name,
        Next::Restored(restored) => &restored.config.name,
    });
    let names: HashSet<&String> = names.collect();
    alive.groups.retain(|group| {
        let is_there = names.contains(group);
        if !is_there {
            tracing::warn!(
                listener = listener.name,
                group,
                "a listener made through the API loses a group that is not in the file any more; \
                 put it back and restart"
            );
        }
        is_there
    });
    Some(alive)
}

fn wall(end: Instant, now: Now) -> i64 {
    let ms = u64::try_from(end.since(now.at).as_millis()).unwrap_or(u64::MAX);
    i64::try_from(now.wall_ms.saturating_add(ms)).unwrap_or(i64::MAX)
}

/// When the draining is over that ends at a wall clock's time; one that is past is now. The clock
/// may have been set meanwhile, but nobody drains for longer than a group may ask for.
fn monotonic(end_ms: i64, now: Now) -> Instant {
    let end_ms = u64::try_from(end_ms).unwrap_or(0);
    let left = Duration::from_millis(end_ms.saturating_sub(now.wall_ms));
    now.at + left.min(DEREGISTRATION_DELAY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, TargetConfig};
    use crate::edit::{Edit, Judge, Mark, Unknown};
    use crate::rng::Rng;
    use crate::store::Database;
    use std::path::Path;
    use std::sync::Arc;

    const FILE: &str = "[[load_balancer]]\nname = \"edge\"\n[[group]]\nname = \"file\"\n\
        targets = [\"127.0.0.1:80\"]\n";

    fn config(dir: &Path, text: &str) -> Config {
        std::fs::write(dir.join("ringcheck.toml"), text).unwrap();
        crate::config::load(&dir.join("ringcheck.toml")).unwrap()
    }

    fn at(ms: u64) -> Now {
        Now { at: Instant::from_millis(ms), wall_ms: 1_000_000 + ms }
    }

    /// Everything about the objects of the API that a restart must not change. Positions are not
    /// among it where draining ended meanwhile, so draining is compared by the time of its end.
    fn lasting(registry: &Registry, now: Now) -> String {
        let group = |group: &Arc<Group>| {
            let members = &group.members;
            let member = |at: usize| {
                let drains = members.drains_until(at).map(|end| wall(end, now));
                (members.serial(at), members.config(at), drains)
            };
            let all: Vec<_> = (0..members.len()).map(member).collect();
            (group.config.clone(), all, members.next_serial(), group.in_use)
        };
        let groups: Vec<_> =
            registry.groups.iter().filter(|g| !g.is_of_file()).map(group).collect();
        format!("{:#?} {:#?} {groups:#?}", registry.load_balancers, registry.listeners)
    }

    fn group(name: &str, source: Source) -> Edit {
        let origin = crate::config::Origin { source, created_ms: 7, ..Default::default() };
        let delay = Some(Duration::from_secs(2));
        let spec =
            GroupSpec { deregistration_delay: delay, port: Some(80), ..GroupSpec::default() };
        Edit::CreateGroup(Box::new(spec.build(name, format!("tg-{name}"), origin).unwrap()))
    }

    fn targets(rng: &mut Rng) -> Vec<TargetConfig> {
        let target = |n: u64| {
            let octet = u8::try_from(n).unwrap();
            TargetConfig {
                id: (n % 2 == 1).then(|| format!("i-{n}").into()),
                endpoint: crate::endpoint::Endpoint::new([127, 0, 0, octet].into(), 80),
                zone: (n % 3 == 1).then(|| "zone-a".into()),
                weight: Some(u16::from(octet)),
                lifecycle: crate::config::Lifecycle::Running,
            }
        };
        let first = rng.below(8);
        (first..first + 1 + rng.below(4)).map(target).collect()
    }

    fn any_edit(rng: &mut Rng, registry: &Registry) -> Edit {
        let name = ["a", "b", "file"][usize::try_from(rng.below(3)).unwrap()];
        let names = |rng: &mut Rng| -> Vec<TargetName> {
            let name = |target: TargetConfig| TargetName {
                id: TargetKey::of(&target).id,
                port: Some(80).filter(|_| target.zone.is_none()),
            };
            targets(rng).into_iter().map(name).collect()
        };
        let origin = crate::config::Origin { source: Source::Aws, ..Default::default() };
        match rng.below(12) {
            0 => group(name, Source::Native),
            1 => group(name, Source::Alibaba),
            2 => Edit::DeleteGroup { group: name.to_owned() },
            3 => {
                let Some(old) = registry.group(name) else { return group(name, Source::Aws) };
                let mut settings = old.config.clone();
                settings.deregistration_delay = Duration::from_secs(rng.below(4));
                settings.health_check.enabled ^= true;
                settings
                    .origin
                    .attributes
                    .insert("aws.vpc_id".to_owned(), rng.below(9).to_string());
                Edit::ChangeGroup { group: Box::new(settings), based_on: old.changed }
            }
            4..=6 => Edit::Register { group: name.to_owned(), targets: targets(rng) },
            7 => Edit::Deregister {
                group: name.to_owned(),
                targets: names(rng),
                unknown: Unknown::Ignore,
            },
            8 => {
                let target = names(rng).swap_remove(0);
                let lifecycle = Some(crate::config::Lifecycle::Stopped);
                let marks = vec![Mark { target, lifecycle, weight: None }];
                Edit::Mark { group: name.to_owned(), marks }
            }
            9 => Edit::CreateLoadBalancer(Box::new(crate::config::LoadBalancerConfig {
                name: "lb".to_owned(),
                id: "nlb-lb".to_owned(),
                zones: vec!["zone-a".to_owned()],
                origin,
            })),
            10 => Edit::CreateListener(Box::new(ListenerConfig {
                name: format!("to-{name}"),
                id: format!("lsn-{name}"),
                load_balancer: ["lb", "edge"][usize::try_from(rng.below(2)).unwrap()].to_owned(),
                port: u16::try_from(1 + rng.below(3)).unwrap(),
                protocol: crate::config::ListenerProtocol::TcpSsl,
                groups: vec![name.to_owned()],
                origin,
            })),
            _ if rng.below(4) == 0 => Edit::DeleteLoadBalancer { load_balancer: "lb".to_owned() },
            _ => Edit::DeleteListener { listener: format!("to-{name}") },
        }
    }

    #[test]
    fn whatever_was_committed_is_there_after_a_restart() {
        for seed in 0..12 {
            let dir = tempfile::tempdir().unwrap();
            let file = config(dir.path(), FILE);
            let mut rng = Rng::new(seed);
            let mut ms = 0;
            let mut committed = 0;
            let mut last = None;
            for _restart in 0..4 {
                let (mut database, mut loaded) = Database::open(dir.path()).unwrap();
                let mut ids = IdAllocator::default();
                let (registry, _) = first(&file, &mut loaded, &mut ids, at(ms)).unwrap();
                let mut registry = Arc::new(registry);
                if let Some(last) = last {
                    assert_eq!(lasting(&registry, at(ms)), last, "seed {seed}");
                }
                for _ in 0..rng.below(40) {
                    ms += rng.below(1_000);
                    if registry.drain_end.is_some_and(|end| end <= at(ms).at) {
                        registry = Arc::new(registry.expire(&mut ids, at(ms).at).0);
                    }
                    let judge = Judge { file: String::new(), targets_max: 100 };
                    let edit = any_edit(&mut rng, &registry);
                    let Ok(judged) = judge.judge(&registry, edit, &mut ids, at(ms).at) else {
                        continue;
                    };
                    if let Some(step) = judged.step {
                        database.commit(&ops(&step, at(ms))).unwrap();
                        committed += 1;
                        registry = step.registry;
                    }
                }
                if registry.drain_end.is_some_and(|end| end <= at(ms).at) {
                    registry = Arc::new(registry.expire(&mut ids, at(ms).at).0);
                }
                last = Some(lasting(&registry, at(ms)));
            }
            assert!(committed > 4, "seed {seed} says nothing");
        }
    }

    #[test]
    fn a_clock_that_was_set_lets_nobody_drain_for_years() {
        let now = at(5_000);
        let left = |end_ms| monotonic(end_ms, now).since(now.at).as_secs();
        let ends = [1_007_000, 1_004_999, -1, 2_000_000_000_000, i64::MAX];
        assert_eq!(ends.map(left), [2, 0, 0, 3_600, 3_600]);
    }

    #[test]
    fn what_the_file_lost_meanwhile_is_left_out_and_what_it_took_stops_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let file = config(dir.path(), FILE);
        let (mut database, mut loaded) = Database::open(dir.path()).unwrap();
        let mut ids = IdAllocator::default();
        let (registry, _) = first(&file, &mut loaded, &mut ids, at(0)).unwrap();
        let mut registry = Arc::new(registry);
        let listener = |name: &str, port, groups: &[&str]| {
            Edit::CreateListener(Box::new(ListenerConfig {
                name: name.to_owned(),
                id: format!("lsn-{name}"),
                load_balancer: "edge".to_owned(),
                port,
                protocol: crate::config::ListenerProtocol::Tcp,
                groups: groups.iter().map(|&group| group.to_owned()).collect(),
                origin: crate::config::Origin { source: Source::Aws, ..Default::default() },
            }))
        };
        for edit in [group("a", Source::Aws), listener("both", 1, &["file", "a"])] {
            let judge = Judge { file: String::new(), targets_max: 100 };
            let step = judge.judge(&registry, edit, &mut ids, at(0).at).unwrap().step.unwrap();
            database.commit(&ops(&step, at(0))).unwrap();
            registry = step.registry;
        }
        drop(database);
        let start = |text: &str| {
            let file = config(dir.path(), text);
            let (_, mut loaded) = Database::open(dir.path()).unwrap();
            first(&file, &mut loaded, &mut IdAllocator::default(), at(0)).map(|(first, _)| first)
        };
        let no_group = start("[[load_balancer]]\nname = \"edge\"\n").unwrap();
        assert_eq!(no_group.listeners[0].groups, ["a"]);
        let no_balancer = start("").unwrap();
        assert!(no_balancer.listeners.is_empty() && !no_balancer.groups[0].in_use);
        let taken = start("[[group]]\nname = \"a\"\n").unwrap_err().to_string();
        assert!(taken.starts_with("group 'a' of the file exists already, made through"), "{taken}");
        assert_eq!(start(FILE).unwrap().listeners[0].groups, ["file", "a"]);
    }
}
