//! Admin processes: are one-off tasks run from the release, with its code and its configuration?

use std::sync::LazyLock;

use regex::Regex;

use super::case::{Case, Judgement};
use super::facts::manifest::Script;
use super::facts::reach::Reached;
use super::facts::run::{Kind, Role, is_migration};
use super::facts::setting::Origin;
use super::finding::{Place, Severity};
use super::unknown;
use crate::error::Result;
use crate::factor::Factor;
use crate::tree::RepoPath;

/// Where a variable is asked for by its name.
static READING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"["']([A-Z][A-Z0-9_]+)["'] (?:not )?in os\.environ|(?:environ(?:\.get\(|\[)|getenv\()\s*["']([A-Z][A-Z0-9_]+)["']|process\.env\.([A-Z][A-Z0-9_]+)"#,
    )
    .ok()
});

pub fn prepare(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    // Where a release phase is declared, the code that changes the schema is what that runs.
    let is_released = facts.runs.iter().any(|run| run.is_definition() && run.role == Role::Release);
    if is_released {
        let binding: Vec<_> = case.by("binds").map(|mark| mark.place.path.clone()).collect();
        case.drop_marks(|mark| {
            mark.rule.id == "schema-at-start" && !binding.contains(&mark.place.path)
        });
    }
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
    if !case.has("schema-at-start")
        && let Some((path, tool)) = find_migrations(case)
    {
        case.mark("migrations-with-tool", Place::line(path, 1), tool)?;
    }
    for path in find_scripts(case) {
        let name = path.file_name().to_owned();
        case.mark("task-command", Place::line(path, 1), &name)?;
    }
    let migrating: Vec<Place> = case.by("run-migrates").map(|mark| mark.place.clone()).collect();
    for place in migrating {
        case.mark("task-at-start", place, "")?;
    }
    judge_variables(case)?;
    let has_task = case.speaks_for(Factor::AdminProcesses);
    let found: Vec<Place> = case.by("schema-at-start").map(|mark| mark.place.clone()).collect();
    for place in found {
        let severity = if has_task { Severity::Risk } else { Severity::Violation };
        case.mark_as("task-at-start", severity, place, "")?;
    }
    Ok(())
}

/// Variables that a task alone asks for, where an example says which ones there are.
fn judge_variables(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    let named = || facts.settings.iter().filter(|setting| setting.origin == Origin::Example);
    let is_task = |path: &RepoPath| {
        let stem = path.file_name().split('.').next().unwrap_or_default();
        matches!(stem, "admin" | "tasks" | "commands" | "cli" | "manage" | "management")
            || facts.reach.of(path) == Reached::Task
    };
    if named().count() < 2 {
        return Ok(());
    }
    let mut found: Vec<(Place, String)> = Vec::new();
    let Some(pattern) = READING.as_ref() else { return Ok(()) };
    for (path, source, _) in case.sources.code() {
        if facts.reach.of(path) == Reached::Nobody || !is_task(path) {
            continue;
        }
        for (number, line) in super::lines::numbered(&source.text) {
            let is_comment = line.trim_start().starts_with(['#', '/', '*']);
            let groups = pattern.captures(line).filter(|_| !is_comment);
            let name = groups.and_then(|groups| groups.iter().skip(1).flatten().next());
            found.extend(
                name.map(|name| (Place::line(path.clone(), number), name.as_str().to_owned())),
            );
        }
    }
    found.retain(|(place, name)| {
        let mut others = case.sources.code().filter(|(path, ..)| **path != place.path);
        !named().any(|setting| setting.name == *name)
            && !others.any(|(_, source, _)| source.text.contains(name.as_str()))
    });
    for (place, name) in found {
        case.mark("task-own-variable", place, &name)?;
    }
    Ok(())
}

/// Scripts beside the service that read the same configuration.
fn find_scripts(case: &Case<'_>) -> Vec<RepoPath> {
    let is_named = |name: &str| {
        ["seed", "populate", "migrate", "import", "create_", "create-", "setup-db", "init_db"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    let reads = |text: &str| {
        ["process.env", "dotenv", "os.environ", "getenv", "config", "settings"]
            .iter()
            .any(|word| text.contains(word))
    };
    let is_given =
        |path: &RepoPath| case.by("task-without-config").any(|mark| mark.place.path == *path);
    case.sources
        .code()
        .filter(|(path, source, _)| {
            source.part == super::sources::Part::Task
                && is_named(path.file_name())
                && reads(&source.text)
        })
        .filter(|(path, ..)| !is_given(path))
        .map(|(path, ..)| path.clone())
        .collect()
}

/// Migrations in files, and the tool that runs them.
fn find_migrations(case: &Case<'_>) -> Option<(RepoPath, &'static str)> {
    let facts = case.facts;
    let tools = [
        ("prisma", "prisma"),
        ("diesel", "diesel"),
        ("sqlx", "sqlx"),
        ("knex", "knex"),
        ("sequelize-cli", "sequelize"),
        ("typeorm", "typeorm"),
        ("alembic", "alembic"),
        ("flask-migrate", "flask db"),
        ("node-pg-migrate", "node-pg-migrate"),
        ("db-migrate", "db-migrate"),
        ("drizzle-kit", "drizzle-kit"),
        ("migrate-mongo", "migrate-mongo"),
    ];
    let is_known = |name: &str| facts.apps.iter().any(|app| app.find(name).is_some());
    let (_, tool) = tools.iter().find(|(package, _)| is_known(package))?;
    let is_migration = |path: &&RepoPath| {
        let is_in = super::sources::folders(path)
            .any(|folder| folder == "migrations" || folder == "migration");
        is_in && [".sql", ".ts", ".js", ".py"].iter().any(|end| path.file_name().ends_with(end))
    };
    Some((case.sources.paths().find(is_migration)?.clone(), *tool))
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
