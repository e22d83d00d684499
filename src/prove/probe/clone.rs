//! Owns a service's code: its clean clone, its install, what git tracks of it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use parking_lot::{Mutex, MutexGuard};

use super::diary;
use super::snapshot;
use super::surroundings::build_image;
use super::tether::Tether;
use super::tool::{Caches, Toolbox, path_with};
use super::variables::Variables;
use crate::prove::subject::Subject;

/// cargo compiles all clones into one folder: two at once would take each other's program away.
static COMPILING: Mutex<()> = Mutex::new(());

/// A clean clone of what is committed at `root`, which may be a folder inside a repository; a folder that is no
/// repository is committed in a copy first.
pub fn clone_clean(tether: &Tether, root: &Path, name: &str) -> Result<PathBuf> {
    let (original, inside) = if is_repository(root) {
        let inside = git(root, &["rev-parse", "--show-prefix"])?.trim().to_owned();
        (PathBuf::from(git(root, &["rev-parse", "--show-toplevel"])?.trim()), inside)
    } else {
        (commit_copy(tether, root)?, String::new())
    };
    let folder = tether.fresh_folder("clone")?.join(name);
    clone(&original, &folder)?;
    Ok(folder.join(inside.trim_end_matches('/')))
}

/// Whether the last commit of a repository has the folder.
#[must_use]
pub fn is_repository(root: &Path) -> bool {
    git(root, &["rev-parse", "--verify", "HEAD:./"]).is_ok()
}

fn commit_copy(tether: &Tether, original: &Path) -> Result<PathBuf> {
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
    diary::note(format!("git clone {}", original.display()));
    git(parent, &["clone", "--quiet", &from, &to]).map(|_| ())
}

/// Runs git as nobody in particular, whatever this machine's user has configured.
pub fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "-c", "commit.gpgsign=false"])
        .args(["-c", "core.hooksPath=/dev/null"])
        .args(["-c", "user.name=dozen", "-c", "user.email=dozen@localhost"])
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
    /// The image that was built of it, where that runs instead.
    pub image: Option<String>,
}

impl Project {
    /// Installs and builds what stands in a folder.
    pub fn install(toolbox: &Toolbox, subject: &Subject, folder: PathBuf) -> Result<Self> {
        Self::install_with(toolbox, subject, folder, &Variables::default())
    }

    /// The same with variables of the app, which no build should need.
    pub fn install_with(
        toolbox: &Toolbox,
        subject: &Subject,
        folder: PathBuf,
        variables: &Variables,
    ) -> Result<Self> {
        if subject.in_image {
            let image = format!("dozen-prove/{}", subject.slug());
            diary::note(format!("docker build --tag {image} ."));
            build_image(&folder, &image)?;
            let path = std::env::var("PATH").context("PATH")?;
            return Ok(Self { path, folder, image: Some(image) });
        }
        let bin = subject.bin.as_deref().unwrap_or(".");
        let compiling = compile_alone(bin, &folder)?;
        for (number, line) in subject.build.iter().enumerate() {
            diary::note(line);
            // cargo would compile anew whatever it downloaded to another place.
            let shared = toolbox.sharing();
            let tools = if number == 0 { toolbox } else { &shared };
            tools.run_with(line, &folder, Some(&folder.join(bin)), variables)?.expect_success()?;
        }
        if compiling.is_some() {
            take_programs(&toolbox.caches, bin, &folder)?;
        }
        drop(compiling);
        Ok(Self { path: path_with(&folder.join(bin))?, folder, image: None })
    }

    /// The files that git tracks, relative to the project.
    pub fn tracked(&self) -> Result<Vec<String>> {
        let listed = git(&self.folder, &["ls-files", "-z"])?;
        Ok(listed.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// The text of a tracked file; nothing if it is missing or no text.
    #[must_use]
    pub fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.join(name)).ok()
    }
}

/// Keeps other clones of a compiled stack from compiling, or from testing what they compiled, at the same time.
///
/// To cargo all clones are one package, and what another of them compiled after this one's files were written is
/// up to date: so they are written now.
pub fn compile_alone(bin: &str, folder: &Path) -> Result<Option<MutexGuard<'static, ()>>> {
    if !bin.starts_with("target/") {
        return Ok(None);
    }
    let alone = COMPILING.lock();
    let now = SystemTime::now();
    for path in snapshot::files(folder, &["target".to_owned(), ".git".to_owned()]) {
        File::open(&path)
            .and_then(|file| file.set_modified(now))
            .with_context(|| format!("touch {}", path.display()))?;
    }
    Ok(Some(alone))
}

/// Copies what cargo compiled into the shared folder to where the clone's own build would have put it.
fn take_programs(caches: &Caches, bin: &str, folder: &Path) -> Result<()> {
    let from = caches.compiled().join(bin.trim_start_matches("target/"));
    let to = folder.join(bin);
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
