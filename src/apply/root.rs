//! A folder as a locked handle that no path leads out of, and the single steps of writing in it.

use std::fs::{self, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, Permissions};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::tree::{Content, RepoPath};

/// A folder in which this process is the only dozen.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    dir: Dir,
    /// Held, and given up when the process ends, however it ends.
    _lock: Option<fs::File>,
}

/// SHA-256, in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Root {
    /// Opens and locks a folder.
    pub fn open(path: &Path) -> Result<Self> {
        let unreadable = |error| Error::Unreadable { path: path.to_owned(), error };
        let lock = fs::File::open(path).map_err(unreadable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(unreadable(error)),
        }
        Ok(Self {
            path: path.to_owned(),
            dir: Dir::open_ambient_dir(path, ambient_authority()).map_err(unreadable)?,
            _lock: Some(lock),
        })
    }

    /// A folder of this one, under the same lock.
    pub fn enter(&self, folder: &Path) -> Result<Self> {
        Ok(Self {
            path: self.path.join(folder),
            dir: self.dir.open_dir(folder).map_err(|error| self.unwritable(folder, error))?,
            _lock: None,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub const fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The names in it, sorted.
    pub fn list(&self) -> Result<Vec<RepoPath>> {
        let entries = self.dir.entries().map_err(|error| self.unwritable(Path::new(""), error))?;
        let mut names = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .map(|name| RepoPath::parse(&name))
            .collect::<Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    /// Writes a file that is not there yet, with the folders above it.
    pub fn create_file(
        &self,
        path: &Path,
        content: &Content,
        permissions: Option<Permissions>,
    ) -> Result<()> {
        self.try_create_file(path, content, permissions)
            .map_err(|error| self.unwritable(path, error))
    }

    fn try_create_file(
        &self,
        path: &Path,
        content: &Content,
        permissions: Option<Permissions>,
    ) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use cap_std::fs::OpenOptionsExt;
            options.mode(if content.executable { 0o777 } else { 0o666 });
        }
        let mut file = match self.dir.open_with(path, &options) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(folder) = path.parent() {
                    self.dir.create_dir_all(folder)?;
                }
                self.dir.open_with(path, &options)?
            }
            opened => opened?,
        };
        file.write_all(&content.bytes)?;
        if let Some(permissions) = permissions {
            file.set_permissions(permissions)?;
        }
        Ok(())
    }

    /// Gives a file another name, or its copy where the disk has no such links.
    pub fn link_or_copy(&self, from: &Path, to: &Path) -> Result<()> {
        self.dir
            .hard_link(from, &self.dir, to)
            .or_else(|_| self.dir.copy(from, &self.dir, to).map(drop))
            .map_err(|error| self.unwritable(to, error))
    }

    /// Waits until a file, or the names in a folder, are on the disk.
    pub fn sync(&self, path: &Path) -> Result<()> {
        fs::File::open(self.path.join(path))
            .and_then(|file| file.sync_all())
            .map_err(|error| self.unwritable(path, error))
    }

    pub fn permissions(&self, path: &RepoPath) -> Result<Permissions> {
        self.dir
            .symlink_metadata(path)
            .map(|found| found.permissions())
            .map_err(|error| self.unwritable(path.as_ref(), error))
    }

    /// What tells a file or folder from every other on the same disk, where the system has such a number.
    pub fn number_of(&self, path: &Path) -> Result<u64> {
        let found =
            self.dir.symlink_metadata(path).map_err(|error| self.unwritable(path, error))?;
        #[cfg(unix)]
        return Ok(cap_std::fs::MetadataExt::ino(&found));
        #[cfg(not(unix))]
        return Ok(0);
    }

    pub fn read_file(&self, path: &Path) -> Result<Content> {
        let read = self.dir.read(path).and_then(|bytes| {
            let found = self.dir.symlink_metadata(path)?;
            #[cfg(unix)]
            let executable = cap_std::fs::PermissionsExt::mode(&found.permissions()) & 0o111 != 0;
            #[cfg(not(unix))]
            let executable = false;
            Ok(Content { bytes, executable })
        });
        read.map_err(|error| Error::Unreadable { path: self.path.join(path), error })
    }

    /// The digest of the regular file at `path`; none where there is no such thing.
    pub fn digest_of(&self, path: &Path) -> Option<String> {
        let found = self.dir.symlink_metadata(path).ok()?;
        if !found.is_file() {
            return None;
        }
        self.dir.read(path).ok().map(|bytes| digest(&bytes))
    }

    pub fn exists(&self, path: &Path) -> bool {
        self.dir.symlink_metadata(path).is_ok()
    }

    pub fn is_link(&self, path: &Path) -> bool {
        self.dir.symlink_metadata(path).is_ok_and(|found| found.is_symlink())
    }

    pub fn check_no_link(&self, path: &RepoPath) -> Result<()> {
        for part in path.folders().chain([path.clone()]) {
            if self.is_link(part.as_ref()) {
                return Err(Error::Link(self.path.join(part)));
            }
        }
        Ok(())
    }

    pub fn check_absent(&self, path: &RepoPath) -> Result<()> {
        if self.exists(path.as_ref()) {
            return Err(Error::Changed(self.path.join(path)));
        }
        Ok(())
    }

    pub fn check_unchanged(&self, path: &RepoPath, digest: &str) -> Result<()> {
        if self.digest_of(path.as_ref()).as_deref() != Some(digest) {
            return Err(Error::Changed(self.path.join(path)));
        }
        Ok(())
    }

    pub fn unwritable(&self, path: &Path, error: io::Error) -> Error {
        Error::Unwritable { path: self.path.join(path), error }
    }
}

/// A folder beside its target in which a new repository is built; it goes when it does not appear there.
pub struct Staging {
    root: Root,
    appeared: bool,
}

impl Staging {
    pub fn begin(target: &Path) -> Result<Self> {
        let name = target
            .file_name()
            .ok_or_else(|| Error::NotAFolder(target.to_owned()))?
            .to_string_lossy();
        let prefix = format!(".{name}.dozen-");
        let parent = target.parent().unwrap_or(target);
        remove_abandoned(parent, &prefix);
        let path = parent.join(format!("{prefix}{}", std::process::id()));
        fs::create_dir(&path)
            .map_err(|error| Error::Unwritable { path: target.to_owned(), error })?;
        // Another `new` of that name may take a folder that is not locked yet for an abandoned one.
        let root = Root::open(&path).map_err(|_| Error::Busy(parent.to_owned()))?;
        Ok(Self { root, appeared: false })
    }

    pub const fn root(&self) -> &Root {
        &self.root
    }

    pub fn path(&self) -> &Path {
        &self.root.path
    }

    /// Makes it what stands at `target`, where nothing stands.
    pub fn appear_at(mut self, target: &Path) -> Result<()> {
        match fs::rename(self.path(), target) {
            Ok(()) => {
                self.appeared = true;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                Err(Error::NotEmpty(target.to_owned()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                Err(Error::NotAFolder(target.to_owned()))
            }
            Err(error) => Err(Error::Unwritable { path: target.to_owned(), error }),
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.appeared {
            // Best effort: what stays is removed by the next `new` of that name.
            let _ = remove_tree(|| fs::remove_dir_all(self.path()));
        }
    }
}

/// Removes what a killed `new` of that name left beside its place: nobody holds its lock any more.
fn remove_abandoned(parent: &Path, prefix: &str) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours =
            entry.file_name().to_string_lossy().strip_prefix(prefix).is_some_and(|pid| {
                !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit())
            });
        // The lock is held until it is gone: whoever has just made it must not begin to fill it meanwhile.
        if is_ours && let Ok(_held) = Root::open(&entry.path()) {
            let _ = remove_tree(|| fs::remove_dir_all(entry.path()));
        }
    }
}

/// Removes a folder by `remove`, also while a `git` that outlived its dozen still writes into it.
pub fn remove_tree(remove: impl Fn() -> io::Result<()>) -> io::Result<()> {
    // Each attempt takes more from under it; it gives up once its own folder is gone.
    for _ in 0..1000 {
        match remove() {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => return removed,
        }
    }
    remove()
}

/// Creates `folder` and what is missing above it. Returns what it made, the outermost first.
pub fn create_folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut missing: Vec<_> = folder
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
        .map(Path::to_owned)
        .collect();
    missing.reverse();
    fs::create_dir_all(folder).map_err(|error| {
        remove_folders(&missing);
        Error::Unwritable { path: folder.to_owned(), error }
    })?;
    Ok(missing)
}

/// Removes those of `folders` that are empty, the innermost first.
pub fn remove_folders(folders: &[PathBuf]) {
    for folder in folders.iter().rev() {
        let _ = fs::remove_dir(folder);
    }
}
