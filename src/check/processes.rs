//! Processes: do they keep nothing, and share nothing?

use super::backing_services::{has_variable, sqlite_places};
use super::case::{Case, Judgement};
use super::facts::reach::Reached;
use super::finding::{Place, Severity, Verdict};
use super::unknown;
use crate::error::Result;

/// Marks of state that stays on one machine, of which another process sees nothing.
pub const LOCAL_STATE: [&str; 7] = [
    "writes-local-file",
    "state-in-memory",
    "session-in-memory",
    "session-on-disk",
    "data-in-file",
    "upload-on-disk",
    "media-on-disk",
];

pub fn prepare(case: &mut Case<'_>) -> Result<()> {
    // A database in a file beside the code is state of one machine, unless a variable replaces it.
    let severity = if has_variable(case) { Severity::Risk } else { Severity::Violation };
    let whole: Vec<Place> = case.by("sqlite-databases").map(|mark| mark.place.clone()).collect();
    for place in sqlite_places(case) {
        let around = whole.iter().find(|known| {
            known.path == place.path && known.line <= place.line && place.line <= known.end_line
        });
        let place = around.cloned().unwrap_or(place);
        case.mark_as("data-in-file", severity, place, "")?;
    }
    if case.has("file-field") && !case.has("object-store") {
        let roots: Vec<Place> = case.by("media-root").map(|mark| mark.place.clone()).collect();
        for place in roots {
            case.mark("media-on-disk", place, "")?;
        }
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
            if super::facts::compose::engine(image).is_some() {
                continue;
            }
            for volume in
                service.value.at(&["volumes"]).map(super::document::Node::items).unwrap_or_default()
            {
                let text = volume.text().unwrap_or_default();
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
        let place = run.place.clone();
        case.mark("secret-not-given", place, "")?;
    }
    Ok(())
}

pub fn otherwise(case: &Case<'_>) -> Judgement {
    let serves = case.facts.reach.served().any(|path| case.facts.reach.of(path) == Reached::Served);
    if !serves {
        return unknown("no source is run as a service");
    }
    Judgement::new(Verdict::Met, "nothing is kept in the process or on its disk")
}
