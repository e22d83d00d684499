//! Owns the whole environment of a process but for PATH.

use std::collections::BTreeMap;
use std::fmt::Display;

#[derive(Debug, Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, String>,
    /// The port that they tell the service to listen on.
    pub port: Option<u16>,
}

impl Variables {
    /// None yet, of a service that is to listen there.
    #[must_use]
    pub fn on(port: u16) -> Self {
        Self { port: Some(port), ..Self::default() }
    }

    #[must_use]
    pub fn with(&self, name: &str, value: &(impl Display + ?Sized)) -> Self {
        let mut variables = self.clone();
        variables.values.insert(name.to_owned(), value.to_string());
        variables
    }

    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut variables = self.clone();
        variables.values.remove(name);
        variables
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.values.iter()
    }
}
