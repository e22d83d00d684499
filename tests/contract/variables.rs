//! Owns the variables of the contract: the whole environment of a process but for PATH.

use std::collections::BTreeMap;
use std::fmt::Display;

pub const REQUIRED: [&str; 3] = ["DATABASE_URL", "REDIS_URL", "SESSION_SECRET"];
pub const OPTIONAL: [&str; 5] =
    ["PORT", "LOG_LEVEL", "SHUTDOWN_TIMEOUT", "WEB_CONCURRENCY", "RELEASE"];

#[derive(Debug, Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    pub fn with(&self, name: &str, value: &(impl Display + ?Sized)) -> Self {
        let mut variables = self.clone();
        variables.0.insert(name.to_owned(), value.to_string());
        variables
    }

    pub fn without(&self, name: &str) -> Self {
        let mut variables = self.clone();
        variables.0.remove(name);
        variables
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }
}
