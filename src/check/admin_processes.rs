//! Admin processes: are one-off tasks run from the release, with its code and its configuration?

use super::case::{Case, Judgement};
use super::facts::manifest::Script;
use super::facts::reach::Reached;
use super::facts::run::{Kind, Role, is_migration};
use super::finding::{Place, Severity};
use super::unknown;
use crate::error::Result;
use crate::factor::Factor;

pub fn prepare(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    for (path, source) in case.sources.iter().filter(|(path, _)| path.file_name() == "manage.py") {
        let main = super::lines::numbered(&source.text)
            .find(|(_, line)| line.contains("DJANGO_SETTINGS_MODULE"));
        let line = main.map_or(1, |(number, _)| number);
        if facts.declares(&["django"]) || source.text.contains("django") {
            case.mark("task-command", Place::line(path.clone(), line), "manage.py")?;
        }
    }
    for app in &facts.apps {
        for script in app.scripts.iter().filter(|script| is_task(script)) {
            case.mark(
                "task-command",
                Place::line(app.manifest.clone(), script.line),
                &script.name,
            )?;
        }
    }
    let tasks = facts.runs.iter().filter(|run| run.is_definition() && run.role == Role::Release);
    for run in tasks.filter(|run| run.kind != Kind::Image) {
        case.mark("task-command", run.place.clone(), &run.name)?;
    }
    for (path, ..) in case.sources.code() {
        let name = path.as_str();
        let is_environment = name.ends_with("env.py")
            && (name.contains("migrations/")
                || name.contains("alembic/")
                || name.starts_with("db/"));
        let is_binary = name.contains("src/bin/") && facts.reach.of(path) == Reached::Task;
        if is_environment || is_binary {
            case.mark("task-command", Place::line(path.clone(), 1), path.file_name())?;
        }
    }
    let migrating: Vec<Place> = case.by("run-migrates").map(|mark| mark.place.clone()).collect();
    for place in migrating {
        case.mark("task-at-start", place, "")?;
    }
    let has_task = case.speaks_for(Factor::AdminProcesses);
    let found: Vec<Place> = case.by("schema-at-start").map(|mark| mark.place.clone()).collect();
    for place in found {
        let severity = if has_task { Severity::Risk } else { Severity::Violation };
        case.mark_as("task-at-start", severity, place, "")?;
    }
    Ok(())
}

/// A script of the manifest that is run by hand.
fn is_task(script: &Script) -> bool {
    let name = script.name.as_str();
    let is_named = [
        "migrat",
        "seed",
        "db:",
        "typeorm",
        "prisma:",
        "sequelize",
        "populate",
        "console",
        "create-",
        "import",
    ]
    .iter()
    .any(|word| name.contains(word));
    (is_named || is_migration(&script.command))
        && !name.starts_with("pre")
        && !name.starts_with("post")
        && !name.contains("test")
}

pub fn otherwise(case: &Case<'_>) -> Judgement {
    if case.has("schema-at-start") {
        return unknown("the schema is made when it starts");
    }
    unknown("it has no one-off task")
}
