//! Owns a look at a folder: which files stand in it, and which changed between two looks.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// All files and links in a folder, but for what bears one of the names.
#[must_use]
pub fn files(folder: &Path, without: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            if without.iter().any(|name| entry.file_name() == name.as_str()) {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// What kind of file a name says it is.
pub fn extension(name: &str) -> &str {
    let extension = Path::new(name).extension();
    extension.and_then(OsStr::to_str).unwrap_or_default()
}

#[derive(Debug, PartialEq, Eq)]
struct Mark {
    size: u64,
    modified: (i64, i64),
    mode: u32,
}

/// The files of a folder at one moment.
#[derive(Debug)]
pub struct Snapshot(BTreeMap<PathBuf, Mark>);

impl Snapshot {
    #[must_use]
    pub fn take(folder: &Path, without: &[String]) -> Self {
        let marks = files(folder, without).into_iter().filter_map(|path| {
            let data = path.symlink_metadata().ok()?;
            let mark = Mark {
                size: data.size(),
                modified: (data.mtime(), data.mtime_nsec()),
                mode: data.mode(),
            };
            Some((path, mark))
        });
        Self(marks.collect())
    }

    /// What appeared, vanished or changed until a later look.
    #[must_use]
    pub fn changes(&self, later: &Self, root: &Path) -> Vec<String> {
        let mut changes = Vec::new();
        let shown = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
        for (path, mark) in &later.0 {
            match self.0.get(path) {
                None => changes.push(format!("{} appeared", shown(path))),
                Some(before) if before != mark => {
                    changes.push(format!("{} changed", shown(path)));
                }
                Some(_) => {}
            }
        }
        for path in self.0.keys().filter(|path| !later.0.contains_key(*path)) {
            changes.push(format!("{} vanished", shown(path)));
        }
        changes
    }
}
