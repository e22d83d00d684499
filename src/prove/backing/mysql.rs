//! Owns how a private `MariaDB` or `MySQL` is made and spoken to.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;

use super::daemon::{Account, Daemon, find_program, run_to_end};
use crate::prove::probe::tether::Tether;

const NEEDS: &str = "mysql";
const PACKAGE: &str = "install MariaDB or MySQL (Debian: apt-get install mariadb-server)";
const SERVERS: [&str; 2] = ["mariadbd", "mysqld"];
const ACCOUNTS: [&str; 2] = ["mysql", "nobody"];

pub fn lay(folder: &Path) -> Result<()> {
    let account = Account::find(&ACCOUNTS)?;
    Account::own(account, folder)?;
    let data = format!("--datadir={}", folder.display());
    let mut command = if let Ok(installer) = find_program(&["mariadb-install-db"], NEEDS, PACKAGE) {
        let mut command = Command::new(installer);
        command
            .args(["--no-defaults", &data, "--skip-test-db"])
            .arg("--auth-root-authentication-method=normal");
        command
    } else {
        let mut command = Command::new(find_program(&SERVERS, NEEDS, PACKAGE)?);
        command.args(["--no-defaults", &data, "--initialize-insecure"]);
        command
    };
    command.current_dir("/");
    Account::dress(account, &mut command);
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
        find_program(&SERVERS, NEEDS, PACKAGE)?,
        arguments,
        Account::find(&ACCOUNTS)?,
        Signal::SIGTERM,
    ))
}

pub fn client(folder: &Path, database: Option<&str>) -> Result<Command> {
    let program = find_program(&["mariadb", "mysql"], NEEDS, PACKAGE).context("its client")?;
    let mut command = Command::new(program);
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
    let program = find_program(&["mariadb-dump", "mysqldump"], NEEDS, PACKAGE)?;
    let mut dump = Command::new(program)
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
