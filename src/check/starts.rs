//! Where a process does the work of a release when it starts: not only where that is written, but where it is called.

use std::collections::BTreeMap;
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
const COMMANDS: [&str; 8] = [
    "argv",
    "args()",
    "\"migrate\"",
    "'migrate'",
    ".command(",
    "__main__",
    "require.main",
    "TESTING",
];

/// Adds the calls of the functions in which the schema is made; what only commands call is made at no start.
pub fn follow(sources: &Sources, facts: &Facts, marks: &mut Vec<Mark<'_>>) {
    let is_released = facts.runs.iter().any(|run| run.is_definition() && run.role == Role::Release);
    if is_released {
        return;
    }
    let mut known: BTreeMap<String, Calls> = BTreeMap::new();
    let mut found = Vec::new();
    let mut is_start = |mark: &Mark<'_>| {
        if mark.rule.id != "schema-at-start" {
            return true;
        }
        let source = sources.get(&mark.place.path);
        let name = source.and_then(|source| enclosing(&source.text, mark.place.line));
        let says_it = |name: &&str| NAME.as_ref().is_some_and(|it| it.is_match(name));
        let Some(name) = name.filter(says_it) else { return true };
        let calls = known.entry(name.to_owned()).or_insert_with(|| {
            let calls = find_calls(sources, facts, name);
            found.extend(calls.starts.iter().cloned());
            calls
        });
        !calls.is_by_command || !calls.starts.is_empty()
    };
    let kept: Vec<bool> = marks.iter().map(&mut is_start).collect();
    let rule = marks.iter().map(|mark| mark.rule).find(|rule| rule.id == "schema-at-start");
    let mut kept = kept.into_iter();
    marks.retain(|_| kept.next().unwrap_or(true));
    marks.extend(
        rule.into_iter().flat_map(|rule| {
            found.drain(..).map(|place| Mark::new(rule, place)).collect::<Vec<_>>()
        }),
    );
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

/// Who calls a function.
#[derive(Default)]
struct Calls {
    /// Where what serves does.
    starts: Vec<Place>,
    /// Whether a command does.
    is_by_command: bool,
}

fn find_calls(sources: &Sources, facts: &Facts, name: &str) -> Calls {
    let mut calls = Calls::default();
    let called = format!("{name}(");
    for (path, source, grammar) in sources.code() {
        let tests = match grammar {
            Grammar::Rust => source.text.find("#[cfg(test)]"),
            _ => None,
        };
        let text = tests.map_or(source.text.as_str(), |end| &source.text[..end]);
        if facts.reach.of(path) == Reached::Nobody || !text.contains(&called) {
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
            if !is_call || is_head || is_comment {
                continue;
            }
            let near = lines.get(number.saturating_sub(LOOK_BACK + 1)..number);
            let says_it = |line: &&str| {
                COMMANDS.iter().any(|word| line.contains(word))
                    // An arm of a `match`.
                    || grammar == Grammar::Rust && line.contains("=>")
            };
            if near.unwrap_or_default().iter().any(says_it) || facts.reach.of(path) == Reached::Task
            {
                calls.is_by_command = true;
            } else {
                calls.starts.push(Place::line(path.clone(), number));
            }
        }
    }
    // What is called from everywhere, is no start.
    if calls.starts.len() > MAX_CALLS {
        calls = Calls::default();
    }
    calls
}
