//! Runs a command of the user's on a changed copy of a repository, before the repository itself is changed.

#![expect(clippy::disallowed_methods, reason = "the home of the user's own command")]

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::apply::Scratch;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::tree::Tree;
use crate::{git_index, interrupt};

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
    let (output, errors) = scratch.output()?;
    let mut child = Command::new("sh")
        .args(["-c", command])
        .current_dir(scratch.path())
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(unrunnable)?;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(unrunnable)? {
            break status;
        }
        if let Err(interrupted) = interrupt::check() {
            let _ = child.kill();
            let _ = child.wait();
            return Err(interrupted);
        }
        thread::sleep(Duration::from_millis(20));
    };
    interrupt::check()?;
    if status.success() {
        return Ok(());
    }
    let printed = scratch.read_output();
    let lines: Vec<&str> = printed.lines().collect();
    let last = lines[lines.len().saturating_sub(LINES)..].join("\n");
    Err(Error::Verify { command: command.to_owned(), status: status.to_string(), last })
}
