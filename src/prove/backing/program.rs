//! Finds the programs of servers: on this machine, or else in the containers of an engine that is here.
//!
//! In a container a program sees the run's folder at the same path and the machine's own network, so that whoever
//! starts it need not know.

use std::fmt::{self, Write as _};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use nix::unistd::User;

use crate::prove::probe::surroundings::client_variables;
use crate::prove::untested::Untested;

/// The images that have a program; the same that a rendered service's compose names.
const IMAGES: [(&str, &[&str]); 3] = [
    ("postgres:18", &["initdb", "postgres", "psql"]),
    ("mysql:9", &["mysqld", "mysql", "mysqldump"]),
    ("redis:8", &["redis-server"]),
];
/// The folder of the stand-ins, in the run's.
const STAND_INS: &str = "programs";
/// What all stand-ins do.
const STAND_IN: &str = include_str!("stand-in.sh");
/// Tells a stand-in whom to run as.
const USER: &str = "DOZEN_USER";

/// Whom a server runs as: most refuse to run as root.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The first of the users that this machine has; nobody else than ourselves unless we are root.
    pub fn find(names: &[&str]) -> Result<Option<Self>> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(None);
        }
        for name in names {
            if let Some(user) = User::from_name(name).context("read the users")? {
                return Ok(Some(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() }));
            }
        }
        bail!("root may not run it, and this machine has none of the users {names:?}")
    }

    pub fn own(account: Option<Self>, folder: &Path) -> Result<()> {
        if let Some(Self { uid, gid }) = account {
            std::os::unix::fs::chown(folder, Some(uid), Some(gid)).context("give a folder away")?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    is_contained: bool,
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name())
    }
}

impl Program {
    /// Finds one of these on PATH, where distributions hide it, or in an image; `folder` lies in the run's folder.
    pub fn find(
        names: &[&str],
        folder: &Path,
        needs: &'static str,
        remedy: &'static str,
    ) -> Result<Self> {
        let places = places(names);
        let local = names.iter().flat_map(|name| places.iter().map(move |place| place.join(name)));
        if let Some(path) = local.into_iter().find(|path| path.is_file()) {
            return Ok(Self { path, is_contained: false });
        }
        let imaged = names.iter().find_map(|name| {
            let (image, _) = IMAGES.iter().find(|(_, programs)| programs.contains(name))?;
            Some((*name, *image))
        });
        match imaged {
            Some((name, image)) if has_engine() => {
                Ok(Self { path: stand_in(folder, name, image)?, is_contained: true })
            }
            _ => Err(Untested::Missing { what: needs, remedy }.into()),
        }
    }

    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    #[must_use]
    pub fn command(&self) -> Command {
        Command::new(&self.path)
    }

    /// Has a command of it run as somebody else.
    pub fn run_as(&self, account: Option<Account>, command: &mut Command) {
        let Some(Account { uid, gid }) = account else {
            return;
        };
        if self.is_contained {
            // Only we may talk to the engine.
            command.env(USER, format!("{uid}:{gid}"));
        } else {
            command.uid(uid).gid(gid);
        }
    }

    /// The container in which the server of that data folder runs, if it does.
    #[must_use]
    pub fn container(&self, folder: &Path) -> Option<String> {
        let run = folder.parent()?.file_name()?.to_string_lossy().into_owned();
        let name = folder.file_name()?.to_string_lossy().into_owned();
        self.is_contained.then(|| format!("{run}-{name}"))
    }
}

/// The folders that may have one of these programs, the likeliest first.
fn places(names: &[&str]) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    places.push("/usr/sbin".into());
    places.push("/usr/local/sbin".into());
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<PathBuf> = versions.flatten().map(|v| v.path().join("bin")).collect();
        versions.sort();
        places.extend(versions.into_iter().rev());
    }
    // A client from beside its server: Debian's psql on PATH is a script that looks for that one, at each call.
    let (_, siblings) = IMAGES
        .into_iter()
        .find(|(_, programs)| names.iter().any(|name| programs.contains(name)))
        .unwrap_or_default();
    places.sort_by_key(|place| !siblings.iter().all(|name| place.join(name).is_file()));
    places
}

fn has_engine() -> bool {
    Command::new("docker").arg("info").output().is_ok_and(|output| output.status.success())
}

/// Writes a program that runs another in a container.
fn stand_in(folder: &Path, name: &str, image: &str) -> Result<PathBuf> {
    let run = folder.parent().context("a folder in the run's")?;
    let programs = run.join(STAND_INS);
    fs::create_dir_all(&programs).context("make a folder for stand-ins")?;
    let mut script = String::from("#!/bin/sh\n");
    let path = std::env::var_os("PATH").unwrap_or_default();
    for (name, value) in client_variables().chain([("PATH", path)]) {
        let value = value.to_string_lossy().into_owned();
        let _ = writeln!(script, "export {name}={}", shell_words::quote(&value));
    }
    for (name, value) in
        [("run", run.to_string_lossy().as_ref()), ("program", name), ("image", image)]
    {
        let _ = writeln!(script, "{name}={}", shell_words::quote(value));
    }
    script.push_str(STAND_IN);
    let path = programs.join(name);
    fs::write(&path, script).context("write a stand-in")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).context("write a stand-in")?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::question::Question;

    #[test]
    fn the_images_are_those_that_are_rendered() {
        let options = Question::options().unwrap();
        let database = options.iter().find(|option| option.key == "database").unwrap();
        for choice in &database.choices {
            let image = choice.facts["image"].as_str().unwrap();
            assert!(IMAGES.iter().any(|(known, _)| *known == image), "{image}");
        }
    }
}
