//! Whole snapshots: what goes in comes out, and what was damaged does not.

use super::*;
use crate::config;
use crate::health::Observed;
use crate::outcome::{Code, Outcome, TABLE};
use crate::registry::{IdAllocator, Registry};
use crate::report::{Phases, TargetId};
use crate::table::{LastProbe, Reading, StateTable, Verdict, View};
use crate::time::Instant;
use crate::wall::{Moment, WallClock};
use proptest::prelude::*;
use std::sync::Arc;

const WALL_MS: u64 = 1_800_000_000_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// A registry of groups, each with its name, interval and targets file, and a table for it.
struct World {
    table: StateTable,
    clock: WallClock,
}

impl World {
    fn new(groups: &[(&str, &str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ringcheck.toml");
        let mut text = String::new();
        for (name, interval, targets) in groups {
            std::fs::write(dir.path().join(name), targets).unwrap();
            text += &format!("[[group]]\nname = \"{name}\"\ntargets_file = \"{name}\"\n");
            text += &format!("rules = \"free\"\n[group.health_check]\ninterval = \"{interval}\"\n");
        }
        std::fs::write(&file, text).unwrap();
        let config = config::load(&file).unwrap();
        let mut ids = IdAllocator::default();
        let registry = Registry::build(&config, None, &mut ids, Instant::ZERO).0;
        let table = StateTable::new(300_000, Instant::ZERO);
        assert!(table.reserve(registry.homes.bound()));
        table.publish_view(Arc::new(View { registry: Arc::new(registry), ..View::default() }));
        // Both clocks when it was written; another run has another offset.
        let clock = WallClock::new(Instant::from_millis(5_000), WALL_MS);
        Self { table, clock }
    }

    fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.table.view().registry)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(self.table.view(), Moment(5_000), &self.clock, &mut bytes);
        while encoder.piece(&self.table, &mut bytes) {}
        bytes
    }
}

fn lines(count: u32) -> String {
    let address = |n| format!("{}:80\n", std::net::Ipv4Addr::from(0x0A00_0000 + n));
    (0..count).map(address).collect()
}

fn known(observed: Observed, since: i64, streak: i16) -> Reading {
    let outcome = Some(Outcome::plain(Code::L4Ok));
    Reading {
        verdict: Verdict { observed, outcome, since: Moment(since) },
        last: Some(LastProbe { at: Moment(since), streak, phases: Phases::default() }),
        failure: None,
    }
}

fn parse(bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
    Snapshot::parse(bytes.to_vec(), 1_800_000_000_000, HOUR)
}

fn restored(snapshot: &Snapshot, world: &World) -> Vec<(TargetId, Reading)> {
    let (registry, clock) = (world.registry(), &world.clock);
    snapshot.known(&registry, clock, Moment(5_000)).flatten().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_goes_in_comes_out_on_another_clock(
        readings in prop::collection::vec(prop::option::of(entry::tests::reading()), 30),
    ) {
        let ids = "[{\"id\":\"i-1\",\"address\":\"::1\",\"port\":1},{\"id\":\"i-1\",\"address\":\
                   \"::1\",\"port\":2},{\"address\":\"10.0.0.1\",\"port\":2}]";
        let world = World::new(&[("a", "10s", &lines(20)), ("b", "10s", ids), ("c", "10s", &lines(7))]);
        let mut expected = Vec::new();
        for (id, known) in (0..).map(TargetId).zip(&readings) {
            if let Some(known) = known {
                world.table.restore(id, known);
                let mut known = world.table.read(id);
                known.verdict.since.0 += 1_000;
                known.last.as_mut().unwrap().at.0 += 1_000;
                expected.push((id, known));
            }
        }
        let bytes = world.encode();
        let snapshot = parse(&bytes).unwrap();
        prop_assert_eq!(snapshot.targets(), expected.len());
        // The other clock's monotonic time is a second ahead.
        let other = WallClock::new(Instant::from_millis(6_000), WALL_MS);
        let registry = world.registry();
        let back: Vec<_> = snapshot.known(&registry, &other, Moment(i64::MAX)).flatten().collect();
        prop_assert_eq!(back, expected);
    }

    #[test]
    fn any_bytes_with_a_right_checksum_are_taken_whole_or_not_at_all(
        body in prop::collection::vec(any::<u8>(), 0..200),
        at in 0..2_000_usize,
        byte in any::<u8>(),
    ) {
        let world = World::new(&[("a", "10s", &lines(20))]);
        (0..20).for_each(|id| world.table.restore(TargetId(id), &known(Observed::Healthy, 9, 1)));
        let good = world.encode();
        let mut damaged = good.clone();
        let at = at % (good.len() - 4 - HEADER_BYTES) + HEADER_BYTES;
        damaged[at] = byte;
        let garbage = [&good[..HEADER_BYTES], &body, &[0; 4]].concat();
        for mut bytes in [damaged, garbage] {
            let end = bytes.len() - 4;
            let crc = crc32fast::hash(&bytes[..end]);
            bytes[end..].copy_from_slice(&crc.to_le_bytes());
            if let Ok(snapshot) = parse(&bytes) {
                let entries = snapshot.sections().map(|section| section.entries(Moment(0)).count());
                prop_assert_eq!(entries.sum::<usize>(), snapshot.targets());
                restored(&snapshot, &world);
            }
        }
    }
}

#[test]
fn every_kind_of_damage_has_its_error() {
    let world = World::new(&[("a", "10s", &lines(20))]);
    (0..20).for_each(|id| world.table.restore(TargetId(id), &known(Observed::Healthy, 9, 1)));
    let good = world.encode();
    assert_eq!(parse(&good).unwrap().targets(), 20);
    for len in 0..good.len() {
        let error = parse(&good[..len]).unwrap_err();
        let is_right = if len < HEADER_BYTES + TRAILER_BYTES {
            matches!(error, SnapshotError::Truncated)
        } else {
            matches!(error, SnapshotError::Checksum)
        };
        assert!(is_right, "{len}: {error}");
    }
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let error = parse(&bytes).unwrap_err();
        let is_right = match bit {
            0..64 => matches!(error, SnapshotError::NotASnapshot),
            64..96 => matches!(error, SnapshotError::Version(_)),
            _ => matches!(error, SnapshotError::Checksum),
        };
        assert!(is_right, "{bit}: {error}");
    }
    assert!(matches!(parse(&[&good[..], b"x"].concat()), Err(SnapshotError::Checksum)));
    assert!(matches!(parse(b"[[group]]"), Err(SnapshotError::NotASnapshot)));

    let wall = 1_800_000_000_000_i64;
    let parse_at = |now_ms| Snapshot::parse(good.clone(), now_ms, HOUR);
    assert!(parse_at(wall + 3_600_000).is_ok());
    let age = Duration::from_millis(3_600_001);
    let error = parse_at(wall + 3_600_001).unwrap_err();
    assert!(matches!(error, SnapshotError::TooOld { age: a, most: HOUR } if a == age), "{error}");
    assert!(parse_at(wall - 60_000).is_ok());
    let error = parse_at(wall - 60_001).unwrap_err();
    assert!(matches!(error, SnapshotError::FromTheFuture { .. }), "{error}");
    for extreme in [i64::MIN, i64::MAX] {
        assert!(parse_at(extreme).is_err());
    }
}

#[test]
fn only_the_same_targets_are_known_and_another_recipe_restarts_streaks() {
    let before = "[{\"id\":\"i-1\",\"address\":\"10.0.0.1\",\"port\":1},\
                   {\"id\":\"i-2\",\"address\":\"10.0.0.2\",\"port\":1},\
                   {\"address\":\"10.0.0.3\",\"port\":1},{\"address\":\"10.0.0.4\",\"port\":1}]";
    let world = World::new(&[("a", "10s", before), ("gone", "10s", "10.0.0.9:1")]);
    for id in 0..5 {
        world.table.restore(TargetId(id), &known(Observed::Unhealthy, 100 + i64::from(id), -7));
    }
    let snapshot = parse(&world.encode()).unwrap();
    // i-1 has another address, 10.0.0.3 another port, 10.0.0.4 and i-2 have changed places.
    let after = "[{\"address\":\"10.0.0.4\",\"port\":1},{\"id\":\"i-2\",\"address\":\"10.0.0.2\",\
                  \"port\":1},{\"address\":\"10.0.0.3\",\"port\":2},\
                  {\"id\":\"i-1\",\"address\":\"10.0.0.7\",\"port\":1}]";
    for (interval, streak) in [("10s", -7), ("11s", 0)] {
        let world = World::new(&[("a", interval, after)]);
        let mut restored = restored(&snapshot, &world);
        restored.sort_unstable_by_key(|&(id, _)| id);
        let expected = [(0, 103), (1, 101)].map(|(id, since)| {
            let mut known = known(Observed::Unhealthy, since, streak);
            known.last.as_mut().unwrap().at = Moment(since);
            (TargetId(id), known)
        });
        assert_eq!(restored, expected);
    }
}

#[test]
fn times_that_have_not_come_yet_are_now() {
    let world = World::new(&[("a", "10s", "10.0.0.1:1")]);
    world.table.restore(TargetId(0), &known(Observed::Healthy, 9_000, 1));
    let snapshot = parse(&world.encode()).unwrap();
    let [(_, restored)] = restored(&snapshot, &world)[..] else { panic!("one target") };
    assert_eq!((restored.verdict.since, restored.last.unwrap().at), (Moment(5_000), Moment(5_000)));
}

#[test]
fn two_hundred_thousand_targets_are_many_small_pieces() {
    let world = World::new(&[
        ("empty", "10s", ""),
        ("a", "10s", &lines(150_000)),
        ("b", "10s", &lines(50_000)),
    ]);
    (0..200_000).for_each(|id| world.table.restore(TargetId(id), &known(Observed::Healthy, 9, 1)));
    let (mut bytes, mut pieces, mut before) = (Vec::new(), 0_usize, 0);
    let mut encoder = Encoder::new(world.table.view(), Moment(5_000), &world.clock, &mut bytes);
    loop {
        let len = bytes.len();
        let is_more = encoder.piece(&world.table, &mut bytes);
        assert!(encoder.targets() - before <= PIECE_TARGETS);
        assert!(bytes.len() - len < PIECE_TARGETS * 32, "{} bytes", bytes.len() - len);
        (pieces, before) = (pieces + 1, encoder.targets());
        if !is_more {
            break;
        }
    }
    assert_eq!(pieces, 200_000_usize.div_ceil(PIECE_TARGETS));
    assert_eq!(encoder.targets(), 200_000);
    let len = bytes.len();
    assert!(!encoder.piece(&world.table, &mut bytes) && bytes.len() == len, "it is over");
    let snapshot = parse(&bytes).unwrap();
    let registry = world.registry();
    let pieces = snapshot.known(&registry, &world.clock, Moment(5_000));
    assert!(pieces.map(|piece| piece.len()).all(|len| len <= PIECE_TARGETS));
    assert_eq!(restored(&snapshot, &world).len(), 200_000);
}

#[test]
fn a_file_is_whole_and_readable_or_says_why_not() {
    [Disk::Ring, Disk::Threads].into_iter().for_each(write_and_read);
}

fn write_and_read(disk: Disk) {
    let world = World::new(&[("a", "10s", &lines(10_000))]);
    (0..9_999).for_each(|id| world.table.restore(TargetId(id), &known(Observed::Healthy, 9, 1)));
    let dir = tempfile::tempdir().unwrap();
    let read = |targets_max| file::read(dir.path(), targets_max, 1_800_000_000_000, HOUR);
    assert!(read(10_000).unwrap().is_none());
    let write = |is_over: bool| {
        let (dir, now) = (dir.path(), Moment(5_000));
        let written =
            |disk| file::write(dir, &world.table, &world.clock, now, disk, move || is_over);
        match disk {
            Disk::Ring => tokio_uring::start(written(disk)),
            Disk::Threads => {
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                runtime.build().unwrap().block_on(written(disk))
            }
        }
    };
    assert_eq!(write(true).unwrap(), None);
    assert!(read(10_000).unwrap().is_none(), "it was given up");
    assert_eq!(write(false).unwrap(), Some(9_999));
    assert_eq!(read(10_000).unwrap().unwrap().targets(), 9_999);
    assert_eq!(write(true).unwrap(), None);
    assert_eq!(read(10_000).unwrap().unwrap().targets(), 9_999, "the one before is kept");

    let file = file::path(dir.path());
    let sparse = std::fs::File::create(&file).unwrap();
    sparse.set_len(100 << 20).unwrap();
    assert!(matches!(read(10), Err(SnapshotError::TooLarge { .. })));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(matches!(read(10), Err(SnapshotError::NotASnapshot)));
    assert!(write(false).is_err(), "a directory is in the way");
    std::fs::remove_dir_all(dir.path()).unwrap();
    assert!(write(false).is_err());
    assert!(read(10).unwrap().is_none());
}

#[test]
fn the_numbers_in_a_snapshot_mean_what_they_meant_in_this_version() {
    // Another order needs another VERSION.
    let names = TABLE.iter().map(|row| row.name).collect::<Vec<_>>().join(" ");
    assert_eq!(
        (VERSION, &*names),
        (1, "L4OK L6OK L7OK L4TOUT L4CON L6TOUT L6RSP L7TOUT L7CUT L7RSP L7STS SOCKERR")
    );
    let states = Observed::ALL.map(Observed::name).join(" ");
    assert_eq!(states, "initial healthy unhealthy unavailable");
}
