//! Owns what one claim works with: a stage of its own, with its own database, Redis, variables and processes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::backing::{Database, Engine, Redis, Secret};
use super::probe::clone::Project;
use super::probe::diary;
use super::probe::http::{Answer, Client, Connection, Request};
use super::probe::output::{Book, Transcript};
use super::probe::patience::{SOON, wait_for};
use super::probe::process::{Exit, Launch, Launcher, Process};
use super::probe::surroundings::Surroundings;
use super::probe::tether::Tether;
use super::probe::tool::Toolbox;
use super::probe::variables::Variables;
use super::setting::{Places, Setting};
use super::subject::{Bindings, Item, Kind, Login, Subject};

/// One claim's view of its setting.
#[derive(Debug)]
pub struct Case {
    pub setting: Arc<Setting>,
    /// What the processes of this claim wrote.
    pub book: Book,
    uses_shared: AtomicBool,
}

impl Case {
    #[must_use]
    pub fn new(setting: &Arc<Setting>) -> Self {
        Self {
            setting: Arc::clone(setting),
            book: Book::default(),
            uses_shared: AtomicBool::new(false),
        }
    }

    /// A case whose processes are everybody's.
    #[must_use]
    pub fn keeper(setting: &Arc<Setting>) -> Self {
        Self { book: setting.book.clone(), ..Self::new(setting) }
    }

    #[must_use]
    pub fn tether(&self) -> &Arc<Tether> {
        &self.setting.ground.tether
    }

    #[must_use]
    pub fn engine(&self) -> Engine {
        self.setting.engine()
    }

    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.setting.subject
    }

    pub fn project(&self) -> Result<&Project> {
        self.setting.project()
    }

    #[must_use]
    pub fn toolbox(&self) -> Toolbox {
        self.setting.toolbox()
    }

    /// The name of the declared variable of a kind.
    pub fn variable(&self, kind: Kind) -> Result<&str> {
        self.setting.variable(kind)
    }

    /// A stage whose database is migrated.
    pub fn stage(&self) -> Result<Stage> {
        self.setting.boot()?;
        let migrated = self.setting.migrated(self)?;
        // A copy of what was migrated once costs a tenth of another migration.
        Stage::set(self, migrated.map(|it| it.server.copy(it)).transpose()?)
    }

    /// A stage whose database is empty.
    pub fn empty_stage(&self) -> Result<Stage> {
        self.setting.boot()?;
        let server = self.setting.ground.backing.shared(self.engine())?;
        Stage::set(self, Some(server.create()?))
    }

    /// A stage with a database server of its own, which the claim may stop.
    pub fn stoppable_stage(&self) -> Result<Stage> {
        self.setting.boot()?;
        let server = self.setting.ground.backing.own(self.engine())?;
        let stage = Stage::set(self, Some(server.create()?))?;
        if self.subject().lines.contains_key("release") {
            stage.release()?;
        }
        Ok(stage)
    }

    /// A stage on whatever database is given.
    pub fn stage_on(&self, database: Database) -> Result<Stage> {
        self.setting.boot()?;
        Stage::set(self, Some(database))
    }

    /// A stage whose database and Redis are down: nobody listens at their addresses.
    pub fn deserted(&self) -> Result<Deserted> {
        self.setting.boot()?;
        let (nowhere, port) = (self.tether().fresh_port()?, self.tether().fresh_port()?);
        let bindings = Bindings::nowhere(self.engine(), nowhere, port);
        let variables = self.subject().fill(&bindings);
        Ok(Deserted { starter: Starter::of(self)?, variables, port })
    }

    /// The same without any required variable; a service that dozen made needs no other either.
    pub fn without_required(&self) -> Result<Deserted> {
        let deserted = self.deserted()?;
        let subject = self.subject();
        let variables = if subject.keeps_contract {
            Variables::default()
        } else {
            subject.required().fold(deserted.variables, |variables, it| variables.without(&it.name))
        };
        Ok(Deserted { variables, ..deserted })
    }

    /// A client of the shop that all claims share who only talk HTTP.
    pub fn shared(&self) -> Result<&Client> {
        Ok(&self.shop()?.web.client)
    }

    /// The shop that all claims share who leave it as it is.
    pub fn shop(&self) -> Result<&Shop> {
        self.uses_shared.store(true, Ordering::Relaxed);
        self.setting.shop()
    }

    pub fn item_table(&self) -> Result<&str> {
        self.setting.item_table()
    }

    /// What the processes of this claim said last, to stand beneath its failure.
    #[must_use]
    pub fn last_words(&self) -> Vec<String> {
        let mut tails: Vec<String> = self.book.transcripts().iter().map(Transcript::tail).collect();
        if self.uses_shared.load(Ordering::Relaxed)
            && let Some(shop) = self.setting.running_shop()
        {
            tails.extend(shop.transcripts().iter().map(Transcript::tail));
        }
        tails
    }

    /// Everything that any process of the setting wrote so far, those of running ones included.
    #[must_use]
    pub fn all_transcripts(&self) -> Vec<Transcript> {
        let mut all = self.setting.book.transcripts();
        all.extend(self.setting.running_shop().into_iter().flat_map(Shop::transcripts));
        all
    }
}

#[derive(Debug)]
pub struct Shop {
    pub web: Web,
    pub worker: Option<Process>,
    /// From the worker's start to its first job done, by its clock.
    pub worked_after: Option<Duration>,
    // Dropped after those who use it.
    pub stage: Stage,
}

impl Shop {
    /// One more web process of the same deploy, on a port of its own.
    pub fn another_web(&self) -> Result<Web> {
        self.stage.web_with(&self.stage.on_another_port()?)
    }

    fn transcripts(&self) -> Vec<Transcript> {
        let processes = std::iter::once(&self.web.process).chain(&self.worker);
        processes.map(Process::transcript).collect()
    }
}

/// Starts lines of one installed project.
#[derive(Debug, Clone)]
pub struct Starter {
    launcher: Launcher,
    pub folder: PathBuf,
    pub path: String,
    lines: BTreeMap<String, String>,
    image: Option<String>,
}

impl Starter {
    pub fn of(case: &Case) -> Result<Self> {
        Ok(Self::of_project(case, case.project()?))
    }

    #[must_use]
    pub fn of_project(case: &Case, project: &Project) -> Self {
        Self::new(&case.setting, case.book.clone(), project)
    }

    #[must_use]
    pub fn new(setting: &Setting, book: Book, project: &Project) -> Self {
        let ground = &setting.ground;
        Self {
            launcher: Launcher {
                tether: Arc::clone(&ground.tether),
                turnstile: Arc::clone(&ground.turnstile),
                book,
            },
            folder: project.folder.clone(),
            path: project.path.clone(),
            lines: setting.subject.lines.clone(),
            image: project.image.clone(),
        }
    }

    pub fn start(&self, name: &str, variables: &Variables) -> Result<Process> {
        self.start_in(Surroundings::Plain, name, variables)
    }

    /// Starts a line in other surroundings.
    pub fn start_in(
        &self,
        surroundings: Surroundings,
        name: &str,
        variables: &Variables,
    ) -> Result<Process> {
        let line = self.lines.get(name).with_context(|| format!("there is no process `{name}`"))?;
        diary::note(format!("start {name}: {line}"));
        Process::start(
            &self.launcher,
            &Launch {
                name,
                line,
                folder: &self.folder,
                path: &self.path,
                variables,
                surroundings,
                image: self.image.as_deref(),
            },
        )
    }

    /// Runs a line to its end.
    pub fn run(&self, name: &str, variables: &Variables) -> Result<(Exit, Process)> {
        let mut process = self.start(name, variables)?;
        let exit = process.wait_for_exit(Duration::from_mins(2))?;
        diary::note(format!("{name} ended with {exit}"));
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

impl Bindings {
    /// URLs at which nobody listens.
    #[must_use]
    pub fn nowhere(engine: Engine, nowhere: u16, port: u16) -> Self {
        let login = |scheme: &str, user: &str, name: &str| Login {
            scheme: scheme.to_owned(),
            user: user.to_owned(),
            password: Secret::new("nobody").to_string(),
            port: nowhere,
            name: name.to_owned(),
        };
        Self {
            database: Some(login(engine.slug(), "shop", "shop")),
            redis: Some(login("redis", "", "0")),
            port,
            secret: Secret::new("session"),
        }
    }
}

/// One claim's own database, Redis and variables.
#[derive(Debug)]
pub struct Stage {
    pub starter: Starter,
    database: Option<Database>,
    redis: Option<Redis>,
    pub variables: Variables,
    pub port: u16,
    secret: Secret,
    setting: Arc<Setting>,
}

impl Stage {
    pub fn set(case: &Case, database: Option<Database>) -> Result<Self> {
        let setting = &case.setting;
        let subject = &setting.subject;
        let redis = subject
            .has_redis
            .then(|| setting.ground.backing.redis(subject.names_redis_password()))
            .transpose()?;
        let port = case.tether().fresh_port()?;
        let secret = Secret::new("session");
        let bindings = Bindings {
            database: database.as_ref().map(Database::login),
            redis: redis.as_ref().map(Redis::login),
            port,
            secret: secret.clone(),
        };
        Ok(Self {
            variables: setting.subject.fill(&bindings),
            starter: Starter::of(case)?,
            database,
            redis,
            port,
            secret,
            setting: Arc::clone(setting),
        })
    }

    pub fn database(&self) -> Result<&Database> {
        self.database.as_ref().context("this service has no database of dozen's")
    }

    pub fn redis(&self) -> Result<&Redis> {
        self.redis.as_ref().context("this service has no Redis of dozen's")
    }

    #[must_use]
    pub fn into_database(self) -> Option<Database> {
        self.database
    }

    /// The variables for another database, which lead elsewhere but for that.
    #[must_use]
    pub fn variables_for(&self, database: &Database) -> Variables {
        self.variables_on(database, self.port)
    }

    /// The same, on another port.
    #[must_use]
    pub fn variables_on(&self, database: &Database, port: u16) -> Variables {
        self.fill(Some(database), port)
    }

    fn fill(&self, database: Option<&Database>, port: u16) -> Variables {
        self.setting.subject.fill(&Bindings {
            database: database.map(Database::login),
            redis: self.redis.as_ref().map(Redis::login),
            port,
            secret: self.secret.clone(),
        })
    }

    /// The secrets that none of the processes may ever show.
    #[must_use]
    pub fn secrets(&self) -> Vec<&str> {
        let mut secrets = vec![self.secret.shortest()];
        secrets.extend(self.database.as_ref().map(|database| database.password.as_str()));
        secrets.extend(self.redis.as_ref().and_then(Redis::password).map(Secret::as_str));
        secrets
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
            bail!("release ended with {exit}:\n{}", process.transcript().tail());
        }
        Ok(())
    }

    /// A web process that is ready.
    pub fn web(&self) -> Result<Web> {
        self.web_with(&self.variables)
    }

    pub fn web_with(&self, variables: &Variables) -> Result<Web> {
        let port = variables.port.context("variables without a port")?;
        self.ready(self.starter.start("web", variables)?, port)
    }

    /// Waits until a web process is ready.
    pub fn ready(&self, process: Process, port: u16) -> Result<Web> {
        Web::answers(&self.setting, process, port, |places| places.ready.as_deref())
    }

    /// Waits until a web process serves, ready or not.
    pub fn alive(&self, process: Process) -> Result<Web> {
        Web::alive(&self.setting, process, self.port)
    }

    /// The same variables with a port that nobody has.
    pub fn on_another_port(&self) -> Result<Variables> {
        let port = self.setting.ground.tether.fresh_port()?;
        Ok(self.fill(self.database.as_ref(), port))
    }

    /// A worker that is seen to work, so that it is past its boot.
    pub fn warm_worker(&self, web: &Web) -> Result<Process> {
        let worker = self.start("worker")?;
        let item = web.create_item()?;
        web.wait_for_job(&item)?;
        Ok(worker)
    }
}

/// A web process and a client to talk to it.
#[derive(Debug)]
pub struct Web {
    pub process: Process,
    pub client: Client,
    /// From its start to its first good answer, by its clock.
    pub ready_after: Duration,
    setting: Arc<Setting>,
}

impl Web {
    /// Waits until it serves, ready or not.
    pub fn alive(setting: &Arc<Setting>, process: Process, port: u16) -> Result<Self> {
        Self::answers(setting, process, port, |_| None)
    }

    /// Waits for 200 from a path, or, without one, for whatever answer that is no error of the server.
    fn answers(
        setting: &Arc<Setting>,
        mut process: Process,
        port: u16,
        path: impl FnOnce(&Places) -> Option<&str>,
    ) -> Result<Self> {
        let places = setting.boot()?;
        let path = path(places);
        let client = Client::of(port);
        let target = path.unwrap_or(&places.live);
        let is_error_alive = path.is_none() && !places.asks_nobody;
        let mut last = "nobody listens".to_owned();
        wait_for(format!("{} to answer at {target}", process.name), SOON, || {
            process.ensure_alive()?;
            match client.get(target) {
                Ok(answer)
                    if answer.status == 200
                        || path.is_none() && answer.status < 500
                        || is_error_alive =>
                {
                    return Ok(Some(()));
                }
                Ok(answer) => last = answer.to_string(),
                Err(error) => last = format!("{error:#}"),
            }
            Ok(None)
        })
        .with_context(|| format!("the last answer was: {last}"))?;
        Ok(Self {
            ready_after: process.running_for(),
            process,
            client,
            setting: Arc::clone(setting),
        })
    }

    fn item(&self) -> Result<&Item> {
        self.setting.subject.told.item.as_ref().context("no item is told")
    }

    /// Creates an item and gives what was answered.
    pub fn create_item(&self) -> Result<Value> {
        self.create_item_saying(None)
    }

    /// Creates an item with another text than the one that is told.
    pub fn create_item_saying(&self, text: Option<&str>) -> Result<Value> {
        let answer = self.client.send(&self.creation(text)?)?;
        ensure!(
            (200..300).contains(&answer.status),
            "expected an item to be created, got {answer}"
        );
        answer.json()
    }

    /// The request that creates an item.
    pub fn creation(&self, text: Option<&str>) -> Result<Request> {
        let create = &self.item()?.create;
        let ask = text.map_or_else(|| create.clone(), |text| create.saying(text));
        Ok(ask.request(&Value::Null))
    }

    /// The request that reads an item.
    pub fn reading(&self, item: &Value) -> Result<Request> {
        Ok(self.item()?.read.request(item))
    }

    /// The request that lists items.
    pub fn listing(&self) -> Result<Request> {
        let list = self.item()?.list.as_ref().context("no list is told")?;
        Ok(list.request(&Value::Null))
    }

    /// Reads an item that must be there.
    pub fn read_item(&self, item: &Value) -> Result<Value> {
        self.client.send(&self.reading(item)?)?.expect(200)?.json()
    }

    /// Waits until a worker has done the job of an item.
    pub fn wait_for_job(&self, item: &Value) -> Result<()> {
        self.wait_for_job_within(item, SOON)
    }

    pub fn wait_for_job_within(&self, item: &Value, limit: Duration) -> Result<()> {
        wait_for("the item's job to be done", limit, || {
            Ok(self.setting.is_done(&self.read_item(item)?)?.then_some(()))
        })
    }

    /// Waits until a path answers with a status.
    pub fn wait_for_status(&self, path: &str, status: u16, limit: Duration) -> Result<Answer> {
        let mut last = String::new();
        wait_for(format!("{status} from {path}"), limit, || {
            match self.client.get(path) {
                Ok(answer) if answer.status == status => return Ok(Some(answer)),
                Ok(answer) => last = answer.to_string(),
                Err(error) => last = format!("{error:#}"),
            }
            Ok(None)
        })
        .with_context(|| format!("the last answer was: {last}"))
    }

    /// Sees that it still answers: where no path is known that asks nobody, an error is an answer, too.
    pub fn still_answers(&self) -> Result<()> {
        let answer = self.client.send(&self.setting.plain_request()?)?;
        ensure!(answer.status < 500 || !self.setting.boot()?.asks_nobody, "{answer}");
        Ok(())
    }

    /// Whether an answer of the path for it says that it is not ready.
    #[must_use]
    pub fn says_not_ready(&self, answer: &Answer) -> bool {
        // Whoever routes requests takes any other error for the same; the contract has one for it.
        answer.status == 503 || !self.setting.subject.keeps_contract && answer.status >= 500
    }

    /// Waits until the path for it says that it is not ready.
    pub fn wait_until_not_ready(&self, path: &str, limit: Duration) -> Result<Answer> {
        let mut last = String::new();
        wait_for(format!("{path} to say that it is not ready (503)"), limit, || {
            match self.client.get(path) {
                Ok(answer) if self.says_not_ready(&answer) => return Ok(Some(answer)),
                Ok(answer) => last = answer.to_string(),
                Err(error) => last = format!("{error:#}"),
            }
            Ok(None)
        })
        .with_context(|| format!("the last answer was: {last}"))
    }

    /// A request that it answers whatever is up, and its answer.
    pub fn greet(&self) -> Result<Answer> {
        let answer = self.client.send(&self.setting.plain_request()?)?;
        ensure!(answer.status < 500, "{answer}");
        Ok(answer)
    }

    /// Opens a connection and asks over it.
    pub fn ask(&self, request: &Request) -> Result<Connection> {
        let mut connection = self.client.connect()?;
        connection.send(request)?;
        Ok(connection)
    }
}
