//! Files of variables that a definition or the code takes along: what stands in them is what a deploy has.

use super::case::Case;
use super::document::Node;
use super::facts::compose::is_compose;
use super::facts::setting::{Origin, Setting};
use super::finding::{Mark, Place, Severity};
use super::sources::folder_of;
use crate::error::Result;
use crate::tree::RepoPath;

/// What an example says counts once something starts with it; and a definition that takes a tracked file along has
/// its secrets.
pub fn judge(case: &mut Case<'_>) -> Result<()> {
    let mut taken = definitions(case);
    for mark in case.by("example-loaded") {
        let text = case.sources.get(&mark.place.path).map_or("", |source| source.text.as_str());
        let line = super::lines::line(text, mark.place.line);
        taken.extend(
            examples(case)
                .filter(|path| line.contains(path.file_name()))
                .map(|path| (path.clone(), None)),
        );
    }
    for (path, place) in taken {
        // The one that each developer has is looked for where it is copied into an image alone.
        let is_common = place.as_ref().is_some_and(|place| {
            matches!(path.file_name(), ".env" | ".secrets")
                && super::facts::compose::is_compose(&place.path)
        });
        if is_common || !has_secret(case, &path)? {
            continue;
        }
        mark_example(case, &path)?;
        if let Some(place) = place {
            case.mark("env-file-taken-along", place, path.file_name())?;
        }
    }
    Ok(())
}

fn examples<'a>(case: &'a Case<'_>) -> impl Iterator<Item = &'a RepoPath> {
    let settings = case.facts.settings.iter();
    let mut found: Vec<&RepoPath> = settings
        .filter(|setting| setting.origin == Origin::Example)
        .map(|setting| &setting.place.path)
        .collect();
    found.dedup();
    found.into_iter()
}

/// The files of variables that compose files and images name, each with where.
fn definitions(case: &Case<'_>) -> Vec<(RepoPath, Option<Place>)> {
    let mut found: Vec<(RepoPath, Option<Place>)> = Vec::new();
    let mut add = |folder: &str, name: &str, place: Place| {
        let name = name.trim_start_matches("./");
        let is_such = |setting: &&Setting| {
            matches!(setting.origin, Origin::Env | Origin::Example)
                && setting.place.path.as_str().strip_prefix(folder) == Some(name)
        };
        if let Some(setting) = case.facts.settings.iter().find(is_such) {
            found.push((setting.place.path.clone(), Some(place)));
        }
    };
    for (path, node) in case.facts.documents(is_compose) {
        // What only starts a database beside the service is another matter.
        let services = node.at(&["services"]).map(Node::entries).unwrap_or_default();
        for service in services.iter().filter(|service| service.value.get("build").is_some()) {
            let Some(files) = service.value.get("env_file") else { continue };
            if let Some(name) = files.value.text() {
                add(folder_of(path), name, Place::line(path.clone(), files.line));
            }
            for item in files.value.items() {
                let name = item.text().or_else(|| item.text_at(&["path"]));
                let place = Place::line(path.clone(), item.line);
                add(folder_of(path), name.unwrap_or_default(), place);
            }
        }
    }
    for image in &case.facts.images {
        for instruction in image.instructions.iter().filter(|found| found.name == "COPY") {
            let names = instruction.text.split_whitespace().filter(|word| word.contains(".env"));
            for name in names {
                add(folder_of(&image.path), name, image.place(instruction));
            }
        }
    }
    found
}

fn has_secret(case: &Case<'_>, path: &RepoPath) -> Result<bool> {
    let Some(pattern) = case.rules.get("env-file-secret")?.setting.as_ref() else {
        return Ok(false);
    };
    let mut own = case.facts.settings.iter().filter(|setting| setting.place.path == *path);
    Ok(own.any(|setting| is_secret(pattern, setting)))
}

fn is_secret(pattern: &super::rule::SettingPattern, setting: &Setting) -> bool {
    let name = setting.name.to_lowercase();
    let is_named = pattern.name.is_match(&setting.name)
        || ["_key", "_skey", "_token"].iter().any(|end| name.ends_with(end));
    let is_other = pattern.unless_name.as_ref().is_some_and(|other| other.is_match(&setting.name));
    let value = setting.value.as_str();
    let is_value = value.len() > 1
        && !value.starts_with(['<', '$'])
        && !matches!(value.to_lowercase().as_str(), "true" | "false" | "null" | "none")
        && !value.chars().all(|letter| letter.is_ascii_digit())
        // A URL without a password says where, and opens nothing.
        && (!value.contains("://") || value.contains('@'));
    // One that some other service has to give is made up here; the service's own is taken as it stands.
    let is_own = ["session", "jwt", "secret_key", "cookie"].iter().any(|word| name.contains(word));
    let lower = value.to_lowercase();
    let is_made_up =
        ["xxx", "your", "placeholder", "change"].iter().any(|word| lower.contains(word))
            || ["-key", "-secret", "-password", "_here"].iter().any(|end| lower.ends_with(end));
    is_named && !is_other && is_value && (is_own || !is_made_up)
}

/// Marks each secret of an example that something starts with; those of other files are marked by their own rules.
fn mark_example(case: &mut Case<'_>, path: &RepoPath) -> Result<()> {
    let rule = case.rules.get("example-secret")?;
    let Some(pattern) = case.rules.get("env-file-secret")?.setting.as_ref() else { return Ok(()) };
    let facts = case.facts;
    for setting in &facts.settings {
        if setting.origin == Origin::Example
            && setting.place.path == *path
            && is_secret(pattern, setting)
        {
            let mut mark = Mark::new(rule, setting.place.clone())
                .about(&setting.name)
                .weighing(Severity::Risk);
            mark.secrets.push(setting.value.clone());
            case.drop_marks(|known| known.rule.id == rule.id && known.place == mark.place);
            case.marks.push(mark);
        }
    }
    Ok(())
}
