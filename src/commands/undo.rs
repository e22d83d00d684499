//! `dozen undo`: from what the last change left to what was there before.

use crate::apply::Undo;
use crate::cli;
use crate::error::{ExitCode, Result};
use crate::interrupt;
use crate::ui::{Report, Ui, UndoReport};

pub fn run(arguments: &cli::Undo, ui: &Ui) -> Result<ExitCode> {
    let root = super::find_root(&arguments.path)?;
    super::recover(&root, ui)?;
    let undo = Undo::find(&root)?;
    let (changes, conflicts) = match &undo {
        Some(undo) => (&undo.restorations[..], &undo.conflicts[..]),
        None => Default::default(),
    };
    let output = arguments.output;
    let is_open = undo
        .as_ref()
        .is_some_and(|undo| undo.is_blocked() || !arguments.force && !undo.conflicts.is_empty());
    let applies = undo.is_some() && !output.dry_run && !is_open;
    if output.diff {
        ui.restoration_diff(changes)?;
    }
    if let Some(undo) = undo.as_ref().filter(|_| applies) {
        interrupt::listen();
        undo.carry_out()?;
    }
    if output.json {
        let root = root.to_string_lossy();
        ui.json(&Report::new(UndoReport {
            root,
            answers: None,
            changes,
            conflicts,
            applied: applies,
        }))?;
    } else if undo.is_none() {
        ui.line("Nothing to take back: dozen has changed nothing here since the last undo.")?;
    } else {
        ui.heading(if applies { "Took back" } else { "Would take back" })?;
        ui.restorations(changes)?;
        if changes.is_empty() {
            ui.line("  nothing: every file is as it was before")?;
        }
    }
    if is_open {
        if !output.json {
            ui.conflicts(conflicts)?;
        }
        ui.note(if undo.is_some_and(|undo| undo.is_blocked()) {
            "Nothing was taken back. Move away what is no file, then run the command again."
        } else {
            "Nothing was taken back. --force takes it back, and loses what was changed since."
        });
        return Ok(ExitCode::Conflict);
    }
    Ok(ExitCode::Done)
}
