//! Codebase: is it tracked, and is what is tracked only source?

use ignore::gitignore::GitignoreBuilder;

use super::case::{Case, Judgement};
use super::facts::setting::is_example;
use super::finding::{Place, Severity};
use super::sources::{Part, folders};
use super::unknown;
use crate::error::Result;
use crate::tree::RepoPath;

/// Folders that a tool fills, which nobody should commit.
const MADE_BY_TOOLS: [&str; 9] = [
    "node_modules",
    "bower_components",
    "venv",
    ".venv",
    "site-packages",
    "__pycache__",
    ".next",
    ".nuxt",
    ".pytest_cache",
];
const DATABASES: [&str; 5] = [".sqlite3", ".sqlite", ".db", ".rdb", ".mdb"];

pub fn prepare(case: &mut Case<'_>) -> Result<()> {
    let first = case.facts.apps.iter().find(|app| app.serves()).or(case.facts.apps.first());
    let place = first.map(|app| Place::line(app.manifest.clone(), app.line));
    let is_known_to_git = case.is_versioned || case.sources.has(".gitignore") || has_pipeline(case);
    if let Some(place) = place.filter(|_| is_known_to_git) {
        case.mark("one-codebase", place, "")?;
    }
    if !is_known_to_git && let Some(path) = case.sources.paths().next().cloned() {
        case.mark("no-version-control", Place::line(path, 1), "")?;
    }
    for (path, rule, what) in find_artifacts(case) {
        case.mark(rule, Place::line(path, 1), &what)?;
    }
    for (path, rule) in find_secrets(case) {
        let name = path.to_string();
        // What is given to everybody to develop with, is meant to be there.
        let text = case.sources.get(&path).map_or("", |source| source.text.as_str());
        let is_local = ["localhost", "127.0.0.1", "DEBUG=True", "DEBUG=1", "=development"]
            .iter()
            .any(|word| text.contains(word));
        let text = text.to_lowercase();
        let has_secret =
            ["secret", "passw", "key", "token", "_url"].iter().any(|word| text.contains(word));
        let is_info = rule == "tracked-though-ignored" && (is_local || !has_secret);
        let severity = if is_info { Severity::Info } else { Severity::Risk };
        case.mark_as(rule, severity, Place::line(path, 1), &name)?;
    }
    Ok(())
}

/// Private keys, and files of variables that were tracked before they were ignored.
fn find_secrets(case: &Case<'_>) -> Vec<(RepoPath, &'static str)> {
    let mut ignored = GitignoreBuilder::new("");
    for line in case.sources.text(".gitignore").unwrap_or_default().lines() {
        // A line that is no pattern ignores nothing.
        let _ = ignored.add_line(None, line);
    }
    let ignored = ignored.build().ok();
    let is_ignored = |path: &RepoPath| {
        let found = ignored.as_ref().map(|found| found.matched_path_or_any_parents(path, false));
        found.is_some_and(|found| found.is_ignore())
    };
    let mut found = Vec::new();
    for (path, source) in case.sources.iter().filter(|(_, source)| source.part == Part::Service) {
        let name = path.file_name();
        let rule = if source.grammar.is_none() && is_key(&source.text) && !is_for_localhost(name) {
            "private-key-tracked"
        } else if name.starts_with(".env") && !is_example(name) && is_ignored(path) {
            "tracked-though-ignored"
        } else {
            continue;
        };
        if case.sources.is_tracked(path) {
            found.push((path.clone(), rule));
        }
    }
    found
}

/// A key that a browser is to trust on one's own machine.
fn is_for_localhost(name: &str) -> bool {
    ["localhost", "dev", "test", "example", "snakeoil"].iter().any(|word| name.contains(word))
}

pub fn is_key(text: &str) -> bool {
    let head = text.trim_start().lines().next().unwrap_or_default().trim_end();
    head.starts_with("-----BEGIN ") && head.ends_with("PRIVATE KEY-----")
}

fn has_pipeline(case: &Case<'_>) -> bool {
    case.sources.paths().any(|path| path.as_str().starts_with(".github/"))
}

/// One finding for each folder that a tool filled, and for each database.
fn find_artifacts(case: &Case<'_>) -> Vec<(RepoPath, &'static str, String)> {
    let mut found: Vec<(RepoPath, &'static str, String)> = Vec::new();
    for path in case.sources.tracked_paths() {
        let made = folders(path).find(|folder| MADE_BY_TOOLS.contains(folder));
        let what = made.or_else(|| find_output(case, path));
        if let Some(folder) = what {
            let mut before = found.iter_mut();
            match before.find(|(_, rule, what)| *rule == "tracked-artifact" && what == folder) {
                Some(first) if !is_entry(&first.0) && is_entry(path) => first.0 = path.clone(),
                Some(_) => {}
                None => found.push((path.clone(), "tracked-artifact", folder.to_owned())),
            }
        } else if DATABASES.iter().any(|end| path.file_name().ends_with(end))
            && super::sources::part_of(path) == super::sources::Part::Service
        {
            found.push((path.clone(), "tracked-database", path.file_name().to_owned()));
        }
    }
    found
}

/// The folder of a compiler's output that a file is in, with the source that it was made from beside it.
fn find_output<'p>(case: &Case<'_>, path: &'p RepoPath) -> Option<&'p str> {
    let whole = path.as_str();
    let folder = folders(path)
        .find(|folder| matches!(*folder, "dist" | "build" | "out" | "lib" | "target"))?;
    if folder == "target" {
        return (whole.starts_with("target/") && case.sources.has("Cargo.toml")).then_some(folder);
    }
    let stem = whole.strip_suffix(".js")?;
    let at = if stem.starts_with(folder) && stem[folder.len()..].starts_with('/') {
        0
    } else {
        stem.find(&format!("/{folder}/"))? + 1
    };
    let (above, below) = (&stem[..at], &stem[at + folder.len() + 1..]);
    // What is in `lib` may be written there.
    let ends: &[&str] = if folder == "lib" { &["ts", "tsx"] } else { &["ts", "tsx", "js"] };
    let is_made = ends.iter().any(|end| {
        case.sources.has(&format!("{above}src/{below}.{end}"))
            || *end != "js"
                && below.contains('/')
                && case.sources.has(&format!("{above}{below}.{end}"))
    });
    is_made.then_some(folder)
}

/// The file by which a person would tell what a folder of compiled code is.
fn is_entry(path: &RepoPath) -> bool {
    matches!(path.file_name(), "main.js" | "index.js" | "server.js" | "app.js")
        && folders(path).last().is_some_and(|folder| matches!(folder, "dist" | "build" | "out"))
}

pub fn otherwise(_: &Case<'_>) -> Judgement {
    unknown("no manifest tells what the codebase is of")
}
