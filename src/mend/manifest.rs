//! What a mend needs of manifests: packages that are declared, features of crates, another dependency.

use std::collections::BTreeMap;

use regex::Regex;

use super::recipe::Recipe;
use crate::merge;
use crate::merge::text::{Insert, Text};
use crate::service::detect::list_words;
use crate::tree::{Entry, RepoPath, Tree};

const MANIFESTS: [&str; 7] = [
    "package.json",
    "Cargo.toml",
    "pyproject.toml",
    "requirements.txt",
    "requirements.in",
    "Pipfile",
    "setup.py",
];

/// Whether one of these packages is named by a manifest beside the file or above it.
#[must_use]
pub fn declares(tree: &Tree, path: &RepoPath, packages: &[impl AsRef<str>]) -> bool {
    packages.is_empty()
        || manifests(tree, path, &MANIFESTS).any(|(_, text)| {
            list_words(&text).any(|word| {
                packages.iter().any(|package| package.as_ref().eq_ignore_ascii_case(word))
            })
        })
}

/// Whether a file stands beside another one, and is not kept out of images.
pub fn stands(tree: &Tree, path: &RepoPath, name: &str) -> bool {
    let patterns = tree.text(&path.with_file_name(".dockerignore")).unwrap_or_default();
    let beside = path.with_file_name(name);
    tree.files().any(|file| *file == beside) && merge::ignores(&patterns, name) != Some(true)
}

/// The edits of manifests that a recipe asks for; nothing where one of them cannot be made.
#[must_use]
pub fn need(
    tree: &Tree,
    recipe: &Recipe,
    path: &RepoPath,
) -> Option<BTreeMap<RepoPath, Vec<Insert>>> {
    let mut needed: BTreeMap<RepoPath, Vec<Insert>> = BTreeMap::new();
    for (krate, features) in &recipe.features {
        let (manifest, edits) = manifests(tree, path, &["Cargo.toml"])
            .find_map(|(manifest, text)| Some((manifest, add_features(&text, krate, features)?)))?;
        needed.entry(manifest).or_default().extend(edits);
    }
    if let Some(package) = &recipe.dependency
        && !declares(tree, path, std::slice::from_ref(package))
    {
        let (manifest, edit) = add_dependency(tree, path, package)?;
        needed.entry(manifest).or_default().push(edit);
    }
    Some(needed)
}

/// The manifests from the folder of a file up to the root, as text without carriage returns.
fn manifests<'t>(
    tree: &'t Tree,
    path: &'t RepoPath,
    names: &'t [&str],
) -> impl Iterator<Item = (RepoPath, String)> + 't {
    let mut folders: Vec<String> = path.folders().map(|folder| format!("{folder}/")).collect();
    folders.reverse();
    folders.push(String::new());
    folders.into_iter().flat_map(move |folder| {
        names.iter().filter_map(move |name| {
            let manifest = RepoPath::parse(&format!("{folder}{name}")).ok()?;
            let Some(Entry::File(content)) = tree.get(&manifest) else { return None };
            Some((manifest, Text::read(&content.bytes).ok()?.lines().to_owned()))
        })
    })
}

/// What adds features of a crate: no edit where they are there; nothing where it cannot be told how.
fn add_features(text: &str, krate: &str, features: &[String]) -> Option<Vec<Insert>> {
    let pattern =
        format!(r"(?m)^{}\s*=\s*\{{[^}}\n]*?features\s*=\s*\[([^\]]*)\]", regex::escape(krate));
    let list = Regex::new(&pattern).ok()?.captures(text)?.get(1)?;
    let has = |name: &str| list.as_str().contains(&format!("\"{name}\""));
    let missing: Vec<String> = features
        .iter()
        .filter(|feature| !has("full") && !has(feature))
        .map(|feature| format!("\"{feature}\""))
        .collect();
    if missing.is_empty() {
        return Some(Vec::new());
    }
    let at = list.start() + list.as_str().trim_end().trim_end_matches(',').len();
    let comma = if list.as_str().trim().is_empty() { "" } else { ", " };
    Some(vec![Insert::new(at, format!("{comma}{}", missing.join(", ")))])
}

/// What adds a package to the list that people edit; nothing where that takes more than a line.
fn add_dependency(tree: &Tree, path: &RepoPath, package: &str) -> Option<(RepoPath, Insert)> {
    let lists = ["requirements.in", "requirements.txt"];
    let (manifest, text) = manifests(tree, path, &lists).next()?;
    // Hashes and other lists are somebody else's to make.
    if text.contains("--hash")
        || text.lines().all(|line| line.starts_with("-r") || line.trim().is_empty())
    {
        return None;
    }
    let last = text.trim_end_matches('\n').len();
    Some((manifest, Insert::new((last + 1).min(text.len()), format!("{package}\n"))))
}
