//! Owns a private Redis: one for each trial, since one starts in a few milliseconds.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;

use super::daemon::{Daemon, Frozen};
use super::program::Program;
use super::secret::Secret;
use crate::prove::probe::tether::Tether;
use crate::prove::subject::Login;

#[derive(Debug)]
pub struct Redis {
    daemon: Daemon,
    port: u16,
    /// None where the service has nowhere to say one.
    password: Option<Secret>,
}

impl Redis {
    pub fn start(tether: &Arc<Tether>, has_password: bool) -> Result<Self> {
        let folder = tether.fresh_folder("redis")?;
        let program = Program::find(
            &["redis-server", "valkey-server"],
            &folder,
            "redis",
            "install Redis (Debian: apt-get install redis-server)",
        )?;
        let port = tether.fresh_port()?;
        let password = has_password.then(|| Secret::new("redis"));
        let arguments = [
            ("--port", port.to_string()),
            ("--bind", "127.0.0.1".to_owned()),
            ("--dir", folder.display().to_string()),
            ("--requirepass", password.as_ref().map(Secret::to_string).unwrap_or_default()),
            ("--save", String::new()),
            ("--appendonly", "no".to_owned()),
            ("--daemonize", "no".to_owned()),
        ];
        let arguments =
            arguments.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
        let redis = Self {
            daemon: Daemon::new(tether, folder, program, arguments, None, Signal::SIGTERM),
            port,
            password,
        };
        redis.resume()?;
        Ok(redis)
    }

    /// How the service reaches it.
    #[must_use]
    pub fn login(&self) -> Login {
        Login {
            scheme: "redis".to_owned(),
            user: String::new(),
            password: self.password.as_ref().map(Secret::to_string).unwrap_or_default(),
            port: self.port,
            name: "0".to_owned(),
        }
    }

    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// Starts it (again): empty, on the same port.
    pub fn resume(&self) -> Result<()> {
        self.daemon.start(|| self.ask("PING").is_ok_and(|answer| answer == "+PONG"))
    }

    pub fn stop(&self) -> Result<()> {
        self.daemon.stop()
    }

    pub fn freeze(&self) -> Frozen<'_> {
        self.daemon.freeze()
    }

    /// Forgets everything it keeps.
    pub fn flush(&self) -> Result<()> {
        self.ask("FLUSHALL").map(|_| ())
    }

    /// Has it refuse every write while it goes on answering, as a full Redis does.
    pub fn fill_up(&self) -> Result<()> {
        self.ask("CONFIG SET maxmemory-policy noeviction")?;
        self.ask("CONFIG SET maxmemory 1").map(|_| ())
    }

    /// Sends one inline command and gives the first line of its answer.
    fn ask(&self, command: &str) -> Result<String> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut lines = BufReader::new(&stream).lines();
        let mut welcome = String::new();
        if let Some(password) = &self.password {
            write!(&stream, "AUTH {password}\r\n")?;
            welcome = lines.next().context("no answer to AUTH")??;
        }
        write!(&stream, "{command}\r\n")?;
        let answer = lines.next().context("no answer")??;
        if welcome.starts_with('-') || answer.starts_with('-') {
            bail!("Redis refused {command}: {welcome} {answer}");
        }
        Ok(answer)
    }
}
