//! The database: PostgreSQL or MySQL, whichever `DATABASE_URL` names.

use std::time::Duration;

use anyhow::bail;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::{self, MySql, Postgres};
use sea_orm::{ConnectOptions, Database, DatabaseBackend, DatabaseConnection, DbErr, RuntimeErr};
use secrecy::{ExposeSecret as _, SecretString};
use tracing::log::LevelFilter;

/// Nothing connects before it is used: a database that is down keeps nobody from starting.
pub async fn connect(url: &SecretString) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url.expose_secret());
    options
        .connect_lazy(true)
        .acquire_timeout(Duration::from_secs(5))
        .sqlx_logging_level(LevelFilter::Debug);
    Database::connect(options).await
}

/// Whether an error tells of a database that is away, and not of a statement that is wrong.
pub fn is_away(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            match &**error {
                // The connection broke, or the server ends it: SQLSTATE of either database.
                sqlx::Error::Database(error) => error
                    .code()
                    .is_some_and(|code| code.starts_with("08") || code.starts_with("57P")),
                error => matches!(
                    error,
                    sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut
                ),
            }
        }
        _ => false,
    }
}

/// Lets one migration run at a time; lasts as long as the connection that took it.
pub enum MigrationLock {
    Postgres(PoolConnection<Postgres>),
    MySql(PoolConnection<MySql>),
}

impl MigrationLock {
    pub async fn take(database: &DatabaseConnection) -> anyhow::Result<Self> {
        if database.get_database_backend() == DatabaseBackend::Postgres {
            let mut connection = database.get_postgres_connection_pool().acquire().await?;
            sqlx::query("SELECT pg_advisory_lock(hashtext('migrate'))")
                .execute(&mut *connection)
                .await?;
            return Ok(Self::Postgres(connection));
        }
        let mut connection = database.get_mysql_connection_pool().acquire().await?;
        let lock = "SELECT GET_LOCK(CONCAT('migrate:', SHA2(DATABASE(), 224)), 3600)";
        let taken: Option<i64> = sqlx::query_scalar(lock).fetch_one(&mut *connection).await?;
        if taken != Some(1) {
            bail!("another migration holds the lock");
        }
        Ok(Self::MySql(connection))
    }
}
