//! `dozen.toml`, where the answers are recorded, and the answers files that have the same form.

use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, choose_base_strategy};

use super::question::Question;
use super::{Answers, Draft, Source};
use crate::error::{Error, Result};
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
