# Adds a migration whose SQL fails to a Rust project; run in its root.
cat > src/migrations/m99991231_000001_failing.rs <<END
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("INSERT INTO nowhere VALUES (1)").await?;
        Ok(())
    }
}
END
sed -i.bak -e 's/^mod /mod m99991231_000001_failing;\n&/' -e 's/vec!\[\(.*\)\]/vec![\1, Box::new(m99991231_000001_failing::Migration)]/' src/migrations/mod.rs
rm src/migrations/mod.rs.bak
