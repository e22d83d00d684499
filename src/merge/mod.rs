//! Owns adding to a file that somebody else wrote: what is missing comes in, nothing else changes.
//!
//! Every format goes the same way: both texts are read into one tree that knows where each value
//! stands (`tree`), what the base lacks is found on the trees, and each format only says which text
//! goes where. So a merge can only insert; `prove` then checks the result before anybody gets it.

mod brackets;
mod json;
mod lines;
pub(crate) mod text;
mod toml;
pub(crate) mod tree;
mod value;
mod yaml;

use std::error::Error;
use std::fmt;

use text::{Insert, Text};
use tree::{Gap, Node, Source};
use value::Value;

pub use lines::{Lines, ignores, lines};

/// A format whose structure a merge understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Toml,
    Json,
    Yaml,
}

impl Format {
    /// The format that a file of this path is in, by its extension.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        let (_, extension) = path.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "json" | "jsonc" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// Why a file was left as it is, and what a person can add to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// One sentence: where, and what is in the way.
    pub reason: String,
    /// What is missing, in the format of the file.
    pub snippet: String,
}

impl Conflict {
    fn new(reason: String, snippet: &str) -> Self {
        Self { reason, snippet: snippet.to_owned() }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl Error for Conflict {}

/// Adds to `base` what it lacks of `addition`.
///
/// # Errors
///
/// A conflict where the base cannot be read, where it holds another kind of value at the same key,
/// or where the result could not be proven.
pub fn merge(format: Format, base: &[u8], addition: &str) -> Result<String, Conflict> {
    let refuse = |reason| Conflict::new(reason, addition);
    let base = Text::read(base).map_err(refuse)?;
    let wanted = Text::read(addition.as_bytes())
        .map_err(|reason| refuse(format!("what is to be added cannot be read: {reason}")))?;
    let plan = plan(format, base.lines(), wanted.lines())?;
    let merged = base.write(plan.inserts);
    prove(format, &base, wanted.lines(), &merged)
        .map_err(|reason| Conflict::new(reason, &plan.snippet))?;
    Ok(merged)
}

/// What to insert so that `base`, a text without carriage returns, has all of `addition`.
///
/// # Errors
///
/// Those of `merge`.
pub(crate) fn additions(
    format: Format,
    base: &str,
    addition: &str,
) -> Result<Vec<Insert>, Conflict> {
    merge(format, base.as_bytes(), addition)?;
    Ok(plan(format, base, addition)?.inserts)
}

/// What to insert, and the same for a person.
#[derive(Default)]
struct Plan {
    inserts: Vec<Insert>,
    snippet: String,
}

fn plan(format: Format, base: &str, addition: &str) -> Result<Plan, Conflict> {
    let refuse = |reason| Conflict::new(reason, addition);
    let Some(wanted) = read(format, addition)
        .map_err(|reason| refuse(format!("what is to be added cannot be read: {reason}")))?
    else {
        return Ok(Plan::default());
    };
    let Some(root) = read(format, base).map_err(refuse)? else {
        return Ok(append_all(format, base, addition));
    };
    let base = Source { text: base, root: &root };
    let addition = Source { text: addition, root: &wanted };
    let mut plan = Plan::default();
    let mut clash = None;
    for gap in tree::find_gaps(&root, &wanted) {
        plan.snippet += &show(format, addition, &gap);
        let inserts = match &gap.clash {
            Some(reason) => Err(reason.clone()),
            None => fill(format, base, addition, &gap),
        };
        match inserts {
            Ok(inserts) => plan.inserts.extend(inserts),
            Err(reason) => clash = clash.or_else(|| Some(locate(base.text, &gap, &reason))),
        }
    }
    plan.inserts.retain(|insert| !insert.text.is_empty());
    match clash {
        Some(reason) => Err(Conflict::new(reason, &plan.snippet)),
        None => Ok(plan),
    }
}

/// The tree of a text without carriage returns; nothing where it holds no value.
pub(crate) fn read(format: Format, text: &str) -> Result<Option<Node>, String> {
    let root = match format {
        Format::Toml => toml::read(text),
        Format::Json => json::read(text),
        Format::Yaml => yaml::read(text),
    };
    root.map_err(|(at, reason)| format!("line {}: {reason}", text::line_number(text, at)))
}

fn fill(format: Format, base: Source, addition: Source, gap: &Gap) -> Result<Vec<Insert>, String> {
    match format {
        Format::Toml => toml::fill(base, addition, gap),
        Format::Json => Ok(json::fill(base, addition, gap)),
        Format::Yaml => Ok(yaml::fill(base, addition, gap)),
    }
}

fn locate(base: &str, gap: &Gap, reason: &str) -> String {
    let at = if gap.base.key.is_empty() { gap.base.span.start } else { gap.base.key.start };
    let line = text::line_number(base, at);
    match gap.path.join(".") {
        path if path.is_empty() => format!("line {line}: the whole {reason}"),
        path => format!("line {line}: `{path}` {reason}"),
    }
}

fn show(format: Format, addition: Source, gap: &Gap) -> String {
    let mut snippet = String::new();
    if !gap.path.is_empty() {
        let mark = if format == Format::Json { "// " } else { "# " };
        snippet.extend([mark, &gap.path.join("."), "\n"]);
    }
    for node in &gap.missing {
        snippet += &match format {
            Format::Toml => toml::show(addition, node),
            Format::Json => json::show(addition, node),
            Format::Yaml => yaml::show(addition, gap.addition, node),
        };
    }
    snippet
}

/// The plan for a base that holds no value, at most comments.
fn append_all(format: Format, base: &str, addition: &str) -> Plan {
    let mut added = addition;
    if format == Format::Yaml && !base.trim().is_empty() {
        added = added.strip_prefix("---\n").unwrap_or(added);
    }
    let is_open = !base.trim().is_empty() && !base.ends_with("\n\n");
    let gap = if is_open && format != Format::Json { "\n" } else { "" };
    let insert = Insert::new(base.len(), format!("{gap}{added}"));
    Plan { inserts: vec![insert], snippet: addition.to_owned() }
}

/// Checks a merge: the values are right, the base is all there, and another merge adds nothing.
fn prove(format: Format, base: &Text, addition: &str, merged: &str) -> Result<(), String> {
    let fault = |what: &str| format!("the merged file would not be right: {what}");
    let again = Text::read(merged.as_bytes()).map_err(|reason| fault(&reason))?;
    if !text::is_kept(&base.write(Vec::new()), merged) {
        return Err(fault("something of the file would be lost"));
    }
    let value = read_value(format, again.lines()).map_err(|reason| fault(&reason))?;
    if Some(value) != expect(format, base.lines(), addition)? {
        return Err(fault("something else than what is missing would change"));
    }
    match plan(format, again.lines(), addition) {
        Ok(plan) if plan.inserts.is_empty() => Ok(()),
        _ => Err(fault("merging twice would not be the same as once")),
    }
}

fn expect(format: Format, base: &str, addition: &str) -> Result<Option<Value>, String> {
    let wanted = read_value(format, addition)?;
    Ok(match read_value(format, base)? {
        Value::Null => Some(wanted),
        base => value::expected(&base, &wanted),
    })
}

/// The plain value of a text; null where it holds none.
fn read_value(format: Format, text: &str) -> Result<Value, String> {
    match (format, read(format, text)?) {
        (_, None) => Ok(Value::Null),
        (Format::Yaml, Some(_)) => yaml::read_value(text),
        (_, Some(root)) => Ok(root.value()),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests bless their cases")]
mod tests;
