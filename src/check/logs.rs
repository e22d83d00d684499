//! Logs: an event stream on stdout, and nothing of files.

use super::case::{Case, Judgement};
use super::finding::{Severity, Verdict};
use super::unknown;

pub fn prepare(case: &mut Case<'_>) {
    // A file beside the stream: the stream is there, and so is the file.
    if case.has("logs-to-stream") {
        case.weigh("log-file", Severity::Risk);
    }
}

pub fn otherwise(case: &Case<'_>) -> Judgement {
    if case.facts.reach.served().next().is_some() {
        return Judgement::new(Verdict::Met, "nothing writes or routes a log file");
    }
    unknown("no source is run as a service")
}
