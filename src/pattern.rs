//! Regular expressions of embedded data: most are never held against a text, and to compile them all takes longer than
//! to check a small repository.

use std::fmt;
use std::ops::Deref;
use std::sync::{LazyLock, OnceLock};

use regex::Regex;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A regular expression that is compiled when it is first used.
///
/// Its text is part of this build: the tests, which compile each as it is read, find a broken one.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    compiled: OnceLock<Regex>,
}

#[expect(clippy::unwrap_used, reason = "the pattern is constant")]
static NOTHING: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[^\s\S]").unwrap());

impl Pattern {
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), compiled: OnceLock::new() }
    }
}

impl Deref for Pattern {
    type Target = Regex;

    fn deref(&self) -> &Regex {
        self.compiled.get_or_init(|| Regex::new(&self.text).unwrap_or_else(|_| NOTHING.clone()))
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pattern = Self::new(String::deserialize(deserializer)?);
        if cfg!(debug_assertions) {
            let compiled = Regex::new(&pattern.text).map_err(D::Error::custom)?;
            return Ok(Self { compiled: compiled.into(), ..pattern });
        }
        Ok(pattern)
    }
}
