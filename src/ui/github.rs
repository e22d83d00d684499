//! A report of `check` as annotations of GitHub Actions.

use std::fmt::Write;

use super::check::CheckReport;
use crate::check::finding::Severity;

impl CheckReport<'_> {
    /// A line for each finding, which GitHub shows beside the code.
    #[must_use]
    pub fn github(&self) -> String {
        let mut out = String::new();
        for found in &self.report.findings {
            let level = match found.severity {
                Severity::Violation => "error",
                Severity::Risk => "warning",
                Severity::Info => "notice",
            };
            let title = format!("{}: {}", found.factor, found.rule);
            let text = format!("{}\n{}\n{}", found.message, found.why, found.fix);
            let _ = writeln!(
                out,
                "::{level} file={},line={},col={},title={}::{}",
                property(found.place.path.as_str()),
                found.place.line,
                found.place.column,
                property(&title),
                data(text.trim_end()),
            );
        }
        for unread in &self.report.unread {
            let _ = writeln!(
                out,
                "::notice file={}::Not read: {}",
                property(&unread.path),
                data(&unread.reason)
            );
        }
        out
    }
}

/// The text of a command's message.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
