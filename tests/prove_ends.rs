//! However a proof ends, it leaves no process and no folder behind.

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// A repository whose web process hangs in a way that nothing short of SIGKILL ends.
struct Hung {
    folder: TempDir,
}

impl Hung {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hung = Self { folder };
        fs::create_dir(hung.repository()).unwrap();
        fs::create_dir(hung.temporary()).unwrap();
        fs::write(hung.repository().join("requirements.txt"), "").unwrap();
        hung
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("hung")
    }

    /// Where the proof has its own folder.
    fn temporary(&self) -> PathBuf {
        self.folder.path().join("t")
    }

    fn prove(&self, web: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dozen"));
        command
            .args(["prove", "--build", "true", "--web", web, "--factor", "codebase"])
            .arg(self.repository())
            .env("TMPDIR", self.temporary())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        command
    }

    /// Starts a proof and waits until its web process hangs.
    fn start(&self) -> Child {
        let child = self.prove("sh -c 'trap \"\" TERM INT; sleep 600 & wait'").spawn().unwrap();
        let is_hung = |pid: &Pid| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
        };
        wait(|| self.processes().iter().any(is_hung));
        child
    }

    /// Whoever works in the folder of the proof.
    fn processes(&self) -> Vec<Pid> {
        let is_here = |link: PathBuf| {
            fs::read_link(link).is_ok_and(|folder| folder.starts_with(self.temporary()))
        };
        pids().into_iter().filter(|pid| is_here(format!("/proc/{pid}/cwd").into())).collect()
    }

    fn folders(&self) -> usize {
        fs::read_dir(self.temporary()).unwrap().count()
    }

    fn expect_nothing_left(&self) {
        wait(|| self.processes().is_empty() && self.folders() == 0);
    }
}

fn pids() -> Vec<Pid> {
    let names = fs::read_dir("/proc").unwrap().flatten();
    names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).map(Pid::from_raw).collect()
}

/// The warden of the proof that has its folder there.
fn warden(folder: &Path) -> Pid {
    let folder = folder.to_string_lossy().into_owned();
    let is_warden = |pid: &Pid| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("dozen-prove-warden") && line.contains(&folder)
    };
    pids().into_iter().find(is_warden).unwrap()
}

fn wait(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap())
}

#[test]
fn ctrl_c_ends_it_with_130_and_leaves_nothing() {
    let hung = Hung::new();
    let mut child = hung.start();
    kill(pid(&child), Signal::SIGINT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    hung.expect_nothing_left();
}

#[test]
fn a_kill_leaves_nothing() {
    let hung = Hung::new();
    let mut child = hung.start();
    child.kill().unwrap();
    child.wait().unwrap();
    hung.expect_nothing_left();
}

#[test]
fn what_a_kill_of_all_leaves_is_swept_up_by_the_next_run() {
    let hung = Hung::new();
    let mut child = hung.start();
    kill(warden(&hung.temporary()), Signal::SIGKILL).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(!hung.processes().is_empty() && hung.folders() == 1, "the kill should leave something");

    let status = hung.prove("false").status().unwrap();
    assert_eq!(status.code(), Some(1), "a web process that exits at once is no proof");
    hung.expect_nothing_left();
}
