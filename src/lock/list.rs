//! Lists of requirements: those that are compiled from another, and those that pin their own packages only.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::{INCOMPLETE, Open};
use crate::check::sources::{folder_of, is_image_name};
use crate::merge::text::{Insert, Text};
use crate::tree::{Entry, RepoPath, Tree};

/// Where a resolved list is left.
pub const RESOLVED: &str = "resolved.txt";
/// What stands above the lines that complete a list.
const HEADING: &str = "# What the packages above need";
/// Says everything that a list needs, with markers for whatever platform.
const RESOLVE: [&str; 9] = [
    "uv",
    "pip",
    "compile",
    "--universal",
    "--fork-strategy=fewest",
    "--no-header",
    "--no-annotate",
    "--quiet",
    "--output-file",
];
/// What compiles lists, as its header names it.
const COMPILERS: [&[&str]; 2] = [&["pip-compile"], &["uv", "pip", "compile"]];

/// The list that is compiled from this one, by the command that its header names.
pub fn find_compiled(tree: &Tree, source: &RepoPath) -> Option<Open> {
    let stem = source.file_name().strip_suffix(".in")?;
    let lock = source.with_file_name(&format!("{stem}.txt"));
    let text = tree.text(&lock)?;
    let command = text
        .lines()
        .take_while(|line| line.starts_with('#'))
        .filter_map(|line| shell_words::split(line.trim_start_matches('#').trim()).ok())
        .find(|words| COMPILERS.iter().any(|program| starts(words, program)))?;
    // Where the command was run shows in the paths that it names.
    let folder = folder_of(source);
    if !folder.is_empty() && command.iter().any(|word| word.contains(folder)) {
        return None;
    }
    Some(Open {
        lock,
        manifest: source.clone(),
        place: source.clone(),
        command,
        rule: None,
        takes: takes(),
        set: BTreeMap::new(),
    })
}

fn starts(words: &[String], program: &[&str]) -> bool {
    words.len() > program.len() && words.iter().zip(program).all(|(word, part)| word == part)
}

fn takes() -> Vec<String> {
    ["*.txt", "*.in", "pyproject.toml", "setup.py", "setup.cfg"].map(str::to_owned).to_vec()
}

/// How a list is completed.
pub fn complete(tree: &Tree, list: &RepoPath) -> Open {
    let mut command: Vec<String> = RESOLVE.map(str::to_owned).to_vec();
    command.push(RESOLVED.to_owned());
    if let Some(version) = find_python(tree) {
        command.extend(["--python-version".to_owned(), version]);
    }
    command.push(list.file_name().to_owned());
    Open {
        lock: list.clone(),
        manifest: list.clone(),
        place: list.clone(),
        command,
        rule: Some(INCOMPLETE),
        takes: vec!["*.txt".to_owned()],
        set: BTreeMap::from([("UV_PYTHON_DOWNLOADS".to_owned(), "never".to_owned())]),
    }
}

/// The version of Python that the repository names, where it names one.
fn find_python(tree: &Tree) -> Option<String> {
    let version = |text: &str| {
        let pattern = Regex::new(r"(?m)^(?:python-)?(3\.\d+)(?:\.\d+)?\s*$").ok()?;
        Some(pattern.captures(text)?.get(1)?.as_str().to_owned())
    };
    let told = ["runtime.txt", ".python-version"].iter();
    told.filter_map(|name| tree.root_text(name)).find_map(|text| version(&text)).or_else(|| {
        let pattern = Regex::new(r"(?m)^FROM\s+(?:--\S+\s+)?\S*python:(3\.\d+)").ok()?;
        let images = tree.files().filter(|path| is_image_name(path.file_name()));
        let mut named = images.filter_map(|path| {
            Some(pattern.captures(&tree.text(path)?)?.get(1)?.as_str().to_owned())
        });
        named.next()
    })
}

/// The list with what is resolved for it and it does not have, in lines below its own.
pub fn append(tree: &Tree, list: &RepoPath, resolved: &str) -> Option<String> {
    let Some(Entry::File(content)) = tree.get(list) else { return None };
    let file = Text::read(&content.bytes).ok()?;
    let included = file.lines().lines().filter_map(|line| {
        let path = list.with_file_name(line.trim().strip_prefix("-r")?.trim());
        tree.text(&path)
    });
    let texts: Vec<String> = included.chain([file.lines().to_owned()]).collect();
    let known: BTreeSet<String> =
        texts.iter().flat_map(|text| text.lines()).filter_map(name).collect();
    let missing: Vec<&str> = resolved
        .lines()
        .filter(|line| name(line).is_some_and(|name| !known.contains(&name)))
        .map(str::trim_end)
        .collect();
    if missing.is_empty() || missing.iter().any(|line| !line.contains("==")) {
        return None;
    }
    let lines = file.lines();
    let blank = if lines.ends_with("\n\n") { "" } else { "\n" };
    let text = format!("{blank}{HEADING}\n{}\n", missing.join("\n"));
    Some(file.write(vec![Insert::new(lines.len(), text)]))
}

/// The package that a line asks for, as packages are compared.
fn name(line: &str) -> Option<String> {
    let line = line.trim();
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
    let name = &line[..end.unwrap_or(line.len())];
    let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    is_name.then(|| name.to_lowercase().replace(['_', '.'], "-"))
}
