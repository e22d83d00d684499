//! Which files git tracks: read from its index, without running git.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::tree::{OWN_FOLDER, RepoPath};

/// The length of an entry before its path, in an index of SHA-1; of one of SHA-256 it is 12 longer.
const ENTRY_HEAD: usize = 62;

/// What git tracks below `root`, if that lies in a repository whose index can be read.
#[must_use]
pub fn tracked(root: &Path) -> Option<BTreeSet<RepoPath>> {
    let root = root.canonicalize().ok()?;
    let work_tree = root.ancestors().find(|folder| folder.join(".git").exists())?;
    let bytes = fs::read(git_folder(work_tree)?.join("index")).ok()?;
    let below = root.strip_prefix(work_tree).ok()?.to_str()?.replace('\\', "/");
    let prefix = if below.is_empty() { below } else { format!("{below}/") };
    let paths = parse(&bytes)?;
    let is_own = |path: &RepoPath| path.folders().any(|folder| folder.file_name() == OWN_FOLDER);
    let parsed = paths.iter().filter_map(|path| RepoPath::parse(path.strip_prefix(&prefix)?).ok());
    Some(parsed.filter(|path| !is_own(path)).collect())
}

/// Where `.git` is, or leads to: a worktree and a submodule have a file there.
fn git_folder(work_tree: &Path) -> Option<PathBuf> {
    let git = work_tree.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let text = fs::read_to_string(&git).ok()?;
    Some(work_tree.join(text.strip_prefix("gitdir:")?.trim()))
}

/// The paths in an index of version 2, 3 or 4; nothing where it is none.
fn parse(bytes: &[u8]) -> Option<Vec<String>> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if bytes.get(..4)? != b"DIRC" {
        return None;
    }
    let (version, count) = (number(4)?, number(8)?);
    if !(2..=4).contains(&version) {
        return None;
    }
    let mut at = 12;
    let mut last: Vec<u8> = Vec::new();
    let mut paths = Vec::new();
    for _ in 0..count {
        let flags = u16::from_be_bytes(bytes.get(at + 60..at + 62)?.try_into().ok()?);
        let is_extended = version > 2 && flags & 0x4000 != 0;
        let mut start = at + ENTRY_HEAD + if is_extended { 2 } else { 0 };
        if version == 4 {
            let (cut, read) = varint(bytes.get(start..)?)?;
            start += read;
            last.truncate(last.len().checked_sub(cut)?);
        } else {
            last.clear();
        }
        let length = bytes.get(start..)?.iter().position(|byte| *byte == 0)?;
        last.extend_from_slice(&bytes[start..start + length]);
        paths.push(String::from_utf8_lossy(&last).into_owned());
        let end = start + length;
        // Before version 4, one to eight zeros fill an entry up to a multiple of eight.
        at = if version == 4 { end + 1 } else { at + ((end - at) / 8 + 1) * 8 };
    }
    Some(paths)
}

/// A number as git packs it, and how many bytes it takes.
fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = usize::from(bytes.first()? & 0x7f);
    let mut read = 1;
    while bytes.get(read - 1)? & 0x80 != 0 {
        let byte = usize::from(*bytes.get(read)?);
        value = value.checked_add(1)?.checked_mul(128)?.checked_add(byte & 0x7f)?;
        read += 1;
    }
    Some((value, read))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(path: &str) -> Vec<u8> {
        let mut bytes = vec![0; 60];
        bytes.extend_from_slice(&u16::try_from(path.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(path.as_bytes());
        bytes.resize((bytes.len() / 8 + 1) * 8, 0);
        bytes
    }

    #[test]
    fn the_paths_of_an_index_are_read() {
        let mut bytes = b"DIRC\0\0\0\x02\0\0\0\x02".to_vec();
        bytes.extend(entry(".env"));
        bytes.extend(entry("src/main.rs"));
        assert_eq!(parse(&bytes).unwrap(), [".env", "src/main.rs"]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes: Vec<u8>, version in 0u8..6) {
            let mut index = b"DIRC\0\0\0".to_vec();
            index.push(version);
            index.append(&mut bytes);
            parse(&index);
        }
    }
}
