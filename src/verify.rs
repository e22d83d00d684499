//! Runs a command of the user's on a changed copy of a repository, before the repository itself is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::apply::Scratch;
use crate::child::{self, Ending};
use crate::error::{Error, Result};
use crate::git_index;
use crate::plan::Plan;
use crate::tree::Tree;

/// How much is shown of what a command that fails has printed.
const LINES: usize = 20;

/// Runs `command` by `sh` in a copy of the repository in which `plan` is carried out.
///
/// # Errors
/// It fails, or there is no room for the copy.
pub fn verify(plan: &Plan, command: &str) -> Result<()> {
    let tree = Tree::read(&plan.root)?;
    let mut files: BTreeSet<_> = tree.files().cloned().collect();
    files.extend(git_index::tracked(&plan.root).into_iter().flatten());
    let scratch = Scratch::lay(plan, &files)?;
    let unrunnable = |error| Error::Unrunnable { command: command.to_owned(), error };
    let words = ["sh", "-c", command];
    let status = match child::run(&scratch, &scratch.path(), &words, &BTreeMap::new(), None)? {
        Ending::Exited(status) => status,
        Ending::Unstarted(error) => return Err(unrunnable(error)),
        Ending::TimedOut => return Err(unrunnable(io::ErrorKind::TimedOut.into())),
    };
    if status.success() {
        return Ok(());
    }
    let printed = scratch.read_output();
    let lines: Vec<&str> = printed.lines().collect();
    let last = lines[lines.len().saturating_sub(LINES)..].join("\n");
    Err(Error::Verify { command: command.to_owned(), status: status.to_string(), last })
}
