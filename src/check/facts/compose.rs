//! Compose files: what they run, and the backing services that they start.

use super::image::{Image, Instruction, exec_form};
use super::run::{Kind, Role, Run, Stage};
use super::{Backing, Facts};
use crate::check::document::{self, Node, Value};
use crate::check::finding::Place;
use crate::check::sources::{Part, Sources, folder_of};
use crate::tree::RepoPath;

/// Engines by a part of the name of their image.
const ENGINES: [(&str, &str); 22] = [
    ("postgis", "postgres"),
    ("timescale", "postgres"),
    ("postgres", "postgres"),
    ("pgvector", "postgres"),
    ("mysql", "mysql"),
    ("mariadb", "mariadb"),
    ("mongo", "mongodb"),
    ("redis", "redis"),
    ("valkey", "redis"),
    ("rabbitmq", "rabbitmq"),
    ("memcached", "memcached"),
    ("elasticsearch", "elasticsearch"),
    ("opensearch", "opensearch"),
    ("kafka", "kafka"),
    ("nats", "nats"),
    ("minio", "s3"),
    ("localstack", "s3"),
    ("cassandra", "cassandra"),
    ("mssql", "mssql"),
    ("cockroach", "cockroachdb"),
    ("clickhouse", "clickhouse"),
    ("neo4j", "neo4j"),
];

/// Parts of the names of images that are a proxy or a tool.
const TOOLS: [&str; 24] = [
    "nginx",
    "traefik",
    "caddy",
    "adminer",
    "pgadmin",
    "mailhog",
    "mailpit",
    "mailcatcher",
    "prometheus",
    "grafana",
    "jaeger",
    "swagger",
    "exporter",
    "admin",
    "certbot",
    "selenium",
    "express",
    "haproxy",
    "portainer",
    "sonarqube",
    "keycloak",
    "playwright",
    "otel",
    "loki",
];

#[must_use]
pub fn is_compose_name(name: &str) -> bool {
    let stem = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml"));
    stem.is_some_and(|stem| {
        ["docker-compose", "compose"].iter().any(|start| stem.starts_with(start))
            || ["-compose", ".compose", "_compose"].iter().any(|end| stem.ends_with(end))
    })
}

/// Whether compose reads what stands there: by its name, or at the root under that of a stage (`production.yml`).
#[must_use]
pub fn is_compose(path: &RepoPath) -> bool {
    let name = path.file_name();
    let stem = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml"));
    let is_stage = |stem| matches!(stem, "production" | "prod" | "staging" | "local" | "dev");
    is_compose_name(name) || path.as_str() == name && stem.is_some_and(is_stage)
}

/// The engine that an image is of, and its tag.
#[must_use]
pub fn engine(image: &str) -> Option<(String, Option<String>)> {
    let image = image.split('@').next().unwrap_or_default();
    let (name, tag) = match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag.to_owned())),
        _ => (image, None),
    };
    let last = name.rsplit('/').next().unwrap_or_default();
    let is_tool = ["exporter", "admin", "express", "commander", "insight", "backup", "ui"]
        .iter()
        .any(|word| last.contains(word));
    let (_, engine) = ENGINES.iter().find(|(part, _)| name.contains(part) && !is_tool)?;
    Some(((*engine).to_owned(), tag))
}

/// Reads every compose file.
pub fn read(sources: &Sources, facts: &mut Facts) {
    let (mut runs, mut backing) = (Vec::new(), Vec::new());
    for (path, node) in facts.documents(is_compose) {
        let Some(services) = node.at(&["services"]) else { continue };
        for service in services.entries() {
            let image = service.value.get("image");
            let started = image.and_then(|image| {
                let (engine, version) = engine(image.value.text()?)?;
                let place = Place::line(path.clone(), image.line);
                Some(Backing { place, engine, version })
            });
            match started {
                Some(found) => backing.push(found),
                // What people develop in says nothing of how the service is run.
                None if super::run::is_of_editor(path) => {}
                // What is built upon somebody else's service, is that.
                None if builds_foreign(facts, path, &service.value) => {}
                None => runs.extend(read_service(
                    sources,
                    facts,
                    path,
                    &service.key,
                    service.line,
                    &service.value,
                )),
            }
        }
    }
    backing.extend(tested(sources, &backing));
    for image in facts.images.iter().filter(|image| !image.is_of_editor()) {
        let last = image.bases().last();
        let found = last.and_then(|(from, base)| Some((from, engine(&image.resolve(base))?)));
        if let Some((from, (engine, version))) = found {
            backing.push(Backing { place: image.place(from), engine, version });
        }
    }
    facts.runs.extend(runs);
    facts.backing.extend(backing);
}

/// The services that tests start by compose, as far as the app is started beside them too.
fn tested(sources: &Sources, started: &[Backing]) -> Vec<Backing> {
    let is_such = |path: &RepoPath, part: Part| part == Part::Test && is_compose(path);
    let mut found = Vec::new();
    for (path, source) in sources.iter().filter(|(path, source)| is_such(path, source.part)) {
        let nodes = document::read(path.file_name(), &source.text).unwrap_or_default();
        for node in &nodes {
            let services = node.at(&["services"]).map(Node::entries).unwrap_or_default();
            found.extend(services.iter().filter_map(|service| {
                let image = service.value.get("image")?;
                let (engine, version) = engine(image.value.text()?)?;
                let is_known = started.iter().any(|known| known.engine == engine);
                let place = Place::line(path.clone(), image.line);
                is_known.then_some(Backing { place, engine, version })
            }));
        }
    }
    found
}

/// A service that mounts its source is one to develop with, where something else says what production runs.
pub fn settle(facts: &mut Facts) {
    if !facts.runs.iter().any(is_for_production) {
        return;
    }
    for run in facts.runs.iter_mut().filter(|run| run.kind == Kind::Compose) {
        if !run.mounts_source.is_empty() && run.stage == Stage::Any {
            run.stage = Stage::Development;
        }
    }
}

/// Whether it says what production runs; a command that reloads says that of no production.
fn is_for_production(run: &Run) -> bool {
    let is_service = matches!(run.role, Role::Web | Role::Worker);
    let says = !matches!(run.kind, Kind::Compose | Kind::Manifest) && !is_for_development(run);
    is_service && (says || run.stage == Stage::Production)
}

/// Whether its command is one to develop with.
fn is_for_development(run: &Run) -> bool {
    const WORDS: [&str; 11] = [
        "--reload",
        "nodemon",
        "runserver",
        "ts-node-dev",
        "start:dev",
        "run dev",
        "yarn dev",
        "fastapi dev",
        "tsx watch",
        "--watch",
        "cargo watch",
    ];
    run.stage == Stage::Development || WORDS.iter().any(|word| run.main().contains(word))
}

/// An image that only compose builds, to develop with, is none of production's where another says what that runs.
pub fn settle_images(facts: &mut Facts) {
    let is_other = |run: &&Run| matches!(run.kind, Kind::Image | Kind::Procfile | Kind::Platform);
    let production: Vec<Option<RepoPath>> = facts
        .runs
        .iter()
        .filter(|run| run.role == Role::Web && is_for_production(run))
        .filter(is_other)
        .map(|run| run.image.clone())
        .collect();
    let built: Vec<RepoPath> = facts
        .runs
        .iter()
        .filter(|run| run.kind == Kind::Compose && run.stage == Stage::Development)
        .filter_map(|run| run.image.clone())
        .collect();
    let shipped: Vec<RepoPath> = facts
        .runs
        .iter()
        .filter(|run| run.stage == Stage::Production)
        .filter_map(|run| run.image.clone())
        .collect();
    for run in facts.runs.iter_mut().filter(|run| run.kind == Kind::Image) {
        let Some(image) = run.image.clone() else { continue };
        if run.stage != Stage::Any || !built.contains(&image) || shipped.contains(&image) {
            continue;
        }
        // Production has another Dockerfile in the same folder, or starts something that stays as it is.
        let is_beside = |other: &RepoPath| folder_of(other) == folder_of(&image);
        let is_told = is_for_development(run) && production.iter().any(|it| *it != run.image);
        if is_told || shipped.iter().any(is_beside) {
            run.stage = Stage::Development;
        }
    }
}

/// What a service of our own runs. Where it has no command, the image that it builds decides; that is read there.
fn read_service(
    sources: &Sources,
    facts: &Facts,
    path: &RepoPath,
    name: &str,
    line: usize,
    service: &Node,
) -> Option<Run> {
    let builds = service.get("build").is_some();
    let built = if builds { built_image(facts, path, service) } else { None };
    let target = service.text_at(&["build", "target"]).unwrap_or_default();
    let of_image = built.map(|built| built.start(Some(target).filter(|name| !name.is_empty())));
    let (image_entry, image_command) = of_image.unwrap_or_default();
    let own_entry = service.get("entrypoint");
    let own_command = service.get("command").or(own_entry);
    let line = own_command.map_or(line, |entry| entry.line);
    // An entry point of compose takes the image's command away, a command leaves the image's entry point.
    let entry = match own_entry {
        Some(entry) => command_text(&entry.value),
        None => image_entry.map(instruction_text).unwrap_or_default(),
    };
    let command = match service.get("command") {
        Some(entry) => command_text(&entry.value),
        None if own_entry.is_some() => String::new(),
        None => image_command.map(instruction_text).unwrap_or_default(),
    };
    let text = format!("{entry} {command}").trim().to_owned();
    let image = service.text_at(&["image"]);
    if !builds && image.is_none_or(is_foreign_image) && !(image.is_none() && own_command.is_some())
    {
        return None;
    }
    let mut run = Run::new(Kind::Compose, Place::line(path.clone(), line), name, &text);
    run.is_shell = false;
    if let Some(line) = super::run::shell_argument(&text) {
        run = Run { is_shell: true, ..Run::new(Kind::Compose, run.place, name, line) };
    }
    run.image = built.map(|built| built.path.clone());
    // What the image says, stands there.
    if let (None, Some(built), Some(said)) = (own_command, built, image_command.or(image_entry)) {
        let text = super::run::shell_argument(&text).unwrap_or(&text);
        run.steps = Run::new(Kind::Compose, built.place(said), name, text).steps;
    }
    if run.is_shell && own_entry.is_none() {
        run.enter(&entry);
    }
    if let Some(context) = build_context(service) {
        run.folder = join(folder_of(path), context);
    }
    let profile = service.at(&["profiles"]).map(Node::items).unwrap_or_default();
    let is_dev =
        |text: &str| ["dev", "test", "debug", "local"].iter().any(|word| text.contains(word));
    if is_dev(target) || profile.iter().filter_map(Node::text).any(is_dev) {
        run.stage = Stage::Development;
    }
    run.mounts_source = source_mounts(sources, path, service);
    if ["no", "on-failure"].contains(&service.text_at(&["restart"]).unwrap_or("always"))
        && super::run::is_migration(&text)
        && !super::run::is_server(&text)
    {
        run.role = Role::Release;
    }
    Some(run)
}

/// The folder that an image is built from.
#[must_use]
pub fn build_context(service: &Node) -> Option<&str> {
    let build = service.at(&["build"])?;
    build.text().or_else(|| build.text_at(&["context"]))
}

/// The paths at which compose may find the Dockerfile of a service that it builds.
#[must_use]
pub fn image_paths(path: &RepoPath, service: &Node) -> [String; 2] {
    let context = build_context(service).unwrap_or(".");
    let folder = join(folder_of(path), context);
    let file = service.text_at(&["build", "dockerfile"]).unwrap_or("Dockerfile");
    [join_file(&folder, file), join_file(folder_of(path), file)]
}

fn built_image<'f>(facts: &'f Facts, path: &RepoPath, service: &Node) -> Option<&'f Image> {
    let wanted = image_paths(path, service);
    facts.images.iter().find(|image| wanted.iter().any(|name| image.path.as_str() == name))
}

fn instruction_text(found: &Instruction) -> String {
    exec_form(&found.text).map_or_else(|| found.text.clone(), |words| words.join(" "))
}

/// Whether the image that it builds is a backing service's, or a proxy's, with our settings in it.
fn builds_foreign(facts: &Facts, path: &RepoPath, service: &Node) -> bool {
    let image = service.get("build").and_then(|_| built_image(facts, path, service));
    let bases: Vec<&str> =
        image.map(|image| image.bases().map(|(_, base)| base).collect()).unwrap_or_default();
    matches!(bases.as_slice(), [base] if engine(base).is_some() || is_tool_image(base))
}

/// A folder below a folder, both with `/` at their end.
fn join(folder: &str, below: &str) -> String {
    let below = below.trim_start_matches("./").trim_matches('/');
    if below.is_empty() || below == "." {
        folder.to_owned()
    } else if let Some(above) = below.strip_prefix("../") {
        let parent = folder.trim_end_matches('/').rfind('/').map_or("", |end| &folder[..=end]);
        join(parent, above)
    } else if below == ".." {
        folder.trim_end_matches('/').rfind('/').map_or("", |end| &folder[..=end]).to_owned()
    } else {
        format!("{folder}{below}/")
    }
}

fn join_file(folder: &str, file: &str) -> String {
    format!("{folder}{}", file.trim_start_matches("./"))
}

fn command_text(node: &Node) -> String {
    match &node.value {
        Value::List(items) => items.iter().filter_map(Node::text).collect::<Vec<_>>().join(" "),
        Value::Scalar(text) => text.clone(),
        _ => String::new(),
    }
}

/// A proxy or a tool that the service does not consist of.
#[must_use]
pub fn is_foreign_image(image: &str) -> bool {
    let name = image.split([':', '@']).next().unwrap_or_default();
    !name.contains('/') || is_tool_image(image)
}

fn is_tool_image(image: &str) -> bool {
    let name = image.split([':', '@']).next().unwrap_or_default();
    let last = name.rsplit('/').next().unwrap_or_default();
    TOOLS.iter().any(|word| last.contains(word))
}

/// Folders of the repository that are mounted into the container as its code.
fn source_mounts(sources: &Sources, path: &RepoPath, service: &Node) -> Vec<Place> {
    let volumes = service.at(&["volumes"]).map(Node::items).unwrap_or_default();
    let is_source = |volume: &&Node| {
        let (from, to) = match volume.text() {
            Some(text) => text.split_once(':').unwrap_or_default(),
            None => (
                volume.text_at(&["source"]).unwrap_or_default(),
                volume.text_at(&["target"]).unwrap_or_default(),
            ),
        };
        let below = ["${PWD}", "$PWD", "$(pwd)"].iter().find_map(|here| from.strip_prefix(here));
        let from = below.map_or_else(|| from.to_owned(), |below| format!(".{below}"));
        let is_path = from.starts_with('.') && !to.contains("/data");
        let folder = join(folder_of(path), from.trim_end_matches('/'));
        is_path
            && (folder.ends_with("/templates/")
                || folder == "templates/"
                || has_code(sources, &folder))
    };
    let mounts = volumes.iter().filter(is_source);
    mounts.map(|volume| Place::line(path.clone(), volume.line)).collect()
}

fn has_code(sources: &Sources, folder: &str) -> bool {
    let is_own = |part: Part| matches!(part, Part::Service | Part::Migration);
    sources.code().any(|(path, source, _)| is_own(source.part) && path.as_str().starts_with(folder))
}
