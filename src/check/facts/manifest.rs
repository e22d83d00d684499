//! Manifests: which apps there are, what they depend on, which lock pins it, which scripts they have.

use std::collections::{BTreeMap, BTreeSet};

use super::{Facts, Runtime};
use crate::check::document::{self, Node};
use crate::check::finding::Place;
use crate::check::language::Language;
use crate::check::lines::numbered;
use crate::check::sources::{Part, Sources, folder_of};
use crate::tree::RepoPath;

/// A manifest and what it says.
#[derive(Clone, Debug)]
pub struct App {
    pub manifest: RepoPath,
    pub language: Language,
    /// Where its name stands.
    pub line: usize,
    pub dependencies: Vec<Dependency>,
    pub scripts: Vec<Script>,
    /// `main` of a package.
    pub main: Option<String>,
    /// The lock file that pins it.
    pub lock: Option<RepoPath>,
    /// Whether it is only a workspace that holds others, or a library's folder.
    pub is_virtual: bool,
}

#[derive(Clone, Debug)]
pub struct Dependency {
    /// In lower case, with `-` for `_`.
    pub name: String,
    pub line: usize,
    /// What stands behind the name.
    pub wanted: String,
    pub is_dev: bool,
}

impl Dependency {
    /// The versions that it may have, behind the extras.
    #[must_use]
    pub fn range(&self) -> &str {
        self.wanted.split_once(']').map_or(self.wanted.as_str(), |(_, rest)| rest)
    }
}

#[derive(Clone, Debug)]
pub struct Script {
    pub name: String,
    pub line: usize,
    pub command: String,
}

/// Packages of which one makes an app a service.
pub const SERVERS: [&str; 50] = [
    "express",
    "fastify",
    "koa",
    "@nestjs/core",
    "@hapi/hapi",
    "restify",
    "hono",
    "@hono/node-server",
    "polka",
    "next",
    "nuxt",
    "@adonisjs/core",
    "sails",
    "@feathersjs/express",
    "apollo-server",
    "@apollo/server",
    "loopback",
    "@loopback/rest",
    "http-server",
    "socket.io",
    "ws",
    "moleculer-web",
    "egg",
    "@sveltejs/adapter-node",
    "fastify-cli",
    "strapi",
    "@strapi/strapi",
    "elysia",
    "flask",
    "django",
    "fastapi",
    "starlette",
    "aiohttp",
    "tornado",
    "sanic",
    "bottle",
    "pyramid",
    "quart",
    "falcon",
    "litestar",
    "connexion",
    "djangorestframework",
    "axum",
    "actix-web",
    "rocket",
    "warp",
    "hyper",
    "tide",
    "poem",
    "salvo",
];

impl App {
    /// The folder that it stands in, with `/` at its end.
    #[must_use]
    pub fn folder(&self) -> &str {
        folder_of(&self.manifest)
    }

    #[must_use]
    pub fn find(&self, package: &str) -> Option<&Dependency> {
        self.dependencies.iter().find(|dependency| dependency.name == package)
    }

    /// Whether it needs the package when it runs.
    #[must_use]
    pub fn declares(&self, package: &str) -> bool {
        self.dependencies.iter().any(|found| found.name == package && !found.is_dev)
    }

    /// Whether it serves requests, as far as its packages tell.
    #[must_use]
    pub fn serves(&self) -> bool {
        SERVERS.iter().any(|package| self.declares(package))
    }
}

/// Reads every manifest that is no test's.
#[must_use]
pub fn read(sources: &Sources, documents: &BTreeMap<RepoPath, Vec<Node>>) -> Vec<App> {
    let mut apps = Vec::new();
    for (path, nodes) in documents {
        let Some(node) = nodes.first() else { continue };
        match path.file_name() {
            "package.json" => apps.push(read_package(path, node)),
            "Cargo.toml" => apps.push(read_cargo(path, node)),
            "pyproject.toml" => apps.extend(read_pyproject(path, node)),
            _ => {}
        }
    }
    for (path, source) in sources.iter() {
        if matches!(source.part, Part::Test | Part::Foreign) {
            continue;
        }
        if is_requirements(path) {
            apps.push(read_requirements(path, &source.text));
        } else if path.file_name() == "Pipfile" {
            if let Ok(nodes) = document::read("Pipfile.toml", &source.text) {
                apps.extend(nodes.first().map(|node| read_pipfile(path, node)));
            }
        } else if path.file_name() == "setup.py" && source.text.contains("install_requires") {
            apps.push(empty(path, Language::Python));
        }
    }
    for app in &mut apps {
        app.lock = find_lock(sources, app);
    }
    apps
}

fn empty(manifest: &RepoPath, language: Language) -> App {
    App {
        manifest: manifest.clone(),
        language,
        line: 1,
        dependencies: Vec::new(),
        scripts: Vec::new(),
        main: None,
        lock: None,
        is_virtual: false,
    }
}

/// Whether pip reads a file of that name.
#[must_use]
pub fn is_requirements(path: &RepoPath) -> bool {
    let name = path.file_name();
    let is_txt = name.ends_with(".txt") || name.ends_with(".in");
    is_txt && (name.starts_with("requirement") || folder_of(path).ends_with("requirements/"))
}

fn names(node: &Node, is_dev: bool, dependencies: &mut Vec<Dependency>) {
    for entry in node.entries() {
        let wanted = entry
            .value
            .text()
            .or_else(|| entry.value.text_at(&["version"]))
            .unwrap_or_default()
            .to_owned();
        // A dependency may be renamed: the package is what counts.
        let name = entry.value.text_at(&["package"]).unwrap_or(&entry.key);
        dependencies.push(Dependency { name: normal(name), line: entry.line, wanted, is_dev });
    }
}

fn normal(name: &str) -> String {
    name.to_lowercase().replace('_', "-")
}

fn read_package(path: &RepoPath, node: &Node) -> App {
    let mut app = empty(path, Language::JavaScript);
    app.line = node.get("name").map_or(1, |entry| entry.line);
    for (key, is_dev) in [
        ("dependencies", false),
        ("optionalDependencies", false),
        ("peerDependencies", false),
        ("devDependencies", true),
    ] {
        if let Some(found) = node.get(key) {
            names(&found.value, is_dev, &mut app.dependencies);
        }
    }
    if let Some(scripts) = node.get("scripts") {
        app.scripts = scripts
            .value
            .entries()
            .iter()
            .map(|entry| Script {
                name: entry.key.clone(),
                line: entry.line,
                command: entry.value.text().unwrap_or_default().to_owned(),
            })
            .collect();
    }
    app.main = node.text_at(&["main"]).map(str::to_owned);
    app.is_virtual = app.dependencies.is_empty();
    app
}

fn read_cargo(path: &RepoPath, node: &Node) -> App {
    let mut app = empty(path, Language::Rust);
    app.line = node
        .get("package")
        .map_or(1, |entry| entry.value.get("name").map_or(entry.line, |name| name.line));
    app.is_virtual = node.get("package").is_none();
    for (key, is_dev) in
        [("dependencies", false), ("dev-dependencies", true), ("build-dependencies", true)]
    {
        if let Some(found) = node.get(key) {
            names(&found.value, is_dev, &mut app.dependencies);
        }
    }
    for target in node.at(&["target"]).map(Node::entries).unwrap_or_default() {
        if let Some(found) = target.value.get("dependencies") {
            names(&found.value, false, &mut app.dependencies);
        }
    }
    app
}

fn read_pyproject(path: &RepoPath, node: &Node) -> Option<App> {
    let mut app = empty(path, Language::Python);
    let project = node.get("project");
    let poetry = node.at(&["tool", "poetry"]);
    app.line = node
        .at(&["project"])
        .and_then(|found| found.get("name"))
        .or_else(|| poetry.and_then(|found| found.get("name")))
        .map_or(1, |entry| entry.line);
    for item in node.at(&["project", "dependencies"]).map(Node::items).unwrap_or_default() {
        app.dependencies.extend(requirement(item.text().unwrap_or_default(), item.line, false));
    }
    for group in ["optional-dependencies"] {
        for entry in node.at(&["project", group]).map(Node::entries).unwrap_or_default() {
            for item in entry.value.items() {
                app.dependencies.extend(requirement(
                    item.text().unwrap_or_default(),
                    item.line,
                    true,
                ));
            }
        }
    }
    for entry in node.at(&["dependency-groups"]).map(Node::entries).unwrap_or_default() {
        for item in entry.value.items() {
            app.dependencies.extend(requirement(item.text().unwrap_or_default(), item.line, true));
        }
    }
    if let Some(poetry) = poetry {
        for (keys, is_dev) in [
            (&["dependencies"][..], false),
            (&["dev-dependencies"][..], true),
            (&["group", "dev", "dependencies"][..], true),
        ] {
            if let Some(found) = poetry.at(keys) {
                names(found, is_dev, &mut app.dependencies);
            }
        }
    }
    app.dependencies.retain(|dependency| dependency.name != "python");
    // A file that only configures tools declares nothing.
    let declares = project.is_some_and(|found| found.value.get("dependencies").is_some())
        || poetry.is_some_and(|found| found.get("dependencies").is_some());
    declares.then_some(app)
}

fn read_pipfile(path: &RepoPath, node: &Node) -> App {
    let mut app = empty(path, Language::Python);
    for (key, is_dev) in [("packages", false), ("dev-packages", true)] {
        if let Some(found) = node.get(key) {
            names(&found.value, is_dev, &mut app.dependencies);
        }
    }
    app
}

fn read_requirements(path: &RepoPath, text: &str) -> App {
    let mut app = empty(path, Language::Python);
    let name = path.file_name();
    let is_dev =
        ["dev", "test", "lint", "doc", "local", "ci"].iter().any(|word| name.contains(word));
    for (number, line) in numbered(text) {
        app.dependencies.extend(requirement(line, number, is_dev));
    }
    app.line = app.dependencies.first().map_or(1, |first| first.line);
    app
}

/// A line such as `Django==5.1 ; python_version > "3"`.
fn requirement(line: &str, number: usize, is_dev: bool) -> Option<Dependency> {
    let line = line.split(" #").next().unwrap_or_default().trim();
    if line.is_empty()
        || line.starts_with(['#', '-'])
        || line.contains("://") && !line.contains('@')
    {
        return None;
    }
    let end = line
        .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
        .unwrap_or(line.len());
    let (name, wanted) = line.split_at(end);
    let wanted = wanted.split(';').next().unwrap_or_default();
    let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    is_name.then(|| Dependency {
        name: normal(name),
        line: number,
        wanted: wanted.trim_end_matches('\\').trim().to_owned(),
        is_dev,
    })
}

/// The names of the lock files that pin a manifest, the first that is there.
#[must_use]
pub const fn lock_names(language: Language) -> &'static [&'static str] {
    match language {
        Language::Rust => &["Cargo.lock"],
        Language::JavaScript => &[
            "package-lock.json",
            "yarn.lock",
            "pnpm-lock.yaml",
            "bun.lock",
            "bun.lockb",
            "npm-shrinkwrap.json",
            "deno.lock",
        ],
        Language::Python => {
            &["uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock", "pylock.toml", "conda-lock.yml"]
        }
    }
}

/// A workspace's lock stands above its members.
fn find_lock(sources: &Sources, app: &App) -> Option<RepoPath> {
    let folder = app.folder();
    let mut above: Vec<&str> = folder.match_indices('/').map(|(end, _)| &folder[..=end]).collect();
    above.insert(0, "");
    above.iter().rev().find_map(|folder| {
        lock_names(app.language).iter().find_map(|name| {
            let path = format!("{folder}{name}");
            sources.has(&path).then(|| RepoPath::parse(&path).ok()).flatten()
        })
    })
}

/// Which versions of Python, Node.js and Rust are asked for, and where.
pub fn read_runtimes(sources: &Sources, facts: &mut Facts) {
    let mut found = Vec::new();
    let mut add = |place: Place, name: &str, text: &str| {
        if let Some((version, is_minimum)) = version(text) {
            let others = Vec::new();
            found.push(Runtime { place, name: name.to_owned(), version, is_minimum, others });
        }
    };
    for image in &facts.images {
        for (instruction, base) in image.bases() {
            let base = image.resolve(base);
            let (name, tag) = base.rsplit_once(':').unwrap_or((&base, ""));
            let last = name.rsplit('/').next().unwrap_or_default();
            if let Some((name, tag)) = runtime_of_image(last, tag) {
                add(image.place(instruction), name, tag);
            }
        }
    }
    for image in &facts.images {
        for instruction in image.named("RUN") {
            let installed = |line: &str| {
                let (_, rest) = line.split_once("nvm install ")?;
                rest.split_whitespace().next().map(str::to_owned)
            };
            for (at, line) in instruction.text.lines().enumerate() {
                if let Some(text) = installed(line) {
                    add(Place::line(image.path.clone(), instruction.line + at), "node", &text);
                }
            }
        }
    }
    for (file, key, name) in [
        (".tool-versions", "nodejs ", "node"),
        (".tool-versions", "python ", "python"),
        (".tool-versions", "rust ", "rust"),
        ("Pipfile", "python_version = ", "python"),
    ] {
        let lines = sources.text(file).into_iter().flat_map(numbered);
        for (number, text) in lines.filter_map(|(at, line)| Some((at, line.strip_prefix(key)?))) {
            if let Ok(path) = RepoPath::parse(file) {
                add(Place::line(path, number), name, text.trim().trim_matches('"'));
            }
        }
    }
    for (name, file) in [
        ("python", "runtime.txt"),
        ("python", ".python-version"),
        ("node", ".nvmrc"),
        ("node", ".node-version"),
    ] {
        if let Some(text) = sources.text(file) {
            let line = text.lines().next().unwrap_or_default();
            let number = line.trim().trim_start_matches("python-").trim_start_matches('v');
            if let Ok(path) = RepoPath::parse(file) {
                add(Place::line(path, 1), name, number);
            }
        }
    }
    // The header of pip-compile says with which Python it was resolved.
    for (path, source) in sources.iter().filter(|(path, _)| is_requirements(path)) {
        for (number, line) in numbered(&source.text).take(10) {
            if let Some((_, rest)) =
                line.split_once("with python ").or_else(|| line.split_once("with Python "))
            {
                add(Place::line(path.clone(), number), "python", rest.trim());
            }
        }
    }
    read_toolchains(sources, facts, &mut add);
    for (path, node) in facts.documents(|path| path.file_name() == "package.json") {
        if let Some(entry) = node.at(&["volta"]).and_then(|volta| volta.get("node")) {
            let text = entry.value.text().unwrap_or_default();
            add(Place::line(path.clone(), entry.line), "node", text);
        }
        if let Some(entry) = node.at(&["engines"]).and_then(|engines| engines.get("node")) {
            add(
                Place::line(path.clone(), entry.line),
                "node",
                entry.value.text().unwrap_or_default(),
            );
        }
    }
    facts.runtimes.extend(found);
}

/// What Rust's own file and Render's variables ask for.
fn read_toolchains(sources: &Sources, facts: &Facts, add: &mut impl FnMut(Place, &str, &str)) {
    if let Some(text) = sources.text("rust-toolchain")
        && let Ok(path) = RepoPath::parse("rust-toolchain")
    {
        add(Place::line(path, 1), "rust", text.lines().next().unwrap_or_default());
    }
    for (path, node) in facts.documents(|path| path.as_str() == "rust-toolchain.toml") {
        if let Some(entry) = node.at(&["toolchain"]).and_then(|it| it.get("channel")) {
            let text = entry.value.text().unwrap_or_default();
            add(Place::line(path.clone(), entry.line), "rust", text);
        }
    }
    for (path, node) in facts.documents(|path| path.file_name() == "render.yaml") {
        for service in node.at(&["services"]).map(Node::items).unwrap_or_default() {
            for variable in service.at(&["envVars"]).map(Node::items).unwrap_or_default() {
                let name = match variable.text_at(&["key"]) {
                    Some("PYTHON_VERSION") => "python",
                    Some("NODE_VERSION") => "node",
                    _ => continue,
                };
                if let Some(entry) = variable.get("value") {
                    let text = entry.value.text().unwrap_or_default();
                    add(Place::line(path.clone(), entry.line), name, text);
                }
            }
        }
    }
}

/// The runtime that an image has, and the part of its tag that says the version.
#[must_use]
pub fn runtime_of_image<'t>(name: &str, tag: &'t str) -> Option<(&'static str, &'t str)> {
    let runtime = match name {
        "python" => "python",
        "node" | "javascript-node" | "typescript-node" => "node",
        "rust" => "rust",
        // `uv:python3.13-bookworm`
        "uv" => return tag.split_once("python").map(|(_, version)| ("python", version)),
        _ => return None,
    };
    // An editor's image has its own version before: `1-3.12-bookworm`.
    let rest = tag.split_once('-').filter(|(first, rest)| {
        matches!(*first, "0" | "1" | "2" | "3" | "4" | "dev") && version(rest).is_some()
    });
    Some((runtime, rest.map_or(tag, |(_, rest)| rest)))
}

/// The first two numbers of a version, and whether it is only the lower end of a range.
#[must_use]
pub fn version(text: &str) -> Option<((u32, Option<u32>), bool)> {
    let text = text.trim().trim_start_matches('v');
    let start = text.find(|c: char| c.is_ascii_digit())?;
    // `18.x` is a version, `18 || 20` and `18 - 20` are several.
    let is_minimum = text[..start].contains(['>', '^', '~', '<'])
        || text.contains(['|', ','])
        || text.contains(" - ");
    // A name such as `lts-alpine3.20` names no version of the runtime.
    if text[..start].contains(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let mut numbers = text[start..]
        .split(|c: char| c != '.' && !c.is_ascii_digit())
        .next()?
        .split('.')
        .map(|number| number.parse::<u32>().ok());
    let first = numbers.next()??;
    Some(((first, numbers.next().flatten()), is_minimum))
}

/// Every package that a list of manifests declares.
#[must_use]
pub fn all_names(apps: &[App]) -> BTreeSet<&str> {
    apps.iter().flat_map(|app| &app.dependencies).map(|found| found.name.as_str()).collect()
}
