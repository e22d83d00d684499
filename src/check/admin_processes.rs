//! Admin processes: are one-off tasks run from the release, with its code and its configuration?

use std::sync::LazyLock;

use regex::Regex;

use super::case::{Case, Judgement};
use super::facts::image::{Image, exec_form};
use super::facts::manifest::Script;
use super::facts::reach::Reached;
use super::facts::run::{Kind, Role, Stage, is_migration, stage_of};
use super::facts::setting::Origin;
use super::finding::{Place, Severity};
use super::language::Language;
use super::lines::numbered;
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

/// A database's address without a variable in it.
static ADDRESS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"\b(postgres(ql)?|mysql|mariadb|mongodb)(\+\w+)?://[^\s"'$%{]+@[^\s"'$%{]+"#).ok()
});

/// Packages that run migrations, and what the tool is called.
const TOOLS: [(&str, &str); 14] = [
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
    ("aerich", "aerich"),
    ("yoyo-migrations", "yoyo"),
];

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
        let main = numbered(&source.text).find(|(_, line)| line.contains("DJANGO_SETTINGS_MODULE"));
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
    if let Some(place) = find_written_down(case) {
        case.mark("task-command", place, "the migration")?;
    }
    for place in find_synchronized(case) {
        if case.by("schema-at-start").any(|mark| mark.place == place) {
            continue;
        }
        case.mark("schema-at-start", place, "")?;
    }
    for place in find_other_settings(case) {
        case.mark("task-other-settings", place, "")?;
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
    let building: Vec<Place> = case.by("build-migrates").map(|mark| mark.place.clone()).collect();
    for place in building {
        case.mark("task-at-build", place, "")?;
    }
    judge_variables(case)?;
    for (place, what) in find_left_out(case) {
        case.mark("task-left-out", place, &what)?;
    }
    for place in find_own_handles(case) {
        case.mark("task-own-handle", place, "")?;
    }
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
        // What tells a tool, works on nothing.
        if path.file_name().contains(".config.") || stem.contains("env") {
            return false;
        }
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
        for (number, line) in numbered(&source.text) {
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

/// Where the file of `TypeORM`, or an example of it, has the schema made, and the call that does so; without a migration.
fn find_synchronized(case: &Case<'_>) -> Vec<Place> {
    let facts = case.facts;
    if !facts.declares(&["typeorm"]) || case.sources.paths().any(is_migration_file) {
        return Vec::new();
    }
    let says = |line: &str| {
        let line = line.trim_start().trim_end_matches([',', ' ']);
        let (key, value) = line.split_once([':', '=']).unwrap_or_default();
        let is_key =
            matches!(key.trim().trim_matches(['"', '\'']), "synchronize" | "autoSchemaSync");
        is_key && value.trim() == "true"
    };
    let mut found = Vec::new();
    for (path, source) in case.sources.named(|name| name.starts_with("ormconfig.")) {
        // Another connection of it, for production, may not.
        let is_chosen = ["synchronize: false", "synchronize\": false"]
            .iter()
            .any(|other| source.text.contains(other));
        let lines = numbered(&source.text).filter(|(_, line)| !is_chosen && says(line));
        found.extend(lines.map(|(number, _)| Place::line(path.clone(), number)));
    }
    let of_variables = facts.settings.iter().filter(|setting| {
        setting.name == "TYPEORM_SYNCHRONIZE" && setting.value.eq_ignore_ascii_case("true")
    });
    found.extend(of_variables.map(|setting| setting.place.clone()));
    if found.is_empty() {
        return found;
    }
    // Without arguments both take what stands in that file.
    for (path, source, _) in case.sources.code() {
        if facts.reach.of(path) != Reached::Served {
            continue;
        }
        let calls = numbered(&source.text).filter(|(_, line)| {
            ["TypeOrmModule.forRoot()", "createConnection()", "createConnections()"]
                .iter()
                .any(|call| line.contains(call))
                && !line.trim_start().starts_with('/')
        });
        found.extend(calls.map(|(number, _)| Place::line(path.clone(), number)));
    }
    found
}

/// Where manage.py names another module of settings than the server's entry point, and nothing sets the variable for both.
fn find_other_settings(case: &Case<'_>) -> Vec<Place> {
    const VARIABLE: &str = "DJANGO_SETTINGS_MODULE";
    let facts = case.facts;
    let is_set = facts.settings.iter().any(|setting| setting.name == VARIABLE)
        || facts.runs.iter().flat_map(|run| &run.steps).any(|step| step.text.contains(VARIABLE));
    let mut found = Vec::new();
    if is_set {
        return found;
    }
    let named = |path: &RepoPath| {
        let text = case.sources.text(path.as_str())?;
        let mut lines = numbered(text)
            .filter(|(_, line)| line.contains(VARIABLE) && !line.trim_start().starts_with('#'));
        let (number, line) = lines.next()?;
        // One that is chosen is chosen for both.
        let (None, Some((_, value))) =
            (lines.next(), line.split_once(',').or_else(|| line.split_once("] =")))
        else {
            return None;
        };
        let value = value.trim().trim_end_matches(')').trim();
        let module = ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q))?;
        Some((number, module.to_owned()))
    };
    for (path, _) in case.sources.named(|name| name == "manage.py") {
        let Some((number, module)) = named(path) else { continue };
        let folder = super::sources::folder_of(path);
        let entries = case.sources.named(|name| matches!(name, "wsgi.py" | "asgi.py"));
        let mut others: Vec<Place> = Vec::new();
        for (entry, _) in entries.filter(|(entry, _)| entry.as_str().starts_with(folder)) {
            let other = named(entry).filter(|(_, other)| *other != module);
            others.extend(other.map(|(number, _)| Place::line(entry.clone(), number)));
        }
        if !others.is_empty() {
            found.push(Place::line(path.clone(), number));
            found.append(&mut others);
        }
    }
    found
}

/// Where a pipeline or a script migrates by a tool of its own, as a person would by hand.
fn find_written_down(case: &Case<'_>) -> Option<Place> {
    let says = |text: &str| {
        [
            "sqlx database setup",
            "sqlx db setup",
            "sqlx migrate run",
            "diesel migration run",
            "diesel setup",
        ]
        .iter()
        .any(|command| text.contains(command))
    };
    let of_pipeline = case.facts.pipeline.iter().find(|step| says(&step.text));
    let place = of_pipeline.map(|step| step.place.clone());
    let is_script = |name: &str| matches!(name, "Makefile" | "justfile") || name.ends_with(".sh");
    place.or_else(|| {
        case.sources.named(is_script).find_map(|(path, source)| {
            let found = numbered(&source.text).find(|(_, line)| {
                says(line) && !line.trim_start().starts_with('#') && !line.contains("echo")
            });
            found.map(|(number, _)| Place::line(path.clone(), number))
        })
    })
}

/// Files by which a tool for migrations is told how to run, before there is a migration.
const CONFIGURED: [&str; 9] = [
    "knexfile.",
    "alembic.ini",
    "schema.prisma",
    ".sequelizerc",
    "drizzle.config.",
    "ormconfig.",
    "migrate-mongo-config.",
    "diesel.toml",
    "data-source.ts",
];

/// Migrations in files, and the tool that runs them.
fn find_migrations(case: &Case<'_>) -> Option<(RepoPath, &'static str)> {
    let facts = case.facts;
    let is_known = |name: &str| facts.apps.iter().any(|app| app.find(name).is_some());
    let (_, tool) = TOOLS.iter().find(|(package, _)| is_known(package))?;
    let is_configured =
        |path: &&RepoPath| CONFIGURED.iter().any(|name| path.file_name().starts_with(name));
    let mut paths = case.sources.paths();
    let found = paths
        .find(|path| is_migration_file(path))
        .or_else(|| case.sources.paths().find(is_configured));
    Some((found?.clone(), *tool))
}

fn is_migration_file(path: &RepoPath) -> bool {
    let mut folders = super::sources::folders(path);
    folders.any(|folder| folder == "migrations" || folder == "migration")
        && [".sql", ".ts", ".js", ".py"].iter().any(|end| path.file_name().ends_with(end))
}

/// What a release needs to migrate, and the image has not: the files, or the tool.
fn find_left_out(case: &Case<'_>) -> Vec<(Place, String)> {
    let facts = case.facts;
    let mut found = Vec::new();
    if facts.images.is_empty() || case.has("schema-at-start") {
        return found;
    }
    let Some((migration, _)) = find_migrations(case) else { return found };
    let folder = super::sources::folder_of(&migration).trim_end_matches('/');
    let is_in = |pattern: &str| {
        let rest = folder.strip_prefix(pattern);
        !pattern.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    for (path, source) in case.sources.named(|name| name.ends_with(".dockerignore")) {
        for (number, line) in numbered(&source.text) {
            let pattern =
                line.trim().trim_start_matches("**/").trim_start_matches("./").trim_matches('/');
            if is_in(pattern) {
                found.push((Place::line(path.clone(), number), format!("`{pattern}`")));
            }
        }
    }
    found.extend(find_uncopied(case, &migration, folder));
    // A tool for development, in an image without those.
    let leaves_out = facts.images.iter().any(|image| {
        image.last_stage().any(|found| {
            let flags =
                ["--omit=dev", "--omit dev", "--production", "--only=prod", "--prod", "npm prune"];
            found.name == "RUN" && flags.iter().any(|flag| found.text.contains(flag))
        })
    });
    let texts = || {
        let steps = facts.runs.iter().filter(|run| run.is_definition()).flat_map(|run| &run.steps);
        let instructions = facts.images.iter().flat_map(Image::last_stage);
        steps
            .chain(&facts.pipeline)
            .map(|step| step.text.as_str())
            .chain(instructions.map(|it| it.text.as_str()))
    };
    for name in
        ["prisma", "sequelize-cli", "drizzle-kit", "node-pg-migrate", "db-migrate", "migrate-mongo"]
    {
        let tool = name.trim_end_matches("-cli");
        let is_run = || {
            texts()
                .any(|text| text.contains(tool) && (is_migration(text) || text.contains("install")))
        };
        let known = facts.apps.iter().find_map(|app| Some((app, app.find(name)?)));
        if let Some((app, tool)) = known.filter(|(_, tool)| leaves_out && tool.is_dev && !is_run())
        {
            let place = Place::line(app.manifest.clone(), tool.line);
            found.push((place, format!("`{name}`, a dependency for development alone")));
        }
    }
    found
}

/// The instruction that copies the code, where an image copies it by its folders and the migrations are in none.
fn find_uncopied(case: &Case<'_>, migration: &RepoPath, folder: &str) -> Option<(Place, String)> {
    // A folder of its own alone can be forgotten; a binary has them in it.
    let is_read =
        [".py", ".js", ".ts", ".sql"].iter().any(|end| migration.file_name().ends_with(end));
    let is_compiled = case.facts.apps.iter().any(|app| app.language == Language::Rust);
    if folder.is_empty() || !is_read || is_compiled {
        return None;
    }
    let is_started = |image: &&Image| {
        case.facts.runs.iter().any(|run| {
            run.image.as_ref() == Some(&image.path)
                && run.stage != Stage::Development
                && matches!(run.role, Role::Web | Role::Worker)
        })
    };
    let mut left_out = None;
    for image in case.facts.images.iter().filter(is_started) {
        let place = find_code_without(image, folder)?;
        left_out = left_out.or(Some(place));
    }
    let name = folder.rsplit('/').find(|part| part.contains("migration")).unwrap_or(folder);
    left_out.map(|place| (place, format!("`{name}`")))
}

/// Where an image copies its code, if it copies nothing that may have the folder in it.
fn find_code_without(image: &Image, folder: &str) -> Option<Place> {
    let mut code = None;
    for copy in image.last_stage().filter(|found| matches!(found.name.as_str(), "COPY" | "ADD")) {
        let is_built = copy.text.contains("--from=");
        let words = exec_form(&copy.text)
            .unwrap_or_else(|| copy.text.split_whitespace().map(str::to_owned).collect());
        let words: Vec<&str> =
            words.iter().map(String::as_str).filter(|word| !word.starts_with("--")).collect();
        let (_, from) = words.split_last()?;
        for source in from {
            let source = source.trim_start_matches("./").trim_matches('/');
            let last = source.rsplit('/').next().unwrap_or_default();
            let is_file = last.contains('.') && !last.starts_with('.') || last == "Pipfile";
            let is_package =
                ["node_modules", "venv", ".venv", "site-packages", "wheels", "bin", "deps"]
                    .contains(&last);
            let is_output = ["dist", "build", "public", "static", ".next"].contains(&last);
            if is_file || is_package {
                continue;
            }
            let covers = if is_built {
                // A folder that was copied whole in a stage before; what is compiled has `src` in it.
                !is_output || format!("/{folder}/").contains("/src/")
            } else {
                matches!(source, "" | "." | "*" | "..")
                    || source.contains(['$', '*'])
                    || format!("/{folder}/").contains(&format!("/{source}/"))
            };
            if covers {
                return None;
            }
            if !matches!(last, "public" | "static" | "templates" | "prisma" | "scripts" | "config")
            {
                code = Some(image.place(copy));
            }
        }
    }
    code
}

/// Commands of tasks with a database's address in them.
fn find_own_handles(case: &Case<'_>) -> Vec<Place> {
    let facts = case.facts;
    let mut found = Vec::new();
    let Some(address) = ADDRESS.as_ref() else { return found };
    let is_script = |name: &str| {
        matches!(name, "Makefile" | "justfile" | "alembic.ini") || name.ends_with(".sh")
    };
    for (path, source) in case.sources.named(is_script) {
        if stage_of(path) == Stage::Development {
            continue;
        }
        let is_configuration = path.file_name() == "alembic.ini";
        if is_configuration && has_own_environment(case) {
            continue;
        }
        for (number, line) in numbered(&source.text) {
            let line = line.trim_start();
            let says = if is_configuration {
                line.starts_with("sqlalchemy.url") && !line.contains("user:pass@")
            } else {
                is_task_command(line)
            };
            if says && !line.starts_with(['#', ';']) && address.is_match(line) {
                found.push(Place::line(path.clone(), number));
            }
        }
    }
    for app in &facts.apps {
        for script in app.scripts.iter().filter(|script| !script.name.contains("test")) {
            if is_task_command(&script.command) && address.is_match(&script.command) {
                found.push(Place::line(app.manifest.clone(), script.line));
            }
        }
    }
    found
}

/// Whether Alembic's script takes the address from somewhere else than its file.
fn has_own_environment(case: &Case<'_>) -> bool {
    let mut environments = case.sources.code().filter(|(path, ..)| path.file_name() == "env.py");
    environments.any(|(_, source, _)| {
        ["set_main_option", "environ", "getenv", "settings", "create_engine", "async_engine("]
            .iter()
            .any(|word| source.text.contains(word))
    })
}

fn is_task_command(text: &str) -> bool {
    is_migration(text) || text.contains("migrate ") || text.contains(" seed")
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
