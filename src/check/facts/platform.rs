//! What platforms run: fly.toml, `.do/app.yaml`, render.yaml, app.json, Kubernetes, Heroku's heroku.yml, Railway's
//! railway.json, the App Engine's app.yaml, nixpacks.toml, App Runner's and Platform.sh's file.

use super::run::{Kind, Role, Run, Stage};
use super::{Backing, Facts};
use crate::check::document::Node;
use crate::check::finding::Place;
use crate::tree::RepoPath;

/// Reads those that are there.
pub fn read(facts: &mut Facts) {
    let mut runs = Vec::new();
    let mut backing = Vec::new();
    for (path, node) in facts.documents(|_| true) {
        match path.file_name() {
            "fly.toml" => read_fly(path, node, &mut runs),
            "app.yaml" | "app.yml" | "spec.yaml" if node.get("services").is_some() => {
                read_app_platform(path, node, &mut runs, &mut backing);
            }
            "app.yaml" | "app.yml" if node.get("runtime").is_some() => {
                read_app_engine(path, node, &mut runs);
            }
            "nixpacks.toml" => read_start(path, node, &["start", "cmd"], &mut runs),
            "apprunner.yaml" => read_start(path, node, &["run", "command"], &mut runs),
            ".platform.app.yaml" => {
                read_start(path, node, &["web", "commands", "start"], &mut runs);
            }
            "render.yaml" | "render.yml" => read_render(path, node, &mut runs),
            "heroku.yml" => read_heroku(path, node, &mut runs),
            "railway.json" | "railway.toml" => read_railway(path, node, &mut runs),
            _ if node.get("kind").is_some() && node.get("apiVersion").is_some() => {
                read_kubernetes(path, node, &mut runs, &mut backing);
            }
            _ => {}
        }
    }
    for run in &mut runs {
        if run.stage == Stage::Any {
            run.stage = Stage::Production;
        }
    }
    facts.runs.extend(runs);
    facts.backing.extend(backing);
}

fn run(path: &RepoPath, line: usize, name: &str, command: &str) -> Run {
    Run::new(Kind::Platform, Place::line(path.clone(), line), name, command)
}

/// The one command that a file names, at the end of these keys.
fn read_start(path: &RepoPath, node: &Node, keys: &[&str], runs: &mut Vec<Run>) {
    let Some((last, above)) = keys.split_last() else { return };
    if let Some(entry) = node.at(above).and_then(|above| above.get(last)) {
        runs.push(run(path, entry.line, "web", entry.value.text().unwrap_or_default()));
    }
}

fn read_fly(path: &RepoPath, node: &Node, runs: &mut Vec<Run>) {
    if let Some(entry) = node.at(&["deploy"]).and_then(|deploy| deploy.get("release_command")) {
        let mut release = run(path, entry.line, "release", entry.value.text().unwrap_or_default());
        release.role = Role::Release;
        runs.push(release);
    }
    for entry in node.at(&["processes"]).map(Node::entries).unwrap_or_default() {
        runs.push(run(path, entry.line, &entry.key, entry.value.text().unwrap_or_default()));
    }
}

/// The App Platform's specification.
fn read_app_platform(
    path: &RepoPath,
    node: &Node,
    runs: &mut Vec<Run>,
    backing: &mut Vec<Backing>,
) {
    for (kind, role) in [
        ("services", Role::Web),
        ("workers", Role::Worker),
        ("jobs", Role::Release),
        ("static_sites", Role::Task),
    ] {
        for item in node.at(&[kind]).map(Node::items).unwrap_or_default() {
            let name = item.text_at(&["name"]).unwrap_or_default();
            let command = item.get("run_command");
            let line = command.map_or(item.line, |entry| entry.line);
            let text = command.and_then(|entry| entry.value.text()).unwrap_or_default();
            let below = item.text_at(&["source_dir"]).unwrap_or_default().trim_matches('/');
            if role == Role::Task || text.is_empty() && role != Role::Web {
                continue;
            }
            let mut found = run(path, line, name, text);
            found.role = role;
            // The source that is built is named from the root.
            found.folder = if below.is_empty() { String::new() } else { format!("{below}/") };
            runs.push(found);
        }
    }
    for (item, engine, version) in read_databases(node) {
        let line = item.get("engine").map_or(item.line, |entry| entry.line);
        let place = Place::line(path.clone(), line);
        backing.push(Backing { place, engine: engine.to_owned(), version });
    }
}

/// The engines that the App Platform attaches, with their versions.
pub fn databases(node: &Node) -> impl Iterator<Item = (&'static str, Option<String>)> {
    read_databases(node).map(|(_, engine, version)| (engine, version))
}

fn read_databases(node: &Node) -> impl Iterator<Item = (&Node, &'static str, Option<String>)> {
    let items = node.at(&["databases"]).map(Node::items).unwrap_or_default();
    items.iter().map(|item| {
        let engine = match item.text_at(&["engine"]).unwrap_or("PG") {
            "PG" => "postgres",
            "MYSQL" => "mysql",
            "MONGODB" => "mongodb",
            _ => "redis",
        };
        (item, engine, item.text_at(&["version"]).map(str::to_owned))
    })
}

/// The App Engine's file, which may leave to the platform what is run.
fn read_app_engine(path: &RepoPath, node: &Node, runs: &mut Vec<Run>) {
    let entry = node.get("entrypoint");
    let line = entry.or_else(|| node.get("runtime")).map_or(node.line, |entry| entry.line);
    let name = node.text_at(&["service"]).unwrap_or_default();
    let text = entry.and_then(|entry| entry.value.text()).unwrap_or_default();
    runs.push(run(path, line, name, text));
}

fn read_render(path: &RepoPath, node: &Node, runs: &mut Vec<Run>) {
    for item in node.at(&["services"]).map(Node::items).unwrap_or_default() {
        let name = item.text_at(&["name"]).unwrap_or_default();
        let role = match item.text_at(&["type"]) {
            Some("worker") => Role::Worker,
            Some("cron" | "redis" | "keyvalue") => continue,
            _ => Role::Web,
        };
        if let Some(entry) = item.get("preDeployCommand") {
            let mut found =
                run(path, entry.line, "release", entry.value.text().unwrap_or_default());
            found.role = Role::Release;
            runs.push(found);
        }
        if let Some(entry) = item.get("startCommand").or_else(|| item.get("dockerCommand")) {
            let mut found = run(path, entry.line, name, entry.value.text().unwrap_or_default());
            found.role = role;
            runs.push(found);
        }
    }
}

fn read_heroku(path: &RepoPath, node: &Node, runs: &mut Vec<Run>) {
    for entry in node.at(&["run"]).map(Node::entries).unwrap_or_default() {
        let command = entry.value.text().or_else(|| entry.value.text_at(&["command"]));
        runs.push(run(path, entry.line, &entry.key, command.unwrap_or_default()));
    }
    if let Some(entry) = node.get("release") {
        let command = entry.value.at(&["command"]);
        let items = command.map(Node::items).unwrap_or_default();
        let text = items.iter().filter_map(Node::text).collect::<Vec<_>>().join(" && ");
        let mut found = run(path, entry.line, "release", &text);
        found.role = Role::Release;
        runs.push(found);
    }
}

fn read_railway(path: &RepoPath, node: &Node, runs: &mut Vec<Run>) {
    let Some(deploy) = node.at(&["deploy"]) else { return };
    for (key, name) in [("startCommand", "web"), ("preDeployCommand", "release")] {
        if let Some(entry) = deploy.get(key) {
            runs.push(run(path, entry.line, name, entry.value.text().unwrap_or_default()));
        }
    }
}

fn read_kubernetes(path: &RepoPath, node: &Node, runs: &mut Vec<Run>, backing: &mut Vec<Backing>) {
    let kind = node.text_at(&["kind"]).unwrap_or_default();
    let template = match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "ReplicaSet" => {
            node.at(&["spec", "template", "spec"])
        }
        "CronJob" => node.at(&["spec", "jobTemplate", "spec", "template", "spec"]),
        "Pod" => node.at(&["spec"]),
        // Cloud Run's, and Knative's.
        "Service" => node.at(&["spec", "template", "spec"]),
        _ => None,
    };
    let Some(template) = template else { return };
    for (key, is_first) in [("initContainers", true), ("containers", false)] {
        for item in template.at(&[key]).map(Node::items).unwrap_or_default() {
            let image = item.text_at(&["image"]).unwrap_or_default();
            let line = item.get("image").map_or(item.line, |entry| entry.line);
            if let Some((engine, version)) = super::compose::engine(image) {
                backing.push(Backing { place: Place::line(path.clone(), line), engine, version });
                continue;
            }
            let words = ["command", "args"].iter().flat_map(|key| {
                item.at(&[key]).map(Node::items).unwrap_or_default().iter().filter_map(Node::text)
            });
            let command = words.collect::<Vec<_>>().join(" ");
            let name = item.text_at(&["name"]).unwrap_or_default();
            let line =
                item.get("command").or_else(|| item.get("args")).map_or(line, |entry| entry.line);
            let mut found =
                Run::new(Kind::Kubernetes, Place::line(path.clone(), line), name, &command);
            found.is_shell = false;
            if is_first || kind == "Job" {
                found.role = Role::Release;
            } else if kind == "CronJob" {
                found.role = Role::Task;
            }
            runs.push(found);
        }
    }
}
