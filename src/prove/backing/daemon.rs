//! Owns the life of one server process: start, stop, kill, freeze, thaw.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;
use nix::unistd::User;
use parking_lot::Mutex;

use crate::prove::probe::diary;
use crate::prove::probe::patience::{SOON, wait_for};
use crate::prove::probe::tether::{Leash, Tether};
use crate::prove::untested::Untested;

const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Whom a server runs as: most refuse to run as root.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The first of the users that this machine has; nobody else than ourselves unless we are root.
    pub fn find(names: &[&str]) -> Result<Option<Self>> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(None);
        }
        for name in names {
            if let Some(user) = User::from_name(name).context("read the users")? {
                return Ok(Some(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() }));
            }
        }
        bail!("root may not run it, and this machine has none of the users {names:?}")
    }

    pub fn own(account: Option<Self>, folder: &Path) -> Result<()> {
        if let Some(Self { uid, gid }) = account {
            std::os::unix::fs::chown(folder, Some(uid), Some(gid)).context("give a folder away")?;
        }
        Ok(())
    }

    pub fn dress(account: Option<Self>, command: &mut Command) {
        if let Some(Self { uid, gid }) = account {
            command.uid(uid).gid(gid);
        }
    }
}

/// Finds a server's binary on PATH and where distributions hide it.
pub fn find_program(names: &[&str], needs: &'static str, remedy: &'static str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    folders.push("/usr/local/sbin".into());
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<PathBuf> = versions.flatten().map(|v| v.path().join("bin")).collect();
        versions.sort();
        folders.extend(versions.into_iter().rev());
    }
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|program| program.is_file())
        .ok_or_else(|| Untested::Missing { what: needs, remedy }.into())
}

/// Runs a tool of a server (`initdb`, …) to its end.
pub fn run_to_end(mut command: Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!(
            "{} failed with {}:\n{}{}",
            command.get_program().display(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

#[derive(Debug)]
pub struct Daemon {
    pub folder: PathBuf,
    program: PathBuf,
    arguments: Vec<String>,
    account: Option<Account>,
    stop_signal: Signal,
    tether: Arc<Tether>,
    leash: Mutex<Option<Leash>>,
}

impl Daemon {
    pub fn new(
        tether: &Arc<Tether>,
        folder: PathBuf,
        program: PathBuf,
        arguments: Vec<String>,
        account: Option<Account>,
        stop_signal: Signal,
    ) -> Self {
        Self {
            folder,
            program,
            arguments,
            account,
            stop_signal,
            tether: Arc::clone(tether),
            leash: Mutex::new(None),
        }
    }

    /// Starts it and waits until it answers.
    pub fn start(&self, answers: impl Fn() -> bool) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .context("open a server's log")?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .current_dir(&self.folder)
            .env_clear()
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Account::dress(self.account, &mut command);
        let mut held = self.leash.lock();
        let leash = held.insert(self.tether.spawn(&mut command)?);
        wait_for(self.program.display(), SOON, || {
            if let Some(status) = leash.exited()? {
                bail!(
                    "{} ended at once with {status}:\n{}",
                    self.program.display(),
                    self.read_log()
                );
            }
            Ok(answers().then_some(()))
        })
        .with_context(|| format!("its log says:\n{}", self.read_log()))
    }

    /// Asks it to stop and waits until it is gone.
    pub fn stop(&self) -> Result<()> {
        let Some(mut leash) = self.leash.lock().take() else {
            return Ok(());
        };
        diary::note(format!("stop {}", self.name()));
        leash.signal(self.stop_signal);
        if leash.wait(STOP_LIMIT)?.is_none() {
            bail!("{} did not stop:\n{}", self.program.display(), self.read_log());
        }
        Ok(())
    }

    /// Ends it as a power cut would.
    pub fn kill(&self) {
        diary::note(format!("kill -9 {}", self.name()));
        drop(self.leash.lock().take());
    }

    /// Keeps it from answering while its sockets stay open, as a hung machine would, until the guard is dropped.
    pub fn freeze(&self) -> Frozen<'_> {
        diary::note(format!("freeze {}", self.name()));
        if let Some(leash) = self.leash.lock().as_ref() {
            // The parent first: it must not start another child between the look and the signal.
            leash.signal(Signal::SIGSTOP);
            leash.signal_tree(Signal::SIGSTOP);
        }
        Frozen(self)
    }

    fn thaw(&self) {
        if let Some(leash) = self.leash.lock().as_ref() {
            leash.signal_tree(Signal::SIGCONT);
        }
    }

    fn name(&self) -> String {
        self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.with_extension("log")
    }

    fn read_log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }
}

/// A server that does not answer until this is dropped.
#[derive(Debug)]
pub struct Frozen<'d>(&'d Daemon);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.thaw();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
        let _ = std::fs::remove_file(self.log_file());
    }
}
