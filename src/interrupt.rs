//! Ctrl-C: remembered, and asked for between two steps, so that no step ends half done.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From here on Ctrl-C and SIGTERM no longer end the process by themselves.
pub fn listen() {
    // A second registration is refused; the first one goes on serving.
    let _ = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::SeqCst));
}

/// # Errors
/// [`Error::Interrupted`], if the user has asked to stop.
pub fn check() -> Result<()> {
    if INTERRUPTED.load(Ordering::SeqCst) {
        return Err(Error::Interrupted);
    }
    Ok(())
}
