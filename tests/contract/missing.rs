//! Owns the third outcome of a trial: what it needs is not on this machine.

use std::fmt;

/// Something that a trial needs and that is not here. Loud on a workbench, a failure in CI.
#[derive(Debug, Clone, Copy)]
pub struct Missing {
    pub what: &'static str,
    pub package: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "needs {}; {}", self.what, self.package)
    }
}

impl std::error::Error for Missing {}
