//! Owns the running of build tools (git, uv, npm, cargo, …): to their end, with none of the app's variables.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use etcetera::{BaseStrategy as _, choose_base_strategy};

use crate::prove::probe::output::{Output, Stream};
use crate::prove::probe::tether::Tether;
use crate::prove::probe::variables::Variables;

/// A first compile of a Rust service takes minutes.
const LIMIT: Duration = Duration::from_mins(20);

/// What a tool needs of this machine: where programs, homes, proxies and certificates are. Nothing else passes.
const PASSED: [&str; 12] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "TMPDIR",
    "TERM",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
];
const PASSED_PREFIXES: [&str; 7] =
    ["UV_", "PIP_", "npm_config_", "SSL_CERT_", "CARGO_", "DOCKER_", "BUILDX_"];

/// Where the package managers keep what they downloaded or compiled.
#[derive(Debug, Clone)]
pub struct Caches {
    /// Empty folders, instead of the user's own.
    fresh: Option<PathBuf>,
    compiled: PathBuf,
}

impl Caches {
    /// The user's own; what cargo compiles is kept for the next run.
    #[must_use]
    pub fn of_user() -> Self {
        let folder = choose_base_strategy()
            .map_or_else(|_| std::env::temp_dir(), |strategy| strategy.cache_dir());
        Self { fresh: None, compiled: folder.join("dozen").join("target") }
    }

    /// Empty ones. What was compiled from the same locked sources may stay: to compile it anew proves nothing
    /// about the lock.
    pub fn empty(tether: &Tether) -> Result<Self> {
        Ok(Self { fresh: Some(tether.fresh_folder("caches")?), ..Self::of_user() })
    }

    /// Where cargo compiles into.
    #[must_use]
    pub fn compiled(&self) -> &Path {
        &self.compiled
    }

    fn apply(&self, command: &mut Command) {
        command.env("CARGO_TARGET_DIR", &self.compiled);
        let Some(folder) = &self.fresh else {
            return;
        };
        command
            .env("UV_CACHE_DIR", folder.join("uv"))
            .env("PIP_CACHE_DIR", folder.join("pip"))
            .env("POETRY_CACHE_DIR", folder.join("poetry"))
            .env("npm_config_cache", folder.join("npm"))
            .env("npm_config_store_dir", folder.join("pnpm"))
            .env("YARN_CACHE_FOLDER", folder.join("yarn"))
            .env("CARGO_HOME", folder.join("cargo"));
    }
}

#[derive(Debug)]
pub struct Toolbox {
    tether: Arc<Tether>,
    pub caches: Caches,
}

/// How a tool ended, and all it said.
#[derive(Debug)]
pub struct Finished {
    line: String,
    pub succeeded: bool,
    pub text: String,
}

impl Finished {
    pub fn expect_success(self) -> Result<Self> {
        if !self.succeeded {
            bail!("`{}` failed:\n{}", self.line, ends(&self.text));
        }
        Ok(self)
    }
}

impl Toolbox {
    pub fn new(tether: &Arc<Tether>, caches: Caches) -> Self {
        Self { tether: Arc::clone(tether), caches }
    }

    /// The same with the caches of all, for what is built from an install: cargo would compile anew whatever it
    /// downloaded to another place.
    #[must_use]
    pub fn sharing(&self) -> Self {
        Self::new(&self.tether, Caches::of_user())
    }

    /// Runs a line without a shell, as the stack's facts have it.
    pub fn run(&self, line: &str, folder: &Path) -> Result<Finished> {
        self.run_with(line, folder, None, &Variables::default())
    }

    /// Runs a line for a shell, as a README has it.
    pub fn run_shell(&self, line: &str, folder: &Path) -> Result<Finished> {
        self.run(&format!("sh -euc {}", shell_words::quote(line)), folder)
    }

    /// Runs a line with these variables besides, and with a folder of programs before all others.
    pub fn run_with(
        &self,
        line: &str,
        folder: &Path,
        bin: Option<&Path>,
        variables: &Variables,
    ) -> Result<Finished> {
        let words = shell_words::split(line).with_context(|| format!("split `{line}`"))?;
        let (program, arguments) = words.split_first().context("an empty line")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(passes)));
        self.caches.apply(&mut command);
        if let Some(bin) = bin {
            command.env("PATH", path_with(bin)?);
        }
        command
            .envs(variables.iter())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut leash = self.tether.spawn(&mut command)?;
        let output = Output::default();
        let readers = [
            output.follow(Stream::Stdout, leash.child.stdout.take().context("stdout")?, || ()),
            output.follow(Stream::Stderr, leash.child.stderr.take().context("stderr")?, || ()),
        ];
        let Some(status) = leash.wait(LIMIT)? else {
            bail!("`{line}` did not end within {LIMIT:?}:\n{}", output.text());
        };
        // Whoever it left behind would hold its streams open.
        drop(leash);
        for reader in readers {
            let _ = reader.join();
        }
        Ok(Finished { line: line.to_owned(), succeeded: status.success(), text: output.text() })
    }
}

/// The value of PATH that has a folder before all others.
pub fn path_with(bin: &Path) -> Result<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(bin.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(folders)
        .context("join PATH")?
        .into_string()
        .ok()
        .context("PATH is not UTF-8")
}

fn passes(name: &str) -> bool {
    PASSED.contains(&name)
        || name.to_ascii_lowercase().ends_with("_proxy")
        || PASSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The first and the last lines: some tools say first what is wrong, others last.
fn ends(text: &str) -> String {
    const FIRST: usize = 10;
    const LAST: usize = 30;
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= FIRST + LAST {
        return lines.join("\n");
    }
    let (first, rest) = lines.split_at(FIRST);
    format!("{}\n…\n{}", first.join("\n"), rest[rest.len() - LAST..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_first_is_not_lost() {
        let text = (0..100).map(|number| format!("line {number}")).collect::<Vec<_>>().join("\n");
        let told = ends(&text);
        assert!(told.starts_with("line 0\n") && told.ends_with("line 99"), "{told}");
        assert_eq!(told.lines().count(), 41);
        assert_eq!(ends("one\ntwo"), "one\ntwo");
    }
}
