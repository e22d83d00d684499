//! The journal of one change: what was decided, so that whoever finds it can complete it or take it back; and,
//! once it is done, what it replaced, so that `undo` can.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::root::{Root, digest, remove_tree};
use crate::error::{Error, Result};
use crate::factor::Factor;
use crate::plan::Change;
use crate::tree::{Content, OWN_FOLDER, RepoPath};

/// Keeps git away from dozen's folder. The last that goes from it.
const MARK: &str = ".gitignore";
const MARK_TEXT: &str = "# dozen works here; see CONTRIBUTING.md, \"apply\".\n*\n";
/// Where a change is prepared; there at no other time.
const WORK: &str = "work";
/// The work folder of the last change that may be taken back, under the name that it has once that is done.
const RECORD: &str = "undo";
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

/// What becomes of the journal once its change is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Afterwards {
    /// It is the record that `undo` reads, in place of the one before.
    Recorded,
    /// Nothing is left to be taken back.
    Forgotten,
}

/// One file or folder that changes at the root.
#[derive(Debug, Serialize, Deserialize)]
pub struct Operation {
    pub path: RepoPath,
    pub factor: Option<Factor>,
    /// The name of the new entry among the staged ones, and of the old one in the backup. While the former
    /// stands there, the operation is pending.
    entry: String,
    /// The digest of the file that it replaces; none where nothing stands.
    pub before: Option<String>,
    /// The digest of the file that it brings; none where it is a folder, or nothing.
    pub after: Option<String>,
    /// Whether what it brings may be executed.
    pub executable: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Journal {
    /// The number of the work folder on this disk. Nobody can know it who puts a journal into a repository
    /// for others to clone, so that such a one is never carried out.
    folder: u64,
    afterwards: Afterwards,
    pub operations: Vec<Operation>,
    /// The folders that had to be made for them, the outermost first.
    pub folders: Vec<RepoPath>,
    /// The folders that go, where they are empty then, the outermost first.
    emptied: Vec<RepoPath>,
}

impl Operation {
    /// Brings a change's content, staged under `number`; where the file goes, that only says that it is pending.
    pub fn replace(number: usize, change: &Change) -> Self {
        Self {
            path: change.path.clone(),
            factor: change.factor,
            entry: number.to_string(),
            before: change.before.as_ref().map(|content| digest(&content.bytes)),
            after: change.after.as_ref().map(|content| digest(&content.bytes)),
            // What is replaced keeps its mode.
            executable: change
                .before
                .as_deref()
                .or(change.after.as_ref())
                .is_some_and(|content| content.executable),
        }
    }

    /// Brings a staged entry of that name, a file or a folder, to where nothing stands.
    pub fn appear(name: RepoPath) -> Self {
        let entry = name.as_str().to_owned();
        Self { path: name, factor: None, entry, before: None, after: None, executable: false }
    }

    /// Brings back what this one replaced, in place of `now`.
    pub fn reverse(&self, now: Option<String>) -> Self {
        Self {
            path: self.path.clone(),
            factor: self.factor,
            entry: self.entry.clone(),
            before: now,
            after: self.before.clone(),
            executable: false,
        }
    }

    pub fn staged(&self) -> PathBuf {
        work(STAGED).join(&self.entry)
    }

    fn backup(&self) -> PathBuf {
        work(BACKUP).join(&self.entry)
    }

    /// What it replaced, once it is recorded.
    pub fn recorded_backup(&self) -> PathBuf {
        record(BACKUP).join(&self.entry)
    }
}

fn own(name: &str) -> PathBuf {
    Path::new(OWN_FOLDER).join(name)
}

fn work(name: &str) -> PathBuf {
    own(WORK).join(name)
}

fn record(name: &str) -> PathBuf {
    own(RECORD).join(name)
}

/// Whether a change was interrupted in that folder, or is being made there.
pub fn is_interrupted(root: &Path) -> bool {
    let exists = |name| root.join(own(name)).symlink_metadata().is_ok();
    has_own_folder(root) && (exists(WORK) || !exists(RECORD))
}

fn has_own_folder(root: &Path) -> bool {
    root.join(OWN_FOLDER).symlink_metadata().is_ok_and(|found| found.is_dir())
}

/// Stages by `stage`, which is given the folder to stage in, commits to what is to be done, and does it.
/// What fails is taken back. `emptied` are folders that go if they are empty then.
pub fn commit_and_carry_out(
    root: &Root,
    afterwards: Afterwards,
    emptied: Vec<RepoPath>,
    stage: impl FnOnce(&Path) -> Result<Vec<Operation>>,
) -> Result<()> {
    if !has_own_folder(root.path()) {
        make_folder(root, Path::new(OWN_FOLDER))?;
    }
    let committed = open_work_folder(root)
        .and_then(|()| stage(&work(STAGED)))
        .and_then(|operations| commit(root, afterwards, emptied, operations));
    let journal = match committed {
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
    finish(root, journal.afterwards)
}

/// Completes what was interrupted after it was committed to, takes it back where the tree changed since, and
/// clears what was interrupted before.
pub fn recover(root: &Root) -> Result<Recovery> {
    if !is_interrupted(root.path()) {
        return Ok(Recovery::Nothing);
    }
    let Some(journal) = read(root, WORK)? else {
        close_work_folder(root)?;
        return Ok(Recovery::Nothing);
    };
    if carry_out(root, &journal).is_ok() {
        finish(root, journal.afterwards)?;
        return Ok(Recovery::Completed);
    }
    take_back(root, &journal)?;
    close_work_folder(root)?;
    Ok(Recovery::TakenBack)
}

/// The last change, if it can be taken back.
pub fn read_record(root: &Root) -> Result<Option<Journal>> {
    read(root, RECORD)
}

fn open_work_folder(root: &Root) -> Result<()> {
    check_own(root, RECORD)?;
    if !root.exists(&own(MARK)) {
        let mark = Content { bytes: MARK_TEXT.into(), executable: false };
        root.create_file(&own(MARK), &mark, None)?;
    }
    make_folder(root, &own(WORK))?;
    make_folder(root, &work(STAGED))?;
    make_folder(root, &work(BACKUP))
}

fn make_folder(root: &Root, path: &Path) -> Result<()> {
    root.dir().create_dir(path).map_err(|error| root.unwritable(path, error))
}

/// After everything is in place: no failure and no kill from here on leads back.
fn finish(root: &Root, afterwards: Afterwards) -> Result<()> {
    remove_journal_folder(root, RECORD)?;
    if afterwards == Afterwards::Recorded {
        // Empty by now, and in nobody's way if it stays.
        let _ = root.dir().remove_dir(work(STAGED));
        root.dir()
            .rename(own(WORK), root.dir(), own(RECORD))
            .map_err(|error| root.unwritable(&own(RECORD), error))?;
        return root.sync(Path::new(OWN_FOLDER));
    }
    close_work_folder(root)
}

/// Removes the work folder, and dozen's own where nothing else is in it.
fn close_work_folder(root: &Root) -> Result<()> {
    remove_journal_folder(root, WORK)?;
    let folder = Path::new(OWN_FOLDER);
    let mut entries =
        root.dir().read_dir(folder).map_err(|error| root.unwritable(folder, error))?;
    let is_ours = |entry: io::Result<cap_std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name() == MARK)
    };
    if entries.all(is_ours) {
        remove_tree(|| root.dir().remove_dir_all(folder))
            .map_err(|error| root.unwritable(folder, error))?;
    }
    Ok(())
}

/// No dozen leaves a link there.
fn check_own(root: &Root, name: &str) -> Result<()> {
    if root.is_link(&own(name)) {
        return Err(Error::Foreign(root.path().join(own(name))));
    }
    Ok(())
}

/// The journal goes first: without it, the rest is litter.
fn remove_journal_folder(root: &Root, name: &str) -> Result<()> {
    let folder = own(name);
    if !root.exists(&folder) {
        return Ok(());
    }
    check_own(root, name)?;
    let removed = match root.dir().remove_file(folder.join(JOURNAL)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => remove_tree(|| root.dir().remove_dir_all(&folder)),
    };
    removed.map_err(|error| root.unwritable(&folder, error))
}

/// Backs up what will be replaced and commits: from here on the change happens, now or later.
fn commit(
    root: &Root,
    afterwards: Afterwards,
    emptied: Vec<RepoPath>,
    operations: Vec<Operation>,
) -> Result<Journal> {
    for operation in operations.iter().filter(|operation| operation.before.is_some()) {
        root.link_or_copy(operation.path.as_ref(), &operation.backup())?;
    }
    let mut folders: Vec<RepoPath> = operations
        .iter()
        .flat_map(|operation| operation.path.folders().collect::<Vec<_>>())
        .filter(|folder| !root.exists(folder.as_ref()))
        .collect();
    folders.sort();
    folders.dedup();

    let folder = root.number_of(&own(WORK))?;
    let journal = Journal { folder, afterwards, operations, folders, emptied };
    let bytes = serde_json::to_vec(&journal)
        .map_err(|error| root.unwritable(&work(JOURNAL), error.into()))?;
    let content = Content { bytes, executable: false };
    root.create_file(&work(JOURNAL_DRAFT), &content, None)?;
    root.sync(&work(JOURNAL_DRAFT))?;
    root.dir()
        .rename(work(JOURNAL_DRAFT), root.dir(), work(JOURNAL))
        .map_err(|error| root.unwritable(&work(JOURNAL), error))?;
    root.sync(&own(WORK))?;
    Ok(journal)
}

fn read(root: &Root, name: &str) -> Result<Option<Journal>> {
    check_own(root, name)?;
    let file = own(name).join(JOURNAL);
    let bytes = match root.dir().read(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| root.unwritable(&file, error))?,
    };
    let folder = root.number_of(&own(name))?;
    serde_json::from_slice(&bytes)
        .ok()
        .filter(|journal: &Journal| journal.folder == folder)
        .map(Some)
        .ok_or_else(|| Error::Foreign(root.path().join(own(name))))
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
        match root.sync(&folder) {
            // One of those that go, gone already in a run that was interrupted.
            Err(_) if !root.exists(&folder) => {}
            synced => synced?,
        }
    }
    for folder in journal.emptied.iter().rev() {
        if root.check_no_link(folder).is_ok() {
            // A folder that somebody has put something into stays.
            let _ = root.dir().remove_dir(folder);
        }
    }
    Ok(())
}

fn place(root: &Root, operation: &Operation) -> Result<()> {
    let staged = operation.staged();
    let unwritable = |error| root.unwritable(operation.path.as_ref(), error);
    let rename = || root.dir().rename(&staged, root.dir(), &operation.path);

    match (&operation.before, &operation.after) {
        (Some(before), Some(_)) => {
            root.check_unchanged(&operation.path, before)?;
            rename().map_err(unwritable)
        }
        (Some(before), None) => {
            if root.exists(operation.path.as_ref()) {
                root.check_unchanged(&operation.path, before)?;
                root.dir().remove_file(&operation.path).map_err(unwritable)?;
            }
            root.dir().remove_file(&staged).map_err(unwritable)
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
        let is_ours = || match &operation.after {
            None => !root.exists(path.as_ref()),
            after => root.digest_of(path.as_ref()) == *after,
        };
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
