//! The configuration: environment variables and nothing else, the same for every process.

use std::env;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use thiserror::Error;
use tracing::level_filters::LevelFilter;
use url::Url;

#[derive(Clone, Debug)]
pub struct Settings {
    pub database_url: SecretString,
    pub redis_url: SecretString,
    pub session_secret: SecretString,
    pub release: String,
    pub port: u16,
    pub web_concurrency: usize,
    pub shutdown_timeout: Duration,
    pub log_level: LevelFilter,
}

/// Every variable that is missing or malformed, and the value of none.
#[derive(Debug, Error)]
#[error("{}", .errors.join("; "))]
pub struct InvalidSettings {
    pub errors: Vec<String>,
}

impl Settings {
    pub fn load() -> Result<Self, InvalidSettings> {
        Self::read(|name| Some(env::var_os(name)?.to_string_lossy().into_owned()))
    }

    fn read(lookup: impl FnMut(&'static str) -> Option<String>) -> Result<Self, InvalidSettings> {
        let mut variables = Variables { lookup, errors: Vec::new() };
        let database_url = variables.required(
            "DATABASE_URL",
            "must be a postgres:// or mysql:// URL with a host and a database",
            database_url,
        );
        let redis_url = variables.required(
            "REDIS_URL",
            "must be a redis:// or rediss:// URL with a host",
            redis_url,
        );
        let session_secret = variables.required(
            "SESSION_SECRET",
            "must have at least 32 characters",
            session_secret,
        );
        let release = variables.find("RELEASE").unwrap_or_else(|| "dev".to_owned());
        let port = variables.optional(
            "PORT",
            8000,
            "must be a whole number from 1 to 65535",
            whole_number(1..=u16::MAX),
        );
        let web_concurrency = variables.optional(
            "WEB_CONCURRENCY",
            1,
            "must be a whole number from 1 to 1000",
            whole_number(1..=1000),
        );
        let shutdown_timeout = variables.optional(
            "SHUTDOWN_TIMEOUT",
            10,
            "must be a whole number of seconds from 1 to 3600",
            whole_number(1..=3600),
        );
        let log_level = variables.optional(
            "LOG_LEVEL",
            LevelFilter::INFO,
            "must be debug, info, warning or error",
            log_level,
        );
        let settings = || {
            Some(Self {
                database_url: database_url?,
                redis_url: redis_url?,
                session_secret: session_secret?,
                release,
                port: port?,
                web_concurrency: web_concurrency?,
                shutdown_timeout: Duration::from_secs(shutdown_timeout?),
                log_level: log_level?,
            })
        };
        settings().ok_or(InvalidSettings { errors: variables.errors })
    }

    /// How long work in progress may go on once a process is told to stop.
    pub fn drain_timeout(&self) -> Duration {
        let timeout = self.shutdown_timeout;
        timeout.saturating_sub(Duration::from_millis(1500)).max(timeout / 2)
    }

    /// When a process is ended that has not ended by then.
    pub fn exit_timeout(&self) -> Duration {
        (self.drain_timeout() + self.shutdown_timeout) / 2
    }
}

/// Reads on where one is wrong, to name them all.
struct Variables<L> {
    lookup: L,
    errors: Vec<String>,
}

impl<L: FnMut(&'static str) -> Option<String>> Variables<L> {
    fn required<T>(
        &mut self,
        name: &'static str,
        rule: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let Some(value) = self.find(name) else {
            self.errors.push(format!("{name}: is required"));
            return None;
        };
        self.check(name, rule, parse(&value))
    }

    fn optional<T>(
        &mut self,
        name: &'static str,
        default: T,
        rule: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        match self.find(name) {
            Some(value) => self.check(name, rule, parse(&value)),
            None => Some(default),
        }
    }

    fn find(&mut self, name: &'static str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    fn check<T>(&mut self, name: &str, rule: &str, parsed: Option<T>) -> Option<T> {
        if parsed.is_none() {
            self.errors.push(format!("{name}: {rule}"));
        }
        parsed
    }
}

fn database_url(value: &str) -> Option<SecretString> {
    let path = parse_url(value, &["postgres", "postgresql", "mysql"])?;
    let database = path.strip_prefix('/')?;
    (!database.is_empty() && !database.contains('/')).then(|| value.into())
}

fn redis_url(value: &str) -> Option<SecretString> {
    let path = parse_url(value, &["redis", "rediss"])?;
    path.trim_start_matches('/').bytes().all(|byte| byte.is_ascii_digit()).then(|| value.into())
}

/// The path of a URL that has a host and one of these schemes.
fn parse_url(value: &str, schemes: &[&str]) -> Option<String> {
    let url = Url::parse(value).ok()?;
    let known = schemes.contains(&url.scheme()) && url.has_host();
    known.then(|| url.path().to_owned())
}

fn session_secret(value: &str) -> Option<SecretString> {
    (value.chars().count() >= 32).then(|| value.into())
}

fn whole_number<T: FromStr + PartialOrd>(
    range: RangeInclusive<T>,
) -> impl FnOnce(&str) -> Option<T> {
    move |value| value.parse().ok().filter(|number| range.contains(number))
}

fn log_level(value: &str) -> Option<LevelFilter> {
    match value {
        "debug" => Some(LevelFilter::DEBUG),
        "info" => Some(LevelFilter::INFO),
        "warning" => Some(LevelFilter::WARN),
        "error" => Some(LevelFilter::ERROR),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: [(&str, &str); 3] = [
        ("DATABASE_URL", "postgres://user:password@host/name"),
        ("REDIS_URL", "redis://host"),
        ("SESSION_SECRET", "ssssssssssssssssssssssssssssssss"),
    ];

    fn read(changes: &[(&str, &str)]) -> Result<Settings, InvalidSettings> {
        Settings::read(|name| {
            let mut all = changes.iter().chain(&VALID);
            all.find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn has_defaults_for_what_is_not_required() {
        let settings = read(&[("LOG_LEVEL", "")]).unwrap();
        assert_eq!(settings.port, 8000);
        assert_eq!(settings.log_level, LevelFilter::INFO);
        assert_eq!(settings.release, "dev");
    }

    #[test]
    fn names_everything_that_is_missing() {
        let invalid = Settings::read(|name| (name == "SESSION_SECRET").then(String::new));
        let errors = VALID.map(|(name, _)| format!("{name}: is required"));
        assert_eq!(invalid.unwrap_err().errors, errors);
    }

    #[test]
    fn names_what_is_malformed_and_not_its_value() {
        for (name, value) in [
            ("DATABASE_URL", "oracle://canary/name"),
            ("DATABASE_URL", "postgres://canary"),
            ("DATABASE_URL", "postgres://canary/"),
            ("REDIS_URL", "canary"),
            ("REDIS_URL", "redis://canary/name"),
            ("SESSION_SECRET", "canary"),
            ("PORT", "canary"),
            ("PORT", "65536"),
            ("LOG_LEVEL", "canary"),
            ("SHUTDOWN_TIMEOUT", "0"),
            ("WEB_CONCURRENCY", "0"),
        ] {
            let invalid = read(&[(name, value)]).unwrap_err().to_string();
            assert!(invalid.starts_with(&format!("{name}: must ")), "{invalid}");
            assert!(!invalid.contains("canary"), "{invalid}");
        }
    }

    #[test]
    fn shows_no_secret() {
        let shown = format!("{:?}", read(&[]).unwrap());
        assert!(!shown.contains("password") && !shown.contains("sss"), "{shown}");
    }

    #[test]
    fn leaves_time_to_end_in() {
        for (timeout, drain, exit) in [("10", 8500, 9250), ("2", 1000, 1500)] {
            let settings = read(&[("SHUTDOWN_TIMEOUT", timeout)]).unwrap();
            assert_eq!(settings.drain_timeout(), Duration::from_millis(drain));
            assert_eq!(settings.exit_timeout(), Duration::from_millis(exit));
        }
    }

    #[test]
    fn the_example_file_has_every_variable() {
        let mut names = Vec::new();
        let _ = Settings::read(|name| {
            names.push(name);
            None
        });
        let example = include_str!("../.env.example").lines();
        let listed =
            example.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        let mut listed: Vec<_> = listed.map(|(name, _)| name).collect();
        names.sort_unstable();
        listed.sort_unstable();
        assert_eq!(names, listed);
    }
}
