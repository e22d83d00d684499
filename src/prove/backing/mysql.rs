//! Owns how a private `MariaDB` or `MySQL` is made and spoken to.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;

use super::daemon::{Daemon, run_to_end};
use super::program::{Account, Program};
use crate::prove::probe::tether::Tether;

const NEEDS: &str = "mysql";
const PACKAGE: &str = "install MariaDB or MySQL (Debian: apt-get install mariadb-server)";
const SERVERS: [&str; 2] = ["mariadbd", "mysqld"];
const ACCOUNTS: [&str; 2] = ["mysql", "nobody"];

pub fn lay(folder: &Path) -> Result<()> {
    let account = Account::find(&ACCOUNTS)?;
    Account::own(account, folder)?;
    let data = format!("--datadir={}", folder.display());
    let installer = Program::find(&["mariadb-install-db"], folder, NEEDS, PACKAGE);
    let is_mariadb = installer.is_ok();
    let program = installer.or_else(|_| Program::find(&SERVERS, folder, NEEDS, PACKAGE))?;
    let mut command = program.command();
    command.args(["--no-defaults", &data]).current_dir("/");
    if is_mariadb {
        command.args(["--skip-test-db", "--auth-root-authentication-method=normal"]);
    } else {
        command.arg("--initialize-insecure");
    }
    program.run_as(account, &mut command);
    run_to_end(command)
}

pub fn daemon(tether: &Arc<Tether>, folder: &Path, port: u16) -> Result<Daemon> {
    let arguments = vec![
        "--no-defaults".to_owned(),
        format!("--datadir={}", folder.display()),
        // The names of two servers' temporary tables may be the same.
        format!("--tmpdir={}", folder.display()),
        format!("--socket={}", folder.join("socket").display()),
        format!("--pid-file={}", folder.join("pid").display()),
        format!("--port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--skip-name-resolve".to_owned(),
        "--character-set-server=utf8mb4".to_owned(),
        "--max-connections=300".to_owned(),
        // Nothing here outlives the run: speed over safety.
        "--innodb-buffer-pool-size=48M".to_owned(),
        "--innodb-flush-log-at-trx-commit=0".to_owned(),
        "--innodb-flush-method=nosync".to_owned(),
        "--performance-schema=OFF".to_owned(),
        "--skip-log-bin".to_owned(),
    ];
    Ok(Daemon::new(
        tether,
        folder.to_owned(),
        Program::find(&SERVERS, folder, NEEDS, PACKAGE)?,
        arguments,
        Account::find(&ACCOUNTS)?,
        Signal::SIGTERM,
    ))
}

pub fn client(folder: &Path, database: Option<&str>) -> Result<Command> {
    let program =
        Program::find(&["mariadb", "mysql"], folder, NEEDS, PACKAGE).context("its client")?;
    let mut command = program.command();
    command
        .args(["--no-defaults", "--batch", "--raw", "--skip-column-names"])
        .args(["--unbuffered", "--default-character-set=utf8mb4"])
        .arg(format!("--socket={}", folder.join("socket").display()))
        .arg("--user=root")
        .args(database)
        .current_dir("/")
        .env_clear();
    Ok(command)
}

/// Copies a database's tables and rows into another, empty one.
pub fn copy(folder: &Path, from: &str, to: &str) -> Result<()> {
    let program = Program::find(&["mariadb-dump", "mysqldump"], folder, NEEDS, PACKAGE)?;
    let mut dump = program
        .command()
        .arg("--no-defaults")
        .arg(format!("--socket={}", folder.join("socket").display()))
        .args(["--user=root", "--skip-lock-tables", from])
        .stdout(Stdio::piped())
        .spawn()
        .context("dump a database")?;
    let text = dump.stdout.take().context("the dump")?;
    let loaded = client(folder, Some(to))?.stdin(text).output()?;
    if !dump.wait()?.success() || !loaded.status.success() {
        bail!("copying {from} to {to} failed:\n{}", String::from_utf8_lossy(&loaded.stderr));
    }
    Ok(())
}
