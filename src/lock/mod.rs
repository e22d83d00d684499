//! The locks that a plan leaves open, and the package manager of the project's own that closes each.
//!
//! Which ones is pure: `managers.toml` knows the managers, `list` what a list of requirements lacks. `make` runs the
//! command in a copy, and only where its user wants that: it may use the network.

mod list;
mod make;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use self::list::find_compiled;
pub use self::make::{LIMIT, Made, make};
use crate::check::document;
use crate::check::facts::manifest::SERVERS;
use crate::check::finding::Finding;
use crate::check::sources::{folder_of, is_image_name};
use crate::error::{Error, Result};
use crate::factor::Factor;
use crate::mend;
use crate::merge;
use crate::pattern::Pattern;
use crate::plan::{Instruction, Plan};
use crate::tree::{Content, Entry, RepoPath, Tree};

const MANAGERS: &str = include_str!("managers.toml");
/// The rules that a lock answers.
const MISSING: &str = "lock-missing";
const IGNORED: &str = "lock-ignored";
const STALE: &str = "lock-stale";
const INCOMPLETE: &str = "requirements-incomplete";

/// A package manager, as `managers.toml` says it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manager {
    manifest: String,
    locks: Vec<String>,
    #[serde(default)]
    format: Option<Pattern>,
    #[serde(default)]
    sign: Option<Pattern>,
    #[serde(default)]
    workspace: Option<Pattern>,
    #[serde(default)]
    reads: Vec<String>,
    #[serde(default)]
    takes: Vec<String>,
    make: Option<String>,
    update: Option<String>,
    keep: Option<Keep>,
    #[serde(default)]
    set: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keep {
    matches: Pattern,
    argument: String,
}

#[derive(Deserialize)]
struct Managers {
    manager: Vec<Manager>,
}

/// A lock that is missing, or is not what its manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    pub lock: RepoPath,
    pub manifest: RepoPath,
    /// What closes it, run in the folder of the lock.
    pub command: Vec<String>,
    /// The rule that found it, in this place; none where the plan's own change opens it.
    rule: Option<&'static str>,
    place: RepoPath,
    /// The names of the files that the command needs.
    takes: Vec<String>,
    set: BTreeMap<String, String>,
}

/// # Errors
/// The table is broken: a defect of this build.
fn managers() -> Result<&'static [Manager]> {
    static READ: OnceLock<Result<Managers, String>> = OnceLock::new();
    let read = READ.get_or_init(|| toml::from_str(MANAGERS).map_err(|error| error.to_string()));
    match read {
        Ok(managers) => Ok(&managers.manager),
        Err(reason) => Err(Error::Embedded {
            path: "src/lock/managers.toml".to_owned(),
            reason: reason.clone(),
        }),
    }
}

/// What is open once `plan`, made for `before`, has left `after`: what its changes of manifests open, and what it leaves
/// to a person though a package manager can do it.
///
/// # Errors
/// The table of package managers is broken: a defect of this build.
pub fn find_open(before: &Tree, after: &Tree, plan: &Plan) -> Result<Vec<Open>> {
    let mut open: Vec<Open> = Vec::new();
    let mut add = |found: Option<Open>| {
        if let Some(found) = found.filter(|found| open.iter().all(|known| known.lock != found.lock))
        {
            open.push(found);
        }
    };
    for change in &plan.changes {
        add(find_outdated(before, after, &change.path)?);
        add(find_compiled(after, &change.path));
    }
    for left in &plan.instructions {
        let manifest = &left.path;
        match left.rule.as_str() {
            MISSING => add(find_missing(after, manifest)?),
            IGNORED => {
                let folder = folder_of(&left.path);
                let manifest = find_service(after, folder)?.map(|(manifest, _)| manifest);
                let found = manifest.map(|it| find_missing(after, &it)).transpose()?.flatten();
                let rule = Some(IGNORED);
                add(found.map(|found| Open { place: left.path.clone(), rule, ..found }));
            }
            STALE => {
                let found = find_lock(after, manifest)?;
                add(found.and_then(|found| found.open(manifest, Some(STALE))));
            }
            INCOMPLETE => add(Some(list::complete(after, manifest))),
            _ => {}
        }
    }
    Ok(open)
}

/// The locks that stand in a tree, and were missing only because git ignored them.
///
/// # Errors
/// The table of package managers is broken: a defect of this build.
pub fn find_hidden(tree: &Tree, plan: &Plan) -> Result<Vec<RepoPath>> {
    let mut hidden = Vec::new();
    for left in plan.instructions.iter().filter(|left| left.rule == MISSING) {
        let found = find_lock(tree, &left.path)?.map(|found| found.lock);
        hidden.extend(found.filter(|lock| !is_ignored(tree, lock)));
    }
    Ok(hidden)
}

/// The lock that the package manager of a service would make in a folder, whether it is there or not.
///
/// # Errors
/// The table of package managers is broken: a defect of this build.
pub fn find_wanted(tree: &Tree, folder: &str) -> Result<Option<String>> {
    Ok(find_service(tree, folder)?.and_then(|(_, manager)| manager.locks.first().cloned()))
}

/// The manifest of a service in a folder, with its package manager.
fn find_service(tree: &Tree, folder: &str) -> Result<Option<(RepoPath, &'static Manager)>> {
    for name in ["Cargo.toml", "package.json", "pyproject.toml", "Pipfile"] {
        let Ok(manifest) = RepoPath::parse(&format!("{folder}{name}")) else { continue };
        if let Some(manager) = find_signed(tree, &manifest)?.filter(|_| is_service(tree, &manifest))
        {
            return Ok(Some((manifest, manager)));
        }
    }
    Ok(None)
}

/// A lock that stands there, with what keeps it.
struct Found {
    manager: &'static Manager,
    lock: RepoPath,
    text: String,
}

impl Found {
    fn open(self, manifest: &RepoPath, rule: Option<&'static str>) -> Option<Open> {
        let mut command = words(self.manager.update.as_ref()?);
        if let Some(keep) = &self.manager.keep
            && let Some(found) = keep.matches.captures(&self.text)
        {
            let mut argument = String::new();
            found.expand(&keep.argument, &mut argument);
            command.push(argument);
        }
        Some(open(self.manager, self.lock, manifest, command, rule))
    }
}

fn open(
    manager: &Manager,
    lock: RepoPath,
    manifest: &RepoPath,
    command: Vec<String>,
    rule: Option<&'static str>,
) -> Open {
    let takes = manager.takes.iter().chain([&manager.manifest]).cloned().collect();
    Open {
        lock,
        manifest: manifest.clone(),
        place: manifest.clone(),
        command,
        rule,
        takes,
        set: manager.set.clone(),
    }
}

/// The lock of a manifest which says something else now than it did.
fn find_outdated(before: &Tree, after: &Tree, manifest: &RepoPath) -> Result<Option<Open>> {
    let Some(found) = find_lock(after, manifest)? else { return Ok(None) };
    let is_same =
        read_parts(before, manifest, found.manager) == read_parts(after, manifest, found.manager);
    Ok(if is_same { None } else { found.open(manifest, None) })
}

/// What of a manifest its lock is made from.
fn read_parts(tree: &Tree, manifest: &RepoPath, manager: &Manager) -> Option<Vec<String>> {
    let text = tree.text(manifest)?;
    if manager.reads.is_empty() {
        return Some(vec![text]);
    }
    let nodes = document::read(manifest.file_name(), &text).ok()?;
    let node = nodes.first()?;
    let parts = manager.reads.iter().flat_map(|keys| {
        let keys: Vec<&str> = keys.split('.').collect();
        let leaves = node.at(&keys).map(document::Node::leaves).unwrap_or_default();
        let said = leaves.into_iter().map(|(below, _, value)| format!("{below:?}={value}"));
        std::iter::once(format!("{keys:?}")).chain(said).collect::<Vec<_>>()
    });
    Some(parts.collect())
}

/// A lock that nobody has made yet, where a service wants one.
fn find_missing(tree: &Tree, manifest: &RepoPath) -> Result<Option<Open>> {
    if let Some(found) = find_lock(tree, manifest)?.filter(|found| !is_ignored(tree, &found.lock)) {
        return Ok(found.open(manifest, Some(MISSING)));
    }
    let Some(manager) = find_signed(tree, manifest)? else { return Ok(None) };
    let (Some(command), Some(name)) = (&manager.make, manager.locks.first()) else {
        return Ok(None);
    };
    if !is_service(tree, manifest) {
        return Ok(None);
    }
    let folder = find_workspace(tree, manifest, manager);
    let Ok(lock) = RepoPath::parse(&format!("{folder}{name}")) else { return Ok(None) };
    if is_ignored(tree, &lock) {
        return Ok(None);
    }
    Ok(Some(open(manager, lock, manifest, words(command), Some(MISSING))))
}

/// Whether git leaves out what would stand there.
fn is_ignored(tree: &Tree, path: &RepoPath) -> bool {
    for folder in folders_up(path) {
        let file = RepoPath::parse(&format!("{folder}.gitignore"));
        let text = file.ok().and_then(|file| tree.text(&file)).unwrap_or_default();
        let below = path.as_str().strip_prefix(&folder).unwrap_or(path.as_str());
        if let Some(is_ignored) = merge::ignores(&text, below) {
            return is_ignored;
        }
    }
    false
}

/// Whether it is a service that the manifest is of: a library leaves its versions to whom it serves.
fn is_service(tree: &Tree, manifest: &RepoPath) -> bool {
    mend::declares(tree, manifest, &SERVERS)
}

/// The package manager of which there is a sign.
fn find_signed(tree: &Tree, manifest: &RepoPath) -> Result<Option<&'static Manager>> {
    let Some(text) = tree.text(manifest) else { return Ok(None) };
    let tells = |path: &&RepoPath| {
        let name = path.file_name();
        is_image_name(name) || name == "Procfile" || path.as_str().starts_with(".github/workflows/")
    };
    let mut texts = vec![text];
    texts.extend(tree.files().filter(tells).filter_map(|path| tree.text(path)));
    let is_shown = |manager: &&Manager| {
        manager.manifest == manifest.file_name()
            && manager.make.is_some()
            && manager.sign.as_ref().is_none_or(|sign| texts.iter().any(|text| sign.is_match(text)))
    };
    Ok(managers()?.iter().find(is_shown))
}

/// The lock of a manifest, beside it or above.
fn find_lock(tree: &Tree, manifest: &RepoPath) -> Result<Option<Found>> {
    let of_manifest = |manager: &&Manager| manager.manifest == manifest.file_name();
    for folder in folders_up(manifest) {
        for manager in managers()?.iter().filter(of_manifest) {
            for name in &manager.locks {
                let Ok(lock) = RepoPath::parse(&format!("{folder}{name}")) else { continue };
                let Some(text) = tree.text(&lock) else { continue };
                if manager.format.as_ref().is_none_or(|format| format.is_match(&text)) {
                    return Ok(Some(Found { manager, lock, text }));
                }
            }
        }
    }
    Ok(None)
}

/// The folder where the lock of a manifest belongs: that of its workspace, or its own.
fn find_workspace(tree: &Tree, manifest: &RepoPath, manager: &Manager) -> String {
    let holds = |folder: &String| {
        let path = RepoPath::parse(&format!("{folder}{}", manager.manifest));
        let text = path.ok().and_then(|path| tree.text(&path)).unwrap_or_default();
        manager.workspace.as_ref().is_some_and(|workspace| workspace.is_match(&text))
    };
    folders_up(manifest).find(holds).unwrap_or_else(|| folder_of(manifest).to_owned())
}

/// The folder of a path and those above it, each with `/` at its end; the root is nothing.
fn folders_up(path: &RepoPath) -> impl Iterator<Item = String> {
    let mut folders: Vec<String> = path.folders().map(|folder| format!("{folder}/")).collect();
    folders.reverse();
    folders.push(String::new());
    folders.into_iter()
}

fn words(command: &str) -> Vec<String> {
    command.split_whitespace().map(str::to_owned).collect()
}

impl Open {
    /// As a person would type it.
    #[must_use]
    pub fn command_line(&self) -> String {
        shell_words::join(&self.command)
    }

    /// What its user is asked.
    #[must_use]
    pub fn question(&self) -> String {
        let lock = &self.lock;
        let does = match self.rule {
            Some(MISSING | IGNORED) => format!("make {lock}"),
            Some(INCOMPLETE) => format!("complete {lock}"),
            _ => format!("bring {lock} up to date"),
        };
        format!("{does} with `{}`? it asks the registry", self.command_line())
    }

    /// Whether it stands for what a rule found in a place.
    #[must_use]
    pub fn answers(&self, rule: &str, path: &RepoPath) -> bool {
        self.rule == Some(rule) && self.place == *path
    }

    /// The rule and place that have to be gone once it is closed.
    #[must_use]
    pub fn is_closed(&self, findings: &[Finding]) -> bool {
        !findings.iter().any(|finding| self.answers(&finding.rule, &finding.place.path))
    }

    /// What a person has to run, as it is not run here; `why` where it was tried.
    #[must_use]
    pub fn instruct(&self, why: Option<&str>) -> Instruction {
        let (lock, manifest) = (&self.lock, self.manifest.file_name());
        let mut message = match self.rule {
            Some(MISSING | IGNORED) => format!("{manifest} has no lock file beside it"),
            Some(INCOMPLETE) => format!("{manifest} pins its own packages only"),
            _ => format!("{} does not have what {manifest} says", lock.file_name()),
        };
        if let Some(why) = why {
            message = format!("{message}; {why}");
        }
        let command = self.command_line();
        let at = match folder_of(lock).trim_end_matches('/') {
            "" => String::new(),
            folder => format!(" in {folder}"),
        };
        let fix = if self.rule == Some(INCOMPLETE) {
            format!(
                "Run `{command}`{at} and add to {manifest} what it lacks of that, or let `--lock` do it."
            )
        } else {
            format!("Run `{command}`{at} and commit {}, or let `--lock` do it.", lock.file_name())
        };
        Instruction {
            rule: self.rule.unwrap_or(STALE).to_owned(),
            factor: Factor::Dependencies,
            path: self.manifest.clone(),
            line: 1,
            message,
            fix,
        }
    }
}

/// Whether a path can be read as what it should be: a file that is not there yet, or one that can be put back.
fn read_before(tree: &Tree, path: &RepoPath) -> Result<Option<Arc<Content>>, String> {
    match tree.get(path) {
        None => Ok(None),
        Some(Entry::File(content)) => Ok(Some(content)),
        Some(Entry::Other(reason)) => Err(reason),
        Some(Entry::Link | Entry::Folder) => Err(format!("{path} is no regular file")),
    }
}
