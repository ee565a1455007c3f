//! Edits of the API, in any order, with reloads between them: what each may do, what it makes of
//! the registry, and that the workers' orders add up to what is probed.

use super::{
    Arc, BTreeMap, BTreeSet, Config, Duration, Endpoint, GroupConfig, IdAllocator, Instant,
    Ipv4Addr, Just, NOW, Origin, ProptestConfig, Registry, Strategy, TargetConfig, Worker, any,
    assert_ids_stay, assert_twins, carry_out, config, group, listener, load_balancer, probed, prop,
    prop_assert_eq, prop_oneof, proptest, target, targets,
};
use ringcheck::config::{ListenerConfig, Source, TargetName};
use ringcheck::edit::{Conflict, Edit, EditError, Judge, Kind, Mark, Touched, Unknown};

const TARGETS_MAX: usize = 25;

fn judge() -> Judge {
    Judge { file: "test.toml".to_owned(), targets_max: TARGETS_MAX }
}

fn source(native: bool) -> Source {
    if native { Source::Native } else { Source::Aws }
}

fn made(name: &str, source: Source) -> GroupConfig {
    let origin = Origin { source, created_ms: 1, ..Origin::default() };
    GroupConfig { origin, ..group(name, Vec::new()) }
}

/// What a caller may ask, in words that mean something whatever is there.
#[derive(Clone, Debug)]
enum Asked {
    Create { name: &'static str, native: bool },
    Change { name: &'static str, interval: u64, stale: bool },
    Delete { name: &'static str },
    Register { name: &'static str, targets: Vec<TargetConfig> },
    Deregister { name: &'static str, targets: Vec<(u32, Option<u16>)>, refuse: bool },
    Mark { name: &'static str, address: u32, weight: u16 },
    Balancer { zoned: bool },
    NoBalancer,
    Listen { name: &'static str, port: u16 },
    Hush { port: u16 },
    Reload,
    Wait { seconds: u64 },
}

fn any_name() -> impl Strategy<Value = &'static str> {
    prop_oneof![5 => Just("a"), 5 => Just("b"), 1 => Just("file")]
}

fn any_asked() -> impl Strategy<Value = Asked> {
    let plain = (0..4_u32, 80..82_u16, any::<bool>(), prop::option::weighted(0.2, Just("z1")))
        .prop_map(|(address, port, light, zone)| TargetConfig {
            weight: light.then_some(0),
            zone: zone.map(Into::into),
            ..target(address, port)
        });
    let unique = prop::collection::vec(plain, 0..6).prop_map(|targets| {
        let mut seen = BTreeSet::new();
        targets.into_iter().filter(|target| seen.insert(target.endpoint)).collect()
    });
    let names = prop::collection::vec((0..4_u32, prop::option::of(80..82_u16)), 1..3);
    prop_oneof![
        3 => (any_name(), any::<bool>()).prop_map(|(name, native)| Asked::Create { name, native }),
        1 => (any_name(), 1..3_u64, any::<bool>())
            .prop_map(|(name, interval, stale)| Asked::Change { name, interval, stale }),
        1 => any_name().prop_map(|name| Asked::Delete { name }),
        12 => (any_name(), unique).prop_map(|(name, targets)| Asked::Register { name, targets }),
        8 => (any_name(), names, prop::bool::weighted(0.2))
            .prop_map(|(name, targets, refuse)| Asked::Deregister { name, targets, refuse }),
        4 => (any_name(), 0..4_u32, 0..2_u16)
            .prop_map(|(name, address, weight)| Asked::Mark { name, address, weight }),
        1 => any::<bool>().prop_map(|zoned| Asked::Balancer { zoned }),
        1 => Just(Asked::NoBalancer),
        2 => (any_name(), 1..3_u16).prop_map(|(name, port)| Asked::Listen { name, port }),
        1 => (1..3_u16).prop_map(|port| Asked::Hush { port }),
        1 => Just(Asked::Reload),
        2 => (0..4_u64).prop_map(|seconds| Asked::Wait { seconds }),
    ]
}

fn named(address: u32, port: Option<u16>) -> TargetName {
    TargetName { id: Ipv4Addr::from(0x7F00_0000 + address).to_string().into(), port }
}

/// The edit that `asked` means now; none: it is none.
fn edit_of(asked: &Asked, registry: &Registry) -> Option<Edit> {
    let owned = |name: &&str| (*name).to_owned();
    Some(match asked {
        Asked::Create { name, native } => Edit::CreateGroup(Box::new(GroupConfig {
            deregistration_delay: Duration::from_secs(2),
            ..made(name, source(*native))
        })),
        Asked::Change { name, interval, stale } => {
            let old = registry.group(name)?;
            let mut group = old.config.clone();
            group.health_check.interval = Duration::from_secs(*interval);
            let based_on = old.changed - u64::from(*stale);
            Edit::ChangeGroup { group: Box::new(group), based_on }
        }
        Asked::Delete { name } => Edit::DeleteGroup { group: owned(name) },
        Asked::Register { name, targets } => {
            Edit::Register { group: owned(name), targets: targets.clone() }
        }
        Asked::Deregister { name, targets, refuse } => Edit::Deregister {
            group: owned(name),
            targets: targets.iter().map(|&(address, port)| named(address, port)).collect(),
            unknown: if *refuse { Unknown::Refuse } else { Unknown::Ignore },
        },
        Asked::Mark { name, address, weight } => {
            let (target, weight) = (named(*address, None), Some(*weight));
            let marks = vec![Mark { target, lifecycle: None, weight }];
            Edit::Mark { group: owned(name), marks }
        }
        Asked::Balancer { zoned } => {
            let zones: &[&str] = if *zoned { &["z2"] } else { &[] };
            let mut new = load_balancer("lb", zones);
            new.origin.source = Source::Aws;
            Edit::CreateLoadBalancer(Box::new(new))
        }
        Asked::NoBalancer => Edit::DeleteLoadBalancer { load_balancer: "nlb-lb".to_owned() },
        Asked::Listen { name, port } => {
            let mut new = listener("lb", &[name]);
            (new.port, new.origin.source) = (*port, Source::Aws);
            (new.name, new.id) = (format!("l{port}"), format!("lsn-{port}"));
            Edit::CreateListener(Box::new(new))
        }
        Asked::Hush { port } => Edit::DeleteListener { listener: format!("l{port}") },
        Asked::Reload | Asked::Wait { .. } => return None,
    })
}

/// When a target is gone, where it drains, and its weight.
type Facts = (Option<Instant>, u16);

/// By group: who made it, and its targets.
#[derive(Default)]
struct Expected {
    groups: BTreeMap<String, (Source, BTreeMap<Endpoint, Facts>)>,
}

impl Expected {
    fn expire(&mut self, now: Instant) {
        for (_, targets) in self.groups.values_mut() {
            targets.retain(|_, (drains, _)| drains.is_none_or(|end| end > now));
        }
    }

    fn targets(&mut self, group: &str) -> &mut BTreeMap<Endpoint, Facts> {
        &mut self.groups.get_mut(group).expect("the edit was carried out").1
    }

    /// What a successful edit makes of it.
    fn take(&mut self, asked: &Asked, now: Instant) {
        let drain_end = now + Duration::from_secs(2);
        match asked {
            Asked::Create { name, native } => {
                let group = (source(*native), BTreeMap::new());
                assert!(self.groups.insert((*name).to_owned(), group).is_none());
            }
            Asked::Delete { name } => drop(self.groups.remove(*name)),
            Asked::Register { name, targets } => {
                let group = self.targets(name);
                for target in targets {
                    group.insert(target.endpoint, (None, target.weight.unwrap_or(100)));
                }
            }
            Asked::Deregister { name, targets, .. } => {
                let group = self.targets(name);
                for &(address, port) in targets {
                    for (endpoint, (drains, _)) in &mut *group {
                        let is_it = endpoint.ip() == target(address, 0).endpoint.ip()
                            && port.is_none_or(|port| endpoint.port() == port);
                        if is_it && drains.is_none() {
                            *drains = Some(drain_end);
                        }
                    }
                }
            }
            Asked::Mark { name, address, weight } => {
                let group = self.targets(name);
                for (endpoint, (drains, of_target)) in &mut *group {
                    if endpoint.ip() == target(*address, 0).endpoint.ip() && drains.is_none() {
                        *of_target = *weight;
                    }
                }
            }
            Asked::Change { .. }
            | Asked::Balancer { .. }
            | Asked::NoBalancer
            | Asked::Listen { .. }
            | Asked::Hush { .. }
            | Asked::Reload
            | Asked::Wait { .. } => {}
        }
    }

    fn assert_is(&self, registry: &Registry) {
        let mut all = BTreeMap::new();
        for group in &registry.groups {
            let members = &group.members;
            let facts = |position: usize| {
                let drains = members.drains_until(position);
                (members.endpoints[position], (drains, members.weight(position)))
            };
            let targets: BTreeMap<_, _> = (0..members.len()).map(facts).collect();
            assert_eq!(targets.len(), members.len());
            let serials: Vec<_> = (0..members.len()).map(|at| members.serial(at)).collect();
            assert!(
                serials.is_sorted() && serials.last().is_none_or(|&s| s < members.next_serial())
            );
            all.insert(group.config.name.clone(), (group.config.origin.source, targets));
            let forwarded =
                registry.listeners.iter().any(|l| l.groups.contains(&group.config.name));
            let at_once = group.config.origin.source != Source::Aws;
            assert_eq!(group.in_use, forwarded || at_once, "{}", group.config.name);
        }
        assert_eq!(all, self.groups);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_sequence_of_edits(asked in prop::collection::vec(any_asked(), 1..40)) {
        let file = config(vec![group("file", targets(4))]);
        let mut ids = IdAllocator::default();
        let mut worker = Worker::default();
        let (mut registry, change) = Registry::build(&file, None, &mut ids, NOW);
        carry_out(&mut worker, change);
        let mut expected = Expected::default();
        let of_file = targets(4).into_iter().map(|target| (target.endpoint, (None, 100)));
        expected.groups.insert("file".to_owned(), (Source::File, of_file.collect()));
        let mut now = NOW;
        let groups = [("a", true), ("b", false)];
        let first = groups.map(|(name, native)| Asked::Create { name, native });
        let first = first.into_iter().chain([Asked::Balancer { zoned: false }]);
        let first = first.chain(["a", "b"].into_iter().zip(1..).map(|(name, port)| Asked::Listen {
            name, port,
        }));
        for asked in first.chain(asked) {
            let (next, change) = match (&asked, edit_of(&asked, &registry)) {
                (Asked::Wait { seconds }, _) => {
                    now += Duration::from_secs(*seconds);
                    expected.expire(now);
                    registry.expire(&mut ids, now)
                }
                (_, None) => Registry::build(&file, Some(&registry), &mut ids, now),
                (_, Some(edit)) => {
                    let bound = ids.target_bound();
                    match judge().judge(&registry, edit, &mut ids, now) {
                        Ok(judged) => {
                            expected.take(&asked, now);
                            let Some(step) = judged.step else {
                                expected.assert_is(&registry);
                                continue;
                            };
                            prop_assert_eq!(judged.done.revision, registry.revision + 1);
                            (Arc::into_inner(step.registry).unwrap(), step.change)
                        }
                        Err(error) => {
                            prop_assert_eq!(ids.target_bound(), bound);
                            assert_refused_rightly(&asked, &error, &registry);
                            continue;
                        }
                    }
                }
            };
            expected.assert_is(&next);
            assert_ids_stay(&registry, &next, &BTreeMap::new());
            assert_twins(&registry, &next);
            carry_out(&mut worker, change);
            prop_assert_eq!(&worker.probed, &probed(&next));
            for group in &next.groups {
                prop_assert_eq!(&worker.recipes[&group.key], &group.recipe);
            }
            ids.release(next.revision);
            registry = next;
        }
    }
}

/// An edit is refused for a reason that is there.
fn assert_refused_rightly(asked: &Asked, error: &EditError, registry: &Registry) {
    let exists = |name: &str| registry.group(name).is_some();
    match (asked, error) {
        (_, EditError::ReadOnly { name, file, .. }) => {
            assert_eq!((name.as_str(), file.as_str()), ("file", "test.toml"));
        }
        (Asked::Create { name, .. }, EditError::Exists { kind: Kind::Group, .. }) => {
            assert!(exists(name));
        }
        (Asked::Change { stale: true, .. }, EditError::Stale) => {}
        (Asked::Delete { name }, EditError::InUse { .. }) => {
            assert!(registry.listeners.iter().any(|l| l.groups == [*name]));
        }
        (Asked::Register { .. }, EditError::TooMany { limit: TARGETS_MAX, .. }) => {
            assert!(registry.target_count() + 6 > TARGETS_MAX);
        }
        (
            Asked::Deregister { refuse: true, .. } | Asked::Mark { .. },
            EditError::UnknownTarget { .. },
        ) => {}
        (Asked::Balancer { .. }, EditError::Exists { kind: Kind::LoadBalancer, .. }) => {
            assert_eq!(registry.load_balancers.len(), 1);
        }
        (Asked::NoBalancer, EditError::Unknown { kind: Kind::LoadBalancer, .. }) => {
            assert!(registry.load_balancers.is_empty());
        }
        (Asked::Listen { .. }, EditError::Unknown { kind: Kind::LoadBalancer, .. }) => {
            assert!(registry.load_balancers.is_empty());
        }
        (Asked::Listen { port, .. }, EditError::Exists { .. } | EditError::PortTaken { .. }) => {
            assert!(registry.listeners.iter().any(|l| l.port == *port));
        }
        (Asked::Hush { port }, EditError::Unknown { kind: Kind::Listener, .. }) => {
            assert!(registry.listeners.iter().all(|l| l.port != *port));
        }
        (
            Asked::Change { name, .. }
            | Asked::Delete { name }
            | Asked::Register { name, .. }
            | Asked::Deregister { name, .. }
            | Asked::Mark { name, .. }
            | Asked::Listen { name, .. },
            EditError::Unknown { kind: Kind::Group, .. },
        ) => assert!(!exists(name)),
        (asked, error) => panic!("{asked:?}: {error}"),
    }
}

fn done(registry: &Registry, ids: &mut IdAllocator, edit: Edit) -> (Registry, Touched) {
    let judged = judge().judge(registry, edit, ids, NOW).expect("it can be");
    let step = judged.step.expect("it changes something");
    (Arc::into_inner(step.registry).expect("nobody else has it"), step.touched)
}

#[test]
fn an_edit_says_what_the_store_must_note() {
    let mut ids = IdAllocator::default();
    let registry = Registry::default();
    let create = Edit::CreateGroup(Box::new(made("a", Source::Aws)));
    let (registry, touched) = done(&registry, &mut ids, create);
    assert_eq!(touched, Touched::Group("a".to_owned()));
    let register = Edit::Register { group: "tg-a".to_owned(), targets: targets(2) };
    let (registry, touched) = done(&registry, &mut ids, register.clone());
    let both = [0, 1].map(|address| named(address, Some(80))).to_vec();
    assert_eq!(touched, Touched::Targets("a".to_owned(), both.clone()));
    let again = judge().judge(&registry, register, &mut ids, NOW).unwrap();
    assert!(again.step.is_none(), "what is registered already is nothing to note");
    let (targets, unknown) = (vec![named(0, None), named(7, None)], Unknown::Ignore);
    let edit = Edit::Deregister { group: "a".to_owned(), targets, unknown };
    let (registry, touched) = done(&registry, &mut ids, edit);
    assert_eq!(touched, Touched::Targets("a".to_owned(), both[..1].to_vec()));
    let (registry, touched) = done(&registry, &mut ids, Edit::DeleteGroup { group: "a".into() });
    assert_eq!((touched, registry.groups.len()), (Touched::GroupGone("tg-a".to_owned()), 0));
}

#[test]
fn a_reload_leaves_what_the_api_made_and_takes_nothing_from_it() {
    let mut ids = IdAllocator::default();
    let (mut file, _) = (config(vec![group("file", targets(2))]), ());
    file.load_balancers = vec![load_balancer("edge", &[])];
    let (registry, _) = Registry::build(&file, None, &mut ids, NOW);
    let create = Edit::CreateGroup(Box::new(made("a", Source::Aws)));
    let (registry, _) = done(&registry, &mut ids, create);
    let mut new = listener("edge", &["file", "a"]);
    new.origin.source = Source::Aws;
    let (registry, _) = done(&registry, &mut ids, Edit::CreateListener(Box::new(new)));
    assert_eq!(Conflict::check(&file, &registry), Ok(()));
    let (registry, _) = Registry::build(&file, Some(&registry), &mut ids, NOW);
    assert!(registry.group("a").unwrap().in_use && registry.listener("to-edge").is_some());

    let conflict = |config: &Config| Conflict::check(config, &registry).unwrap_err().to_string();
    let without = Config { groups: vec![group("other", targets(1))], ..file.clone() };
    assert!(
        conflict(&without).starts_with("listener 'to-edge', made through the API, needs group")
    );
    let without = Config { load_balancers: Vec::new(), ..file.clone() };
    assert!(conflict(&without).contains("needs load balancer 'edge', which is not in the file"));
    let twice = Config { groups: vec![group("file", vec![]), group("a", vec![])], ..file.clone() };
    assert!(conflict(&twice).starts_with("group 'a' of the file exists already"));
    let mut same_port = file.clone();
    same_port.listeners = vec![ListenerConfig {
        name: "mine".to_owned(),
        id: "lsn-mine".to_owned(),
        ..listener("edge", &["file"])
    }];
    let port = same_port.listeners[0].port;
    assert!(
        conflict(&same_port).starts_with(&format!(
            "listener 'mine' has port {port} of load balancer 'edge', which"
        ))
    );
    let mut full = file.clone();
    full.engine.max_targets = 1;
    assert!(conflict(&full).starts_with("2 targets with those of the API"));
}

/// 65,535 ports of one address, named 100,000 times without a port: hours, if each name cost all of
/// them.
#[test]
fn a_name_that_comes_often_costs_little_and_counts_once() {
    let judge = Judge { targets_max: 100_000, ..judge() };
    let mut ids = IdAllocator::default();
    let create = Edit::CreateGroup(Box::new(made("a", Source::Native)));
    let (registry, _) = done(&Registry::default(), &mut ids, create);
    let targets = (1..=u16::MAX).map(|port| target(0, port)).collect();
    let register = Edit::Register { group: "a".to_owned(), targets };
    let step = judge.judge(&registry, register, &mut ids, NOW).unwrap().step.unwrap();
    let targets = (0..100_000).map(|_| named(0, None)).chain([named(0, Some(7))]).collect();
    let edit = Edit::Deregister { group: "a".to_owned(), targets, unknown: Unknown::Refuse };
    let judged = judge.judge(&step.registry, edit, &mut ids, NOW).unwrap();
    assert_eq!(judged.done.changed, usize::from(u16::MAX));
}

/// A group whose check becomes that of another does not bring that one what its own check found.
#[test]
fn who_was_probed_by_another_health_check_follows() {
    let mut ids = IdAllocator::default();
    let slow = |name: &str, seconds| {
        let mut group = made(name, Source::Native);
        group.health_check.interval = Duration::from_secs(seconds);
        group
    };
    let mut registry = Registry::default();
    for (name, seconds) in [("a", 1), ("b", 2)] {
        let create = Edit::CreateGroup(Box::new(slow(name, seconds)));
        (registry, _) = done(&registry, &mut ids, create);
        let register = Edit::Register { group: name.to_owned(), targets: targets(2) };
        (registry, _) = done(&registry, &mut ids, register);
    }
    let based_on = registry.group("a").unwrap().changed;
    let change = Edit::ChangeGroup { group: Box::new(slow("a", 2)), based_on };
    let (registry, _) = done(&registry, &mut ids, change);
    let [a, b] =
        ["a", "b"].map(|name| registry.group(name).unwrap().members.targets().collect::<Vec<_>>());
    assert_eq!([registry.twins.leader(a[0]), registry.twins.leader(b[0])], [Some(b[0]), None]);
    assert_eq!(registry.twins.followers(b[1]), &a[1..]);
}

#[test]
fn who_is_restored_keeps_number_and_draining() {
    use ringcheck::registry::{Next, Plan, Restored};
    let restored = Restored {
        config: GroupConfig { targets: targets(3), ..made("a", Source::Native) },
        serials: vec![4, 7, 9],
        drains_until: vec![None, Some(NOW + Duration::from_secs(5)), None],
        next_serial: 12,
    };
    let mut ids = IdAllocator::default();
    let empty = Registry::default();
    let mut plan = Plan::keep(&empty);
    plan.groups.push(Next::Restored(&restored));
    let (registry, change) = empty.next(&plan, &mut ids, NOW);
    assert_eq!((change.add.len(), change.registered), (2, 2));
    let edit = Edit::Register { group: "a".to_owned(), targets: vec![target(9, 80)] };
    let (registry, _) = done(&registry, &mut ids, edit);
    let members = &registry.group("a").unwrap().members;
    assert_eq!((0..4).map(|at| members.serial(at)).collect::<Vec<_>>(), [4, 7, 9, 12]);
    let (registry, _) = registry.expire(&mut ids, NOW + Duration::from_secs(5));
    assert_eq!(registry.group("a").unwrap().members.len(), 3);
}
