//! A repository as data: which paths there are, and what stands in them, read when it is asked for.

use std::borrow::{Borrow, Cow};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use ignore::{DirEntry, WalkBuilder, WalkState};
use rayon::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::plan::Change;

/// A larger file is no manifest and no source: it is listed, and read as unreadable.
const MAX_BYTES: u64 = 4 << 20;

/// The folder in a repository that is dozen's own, no part of it; see `apply`.
pub const OWN_FOLDER: &str = ".dozen";

/// A path below a repository's root, with `/` on every system: relative, without `.`, `..` or an empty part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(Arc<str>);

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    File(Arc<Content>),
    /// A symbolic link: whatever it leads to, nothing is written through it.
    Link,
    Folder,
    /// A socket, a device, or a file that is too large or may not be read; with the reason.
    Other(String),
}

/// A file's bytes and whether it may be executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub bytes: Vec<u8>,
    pub executable: bool,
}

/// The files of a repository. Asking for one twice gives the same, whatever happens on the disk meanwhile.
#[derive(Debug, Default)]
pub struct Tree {
    root: Option<PathBuf>,
    /// What git does not ignore.
    files: BTreeSet<RepoPath>,
    /// Whether what git ignores is as if it were not there.
    is_clean: bool,
    seen: Mutex<BTreeMap<RepoPath, Option<Entry>>>,
}

impl RepoPath {
    /// # Errors
    /// The text is no such path.
    pub fn parse(text: &str) -> Result<Self> {
        let is_plain = |part: &[u8]| {
            !matches!(part, b"" | b"." | b"..")
                && !part.ends_with(b":")
                && !part.iter().any(|byte| matches!(byte, b'\\' | 0))
        };
        if text.as_bytes().split(|byte| *byte == b'/').all(is_plain) {
            Ok(Self(text.into()))
        } else {
            Err(Error::Path(text.to_owned()))
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn file_name(&self) -> &str {
        memchr::memrchr(b'/', self.0.as_bytes()).map_or(&*self.0, |end| &self.0[end + 1..])
    }

    /// The folders above it, the outermost first.
    pub fn folders(&self) -> impl Iterator<Item = Self> {
        self.0.match_indices('/').map(|(end, _)| Self(self.0[..end].into()))
    }

    /// The same folder with another file name.
    #[must_use]
    pub fn with_file_name(&self, name: &str) -> Self {
        let folder = self.0.len() - self.file_name().len();
        Self(format!("{}{name}", &self.0[..folder]).into())
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for RepoPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RepoPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Borrow<str> for RepoPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<Path> for RepoPath {
    fn as_ref(&self) -> &Path {
        Path::new(self.as_str())
    }
}

impl Tree {
    /// A repository that exists in memory only.
    pub fn from_files(files: impl IntoIterator<Item = (RepoPath, Content)>) -> Self {
        let seen: BTreeMap<_, _> = files
            .into_iter()
            .map(|(path, content)| (path, Some(Entry::File(Arc::new(content)))))
            .collect();
        let files = seen.keys().cloned().collect();
        Self { files, seen: Mutex::new(seen), ..Self::default() }
    }

    /// The repository at `root` without the list of its files: what is asked for by name is found.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: Some(root.to_owned()), ..Self::default() }
    }

    /// Lists the repository at `root`: what git ignores is not listed, but found where it is asked for by name.
    ///
    /// # Errors
    /// `root` is no folder that can be read.
    pub fn read(root: &Path) -> Result<Self> {
        fs::read_dir(root).map_err(|error| Error::Unreadable { path: root.to_owned(), error })?;
        let entries = walk(root).build().filter_map(std::result::Result::ok);
        let files = entries.filter_map(|entry| file_path(root, &entry)).collect();
        Ok(Self { root: Some(root.to_owned()), files, ..Self::default() })
    }

    /// The same, with each file that `wants` read already: in parallel, once.
    ///
    /// # Errors
    /// `root` is no folder that can be read.
    pub fn read_with(root: &Path, wants: impl Fn(&RepoPath) -> bool + Sync) -> Result<Self> {
        fs::read_dir(root).map_err(|error| Error::Unreadable { path: root.to_owned(), error })?;
        let (sender, found) = mpsc::channel();
        let wants = &wants;
        walk(root).build_parallel().run(|| {
            let sender = sender.clone();
            Box::new(move |entry| {
                let Ok(entry) = entry else { return WalkState::Continue };
                if let Some(path) = file_path(root, &entry) {
                    // The walk knows already what is no regular file: most are, and need not be asked again.
                    let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
                    let read = if is_file { read_content } else { read_file };
                    let read = wants(&path).then(|| read(entry.path()));
                    // The receiver outlives the walk.
                    let _ = sender.send((path, read));
                }
                WalkState::Continue
            })
        });
        drop(sender);
        // Sorted once: a map that is made of what is in order compares no path again.
        let mut found: Vec<(RepoPath, Option<Option<Entry>>)> = found.into_iter().collect();
        found.par_sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let files = found.iter().map(|(path, _)| path.clone()).collect();
        let seen = found.into_iter().filter_map(|(path, read)| Some((path, read?))).collect();
        Ok(Self { root: Some(root.to_owned()), files, seen: Mutex::new(seen), ..Self::default() })
    }

    /// Adds files that git tracks though it would ignore them.
    pub fn add_files(&mut self, paths: impl IntoIterator<Item = RepoPath>) {
        self.files.extend(paths);
    }

    /// The tree as a clean clone has it: what git ignores is not there.
    #[must_use]
    pub fn without_ignored(self) -> Self {
        Self { is_clean: true, ..self }
    }

    /// The tree as these changes leave it.
    #[must_use]
    pub fn with(&self, changes: &[Change]) -> Self {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut files = self.files.clone();
        for change in changes {
            let after = change.after.clone().map(|after| Entry::File(Arc::new(after)));
            if after.is_some() {
                files.insert(change.path.clone());
            } else {
                files.remove(&change.path);
            }
            seen.insert(change.path.clone(), after);
        }
        Self { root: self.root.clone(), files, is_clean: self.is_clean, seen: Mutex::new(seen) }
    }

    /// The files that git does not ignore, and what stands at those that were read.
    #[must_use]
    pub fn into_parts(self) -> (BTreeSet<RepoPath>, BTreeMap<RepoPath, Option<Entry>>) {
        (self.files, self.seen.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// The files that git does not ignore, sorted.
    pub fn files(&self) -> impl Iterator<Item = &RepoPath> {
        self.files.iter()
    }

    /// The files of which nothing was read yet.
    #[must_use]
    pub fn unseen(&self) -> Vec<RepoPath> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = seen.keys().peekable();
        let is_unseen = |path: &&RepoPath| {
            while known.next_if(|known| *known < *path).is_some() {}
            known.peek() != Some(path)
        };
        self.files.iter().filter(is_unseen).cloned().collect()
    }

    /// What stands at `path`, ignored by git or not. A path that leads through a link is a link.
    ///
    /// # Panics
    /// Never: a poisoned lock is taken over, as nothing is left half done under it.
    #[must_use]
    pub fn get(&self, path: &RepoPath) -> Option<Entry> {
        if self.is_clean && !self.files.contains(path) {
            return None;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = seen.get(path) {
            return entry.clone();
        }
        let entry = self.root.as_deref().and_then(|root| read_entry(root, path));
        seen.insert(path.clone(), entry.clone());
        entry
    }

    /// The text of the file at `path`, without a byte-order mark, if it is one and is UTF-8.
    #[must_use]
    pub fn text(&self, path: &RepoPath) -> Option<String> {
        match self.get(path)? {
            Entry::File(content) => {
                let text = std::str::from_utf8(&content.bytes).ok()?;
                Some(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned())
            }
            _ => None,
        }
    }

    /// The text of a file at the root.
    #[must_use]
    pub fn root_text(&self, name: &str) -> Option<String> {
        self.text(&RepoPath::parse(name).ok()?)
    }
}

/// Everything below `root` that git does not ignore.
fn walk(root: &Path) -> WalkBuilder {
    let mut walk = WalkBuilder::new(root);
    walk.hidden(false)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git" && entry.file_name() != OWN_FOLDER);
    walk
}

fn file_path(root: &Path, entry: &DirEntry) -> Option<RepoPath> {
    entry.file_type().filter(|kind| !kind.is_dir())?;
    let path = entry.path().strip_prefix(root).ok()?.to_str()?;
    let path = match std::path::MAIN_SEPARATOR {
        '/' => Cow::Borrowed(path),
        separator => Cow::Owned(path.replace(separator, "/")),
    };
    RepoPath::parse(&path).ok()
}

fn read_entry(root: &Path, path: &RepoPath) -> Option<Entry> {
    let is_link = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    if path.folders().any(|folder| is_link(&root.join(folder))) {
        return Some(Entry::Link);
    }
    read_file(&root.join(path))
}

fn read_file(full: &Path) -> Option<Entry> {
    let found = match fs::symlink_metadata(full) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        // A file where a folder should be: the plan finds it when it looks at the folders.
        Err(error) => return Some(Entry::Other(error.to_string())),
    };
    Some(if found.is_symlink() {
        Entry::Link
    } else if found.is_dir() {
        Entry::Folder
    } else if !found.is_file() {
        Entry::Other("it is no regular file".to_owned())
    } else {
        return read_content(full);
    })
}

/// What stands in a regular file.
fn read_content(full: &Path) -> Option<Entry> {
    let read = || -> io::Result<Entry> {
        let file = fs::File::open(full)?;
        let found = file.metadata()?;
        if found.len() > MAX_BYTES {
            return Ok(Entry::Other(format!("it is larger than {} MiB", MAX_BYTES >> 20)));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(found.len()).unwrap_or_default());
        // As much as there was when it was opened: asking whether there is more costs as much as reading.
        file.take(found.len()).read_to_end(&mut bytes)?;
        Ok(Entry::File(Arc::new(Content { bytes, executable: is_executable(&found) })))
    };
    match read() {
        Ok(entry) => Some(entry),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(Entry::Other(error.to_string())),
    }
}

#[cfg(unix)]
fn is_executable(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    found.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
const fn is_executable(_: &fs::Metadata) -> bool {
    false
}
