//! Reload properties: whatever sequence of configurations comes, unchanged targets keep their ids,
//! and the changes told to the workers add up to what is probed. `edits` has those of the API.

mod bytes;
mod edits;

use proptest::prelude::*;
use ringcheck::config::{
    AlibabaConfig, ApiConfig, AwsConfig, Backend, Config, EngineConfig, GroupConfig, HealthCheck,
    Lifecycle, ListenerConfig, ListenerProtocol, LoadBalancerConfig, Origin, Protocol, Rules,
    StateConfig, TargetConfig,
};
use ringcheck::endpoint::Endpoint;
use ringcheck::health::Observed;
use ringcheck::recipe::{Close, Handshake, Recipe};
use ringcheck::registry::{Group, GroupKey, IdAllocator, Registry, mass_removal};
use ringcheck::report::TargetId;
use ringcheck::shown::{self, Facts, State};
use ringcheck::time::Instant;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

const NOW: Instant = Instant::from_millis(1_000_000);

fn config(groups: Vec<GroupConfig>) -> Config {
    Config {
        file: "test.toml".into(),
        engine: EngineConfig {
            workers: None,
            max_in_flight: None,
            tls_in_flight: None,
            tls_session_memory: 0,
            backend: Backend::Auto,
            max_targets: 1_000_000,
        },
        api: ApiConfig {
            socket: "api.sock".into(),
            socket_mode: 0o660,
            socket_group: None,
            listen: None,
        },
        state: StateConfig {
            dir: None,
            snapshot_interval: Duration::from_secs(60),
            snapshot_max_age: Duration::from_secs(3600),
        },
        aws: AwsConfig::default(),
        alibaba: AlibabaConfig::default(),
        load_balancers: Vec::new(),
        listeners: Vec::new(),
        groups,
    }
}

fn group(name: &str, targets: Vec<TargetConfig>) -> GroupConfig {
    GroupConfig {
        name: name.to_owned(),
        id: format!("tg-{name}"),
        rules: Rules::Free,
        deregistration_delay: Duration::from_secs(300),
        port: None,
        health_check: HealthCheck {
            enabled: true,
            protocol: Protocol::Tcp,
            port: None,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            healthy_threshold: 3,
            unhealthy_threshold: 3,
            close: Close::Reset,
            handshake: Handshake::Half,
            proxy_protocol: None,
            reuse: None,
        },
        targets,
        targets_files: Vec::new(),
        origin: Origin::default(),
    }
}

fn target(address: u32, port: u16) -> TargetConfig {
    TargetConfig {
        id: None,
        endpoint: Endpoint::new(Ipv4Addr::from(0x7F00_0000 + address).into(), port),
        zone: None,
        weight: None,
        lifecycle: Lifecycle::Running,
    }
}

fn targets(count: u32) -> Vec<TargetConfig> {
    (0..count).map(|address| target(address, 80)).collect()
}

/// What a worker holds after carrying out all changes so far.
#[derive(Default)]
struct Worker {
    recipes: HashMap<GroupKey, Arc<Recipe>>,
    probed: BTreeMap<TargetId, (GroupKey, Endpoint, u64)>,
}

type Probed = BTreeMap<TargetId, (GroupKey, Endpoint, u64)>;

fn probed(registry: &Registry) -> Probed {
    let mut probed = Probed::new();
    for group in &registry.groups {
        for position in 0..group.members.len() {
            let facts = Facts::of(group, position);
            let would_show = shown::state(&facts, true, Observed::Healthy) == State::Healthy;
            assert_eq!(group.is_probed(position), would_show, "{facts:?}");
            let target = group.members.target(position);
            assert_eq!(
                registry.is_led(target),
                group.is_probed(position) && registry.twins.leader(target).is_none()
            );
            if registry.is_led(target) {
                let member = group.members.get(position);
                let traffic = member.endpoint.socket_addr();
                let hash = ringcheck::rng::hash_target(&group.config.name, traffic);
                let value = (group.key, member.endpoint, hash);
                assert!(probed.insert(member.target, value).is_none(), "one id, two targets");
            }
        }
    }
    probed
}

/// (group, id, port) to (state table id, address and traffic port).
fn identities(registry: &Registry) -> BTreeMap<(String, String, u16), (TargetId, Endpoint)> {
    let mut all = BTreeMap::new();
    for (index, group) in registry.groups.iter().enumerate() {
        for position in 0..group.members.len() {
            let member = group.members.get(position);
            let port = member.endpoint.port();
            assert_eq!(group.members.find(&member.id, Some(port)), Some(position));
            let home = registry.homes.get(member.target).expect("a member is at home");
            assert_eq!((home.group as usize, home.position as usize), (index, position));
            let key = (group.config.name.clone(), member.id.into_owned(), port);
            all.insert(key, (member.target, member.endpoint));
        }
    }
    let ids = 0..u32::try_from(registry.homes.bound() + 1_000).expect("few ids");
    let homes = ids.filter(|&id| registry.homes.get(TargetId(id)).is_some()).count();
    assert_eq!(homes, all.len(), "homes of nobody");
    all
}

fn any_target() -> impl Strategy<Value = TargetConfig> {
    let lifecycle = prop_oneof![
        4 => Just(Lifecycle::Running),
        1 => Just(Lifecycle::Stopped),
        1 => Just(Lifecycle::Terminated),
    ];
    let id = prop_oneof![Just(None), Just(Some("a")), Just(Some("bb")), Just(Some("c"))];
    let zone = prop_oneof![Just(None), Just(Some("z1")), Just(Some("z2"))];
    let weight = prop_oneof![Just(None), Just(Some(0)), Just(Some(7))];
    (0..6_u32, 80..82_u16, id, zone, weight, lifecycle).prop_map(
        |(address, port, id, zone, weight, lifecycle)| TargetConfig {
            id: id.map(Into::into),
            zone: zone.map(Into::into),
            weight,
            lifecycle,
            ..target(address, port)
        },
    )
}

fn any_group(name: &'static str) -> impl Strategy<Value = Option<GroupConfig>> {
    let targets = prop::collection::vec(any_target(), 0..8);
    let settings = (any::<bool>(), prop::option::of(90..92_u16), 1..3_u64, 0..4_u64);
    let group = (targets, settings).prop_map(move |(targets, settings)| {
        let (enabled, port, interval, delay) = settings;
        let mut seen = BTreeSet::new();
        let unique = targets.into_iter().filter(|target| {
            let id =
                target.id.as_deref().map_or_else(|| target.endpoint.ip().to_string(), Into::into);
            seen.insert((id, target.endpoint.port()))
        });
        let mut group = group(name, unique.collect());
        group.health_check.enabled = enabled;
        group.health_check.port = port;
        group.deregistration_delay = Duration::from_secs(delay);
        group.health_check.interval = Duration::from_secs(interval);
        group
    });
    prop::option::weighted(0.8, group)
}

fn any_config() -> impl Strategy<Value = Config> {
    let groups = (any_group("one"), any_group("two"), any_group("three"));
    let forward = prop::option::of(prop::collection::vec(any::<bool>(), 3));
    (groups, forward, any::<bool>()).prop_map(|((one, two, three), forward, zoned)| {
        let mut config = config([one, two, three].into_iter().flatten().collect());
        let Some(forward) = forward else { return config };
        let zones = if zoned { vec!["z1".to_owned()] } else { Vec::new() };
        config.load_balancers = vec![LoadBalancerConfig { zones, ..load_balancer("lb", &[]) }];
        let used = config.groups.iter().zip(forward).filter(|(_, forward)| *forward);
        let groups = used.map(|(group, _)| group.name.clone()).collect();
        config.listeners = vec![ListenerConfig {
            name: "l".into(),
            id: "lsn-1".into(),
            load_balancer: "lb".into(),
            port: 80,
            protocol: ListenerProtocol::Tcp,
            groups,
            origin: Origin::default(),
        }];
        config
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_sequence_of_reloads(
        configs in prop::collection::vec((any_config(), 0..4_u64, 0..3_u64), 1..8),
    ) {
        let mut ids = IdAllocator::default();
        let mut registry = Registry::default();
        let mut worker = Worker::default();
        let mut model = Model::default();
        let mut now = NOW;
        // Ids that a report may still be on its way for, with the revision that freed them.
        let mut unsettled: BTreeMap<TargetId, u64> = BTreeMap::new();
        // `behind`: how many revisions the slowest worker is behind after this one.
        for (config, behind, seconds) in configs {
            now += Duration::from_secs(seconds);
            let is_over = registry.drain_end.is_some_and(|end| end <= now);
            for config in [None, Some(&config)].into_iter().skip(usize::from(!is_over)) {
                let (next, change) = match config {
                    None => registry.expire(&mut ids, now),
                    Some(config) => Registry::build(config, Some(&registry), &mut ids, now),
                };
                prop_assert_eq!(next.revision, registry.revision + 1);
                model.step(config, now);
                model.assert_is(&next);
                assert_ids_stay(&registry, &next, &unsettled);
                assert_twins(&registry, &next);
                prop_assert_eq!(counts_of(&model), (change.registered, change.deregistered));
                carry_out(&mut worker, change);
                prop_assert_eq!(&worker.probed, &probed(&next));
                for group in &next.groups {
                    let recipe = group.config.health_check.recipe();
                    prop_assert_eq!(&*worker.recipes[&group.key], &recipe);
                }
                let in_use: BTreeSet<_> =
                    identities(&next).into_values().map(|(target, _)| target).collect();
                let freed = identities(&registry).into_values().map(|(target, _)| target);
                let freed = freed.filter(|target| !in_use.contains(target));
                unsettled.extend(freed.map(|target| (target, next.revision)));
                let carried_out = next.revision.saturating_sub(behind);
                ids.release(carried_out);
                unsettled.retain(|_, revision| *revision > carried_out);
                registry = next;
            }
        }
    }
}

/// Of all groups' members with one health check and one place, the first of each group: one leads
/// and the others follow it. Whoever led, and could still, does.
fn assert_twins(old: &Registry, new: &Registry) {
    let mut same: BTreeMap<(String, Endpoint), Vec<TargetId>> = BTreeMap::new();
    let mut alone = BTreeSet::new();
    for group in &new.groups {
        let recipe = group.config.health_check.recipe();
        let mut own = BTreeSet::new();
        for position in (0..group.members.len()).filter(|&position| group.is_probed(position)) {
            let target = group.members.target(position);
            let endpoint = recipe.endpoint(group.members.endpoints[position]);
            if own.insert(endpoint) {
                same.entry((format!("{recipe:?}"), endpoint)).or_default().push(target);
            } else {
                alone.insert(target);
            }
        }
    }
    for target in alone {
        assert!(new.is_led(target) && new.twins.followers(target).is_empty());
    }
    for targets in same.into_values() {
        let leaders: Vec<_> = targets.iter().filter(|&&target| new.is_led(target)).collect();
        let &[&leader] = &*leaders else { panic!("{} leaders", leaders.len()) };
        let followers: BTreeSet<_> = targets.iter().filter(|&&target| target != leader).collect();
        assert_eq!(new.twins.followers(leader).iter().collect::<BTreeSet<_>>(), followers);
        assert!(followers.iter().all(|&&target| new.twins.leader(target) == Some(leader)));
        // Who was probed by another health check knows nothing that the others could trust.
        let recipe = |registry: &Registry, target| {
            registry.home(target).map(|(group, _)| Arc::clone(&group.recipe))
        };
        let led_before =
            |&target: &TargetId| old.is_led(target) && recipe(old, target) == recipe(new, target);
        let any_led = targets.iter().any(led_before);
        assert!(!any_led || led_before(&leader), "the leader changed without need");
    }
}

/// Who was there keeps the id, who is new has none that a report may still be on its way for.
fn assert_ids_stay(old: &Registry, new: &Registry, unsettled: &BTreeMap<TargetId, u64>) {
    let before = identities(old);
    for (key, (target, endpoint)) in identities(new) {
        match before.get(&key) {
            Some((known, at)) if *at == endpoint => assert_eq!(*known, target, "{key:?}"),
            Some((known, _)) => assert_ne!(*known, target, "{key:?}"),
            None => {}
        }
        assert!(!unsettled.contains_key(&target), "{target:?} reused too early");
    }
    for old_group in &old.groups {
        if let Some(group) = new.group(&old_group.config.name) {
            assert_eq!(group.key, old_group.key);
        }
    }
}

/// What the members of each group must be: written down as one would say it.
#[derive(Default)]
struct Model {
    groups: BTreeMap<String, Vec<Known>>,
    registered: usize,
    deregistered: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Known {
    id: String,
    endpoint: Endpoint,
    drains_until: Option<Instant>,
}

impl Model {
    fn step(&mut self, config: Option<&Config>, now: Instant) {
        (self.registered, self.deregistered) = (0, 0);
        let Some(config) = config else {
            let stays = |known: &Known| known.drains_until.is_none_or(|end| end > now);
            self.groups.values_mut().for_each(|group| group.retain(stays));
            return;
        };
        let mut before = std::mem::take(&mut self.groups);
        for group in &config.groups {
            let old = before.remove(&group.name).unwrap_or_default();
            let members = self.group(old, group, now);
            self.groups.insert(group.name.clone(), members);
        }
        let gone = before.values().flatten().filter(|known| known.drains_until.is_none());
        self.deregistered += gone.count();
    }

    fn group(&mut self, old: Vec<Known>, group: &GroupConfig, now: Instant) -> Vec<Known> {
        let listed = group.targets.iter().map(|target| Known {
            id: target.id.as_deref().map_or_else(|| target.endpoint.ip().to_string(), Into::into),
            endpoint: target.endpoint,
            drains_until: None,
        });
        let mut fresh: Vec<Known> = listed.collect();
        let mut members = Vec::new();
        for known in old {
            let was_registered = known.drains_until.is_none();
            let is_same = |new: &Known| new.id == known.id && new.endpoint == known.endpoint;
            if let Some(place) = fresh.iter().position(is_same) {
                self.registered += usize::from(!was_registered);
                members.push(fresh.remove(place));
                continue;
            }
            self.deregistered += usize::from(was_registered);
            let is_named =
                |new: &Known| new.id == known.id && new.endpoint.port() == known.endpoint.port();
            let end = known.drains_until.unwrap_or(now + group.deregistration_delay);
            let drains = !group.deregistration_delay.is_zero() && end > now;
            if drains && !fresh.iter().any(is_named) {
                members.push(Known { drains_until: Some(end), ..known });
            }
        }
        self.registered += fresh.len();
        members.extend(fresh);
        members
    }

    fn assert_is(&self, registry: &Registry) {
        let known = |group: &Group| -> Vec<Known> {
            let members = &group.members;
            let serials: Vec<u64> = (0..members.len()).map(|p| members.serial(p)).collect();
            assert!(serials.is_sorted_by(|a, b| a < b), "{serials:?}");
            for (position, &serial) in serials.iter().enumerate() {
                assert_eq!(members.behind(serial), position + 1);
            }
            let member = |position| {
                let member = members.get(position);
                let (id, endpoint) = (member.id.into_owned(), member.endpoint);
                Known { id, endpoint, drains_until: members.drains_until(position) }
            };
            (0..members.len()).map(member).collect()
        };
        let groups = registry.groups.iter();
        let groups = groups.map(|group| (group.config.name.clone(), known(group))).collect();
        assert_eq!(self.groups, groups);
        let ends = self.groups.values().flatten().filter_map(|known| known.drains_until);
        assert_eq!(registry.drain_end, ends.min());
    }
}

const fn counts_of(model: &Model) -> (usize, usize) {
    (model.registered, model.deregistered)
}

/// Recipes, remove, add; nothing may be told twice or to no purpose.
fn carry_out(worker: &mut Worker, change: ringcheck::registry::Change) {
    for (key, recipe) in change.recipes {
        worker.recipes.insert(key, recipe);
    }
    for target in change.remove {
        assert!(worker.probed.remove(&target).is_some(), "{target:?} removed but not probed");
    }
    for addition in change.add {
        let value = (addition.group, addition.endpoint, addition.hash);
        let before = worker.probed.insert(addition.target, value);
        assert!(before.is_none(), "{:?} added twice", addition.target);
    }
}

#[test]
fn the_same_configuration_changes_nothing() {
    let config = config(vec![group("web", targets(50))]);
    let mut ids = IdAllocator::default();
    let (first, change) = Registry::build(&config, None, &mut ids, NOW);
    assert_eq!((first.revision, change.add.len(), change.recipes.len()), (1, 50, 1));
    let (second, change) = Registry::build(&config, Some(&first), &mut ids, NOW);
    assert_eq!((second.revision, second.target_count()), (2, 50));
    assert!(change.add.is_empty() && change.remove.is_empty() && change.recipes.is_empty());
}

#[test]
fn a_changed_setting_is_one_recipe_and_no_target() {
    let others = (10..15).map(|address| target(address, 80)).collect();
    let mut config = config(vec![group("web", targets(5)), group("db", others)]);
    let mut ids = IdAllocator::default();
    let (first, _) = Registry::build(&config, None, &mut ids, NOW);
    config.groups[1].health_check.interval = Duration::from_secs(10);
    let (second, change) = Registry::build(&config, Some(&first), &mut ids, NOW);
    assert!(change.add.is_empty() && change.remove.is_empty());
    assert_eq!(change.recipes.len(), 1);
    assert_eq!(change.recipes[0].0, second.group("db").unwrap().key);
    assert_eq!(change.recipes[0].1.interval, Duration::from_secs(10));
}

#[test]
fn members_are_found_by_any_spelling_of_their_id() {
    let mut list = vec![target(1, 80), target(1, 81), target(2, 80)];
    list[2].id = Some("i-2".into());
    list.push(TargetConfig {
        endpoint: Endpoint::new("2001:db8::1".parse().unwrap(), 80),
        ..target(0, 0)
    });
    let (registry, _) =
        Registry::build(&config(vec![group("web", list)]), None, &mut IdAllocator::default(), NOW);
    let members = &registry.group("web").unwrap().members;
    assert_eq!(members.find("127.0.0.1", Some(81)), Some(1));
    assert_eq!(members.find("::ffff:127.0.0.1", Some(81)), Some(1));
    assert_eq!(members.find("127.0.0.1", None), Some(0));
    assert!(members.find_all("127.0.0.1", None).eq([0, 1]));
    assert_eq!(members.find("i-2", None), Some(2));
    assert_eq!(members.find("127.0.0.2", None), None, "a given id takes the address's place");
    assert_eq!(members.find("2001:0db8::0001", None), Some(3));
    assert_eq!(members.find("i-2", Some(81)), None);
    assert_eq!(members.get(2).id, "i-2");
    assert_eq!(members.get(3).id, "2001:db8::1");
}

#[test]
fn a_reload_leaves_alone_what_says_the_same() {
    let lists = || vec![group("web", targets(9)), group("api", targets(5))];
    let mut ids = IdAllocator::default();
    let (old, _) = Registry::build(&config(lists()), None, &mut ids, NOW);
    let kept = |groups: Vec<GroupConfig>| {
        let (next, _) = Registry::build(&config(groups), Some(&old), &mut ids.clone(), NOW);
        let is_kept = |(old, new): (&Arc<Group>, &Arc<Group>)| Arc::ptr_eq(old, new);
        old.groups.iter().zip(&next.groups).map(is_kept).collect::<Vec<_>>()
    };
    assert_eq!(kept(lists()), [true, true]);
    let with = |change: &dyn Fn(&mut GroupConfig)| {
        let mut groups = lists();
        change(&mut groups[0]);
        kept(groups)
    };
    assert_eq!(with(&|web| web.targets.reverse()), [true, true], "the order is that of before");
    assert_eq!(with(&|web| web.targets[3].weight = Some(7)), [false, true]);
    assert_eq!(with(&|web| web.targets[3].zone = Some("a".into())), [false, true]);
    assert_eq!(with(&|web| web.targets.truncate(8)), [false, true]);
    assert_eq!(with(&|web| web.targets.push(target(77, 80))), [false, true]);
    assert_eq!(with(&|web| web.deregistration_delay += Duration::from_secs(1)), [false, true]);
    assert_eq!(with(&|web| web.health_check.healthy_threshold += 1), [false, true]);
}

#[test]
fn the_guard_counts_what_would_be_lost() {
    let mut ids = IdAllocator::default();
    let (old, _) = Registry::build(&config(vec![group("web", targets(100))]), None, &mut ids, NOW);
    let reload =
        |groups| mass_removal(&old, &config(groups)).map_err(|refusal| refusal.to_string());
    assert_eq!(reload(vec![group("web", targets(50))]), Ok(()));
    let lost = "reload would remove 51 of 100 targets, group \"web\"; \
                if that is meant, run 'ringcheck reload --force'";
    assert_eq!(reload(vec![group("web", targets(49))]), Err(lost.to_owned()));
    // As many targets as before, but others.
    let others = (60..160).map(|address| target(address, 80)).collect();
    assert_eq!(reload(vec![group("web", others)]).unwrap_err(), lost.replace("51", "60"));
    assert_eq!(reload(vec![]).unwrap_err(), lost.replace("51", "100"));

    // Those that drain are gone already.
    let half = config(vec![group("web", targets(50))]);
    let (rest, _) = Registry::build(&half, Some(&old), &mut ids, NOW);
    assert_eq!((rest.target_count(), rest.groups[0].members.registered()), (100, 50));
    assert_eq!(mass_removal(&rest, &config(vec![])), Ok(()));

    let (small, _) = Registry::build(&config(vec![group("web", targets(99))]), None, &mut ids, NOW);
    assert_eq!(mass_removal(&small, &config(vec![])), Ok(()));
}

fn listener(load_balancer: &str, groups: &[&str]) -> ListenerConfig {
    ListenerConfig {
        name: format!("to-{load_balancer}"),
        id: format!("lsn-{load_balancer}"),
        load_balancer: load_balancer.to_owned(),
        port: 80,
        protocol: ListenerProtocol::Tcp,
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        origin: Origin::default(),
    }
}

fn load_balancer(name: &str, zones: &[&str]) -> LoadBalancerConfig {
    let zones = zones.iter().map(|&zone| zone.to_owned()).collect();
    let (id, origin) = (format!("nlb-{name}"), Origin::default());
    LoadBalancerConfig { name: name.to_owned(), id, zones, origin }
}

#[test]
fn listeners_say_which_groups_and_zones_are_in_use() {
    let zoned =
        |address, zone: &str| TargetConfig { zone: Some(zone.into()), ..target(address, 80) };
    let list = || vec![zoned(1, "a"), zoned(2, "b"), zoned(3, "c"), target(4, 80)];
    let mut config = config(vec![group("one", list()), group("two", list())]);
    let probed_of = |config: &Config, name: &str| -> Vec<usize> {
        let (registry, _) = Registry::build(config, None, &mut IdAllocator::default(), NOW);
        let group = registry.group(name).expect("it is in the file");
        (0..4).filter(|&position| group.is_probed(position)).collect()
    };
    // No listener in the file: all groups are in use, in all zones.
    config.load_balancers = vec![load_balancer("x", &["a"]), load_balancer("y", &["b"])];
    assert_eq!(probed_of(&config, "two"), [0, 1, 2, 3]);
    // One listener: the other group is not in use, and only the zone of its load balancer is.
    config.listeners = vec![listener("x", &["one"])];
    assert_eq!(probed_of(&config, "one"), [0, 3]);
    assert!(probed_of(&config, "two").is_empty());
    // Two load balancers: the zones of either.
    config.listeners.push(listener("y", &["one", "two"]));
    assert_eq!(probed_of(&config, "one"), [0, 1, 3]);
    assert_eq!(probed_of(&config, "two"), [1, 3]);
    // A load balancer that names no zones enables all.
    config.load_balancers[1].zones.clear();
    assert_eq!(probed_of(&config, "one"), [0, 1, 2, 3]);
}

#[test]
fn the_zone_all_is_every_zone() {
    let zoned = |zone: &str| TargetConfig { zone: Some(zone.into()), ..target(1, 80) };
    let list = vec![zoned("all"), target(2, 80)];
    let mut config = config(vec![group("one", list)]);
    config.load_balancers = vec![load_balancer("x", &["a"])];
    config.listeners = vec![listener("x", &["one"])];
    let (registry, _) = Registry::build(&config, None, &mut IdAllocator::default(), NOW);
    let group = registry.group("one").expect("it is in the file");
    assert!(group.is_probed(0) && group.is_probed(1));
    // It is shown as it was given.
    assert_eq!(group.members.zone(0), Some("all"));
}
