//! Owns one process of the service: started from its line without a shell, watched, signalled, waited for.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use parking_lot::Mutex;

use crate::prove::probe::diary;
use crate::prove::probe::output::{Book, Line, Output, Stream, Transcript};
use crate::prove::probe::patience::wait_for;
use crate::prove::probe::procfs::{self, Entry};
use crate::prove::probe::surroundings::{Container, Surroundings, client_variables};
use crate::prove::probe::tether::{Leash, Tether};
use crate::prove::probe::turnstile::{Pass, Turnstile};
use crate::prove::probe::variables::Variables;

/// How long whoever is done with a process waits for it before it is killed.
const LEAVE_LIMIT: Duration = Duration::from_secs(3);
/// How many times longer than by its clock a wait may last on a machine that has no time for the process.
const STARVATION: u32 = 4;

/// What every start has in common.
#[derive(Debug, Clone)]
pub struct Launcher {
    pub tether: Arc<Tether>,
    pub turnstile: Arc<Turnstile>,
    pub book: Book,
}

/// A command line of the service, where it runs, and with what.
#[derive(Debug)]
pub struct Launch<'l> {
    pub name: &'l str,
    pub line: &'l str,
    pub folder: &'l Path,
    /// The value of PATH: the only variable that is not the contract's.
    pub path: &'l str,
    pub variables: &'l Variables,
    pub surroundings: Surroundings,
    /// The image in whose container it runs; none where it runs on this machine itself.
    pub image: Option<&'l str>,
}

/// A process's clock at one moment. It stands still while the process is ready to run and no core is free for
/// it: what others do on this machine is not held against the service.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    at: Instant,
    starved: Duration,
}

impl Reading {
    /// What has passed for everybody else.
    #[must_use]
    pub fn passed_since(&self, earlier: &Self) -> Duration {
        self.at.duration_since(earlier.at)
    }

    #[must_use]
    pub fn since(&self, earlier: &Self) -> Duration {
        let passed = self.passed_since(earlier);
        passed.saturating_sub(self.starved.saturating_sub(earlier.starved))
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub at: Reading,
    /// Since the start of the process, by its clock.
    pub after: Duration,
}

impl Exit {
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(formatter, "exit code {code}"),
            (None, Some(signal)) => write!(formatter, "death by signal {signal}"),
            (None, None) => formatter.write_str("an exit without a code"),
        }
    }
}

/// The pass of a booting process, given back by whoever first sees that it is up or gone.
#[derive(Debug, Clone)]
struct SharedPass(Arc<Mutex<Option<Pass>>>);

impl SharedPass {
    fn new(pass: Option<Pass>) -> Self {
        Self(Arc::new(Mutex::new(pass)))
    }

    fn give_back(&self) {
        drop(self.0.lock().take());
    }
}

#[derive(Debug)]
pub struct Process {
    pub name: String,
    leash: Leash,
    tether: Arc<Tether>,
    started: Reading,
    starved: Duration,
    /// Its children when it was told to leave: it leaves no sooner than they do.
    family: Vec<i32>,
    output: Output,
    readers: Vec<JoinHandle<()>>,
    book: Book,
    pass: SharedPass,
    exit: Option<Exit>,
    surroundings: Surroundings,
    container: Option<Container>,
}

impl Process {
    pub fn start(launcher: &Launcher, launch: &Launch<'_>) -> Result<Self> {
        let container = launch.image.map(|_| Container::new());
        let mut words = match (&container, launch.image) {
            (Some(container), Some(image)) => {
                container.wrapper(image, launch.surroundings, launch.variables)
            }
            _ => launch.surroundings.wrapper(launch.folder)?,
        };
        let line = shell_words::split(launch.line)
            .with_context(|| format!("split the line `{}`", launch.line))?;
        words.extend(line);
        let (program, arguments) = words.split_first().context("an empty line")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(launch.folder)
            .env_clear()
            .env("PATH", launch.path)
            .envs(launch.variables.iter())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(container) = &container {
            command.envs(client_variables());
            launcher.tether.hold_container(&container.name);
        }
        let pass = SharedPass::new(launcher.turnstile.enter());
        let started = Reading { at: Instant::now(), starved: Duration::ZERO };
        let mut leash = launcher
            .tether
            .spawn(&mut command)
            .with_context(|| format!("the line `{}` does not start", launch.line))?;
        let output = Output::default();
        let stdout = leash.child.stdout.take().context("its stdout")?;
        let stderr = leash.child.stderr.take().context("its stderr")?;
        // Who writes is past the work of its boot.
        let (on_stdout, on_stderr) = (pass.clone(), pass.clone());
        let readers = vec![
            output.follow(Stream::Stdout, stdout, move || on_stdout.give_back()),
            output.follow(Stream::Stderr, stderr, move || on_stderr.give_back()),
        ];
        Ok(Self {
            name: launch.name.to_owned(),
            leash,
            tether: Arc::clone(&launcher.tether),
            started,
            starved: Duration::ZERO,
            family: Vec::new(),
            output,
            readers,
            book: launcher.book.clone(),
            pass,
            exit: None,
            surroundings: launch.surroundings,
            container,
        })
    }

    /// What its clock shows now.
    pub fn clock(&mut self) -> Reading {
        if self.exit.is_none() {
            // Of a process that is gone, what was seen last is the best there is.
            let family = self.root().into_iter().chain(self.family.iter().copied());
            let starved = family.map(procfs::starved).max().unwrap_or_default();
            self.starved = starved.max(self.starved);
        }
        Reading { at: Instant::now(), starved: self.starved }
    }

    /// Waits until it and its children are past the work of their start: for a while they use next to no core.
    pub fn settle(&mut self) -> Result<()> {
        const WHILE: Duration = Duration::from_millis(1500);
        const NEXT_TO_NONE: Duration = Duration::from_millis(50);
        let mut quiet = (Instant::now(), Duration::ZERO);
        let settled = wait_for(format!("{} to settle", self.name), Duration::from_secs(20), || {
            self.ensure_alive()?;
            let tree = self.tree();
            let worked = tree.iter().map(|pid| procfs::worked(*pid)).sum::<Duration>();
            // Who waits for a core is not at rest.
            let is_busy =
                worked > quiet.1 + NEXT_TO_NONE || tree.iter().any(|pid| procfs::is_ready(*pid));
            if is_busy {
                quiet = (Instant::now(), worked);
            }
            Ok((quiet.0.elapsed() >= WHILE).then_some(()))
        });
        // One that never rests is up by then, too.
        settled.or_else(|_| self.ensure_alive())
    }

    /// How long it has been running, by its clock.
    pub fn running_for(&mut self) -> Duration {
        self.clock().since(&self.started)
    }

    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.output.lines()
    }

    #[must_use]
    pub fn transcript(&self) -> Transcript {
        Transcript { process: self.name.clone(), lines: self.output.lines() }
    }

    /// Everything it has written so far, on both streams.
    #[must_use]
    pub fn text(&self) -> String {
        self.output.text()
    }

    /// Fails, telling how it ended, if it no longer runs.
    pub fn ensure_alive(&mut self) -> Result<()> {
        if let Some(exit) = self.exited()? {
            bail!("{} is no longer alive: {exit} after {:?}", self.name, exit.after);
        }
        Ok(())
    }

    pub fn exited(&mut self) -> Result<Option<Exit>> {
        if self.exit.is_none() {
            // Before the look, which reaps it.
            let at = self.clock();
            if let Some(status) = self.leash.exited()? {
                self.exit = Some(Exit {
                    code: status.code(),
                    signal: status.signal(),
                    at,
                    after: at.since(&self.started),
                });
                self.pass.give_back();
                self.drain();
            }
        }
        Ok(self.exit)
    }

    /// Waits for its exit; fails if it does not come within the limit, by its clock.
    pub fn wait_for_exit(&mut self, limit: Duration) -> Result<Exit> {
        let name = self.name.clone();
        let begun = self.clock();
        wait_for(format!("{name} to exit"), limit * STARVATION, || {
            let exit = self.exited()?;
            if exit.is_none() && self.clock().since(&begun) > limit {
                bail!("waited {limit:.1?} in vain for {name} to exit");
            }
            Ok(exit)
        })
    }

    /// Sends SIGTERM and gives what its clock showed then.
    pub fn terminate(&mut self) -> Reading {
        self.pass.give_back();
        diary::note(format!("SIGTERM to {}", self.name));
        self.family = self.descendants().iter().map(|entry| entry.pid).collect();
        let told = self.clock();
        if self.container.is_none() && self.surroundings == Surroundings::FirstProcess {
            // The wrapper stays outside; what it started is whom an orchestrator would signal.
            if let Some(child) = self.leash.descendants().first() {
                let _ = signal::kill(Pid::from_raw(child.pid), Signal::SIGTERM);
            }
        } else {
            self.leash.signal(Signal::SIGTERM);
        }
        told
    }

    /// `kill -9` to the process itself and those in its tree: the machine it ran on is gone.
    pub fn kill(&mut self) -> Result<()> {
        diary::note(format!("kill -9 {}", self.name));
        self.kill_all();
        self.exited().map(|_| ())
    }

    /// Asks it to leave, and sees that it is gone: how it leaves is another claim's business.
    pub fn end(mut self) -> Result<()> {
        self.terminate();
        let begun = Instant::now();
        while self.exited()?.is_none() && begun.elapsed() < LEAVE_LIMIT {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    #[must_use]
    pub fn descendants(&self) -> Vec<Entry> {
        self.root().map(procfs::descendants).unwrap_or_default()
    }

    /// Those who are left in its process group.
    #[must_use]
    pub fn left_behind(&self) -> Vec<Entry> {
        // A container ends with its first process, and all others in it.
        if self.container.is_some() { Vec::new() } else { procfs::members(self.leash.pid()) }
    }

    /// All addresses that it itself listens on: a cheaper look.
    #[must_use]
    pub fn listening_alone(&self) -> BTreeSet<SocketAddr> {
        procfs::listening(self.root().as_slice())
    }

    /// All addresses that it or a descendant listens on.
    #[must_use]
    pub fn listening(&self) -> BTreeSet<SocketAddr> {
        procfs::listening(&self.tree())
    }

    /// How many processes of its tree hold a listening socket.
    #[must_use]
    pub fn listening_processes(&self) -> usize {
        let tree = self.tree();
        tree.iter().filter(|pid| !procfs::listening(&[**pid]).is_empty()).count()
    }

    /// The threads of all its processes.
    pub fn threads(&self) -> usize {
        self.tree().into_iter().map(procfs::threads).sum()
    }

    #[must_use]
    pub fn files_open_for_writing(&self) -> Vec<std::path::PathBuf> {
        let tree = self.tree();
        tree.iter().flat_map(|pid| procfs::open_for_writing(*pid)).collect()
    }

    fn tree(&self) -> Vec<i32> {
        let mut tree: Vec<i32> = self.root().into_iter().collect();
        tree.extend(self.descendants().iter().map(|entry| entry.pid));
        tree
    }

    /// The service's own first process.
    fn root(&self) -> Option<i32> {
        match &self.container {
            Some(container) => container.pid(),
            None => Some(self.leash.pid()),
        }
    }

    fn kill_all(&mut self) {
        if let Some(container) = &self.container {
            container.kill();
        }
        self.leash.kill_tree();
    }

    /// Lets the readers see the end of both streams; an orphan may hold them open, so not for ever.
    fn drain(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(1);
        while Instant::now() < deadline && !self.readers.iter().all(JoinHandle::is_finished) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exit.is_none() {
            self.kill_all();
        }
        if let Some(container) = &self.container {
            self.tether.free_container(&container.name);
        }
        self.leash.kill_tree();
        self.pass.give_back();
        self.drain();
        self.book.enter(self.transcript());
    }
}
