//! The texts of a repository that a check looks at, and what each file is there for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use rayon::prelude::*;

use super::finding::Unread;
use super::language::Grammar;
use crate::tree::{Content, Entry, RepoPath, Tree};

/// Larger than this, source is made by a program.
const MAX_SOURCE: usize = 1 << 20;
/// Deeper brackets than this, no person wrote.
const MAX_NESTING: usize = 256;
/// Longer lines than this, on average, are not for people.
const MAX_LINE: usize = 400;

/// What somebody else wrote, or a program did.
const FOREIGN_FOLDERS: [&str; 26] = [
    "node_modules",
    "bower_components",
    "jspm_packages",
    "vendor",
    "vendors",
    "third_party",
    "third-party",
    "venv",
    ".venv",
    "virtualenv",
    "site-packages",
    "dist",
    "build",
    "out",
    "target",
    ".next",
    ".nuxt",
    "coverage",
    "htmlcov",
    "__pycache__",
    ".tox",
    ".nox",
    ".yarn",
    ".cargo",
    ".idea",
    ".vscode",
];
const FRONTEND_FOLDERS: [&str; 6] =
    ["public", "static", "assets", "wwwroot", "staticfiles", "templates"];
const TEST_FOLDERS: [&str; 13] = [
    "test",
    "tests",
    "__tests__",
    "spec",
    "specs",
    "e2e",
    "testing",
    "fixtures",
    "__mocks__",
    "mocks",
    "cypress",
    "testdata",
    "integration-tests",
];
const EXAMPLE_FOLDERS: [&str; 8] =
    ["examples", "example", "samples", "docs", "doc", "benches", "benchmarks", "snapshots"];
const TASK_FOLDERS: [&str; 9] =
    ["scripts", "script", "tools", "commands", "seeds", "seeders", "seed", "devtools", "hack"];
const MIGRATION_FOLDERS: [&str; 3] = ["migrations", "migration", "alembic"];

/// What a file of source is there for, as far as its path tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    Service,
    /// Run once, by hand or at a deploy.
    Task,
    Migration,
    Test,
    /// Examples, documents, what runs in a browser, what others wrote.
    Foreign,
}

/// A text that was read.
#[derive(Debug)]
pub struct Source {
    pub text: String,
    pub grammar: Option<Grammar>,
    pub part: Part,
}

/// The texts by their path.
#[derive(Debug, Default)]
pub struct Sources {
    texts: BTreeMap<RepoPath, Source>,
    /// Every path, read or not.
    paths: BTreeSet<RepoPath>,
    /// The paths that git tracks, where there is an index.
    tracked: Option<BTreeSet<RepoPath>>,
    pub unread: Vec<Unread>,
}

/// Whether a check reads what stands at `path`.
#[must_use]
pub fn wants(path: &RepoPath) -> bool {
    (!is_in_foreign_folder(path) || is_cargo_config(path)) && wants_name(path)
}

/// What cargo is told in a repository: its `[env]` is what the service runs with.
#[must_use]
pub fn is_cargo_config(path: &RepoPath) -> bool {
    path.as_str() == ".cargo/config.toml"
}

fn is_in_foreign_folder(path: &RepoPath) -> bool {
    folders(path).any(|folder| FOREIGN_FOLDERS.contains(&folder))
}

/// The same for a file that stands in no folder of somebody else's.
fn wants_name(path: &RepoPath) -> bool {
    let name = path.file_name();
    if name.ends_with(".min.js") || name.ends_with(".bundle.js") || name.ends_with(".d.ts") {
        return false;
    }
    match name.rsplit_once('.') {
        Some((
            _,
            "rs" | "py" | "js" | "jsx" | "ts" | "tsx" | "mjs" | "cjs" | "mts" | "cts" | "toml"
            | "yaml" | "yml" | "json" | "jsonc" | "ini" | "cfg" | "prisma" | "sh" | "conf" | "pem"
            | "key" | "bicep" | "tf" | "service",
        )) => true,
        Some((_, "txt" | "in")) => {
            name.contains("require")
                || name == "runtime.txt"
                || folders(path).any(|f| f == "requirements")
        }
        Some((_, "lock")) => is_lock_name(name),
        Some((_, "config")) => folders(path).any(|folder| folder == ".ebextensions"),
        Some(("", _)) => is_dot_file(name),
        _ => {
            is_image_name(name)
                || is_key_name(name)
                || name.starts_with("Procfile")
                || name.starts_with(".env")
                || name.ends_with(".env")
                || name.starts_with("ormconfig.")
                || name == "Pipfile"
                || name == "Makefile"
                || name == "justfile"
                || name == "rust-toolchain"
                || (!name.contains('.')
                    && (is_script_name(name) || folders(path).any(is_script_folder)))
        }
    }
}

/// What scripts of the shell are called that start something, where their name has no end.
fn is_script_name(name: &str) -> bool {
    matches!(
        name,
        "run" | "start" | "boot" | "serve" | "entrypoint" | "release" | "prestart" | "startup"
    ) || ["docker-entrypoint", "entrypoint-", "start-", "start_", "run-"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// Folders in which such scripts stand.
fn is_script_folder(name: &str) -> bool {
    matches!(name, "bin" | "scripts" | "script" | "docker" | "compose" | "deploy")
}

/// A lock file of which the names of packages can be told by its lines.
#[must_use]
pub fn is_lock_name(name: &str) -> bool {
    matches!(name, "uv.lock" | "poetry.lock" | "pdm.lock" | "Pipfile.lock" | "Cargo.lock")
}

/// A private key, as ssh calls it.
fn is_key_name(name: &str) -> bool {
    matches!(name, "id_rsa" | "id_dsa" | "id_ecdsa" | "id_ed25519")
}

fn is_dot_file(name: &str) -> bool {
    name.starts_with(".env")
        || matches!(
            name,
            ".flaskenv"
                | ".gitignore"
                | ".gitmodules"
                | ".dockerignore"
                | ".nvmrc"
                | ".python-version"
                | ".node-version"
                | ".tool-versions"
                | ".sequelizerc"
                | ".secrets"
                | ".envrc"
        )
}

/// Whether a file of that name makes an image.
#[must_use]
pub fn is_image_name(name: &str) -> bool {
    let is_dockerfile = |part: &str| part.eq_ignore_ascii_case("dockerfile");
    let (_, end) = name.rsplit_once('.').unwrap_or_default();
    !end.eq_ignore_ascii_case("dockerignore")
        && (name.eq_ignore_ascii_case("containerfile")
            || name.split(['.', '-']).next().is_some_and(is_dockerfile)
            || is_dockerfile(end))
}

/// The folders that a path leads through.
pub fn folders(path: &RepoPath) -> impl Iterator<Item = &str> {
    folder_of(path).split('/').filter(|part| !part.is_empty())
}

/// The folder of a path, with `/` at its end; nothing for the root.
#[must_use]
pub fn folder_of(path: &RepoPath) -> &str {
    &path.as_str()[..path.as_str().len() - path.file_name().len()]
}

/// A folder and those above it, the nearest first, each with `/` at its end; the root is nothing.
pub fn ancestors(folder: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(folder), |folder| {
        let parent = folder.strip_suffix('/')?;
        Some(parent.rfind('/').map_or("", |end| &parent[..=end]))
    })
}

impl Sources {
    /// Takes the texts out of a tree. What cannot be read is named in `unread`.
    #[must_use]
    pub fn take(tree: Tree, tracked: Option<BTreeSet<RepoPath>>) -> Self {
        let mut sources = Self { tracked, ..Self::default() };
        let submodules = submodules(&tree);
        for path in &submodules {
            let reason = "it is a submodule: check it by itself".to_owned();
            sources.unread.push(Unread { path: path.clone(), reason });
        }
        let is_inside = |path: &RepoPath| {
            submodules.iter().any(|module| {
                let below = path.as_str().strip_prefix(module.as_str());
                below.is_some_and(|rest| rest.starts_with('/'))
            })
        };
        // What was not read with the others, because git would ignore it, is read now.
        for path in tree.unseen().into_iter().filter(wants) {
            let _ = tree.get(&path);
        }
        let (mut files, seen) = tree.into_parts();
        if !submodules.is_empty() {
            files.retain(|path| !is_inside(path));
        }
        let mut contents: Vec<(RepoPath, Arc<Content>, Option<FolderKind>)> = Vec::new();
        // The files of a folder come one after the other.
        let mut folder = Folder::default();
        let mut listed = files.iter().peekable();
        for (path, entry) in seen {
            // Both are in order: what comes before the path is passed over.
            while listed.next_if(|listed| **listed < path).is_some() {}
            if listed.peek() != Some(&&path) {
                continue;
            }
            if folder.name != folder_of(&path) {
                folder = Folder::of(&path);
            }
            if (folder.is_foreign && !is_cargo_config(&path)) || !wants_name(&path) {
                continue;
            }
            match entry {
                Some(Entry::File(content)) => contents.push((path, content, folder.kind)),
                Some(Entry::Other(reason)) => {
                    sources.unread.push(Unread { path: path.to_string(), reason });
                }
                _ => {}
            }
        }
        let read: Vec<_> = contents
            .into_par_iter()
            .map(|(path, content, kind)| {
                let content = Arc::unwrap_or_clone(content);
                let (source, reason) = read_source(&path, kind, content.bytes);
                (path, source, reason)
            })
            .collect();
        let mut texts = Vec::with_capacity(read.len());
        for (path, source, reason) in read {
            if let Some(reason) = reason {
                let reason = reason.to_owned();
                sources.unread.push(Unread { path: path.to_string(), reason });
            }
            if let Some(source) = source {
                texts.push((path, source));
            }
        }
        sources.texts = texts.into_iter().collect();
        sources.paths = files;
        sources
    }

    /// Every text, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&RepoPath, &Source)> {
        self.texts.iter()
    }

    /// Those of service code, tasks and tests.
    pub fn code(&self) -> impl Iterator<Item = (&RepoPath, &Source, Grammar)> {
        self.iter().filter_map(|(path, source)| Some((path, source, source.grammar?)))
    }

    /// The same below a folder, whose name has `/` at its end.
    pub fn code_below<'a>(
        &'a self,
        folder: &'a str,
    ) -> impl Iterator<Item = (&'a RepoPath, &'a Source, Grammar)> {
        let from = (Bound::Included(folder), Bound::Unbounded);
        let below = self.texts.range::<str, _>(from);
        below
            .take_while(move |(path, _)| path.as_str().starts_with(folder))
            .filter_map(|(path, source)| Some((path, source, source.grammar?)))
    }

    #[must_use]
    pub fn get(&self, path: &RepoPath) -> Option<&Source> {
        self.texts.get(path)
    }

    /// The same by a path's text.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<(&RepoPath, &Source)> {
        self.texts.get_key_value(path)
    }

    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        Some(&self.texts.get(path)?.text)
    }

    /// Whether something stands at `path`.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// Every path that git has; where there is no index, that it would take.
    #[must_use]
    pub fn tracked_paths(&self) -> Vec<&RepoPath> {
        match &self.tracked {
            Some(tracked) => self.paths.intersection(tracked).collect(),
            None => self.paths.iter().collect(),
        }
    }

    /// Every path that is not ignored.
    pub fn paths(&self) -> impl Iterator<Item = &RepoPath> {
        self.paths.iter()
    }

    /// Whether git has it; where there is no index, whether git would take it.
    #[must_use]
    pub fn is_tracked(&self, path: &RepoPath) -> bool {
        match &self.tracked {
            Some(tracked) => tracked.contains(path),
            None => self.paths.contains(path),
        }
    }

    /// The files of that name, wherever they stand outside of what is foreign or a test.
    pub fn named<'a>(
        &'a self,
        is_named: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a RepoPath, &'a Source)> {
        self.iter().filter(move |(path, source)| {
            is_named(path.file_name()) && !matches!(source.part, Part::Test | Part::Foreign)
        })
    }
}

/// The text of a file, and what there is to say where it is not read, or not as it stands.
fn read_source(
    path: &RepoPath,
    kind: Option<FolderKind>,
    mut bytes: Vec<u8>,
) -> (Option<Source>, Option<&'static str>) {
    if bytes[..bytes.len().min(8000)].contains(&0) {
        return (None, Some("it is binary"));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    let (text, damage) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            (text, Some("it is not UTF-8: what is not was passed over"))
        }
    };
    let grammar = Grammar::of(path.file_name(), &text);
    let mut part = part_in(kind, path);
    if grammar.is_some() {
        if text.len() > MAX_SOURCE {
            return (None, Some("it is too large to be written by a person"));
        }
        let is_wide = text.len() > 4 * MAX_LINE && text.len() / (count_lines(&text) + 1) > MAX_LINE;
        // A picture for the terminal is as wide, and no program that makes bundles writes one.
        if is_wide && !text.contains('\x1b') {
            part = Part::Foreign;
        }
    }
    if nesting(&text) > MAX_NESTING {
        return (None, Some("it nests too deep"));
    }
    (Some(Source { text, grammar, part }), damage)
}

fn count_lines(text: &str) -> usize {
    memchr::memchr_iter(b'\n', text.as_bytes()).count() + usize::from(!text.ends_with('\n'))
}

fn submodules(tree: &Tree) -> BTreeSet<String> {
    let text = tree.root_text(".gitmodules").unwrap_or_default();
    let paths = text.lines().filter_map(|line| line.trim().strip_prefix("path"));
    paths
        .filter_map(|rest| rest.trim_start().strip_prefix('='))
        .map(|path| path.trim().trim_end_matches('/').to_owned())
        .filter(|path| !path.is_empty())
        .collect()
}

/// How deep the brackets of a text nest at most; where there are few of them, how many there are.
fn nesting(text: &str) -> usize {
    let is_opening = |byte: &u8| matches!(byte, b'(' | b'[' | b'{');
    // So many at a time as one byte can count: several bytes are compared at once then.
    let count = |part: &[u8]| part.iter().map(|byte| u8::from(is_opening(byte))).sum::<u8>();
    let opening: usize = text.as_bytes().chunks(255).map(|part| usize::from(count(part))).sum();
    if opening <= MAX_NESTING {
        return opening;
    }
    let (mut depth, mut deepest) = (0usize, 0);
    let mut before = 0;
    for byte in text.bytes() {
        // An escape of a terminal's begins with one that nothing closes.
        let is_escape = std::mem::replace(&mut before, byte) == b'\x1b';
        match byte {
            b'[' if is_escape => continue,
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// What the name of a folder says of all that is below it; what counts more comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum FolderKind {
    Foreign,
    Test,
    Frontend,
    Migration,
    Task,
}

impl FolderKind {
    fn of(name: &str) -> Option<Self> {
        let is_in = |names: &[&str]| names.contains(&name);
        if is_in(&FOREIGN_FOLDERS) || is_in(&EXAMPLE_FOLDERS) {
            Some(Self::Foreign)
        } else if is_in(&TEST_FOLDERS) || name.ends_with("_tests") || name.ends_with("-tests") {
            Some(Self::Test)
        } else if is_in(&FRONTEND_FOLDERS) {
            Some(Self::Frontend)
        } else if is_in(&MIGRATION_FOLDERS) {
            Some(Self::Migration)
        } else if is_in(&TASK_FOLDERS) {
            Some(Self::Task)
        } else {
            None
        }
    }
}

/// What the path to a folder says of the files in it.
#[derive(Default)]
struct Folder {
    /// With `/` at its end; nothing for the root.
    name: String,
    is_foreign: bool,
    kind: Option<FolderKind>,
}

impl Folder {
    /// The folder of a file.
    fn of(path: &RepoPath) -> Self {
        Self {
            name: folder_of(path).to_owned(),
            is_foreign: is_in_foreign_folder(path),
            kind: folders(path).filter_map(FolderKind::of).min(),
        }
    }
}

/// What a file is there for, by its path.
#[must_use]
pub fn part_of(path: &RepoPath) -> Part {
    part_in(Folder::of(path).kind, path)
}

/// The same for a file in folders of that kind.
fn part_in(kind: Option<FolderKind>, path: &RepoPath) -> Part {
    let name = path.file_name();
    let (stem, rest) = name.split_once('.').unwrap_or((name, ""));
    // Of `notes.test.ts`, that is `test`.
    let infix = rest.rsplit_once('.').map_or("", |(infix, _)| infix);
    let has_infix = |wanted: &[&str]| infix.split('.').any(|found| wanted.contains(&found));
    let is_test_name = has_infix(&["test", "spec", "e2e-spec"])
        || stem.starts_with("test_")
        || stem.ends_with("_test")
        || stem.ends_with("_tests")
        || matches!(
            stem,
            "test" | "tests" | "testing" | "conftest" | "pytest" | "noxfile" | "jest"
        );
    let is_task_name = stem.starts_with("seed")
        || stem.starts_with("populate")
        || matches!(
            stem,
            "manage" | "setup" | "fabfile" | "gulpfile" | "Gruntfile" | "build" | "seeder"
        )
        || has_infix(&["config"])
        // `.eslintrc.js`: it tells a tool.
        || (stem.is_empty() && (name.ends_with("js") || name.ends_with("ts")));
    let is_shell = [".sh", "Procfile"].iter().any(|end| name.ends_with(end));
    let kind = match kind {
        // A script of the shell does not run in a browser: what else the folders say counts.
        Some(FolderKind::Frontend) if is_shell => {
            let kinds = folders(path).filter_map(FolderKind::of);
            kinds.filter(|kind| *kind != FolderKind::Frontend).min()
        }
        kind => kind,
    };
    match kind {
        Some(FolderKind::Foreign) if is_cargo_config(path) => Part::Service,
        Some(FolderKind::Foreign) => Part::Foreign,
        _ if is_test_name => Part::Test,
        Some(FolderKind::Test) => Part::Test,
        Some(FolderKind::Frontend) => Part::Foreign,
        Some(FolderKind::Migration) => Part::Migration,
        _ if is_task_name => Part::Task,
        Some(FolderKind::Task) => Part::Task,
        None => Part::Service,
    }
}
