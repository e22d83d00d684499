//! Owns what is made once, by the first claim that needs it, and shared by all.

use std::sync::OnceLock;

use anyhow::{Result, anyhow};

use crate::prove::untested::Untested;

#[derive(Debug)]
pub struct Lazy<T>(OnceLock<Result<T>>);

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Lazy<T> {
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Makes it, unless it was made (or could not be made) before.
    pub fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<&T> {
        self.0.get_or_init(make).as_ref().map_err(|error| {
            // An error cannot be cloned, but every claim must still tell "not tested" from "failed".
            error
                .downcast_ref::<Untested>()
                .map_or_else(|| anyhow!("{error:#}"), |untested| untested.clone().into())
        })
    }

    pub fn made(&self) -> Option<&T> {
        self.0.get().and_then(|made| made.as_ref().ok())
    }
}
