//! Logs: an event stream on stdout, and nothing of files.

use super::case::{Case, Judgement};
use super::finding::{Place, Severity, Verdict};
use super::unknown;
use crate::error::Result;

pub fn prepare(case: &mut Case<'_>) -> Result<()> {
    // A file beside the stream: the stream is there, and so is the file.
    if case.has("logs-to-stream") {
        case.weigh("log-file", Severity::Risk);
    }
    // Django's own default shows its events on the console only while DEBUG is on.
    if case.facts.declares(&["django"]) && !case.has("django-configures-logging") {
        let places: Vec<Place> =
            case.by("django-debug-variable").map(|mark| mark.place.clone()).collect();
        for place in places {
            case.mark("django-logs-nowhere", place, "")?;
        }
    }
    Ok(())
}

pub fn otherwise(case: &Case<'_>) -> Judgement {
    if case.facts.reach.served().next().is_some() {
        return Judgement::new(Verdict::Met, "nothing writes or routes a log file");
    }
    unknown("no source is run as a service")
}
