//! Dependencies: are they declared completely, and pinned exactly?

use std::collections::{BTreeSet, HashSet};

use rayon::prelude::*;

use super::case::{Case, Judgement};
use super::facts::image::{Image, Instruction};
use super::facts::manifest::{App, Dependency, is_requirements, lock_names, version};
use super::facts::reach::Reached;
use super::facts::run::Kind;
use super::finding::{Place, Severity};
use super::language::Language;
use super::lines::{line, numbered};
use super::sources::{ancestors, folder_of, is_lock_name};
use super::{tools, unknown};
use crate::error::Result;
use crate::factor::Factor;
use crate::tree::RepoPath;

/// Packages with one that each of them needs, since a version: a list that has the first and not the second is not
/// complete.
const NEEDS: [(&str, &str, (u32, u32)); 32] = [
    ("django", "sqlparse", (2, 2)),
    ("django", "asgiref", (3, 0)),
    ("flask", "werkzeug", (0, 0)),
    ("flask", "jinja2", (0, 0)),
    ("flask", "blinker", (2, 3)),
    ("flask", "itsdangerous", (0, 10)),
    ("flask", "click", (0, 11)),
    ("gunicorn", "packaging", (22, 0)),
    ("fastapi", "typing-extensions", (0, 95)),
    ("celery", "billiard", (3, 1)),
    ("psycopg", "typing-extensions", (3, 1)),
    ("requests", "idna", (2, 16)),
    ("pydantic", "pydantic-core", (2, 0)),
    ("uvicorn", "click", (0, 8)),
    ("fastapi", "starlette", (0, 0)),
    ("fastapi", "pydantic", (0, 0)),
    ("requests", "urllib3", (2, 16)),
    ("requests", "certifi", (2, 16)),
    ("uvicorn", "h11", (0, 0)),
    ("celery", "kombu", (0, 0)),
    ("sqlalchemy", "greenlet", (1, 4)),
    ("jinja2", "markupsafe", (0, 0)),
    ("starlette", "anyio", (0, 15)),
    ("aiohttp", "yarl", (2, 0)),
    ("alembic", "mako", (0, 0)),
    ("httpx", "httpcore", (0, 14)),
    ("pydantic", "typing-extensions", (1, 8)),
    ("boto3", "botocore", (0, 0)),
    ("flask-login", "flask", (0, 0)),
    ("flask-sqlalchemy", "sqlalchemy", (0, 0)),
    ("flask-migrate", "alembic", (0, 0)),
    ("djangorestframework", "django", (3, 9)),
];

/// Frameworks that hand on the types of another package.
const FRAMEWORKS: [(&str, &str); 5] = [
    ("@nestjs/core", "express"),
    ("@nestjs/core", "fastify"),
    ("@nestjs/core", "rxjs"),
    ("next", "react"),
    ("mongoose", "mongodb"),
];

/// Modules that Node.js brings.
const NODE_MODULES: [&str; 47] = [
    "assert",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "domain",
    "events",
    "fs",
    "http",
    "http2",
    "https",
    "inspector",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "repl",
    "sea",
    "sqlite",
    "stream",
    "string_decoder",
    "sys",
    "test",
    "timers",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
    "bun",
    "electron",
];

/// Modules of Python with the packages of which one brings them, as far as a name tells that for certain.
/// What frameworks bring along (Werkzeug, Starlette, pydantic) is left out.
const MODULES: [(&str, &[&str]); 44] = [
    ("aiohttp", &["aiohttp"]),
    ("aioredis", &["aioredis"]),
    ("alembic", &["alembic", "flask-migrate"]),
    ("asyncpg", &["asyncpg"]),
    ("boto3", &["boto3"]),
    ("bs4", &["beautifulsoup4", "bs4"]),
    ("celery", &["celery"]),
    ("decouple", &["python-decouple"]),
    ("dj_database_url", &["dj-database-url", "django-heroku", "django-environ"]),
    ("django", &["django"]),
    ("dramatiq", &["dramatiq"]),
    ("environ", &["django-environ", "environ-config"]),
    ("fastapi", &["fastapi"]),
    ("flask", &["flask"]),
    ("flask_cors", &["flask-cors"]),
    ("flask_limiter", &["flask-limiter"]),
    ("flask_login", &["flask-login"]),
    ("flask_migrate", &["flask-migrate"]),
    ("flask_sqlalchemy", &["flask-sqlalchemy"]),
    ("httpx", &["httpx"]),
    ("jwt", &["pyjwt", "jwt"]),
    ("kombu", &["kombu", "celery"]),
    ("loguru", &["loguru"]),
    ("numpy", &["numpy", "pandas", "scipy", "scikit-learn"]),
    ("pandas", &["pandas"]),
    ("passlib", &["passlib"]),
    ("PIL", &["pillow", "pillow-simd", "wagtail"]),
    ("pika", &["pika"]),
    ("psycopg", &["psycopg", "psycopg-binary"]),
    ("psycopg2", &["psycopg2", "psycopg2-binary"]),
    ("pymongo", &["pymongo", "motor", "mongoengine", "flask-pymongo", "beanie"]),
    ("pymysql", &["pymysql", "aiomysql"]),
    ("redis", &["redis", "django-redis", "rq", "aioredis", "arq"]),
    ("requests", &["requests"]),
    ("rest_framework", &["djangorestframework"]),
    ("rq", &["rq", "flask-rq2", "django-rq"]),
    ("sentry_sdk", &["sentry-sdk"]),
    ("sqlalchemy", &["sqlalchemy", "flask-sqlalchemy", "sqlmodel", "alembic", "databases"]),
    ("sqlmodel", &["sqlmodel"]),
    ("stripe", &["stripe"]),
    ("structlog", &["structlog", "django-structlog"]),
    ("tornado", &["tornado"]),
    ("whitenoise", &["whitenoise", "django-heroku"]),
    ("yaml", &["pyyaml", "ruamel-yaml"]),
];

/// Of a list that pins nothing, so many lines are enough to say so.
const MAX_LOOSE: usize = 8;

/// What installs in an image, where one file locks it.
const INSTALLS: [&str; 9] = [
    "npm ci",
    "npm i",
    "pnpm i",
    "yarn install",
    "yarn --",
    "bun i",
    "cargo build",
    "cargo fetch",
    "cargo install",
];

pub fn prepare(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    if facts.apps.is_empty() {
        let is_conda =
            |path: &RepoPath| matches!(path.file_name(), "environment.yml" | "environment.yaml");
        if facts.documents(is_conda).any(|(_, node)| node.get("dependencies").is_some()) {
            return Ok(());
        }
        let first = case.sources.code().find(|(path, ..)| facts.reach.of(path) == Reached::Served);
        if let Some(path) = first.map(|(path, ..)| path.clone()) {
            case.mark("no-manifest", Place::line(path, 1), "")?;
        }
        return Ok(());
    }
    for app in facts.apps.iter().filter(|app| !app.dependencies.is_empty()) {
        match app.language {
            Language::Python => judge_python(case, app)?,
            _ => judge_locked(case, app)?,
        }
    }
    for app in &facts.apps {
        if let Some(stale) = find_stale(case, app) {
            let place = Place::line(app.manifest.clone(), stale.line);
            case.mark("lock-stale", place, &stale.name)?;
        }
    }
    for (path, line, package) in
        find_undeclared(case).into_iter().chain(find_undeclared_modules(case))
    {
        case.mark("undeclared-import", Place::line(path, line), &package)?;
    }
    for (place, engine) in undriven(case) {
        case.mark("driver-undeclared", place, engine)?;
    }
    tools::judge(case)?;
    let called = called_programs(case);
    weigh_tools(case, |line| names_program(line, &called));
    // By itself an open base image is no more than worth knowing.
    let is_broken = case.is_broken(Factor::Dependencies);
    if is_broken {
        for rule in ["base-image-floating", "installs-past-lock"] {
            case.weigh(rule, Severity::Risk);
        }
        weigh_tools(case, |line| !upgrades_pip_only(line));
    }
    Ok(())
}

/// The tools of any version that count, by the line that installs them.
fn weigh_tools(case: &mut Case<'_>, counts: impl Fn(&str) -> bool) {
    for mark in case.marks.iter_mut().filter(|mark| mark.rule.id == "image-tool-unpinned") {
        let text = case.sources.get(&mark.place.path).map_or("", |source| source.text.as_str());
        if counts(line(text, mark.place.line)) {
            mark.severity = Severity::Risk;
        }
    }
}

/// The programs that production's own commands call.
fn called_programs<'c>(case: &Case<'c>) -> Vec<&'c str> {
    let runs = case.facts.production();
    let steps = runs.into_iter().flat_map(|run| &run.steps);
    let called = steps.filter_map(|step| {
        let mut words = step.text.split_whitespace();
        words.find(|word| !word.contains('=') && !matches!(*word, "exec" | "npx" | "sudo"))
    });
    called.map(|word| word.rsplit('/').next().unwrap_or(word)).collect()
}

/// Whether a line installs one of these programs: a tool that production calls is a part of it like its packages.
fn names_program(line: &str, called: &[&str]) -> bool {
    let mut words = line.split(|c: char| c.is_whitespace() || "&;|".contains(c));
    words.any(|word| {
        let name = word.strip_suffix("_cli").or_else(|| word.strip_suffix("-cli")).unwrap_or(word);
        let is_it = |program: &&str| {
            program.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        // Cargo finds what is called `cargo-…` by itself.
        !name.is_empty() && called.iter().any(is_it)
            || name.starts_with("cargo-") && called.contains(&"cargo")
    })
}

/// Whether a line brings only pip itself up to date.
fn upgrades_pip_only(line: &str) -> bool {
    let Some((_, rest)) = line.split_once("install ") else { return false };
    let rest = rest.split(['&', ';', '\\']).next().unwrap_or_default();
    let mut names = rest.split_whitespace().filter(|word| !word.starts_with('-'));
    names.next() == Some("pip") && names.next().is_none()
}

/// Cargo and the package managers of Node.js have one lock file each.
fn judge_locked(case: &mut Case<'_>, app: &App) -> Result<()> {
    let at = app.dependencies.first().map_or(app.line, |first| first.line.saturating_sub(1).max(1));
    if let Some(lock) = &app.lock {
        case.mark("locked", Place::line(lock.clone(), 1), lock.file_name())?;
        let place = Place::line(app.manifest.clone(), at);
        case.mark("declared", place, app.manifest.file_name())?;
        return copy_without_lock(case, app);
    }
    // A package of a workspace, or one that only configures tools, has none of its own.
    if !app.serves()
        && case.facts.apps.iter().any(|other| other.serves() && other.language == app.language)
    {
        return Ok(());
    }
    judge_unlocked(case, app, at)?;
    copy_without_lock(case, app)
}

/// A manifest without a lock: git is told to leave it out, or nobody made one.
fn judge_unlocked(case: &mut Case<'_>, app: &App, at: usize) -> Result<()> {
    let ignoring = find_ignoring(case, app);
    if ignoring.is_empty() {
        case.mark("lock-missing", Place::line(app.manifest.clone(), at), app.manifest.file_name())?;
    }
    for (path, line, name) in ignoring {
        case.mark("lock-ignored", Place::line(path, line), &name)?;
    }
    Ok(())
}

/// The first package that a manifest declares, and its lock does not have.
fn find_stale<'a>(case: &Case<'_>, app: &'a App) -> Option<&'a Dependency> {
    let lock = app.lock.as_ref().filter(|lock| is_lock_name(lock.file_name()))?;
    let is_of_manifest = matches!(
        (app.manifest.file_name(), lock.file_name()),
        ("pyproject.toml", "uv.lock" | "poetry.lock" | "pdm.lock") | ("Cargo.toml", "Cargo.lock")
    );
    let text = case.sources.get(lock).filter(|_| is_of_manifest)?.text.as_str();
    let known: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .map(|name| name.to_lowercase().replace(['_', '.'], "-"))
        .collect();
    // Of a member of a workspace, the root may say how a package is called.
    let is_sure = |found: &&Dependency| {
        let is_inherited = app.language == Language::Rust && found.wanted.is_empty();
        !is_inherited && !found.name.contains('.')
    };
    app.dependencies
        .iter()
        .filter(|_| !known.is_empty())
        .filter(is_sure)
        .find(|found| !known.contains(&found.name))
}

/// The lines of ignore files that keep the lock file out.
fn find_ignoring(case: &Case<'_>, app: &App) -> Vec<(RepoPath, usize, String)> {
    let mut found: Vec<(RepoPath, usize, String)> = Vec::new();
    let mut above: Vec<&str> = ancestors(app.folder()).collect();
    above.reverse();
    let files = above.iter().filter_map(|folder| case.sources.find(&format!("{folder}.gitignore")));
    for (path, source) in files {
        for (number, text) in numbered(&source.text) {
            if let Some(kept) = text.trim().strip_prefix('!') {
                found
                    .retain(|(file, _, name)| file != path || name != kept.trim_start_matches('/'));
                continue;
            }
            let pattern = text.trim().trim_start_matches('/').trim_start_matches("**/");
            // A path of its own is meant from here.
            let (below, pattern) = pattern.rsplit_once('/').unwrap_or(("", pattern));
            let own = app.folder().strip_prefix(folder_of(path)).unwrap_or_default();
            let is_above = own.trim_end_matches('/').starts_with(below);
            if !is_above && !is_source_folder(below) {
                continue;
            }
            let name = lock_names(app.language).iter().find(|name| {
                pattern == **name
                    || pattern
                        .strip_prefix('*')
                        .is_some_and(|end| end.len() > 4 && name.ends_with(end))
            });
            if let Some(name) = name {
                found.push((path.clone(), number, (*name).to_owned()));
            }
        }
    }
    // A list of every manager's locks is no news of the ones that nobody uses here; two may be.
    if found.len() == 2 {
        return found;
    }
    let usual = lock_names(app.language)
        .iter()
        .find(|name| found.iter().any(|ignored| ignored.2 == **name));
    found.retain(|(_, _, name)| Some(&name.as_str()) == usual);
    found
}

/// Where a manifest may have stood before, or its lock is made.
fn is_source_folder(name: &str) -> bool {
    matches!(name, "src" | "app" | "backend" | "server" | "api")
}

/// An image that is built from the manifest alone.
fn copy_without_lock(case: &mut Case<'_>, app: &App) -> Result<()> {
    let facts = case.facts;
    let manifest = app.manifest.file_name();
    for image in &facts.images {
        let is_found = |copy: &&Instruction| match &app.lock {
            Some(lock) => copies(image, copy, app) && installs_without(image, copy, lock),
            None => copy.text.split_whitespace().any(|word| word.ends_with(manifest)),
        };
        if let Some(copy) = image.named("COPY").find(is_found) {
            case.mark("image-without-lock", image.place(copy), manifest)?;
        }
    }
    Ok(())
}

/// The words of a copy that name what is copied.
fn copied(copy: &Instruction) -> Vec<&str> {
    let is_sign = |c: char| c.is_whitespace() || "[],\"".contains(c);
    let mut words: Vec<&str> = copy.text.split(is_sign).filter(|word| !word.is_empty()).collect();
    words.pop();
    if words.iter().any(|word| word.starts_with("--from=")) { Vec::new() } else { words }
}

/// Whether it is the manifest of that app that is copied, and not one of the same name.
fn copies(image: &Image, copy: &Instruction, app: &App) -> bool {
    let (manifest, is_beside) = (app.manifest.as_str(), folder_of(&image.path) == app.folder());
    copied(copy)
        .iter()
        .map(|word| word.trim_start_matches("./"))
        .any(|word| word == manifest || is_beside && word == app.manifest.file_name())
}

/// Whether what follows the copy of a manifest installs, and the lock is not there at the last.
fn installs_without(image: &Image, manifest: &Instruction, lock: &RepoPath) -> bool {
    let name = lock.file_name();
    let is_lock = |word: &str| match word.rsplit(['/', '=']).next().unwrap_or_default() {
        "." | "" => true,
        last => fits(last, name),
    };
    let stage: Vec<&Instruction> =
        image.instructions.iter().filter(|found| found.stage == manifest.stage).collect();
    let installs = |found: &&&Instruction| {
        found.name == "RUN"
            && found.line > manifest.line
            && INSTALLS.iter().any(|install| found.text.contains(install))
    };
    let Some(install) = stage.iter().rfind(installs) else { return false };
    let is_mounted = install.text.contains(&format!("={name}"));
    let mut before = stage.iter().take_while(|found| found.line < install.line);
    !is_mounted
        && !before.any(|found| {
            matches!(found.name.as_str(), "COPY" | "ADD") && copied(found).into_iter().any(is_lock)
        })
}

/// Whether a name is one that a pattern with stars means.
pub fn fits(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(left) = name.strip_prefix(start) else { return false };
    let ends = left.char_indices().map(|(at, _)| at).chain([left.len()]);
    ends.into_iter().any(|at| fits(rest, &left[at..]))
}

/// Python has lists that are complete when a tool wrote them, and locks.
fn judge_python(case: &mut Case<'_>, app: &App) -> Result<()> {
    if app.dependencies.iter().all(|found| found.is_dev) {
        return Ok(());
    }
    let beside: Vec<&App> = case
        .facts
        .apps
        .iter()
        .filter(|other| other.language == Language::Python && is_near(other, app))
        .collect();
    let lock = beside.iter().find_map(|other| other.lock.clone());
    if let Some(lock) = lock.filter(|_| !is_installed_list(case, app)) {
        case.mark("locked", Place::line(lock.clone(), 1), lock.file_name())?;
        let at = app.dependencies.first().map_or(1, |first| first.line);
        return case.mark(
            "declared",
            Place::line(app.manifest.clone(), at),
            app.manifest.file_name(),
        );
    }
    if !is_requirements(&app.manifest) {
        let lists = beside.iter().filter(|other| is_requirements(&other.manifest));
        if lists.clone().count() == 0 {
            let at = app.dependencies.first().map_or(1, |first| first.line);
            judge_unlocked(case, app, at)?;
            return copy_without_lock(case, app);
        }
        return Ok(());
    }
    judge_list(case, app, &beside)
}

/// Whether an image, a pipeline or a platform installs this list, so that a lock beside it decides nothing.
fn is_installed_list(case: &Case<'_>, app: &App) -> bool {
    if !is_requirements(&app.manifest) {
        return false;
    }
    let facts = case.facts;
    let path = app.manifest.as_str();
    // A list that another one takes in is installed with it; pip reads the one at the root of a platform.
    let is_named = |text: &str| {
        let mut words = text.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
        let is_option = |word: &str| matches!(word, "-r" | "--requirement");
        let mut before = "";
        words.any(|word| {
            let file = word.strip_prefix("-r").filter(|file| !file.is_empty()).unwrap_or(word);
            let is_it = (is_option(before) || file != word)
                && file.trim_start_matches(['.', '/']).ends_with(path);
            before = word;
            is_it
        })
    };
    let is_on_platform = || facts.runs.iter().any(|run| matches!(run.kind, Kind::Procfile));
    let root = case.sources.text("requirements.txt").unwrap_or_default();
    let is_taken_in = root.lines().any(|line| line.starts_with("-r") && is_named(line));
    is_on_platform() && (path == "requirements.txt" || is_taken_in)
        || facts.pipeline.iter().any(|step| step.text.contains("install") && is_named(&step.text))
        || facts.images.iter().any(|image| {
            image.named("RUN").any(|run| run.text.contains("install") && is_named(&run.text))
        })
}

fn is_near(other: &App, app: &App) -> bool {
    let (a, b) = (
        other.folder().trim_end_matches("requirements/"),
        app.folder().trim_end_matches("requirements/"),
    );
    a == b
}

fn judge_list(case: &mut Case<'_>, app: &App, beside: &[&App]) -> Result<()> {
    let path = &app.manifest;
    let name = path.file_name();
    // What a list is compiled from is no list.
    if name.ends_with(".in") {
        return Ok(());
    }
    let text = case.sources.get(path).map_or("", |source| source.text.as_str());
    let is_compiled = text.contains("autogenerated by pip-compile")
        || text.contains("autogenerated by uv")
        || text.contains("--hash=sha256")
        || beside.iter().any(|other| {
            other
                .manifest
                .file_name()
                .strip_suffix(".in")
                .is_some_and(|stem| name.strip_suffix(".txt") == Some(stem))
        });
    let is_loose = |found: &&Dependency| {
        let wanted = found.range();
        !wanted.trim_start().starts_with("==") && !wanted.contains('@')
    };
    let loose: Vec<&Dependency> = app.dependencies.iter().filter(is_loose).collect();
    for found in loose.iter().take(MAX_LOOSE) {
        let place = Place::line(path.clone(), found.line);
        case.mark("requirement-unpinned", place, &found.name)?;
    }
    if !loose.is_empty() {
        return Ok(());
    }
    let has = |package: &str| beside.iter().any(|other| other.find(package).is_some());
    let (present, missing): (Vec<_>, Vec<_>) = NEEDS
        .iter()
        .filter_map(|(package, needed, since)| {
            let found = app.find(package)?;
            let ((major, minor), _) = version(found.range())?;
            ((major, minor.unwrap_or(0)) >= *since).then_some((found.line, *needed))
        })
        .partition(|(_, needed)| has(needed));
    let Some((_, needed)) = missing.first().filter(|_| !is_compiled) else {
        return case.mark("pinned", Place::line(path.clone(), app.line), name);
    };
    // Of a list that has what most of its packages need, those are named that lack something.
    if present.len() > missing.len() {
        for (line, needed) in missing {
            case.mark("requirements-incomplete", Place::line(path.clone(), line), needed)?;
        }
        return Ok(());
    }
    case.mark("requirements-incomplete", Place::line(path.clone(), app.line), needed)
}

/// Imports of packages that no manifest above declares.
fn find_undeclared(case: &Case<'_>) -> Vec<(RepoPath, usize, String)> {
    let facts = case.facts;
    let mut found = Vec::new();
    if !case.has("imports-package") {
        return found;
    }
    let local = local_names(case);
    for mark in case.by("imports-package") {
        if facts.reach.of(&mark.place.path) != Reached::Served {
            continue;
        }
        let name = mark.message.as_str();
        let package = package_of(name);
        let is_brought = FRAMEWORKS
            .iter()
            .any(|(framework, brought)| *brought == package && facts.declares(&[framework]));
        let is_local = is_brought
            || name.starts_with(['.', '/', '#', '~', '$'])
            || name.starts_with("@/")
            || name.contains(':')
            || name.contains("${")
            || NODE_MODULES.contains(&package)
            || local.contains(package.split('/').next().unwrap_or_default())
            || local.contains(name);
        if is_local {
            continue;
        }
        let above: Vec<&App> = facts
            .apps
            .iter()
            .filter(|app| {
                app.language == Language::JavaScript
                    && mark.place.path.as_str().starts_with(app.folder())
            })
            .collect();
        let is_known = |name: &str| above.iter().any(|app| app.find(name).is_some());
        let normal = package.to_lowercase().replace('_', "-");
        let is_typed =
            is_known(&format!("@types/{}", normal.trim_start_matches('@').replace('/', "--")));
        let is_named = case
            .facts
            .documents(|path| path.file_name() == "package.json")
            .any(|(_, node)| node.text_at(&["name"]) == Some(package));
        if !above.is_empty() && !is_known(&normal) && !is_typed && !is_named {
            found.push((mark.place.path.clone(), mark.place.line, package.to_owned()));
        }
    }
    found
}

/// Modules that a file of Python needs when it is imported, and that no manifest declares and no lock has.
fn find_undeclared_modules(case: &Case<'_>) -> Vec<(RepoPath, usize, String)> {
    let facts = case.facts;
    let mut found = Vec::new();
    let python = || facts.apps.iter().filter(|app| app.language == Language::Python);
    // A manifest that names nothing, or a setup.py, may leave it to what is not read.
    let is_complete = python().any(|app| !app.dependencies.is_empty())
        && python().all(|app| app.manifest.file_name() != "setup.py");
    if !is_complete {
        return Vec::new();
    }
    let locks: Vec<&str> = case
        .sources
        .iter()
        .filter(|(path, _)| is_lock_name(path.file_name()))
        .map(|(_, source)| source.text.as_str())
        .collect();
    let is_known = |packages: &[&str]| {
        packages.iter().any(|package| {
            let named = format!("\"{package}\"");
            python().any(|app| app.find(package).is_some())
                || locks.iter().any(|text| text.contains(&named))
        })
    };
    let missing: Vec<(&str, &str)> = MODULES
        .iter()
        .filter(|(_, packages)| !is_known(packages))
        .filter_map(|(module, packages)| Some((*module, *packages.first()?)))
        .collect();
    let code: Vec<_> = case.sources.code().collect();
    let python = code.into_par_iter().filter(|(path, source, grammar)| {
        grammar.language() == Language::Python
            && source.text.contains("import ")
            && facts.reach.of(path) == Reached::Served
    });
    found.par_extend(python.flat_map_iter(|(path, source, _)| {
        // What is indented may be tried only.
        numbered(&source.text).filter_map(|(number, line)| {
            let rest = line.strip_prefix("import ").or_else(|| line.strip_prefix("from "))?;
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let module = &rest[..end.unwrap_or(rest.len())];
            let (_, package) = missing.iter().find(|(name, _)| *name == module)?;
            Some((path.clone(), number, *package, module))
        })
    }));
    if found.is_empty() {
        return Vec::new();
    }
    let local = local_names(case);
    let undeclared = found.into_iter().filter(|(.., module)| !local.contains(*module));
    undeclared.map(|(path, line, package, _)| (path, line, package.to_owned())).collect()
}

/// The engines of settings for which nothing declares a driver, by whatever name.
fn undriven(case: &Case<'_>) -> Vec<(Place, &'static str)> {
    const DRIVERS: [(&str, &str, &[&str]); 2] = [
        ("postgres", "PostgreSQL", &["psycopg", "asyncpg", "pg8000", "aiopg", "postgres", "\"pg"]),
        ("mysql", "MySQL", &["mysql", "mariadb", "asyncmy"]),
    ];
    let facts = case.facts;
    if !case.has("server-engine") || facts.apps.iter().any(|app| app.dependencies.is_empty()) {
        return Vec::new();
    }
    let installs = |path: &RepoPath| {
        let name = path.file_name();
        is_requirements(path)
            || is_lock_name(name)
            || super::sources::is_image_name(name)
            || matches!(name, "setup.py" | "setup.cfg" | "environment.yml" | "environment.yaml")
            || facts.apps.iter().any(|app| app.manifest == *path)
    };
    let texts: Vec<&str> = case
        .sources
        .iter()
        .filter(|(path, _)| installs(path))
        .map(|(_, source)| source.text.as_str())
        .collect();
    let found = case.by("server-engine").filter_map(|mark| {
        let source = case.sources.get(&mark.place.path)?;
        let said = line(&source.text, mark.place.line);
        let (_, engine, names) = DRIVERS.iter().find(|(word, ..)| {
            said.contains(word)
                || *word == "postgres" && (said.contains("'pg'") || said.contains("\"pg\""))
        })?;
        let is_declared = names.iter().any(|name| texts.iter().any(|text| text.contains(name)));
        let is_served = facts.reach.of(&mark.place.path) == Reached::Served
            || folder_of(&mark.place.path).ends_with("settings/");
        (!is_declared && is_served).then(|| (mark.place.clone(), *engine))
    });
    found.collect()
}

/// `@scope/name` of `@scope/name/file`, `name` of `name/file`.
fn package_of(import: &str) -> &str {
    let parts = if import.starts_with('@') { 2 } else { 1 };
    let end = import.match_indices('/').nth(parts - 1).map_or(import.len(), |(at, _)| at);
    &import[..end]
}

/// What an import may mean beside a package: a folder or a file of the repository, an alias of the compiler.
fn local_names<'c>(case: &'c Case<'_>) -> HashSet<&'c str> {
    let mut names = HashSet::new();
    for path in case.sources.paths() {
        for part in path.as_str().split('/') {
            names.insert(part.split('.').next().unwrap_or_default());
            names.insert(part);
        }
    }
    for (_, node) in case.facts.documents(|path| path.file_name().starts_with("tsconfig")) {
        for entry in node
            .at(&["compilerOptions", "paths"])
            .map(super::document::Node::entries)
            .unwrap_or_default()
        {
            names.insert(entry.key.split('/').next().unwrap_or_default());
        }
    }
    // A name that a manifest declares is a package, whatever folder is called so too.
    names
}

pub fn otherwise(case: &Case<'_>) -> Judgement {
    if case.facts.apps.is_empty() {
        unknown("no manifest and no source that is run")
    } else {
        unknown("the manifests declare no dependency")
    }
}
