//! Adds a service to a compose file that runs once and ends, before the one that serves is started.

use crate::check::document::{self, Node as Read};
use crate::check::facts::compose::{engine, is_foreign_image};
use crate::merge::text::{self, Insert};
use crate::merge::tree::{Layout, Node};
use crate::merge::{self, Format};

/// How the service is called.
const NAME: &str = "migrate";
/// What it has of the service that serves: where its code, its configuration and its network come from.
const SHARED: [&str; 20] = [
    "image",
    "build",
    "platform",
    "pull_policy",
    "profiles",
    "user",
    "working_dir",
    "entrypoint",
    "env_file",
    "environment",
    "configs",
    "secrets",
    "volumes",
    "networks",
    "network_mode",
    "links",
    "dns",
    "extra_hosts",
    "read_only",
    "tmpfs",
];
/// How a database is asked whether it takes connections.
const HEALTH: [(&str, &str); 3] = [
    (
        "postgres",
        "[CMD-SHELL, 'pg_isready --quiet --host=127.0.0.1 --username=$${POSTGRES_USER:-postgres}']",
    ),
    ("mysql", "[CMD, mysqladmin, ping, --silent, --host=127.0.0.1]"),
    ("mariadb", "[CMD, healthcheck.sh, --connect, --innodb_initialized]"),
];

/// What runs once: the commands, one after another.
#[derive(Debug, Default)]
pub struct Call {
    pub steps: Vec<String>,
    /// Whether it has to take the place of what the image is entered by.
    pub is_entry: bool,
}

impl Call {
    /// It on one line.
    #[must_use]
    pub fn line(&self) -> String {
        self.steps.join(" && ")
    }

    /// Whether it is words and no more, in any format.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.steps.iter().all(|step| is_plain(step))
    }
}

/// Whether a command is words and no more: it means the same with a shell, without one, and in YAML.
#[must_use]
pub fn is_plain(command: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || " _./:=@,+-".contains(c);
    command.chars().all(is_word)
        && !command.contains(": ")
        && !command.ends_with(':')
        && !command.split(' ').next().is_some_and(|program| program.contains('='))
}

/// The edits that add it before `service`; nothing where the file does not tell how.
#[must_use]
pub fn add(text: &str, service: &str, call: &Call) -> Option<Vec<Insert>> {
    let root = merge::read(Format::Yaml, text).ok()??;
    let read = document::read("compose.yaml", text).ok()?.into_iter().next()?;
    let (services, known) = (root.child("services")?, read.at(&["services"])?);
    let (own, said) = (services.child(service)?, known.at(&[service])?);
    let is_taken = known.entries().iter().any(|entry| entry.key.contains("migrat"));
    let is_shared = own.child("<<").is_some() || own.child("extends").is_some();
    if is_taken || is_shared || !call.is_plain() || !matches!(own.layout, Layout::Block { .. }) {
        return None;
    }
    // An image that somebody else builds may be this one, and start the same.
    let is_other = |it: &Read| {
        let image = it.text_at(&["image"]).filter(|_| it.get("build").is_none());
        image.is_some_and(|image| engine(image).is_none() && !is_foreign_image(image))
    };
    if known.entries().iter().any(|entry| {
        entry.key != service && is_other(&entry.value) && entry.value.get("command").is_none()
    }) {
        return None;
    }

    let waits = list_waits(known, service, said)?;
    let mut addition = format!("services:\n  {NAME}:\n");
    let command = match call.steps.as_slice() {
        [step] if !step.starts_with("cd ") => step.clone(),
        _ => format!("sh -c \"{}\"", call.line()),
    };
    let key = if call.is_entry { "entrypoint" } else { "command" };
    let mut command = Some(format!("    {key}: {command}\n"));
    for child in own.children() {
        let is_entry = child.name == "entrypoint" && call.is_entry;
        let is_restart = child.name == "restart" && text[child.span.clone()].contains("on-failure");
        if is_restart || SHARED.contains(&child.name.as_str()) && !is_entry {
            let lines = &text
                [text::line_start(text, child.key.start)..text::line_end(text, child.span.end)];
            if lines.contains(['&', '<']) || !text::starts_line(text, child.key.start) {
                return None;
            }
            let is_start = matches!(child.name.as_str(), "image" | "build");
            if !is_start {
                addition.extend(command.take());
            }
            addition += &indent(lines, text::indent(text, child.key.start).len());
        }
    }
    addition.extend(command);
    if !waits.is_empty() {
        addition += "    depends_on:\n";
        let wait = |(name, condition): &(String, &str)| {
            format!("      {name}:\n        condition: {condition}\n")
        };
        addition.extend(waits.iter().map(wait));
    }
    for (name, _) in waits.iter().filter(|(_, condition)| *condition == "service_healthy") {
        let database = known.at(&[name])?;
        if database.get("healthcheck").is_none() {
            let (_, probe) = find_health(database)?;
            addition.extend(["  ", name, ":\n    healthcheck:\n      test: ", probe]);
            addition.push_str("\n      interval: 2s\n      retries: 30\n");
        }
    }
    let mut edits = Vec::new();
    match own.child("depends_on") {
        Some(list) if list.is_list() => {
            edits.push(replace_list(text, own, list, said)?);
        }
        _ => {
            addition.extend(["  ", service, ":\n    depends_on:\n      ", NAME]);
            addition.push_str(":\n        condition: service_completed_successfully\n");
        }
    }
    edits.extend(merge::additions(Format::Yaml, text, &addition).ok()?);
    Some(edits)
}

/// What the service waits for, and a database that it needs until that takes connections.
fn list_waits(services: &Read, own: &str, said: &Read) -> Option<Vec<(String, &'static str)>> {
    let conditions = ["service_healthy", "service_started", "service_completed_successfully"];
    let mut waits = Vec::new();
    if let Some(depends) = said.at(&["depends_on"]) {
        for item in depends.items() {
            waits.push((item.text()?.to_owned(), "service_started"));
        }
        for entry in depends.entries() {
            let condition = entry.value.text_at(&["condition"]).unwrap_or("service_started");
            let known = conditions.iter().find(|known| **known == condition)?;
            waits.push((entry.key.clone(), *known));
        }
    } else {
        let others = services.entries().iter().filter(|entry| entry.key != own);
        let databases: Vec<_> =
            others.filter(|entry| find_health(&entry.value).is_some()).collect();
        if let [database] = databases.as_slice() {
            waits.push((database.key.clone(), "service_started"));
        }
    }
    for (name, condition) in &mut waits {
        let is_database = services.at(&[name]).is_some_and(|it| find_health(it).is_some());
        if is_database && *condition == "service_started" {
            *condition = "service_healthy";
        }
    }
    Some(waits)
}

fn find_health(service: &Read) -> Option<&'static (&'static str, &'static str)> {
    let (engine, _) = engine(service.text_at(&["image"])?)?;
    HEALTH.iter().find(|(known, _)| *known == engine)
}

/// The short list of what a service waits for, written out, with what has to end well.
fn replace_list(text: &str, own: &Node, list: &Node, said: &Read) -> Option<Insert> {
    let span = list.key.end..text::line_end(text, list.span.end);
    let indent = |node: &Node| text::indent(text, node.key.start).len();
    let unit = indent(list).checked_sub(indent(own))?.max(1);
    if text[span.clone()].contains(['#', '&', '*']) {
        return None;
    }
    let mut waits = Vec::new();
    for item in said.at(&["depends_on"])?.items() {
        waits.push((item.text()?, "service_started"));
    }
    waits.push((NAME, "service_completed_successfully"));
    let (outer, inner) = (" ".repeat(indent(list) + unit), " ".repeat(indent(list) + unit * 2));
    let entry = |(name, condition)| format!("{outer}{name}:\n{inner}condition: {condition}\n");
    let entries: String = waits.into_iter().map(entry).collect();
    Some(Insert::replace(&span, format!(":\n{entries}")))
}

/// Lines of an entry, at the depth of the addition's; without comments.
fn indent(lines: &str, depth: usize) -> String {
    let own =
        lines.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty());
    own.flat_map(|line| ["    ", &line[depth.min(line.len())..], "\n"]).collect()
}
