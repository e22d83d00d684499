//! What came of it: an outcome for each claim, a verdict for each factor.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::claim::CLAIMS;
use super::setting::Fault;
use super::untested::Untested;
use crate::factor::Factor;

/// How many of the last steps before a failure are told.
const STEPS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Proven,
    Failed,
    Untested,
}

/// What came of one claim.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    Proven,
    Failed {
        happened: String,
        /// The steps that led there.
        did: Vec<String>,
        /// The last lines of each process that took part.
        output: Vec<String>,
        hint: &'static str,
    },
    /// It should have been tested, and was not.
    Untested {
        why: String,
    },
    /// It is about nothing that this service has, or another claim says it too.
    Pointless {
        why: String,
    },
}

impl Outcome {
    #[must_use]
    pub fn untested(untested: &Untested, deepens: bool) -> Self {
        let why = untested.to_string();
        match untested {
            Untested::Pointless { .. } => Self::Pointless { why },
            Untested::Untold { .. } if deepens => Self::Pointless { why },
            _ => Self::Untested { why },
        }
    }
}

/// One sentence of the contract and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct ClaimReport {
    #[serde(skip)]
    pub factor: Factor,
    /// What was expected.
    pub claim: &'static str,
    #[serde(flatten)]
    pub outcome: Outcome,
    pub seconds: f64,
}

impl From<Fault> for ClaimReport {
    fn from(fault: Fault) -> Self {
        let Fault { factor, sentence, what, did, hint } = fault;
        let outcome = Outcome::Failed { happened: what, did, output: Vec::new(), hint };
        Self { factor, claim: sentence, outcome, seconds: 0.0 }
    }
}

/// One factor, with all that was seen of it.
#[derive(Debug, Clone, Serialize)]
pub struct FactorReport {
    pub factor: Factor,
    pub verdict: Verdict,
    /// In a line: what was seen, what failed, or why nothing was seen.
    pub evidence: String,
    /// What its claims took together; many run side by side.
    pub seconds: f64,
    pub claims: Vec<ClaimReport>,
}

/// What `dozen prove` found out.
#[derive(Debug, Clone, Serialize)]
pub struct ProofReport {
    pub root: String,
    pub factors: Vec<FactorReport>,
    pub seconds: f64,
}

impl ProofReport {
    #[must_use]
    pub fn new(
        root: &Path,
        factors: &BTreeSet<Factor>,
        claims: &[ClaimReport],
        took: Duration,
    ) -> Self {
        let of = |factor: Factor| -> Vec<ClaimReport> {
            claims.iter().filter(|claim| claim.factor == factor).cloned().collect()
        };
        // What stands in the way of one that was asked for is told, whether it was asked for or not.
        let stands_out = |factor: &Factor| {
            factors.contains(factor) || claims.iter().any(|claim| claim.factor == *factor)
        };
        Self {
            root: root.to_string_lossy().into_owned(),
            factors: Factor::ALL
                .into_iter()
                .filter(stands_out)
                .map(|factor| FactorReport::new(factor, of(factor)))
                .collect(),
            seconds: took.as_secs_f64(),
        }
    }

    pub fn with(&self, verdict: Verdict) -> impl Iterator<Item = &FactorReport> {
        self.factors.iter().filter(move |report| report.verdict == verdict)
    }
}

impl FactorReport {
    #[must_use]
    pub fn new(factor: Factor, mut claims: Vec<ClaimReport>) -> Self {
        // As they are read, not as they ended; what stands before them all is none of them.
        let all = CLAIMS.iter().find(|(of, _)| *of == factor).map_or(&[][..], |(_, claims)| claims);
        claims.sort_by_key(|report| {
            all.iter().position(|claim| claim.sentence == report.claim).map_or(0, |at| at + 1)
        });
        let failed: Vec<&ClaimReport> = claims.iter().filter(|claim| claim.failed()).collect();
        let proven = claims.iter().filter(|claim| matches!(claim.outcome, Outcome::Proven)).count();
        let untested = claims.iter().find_map(|claim| match &claim.outcome {
            Outcome::Untested { why } => Some(why.clone()),
            _ => None,
        });
        let pointless = claims.iter().find_map(|claim| match &claim.outcome {
            Outcome::Pointless { why } => Some(why.clone()),
            _ => None,
        });
        let (verdict, evidence) = match (failed.first(), untested) {
            (Some(first), _) => {
                let more = match failed.len() {
                    1 => String::new(),
                    more => format!(" (and {} more)", more - 1),
                };
                (Verdict::Failed, format!("{}{more}", first.claim))
            }
            (None, Some(why)) => (Verdict::Untested, why),
            (None, None) if proven == 0 => (Verdict::Untested, pointless.unwrap_or_default()),
            (None, None) => {
                let claims = if proven == 1 { "claim" } else { "claims" };
                (Verdict::Proven, format!("{proven} {claims} seen to hold"))
            }
        };
        let seconds = claims.iter().map(|claim| claim.seconds).sum();
        Self { factor, verdict, evidence, seconds, claims }
    }
}

impl ClaimReport {
    #[must_use]
    pub const fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed { .. })
    }

    /// The last steps before it failed.
    #[must_use]
    pub fn steps(&self) -> &[String] {
        match &self.outcome {
            Outcome::Failed { did, .. } => &did[did.len().saturating_sub(STEPS)..],
            _ => &[],
        }
    }
}
