//! Owns what is made once, by the first trial that needs it, and shared by all.

use std::sync::OnceLock;

use anyhow::{Result, anyhow};

use crate::missing::Missing;

#[derive(Debug)]
pub struct Lazy<T>(OnceLock<Result<T>>);

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Lazy<T> {
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Makes it, unless it was made (or could not be made) before.
    pub fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<&T> {
        self.0.get_or_init(make).as_ref().map_err(|error| {
            // An error cannot be cloned, but every trial must still tell "missing here" from "failed".
            error
                .downcast_ref::<Missing>()
                .map_or_else(|| anyhow!("{error:#}"), |missing| (*missing).into())
        })
    }

    pub fn made(&self) -> Option<&T> {
        self.0.get().and_then(|made| made.as_ref().ok())
    }
}
