//! The only printer: results on stdout, what went wrong on stderr, colour at a terminal only.

#![expect(clippy::disallowed_methods, reason = "the home of printing")]

mod check;
mod diff;
mod github;
#[cfg(target_os = "linux")]
mod proof;
mod report;
mod sarif;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use console::{Style, style};
use serde::Serialize;

use crate::apply::Restoration;
use crate::check::finding::FactorReport;
use crate::error::{Error, ExitCode, Result};
use crate::factor::Factor;
use crate::plan::{Change, Conflict, Plan};
use crate::tree::RepoPath;
pub use check::CheckReport;
#[cfg(target_os = "linux")]
pub use proof::ProofWatcher;
pub use report::{PlanReport, Report, UndoReport};

/// The schema of [`PlanReport`], [`CheckReport`] and a proof, which `dozen schema` prints.
pub const SCHEMA: &str = include_str!("schema.json");

/// Where the user looks.
#[derive(Debug)]
pub struct Ui {
    is_interactive: bool,
}

impl Default for Ui {
    fn default() -> Self {
        Self::new()
    }
}

impl Ui {
    #[must_use]
    pub fn new() -> Self {
        Self { is_interactive: io::stdin().is_terminal() && io::stderr().is_terminal() }
    }

    /// Whether somebody is there to answer.
    #[must_use]
    pub const fn is_interactive(&self) -> bool {
        self.is_interactive
    }

    /// # Errors
    /// Stdout cannot be written.
    pub fn line(&self, text: impl Display) -> Result<()> {
        forgive_hangup(writeln!(io::stdout().lock(), "{text}"))
    }

    /// Text that ends its last line itself.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn text(&self, text: impl Display) -> Result<()> {
        forgive_hangup(write!(io::stdout().lock(), "{text}"))
    }

    /// # Errors
    /// Stdout cannot be written.
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
        self.line(text)
    }

    /// Rows of two or three columns, the last one dim, aligned and indented by two.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn rows<'a>(&self, rows: impl IntoIterator<Item = [&'a str; 3]>) -> Result<()> {
        let rows: Vec<_> = rows.into_iter().collect();
        let width = |column: usize| {
            rows.iter().map(|row| console::measure_text_width(row[column])).max().unwrap_or(0)
        };
        let (first, second) = (width(0), width(1));
        for [a, b, c] in rows {
            let b = if c.is_empty() { b.to_owned() } else { format!("{b:<second$}") };
            let line = format!("  {a:<first$}  {b}  {}", style(c).dim());
            self.line(line.trim_end())?;
        }
        Ok(())
    }

    /// # Errors
    /// Stdout cannot be written.
    pub fn heading(&self, text: &str) -> Result<()> {
        self.line(style(text).bold())
    }

    /// The changes and conflicts of a plan, a line each.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn plan(&self, plan: &Plan) -> Result<()> {
        let changes = plan.changes.iter();
        self.changes(changes.map(|change| Row {
            kind: change.kind(),
            path: &change.path,
            factor: change.factor,
            does: &change.does,
        }))?;
        self.conflicts(&plan.conflicts)
    }

    /// The same of an undo.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn restorations(&self, restorations: &[Restoration]) -> Result<()> {
        let all = restorations.iter();
        self.changes(all.map(|restored| Row {
            kind: restored.kind(),
            path: &restored.path,
            factor: restored.factor,
            does: &[],
        }))
    }

    fn changes<'a>(&self, rows: impl Iterator<Item = Row<'a>> + Clone) -> Result<()> {
        let width = rows.clone().map(|row| row.path.as_str().len()).max().unwrap_or(0);
        for Row { kind, path, factor, does } in rows {
            let kind = kind_style(kind).apply_to(kind);
            let path = match factor {
                None => path.to_string(),
                Some(factor) => format!("{path:<width$}  {}", style(factor.slug()).dim()),
            };
            self.line(format!("  {kind}  {path}"))?;
            for does in does {
                self.line(format!("          {}", style(does).dim()))?;
            }
        }
        Ok(())
    }

    /// # Errors
    /// Stdout cannot be written.
    pub fn conflicts(&self, conflicts: &[Conflict]) -> Result<()> {
        for conflict in conflicts {
            self.line(format!(
                "  {}  {}: {}",
                style("conflict").red().bold(),
                conflict.path,
                conflict.reason
            ))?;
            for line in conflict.snippet.lines() {
                self.line(format!("            {}", style(line).dim()))?;
            }
        }
        Ok(())
    }

    /// The factors that a repository falls short of.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn proposal(&self, short: &[&FactorReport]) -> Result<()> {
        if short.is_empty() {
            return self.line("All that can be told of the twelve is met.");
        }
        self.heading("Short of")?;
        self.rows(
            short
                .iter()
                .map(|said| [said.factor.slug(), said.verdict.text(), said.reason.as_str()]),
        )?;
        self.line("`dozen add FACTOR` mends one, `dozen add all` all that is safe.")
    }

    /// What is left for a person, with its place and the change that mends it; and what there is to know.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn instructions(&self, plan: &Plan) -> Result<()> {
        if !plan.instructions.is_empty() {
            self.heading("By hand")?;
        }
        for left in &plan.instructions {
            let place = style(format!("{}:{}", left.path, left.line)).bold();
            self.line(format!("  {place}  {}: {}", left.factor, left.message))?;
            self.line(format!("      {}", style(&left.fix).dim()))?;
        }
        for remark in &plan.remarks {
            self.line(remark)?;
        }
        Ok(())
    }

    /// Every change as a unified diff, which `git apply` takes.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn diff(&self, plan: &Plan) -> Result<()> {
        plan.changes.iter().try_for_each(|change| self.patch(&patch_of(change, "")))
    }

    /// The same of an undo.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn restoration_diff(&self, restorations: &[Restoration]) -> Result<()> {
        restorations.iter().try_for_each(|restored| {
            let path = restored.path.as_str();
            self.patch(&diff::patch(path, restored.now.as_deref(), restored.then.as_ref()))
        })
    }

    fn patch(&self, patch: &[u8]) -> Result<()> {
        if console::colors_enabled() {
            return self.text(diff::coloured(patch));
        }
        self.bytes(patch)
    }

    /// # Errors
    /// Stdout cannot be written.
    pub fn bytes(&self, bytes: &[u8]) -> Result<()> {
        forgive_hangup(io::stdout().lock().write_all(bytes))
    }

    /// A line beside the result, which a script that reads stdout does not see.
    pub fn note(&self, text: impl Display) {
        // Nobody is left to tell when stderr is gone.
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Says what went wrong, and with which code the process ends.
    #[must_use]
    pub fn fail(&self, error: &Error) -> ExitCode {
        let head = style("error").for_stderr().red().bold();
        self.note(format!("{head}: {error}"));
        error.exit_code()
    }
}

/// What is said of one changed file.
struct Row<'a> {
    kind: &'static str,
    path: &'a RepoPath,
    factor: Option<Factor>,
    does: &'a [String],
}

/// Whoever has read enough of the output has not asked to leave the work undone.
fn forgive_hangup(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn kind_style(kind: &str) -> Style {
    match kind {
        "create" => Style::new().green(),
        "delete" => Style::new().red(),
        _ => Style::new().yellow(),
    }
}

/// A change as a patch, its path below `folder`, which is empty or ends in `/`.
#[must_use]
pub fn patch_of(change: &Change, folder: &str) -> Vec<u8> {
    let path = format!("{folder}{}", change.path);
    diff::patch(&path, change.before.as_deref(), change.after.as_ref())
}

/// A change as a diff for whoever is asked about it.
#[must_use]
pub fn diff_of(change: &Change) -> String {
    diff::coloured(&patch_of(change, ""))
}
