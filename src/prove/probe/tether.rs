//! Owns the run's folder and every process started in it: neither outlives the run, not even its `kill -9`.
//!
//! A warden, a shell in a group of its own, holds the reading end of a pipe. However the run ends (a return, a
//! panic, Ctrl-C, SIGKILL), the pipe closes; the warden kills what was still held and removes the folder. Where
//! the warden was killed too, the next run sweeps up.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use parking_lot::Mutex;

use crate::prove::probe::procfs::{self, Entry};

const WARDEN: &str = r#"
trap '' INT TERM HUP
held=' '
boxes=' '
while read -r verb group; do
    case $verb in
    box) boxes="$boxes$group " ;;
    unbox) case $boxes in *" $group "*) boxes="${boxes%% $group *} ${boxes#* $group }" ;; esac ;;
    hold) held="$held$group " ;;
    free) case $held in *" $group "*) held="${held%% $group *} ${held#* $group }" ;; esac ;;
    esac
done
for box in $boxes; do docker rm --force "$box" >/dev/null 2>&1; done
for group in $held; do kill -s KILL -- "-$group" 2>/dev/null; done
tries=0
while rm -rf -- "$1" 2>/dev/null; [ -e "$1" ] && [ $tries -lt 100 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
"#;

/// How the folders of runs are called.
const PREFIX: &str = "dozen-prove-";
/// In such a folder: what the process that it belongs to holds a lock on.
const OWNER: &str = "owner";
/// What it is called until it is locked.
const OWNER_DRAFT: &str = "owner.draft";

/// A Unix socket's path has at most 107 bytes, and `PostgreSQL` puts one into a folder of the run.
const LONGEST_BASE: usize = 40;

/// Below the range from which the kernel takes the ports of outgoing connections.
const PORTS: std::ops::Range<u16> = 20_000..32_500;
/// How many ports a run takes at once.
const BLOCK: u16 = 250;

/// The ports of one run. Whoever listens on the first port of a block has all of it: two runs on one machine never
/// give the same port away.
#[derive(Debug, Default)]
struct Ports {
    held: Vec<TcpListener>,
    left: std::ops::Range<u16>,
}

impl Ports {
    fn next(&mut self) -> Result<u16> {
        if let Some(port) = self.left.next() {
            return Ok(port);
        }
        for first in PORTS.step_by(BLOCK.into()) {
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, first)) {
                self.held.push(listener);
                self.left = first + 1..first + BLOCK;
                return self.left.next().context("a block of one port");
            }
        }
        bail!("no block of free ports between {} and {}", PORTS.start, PORTS.end)
    }
}

#[derive(Debug)]
pub struct Tether {
    folder: PathBuf,
    warden: Mutex<Child>,
    pipe: Mutex<Option<ChildStdin>>,
    folders: AtomicU32,
    ports: Mutex<Ports>,
    /// Locked as long as we live, whoever can see our number.
    _owner: File,
}

impl Tether {
    pub fn fasten() -> Result<Self> {
        let mut base = std::env::temp_dir();
        if base.as_os_str().len() > LONGEST_BASE {
            base = PathBuf::from("/tmp");
        }
        sweep(&base);
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(base)
            .context("make a folder for the run")?
            .keep();
        // Servers that run as another user pass through it.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        let owner = own(&folder).context("mark the folder of the run")?;
        let mut warden = Command::new("sh")
            .args(["-c", WARDEN, "dozen-prove-warden"])
            .arg(&folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("start the warden")?;
        let pipe = warden.stdin.take();
        Ok(Self {
            folder,
            _owner: owner,
            warden: Mutex::new(warden),
            pipe: Mutex::new(pipe),
            folders: AtomicU32::new(0),
            ports: Mutex::default(),
        })
    }

    pub fn fresh_folder(&self, name: &str) -> Result<PathBuf> {
        let number = self.folders.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join(format!("{name}-{number}"));
        fs::create_dir(&folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(folder)
    }

    /// A port that nobody holds and that no run gives to anybody else.
    pub fn fresh_port(&self) -> Result<u16> {
        let mut ports = self.ports.lock();
        loop {
            let port = ports.next()?;
            let free = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
                && (TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).is_ok() || !has_ipv6());
            if free {
                return Ok(port);
            }
        }
    }

    /// Starts a command in a process group of its own, held until its leash is dropped.
    pub fn spawn(self: &Arc<Self>, command: &mut Command) -> Result<Leash> {
        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        let group = i32::try_from(child.id()).context("a pid")?;
        self.hold(group);
        Ok(Leash { tether: Arc::clone(self), child, group, status: None })
    }

    /// Has the warden kill this group too, should the harness die. For processes that left their parent's group.
    pub fn hold(&self, group: i32) {
        self.tell("hold", &group.to_string());
    }

    /// Has the warden remove a container too.
    pub fn hold_container(&self, name: &str) {
        self.tell("box", name);
    }

    pub fn free_container(&self, name: &str) {
        self.tell("unbox", name);
    }

    pub fn free(&self, group: i32) {
        self.tell("free", &group.to_string());
    }

    fn tell(&self, verb: &str, group: &str) {
        if let Some(pipe) = self.pipe.lock().as_mut() {
            // Without a warden the leashes still clean up; only a killed harness would leave something.
            let _ = writeln!(pipe, "{verb} {group}");
        }
    }
}

impl Drop for Tether {
    fn drop(&mut self) {
        drop(self.pipe.lock().take());
        let _ = self.warden.lock().wait();
    }
}

/// Marks a folder as that of a run which is alive: by a lock, as a number means nothing in another container.
fn own(folder: &Path) -> io::Result<File> {
    let draft = folder.join(OWNER_DRAFT);
    let owner = File::create(&draft)?;
    owner.lock()?;
    fs::rename(draft, folder.join(OWNER))?;
    Ok(owner)
}

/// Removes what a run left that was killed together with its warden: its processes, then its folder.
fn sweep(base: &Path) {
    let me = nix::unistd::geteuid().as_raw();
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let folder = entry.path();
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|data| data.is_dir() && data.uid() == me);
        let Ok(owner) = File::open(folder.join(OWNER)) else {
            continue;
        };
        if !is_ours || owner.try_lock().is_err() {
            continue;
        }
        for entry in procfs::working_in(&folder) {
            let _ = signal::kill(Pid::from_raw(entry.pid), Signal::SIGKILL);
        }
        let _ = fs::remove_dir_all(&folder);
    }
}

fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// A started command. Dropping it kills its group and whoever descends from it.
#[derive(Debug)]
pub struct Leash {
    tether: Arc<Tether>,
    pub child: Child,
    group: i32,
    status: Option<ExitStatus>,
}

impl Leash {
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.group
    }

    pub fn signal(&self, signal: Signal) {
        // A reaped process has no pid any more that could safely be signalled.
        if self.status.is_none() {
            let _ = signal::kill(Pid::from_raw(self.group), signal);
        }
    }

    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.child.try_wait().context("wait for a child")?;
        }
        Ok(self.status)
    }

    /// Waits for the exit; `None` if it does not come in time.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.exited()? {
                return Ok(Some(status));
            }
            if begun.elapsed() > limit {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(4));
        }
    }

    #[must_use]
    pub fn descendants(&self) -> Vec<Entry> {
        procfs::descendants(self.group)
    }

    /// Stops or continues the whole tree; its members may have groups of their own, as `PostgreSQL`'s have.
    pub fn signal_tree(&self, signal: Signal) {
        for entry in self.descendants() {
            match signal {
                Signal::SIGSTOP => self.tether.hold(entry.pid),
                Signal::SIGCONT => self.tether.free(entry.pid),
                _ => {}
            }
            let _ = signal::kill(Pid::from_raw(entry.pid), signal);
        }
        self.signal(signal);
    }

    pub fn kill_tree(&mut self) {
        // Nobody descends from one that was reaped: there is only its group to look at.
        let tree = if self.status.is_none() { self.descendants() } else { Vec::new() };
        self.signal(Signal::SIGKILL);
        let _ = signal::killpg(Pid::from_raw(self.group), Signal::SIGKILL);
        for entry in tree.iter().filter(|entry| entry.still_runs()) {
            let _ = signal::kill(Pid::from_raw(entry.pid), Signal::SIGKILL);
        }
        if self.status.is_none() {
            self.status = self.child.wait().ok();
        }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.kill_tree();
        self.tether.free(self.group);
    }
}
