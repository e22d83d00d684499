//! Names the version of a runtime or of a backing service as the file that decides it does.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{Edits, read};
use crate::check::facts::compose::engine;
use crate::check::facts::image::Image;
use crate::check::finding::Place;
use crate::merge::Format;
use crate::merge::text::{self, Insert};
use crate::tree::{RepoPath, Tree};

/// A step of a pipeline that installs a runtime.
#[expect(clippy::unwrap_used, reason = "the pattern is constant")]
static STEP: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^(?P<key>\s*(?P<name>python|node)-version:\s*)(?P<quote>["']?)v?(?P<version>\d+(?:\.\d+)*)(?:\.x)?["']?\s*$"#).unwrap()
});
/// A file of one line.
#[expect(clippy::unwrap_used, reason = "the pattern is constant")]
static FILE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(?P<start>python-|v)?(?P<version>\d+(?:\.\d+)*)\s*$").unwrap());
/// A service without a version.
#[expect(clippy::unwrap_used, reason = "the pattern is constant")]
static OPEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^(?P<key>\s*image:\s*["']?)(?P<image>[\w./-]+?)(?::latest)?(?P<end>["']?)\s*$"#)
        .unwrap()
});
/// Files that say which version of a runtime is taken, where no image does.
const DECIDING: [(&str, &str); 4] = [
    ("python", "runtime.txt"),
    ("python", ".python-version"),
    ("node", ".nvmrc"),
    ("node", ".node-version"),
];

/// What makes the version at a place that of the file which decides; nothing where none does, or that is it.
#[must_use]
pub fn mend(tree: &Tree, text: &str, place: &Place) -> Option<Edits> {
    let start = text::numbered_line(text, place.line);
    let line = text[start..].lines().next()?;
    let after = if let Some(found) = STEP.captures(line) {
        let version = decide(tree, &found["name"], &place.path)?;
        // A number would lose the zero that it ends with.
        let quote = if found["quote"].is_empty() { "'" } else { &found["quote"] };
        format!("{}{quote}{version}{quote}", &found["key"])
    } else if let Some((name, _)) = DECIDING.iter().find(|(_, file)| place.path.as_str() == *file) {
        let found = FILE.captures(line)?;
        format!("{}{}", start_of(&found), decide(tree, name, &place.path)?)
    } else {
        let found = OPEN.captures(line)?;
        let tag = find_tag(tree, &found["image"])?;
        format!("{}{}:{tag}{}", &found["key"], &found["image"], &found["end"])
    };
    let edit = Insert::replace(&(start..start + line.len()), after.clone());
    (after != line).then(|| Edits { edits: vec![edit], ..Edits::default() })
}

fn start_of<'t>(found: &'t Captures<'_>) -> &'t str {
    found.name("start").map_or("", |start| start.as_str())
}

/// The version that images start from, or else the one that other files than this name.
fn decide(tree: &Tree, name: &str, path: &RepoPath) -> Option<String> {
    let images = tree.files().filter(|path| crate::check::sources::is_image_name(path.file_name()));
    let mut versions: BTreeSet<String> = BTreeSet::new();
    for path in images {
        let image = Image::read(path, &tree.text(path)?);
        for (_, base) in image.bases() {
            let (base, tag) = base.rsplit_once(':').unwrap_or((base, ""));
            if base.rsplit('/').next() == Some(name) {
                versions.insert(number(tag)?);
            }
        }
    }
    if versions.is_empty() {
        for (_, file) in DECIDING.iter().filter(|(of, file)| *of == name && path.as_str() != *file)
        {
            let text = tree.root_text(file);
            let found = text.as_ref().and_then(|text| FILE.captures(text.lines().next()?));
            versions.extend(found.map(|found| found["version"].to_owned()));
        }
    }
    let mut versions = versions.into_iter();
    versions.next().filter(|_| versions.next().is_none())
}

/// The number that a tag begins with.
fn number(tag: &str) -> Option<String> {
    let end = tag.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(tag.len());
    (end > 0).then(|| tag[..end].to_owned())
}

/// The one tag with a number that other files give the same image.
fn find_tag(tree: &Tree, image: &str) -> Option<String> {
    engine(image)?;
    let pattern =
        format!(r#"(?m)^\s*image:\s*["']?{}:(?P<tag>\d[\w.-]*)["']?\s*$"#, regex::escape(image));
    let pattern = Regex::new(&pattern).ok()?;
    let is_yaml = |path: &&RepoPath| Format::of(path.as_str()) == Some(Format::Yaml);
    let mut tags = BTreeSet::new();
    for path in tree.files().filter(is_yaml) {
        let Some(file) = read(tree, path) else { continue };
        tags.extend(pattern.captures_iter(file.lines()).map(|found| found["tag"].to_owned()));
    }
    let mut tags = tags.into_iter();
    tags.next().filter(|_| tags.next().is_none())
}
