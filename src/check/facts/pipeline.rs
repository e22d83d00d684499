//! Pipelines of Travis, `CircleCI`, GitLab and Bitbucket: with which services and runtimes they test, what they run.

use super::run::Step;
use super::workflow::{Pipeline, read_command};
use super::{Backing, Delivery, Runtime};
use crate::check::document::Node;
use crate::check::finding::Place;
use crate::tree::RepoPath;

/// Services as Travis calls them, with their engine.
const TRAVIS: [(&str, &str); 8] = [
    ("mongodb", "mongodb"),
    ("postgresql", "postgres"),
    ("mysql", "mysql"),
    ("redis", "redis"),
    ("redis-server", "redis"),
    ("rabbitmq", "rabbitmq"),
    ("memcached", "memcached"),
    ("elasticsearch", "elasticsearch"),
];

/// Keys under which a job has lines for a shell.
const SCRIPTS: [&str; 8] = [
    "before_install",
    "install",
    "before_script",
    "script",
    "after_success",
    "after_script",
    "before_deploy",
    "after_deploy",
];

/// Reads one, by the name of its file.
pub fn read(path: &RepoPath, node: &Node, found: &mut Pipeline) {
    match path.file_name() {
        ".travis.yml" => read_travis(path, node, found),
        ".gitlab-ci.yml" => read_gitlab(path, node, found),
        "bitbucket-pipelines.yml" => read_bitbucket(path, node, found),
        _ => read_circle(path, node, found),
    }
}

fn read_travis(path: &RepoPath, node: &Node, found: &mut Pipeline) {
    let version = |engine: &str| {
        let addon = if engine == "postgres" { "postgresql" } else { engine };
        node.text_at(&["addons", addon]).map(str::to_owned)
    };
    for service in scalars(node.at(&["services"])) {
        let name = service.text().unwrap_or_default();
        if let Some((_, engine)) = TRAVIS.iter().find(|(known, _)| *known == name) {
            found.backing.push(Backing {
                place: Place::line(path.clone(), service.line),
                engine: (*engine).to_owned(),
                // Without one, it is that of Travis's machine, which only tells where another is named.
                version: version(engine),
            });
        }
    }
    for (key, name) in [("python", "python"), ("node_js", "node"), ("rust", "rust")] {
        found.runtimes.extend(read_several(path, name, &scalars(node.at(&[key]))));
    }
    read_scripts(path, node, found);
    if let Some(provider) = node.at(&["deploy"]).and_then(|deploy| deploy.get("provider")) {
        found.deliveries.push(Delivery {
            place: Place::line(path.clone(), provider.line),
            what: provider.value.text().unwrap_or_default().to_owned(),
            tags: Vec::new(),
        });
    }
}

fn read_circle(path: &RepoPath, node: &Node, found: &mut Pipeline) {
    for key in ["jobs", "executors"] {
        for job in node.at(&[key]).map(Node::entries).unwrap_or_default() {
            let images = job.value.at(&["docker"]).map(Node::items).unwrap_or_default();
            for image in images {
                read_image(path, image, found);
            }
            for step in job.value.at(&["steps"]).map(Node::items).unwrap_or_default() {
                let Some(entry) = step.get("run") else { continue };
                let command = entry.value.get("command").unwrap_or(entry);
                read_lines(path, command.line, command.value.text().unwrap_or_default(), found);
            }
        }
    }
}

fn read_gitlab(path: &RepoPath, node: &Node, found: &mut Pipeline) {
    let jobs = node
        .entries()
        .iter()
        .map(|entry| &entry.value)
        .filter(|job| ["script", "image", "services"].iter().any(|key| job.get(key).is_some()));
    for job in std::iter::once(node).chain(jobs) {
        if let Some(image) = job.at(&["image"]) {
            read_image(path, image, found);
        }
        for service in job.at(&["services"]).map(Node::items).unwrap_or_default() {
            read_image(path, service, found);
        }
        read_scripts(path, job, found);
    }
}

fn read_bitbucket(path: &RepoPath, node: &Node, found: &mut Pipeline) {
    if let Some(image) = node.at(&["image"]) {
        read_image(path, image, found);
    }
    let services = node.at(&["definitions", "services"]).map(Node::entries).unwrap_or_default();
    for service in services {
        read_image(path, &service.value, found);
    }
}

/// A backing service, or the runtime that a job has: `cimg/node:18.4`, `image: python:3.12`, `name: redis:7`.
pub fn read_image(path: &RepoPath, node: &Node, found: &mut Pipeline) {
    let entry = node.get("image").or_else(|| node.get("name"));
    let (line, text) = match (node.text(), entry) {
        (Some(text), _) => (node.line, text),
        (None, Some(entry)) => (entry.line, entry.value.text().unwrap_or_default()),
        _ => return,
    };
    if let Some((engine, version)) = super::compose::engine(text) {
        found.backing.push(Backing { place: Place::line(path.clone(), line), engine, version });
        return;
    }
    let (name, tag) = text.rsplit_once(':').unwrap_or((text, ""));
    let last = name.rsplit('/').next().unwrap_or_default();
    if let Some((name, tag)) = super::manifest::runtime_of_image(last, tag) {
        let node = Node { line, ..Node::default() };
        found.runtimes.extend(runtime(path, &node, name, tag));
    }
}

/// A runtime by the text of its version.
#[must_use]
pub fn runtime(path: &RepoPath, node: &Node, name: &str, text: &str) -> Option<Runtime> {
    let (version, is_minimum) = super::manifest::version(text)?;
    let place = Place::line(path.clone(), node.line);
    Some(Runtime { place, name: name.to_owned(), version, is_minimum, others: Vec::new() })
}

/// The versions of a list that are tried one after another.
#[must_use]
pub fn read_several(path: &RepoPath, name: &str, nodes: &[&Node]) -> Vec<Runtime> {
    let read = |node: &&Node| runtime(path, node, name, node.text().unwrap_or_default());
    let mut found: Vec<Runtime> = nodes.iter().filter_map(read).collect();
    // One that is no number, such as `lts/*`, may be any.
    if found.len() < nodes.len() {
        return Vec::new();
    }
    if found.len() > 1 {
        let all: Vec<_> = found.iter().map(|runtime| runtime.version).collect();
        for runtime in &mut found {
            runtime.others.clone_from(&all);
        }
    }
    found
}

fn read_scripts(path: &RepoPath, job: &Node, found: &mut Pipeline) {
    for line in SCRIPTS.iter().flat_map(|key| scalars(job.at(&[key]))) {
        read_lines(path, line.line, line.text().unwrap_or_default(), found);
    }
}

fn read_lines(path: &RepoPath, line: usize, text: &str, found: &mut Pipeline) {
    let first = if text.contains('\n') { line + 1 } else { line };
    for (at, text) in text.lines().enumerate() {
        let place = Place::line(path.clone(), first + at);
        found.deliveries.extend(read_command(&place, text));
        found.lines.push(Step { place, text: text.to_owned() });
    }
}

/// The scalar that stands there, or those of the list.
fn scalars(node: Option<&Node>) -> Vec<&Node> {
    let Some(node) = node else { return Vec::new() };
    if node.text().is_some() { vec![node] } else { node.items().iter().collect() }
}
