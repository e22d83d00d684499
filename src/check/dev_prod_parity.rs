//! Dev/prod parity: the same backing services, of the same version, everywhere.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, Judgement};
use super::facts::Backing;
use super::facts::run::Stage;
use super::finding::{Place, Severity};
use super::unknown;
use crate::error::Result;

/// Packages that talk to a database that is a server.
const SERVER_DRIVERS: [&str; 12] = [
    "psycopg2",
    "psycopg2-binary",
    "psycopg",
    "asyncpg",
    "mysqlclient",
    "pymysql",
    "pg",
    "mysql",
    "mysql2",
    "aiomysql",
    "dj-database-url",
    "tedious",
];

pub fn prepare(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    let mut engines: BTreeMap<&str, Vec<&Backing>> = BTreeMap::new();
    for backing in &facts.backing {
        engines.entry(&backing.engine).or_default().push(backing);
    }
    for (engine, uses) in &engines {
        let versions: BTreeSet<String> = uses.iter().map(|backing| major(backing)).collect();
        if versions.len() > 1 {
            for backing in uses {
                case.mark("service-versions-differ", backing.place.clone(), engine)?;
            }
        } else if uses.len() > 1 {
            for backing in uses {
                case.mark("service-versions-agree", backing.place.clone(), engine)?;
            }
        } else if let [backing] = uses.as_slice() {
            if versions.contains("latest") {
                case.mark("service-version-open", backing.place.clone(), engine)?;
            } else {
                case.mark("service-version-named", backing.place.clone(), engine)?;
            }
        }
    }
    judge_runtimes(case)?;
    judge_engines(case)?;
    judge_stand_ins(case)?;
    judge_images(case)
}

/// Tests on an engine in memory, where the service has another.
fn judge_stand_ins(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    let is_sqlite = |keys: &[&str], value: &str| {
        keys.last().is_some_and(|key| key.ends_with("DATABASE_URL"))
            && keys.iter().rev().nth(1) == Some(&"env")
            && value.starts_with("sqlite")
    };
    let mut tested: Vec<Place> = Vec::new();
    for (path, node) in facts.documents(super::facts::workflow::is_workflow) {
        let leaves = node.leaves().into_iter().filter(|(keys, _, value)| is_sqlite(keys, value));
        tested.extend(leaves.map(|(_, line, _)| Place::line(path.clone(), line)));
    }
    let lines = facts.pipeline.iter().filter(|step| step.text.contains("DATABASE_URL=sqlite"));
    tested.extend(lines.map(|step| step.place.clone()));
    let is_server = |backing: &Backing| !matches!(backing.engine.as_str(), "redis" | "memcached");
    let has_server = facts.declares(&SERVER_DRIVERS) || facts.backing.iter().any(is_server);
    for place in tested.into_iter().filter(|_| has_server) {
        case.mark("test-engine", place, "SQLite")?;
    }
    let stand_ins = [
        ("mongodb-memory-server", &["mongoose", "mongodb"][..]),
        ("sqlite3", &["pg", "mysql", "mysql2"]),
        ("better-sqlite3", &["pg", "mysql", "mysql2"]),
        ("pg-mem", &["pg"]),
        ("ioredis-mock", &["ioredis"]),
    ];
    for app in &facts.apps {
        for (name, real) in stand_ins {
            let found = app.find(name).filter(|found| found.is_dev);
            if let Some(found) = found
                && real.iter().any(|package| app.declares(package))
            {
                case.mark("test-engine", Place::line(app.manifest.clone(), found.line), name)?;
            }
        }
    }
    Ok(())
}

/// The first number of a version; `latest` where there is none.
fn major(backing: &Backing) -> String {
    let version = backing.version.as_deref().unwrap_or("latest");
    let number: String = version
        .trim_start_matches(|c: char| !c.is_ascii_digit())
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    // `PostgreSQL` before 10, and most others, break between their first numbers.
    if number.is_empty() { "latest".to_owned() } else { number }
}

fn judge_runtimes(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    for name in ["python", "node", "rust"] {
        let uses: Vec<_> = facts.runtimes.iter().filter(|runtime| runtime.name == name).collect();
        let exact: Vec<_> = uses.iter().filter(|runtime| !runtime.is_minimum).collect();
        let differs = exact.iter().enumerate().any(|(at, a)| {
            exact.iter().skip(at + 1).any(|b| {
                let (x, y) = (a.version, b.version);
                // Node.js is named by its first number, Python and Rust by two.
                x.0 != y.0 || name != "node" && x.1.is_some() && y.1.is_some() && x.1 != y.1
            })
        });
        for runtime in exact {
            if differs {
                case.mark("runtime-versions-differ", runtime.place.clone(), name)?;
            } else {
                case.mark("runtime-version-named", runtime.place.clone(), name)?;
            }
        }
    }
    Ok(())
}

/// `SQLite` beside another engine: what passes on one fails on the other.
fn judge_engines(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    let other = facts.declares(&SERVER_DRIVERS) || !facts.backing.is_empty();
    let is_replaced = super::backing_services::has_variable(case);
    let mut found = super::backing_services::sqlite_places(case);
    found.extend(case.by("sqlite-conditional").map(|mark| mark.place.clone()));
    for place in found.into_iter().filter(|_| other && is_replaced) {
        case.mark("engines-differ", place, "")?;
    }
    if case.has("engines-differ") {
        let handles: Vec<Place> =
            case.by("url-replaces-engine").map(|mark| mark.place.clone()).collect();
        for place in handles {
            case.mark("engines-differ", place, "")?;
        }
        for backing in facts.backing.iter().filter(|backing| backing.engine != "redis") {
            case.mark("engines-differ", backing.place.clone(), "")?;
        }
    }
    Ok(())
}

/// One Dockerfile to try, another to ship.
fn judge_images(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    let mut folders: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    let is_own = |image: &&super::facts::image::Image| {
        let name = image.path.file_name().to_lowercase();
        !name
            .split(['.', '-', '_'])
            .any(|word| ["e2e", "test", "ci", "maildev", "nginx", "db"].contains(&word))
    };
    for image in facts.images.iter().filter(is_own) {
        folders.entry(super::sources::folder_of(&image.path)).or_default().push(image);
    }
    for images in folders.values().filter(|images| images.len() > 1) {
        let is_local = |image: &&&super::facts::image::Image| {
            let name = image.path.file_name().to_lowercase();
            name.split(['.', '-', '_']).any(|word| ["local", "dev", "development"].contains(&word))
        };
        if !images.iter().any(|image| is_local(&image)) {
            continue;
        }
        for image in images {
            let from = image.named("FROM").next();
            let place =
                from.map_or_else(|| Place::line(image.path.clone(), 1), |found| image.place(found));
            case.mark("images-differ", place, "")?;
        }
    }
    let reloads =
        facts.runs.iter().any(|run| run.stage == Stage::Production && run.mounts_source.is_some());
    if reloads {
        case.weigh("images-differ", Severity::Risk);
    }
    Ok(())
}

pub fn otherwise(_: &Case<'_>) -> Judgement {
    unknown("there is only one definition, and nothing to compare it with")
}
