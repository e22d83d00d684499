//! The web process.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tracing::{error, warn};

use crate::services::Services;
use crate::settings::Settings;
use crate::shutdown::Shutdown;
use crate::web::{App, router};

pub async fn serve(settings: &Settings) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::on_signal(settings)?;
    let listener = match listen(settings.port).await {
        Ok(listener) => listener,
        Err(error) => {
            error!(port = settings.port, %error, "cannot listen");
            return Ok(ExitCode::FAILURE);
        }
    };
    // Else answers wait for Nagle's timer.
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    let services = Services::open(settings).await?;
    let app = App::new(services.clone(), settings, shutdown.clone());
    let drained = axum::serve(listener, router(app))
        .with_graceful_shutdown(shutdown.drain.clone().cancelled_owned());
    tokio::select! {
        result = drained => {
            result?;
            services.close().await?;
        }
        () = shutdown.deadline.cancelled() => warn!("web stopped at the deadline"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn listen(port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        // Some systems have no IPv6.
        Err(error) if error.kind() != ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
        }
        result => result,
    }
}
