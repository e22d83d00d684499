//! Owns what all claims share: the installed clone, the migrated database, the running shop, and what the first
//! start told about the service.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use parking_lot::Mutex;
use serde_json::Value;

use super::backing::{Backing, Database, Engine};
use super::case::{Case, Shop, Stage, Starter};
use super::claim::Need;
use super::probe::clone::{self, Project};
use super::probe::diary;
use super::probe::http::{Client, Met, Request};
use super::probe::lazy::Lazy;
use super::probe::output::Book;
use super::probe::patience::wait_for;
use super::probe::process::Process;
use super::probe::snapshot::Snapshot;
use super::probe::tether::Tether;
use super::probe::tool::{Caches, Toolbox, path_with};
use super::probe::turnstile::Turnstile;
use super::probe::variables::Variables;
use super::subject::{Bindings, Kind, Subject};
use super::untested::Untested;
use crate::factor::Factor;

/// Where services commonly say whether they are ready, and whether they live; the first that answers 200 counts.
const READY_PATHS: [&str; 8] = [
    "/readyz",
    "/ready",
    "/health/ready",
    "/healthz",
    "/health",
    "/healthcheck",
    "/api/health",
    "/ping",
];
const LIVE_PATHS: [&str; 7] =
    ["/livez", "/live", "/health/live", "/up", "/healthz", "/health", "/ping"];
/// How long a first start may take: what is slow is another claim's business.
const BOOT_LIMIT: Duration = Duration::from_mins(1);

/// The same for every service that is proven in a run.
#[derive(Debug)]
pub struct Ground {
    pub tether: Arc<Tether>,
    pub backing: Backing,
    pub turnstile: Arc<Turnstile>,
}

impl Ground {
    pub fn lay() -> Result<Arc<Self>> {
        let tether = Arc::new(Tether::fasten()?);
        Ok(Arc::new(Self { backing: Backing::new(&tether), turnstile: Turnstile::new(), tether }))
    }
}

/// Where a service can be asked how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Answers 200 where the service is ready.
    pub ready: Option<String>,
    /// Answers where all is well.
    pub live: String,
    /// Whether that path says that the process lives, and is no page that may need a backing service.
    pub asks_nobody: bool,
}

/// What was found out before any claim: how each factor that stands in the way fails.
#[derive(Debug, Clone)]
pub struct Fault {
    pub factor: Factor,
    pub sentence: &'static str,
    pub what: String,
    pub did: Vec<String>,
    pub hint: &'static str,
}

/// A service, installed once, on one database engine.
#[derive(Debug)]
pub struct Setting {
    // What runs goes before what it runs on: fields are dropped in this order.
    shared: Lazy<Shop>,
    migrated: Lazy<Option<Database>>,
    places: Lazy<Places>,
    item_table: Lazy<String>,
    honest: Lazy<bool>,
    installed: Lazy<(Project, Snapshot)>,
    variants: Mutex<BTreeMap<&'static str, Arc<Lazy<Arc<Project>>>>>,
    findings: Mutex<BTreeMap<&'static str, Arc<Lazy<()>>>>,
    faults: Mutex<Vec<Fault>>,
    pub subject: Subject,
    /// All that the processes of all claims wrote.
    pub book: Book,
    pub ground: Arc<Ground>,
}

impl Setting {
    #[must_use]
    pub fn new(ground: &Arc<Ground>, subject: Subject) -> Self {
        Self {
            shared: Lazy::new(),
            migrated: Lazy::new(),
            places: Lazy::new(),
            item_table: Lazy::new(),
            honest: Lazy::new(),
            installed: Lazy::new(),
            variants: Mutex::default(),
            findings: Mutex::default(),
            faults: Mutex::default(),
            subject,
            book: Book::default(),
            ground: Arc::clone(ground),
        }
    }

    /// Why a claim with this need cannot be tested, if it cannot.
    #[must_use]
    pub fn lacks(&self, need: Need) -> Option<Untested> {
        let has_readiness = self.places.made().is_none_or(|places| places.ready.is_some());
        if need == Need::Readiness && !has_readiness {
            let how = "no path tells whether it is ready: name it with --ready";
            return Some(Untested::Untold { how: how.to_owned() });
        }
        self.subject.lacks(need)
    }

    /// The engine of its database; `PostgreSQL` where it has none.
    pub fn engine(&self) -> Engine {
        self.subject.engine.unwrap_or(Engine::Postgres)
    }

    #[must_use]
    pub fn toolbox(&self) -> Toolbox {
        Toolbox::new(&self.ground.tether, Caches::of_user())
    }

    /// What was found out before any claim.
    pub fn faults(&self) -> Vec<Fault> {
        self.faults.lock().clone()
    }

    fn find_fault(&self, factor: Factor, sentence: &'static str, what: String, hint: &'static str) {
        self.faults.lock().push(Fault { factor, sentence, what, did: diary::take(), hint });
    }

    /// A fault that keeps every claim from being tested that needs the running service.
    fn block(
        &self,
        factor: Factor,
        sentence: &'static str,
        what: String,
        hint: &'static str,
    ) -> anyhow::Error {
        self.find_fault(factor, sentence, what.clone(), hint);
        Untested::Blocked { by: factor, what }.into()
    }

    /// A clean clone of what is committed, in a folder of its own.
    pub fn clone_folder(&self) -> Result<PathBuf> {
        clone::clone_clean(&self.ground.tether, &self.subject.root, &self.subject.name)
    }

    pub fn project(&self) -> Result<&Project> {
        Ok(&self.installed()?.0)
    }

    /// The project, and its files as they were before its first start.
    fn installed(&self) -> Result<&(Project, Snapshot)> {
        self.installed.get(|| {
            let folder = self.clone_folder()?;
            let project = match Project::install(&self.toolbox(), &self.subject, folder) {
                Ok(project) => project,
                Err(error) if error.is::<Untested>() => return Err(error),
                Err(error) => self.install_with_variables(&format!("{error:#}"))?,
            };
            let snapshot = Snapshot::take(&project.folder, &self.changing());
            self.fill_caches(&project)?;
            Ok((project, snapshot))
        })
    }

    /// Tries whether a build that failed wants variables of the app.
    fn install_with_variables(&self, failed: &str) -> Result<Project> {
        let nowhere = self.ground.tether.fresh_port()?;
        let variables = self.subject.fill(&Bindings::nowhere(self.engine(), nowhere, nowhere));
        let again =
            Project::install_with(&self.toolbox(), &self.subject, self.clone_folder()?, &variables);
        match again {
            Ok(project) => {
                self.find_fault(
                    Factor::BuildReleaseRun,
                    "the build needs no service and no variable of the app",
                    format!(
                        "it fails without the app's variables, and succeeds with them: {failed}"
                    ),
                    "read configuration when the process starts, not while it is built",
                );
                Ok(project)
            }
            Err(_) => Err(self.block(
                Factor::Dependencies,
                "a clean clone is installed and built by its own commands",
                failed.to_owned(),
                "let the commands of the lock file install all it needs; where others build it, \
                 say them with --build COMMAND, in their order",
            )),
        }
    }

    /// The names of what may change in the project's folder.
    fn changing(&self) -> Vec<String> {
        let mut names = self.subject.caches.clone();
        names.push(".git".to_owned());
        names
    }

    /// Starts web once, in vain. An image has an interpreter's caches filled; a fresh install has not,
    /// and its first start would be measured with the filling.
    fn fill_caches(&self, project: &Project) -> Result<()> {
        if self.subject.caches.is_empty() || self.subject.in_image {
            return Ok(());
        }
        let starter = Starter::new(self, Book::default(), project);
        let mut process = starter.start("web", &Variables::default())?;
        // One that starts with no variable at all has filled its caches by then.
        let _ = process.wait_for_exit(Duration::from_secs(5));
        Ok(())
    }

    /// What became of the project's files since before its first start, by all claims.
    pub fn changed_files(&self) -> Result<Vec<String>> {
        let (project, before) = self.installed()?;
        let now = Snapshot::take(&project.folder, &self.changing());
        Ok(before.changes(&now, &project.folder))
    }

    /// Installs, migrates and starts the service once, and learns from it what every claim has to know.
    ///
    /// # Errors
    /// [`Untested::Blocked`] where it does not come up; the fault stands in [`Self::faults`].
    pub fn boot(self: &Arc<Self>) -> Result<&Places> {
        self.places.get(|| {
            let case = Case::new(self);
            self.project()?;
            let database = self.migrated(&case)?;
            let stage = Stage::set(&case, database.map(|it| it.server.copy(it)).transpose()?)?;
            let places = self.find_places(&stage)?;
            for transcript in case.book.transcripts() {
                self.book.enter(transcript);
            }
            Ok(places)
        })
    }

    /// A migrated database, to be copied; none where the service has none.
    pub fn migrated(&self, case: &Case) -> Result<Option<&Database>> {
        let migrated = self.migrated.get(|| {
            let Some(engine) = self.subject.engine else {
                return Ok(None);
            };
            let stage = Stage::set(case, Some(self.ground.backing.shared(engine)?.create()?))?;
            if self.subject.lines.contains_key("release")
                && let Err(error) = stage.release()
            {
                if error.is::<Untested>() {
                    return Err(error);
                }
                return Err(self.block(
                    Factor::AdminProcesses,
                    "release exits 0 on an empty database",
                    format!("{error:#}"),
                    "let release work on nothing but the database; name another command with \
                     --release, and what it lacks with --env NAME=VALUE",
                ));
            }
            Ok(stage.into_database())
        })?;
        Ok(migrated.as_ref())
    }

    fn find_places(&self, stage: &Stage) -> Result<Places> {
        let serves =
            "a clean clone in another folder, with its variables, is all that serving needs";
        let mut web = stage.start("web")?;
        if let Err(error) = wait_for_port(&mut web, stage.port) {
            if error.is::<Untested>() {
                return Err(error);
            }
            if web.exited()?.is_some() {
                return Err(self.explain_exit(stage, &web, &format!("{error:#}"))?);
            }
            let heard = web.listening();
            let factor = if heard.is_empty() { Factor::Codebase } else { Factor::PortBinding };
            let what = if let Some(address) = heard.first() {
                format!("PORT is {}, and it listens on {address}", stage.port)
            } else {
                let strangers = self.subject.strangers().unwrap_or_default();
                format!("{error:#}\n{}\n{strangers}", web.transcript().tail())
            };
            let (sentence, hint) = if heard.is_empty() {
                (serves, "say how it is started with --web COMMAND")
            } else {
                (
                    "web listens on PORT",
                    "read the port from PORT, or say what tells it: --env NAME={port}",
                )
            };
            return Err(self.block(factor, sentence, what, hint));
        }
        let client = Client::of(stage.port);
        let told = &self.subject.told;
        let answers_ok = |path: &&str| client.get(path).is_ok_and(|answer| answer.status == 200);
        let ready = match &told.ready {
            Some(path) => Some(path.clone()),
            None => find_readiness(&client),
        };
        if let Some(path) = &ready {
            let mut last = String::new();
            let waited = wait_for(format!("200 from {path}"), BOOT_LIMIT, || {
                web.ensure_alive()?;
                let answer = client.get(path)?;
                last = answer.to_string();
                Ok((answer.status == 200).then_some(()))
            });
            if let Err(error) = waited {
                let what =
                    format!("{error:#}; the last answer was {last}\n{}", web.transcript().tail());
                return Err(self.block(
                    Factor::BackingServices,
                    "web is ready with its backing services",
                    what,
                    "name what leads to them with --env NAME=VALUE, and another path with --ready",
                ));
            }
        }
        let live = told
            .live
            .clone()
            .or_else(|| LIVE_PATHS.into_iter().find(answers_ok).map(str::to_owned));
        let asks_nobody = live.is_some() && live != ready;
        // Any answer shows that somebody is there; but one that is good tells more of what goes wrong later.
        let is_served = client.get("/").is_ok_and(|answer| answer.status < 500);
        let otherwise = ready.clone().filter(|_| !is_served).unwrap_or_else(|| "/".to_owned());
        Ok(Places { live: live.unwrap_or(otherwise), asks_nobody, ready })
    }

    /// Web has exited though it got all that is known of its variables: tries what it may have missed.
    fn explain_exit(&self, stage: &Stage, web: &Process, error: &str) -> Result<anyhow::Error> {
        let folder = self.clone_folder()?;
        let lines: Vec<String> =
            stage.variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let write = format!("printf '%s\\n' {} > .env", shell_words::quote(&lines.join("\n")));
        self.toolbox().run_shell(&write, &folder)?;
        let project = Project::install(&self.toolbox(), &self.subject, folder)?;
        let starter = Starter::new(self, self.book.clone(), &project);
        let mut again = starter.start("web", &stage.variables)?;
        let tail = web.transcript().tail();
        if wait_for_port(&mut again, stage.port).is_ok() {
            return Ok(self.block(
                Factor::Config,
                "no .env is needed",
                format!("with all variables set it exits, and with the same in a .env it serves: {error}\n{tail}"),
                "take variables from the environment, and let it win over a .env",
            ));
        }
        Ok(self.block(
            Factor::Codebase,
            "a clean clone in another folder, with its variables, is all that serving needs",
            match self.subject.strangers() {
                Some(strangers) => format!("{error}\n{tail}\n{strangers}"),
                None => format!("{error}\n{tail}"),
            },
            "give it what it lacks with --env NAME=VALUE or --env-file FILE, or start it otherwise with --web",
        ))
    }

    /// Whether the readiness path tells the truth where nothing that it stands on is there.
    pub fn is_honest(self: &Arc<Self>) -> Result<bool> {
        self.honest
            .get(|| {
                let case = Case::new(self);
                let deserted = case.deserted()?;
                let Some(path) = &self.boot()?.ready else {
                    return Ok(false);
                };
                let mut web = deserted.starter.start("web", &deserted.variables)?;
                let client = Client::of(deserted.port);
                let answer =
                    wait_for("an answer without backing services", Duration::from_secs(15), || {
                        web.ensure_alive()?;
                        Ok(client.get(path).ok())
                    });
                Ok(answer.is_ok_and(|answer| answer.status == 503))
            })
            .copied()
    }

    /// The table in which an item is stored: the one that grows when an item is created.
    pub fn item_table(self: &Arc<Self>) -> Result<&str> {
        let table = self.item_table.get(|| {
            let case = Case::new(self);
            let stage = case.stage()?;
            let web = stage.web()?;
            let before = stage.database()?.count_rows()?;
            web.create_item()?;
            let after = stage.database()?.count_rows()?;
            let done = self.subject.told.item.as_ref().and_then(|item| item.done.as_deref());
            let mut grown: Vec<String> = after
                .into_iter()
                .filter(|(table, rows)| before.get(table) != Some(rows))
                .map(|(table, _)| table)
                .collect();
            if let Some(done) = done {
                for table in &grown {
                    if stage.database()?.has_column(table, done)? {
                        return Ok(table.clone());
                    }
                }
            }
            if grown.is_empty() {
                return Err(Untested::Untold {
                    how: "an item that is created appears in no table of the database that dozen started"
                        .to_owned(),
                }
                .into());
            }
            Ok(grown.swap_remove(0))
        })?;
        Ok(table)
    }

    /// The shop that all claims share who leave it as it is: a web process and, if there is one, a worker.
    pub fn shop(self: &Arc<Self>) -> Result<&Shop> {
        self.shared.get(|| {
            let keeper = Case::keeper(self);
            let stage = keeper.stage()?;
            let web = stage.web()?;
            let mut worker = None;
            let mut worked_after = None;
            if self.subject.lines.contains_key("worker") {
                let mut process = stage.start("worker")?;
                if self.subject.told.item.as_ref().is_some_and(|item| item.done.is_some()) {
                    let item = web.create_item()?;
                    web.wait_for_job(&item).context("the first job")?;
                    worked_after = Some(process.running_for());
                }
                worker = Some(process);
            }
            Ok(Shop { web, worker, worked_after, stage })
        })
    }

    #[must_use]
    pub fn running_shop(&self) -> Option<&Shop> {
        self.shared.made()
    }

    /// Finds out about the project alone, once.
    pub fn once(&self, what: &'static str, find_out: impl FnOnce() -> Result<()>) -> Result<()> {
        let finding = Arc::clone(self.findings.lock().entry(what).or_default());
        finding.get(find_out).copied()
    }

    /// Another clone of the project, altered by lines for a shell and then installed; once.
    pub fn variant(&self, what: &'static str, lines: &[String]) -> Result<Arc<Project>> {
        let variant = Arc::clone(self.variants.lock().entry(what).or_default());
        let made = variant.get(|| {
            let folder = self.clone_folder()?;
            for line in lines {
                let finished = self.toolbox().run_shell(line, &folder)?;
                finished.expect_success().context(what)?;
            }
            Project::install(&self.toolbox(), &self.subject, folder).map(Arc::new)
        });
        made.cloned()
    }

    /// The installed project in another folder, where lines for a shell may put something beside it.
    pub fn copy(&self, lines: &[String]) -> Result<Project> {
        let original = self.project()?;
        let folder = self.ground.tether.fresh_folder("copy")?.join(&self.subject.name);
        let link = format!(
            "cp -al {} {}",
            shell_words::quote(&original.folder.to_string_lossy()),
            shell_words::quote(&folder.to_string_lossy())
        );
        self.toolbox().run(&link, &original.folder)?.expect_success()?;
        for line in lines {
            self.toolbox().run_shell(line, &folder)?.expect_success()?;
        }
        let bin = self.subject.bin.as_deref().unwrap_or(".");
        Ok(Project { path: path_with(&folder.join(bin))?, folder, image: None })
    }

    /// The name of a variable that claims about its kind have asked for.
    pub fn variable(&self, kind: Kind) -> Result<&str> {
        self.subject.variable(kind).with_context(|| format!("no variable of the kind {kind:?}"))
    }

    /// A request that any service answers somehow.
    pub fn plain_request(self: &Arc<Self>) -> Result<Request> {
        Ok(Request::get(self.boot()?.live.as_str()))
    }

    /// An item's member that is null until its job is done.
    pub fn done(&self) -> Result<&str> {
        let item = self.subject.told.item.as_ref();
        item.and_then(|item| item.done.as_deref()).context("no job is told")
    }

    /// Whether an item shows its job as done.
    pub fn is_done(&self, item: &Value) -> Result<bool> {
        Ok(item
            .get(self.done()?)
            .is_some_and(|done| !done.is_null() && *done != Value::Bool(false)))
    }
}

/// The first of the usual paths that says 200, or 503, which may yet become 200.
fn find_readiness(client: &Client) -> Option<String> {
    READY_PATHS
        .into_iter()
        .find(|path| client.get(path).is_ok_and(|answer| [200, 503].contains(&answer.status)))
        .map(str::to_owned)
}

fn wait_for_port(web: &mut Process, port: u16) -> Result<()> {
    let client = Client::of(port);
    let mut elsewhere = 0;
    wait_for(format!("web to listen on port {port}"), BOOT_LIMIT, || {
        web.ensure_alive()?;
        // Long enough for one that listens for its metrics before it listens for its clients.
        elsewhere += usize::from(!web.listening().iter().all(|address| address.port() == port));
        if elsewhere > 60 {
            bail!("it listens elsewhere");
        }
        match client.knock("/") {
            Ok(Met::Answered(_)) => Ok(Some(())),
            _ => Ok(None),
        }
    })
}
