//! The twelve factors: their slugs, their order, and what each asks.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::templates;

/// One of the twelve, in the order of the methodology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Factor {
    Codebase,
    Dependencies,
    Config,
    BackingServices,
    BuildReleaseRun,
    Processes,
    PortBinding,
    Concurrency,
    Disposability,
    DevProdParity,
    Logs,
    AdminProcesses,
}

/// What `templates/factors.toml` says of a factor.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Description {
    pub title: String,
    pub asks: String,
    pub why: String,
}

impl Description {
    /// The first sentence of what it asks.
    #[must_use]
    pub fn summary(&self) -> &str {
        self.asks.split_inclusive(". ").next().unwrap_or_default().trim_end()
    }
}

impl Factor {
    pub const ALL: [Self; 12] = [
        Self::Codebase,
        Self::Dependencies,
        Self::Config,
        Self::BackingServices,
        Self::BuildReleaseRun,
        Self::Processes,
        Self::PortBinding,
        Self::Concurrency,
        Self::Disposability,
        Self::DevProdParity,
        Self::Logs,
        Self::AdminProcesses,
    ];

    /// The name that every command, file and output uses.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Codebase => "codebase",
            Self::Dependencies => "dependencies",
            Self::Config => "config",
            Self::BackingServices => "backing-services",
            Self::BuildReleaseRun => "build-release-run",
            Self::Processes => "processes",
            Self::PortBinding => "port-binding",
            Self::Concurrency => "concurrency",
            Self::Disposability => "disposability",
            Self::DevProdParity => "dev-prod-parity",
            Self::Logs => "logs",
            Self::AdminProcesses => "admin-processes",
        }
    }

    /// Every factor with its description, in order.
    ///
    /// # Errors
    /// The embedded `factors.toml` is broken: a defect of this build.
    pub fn describe_all() -> Result<Vec<(Self, Description)>> {
        let mut texts: BTreeMap<Self, Description> = templates::read_data("factors.toml")?;
        Self::ALL
            .into_iter()
            .map(|factor| match texts.remove(&factor) {
                Some(text) => Ok((factor, text)),
                None => Err(Error::Embedded {
                    path: "factors.toml".into(),
                    reason: format!("`{factor}` is missing"),
                }),
            })
            .collect()
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.slug())
    }
}

impl FromStr for Factor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|factor| factor.slug() == text)
            .ok_or_else(|| Error::UnknownFactor { given: text.to_owned() })
    }
}

impl Serialize for Factor {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.slug())
    }
}

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
