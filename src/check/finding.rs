//! What a check says: places, marks, verdicts, and the report that they end in.

use serde::{Deserialize, Serialize};

use super::rule::Rule;
use crate::factor::Factor;
use crate::tree::RepoPath;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; changes no verdict.
    Info,
    /// The factor holds in part.
    Risk,
    /// The factor does not hold.
    Violation,
}

/// How sure a rule is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    Medium,
    #[default]
    High,
}

/// Whether a line speaks for a factor or against it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum Polarity {
    #[serde(rename = "+")]
    For,
    #[default]
    #[serde(rename = "-")]
    Against,
    /// Neither: what the judges of factors want to know.
    #[serde(rename = "fact")]
    Fact,
}

/// What is said of a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Met,
    Partly,
    Violated,
    /// There is nothing to judge by.
    #[serde(rename = "not determinable")]
    NotDeterminable,
}

impl Verdict {
    /// As every output writes it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Partly => "partly",
            Self::Violated => "violated",
            Self::NotDeterminable => "not determinable",
        }
    }
}

/// A span in a file; lines and columns count from one, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    pub path: RepoPath,
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    pub end_column: usize,
}

impl Place {
    /// A whole line.
    #[must_use]
    pub const fn line(path: RepoPath, line: usize) -> Self {
        Self { path, line, column: 1, end_line: line, end_column: 1 }
    }
}

/// What one rule found at one place, before the factor is judged.
#[derive(Clone, Debug)]
pub struct Mark<'r> {
    pub rule: &'r Rule,
    pub place: Place,
    /// The rule's own, unless what stands beside it makes it weigh less or more.
    pub severity: Severity,
    /// The rule's message, with what it was found for filled in.
    pub message: String,
    /// What must not be printed.
    pub secrets: Vec<String>,
}

impl<'r> Mark<'r> {
    #[must_use]
    pub fn new(rule: &'r Rule, place: Place) -> Self {
        Self {
            rule,
            place,
            severity: rule.severity,
            message: rule.message.clone(),
            secrets: Vec::new(),
        }
    }

    /// With `{}` in the message filled in.
    #[must_use]
    pub fn about(mut self, what: &str) -> Self {
        self.message = self.message.replace("{}", what);
        self
    }

    #[must_use]
    pub const fn weighing(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Whether it counts against its factor.
    #[must_use]
    pub fn is_against(&self) -> bool {
        self.rule.polarity == Polarity::Against && self.severity > Severity::Info
    }
}

/// What is said of a repository.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub root: String,
    pub factors: Vec<FactorReport>,
    pub findings: Vec<Finding>,
    /// Files that were not read, with the reason.
    pub unread: Vec<Unread>,
    /// What was allowed by a comment or by the baseline.
    pub allowed: Vec<Allowed>,
    /// Comments and baseline entries that allow nothing, or give no reason.
    pub notes: Vec<Note>,
}

#[derive(Clone, Debug, Serialize)]
pub struct FactorReport {
    pub factor: Factor,
    pub verdict: Verdict,
    /// Why, in few words.
    pub reason: String,
    pub evidence: Vec<Evidence>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    pub path: RepoPath,
    pub line: usize,
    pub polarity: Polarity,
    pub rule: String,
    pub message: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub rule: String,
    pub factor: Factor,
    pub severity: Severity,
    pub confidence: Confidence,
    #[serde(flatten)]
    pub place: Place,
    pub message: String,
    /// What it breaks in practice.
    pub why: String,
    /// The change, or the command, that mends it.
    pub fix: String,
    /// The line, with what is secret in it masked.
    pub frame: String,
    /// What tells this finding apart wherever its line moves to.
    pub fingerprint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    pub path: String,
    pub reason: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Allowed {
    pub rule: String,
    pub factor: Factor,
    pub path: RepoPath,
    pub line: usize,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    pub path: String,
    pub line: usize,
    pub message: String,
}

impl Report {
    /// Whether something is there that `verdict` or a worse one was said of.
    #[must_use]
    pub fn fails(&self, at: FailOn) -> bool {
        self.factors.iter().any(|said| match at {
            FailOn::Never => false,
            FailOn::Violated => said.verdict == Verdict::Violated,
            FailOn::Partly => matches!(said.verdict, Verdict::Violated | Verdict::Partly),
        })
    }
}

/// From which verdict on the answer is no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    #[default]
    Violated,
    Partly,
    Never,
}
