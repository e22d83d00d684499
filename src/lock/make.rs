//! Makes a lock: in a copy of what its package manager reads, from which nothing but the lock comes back.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use super::list::{self, RESOLVED};
use super::{INCOMPLETE, Open, read_before};
use crate::apply::Scratch;
use crate::check::sources::folder_of;
use crate::child::{self, Ending};
use crate::error::Result;
use crate::factor::Factor;
use crate::plan::{Change, Plan};
use crate::tree::{Content, RepoPath, Tree};

/// A registry that does not answer is not waited for any longer than this.
pub const LIMIT: Duration = Duration::from_mins(10);

/// What became of a lock.
#[derive(Debug)]
pub enum Made {
    Changed(Change),
    /// It is what it should be already.
    Same,
    /// It could not be made, for this reason.
    Failed(String),
}

/// Makes the lock for `tree`, which `plan` leaves of what stands at its root.
///
/// # Errors
/// Ctrl-C, or there is no room for the copy.
pub fn make(open: &Open, tree: &Tree, plan: &Plan, limit: Duration) -> Result<Made> {
    let before = match read_before(tree, &open.lock) {
        Ok(before) => before,
        Err(reason) => return Ok(Made::Failed(reason)),
    };
    let is_taken = |path: &RepoPath| *path == open.lock || open.takes(path);
    let files: BTreeSet<RepoPath> =
        tree.files().chain([&open.lock]).filter(|path| is_taken(path)).cloned().collect();
    let changes = plan.changes.iter().filter(|change| is_taken(&change.path)).cloned().collect();
    let part = Plan { root: plan.root.clone(), changes, ..Plan::default() };
    let scratch = Scratch::copy(&part, &files)?;
    let folder = scratch.path().join(folder_of(&open.lock));
    let words: Vec<&str> = open.command.iter().map(String::as_str).collect();
    let command = open.command_line();
    match child::run(&scratch, &folder, &words, &open.set, Some(limit))? {
        Ending::Exited(status) if status.success() => {}
        Ending::Exited(status) => {
            let printed = scratch.read_output();
            let last = printed.lines().rev().find(|line| !line.trim().is_empty());
            let last = last.map_or_else(|| status.to_string(), |line| line.trim().to_owned());
            return Ok(Made::Failed(format!("`{command}` failed: {last}")));
        }
        Ending::TimedOut => {
            let minutes = limit.as_secs() / 60;
            return Ok(Made::Failed(format!("`{command}` took more than {minutes} minutes")));
        }
        Ending::Unstarted(error) => {
            let program = words.first().copied().unwrap_or_default();
            return Ok(Made::Failed(match error.kind() {
                std::io::ErrorKind::NotFound => format!("`{program}` is not on the PATH"),
                _ => format!("`{program}` cannot be run: {error}"),
            }));
        }
    }
    let is_list = open.rule == Some(INCOMPLETE);
    let name = if is_list { RESOLVED } else { open.lock.file_name() };
    let Ok(bytes) = fs::read(folder.join(name)) else {
        return Ok(Made::Failed(format!("`{command}` wrote no {name}")));
    };
    let bytes = if is_list {
        match list::append(tree, &open.lock, &String::from_utf8_lossy(&bytes)) {
            Some(text) => text.into_bytes(),
            None => return Ok(Made::Same),
        }
    } else {
        bytes
    };
    let after = Content { bytes, executable: before.as_ref().is_some_and(|it| it.executable) };
    if before.as_deref() == Some(&after) {
        return Ok(Made::Same);
    }
    Ok(Made::Changed(Change {
        path: open.lock.clone(),
        factor: Some(Factor::Dependencies),
        before,
        after: Some(after),
        does: vec![if is_list {
            "pins what its packages need".to_owned()
        } else {
            format!("by `{command}`")
        }],
    }))
}

impl Open {
    /// Whether its command needs a file.
    fn takes(&self, path: &RepoPath) -> bool {
        self.takes.iter().any(|name| match name.strip_prefix('*') {
            Some(end) => path.file_name().ends_with(end),
            None => path.file_name() == name,
        })
    }
}
