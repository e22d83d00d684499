//! A terminal that a test sits at: a pseudo-terminal with `dozen` in it, and what its screen shows.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::support::{DOZEN, Place};

/// How long a test waits for what has to come, on the slowest of machines.
const PATIENCE: Duration = Duration::from_mins(1);

pub const ENTER: &str = "\r";
pub const UP: &str = "\x1b[A";
pub const DOWN: &str = "\x1b[B";
pub const ESCAPE: &str = "\x1b";
pub const CTRL_C: &str = "\x03";
pub const BACKSPACE: &str = "\x7f";

pub struct Terminal {
    master: File,
    /// Held open: the state of a terminal that nobody holds is lost.
    slave: OwnedFd,
    child: Child,
    screen: vt100::Parser,
    /// All that was ever written, with its escape codes.
    pub written: Vec<u8>,
    before: Termios,
}

impl Terminal {
    /// Starts `dozen` in a terminal of 80 columns.
    pub fn start(place: &Place, arguments: &[&str]) -> Self {
        Self::start_with(place, arguments, 80, |_| {})
    }

    pub fn start_with(
        place: &Place,
        arguments: &[&str],
        columns: u16,
        adapt: impl FnOnce(&mut Command),
    ) -> Self {
        Self::open(place, &place.dozen(arguments), columns, adapt)
    }

    /// Starts a line of shell, in which `$DOZEN` is `dozen`.
    pub fn start_shell(place: &Place, line: &str) -> Self {
        let mut shell = place.command("sh");
        shell.args(["-c", line]);
        Self::open(place, &shell, 80, |command| {
            command.env("DOZEN", DOZEN);
        })
    }

    fn open(
        place: &Place,
        inner: &Command,
        columns: u16,
        adapt: impl FnOnce(&mut Command),
    ) -> Self {
        let rows = 50;
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let name = std::ffi::OsStr::from_bytes(name.as_bytes());
        let slave = File::options().read(true).write(true).open(name).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());

        // It makes the terminal the controlling one, as a login does, and becomes dozen itself.
        let mut command = place.command("setsid");
        command.arg("--ctty").arg(inner.get_program()).args(inner.get_args());
        command.stdin(end()).stdout(end()).stderr(end());
        adapt(&mut command);
        let before = tcgetattr(&slave).unwrap();
        let child = command.spawn().unwrap();
        let size = |size| NonZeroU16::new(size).unwrap();
        Self {
            master: master.into(),
            slave: slave.into(),
            child,
            screen: vt100::Parser::new(size(rows), size(columns), 0),
            written: Vec::new(),
            before,
        }
    }

    /// What the screen shows, without the blanks at the ends.
    pub fn screen(&self) -> String {
        self.screen.screen().contents()
    }

    /// Takes what was written meanwhile; waits a little where there is nothing.
    fn read(&mut self) -> bool {
        let wait = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        let mut polled = [PollFd::new(&self.master, PollFlags::IN)];
        if poll(&mut polled, Some(&wait)).unwrap() == 0 {
            return false;
        }
        let mut bytes = [0; 4096];
        let count = self.master.read(&mut bytes).unwrap_or(0);
        self.screen.process(&bytes[..count]);
        self.written.extend(&bytes[..count]);
        count > 0
    }

    /// Waits until the screen shows `text` and somebody waits for a key.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> &mut Self {
        let start = Instant::now();
        while !(self.screen().contains(text) && self.is_listening()) {
            self.read();
            assert!(start.elapsed() < PATIENCE, "no `{text}`:\n{}", self.screen());
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended before `{text}`: {ended:?}\n{}", self.screen());
        }
        // Whoever waits for a key has written all that goes with it, of which only a part may be read.
        while self.read() {}
        self
    }

    /// Waits until a key is waited for and nothing more comes, whatever it is that the screen shows.
    pub fn settle(&mut self) -> &mut Self {
        let start = Instant::now();
        while self.read() || !self.is_listening() {
            assert!(start.elapsed() < PATIENCE, "nobody waits for a key:\n{}", self.screen());
        }
        self
    }

    fn is_listening(&self) -> bool {
        !tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    pub fn press(&mut self, keys: &str) -> &mut Self {
        self.master.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Waits for the end. Returns the exit code; none after a signal.
    #[track_caller]
    pub fn end(&mut self) -> Option<i32> {
        self.wait(|_| {})
    }

    /// Sends a signal until it ends: one that comes in the instant before a key is waited for wakes nobody.
    #[track_caller]
    pub fn end_by(&mut self, signal: Signal) -> Option<i32> {
        self.wait(|child| kill_process(Pid::from_child(child), signal).unwrap())
    }

    #[track_caller]
    fn wait(&mut self, prod: impl Fn(&Child)) -> Option<i32> {
        let start = Instant::now();
        let status = loop {
            prod(&self.child);
            self.read();
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end:\n{}", self.screen());
        };
        while self.read() {}
        status.code()
    }

    /// Fails unless the terminal is as it was: the cursor shown, its modes as before.
    #[track_caller]
    pub fn assert_restored(&self) {
        let screen = self.screen.screen();
        assert!(!screen.hide_cursor(), "the cursor is hidden:\n{}", self.screen());
        let now = tcgetattr(&self.slave).unwrap();
        let modes = |modes: &Termios| {
            (modes.input_modes, modes.output_modes, modes.control_modes, modes.local_modes)
        };
        assert_eq!(modes(&now), modes(&self.before));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
