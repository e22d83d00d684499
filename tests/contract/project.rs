//! Owns a rendered project: where it comes from, its clean clone, its install, its processes and tasks.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::backing::Engine;
use crate::stack::Stack;
use crate::tether::Tether;
use crate::tool::{Caches, Toolbox, path_with};
use crate::tree;

pub const NAME: &str = "my-shop";

/// cargo compiles all clones into one folder: two at once would take each other's program away.
static COMPILING: Mutex<()> = Mutex::new(());

/// Where the projects of this run come from.
pub enum Source {
    /// A repository that stands somewhere, the same for every database.
    Standing(PathBuf),
    /// `dozen new`, once for every database.
    Rendered,
}

impl Source {
    pub fn find() -> Self {
        std::env::var_os("DOZEN_CONTRACT_PROJECT")
            .map_or(Self::Rendered, |path| Self::Standing(path.into()))
    }

    /// A clean clone of the project, in a folder of its own.
    pub fn clone_project(
        &self,
        tether: &Arc<Tether>,
        stack: &Stack,
        engine: Engine,
    ) -> Result<PathBuf> {
        let original = match self {
            Self::Standing(path) => path.clone(),
            Self::Rendered => render(tether, NAME, &stack.name, engine)?,
        };
        let folder = tether.fresh_folder("clone")?.join(NAME);
        clone(&committed(tether, &original)?, &folder)?;
        Ok(folder)
    }
}

/// Renders a project with the dozen under test.
pub fn render(tether: &Tether, name: &str, stack: &str, database: Engine) -> Result<PathBuf> {
    render_with(tether, name, stack, database, &[])
}

pub fn render_with(
    tether: &Tether,
    name: &str,
    stack: &str,
    database: Engine,
    options: &[&str],
) -> Result<PathBuf> {
    let folder = tether.fresh_folder("rendered")?;
    let output = Command::new(env!("CARGO_BIN_EXE_dozen"))
        .args(["new", name, "--stack", stack, "--database", database.slug()])
        .args(options)
        .args(["--yes", "--into"])
        .arg(&folder)
        .current_dir(&folder)
        .output()
        .context("run dozen new")?;
    if !output.status.success() {
        bail!(
            "dozen new failed with {}:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(folder)
}

/// The project as a repository with a commit: as it stands if it is one, else a copy that is committed.
fn committed(tether: &Tether, original: &Path) -> Result<PathBuf> {
    if original.join(".git").exists() && git(original, &["rev-parse", "HEAD"]).is_ok() {
        return Ok(original.to_owned());
    }
    let copy = tether.fresh_folder("committed")?;
    let copied = Command::new("cp").args(["-a", "-T"]).args([original, &copy]).status()?;
    if !copied.success() {
        bail!("copying {} failed", original.display());
    }
    git(&copy, &["init", "--quiet"])?;
    git(&copy, &["add", "--all"])?;
    git(&copy, &["commit", "--quiet", "--message", "Begin"])?;
    Ok(copy)
}

pub fn clone(original: &Path, folder: &Path) -> Result<()> {
    let parent = folder.parent().context("a folder with a parent")?;
    let from = format!("file://{}", original.display());
    let to = folder.display().to_string();
    git(parent, &["clone", "--quiet", &from, &to]).map(|_| ())
}

/// Runs git as nobody in particular, whatever this machine's user has configured.
pub fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "-c", "commit.gpgsign=false"])
        .args(["-c", "core.hooksPath=/dev/null"])
        .args(["-c", "user.name=contract", "-c", "user.email=contract@localhost"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        // `git clone` starts another git, to which `-c` does not reach but this does.
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .output()
        .context("run git")?;
    if !output.status.success() {
        bail!("git {} failed:\n{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A clone, installed and built.
#[derive(Debug)]
pub struct Project {
    pub folder: PathBuf,
    /// The value of PATH for its processes.
    pub path: String,
    pub processes: BTreeMap<String, String>,
    pub tasks: BTreeMap<String, String>,
}

impl Project {
    /// Installs and builds what stands in a folder.
    pub fn install(toolbox: &Toolbox, stack: &Stack, folder: PathBuf) -> Result<Self> {
        let compiling = compile_alone(stack, &folder)?;
        toolbox.run(&stack.commands.install, &folder)?.expect_success()?;
        if let Some(build) = &stack.commands.build {
            toolbox.sharing().run(build, &folder)?.expect_success()?;
        }
        if compiling.is_some() {
            take_programs(&toolbox.caches, stack, &folder)?;
        }
        drop(compiling);
        Ok(Self {
            path: path_with(&folder.join(&stack.bin))?,
            processes: read_procfile(&folder)?,
            tasks: read_tasks(&folder)?,
            folder,
        })
    }

    /// Another clone of the same commit.
    pub fn clone_into(&self, tether: &Tether) -> Result<PathBuf> {
        let folder = tether.fresh_folder("clone")?.join(NAME);
        clone(&self.folder, &folder)?;
        Ok(folder)
    }

    /// The files that git tracks, relative to the project.
    pub fn tracked(&self) -> Result<Vec<String>> {
        let listed = git(&self.folder, &["ls-files", "-z"])?;
        Ok(listed.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// The text of a tracked file; nothing if it is missing or no text.
    pub fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.join(name)).ok()
    }
}

/// Keeps other clones of a compiled stack from compiling, or from testing what they compiled, at the same time.
///
/// To cargo all clones are one package, and what another of them compiled after this one's files were written is
/// up to date: so they are written now.
pub fn compile_alone(stack: &Stack, folder: &Path) -> Result<Option<MutexGuard<'static, ()>>> {
    if !stack.bin.starts_with("target/") {
        return Ok(None);
    }
    // Another trial's panic while it compiled is that trial's failure.
    let alone = COMPILING.lock().unwrap_or_else(PoisonError::into_inner);
    let now = SystemTime::now();
    for path in tree::files(folder, &["target".to_owned(), ".git".to_owned()]) {
        File::open(&path)
            .and_then(|file| file.set_modified(now))
            .with_context(|| format!("touch {}", path.display()))?;
    }
    Ok(Some(alone))
}

/// Copies what cargo compiled into the shared folder to where the clone's own build would have put it.
fn take_programs(caches: &Caches, stack: &Stack, folder: &Path) -> Result<()> {
    let from = caches.compiled().join(stack.bin.trim_start_matches("target/"));
    let to = folder.join(&stack.bin);
    std::fs::create_dir_all(&to)?;
    for entry in std::fs::read_dir(&from).with_context(|| format!("list {}", from.display()))? {
        let path = entry?.path();
        // Programs have no extension; libraries and dependency files do.
        if path.is_file() && path.extension().is_none() {
            std::fs::copy(&path, to.join(path.file_name().context("a name")?))?;
        }
    }
    Ok(())
}

fn read_procfile(folder: &Path) -> Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(folder.join("Procfile")).context("read the Procfile")?;
    Ok(text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once(':'))
        .map(|(name, line)| (name.trim().to_owned(), line.trim().to_owned()))
        .collect())
}

#[derive(Debug, Default, Deserialize)]
struct Dozen {
    #[serde(default)]
    tasks: BTreeMap<String, String>,
}

/// The tasks of `dozen.toml`.
fn read_tasks(folder: &Path) -> Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(folder.join("dozen.toml")).context("read dozen.toml")?;
    Ok(toml::from_str::<Dozen>(&text).context("understand dozen.toml")?.tasks)
}
