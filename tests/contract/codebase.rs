//! Factor I, codebase: one clean clone is all that the rest needs, and it holds no secret.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::case::{Case, Claim};
use crate::project::{self, git};
use crate::tree;

pub const FACTOR: &str = "codebase";

pub const CLAIMS: &[Claim] = &[
    Claim::new(
        "a clean clone in another folder is all that installing, migrating and serving need",
        clean_clone_serves,
    ),
    Claim::new("no .env is tracked, now or ever, and git ignores it", no_env_file),
    Claim::new("no secret is tracked", no_secret),
    Claim::new("two renders of the same answers are the same bytes", same_bytes),
];

fn clean_clone_serves(case: &Case) -> Result<()> {
    // The shop was installed, migrated and started in such a clone, with nothing else to draw on.
    let shop = case.shop()?;
    shop.web.client.get("/readyz")?.expect(200)?;
    let remote = git(&case.project()?.folder, &["remote", "get-url", "origin"])?;
    ensure!(!remote.is_empty(), "the project that was tested is no clone");
    Ok(())
}

fn no_env_file(case: &Case) -> Result<()> {
    let project = case.project()?;
    let ever = git(&project.folder, &["log", "--all", "--name-only", "--format="])?;
    let mut names = project.tracked()?;
    names.extend(ever.lines().map(str::to_owned));
    if let Some(name) = names.iter().find(|name| is_env_file(name)) {
        bail!("{name} is, or was, tracked");
    }
    git(&project.folder, &["check-ignore", ".env"]).context(".env is not ignored by git")?;
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
    for name in project.tracked()? {
        let Some(text) = project.read(&name) else {
            continue;
        };
        if text.contains("PRIVATE KEY-----") {
            bail!("{name} holds a private key");
        }
        if !name.contains(".env") {
            continue;
        }
        for line in text.lines() {
            let value = line.trim().strip_prefix("SESSION_SECRET=");
            let value = value.map(|value| value.trim().trim_matches(['"', '\'']));
            // A value that the service would accept is a secret that everybody knows.
            if value.is_some_and(|value| value.chars().count() >= 32) {
                bail!("{name} gives SESSION_SECRET a value that works");
            }
        }
    }
    Ok(())
}

fn same_bytes(case: &Case) -> Result<()> {
    let render = || -> Result<BTreeMap<String, Vec<u8>>> {
        let folder =
            project::render(case.tether(), project::NAME, &case.stack().name, case.engine())?;
        contents(&folder)
    };
    let (first, second) = (render()?, render()?);
    for name in first.keys().chain(second.keys()) {
        if first.get(name) != second.get(name) {
            bail!("{name} differs between two renders of the same answers");
        }
    }
    Ok(())
}

fn contents(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    tree::files(folder, &[".git".to_owned()])
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(folder)?.display().to_string();
            Ok((name, std::fs::read(&path)?))
        })
        .collect()
}
