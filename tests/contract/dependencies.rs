//! Factor II, dependencies: the locked install succeeds from nothing, and only with the artifacts it names.

use anyhow::{Context as _, Result, bail};
use serde_json::Value as Json;
use toml::Value as Toml;

use crate::case::{Case, Claim, Order};
use crate::project::{Project, git};
use crate::tool::{Caches, Toolbox};

pub const FACTOR: &str = "dependencies";

pub const CLAIMS: &[Claim] = &[
    Claim::new(
        "the locked install succeeds with empty caches and leaves git status clean",
        |case| case.once("install", || installs_from_nothing(case)),
    )
    .begins(Order::First),
    Claim::new("with the hash of one artifact changed, the locked install fails", |case| {
        case.once("artifact", || refuses_another_artifact(case))
    }),
    Claim::new("the lock file is tracked", lock_is_tracked),
];

fn installs_from_nothing(case: &Case) -> Result<()> {
    let folder = case.project()?.clone_into(case.tether())?;
    let toolbox = Toolbox::new(case.tether(), Caches::empty(case.tether())?);
    let project = Project::install(&toolbox, case.stack(), folder)?;
    let status = git(&project.folder, &["status", "--porcelain"])?;
    if !status.is_empty() {
        bail!("after the install, git status is not clean:\n{status}");
    }
    Ok(())
}

fn refuses_another_artifact(case: &Case) -> Result<()> {
    let folder = case.project()?.clone_into(case.tether())?;
    let path = folder.join(&case.stack().lock);
    let lock = std::fs::read_to_string(&path).context("read the lock file")?;
    let (package, hashes) = first_dependency(&lock).context("find an artifact in the lock file")?;
    let mut changed = lock.clone();
    for hash in &hashes {
        changed = changed.replace(hash, &with_another_digit(hash));
    }
    std::fs::write(&path, &changed)?;
    // A cache that knows the true artifact must not hide it. But one that is filled answers sooner, so it is
    // asked first: if the install fails even with it, it fails without.
    for caches in [Caches::shared(), Caches::empty(case.tether())?] {
        let toolbox = Toolbox::new(case.tether(), caches);
        let mut finished = toolbox.run(&case.stack().commands.install, &folder)?;
        if let (true, Some(build)) = (finished.succeeded, &case.stack().commands.build) {
            finished = toolbox.run(build, &folder)?;
        }
        if !finished.succeeded {
            let said = finished.text.to_lowercase();
            if !["hash", "checksum", "integrity"].iter().any(|word| said.contains(word)) {
                bail!(
                    "with another hash for {package}, the install failed, but not over the hash:\n{}",
                    finished.text
                );
            }
            return Ok(());
        }
        // What is installed already is not fetched again.
        git(&folder, &["clean", "--quiet", "-fdx"])?;
    }
    bail!("with another hash for {package}, the install succeeded")
}

fn lock_is_tracked(case: &Case) -> Result<()> {
    let lock = &case.stack().lock;
    if !case.project()?.tracked()?.contains(lock) {
        bail!("{lock} is not tracked");
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
