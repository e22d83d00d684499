//! Owns the rendering of projects with the dozen under test.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use dozen::prove::backing::Engine;
use dozen::prove::probe::tether::Tether;

pub const NAME: &str = "my-shop";

/// A repository that stands somewhere, to be tested instead of one that is rendered.
pub fn standing() -> Option<PathBuf> {
    std::env::var_os("DOZEN_CONTRACT_PROJECT").map(PathBuf::from)
}

/// Renders a project: a repository with one commit.
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
