//! What is run: each command with its role, from Procfiles, images, compose, platforms and manifests.

use serde::{Deserialize, Serialize};

use super::Facts;
use super::image::{Image, exec_form};
use super::manifest::App;
use crate::check::finding::Place;
use crate::check::lines::numbered;
use crate::check::sources::{Sources, folder_of};
use crate::tree::RepoPath;

/// What a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Web,
    Worker,
    /// A release phase: it runs once, before the others.
    Release,
    /// Run by hand.
    Task,
    /// Run while a release is built.
    Build,
}

/// Where it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    Production,
    /// Nothing says where.
    Any,
    Development,
}

/// Which kind of file defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Procfile,
    Image,
    Compose,
    /// fly.toml, app.yaml, app.json, render.yaml.
    Platform,
    Kubernetes,
    /// A script of the manifest, such as `npm start`.
    Manifest,
}

/// A command that a definition runs.
#[derive(Clone, Debug)]
pub struct Run {
    pub kind: Kind,
    pub place: Place,
    /// The process's name, where it has one.
    pub name: String,
    pub role: Role,
    pub stage: Stage,
    /// The folder that it is run in, with `/` at its end.
    pub folder: String,
    /// The Dockerfile of the image that it is run in, where there is one.
    pub image: Option<RepoPath>,
    /// Whether a shell reads it.
    pub is_shell: bool,
    /// The commands one after another, each with its place; the last one stays.
    pub steps: Vec<Step>,
    /// Whether source from outside is mounted over what was built.
    pub mounts_source: Vec<Place>,
    /// Programs that stand between the system and the last step: `npm`, a script.
    pub through: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub place: Place,
    pub text: String,
}

impl Run {
    #[must_use]
    pub fn new(kind: Kind, place: Place, name: &str, command: &str) -> Self {
        let mut steps = split(&place, command);
        if let [only] = steps.as_slice()
            && let Some(line) = shell_argument(&only.text)
        {
            steps = split(&place, line);
        }
        let mut run = Self {
            kind,
            name: name.to_owned(),
            role: Role::Web,
            stage: stage_of(&place.path),
            folder: folder_of(&place.path).to_owned(),
            image: None,
            is_shell: true,
            steps,
            place,
            mounts_source: Vec::new(),
            through: Vec::new(),
        };
        run.role = run.guess_role();
        run
    }

    /// Whether a person wrote it down as how the service is run, more than a manifest's script does.
    #[must_use]
    pub fn is_definition(&self) -> bool {
        self.kind != Kind::Manifest
    }

    /// The command that stays.
    #[must_use]
    pub fn main(&self) -> &str {
        self.steps.last().map_or("", |step| &step.text)
    }

    /// All of it, as one line.
    #[must_use]
    pub fn command(&self) -> String {
        self.steps.iter().map(|step| step.text.as_str()).collect::<Vec<_>>().join(" && ")
    }

    /// What an entry point does comes first.
    pub(super) fn enter(&mut self, entry: &str) {
        // One that is a shell itself reads the command.
        if !entry.is_empty() && shell_argument(&format!("{entry} :")).is_none() {
            let step = Step { place: self.place.clone(), text: entry.to_owned() };
            self.steps.insert(0, step);
        }
    }

    pub(super) fn guess_role(&self) -> Role {
        let name = self.name.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
        let main = self.main();
        let is_web_name = says(&["web", "server", "api", "app", "http", "backend"]);
        if name == "release"
            || says(&["migrat", "pre_deploy", "pre-deploy", "predeploy", "prestart"])
        {
            Role::Release
        } else if is_migration(main) {
            if self.kind == Kind::Manifest { Role::Task } else { Role::Release }
        } else if says(&["worker", "celery", "beat", "sched", "clock", "queue", "consumer", "cron"])
            || ["celery ", "rq worker", "dramatiq ", "sidekiq", "qcluster", "process_tasks"]
                .iter()
                .any(|word| main.contains(word))
        {
            if is_web_name && is_server(main) { Role::Web } else { Role::Worker }
        } else if says(&["test", "lint", "shell", "console", "seed"]) {
            Role::Task
        } else {
            Role::Web
        }
    }
}

/// Whether a file is an editor's, for the container in which people develop.
#[must_use]
pub fn is_of_editor(path: &RepoPath) -> bool {
    super::super::sources::folders(path).any(|folder| folder.starts_with(".devcontainer"))
        || path.file_name().starts_with(".gitpod")
}

/// Whether a command changes a database's schema.
#[must_use]
pub fn is_migration(command: &str) -> bool {
    [
        "migrate",
        "alembic upgrade",
        "alembic -c",
        "db upgrade",
        "db:migrate",
        "migration:run",
        "migration run",
        "migration up",
        "migrations forward",
        "dbmate up",
        "yoyo apply",
        "drizzle-kit push",
        "diesel setup",
        "sqlx database",
        "db:create",
        "db push",
        "aerich upgrade",
        "migrations:run",
        "migrations run",
        "migration:up",
        "schema:sync",
        "db-upgrade",
        "initdb",
        "init-db",
        "init_db",
        "create_db",
        "syncdb",
    ]
    .iter()
    .any(|word| command.contains(word))
        && !command.contains("makemigrations")
}

/// Whether a command is a server that stays.
#[must_use]
pub fn is_server(command: &str) -> bool {
    [
        "gunicorn",
        "uvicorn",
        "hypercorn",
        "daphne",
        "waitress-serve",
        "flask run",
        "runserver",
        "uwsgi",
        "node ",
        "granian",
        "fastapi run",
        "next start",
        "nest start",
        "pm2-runtime",
        "bun run",
        "deno run",
        "tsx ",
        "ts-node ",
    ]
    .iter()
    .any(|word| command.contains(word))
}

/// Where what a file defines is run, as far as its path tells.
#[must_use]
pub fn stage_of(path: &RepoPath) -> Stage {
    let lower = path.as_str().to_lowercase();
    let words: Vec<&str> = lower.split(['/', '.', '-', '_']).collect();
    let says = |names: &[&str]| words.iter().any(|word| names.contains(word));
    if says(&["prod", "production", "deploy", "release", "staging", "stg"]) {
        Stage::Production
    } else if says(&[
        "dev",
        "devel",
        "development",
        "local",
        "override",
        "test",
        "testing",
        "ci",
        "devcontainer",
        "gitpod",
        "develop",
        "windows",
        "e2e",
        "debug",
    ]) {
        Stage::Development
    } else {
        Stage::Any
    }
}

/// A shell's line as the commands that it runs one after another.
pub(super) fn split(place: &Place, command: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut quote = None;
    let (mut start, mut line) = (0, place.line);
    let mut end_step = |from: usize, to: usize, line: usize, begins_line: bool| {
        let text = command[from..to].trim().trim_end_matches('\\').trim();
        if text.is_empty() {
            return;
        }
        // Options on a line of their own belong to the command before.
        if let Some(last) = steps.last_mut().filter(|_| begins_line && text.starts_with('-')) {
            last.text = format!("{} {text}", last.text);
            return;
        }
        let place = Place::line(place.path.clone(), line);
        steps.push(Step { place, text: text.to_owned() });
    };
    let bytes = command.as_bytes();
    let (mut at, mut begins_line, mut first) = (0, false, place.line);
    while at < bytes.len() {
        let byte = bytes[at];
        let length = match (quote, byte) {
            (Some(open), _) => {
                quote = quote.filter(|_| byte != open);
                0
            }
            (None, b'"' | b'\'') => {
                quote = Some(byte);
                0
            }
            (None, b'\n' | b';') => 1,
            (None, b'&' | b'|') if bytes.get(at + 1) == Some(&byte) => 2,
            // In the background.
            (None, b'&') if at > 0 && bytes[at - 1] == b' ' => {
                usize::from(bytes.get(at + 1).is_none_or(u8::is_ascii_whitespace))
            }
            _ => 0,
        };
        let is_break = byte == b'\n';
        if length > 0 {
            end_step(start, at, first, begins_line);
            (start, begins_line) = (at + length, is_break);
        }
        line += usize::from(is_break);
        if length > 0 {
            first = line;
        }
        at += length.max(1);
    }
    end_step(start, command.len(), first, begins_line);
    steps
}

/// `web: …` lines.
pub fn read_procfiles(sources: &Sources, facts: &mut Facts) {
    for (path, source) in sources.named(|name| name.starts_with("Procfile")) {
        for (number, line) in numbered(&source.text) {
            let Some((name, command)) = line.split_once(':') else { continue };
            let is_name = !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            if is_name && !command.trim().is_empty() {
                let place = Place::line(path.clone(), number);
                facts.runs.push(Run::new(Kind::Procfile, place, name, command.trim()));
            }
        }
    }
}

/// What the last stage of an image starts.
pub fn read_images(facts: &mut Facts) {
    let own = facts.images.iter().filter(|image| !image.is_of_editor());
    let runs: Vec<Run> = own.filter_map(read_image).collect();
    facts.runs.extend(runs);
}

fn read_image(image: &Image) -> Option<Run> {
    let (entry, command) = image.start(None);
    let Some(first) = entry.or(command) else { return read_base(image) };
    let words = |text: &str| exec_form(text).map(|words| join(&words));
    let is_shell = [entry, command].iter().flatten().any(|found| exec_form(&found.text).is_none());
    let texts = [entry, command]
        .map(|found| found.map(|found| words(&found.text).unwrap_or_else(|| found.text.clone())));
    let place = if command.is_some() && entry.is_some() { command.unwrap_or(first) } else { first };
    let whole = texts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let mut run = Run::new(Kind::Image, image.place(place), "", &whole);
    run.image = Some(image.path.clone());
    run.is_shell = is_shell;
    if !is_shell && !run.main().starts_with("sh ") {
        // In JSON form nothing splits it, unless it names a shell itself.
        if let Some(line) = shell_argument(&whole) {
            run.steps = split(&run.place, line);
            run.is_shell = true;
            if command.is_some() {
                run.enter(&entry.and_then(|entry| words(&entry.text)).unwrap_or_default());
            }
        }
    }
    Some(run)
}

/// Images that start a server by themselves, after a script of the service's own.
const SERVING_BASES: [(&str, &str); 3] = [
    ("tiangolo/uvicorn-gunicorn", "gunicorn -k uvicorn.workers.UvicornWorker app.main:app"),
    ("tiangolo/meinheld-gunicorn", "gunicorn -k egg:meinheld#gunicorn_worker app.main:app"),
    ("tiangolo/uwsgi-nginx", "uwsgi --ini /app/uwsgi.ini"),
];

/// The script that they run before.
pub(super) const PRESTART: &str = "/app/prestart.sh";

/// What the image that it is made from starts.
fn read_base(image: &Image) -> Option<Run> {
    let (from, base) = image.bases().last()?;
    let (_, command) = SERVING_BASES.iter().find(|(name, _)| base.contains(name))?;
    let mut run = Run::new(Kind::Image, image.place(from), "", command);
    let prestart = Step { place: run.place.clone(), text: PRESTART.to_owned() };
    run.steps.insert(0, prestart);
    run.image = Some(image.path.clone());
    run.is_shell = false;
    Some(run)
}

fn join(words: &[String]) -> String {
    words.join(" ")
}

/// What stands behind `sh -c`.
#[must_use]
pub fn shell_argument(command: &str) -> Option<&str> {
    let flags = [" -c ", " -lc ", " -ec ", " -ce ", " -exc ", " -xc ", " -euc ", " -ic "];
    let (program, line) = flags.iter().find_map(|flag| command.split_once(flag))?;
    let name = program.rsplit('/').next().unwrap_or_default();
    ["sh", "bash", "ash", "dash", "zsh"]
        .contains(&name.split_whitespace().next_back().unwrap_or_default())
        .then(|| line.trim().trim_matches(['"', '\'']))
}

/// What `npm start` runs.
pub fn read_start_scripts(facts: &mut Facts) {
    let mut runs = Vec::new();
    let has_framework = facts.apps.iter().any(App::serves);
    for app in facts.apps.iter().filter(|app| app.serves() || !has_framework && starts_node(app)) {
        for script in &app.scripts {
            let place = Place::line(app.manifest.clone(), script.line);
            let mut run = Run::new(Kind::Manifest, place, &script.name, &script.command);
            run.role = match script.name.as_str() {
                "start" | "start:prod" | "serve" | "server" | "start:production" | "prod" => {
                    Role::Web
                }
                _ => Role::Task,
            };
            if run.role == Role::Web {
                // What npm runs before it.
                let before = format!("pre{}", script.name);
                for before in app.scripts.iter().filter(|script| script.name == before) {
                    let place = Place::line(app.manifest.clone(), before.line);
                    run.steps.splice(0..0, split(&place, &before.command));
                }
                run.stage = Stage::Any;
                runs.push(run);
            }
        }
    }
    facts.runs.extend(runs);
}

/// Whether a package without a framework is started as a program of Node.js.
fn starts_node(app: &App) -> bool {
    app.scripts.iter().filter(|script| script.name == "start").any(|script| {
        let mut words = script.command.split_whitespace().filter(|word| !word.contains('='));
        words.next().is_some_and(|word| matches!(word, "node" | "tsx" | "ts-node" | "bun" | "deno"))
    })
}
