//! Owns a look at a folder: which files stand in it, and which changed between two looks.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// All files and links in a folder, but for what bears one of the names.
#[must_use]
pub fn files(folder: &Path, without: &[String]) -> Vec<PathBuf> {
    let mut found = entries(folder, without);
    found.retain(|path| !path.symlink_metadata().is_ok_and(|data| data.is_dir()));
    found
}

/// The same with the folders in it.
fn entries(folder: &Path, without: &[String]) -> Vec<PathBuf> {
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
            }
            found.push(entry.path());
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

/// The files and folders in a folder at one moment.
#[derive(Debug)]
pub struct Snapshot(BTreeMap<PathBuf, Mark>);

impl Snapshot {
    #[must_use]
    pub fn take(folder: &Path, without: &[String]) -> Self {
        let marks = entries(folder, without).into_iter().filter_map(|path| {
            let data = path.symlink_metadata().ok()?;
            // A folder changes with what is in it, which is told by itself, or is left out.
            let own = |data: &Metadata| (data.size(), (data.mtime(), data.mtime_nsec()));
            let (size, modified) = if data.is_dir() { (0, (0, 0)) } else { own(&data) };
            Some((path, Mark { size, modified, mode: data.mode() }))
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_that_is_made_is_a_change_and_one_that_is_filled_is_none_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("src")).unwrap();
        let look = || Snapshot::take(root, &["cache".to_owned()]);
        let before = look();
        fs::create_dir(root.join("uploads")).unwrap();
        fs::create_dir(root.join("src/cache")).unwrap();
        fs::write(root.join("src/cache/a"), "").unwrap();
        assert_eq!(before.changes(&look(), root), ["uploads appeared"]);
        fs::write(root.join("src/b"), "").unwrap();
        assert_eq!(before.changes(&look(), root), ["src/b appeared", "uploads appeared"]);
    }
}
