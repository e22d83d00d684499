//! The names that variables have where a backing service is told in parts: `POSTGRES_HOST`, `DB_NAME`, `PGUSER`. Pure.

use super::backing::Engine;

/// What a variable's name says of whose part it is.
const OWNERS: [(&str, &str, Option<Engine>); 8] = [
    ("POSTGRES", "database", Some(Engine::Postgres)),
    ("POSTGRESQL", "database", Some(Engine::Postgres)),
    ("PG", "database", Some(Engine::Postgres)),
    ("MYSQL", "database", Some(Engine::Mysql)),
    ("MARIADB", "database", Some(Engine::Mysql)),
    ("DB", "database", None),
    ("DATABASE", "database", None),
    ("REDIS", "redis", None),
];
/// And of which part.
const PARTS: [(&str, &[&str]); 5] = [
    ("host", &["HOST", "HOSTNAME", "SERVER"]),
    ("port", &["PORT"]),
    ("name", &["NAME", "DB", "DATABASE", "DB_NAME", "DATABASE_NAME"]),
    ("user", &["USER", "USERNAME"]),
    ("password", &["PASS", "PASSWORD"]),
];
/// Whose service it is where several are told.
const OTHERS: [&str; 2] = ["TEST", "SHADOW"];

/// One of the parts by which a backing service is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// `database` or `redis`.
    pub of: &'static str,
    /// As a placeholder has it, such as `host`.
    pub name: &'static str,
    /// The engine that the variable's name speaks of.
    pub engine: Option<Engine>,
}

impl Part {
    #[must_use]
    pub fn of(variable: &str) -> Option<Self> {
        let words: Vec<&str> = variable.split('_').filter(|word| !word.is_empty()).collect();
        if words.iter().any(|word| OTHERS.contains(word)) {
            return None;
        }
        // libpq's own have no line between the two.
        let joined = variable.strip_prefix("PG").and_then(|rest| Self::named("PG", rest));
        joined.or_else(|| {
            (0..words.len()).find_map(|at| Self::named(words[at], &words[at + 1..].join("_")))
        })
    }

    fn named(owner: &str, part: &str) -> Option<Self> {
        let (_, of, engine) = OWNERS.into_iter().find(|(known, ..)| *known == owner)?;
        let (name, _) = PARTS.into_iter().find(|(_, known)| known.contains(&part))?;
        Some(Self { of, name, engine })
    }

    /// What stands for its value, such as `{database.host}`.
    #[must_use]
    pub fn placeholder(self) -> String {
        format!("{{{}.{}}}", self.of, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_whose_part_it_is() {
        let told = |name| Part::of(name).map(Part::placeholder);
        assert_eq!(told("POSTGRES_HOST").as_deref(), Some("{database.host}"));
        assert_eq!(told("POSTGRES_DB").as_deref(), Some("{database.name}"));
        assert_eq!(told("PGUSER").as_deref(), Some("{database.user}"));
        assert_eq!(told("APP_DATABASE__DATABASE_NAME").as_deref(), Some("{database.name}"));
        assert_eq!(told("DB_PASS").as_deref(), Some("{database.password}"));
        assert_eq!(told("REDIS_PORT").as_deref(), Some("{redis.port}"));
        assert_eq!(Part::of("MYSQL_USER").unwrap().engine, Some(Engine::Mysql));
    }

    #[test]
    fn other_names_are_no_parts() {
        for name in [
            "PORT",
            "HOST",
            "DATABASE_URL",
            "MYSQL_ROOT_PASSWORD",
            "TEST_DB_NAME",
            "DB_POOL_SIZE",
            "PGADMIN_PORT",
        ] {
            assert_eq!(Part::of(name), None, "{name}");
        }
    }
}
