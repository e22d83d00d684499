//! The backing services, attached by their URLs: what a request, a job or a task works with.

use std::time::Duration;

use futures_util::future::BoxFuture;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, IntoConnectionInfo as _, ProtocolVersion, RedisResult};
use sea_orm::{DatabaseConnection, DbErr};
use secrecy::{ExposeSecret as _, SecretString};

use crate::NAME;
use crate::database;
use crate::jobs::Jobs;
use crate::sessions::Sessions;
use crate::settings::Settings;

#[derive(Clone)]
pub struct Services {
    pub database: DatabaseConnection,
    pub redis: ConnectionManager,
    pub sessions: Sessions,
    pub jobs: Jobs,
}

/// What is run once, by hand or by a timetable.
pub struct Task {
    pub name: &'static str,
    pub about: &'static str,
    pub run: fn(Services) -> BoxFuture<'static, anyhow::Result<()>>,
}

impl Services {
    /// Nothing connects before it is used: a service that is down keeps nobody from starting.
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let redis = connect(&settings.redis_url)?;
        Ok(Self {
            database: database::connect(&settings.database_url).await?,
            sessions: Sessions::new(redis.clone(), NAME.to_owned()),
            jobs: Jobs::new(redis.clone(), connect(&settings.redis_url)?, format!("{NAME}:jobs")),
            redis,
        })
    }

    /// Takes leave of the database, which would log a connection that just breaks off.
    pub async fn close(self) -> Result<(), DbErr> {
        self.database.close().await
    }
}

fn connect(url: &SecretString) -> RedisResult<ConnectionManager> {
    let info = url.expose_secret().into_connection_info()?;
    // In this protocol a lost connection is noticed when it is lost, and not by whoever uses it next.
    let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let client = Client::open(info.set_redis_settings(redis))?;
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(2)))
        .set_response_timeout(Some(Duration::from_secs(5)))
        .set_number_of_retries(0);
    ConnectionManager::new_lazy_with_config(client, config)
}
