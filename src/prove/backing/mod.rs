//! Owns the backing services of a run: real servers on loopback ports, private to it.

mod daemon;
mod database;
mod mysql;
mod postgres;
mod program;
mod redis;
mod secret;
mod server;
mod session;

use std::fmt;
use std::sync::Arc;

use anyhow::Result;
use serde::Deserialize;

pub use self::database::{Database, TableLock};
pub use self::redis::Redis;
pub use self::secret::Secret;
pub use self::server::Server;
use crate::prove::probe::lazy::Lazy;
use crate::prove::probe::tether::Tether;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    Postgres,
    Mysql,
}

impl Engine {
    pub const ALL: [Self; 2] = [Self::Postgres, Self::Mysql];

    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }

    /// The engine that a URL's scheme names, such as `postgresql+psycopg`.
    #[must_use]
    pub fn from_scheme(scheme: &str) -> Option<Self> {
        match scheme.split('+').next().unwrap_or_default() {
            "postgres" | "postgresql" => Some(Self::Postgres),
            "mysql" | "mariadb" => Some(Self::Mysql),
            _ => None,
        }
    }

    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Postgres => Self::Mysql,
            Self::Mysql => Self::Postgres,
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.slug())
    }
}

/// One engine on this machine: laid once, served to most trials by one shared server, copied for those who
/// stop theirs.
#[derive(Debug)]
struct Stock {
    laid: Lazy<std::path::PathBuf>,
    shared: Lazy<Arc<Server>>,
}

#[derive(Debug)]
pub struct Backing {
    tether: Arc<Tether>,
    postgres: Stock,
    mysql: Stock,
}

impl Backing {
    pub fn new(tether: &Arc<Tether>) -> Self {
        let stock = || Stock { laid: Lazy::new(), shared: Lazy::new() };
        Self { tether: Arc::clone(tether), postgres: stock(), mysql: stock() }
    }

    /// The server that trials share, each with databases of its own.
    pub fn shared(&self, engine: Engine) -> Result<Arc<Server>> {
        let shared = &self.stock(engine).shared;
        shared.get(|| self.own(engine)).map(Arc::clone)
    }

    /// A server for one trial alone, which may stop it.
    pub fn own(&self, engine: Engine) -> Result<Arc<Server>> {
        let laid = self.stock(engine).laid.get(|| Server::lay(&self.tether, engine))?;
        Server::start(&self.tether, engine, laid).map(Arc::new)
    }

    pub fn redis(&self, has_password: bool) -> Result<Redis> {
        Redis::start(&self.tether, has_password)
    }

    fn stock(&self, engine: Engine) -> &Stock {
        match engine {
            Engine::Postgres => &self.postgres,
            Engine::Mysql => &self.mysql,
        }
    }
}
