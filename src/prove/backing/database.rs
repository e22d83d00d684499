//! Owns one database of one trial: its URL, its notes, its locks.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::Engine;
use super::server::Server;
use super::session::Session;
use crate::prove::probe::diary;
use crate::prove::probe::http::percent_encode;
use crate::prove::probe::patience::{SOON, wait_for};
use crate::prove::subject::Login;

#[derive(Debug)]
pub struct Database {
    pub server: Arc<Server>,
    pub name: String,
    pub owner: String,
    pub password: String,
    port: u16,
}

impl Database {
    pub fn new(
        server: Arc<Server>,
        name: String,
        owner: String,
        password: String,
        port: u16,
    ) -> Self {
        Self { server, name, owner, password, port }
    }

    #[must_use]
    pub fn engine(&self) -> Engine {
        self.server.engine
    }

    /// How the service reaches it.
    #[must_use]
    pub fn login(&self) -> Login {
        Login {
            scheme: self.engine().slug().to_owned(),
            user: self.owner.clone(),
            password: percent_encode(&self.password),
            port: self.port,
            name: self.name.clone(),
        }
    }

    pub fn session(&self) -> Result<Session> {
        self.server.session(Some(&self.name))
    }

    pub fn query(&self, statements: &str) -> Result<Vec<String>> {
        self.session()?.run(statements)
    }

    /// The names of all its tables.
    pub fn tables(&self) -> Result<Vec<String>> {
        self.query(&self.table_names())
    }

    /// Columns, indexes and constraints as text: equal text, equal schema.
    pub fn describe(&self) -> Result<String> {
        let columns = format!(
            "SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default, \
             character_maximum_length FROM information_schema.columns WHERE table_schema = {} ORDER BY 1, 3",
            self.schema()
        );
        let indexes = match self.engine() {
            Engine::Postgres => {
                "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
            }
            Engine::Mysql => {
                "SELECT table_name, index_name, column_name, non_unique FROM information_schema.statistics \
                 WHERE table_schema = database() ORDER BY 1, 2, seq_in_index"
            }
        };
        let constraints = format!(
            "SELECT table_name, constraint_name, constraint_type FROM information_schema.table_constraints \
             WHERE table_schema = {} AND constraint_name NOT LIKE '%_not_null' ORDER BY 1, 2",
            self.schema()
        );
        Ok(self.query(&format!("{columns};\n{indexes};\n{constraints}"))?.join("\n"))
    }

    /// How many rows each table has.
    pub fn count_rows(&self) -> Result<BTreeMap<String, u64>> {
        let mut session = self.session()?;
        let mut counts = BTreeMap::new();
        for table in session.run(&self.table_names())? {
            let rows = session.run(&format!("SELECT count(*) FROM {}", self.quote(&table)))?;
            let count = rows.first().context("no count")?.parse().context("a count")?;
            counts.insert(table, count);
        }
        Ok(counts)
    }

    pub fn count(&self, table: &str) -> Result<u64> {
        let rows = self.query(&format!("SELECT count(*) FROM {}", self.quote(table)))?;
        rows.first().context("no count")?.parse().context("a count")
    }

    /// A table's or column's name as a statement has it.
    #[must_use]
    pub fn quote(&self, name: &str) -> String {
        match self.engine() {
            Engine::Postgres => format!("\"{name}\""),
            Engine::Mysql => format!("`{name}`"),
        }
    }

    pub fn has_column(&self, table: &str, column: &str) -> Result<bool> {
        let rows = self.query(&format!(
            "SELECT column_name FROM information_schema.columns \
             WHERE table_schema = {} AND table_name = '{table}' AND column_name = '{column}'",
            self.schema()
        ))?;
        Ok(!rows.is_empty())
    }

    /// Locks a table against reading and writing: whoever touches it waits.
    pub fn lock(&self, table: &str) -> Result<TableLock> {
        let table = self.quote(table);
        let mut session = self.session()?;
        session
            .run(&match self.engine() {
                Engine::Postgres => format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"),
                Engine::Mysql => format!("LOCK TABLES {table} WRITE"),
            })
            .with_context(|| format!("lock {table}"))?;
        diary::note(format!("lock the table {table}"));
        Ok(TableLock { session, engine: self.engine() })
    }

    /// Keeps anybody from creating or changing a table, while reading goes on. `MySQL` knows such a lock only for
    /// the whole server.
    pub fn lock_schema(&self) -> Result<TableLock> {
        let mut session = self.session()?;
        session
            .run(match self.engine() {
                Engine::Postgres => "BEGIN; LOCK TABLE pg_class IN SHARE ROW EXCLUSIVE MODE",
                Engine::Mysql => "FLUSH TABLES WITH READ LOCK",
            })
            .context("lock the schema")?;
        Ok(TableLock { session, engine: self.engine() })
    }

    /// How many sessions a lock holds up.
    pub fn count_waiters(&self, session: &mut Session) -> Result<usize> {
        Ok(session.run(&self.waiters())?.len())
    }

    /// Waits until so many sessions are held up by a lock.
    pub fn wait_for_waiters(&self, number: usize) -> Result<()> {
        let mut session = self.session()?;
        wait_for(format!("{number} sessions of the service that wait for a lock"), SOON, || {
            Ok((self.count_waiters(&mut session)? >= number).then_some(()))
        })
    }

    /// Ends the sessions that a lock holds up. After a `kill -9` of their client the server would still run
    /// the statement they wait with.
    pub fn end_waiters(&self) -> Result<()> {
        let mut session = self.session()?;
        for waiter in session.run(&self.waiters())? {
            // It may have ended by itself since.
            let _ = match self.engine() {
                Engine::Postgres => session.run(&format!("SELECT pg_terminate_backend({waiter})")),
                Engine::Mysql => self.query(&format!("KILL {waiter}")),
            };
        }
        Ok(())
    }

    /// Records from now on, by whomever it is written, every value of a column that is not null.
    pub fn record(&self, table: &str, column: &str) -> Result<()> {
        let (table, column) = (self.quote(table), self.quote(column));
        let statements = match self.engine() {
            Engine::Postgres => format!(
                "CREATE TABLE dozen_record (written text); GRANT ALL ON dozen_record TO PUBLIC; \
                 CREATE FUNCTION dozen_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 INSERT INTO dozen_record VALUES (NEW.{column}); RETURN NEW; END $$; \
                 CREATE TRIGGER dozen_note AFTER UPDATE ON {table} FOR EACH ROW \
                 WHEN (NEW.{column} IS NOT NULL) EXECUTE FUNCTION dozen_note()"
            ),
            Engine::Mysql => format!(
                "CREATE TABLE dozen_record (written text);\n\
                 CREATE TRIGGER dozen_note AFTER UPDATE ON {table} FOR EACH ROW \
                 INSERT INTO dozen_record SELECT NEW.{column} FROM DUAL WHERE NEW.{column} IS NOT NULL"
            ),
        };
        self.query(&statements).map(|_| ())
    }

    /// How often such a value was written.
    pub fn recorded(&self) -> Result<usize> {
        Ok(self.query("SELECT written FROM dozen_record")?.len())
    }

    fn table_names(&self) -> String {
        format!(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = {} ORDER BY 1",
            self.schema()
        )
    }

    fn schema(&self) -> &'static str {
        match self.engine() {
            Engine::Postgres => "'public'",
            Engine::Mysql => "database()",
        }
    }

    fn waiters(&self) -> String {
        match self.engine() {
            Engine::Postgres => "SELECT pid FROM pg_stat_activity \
                WHERE datname = current_database() AND wait_event_type = 'Lock'"
                .to_owned(),
            Engine::Mysql => "SELECT id FROM information_schema.processlist \
                WHERE db = database() AND (state LIKE 'Waiting for%lock%' OR state = 'User lock')"
                .to_owned(),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = match self.engine() {
            Engine::Postgres => format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name),
            Engine::Mysql => format!("DROP DATABASE IF EXISTS {}", self.name),
        };
        // The server may be down: then the run's folder takes the database with it.
        let _ = self.server.query(&statement);
    }
}

/// What was locked stays so until this is released or dropped.
#[derive(Debug)]
pub struct TableLock {
    session: Session,
    engine: Engine,
}

impl TableLock {
    pub fn release(mut self) -> Result<()> {
        self.session
            .run(match self.engine {
                Engine::Postgres => "COMMIT",
                Engine::Mysql => "UNLOCK TABLES",
            })
            .map(|_| ())
    }
}
