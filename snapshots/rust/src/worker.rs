//! The worker process.

use std::process::ExitCode;

use tracing::{info, warn};

use crate::features::JOBS;
use crate::services::Services;
use crate::settings::Settings;
use crate::shutdown::Shutdown;

pub async fn work(settings: &Settings) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::on_signal(settings)?;
    let services = Services::open(settings).await?;
    info!(release = settings.release, "worker started");
    services.jobs.work(JOBS, services.clone(), &shutdown).await;
    if shutdown.deadline.is_cancelled() {
        warn!("worker stopped at the deadline");
    } else {
        services.close().await?;
        info!("worker stopped");
    }
    Ok(ExitCode::SUCCESS)
}
