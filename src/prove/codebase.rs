//! Factor I, codebase: one clean clone is all that the rest needs, and it holds no secret.

use anyhow::{Context as _, Result, bail, ensure};

use super::case::Case;
use super::claim::{Claim, Need};
use super::probe::clone::{self, git};
use super::subject::Kind;

pub const CLAIMS: &[Claim] = &[
    Claim::new("what runs is committed to a git repository", is_committed)
        .hint("git init, then commit all that the service needs"),
    Claim::new(
        "a clean clone in another folder is all that building, migrating and serving need",
        clean_clone_serves,
    )
    .hint("commit what it needs, and take the rest from variables"),
    Claim::new("no .env is tracked, now or ever", no_env_file).hint(
        "git rm --cached .env, add it to .gitignore, and replace what was in it: history keeps it",
    ),
    Claim::new("git ignores .env", ignores_env_file).needs(&[Need::Contract]),
    Claim::new("no secret is tracked", no_secret).hint(
        "take the value out of the file and replace it wherever it is in use: history keeps it",
    ),
];

fn is_committed(case: &Case) -> Result<()> {
    let root = &case.subject().root;
    ensure!(clone::is_repository(root), "{} has no commit of git's", root.display());
    Ok(())
}

fn clean_clone_serves(case: &Case) -> Result<()> {
    // The shop was installed, migrated and started in such a clone, with nothing else to draw on.
    case.shop()?.web.greet()?;
    let remote = git(&case.project()?.folder, &["remote", "get-url", "origin"])?;
    ensure!(!remote.is_empty(), "the project that was tested is no clone");
    Ok(())
}

fn no_env_file(case: &Case) -> Result<()> {
    let root = &case.subject().root;
    if !clone::is_repository(root) {
        return Ok(());
    }
    // Of the whole repository, whichever folder of it the service is in.
    let ever = git(root, &["log", "--all", "--name-only", "--format="])?;
    let now = git(root, &["ls-files"])?;
    if let Some(name) = now.lines().chain(ever.lines()).find(|name| is_env_file(name)) {
        bail!("{name} is, or was, tracked");
    }
    Ok(())
}

fn ignores_env_file(case: &Case) -> Result<()> {
    git(&case.project()?.folder, &["check-ignore", ".env"])
        .context(".env is not ignored by git")?;
    Ok(())
}

fn is_env_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let shown = ["example", "sample", "template", "dist"];
    (name == ".env" || name.starts_with(".env."))
        && !shown.iter().any(|suffix| name.ends_with(suffix))
}

fn no_secret(case: &Case) -> Result<()> {
    let project = case.project()?;
    let secrets: Vec<&str> = case
        .subject()
        .variables
        .iter()
        .filter(|variable| variable.kind == Kind::Secret)
        .map(|variable| variable.name.as_str())
        .collect();
    for name in project.tracked()? {
        let Some(text) = project.read(&name) else {
            continue;
        };
        // Not the line alone, which many a program looks for: a key follows it.
        if text.contains("PRIVATE KEY-----\n") && text.contains("-----END") {
            bail!("{name} holds a private key");
        }
        if !name.contains(".env") {
            continue;
        }
        for (variable, value) in text.lines().filter_map(|line| line.trim().split_once('=')) {
            let value = value.trim().trim_matches(['"', '\'']);
            // A value that the service would accept is a secret that everybody knows.
            if secrets.contains(&variable.trim()) && value.chars().count() >= 32 {
                bail!("{name} gives {variable} a value that works");
            }
        }
    }
    Ok(())
}
