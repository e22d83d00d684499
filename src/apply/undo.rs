//! Takes the last change back: each file that it wrote becomes what it was, byte for byte and mode for mode.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::journal::{self, Afterwards, Journal, Operation};
use super::root::{Root, digest};
use crate::error::{Error, Result};
use crate::factor::Factor;
use crate::interrupt;
use crate::plan::Conflict;
use crate::tree::{Content, Entry, RepoPath, Tree};

/// The last change in a repository, backwards; no other dozen changes it meanwhile.
#[derive(Debug)]
pub struct Undo {
    root: Root,
    record: Journal,
    /// Sorted by path.
    pub restorations: Vec<Restoration>,
    /// What was changed since. Sorted by path.
    pub conflicts: Vec<Conflict>,
}

/// A file that becomes what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restoration {
    pub path: RepoPath,
    pub factor: Option<Factor>,
    pub now: Option<Arc<Content>>,
    pub then: Option<Content>,
}

impl Restoration {
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match (&self.now, &self.then) {
            (None, _) => "create",
            (Some(_), Some(_)) => "modify",
            (Some(_), None) => "delete",
        }
    }
}

impl Serialize for Restoration {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            path: &'a RepoPath,
            kind: &'static str,
            factor: Option<Factor>,
        }
        Shown { path: &self.path, kind: self.kind(), factor: self.factor }.serialize(serializer)
    }
}

/// What stands at a path, beside what the change left there.
enum Since {
    /// It is gone, or already what it was.
    Restored,
    Unchanged(Option<Arc<Content>>),
    Changed(Option<Arc<Content>>),
    /// Nothing that a file can take the place of.
    Blocked(String),
}

impl Undo {
    /// Reads what the last change in `root` was, if there is one to be taken back.
    ///
    /// # Errors
    /// Another dozen is at work there, or the record was not left by one.
    pub fn find(root: &Path) -> Result<Option<Self>> {
        let locked = Root::open(root)?;
        journal::recover(&locked)?;
        let Some(record) = journal::read_record(&locked)? else {
            return Ok(None);
        };
        let tree = Tree::at(root);
        let (mut restorations, mut conflicts) = (Vec::new(), Vec::new());
        for operation in &record.operations {
            let then = read_backup(&locked, operation)?;
            let (path, factor) = (operation.path.clone(), operation.factor);
            let mut restore = |now| {
                let path = path.clone();
                restorations.push(Restoration { path, factor, now, then: then.clone() });
            };
            let reason = match look(&tree, operation) {
                Since::Restored => continue,
                Since::Unchanged(now) => {
                    restore(now);
                    continue;
                }
                Since::Changed(now) => {
                    let what = if now.is_some() { "changed" } else { "removed" };
                    restore(now);
                    format!("it was {what} since")
                }
                Since::Blocked(reason) => reason,
            };
            let snippet = String::new();
            conflicts.push(Conflict { path, factor, reason, snippet, replacement: None });
        }
        restorations.sort_by(|a, b| a.path.cmp(&b.path));
        conflicts.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Some(Self { root: locked, record, restorations, conflicts }))
    }

    /// Whether something stands in the way that is no file.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        let is_restored =
            |path: &RepoPath| self.restorations.iter().any(|restored| restored.path == *path);
        self.conflicts.iter().any(|conflict| !is_restored(&conflict.path))
    }

    /// Restores the files, all or none, and leaves no record.
    ///
    /// # Errors
    /// The disk is no longer what [`Undo::find`] saw, or cannot be written; then it is as before.
    pub fn carry_out(&self) -> Result<()> {
        let emptied = self.record.folders.clone();
        journal::commit_and_carry_out(&self.root, Afterwards::Forgotten, emptied, |_| self.stage())
    }

    fn stage(&self) -> Result<Vec<Operation>> {
        let root = &self.root;
        let mut operations = Vec::new();
        for restoration in &self.restorations {
            interrupt::check()?;
            root.check_no_link(&restoration.path)?;
            let now = restoration.now.as_ref().map(|content| digest(&content.bytes));
            match &now {
                None => root.check_absent(&restoration.path)?,
                Some(digest) => root.check_unchanged(&restoration.path, digest)?,
            }
            let recorded = self.record.operations.iter();
            for operation in recorded.filter(|operation| operation.path == restoration.path) {
                let reversed = operation.reverse(now.clone());
                let staged = reversed.staged();
                if operation.before.is_some() {
                    root.link_or_copy(&operation.recorded_backup(), &staged)?;
                } else {
                    // Nothing is brought: it only says that the operation is pending.
                    root.create_file(&staged, &Content::default(), None)?;
                }
                operations.push(reversed);
            }
        }
        Ok(operations)
    }
}

/// The files whose content is what the last change in `root` made of them.
#[must_use]
pub fn find_unchanged_since(root: &Path) -> BTreeSet<RepoPath> {
    let record = Root::open(root).ok().and_then(|root| journal::read_record(&root).ok()?);
    let tree = Tree::at(root);
    record
        .into_iter()
        .flat_map(|record| record.operations)
        .filter(|operation| matches!(look(&tree, operation), Since::Unchanged(_)))
        .map(|operation| operation.path)
        .collect()
}

fn read_backup(root: &Root, operation: &Operation) -> Result<Option<Content>> {
    let Some(before) = &operation.before else {
        return Ok(None);
    };
    let path = operation.recorded_backup();
    let found = root.read_file(&path)?;
    if digest(&found.bytes) == *before {
        return Ok(Some(found));
    }
    Err(Error::Foreign(root.path().join(path)))
}

fn look(tree: &Tree, operation: &Operation) -> Since {
    let now = match tree.get(&operation.path) {
        None if operation.before.is_none() => return Since::Restored,
        None if operation.after.is_none() => return Since::Unchanged(None),
        None => return Since::Changed(None),
        Some(Entry::File(now)) => now,
        Some(Entry::Link) => return Since::Blocked("it is a symbolic link now".to_owned()),
        Some(Entry::Folder) => return Since::Blocked("it is a folder now".to_owned()),
        Some(Entry::Other(reason)) => return Since::Blocked(reason),
    };
    let found = Some(digest(&now.bytes));
    if found == operation.after && now.executable == operation.executable {
        Since::Unchanged(Some(now))
    } else if found == operation.before {
        Since::Restored
    } else {
        Since::Changed(Some(now))
    }
}
