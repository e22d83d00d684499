//! Sorts what processes wrote into their own tree: a log, a PID file, or something else. Each is another factor's.

use anyhow::{Result, bail};

use super::case::Case;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Log,
    Pid,
    Other,
}

impl Kind {
    fn of(change: &str) -> Self {
        let path = change.rsplit_once(' ').map_or(change, |(path, _)| path).to_lowercase();
        let name = path.rsplit('/').next().unwrap_or_default();
        if name.rsplit('.').next() == Some("pid") {
            Self::Pid
        } else if name.contains(".log")
            || path.split('/').any(|part| ["log", "logs"].contains(&part))
        {
            Self::Log
        } else {
            Self::Other
        }
    }
}

/// Fails where any process of the run left something of that kind.
pub fn expect_none(case: &Case, kind: Kind) -> Result<()> {
    let mut changes = case.setting.changed_files()?;
    changes.retain(|change| Kind::of(change) == kind);
    if !changes.is_empty() {
        bail!("running wrote into the service's own tree:\n{}", changes.join("\n"));
    }
    Ok(())
}
