//! Processes: do they keep nothing, and share nothing?

use super::backing_services::{has_variable, sqlite_places};
use super::case::{Case, Judgement};
use super::facts::compose::is_foreign_image;
use super::facts::reach::Reached;
use super::finding::{Place, Severity, Verdict};
use super::language::Language;
use super::lines::{line, numbered};
use super::sources::{Source, folders};
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

/// Clients of object stores: where one is declared, the local disk is one choice of two.
const STORE_CLIENTS: [&str; 16] = [
    "@aws-sdk/client-s3",
    "@aws-sdk/lib-storage",
    "aws-sdk",
    "minio",
    "@google-cloud/storage",
    "@azure/storage-blob",
    "boto3",
    "aioboto3",
    "google-cloud-storage",
    "azure-storage-blob",
    "django-storages",
    "rust-s3",
    "aws-sdk-s3",
    "object_store",
    "object-store",
    "opendal",
];

/// Marks of files that go to the disk.
const FILES: [&str; 5] =
    ["writes-local-file", "upload-on-disk", "upload-served", "media-on-disk", "volume-of-data"];

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
        let places = match around {
            // What a variable replaces, is replaced as a whole.
            Some(whole)
                if severity == Severity::Risk
                    && !is_indented(case, whole)
                    && is_replaced(case, whole) =>
            {
                vec![whole.clone()]
            }
            Some(_) => file_beside(case, &place).into_iter().chain([place]).collect(),
            None => vec![file_named(case, &place).unwrap_or_else(|| narrow(case, place))],
        };
        for place in places {
            case.mark_as("data-in-file", severity, place, "")?;
        }
    }
    let by_default: Vec<Place> =
        case.by("sqlite-by-default").map(|mark| mark.place.clone()).collect();
    for place in by_default {
        case.mark_as("data-in-file", Severity::Risk, place, "")?;
    }
    judge_pools(case)?;
    drop_command_line(case);
    drop_temporary(case);
    let has_store = case.has("object-store") || case.facts.declares(&OBJECT_STORES);
    if has_store {
        let is_default = |place: &Place| text_at(case, place).contains("default_storage");
        let replaced: Vec<Place> = case
            .by("upload-on-disk")
            .map(|mark| mark.place.clone())
            .filter(|place| is_default(place))
            .collect();
        case.drop_marks(|mark| mark.rule.id == "upload-on-disk" && replaced.contains(&mark.place));
    }
    let keeps = case.has("file-field")
        || case.by("upload-on-disk").any(|mark| mark.place.path.file_name().ends_with(".py"));
    if keeps && !has_store {
        let roots: Vec<Place> = case.by("media-root").map(|mark| mark.place.clone()).collect();
        for place in roots {
            case.mark("media-on-disk", place, "")?;
        }
        // The first of each module stands for the others.
        let mut fields: Vec<Place> = case.by("file-field").map(|mark| mark.place.clone()).collect();
        fields.sort_by(|one, other| (&one.path, one.line).cmp(&(&other.path, other.line)));
        fields.dedup_by(|one, other| one.path == other.path);
        for place in fields {
            case.mark("field-on-disk", place, "")?;
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
    if case.has("cache-in-memory") && !uses_cache(case) {
        case.drop_marks(|mark| mark.rule.id == "cache-in-memory");
    }
    judge_limits(case)?;
    // Volumes say where the files are kept.
    if ["writes-local-file", "upload-on-disk", "media-on-disk"].iter().any(|id| case.has(id)) {
        for place in volume_places(case) {
            case.mark("volume-of-data", place, "")?;
        }
    }
    let writes = case.has("writes-local-file");
    case.drop_marks(|mark| {
        let is_of_machine = mark.place.path.as_str().starts_with(".devcontainer");
        mark.rule.id == "storage-path-local" && (!writes || is_of_machine)
    });
    weigh_choice_of_store(case);
    judge_random_secrets(case)
}

/// A client of `SQLite` alone keeps a file, whatever the variable says; beside one of a server it is a choice.
fn judge_pools(case: &mut Case<'_>) -> Result<()> {
    let names_server = |path| {
        let source = case.sources.get(path);
        let names = ["PgPool", "PgConnection", "MySqlPool", "MysqlConnection", "Postgres"];
        source.is_some_and(|source| names.iter().any(|name| source.text.contains(name)))
    };
    let places: Vec<Place> = case.by("sqlite-pool").map(|mark| mark.place.clone()).collect();
    if places.is_empty() {
        return Ok(());
    }
    let has_choice = case.facts.reach.served().any(names_server);
    let severity = if has_choice { Severity::Risk } else { Severity::Violation };
    let known: Vec<Place> = case.by("data-in-file").map(|mark| mark.place.clone()).collect();
    for place in places {
        if !known.iter().any(|known| known.path == place.path && known.line == place.line) {
            case.mark_as("data-in-file", severity, place, "")?;
        }
    }
    Ok(())
}

/// The line on which a place begins.
fn text_at<'t>(case: &'t Case<'_>, place: &Place) -> &'t str {
    case.sources.get(&place.path).map_or("", |source| line(&source.text, place.line))
}

/// Whether it stands in a branch or a class, and not at the top of its module.
fn is_indented(case: &Case<'_>, place: &Place) -> bool {
    text_at(case, place).starts_with([' ', '\t'])
}

/// Whether the module that sets Django's databases changes them further on.
fn is_replaced(case: &Case<'_>, whole: &Place) -> bool {
    let Some(source) = case.sources.get(&whole.path) else { return false };
    let words = ["DATABASES", "import *", "locals()", "django_heroku"];
    numbered(&source.text)
        .skip(whole.end_line)
        .any(|(_, line)| words.iter().any(|word| line.contains(word)))
}

/// Where the module says which file it is that a client opens by the name of a variable.
fn file_named(case: &Case<'_>, client: &Place) -> Option<Place> {
    let source = case.sources.get(&client.path)?;
    let (_, arguments) = line(&source.text, client.line).rsplit_once('(')?;
    let name = arguments.split([',', ')', ';']).next()?.trim().trim_start_matches('&');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_word) {
        return None;
    }
    let is_file = |text: &str| [".db", ".sqlite"].iter().any(|ending| text.contains(ending));
    let (number, _) = numbered(&source.text).find(|(_, line)| {
        line.split_once('=').is_some_and(|(left, right)| {
            is_file(right) && left.split(|c| !is_word(c)).any(|word| word == name)
        })
    })?;
    Some(Place::line(client.path.clone(), number))
}

/// Where the file of a database is named, beside its engine.
fn file_beside(case: &Case<'_>, engine: &Place) -> Option<Place> {
    let source = case.sources.get(&engine.path)?;
    let near = numbered(&source.text).skip(engine.line).take(3);
    let (number, _) = near
        .take_while(|(_, line)| !line.trim_start().starts_with('}'))
        .find(|(_, line)| line.contains("NAME") && line.contains("sqlite"))?;
    Some(Place::line(engine.path.clone(), number))
}

/// What somebody starts by hand is no process of the service, though its code is imported by it.
fn drop_command_line(case: &mut Case<'_>) {
    let is_local = |id: &str| LOCAL_STATE.contains(&id) || id == "thread-in-web";
    let found: Vec<Place> = case
        .marks
        .iter()
        .filter(|mark| is_local(&mark.rule.id) && is_of_command_line(case, &mark.place))
        .map(|mark| mark.place.clone())
        .collect();
    case.drop_marks(|mark| is_local(&mark.rule.id) && found.contains(&mark.place));
}

fn is_of_command_line(case: &Case<'_>, place: &Place) -> bool {
    let Some(source) = case.sources.get(&place.path) else { return false };
    let Some(language) = source.grammar.map(super::language::Grammar::language) else {
        return false;
    };
    let stem = place.path.file_name().split('.').next().unwrap_or_default();
    let has = |words: &[&str]| words.iter().any(|word| source.text.contains(word));
    match language {
        Language::Rust => stem == "cli" || folders(&place.path).any(|folder| folder == "cli"),
        Language::Python => {
            let parses = ["sys.argv", "argparse", ".command(", "@command", "typer."];
            let serves = [
                ".route(",
                ".get(\"/",
                ".post(\"/",
                ".get('/",
                ".post('/",
                ".run(",
                "Flask(",
                "FastAPI(",
                "request",
            ];
            is_in_command(source, place.line) || has(&parses) && !has(&serves)
        }
        Language::JavaScript => {
            let parses =
                ["process.argv", "commander", "yargs", "@Command(", "@oclif", "from 'cac'"];
            has(&parses) && !has(&[".listen(", "req.", "ctx.", "request."])
        }
    }
}

/// Whether a function around a line of Python is a command, as click, Flask and typer declare them.
fn is_in_command(source: &Source, number: usize) -> bool {
    let lines: Vec<&str> = source.text.lines().take(number).collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let Some(mut own) = lines.last().map(|line| indent(line)) else { return false };
    let mut is_decorating = false;
    for line in lines.iter().rev().skip(1) {
        let text = line.trim_start();
        if text.is_empty() {
            is_decorating = false;
        } else if indent(line) < own && (text.starts_with("def ") || text.starts_with("async def "))
        {
            own = indent(line);
            is_decorating = true;
        } else if is_decorating && text.starts_with('@') {
            let name = text.split('(').next().unwrap_or_default();
            if matches!(name.rsplit(['.', '@']).next(), Some("command" | "group")) {
                return true;
            }
        } else if indent(line) < own {
            own = indent(line);
            is_decorating = false;
        }
    }
    false
}

/// What is made below a folder that the system clears is gone when the work is done.
fn drop_temporary(case: &mut Case<'_>) {
    let words = [
        "tempfile",
        "TempDir",
        "tempdir",
        "temp_dir()",
        "mkdtemp",
        "tmpdir()",
        "tmpName",
        "tmp-promise",
        "from \"tmp\"",
        "from 'tmp'",
        "require('tmp')",
        "require(\"tmp\")",
        "tempy",
    ];
    let is_temporary = |source: &Source| words.iter().any(|word| source.text.contains(word));
    let facts = case.facts;
    let found: Vec<Place> = case
        .by("writes-local-file")
        .filter(|mark| {
            let Some(source) = case.sources.get(&mark.place.path) else { return false };
            // What was temporary is kept.
            let is_store =
                ["upload", "storage"].iter().any(|word| mark.place.path.as_str().contains(word));
            if is_store || line(&source.text, mark.place.line).contains("persist") {
                return false;
            }
            if is_temporary(source) {
                return true;
            }
            // A helper writes where its callers say.
            let above = source.text.lines().take(mark.place.line);
            let Some(name) = above.filter_map(helper_name).last() else { return false };
            let call = format!("{name}(");
            let mut callers = facts
                .reach
                .served()
                .filter(|path| **path != mark.place.path)
                .filter_map(|path| case.sources.get(path))
                .filter(|source| source.text.contains(&call))
                .peekable();
            callers.peek().is_some() && callers.all(is_temporary)
        })
        .map(|mark| mark.place.clone())
        .collect();
    case.drop_marks(|mark| mark.rule.id == "writes-local-file" && found.contains(&mark.place));
}

/// The name of the function that a line of Rust or Python begins.
fn helper_name(line: &str) -> Option<&str> {
    let (_, after) = line.split_once("fn ").or_else(|| line.split_once("def "))?;
    let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (!name.is_empty()).then_some(name)
}

/// Whether anything is put into the cache that is configured.
fn uses_cache(case: &Case<'_>) -> bool {
    let words = [
        ".cached(",
        ".memoize(",
        "cache.get",
        "cache.set",
        "cache.add",
        "cache.delete",
        "cache.incr",
        "core.cache",
        "cache_page",
        "CacheMiddleware",
        "backends.cache",
        "@cache(",
        "Limiter",
        "atelimit",
        "THROTTLE",
    ];
    let has = |source: &Source| words.iter().any(|word| source.text.contains(word));
    case.facts.reach.served().any(|path| case.sources.get(path).is_some_and(has))
}

/// Counters of a rate limit are state of which little is lost.
fn judge_limits(case: &mut Case<'_>) -> Result<()> {
    let is_limit = |place: &Place| {
        let path = place.path.as_str().to_lowercase();
        ["rate_limit", "ratelimit", "limiter", "throttl"].iter().any(|word| path.contains(word))
    };
    let found: Vec<Place> =
        case.by("state-in-memory").map(|mark| mark.place.clone()).filter(is_limit).collect();
    case.drop_marks(|mark| mark.rule.id == "state-in-memory" && found.contains(&mark.place));
    for place in found {
        case.mark("limit-in-memory-in-rust", place, "")?;
    }
    Ok(())
}

/// Where files may go to an object store as well, a deploy can choose it.
fn weigh_choice_of_store(case: &mut Case<'_>) {
    let names_store = |source: &Source| {
        ["S3", "s3", "Bucket", "bucket"].iter().any(|word| source.text.contains(word))
    };
    let has_choice = case.facts.declares(&STORE_CLIENTS)
        && case.facts.reach.served().any(|path| case.sources.get(path).is_some_and(names_store));
    if !has_choice {
        return;
    }
    let is_of_store = |place: &Place| {
        let text = format!("{} {}", place.path, text_at(case, place)).to_lowercase();
        ["upload", "storage", "store", "local", "media", "attachment", "disk"]
            .iter()
            .any(|word| text.contains(word))
    };
    let places: Vec<Place> = case
        .marks
        .iter()
        .filter(|mark| FILES.contains(&mark.rule.id.as_str()) && is_of_store(&mark.place))
        .map(|mark| mark.place.clone())
        .collect();
    for mark in &mut case.marks {
        if FILES.contains(&mark.rule.id.as_str()) && places.contains(&mark.place) {
            mark.severity = Severity::Risk;
        }
    }
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
            let is_proxy = ["nginx", "caddy", "traefik", "proxy"]
                .iter()
                .any(|word| service.key.contains(word));
            if super::facts::compose::engine(image).is_some() || is_foreign || is_proxy {
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
