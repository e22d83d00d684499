//! Maps a result to an exit code.

#![expect(clippy::disallowed_methods, reason = "the home of the exit code")]

use std::process;

use clap::Parser;
use dozen::cli::Cli;
use dozen::commands;
use dozen::ui::Ui;
use mimalloc::MiMalloc;

/// `check` keeps the text of every file: the system's own takes a tenth of its time to find room for them.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    let ui = Ui::new();
    let code = match commands::run(Cli::parse(), &ui) {
        Ok(code) => code,
        Err(error) => ui.fail(&error),
    };
    process::exit(code as i32);
}
