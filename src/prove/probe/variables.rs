//! Owns the whole environment of a process but for PATH.

use std::collections::BTreeMap;
use std::fmt::Display;

#[derive(Debug, Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    #[must_use]
    pub fn with(&self, name: &str, value: &(impl Display + ?Sized)) -> Self {
        let mut variables = self.clone();
        variables.0.insert(name.to_owned(), value.to_string());
        variables
    }

    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut variables = self.clone();
        variables.0.remove(name);
        variables
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }
}
