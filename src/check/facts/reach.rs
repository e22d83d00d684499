//! Which files a long-running process reaches, by local imports from where it is started.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::LazyLock;

use rayon::prelude::*;
use regex::Regex;

use super::Facts;
use super::manifest::App;
use super::run::{Role, is_server};
use crate::check::language::{Grammar, Language};
use crate::check::sources::{Part, Source, Sources, ancestors, folder_of, folders};
use crate::tree::RepoPath;

/// Who reaches a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reached {
    /// A long-running process.
    Served,
    /// Only what is run once.
    Task,
    /// Nothing: a test, an example, what somebody else wrote, or what nobody imports.
    Nobody,
}

/// Who reaches which file.
#[derive(Debug, Default)]
pub struct Reach {
    files: BTreeMap<RepoPath, Reached>,
    /// Scripts that import what is neither a file nor declared, or a document.
    odd: BTreeSet<RepoPath>,
    /// Where processes start.
    pub entries: BTreeSet<RepoPath>,
    /// What workers reach, and no web process does.
    of_workers: BTreeSet<RepoPath>,
}

/// Names of files that start a service where nothing says which one does.
const USUAL_ENTRIES: [&str; 17] = [
    "server.js",
    "app.js",
    "index.js",
    "main.js",
    "src/server.js",
    "src/app.js",
    "src/index.js",
    "src/main.js",
    "bin/www",
    "src/main.ts",
    "src/server.ts",
    "src/index.ts",
    "src/app.ts",
    "server.ts",
    "index.ts",
    "app.ts",
    "main.ts",
];
const PYTHON_ENTRIES: [&str; 10] = [
    "wsgi.py",
    "asgi.py",
    "main.py",
    "app.py",
    "application.py",
    "run.py",
    "server.py",
    "autoapp.py",
    "manage.py",
    "__main__.py",
];

/// How long a name may be that is imported, in bytes. Bounds in the pattern itself would take longer to compile than a
/// small repository to check.
const MAX_IMPORT: usize = 200;
static SCRIPT_IMPORT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?-u:\b)(?:require\s*\(\s*|import\s*\(\s*|from\s+|import\s+)["'`]([^"'`\n]+)["'`]|(?:__dirname|import\.meta\.(?:dirname|url)),?\s*\+?\s*["']([\w./-]{2,})["']"#,
    )
    .ok()
});
static PYTHON_IMPORT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?m)^[ \t]*(?:from[ \t]+(\.*[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)|import[ \t]+([\w., \t]+))").ok()
});

/// Folders that a script looks through for modules.
static LOADED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?:join|resolve)\(\s*[\w.]+(?:\(\))?\s*,\s*["'`]([\w./-]{2,})["'`]|(?:readdir|readdirSync|glob|sync|globSync)\(\s*["'`]([\w./-]{2,})"#,
    )
    .ok()
});
static LISTED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"\bscript["']?\s*:\s*["'`]([^"'`\n]+)["'`]"#).ok());

/// Whether a word of a command is a list of processes for PM2.
fn is_process_list(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or_default();
    ["ecosystem.", "pm2.", "process.", "processes."].iter().any(|start| name.starts_with(start))
}

/// The files that an import leads to.
struct Resolver<'s> {
    sources: &'s Sources,
    /// What stands right below a folder in which absolute imports are looked up, by its name without an end: those
    /// folders.
    roots_by_name: HashMap<&'s str, BTreeSet<&'s str>>,
    /// What each file imports, once it was asked.
    imports: RefCell<HashMap<RepoPath, Rc<[RepoPath]>>>,
}

/// The apps by the folder that they stand in.
struct Apps<'f> {
    by_folder: HashMap<&'f str, Vec<&'f App>>,
    /// The manifests of what runs in a browser.
    frontends: HashSet<&'f RepoPath>,
}

impl Reach {
    /// Finds it out.
    #[must_use]
    pub fn find(sources: &Sources, facts: &Facts) -> Self {
        let mut roots: HashSet<String> = HashSet::from([String::new(), "src/".to_owned()]);
        for app in &facts.apps {
            roots.insert(app.folder().to_owned());
            roots.insert(format!("{}src/", app.folder()));
        }
        let resolver = Resolver::new(sources, &roots);
        let apps = Apps::of(facts);
        let entries = find_entries(&resolver, facts);
        let served = resolver.close(&entries);
        let of_workers = find_workers(&resolver, facts, &entries);
        let task_entries: BTreeSet<RepoPath> = find_tasks(&resolver, facts);
        let tasks = resolver.close(&task_entries);
        let has_entry = |language| {
            entries.iter().any(|path| {
                sources
                    .get(path)
                    .and_then(|found| found.grammar)
                    .is_some_and(|found| found.language() == language)
            })
        };
        let knows_scripts = has_entry(Language::JavaScript);
        let knows_python = has_entry(Language::Python);
        let packages: BTreeSet<&str> =
            served.iter().filter_map(|path| folders(path).next()).collect();
        let is_django = facts.declares(&["django"]) || sources.has("manage.py");

        let has_service = |is_python: bool| {
            facts
                .apps
                .iter()
                .any(|app| app.serves() && (app.language == Language::Python) == is_python)
        };
        let is_helper = has_service(false) && !has_service(true);

        let reach = |(path, source, grammar): (&RepoPath, &Source, Grammar)| {
            let reached = match source.part {
                // What is started is the service, however it looks.
                Part::Foreign if entries.contains(path) => Reached::Served,
                Part::Test | Part::Foreign => Reached::Nobody,
                Part::Task | Part::Migration if !served.contains(path) => Reached::Task,
                _ if served.contains(path) => Reached::Served,
                _ if tasks.contains(path) => Reached::Task,
                _ => match grammar.language() {
                    Language::Rust => rust_reach(path, &apps),
                    // Frameworks find modules by themselves: what stands in a served package counts.
                    Language::Python if is_django => Reached::Served,
                    Language::Python if knows_python => {
                        let is_beside =
                            folders(path).next().is_some_and(|first| packages.contains(first));
                        if is_beside && !source.text.contains("__main__") {
                            Reached::Served
                        } else {
                            Reached::Task
                        }
                    }
                    // A script beside a service that is written in something else.
                    Language::Python if is_helper && source.text.contains("__main__") => {
                        Reached::Task
                    }
                    Language::JavaScript if knows_scripts => Reached::Task,
                    _ => Reached::Served,
                },
            };
            let reached = match grammar.language() {
                Language::JavaScript if apps.is_frontend(path) => Reached::Nobody,
                _ => reached,
            };
            (path.clone(), reached)
        };
        // In the order of the sources, so that the map is made of it at once.
        let code: Vec<_> = sources.code().collect();
        let files: Vec<_> = code.into_par_iter().map(reach).collect();
        let declared = super::manifest::all_names(&facts.apps);
        let odd = files
            .iter()
            .filter(|(_, reached)| *reached == Reached::Served)
            .filter(|(path, _)| resolver.imports_oddly(path, &declared))
            .map(|(path, _)| path.clone())
            .collect();
        Self { files: files.into_iter().collect(), odd, entries, of_workers }
    }

    #[must_use]
    pub fn of(&self, path: &RepoPath) -> Reached {
        self.files.get(path).copied().unwrap_or(Reached::Nobody)
    }

    /// Whether a script may import what no manifest declares.
    #[must_use]
    pub fn imports_oddly(&self, path: &RepoPath) -> bool {
        self.odd.contains(path)
    }

    /// Whether workers reach it, and no web process does.
    #[must_use]
    pub fn is_for_workers(&self, path: &RepoPath) -> bool {
        self.of_workers.contains(path)
    }

    /// The files that a long-running process reaches.
    pub fn served(&self) -> impl Iterator<Item = &RepoPath> {
        self.files.iter().filter(|(_, reached)| **reached == Reached::Served).map(|(path, _)| path)
    }
}

impl<'f> Apps<'f> {
    fn of(facts: &'f Facts) -> Self {
        let mut by_folder: HashMap<&str, Vec<&App>> = HashMap::new();
        for app in &facts.apps {
            by_folder.entry(app.folder()).or_default().push(app);
        }
        let frontends = facts.apps.iter().filter(|app| is_frontend(app));
        Self { frontends: frontends.map(|app| &app.manifest).collect(), by_folder }
    }

    /// The app whose manifest is the nearest above a file.
    fn nearest(&self, path: &RepoPath, is_wanted: impl Fn(&App) -> bool) -> Option<&'f App> {
        ancestors(folder_of(path)).find_map(|folder| {
            self.by_folder.get(folder)?.iter().copied().find(|app| is_wanted(app))
        })
    }

    fn is_frontend(&self, path: &RepoPath) -> bool {
        let near = self.nearest(path, |app| app.language == Language::JavaScript);
        near.is_some_and(|app| self.frontends.contains(&app.manifest))
    }
}

/// Rust compiles what its crate's modules name: here all below `src`, binaries beside the service's apart.
fn rust_reach(path: &RepoPath, apps: &Apps<'_>) -> Reached {
    let is_crate = |app: &App| app.language == Language::Rust && !app.is_virtual;
    let Some(own) = apps.nearest(path, is_crate) else {
        return Reached::Served;
    };
    let below = path.as_str().strip_prefix(own.folder()).unwrap_or_default();
    if below == "build.rs" {
        return Reached::Task;
    }
    if let Some(name) = below.strip_prefix("src/bin/") {
        let is_server =
            ["server", "web", "api", "main", "app"].iter().any(|word| name.contains(word));
        return if is_server { Reached::Served } else { Reached::Task };
    }
    let is_tool = folders(&own.manifest).any(|folder| {
        matches!(folder, "cli" | "xtask" | "migration" | "migrations" | "tools")
            || folder.split(['-', '_']).any(|word| {
                matches!(word, "smoke" | "test" | "tests" | "bench" | "benches" | "fuzz" | "xtask")
            })
    });
    if is_tool { Reached::Task } else { Reached::Served }
}

/// Whether a manifest has packages for a browser and none for a server.
fn is_frontend(app: &App) -> bool {
    let is_browser = [
        "react",
        "react-dom",
        "vue",
        "svelte",
        "@angular/core",
        "vite",
        "preact",
        "solid-js",
        "esbuild",
        "webpack",
    ]
    .iter()
    .any(|package| app.find(package).is_some());
    app.language == Language::JavaScript && is_browser && !app.serves()
}

fn find_entries(resolver: &Resolver<'_>, facts: &Facts) -> BTreeSet<RepoPath> {
    let mut entries = BTreeSet::new();
    for run in &facts.runs {
        if matches!(run.role, Role::Web | Role::Worker) {
            for step in &run.steps {
                entries.extend(resolver.named_in(&run.folder, &step.text));
            }
        }
    }
    let usual_of_python: Vec<&RepoPath> = resolver
        .sources
        .code()
        .filter(|(path, source, _)| {
            source.part == Part::Service && PYTHON_ENTRIES.contains(&path.file_name())
        })
        .map(|(path, ..)| path)
        .collect();
    for app in facts.apps.iter().filter(|app| app.serves()) {
        match app.language {
            Language::JavaScript => {
                let has_own = entries
                    .iter()
                    .any(|path| path.as_str().starts_with(app.folder()) && is_script(path));
                if !has_own {
                    let main = app.main.iter().map(String::as_str);
                    let usual = main
                        .chain(USUAL_ENTRIES)
                        .filter_map(|name| resolver.script(app.folder(), name));
                    entries.extend(usual.take(1));
                }
            }
            Language::Python => {
                let has_own = entries.iter().any(|path| {
                    path.as_str().starts_with(app.folder()) && path.file_name().ends_with(".py")
                });
                if !has_own {
                    let is_entry = |path: &&&RepoPath| {
                        path.as_str().starts_with(app.folder())
                            && folders(path).count() <= folders(&app.manifest).count() + 3
                    };
                    entries.extend(
                        usual_of_python.iter().filter(is_entry).map(|path| (*path).clone()),
                    );
                }
            }
            Language::Rust => {}
        }
    }
    entries
}

/// What is reached from where only workers start.
fn find_workers(
    resolver: &Resolver<'_>,
    facts: &Facts,
    entries: &BTreeSet<RepoPath>,
) -> BTreeSet<RepoPath> {
    let named_by = |role: Role| -> BTreeSet<RepoPath> {
        let runs = facts.runs.iter().filter(|run| run.role == role);
        let steps = runs.flat_map(|run| run.steps.iter().map(move |step| (run, step)));
        steps.flat_map(|(run, step)| resolver.named_in(&run.folder, &step.text)).collect()
    };
    let workers = named_by(Role::Worker);
    if workers.is_empty() {
        return workers;
    }
    let web = named_by(Role::Web);
    let own: BTreeSet<RepoPath> = workers.difference(&web).cloned().collect();
    let others: BTreeSet<RepoPath> = entries.difference(&own).cloned().collect();
    let of_web = resolver.close(&others);
    resolver.close(&own).difference(&of_web).cloned().collect()
}

fn is_script(path: &RepoPath) -> bool {
    !path.file_name().ends_with(".py") && !path.file_name().ends_with(".rs")
}

fn find_tasks(resolver: &Resolver<'_>, facts: &Facts) -> BTreeSet<RepoPath> {
    let mut entries = BTreeSet::new();
    for app in &facts.apps {
        for script in &app.scripts {
            let is_serving = ["start", "dev", "serve", "watch", "debug"]
                .iter()
                .any(|word| script.name.contains(word));
            if !is_serving {
                entries.extend(resolver.named_in(app.folder(), &script.command));
            }
        }
    }
    for run in facts.runs.iter().filter(|run| matches!(run.role, Role::Release | Role::Task)) {
        for step in run.steps.iter().filter(|step| !is_server(&step.text)) {
            entries.extend(resolver.named_in(&run.folder, &step.text));
        }
    }
    entries
}

impl<'s> Resolver<'s> {
    fn new(sources: &'s Sources, roots: &HashSet<String>) -> Self {
        let mut roots_by_name: HashMap<&str, BTreeSet<&str>> = HashMap::new();
        let mut folder = None;
        for (path, ..) in sources.code() {
            let own = folder_of(path);
            // The files of a folder come one after the other.
            if folder.replace(own) != Some(own) {
                for root in ancestors(own).skip(1).filter(|root| roots.contains(*root)) {
                    let name = own[root.len()..].split('/').next().unwrap_or_default();
                    roots_by_name.entry(name).or_default().insert(root);
                }
            }
            if roots.contains(own) {
                let name = path.file_name().split('.').next().unwrap_or_default();
                roots_by_name.entry(name).or_default().insert(own);
            }
        }
        Self { sources, roots_by_name, imports: RefCell::default() }
    }

    /// The folders in which an absolute import of that first part may be looked up: of those above the file that asks,
    /// the nearest first, then the others.
    fn roots_for(&self, folder: &str, name: &str) -> (Vec<&'s str>, Vec<&'s str>) {
        let Some(all) = self.roots_by_name.get(name) else { return (Vec::new(), Vec::new()) };
        let mut above = Vec::new();
        for ancestor in ancestors(folder) {
            above.extend(all.get(ancestor).copied());
            above.extend(all.get(format!("{ancestor}src/").as_str()).copied());
        }
        let others = all.iter().filter(|root| !above.contains(root)).copied().collect();
        (above, others)
    }

    /// The files that a command names, as a path, or as a module of Python.
    fn named_in(&self, folder: &str, command: &str) -> Vec<RepoPath> {
        let mut found = Vec::new();
        if command.contains("pm2") {
            found.extend(self.named_in_list(folder, command));
        }
        let mut is_module_next = false;
        let mut before = "";
        for word in command.split([' ', '\t', '"', '\'', '=', '\n']) {
            let word = word.trim_matches(['[', ']', ',']);
            if word.is_empty() || word.starts_with('-') {
                is_module_next = word == "-m";
                if !word.is_empty() {
                    before = word;
                }
                continue;
            }
            let before = std::mem::replace(&mut before, word);
            // `python -m shop` runs the package's `__main__`.
            if std::mem::take(&mut is_module_next) {
                found.extend(self.module(folder, &format!("{word}.__main__")));
            }
            let module = word.split(':').next().unwrap_or_default().trim_end_matches("()");
            let is_module = !module.is_empty()
                && module.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
            let is_path = word.contains('/')
                || word.ends_with(".js")
                || word.ends_with(".ts")
                || word.ends_with(".py")
                || word.ends_with(".mjs")
                || word.ends_with(".cjs");
            let is_script = is_path || matches!(before, "node" | "tsx" | "ts-node" | "nodemon");
            if is_script && !is_process_list(word) {
                found.extend(self.named_path(folder, word));
            }
            if is_module && (word.contains(':') || word.contains('.') && !is_path) {
                let files = self.module(folder, module);
                // `jobs.Settings` is a class of the module.
                let (around, _) = module.rsplit_once('.').unwrap_or((module, ""));
                let is_within = files.is_empty() && around != module;
                found.extend(if is_within { self.module(folder, around) } else { files });
            } else if is_module && matches!(before, "-A" | "--app") {
                found.extend(self.module(folder, module));
                found.extend(self.module(folder, &format!("{module}.celery")));
            }
        }
        if ["nest start", "nest build"].iter().any(|start| command.contains(start)) {
            found.extend(self.file(&format!("{folder}src/main.ts")));
        }
        found
    }

    /// The scripts that PM2's list of processes names.
    fn named_in_list(&self, folder: &str, command: &str) -> Vec<RepoPath> {
        let lists = command.split_whitespace().filter(|word| is_process_list(word));
        let texts = lists.filter_map(|word| {
            self.sources.text(&format!("{folder}{}", word.trim_start_matches("./")))
        });
        let Some(pattern) = LISTED.as_ref() else { return Vec::new() };
        let named = texts.flat_map(|text| pattern.captures_iter(text)).filter_map(|groups| {
            self.named_path(folder, groups.get(1).map_or("", |word| word.as_str()))
        });
        named.collect()
    }

    /// The script that a path of a command means, as it is, or below the folder that an image copies the source to.
    fn named_path(&self, folder: &str, word: &str) -> Option<RepoPath> {
        let plain = word.trim_start_matches("./").trim_start_matches('/');
        let mut below = Some(plain);
        while let Some(rest) = below {
            let found = self.script(folder, rest).or_else(|| self.script("", rest));
            if found.is_some() {
                return found;
            }
            below = rest.split_once('/').map(|(_, rest)| rest).filter(|_| word.starts_with('/'));
        }
        None
    }

    fn file(&self, path: &str) -> Option<RepoPath> {
        let (path, source) = self.sources.find(&tidy(path)?)?;
        source.grammar?;
        Some(path.clone())
    }

    /// The script that a path means: without its end, as a folder's index, or as what was built from it.
    fn script(&self, folder: &str, name: &str) -> Option<RepoPath> {
        let name = name.trim_start_matches("./");
        let plain = format!("{folder}{name}");
        let mut names = vec![plain.clone()];
        for built in ["dist/", "build/", "lib/", "out/"] {
            if let Some(rest) = name.strip_prefix(built) {
                names.extend([format!("{folder}src/{rest}"), format!("{folder}{rest}")]);
            }
        }
        names.iter().find_map(|name| {
            let bare =
                [".js", ".mjs", ".cjs", ".jsx"].iter().find_map(|end| name.strip_suffix(end));
            let as_typed = bare.and_then(|bare| {
                [".ts", ".tsx", ".mts"].iter().find_map(|end| self.file(&format!("{bare}{end}")))
            });
            self.file(name).or(as_typed).or_else(|| {
                [
                    ".ts",
                    ".tsx",
                    ".js",
                    ".mjs",
                    ".cjs",
                    ".jsx",
                    "/index.ts",
                    "/index.js",
                    "/index.mjs",
                    "/index.tsx",
                    "/main.ts",
                    "/main.js",
                ]
                .iter()
                .find_map(|end| self.file(&format!("{}{end}", name.trim_end_matches('/'))))
            })
        })
    }

    fn module(&self, folder: &str, module: &str) -> Vec<RepoPath> {
        let path = module.replace('.', "/");
        let at = |root: &str| -> Vec<RepoPath> {
            let names = [format!("{root}{path}.py"), format!("{root}{path}/__init__.py")];
            names.iter().filter_map(|name| self.file(name)).collect()
        };
        let (above, others) = self.roots_for(folder, module.split('.').next().unwrap_or_default());
        let beside = [folder.to_owned(), format!("{folder}src/")];
        let roots = beside.iter().map(String::as_str).chain(above).chain(others);
        roots.map(at).find(|found| !found.is_empty()).unwrap_or_default()
    }

    fn close(&self, entries: &BTreeSet<RepoPath>) -> BTreeSet<RepoPath> {
        let mut reached = entries.clone();
        let mut open: VecDeque<RepoPath> = entries.iter().cloned().collect();
        while let Some(path) = open.pop_front() {
            for next in self.imports(&path).iter() {
                if reached.insert(next.clone()) {
                    open.push_back(next.clone());
                }
            }
        }
        reached
    }

    fn imports(&self, path: &RepoPath) -> Rc<[RepoPath]> {
        if let Some(known) = self.imports.borrow().get(path) {
            return Rc::clone(known);
        }
        let source = self.sources.get(path);
        let found: Rc<[RepoPath]> =
            source.map(|source| self.read_imports(path, source)).unwrap_or_default().into();
        self.imports.borrow_mut().insert(path.clone(), Rc::clone(&found));
        found
    }

    fn read_imports(&self, path: &RepoPath, source: &Source) -> Vec<RepoPath> {
        match source.grammar.map(crate::check::language::Grammar::language) {
            Some(Language::JavaScript) => self.script_imports(path, &source.text),
            Some(Language::Python) => self.python_imports(path, &source.text),
            _ => Vec::new(),
        }
    }

    fn script_imports(&self, path: &RepoPath, text: &str) -> Vec<RepoPath> {
        let Some(pattern) = SCRIPT_IMPORT.as_ref() else { return Vec::new() };
        let folder = folder_of(path);
        let mut found = Vec::new();
        for import in pattern.captures_iter(text) {
            let part = |at| {
                import.get(at).map(|name| name.as_str()).filter(|name| name.len() <= MAX_IMPORT)
            };
            if let Some(name) = part(1) {
                // `require('./routes/' + name)`: all that stands there.
                let loaded = name.split("${").next().filter(|start| start.ends_with('/'));
                if let Some(start) = loaded.filter(|start| start.starts_with('.')) {
                    found.extend(self.loaded(folder, start));
                } else if name.starts_with('.') {
                    found.extend(self.script("", &format!("{folder}{name}")));
                } else {
                    let bare =
                        name.strip_prefix("@/").or_else(|| name.strip_prefix("~/")).unwrap_or(name);
                    let bare = bare.strip_prefix('#').unwrap_or(bare);
                    let first = bare.split(['/', '.']).next().unwrap_or_default();
                    // Another app's files are imported by its name, never by their path.
                    let (above, _) = self.roots_for(folder, first);
                    found.extend(above.into_iter().find_map(|root| self.script(root, bare)));
                }
            } else if let Some(name) = part(2) {
                found.extend(self.loaded(folder, name));
            }
        }
        let loads =
            ["readdir", "utoload", "utoLoad", "glob"].iter().any(|word| text.contains(word));
        if let Some(pattern) = LOADED.as_ref().filter(|_| loads) {
            for names in pattern.captures_iter(text) {
                let name = names.iter().skip(1).flatten().next().map_or("", |name| name.as_str());
                if name.len() > MAX_IMPORT {
                    continue;
                }
                found.extend(self.loaded(folder, name));
                found.extend(self.loaded("", name));
            }
        }
        found
    }

    /// What stands in a folder that is loaded as a whole.
    fn loaded(&self, folder: &str, name: &str) -> Vec<RepoPath> {
        let name = name.trim_start_matches('/').trim_end_matches('/');
        let Some(below) = tidy(&format!("{folder}{name}")).filter(|below| !below.is_empty()) else {
            return Vec::new();
        };
        let below = format!("{below}/");
        // What is run by hand lies there as well, and is loaded by nobody.
        let loaded = self.sources.code_below(&below);
        let loaded = loaded.filter(|(_, source, _)| source.part != Part::Task);
        loaded.map(|(path, ..)| path.clone()).collect()
    }

    /// Whether a script names what is neither relative nor declared as it stands.
    fn imports_oddly(&self, path: &RepoPath, declared: &BTreeSet<&str>) -> bool {
        let source = self.sources.get(path);
        let is_script = |source: &&Source| {
            source.grammar.is_some_and(|found| found.language() == Language::JavaScript)
        };
        let (Some(source), Some(pattern)) = (source.filter(is_script), SCRIPT_IMPORT.as_ref())
        else {
            return false;
        };
        pattern.captures_iter(&source.text).filter_map(|import| import.get(1)).any(|name| {
            let name = name.as_str();
            name.len() <= MAX_IMPORT
                && (name.ends_with(".json")
                    || !name.starts_with(['.', '/']) && !declared.contains(name))
        })
    }

    fn python_imports(&self, path: &RepoPath, text: &str) -> Vec<RepoPath> {
        let Some(pattern) = PYTHON_IMPORT.as_ref() else { return Vec::new() };
        let folder = folder_of(path);
        let mut found = Vec::new();
        for import in pattern.captures_iter(text) {
            if let Some(names) = import.get(3) {
                for name in names.as_str().split(',') {
                    let name = name.split_whitespace().next().unwrap_or_default();
                    found.extend(self.module(folder, name));
                }
                continue;
            }
            let module = import.get(1).map_or("", |module| module.as_str());
            let names = import.get(2).map_or("", |names| names.as_str());
            let dots = module.len() - module.trim_start_matches('.').len();
            let name = module.trim_start_matches('.');
            let base = if dots == 0 {
                None
            } else {
                let mut base = folder;
                for _ in 1..dots {
                    base = base.trim_end_matches('/').rfind('/').map_or("", |end| &base[..=end]);
                }
                Some(base)
            };
            let look_up = |module: &str| match base {
                Some(base) => {
                    let path = module.replace('.', "/");
                    [format!("{base}{path}.py"), format!("{base}{path}/__init__.py")]
                        .iter()
                        .filter_map(|name| self.file(name))
                        .collect()
                }
                None => self.module(folder, module),
            };
            if !name.is_empty() {
                found.extend(look_up(name));
            }
            for imported in names.trim_matches(['(', ')']).split(',') {
                let imported = imported.split_whitespace().next().unwrap_or_default();
                if imported.is_empty() || imported == "*" {
                    continue;
                }
                let full = if name.is_empty() {
                    imported.to_owned()
                } else {
                    format!("{name}.{imported}")
                };
                found.extend(look_up(&full));
            }
        }
        // Flask takes settings by the name of a module, or of a class in one.
        for (at, call) in text.match_indices("from_object(") {
            let argument = text[at + call.len()..].trim_start().trim_start_matches('f');
            let name = argument.strip_prefix(['"', '\'']).unwrap_or("config");
            let end = name
                .find(|letter: char| letter != '.' && letter != '_' && !letter.is_alphanumeric());
            let name = name[..end.unwrap_or(name.len())].trim_end_matches('.');
            let module = name.rsplit_once('.').map_or(name, |(module, _)| module);
            found.extend(self.module(folder, name));
            found.extend(self.module(folder, module));
        }
        found
    }
}

/// A path without `.` and `..`; nothing where it leads out.
fn tidy(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
