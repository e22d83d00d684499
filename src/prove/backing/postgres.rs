//! Owns how a private `PostgreSQL` is made and spoken to.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use super::daemon::{Daemon, run_to_end};
use super::program::{Account, Program};
use crate::prove::probe::tether::Tether;

const NEEDS: &str = "postgres";
const PACKAGE: &str = "install postgresql (Debian: apt-get install postgresql)";
const SUPERUSER: &str = "dozen";

/// Lays an empty cluster: clients over TCP need their password, the harness comes through the socket.
pub fn lay(folder: &Path) -> Result<()> {
    let account = Account::find(&["postgres", "nobody"])?;
    Account::own(account, folder)?;
    let program = Program::find(&["initdb"], folder, NEEDS, PACKAGE)?;
    let mut command = program.command();
    command
        .arg("--pgdata")
        .arg(folder)
        .args(["--username", SUPERUSER, "--encoding", "UTF8", "--no-sync"])
        .args(["--auth-local", "trust", "--auth-host", "scram-sha-256"])
        .args(["--locale", "C"])
        // Each server gets a copy: mostly of a log that is still empty, were its files of the usual 16 MiB.
        .args(["--wal-segsize", "1"])
        .current_dir("/")
        .env("LC_ALL", "C");
    program.run_as(account, &mut command);
    run_to_end(command)
}

pub fn daemon(tether: &Arc<Tether>, folder: &Path, port: u16) -> Result<Daemon> {
    let settings = [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        format!("unix_socket_directories={}", folder.display()),
        // Nothing here outlives the run: speed over safety.
        "fsync=off".to_owned(),
        "synchronous_commit=off".to_owned(),
        "full_page_writes=off".to_owned(),
        "autovacuum=off".to_owned(),
        // Its segments would outlive a kill in /dev/shm.
        "dynamic_shared_memory_type=mmap".to_owned(),
        "max_connections=300".to_owned(),
        "shared_buffers=64MB".to_owned(),
        "max_wal_size=1GB".to_owned(),
    ];
    let mut arguments = vec!["-D".to_owned(), folder.display().to_string()];
    for setting in settings {
        arguments.extend(["-c".to_owned(), setting]);
    }
    Ok(Daemon::new(
        tether,
        folder.to_owned(),
        Program::find(&["postgres"], folder, NEEDS, PACKAGE)?,
        arguments,
        Account::find(&["postgres", "nobody"])?,
        // SIGINT is its "fast" shutdown; SIGTERM would wait for the clients to leave.
        Signal::SIGINT,
    ))
}

pub fn client(folder: &Path, port: u16, database: Option<&str>) -> Result<Command> {
    let program = Program::find(&["psql"], folder, NEEDS, PACKAGE).context("its client")?;
    let mut command = program.command();
    command
        .args(["-X", "-q", "-A", "-t", "-F", "\t"])
        .args(["-v", "ON_ERROR_STOP=1"])
        .arg("-h")
        .arg(folder)
        .args(["-p", &port.to_string(), "-U", SUPERUSER])
        .args(["-d", database.unwrap_or("postgres")])
        .current_dir("/")
        .env_clear()
        .env("PGCONNECT_TIMEOUT", "20")
        .env("PGCLIENTENCODING", "UTF8");
    Ok(command)
}
