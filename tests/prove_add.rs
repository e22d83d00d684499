//! Proves `dozen add`: what `dozen prove` says of a fixture before a factor is added is not that it holds, and after
//! it is, and the fixture's own tests pass both times.
//!
//! What is tried is data: `[prove]` in `tests/add/fixtures/<name>.toml`.
//!
//! | variable | |
//! |---|---|
//! | `CI` | what this machine lacks is a failure instead of a loud skip |

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "add/fixture.rs"]
mod fixture;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use anyhow::{Context as _, Result, bail, ensure};
use dozen::factor::Factor;
use fixture::{Fixture, Prove};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde_json::Value;

/// Most of a run is waiting for deadlines.
const RUNS_AT_ONCE: usize = 3;
/// Older ones hold a server on sockets that never sent a byte.
const OLDEST_NODE: u32 = 24;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(RUNS_AT_ONCE);
    let fixtures = Fixture::all().into_iter().filter_map(|fixture| {
        let prove = fixture.prove.clone()?;
        let name =
            format!("{}: {}", fixture.name, list(prove.steps.iter().flat_map(BTreeMap::keys)));
        Some(Trial::ignorable_test(name, move || settle(&fixture, &prove)))
    });
    libtest_mimic::run(&arguments, fixtures.collect()).exit_code()
}

/// Runs what this machine has everything for.
fn settle(fixture: &Fixture, prove: &Prove) -> Result<Completion, Failed> {
    let missing = missing(prove);
    if !missing.is_empty() {
        let missing = missing.join(", ");
        if std::env::var_os("CI").is_none() {
            let why = format!("SKIPPED: not on this machine: {missing}");
            return Ok(Completion::ignored_with(why));
        }
        return Err(format!("in CI nothing is skipped: not on this machine: {missing}").into());
    }
    add_and_prove(fixture, prove)
        .map(|()| Completion::Completed)
        .map_err(|error| format!("{error:#}").into())
}

fn add_and_prove(fixture: &Fixture, prove: &Prove) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("add-").tempdir()?;
    // Proven in one, tested in the other: what tests leave is not to be proven.
    let (repository, tested) = (folder.path().join(&fixture.name), folder.path().join("tested"));
    fixture.copy(&repository, None);
    fixture.copy(&tested, None);
    for command in &prove.install {
        run(command, &tested, prove)?;
    }
    run(&prove.test, &tested, prove).context("the tests of the fixture as it is")?;

    let mut expected: BTreeMap<Factor, &str> = BTreeMap::new();
    for step in &prove.steps {
        expected.extend(step.iter().map(|(factor, before)| (*factor, before.as_str())));
        expect(&repository, prove, &expected)
            .with_context(|| format!("before {} is added", list(step.keys())))?;
        add(&repository, step.keys())?;
        expected.extend(step.keys().map(|factor| (*factor, "proven")));
    }
    expect(&repository, prove, &expected)
        .with_context(|| format!("after {} was added", list(expected.keys())))?;
    overlay(&repository, &tested)?;
    run(&prove.test, &tested, prove).context("the tests of the fixture with what was added")?;
    Ok(())
}

fn add<'f>(repository: &Path, factors: impl Iterator<Item = &'f Factor>) -> Result<()> {
    let slugs = factors.map(|factor| factor.slug());
    let output = Command::new(env!("CARGO_BIN_EXE_dozen"))
        .arg("add")
        .args(slugs)
        .args(["--yes", "--json", "--path"])
        .arg(repository)
        .output()?;
    let added = read(&output)?;
    ensure!(output.status.success() && added["applied"] == true, "it was not added: {added:#}");
    Ok(())
}

/// Expects these verdicts of `dozen prove`.
fn expect(repository: &Path, prove: &Prove, expected: &BTreeMap<Factor, &str>) -> Result<()> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dozen"));
    command.arg("prove").arg(repository).arg("--json");
    command.args(expected.keys().flat_map(|factor| ["--factor", factor.slug()]));
    command.args(prove.web.iter().flat_map(|line| ["--web", line]));
    let report = read(&command.output()?)?;
    for said in report["factors"].as_array().context("no factors")? {
        let factor: Factor = serde_json::from_value(said["factor"].clone())?;
        let (given, wanted) = (said["verdict"].as_str().unwrap_or_default(), expected[&factor]);
        ensure!(given == wanted, "{factor} is {given}, not {wanted}: {said:#}");
    }
    Ok(())
}

fn read(output: &Output) -> Result<Value> {
    let (said, aside) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&said).with_context(|| format!("dozen said no JSON:\n{said}\n{aside}"))
}

/// Runs a command of the fixture's own.
fn run(command: &str, folder: &Path, prove: &Prove) -> Result<()> {
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .envs(&prove.env)
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("add"))
        .output()
        .context("run sh")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        bail!("`{command}` failed:\n{}\n{}", text(&output.stdout), text(&output.stderr));
    }
    Ok(())
}

/// Copies what stands in a repository over what stands in another.
fn overlay(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir_all(&to)?;
            overlay(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

fn list<'f>(factors: impl Iterator<Item = &'f Factor>) -> String {
    factors.map(|factor| factor.slug()).collect::<Vec<_>>().join(", ")
}

/// What the fixture needs and this machine lacks.
fn missing(prove: &Prove) -> Vec<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let has = |name: &str| folders.iter().any(|folder| folder.join(name).is_file());
    let first = prove.install.first().unwrap_or(&prove.test);
    let tool = first.split(' ').next().unwrap_or_default();
    let mut missing: Vec<String> =
        ["git", "sh", tool].into_iter().filter(|name| !has(name)).map(str::to_owned).collect();
    if tool == "npm" && node().is_none_or(|version| version < OLDEST_NODE) {
        missing.push(format!("Node.js {OLDEST_NODE} or later"));
    }
    missing
}

/// The first number of the version of the Node.js on the PATH.
fn node() -> Option<u32> {
    let said = Command::new("node").arg("--version").output().ok()?.stdout;
    String::from_utf8(said).ok()?.trim_start_matches('v').split('.').next()?.parse().ok()
}
