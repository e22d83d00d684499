//! Factor II, dependencies: the locked install succeeds from nothing, and only with the artifacts it names.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value as Json;
use toml::Value as Toml;

use super::case::Case;
use super::claim::{Claim, Need, Order};
use super::probe::clone::{Project, git};
use super::probe::tool::{Caches, Toolbox};

pub const CLAIMS: &[Claim] = &[
    Claim::new(
        "the locked install succeeds with empty caches and leaves git status clean",
        installs_from_nothing,
    )
    .begins(Order::First)
    .needs(&[Need::NativeBuild, Need::Build])
    .hint("install with the lock (npm ci, uv sync --locked, cargo build --locked), and ignore what it leaves"),
    Claim::new("with the hash of one artifact changed, the locked install fails", refuses_another_artifact)
        .begins(Order::First)
        .needs(&[Need::NativeBuild, Need::Build, Need::Lock])
        .hint("install with the command that refuses what the lock does not name"),
    Claim::new("the exact versions of all dependencies are tracked", versions_are_tracked)
        .hint("commit the lock file of the package manager"),
];

fn installs_from_nothing(case: &Case) -> Result<()> {
    // One that fails with the user's caches needs no other try.
    case.project()?;
    let folder = case.setting.clone_folder()?;
    let toolbox = Toolbox::new(case.tether(), Caches::empty(case.tether())?);
    let project = Project::install(&toolbox, case.subject(), folder)?;
    let status = git(&project.folder, &["status", "--porcelain"])?;
    ensure!(status.is_empty(), "after the install, git status is not clean:\n{status}");
    Ok(())
}

fn refuses_another_artifact(case: &Case) -> Result<()> {
    case.project()?;
    let name = case.subject().lock.as_deref().context("a lock file")?;
    let folder = case.setting.clone_folder()?;
    let path = folder.join(name);
    let lock = std::fs::read_to_string(&path).with_context(|| format!("read {name}"))?;
    let (package, hashes) =
        first_dependency(&lock).with_context(|| format!("{name} names no hash of an artifact"))?;
    let mut changed = lock.clone();
    for hash in &hashes {
        changed = changed.replace(hash, &with_another_digit(hash));
    }
    std::fs::write(&path, &changed)?;
    // A cache that knows the true artifact must not hide it. But one that is filled answers sooner, so it is
    // asked first: if the install fails even with it, it fails without.
    for caches in [Caches::of_user(), Caches::empty(case.tether())?] {
        let toolbox = Toolbox::new(case.tether(), caches);
        if let Err(error) = Project::install(&toolbox, case.subject(), folder.clone()) {
            let said = format!("{error:#}").to_lowercase();
            if !["hash", "checksum", "integrity", "sha512", "sha256"]
                .iter()
                .any(|word| said.contains(word))
            {
                bail!(
                    "with another hash for {package}, the install failed, but not over the hash: {error:#}"
                );
            }
            return Ok(());
        }
        // What is installed already is not fetched again.
        git(&folder, &["clean", "--quiet", "-fdx"])?;
    }
    bail!("with another hash for {package}, the install succeeded")
}

fn versions_are_tracked(case: &Case) -> Result<()> {
    let project = case.project()?;
    let tracked = project.tracked()?;
    if let Some(lock) = &case.subject().lock {
        ensure!(tracked.contains(lock), "{lock} is not tracked by git");
        return Ok(());
    }
    // Without a lock of its own, pip's list has to name every version.
    let Some(text) = project.read("requirements.txt") else {
        bail!("no lock file is tracked: every install may bring other versions");
    };
    let is_open = |line: &&str| {
        let line = line.trim();
        !(line.is_empty()
            || line.starts_with(['#', '-'])
            || line.contains("==")
            || line.contains('@'))
    };
    if let Some(line) = text.lines().find(is_open) {
        bail!("requirements.txt leaves the version open of: {}", line.trim());
    }
    Ok(())
}

fn with_another_digit(hash: &str) -> String {
    let (head, last) = hash.split_at(hash.len() - 1);
    format!("{head}{}", if last == "0" { "1" } else { "0" })
}

/// The first direct dependency of the service in a lock file, and the hashes of its artifacts, without the `=`
/// signs that fill a base64 text up.
fn first_dependency(lock: &str) -> Result<(String, Vec<String>)> {
    if let Ok(json) = serde_json::from_str::<Json>(lock) {
        return first_of_npm(&json);
    }
    let lock: Toml = toml::from_str(lock)?;
    let packages = lock.get("package").and_then(Toml::as_array);
    let packages = packages.context("a lock file without packages")?;
    let own = packages.iter().find(|package| is_own(package));
    let names = own
        .and_then(|own| own.get("dependencies"))
        .and_then(Toml::as_array)
        .context("a lock file without the service itself")?;
    for name in names {
        // uv has tables, cargo has `name`, or `name version` where there are several.
        let name = name.get("name").unwrap_or(name).as_str().unwrap_or_default();
        let name = name.split(' ').next().unwrap_or_default();
        let hashes: Vec<String> = packages
            .iter()
            .filter(|package| package.get("name").and_then(Toml::as_str) == Some(name))
            .flat_map(hashes_of)
            .collect();
        if !hashes.is_empty() {
            return Ok((name.to_owned(), hashes));
        }
    }
    bail!("none of the service's dependencies has a hash")
}

/// The service itself: cargo gives it no source, uv one that is no registry.
fn is_own(package: &Toml) -> bool {
    package.get("source").is_none_or(|source| {
        ["editable", "virtual", "directory"].iter().any(|kind| source.get(kind).is_some())
    })
}

fn hashes_of(package: &Toml) -> Vec<String> {
    let mut hashes: Vec<&Toml> = package.get("checksum").into_iter().collect();
    hashes.extend(package.get("sdist").and_then(|sdist| sdist.get("hash")));
    let wheels = package.get("wheels").and_then(Toml::as_array);
    hashes.extend(wheels.into_iter().flatten().filter_map(|wheel| wheel.get("hash")));
    let hashes = hashes.into_iter().filter_map(Toml::as_str);
    hashes.map(str::to_owned).collect()
}

fn first_of_npm(lock: &Json) -> Result<(String, Vec<String>)> {
    let packages = &lock["packages"];
    let names = packages[""]["dependencies"].as_object();
    for name in names.context("no dependencies")?.keys() {
        if let Some(hash) = packages[format!("node_modules/{name}")]["integrity"].as_str() {
            // Another first digit after the `sha512-`: the last ones may only be filling.
            let shortened = hash.chars().take(20).collect();
            return Ok((name.clone(), vec![shortened]));
        }
    }
    bail!("none of the service's dependencies has an integrity")
}
