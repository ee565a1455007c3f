//! The store against a model, against a full disk, and against files that are not what it wrote.

use super::*;
use crate::config::{
    Lifecycle, ListenerConfig, ListenerProtocol, LoadBalancerConfig, Origin, Source, TargetConfig,
};
use crate::endpoint::Endpoint;
use crate::health::{Observed, Transition};
use crate::limits::{EVENTS_AGE_MAX, EVENTS_MAX};
use crate::outcome::{Code, Detail, Outcome};
use proptest::prelude::*;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;

fn origin(number: u64) -> Origin {
    let source = Source::ALL[usize::try_from(number).unwrap() % 4];
    let attributes = BTreeMap::from([("aws.vpc_id".to_owned(), format!("vpc-\"{number}\" é"))]);
    Origin { source, created_ms: 1_700_000_000_000 + number, attributes }
}

fn group(number: u64, settings: &str) -> GroupRow {
    GroupRow {
        id: format!("tg-{number}"),
        name: format!("group {number}"),
        origin: origin(number),
        settings_json: settings.to_owned(),
    }
}

fn load_balancer(number: u64) -> LoadBalancerConfig {
    LoadBalancerConfig {
        name: format!("lb {number}"),
        id: format!("nlb-{number}"),
        zones: (0..number).map(|zone| format!("zone-{zone}")).collect(),
        origin: origin(number),
    }
}

fn listener(number: u64) -> ListenerConfig {
    ListenerConfig {
        name: format!("listener {number}"),
        id: format!("lsn-{number}"),
        load_balancer: "of the file".to_owned(),
        port: u16::try_from(number).unwrap() + 1,
        protocol: ListenerProtocol::ALL[usize::try_from(number).unwrap() % 3],
        groups: vec!["one".to_owned(), "two".to_owned()],
        origin: origin(number),
    }
}

fn target(serial: u64, name: u8) -> TargetRow {
    let ip = match name % 3 {
        0 => std::net::Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, name.into()).into(),
        _ => std::net::Ipv4Addr::new(10, 0, 0, name).into(),
    };
    TargetRow {
        serial,
        target: TargetConfig {
            id: name.is_multiple_of(2).then(|| format!("i-{name}").into()),
            endpoint: Endpoint::new(ip, 80 + u16::from(name % 5)),
            zone: name.is_multiple_of(4).then(|| "zone-a".into()),
            weight: name.is_multiple_of(3).then(|| u16::from(name)),
            lifecycle: [Lifecycle::Running, Lifecycle::Stopped, Lifecycle::Terminated]
                [usize::from(name % 3)],
        },
        drains_until_ms: (name % 6 == 5).then(|| i64::from(name) * 1_000),
    }
}

fn event(seq: u64, at_ms: i64) -> EventRow {
    let is_named = seq.is_multiple_of(2);
    EventRow {
        seq,
        at_ms,
        group: "web".into(),
        id: is_named.then(|| "i-1".into()),
        endpoint: Endpoint::new([127, 0, 0, 1].into(), 80),
        transition: Transition { from: Observed::Healthy, to: Observed::Unhealthy },
        outcome: Outcome {
            code: Code::L7Sts,
            status: 503,
            detail: Detail::Errno(nix::errno::Errno::ECONNREFUSED),
        },
    }
}

fn open(dir: &Path) -> (Database, Loaded) {
    Database::open(dir).unwrap_or_else(|error| panic!("{error}"))
}

fn targets(number: u64, names: impl IntoIterator<Item = u8>, first: u64) -> Op {
    let rows = (first..).zip(names).map(|(serial, name)| target(serial, name)).collect();
    Op::PutTargets { group_id: format!("tg-{number}"), rows }
}

/// What the store must have, in plain maps.
#[derive(Clone, Debug, Default)]
struct Model {
    load_balancers: Vec<LoadBalancerConfig>,
    listeners: Vec<ListenerConfig>,
    groups: Vec<(GroupRow, u64, Members)>,
}

type Members = BTreeMap<(Box<str>, u16), TargetRow>;

fn put<T>(list: &mut Vec<T>, new: &T, id: impl Fn(&T) -> &str)
where
    T: Clone,
{
    match list.iter_mut().find(|old| id(old) == id(new)) {
        Some(old) => *old = new.clone(),
        None => list.push(new.clone()),
    }
}

impl Model {
    fn apply(&mut self, op: &Op) -> bool {
        let members =
            |model: &mut Self, id: &str| model.groups.iter().position(|(row, ..)| row.id == id);
        match op {
            Op::PutLoadBalancer(row) => put(&mut self.load_balancers, row, |row| &row.id),
            Op::DeleteLoadBalancer(id) => self.load_balancers.retain(|row| row.id != *id),
            Op::PutListener(row) => put(&mut self.listeners, row, |row| &row.id),
            Op::DeleteListener(id) => self.listeners.retain(|row| row.id != *id),
            Op::PutGroup(row) => match members(self, &row.id) {
                Some(place) => self.groups[place].0 = row.clone(),
                None => self.groups.push((row.clone(), 0, BTreeMap::new())),
            },
            Op::DeleteGroup(id) => self.groups.retain(|(row, ..)| row.id != *id),
            Op::PutTargets { group_id, rows } => {
                let Some(place) = members(self, group_id) else { return false };
                let (_, next, targets) = &mut self.groups[place];
                for row in rows {
                    let TargetKey { id, port } = TargetKey::of(&row.target);
                    *next = (*next).max(row.serial + 1);
                    targets.insert((id, port), row.clone());
                }
            }
            Op::RemoveTargets { group_id, keys } => {
                let Some(place) = members(self, group_id) else { return false };
                let targets = &mut self.groups[place].2;
                keys.iter().for_each(|key| drop(targets.remove(&(key.id.clone(), key.port))));
            }
            Op::ExpireTargets { now_ms } => {
                let lives = |row: &TargetRow| row.drains_until_ms.is_none_or(|end| end > *now_ms);
                self.groups.iter_mut().for_each(|(.., targets)| targets.retain(|_, t| lives(t)));
            }
        }
        true
    }

    fn assert_is(&self, loaded: &Loaded) {
        assert_eq!(loaded.load_balancers, self.load_balancers);
        assert_eq!(loaded.listeners, self.listeners);
        assert_eq!(loaded.groups.len(), self.groups.len());
        for (loaded, (row, next, targets)) in loaded.groups.iter().zip(&self.groups) {
            assert_eq!((&loaded.row, loaded.next_serial), (row, *next));
            let mut targets: Vec<_> = targets.values().cloned().collect();
            targets.sort_by_key(|target| target.serial);
            assert_eq!(loaded.targets, targets);
        }
    }
}

/// Any change; serials ascend by `turn`.
fn op(turn: u64, (kind, number, names): &(u8, u64, Vec<u8>)) -> Op {
    let id = |prefix: &str| format!("{prefix}-{number}");
    let mut names = names.clone();
    names.sort_unstable();
    names.dedup();
    match kind {
        0 => Op::PutLoadBalancer(load_balancer(*number)),
        1 => Op::DeleteLoadBalancer(id("nlb")),
        2 => Op::PutListener(listener(*number)),
        3 => Op::DeleteListener(id("lsn")),
        4..7 => Op::PutGroup(group(*number, &format!("{{\"turn\":{turn}}}"))),
        7 => Op::DeleteGroup(id("tg")),
        8..13 => targets(*number, names, turn * 1_000),
        13 | 14 => {
            let key = |&name: &u8| TargetKey::of(&target(0, name).target);
            Op::RemoveTargets { group_id: id("tg"), keys: names.iter().map(key).collect() }
        }
        _ => Op::ExpireTargets { now_ms: i64::from(names.first().copied().unwrap_or(0)) * 500 },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_was_committed_is_there_after_a_restart_and_nothing_else(
        commits in prop::collection::vec(
            prop::collection::vec(
                (0..16_u8, 0..4_u64, prop::collection::vec(any::<u8>(), 0..20)),
                1..5,
            ),
            1..30,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut database = open(dir.path()).0;
        let (mut model, mut turn) = (Model::default(), 0);
        for (number, commit) in commits.iter().enumerate() {
            let mut next = model.clone();
            let ops: Vec<Op> = commit.iter().map(|seed| { turn += 1; op(turn, seed) }).collect();
            let is_possible = ops.iter().all(|op| next.apply(op));
            let result = database.commit(&ops);
            prop_assert_eq!(result.is_ok(), is_possible, "{:?}", result);
            if is_possible {
                model = next;
            }
            if number % 5 == 4 {
                drop(database);
                let (again, loaded) = open(dir.path());
                model.assert_is(&loaded);
                database = again;
            }
        }
        drop(database);
        model.assert_is(&open(dir.path()).1);
    }
}

#[test]
fn a_serial_is_never_given_twice_and_an_address_has_one_spelling() {
    let dir = tempfile::tempdir().unwrap();
    let (mut database, loaded) = open(dir.path());
    assert_eq!(loaded, Loaded::default());
    database.commit(&[Op::PutGroup(group(1, "{}")), targets(1, [1, 2, 3], 40)]).unwrap();
    let key = |id: &str, port| TargetKey { id: id.into(), port };
    // 3 is at 2001:db8::3, port 83.
    let keys = vec![
        key("2001:0DB8::0003", 83),
        key("::ffff:10.0.0.1", 81),
        key("i-2", 82),
        key("no such target", 1),
    ];
    database.commit(&[Op::RemoveTargets { group_id: "tg-1".to_owned(), keys }]).unwrap();
    drop(database);
    let loaded = open(dir.path()).1;
    assert_eq!((loaded.groups[0].targets.len(), loaded.groups[0].next_serial), (0, 43));
}

#[test]
fn a_commit_for_which_the_disk_has_no_room_is_refused_whole_and_the_next_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut database = open(dir.path()).0;
    database.commit(&[Op::PutGroup(group(1, "{}")), targets(1, 0..20, 0)]).unwrap();
    let limit = |database: &Database, pages: i64| {
        database.connection().pragma_update(None, "max_page_count", pages).unwrap();
    };
    limit(&database, 1);
    let big = "x".repeat(1 << 20);
    let ops = [targets(1, 20..40, 20), Op::PutGroup(group(2, &big))];
    let error = database.commit(&ops).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(error.to_string().ends_with("; free space in state.dir"), "{error}");
    let events: Vec<_> = (1..5_000).map(|seq| event(seq, 0)).collect();
    assert!(matches!(database.push_events(&events, 0), Err(StoreError::Full { .. })));
    limit(&database, 1 << 30);
    database.commit(&[targets(1, [250], 90)]).unwrap();
    database.push_events(&events[..10], 0).unwrap();
    drop(database);
    let loaded = open(dir.path()).1;
    assert_eq!((loaded.groups.len(), loaded.groups[0].targets.len()), (1, 21));
    assert_eq!(loaded.groups[0].next_serial, 91);
    assert_eq!(loaded.events, events[..10]);
}

#[test]
fn an_op_on_a_group_that_is_not_there_takes_the_whole_commit_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut database = open(dir.path()).0;
    let ops = [Op::PutGroup(group(1, "{}")), targets(2, [1], 0)];
    assert_eq!(database.commit(&ops), Err(StoreError::NoGroup("tg-2".to_owned())));
    assert_eq!(open(dir.path()).1, Loaded::default());
}

/// A database with some of everything, closed cleanly.
fn sample(dir: &Path) {
    let mut database = open(dir).0;
    let ops = [
        Op::PutLoadBalancer(load_balancer(3)),
        Op::PutListener(listener(1)),
        Op::PutGroup(group(1, "{}")),
        targets(1, 0..200, 0),
    ];
    database.commit(&ops).unwrap();
    let events: Vec<_> = (1..100).map(|seq| event(seq, 1_000)).collect();
    database.push_events(&events, 1_000).unwrap();
    database.close(99).unwrap();
}

/// Opens the sample after `change`; nothing may have been written to it.
fn refused(change: impl FnOnce(&Path)) -> StoreError {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    change(&dir.path().join(FILE));
    let content = || std::fs::read(dir.path().join(FILE)).ok();
    let before = content();
    let error = Database::open(dir.path()).unwrap_err();
    assert_eq!(content(), before, "{error}");
    let text = error.to_string();
    assert!(text.contains(FILE) && text.contains("; ") && !text.contains('\n'), "{text}");
    error
}

fn sql(file: &Path, sql: &str) {
    let connection = Connection::open(file).unwrap();
    connection.pragma_update(None, "foreign_keys", "off").unwrap();
    connection.execute_batch(sql).unwrap();
}

#[test]
fn a_damaged_database_is_refused_and_left_alone() {
    type Change<'a> = &'a dyn Fn(&Path);
    let cases: [(&str, Change<'_>); 18] = [
        ("empty", &|file| std::fs::write(file, "").unwrap()),
        ("text", &|file| std::fs::write(file, "[[group]]\n".repeat(1_000)).unwrap()),
        ("a directory", &|file| {
            std::fs::remove_file(file).unwrap();
            std::fs::create_dir(file).unwrap();
        }),
        ("cut off in the header", &|file| cut(file, 50)),
        ("cut off behind the header", &|file| cut(file, 100)),
        ("cut off in a table", &|file| cut(file, 20_000)),
        ("without its file", &|file| {
            std::fs::write(file.with_extension("db-wal"), "x").unwrap();
            std::fs::remove_file(file).unwrap();
        }),
        ("of somebody else", &|file| sql(file, "PRAGMA application_id = 7")),
        ("without a version", &|file| sql(file, "PRAGMA user_version = 0")),
        ("without a table", &|file| sql(file, "DROP TABLE listeners")),
        ("without a column", &|file| sql(file, "ALTER TABLE events DROP COLUMN status")),
        ("without marks", &|file| sql(file, "DELETE FROM marks")),
        ("attributes", &|file| sql(file, "UPDATE groups SET attributes = '{'")),
        ("protocol", &|file| sql(file, "UPDATE listeners SET protocol = 'SCTP'")),
        ("lifecycle", &|file| sql(file, "UPDATE targets SET lifecycle = 9 WHERE port = 81")),
        ("address", &|file| sql(file, "UPDATE targets SET address = '10.0.0' WHERE port = 81")),
        ("orphans", &|file| sql(file, "UPDATE targets SET group_key = 9 WHERE port = 81")),
        ("serials", &|file| sql(file, "UPDATE targets SET serial = 7")),
    ];
    for (name, change) in cases {
        let error = refused(change);
        assert!(matches!(error, StoreError::Damaged { .. }), "{name}: {error}");
        assert!(error.to_string().contains("restore it from a backup"), "{name}: {error}");
    }
}

fn cut(file: &Path, len: u64) {
    std::fs::OpenOptions::new().write(true).open(file).unwrap().set_len(len).unwrap();
}

#[test]
fn any_page_of_garbage_is_an_error_or_harmless_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    let good = std::fs::read(dir.path().join(FILE)).unwrap();
    let mut refused = 0;
    for page in 0..good.len() / 4_096 {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = good.clone();
        bytes[page * 4_096..(page + 1) * 4_096].fill(0xA5);
        std::fs::write(dir.path().join(FILE), bytes).unwrap();
        match Database::open(dir.path()) {
            Err(error) => {
                assert!(matches!(error, StoreError::Damaged { .. }), "page {page}: {error}");
                refused += 1;
            }
            // A free page is read by nobody.
            Ok((mut database, _)) => database.commit(&[targets(1, 0..250, 500)]).unwrap(),
        }
    }
    assert!(refused > 10, "only {refused}");
}

#[test]
fn a_newer_database_and_a_place_without_room_are_refused() {
    let newer = refused(|file| sql(file, "PRAGMA user_version = 2"));
    assert!(matches!(newer, StoreError::Newer { version: 2, .. }), "{newer}");
    let error = Database::open(Path::new("/proc/self")).unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    let error = Database::open(Path::new("/dev/null/x")).unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
}

#[test]
fn what_a_crash_left_of_a_new_database_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ringcheck.db.new"), "half").unwrap();
    std::fs::write(dir.path().join("ringcheck.db.new-journal"), "half").unwrap();
    sample(dir.path());
    assert_eq!(open(dir.path()).1.events.len(), 99);
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
    }
}

#[test]
fn events_are_bounded_by_count_and_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let mut database = open(dir.path()).0;
    let mut most = 0;
    for first in (0..105_000_u64).step_by(1_000) {
        let rows: Vec<_> = (first..first + 1_000).map(|seq| event(seq + 1, 0)).collect();
        database.push_events(&rows, 0).unwrap();
        let count = "SELECT count(*) FROM events";
        let count = database.connection().query_row(count, [], |row| row.get::<_, i64>(0));
        most = most.max(count.unwrap());
    }
    assert!(usize::try_from(most).unwrap() < EVENTS_MAX + 1_000, "{most}");
    drop(database);
    let (mut database, loaded) = open(dir.path());
    assert!(loaded.events.len() >= EVENTS_MAX);
    assert_eq!(loaded.events.last().unwrap(), &event(105_000, 0));
    assert!(loaded.events.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq));

    // A week later, all of them go, a thousand with each push.
    let week_ms = i64::try_from(EVENTS_AGE_MAX.as_millis()).unwrap();
    for seq in 0..102 {
        database.push_events(&[event(200_000 + seq, week_ms)], week_ms + 1).unwrap();
    }
    drop(database);
    let loaded = open(dir.path()).1;
    assert_eq!((loaded.events.len(), loaded.events[0].seq), (102, 200_000));
}

#[test]
fn after_a_clean_end_seqs_go_on_and_after_a_crash_they_leap() {
    let dir = tempfile::tempdir().unwrap();
    let (mut database, loaded) = open(dir.path());
    assert_eq!((loaded.newest_seq, loaded.was_killed), (0, false));
    database.begin(0).unwrap();
    database.push_events(&[event(1, 0), event(2, 0)], 0).unwrap();
    database.close(7).unwrap();
    let (mut database, loaded) = open(dir.path());
    assert_eq!((loaded.newest_seq, loaded.was_killed, loaded.events.len()), (7, false, 2));
    database.begin(7).unwrap();
    database.push_events(&[event(8, 0)], 0).unwrap();
    drop(database);
    let (mut database, loaded) = open(dir.path());
    assert_eq!((loaded.newest_seq, loaded.was_killed), (7 + (1 << 32), true));

    // Half of them used up, more are set aside.
    let newest = loaded.newest_seq;
    database.begin(newest).unwrap();
    let far = newest + (1 << 31) + 1;
    database.push_events(&[event(far, 0)], 0).unwrap();
    drop(database);
    assert_eq!(open(dir.path()).1.newest_seq, far + (1 << 32));
}

/// Ten events a look, up to a number.
struct Ten {
    newest: u64,
}

impl Feed for Ten {
    fn since(&mut self, seq: u64, limit: usize) -> Vec<EventRow> {
        (seq + 1..=self.newest).take(limit).map(|seq| event(seq, 0)).collect()
    }

    fn newest(&self) -> u64 {
        self.newest
    }

    fn now_ms(&self) -> i64 {
        0
    }
}

#[test]
fn the_thread_commits_feeds_and_ends_with_all_of_it_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut database = open(dir.path()).0;
    database.begin(0).unwrap();
    let (store, thread) = Store::start(database, 0, Box::new(Ten { newest: 2_345 })).unwrap();
    assert!(store.is_durable());
    store.commit(vec![Op::PutGroup(group(1, "{}"))]).unwrap();
    let ways: Vec<_> = (0..8_u8)
        .map(|way| {
            let store = store.clone();
            let first = u64::from(way) * 100;
            std::thread::spawn(move || {
                (0..10).for_each(|turn| {
                    let op = targets(1, [way * 10 + turn], first + u64::from(turn));
                    store.commit(vec![op]).unwrap();
                });
            })
        })
        .collect();
    ways.into_iter().for_each(|way| way.join().unwrap());
    assert!(matches!(store.commit(vec![targets(9, [1], 0)]), Err(StoreError::NoGroup(_))));
    thread.stop();
    assert_eq!(store.commit(vec![Op::DeleteGroup("tg-1".to_owned())]), Err(StoreError::Closed));
    let loaded = open(dir.path()).1;
    assert_eq!((loaded.events.len(), loaded.newest_seq, loaded.was_killed), (2_345, 2_345, false));
    assert_eq!(loaded.groups[0].targets.len(), 80);
}

#[test]
fn without_a_directory_everything_is_accepted_and_nothing_kept() {
    let store = Store::memory();
    assert!(!store.is_durable());
    assert_eq!(store.commit(vec![targets(9, [1], 0)]), Ok(()));
}
