//! Owns the secrets that the harness hands out: canaries, unlike anything else that could stand in an output.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(String);

impl Secret {
    /// Makes one of at least 32 characters; a new `RandomState` has random keys.
    #[must_use]
    pub fn new(what: &str) -> Self {
        let random = || RandomState::new().hash_one(what);
        Self(format!("canary-{what}-{:016x}{:016x}", random(), random()))
    }

    /// Its first 32 characters: as short as a secret may be.
    #[must_use]
    pub fn shortest(&self) -> &str {
        &self.0[..32]
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
