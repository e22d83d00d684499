//! Reads a tree into the `Service` that it holds: from `dozen.toml`, or from the signs that a stack lists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex::Regex;

use super::{Backing, Process, Runtime, Service, Variable};
use crate::answers::name::Name;
use crate::answers::question::Question;
use crate::answers::record;
use crate::check::document::{self, Node};
use crate::check::facts::{compose, platform};
use crate::error::{Error, Result};
use crate::merge::Format;
use crate::stack::{Detection, Known, Stack};
use crate::tree::{RepoPath, Tree};

const PROCFILE: &str = "Procfile";
/// The names under which people list a service's variables.
pub const VARIABLE_FILES: [&str; 4] = [".env.example", ".env.sample", ".env.template", ".env.dist"];
/// The names that compose looks for.
pub const COMPOSE_FILES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
/// Engines of which a service has one.
const DATABASES: [&str; 5] = ["postgres", "mysql", "mariadb", "mssql", "cockroachdb"];
/// Variables that the system or a tool sets, and no service is configured by.
const FOREIGN_VARIABLES: [&str; 8] = ["CI", "HOME", "LANG", "PATH", "PWD", "TMPDIR", "TZ", "USER"];

/// The service in `tree`, whose root is `root`; its stack is `stack` where that is told.
///
/// # Errors
/// Nothing tells which stack it is of, or its `dozen.toml` is broken.
pub fn detect(tree: &Tree, root: &Path, stack: Option<&str>) -> Result<Service> {
    if let Some(answers) = record::read_recorded(tree)? {
        return Service::from_answers(&answers);
    }
    let stack = match stack {
        Some(slug) => Stack::find(slug)?,
        None => find_stack(tree, root)?,
    };
    read_signs(tree, root, &stack)
}

/// The stack that the files at the root tell.
///
/// # Errors
/// They tell none.
pub fn find_stack(tree: &Tree, root: &Path) -> Result<Stack> {
    let mut stacks = Stack::all()?;
    stacks.sort_by_key(|stack| stack.detect.marker.is_none());
    let stands = |name: &String| tree.root_text(name).is_some();
    let is_marked = |signs: &Detection| {
        signs.marker.iter().all(stands)
            || signs
                .dependency
                .as_ref()
                .is_some_and(|name| list_dependencies(tree, &signs.manifests).contains(name))
    };
    stacks
        .iter()
        .find(|stack| stack.detect.manifests.iter().any(stands) && is_marked(&stack.detect))
        .cloned()
        .ok_or_else(|| Error::UnknownRepository {
            path: root.to_owned(),
            known: stacks.iter().map(|stack| stack.slug.clone()).collect(),
        })
}

fn read_signs(tree: &Tree, root: &Path, stack: &Stack) -> Result<Service> {
    let signs = &stack.detect;
    let mut service = Service::name(&read_name(tree, root, stack), stack)?;
    let dependencies = list_dependencies(tree, &signs.manifests);

    if let Some((sign, manager)) = first_known(tree, &signs.package_managers) {
        service.learnt.insert("package_manager", sign.clone());
        service.facts.package_manager = Some(manager);
        service.facts.lock = Some(sign);
    }
    service.facts.framework = signs
        .frameworks
        .iter()
        .find(|known| dependencies.contains(&known.sign))
        .map(|known| known.says.clone());
    if let Some((sign, version)) = first_version(tree, &signs.runtimes) {
        service.learnt.insert("runtime", sign);
        service.facts.runtime =
            Some(Runtime { name: stack.title.clone(), minimum: version.clone(), version });
    }
    if let Some((sign, command)) = first_known(tree, &signs.migrations) {
        service.learnt.insert("commands.migrate", sign);
        service.facts.commands.migrate = Some(command);
    }
    if let Some(name) = COMPOSE_FILES.iter().find(|name| builds(tree, name)) {
        service.learnt.insert("image", (*name).to_owned());
    }
    service.facts.processes = read_processes(tree, &mut service, signs.web.as_slice());
    attach_engines(&mut service, &list_engines(tree, signs))?;
    for backing in &mut service.facts.backing {
        if let Some(major) = agree(&find_versions(tree, &backing.engine)) {
            pin(backing, major);
        }
        backing.is_there = starts(tree, backing);
    }
    service.variables = read_variables(tree, stack)?;
    Ok(service)
}

/// Whether a compose file builds an image already, under whatever name its service has.
fn builds(tree: &Tree, compose: &str) -> bool {
    let text = tree.root_text(compose).unwrap_or_default();
    text.lines().any(|line| line.trim_start().starts_with("build:"))
}

fn read_name(tree: &Tree, root: &Path, stack: &Stack) -> Name {
    let told = stack.detect.names.iter().find_map(|sign| look_up(tree, sign));
    let folder = || Some(root.canonicalize().ok()?.file_name()?.to_str()?.to_owned());
    let given = told.or_else(folder).unwrap_or_default();
    // Somebody's package may well have a name that `new` would refuse; only its forms matter here.
    Name::parse(&given, &[]).unwrap_or_else(|rejection| Name::form(&rejection.proposal))
}

/// What a sign says: the content of a file, or the value at a key in it.
#[must_use]
pub fn look_up(tree: &Tree, sign: &str) -> Option<String> {
    let Some((file, keys)) = sign.split_once('#') else {
        return Some(tree.root_text(sign)?.trim().to_owned());
    };
    let text = tree.root_text(file)?;
    let value: serde_json::Value = if Path::new(file).extension().is_some_and(|end| end == "json") {
        serde_json::from_str(&text).ok()?
    } else {
        toml::from_str(&text).ok()?
    };
    keys.split('.').try_fold(&value, |value, key| value.get(key))?.as_str().map(str::to_owned)
}

fn first_known(tree: &Tree, known: &[Known]) -> Option<(String, String)> {
    known.iter().find_map(|known| {
        let said = look_up(tree, &known.sign)?;
        Some((known.sign.clone(), known.says.replace("{}", &said)))
    })
}

/// The first version number that a sign names: `3.13` of `>=3.13,<4`.
fn first_version(tree: &Tree, signs: &[String]) -> Option<(String, String)> {
    signs.iter().find_map(|sign| {
        let said = look_up(tree, sign)?;
        let start = said.find(|c: char| c.is_ascii_digit())?;
        let version: String =
            said[start..].chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        Some((sign.clone(), version.trim_end_matches('.').to_owned()))
    })
}

/// What may be the name of a package in a manifest, whatever its format.
pub fn list_words(manifest: &str) -> impl Iterator<Item = &str> {
    manifest.split(|c: char| !(c.is_ascii_alphanumeric() || "-_@/".contains(c)))
}

/// The words of the manifests: a dependency's name is one of them.
fn list_dependencies(tree: &Tree, manifests: &[String]) -> BTreeSet<String> {
    manifests
        .iter()
        .filter_map(|name| tree.root_text(name))
        .flat_map(|text| list_words(&text).map(str::to_lowercase).collect::<Vec<_>>())
        .collect()
}

fn read_processes(tree: &Tree, service: &mut Service, web: &[Known]) -> Vec<Process> {
    let process = |name: &str, command: &str| Process {
        name: name.trim().to_owned(),
        command: command.trim().to_owned(),
        about: String::new(),
    };
    let mut listed: Vec<Process> =
        read_procfile(tree).iter().map(|(name, command)| process(name, command)).collect();
    if !listed.is_empty() {
        service.learnt.insert("processes", PROCFILE.to_owned());
    }
    // A Procfile of a release phase alone, which `add` may have made, says nothing of what runs.
    if listed.iter().all(|process| process.name == "release")
        && let Some((sign, command)) = first_known(tree, web)
    {
        service.learnt.insert("processes", sign);
        listed.push(process("web", &command));
    }
    listed
}

/// The processes that a Procfile names, in its order.
#[must_use]
pub fn read_procfile(tree: &Tree) -> Vec<(String, String)> {
    let text = tree.root_text(PROCFILE).unwrap_or_default();
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once(':'))
        .map(|(name, command)| (name.trim().to_owned(), command.trim().to_owned()))
        .collect()
}

/// The engines whose clients are among the dependencies, those that dozen knows nothing else of included.
#[must_use]
pub fn list_engines(tree: &Tree, signs: &Detection) -> BTreeSet<String> {
    let dependencies = list_dependencies(tree, &signs.manifests);
    let clients = signs.clients.iter().filter(|known| dependencies.contains(&known.sign));
    clients.map(|known| known.says.clone()).collect()
}

/// Attaches the engines whose clients are among the dependencies, as the common layer describes them.
fn attach_engines(service: &mut Service, engines: &BTreeSet<String>) -> Result<()> {
    for question in Question::options()? {
        let chosen = engines.iter().find(|engine| question.find_choice(engine).is_some());
        if let Some(engine) = chosen {
            service.choose(&question, engine);
        }
    }
    let described: Vec<Backing> = service.describe_backing()?;
    service.facts.backing =
        described.into_iter().filter(|backing| engines.contains(&backing.engine)).collect();
    Ok(())
}

/// Whether a compose file has that service, or a database under another name, be it of another engine.
fn starts(tree: &Tree, backing: &Backing) -> bool {
    let composes = tree.files().filter(|path| compose::is_compose_name(path.file_name()));
    let nodes =
        composes.filter_map(|path| document::read(path.file_name(), &tree.text(path)?).ok());
    nodes.flatten().any(|node| {
        let services = node.at(&["services"]).map(Node::entries).unwrap_or_default();
        services.iter().any(|service| {
            let engine = compose::engine(service.value.text_at(&["image"]).unwrap_or_default());
            let is_same = engine.is_some_and(|(engine, _)| {
                engine == backing.engine
                    || [&engine, &backing.engine].iter().all(|it| DATABASES.contains(&it.as_str()))
            });
            is_same || service.key == backing.name
        })
    })
}

/// The major versions of an engine that pipelines, platforms and compose files name.
fn find_versions(tree: &Tree, engine: &str) -> Vec<Option<u32>> {
    let is_yaml = |path: &&RepoPath| Format::of(path.as_str()) == Some(Format::Yaml);
    let mut found = Vec::new();
    for path in tree.files().filter(is_yaml) {
        let nodes = document::read(path.file_name(), &tree.text(path).unwrap_or_default());
        for node in nodes.unwrap_or_default() {
            let leaves = node.leaves().into_iter();
            let images = leaves.filter(|(keys, ..)| keys.last() == Some(&"image"));
            let named = images.filter_map(|(_, _, image)| compose::engine(image));
            let platform =
                platform::databases(&node).map(|(engine, version)| (engine.to_owned(), version));
            let versions = named.chain(platform).filter(|(named, _)| named == engine);
            found.extend(versions.map(|(_, version)| {
                let version = version.unwrap_or_default();
                let major = version.split(|c: char| !c.is_ascii_digit()).next();
                major.and_then(|major| major.parse().ok())
            }));
        }
    }
    found
}

/// The version that all name; nothing where one does not, or several differ.
fn agree(named: &[Option<u32>]) -> Option<u32> {
    let first = named.first()?;
    (*first).filter(|_| named.iter().all(|major| major == first))
}

/// Takes a service in the version that is deployed.
fn pin(backing: &mut Backing, major: u32) {
    let name = backing.image.split(':').next().unwrap_or_default();
    backing.image = format!("{name}:{major}");
    // The image keeps its data one folder up since.
    if backing.engine == "postgres" && major < 18 {
        "/data".clone_into(&mut backing.data);
    }
}

/// The variables that an example file lists, and those that the sources read, by name.
fn read_variables(tree: &Tree, stack: &Stack) -> Result<Vec<Variable>> {
    let mut variables = BTreeMap::new();
    for text in VARIABLE_FILES.iter().filter_map(|name| tree.root_text(name)) {
        for name in text.lines().filter_map(|line| line.split_once('=')) {
            remember_variable(&mut variables, name.0.trim());
        }
    }
    for pattern in &stack.detect.reads_variable {
        let expression = Regex::new(pattern).map_err(|error| Error::Embedded {
            path: format!("{}/stack.toml", stack.slug),
            reason: error.to_string(),
        })?;
        let is_source = |name: &str| stack.detect.sources.iter().any(|end| name.ends_with(end));
        for path in tree.files().filter(|path| is_source(path.as_str())) {
            let text = tree.text(path).unwrap_or_default();
            for found in expression.captures_iter(&text) {
                // Several at once, where a language takes variables apart: `A, B: b, C = "default"`.
                for name in found.get(1).map_or("", |names| names.as_str()).split(',') {
                    let name = name.split([':', '=']).next().unwrap_or_default();
                    remember_variable(&mut variables, name.trim());
                }
            }
        }
    }
    Ok(variables.into_values().collect())
}

fn remember_variable(variables: &mut BTreeMap<String, Variable>, name: &str) {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    if is_name(name) && !FOREIGN_VARIABLES.contains(&name) {
        variables.entry(name.to_owned()).or_insert_with(|| Variable {
            name: name.to_owned(),
            about: String::new(),
            required: false,
            secret: ["SECRET", "PASSWORD", "TOKEN", "KEY"].iter().any(|word| name.contains(word)),
            default: None,
            example: None,
            production: None,
        });
    }
}
