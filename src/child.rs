//! Runs a program in a copy of a repository: to its end, to a limit, or to Ctrl-C. What it has started ends with it.

#![expect(
    clippy::disallowed_methods,
    reason = "the home of the programs that a user's project brings"
)]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::apply::Scratch;
use crate::error::Result;
use crate::interrupt;

/// How a program ended.
#[derive(Debug)]
pub enum Ending {
    Exited(ExitStatus),
    /// It took longer than it may.
    TimedOut,
    /// It could not be started.
    Unstarted(io::Error),
}

/// Runs `words` in `folder`, with `variables` beside those of the environment. What it prints is the scratch's.
///
/// # Errors
/// Ctrl-C, or there is no room for what it prints.
pub fn run(
    scratch: &Scratch,
    folder: &Path,
    words: &[&str],
    variables: &BTreeMap<String, String>,
    limit: Option<Duration>,
) -> Result<Ending> {
    let (output, errors) = scratch.output()?;
    let Some((program, arguments)) = words.split_first() else {
        return Ok(Ending::Unstarted(io::ErrorKind::InvalidInput.into()));
    };
    let mut command = Command::new(program);
    command.args(arguments).envs(variables).current_dir(folder);
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    // A group of its own: package managers start programs that would outlive them.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(Ending::Unstarted(error)),
    };
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                interrupt::check()?;
                return Ok(Ending::Exited(status));
            }
            Ok(None) => {}
            Err(error) => {
                kill(&mut child);
                return Ok(Ending::Unstarted(error));
            }
        }
        if let Err(interrupted) = interrupt::check() {
            kill(&mut child);
            return Err(interrupted);
        }
        if limit.is_some_and(|limit| begun.elapsed() >= limit) {
            kill(&mut child);
            return Ok(Ending::TimedOut);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Ends a program with all that it has started.
fn kill(child: &mut Child) {
    #[cfg(unix)]
    if let Ok(group) = i32::try_from(child.id()) {
        use nix::sys::signal::{Signal, killpg};
        let _ = killpg(nix::unistd::Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}
