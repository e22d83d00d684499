//! A copy of a repository, changed as a plan says, to be thrown away.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::root::Root;
use crate::error::{Error, Result};
use crate::interrupt;
use crate::plan::Plan;
use crate::tree::RepoPath;

/// What a package manager has installed or compiled: linked, as a copy would take longer than the command.
const DEPENDENCY_FOLDERS: [&str; 4] = [".venv", "node_modules", "target", "venv"];
const OUTPUT: &str = "output";
const REPOSITORY: &str = "repository";

/// Gone from the disk when it is dropped.
#[derive(Debug)]
pub struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    /// Copies `files`, links what they depend on, and carries `plan` out in the copy.
    ///
    /// # Errors
    /// A file cannot be read, or there is no room.
    pub fn lay(plan: &Plan, files: &BTreeSet<RepoPath>) -> Result<Self> {
        let scratch = Self::copy(plan, files)?;
        scratch.link_dependencies(plan, files)?;
        Ok(scratch)
    }

    /// Copies `files` and nothing else, and carries `plan` out in the copy.
    ///
    /// # Errors
    /// As [`Self::lay`].
    pub fn copy(plan: &Plan, files: &BTreeSet<RepoPath>) -> Result<Self> {
        let unwritable = |error| Error::Unwritable { path: std::env::temp_dir(), error };
        let folder = tempfile::TempDir::with_prefix("dozen-copy-").map_err(unwritable)?;
        let scratch = Self { folder };
        fs::create_dir(scratch.path()).map_err(unwritable)?;
        for path in files {
            interrupt::check()?;
            let (from, to) = (plan.root.join(path), scratch.path().join(path));
            copy_node(&from, &to).map_err(|error| Error::Unreadable { path: from, error })?;
        }
        scratch.carry_out(plan)?;
        Ok(scratch)
    }

    fn link_dependencies(&self, plan: &Plan, files: &BTreeSet<RepoPath>) -> Result<()> {
        let mut folders = BTreeSet::from([PathBuf::new()]);
        for path in files {
            folders.extend(path.folders().map(|folder| PathBuf::from(folder.as_str())));
        }
        for folder in folders {
            for name in DEPENDENCY_FOLDERS {
                let (from, to) =
                    (plan.root.join(&folder).join(name), self.path().join(&folder).join(name));
                if from.is_dir() && !to.exists() {
                    link(&from, &to).map_err(|error| Error::Unwritable { path: to, error })?;
                }
            }
        }
        Ok(())
    }

    fn carry_out(&self, plan: &Plan) -> Result<()> {
        let root = Root::open(&self.path())?;
        for change in &plan.changes {
            let permissions = root.permissions(&change.path).ok();
            if permissions.is_some() {
                root.dir()
                    .remove_file(&change.path)
                    .map_err(|error| root.unwritable(change.path.as_ref(), error))?;
            }
            if let Some(after) = &change.after {
                root.create_file(change.path.as_ref(), after, permissions)?;
            }
        }
        Ok(())
    }

    /// Where the copy stands.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(REPOSITORY)
    }

    /// Two ends of one file beside the copy, for what a command prints.
    ///
    /// # Errors
    /// There is no room.
    pub fn output(&self) -> Result<(File, File)> {
        let path = self.folder.path().join(OUTPUT);
        let made = File::create(&path).and_then(|file| Ok((file.try_clone()?, file)));
        made.map_err(|error| Error::Unwritable { path, error })
    }

    #[must_use]
    pub fn read_output(&self) -> String {
        let bytes = fs::read(self.folder.path().join(OUTPUT)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Copies a file with its mode, or a link as it is. What is neither is left out, as git does.
fn copy_node(from: &Path, to: &Path) -> io::Result<()> {
    let kind = match from.symlink_metadata() {
        Ok(found) => found.file_type(),
        // Tracked, and not there.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    if kind.is_symlink() {
        link(&fs::read_link(from)?, to)
    } else if kind.is_file() {
        fs::copy(from, to).map(drop)
    } else {
        Ok(())
    }
}

#[cfg(unix)]
fn link(target: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, at)
}

#[cfg(not(unix))]
fn link(_: &Path, _: &Path) -> io::Result<()> {
    Ok(())
}
