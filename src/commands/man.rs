//! `dozen man`: the manual pages.

use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::error::{Error, ExitCode, Result};
use crate::ui::Ui;

pub fn run(verb: Option<&str>, ui: &Ui) -> Result<ExitCode> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let page = match verb {
        None => Man::new(command),
        Some(verb) => {
            let known =
                command.get_subcommands().map(|known| known.get_name().to_owned()).collect();
            let found = command.get_subcommands().find(|known| known.get_name() == verb);
            let found =
                found.ok_or_else(|| Error::UnknownVerb { given: verb.to_owned(), known })?;
            Man::new(found.clone().display_name(format!("dozen-{verb}")))
        }
    };
    let mut text = Vec::new();
    page.render(&mut text)?;
    ui.text(String::from_utf8_lossy(&text))?;
    Ok(ExitCode::Done)
}
