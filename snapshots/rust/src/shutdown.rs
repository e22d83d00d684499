//! The end of a process that serves: told to stop, it finishes what it has begun, by a deadline.

use std::io;
use std::process;
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::settings::Settings;

#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Nothing new is begun any more.
    pub drain: CancellationToken,
    /// What still goes on is cut off.
    pub deadline: CancellationToken,
}

impl Shutdown {
    pub fn on_signal(settings: &Settings) -> io::Result<Self> {
        let shutdown = Self::default();
        let signal = terminated()?;
        let (drain_timeout, exit_timeout) = (settings.drain_timeout(), settings.exit_timeout());
        tokio::spawn({
            let shutdown = shutdown.clone();
            async move {
                signal.await;
                shutdown.drain.cancel();
                exit_after(exit_timeout);
                tokio::time::sleep(drain_timeout).await;
                shutdown.deadline.cancel();
            }
        });
        Ok(shutdown)
    }
}

/// Completes at the first SIGTERM or SIGINT from now on, with its number.
pub fn terminated() -> io::Result<impl Future<Output = u8>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => 15,
            _ = interrupt.recv() => 2,
        }
    })
}

/// Exits after the timeout, whatever still runs, blocks or hangs by then.
fn exit_after(timeout: Duration) {
    thread::spawn(move || {
        thread::sleep(timeout);
        process::exit(0);
    });
}
