//! Maps a result to an exit code.

#![expect(clippy::disallowed_methods, reason = "the home of the exit code")]

use std::process;

use clap::Parser;
use dozen::cli::Cli;
use dozen::commands;
use dozen::ui::Ui;

fn main() {
    let ui = Ui::new();
    let code = match commands::run(Cli::parse(), &ui) {
        Ok(code) => code,
        Err(error) => ui.fail(&error),
    };
    process::exit(code as i32);
}
