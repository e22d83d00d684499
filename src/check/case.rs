//! A repository under judgement: what was read of it, and the marks so far.

use super::facts::Facts;
use super::finding::{Mark, Place, Polarity, Severity, Verdict};
use super::rule::Rules;
use super::sources::Sources;
use crate::error::Result;
use crate::factor::Factor;

/// What is said of one factor, and why.
#[derive(Clone, Debug)]
pub struct Judgement {
    pub verdict: Verdict,
    /// In few words.
    pub reason: String,
}

impl Judgement {
    #[must_use]
    pub fn new(verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { verdict, reason: reason.into() }
    }
}

/// A repository under judgement.
#[derive(Debug)]
pub struct Case<'c> {
    pub sources: &'c Sources,
    pub facts: &'c Facts,
    pub rules: &'c Rules,
    /// Whether the repository lies in a version control system.
    pub is_versioned: bool,
    pub marks: Vec<Mark<'c>>,
}

impl<'c> Case<'c> {
    /// Marks a place by a rule that code applies.
    ///
    /// # Errors
    /// The rule is missing: a defect of this build.
    pub fn mark(&mut self, id: &str, place: Place, what: &str) -> Result<()> {
        let mark = Mark::new(self.rules.get(id)?, place).about(what);
        self.marks.push(mark);
        Ok(())
    }

    /// The same, with another weight.
    ///
    /// # Errors
    /// The rule is missing: a defect of this build.
    pub fn mark_as(
        &mut self,
        id: &str,
        severity: Severity,
        place: Place,
        what: &str,
    ) -> Result<()> {
        let mark = Mark::new(self.rules.get(id)?, place).about(what).weighing(severity);
        self.marks.push(mark);
        Ok(())
    }

    /// The marks of one rule.
    pub fn by<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Mark<'c>> {
        self.marks.iter().filter(move |mark| mark.rule.id == id)
    }

    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.by(id).next().is_some()
    }

    /// Whether something speaks for the factor.
    #[must_use]
    pub fn speaks_for(&self, factor: Factor) -> bool {
        self.marks
            .iter()
            .any(|mark| mark.rule.factor == factor && mark.rule.polarity == Polarity::For)
    }

    /// Whether something speaks against the factor: then what is only a habit by itself is worth mending too.
    #[must_use]
    pub fn is_broken(&self, factor: Factor) -> bool {
        self.marks.iter().any(|mark| mark.rule.factor == factor && mark.is_against())
    }

    /// Gives the marks of a rule another weight.
    pub fn weigh(&mut self, id: &str, severity: Severity) {
        for mark in self.marks.iter_mut().filter(|mark| mark.rule.id == id) {
            mark.severity = severity;
        }
    }

    /// Drops marks.
    pub fn drop_marks(&mut self, is_wrong: impl Fn(&Mark<'c>) -> bool) {
        self.marks.retain(|mark| !is_wrong(mark));
    }

    /// What the marks say of a factor: the weightiest against it decides; where there is none, one for it.
    #[must_use]
    pub fn verdict(&self, factor: Factor) -> Option<Judgement> {
        let of_factor = || self.marks.iter().filter(|mark| mark.rule.factor == factor);
        let against = of_factor().filter(|mark| mark.is_against()).max_by_key(|mark| {
            (mark.severity, mark.rule.confidence, std::cmp::Reverse(&mark.place))
        });
        if let Some(mark) = against {
            let verdict = match mark.severity {
                Severity::Violation => Verdict::Violated,
                _ => Verdict::Partly,
            };
            return Some(Judgement::new(verdict, mark.message.clone()));
        }
        let found = of_factor().find(|mark| mark.rule.polarity == Polarity::For)?;
        Some(Judgement::new(Verdict::Met, found.message.clone()))
    }
}
