//! `dozen.toml`, where the answers are recorded, and the answers files that have the same form.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, choose_base_strategy};
use serde::Serialize;

use super::question::Question;
use super::{Answers, Draft, Source};
use crate::error::{Error, Result};
use crate::service::{Process, Service};
use crate::tree::Tree;

/// The file in a repository that dozen made.
pub const FILE_NAME: &str = "dozen.toml";
/// Its table of answers.
const ANSWERS: &str = "answers";

/// The answers that `text`, the content of a `dozen.toml`, records; none where it has no `[answers]`.
///
/// # Errors
/// The text is no TOML, or its answers are not those of this `dozen`.
pub fn read_answers(path: &Path, text: &str) -> Result<Option<Answers>> {
    let table = parse(path, text)?;
    if !table.contains_key(ANSWERS) {
        return Ok(None);
    }
    let mut draft = Draft::new(Question::all()?);
    for (key, value) in take_answers(path, table)? {
        draft.offer(&key, &value, Source::File(path.to_owned()))?;
    }
    // A question that is younger than the record was answered by what was done then: its default.
    draft.fill_defaults();
    draft.complete().map(Some)
}

/// The answers that the repository in `tree` records, if it does.
///
/// # Errors
/// As [`read_answers`].
pub fn read_recorded(tree: &Tree) -> Result<Option<Answers>> {
    match tree.root_text(FILE_NAME) {
        Some(text) => read_answers(Path::new(FILE_NAME), &text),
        None => Ok(None),
    }
}

/// The user's own defaults, `dozen/config.toml` in the usual folder, if that file is there.
#[must_use]
pub fn find_user_config() -> Option<PathBuf> {
    let folder = choose_base_strategy().ok()?.config_dir();
    let path = folder.join("dozen").join("config.toml");
    path.is_file().then_some(path)
}

/// Keys and values of an answers file: `[answers]` where there is one, else the whole table.
///
/// # Errors
/// The text is no TOML, or a value is no string.
pub fn parse_answers(path: &Path, text: &str) -> Result<Vec<(String, String)>> {
    take_answers(path, parse(path, text)?)
}

fn take_answers(path: &Path, mut table: toml::Table) -> Result<Vec<(String, String)>> {
    let malformed = |key: &str, found: &toml::Value, wanted: &str| Error::Malformed {
        path: path.to_owned(),
        reason: format!("`{key}` is {}, not {wanted}", found.type_str()),
    };
    let answers = match table.remove(ANSWERS) {
        None => table,
        Some(toml::Value::Table(answers)) => answers,
        Some(other) => return Err(malformed(ANSWERS, &other, "a table")),
    };
    answers
        .into_iter()
        .map(|(key, value)| match value {
            toml::Value::String(value) => Ok((key, value)),
            other => Err(malformed(&key, &other, "a string in quotes")),
        })
        .collect()
}

/// How a repository's processes are started and its tasks are run, as far as its files tell.
#[derive(Serialize)]
struct Description<'s> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    processes: BTreeMap<&'s str, &'s str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tasks: BTreeMap<&'s str, &'s str>,
}

fn name(lines: &[Process]) -> BTreeMap<&str, &str> {
    lines.iter().map(|line| (line.name.as_str(), line.command.as_str())).collect()
}

/// The `dozen.toml` of a repository that dozen did not make: it has no answers. Nothing where `web` is not known.
#[must_use]
pub fn describe(service: &Service) -> Option<String> {
    let description = Description {
        processes: name(&service.facts.processes),
        tasks: name(&service.facts.tasks),
    };
    description.processes.get("web")?;
    let text = toml::to_string(&description).ok()?;
    Some(format!("# What `dozen prove` runs; `[prove]` can tell it more.\n\n{text}"))
}

/// The text of an answers file.
///
/// # Errors
/// It cannot be read.
pub fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| Error::Unreadable { path: path.to_owned(), error })
}

fn parse(path: &Path, text: &str) -> Result<toml::Table> {
    text.parse().map_err(|error: toml::de::Error| Error::Malformed {
        path: path.to_owned(),
        reason: error.to_string().trim_end().to_owned(),
    })
}
