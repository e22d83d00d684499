//! Dev/prod parity: the same backing services, of the same version, everywhere.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, Judgement};
use super::facts::Backing;
use super::facts::image::Image;
use super::facts::run::Stage;
use super::facts::setting::{Origin, Setting};
use super::finding::{Place, Severity};
use super::lines::numbered;
use super::sources::folders as folders_of;
use super::unknown;
use crate::error::Result;
use crate::tree::RepoPath;

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
    let mut engines: BTreeMap<&str, Vec<(&Backing, String)>> = BTreeMap::new();
    for backing in &facts.backing {
        if let Some(version) = major(backing) {
            engines.entry(&backing.engine).or_default().push((backing, version));
        }
    }
    for (engine, uses) in &engines {
        let versions: BTreeSet<&str> = uses.iter().map(|(_, version)| version.as_str()).collect();
        let rule = if versions.len() > 1 {
            "service-versions-differ"
        } else if versions.contains("latest") {
            // The same word everywhere names no version anywhere.
            "service-version-open"
        } else if uses.len() > 1 {
            "service-versions-agree"
        } else {
            "service-version-named"
        };
        // What a pipeline's machine has by itself is no more than that.
        if rule == "service-version-open" && uses.iter().all(|(it, _)| is_of_travis(it)) {
            continue;
        }
        // Beside one version, the place that names none is the one to mend.
        let named = uses.iter().filter(|(_, version)| version != "latest");
        let tags: BTreeSet<&Option<String>> = named.map(|(it, _)| &it.version).collect();
        let is_one_named = versions.len() == 2 && versions.contains("latest") && tags.len() == 1;
        for (backing, version) in uses {
            if rule == "service-version-open" && is_of_travis(backing) {
                continue;
            }
            if !is_one_named || version == "latest" {
                case.mark(rule, backing.place.clone(), engine)?;
            }
        }
    }
    judge_runtimes(case)?;
    judge_engines(case)?;
    judge_stand_ins(case)?;
    judge_images(case)
}

fn is_of_travis(backing: &Backing) -> bool {
    backing.place.path.as_str() == ".travis.yml"
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

/// The first number of a version; `latest` where there is none, nothing where a variable names it.
fn major(backing: &Backing) -> Option<String> {
    let version = backing.version.as_deref().unwrap_or("latest");
    let number: String = version
        .trim_start_matches(|c: char| !c.is_ascii_digit())
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    // `PostgreSQL` before 10, and most others, break between their first numbers.
    match number.as_str() {
        "" if version.contains('$') => None,
        "" => Some("latest".to_owned()),
        _ => Some(number),
    }
}

fn judge_runtimes(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    for name in ["python", "node", "rust"] {
        let uses: Vec<_> = facts.runtimes.iter().filter(|runtime| runtime.name == name).collect();
        let (exact, tried): (Vec<_>, Vec<_>) = uses
            .into_iter()
            .filter(|runtime| !runtime.is_minimum)
            .partition(|runtime| runtime.others.is_empty());
        let open = open_images(case, name);
        // Node.js is named by its first number, Python and Rust by two.
        let is_other = |x: (u32, Option<u32>), y: (u32, Option<u32>)| {
            x.0 != y.0 || name != "node" && x.1.is_some() && y.1.is_some() && x.1 != y.1
        };
        // Several are tried for the sake of others; that of the service has to be among them.
        let untried = tried.into_iter().filter(|list| {
            exact.iter().any(|one| list.others.iter().all(|other| is_other(*other, one.version)))
        });
        let untried: BTreeSet<Place> = untried.map(|list| list.place.clone()).collect();
        let differs = exact
            .iter()
            .enumerate()
            .any(|(at, a)| exact.iter().skip(at + 1).any(|b| is_other(a.version, b.version)))
            || !exact.is_empty() && !open.is_empty()
            || !untried.is_empty();
        for place in untried {
            case.mark("runtime-versions-differ", place, name)?;
        }
        for runtime in exact {
            if differs {
                case.mark("runtime-versions-differ", runtime.place.clone(), name)?;
            } else {
                case.mark("runtime-version-named", runtime.place.clone(), name)?;
            }
        }
        for place in open.into_iter().filter(|_| differs) {
            case.mark("runtime-versions-differ", place, name)?;
        }
    }
    Ok(())
}

/// The images that take a runtime in whatever version there is.
fn open_images(case: &Case<'_>, name: &str) -> Vec<Place> {
    let images = case.facts.images.iter().filter(|image| !image.is_of_editor());
    let places = images.flat_map(|image| {
        let open = image.bases().filter(|(_, base)| {
            let base = image.resolve(base);
            let (image, tag) = base.rsplit_once(':').unwrap_or((&base, ""));
            image.rsplit('/').next() == Some(name)
                && !base.contains(['$', '@'])
                && super::facts::manifest::version(tag).is_none()
        });
        open.map(|(from, _)| image.place(from)).collect::<Vec<_>>()
    });
    places.collect()
}

/// `SQLite` beside another engine: what passes on one fails on the other.
fn judge_engines(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    for place in dialects(case) {
        case.mark("engines-differ", place, "")?;
    }
    // Where the code itself chooses between two modules, that says it all.
    let modules: Vec<Place> = case.by("engine-by-switch").map(|it| it.place.clone()).collect();
    let is_chosen = !modules.is_empty();
    for place in modules {
        case.mark("engines-differ", place, "")?;
    }
    if is_chosen {
        return Ok(());
    }
    let is_database = |backing: &Backing| {
        matches!(
            backing.engine.as_str(),
            "postgres" | "mysql" | "mariadb" | "mssql" | "cockroachdb"
        )
    };
    let is_driven = facts.declares(&SERVER_DRIVERS);
    let other = is_driven || !facts.backing.is_empty() || case.has("server-engine");
    let is_replaced = super::backing_services::has_variable(case)
        || case.has("server-engine")
        // What compose starts beside it, and the driver for that, are there for the sake of production.
        || is_driven && facts.backing.iter().any(is_database);
    let by_default: Vec<Place> = case.by("sqlite-by-default").map(|it| it.place.clone()).collect();
    for place in by_default.into_iter().filter(|_| other) {
        case.mark_as("engines-differ", Severity::Risk, place, "")?;
    }
    if !other || !is_replaced {
        return Ok(());
    }
    let mut found = super::backing_services::sqlite_places(case);
    found.extend(case.by("sqlite-conditional").map(|mark| mark.place.clone()));
    found.retain(|place| !is_offered(case, place));
    if found.iter().any(|place| !is_of_test(case, place)) {
        found.retain(|place| !is_of_test(case, place));
    }
    let switches: Vec<Place> = found.iter().filter_map(|place| switch_above(case, place)).collect();
    // A file that is opened by hand is another store than that of the models.
    let is_by_hand = |place: &Place| {
        lines_above(case, place).first().is_some_and(|line| line.contains("sqlite3.connect("))
    };
    if found.iter().any(|place| !is_by_hand(place)) {
        found.retain(|place| !is_by_hand(place));
    }
    let is_found = !found.is_empty();
    if !is_found && is_driven {
        for place in offered_urls(case) {
            case.mark_as("engines-differ", Severity::Risk, place, "")?;
        }
    }
    let found = found.into_iter().map(|place| narrow(case, place, &["sqlite"]));
    for place in found.chain(switches).collect::<Vec<_>>() {
        case.mark("engines-differ", place, "")?;
    }
    if !is_found {
        return Ok(());
    }
    let urls = ["dj_database_url.", "env.db", "env.dj_db_url"];
    let mut others: Vec<Place> = case
        .by("url-replaces-engine")
        .map(|mark| narrow(case, mark.place.clone(), &urls))
        .collect();
    others.extend(case.by("server-engine").map(|mark| mark.place.clone()));
    others.extend(server_urls(case));
    let databases = || facts.backing.iter().filter(|backing| is_database(backing));
    let is_tried = |backing: &&Backing| super::facts::workflow::is_workflow(&backing.place.path);
    // What pipelines test on says less than what is started.
    let is_started = databases().any(|backing| !is_tried(&backing));
    let told = databases().filter(|backing| !(is_started && is_tried(backing)));
    others.extend(told.map(|backing| backing.place.clone()));
    if others.is_empty() {
        others = driver_places(case);
    }
    for place in others {
        case.mark("engines-differ", place, "")?;
    }
    Ok(())
}

/// The lines above a place, from the nearest, and its own.
fn lines_above<'c>(case: &'c Case<'_>, place: &Place) -> Vec<&'c str> {
    let text = case.sources.get(&place.path).map_or("", |source| source.text.as_str());
    let mut lines: Vec<&str> = text.lines().take(place.line).collect();
    lines.reverse();
    lines
}

/// Whether `SQLite` is one of the engines that the file has a setting for, each under its name.
fn is_offered(case: &Case<'_>, place: &Place) -> bool {
    let lines = lines_above(case, place);
    let name = lines.first().and_then(|line| line.split(['=', ':']).next()).unwrap_or_default();
    let text = case.sources.get(&place.path).map_or("", |source| source.text.as_str());
    name.to_lowercase().contains("sqlite")
        && ["POSTGRES_", "MYSQL_", "PG_"].iter().any(|other| text.contains(other))
}

/// Whether it is what a class for tests has.
fn is_of_test(case: &Case<'_>, place: &Place) -> bool {
    let lines = lines_above(case, place);
    let depth = |line: &str| line.len() - line.trim_start().len();
    let Some(own) = lines.first().map(|line| depth(line)).filter(|own| *own > 0) else {
        return false;
    };
    let head =
        lines.iter().find(|line| depth(line) < own && line.trim_start().starts_with("class "));
    head.is_some_and(|line| line.to_lowercase().contains("test"))
}

/// The lines on which a variable of the database has a server's address for its default.
fn server_urls(case: &Case<'_>) -> Vec<Place> {
    const SCHEMES: [&str; 4] = ["postgres://", "postgresql", "mysql://", "mysql+"];
    let read = case.by("handle-from-environment").filter_map(|mark| {
        let place = &mark.place;
        let text = case.sources.get(&place.path)?.text.as_str();
        let mut lines = numbered(text).filter(|(at, _)| (place.line..=place.end_line).contains(at));
        let (at, _) = lines.find(|(_, line)| SCHEMES.iter().any(|scheme| line.contains(scheme)))?;
        Some(Place::line(place.path.clone(), at))
    });
    read.collect()
}

/// The lines of an example of `.env` that give people a `SQLite` file to develop with.
fn offered_urls(case: &Case<'_>) -> Vec<Place> {
    let is_such = |setting: &&Setting| {
        matches!(setting.origin, Origin::Example | Origin::Env)
            && setting.name.ends_with("DATABASE_URL")
            && setting.value.trim_matches(['"', '\'']).starts_with("sqlite")
    };
    let found = case.facts.settings.iter().filter(is_such);
    found.map(|setting| setting.place.clone()).collect()
}

/// Files of configuration in which one environment has `SQLite` and another something else.
fn dialects(case: &Case<'_>) -> Vec<Place> {
    let is_dialect = |name: &str| {
        let mut keys = name.rsplit('.');
        let is_such = matches!(keys.next(), Some("dialect" | "client" | "driver"));
        let environment = keys.next_back().unwrap_or_default();
        is_such && ["development", "dev", "production", "prod", "staging"].contains(&environment)
    };
    let files = case.facts.settings.iter().filter(|it| it.origin == Origin::File);
    let mut engines: BTreeMap<&RepoPath, Vec<&Setting>> = BTreeMap::new();
    for setting in files.filter(|setting| is_dialect(&setting.name)) {
        engines.entry(&setting.place.path).or_default().push(setting);
    }
    let differ = |uses: &&Vec<&Setting>| {
        let count = uses.iter().filter(|setting| setting.value.contains("sqlite")).count();
        count > 0 && count < uses.len()
    };
    let differing = engines.values().filter(differ).flatten();
    let mut places: Vec<Place> = differing.map(|setting| setting.place.clone()).collect();
    places.extend(default_dialects(case));
    places
}

/// Files of configuration with `SQLite` for everybody, in an app that has the driver of a server as well.
fn default_dialects(case: &Case<'_>) -> Vec<Place> {
    let is_dialect = |setting: &&Setting| {
        let name = setting.name.rsplit('.').next().unwrap_or_default();
        let is_such = matches!(name, "dialect" | "client" | "driver" | "engine" | "type");
        let stem = setting.place.path.file_name().split('.').next().unwrap_or_default();
        setting.origin == Origin::File
            && is_such
            && setting.value.contains("sqlite")
            && !matches!(stem, "test" | "testing" | "ci")
    };
    let drivers = driver_places(case);
    let found = case.facts.settings.iter().filter(is_dialect).filter(|_| !drivers.is_empty());
    let mut places: Vec<Place> = found.map(|setting| setting.place.clone()).collect();
    // What all environments start from is an example by its name only.
    let is_base = |path: &RepoPath| {
        path.file_name().starts_with("default.") && path.as_str().contains("config/")
    };
    for (path, node) in case.facts.documents(is_base).filter(|_| !drivers.is_empty()) {
        let leaves = node.leaves().into_iter().filter(|(keys, _, value)| {
            keys.last()
                .is_some_and(|key| matches!(*key, "dialect" | "client" | "driver" | "engine"))
                && value.contains("sqlite")
        });
        places.extend(leaves.map(|(_, line, _)| Place::line(path.clone(), line)));
    }
    if !places.is_empty() {
        places.extend(drivers);
    }
    places
}

/// The first line of a place that has one of the words; a condition stays where it begins.
fn narrow(case: &Case<'_>, place: Place, words: &[&str]) -> Place {
    let text = case.sources.get(&place.path).map_or("", |source| source.text.as_str());
    let mut lines = numbered(text).skip(place.line.saturating_sub(1));
    let is_condition = lines.next().is_some_and(|(_, line)| line.trim_start().starts_with("if "));
    if is_condition {
        return place;
    }
    let within = numbered(text).filter(|(at, _)| (place.line..=place.end_line).contains(at));
    let mut such = within.filter(|(_, line)| words.iter().any(|word| line.contains(word)));
    such.next().map_or_else(|| place.clone(), |(at, _)| Place::line(place.path.clone(), at))
}

/// The `if` of Python of which one branch has `SQLite` and the other another engine.
fn switch_above(case: &Case<'_>, place: &Place) -> Option<Place> {
    let source =
        case.sources.get(&place.path).filter(|_| place.path.file_name().ends_with(".py"))?;
    let lines: Vec<&str> = source.text.lines().collect();
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut at = place.line.checked_sub(1)?;
    let mut around = depth(lines.get(at)?);
    while around > 0 {
        at =
            lines[..at].iter().rposition(|line| !line.trim().is_empty() && depth(line) < around)?;
        around = depth(lines[at]);
        let head = lines[at].trim_start();
        if ["def ", "class ", "async def "].iter().any(|word| head.starts_with(word)) {
            return None;
        }
        if !head.starts_with("else") && !head.starts_with("elif ") && !head.starts_with("if ") {
            continue;
        }
        let is_head = |line: &&str| depth(line) == around && line.trim_start().starts_with("if ");
        let first = lines[..=at].iter().rposition(is_head)?;
        let ends = |line: &&str| {
            let head = line.trim_start();
            let goes_on =
                ["else", "elif ", "#", ")", "}"].iter().any(|word| head.starts_with(word));
            !head.is_empty() && depth(line) <= around && !goes_on
        };
        let body = lines[first + 1..].iter().take_while(|line| !ends(line));
        let engines = ["dj_database_url", "env.db", "postgres", "mysql", "DATABASE_URL"];
        let has_other = body.into_iter().any(|line| engines.iter().any(|word| line.contains(word)));
        return has_other.then(|| Place::line(place.path.clone(), first + 1));
    }
    None
}

/// Where a driver of another engine is declared, or installed in an image.
fn driver_places(case: &Case<'_>) -> Vec<Place> {
    let is_driver = |name: &&&str| !name.contains("url");
    let mut places = Vec::new();
    for name in SERVER_DRIVERS.iter().filter(is_driver) {
        for app in &case.facts.apps {
            let found = app.find(name).filter(|found| !found.is_dev);
            places.extend(found.map(|found| Place::line(app.manifest.clone(), found.line)));
        }
        for image in &case.facts.images {
            let installs = image.named("RUN").filter(|run| {
                run.text.contains("pip") && run.text.split_whitespace().any(|word| word == *name)
            });
            places.extend(installs.map(|run| image.place(run)));
        }
    }
    places
}

/// One Dockerfile to try, another to ship.
fn judge_images(case: &mut Case<'_>) -> Result<()> {
    const STAGES: [&str; 8] =
        ["local", "dev", "development", "prod", "production", "staging", "stage", "deploy"];
    let facts = case.facts;
    let mut folders: BTreeMap<Vec<&str>, Vec<&Image>> = BTreeMap::new();
    let is_own = |image: &&Image| {
        let name = image.path.file_name().to_lowercase();
        !image.is_of_editor()
            && !name
                .split(['.', '-', '_'])
                .any(|word| ["e2e", "test", "ci", "maildev", "nginx", "db"].contains(&word))
    };
    for image in facts.images.iter().filter(is_own) {
        // A folder may be named for the stage, as well as the file.
        let above = folders_of(&image.path).filter(|folder| !STAGES.contains(folder));
        folders.entry(above.collect()).or_default().push(image);
    }
    for images in folders.values().filter(|images| images.len() > 1) {
        let is_local = |image: &&&Image| {
            let path = image.path.as_str().to_lowercase();
            path.split(['.', '-', '_', '/'])
                .any(|word| ["local", "dev", "development"].contains(&word))
        };
        let bases = |image: &Image| -> Vec<String> {
            image.bases().map(|(_, base)| base.to_owned()).collect()
        };
        let first = images.first().map(|image| bases(image));
        // Somebody else's service in two folders has nothing of ours in it.
        let is_same = images.iter().all(|image| Some(bases(image)) == first);
        let is_engine = |image: &&Image| {
            let mut bases = image.bases();
            bases.any(|(_, base)| super::facts::compose::engine(base).is_some())
        };
        let is_own_file = |image: &&Image| image.path.file_name() == "Dockerfile";
        let is_for_production =
            |image: &&Image| super::facts::run::stage_of(&image.path) == Stage::Production;
        // One without a word is that to try, where another has production's name.
        let is_split = images.iter().any(is_own_file) && images.iter().any(is_for_production);
        if !images.iter().any(|image| is_local(&image)) && !is_split
            || images.iter().any(is_engine)
            || is_same && images.iter().all(|image| image.path.file_name() == "Dockerfile")
        {
            continue;
        }
        for image in images {
            let from = image.named("FROM").next();
            let place =
                from.map_or_else(|| Place::line(image.path.clone(), 1), |found| image.place(found));
            case.mark("images-differ", place, "")?;
        }
    }
    let reloads = facts
        .runs
        .iter()
        .any(|run| run.stage == Stage::Production && !run.mounts_source.is_empty());
    if reloads {
        case.weigh("images-differ", Severity::Risk);
    }
    Ok(())
}

pub fn otherwise(_: &Case<'_>) -> Judgement {
    unknown("there is only one definition, and nothing to compare it with")
}
