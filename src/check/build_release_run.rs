//! Build, release, run: are the three strictly apart?

use super::case::{Case, Judgement};
use super::facts::run::{Kind, Role, Run, Stage};
use super::finding::{Place, Severity, Verdict};
use super::unknown;
use crate::error::Result;

pub fn prepare(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    let servers = facts.servers();
    // One of several definitions that does it, is not the only way.
    for rule in ["run-builds", "run-reloads"] {
        let marks: Vec<Place> = case.by(rule).map(|mark| mark.place.clone()).collect();
        let is_marked = |run: &&Run| run.steps.iter().any(|step| marks.contains(&step.place));
        if !servers.iter().all(is_marked) {
            case.weigh(rule, Severity::Risk);
        }
    }
    for run in facts.production() {
        if let Some(place) = run.mounts_source.clone().filter(|_| run.stage == Stage::Production) {
            case.mark("run-mounts-source", place, &run.name)?;
        }
    }
    for run in facts.runs.iter().filter(|run| run.role == Role::Release && run.is_definition()) {
        case.mark("release-phase", run.place.clone(), &run.name)?;
    }
    for delivery in &facts.deliveries {
        let tags: Vec<&String> = delivery.tags.iter().collect();
        // `type=sha` is what docker/metadata-action makes a tag of.
        let is_fixed = |tag: &&String| {
            tag.ends_with(":latest")
                || tag.ends_with("=latest")
                || !tag.contains([':', '$']) && !tag.starts_with("type=")
        };
        if !tags.is_empty() && tags.iter().all(is_fixed) {
            case.mark("image-only-latest", delivery.place.clone(), "")?;
        } else {
            case.mark("delivery", delivery.place.clone(), &delivery.what)?;
        }
    }
    for image in &facts.images {
        if let Some(last) =
            image.last_stage().find(|found| matches!(found.name.as_str(), "CMD" | "ENTRYPOINT"))
        {
            case.mark("image-runs", image.place(last), "")?;
        }
    }
    for image in &facts.images {
        let says =
            image.last_stage().any(|found| matches!(found.name.as_str(), "CMD" | "ENTRYPOINT"));
        let bases = ["python", "node", "rust", "debian", "alpine", "ubuntu", "scratch"];
        let Some(from) = image.named("FROM").last() else { continue };
        if !says && bases.iter().any(|base| from.text.contains(base)) {
            case.mark("image-without-command", image.place(from), "")?;
        }
    }
    for mount in mounts_in_production(case) {
        case.mark("run-mounts-source", mount, "")?;
    }
    for run in servers.iter().filter(|run| run.is_definition()) {
        let builds =
            case.by("run-builds").any(|mark| run.steps.iter().any(|step| step.place == mark.place));
        if !builds {
            case.mark("plain-run", run.place.clone(), &run.name)?;
        }
    }
    // What is compiled in cannot be given at the release.
    let baked: Vec<Place> = case.by("key-compiled-in").map(|mark| mark.place.clone()).collect();
    for place in baked {
        case.mark("config-baked-in", place, "")?;
    }
    schema_at_start(case)
}

/// What the file that production's one comes on top of mounts is mounted there too.
fn mounts_in_production(case: &Case<'_>) -> Vec<Place> {
    let composed = || case.facts.runs.iter().filter(|run| run.kind == Kind::Compose);
    let overrides = |base: &Run| {
        composed().any(|run| {
            let is_beside = super::sources::folder_of(&run.place.path)
                == super::sources::folder_of(&base.place.path);
            run.stage == Stage::Production && run.name == base.name && is_beside
        })
    };
    let is_base = |run: &&Run| {
        let stem = run.place.path.file_name().rsplit_once('.').map(|(stem, _)| stem);
        matches!(stem, Some("docker-compose" | "compose"))
    };
    let bases = composed().filter(is_base).filter(|run| overrides(run));
    bases.filter_map(|run| run.mounts_source.clone()).collect()
}

/// A web process that changes the schema releases itself.
fn schema_at_start(case: &mut Case<'_>) -> Result<()> {
    let is_defined = !case.facts.production().is_empty();
    let found: Vec<Place> = case.by("schema-at-start").map(|mark| mark.place.clone()).collect();
    for place in found.into_iter().filter(|_| is_defined) {
        case.mark("release-at-start", place, "")?;
    }
    Ok(())
}

pub fn otherwise(case: &Case<'_>) -> Judgement {
    let is_defined = case.facts.runs.iter().any(Run::is_definition);
    if is_defined {
        return Judgement::new(Verdict::Met, "what is run is built before");
    }
    unknown("no image, Procfile or pipeline says how it is built and run")
}
