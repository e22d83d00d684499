//! The release phase: brings the schema to what this release needs.

use sea_orm::{DatabaseConnection, DbErr, EntityTrait as _};
use sea_orm_migration::{MigratorTrait, seaql_migrations};

use crate::database::{MigrationLock, connect};
use crate::migrations::Migrator;
use crate::settings::Settings;

pub async fn migrate(settings: &Settings) -> anyhow::Result<()> {
    let database = connect(&settings.database_url).await?;
    let lock = MigrationLock::take(&database).await?;
    Migrator::up(&database, None).await?;
    drop(lock);
    database.close().await?;
    Ok(())
}

/// Fails where the schema is behind this release; a newer release may have brought it ahead.
pub async fn check(database: &DatabaseConnection) -> Result<(), DbErr> {
    let needed = Migrator::migrations();
    if needed.is_empty() {
        return database.ping().await;
    }
    let applied = seaql_migrations::Entity::find().all(database).await?;
    for migration in needed {
        let name = migration.name();
        if !applied.iter().any(|applied| applied.version == name) {
            return Err(DbErr::Migration(format!("{name} is not applied")));
        }
    }
    Ok(())
}
