use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[derive(DeriveIden)]
enum Notes {
    Table,
    Id,
    Body,
    WordCount,
    CreatedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_mysql = manager.get_database_backend() == DbBackend::MySql;
        let mut created_at = ColumnDef::new(Notes::CreatedAt);
        let mut table = Table::create();
        if is_mysql {
            created_at.custom("datetime(6)");
            table.character_set("utf8mb4");
        } else {
            created_at.timestamp_with_time_zone();
        }
        table
            .table(Notes::Table)
            .col(ColumnDef::new(Notes::Id).big_integer().auto_increment().primary_key())
            .col(ColumnDef::new(Notes::Body).text().not_null())
            .col(ColumnDef::new(Notes::WordCount).integer())
            .col(created_at.not_null());
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Notes::Table).to_owned()).await
    }
}
