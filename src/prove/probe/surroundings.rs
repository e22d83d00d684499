//! Owns where a line runs: plainly, from a tree that nobody can write to, as the first process, or in a container.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail};

use super::variables::Variables;
use crate::prove::untested::Untested;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surroundings {
    Plain,
    /// Its files lie in a mount that nobody can write to, root included.
    ReadOnly,
    /// It is PID 1, for whom no signal has a default action.
    FirstProcess,
}

/// What a container engine's client needs of this machine.
const CLIENT_VARIABLES: [&str; 6] = [
    "HOME",
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
];

impl Surroundings {
    /// The words before a line that give it these surroundings on this machine.
    pub fn wrapper(self, folder: &Path) -> Result<Vec<String>> {
        const READ_ONLY: &str = r#"
            mount --bind "$0" "$0"
            mount -o remount,bind,ro "$0"
            cd "$0"
            if touch "$0/written" 2>/dev/null; then echo "the tree is not read-only" >&2; exit 99; fi
            exec "$@"
        "#;
        let user: &[&str] =
            if nix::unistd::geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] };
        let options: &[&str] = match self {
            Self::Plain => return Ok(Vec::new()),
            Self::ReadOnly => &["--mount", "sh", "-euc", READ_ONLY],
            Self::FirstProcess => &["--pid", "--fork", "--kill-child", "--mount-proc"],
        };
        let mut wrapper: Vec<String> =
            ["unshare"].iter().chain(user).chain(options).map(ToString::to_string).collect();
        if self == Self::ReadOnly {
            wrapper.push(folder.display().to_string());
        }
        let possible = Command::new(&wrapper[0]).args(&wrapper[1..]).arg("true").output();
        if !possible.is_ok_and(|output| output.status.success()) {
            return Err(Untested::Missing {
                what: "namespaces of its own",
                remedy: "run as root, or where unprivileged user namespaces are allowed (util-linux' unshare)",
            }
            .into());
        }
        Ok(wrapper)
    }
}

/// A container of one process.
#[derive(Debug)]
pub struct Container {
    pub name: String,
    pid: OnceLock<i32>,
}

impl Container {
    /// One that is not there yet.
    #[must_use]
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { name: format!("dozen-prove-{}-{number}", std::process::id()), pid: OnceLock::new() }
    }

    /// The words before a line that run it in a container of an image. The variables go by name alone: their
    /// values are in the client's own environment, and in no list of processes.
    #[must_use]
    pub fn wrapper(
        &self,
        image: &str,
        surroundings: Surroundings,
        variables: &Variables,
    ) -> Vec<String> {
        let mut words = vec!["docker", "run", "--rm", "--network", "host", "--name", &self.name];
        if surroundings == Surroundings::ReadOnly {
            words.extend(["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]);
        }
        for (name, _) in variables.iter() {
            words.extend(["--env", name]);
        }
        words.push(image);
        words.into_iter().map(str::to_owned).collect()
    }

    /// Its first process, as this machine sees it, once it runs.
    pub fn pid(&self) -> Option<i32> {
        if let Some(pid) = self.pid.get() {
            return Some(*pid);
        }
        let output = Command::new("docker")
            .args(["inspect", "--format", "{{.State.Pid}}", &self.name])
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let pid =
            String::from_utf8_lossy(&output.stdout).trim().parse().ok().filter(|pid| *pid > 0)?;
        Some(*self.pid.get_or_init(|| pid))
    }

    /// Ends it as a power cut would.
    pub fn kill(&self) {
        let _ = Command::new("docker")
            .args(["rm", "--force", &self.name])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

impl Default for Container {
    fn default() -> Self {
        Self::new()
    }
}

/// What the client of the container engine gets of this machine's environment.
pub fn client_variables() -> impl Iterator<Item = (&'static str, std::ffi::OsString)> {
    CLIENT_VARIABLES.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// Builds a folder's image.
pub fn build_image(folder: &Path, tag: &str) -> Result<()> {
    let output =
        Command::new("docker").args(["build", "--tag", tag, "."]).current_dir(folder).output();
    let Ok(output) = output else {
        let remedy = "install Docker, or prove the native build without --image";
        return Err(Untested::Missing { what: "docker", remedy }.into());
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines: Vec<&str> = said.lines().collect();
        bail!("docker build failed:\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
    }
    Ok(())
}
