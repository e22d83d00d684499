//! What lies between a plan and the disk: what git does not have yet, conflicts, the user's choice, a trial run.

use std::path::{Path, PathBuf};

use crate::cli::{OnConflict, Output, Writing};
use crate::error::{ExitCode, Result};
use crate::plan::{Conflict, Plan};
use crate::ui::{self, Ui};
use crate::{apply, git, interrupt, prompt, verify};

/// A plan with what was decided on it.
pub struct Settled {
    /// Without what the user has left out.
    pub plan: Plan,
    pub ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing was to be written, or a conflict stands against it.
    Shown,
    /// All that is left of the plan is on the disk.
    Applied,
    /// It is in a patch, and nowhere else.
    Patched,
}

impl Settled {
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        if self.plan.conflicts.is_empty() { ExitCode::Done } else { ExitCode::Conflict }
    }
}

/// Has decided what is open, tries what is left where that is asked for, and writes it.
pub fn settle(plan: Plan, writing: &Writing, output: Output, ui: &Ui) -> Result<Settled> {
    let writes = !output.dry_run && writing.patch.is_none();
    let mut plan = plan;
    if !writing.allow_dirty && writing.patch.is_none() {
        plan = hold_back_uncommitted(plan)?;
    }
    if output.diff {
        ui.diff(&plan)?;
    }
    let asks = writes && ui.is_interactive() && !writing.yes && !output.json;
    let on_conflict = match writing.on_conflict.unwrap_or(OnConflict::Ask) {
        OnConflict::Ask if !asks => OnConflict::Abort,
        given => given,
    };
    let is_stopped = on_conflict == OnConflict::Abort && !plan.conflicts.is_empty();
    if output.dry_run || is_stopped {
        return Ok(Settled { plan, ending: Ending::Shown });
    }
    if asks && plan.has_choice() {
        ui.heading("Would change")?;
        ui.plan(&plan)?;
        ui.line("")?;
        plan = prompt::choose(plan, on_conflict == OnConflict::Ask, &ui::diff_of)?;
    }
    if let Some(command) = &writing.verify
        && !plan.changes.is_empty()
    {
        interrupt::listen();
        verify::verify(&plan, command)?;
    }
    if let Some(file) = &writing.patch {
        write_patch(&plan, file, ui)?;
        return Ok(Settled { plan, ending: Ending::Patched });
    }
    interrupt::listen();
    apply::apply(&plan)?;
    Ok(Settled { plan, ending: Ending::Applied })
}

/// Says what was settled, after the changes themselves where they were to be shown.
pub fn show(settled: &Settled, writing: &Writing, ui: &Ui) -> Result<()> {
    let Settled { plan, ending } = settled;
    if *ending == Ending::Patched {
        for conflict in &plan.conflicts {
            ui.note(format!("conflict  {}: {}", conflict.path, conflict.reason));
        }
        return Ok(());
    }
    if plan.is_empty() {
        return ui.line("Nothing was written.");
    }
    ui.heading(if *ending == Ending::Applied { "Changed" } else { "Would change" })?;
    ui.plan(plan)?;
    if *ending == Ending::Applied && !plan.changes.is_empty() {
        ui.line("`dozen undo` takes it back.")?;
    }
    match (ending, plan.conflicts.is_empty()) {
        (_, true) => {}
        (Ending::Applied, false) => {
            ui.note("What is marked `conflict` is left to you.");
        }
        (_, false) => ui.note(format!(
            "Nothing was written. Make the changes marked `conflict` by hand, then run the command again{}.",
            if writing.on_conflict.is_none() { ", or take the rest with --on-conflict skip" } else { "" }
        )),
    }
    Ok(())
}

/// Makes conflicts of the changes of files that git would not bring back: not committed, nor written by the last
/// `dozen` here.
fn hold_back_uncommitted(mut plan: Plan) -> Result<Plan> {
    let paths = plan.changes.iter().map(|change| &change.path);
    let mut uncommitted = git::find_uncommitted(&plan.root, paths)?;
    if uncommitted.is_empty() {
        return Ok(plan);
    }
    for path in apply::find_unchanged_since(&plan.root) {
        uncommitted.remove(&path);
    }
    let held: Vec<_> =
        plan.changes.extract_if(.., |change| uncommitted.contains(&change.path)).collect();
    plan.conflicts.extend(held.into_iter().map(|change| Conflict {
        path: change.path.clone(),
        factor: change.factor,
        reason:
            "it has changes that are not committed; commit them, or pass --allow-dirty".to_owned(),
        snippet: String::new(),
        replacement: Some(change),
    }));
    plan.conflicts.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(plan)
}

fn write_patch(plan: &Plan, file: &Path, ui: &Ui) -> Result<()> {
    let folder = find_folder_in_repository(&plan.root);
    let patch: Vec<u8> =
        plan.changes.iter().flat_map(|change| ui::patch_of(change, &folder)).collect();
    if file == Path::new("-") {
        return ui.bytes(&patch);
    }
    apply::write_output(file, &patch)?;
    ui.line(format!("Wrote {} changes to {}", plan.changes.len(), file.display()))
}

/// What stands before a path from where `git apply` counts: the top of the repository.
fn find_folder_in_repository(root: &Path) -> String {
    let inside: PathBuf = git::find_enclosing(root)
        .and_then(|top| root.strip_prefix(top).ok().map(Path::to_owned))
        .unwrap_or_default();
    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy() + "/").collect();
    parts.concat()
}
