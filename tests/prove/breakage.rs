//! The breakages of the small service: data in `broken/<factor>.toml`, and what each makes of the service's files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prove");

/// Texts by their path below the service's root.
pub type Files = BTreeMap<PathBuf, String>;

/// A way to break the service, as real ones are broken.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breakage {
    pub name: String,
    /// In one sentence.
    pub how: String,
    /// A file, what stands there (once), and what comes in its place.
    #[serde(default)]
    pub edits: Vec<(PathBuf, String, String)>,
    /// Tracked by git, ignored or not.
    #[serde(default)]
    pub files: Files,
    /// Files that an earlier commit has, and the last one has not.
    #[serde(default)]
    pub before: Files,
    #[serde(default)]
    pub remove: Vec<PathBuf>,
    #[serde(default)]
    pub others: Others,
    /// The factor that `check` holds it against, where that is another one.
    pub checked_as: Option<String>,
    /// Why no reader of the text can know of it, where that is so.
    pub invisible: Option<String>,
}

/// What becomes of the other eleven factors.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Others {
    #[default]
    #[serde(rename = "are proven")]
    Proven,
    /// Nothing can be said of a program that is nowhere to be reached.
    #[serde(rename = "may be untested")]
    MaybeUntested,
}

#[derive(Debug, Deserialize)]
struct Factor {
    breakage: Vec<Breakage>,
}

impl Breakage {
    /// Breaks the service.
    pub fn apply(&self, service: &mut Files) -> Result<()> {
        for (name, old, new) in &self.edits {
            let text = service.get_mut(name).with_context(|| name.display().to_string())?;
            let found = text.matches(old.as_str()).count();
            ensure!(found == 1, "{} has {found} times, not once:\n{old}", name.display());
            *text = text.replace(old.as_str(), new);
        }
        service.extend(self.files.clone());
        for name in &self.remove {
            service.remove(name).with_context(|| name.display().to_string())?;
        }
        Ok(())
    }
}

/// Every breakage, with the slug of the factor that it breaks.
pub fn breakages() -> Result<Vec<(Arc<str>, Breakage)>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(Path::new(HERE).join("broken"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let factor: Factor = toml::from_str(&text).with_context(|| file.display().to_string())?;
        let slug: Arc<str> = file.file_stem().unwrap_or_default().to_string_lossy().into();
        all.extend(factor.breakage.into_iter().map(|breakage| (Arc::clone(&slug), breakage)));
    }
    Ok(all)
}

/// What git would track of the service, whatever its runs in place have left there.
pub fn service() -> Result<Files> {
    let root = Path::new(HERE).join("service");
    let mut files = Files::new();
    collect(&root, &root, &mut files)?;
    Ok(files)
}

fn collect(root: &Path, folder: &Path, files: &mut Files) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if name == ".venv" || name == "__pycache__" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(root, &path, files)?;
        } else {
            let text =
                std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            files.insert(path.strip_prefix(root)?.to_owned(), text);
        }
    }
    Ok(())
}
