//! Owns waiting: a condition is polled until it holds, nothing sleeps for a fixed time.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::interrupt;
use crate::prove::untested::Untested;

/// For what the contract sets no limit to, but what must come: generous, so that a loaded machine does not fail it.
pub const SOON: Duration = Duration::from_mins(1);

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(80);

/// Looks again and again until there is something to see, or the limit is over.
pub fn wait_for<T>(
    what: impl Display,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begun = Instant::now();
    let mut interval = SHORTEST;
    loop {
        check_interrupt()?;
        if let Some(found) = look()? {
            return Ok(found);
        }
        if begun.elapsed() >= limit {
            bail!("waited {limit:.1?} in vain for {what}");
        }
        thread::sleep(interval);
        // Often at first, for what is quick; the cores are for those who are waited for.
        interval = interval.mul_f32(1.2).min(LONGEST);
    }
}

/// Looks at a condition for the whole span: what must *not* happen can only be seen by staying with it.
pub fn stays<T>(span: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let begun = Instant::now();
    while begun.elapsed() < span {
        check_interrupt()?;
        if let Some(seen) = look()? {
            return Ok(Some(seen));
        }
        thread::sleep(LONGEST);
    }
    Ok(None)
}

/// Whoever waits must not keep the user waiting who wants to stop.
pub fn check_interrupt() -> Result<()> {
    interrupt::check().map_err(|_| Untested::Interrupted.into())
}
