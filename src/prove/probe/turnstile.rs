//! Owns the pace: only as many processes boot at once as there are cores, so that no boot is slowed by ours.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use std::time::Duration;

/// Nobody waits longer: a trial that boots two processes at once must not block one that does the same.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct Turnstile {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Turnstile {
    pub fn new() -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self { free: Mutex::new(cores), freed: Condvar::new() })
    }

    /// Waits for a place; without one, goes in all the same after a while.
    pub fn enter(self: &Arc<Self>) -> Option<Pass> {
        let mut free = self.free.lock();
        let waited = self.freed.wait_while_for(&mut free, |free| *free == 0, PATIENCE);
        if waited.timed_out() {
            return None;
        }
        *free -= 1;
        Some(Pass(Arc::clone(self)))
    }
}

/// A place, given back when dropped: once the process is up, or gone.
#[derive(Debug)]
pub struct Pass(Arc<Turnstile>);

impl Drop for Pass {
    fn drop(&mut self) {
        *self.0.free.lock() += 1;
        self.0.freed.notify_one();
    }
}
