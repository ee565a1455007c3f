//! `keys.toml`: made once, read only where nobody else can, taken while a daemon runs.

use ringcheck::access::{Change, KeyFile, KeyFileError};
use ringcheck::time::Instant;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::Duration;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("keys.toml")
    }

    fn open(&self) -> Result<KeyFile, KeyFileError> {
        KeyFile::open(self.dir.path())
    }

    fn write(&self, text: &str) {
        std::fs::write(self.file(), text).unwrap();
        self.chmod(0o600);
    }

    fn chmod(&self, mode: u32) {
        std::fs::set_permissions(self.file(), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn error(&self) -> String {
        self.open().unwrap_err().to_string()
    }
}

#[test]
fn it_is_made_with_one_random_key_and_then_kept() {
    let place = Place::new();
    let first = place.open().unwrap();
    assert_eq!(first.keys().all().len(), 1);
    let mode = std::fs::metadata(place.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(*place.open().unwrap().keys(), *first.keys());
    assert_ne!(*Place::new().open().unwrap().keys(), *first.keys());
    let names: Vec<_> = std::fs::read_dir(place.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["keys.toml"]);
}

#[test]
fn what_others_may_read_or_replace_is_refused_with_the_cure() {
    let place = Place::new();
    place.open().unwrap();
    for mode in [0o640, 0o604, 0o620, 0o644, 0o601] {
        place.chmod(mode);
        let error = place.error();
        assert!(error.contains(&format!("its mode is {mode:04o}; chmod 600 it")), "{error}");
    }
    place.chmod(0o400);
    assert!(place.open().is_ok());
    let real = place.dir.path().join("real");
    std::fs::rename(place.file(), &real).unwrap();
    symlink(&real, place.file()).unwrap();
    assert!(place.error().contains("is no plain file"), "{}", place.error());
    std::fs::remove_file(place.file()).unwrap();
    nix::unistd::mkfifo(&place.file(), nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert!(place.error().contains("is no plain file"), "{}", place.error());
    std::fs::remove_file(place.file()).unwrap();
    std::fs::create_dir(place.file()).unwrap();
    assert!(place.error().contains("is no plain file"), "{}", place.error());
}

#[test]
fn what_cannot_be_understood_is_told_with_its_line() {
    let place = Place::new();
    let key = "[[key]]\nid = \"a\"\nsecret = \"0123456789abcdef\"\n";
    place.write(&format!("{key}{key}"));
    let path = place.file().display().to_string();
    assert_eq!(
        place.error(),
        format!("the id a is taken, {path}:4; choose another one, or remove that key")
    );
    place.write("[[key]]\nid = \"a\"\nsecret = \"0123456789abcdef\"\nadmin = true\n");
    assert!(place.error().contains("and nothing else"), "{}", place.error());
    std::fs::write(place.file(), b"# \xff\n").unwrap();
    assert!(place.error().contains("not UTF-8"), "{}", place.error());
    place.write(&"#".repeat(2 * 1_024 * 1_024));
    assert!(place.error().contains("above 1048576 bytes"), "{}", place.error());
}

#[test]
fn a_running_daemon_takes_changes_within_a_second_and_keeps_what_was_good() {
    let place = Place::new();
    let mut file = place.open().unwrap();
    let at = |ms| Instant::from_millis(ms);
    assert!(matches!(file.refresh(at(0)), Change::None));
    let added = KeyFile::add(place.dir.path(), None).unwrap();
    assert!(matches!(file.refresh(at(999)), Change::None), "looks once a second");
    assert!(matches!(file.refresh(at(1_000)), Change::Taken));
    assert_eq!(file.keys().secret(&added.id), Some(&added.secret));
    assert!(matches!(file.refresh(at(2_000)), Change::None));
    place.chmod(0o644);
    let change = file.refresh(at(3_000));
    assert!(matches!(change, Change::Refused(KeyFileError::Open(..))), "{change:?}");
    assert!(matches!(file.refresh(at(4_000)), Change::None), "told once");
    assert_eq!(file.keys().all().len(), 2);
    place.chmod(0o600);
    assert!(matches!(file.refresh(at(5_000)), Change::Taken));
    std::fs::remove_file(place.file()).unwrap();
    assert!(matches!(file.refresh(at(6_000)), Change::Refused(_)));
    assert!(matches!(file.refresh(at(7_000) + Duration::from_millis(1)), Change::None));
    assert_eq!(file.keys().all().len(), 2);
}

#[test]
fn keys_are_added_and_removed_by_many_at_once_and_none_is_lost() {
    let place = Place::new();
    let directory = place.dir.path().join("made");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let directory = &directory;
            scope.spawn(move || {
                for number in 0..10 {
                    let id = format!("key-{thread}-{number}");
                    KeyFile::add(directory, Some(&id)).unwrap();
                    assert!(KeyFile::remove(directory, &id).unwrap());
                    KeyFile::add(directory, Some(&id)).unwrap();
                }
            });
        }
    });
    let keys = KeyFile::load(&directory).unwrap();
    assert_eq!(keys.all().len(), 40);
    let again = KeyFile::add(&directory, Some("key-0-0")).unwrap_err().to_string();
    assert_eq!(again, "the id key-0-0 is taken; choose another one, or remove that key");
    assert!(!KeyFile::remove(&directory, "nobody").unwrap());
}
