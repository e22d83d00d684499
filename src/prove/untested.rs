//! Owns the third outcome of a claim: neither seen to hold nor seen to fail, and why.

use std::fmt;

use crate::factor::Factor;

/// Why a claim could not be tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untested {
    /// Something is not on this machine; `remedy` brings it there.
    Missing { what: &'static str, remedy: &'static str },
    /// Only the repository's owner knows; `how` says where to tell it.
    Untold { how: String },
    /// The claim is about something that this service does not have, and need not.
    Pointless { why: &'static str },
    /// A failure of another factor stands before it.
    Blocked { by: Factor, what: String },
    /// The user has asked to stop.
    Interrupted,
}

impl fmt::Display for Untested {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { what, remedy } => write!(formatter, "needs {what}: {remedy}"),
            Self::Untold { how } => formatter.write_str(how),
            Self::Pointless { why } => formatter.write_str(why),
            Self::Blocked { by, .. } => write!(formatter, "{by} stands before it"),
            Self::Interrupted => formatter.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Untested {}
