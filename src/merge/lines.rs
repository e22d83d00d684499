//! Owns files that are a list of lines: `.gitignore`, `.dockerignore`, `Procfile`, `.env.example`.

use ignore::Match;
use ignore::gitignore::GitignoreBuilder;

use super::Conflict;
use super::text::{Insert, Text};

/// What a line means, and so when one counts as present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// Patterns, of which a later one overrides an earlier one; present when the same text is.
    Patterns,
    /// A name, this sign and a value; present when the name is.
    Named(char),
}

impl Lines {
    /// The kind that a file of this path is.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        if name.starts_with("Procfile") {
            Self::Named(':')
        } else if name.starts_with(".env") {
            Self::Named('=')
        } else {
            Self::Patterns
        }
    }

    fn key(self, line: &str) -> &str {
        match self {
            Self::Patterns => line.trim_end(),
            Self::Named(sign) => line.split(sign).next().unwrap_or(line).trim(),
        }
    }
}

/// Appends the lines of `addition` that `base` lacks, each with the comment that heads it.
///
/// # Errors
///
/// A conflict where a line of the base says the opposite, or where the base is no text.
pub fn lines(kind: Lines, base: &[u8], addition: &str) -> Result<String, Conflict> {
    let refuse = |reason| Conflict::new(reason, addition);
    let base = Text::read(base).map_err(refuse)?;
    let wanted = Text::read(addition.as_bytes()).map_err(refuse)?;
    let missing = collect_missing(kind, base.lines(), wanted.lines());
    if kind == Lines::Patterns
        && let Some(reason) = find_opposite(base.lines(), &missing)
    {
        return Err(Conflict::new(reason, &missing));
    }
    let merged = base.write(vec![Insert::new(base.lines().len(), missing.clone())]);
    let again = Text::read(merged.as_bytes()).map_err(refuse)?;
    if collect_missing(kind, again.lines(), wanted.lines()).is_empty() {
        Ok(merged)
    } else {
        Err(Conflict::new("its lines cannot be kept in order".to_owned(), &missing))
    }
}

/// What patterns, as `.gitignore` and `.dockerignore` have them, say of a path beside them: whether it is ignored;
/// nothing where none is about it.
#[must_use]
pub fn ignores(patterns: &str, path: &str) -> Option<bool> {
    let mut builder = GitignoreBuilder::new("");
    for line in patterns.lines() {
        // What is no pattern ignores nothing.
        let _ = builder.add_line(None, line);
    }
    match builder.build().ok()?.matched_path_or_any_parents(path, false) {
        Match::None => None,
        said => Some(said.is_ignore()),
    }
}

fn is_rule(line: &str) -> bool {
    !line.trim().is_empty() && !line.trim_start().starts_with('#')
}

/// The lines to append: a header comment comes only with a line below it, and only once.
fn collect_missing(kind: Lines, base: &str, addition: &str) -> String {
    let present: Vec<&str> =
        base.lines().filter(|line| is_rule(line)).map(|line| kind.key(line)).collect();
    let mut missing = String::new();
    let mut header: Vec<&str> = Vec::new();
    let (mut is_apart, mut is_headed) = (false, false);
    for line in addition.lines().map(str::trim_end) {
        if !is_rule(line) {
            if is_headed || line.is_empty() {
                header.clear();
            }
            is_headed = false;
            is_apart |= line.is_empty();
            if !line.is_empty() {
                header.push(line);
            }
            continue;
        }
        is_headed = true;
        // An exception works only below the pattern that it is from.
        let is_overridden = kind == Lines::Patterns
            && line
                .strip_prefix('!')
                .is_some_and(|kept| missing.lines().any(|added| matches(added, kept)));
        let is_added =
            missing.lines().any(|other| is_rule(other) && kind.key(other) == kind.key(line));
        if is_added || (present.contains(&kind.key(line)) && !is_overridden) {
            continue;
        }
        header.retain(|comment| {
            !base.lines().chain(missing.lines()).any(|other| other.trim_end() == *comment)
        });
        if needs_blank(if missing.is_empty() { base } else { &missing }, is_apart, &header) {
            missing.push('\n');
        }
        for text in header.drain(..).chain([line]) {
            missing.push_str(text);
            missing.push('\n');
        }
        is_apart = false;
    }
    missing
}

fn needs_blank(before: &str, is_apart: bool, header: &[&str]) -> bool {
    let is_open = before.lines().next_back().is_some_and(|line| !line.trim().is_empty());
    is_open && (is_apart || !header.is_empty())
}

/// A line of the base that the missing lines would overrule.
fn find_opposite(base: &str, missing: &str) -> Option<String> {
    for (number, line) in base.lines().enumerate() {
        let line = line.trim_end();
        let taken_back = missing.lines().find(|added| match line.strip_prefix('!') {
            Some(kept) => matches(added, kept) && !missing.lines().any(|other| other == line),
            None => is_rule(line) && added.strip_prefix('!') == Some(line),
        });
        if let Some(added) = taken_back {
            return Some(format!("line {}: `{line}` says the opposite of `{added}`", number + 1));
        }
    }
    None
}

/// Whether the pattern takes in the path, or the same text.
fn matches(pattern: &str, path: &str) -> bool {
    let mut builder = GitignoreBuilder::new("");
    if !is_rule(pattern) || builder.add_line(None, pattern).is_err() {
        return false;
    }
    let path = path.trim_matches('/');
    builder.build().is_ok_and(|rules| {
        !path.is_empty() && rules.matched_path_or_any_parents(path, false).is_ignore()
    })
}
