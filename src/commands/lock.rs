//! Closes the locks that a plan leaves open, where the user wants that; says what to run for the rest.

use std::path::{Path, PathBuf};

use super::add::Found;
use crate::cli::{Output, Writing};
use crate::error::Result;
use crate::lock::{self, LIMIT, Made, Open};
use crate::mend::is_no_worse;
use crate::plan::Plan;
use crate::ui::Ui;
use crate::{git, interrupt, prompt};

/// Whether a package manager is run. It may use the network, which dozen itself never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Run,
    Ask,
    Leave,
}

impl Wish {
    /// `--yes` takes changes, and starts no programs.
    pub fn of(writing: &Writing, output: Output, ui: &Ui) -> Self {
        let is_asked = ui.is_interactive() && !writing.yes && !output.json && !output.dry_run;
        match (writing.locks.lock, writing.locks.no_lock) {
            (true, _) => Self::Run,
            (false, false) if is_asked && writing.patch.is_none() => Self::Ask,
            _ => Self::Leave,
        }
    }

    fn grants(self, open: &Open) -> Result<bool> {
        match self {
            Self::Run => Ok(true),
            Self::Ask => prompt::confirm(&open.question()),
            Self::Leave => Ok(false),
        }
    }
}

/// The plan with the locks that are wanted, and with what holds only now that they are there.
pub fn close(
    found: &Found,
    mut plan: Plan,
    wish: Wish,
    mend: impl Fn(&Found) -> Result<Plan>,
    ui: &Ui,
) -> Result<Plan> {
    let tree = found.tree.with(&plan.changes);
    let opens = lock::find_open(&found.tree, &tree, &plan)?;
    let hidden = lock::find_hidden(&tree, &plan)?;
    if opens.is_empty() && hidden.is_empty() {
        return Ok(plan);
    }
    let mut after = found.after(&plan, &hidden)?;
    let mut left: Vec<(Open, Option<String>)> = Vec::new();
    for open in opens {
        if let Some(above) = find_above(&plan.root, &open) {
            left.push((open, Some(format!("{} stands above it", above.display()))));
            continue;
        }
        if !wish.grants(&open)? {
            if !hidden.contains(&open.lock) {
                left.push((open, None));
            }
            continue;
        }
        interrupt::listen();
        ui.note(format!("Running `{}`", open.command_line()));
        match lock::make(&open, &after.tree, &plan, LIMIT)? {
            Made::Same => {}
            Made::Failed(why) => left.push((open, Some(why))),
            Made::Changed(change) => {
                let locked = plan.clone().including(change);
                let then = found.after(&locked, &hidden)?;
                if open.is_closed(&then.report.findings) && is_no_worse(&after.report, &then.report)
                {
                    (plan, after) = (locked, then);
                } else {
                    let why = format!("`{}` does not mend it", open.command_line());
                    left.push((open, Some(why)));
                }
            }
        }
    }
    let mut plan = plan.then(mend(&after)?);
    for (open, why) in left {
        plan.instructions.retain(|it| !open.answers(&it.rule, &it.path));
        plan.instructions.push(open.instruct(why.as_deref()));
    }
    plan.remarks.extend(
        hidden.iter().map(|lock| format!("{lock} is no longer ignored: add it to git, too.")),
    );
    Ok(plan)
}

/// The lock of a workspace that a repository's folder is part of: only its owner makes that.
fn find_above(root: &Path, open: &Open) -> Option<PathBuf> {
    let top = git::find_enclosing(root)?;
    let above = root.ancestors().skip(1).take_while(|folder| folder.starts_with(&top));
    above.map(|folder| folder.join(open.lock.file_name())).find(|lock| lock.is_file())
}
