//! Which files a path of a command, an import or a folder that is loaded as a whole leads to.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::LazyLock;

use regex::Regex;

use crate::check::language::Language;
use crate::check::sources::{Part, Source, Sources, ancestors, folder_of};
use crate::tree::RepoPath;

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
pub(super) struct Resolver<'s> {
    pub(super) sources: &'s Sources,
    /// What stands right below a folder in which absolute imports are looked up, by its name without an end: those
    /// folders.
    roots_by_name: HashMap<&'s str, BTreeSet<&'s str>>,
    /// What each file imports, once it was asked.
    imports: RefCell<HashMap<RepoPath, Rc<[RepoPath]>>>,
}

impl<'s> Resolver<'s> {
    pub(super) fn new(sources: &'s Sources, roots: &HashSet<String>) -> Self {
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
    pub(super) fn named_in(&self, folder: &str, command: &str) -> Vec<RepoPath> {
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
    pub(super) fn script(&self, folder: &str, name: &str) -> Option<RepoPath> {
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

    pub(super) fn module(&self, folder: &str, module: &str) -> Vec<RepoPath> {
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

    pub(super) fn close(&self, entries: &BTreeSet<RepoPath>) -> BTreeSet<RepoPath> {
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
    pub(super) fn imports_oddly(&self, path: &RepoPath, declared: &BTreeSet<&str>) -> bool {
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
