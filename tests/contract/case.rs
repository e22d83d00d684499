//! Owns what a trial works with: the product's own stage for a service, and the facts of its stack.

use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use dozen::prove::backing::Engine;
use dozen::prove::case::Case as Stagehand;
pub use dozen::prove::case::{Stage, Starter, Web};
pub use dozen::prove::claim::Order;
use dozen::prove::probe::clone::Project;
use dozen::prove::probe::http::Client;
use dozen::prove::probe::lazy::Lazy;
use dozen::prove::probe::patience::{SOON, wait_for};
use dozen::prove::setting::{Ground, Setting as Service};
use dozen::prove::subject::{Subject, Wishes};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::project::{self, NAME};
use crate::stack::Stack;

/// A sentence about a rendered service that is no factor's, and how to see that it holds.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    pub sentence: &'static str,
    pub check: fn(&Case) -> Result<()>,
    pub order: Order,
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

/// One stack on one database.
#[derive(Debug)]
pub struct Setting {
    pub stack: Arc<Stack>,
    pub engine: Engine,
    /// Whether the way to production is tried on this database: a stack goes it once, each with another.
    pub delivers: bool,
    service: Lazy<Arc<Service>>,
    proof: Lazy<Value>,
    ground: Arc<Ground>,
}

/// A proof measures seconds: two at once would measure each other.
static PROVING: Mutex<()> = Mutex::new(());

impl Setting {
    pub fn new(ground: &Arc<Ground>, stack: &Arc<Stack>, engine: Engine, delivers: bool) -> Self {
        Self {
            stack: Arc::clone(stack),
            engine,
            delivers,
            service: Lazy::new(),
            proof: Lazy::new(),
            ground: Arc::clone(ground),
        }
    }

    fn repository(&self) -> Result<PathBuf> {
        match project::standing() {
            Some(folder) => Ok(folder),
            None => project::render(&self.ground.tether, NAME, &self.stack.name, self.engine),
        }
    }

    fn service(&self) -> Result<&Arc<Service>> {
        self.service.get(|| {
            let wishes = Wishes { engine: Some(self.engine), ..Wishes::default() };
            let subject = Subject::read(&self.repository()?, wishes)?;
            Ok(Arc::new(Service::new(&self.ground, subject)))
        })
    }

    /// What `dozen prove` says of it.
    pub fn proof(&self) -> Result<&Value> {
        self.proof.get(|| {
            let repository = self.repository()?;
            let _alone = PROVING.lock();
            let output = Command::new(env!("CARGO_BIN_EXE_dozen"))
                .args(["prove", "--json", "--strict", "--database", self.engine.slug()])
                .arg(repository)
                .output()
                .context("run dozen prove")?;
            serde_json::from_slice(&output.stdout)
                .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
        })
    }
}

/// One trial's view of its setting.
#[derive(Debug)]
pub struct Case {
    pub setting: Arc<Setting>,
    stagehand: Stagehand,
}

impl Deref for Case {
    type Target = Stagehand;

    fn deref(&self) -> &Stagehand {
        &self.stagehand
    }
}

impl Case {
    pub fn new(setting: &Arc<Setting>) -> Result<Self> {
        Ok(Self { stagehand: Stagehand::new(setting.service()?), setting: Arc::clone(setting) })
    }

    pub fn stack(&self) -> &Stack {
        &self.setting.stack
    }

    pub fn engine(&self) -> Engine {
        self.setting.engine
    }

    /// Finds out about the project alone, once.
    pub fn once(&self, what: &'static str, find_out: impl FnOnce() -> Result<()>) -> Result<()> {
        self.stagehand.setting.once(what, find_out)
    }

    /// Another clone of the project, altered by lines for a shell and then installed; once.
    pub fn variant(&self, what: &'static str, lines: &[String]) -> Result<Arc<Project>> {
        self.stagehand.setting.variant(what, lines)
    }
}

/// What the example service is asked for.
pub trait Notes {
    /// Posts a note and gives its id.
    fn post_note(&self, body: &str) -> Result<i64>;

    /// Waits until a worker has counted the words of a note.
    fn wait_for_count(&self, id: i64, words: u64) -> Result<()>;
}

impl Notes for Web {
    fn post_note(&self, body: &str) -> Result<i64> {
        post_note(&self.client, body)
    }

    fn wait_for_count(&self, id: i64, words: u64) -> Result<()> {
        wait_for_count(&self.client, id, words, SOON)
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
