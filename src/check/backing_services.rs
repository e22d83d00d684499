//! Backing services: is each attached by a handle in the configuration?

use std::collections::BTreeSet;

use super::case::{Case, Judgement};
use super::facts::setting::{Origin, is_config_file};
use super::finding::{Mark, Place, Severity, Verdict};
use super::unknown;
use crate::error::Result;
use crate::factor::Factor;
use crate::tree::RepoPath;

/// What stands on the line of a value that is taken where a variable says nothing.
const IS_DEFAULT: [&str; 10] = [
    "environ",
    "getenv",
    "process.env.",
    "env::var",
    "env(",
    "config(",
    "unwrap_or",
    "field(",
    "||",
    "??",
];

/// Packages that talk to a backing service.
pub const CLIENTS: [&str; 74] = [
    "mongoose",
    "mongodb",
    "pg",
    "pg-promise",
    "mysql",
    "mysql2",
    "sequelize",
    "typeorm",
    "@nestjs/typeorm",
    "knex",
    "@prisma/client",
    "prisma",
    "drizzle-orm",
    "redis",
    "ioredis",
    "amqplib",
    "kafkajs",
    "bull",
    "bullmq",
    "mikro-orm",
    "@mikro-orm/core",
    "@nestjs/mongoose",
    "@fastify/mysql",
    "@fastify/postgres",
    "@fastify/redis",
    "@fastify/mongodb",
    "nodemailer",
    "better-sqlite3",
    "sqlite3",
    "tedious",
    "objection",
    "postgres",
    "memcached",
    "@elastic/elasticsearch",
    "django",
    "psycopg2",
    "psycopg2-binary",
    "psycopg",
    "asyncpg",
    "mysqlclient",
    "pymysql",
    "sqlalchemy",
    "sqlmodel",
    "flask-sqlalchemy",
    "pymongo",
    "motor",
    "mongoengine",
    "flask-pymongo",
    "celery",
    "rq",
    "databases",
    "tortoise-orm",
    "peewee",
    "aiomysql",
    "elasticsearch",
    "boto3",
    "aiosqlite",
    "beanie",
    "flask-mail",
    "sqlx",
    "diesel",
    "diesel-async",
    "tokio-postgres",
    "sea-orm",
    "rusqlite",
    "deadpool-postgres",
    "lapin",
    "rdkafka",
    "lettre",
    "rocket-sync-db-pools",
    "rocket-db-pools",
    "r2d2",
    "bb8",
    "mobc",
];

pub fn prepare(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    // Prisma says it in its own file.
    for (path, source) in
        case.sources.iter().filter(|(path, _)| path.file_name().ends_with(".prisma"))
    {
        for (number, line) in super::lines::numbered(&source.text) {
            let text = line.trim();
            let literal = text
                .strip_prefix("url")
                .and_then(|rest| rest.trim_start().strip_prefix('=')?.trim().strip_prefix('"'))
                .filter(|url| url.contains("://"));
            if let Some(url) = literal {
                let place = Place::line(path.clone(), number);
                let mut mark = Mark::new(case.rules.get("handle-literal")?, place);
                mark.secrets.push(url.trim_end_matches('"').to_owned());
                case.marks.push(mark);
            } else if text.starts_with("url") && text.contains("env(") {
                case.mark("handle-in-prisma", Place::line(path.clone(), number), "")?;
            } else if text.starts_with("provider") && text.contains("sqlite") {
                case.mark("sqlite-engine", Place::line(path.clone(), number), "")?;
            }
        }
    }
    // node-config answers from its file, as long as nothing maps a variable on it.
    let is_default = |path: &RepoPath| {
        path.file_name().split('.').next() == Some("default") && is_config_file(path)
    };
    if facts.declares(&["config"])
        && !case.has("file-overridden-by-environment")
        && case.sources.paths().any(is_default)
    {
        let from_file: Vec<Place> = case
            .by("handle-from-environment")
            .filter(|mark| text_of(case, &mark.place).contains("config.get("))
            .map(|mark| mark.place.clone())
            .collect();
        case.drop_marks(|mark| {
            mark.rule.id == "handle-from-environment" && from_file.contains(&mark.place)
        });
        for place in from_file {
            case.mark("handle-from-file", place, "")?;
        }
    }
    // A handle in a tracked file, with no variable that replaces it.
    let replaces = case.has("file-overridden-by-environment")
        || case.has("handle-from-environment")
        || facts.settings.iter().any(|setting| setting.name.ends_with("use_env_variable"));
    for setting in facts.settings.iter().filter(|setting| setting.origin == Origin::File) {
        let lower = setting.name.to_lowercase();
        let is_host =
            ["database", "db", "mongo", "redis", "mysql", "postgres", "smtp", "mail", "sqlalchemy"]
                .iter()
                .any(|word| lower.contains(word))
                && ["host", "url", "uri", "server"].iter().any(|word| lower.ends_with(word));
        if (is_host || is_host_of_driver(case, setting))
            && !replaces
            && !setting.value.contains("${")
        {
            case.mark("config-file-handle", setting.place.clone(), &setting.name)?;
            if case.has("config-file-imported") {
                for place in uses_of_file(case) {
                    case.mark("handle-from-file", place, "")?;
                }
            }
        }
    }
    drop_defaults(case);
    judge_modules(case)?;
    let by_default = super::config::default_settings(case);
    let has_variable = has_variable(case);
    for place in sqlite_places(case) {
        if !has_variable {
            case.mark("sqlite-file", place, "")?;
        } else if by_default.contains(&place.path) {
            case.mark("sqlite-by-settings", place, "")?;
        }
    }
    Ok(())
}

/// `new Sequelize(config.DB, …)` beside `require('./db.config')`: the connection of a module of literals.
fn judge_modules(case: &mut Case<'_>) -> Result<()> {
    let modules: BTreeSet<&RepoPath> =
        case.by("handle-literal").filter_map(|mark| is_module(case, mark)).collect();
    if modules.is_empty() {
        return Ok(());
    }
    let stems: Vec<&str> = modules.iter().map(|path| stem_of(path.file_name())).collect();
    let found: Vec<Place> = case
        .by("connects")
        .filter(|mark| !modules.contains(&mark.place.path))
        .filter(|mark| {
            let text = case.sources.get(&mark.place.path).map_or("", |source| source.text.as_str());
            text.lines().any(|line| imports_of(line, &stems))
        })
        .map(|mark| Place::line(mark.place.path.clone(), mark.place.line))
        .collect();
    for place in found {
        case.mark("handle-from-file", place, "")?;
    }
    Ok(())
}

/// Whether a line imports a module of the service's own that is called so.
fn imports_of(line: &str, stems: &[&str]) -> bool {
    (line.contains("require(") || line.contains("from "))
        && line.split(['"', '\'', '`']).any(|name| {
            let last = name.rsplit('/').next().unwrap_or_default();
            name.starts_with('.') && stems.contains(&stem_of(last))
        })
}

/// A file that holds a handle and connects to nothing itself.
fn is_module<'a>(case: &'a Case<'_>, mark: &'a Mark<'_>) -> Option<&'a RepoPath> {
    let path = &mark.place.path;
    let is_script = [".js", ".ts", ".mjs", ".cjs"].iter().any(|end| path.as_str().ends_with(end));
    let connects = case.by("connects").any(|mark| mark.place.path == *path);
    (is_script && !connects && mark.severity == Severity::Violation).then_some(path)
}

/// `db.config` of `db.config.js`, and of `db.config`.
fn stem_of(name: &str) -> &str {
    [".js", ".ts", ".mjs", ".cjs"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// A literal that a variable replaces is a default for development. One of another kind of service is none: a
/// database's URL says nothing of where Redis is.
fn drop_defaults(case: &mut Case<'_>) {
    let variables = variables(case);
    let has_database = has_variable(case);
    let reads =
        |words: &[&str]| variables.iter().any(|text| words.iter().any(|word| text.contains(word)));
    let is_replaced = |mark: &Mark<'_>| {
        let handle =
            mark.secrets.first().map_or("", String::as_str).trim_start_matches(['"', '\'']);
        let beside = text_of(case, &mark.place);
        let is_read =
            if handle.starts_with("redis") || handle.is_empty() && beside.contains("redis") {
                reads(&["redis", "cache", "broker", "celery", "queue"])
            } else if handle.starts_with("amqp") {
                reads(&["amqp", "rabbit", "broker", "celery"])
            } else {
                has_database
            };
        // `'…://user:' + process.env.PASSWORD + '@host'` has the host all the same.
        let is_whole = !beside.contains("+ process.env") && !beside.contains("+ os.environ");
        is_read || is_whole && IS_DEFAULT.iter().any(|word| beside.contains(word))
    };
    let replaced: Vec<Place> = case
        .by("handle-literal")
        .filter(|mark| is_replaced(mark))
        .map(|mark| mark.place.clone())
        .collect();
    case.drop_marks(|mark| mark.rule.id == "handle-literal" && replaced.contains(&mark.place));
    // The database's is read: it holds in part.
    if has_database {
        case.weigh("handle-literal", Severity::Risk);
    }
}

/// The lines that read a handle, in lower case.
fn variables(case: &Case<'_>) -> Vec<String> {
    case.by("handle-from-environment").map(|mark| text_of(case, &mark.place)).collect()
}

/// The lines of a place, in lower case.
fn text_of(case: &Case<'_>, place: &Place) -> String {
    let text = case.sources.get(&place.path).map_or("", |source| source.text.as_str());
    let count = place.end_line + 1 - place.line;
    let lines = text.lines().skip(place.line.saturating_sub(1)).take(count);
    lines.collect::<Vec<_>>().join(" ").to_lowercase()
}

/// `host` beside `dialect`: the settings of one connection, whatever the group is called.
fn is_host_of_driver(case: &Case<'_>, setting: &super::facts::setting::Setting) -> bool {
    let Some(group) = setting.name.strip_suffix("host") else { return false };
    let is_beside = |other: &super::facts::setting::Setting| {
        other.place.path == setting.place.path
            && other.name.strip_prefix(group).is_some_and(|name| {
                matches!(name, "dialect" | "engine" | "client" | "driver" | "database")
            })
    };
    case.facts.settings.iter().any(is_beside)
}

/// Where the code says where a backing service is, and no variable does.
pub fn handles(case: &Case<'_>) -> Vec<Place> {
    let literals = ["handle-literal", "service-literal"];
    literals.iter().flat_map(|id| case.by(id)).map(|mark| mark.place.clone()).collect()
}

/// Whether a variable says where the database is: where mail is sent, or what Redis is asked, says nothing of that.
pub fn has_variable(case: &Case<'_>) -> bool {
    let names =
        ["database", "db", "mongo", "postgres", "pg", "mysql", "maria", "sql", "dsn", "typeorm"];
    case.has("handle-in-prisma")
        || variables(case).iter().any(|text| names.iter().any(|name| text.contains(name)))
}

/// Where `SQLite` is taken, whatever a switch says.
pub fn sqlite_places(case: &Case<'_>) -> Vec<Place> {
    let conditional: Vec<&Place> = case.by("sqlite-conditional").map(|mark| &mark.place).collect();
    let is_conditional = |place: &Place| {
        conditional.iter().any(|known| {
            known.path == place.path && known.line <= place.line && place.line <= known.end_line
        })
    };
    ["sqlite-engine", "sqlite-engine-in-script", "sqlite-engine-in-rust", "sqlite-uri"]
        .iter()
        .flat_map(|id| case.by(id))
        .map(|mark| mark.place.clone())
        .filter(|place| !is_conditional(place))
        .collect()
}

/// Where the code takes the handle out of the file.
fn uses_of_file(case: &Case<'_>) -> Vec<Place> {
    let mut found = Vec::new();
    for mark in case.by("config-file-imported") {
        let Some(source) = case.sources.get(&mark.place.path) else { continue };
        for (number, line) in super::lines::numbered(&source.text) {
            let lower = line.to_lowercase();
            if [
                "config.database",
                "config.db",
                "config.mongo",
                "config.redis",
                "config.mysql",
                "config.postgres",
            ]
            .iter()
            .any(|word| lower.contains(word))
            {
                found.push(Place::line(mark.place.path.clone(), number));
            }
        }
    }
    found
}

pub fn otherwise(case: &Case<'_>) -> Judgement {
    let names = case.facts.declares(&CLIENTS) || !case.facts.backing.is_empty();
    if !names {
        return unknown("it has no backing service");
    }
    if case.speaks_for(Factor::Config) {
        return Judgement::new(Verdict::Met, "no handle stands in the code");
    }
    unknown("where its handles come from is not to be seen")
}
