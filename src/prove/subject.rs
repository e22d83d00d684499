//! What is proven: the lines, variables and requests of a service, whoever made it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::backing::{Engine, Secret};
use super::claim::Need;
use super::container;
use super::part::Part;
use super::probe::http::Request;
use super::probe::snapshot::extension;
use super::probe::variables::Variables;
use super::untested::Untested;
use crate::answers::record;
use crate::error::{Error, Result};
use crate::git_index;
use crate::service::detect::{self, VARIABLE_FILES};
use crate::service::{Process, Service, Variable};
use crate::stack::Stack;
use crate::templates;
use crate::tree::{RepoPath, Tree};

/// A service as it is proven.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The folder that is cloned.
    pub root: PathBuf,
    pub name: String,
    /// The commands that install and build it, one after the other.
    pub build: Vec<String>,
    pub lock: Option<String>,
    /// The folder of the installed programs, first on PATH.
    pub bin: Option<String>,
    /// Names of what an interpreter may write beside the code.
    pub caches: Vec<String>,
    /// Processes and tasks, by name.
    pub lines: BTreeMap<String, String>,
    pub tasks: BTreeSet<String>,
    pub variables: Vec<Declared>,
    /// What a variable is set to, with placeholders such as `{database.url}`.
    values: BTreeMap<String, String>,
    /// Values of the user's own: in no output.
    hidden: Vec<String>,
    /// The database that dozen starts for it.
    pub engine: Option<Engine>,
    pub has_redis: bool,
    /// Services whose clients are among its dependencies.
    clients: BTreeSet<String>,
    pub told: Told,
    /// A script for a shell that adds a migration whose SQL fails.
    pub failing_migration: Option<String>,
    /// Whether its image is built and run, instead of what the machine itself builds.
    pub in_image: bool,
    /// Whether it keeps to the variables and the log lines of the contract: dozen made it.
    pub keeps_contract: bool,
}

/// A variable that the service says it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    pub name: String,
    pub kind: Kind,
    pub required: bool,
}

/// What a variable is for, as far as its name and its example tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Port,
    Database,
    Redis,
    Secret,
    LogLevel,
    Deadline,
    Concurrency,
    Release,
    /// One of the parts by which a backing service is reached, such as its host.
    Part(Part),
    Other,
}

/// `[prove]` in `dozen.toml`: what only the owner knows.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Told {
    /// Installs and builds: a command, or several.
    pub install: Option<Lines>,
    pub live: Option<String>,
    pub ready: Option<String>,
    /// The engines that the same build runs on.
    pub engines: Vec<Engine>,
    pub env: BTreeMap<String, String>,
    pub session: Option<Session>,
    pub item: Option<Item>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Lines {
    One(String),
    Several(Vec<String>),
}

/// How a session is begun, read and ended.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    pub begin: Ask,
    pub read: Ask,
    pub end: Option<Ask>,
}

/// Something that lasts, and perhaps a job that is done for it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    pub create: Ask,
    pub read: Ask,
    /// Up to 100 of them, the newest first.
    pub list: Option<Ask>,
    /// The member that is null until a worker has done the job.
    pub done: Option<String>,
}

/// A request: one method with its path, and what goes with it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ask {
    get: Option<String>,
    post: Option<String>,
    put: Option<String>,
    delete: Option<String>,
    pub json: Option<Value>,
    /// The fields of a form that is sent as browsers do.
    form: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
}

impl Ask {
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self { get: Some(path.to_owned()), ..Self::default() }
    }

    fn methods(&self) -> Vec<(&'static str, &str)> {
        [("GET", &self.get), ("POST", &self.post), ("PUT", &self.put), ("DELETE", &self.delete)]
            .into_iter()
            .filter_map(|(method, path)| Some((method, path.as_deref()?)))
            .collect()
    }

    /// The request, whose path's `{name}` are members of `item`.
    #[must_use]
    pub fn request(&self, item: &Value) -> Request {
        let (method, path) = self.methods().into_iter().next().unwrap_or(("GET", "/"));
        let mut path = path.to_owned();
        for (name, value) in item.as_object().into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            path = path.replace(&format!("{{{name}}}"), &text);
        }
        let mut request = Request::new(method, path);
        for (name, value) in &self.headers {
            request = request.header(name, value.as_str());
        }
        match &self.json {
            Some(json) => request.json(json),
            None if !self.form.is_empty() => request.form(&self.form),
            None => request,
        }
    }

    /// The request with another body: its longest text replaced.
    #[must_use]
    pub fn saying(&self, text: &str) -> Self {
        let mut ask = self.clone();
        let members = ask.json.as_mut().and_then(Value::as_object_mut);
        let longest = members.into_iter().flatten().filter(|(_, value)| value.is_string());
        let longest = longest.max_by_key(|(_, value)| value.as_str().map_or(0, str::len));
        if let Some((_, value)) = longest {
            *value = Value::from(text);
        }
        ask
    }
}

/// What the command line says over everything that the repository says.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Lines of processes, by name.
    pub lines: BTreeMap<String, String>,
    pub build: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub ready: Option<String>,
    pub engine: Option<Engine>,
    /// Build and run the container image.
    pub image: bool,
}

/// Whom the placeholders of values stand for.
#[derive(Debug, Clone)]
pub struct Bindings {
    pub database: Option<Login>,
    pub redis: Option<Login>,
    pub port: u16,
    pub secret: Secret,
}

/// How a backing service is reached; the password as it stands in a URL.
#[derive(Debug, Clone)]
pub struct Login {
    pub scheme: String,
    pub user: String,
    pub password: String,
    pub port: u16,
    pub name: String,
}

impl Login {
    #[must_use]
    pub fn url(&self) -> String {
        let Self { scheme, user, password, port, name } = self;
        format!("{scheme}://{user}:{password}@127.0.0.1:{port}/{name}")
    }
}

/// The parts of `dozen.toml` that are not answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Manifest {
    processes: BTreeMap<String, String>,
    tasks: BTreeMap<String, String>,
    prove: Told,
}

/// What stands in a `.env.example`.
#[derive(Debug, PartialEq, Eq)]
struct Sample {
    name: String,
    value: String,
    is_comment: bool,
}

impl Subject {
    /// Reads a repository, and what is wished, into what is proven.
    ///
    /// # Errors
    /// Its files are broken, or nothing tells how `web` is started.
    pub fn read(root: &Path, wishes: Wishes) -> Result<Self> {
        let mut tree = Tree::read(root)?;
        tree.add_files(git_index::tracked(root).into_iter().flatten());
        // What a clone will not have tells nothing of how it is installed.
        let tree = tree.without_ignored();
        let manifest = read_manifest(&tree)?;
        let answers = record::read_recorded(&tree)?;
        let keeps_contract = answers.is_some();
        let service = detect::detect(&tree, root, None).or_else(|error| match error {
            // What it is written in need not be known, if it is told how it is built and started.
            Error::UnknownRepository { .. } if knows_enough(&manifest, &wishes) => {
                Ok(Service { name: folder_name(root), ..Service::default() })
            }
            other => Err(other),
        })?;
        let Manifest { processes, tasks, prove: told } = manifest;
        let mut subject = Self {
            root: root.to_owned(),
            name: service.name.clone(),
            build: read_build(&service, &told, &wishes, &tree)?,
            lock: service.facts.lock.clone(),
            bin: service.facts.bin.clone(),
            caches: service.facts.caches.clone(),
            lines: BTreeMap::new(),
            tasks: BTreeSet::new(),
            variables: declare(&service, &tree, keeps_contract),
            values: BTreeMap::new(),
            hidden: Vec::new(),
            engine: None,
            has_redis: false,
            clients: BTreeSet::new(),
            failing_migration: find_failing_migration(&service),
            in_image: wishes.image,
            keeps_contract,
            told,
        };
        if !service.stack.is_empty() {
            let stack = Stack::find(&service.stack)?;
            subject.clients = detect::list_engines(&tree, &stack.detect);
            if subject.bin.is_none()
                && let Some(build) = stack.detect.find_build(&tree)
            {
                subject.bin.clone_from(&build.bin);
                subject.caches.clone_from(&build.caches);
            }
        }
        let named = |processes: &[Process]| -> Vec<(String, String)> {
            processes.iter().map(|it| (it.name.clone(), it.command.clone())).collect()
        };
        subject.tasks.extend(service.facts.tasks.iter().map(|task| task.name.clone()));
        subject.tasks.extend(tasks.keys().cloned());
        if keeps_contract {
            // The example may have been deleted: what stands there now is what counts.
            subject.tasks = tasks.keys().cloned().collect();
        }
        let migrate = service.facts.commands.migrate.iter();
        subject.lines.extend(migrate.map(|line| ("release".to_owned(), line.clone())));
        subject.lines.extend(named(&service.facts.tasks));
        subject.lines.extend(tasks);
        subject.lines.extend(named(&service.facts.processes));
        subject.lines.extend(container::read_lines(&tree));
        subject.lines.extend(detect::read_procfile(&tree));
        subject.lines.extend(processes);
        subject.lines.extend(wishes.lines);
        if !keeps_contract {
            subject.lines.values_mut().for_each(|line| *line = with_shell(line));
        }
        if !subject.lines.contains_key("web") {
            return Err(Error::NoWeb { path: root.to_owned() });
        }
        if wishes.ready.is_some() {
            subject.told.ready = wishes.ready;
        }
        subject.assign_values(&tree, &service, wishes.engine, wishes.env);
        Ok(subject)
    }

    /// Decides what each variable is set to, and which servers that takes.
    fn assign_values(
        &mut self,
        tree: &Tree,
        service: &Service,
        engine: Option<Engine>,
        given: BTreeMap<String, String>,
    ) {
        let examples = read_samples(tree);
        let chosen = service.options.get("database").and_then(|slug| Engine::from_scheme(slug));
        let sampled = examples.iter().find_map(|it| Engine::from_scheme(scheme(&it.value)?));
        let parts = self.variables.iter().find_map(|variable| match variable.kind {
            Kind::Part(part) => part.engine,
            _ => None,
        });
        let told = if self.keeps_contract { chosen } else { sampled.or(parts) };
        let engine = engine.or(told).or(chosen).or(sampled);
        let spoken = engine.map(|engine| read_scheme(tree, engine));
        for variable in &self.variables {
            let sample = examples.iter().find(|sample| sample.name == variable.name);
            let said =
                sample.filter(|sample| !sample.is_comment).map_or("", |sample| &sample.value);
            let value = match variable.kind {
                Kind::Port => "{port}".to_owned(),
                Kind::Secret => "{secret}".to_owned(),
                Kind::Redis => "{redis.url}".to_owned(),
                Kind::Database if self.keeps_contract => "{database.url}".to_owned(),
                Kind::Database => match scheme(said).or(spoken.as_deref()) {
                    Some(scheme) => format!(
                        "{scheme}://{{database.user}}:{{database.password}}@{{database.host}}:{{database.port}}/{{database.name}}"
                    ),
                    None => "{database.url}".to_owned(),
                },
                Kind::Part(part) => part.placeholder(),
                // What whoever copies the example would run with.
                _ if !said.is_empty() && !self.keeps_contract => said.to_owned(),
                _ => continue,
            };
            self.values.insert(variable.name.clone(), value);
        }
        if !self.keeps_contract {
            for (name, value) in container::read_environment(tree) {
                self.values.entry(name).or_insert(value);
            }
        }
        self.values.extend(self.told.env.clone());
        // Short ones are no secrets, and would be found everywhere.
        self.hidden = given.values().filter(|value| value.len() > 7).cloned().collect();
        self.values.extend(given);
        self.find_port();
        let names = |what: &str| self.values.values().any(|value| value.contains(what));
        self.engine = engine.filter(|_| names("{database."));
        self.has_redis = names("{redis.");
        if self.engine.is_none() {
            // Nothing says which engine: then nobody can be started for it.
            self.values.retain(|_, value| !value.contains("{database."));
        }
    }

    /// Whoever says which variable the port goes into says that it is not `PORT`.
    fn find_port(&mut self) {
        let declared =
            |name: &str| self.variables.iter().any(|it| it.name == name && it.kind == Kind::Port);
        let is_told =
            |(name, value): &(&String, &String)| value.contains("{port}") && !declared(name);
        let Some((name, value)) = self.values.iter().find(is_told) else {
            return;
        };
        let (name, is_bare) = (name.clone(), value == "{port}");
        self.variables.retain(|it| it.kind != Kind::Port && it.name != name);
        self.values.retain(|other, value| *other == name || value != "{port}");
        if is_bare {
            self.variables.push(Declared { name, kind: Kind::Port, required: false });
        }
    }

    /// The variables of one deploy.
    #[must_use]
    pub fn fill(&self, bindings: &Bindings) -> Variables {
        let mut variables = Variables::on(bindings.port);
        for (name, template) in &self.values {
            variables = variables.with(name, &bindings.fill(template));
        }
        variables
    }

    /// Whether a variable takes the password of its Redis; where none does, it can be asked for none.
    #[must_use]
    pub fn names_redis_password(&self) -> bool {
        self.values.values().any(|it| it.contains("{redis.url}") || it.contains("{redis.password}"))
    }

    /// Its name as a part of an image's.
    #[must_use]
    pub fn slug(&self) -> String {
        let is_plain =
            |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        self.name.chars().map(is_plain).collect::<String>().trim_matches('-').to_owned()
    }

    /// A text in which no value stands that the user gave.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        self.hidden.iter().fold(text.to_owned(), |text, value| text.replace(value, "***"))
    }

    /// A level as its own example writes levels: many a library knows `INFO` and no `info`.
    #[must_use]
    pub fn spell_level(&self, level: &str) -> String {
        let own = self.variable(Kind::LogLevel).and_then(|name| self.values.get(name));
        let shouts = own.is_some_and(|own| own.bytes().all(|byte| byte.is_ascii_uppercase()));
        if shouts { level.to_uppercase() } else { level.to_owned() }
    }

    /// The name of the first declared variable of a kind.
    #[must_use]
    pub fn variable(&self, kind: Kind) -> Option<&str> {
        self.variables.iter().find(|it| it.kind == kind).map(|it| it.name.as_str())
    }

    /// The variables that must be set; those that are given but not declared are left alone.
    pub fn required(&self) -> impl Iterator<Item = &Declared> {
        self.variables.iter().filter(|variable| variable.required)
    }

    /// Services that it has a client of, and that dozen neither starts nor stops.
    #[must_use]
    pub fn strangers(&self) -> Option<String> {
        let is_known = |name: &&String| *name == "redis" || Engine::from_scheme(name).is_some();
        let others: Vec<&str> =
            self.clients.iter().filter(|name| !is_known(name)).map(String::as_str).collect();
        (!others.is_empty()).then(|| {
            format!(
                "it depends on a client of {}, which dozen neither starts nor stops: \
                 lead it to one that runs with --env NAME=URL",
                others.join(" and of ")
            )
        })
    }

    /// Why nothing is started of a kind that it has a client of.
    fn unreached(&self, kind: &str) -> Option<String> {
        let is_such = |name: &&String| {
            if kind == "redis" { *name == kind } else { Engine::from_scheme(name).is_some() }
        };
        let Some(what) = self.clients.iter().find(is_such) else {
            return self.strangers().filter(|_| kind != "redis");
        };
        Some(format!(
            "it depends on a client of {what}, and no variable is known that leads to one: \
             name it, such as --env NAME={{{kind}.url}} (or .host, .port, .name, .user, .password)"
        ))
    }

    /// Why a claim with this need cannot be tested, if it cannot.
    #[must_use]
    pub fn lacks(&self, need: Need) -> Option<Untested> {
        let untold = |how: &str| Some(Untested::Untold { how: how.to_owned() });
        let pointless = |why| Some(Untested::Pointless { why });
        match need {
            Need::NativeBuild | Need::FailingMigration if self.in_image => {
                pointless("only for the native build: proven without --image")
            }
            Need::Build if self.build.is_empty() => {
                untold("how is it installed and built? No lock file tells; say it with --build")
            }
            Need::Lock if self.lock.is_none() => pointless("no lock file that names hashes"),
            Need::Required if self.required().next().is_none() => {
                untold("which variables are required? `.env.example` names none without a value")
            }
            Need::Backing if self.engine.is_none() && !self.has_redis => {
                self.lacks(Need::Database).or_else(|| self.lacks(Need::Redis))
            }
            Need::Worker if !self.lines.contains_key("worker") => {
                pointless("no worker process: name one with --worker")
            }
            Need::Release if !self.lines.contains_key("release") => {
                if self.engine.is_none() {
                    return pointless("no release process and no database");
                }
                untold("no release process: name what migrates with --release")
            }
            Need::Task if self.tasks.is_empty() => {
                pointless("no task: name one under [tasks] in dozen.toml")
            }
            Need::Database if self.engine.is_none() => match self.unreached("database") {
                Some(how) => untold(&how),
                None => pointless("no database that dozen could start and stop"),
            },
            Need::Redis if !self.has_redis => match self.unreached("redis") {
                Some(how) => untold(&how),
                None => pointless("no Redis that dozen could start and stop"),
            },
            Need::BothEngines if self.told.engines.len() < Engine::ALL.len() => {
                pointless("it says of one database engine only that it runs on it")
            }
            Need::Session if self.told.session.is_none() => untold(
                "which requests begin, read and end a session? Tell [prove.session] in dozen.toml",
            ),
            Need::Item if self.told.item.is_none() => {
                untold("which requests create and read something? Tell [prove.item] in dozen.toml")
            }
            Need::List if self.told.item.as_ref().is_none_or(|item| item.list.is_none()) => {
                untold("which request lists items? Tell `list` under [prove.item] in dozen.toml")
            }
            Need::Job if self.told.item.as_ref().is_none_or(|item| item.done.is_none()) => untold(
                "what shows that a job is done? Tell `done` under [prove.item] in dozen.toml",
            ),
            Need::Variable(kind) if self.variable(kind).is_none() => pointless(kind.absence()),
            Need::FailingMigration if self.failing_migration.is_none() => {
                pointless("how to add a migration is not known of this framework")
            }
            Need::Contract if !self.keeps_contract => {
                pointless("only for services that dozen made")
            }
            _ => None,
        }
    }
}

impl Kind {
    fn of(name: &str, value: &str) -> Self {
        let is_secret = ["SECRET", "PASSWORD", "TOKEN", "PRIVATE_KEY", "API_KEY", "SIGNING_KEY"];
        match name {
            "PORT" => Self::Port,
            "DATABASE_URL" => Self::Database,
            "REDIS_URL" => Self::Redis,
            "LOG_LEVEL" => Self::LogLevel,
            "SHUTDOWN_TIMEOUT" => Self::Deadline,
            "WEB_CONCURRENCY" => Self::Concurrency,
            "RELEASE" => Self::Release,
            _ => match scheme(value) {
                Some("redis" | "rediss") => Self::Redis,
                Some(scheme) if Engine::from_scheme(scheme).is_some() => Self::Database,
                _ if Part::of(name).is_some() => Part::of(name).map_or(Self::Other, Self::Part),
                _ if is_secret.iter().any(|word| name.contains(word)) => Self::Secret,
                _ => Self::Other,
            },
        }
    }

    const fn absence(self) -> &'static str {
        match self {
            Self::Port => "no variable PORT is declared",
            Self::Database => "no variable with a database's URL is declared",
            Self::Redis => "no variable with a Redis URL is declared",
            Self::Secret => "no secret is declared",
            Self::LogLevel => "no LOG_LEVEL is declared",
            Self::Deadline => "no SHUTDOWN_TIMEOUT is declared",
            Self::Concurrency => "no WEB_CONCURRENCY is declared",
            Self::Release => "no RELEASE is declared",
            Self::Part(_) | Self::Other => "no such variable is declared",
        }
    }
}

impl Bindings {
    fn fill(&self, template: &str) -> String {
        let mut text = template
            .replace("{port}", &self.port.to_string())
            .replace("{secret}", self.secret.shortest());
        for (name, login) in [("database", &self.database), ("redis", &self.redis)] {
            let Some(login) = login else {
                continue;
            };
            for (part, value) in [
                ("url", login.url()),
                ("host", "127.0.0.1".to_owned()),
                ("port", login.port.to_string()),
                ("name", login.name.clone()),
                ("user", login.user.clone()),
                ("password", login.password.clone()),
            ] {
                text = text.replace(&format!("{{{name}.{part}}}"), &value);
            }
        }
        text
    }
}

fn read_manifest(tree: &Tree) -> Result<Manifest> {
    let Some(text) = tree.root_text(record::FILE_NAME) else {
        return Ok(Manifest::default());
    };
    let malformed = |reason| Error::Malformed { path: PathBuf::from(record::FILE_NAME), reason };
    let manifest: Manifest = toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    let told = &manifest.prove;
    let session =
        told.session.iter().flat_map(|it| [Some(&it.begin), Some(&it.read), it.end.as_ref()]);
    let item = told.item.iter().flat_map(|it| [Some(&it.create), Some(&it.read), it.list.as_ref()]);
    for ask in session.chain(item).flatten() {
        if ask.methods().len() != 1 {
            return Err(malformed(
                "a request in [prove] has one of `get`, `post`, `put` and `delete`, with its path"
                    .to_owned(),
            ));
        }
    }
    Ok(manifest)
}

fn knows_enough(manifest: &Manifest, wishes: &Wishes) -> bool {
    let has_web = wishes.lines.contains_key("web") || manifest.processes.contains_key("web");
    has_web && (!wishes.build.is_empty() || manifest.prove.install.is_some())
}

/// A line with what only a shell understands, as platforms and package managers start it; others as they stand.
fn with_shell(line: &str) -> String {
    let words = shell_words::split(line).unwrap_or_default();
    let first = words.first().map_or("", String::as_str);
    let is_several = ["&&", "||", ";", "|"].iter().any(|sign| line.contains(sign));
    if ["sh", "bash"].contains(&first) || !is_several && !line.contains(['$', '>', '<', '`']) {
        return if first.contains('=') { format!("env {line}") } else { line.to_owned() };
    }
    // The shell stays for several, and makes way for one.
    let exec = match (is_several, first.contains('=')) {
        (true, _) => "",
        (false, true) => "exec env ",
        (false, false) => "exec ",
    };
    shell_words::join(["sh", "-c", &format!("{exec}{line}")])
}

fn folder_name(root: &Path) -> String {
    root.file_name()
        .map_or_else(|| "service".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The commands that install and build, from whoever knows them best.
fn read_build(service: &Service, told: &Told, wishes: &Wishes, tree: &Tree) -> Result<Vec<String>> {
    if !wishes.build.is_empty() {
        return Ok(wishes.build.clone());
    }
    match &told.install {
        Some(Lines::One(line)) => return Ok(vec![line.clone()]),
        Some(Lines::Several(lines)) => return Ok(lines.clone()),
        None => {}
    }
    let commands = &service.facts.commands;
    let known: Vec<String> = commands.install.iter().chain(&commands.build).cloned().collect();
    if !known.is_empty() || service.stack.is_empty() {
        return Ok(known);
    }
    let stack = Stack::find(&service.stack)?;
    Ok(stack.detect.find_build(tree).map(|build| build.run.clone()).unwrap_or_default())
}

fn find_failing_migration(service: &Service) -> Option<String> {
    // Only where the layout of migrations is the one that dozen rendered.
    let is_ours = !service.answers.is_empty();
    is_ours
        .then(|| templates::find_data(&format!("{}/failing-migration.sh", service.stack)))
        .flatten()
}

fn declare(service: &Service, tree: &Tree, keeps_contract: bool) -> Vec<Declared> {
    let declared = |variable: &Variable| {
        let kind = if variable.secret { Kind::Secret } else { Kind::of(&variable.name, "") };
        Declared { name: variable.name.clone(), kind, required: variable.required }
    };
    if keeps_contract {
        return service.variables.iter().map(declared).collect();
    }
    let mut variables: Vec<Declared> = read_samples(tree)
        .into_iter()
        .map(|sample| {
            let kind = Kind::of(&sample.name, &sample.value);
            let must_be_told = match kind {
                Kind::Database | Kind::Redis | Kind::Secret => true,
                Kind::Part(part) => part.name == "password",
                _ => false,
            };
            let required = !sample.is_comment && (sample.value.is_empty() || must_be_told);
            Declared { kind, required, name: sample.name }
        })
        .collect();
    // What the sources read and no example lists; only of those with a meaning is it known what to give them.
    for variable in &service.variables {
        let kind = Kind::of(&variable.name, "");
        let is_known = variables.iter().any(|known| known.name == variable.name);
        if !is_known && !matches!(kind, Kind::Other) {
            variables.push(Declared { name: variable.name.clone(), kind, required: false });
        }
    }
    if !variables.iter().any(|variable| variable.kind == Kind::Port) {
        variables.push(Declared { name: "PORT".to_owned(), kind: Kind::Port, required: false });
    }
    variables
}

/// The variables that the text of a `.env` sets.
#[must_use]
pub fn read_assignments(text: &str) -> BTreeMap<String, String> {
    let samples = text.lines().filter_map(Sample::parse).filter(|sample| !sample.is_comment);
    samples.map(|sample| (sample.name, sample.value)).collect()
}

fn read_samples(tree: &Tree) -> Vec<Sample> {
    let text = VARIABLE_FILES.iter().find_map(|name| tree.root_text(name)).unwrap_or_default();
    text.lines().filter_map(Sample::parse).collect()
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        let bare = line.trim_start_matches(['#', ' ']);
        let (name, value) = bare.trim_start_matches("export ").split_once('=')?;
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let value = value.trim();
        let value = match value.split_once(" #") {
            Some((value, _)) => value.trim_end(),
            None => value,
        };
        is_name(name.trim()).then(|| Self {
            name: name.trim().to_owned(),
            value: value.trim_matches(['"', '\'']).to_owned(),
            is_comment: line.starts_with('#'),
        })
    }
}

/// The scheme of a database's URL as the sources write it: `SQLAlchemy`'s names a driver. Otherwise the one that all
/// clients know, as some do not know `postgres://`.
fn read_scheme(tree: &Tree, engine: Engine) -> String {
    let known = match engine {
        Engine::Postgres => "postgresql",
        Engine::Mysql => "mysql",
    };
    let with_driver = format!("{known}+");
    let is_source = |path: &&RepoPath| extension(path.as_str()) == "py";
    let spoken = tree.files().filter(is_source).find_map(|path| {
        let text = tree.text(path)?;
        let (_, rest) = text.split_once(&with_driver)?;
        let (driver, _) = rest.split_once("://")?;
        let is_name = driver.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_name.then(|| format!("{with_driver}{driver}"))
    });
    spoken.unwrap_or_else(|| known.to_owned())
}

/// `postgres` of `postgres://…`.
fn scheme(value: &str) -> Option<&str> {
    value.split_once("://").map(|(scheme, _)| scheme)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A repository in a temporary folder.
    fn subject(files: &[(&str, &str)], wishes: Wishes) -> Result<Subject> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Subject::read(folder.path(), wishes)
    }

    fn bindings() -> Bindings {
        Bindings::nowhere(Engine::Postgres, 5, 7)
    }

    const EXAMPLE: &str = "DATABASE_URL=postgresql+psycopg://app:app@localhost/app\nREDIS_URL=redis://localhost\n\
                           APP_SECRET=\nGREETING=\"hello there\" # said first\n# LOG_LEVEL=info\n";

    #[test]
    fn an_example_of_variables_tells_what_is_required_and_what_to_set() {
        let files = [
            (".env.example", EXAMPLE),
            ("Procfile", "web: app\n"),
            ("requirements.txt", "flask\n"),
        ];
        let subject = subject(&files, Wishes::default()).unwrap();
        let required: Vec<&str> = subject.required().map(|it| it.name.as_str()).collect();
        assert_eq!(required, ["DATABASE_URL", "REDIS_URL", "APP_SECRET"]);
        let variables = subject.fill(&bindings());
        let url = variables.get("DATABASE_URL").unwrap();
        assert!(url.starts_with("postgresql+psycopg://shop:canary-"), "{url}");
        assert_eq!(variables.get("GREETING"), Some("hello there"));
        assert_eq!(variables.get("PORT"), Some("7"));
        assert_eq!(variables.get("APP_SECRET").map(str::len), Some(32));
        assert_eq!(variables.get("LOG_LEVEL"), None);
        assert_eq!(subject.engine, Some(Engine::Postgres));
        assert!(subject.has_redis);
    }

    #[test]
    fn what_is_given_wins_and_is_never_shown() {
        let files =
            [(".env.example", EXAMPLE), ("Procfile", "web: app\n"), ("requirements.txt", "")];
        let url = "postgres://me:very-secret@elsewhere/db".to_owned();
        let env = BTreeMap::from([
            ("DATABASE_URL".to_owned(), url.clone()),
            ("CACHE".to_owned(), "{redis.host}:{redis.port}".to_owned()),
        ]);
        let subject = subject(&files, Wishes { env, ..Wishes::default() }).unwrap();
        // Somebody else's database is not dozen's to stop.
        assert_eq!(subject.engine, None);
        let variables = subject.fill(&bindings());
        assert_eq!(variables.get("DATABASE_URL"), Some(url.as_str()));
        assert_eq!(variables.get("CACHE"), Some("127.0.0.1:5"));
        assert_eq!(subject.mask(&format!("cannot reach {url}")), "cannot reach ***");
    }

    #[test]
    fn flags_win_over_dozen_toml_over_procfile_over_dockerfile() {
        let files = [
            ("package.json", r#"{"scripts": {"start": "node a"}}"#),
            ("Dockerfile", "CMD node b\n"),
            ("Procfile", "web: node c\nworker: node w\nrelease: node r\n"),
            ("dozen.toml", "[processes]\nworker = \"node d\"\n"),
        ];
        let lines = BTreeMap::from([("release".to_owned(), "node f".to_owned())]);
        let read = subject(&files, Wishes { lines, ..Wishes::default() }).unwrap().lines;
        assert_eq!(
            (&*read["web"], &*read["worker"], &*read["release"]),
            ("node c", "node d", "node f")
        );
        let read = subject(&files[..2], Wishes::default()).unwrap().lines;
        assert_eq!(read["web"], "sh -c 'node b'");
        assert_eq!(subject(&files[..1], Wishes::default()).unwrap().lines["web"], "node a");
    }

    #[test]
    fn a_shell_is_there_where_a_line_needs_one() {
        let plain = "gunicorn -c python:config 'shop:create_app()'";
        for (line, started) in [
            (plain, plain),
            ("gunicorn -b 0.0.0.0:$PORT shop", "sh -c 'exec gunicorn -b 0.0.0.0:$PORT shop'"),
            ("npm run build && node a.js", "sh -c 'npm run build && node a.js'"),
            ("NODE_ENV=x node a.js", "env NODE_ENV=x node a.js"),
            ("A=b node $X", "sh -c 'exec env A=b node $X'"),
            ("sh -c 'node $X'", "sh -c 'node $X'"),
        ] {
            assert_eq!(with_shell(line), started);
        }
    }

    #[test]
    fn parts_of_a_database_are_filled_in_and_tell_its_engine() {
        let example = "MYSQL_HOST=localhost\nMYSQL_DATABASE=test\nMYSQL_PASSWORD=test\nREDIS_HOST=localhost\n\
                       LOG_LEVEL=INFO\n";
        let files =
            [(".env.example", example), ("Procfile", "web: a"), ("requirements.txt", "flask")];
        let subject = subject(&files, Wishes::default()).unwrap();
        assert_eq!(subject.engine, Some(Engine::Mysql));
        let variables = subject.fill(&bindings());
        assert_eq!(variables.get("MYSQL_HOST"), Some("127.0.0.1"));
        assert_eq!(variables.get("MYSQL_DATABASE"), Some("shop"));
        let required: Vec<&str> = subject.required().map(|it| it.name.as_str()).collect();
        assert_eq!(required, ["MYSQL_PASSWORD"]);
        assert!(subject.has_redis && !subject.names_redis_password());
        assert_eq!(variables.get("LOG_LEVEL"), Some("INFO"));
        assert_eq!(subject.spell_level("debug"), "DEBUG");
    }

    #[test]
    fn the_port_goes_where_it_is_told() {
        let files = [("Procfile", "web: a"), ("requirements.txt", "flask")];
        let told = |value: &str| {
            let env = BTreeMap::from([("APP__PORT".to_owned(), value.to_owned())]);
            subject(&files, Wishes { env, ..Wishes::default() }).unwrap()
        };
        assert_eq!(told("{port}").variable(Kind::Port), Some("APP__PORT"));
        let bound = told("0.0.0.0:{port}");
        assert_eq!(bound.variable(Kind::Port), None);
        assert_eq!(bound.fill(&bindings()).get("APP__PORT"), Some("0.0.0.0:7"));
        assert_eq!(bound.fill(&bindings()).port, Some(7));
        assert_eq!(bound.fill(&bindings()).get("PORT"), None);
    }

    #[test]
    fn a_url_is_written_as_the_sources_write_it() {
        let url = |source: &str, requirements: &str| {
            let files =
                [("app.py", source), ("requirements.txt", requirements), ("Procfile", "web: a")];
            let subject = subject(&files, Wishes::default()).unwrap();
            let url = subject.fill(&bindings()).get("DATABASE_URL").map(str::to_owned);
            url.map(|url| scheme(&url).unwrap_or_default().to_owned())
        };
        let read = "os.environ['DATABASE_URL']";
        assert_eq!(url(read, "psycopg2").as_deref(), Some("postgresql"));
        let driver = format!("x = f'postgresql+psycopg://{{user}}'\n{read}");
        assert_eq!(url(&driver, "psycopg").as_deref(), Some("postgresql+psycopg"));
        assert_eq!(url(read, "flask"), None);
    }

    #[test]
    fn what_git_ignores_tells_nothing() {
        let files = [
            (".gitignore", "package-lock.json\n"),
            ("package-lock.json", "{}"),
            ("package.json", r#"{"scripts": {"start": "node a"}}"#),
        ];
        let subject = subject(&files, Wishes::default()).unwrap();
        assert_eq!(subject.build[0], "npm install");
        assert_eq!(subject.lock, None);
    }

    #[test]
    fn a_client_without_a_variable_is_asked_about() {
        let files = [("requirements.txt", "psycopg2\nredis\n"), ("Procfile", "web: a")];
        let subject = subject(&files, Wishes::default()).unwrap();
        let why = subject.lacks(Need::Database).unwrap().to_string();
        assert!(why.contains("--env NAME={database.url}"), "{why}");
        let why = subject.lacks(Need::Redis).unwrap().to_string();
        assert!(why.contains("--env NAME={redis.url}"), "{why}");
    }

    #[test]
    fn what_dozen_does_not_start_is_named() {
        let manifest = r#"{"scripts": {"start": "node a"}, "dependencies": {"mongoose": "9"}}"#;
        let subject = subject(&[("package.json", manifest)], Wishes::default()).unwrap();
        let why = subject.lacks(Need::Database).unwrap().to_string();
        assert!(why.contains("MongoDB, which dozen neither starts nor stops"), "{why}");
        assert_eq!(subject.strangers(), Some(why));
    }

    #[test]
    fn what_is_not_told_is_asked_for() {
        let unknown = subject(&[("main.go", "")], Wishes::default()).unwrap_err().to_string();
        assert!(unknown.contains("--stack"), "{unknown}");
        let no_web =
            subject(&[("requirements.txt", "")], Wishes::default()).unwrap_err().to_string();
        assert!(no_web.contains("--web"), "{no_web}");
        let toml = "[prove.session]\nbegin = { json = {} }\nread = { get = \"/\" }\n";
        let files = [("requirements.txt", ""), ("Procfile", "web: a"), ("dozen.toml", toml)];
        let broken = subject(&files, Wishes::default()).unwrap_err().to_string();
        assert!(broken.contains("one of `get`, `post`"), "{broken}");
    }

    #[test]
    fn another_language_is_proven_where_it_is_told_how() {
        let wishes = Wishes {
            lines: BTreeMap::from([("web".to_owned(), "./app".to_owned())]),
            build: vec!["go build -o app".to_owned()],
            ..Wishes::default()
        };
        let subject = subject(&[("main.go", "")], wishes).unwrap();
        assert_eq!(subject.build, ["go build -o app"]);
        assert!(subject.lacks(Need::Required).is_some());
        assert!(subject.lacks(Need::Database).is_some());
    }

    #[test]
    fn a_request_takes_its_path_from_the_item_and_another_text_in_its_longest_member() {
        let ask: Ask = toml::from_str(
            "post = \"/items/{id}/{kind}\"\njson = { kind = \"x\", body = \"one two\" }",
        )
        .unwrap();
        let item = serde_json::json!({ "id": 7, "kind": "note" });
        assert_eq!(ask.request(&item).line(), "POST /items/7/note");
        assert_eq!(ask.saying("three").json.unwrap()["body"], "three");
    }
}
