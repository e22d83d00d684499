//! The only writer: carries a plan out so that a kill at any instant leaves the old tree or the new one.
//!
//! A new repository is built beside its place and appears in one rename. In a folder that exists, every new
//! content is staged first, a journal is written, and only then files are renamed into place, one by one:
//! what was interrupted is completed, or taken back, by the next command that comes there.
//! Everything goes through a handle of the root from which no path and no link leads out.

#![expect(clippy::disallowed_methods, reason = "the home of writing")]

mod journal;
mod root;
mod scratch;
mod undo;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::interrupt;
use crate::plan::Plan;
use crate::tree::{Content, OWN_FOLDER};
pub use journal::Recovery;
use journal::{Afterwards, Operation};
use root::{Root, digest};
pub use scratch::Scratch;
pub use undo::{Restoration, Undo, find_unchanged_since};

/// What is done to a new repository before it appears, given the folder where it is built.
pub type Finish<'a> = &'a dyn Fn(&Path) -> Result<()>;

/// Makes the repository of `plan` at its root, which does not exist or is an empty folder.
///
/// # Errors
/// The place is taken or cannot be written; then nothing is left there.
pub fn create(plan: &Plan, finish: Finish) -> Result<()> {
    check_vacant(&plan.root)?;
    if plan.root.is_dir() { fill(plan, finish) } else { create_folder(plan, finish) }
}

/// Carries out the changes of `plan` in its root, all or none, and keeps what they replaced for [`Undo`].
///
/// # Errors
/// The disk is not what the plan saw, or cannot be written; then it is as before.
pub fn apply(plan: &Plan) -> Result<()> {
    if plan.changes.is_empty() {
        return Ok(());
    }
    let root = Root::open(&plan.root)?;
    journal::recover(&root)?;
    journal::commit_and_carry_out(&root, Afterwards::Recorded, Vec::new(), |work| {
        stage_changes(&root, work, plan)
    })
}

/// Completes or takes back what an interrupted `dozen` left in `root`. Not being able to look is no error.
///
/// # Errors
/// A file that it would have to put back was edited since, or the disk cannot be written.
pub fn recover(root: &Path) -> Result<Recovery> {
    if !journal::is_interrupted(root) {
        return Ok(Recovery::Nothing);
    }
    journal::recover(&Root::open(root)?)
}

/// Writes what a command prints to a file that its user named.
///
/// # Errors
/// It cannot be written.
pub fn write_output(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    fs::write(path, bytes).map_err(|error| Error::OutputFile { path: path.to_owned(), error })
}

/// # Errors
/// Something stands at `target`, and it is not an empty folder.
pub fn check_vacant(target: &Path) -> Result<()> {
    match fs::read_dir(target) {
        Ok(mut entries) => match entries.find(|entry| !is_own_folder(entry)) {
            Some(_) => Err(Error::NotEmpty(target.to_owned())),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound && !target.is_symlink() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(Error::Unreadable { path: target.to_owned(), error })
        }
        Err(_) => Err(Error::NotAFolder(target.to_owned())),
    }
}

fn is_own_folder(entry: &io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.file_name() == OWN_FOLDER)
}

/// Builds the repository beside its place, then renames it there.
fn create_folder(plan: &Plan, finish: Finish) -> Result<()> {
    let target = absolute(&plan.root)?;
    let parent = target.parent().unwrap_or(&target).to_owned();
    let made = root::create_folders(&parent)?;
    let built = root::Staging::begin(&target).and_then(|staging| {
        write_all(staging.root(), plan)?;
        finish(staging.path())?;
        interrupt::check()?;
        staging.appear_at(&target)
    });
    if built.is_err() {
        root::remove_folders(&made);
    }
    built
}

/// Builds the repository in the work folder of the empty `plan.root`, then moves its entries up.
fn fill(plan: &Plan, finish: Finish) -> Result<()> {
    let root = Root::open(&plan.root)?;
    journal::recover(&root)?;
    check_vacant(&plan.root)?;
    journal::commit_and_carry_out(&root, Afterwards::Forgotten, Vec::new(), |work| {
        let staged = root.enter(work)?;
        write_all(&staged, plan)?;
        finish(staged.path())?;
        Ok(staged.list()?.into_iter().map(Operation::appear).collect())
    })
}

fn write_all(root: &Root, plan: &Plan) -> Result<()> {
    for change in &plan.changes {
        interrupt::check()?;
        if let Some(after) = &change.after {
            root.create_file(change.path.as_ref(), after, None)?;
        }
    }
    Ok(())
}

fn stage_changes(root: &Root, work: &Path, plan: &Plan) -> Result<Vec<Operation>> {
    let mut operations = Vec::with_capacity(plan.changes.len());
    for (number, change) in plan.changes.iter().enumerate() {
        interrupt::check()?;
        root.check_no_link(&change.path)?;
        let staged = work.join(number.to_string());
        let permissions = match &change.before {
            None => {
                root.check_absent(&change.path)?;
                None
            }
            Some(before) => {
                root.check_unchanged(&change.path, &digest(&before.bytes))?;
                Some(root.permissions(&change.path)?)
            }
        };
        match &change.after {
            Some(after) => root.create_file(&staged, after, permissions)?,
            None => root.create_file(&staged, &Content::default(), None)?,
        }
        root.sync(&staged)?;
        operations.push(Operation::replace(number, change));
    }
    Ok(operations)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Error::Unreadable { path: path.to_owned(), error })
}
