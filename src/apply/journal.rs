//! The journal of one `apply`: what was decided, so that whoever finds it can complete it or take it back.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::root::{Root, digest, remove_tree};
use crate::error::{Error, Result};
use crate::plan::Change;
use crate::tree::{Content, RepoPath};

/// Where `apply` keeps what it needs while it works, at the root; it is there at no other time.
pub const WORK_FOLDER: &str = ".dozen-apply";
/// Keeps git away from the folder.
const MARK: &str = ".gitignore";
const MARK_TEXT: &str = "# dozen works here; see CONTRIBUTING.md, \"apply\".\n*\n";
const JOURNAL: &str = "journal.json";
const JOURNAL_DRAFT: &str = "journal.draft";
const STAGED: &str = "staged";
const BACKUP: &str = "backup";

/// What [`recover`] found and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    Nothing,
    /// The interrupted change is done now.
    Completed,
    /// The tree is as it was before the interrupted change.
    TakenBack,
}

/// One rename from the staged entries to the root.
#[derive(Debug, Serialize, Deserialize)]
pub struct Operation {
    path: RepoPath,
    /// The name of the new entry among the staged ones, and of the old one in the backup.
    entry: String,
    /// The digest of the file that it replaces; none where nothing stands.
    before: Option<String>,
    /// The digest of the file that it brings; none where it is a folder.
    after: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Journal {
    /// The number of the work folder on this disk. Nobody can know it who puts a journal into a repository
    /// for others to clone, so that such a one is never carried out.
    folder: u64,
    operations: Vec<Operation>,
    /// The folders that had to be made for them, the outermost first.
    folders: Vec<RepoPath>,
}

impl Operation {
    /// Brings a change's content, staged under `number`.
    pub fn replace(number: usize, change: &Change) -> Self {
        Self {
            path: change.path.clone(),
            entry: number.to_string(),
            before: change.before.as_ref().map(|content| digest(&content.bytes)),
            after: Some(digest(&change.after.bytes)),
        }
    }

    /// Brings a staged entry of that name, a file or a folder, to where nothing stands.
    pub fn appear(name: RepoPath) -> Self {
        Self { entry: name.as_str().to_owned(), path: name, before: None, after: None }
    }

    fn staged(&self) -> PathBuf {
        work(STAGED).join(&self.entry)
    }

    fn backup(&self) -> PathBuf {
        work(BACKUP).join(&self.entry)
    }
}

fn work(name: &str) -> PathBuf {
    Path::new(WORK_FOLDER).join(name)
}

/// Whether an `apply` was interrupted in that folder, or is at work there.
pub fn is_interrupted(root: &Path) -> bool {
    root.join(WORK_FOLDER).symlink_metadata().is_ok_and(|found| found.is_dir())
}

/// Stages by `stage`, which is given the folder to stage in, records what is to be renamed, and renames it.
/// What fails is taken back.
pub fn record_and_carry_out(
    root: &Root,
    stage: impl FnOnce(&Path) -> Result<Vec<Operation>>,
) -> Result<()> {
    make_folder(root, Path::new(WORK_FOLDER))?;
    let recorded = open_work_folder(root)
        .and_then(|()| stage(&work(STAGED)))
        .and_then(|operations| record(root, operations));
    let journal = match recorded {
        Ok(journal) => journal,
        Err(error) => {
            close_work_folder(root)?;
            return Err(error);
        }
    };
    if let Err(error) = carry_out(root, &journal) {
        take_back(root, &journal)?;
        close_work_folder(root)?;
        return Err(error);
    }
    close_work_folder(root)
}

/// Completes what was interrupted after it was recorded, takes it back where the tree changed since, and
/// clears what was interrupted before.
pub fn recover(root: &Root) -> Result<Recovery> {
    if !is_interrupted(root.path()) {
        return Ok(Recovery::Nothing);
    }
    let recovery = match read(root)? {
        None => Recovery::Nothing,
        Some(journal) if carry_out(root, &journal).is_ok() => Recovery::Completed,
        Some(journal) => {
            take_back(root, &journal)?;
            Recovery::TakenBack
        }
    };
    close_work_folder(root)?;
    Ok(recovery)
}

fn open_work_folder(root: &Root) -> Result<()> {
    let mark = Content { bytes: MARK_TEXT.into(), executable: false };
    root.create_file(&work(MARK), &mark, None)?;
    make_folder(root, &work(STAGED))?;
    make_folder(root, &work(BACKUP))
}

fn make_folder(root: &Root, path: &Path) -> Result<()> {
    root.dir().create_dir(path).map_err(|error| root.unwritable(path, error))
}

/// The journal goes first: without it, the rest is litter.
fn close_work_folder(root: &Root) -> Result<()> {
    let removed = match root.dir().remove_file(work(JOURNAL)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => remove_tree(|| root.dir().remove_dir_all(WORK_FOLDER)),
    };
    removed.map_err(|error| root.unwritable(Path::new(WORK_FOLDER), error))
}

/// Backs up what will be replaced and commits: from here on the change happens, now or later.
fn record(root: &Root, operations: Vec<Operation>) -> Result<Journal> {
    for operation in operations.iter().filter(|operation| operation.before.is_some()) {
        let backup = operation.backup();
        root.dir()
            .hard_link(&operation.path, root.dir(), &backup)
            .or_else(|_| root.dir().copy(&operation.path, root.dir(), &backup).map(drop))
            .map_err(|error| root.unwritable(&backup, error))?;
    }
    let mut folders: Vec<RepoPath> = operations
        .iter()
        .flat_map(|operation| operation.path.folders().collect::<Vec<_>>())
        .filter(|folder| !root.exists(folder.as_ref()))
        .collect();
    folders.sort();
    folders.dedup();

    let journal = Journal { folder: root.number_of(Path::new(WORK_FOLDER))?, operations, folders };
    let bytes = serde_json::to_vec(&journal)
        .map_err(|error| root.unwritable(&work(JOURNAL), error.into()))?;
    let content = Content { bytes, executable: false };
    root.create_file(&work(JOURNAL_DRAFT), &content, None)?;
    root.sync(&work(JOURNAL_DRAFT))?;
    root.dir()
        .rename(work(JOURNAL_DRAFT), root.dir(), work(JOURNAL))
        .map_err(|error| root.unwritable(&work(JOURNAL), error))?;
    root.sync(Path::new(WORK_FOLDER))?;
    Ok(journal)
}

fn read(root: &Root) -> Result<Option<Journal>> {
    let bytes = match root.dir().read(work(JOURNAL)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| root.unwritable(&work(JOURNAL), error))?,
    };
    let folder = root.number_of(Path::new(WORK_FOLDER))?;
    serde_json::from_slice(&bytes)
        .ok()
        .filter(|journal: &Journal| journal.folder == folder)
        .map(Some)
        .ok_or_else(|| Error::Foreign(root.path().join(WORK_FOLDER)))
}

fn carry_out(root: &Root, journal: &Journal) -> Result<()> {
    for folder in &journal.folders {
        match root.dir().create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(root.unwritable(folder.as_ref(), error));
            }
            _ => {}
        }
    }
    for operation in &journal.operations {
        if root.exists(&operation.staged()) {
            root.check_no_link(&operation.path)?;
            place(root, operation)?;
        }
    }
    for folder in list_touched_folders(journal) {
        root.sync(&folder)?;
    }
    Ok(())
}

fn place(root: &Root, operation: &Operation) -> Result<()> {
    let staged = operation.staged();
    let unwritable = |error| root.unwritable(operation.path.as_ref(), error);
    let rename = || root.dir().rename(&staged, root.dir(), &operation.path);

    match (&operation.before, &operation.after) {
        (Some(before), _) => {
            root.check_unchanged(&operation.path, before)?;
            rename().map_err(unwritable)
        }
        (None, Some(after)) => {
            // A link, unlike a rename, never replaces what somebody has just put there.
            match root.dir().hard_link(&staged, root.dir(), &operation.path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    // Linked by the run that was interrupted before it could remove the staged name.
                    root.check_unchanged(&operation.path, after)?;
                }
                Err(_) => {
                    root.check_absent(&operation.path)?;
                    return rename().map_err(unwritable);
                }
            }
            root.dir().remove_file(&staged).map_err(unwritable)
        }
        (None, None) => {
            root.check_absent(&operation.path)?;
            rename().map_err(unwritable)
        }
    }
}

fn take_back(root: &Root, journal: &Journal) -> Result<()> {
    for operation in journal.operations.iter().rev() {
        let path = &operation.path;
        let unwritable = |error| root.unwritable(path.as_ref(), error);
        let is_ours = || root.digest_of(path.as_ref()) == operation.after;
        match (&operation.before, &operation.after) {
            (Some(before), _) if root.check_unchanged(path, before).is_ok() => {}
            (Some(_), _) if is_ours() => {
                root.dir().rename(operation.backup(), root.dir(), path).map_err(unwritable)?;
            }
            (Some(_), _) if !root.exists(&operation.staged()) => {
                return Err(Error::Unrecoverable {
                    path: root.path().to_owned(),
                    file: path.as_ref().to_owned(),
                    backup: root.path().join(work(BACKUP)),
                });
            }
            (None, Some(_)) if is_ours() => root.dir().remove_file(path).map_err(unwritable)?,
            (None, None) if !root.exists(&operation.staged()) && root.exists(path.as_ref()) => {
                root.dir().rename(path, root.dir(), operation.staged()).map_err(unwritable)?;
            }
            _ => {}
        }
    }
    for folder in journal.folders.iter().rev() {
        // A folder that somebody has put something into stays.
        let _ = root.dir().remove_dir(folder);
    }
    Ok(())
}

/// The folders whose entries changed, the root among them.
fn list_touched_folders(journal: &Journal) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = journal
        .operations
        .iter()
        .filter_map(|operation| Path::new(operation.path.as_str()).parent())
        .map(|folder| Path::new(".").join(folder))
        .collect();
    folders.sort();
    folders.dedup();
    folders
}
