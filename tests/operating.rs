//! docs/OPERATING.md and the systemd unit against the product: the table of codes is that of
//! `outcome::TABLE`, refusals are worded as the sources word them, commands exist.

use ringcheck::config;
use ringcheck::outcome::{FAULTS, TABLE};
use std::path::Path;
use std::process::Command;

const DOCUMENT: &str = include_str!("../docs/OPERATING.md");
const UNIT: &str = include_str!("../scripts/ringcheck.service");

/// Rows of the tables: their cells, without the blanks around them.
fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| "));
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

#[test]
fn the_codes_are_those_of_the_table() {
    let known = |cells: &Vec<&str>| cells.len() == 6 && cells[0] != "code";
    let listed: Vec<_> = rows().filter(known).collect();
    let names: Vec<&str> = listed.iter().map(|cells| cells[0]).collect();
    assert_eq!(names, TABLE.each_ref().map(|row| row.name));
    for (cells, row) in listed.iter().zip(&TABLE) {
        let aws = row.aws.map_or("–", |aws| aws.name());
        let expected = [row.name, row.class.name(), row.meaning, aws, row.alibaba.unwrap_or("–")];
        assert_eq!(cells[..5], expected);
        assert!(!cells[5].is_empty(), "{} says nothing to whoever is on call", row.name);
    }
}

#[test]
fn local_faults_are_those_of_the_table_with_their_cures() {
    let listed: Vec<_> = rows().collect();
    for fault in &FAULTS {
        let row = [fault.name, fault.what, fault.cure];
        assert!(listed.iter().any(|cells| **cells == row), "{} is not in the table", fault.name);
    }
    let source = include_str!("../src/table/trouble.rs");
    let codes = source.split("code: \"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut found = 0;
    for code in codes {
        assert!(listed.iter().any(|cells| cells[0] == code), "{code} is not in the table");
        found += 1;
    }
    assert!(found >= 6, "only {found} were found");
}

/// The fixed parts of the quoted refusals stand in the sources that print them.
#[test]
fn refusals_are_worded_as_they_are_printed() {
    let sources = [
        "src/access/key_file.rs",
        "src/access/keys.rs",
        "src/api/bind.rs",
        "src/api/listen.rs",
        "src/engine/mod.rs",
        "src/engine/resources.rs",
        "src/engine/state_dir.rs",
        "src/store/error.rs",
        "src/io/raw/mod.rs",
        "src/io/uring/setup.rs",
        "src/io/uring/mod.rs",
    ];
    let sources: String =
        sources.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    // The socket's refusals are `cannot {what} {path}`.
    let sources = sources.replace("refused(\"", "refused(\"cannot ");
    let sources = sources.replace("what: \"", "what: \"cannot ");
    // A text that goes on behind a `\` at the end of a line is one text.
    let sources: String = sources.split("\\\n").map(str::trim_start).collect();
    let section = DOCUMENT.split("| refusal ").nth(1).unwrap().split("\n\n").next().unwrap();
    let mut parts = 0;
    for line in section.lines().skip(2) {
        let cell = line.trim_matches('|').split('|').next().unwrap();
        for quoted in cell.split('`').skip(1).step_by(2) {
            let quoted = quoted.replace(" N ", "…").replace("is 1", "is ").replace("is 2", "is ");
            for part in
                quoted.split(['…', '(', ')', '\'']).map(|part| part.trim_matches([' ', ':', ',']))
            {
                parts += usize::from(part.len() > 6);
                let printed = part.len() <= 6 || sources.contains(part);
                assert!(printed, "nothing prints {part:?}, of {quoted:?}");
            }
        }
    }
    assert!(parts > 12, "only {parts} were found");
}

#[test]
fn commands_that_are_named_exist() {
    let mut named = 0;
    for text in [DOCUMENT, UNIT] {
        for (at, _) in text.match_indices("ringcheck ") {
            let before = text[..at].chars().next_back();
            if !matches!(before, Some('`' | '/')) {
                continue;
            }
            let rest = &text[at + "ringcheck ".len()..];
            let command = rest.split(|c: char| !c.is_ascii_lowercase()).next().unwrap();
            let mut help = Command::new(env!("CARGO_BIN_EXE_ringcheck"));
            let output = help.args([command, "--help"]).output().unwrap();
            assert!(output.status.success(), "there is no command {command:?}");
            named += 1;
        }
    }
    assert!(named > 8, "only {named} were found");
}

/// The unit makes the directory of the socket that the daemon has unless it is told otherwise.
#[test]
fn the_unit_fits_the_defaults() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("empty.toml");
    std::fs::write(&file, "").unwrap();
    let socket = config::load(&file).unwrap().api.socket;
    let line = |key: &str| UNIT.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    let directory = Path::new("/run").join(line("RuntimeDirectory="));
    assert_eq!(socket.parent(), Some(&*directory));
    assert_eq!(line("Type="), "notify");
    let files: usize = line("LimitNOFILE=").parse().unwrap();
    assert!(files > ringcheck::limits::IN_FLIGHT_MAX);
}
