//! The only user of git: finds a repository, makes one, commits, tells what is not committed.

#![expect(clippy::disallowed_methods, reason = "the home of git")]

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::error::{Error, Result};
use crate::interrupt;
use crate::tree::RepoPath;

/// The branch of the first commit; the generated pipelines deploy from it.
pub const BRANCH: &str = "main";

/// What a caller's git may have set for a repository of its own.
const LOCAL_VARIABLES: [&str; 9] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// Runs nothing of the user's and leaves nothing behind: no hook, no signature to be asked for, no daemon.
/// What is rendered is committed, all of it and as it is: nothing that the user ignores elsewhere is left out,
/// no line ending refused.
const QUIET_CONFIG: [&str; 8] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.excludesFile=/dev/null",
    "core.attributesFile=/dev/null",
    "core.safecrlf=false",
    "commit.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
];

/// Reads a repository of anybody's, whoever owns it; what it names as its own monitor is not run.
const ASKING_CONFIG: [&str; 3] =
    ["core.hooksPath=/dev/null", "core.fsmonitor=false", "safe.directory=*"];

/// Who commits where git knows no user.
const FALLBACK_IDENTITY: [&str; 2] = ["user.name=dozen", "user.email=dozen@localhost"];

/// Who the first commit is by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    User,
    /// Git knows no name and address of the user.
    Fallback,
}

/// The repository in which `path` lies or would lie, if there is one.
#[must_use]
pub fn find_enclosing(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find(|folder| folder.join(".git").exists()).map(Path::to_owned)
}

/// Makes `folder` a repository with one commit of all that is in it.
///
/// # Errors
/// There is no git, or it failed.
pub fn commit_all(folder: &Path, message: &str) -> Result<Author> {
    run(folder, &[], &["init", "--quiet", "--initial-branch", BRANCH])?;
    run(folder, &[], &["add", "--all"])?;
    let commit = ["commit", "--quiet", "--message", message];
    if run(folder, &[], &commit).is_ok() {
        return Ok(Author::User);
    }
    run(folder, &FALLBACK_IDENTITY, &commit)?;
    Ok(Author::Fallback)
}

/// Those of `paths` below `root` that git would not bring back: changed or new since the last commit.
///
/// Where nothing below `root` is committed yet, as in a repository without a commit or a folder that was never
/// added, there is nothing to compare with, and nothing that a commit could keep apart: then none is named.
///
/// # Errors
/// There is a repository, and git cannot read it.
pub fn find_uncommitted<'a>(
    root: &Path,
    paths: impl Iterator<Item = &'a RepoPath>,
) -> Result<BTreeSet<RepoPath>> {
    let paths: Vec<&str> = paths.map(RepoPath::as_str).collect();
    if paths.is_empty() || find_enclosing(root).is_none() {
        return Ok(BTreeSet::new());
    }
    let none = Ok(BTreeSet::new());
    let Some(prefix) = ask(root, &["rev-parse", "--show-prefix"])? else { return none };
    let Some(_) = ask(root, &["rev-parse", "--verify", "--quiet", "HEAD"])? else { return none };
    let committed = ask(root, &["ls-tree", "-z", "--name-only", "HEAD", "./"])?;
    if committed.is_none_or(|names| names.is_empty()) {
        return none;
    }
    let mut status =
        vec!["status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--"];
    status.extend(&paths);
    let listed = ask(root, &status)?.unwrap_or_default();
    let below = prefix.trim_end_matches('\n');
    let path = |entry: &str| RepoPath::parse(entry.get(3..)?.strip_prefix(below)?).ok();
    Ok(listed.split('\0').filter_map(path).collect())
}

/// What git prints, which changes nothing and runs nothing of the repository's; none where it says no without
/// a word, or there is no git or no repository.
fn ask(folder: &Path, arguments: &[&str]) -> Result<Option<String>> {
    let mut command = Command::new("git");
    command.args(["--no-optional-locks", "--literal-pathspecs"]);
    for setting in ASKING_CONFIG {
        command.args(["-c", setting]);
    }
    for variable in LOCAL_VARIABLES {
        command.env_remove(variable);
    }
    let output = command
        .args(arguments)
        .env("LC_ALL", "C")
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    let failed = |reason: String| Error::GitStatus { path: folder.to_owned(), reason };
    match output {
        Ok(output) if output.status.success() => {
            Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
        }
        Ok(output) => {
            interrupt::check()?;
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let is_none = said.is_empty() || said.contains("not a git repository");
            if is_none { Ok(None) } else { Err(failed(said)) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn run(folder: &Path, config: &[&str], arguments: &[&str]) -> Result<()> {
    interrupt::check()?;
    let mut command = Command::new("git");
    for setting in QUIET_CONFIG.iter().chain(config) {
        command.args(["-c", setting]);
    }
    for variable in LOCAL_VARIABLES {
        command.env_remove(variable);
    }
    let output = command.args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    match output {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(output) => {
            interrupt::check()?;
            Err(Error::Git {
                command: arguments[0].to_owned(),
                reason: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::GitMissing),
        Err(error) => {
            Err(Error::Git { command: arguments[0].to_owned(), reason: error.to_string() })
        }
    }
}
