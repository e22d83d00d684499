//! The commands: one for each process of the Procfile, and the one-off tasks.

use std::process::ExitCode;

use clap::Command;
use tokio::runtime::Builder;
use tracing::error;

use crate::NAME;
use crate::features::TASKS;
use crate::logs;
use crate::migrate::migrate;
use crate::server::serve;
use crate::services::Services;
use crate::settings::Settings;
use crate::shutdown::terminated;
use crate::worker::work;

pub fn main() -> ExitCode {
    let matches = parser().get_matches();
    let command = matches.subcommand_name().unwrap_or_default();

    let settings = match Settings::load() {
        Ok(settings) => settings,
        Err(invalid) => {
            logs::refuse(&invalid);
            return ExitCode::FAILURE;
        }
    };
    logs::init(settings.log_level);

    run(command, &settings).unwrap_or_else(|error| {
        error!(command, %error, "command failed");
        ExitCode::FAILURE
    })
}

fn parser() -> Command {
    Command::new(NAME)
        .about(env!("CARGO_PKG_DESCRIPTION"))
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("web").about("Serves HTTP"))
        .subcommand(Command::new("worker").about("Does jobs"))
        .subcommand(Command::new("migrate").about("Brings the schema up to date"))
        .subcommands(TASKS.iter().map(|task| Command::new(task.name).about(task.about)))
}

fn run(command: &str, settings: &Settings) -> anyhow::Result<ExitCode> {
    let threads = if command == "web" { settings.web_concurrency } else { 1 };
    let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let result = runtime.block_on(async {
        match command {
            "web" => serve(settings).await,
            "worker" => work(settings).await,
            "migrate" => to_its_end(Box::pin(migrate(settings))).await,
            task => to_its_end(Box::pin(run_task(task, settings))).await,
        }
    });
    // What was cut off at the deadline may wait in a thread that blocks.
    runtime.shutdown_background();
    result
}

async fn run_task(name: &str, settings: &Settings) -> anyhow::Result<()> {
    let services = Services::open(settings).await?;
    for task in TASKS.iter().filter(|task| task.name == name) {
        (task.run)(services.clone()).await?;
    }
    services.close().await?;
    Ok(())
}

/// A signal ends at once what nobody waits for an answer of; it did not finish, so it has failed.
async fn to_its_end(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    tokio::select! {
        result = command => result.map(|()| ExitCode::SUCCESS),
        signal = terminated()? => Ok(ExitCode::from(128 + signal)),
    }
}
