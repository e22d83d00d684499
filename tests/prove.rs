//! Proves the prover: a small service that dozen never touched is proven in all twelve factors, and copies of it,
//! each broken in one way that real services are broken, fail in that factor and in no other.
//!
//! The breakages are data: `tests/prove/broken/<factor>.toml`.
//!
//! | variable | |
//! |---|---|
//! | `CI` | what this machine lacks is a failure instead of a loud skip |

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use rustix::fs::StatVfsMountFlags;
use serde::Deserialize;
use serde_json::Value;

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prove");

/// Each run boots dozens of processes, and the contract measures seconds.
const RUNS_AT_ONCE: usize = 3;
/// Several times what so many runs have in their folders at once.
const ROOM: u64 = 4 << 30;

/// A way to break the service, as real ones are broken.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Breakage {
    name: String,
    /// In one sentence.
    how: String,
    /// A file, what stands there (once), and what comes in its place.
    #[serde(default)]
    edits: Vec<(PathBuf, String, String)>,
    /// Tracked by git, ignored or not.
    #[serde(default)]
    files: BTreeMap<PathBuf, String>,
    /// Files that an earlier commit has, and the last one has not.
    #[serde(default)]
    before: BTreeMap<PathBuf, String>,
    #[serde(default)]
    remove: Vec<PathBuf>,
    #[serde(default)]
    others: Others,
}

/// What becomes of the other eleven factors.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
enum Others {
    #[default]
    #[serde(rename = "are proven")]
    Proven,
    /// Nothing can be said of a program that is nowhere to be reached.
    #[serde(rename = "may be untested")]
    MaybeUntested,
}

#[derive(Debug, Deserialize)]
struct Factor {
    breakage: Vec<Breakage>,
}

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(RUNS_AT_ONCE);
    let mut trials = vec![Trial::ignorable_test("the service as it is", || settle(healthy))];
    for (factor, breakage) in breakages()? {
        let name = format!("{factor}: {}", breakage.name);
        trials.push(Trial::ignorable_test(name, move || settle(|| caught(&factor, &breakage))));
    }
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}

/// Every breakage, with the slug of the factor that it breaks.
fn breakages() -> Result<Vec<(Arc<str>, Breakage)>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(Path::new(HERE).join("broken"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let factor: Factor = toml::from_str(&text).with_context(|| file.display().to_string())?;
        let slug: Arc<str> = file.file_stem().unwrap_or_default().to_string_lossy().into();
        all.extend(factor.breakage.into_iter().map(|breakage| (Arc::clone(&slug), breakage)));
    }
    Ok(all)
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

/// Where everything runs: in memory if there is enough of it, since each run writes half a gigabyte for a minute.
fn base() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let fits = rustix::fs::statvfs(&memory).is_ok_and(|room| {
        room.f_bavail * room.f_frsize >= ROOM && !room.f_flag.contains(StatVfsMountFlags::NOEXEC)
    });
    if fits { memory } else { std::env::temp_dir() }
}

/// A copy of the service, broken and committed.
fn repository(breakage: &Breakage) -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("desk-").tempdir_in(base())?;
    let root = folder.path();
    copy(&Path::new(HERE).join("service"), root)?;
    git(root, &["init", "--quiet"])?;
    if !breakage.before.is_empty() {
        write(root, &breakage.before)?;
        commit(root, "Begin")?;
        for name in breakage.before.keys() {
            std::fs::remove_file(root.join(name))?;
        }
    }
    for (name, old, new) in &breakage.edits {
        let path = root.join(name);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let found = text.matches(old.as_str()).count();
        ensure!(found == 1, "{} has {found} times, not once:\n{old}", name.display());
        std::fs::write(&path, text.replace(old.as_str(), new))?;
    }
    write(root, &breakage.files)?;
    for name in &breakage.remove {
        std::fs::remove_file(root.join(name))?;
    }
    commit(root, "Serve")?;
    Ok(folder)
}

/// Copies what git would track of the service, whatever its runs in place have left there.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == ".venv" || name == "__pycache__" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            std::fs::create_dir(to.join(&name))?;
            copy(&entry.path(), &to.join(&name))?;
        } else {
            std::fs::copy(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}

fn write(root: &Path, files: &BTreeMap<PathBuf, String>) -> Result<()> {
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
            .env("TMPDIR", base())
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
