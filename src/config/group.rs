//! `[[group]]`: settings, health check, and targets from the file itself and from targets files.

use super::error::ConfigError;
use super::file::{Document, Section, Setting};
use super::rules::Rules;
use super::sections::Unique;
use super::target_list::{Budget, TargetList};
use super::targets::parse_target;
use super::{GroupConfig, GroupSpec, Origin, health_check, spec, target_file};
use crate::limits::GROUPS_MAX;
use std::path::{Path, PathBuf};

const KEYS: [&str; 8] = [
    "name",
    "id",
    "rules",
    "deregistration_delay",
    "port",
    "targets",
    "targets_file",
    "health_check",
];

/// All groups of the file, with at most `targets_max` targets together.
pub(super) fn read(
    doc: &Document,
    root: &Section<'_>,
    targets_max: usize,
) -> Result<Vec<GroupConfig>, ConfigError> {
    let sections = root.sections("group", &KEYS)?;
    if let Some(section) = sections.get(GROUPS_MAX) {
        let what = format!("more than {GROUPS_MAX} groups");
        return Err(section.error(what, "one daemon holds no more; run a second one"));
    }
    let mut reader = Reader {
        doc,
        directory: Path::new(&doc.file).parent().unwrap_or_else(|| Path::new("")).to_owned(),
        unique: Unique::new("group", "tg"),
        budget: Budget::new(targets_max),
    };
    sections.iter().map(|section| reader.group(section)).collect()
}

struct Reader<'d> {
    doc: &'d Document,
    /// What paths in the file are relative to.
    directory: PathBuf,
    unique: Unique,
    budget: Budget,
}

impl Reader<'_> {
    fn group(&mut self, section: &Section<'_>) -> Result<GroupConfig, ConfigError> {
        let (name, id) = self.unique.name_and_id(section)?;
        let rules = section.get("rules").map(|setting| rules(&setting)).transpose()?;
        let mut spec = GroupSpec { rules, ..GroupSpec::default() };
        for key in ["port", "deregistration_delay"] {
            let Some(setting) = section.get(key) else { continue };
            spec.set(key, &setting.to_value())
                .map_err(|violation| setting.violation(&violation))?;
        }
        let group = spec.build(&name, id, Origin::default());
        let group = group.map_err(|violation| section.violation(&violation))?;
        let checks = section.section("health_check", "group.health_check", &spec::KEYS)?;
        let health_check = health_check::read(&checks, group.rules, &self.directory)?;

        let mut list = TargetList::new(&self.doc.file, &name, group.port, &mut self.budget);
        if let Some(setting) = section.get("targets") {
            targets(&setting, &mut list)?;
        }
        let mut targets_files = Vec::new();
        if let Some(setting) = section.get("targets_file") {
            targets_files = files(&setting, &self.directory, &mut list)?;
        }
        let targets = list.finish()?;
        Ok(GroupConfig { health_check, targets, targets_files, ..group })
    }
}

fn rules(setting: &Setting<'_>) -> Result<Rules, ConfigError> {
    if setting.is_text() && setting.text()? == "alibaba" {
        let cure = "use \"classic\", \"current\" or \"free\"";
        return Err(setting.wrong("is not for groups from files", cure));
    }
    setting.word(&[Rules::Classic, Rules::Current, Rules::Free].map(|rules| (rules.name(), rules)))
}

fn targets(setting: &Setting<'_>, list: &mut TargetList<'_>) -> Result<(), ConfigError> {
    for (text, line) in setting.texts(false)? {
        let range = parse_target(text).map_err(|problem| setting.problem_in(line, problem))?;
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        list.push(range.into(), line).map_err(|problem| problem.at(list.place(line)))?;
    }
    Ok(())
}

/// Takes the targets of all files of `setting`, and says which files they were.
fn files(
    setting: &Setting<'_>,
    directory: &Path,
    list: &mut TargetList<'_>,
) -> Result<Vec<PathBuf>, ConfigError> {
    let mut files = Vec::new();
    for (text, _) in setting.texts(true)? {
        if text.is_empty() || text.contains('\0') {
            return Err(setting.wrong("is not a path", "write the path of a file"));
        }
        let file = directory.join(text);
        if files.contains(&file) {
            return Err(setting.wrong("names a file twice", "name it once"));
        }
        read_file(&file, list)?;
        files.push(file);
    }
    Ok(files)
}

fn read_file(path: &Path, list: &mut TargetList<'_>) -> Result<(), ConfigError> {
    let file = path.display().to_string();
    let unreadable = |error: std::io::Error| target_file::cannot_read(&file, &error);
    // Looked at before it is opened: opening a pipe would wait for whoever writes to it.
    let kind = std::fs::metadata(path).map_err(unreadable)?;
    if !kind.is_file() {
        let what = if kind.is_dir() { "targets file is a directory" } else { "not a regular file" };
        return Err(ConfigError::new(what, file, "give the path of a file"));
    }
    let bytes_max = target_file::bytes_max(list.targets_max());
    let source = std::fs::File::open(path).map_err(unreadable)?;
    list.source(&file);
    target_file::read(&file, source, bytes_max, &mut |entry, line| {
        list.push(entry, line).map_err(|problem| problem.at(format!("{file}:{line}")))
    })
}
