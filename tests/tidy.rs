//! The rules of the source that a machine can see, checked over its text: shapes of files, words,
//! where `unsafe` and clocks may be, and which module may name which.
//!
//! Unit tests (`mod tests` at the bottom of a file, `tests.rs` in a folder) wire modules as they
//! like; the arrows hold for what is shipped.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

const COLUMNS_MAX: usize = 100;
const LINES_MAX: usize = 600;

/// What any module may name.
const GROUND: [&str; 7] = ["limits", "rng", "time", "upcoming", "endpoint", "outcome", "wall"];

/// In the order of the data: each module, and what it names besides the ground. A row names rows
/// above it only, so nothing points left.
#[rustfmt::skip]
const ARROWS: &[(&str, &str)] = &[
    ("limits",    ""),
    ("bpf",       ""),
    ("checksum",  ""),
    ("defer_accept", ""),
    ("rng",       ""),
    ("time",      ""),
    ("upcoming",  ""),
    ("endpoint",  ""),
    ("heap",      ""),
    ("outcome",   ""),
    ("wall",      ""),
    ("access",    ""),
    // vocabulary and machines, which know no configuration and no world
    ("check",     ""),
    ("health",    ""),
    ("wheel",     ""),
    ("stats",     ""),
    ("recipe",    "check health"),
    ("report",    "check health stats"),
    // config ─► registry ─► schedule ─► worker ─► table ─► api ─► cli
    ("config",    "check health recipe"),
    ("registry",  "config health recipe report"),
    ("edit",      "config registry"),
    ("schedule",  "wheel"),
    ("io",        "bpf checksum defer_accept"),
    ("worker",    "check health io recipe registry report schedule stats wheel"),
    ("shown",     "config health registry"),
    ("table",     "check health registry report shown stats"),
    ("collector", "health registry report stats table"),
    ("store",     "config health"),
    ("snapshot",  "health registry report table"),
    ("api",       "access check config edit registry report table"),
    // wiring, and the shell around everything
    ("engine",    "access api collector config edit health heap io recipe registry report schedule snapshot store table worker"),
    ("farm",      "bpf checksum defer_accept"),
    ("cli",       "access check config engine farm heap io recipe registry report stats table"),
];

/// Who may ask what time it is: effects and the shell. Everything else is told.
const CLOCKS: [&str; 11] = [
    "src/time.rs",
    "src/wall.rs",
    "src/check/tls/clock.rs",
    "src/io/epoll/",
    "src/io/selftest.rs",
    "src/io/uring/",
    "src/collector.rs",
    "src/api/mod.rs",
    "src/engine/",
    "src/cli/",
    "src/farm/",
];
/// Where unsafe code may be: the backends, the calls that set the allocator up, the bare loops that
/// the backends are measured against, and an allocator that counts.
const UNSAFE: [&str; 6] = [
    "src/io/epoll/",
    "src/io/raw/",
    "src/io/uring/",
    "src/heap.rs",
    "benches/baselines/",
    "tests/allocations.rs",
];

/// A source file: its path from the package's root, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The module of the library that the file belongs to; none outside, and for the roots.
    fn module(&self) -> Option<&str> {
        let path = self.path.strip_prefix("src/")?;
        let module = path.split(['/', '.']).next()?;
        (!["lib", "main"].contains(&module)).then_some(module)
    }

    fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }

    /// Lines with their numbers.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Lines of code that is shipped: without comments and unit tests.
    fn shipped(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_tests = self.path.ends_with("/tests.rs");
        let code = self.lines().take_while(move |(_, line)| !is_tests && *line != "#[cfg(test)]");
        code.map(|(number, line)| (number, without_comment(line)))
    }
}

fn without_comment(line: &str) -> &str {
    match line.find("//") {
        // Not the `//` of a URL in a text.
        Some(at) if !line[..at].ends_with(':') => &line[..at],
        Some(_) | None => line,
    }
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, sources: &mut Vec<Source>) {
        let mut entries: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, sources);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                sources.push(Source { path: path.display().to_string(), text });
            }
        }
    }
    let mut sources = Vec::new();
    for folder in ["benches", "examples", "src", "tests"] {
        walk(Path::new(folder), &mut sources);
    }
    assert!(sources.len() > 100, "only {} files were found", sources.len());
    sources
}

/// Fails with every line that `wrong` says is one.
#[track_caller]
fn none(what: &str, wrong: impl Fn(&Source, &mut dyn FnMut(usize, &str))) {
    let mut list = String::new();
    for source in sources() {
        wrong(&source, &mut |line, text| {
            writeln!(list, "  {}:{line}: {text}", source.path).unwrap();
        });
    }
    assert!(list.is_empty(), "{what}:\n{list}");
}

#[test]
fn every_file_says_first_what_it_is() {
    none("files without `//!` on the first line", |source, wrong| {
        if !source.text.starts_with("//! ") {
            wrong(1, source.text.lines().next().unwrap_or_default());
        }
    });
}

#[test]
fn files_and_lines_are_short() {
    none("files that are too long", |source, wrong| {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            wrong(lines, "split the file");
        }
    });
    // rustfmt sees to the code, and leaves long only texts, which are not broken so that they can
    // be searched for; comments are ours to see to.
    none("comments that are too long", |source, wrong| {
        for (number, line) in source.lines() {
            if line.chars().count() > COLUMNS_MAX && line.trim_start().starts_with("//") {
                wrong(number, line);
            }
        }
    });
}

#[test]
fn nothing_is_left_over_from_the_making() {
    let words = [["d", "bg!"], ["to", "do!"], ["FIX", "ME"], ["unimpl", "emented!"], ["TO", "DO"]];
    let words = words.map(|parts| parts.concat());
    let provisional = ["for ", "now"].concat();
    none("words of unfinished work", |source, wrong| {
        for (number, line) in source.lines() {
            let is_loop = line.contains(&format!("{provisional} in "));
            let provisional = line.contains(&provisional) && !is_loop;
            if provisional || words.iter().any(|word| line.contains(word)) {
                wrong(number, line);
            }
        }
    });
}

#[test]
fn unsafe_code_is_in_few_folders() {
    let keyword = ["un", "safe"].concat();
    none(
        "unsafe code outside of the backends, the bare loops of the benches and the allocator",
        |source, wrong| {
            if source.is_in(&UNSAFE) {
                return;
            }
            for (number, line) in source.lines() {
                let is_word = |word: &str| word == keyword;
                let mut words =
                    without_comment(line).split(|c: char| !c.is_alphanumeric() && c != '_');
                if words.any(is_word) && !line.contains('"') {
                    wrong(number, line);
                }
            }
        },
    );
}

#[test]
fn clocks_are_read_in_one_file_and_asked_for_in_few() {
    let system = ["clock_gettime", "Instant::now", "SystemTime::now", "ClockId"];
    none("clocks that are read outside of src/time.rs", |source, wrong| {
        for (number, line) in source.shipped() {
            let is_ours = source.module().is_some_and(|module| module != "time");
            if is_ours && system.iter().any(|read| line.contains(read)) {
                wrong(number, line);
            }
        }
    });
    none("pure modules that ask what time it is", |source, wrong| {
        if source.module().is_none() || source.is_in(&CLOCKS) {
            return;
        }
        for (number, line) in source.shipped() {
            if ["monotonic", "wall_ms()"].iter().any(|clock| line.contains(clock)) {
                wrong(number, line);
            }
        }
    });
}

/// The modules of this crate that a line of code names.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let words = |rest: &'_ str| {
        rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())
    };
    line.split("crate::").skip(1).map(move |rest| &rest[..words(rest)])
}

#[test]
fn nothing_points_left() {
    let mut above: Vec<&str> = Vec::new();
    for &(module, uses) in ARROWS {
        for used in uses.split_whitespace() {
            assert!(above.contains(&used), "{module} names {used}, which stands below it");
            assert!(!GROUND.contains(&used), "{used} is ground; it need not be in {module}'s row");
        }
        above.push(module);
    }
    none("modules that have no row in ARROWS", |source, wrong| {
        if source.module().is_some_and(|module| !above.contains(&module)) {
            wrong(1, "give it its place");
        }
    });
    none("arrows that are not in ARROWS", |source, wrong| {
        let Some(module) = source.module() else { return };
        let row = ARROWS.iter().find(|row| row.0 == module).unwrap();
        for (number, line) in source.shipped() {
            // `crate::{a, b}` would hide arrows from this test, and from readers.
            let allowed = |used: &str| {
                used == module || GROUND.contains(&used) || row.1.split(' ').any(|may| may == used)
            };
            if !named(line).all(allowed) {
                wrong(number, line);
            }
        }
    });
}

#[test]
fn no_arrow_is_allowed_that_nobody_uses() {
    let mut used = BTreeSet::new();
    for source in &sources() {
        if let Some(module) = source.module() {
            used.extend(source.shipped().flat_map(|(_, line)| {
                named(line).map(|name| (module.to_owned(), name.to_owned())).collect::<Vec<_>>()
            }));
        }
    }
    for &(module, uses) in ARROWS {
        for name in uses.split_whitespace() {
            let arrow = (module.to_owned(), name.to_owned());
            assert!(used.contains(&arrow), "{module} no longer names {name}; remove the arrow");
        }
    }
}

#[test]
fn the_worker_knows_the_trait_and_neither_world() {
    none("worlds that the worker names", |source, wrong| {
        for (number, line) in source.shipped() {
            let named = ["uring", "Uring", "epoll", "Epoll", "sim::"]
                .iter()
                .any(|world| line.contains(world));
            if source.module() == Some("worker") && named {
                wrong(number, line);
            }
        }
    });
}
