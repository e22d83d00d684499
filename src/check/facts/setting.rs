//! Names with values: in `.env` files, compose, images, platform definitions and configuration files.

use serde::{Deserialize, Serialize};

use super::Facts;
use super::compose::is_compose;
use crate::check::document::Node;
use crate::check::finding::Place;
use crate::check::lines::numbered;
use crate::check::sources::{Part, Sources, folders, is_cargo_config};
use crate::tree::RepoPath;

/// Which kind of file a setting stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// `.env`, that git tracks.
    Env,
    /// `.env.example` and its like.
    Example,
    /// The environment of a service in a compose file.
    Compose,
    /// The same, in a file whose name says production.
    ComposeProduction,
    /// The environment of a backing service that compose starts.
    ComposeBacking,
    /// `ENV` and `ARG` of an image.
    Image,
    /// fly.toml, Kubernetes, app.yaml.
    Platform,
    /// config.json, settings.toml, `config/*.yaml`.
    File,
    /// The environment of a manifest's script, or of a command.
    Command,
}

/// A name with a value.
#[derive(Clone, Debug)]
pub struct Setting {
    pub origin: Origin,
    pub place: Place,
    /// As it is written; in a configuration file its keys, with dots between them.
    pub name: String,
    pub value: String,
}

/// Whether it is an example that nobody runs with.
#[must_use]
pub fn is_example(name: &str) -> bool {
    ["example", "sample", "template", "dist", "tmpl", "default"]
        .iter()
        .any(|word| name.contains(word))
}

/// Whether a file of configuration stands there, that the code reads when it starts.
#[must_use]
pub fn is_config_file(path: &RepoPath) -> bool {
    let name = path.file_name().to_lowercase();
    let Some((stem, end)) = name.rsplit_once('.') else { return false };
    // There, the values are the names of variables.
    let is_mapping = stem == "custom-environment-variables";
    // node-config and its like start from what stands there.
    let is_default = stem == "default";
    if !matches!(end, "json" | "toml" | "yaml" | "yml")
        || !is_default && is_example(&name)
        || is_mapping
    {
        return false;
    }
    let is_config_name = matches!(
        stem,
        "config"
            | "configuration"
            | "settings"
            | "appsettings"
            | "rocket"
            | "app_config"
            | "appconfig"
            | "secrets"
            | "ormconfig"
            | "log4rs"
            | "database"
            | "credentials"
    );
    let is_in_config = folders(path).last().is_some_and(|folder| {
        matches!(folder, "config" | "configuration" | "configs" | "settings" | "conf")
    });
    (is_config_name || is_in_config) && !folders(path).any(|folder| folder.starts_with('.'))
}

/// Whether variables stand there, a line each, that a shell or a library takes from it.
fn is_env_file(path: &RepoPath) -> bool {
    let name = path.file_name();
    let is_named = name.starts_with(".env")
        || name.ends_with(".env")
        || matches!(name, ".flaskenv" | ".secrets");
    // What a test or an editor's container is made from, nobody deploys.
    is_named && !name.contains("test") && !folders(path).any(|folder| folder == ".devcontainer")
}

/// Whether it is one of the INI files that services are configured by.
fn is_ini_file(path: &RepoPath) -> bool {
    let stem = path.file_name().strip_suffix(".ini");
    stem.is_some_and(|stem| {
        matches!(
            stem,
            "alembic" | "config" | "settings" | "app" | "database" | "development" | "production"
        )
    })
}

/// Reads all of them.
pub fn read(sources: &Sources, facts: &mut Facts) {
    let mut settings = Vec::new();
    for (path, source) in sources.iter() {
        if is_env_file(path) && sources.is_tracked(path) && source.part != Part::Test {
            let is_example = is_example(path.file_name());
            let origin = if is_example { Origin::Example } else { Origin::Env };
            settings.extend(read_env(path, &source.text, origin));
        } else if is_ini_file(path) && source.part == Part::Service {
            let read = read_env(path, &source.text, Origin::File).into_iter();
            settings.extend(read.filter(|setting| !setting.value.is_empty()));
        }
    }
    for image in &facts.images {
        for instruction in &image.instructions {
            if matches!(instruction.name.as_str(), "ENV" | "ARG") {
                settings.extend(read_image(&image.place(instruction), &instruction.text));
            }
        }
    }
    for (path, node) in facts.documents(|_| true) {
        if path.as_str() == "app.json" {
            for entry in node.at(&["env"]).map(Node::entries).unwrap_or_default() {
                let place = Place::line(path.clone(), entry.line);
                let value = entry.value.text().or_else(|| entry.value.text_at(&["value"]));
                settings.push(setting(
                    Origin::Platform,
                    place,
                    &entry.key,
                    value.unwrap_or_default(),
                ));
            }
        } else if is_cargo_config(path) || path.file_name() == "nodemon.json" {
            if let Some(environment) = node.at(&["env"]) {
                read_pairs(path, environment, Origin::Env, &mut settings);
            }
        } else if is_compose(path) {
            read_compose(path, node, &mut settings);
        } else if is_config_file(path) {
            let leaves = node.leaves().into_iter();
            settings.extend(leaves.map(|(keys, line, value)| {
                setting(Origin::File, Place::line(path.clone(), line), &keys.join("."), value)
            }));
        } else if matches!(
            path.file_name(),
            "fly.toml" | "app.yaml" | "render.yaml" | "vercel.json"
        ) || node.get("apiVersion").is_some() && node.get("kind").is_some()
        {
            read_platform(path, node, &mut settings);
        }
    }
    facts.settings = settings;
}

fn setting(origin: Origin, place: Place, name: &str, value: &str) -> Setting {
    Setting { origin, place, name: name.trim().to_owned(), value: unquote(value).to_owned() }
}

fn unquote(value: &str) -> &str {
    let value = value.trim();
    ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value)
}

/// `NAME=value` lines.
#[must_use]
pub fn read_env(path: &RepoPath, text: &str, origin: Origin) -> Vec<Setting> {
    numbered(text)
        .filter(|(_, line)| !line.trim_start().starts_with('#'))
        .filter_map(|(number, line)| {
            let (name, value) = line.split_once('=')?;
            let name = name.trim().trim_start_matches("export ").trim();
            let is_name = !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
            let value = value.split(" #").next().unwrap_or_default();
            is_name.then(|| setting(origin, Place::line(path.clone(), number), name, value))
        })
        .collect()
}

/// `ENV A=b C=d`, `ENV A b`, `ARG A=b`.
fn read_image(place: &Place, text: &str) -> Vec<Setting> {
    let make = |at: usize, name: &str, value: &str| {
        let place = Place::line(place.path.clone(), place.line + at);
        setting(Origin::Image, place, name, value)
    };
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let words = shell_words::split(line)
            .unwrap_or_else(|_| line.split_whitespace().map(str::to_owned).collect());
        match words.as_slice() {
            [name, value @ ..] if at == 0 && !name.contains('=') => {
                found.push(make(at, name, &value.join(" ")));
            }
            words => found.extend(
                words
                    .iter()
                    .filter_map(|word| word.split_once('='))
                    .map(|(name, value)| make(at, name, value)),
            ),
        }
    }
    found
}

fn read_compose(path: &RepoPath, node: &Node, settings: &mut Vec<Setting>) {
    let lower = path.as_str().to_lowercase();
    let is_production = ["prod", "deploy", "live"].iter().any(|word| lower.contains(word));
    for service in node.at(&["services"]).map(Node::entries).unwrap_or_default() {
        let image = service.value.text_at(&["image"]).unwrap_or_default();
        let origin = if is_production {
            Origin::ComposeProduction
        } else if super::compose::engine(image).is_some() {
            Origin::ComposeBacking
        } else {
            Origin::Compose
        };
        let Some(environment) = service.value.at(&["environment"]) else { continue };
        read_pairs(path, environment, origin, settings);
    }
}

/// `- NAME=value`, `NAME: value`, `- name: NAME` with `value: …`.
fn read_pairs(path: &RepoPath, node: &Node, origin: Origin, settings: &mut Vec<Setting>) {
    let place = |line| Place::line(path.clone(), line);
    for entry in node.entries() {
        let value = entry.value.text().or_else(|| entry.value.text_at(&["value"]));
        let value = value.unwrap_or_default();
        settings.push(setting(origin, place(entry.line), &entry.key, value));
    }
    for item in node.items() {
        if let Some((name, value)) = item.text().and_then(|text| text.split_once('=')) {
            settings.push(setting(origin, place(item.line), name, value));
        }
        let name = item.text_at(&["name"]).or_else(|| item.text_at(&["key"]));
        if let (Some(name), Some(value)) = (name, item.get("value")) {
            settings.push(setting(
                origin,
                place(value.line),
                name,
                value.value.text().unwrap_or_default(),
            ));
        }
    }
}

fn read_platform(path: &RepoPath, node: &Node, settings: &mut Vec<Setting>) {
    let is_secret = node.text_at(&["kind"]) == Some("Secret");
    if let Some(data) =
        is_secret.then(|| node.at(&["stringData"]).or_else(|| node.at(&["data"]))).flatten()
    {
        read_pairs(path, data, Origin::Platform, settings);
    }
    if node.text_at(&["kind"]) == Some("ConfigMap")
        && let Some(data) = node.at(&["data"])
    {
        read_pairs(path, data, Origin::Platform, settings);
    }
    find_environments(path, node, settings, 0);
}

fn find_environments(path: &RepoPath, node: &Node, settings: &mut Vec<Setting>, depth: usize) {
    if depth > 16 {
        return;
    }
    for entry in node.entries() {
        if matches!(entry.key.as_str(), "env" | "envs" | "envVars") {
            read_pairs(path, &entry.value, Origin::Platform, settings);
        }
        find_environments(path, &entry.value, settings, depth + 1);
    }
    for item in node.items() {
        find_environments(path, item, settings, depth + 1);
    }
}
