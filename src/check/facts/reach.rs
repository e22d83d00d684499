//! Which files a long-running process reaches, by local imports from where it is started.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rayon::prelude::*;

use super::Facts;
use super::manifest::App;
use super::resolve::Resolver;
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
