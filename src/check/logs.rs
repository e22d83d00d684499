//! Logs: an event stream on stdout, and nothing of files.

use std::sync::LazyLock;

use regex::Regex;

use super::case::{Case, Judgement};
use super::document::Node;
use super::facts::compose::{engine, is_compose_name, is_foreign_image};
use super::facts::run::Run;
use super::finding::{Mark, Place, Severity, Verdict};
use super::lines::numbered;
use super::unknown;
use crate::error::Result;
use crate::factor::Factor;

/// A handler of Python's logging that writes a file, in a configuration file.
static FILE_HANDLER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(logging\.)?(handlers\.)?\w*FileHandler$").ok());

pub fn prepare(case: &mut Case<'_>) -> Result<()> {
    read_configurations(case)?;
    read_managers(case)?;
    read_volumes(case)?;
    // A file beside the stream: the stream is there, and so is the file.
    if case.has("logs-to-stream") && !case.has("console-in-development") {
        let sources = case.sources;
        let written = |mark: &&mut Mark<'_>| mark.rule.id == "log-file";
        for mark in case.marks.iter_mut().filter(written) {
            let text = sources.get(&mark.place.path).map_or("", |source| source.text.as_str());
            if is_conditional(text, mark.place.line) {
                mark.severity = Severity::Risk;
            }
        }
        case.weigh("log-file-configured", Severity::Risk);
    }
    // Django's own default shows its events on the console only while DEBUG is on.
    if case.facts.declares(&["django"]) && !case.has("django-configures-logging") {
        let places: Vec<Place> =
            case.by("django-debug-variable").map(|mark| mark.place.clone()).collect();
        for place in places {
            case.mark("django-logs-nowhere", place, "")?;
        }
        for place in find_silent_servers(case) {
            case.mark("no-access-log", place, "")?;
        }
    }
    Ok(())
}

/// Whether a line stands in a branch: what only some deploys do.
fn is_conditional(text: &str, line: usize) -> bool {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = text.lines().take(line).collect();
    let Some((own, before)) = lines.split_last() else { return false };
    let mut depth = indent(own);
    for line in before.iter().rev().filter(|line| !line.trim().is_empty()) {
        if indent(line) >= depth {
            continue;
        }
        depth = indent(line);
        let head = line.trim_start().trim_start_matches(['}', ' ']);
        let is_branch = ["if ", "if(", "else", "elif ", "case ", "match ", "switch"]
            .iter()
            .any(|word| head.starts_with(word));
        if is_branch || line.contains("Some(") || line.contains(".map(") || line.contains(" ? ") {
            return true;
        }
    }
    false
}

/// Where Gunicorn is started without its log of requests: beside a Django that says nothing, nobody hears of any.
fn find_silent_servers(case: &Case<'_>) -> Vec<Place> {
    let is_configured = case.sources.iter().any(|(path, source)| {
        path.file_name().contains("gunicorn") && source.text.contains("accesslog")
    });
    let is_told = |text: &str| text.contains("access-log") || text.contains("GUNICORN_CMD_ARGS");
    let is_set = case.facts.settings.iter().any(|setting| setting.name == "GUNICORN_CMD_ARGS");
    if !case.has("django-logs-nowhere") || is_configured || is_set {
        return Vec::new();
    }
    // Before what Elastic Beanstalk starts stands a server that logs.
    let is_behind = |run: &&Run| run.place.path.as_str().contains(".ebextensions/");
    let servers = case.facts.servers().into_iter().filter(|run| !is_behind(run));
    let steps = servers.filter_map(|run| run.steps.last());
    let silent = steps.filter(|step| step.text.contains("gunicorn") && !is_told(&step.text));
    silent.map(|step| step.place.clone()).collect()
}

/// Files that configure a log: Python's logging, log4rs, log4js.
fn read_configurations(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    let Some(handler) = FILE_HANDLER.as_ref() else { return Ok(()) };
    let mut found: Vec<Place> = Vec::new();
    let is_named = |name: &str| name.contains("log") || name.contains("LOG");
    for (path, node) in facts.documents(|path| is_named(path.file_name())) {
        for (keys, line, value) in node.leaves() {
            let is_file = match keys.last() {
                Some(&"class") => handler.is_match(value),
                Some(&("kind" | "type")) => {
                    let is_kind = matches!(value, "file" | "rolling_file" | "dateFile");
                    is_kind && keys.contains(&"appenders")
                }
                _ => false,
            };
            found.extend(is_file.then(|| Place::line(path.clone(), line)));
        }
    }
    for place in found {
        case.mark("log-file-configured", place, "")?;
    }
    Ok(())
}

/// What Python's logging, supervisor and uWSGI are told to write.
fn read_managers(case: &mut Case<'_>) -> Result<()> {
    let Some(handler) = FILE_HANDLER.as_ref() else { return Ok(()) };
    let is_file = |name: &str| [".conf", ".ini", ".cfg"].iter().any(|end| name.ends_with(end));
    let mut found: Vec<(Place, &str)> = Vec::new();
    for (path, source) in case.sources.named(is_file) {
        let (rule, keys): (_, &[&str]) = if source.text.contains("[program:") {
            ("manager-log-file", &["stdout_logfile", "stderr_logfile"])
        } else if source.text.contains("[uwsgi]") {
            ("manager-log-file", &["logto", "logto2", "daemonize", "logger", "req-logger"])
        } else if source.text.contains("[handler_") {
            ("log-file-configured", &["class"])
        } else {
            continue;
        };
        for (number, line) in numbered(&source.text) {
            let Some((key, value)) = line.split_once('=') else { continue };
            let value = value.split(" ;").next().unwrap_or_default().trim();
            let is_path =
                value.contains('/') && !value.contains("/dev/") && !value.contains("/proc/");
            if keys.contains(&key.trim()) && (is_path || handler.is_match(value)) {
                found.push((Place::line(path.clone(), number), rule));
            }
        }
    }
    for (place, rule) in found {
        case.mark(rule, place, "")?;
    }
    Ok(())
}

/// Folders of the service's own that compose keeps log files of.
fn read_volumes(case: &mut Case<'_>) -> Result<()> {
    let facts = case.facts;
    let mut found: Vec<(Place, String)> = Vec::new();
    for (path, node) in facts.documents(|path| is_compose_name(path.file_name())) {
        for service in node.at(&["services"]).map(Node::entries).unwrap_or_default() {
            let image = service.value.text_at(&["image"]).unwrap_or_default();
            let builds = service.value.get("build").is_some();
            if !builds && (image.is_empty() || is_foreign_image(image)) || engine(image).is_some() {
                continue;
            }
            for volume in service.value.at(&["volumes"]).map(Node::items).unwrap_or_default() {
                let target = match volume.text() {
                    Some(text) => text.split(':').nth(1),
                    None => volume.text_at(&["target"]),
                };
                let target = target.unwrap_or_default();
                let is_log = target.split('/').any(|part| matches!(part, "log" | "logs"));
                let is_others = target.contains("nginx") || service.key.contains("nginx");
                if is_log && !is_others {
                    found.push((Place::line(path.clone(), volume.line), service.key.clone()));
                }
            }
        }
    }
    // Nothing may be written there: a volume alone tells of a habit, and beside a log file of what is done.
    let is_broken = case.is_broken(Factor::Logs);
    let severity = if is_broken { Severity::Risk } else { Severity::Info };
    for (place, name) in found {
        case.mark_as("log-volume", severity, place, &name)?;
    }
    Ok(())
}

pub fn otherwise(case: &Case<'_>) -> Judgement {
    if case.facts.reach.served().next().is_some() {
        return Judgement::new(Verdict::Met, "nothing writes or routes a log file");
    }
    unknown("no source is run as a service")
}
