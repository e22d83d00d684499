//! Owns the life of one server process: start, stop, kill, freeze, thaw.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;
use parking_lot::Mutex;

use super::program::{Account, Program};
use crate::prove::probe::diary;
use crate::prove::probe::patience::{SOON, wait_for};
use crate::prove::probe::tether::{Leash, Tether};

const STOP_LIMIT: Duration = Duration::from_secs(30);

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
    program: Program,
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
        program: Program,
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
        let mut command = self.program.command();
        command
            .args(&self.arguments)
            .current_dir(&self.folder)
            .env_clear()
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.program.run_as(self.account, &mut command);
        if let Some(container) = self.program.container(&self.folder) {
            self.tether.hold_container(&container);
        }
        let mut held = self.leash.lock();
        let leash = held.insert(self.tether.spawn(&mut command)?);
        wait_for(&self.program, SOON, || {
            if let Some(status) = leash.exited()? {
                bail!("{} ended at once with {status}:\n{}", self.program, self.read_log());
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
            bail!("{} did not stop:\n{}", self.program, self.read_log());
        }
        Ok(())
    }

    /// Ends it as a power cut would.
    pub fn kill(&self) {
        diary::note(format!("kill -9 {}", self.name()));
        self.end();
    }

    fn end(&self) {
        self.remove_container();
        drop(self.leash.lock().take());
    }

    /// Keeps it from answering while its sockets stay open, as a hung machine would, until the guard is dropped.
    pub fn freeze(&self) -> Frozen<'_> {
        diary::note(format!("freeze {}", self.name()));
        if self.pause("pause") {
            return Frozen(self);
        }
        if let Some(leash) = self.leash.lock().as_ref() {
            // The parent first: it must not start another child between the look and the signal.
            leash.signal(Signal::SIGSTOP);
            leash.signal_tree(Signal::SIGSTOP);
        }
        Frozen(self)
    }

    fn thaw(&self) {
        if self.pause("unpause") {
            return;
        }
        if let Some(leash) = self.leash.lock().as_ref() {
            leash.signal_tree(Signal::SIGCONT);
        }
    }

    fn name(&self) -> String {
        self.program.name()
    }

    /// Pauses its container, or goes on with it; says whether it has one.
    fn pause(&self, verb: &str) -> bool {
        let Some(container) = self.program.container(&self.folder) else {
            return false;
        };
        let _ = Command::new("docker").args([verb, &container]).output();
        true
    }

    fn remove_container(&self) {
        if let Some(container) = self.program.container(&self.folder) {
            let _ = Command::new("docker").args(["rm", "--force", &container]).output();
            self.tether.free_container(&container);
        }
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
        self.end();
        let _ = std::fs::remove_dir_all(&self.folder);
        let _ = std::fs::remove_file(self.log_file());
    }
}
