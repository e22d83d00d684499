//! Processes: do they keep nothing, and share nothing?

use super::backing_services::{has_variable, sqlite_places};
use super::case::{Case, Judgement};
use super::facts::compose::is_foreign_image;
use super::facts::reach::Reached;
use super::finding::{Place, Severity, Verdict};
use super::lines::{line, numbered};
use super::unknown;
use crate::error::Result;

/// Marks of state that stays on one machine, of which another process sees nothing.
pub const LOCAL_STATE: [&str; 11] = [
    "writes-local-file",
    "state-in-memory",
    "state-in-object",
    "collection-in-memory",
    "session-in-memory",
    "session-in-memory-in-rust",
    "session-on-disk",
    "data-in-file",
    "file-database",
    "upload-on-disk",
    "media-on-disk",
];

/// Packages that put Django's files into an object store.
const OBJECT_STORES: [&str; 5] = [
    "django-storages",
    "django-cloudinary-storage",
    "django-minio-storage",
    "django-s3-storage",
    "django-s3-file-field",
];

/// Packages by which processes tell each other what their sockets are to hear.
const ADAPTERS: [&str; 8] = [
    "@socket.io/redis-adapter",
    "@socket.io/redis-streams-adapter",
    "@socket.io/redis-emitter",
    "@socket.io/mongo-adapter",
    "@socket.io/postgres-adapter",
    "@socket.io/cluster-adapter",
    "socket.io-redis",
    "socket.io-adapter-mongo",
];

pub fn prepare(case: &mut Case<'_>) -> Result<()> {
    // A database in a file beside the code is state of one machine, unless a variable replaces it.
    let severity = if has_variable(case) { Severity::Risk } else { Severity::Violation };
    let whole: Vec<Place> = case.by("sqlite-databases").map(|mark| mark.place.clone()).collect();
    for place in sqlite_places(case) {
        let around = whole.iter().find(|known| {
            known.path == place.path && known.line <= place.line && place.line <= known.end_line
        });
        let place = around.cloned().unwrap_or_else(|| narrow(case, place));
        case.mark_as("data-in-file", severity, place, "")?;
    }
    let has_store = case.has("object-store") || case.facts.declares(&OBJECT_STORES);
    if case.has("file-field") && !has_store {
        let roots: Vec<Place> = case.by("media-root").map(|mark| mark.place.clone()).collect();
        for place in roots {
            case.mark("media-on-disk", place, "")?;
        }
    }
    drop_unused_helpers(case);
    if !case.has("upload-on-disk") && !case.has("writes-local-file") {
        case.drop_marks(|mark| mark.rule.id == "upload-served");
    }
    // Flask-Limiter takes its store from the application's configuration too.
    let names_store = |path| {
        let source = case.sources.get(path);
        source.is_some_and(|source| source.text.contains("RATELIMIT_STORAGE"))
    };
    if case.has("limit-in-memory-python") && case.facts.reach.served().any(names_store) {
        case.drop_marks(|mark| mark.rule.id == "limit-in-memory-python");
    }
    if case.facts.declares(&ADAPTERS) {
        case.drop_marks(|mark| mark.rule.id == "rooms-in-memory");
    }
    // Volumes say where the files are kept.
    if case.has("writes-local-file") {
        for place in volume_places(case) {
            case.mark("volume-of-data", place, "")?;
        }
    } else {
        case.drop_marks(|mark| mark.rule.id == "storage-path-local");
    }
    judge_random_secrets(case)
}

/// Of a statement of several lines, the one that names `SQLite`.
fn narrow(case: &Case<'_>, place: Place) -> Place {
    if place.line == place.end_line {
        return place;
    }
    let text = case.sources.get(&place.path).map_or("", |source| source.text.as_str());
    let inside =
        (place.line..=place.end_line).find(|number| line(text, *number).contains("sqlite"));
    inside.map_or(place.clone(), |number| Place::line(place.path, number))
}

/// What a helper writes that is there for all, and that nobody but a test calls, is written by no process.
fn drop_unused_helpers(case: &mut Case<'_>) {
    let facts = case.facts;
    let mut unused: Vec<Place> = Vec::new();
    for mark in
        case.by("writes-local-file").filter(|mark| mark.place.path.file_name().ends_with(".rs"))
    {
        let Some(source) = case.sources.get(&mark.place.path) else { continue };
        let above = source.text.lines().take(mark.place.line);
        let Some(name) = above.filter_map(function_name).last() else { continue };
        let calls: usize = facts
            .reach
            .served()
            .filter_map(|path| case.sources.get(path))
            .map(|source| without_tests(&source.text).matches(name).count())
            .sum();
        if calls <= 1 {
            unused.push(mark.place.clone());
        }
    }
    case.drop_marks(|mark| mark.rule.id == "writes-local-file" && unused.contains(&mark.place));
}

/// The name of the public function that a line of Rust begins; of any other, nothing that is found only once.
fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    // What a trait asks for is called by others, under a name that need not stand anywhere.
    let is_public = before.trim_start().starts_with("pub");
    if is_public && !name.is_empty() { Some(name) } else { Some("fn") }
}

/// The text of a module of Rust before its tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

/// A folder of the host that a service of our own writes to.
fn volume_places(case: &Case<'_>) -> Vec<Place> {
    let mut places = Vec::new();
    for (path, node) in
        case.facts.documents(|path| super::facts::compose::is_compose_name(path.file_name()))
    {
        for service in
            node.at(&["services"]).map(super::document::Node::entries).unwrap_or_default()
        {
            let image = service.value.text_at(&["image"]).unwrap_or_default();
            let builds = service.value.get("build").is_some();
            let is_foreign = !image.is_empty() && !builds && is_foreign_image(image);
            if super::facts::compose::engine(image).is_some() || is_foreign {
                continue;
            }
            for volume in
                service.value.at(&["volumes"]).map(super::document::Node::items).unwrap_or_default()
            {
                let text = volume.text().unwrap_or_default();
                let target = text.split(':').nth(1).unwrap_or_default();
                if target.contains("log") || target.starts_with("/var/lib/") {
                    continue;
                }
                if ["upload", "media", "data", "storage", "files"]
                    .iter()
                    .any(|word| text.contains(word))
                {
                    places.push(Place::line(path.clone(), volume.line));
                }
            }
        }
    }
    places
}

/// A secret that each process draws for itself; where a definition gives it one, the default is never used.
fn judge_random_secrets(case: &mut Case<'_>) -> Result<()> {
    let found: Vec<(Place, String)> =
        case.by("random-secret").map(|mark| (mark.place.clone(), mark.message.clone())).collect();
    let Some((_, message)) = found.first() else { return Ok(()) };
    let facts = case.facts;
    let is_given =
        facts.settings.iter().any(|setting| message.contains(&format!("`{}`", setting.name)));
    if is_given {
        case.weigh("random-secret", Severity::Risk);
    } else if let Some(run) = facts.servers().into_iter().find(|run| run.is_definition()) {
        let place = variables_place(case, &run.place);
        case.mark("secret-not-given", place, "")?;
    }
    Ok(())
}

/// Where a definition says its variables, which is beside what it runs; where there is no such place, what it runs.
fn variables_place(case: &Case<'_>, run: &Place) -> Place {
    let text = case.sources.get(&run.path).map_or("", |source| source.text.as_str());
    let indent = |line: &str| line.len() - line.trim_start().len();
    let first = line(text, run.line);
    let own = indent(first) + if first.trim_start().starts_with("- ") { 2 } else { 0 };
    let is_beside = |line: &str| indent(line) == own;
    let is_said = |line: &str| {
        ["envs:", "envVars:", "env:", "environment:", "[env]"]
            .iter()
            .any(|key| line.trim_start().starts_with(key))
    };
    let below = numbered(text).skip(run.line).take(40);
    below
        .take_while(|(_, line)| line.trim().is_empty() || indent(line) >= own)
        .find(|(_, line)| is_beside(line) && is_said(line))
        .map_or_else(|| run.clone(), |(number, _)| Place::line(run.path.clone(), number))
}

pub fn otherwise(case: &Case<'_>) -> Judgement {
    let serves = case.facts.reach.served().any(|path| case.facts.reach.of(path) == Reached::Served);
    if !serves {
        return unknown("no source is run as a service");
    }
    Judgement::new(Verdict::Met, "nothing is kept in the process or on its disk")
}
