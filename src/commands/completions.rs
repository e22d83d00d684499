//! `dozen completions`: a script for a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::error::{ExitCode, Result};
use crate::ui::Ui;

pub fn run(shell: Shell, ui: &Ui) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "dozen", &mut script);
    ui.text(String::from_utf8_lossy(&script))?;
    Ok(ExitCode::Done)
}
