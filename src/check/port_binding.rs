//! Port binding: does it bring its server, and bind to the port that it is told?

use super::case::{Case, Judgement};
use super::facts::run::Role;
use super::finding::{Place, Verdict};
use super::language::Language;
use super::lines::numbered;
use super::unknown;
use crate::error::Result;
use crate::tree::RepoPath;

/// Servers that a Python service is run by.
const PYTHON_SERVERS: [&str; 15] = [
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "daphne",
    "waitress",
    "uwsgi",
    "granian",
    "gevent",
    "eventlet",
    "cheroot",
    "fastapi run",
    "aiohttp",
    "tornado",
    "sanic",
    "meinheld",
];

pub fn prepare(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    let servers = facts.servers();
    let configured = ports_of_servers(case);
    case.drop_marks(|mark| mark.rule.id == "port-of-gunicorn");
    for place in &configured {
        case.mark("port-in-server-config", place.clone(), "")?;
    }
    for run in &servers {
        for step in &run.steps {
            let text = step.text.as_str();
            let reads =
                ["$PORT", "${PORT", "$port", "${port"].iter().any(|name| text.contains(name));
            let binds = ["--bind", " -b ", "--port", "-p ", "0.0.0.0:"]
                .iter()
                .any(|flag| text.contains(flag));
            let is_told = binds || configured.iter().any(|place| is_read_by(&place.path, text));
            if reads || text.contains("gunicorn") && !is_told || text.contains("fastapi run") {
                case.mark("port-from-environment", step.place.clone(), "")?;
            }
        }
    }
    let reads_port = case.has("port-from-environment") || case.has("port-variable");
    if reads_port {
        case.drop_marks(|mark| matches!(mark.rule.id.as_str(), "port-literal" | "port-by-default"));
    }
    // A server's own configuration in code reads it, where both belong to one app.
    let reading: Vec<_> = case.by("port-variable").map(|mark| mark.place.path.clone()).collect();
    let replaced: Vec<Place> = servers
        .iter()
        .filter(|run| reading.iter().any(|path| path.as_str().starts_with(&run.folder)))
        .flat_map(|run| run.steps.iter().map(|step| step.place.clone()))
        .collect();
    case.drop_marks(|mark| mark.rule.id == "port-in-command" && replaced.contains(&mark.place));
    // A module that is started by itself on a developer's machine, and by a server elsewhere.
    let is_served = servers.iter().any(|run| {
        run.is_definition() && PYTHON_SERVERS.iter().any(|name| run.main().contains(name))
    });
    if is_served {
        let is_script = |place: &Place| {
            let text = case.sources.get(&place.path).map_or("", |source| source.text.as_str());
            let above = text.lines().take(place.line);
            let is_python = place.path.file_name().ends_with(".py");
            is_python
                && above
                    .filter(|line| !line.starts_with([' ', '\t']))
                    .last()
                    .is_some_and(|line| line.contains("__name__"))
        };
        let local: Vec<Place> =
            case.by("port-literal").map(|mark| mark.place.clone()).filter(is_script).collect();
        case.drop_marks(|mark| mark.rule.id == "port-literal" && local.contains(&mark.place));
    }
    let is_python = |language: Language| language == Language::Python;
    let python: Vec<_> = facts.apps.iter().filter(|app| is_python(app.language)).collect();
    let serves_python = python.iter().any(|app| app.serves());
    let has_server = facts.declares(&PYTHON_SERVERS)
        || facts.images.iter().any(|image| {
            image
                .instructions
                .iter()
                .any(|found| PYTHON_SERVERS.iter().any(|server| found.text.contains(server)))
        })
        || servers
            .iter()
            .any(|run| PYTHON_SERVERS.iter().any(|server| run.command().contains(server)))
        || ["fastapi", "fastapi-cli"].iter().any(|name| {
            python
                .iter()
                .any(|app| app.find(name).is_some_and(|found| found.wanted.contains("standard")))
        })
        || case.by("port-literal").next().is_some();
    let others = facts.apps.iter().any(|app| app.language != Language::Python && app.serves());
    if serves_python
        && !has_server
        && !others
        && !reads_port
        // What is installed says more than what it is compiled from.
        && let Some(app) = python
            .iter()
            .filter(|app| app.serves())
            .min_by_key(|app| app.manifest.file_name().ends_with(".in"))
    {
        let at = app
            .dependencies
            .iter()
            .find(|found| ["flask", "django", "fastapi"].contains(&found.name.as_str()));
        let place = Place::line(app.manifest.clone(), at.map_or(1, |found| found.line));
        case.mark("no-server", place, "")?;
        if let Some(place) = served_object(case) {
            case.mark("no-server", place, "")?;
        }
    }
    Ok(())
}

/// Whether a server's command reads a file of configuration: it is named, or the usual one.
fn is_read_by(path: &RepoPath, command: &str) -> bool {
    let name = path.file_name();
    let stem = name.split('.').next().unwrap_or_default();
    command.contains(name)
        || command.contains(&format!("python:{stem}"))
        || name == "gunicorn.conf.py" && command.contains("gunicorn")
}

/// Where the configuration of a server fixes the port, in a file that a command reads.
fn ports_of_servers(case: &Case<'_>) -> Vec<Place> {
    let servers = case.facts.servers();
    let is_read = |path: &RepoPath| {
        servers.iter().flat_map(|run| &run.steps).any(|step| is_read_by(path, &step.text))
    };
    let mut found: Vec<Place> = case
        .by("port-of-gunicorn")
        .map(|mark| mark.place.clone())
        .filter(|place| is_read(&place.path))
        .collect();
    let is_ini = |name: &str| name.contains("uwsgi") && name.ends_with(".ini");
    for (path, source) in case.sources.named(is_ini).filter(|(path, _)| is_read(path)) {
        for (number, line) in numbered(&source.text) {
            let Some((key, value)) = line.split_once('=') else { continue };
            let port = value.trim().rsplit(':').next().unwrap_or_default();
            let is_port = !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
            if matches!(key.trim(), "http" | "http-socket") && is_port {
                found.push(Place::line((*path).clone(), number));
            }
        }
    }
    found
}

/// The object that a server from outside is to be given.
fn served_object(case: &Case<'_>) -> Option<Place> {
    let is_name = |name: &str| matches!(name, "wsgi.py" | "asgi.py");
    let mut files: Vec<_> = case.sources.named(is_name).collect();
    files.sort_by_key(|(path, _)| path.file_name() == "asgi.py");
    let (path, source) = files.first()?;
    let is_object = |line: &str| {
        ["application =", "app =", "application:", "app:"]
            .iter()
            .any(|start| line.starts_with(start))
            || line.contains("import app")
            || line.contains("import application")
    };
    let (number, _) = numbered(&source.text).filter(|(_, line)| is_object(line)).last()?;
    Some(Place::line((*path).clone(), number))
}

pub fn otherwise(case: &Case<'_>) -> Judgement {
    let facts = case.facts;
    // Rocket reads ROCKET_PORT, a managed framework its own variable.
    if facts.declares(&["rocket", "next", "nuxt", "@strapi/strapi", "@adonisjs/core"]) {
        return Judgement::new(Verdict::Met, "the framework reads its port from the environment");
    }
    if case.has("file-overridden-by-environment") {
        return Judgement::new(
            Verdict::Met,
            "the address it binds is a setting that the environment overrides",
        );
    }
    if facts.runs.iter().any(|run| run.role == Role::Web) || case.has("binds") {
        return Judgement::new(
            Verdict::Met,
            "it brings its server, and binds where its configuration says",
        );
    }
    unknown("nothing that is read binds a port")
}
