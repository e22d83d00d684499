//! How a proof is shown: what is going on while it lasts, then a line a factor, then what failed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use console::{Style, Term, style};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Ui;
use crate::error::{Error, Result};
use crate::factor::Factor;
use crate::prove::Progress;
use crate::prove::subject::Subject;
use crate::prove::verdict::{ClaimReport, FactorReport, Outcome, ProofReport, Verdict};

/// Shows on stderr how a proof goes: one line that is rewritten at a terminal, a line a factor elsewhere.
#[derive(Debug)]
pub struct ProofWatcher {
    term: Term,
    is_drawn: Mutex<bool>,
}

impl ProofWatcher {
    pub fn show(&self, progress: &Progress<'_>) {
        let line = match progress {
            Progress::Step(step) => format!("  {step} …"),
            Progress::Begun { number, all, factor, sentence } if self.term.is_term() => {
                format!("  {number:>2}/{all}  {factor}  {sentence}")
            }
            Progress::Done { factor, claims } if !self.term.is_term() => {
                let report = FactorReport::new(*factor, claims.to_vec());
                format!("  {}", summary(&report))
            }
            Progress::Begun { .. } | Progress::Done { .. } => return,
        };
        // A panic of another thread is that thread's business.
        let mut is_drawn = self.is_drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if self.term.is_term() {
            if *is_drawn {
                let _ = self.term.clear_last_lines(1);
            }
            let width = usize::from(self.term.size().1).saturating_sub(1);
            let _ = self
                .term
                .write_line(&style(console::truncate_str(&line, width, "…")).dim().to_string());
            *is_drawn = true;
        } else {
            let _ = self.term.write_line(&line);
        }
    }
}

impl Drop for ProofWatcher {
    fn drop(&mut self) {
        if self.term.is_term() && *self.is_drawn.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = self.term.clear_last_lines(1);
        }
    }
}

impl Ui {
    /// Begins to show how a proof goes.
    #[must_use]
    pub fn watch_proof(&self, subject: &Subject, factors: &BTreeSet<Factor>) -> ProofWatcher {
        let database = subject.engine.map(|engine| format!(", on {engine}")).unwrap_or_default();
        let factors = match factors.len() {
            12 => "twelve factors".to_owned(),
            1 => "one factor".to_owned(),
            some => format!("{some} factors"),
        };
        self.note(format!("Proving {factors} of {}{database}", subject.name));
        ProofWatcher { term: Term::stderr(), is_drawn: Mutex::new(false) }
    }

    /// The verdicts, then each failure with what was done, expected and seen.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn proof(&self, report: &ProofReport) -> Result<()> {
        for factor in &report.factors {
            let (mark, colour) = match factor.verdict {
                Verdict::Proven => ("proven    ", Style::new().green()),
                Verdict::Failed => ("failed    ", Style::new().red().bold()),
                Verdict::Untested => ("not tested", Style::new().yellow()),
            };
            let line = format!(
                "  {:<18} {}  {:>6}  {}",
                factor.factor,
                colour.apply_to(mark),
                style(seconds(factor.seconds)).dim(),
                one_line(&factor.evidence),
            );
            self.line(line.trim_end())?;
        }
        for factor in &report.factors {
            let mut failed = factor.claims.iter().filter(|claim| claim.failed());
            if let Some(first) = failed.next() {
                self.line("")?;
                self.failure(factor.factor, first)?;
            }
            // What fails together mostly has one cause: the first tells it, `--json` tells all.
            for claim in failed {
                self.also(claim)?;
            }
        }
        let count = |verdict| report.with(verdict).count();
        self.line("")?;
        self.line(format!(
            "{} proven, {} failed, {} not tested, in {}",
            count(Verdict::Proven),
            count(Verdict::Failed),
            count(Verdict::Untested),
            seconds(report.seconds)
        ))
    }

    fn failure(&self, factor: Factor, claim: &ClaimReport) -> Result<()> {
        let Outcome::Failed { happened, output, hint, .. } = &claim.outcome else {
            return Ok(());
        };
        self.line(format!("{}: {}", style(factor).red().bold(), style(claim.claim).bold()))?;
        self.paragraph("did", &claim.steps().join("\n"))?;
        self.paragraph("happened", happened)?;
        if !happened.contains("last output") {
            for tail in output.iter().take(3) {
                self.paragraph("", tail)?;
            }
        }
        let mend = if hint.is_empty() { String::new() } else { format!("{hint}\n") };
        self.paragraph("mend", &format!("{mend}dozen add {factor}"))
    }

    fn also(&self, claim: &ClaimReport) -> Result<()> {
        let Outcome::Failed { happened, hint, .. } = &claim.outcome else {
            return Ok(());
        };
        let said = style(one_line(happened)).dim();
        self.paragraph("also", &format!("{}\n{said}\n{hint}", claim.claim))
    }

    fn paragraph(&self, name: &str, text: &str) -> Result<()> {
        for (number, line) in text.lines().enumerate() {
            let name = if number == 0 { name } else { "" };
            self.line(format!("  {:<9} {line}", style(name).dim()).trim_end())?;
        }
        Ok(())
    }

    /// Writes a proof as a `JUnit` report, a suite a factor.
    ///
    /// # Errors
    /// The file cannot be written.
    #[expect(clippy::disallowed_methods, reason = "a report, where the user asked for it")]
    pub fn junit(&self, report: &ProofReport, path: &Path) -> Result<()> {
        let unwritable = |error| Error::Unwritable { path: path.to_owned(), error };
        let mut junit = Report::new("dozen prove");
        for factor in &report.factors {
            let mut suite = TestSuite::new(factor.factor.slug());
            for claim in &factor.claims {
                let mut case = TestCase::new(claim.claim, junit_status(claim));
                case.set_classname(factor.factor.slug());
                case.set_time(Duration::from_secs_f64(claim.seconds.max(0.0)));
                suite.add_test_case(case);
            }
            junit.add_test_suite(suite);
        }
        let text = junit.to_string().map_err(|error| unwritable(std::io::Error::other(error)))?;
        fs::write(path, text).map_err(unwritable)
    }
}

fn junit_status(claim: &ClaimReport) -> TestCaseStatus {
    match &claim.outcome {
        Outcome::Proven => TestCaseStatus::success(),
        Outcome::Failed { happened, output, .. } => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(one_line(happened));
            status.set_description(format!("{happened}\n\n{}", output.join("\n")));
            status
        }
        Outcome::Untested { why } | Outcome::Pointless { why } => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(why.as_str());
            status
        }
    }
}

fn summary(report: &FactorReport) -> String {
    let verdict = match report.verdict {
        Verdict::Proven => "proven",
        Verdict::Failed => "failed",
        Verdict::Untested => "not tested",
    };
    format!("{:<18} {verdict:<10}  {}", report.factor, one_line(&report.evidence))
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn seconds(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let minutes = (seconds / 60.0).floor();
    format!("{minutes:.0} min {:.0} s", seconds - minutes * 60.0)
}
