//! The verbs: each gathers, plans, and shows or applies.

mod add;
mod check;
mod completions;
mod explain;
mod list;
mod lock;
mod man;
mod new;
#[cfg(target_os = "linux")]
mod prove;
mod settle;
mod undo;

use std::path::{Path, PathBuf};

use crate::apply::{self, Recovery};
use crate::cli::{Cli, Output, Verb};
use crate::error::{Error, ExitCode, Result};
use crate::plan::Plan;
use crate::ui::{self, Ui};

/// Runs what the command line asks for.
///
/// # Errors
/// What the user has to know; its exit code is its own.
pub fn run(cli: Cli, ui: &Ui) -> Result<ExitCode> {
    match cli.command {
        Verb::New(arguments) => new::run(&arguments, ui),
        Verb::Add(arguments) => add::run(&arguments, ui),
        Verb::Undo(arguments) => undo::run(&arguments, ui),
        Verb::Check(arguments) => check::run(&arguments, ui),
        #[cfg(target_os = "linux")]
        Verb::Prove(arguments) => prove::run(&arguments, ui),
        #[cfg(not(target_os = "linux"))]
        Verb::Prove(_) => Err(Error::Prove {
            reason: "`prove` watches processes through Linux's /proc".to_owned(),
        }),
        Verb::List(arguments) => list::run(&arguments, ui),
        Verb::Explain(arguments) => explain::run(&arguments, ui),
        Verb::Schema => {
            ui.text(ui::SCHEMA)?;
            Ok(ExitCode::Done)
        }
        Verb::Completions { shell } => completions::run(shell, ui),
        Verb::Man { command } => man::run(command.as_deref(), ui),
    }
}

/// The repository that a command is for, by its full path.
fn find_root(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| Error::Unreadable { path: path.to_owned(), error })
}

/// Ends what a killed `dozen` left in a folder, and says so.
fn recover(root: &Path, ui: &Ui) -> Result<()> {
    match apply::recover(root)? {
        Recovery::Nothing => {}
        Recovery::Completed => ui.note("Completed what an interrupted `dozen` had begun here."),
        Recovery::TakenBack => ui.note("Took back what an interrupted `dozen` had begun here."),
    }
    Ok(())
}

/// The same before a repository is only looked at, in which a journal that no dozen left is no hindrance. `explain`
/// asks the repository here for its stack alone, which no interruption changes.
fn recover_to_read(root: &Path, ui: &Ui) -> Result<()> {
    match recover(root, ui) {
        Err(error @ Error::Foreign(_)) => {
            ui.note(format!("note: {error}"));
            Ok(())
        }
        recovered => recovered,
    }
}

/// Shows a plan as a diff where that is asked for, and as a list where it will not be applied.
fn show(plan: &Plan, output: Output, ui: &Ui) -> Result<()> {
    if output.diff {
        ui.diff(plan)?;
    } else if output.dry_run && !output.json {
        ui.plan(plan)?;
    }
    Ok(())
}
