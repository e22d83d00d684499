//! Where a process does the work of a release when it starts: not only where that is written, but where it is called.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::facts::Facts;
use super::facts::reach::Reached;
use super::facts::run::Role;
use super::finding::{Mark, Place};
use super::language::Grammar;
use super::lines::numbered;
use super::sources::Sources;

/// So many lines before a call may say that it is a command's.
const LOOK_BACK: usize = 3;

/// From so many places at most a service starts.
const MAX_CALLS: usize = 3;

/// The head of a function, with its name.
static HEAD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^\s*(?:export\s+)?(?:default\s+)?(?:pub(?:\([a-z]+\))?\s+)?(?:static\s+)?(?:async\s+)?(?:(?:fn|def|function)\s+(\w+)|(?:const|let|exports\.|module\.exports\.)\s*(\w+)\s*=\s*(?:async\s*)?(?:function\b|\())",
    )
    .ok()
});
/// Names of functions that say what they do to a database.
static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)(migrat|schema|tables?$|seed|indices|indexes|(init|setup|create|prepare|sync|ensure|configure)_?(the_?)?(db|database|data|models?|collections?|storage|store)\b)").ok()
});
/// What says that a call is a command's, and not that of every start.
const COMMANDS: [&str; 9] =
    ["argv", "args()", "=>", "\"migrate\"", "'migrate'", ".command(", "__main__", "require.main", "TESTING"];

/// Adds the calls of the functions in which the schema is made.
pub fn follow(sources: &Sources, facts: &Facts, marks: &mut Vec<Mark<'_>>) {
    let is_released = facts.runs.iter().any(|run| run.is_definition() && run.role == Role::Release);
    if is_released {
        return;
    }
    let mut found = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for mark in marks.iter().filter(|mark| mark.rule.id == "schema-at-start") {
        let Some(name) = sources.get(&mark.place.path).and_then(|source| {
            enclosing(&source.text, mark.place.line)
        }) else {
            continue;
        };
        let says_it = NAME.as_ref().is_some_and(|pattern| pattern.is_match(name));
        if says_it && seen.insert(name) {
            let places = calls(sources, facts, name);
            found.extend(places.into_iter().map(|place| Mark::new(mark.rule, place)));
        }
    }
    marks.extend(found);
}

/// The name of the function that a line is in.
fn enclosing(text: &str, line: usize) -> Option<&str> {
    let head = HEAD.as_ref()?;
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = text.lines().take(line).collect();
    let (own, before) = lines.split_last()?;
    let depth = indent(own);
    before.iter().rev().filter(|line| !line.trim().is_empty() && indent(line) < depth).find_map(
        |line| head.captures(line)?.iter().skip(1).flatten().next().map(|name| name.as_str()),
    )
}

/// Where what serves calls it.
fn calls(sources: &Sources, facts: &Facts, name: &str) -> Vec<Place> {
    let mut found = Vec::new();
    let called = format!("{name}(");
    for (path, source, grammar) in sources.code() {
        let tests = match grammar {
            Grammar::Rust => source.text.find("#[cfg(test)]"),
            _ => None,
        };
        let text = tests.map_or(source.text.as_str(), |end| &source.text[..end]);
        if facts.reach.of(path) != Reached::Served || !text.contains(&called) {
            continue;
        }
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in numbered(text) {
            let is_call = line.find(&called).is_some_and(|at| {
                let before = line[..at].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            });
            let is_head = HEAD.as_ref().is_some_and(|head| head.is_match(line));
            let is_comment = line.trim_start().starts_with(['#', '/', '*']);
            let from = number.saturating_sub(LOOK_BACK + 1);
            let near = lines.get(from..number).unwrap_or_default();
            let is_command =
                near.iter().any(|line| COMMANDS.iter().any(|word| line.contains(word)));
            if is_call && !is_head && !is_comment && !is_command {
                found.push(Place::line(path.clone(), number));
            }
        }
    }
    // What is called from everywhere, is no start.
    if found.len() > MAX_CALLS { Vec::new() } else { found }
}
