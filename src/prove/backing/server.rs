//! Owns one running database server and the databases made on it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result, bail};
use parking_lot::Mutex;

use super::daemon::{Daemon, Frozen};
use super::database::Database;
use super::secret::Secret;
use super::session::Session;
use super::{Engine, mysql, postgres};
use crate::prove::probe::procfs;
use crate::prove::probe::tether::Tether;

#[derive(Debug)]
pub struct Server {
    pub engine: Engine,
    tether: Arc<Tether>,
    daemon: Daemon,
    port: u16,
    databases: AtomicU32,
    /// How databases are made, once that was asked.
    strategy: OnceLock<&'static str>,
    /// What is open while the server runs: to start its client takes longer than to answer.
    conversation: Mutex<Option<Session>>,
}

impl Server {
    /// Lays an empty data folder, from which servers are copied.
    pub fn lay(tether: &Arc<Tether>, engine: Engine) -> Result<PathBuf> {
        let folder = tether.fresh_folder(engine.slug())?;
        match engine {
            Engine::Postgres => postgres::lay(&folder)?,
            Engine::Mysql => mysql::lay(&folder)?,
        }
        Ok(folder)
    }

    pub fn start(tether: &Arc<Tether>, engine: Engine, laid: &Path) -> Result<Self> {
        let folder = tether.fresh_folder(engine.slug())?;
        let copied = Command::new("cp")
            .args(["-a", "--reflink=auto", "-T"])
            .args([laid, &folder])
            .status()
            .context("copy a data folder")?;
        if !copied.success() {
            bail!("copying {} failed", laid.display());
        }
        let port = tether.fresh_port()?;
        let daemon = match engine {
            Engine::Postgres => postgres::daemon(tether, &folder, port)?,
            Engine::Mysql => mysql::daemon(tether, &folder, port)?,
        };
        let server = Self {
            engine,
            tether: Arc::clone(tether),
            daemon,
            port,
            databases: AtomicU32::new(0),
            strategy: OnceLock::new(),
            conversation: Mutex::new(None),
        };
        server.resume()?;
        Ok(server)
    }

    /// Starts it (again) with the data that it had, on the same port.
    pub fn resume(&self) -> Result<()> {
        self.daemon.start(|| procfs::is_taken(self.port) && self.query("SELECT 1").is_ok())
    }

    pub fn stop(&self) -> Result<()> {
        drop(self.conversation.lock().take());
        self.daemon.stop()
    }

    pub fn kill(&self) {
        drop(self.conversation.lock().take());
        self.daemon.kill();
    }

    pub fn freeze(&self) -> Frozen<'_> {
        self.daemon.freeze()
    }

    /// Runs statements that are about the server itself.
    pub fn query(&self, statements: &str) -> Result<Vec<String>> {
        let mut open = self.conversation.lock();
        let mut session = open.take().map_or_else(|| self.session(None), Ok)?;
        // After an error it has ended.
        let rows = session.run(statements)?;
        *open = Some(session);
        Ok(rows)
    }

    pub fn session(&self, database: Option<&str>) -> Result<Session> {
        let client = match self.engine {
            Engine::Postgres => postgres::client(&self.daemon.folder, self.port, database)?,
            Engine::Mysql => mysql::client(&self.daemon.folder, database)?,
        };
        Session::open(&self.tether, client)
    }

    /// Makes an empty database with an owner of its own.
    pub fn create(self: &Arc<Self>) -> Result<Database> {
        self.create_for(&Secret::new("database").to_string())
    }

    /// Makes an empty database whose owner has this password.
    pub fn create_for(self: &Arc<Self>, password: &str) -> Result<Database> {
        let name = self.fresh_name();
        let statements = match self.engine {
            Engine::Postgres => format!(
                "CREATE ROLE {name} LOGIN PASSWORD '{password}'; CREATE DATABASE {name} OWNER {name}{}",
                self.strategy()?
            ),
            Engine::Mysql => format!(
                "CREATE DATABASE {name}; CREATE USER {name} IDENTIFIED BY '{password}'; \
                 GRANT ALL ON {name}.* TO {name}"
            ),
        };
        self.query(&statements)?;
        Ok(Database::new(Arc::clone(self), name.clone(), name, password.to_owned(), self.port))
    }

    /// Makes a database that equals another, with the same owner; nobody may be using that one.
    pub fn copy(self: &Arc<Self>, original: &Database) -> Result<Database> {
        let name = self.fresh_name();
        let Database { name: from, owner, password, .. } = original;
        match self.engine {
            Engine::Postgres => {
                let strategy = self.strategy()?;
                let statement =
                    format!("CREATE DATABASE {name} OWNER {owner} TEMPLATE {from}{strategy}");
                self.query(&statement)?;
            }
            Engine::Mysql => {
                let statement = format!("CREATE DATABASE {name}; GRANT ALL ON {name}.* TO {owner}");
                self.query(&statement)?;
                mysql::copy(&self.daemon.folder, from, &name)?;
            }
        }
        Ok(Database::new(Arc::clone(self), name, owner.clone(), password.clone(), self.port))
    }

    /// How `PostgreSQL` makes a database. Since 15 it would write every page of the original into its log.
    fn strategy(&self) -> Result<&'static str> {
        if let Some(strategy) = self.strategy.get() {
            return Ok(strategy);
        }
        let version = self.query("SHOW server_version_num")?.concat();
        let has_choice = version.parse::<u32>().context("a version")? >= 150_000;
        Ok(self.strategy.get_or_init(|| if has_choice { " STRATEGY file_copy" } else { "" }))
    }

    fn fresh_name(&self) -> String {
        format!("shop_{}", self.databases.fetch_add(1, Ordering::Relaxed))
    }
}
