use sea_orm_migration::{MigrationTrait, MigratorTrait};

mod m20261123_000001_notes;

pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20261123_000001_notes::Migration)]
    }
}
