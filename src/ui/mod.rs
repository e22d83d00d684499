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

use crate::error::{Error, ExitCode, Result};
use crate::plan::{Change, Plan};
pub use check::CheckReport;
#[cfg(target_os = "linux")]
pub use proof::ProofWatcher;
pub use report::{PlanReport, Report};

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
        let paths = plan.changes.iter().map(|change| change.path.as_str());
        let width = paths.map(str::len).max().unwrap_or(0);
        for change in &plan.changes {
            let factor = change.factor.map_or("", |factor| factor.slug());
            let kind = kind_style(change).apply_to(change.kind());
            let path = if factor.is_empty() {
                change.path.to_string()
            } else {
                format!("{:<width$}  {}", change.path, style(factor).dim())
            };
            self.line(format!("  {kind}  {path}"))?;
            for does in &change.does {
                self.line(format!("          {}", style(does).dim()))?;
            }
        }
        for conflict in &plan.conflicts {
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
        let mut out = io::stdout().lock();
        forgive_hangup(plan.changes.iter().try_for_each(|change| diff::write(&mut out, change)))
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

/// Whoever has read enough of the output has not asked to leave the work undone.
fn forgive_hangup(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn kind_style(change: &Change) -> Style {
    match change.before {
        None => Style::new().green(),
        Some(_) => Style::new().yellow(),
    }
}
