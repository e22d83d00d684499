//! Proves the prover: a small service that dozen never touched is proven in all twelve factors, and copies of it,
//! each broken in one way that real services are broken, fail in that factor and in no other.
//!
//! The breakages are data: `tests/prove/broken/<factor>.toml`.
//!
//! | variable | |
//! |---|---|
//! | `CI` | what this machine lacks is a failure instead of a loud skip |

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "`check` needs more of it")]
#[path = "prove/breakage.rs"]
mod breakage;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde_json::Value;

use self::breakage::{Breakage, Files, Others};

/// Each run boots dozens of processes, and the contract measures seconds.
const RUNS_AT_ONCE: usize = 3;

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(RUNS_AT_ONCE);
    let mut trials = vec![Trial::ignorable_test("the service as it is", || settle(healthy))];
    for (factor, breakage) in breakage::breakages()? {
        let name = format!("{factor}: {}", breakage.name);
        trials.push(Trial::ignorable_test(name, move || settle(|| caught(&factor, &breakage))));
    }
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}

/// Runs what this machine has everything for.
fn settle(prove: impl FnOnce() -> Result<()>) -> Result<Completion, Failed> {
    let missing = missing();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        if std::env::var_os("CI").is_none() {
            return Ok(Completion::ignored_with(format!(
                "SKIPPED: not on this machine: {missing}"
            )));
        }
        return Err(format!("in CI nothing is skipped: not on this machine: {missing}").into());
    }
    prove().map(|()| Completion::Completed).map_err(|error| format!("{error:#}").into())
}

fn healthy() -> Result<()> {
    let repository = repository(&Breakage::default())?;
    let report = Report::of(repository.path(), &["--strict"])?;
    let others: Vec<&str> = report.verdicts.keys().map(String::as_str).collect();
    ensure!(others.len() == 12, "the report has these factors: {others:?}");
    report.expect(&others, "proven")?;
    ensure!(report.code == Some(0), "all is proven, and dozen ended with {:?}", report.code);
    Ok(())
}

fn caught(factor: &str, breakage: &Breakage) -> Result<()> {
    let repository = repository(breakage)?;
    let report = Report::of(repository.path(), &[])?;
    check(factor, breakage, &report).context(breakage.how.clone())
}

fn check(factor: &str, breakage: &Breakage, report: &Report) -> Result<()> {
    report.expect(&[factor], "failed")?;
    let others: Vec<&str> = report
        .verdicts
        .iter()
        .filter(|(_, verdict)| breakage.others == Others::Proven || *verdict != "untested")
        .map(|(name, _)| name.as_str())
        .filter(|name| *name != factor)
        .collect();
    report.expect(&others, "proven")?;
    ensure!(report.code == Some(1), "a factor failed, and dozen ended with {:?}", report.code);
    Ok(())
}

/// A copy of the service, broken and committed.
fn repository(breakage: &Breakage) -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("desk-").tempdir()?;
    let root = folder.path();
    let mut files = breakage::service()?;
    git(root, &["init", "--quiet"])?;
    if !breakage.before.is_empty() {
        write(root, &files)?;
        write(root, &breakage.before)?;
        commit(root, "Begin")?;
        for name in breakage.before.keys() {
            std::fs::remove_file(root.join(name))?;
        }
    }
    breakage.apply(&mut files)?;
    write(root, &files)?;
    commit(root, "Serve")?;
    Ok(folder)
}

fn write(root: &Path, files: &Files) -> Result<()> {
    for (name, text) in files {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().context("a file in a folder")?)?;
        std::fs::write(path, text)?;
    }
    Ok(())
}

fn commit(root: &Path, message: &str) -> Result<()> {
    // By force: what should not be tracked is what some breakages track.
    git(root, &["add", "--all", "--force"])?;
    git(root, &["commit", "--quiet", "--message", message])
}

fn git(folder: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new("git")
        .args(["-c", "user.name=prove", "-c", "user.email=prove@localhost"])
        .args(["-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .context("run git")?;
    if !output.status.success() {
        bail!("git {arguments:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// What `dozen prove` says of a repository.
#[derive(Debug)]
struct Report {
    code: Option<i32>,
    verdicts: BTreeMap<String, String>,
    factors: Vec<Value>,
}

impl Report {
    fn of(repository: &Path, options: &[&str]) -> Result<Self> {
        let output = Command::new(env!("CARGO_BIN_EXE_dozen"))
            .arg("prove")
            .arg(repository)
            .arg("--json")
            .args(options)
            .output()
            .context("run dozen prove")?;
        let (said, aside) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_str(&said)
            .with_context(|| format!("dozen prove said no JSON:\n{said}\n{aside}"))?;
        let factors = report["factors"].as_array().context("no factors")?.clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let verdicts = factors
            .iter()
            .map(|factor| (text(&factor["factor"]), text(&factor["verdict"])))
            .collect();
        Ok(Self { code: output.status.code(), verdicts, factors })
    }

    /// Everything that it says of a factor.
    fn told(&self, factor: &str) -> String {
        let entry = self.factors.iter().find(|entry| entry["factor"] == factor);
        entry.map_or_else(String::new, |entry| format!("{entry:#}"))
    }

    fn expect(&self, factors: &[&str], verdict: &str) -> Result<()> {
        let mut wrong = String::new();
        for factor in factors {
            let given = self.verdicts.get(*factor).map_or("nothing", String::as_str);
            if given != verdict {
                let _ =
                    writeln!(wrong, "{factor} is {given}, not {verdict}: {}", self.told(factor));
            }
        }
        ensure!(wrong.is_empty(), "{wrong}");
        Ok(())
    }
}

/// What the runs need and this machine lacks.
fn missing() -> Vec<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    let has = |name: &str| folders.iter().any(|folder| folder.join(name).is_file());
    [
        ("git", &["git"][..]),
        ("uv", &["uv"]),
        ("npm", &["npm"]),
        ("PostgreSQL", &["postgres"]),
        ("Redis", &["redis-server", "valkey-server"]),
    ]
    .into_iter()
    .filter(|(_, names)| !names.iter().any(|name| has(name)))
    .map(|(what, _)| what)
    .collect()
}
