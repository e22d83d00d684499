//! Owns what a trial works with: the setting (stack x database) that trials share, and the stage of one alone.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::backing::{Backing, Database, Engine, Redis, Secret};
use crate::http::{Answer, Client};
use crate::lazy::Lazy;
use crate::output::{Book, Transcript};
use crate::patience::{SOON, wait_for};
use crate::process::{Exit, Launch, Launcher, Process};
use crate::project::{Project, Source};
use crate::stack::Stack;
use crate::tether::Tether;
use crate::tool::{Caches, Toolbox};
use crate::tree::Snapshot;
use crate::turnstile::Turnstile;
use crate::variables::Variables;

/// A sentence of the contract, and how to see that it holds.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    pub sentence: &'static str,
    pub check: fn(&Case) -> Result<()>,
    pub order: Order,
}

/// When a claim's trial begins, among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// It mostly waits, for long: the others fill the time.
    First,
    Any,
    /// It judges what the others left.
    Last,
}

impl Claim {
    pub const fn new(sentence: &'static str, check: fn(&Case) -> Result<()>) -> Self {
        Self { sentence, check, order: Order::Any }
    }

    #[must_use]
    pub const fn begins(mut self, order: Order) -> Self {
        self.order = order;
        self
    }
}

/// The same for every setting of a run.
#[derive(Debug)]
pub struct Ground {
    pub tether: Arc<Tether>,
    pub backing: Backing,
    turnstile: Arc<Turnstile>,
}

impl Ground {
    pub fn lay() -> Result<Arc<Self>> {
        let tether = Arc::new(Tether::fasten()?);
        Ok(Arc::new(Self { backing: Backing::new(&tether), turnstile: Turnstile::new(), tether }))
    }
}

/// A project, installed once; and what was found out about it alone, whatever database it runs on.
#[derive(Debug, Default)]
pub struct Build {
    installed: Lazy<(Project, Snapshot)>,
    variants: Mutex<BTreeMap<&'static str, Arc<Lazy<Arc<Project>>>>>,
    findings: Mutex<BTreeMap<&'static str, Arc<Lazy<()>>>>,
}

/// One stack on one database.
#[derive(Debug)]
pub struct Setting {
    // What runs goes before what it runs on: fields are dropped in this order.
    shared: Lazy<Shop>,
    migrated: Lazy<Database>,
    pub stack: Arc<Stack>,
    pub engine: Engine,
    /// Whether the way to production is tried on this database: a stack goes it once, each with another.
    pub delivers: bool,
    build: Arc<Build>,
    /// All that the processes of all trials wrote.
    pub book: Book,
    pub ground: Arc<Ground>,
}

impl Setting {
    pub fn new(
        ground: &Arc<Ground>,
        stack: &Arc<Stack>,
        engine: Engine,
        build: &Arc<Build>,
        delivers: bool,
    ) -> Self {
        Self {
            shared: Lazy::new(),
            migrated: Lazy::new(),
            stack: Arc::clone(stack),
            engine,
            delivers,
            build: Arc::clone(build),
            book: Book::default(),
            ground: Arc::clone(ground),
        }
    }

    pub fn project(&self) -> Result<&Project> {
        Ok(&self.installed()?.0)
    }

    /// The project and its files as they were before its first start.
    fn installed(&self) -> Result<&(Project, Snapshot)> {
        self.build.installed.get(|| {
            let tether = &self.ground.tether;
            let folder = Source::find().clone_project(tether, &self.stack, self.engine)?;
            let toolbox = Toolbox::new(tether, Caches::shared());
            let project = Project::install(&toolbox, &self.stack, folder)?;
            let snapshot = Snapshot::take(&project.folder, &self.changing());
            self.fill_caches(&project)?;
            Ok((project, snapshot))
        })
    }

    /// The names of what may change in the project's folder.
    fn changing(&self) -> Vec<String> {
        let mut names = self.stack.caches.clone();
        names.push(".git".to_owned());
        names
    }

    /// Starts each process once, in vain. An image has an interpreter's caches filled; a fresh install has not,
    /// and its first start would be measured with the filling.
    fn fill_caches(&self, project: &Project) -> Result<()> {
        let starter = Starter::new(&self.ground, Book::default(), project);
        for name in project.processes.keys() {
            starter.run(name, &Variables::default())?;
        }
        Ok(())
    }
}

/// One trial's view of its setting.
#[derive(Debug)]
pub struct Case {
    pub setting: Arc<Setting>,
    /// What the processes of this trial wrote.
    pub book: Book,
    uses_shared: AtomicBool,
}

impl Case {
    pub fn new(setting: &Arc<Setting>) -> Self {
        Self {
            setting: Arc::clone(setting),
            book: Book::default(),
            uses_shared: AtomicBool::new(false),
        }
    }

    pub fn tether(&self) -> &Arc<Tether> {
        &self.setting.ground.tether
    }

    pub fn engine(&self) -> Engine {
        self.setting.engine
    }

    pub fn stack(&self) -> &Stack {
        &self.setting.stack
    }

    pub fn project(&self) -> Result<&Project> {
        self.setting.project()
    }

    /// What became of the project's files since before its first start, by all trials of all its settings.
    pub fn changed_files(&self) -> Result<Vec<String>> {
        let (project, before) = self.setting.installed()?;
        let now = Snapshot::take(&project.folder, &self.setting.changing());
        Ok(before.changes(&now))
    }

    /// Finds out about the project alone, once for all databases.
    pub fn once(&self, what: &'static str, find_out: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut findings = self.setting.build.findings.lock().unwrap();
        let finding = Arc::clone(findings.entry(what).or_default());
        drop(findings);
        finding.get(find_out).copied()
    }

    pub fn toolbox(&self) -> Toolbox {
        Toolbox::new(self.tether(), Caches::shared())
    }

    /// Another clone of the project, altered by lines for a shell and then installed; once for all databases.
    pub fn variant(&self, what: &'static str, lines: &[String]) -> Result<Arc<Project>> {
        let mut variants = self.setting.build.variants.lock().unwrap();
        let variant = Arc::clone(variants.entry(what).or_default());
        drop(variants);
        let made = variant.get(|| {
            let folder = self.project()?.clone_into(self.tether())?;
            for line in lines {
                let finished = self.toolbox().run_shell(line, &folder)?;
                finished.expect_success().context(what)?;
            }
            Project::install(&self.toolbox(), self.stack(), folder).map(Arc::new)
        });
        made.cloned()
    }

    /// A stage whose database is migrated.
    pub fn stage(&self) -> Result<Stage> {
        let server = self.setting.ground.backing.shared(self.engine())?;
        let migrated = self.setting.migrated.get(|| {
            // Migrated once; a copy of it costs a tenth of another migration.
            let stage = Stage::set(self, server.create()?)?;
            stage.release()?;
            let Stage { database, .. } = stage;
            Ok(database)
        })?;
        Stage::set(self, server.copy(migrated)?)
    }

    /// A stage whose database is empty.
    pub fn empty_stage(&self) -> Result<Stage> {
        let server = self.setting.ground.backing.shared(self.engine())?;
        Stage::set(self, server.create()?)
    }

    /// A stage with a database server of its own, which the trial may stop.
    pub fn stoppable_stage(&self) -> Result<Stage> {
        let server = self.setting.ground.backing.own(self.engine())?;
        let stage = Stage::set(self, server.create()?)?;
        stage.release()?;
        Ok(stage)
    }

    /// A stage on whatever database is given.
    pub fn stage_on(&self, database: Database) -> Result<Stage> {
        Stage::set(self, database)
    }

    /// A stage whose database and Redis are down: nobody listens at their addresses.
    pub fn deserted(&self) -> Result<Deserted> {
        let secret = Secret::new("session");
        let password = Secret::new("nobody");
        let (nowhere, port) = (self.tether().fresh_port()?, self.tether().fresh_port()?);
        let variables = Variables::default()
            .with(
                "DATABASE_URL",
                &format!("{}://shop:{password}@127.0.0.1:{nowhere}/shop", self.engine()),
            )
            .with("REDIS_URL", &format!("redis://:{password}@127.0.0.1:{nowhere}/0"))
            .with("SESSION_SECRET", secret.shortest())
            .with("PORT", &port);
        Ok(Deserted { starter: Starter::of(self)?, variables, port })
    }

    /// A client of the shop that all trials share who only talk HTTP.
    pub fn shared(&self) -> Result<&Client> {
        Ok(&self.shop()?.web.client)
    }

    /// The shop that all trials share who leave it as it is: a web process and a worker.
    pub fn shop(&self) -> Result<&Shop> {
        self.uses_shared.store(true, Ordering::Relaxed);
        self.setting.shared.get(|| {
            let keeper = Self {
                setting: Arc::clone(&self.setting),
                book: self.setting.book.clone(),
                uses_shared: AtomicBool::new(false),
            };
            let stage = keeper.stage()?;
            let web = stage.web()?;
            let mut worker = stage.start("worker")?;
            let id = web.post_note("two words")?;
            web.wait_for_count(id, 2)?;
            Ok(Shop { worked_after: worker.running_for(), web, worker, stage })
        })
    }

    /// What the processes of this trial said last, to stand beneath its failure.
    pub fn last_words(&self) -> String {
        let mut tails: Vec<String> = self.book.transcripts().iter().map(Transcript::tail).collect();
        if self.uses_shared.load(Ordering::Relaxed)
            && let Some(shop) = self.setting.shared.made()
        {
            tails.push(shop.web.process.transcript().tail());
            tails.push(shop.worker.transcript().tail());
        }
        tails.join("\n")
    }

    /// Everything that any process of the setting wrote so far, those of running ones included.
    pub fn all_transcripts(&self) -> Vec<Transcript> {
        let mut all = self.setting.book.transcripts();
        if let Some(shop) = self.setting.shared.made() {
            all.push(shop.web.process.transcript());
            all.push(shop.worker.transcript());
        }
        all
    }
}

#[derive(Debug)]
pub struct Shop {
    pub web: Web,
    pub worker: Process,
    /// From the worker's start to its first job done, by its clock.
    pub worked_after: Duration,
    // Dropped after those who use it.
    pub stage: Stage,
}

impl Shop {
    /// One more web process of the same deploy, on a port of its own.
    pub fn another_web(&self) -> Result<Web> {
        self.stage.web_with(&self.stage.on_another_port()?)
    }
}

/// Starts lines of one installed project.
#[derive(Debug, Clone)]
pub struct Starter {
    launcher: Launcher,
    pub folder: PathBuf,
    pub path: String,
    lines: BTreeMap<String, String>,
}

impl Starter {
    pub fn of(case: &Case) -> Result<Self> {
        Ok(Self::of_project(case, case.project()?))
    }

    pub fn of_project(case: &Case, project: &Project) -> Self {
        Self::new(&case.setting.ground, case.book.clone(), project)
    }

    fn new(ground: &Ground, book: Book, project: &Project) -> Self {
        let mut lines = project.tasks.clone();
        lines.extend(project.processes.clone());
        Self {
            launcher: Launcher {
                tether: Arc::clone(&ground.tether),
                turnstile: Arc::clone(&ground.turnstile),
                book,
            },
            folder: project.folder.clone(),
            path: project.path.clone(),
            lines,
        }
    }

    pub fn start(&self, name: &str, variables: &Variables) -> Result<Process> {
        self.start_in(&[], name, variables)
    }

    /// Starts a line through a wrapper that gives it other surroundings.
    pub fn start_in(
        &self,
        wrapper: &[String],
        name: &str,
        variables: &Variables,
    ) -> Result<Process> {
        let line = self
            .lines
            .get(name)
            .with_context(|| format!("neither Procfile nor dozen.toml names `{name}`"))?;
        Process::start(
            &self.launcher,
            &Launch { name, line, folder: &self.folder, path: &self.path, variables, wrapper },
        )
    }

    /// Runs a line to its end.
    pub fn run(&self, name: &str, variables: &Variables) -> Result<(Exit, Process)> {
        let mut process = self.start(name, variables)?;
        let exit = process.wait_for_exit(Duration::from_mins(2))?;
        Ok((exit, process))
    }
}

/// A project with variables that lead nowhere.
#[derive(Debug)]
pub struct Deserted {
    pub starter: Starter,
    pub variables: Variables,
    pub port: u16,
}

/// One trial's own database, Redis and variables.
#[derive(Debug)]
pub struct Stage {
    pub starter: Starter,
    pub database: Database,
    pub redis: Redis,
    pub variables: Variables,
    pub port: u16,
    tether: Arc<Tether>,
}

impl Stage {
    fn set(case: &Case, database: Database) -> Result<Self> {
        let redis = case.setting.ground.backing.redis()?;
        let secret = Secret::new("session");
        let port = case.tether().fresh_port()?;
        let variables = Variables::default()
            .with("DATABASE_URL", &database.url())
            .with("REDIS_URL", &redis.url())
            .with("SESSION_SECRET", secret.shortest())
            .with("PORT", &port);
        Ok(Self {
            starter: Starter::of(case)?,
            database,
            redis,
            variables,
            port,
            tether: Arc::clone(case.tether()),
        })
    }

    /// The secrets that none of the processes may ever show.
    pub fn secrets(&self) -> Vec<&str> {
        let session = self.variables.get("SESSION_SECRET").unwrap_or_default();
        vec![session, &self.database.password, self.redis.password().as_str()]
    }

    pub fn start(&self, name: &str) -> Result<Process> {
        self.starter.start(name, &self.variables)
    }

    pub fn start_with(&self, name: &str, variables: &Variables) -> Result<Process> {
        self.starter.start(name, variables)
    }

    /// Migrates the database.
    pub fn release(&self) -> Result<()> {
        let (exit, process) = self.starter.run("release", &self.variables)?;
        if !exit.is_zero() {
            bail!("release ended with {exit}:\n{}", process.text());
        }
        Ok(())
    }

    /// A web process that is ready.
    pub fn web(&self) -> Result<Web> {
        self.web_with(&self.variables)
    }

    pub fn web_with(&self, variables: &Variables) -> Result<Web> {
        Web::ready(self.starter.start("web", variables)?, port_of(variables)?)
    }

    /// The same variables with a port that nobody has.
    pub fn on_another_port(&self) -> Result<Variables> {
        Ok(self.variables.with("PORT", &self.tether.fresh_port()?))
    }

    /// A worker that is seen to work, so that it is past its boot.
    pub fn warm_worker(&self, web: &Web) -> Result<Process> {
        let worker = self.start("worker")?;
        let id = web.post_note("two words")?;
        web.wait_for_count(id, 2)?;
        Ok(worker)
    }
}

fn port_of(variables: &Variables) -> Result<u16> {
    variables.get("PORT").context("variables without PORT")?.parse().context("PORT")
}

/// A web process and a client to talk to it.
#[derive(Debug)]
pub struct Web {
    pub process: Process,
    pub client: Client,
    /// From its start to its first 200, by its clock.
    pub ready_after: Duration,
}

impl Web {
    /// Waits until it is ready.
    pub fn ready(process: Process, port: u16) -> Result<Self> {
        Self::answers(process, port, "/readyz")
    }

    /// Waits until it serves, ready or not.
    pub fn alive(process: Process, port: u16) -> Result<Self> {
        Self::answers(process, port, "/livez")
    }

    fn answers(mut process: Process, port: u16, target: &str) -> Result<Self> {
        let client = Client::of(port);
        let mut last = "nobody listens".to_owned();
        wait_for(format!("200 from {target}"), SOON, || {
            process.ensure_alive()?;
            match client.get(target) {
                Ok(answer) if answer.status == 200 => return Ok(Some(())),
                Ok(answer) => last = answer.to_string(),
                Err(error) => last = format!("{error:#}"),
            }
            Ok(None)
        })
        .with_context(|| format!("the last answer was: {last}"))?;
        Ok(Self { ready_after: process.running_for(), process, client })
    }

    /// Posts a note and gives its id.
    pub fn post_note(&self, body: &str) -> Result<i64> {
        post_note(&self.client, body)
    }

    /// Waits until a worker has counted the words of a note.
    pub fn wait_for_count(&self, id: i64, words: u64) -> Result<()> {
        wait_for_count(&self.client, id, words, SOON)
    }

    /// Waits until a target answers with a status.
    pub fn wait_for_status(&self, target: &str, status: u16, limit: Duration) -> Result<Answer> {
        let mut last = String::new();
        wait_for(format!("{status} from {target}"), limit, || {
            match self.client.get(target) {
                Ok(answer) if answer.status == status => return Ok(Some(answer)),
                Ok(answer) => last = answer.to_string(),
                Err(error) => last = format!("{error:#}"),
            }
            Ok(None)
        })
        .with_context(|| format!("the last answer was: {last}"))
    }
}

pub fn post_note(client: &Client, body: &str) -> Result<i64> {
    let answer = client.post("/notes", &json!({ "body": body }))?;
    let note = answer.expect(201)?.json()?;
    note["id"].as_i64().context("a note without an integer id")
}

pub fn wait_for_count(client: &Client, id: i64, words: u64, limit: Duration) -> Result<()> {
    wait_for(format!("a word_count of note {id}"), limit, || {
        let note = client.get(&format!("/notes/{id}"))?.expect(200)?.json()?;
        match &note["word_count"] {
            Value::Null => Ok(None),
            count if *count == json!(words) => Ok(Some(())),
            count => bail!("the word_count of note {id} is {count}, not {words}"),
        }
    })
}
