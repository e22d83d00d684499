//! What is run: each command with its role, from Procfiles, images, compose, platforms and manifests.

use serde::{Deserialize, Serialize};

use super::Facts;
use super::image::exec_form;
use super::manifest::Script;
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
        let steps = split(&place, command);
        let mut run = Self {
            kind,
            name: name.to_owned(),
            role: Role::Web,
            stage: stage_of(&place.path),
            folder: folder_of(&place.path).to_owned(),
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

    fn guess_role(&self) -> Role {
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
fn split(place: &Place, command: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut line = place.line;
    for (at, text) in command.split('\n').enumerate() {
        if at > 0 {
            line += 1;
        }
        for part in text.split("&&").flat_map(|part| part.split(';')) {
            let text = part.trim().trim_end_matches('\\').trim();
            if !text.is_empty() {
                let place = Place::line(place.path.clone(), line);
                steps.push(Step { place, text: text.to_owned() });
            }
        }
    }
    // What goes on in the next line without `&&` is one command.
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
    let mut runs = Vec::new();
    for image in &facts.images {
        let last = |name: &str| image.last_stage().filter(|found| found.name == name).last();
        let (entry, command) = (last("ENTRYPOINT"), last("CMD"));
        let Some(first) = entry.or(command) else { continue };
        let words = |text: &str| exec_form(text).map(|words| join(&words));
        let is_shell =
            [entry, command].iter().flatten().any(|found| exec_form(&found.text).is_none());
        let texts = [entry, command].map(|found| {
            found.map(|found| words(&found.text).unwrap_or_else(|| found.text.clone()))
        });
        let place =
            if command.is_some() && entry.is_some() { command.unwrap_or(first) } else { first };
        let whole = texts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let mut run = Run::new(Kind::Image, image.place(place), "", &whole);
        run.is_shell = is_shell;
        if !is_shell && !run.main().starts_with("sh ") {
            // In JSON form nothing splits it, unless it names a shell itself.
            if let Some(line) = shell_argument(&whole) {
                run.steps = split(&run.place, line);
                run.is_shell = true;
            }
        }
        runs.push(run);
    }
    facts.runs.extend(runs);
}

fn join(words: &[String]) -> String {
    words.join(" ")
}

/// What stands behind `sh -c`.
#[must_use]
pub fn shell_argument(command: &str) -> Option<&str> {
    let (program, line) = command.split_once(" -c ").or_else(|| command.split_once(" -lc "))?;
    let name = program.rsplit('/').next().unwrap_or_default();
    ["sh", "bash", "ash", "dash"]
        .contains(&name.split_whitespace().next_back().unwrap_or_default())
        .then(|| line.trim().trim_matches(['"', '\'']))
}

/// What `npm start` runs.
pub fn read_start_scripts(facts: &mut Facts) {
    let mut runs = Vec::new();
    for app in facts.apps.iter().filter(|app| app.serves()) {
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
                run.stage = Stage::Any;
                runs.push(run);
            }
        }
    }
    facts.runs.extend(runs);
}

/// Replaces `npm start` and scripts by what they run, so that rules see it.
pub fn expand(sources: &Sources, facts: &mut Facts) {
    let mut runs = std::mem::take(&mut facts.runs);
    for run in &mut runs {
        for _ in 0..4 {
            let Some(step) = run.steps.last() else { break };
            let (program, steps) = match find_script(facts, &run.folder, &step.text) {
                Some((path, script)) => {
                    ("npm".to_owned(), split(&Place::line(path, script.line), &script.command))
                }
                None => match read_shell_script(sources, &run.folder, &step.text) {
                    Some(found) => found,
                    None => break,
                },
            };
            run.through.push(program);
            run.steps.pop();
            run.steps.extend(steps);
        }
    }
    facts.runs = runs;
}

/// The manifest's script that a package manager's command runs.
fn find_script(facts: &Facts, folder: &str, command: &str) -> Option<(RepoPath, Script)> {
    let all: Vec<&str> = command.split_whitespace().collect();
    let elsewhere = all.windows(2).find(|pair| matches!(pair[0], "--prefix" | "-C" | "--cwd"));
    let below = elsewhere.map(|pair| pair[1].trim_start_matches("./").trim_end_matches('/'));
    let moved = below.map(|below| format!("{folder}{below}/"));
    let folder = moved.as_deref().unwrap_or(folder);
    let words: Vec<&str> = all
        .into_iter()
        .filter(|word| {
            !word.starts_with('-')
                && !word.contains('=')
                && *word != "exec"
                && *word != "cross-env"
                && Some(word.trim_start_matches("./").trim_end_matches('/')) != below
        })
        .collect();
    let name = match words.as_slice() {
        ["npm", "start", ..] => "start",
        ["npm" | "yarn" | "pnpm" | "bun", "run", name, ..]
        | ["yarn" | "pnpm" | "bun", name, ..] => *name,
        _ => return None,
    };
    let near = |app: &&super::manifest::App| folder_of(&app.manifest) == folder;
    let with_scripts = || facts.apps.iter().filter(|app| !app.scripts.is_empty());
    let app = with_scripts().find(near).or_else(|| with_scripts().find(|app| app.serves()))?;
    let script = app.scripts.iter().find(|script| script.name == name)?;
    Some((app.manifest.clone(), script.clone()))
}

/// The commands of a shell script of the repository.
fn read_shell_script(
    sources: &Sources,
    folder: &str,
    command: &str,
) -> Option<(String, Vec<Step>)> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let at = words.iter().position(|word| {
        word.ends_with(".sh") || word.contains("entrypoint") || word.contains("start-")
    })?;
    if at > 2 {
        return None;
    }
    let name = words[at].trim_matches('"').rsplit('/').next().unwrap_or_default();
    let is_it = |path: &&RepoPath| path.file_name() == name;
    let (path, source) = sources
        .iter()
        .filter(|(path, _)| is_it(path))
        .max_by_key(|(path, _)| path.as_str().starts_with(folder))?;
    let mut steps: Vec<Step> = Vec::new();
    let mut goes_on = false;
    for (number, line) in numbered(&source.text) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let text = line.trim_end_matches('\\').trim().to_owned();
        if goes_on && let Some(last) = steps.last_mut() {
            last.text = format!("{} {text}", last.text);
        } else {
            steps.extend(split(&Place::line(path.clone(), number), &text));
        }
        goes_on = line.ends_with('\\');
    }
    // `exec "$@"` runs what follows the script's name.
    let rest = words[at + 1..].join(" ");
    for step in &mut steps {
        if step.text.contains("\"$@\"") && !rest.is_empty() {
            step.text = step.text.replace("\"$@\"", &rest);
        }
    }
    (!steps.is_empty()).then(|| (name.to_owned(), steps))
}
