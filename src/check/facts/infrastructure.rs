//! What infrastructure as text starts: Azure's Bicep, its templates and Terraform, systemd, Elastic Beanstalk.

use std::sync::LazyLock;

use regex::Regex;

use super::Facts;
use super::run::{Kind, Role, Run, Stage, is_migration, is_server};
use crate::check::document::Node;
use crate::check::finding::Place;
use crate::check::lines::numbered;
use crate::check::sources::Sources;
use crate::tree::RepoPath;

/// How a line names the command that a web app is started by.
static START: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?:^\s*["']?(?:appCommandLine|app_command_line|startup-command|startup_command)["']?\s*[:=]\s*|--startup-file[ =])(?:"([^"]+)"|'([^']+)'|([\w./-]+\.sh|npm (?:run )?[\w:-]+|gunicorn .+)\s*$)"#,
    )
    .ok()
});
/// Elastic Beanstalk's options, and what it runs when it deploys.
static BEANSTALK: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"^\s*["']?(WSGIPath|NodeCommand|command)["']?\s*:\s*["']?(.+?)["']?\s*$"#).ok()
});

/// Reads all of it.
pub fn read(sources: &Sources, facts: &mut Facts) {
    let folder = home(facts);
    let mut runs = Vec::new();
    for (path, source) in sources.iter() {
        let name = path.file_name();
        let (_, end) = name.rsplit_once('.').unwrap_or_default();
        let is_pipeline = super::workflow::is_workflow(path);
        if path.as_str().contains(".ebextensions/") {
            read_beanstalk(path, &source.text, &mut runs);
        } else if end == "service" {
            read_unit(path, &source.text, &mut runs);
        } else if matches!(end, "bicep" | "tf" | "sh") || is_pipeline || is_template(name) {
            read_start(path, &source.text, &mut runs);
        }
    }
    for run in &mut runs {
        run.folder.clone_from(&folder);
        run.stage = Stage::Production;
    }
    if runs.is_empty() {
        read_services(facts, &mut runs);
    }
    facts.runs.extend(runs);
}

/// A template of Azure's in JSON, as it is usually called.
fn is_template(name: &str) -> bool {
    matches!(name, "azuredeploy.json" | "main.json" | "template.json" | "mainTemplate.json")
}

/// The folder that what is deployed stands in: that of the service, where there is one.
fn home(facts: &Facts) -> String {
    let mut serving = facts.apps.iter().filter(|app| app.serves());
    match (serving.next(), serving.next()) {
        (Some(app), None) => app.folder().to_owned(),
        _ => String::new(),
    }
}

/// What azd deploys to a web app whose command nothing names: the platform starts what the manifest does.
fn read_services(facts: &Facts, runs: &mut Vec<Run>) {
    for (path, node) in facts.documents(|path| matches!(path.as_str(), "azure.yaml" | "azure.yml"))
    {
        for service in node.at(&["services"]).map(Node::entries).unwrap_or_default() {
            if service.value.text_at(&["host"]) != Some("appservice") {
                continue;
            }
            let project = service.value.text_at(&["project"]).unwrap_or_default();
            let below = project.trim_start_matches("./").trim_matches(['.', '/']);
            let mut found = run(path, service.line, &service.key, "");
            found.role = Role::Web;
            found.stage = Stage::Production;
            found.folder = if below.is_empty() { String::new() } else { format!("{below}/") };
            runs.push(found);
        }
    }
}

fn run(path: &RepoPath, line: usize, name: &str, command: &str) -> Run {
    Run::new(Kind::Platform, Place::line(path.clone(), line), name, command)
}

fn read_start(path: &RepoPath, text: &str, runs: &mut Vec<Run>) {
    let words = [
        "appCommandLine",
        "app_command_line",
        "startup_command",
        "startup-command",
        "--startup-file",
    ];
    let Some(pattern) = START.as_ref() else { return };
    if !words.iter().any(|word| text.contains(word)) {
        return;
    }
    for (number, line) in numbered(text) {
        let groups = pattern.captures(line);
        let command = groups.and_then(|groups| groups.iter().skip(1).flatten().next());
        let Some(command) = command.map(|found| found.as_str().trim()) else { continue };
        // One that is put together from parameters says nothing.
        if !command.is_empty() && !command.contains(['$', '[']) {
            runs.push(Run { role: Role::Web, ..run(path, number, "web", command) });
        }
    }
}

/// A unit of systemd, where it starts a server.
fn read_unit(path: &RepoPath, text: &str, runs: &mut Vec<Run>) {
    if !text.contains("[Service]") {
        return;
    }
    let name = path.file_name().trim_end_matches(".service");
    for (number, line) in numbered(text) {
        let Some(command) = line.trim().strip_prefix("ExecStart=") else { continue };
        if is_server(command) || command.contains("celery ") {
            runs.push(run(path, number, name, command.trim_start_matches(['-', '@', '+', '!'])));
        }
    }
}

fn read_beanstalk(path: &RepoPath, text: &str, runs: &mut Vec<Run>) {
    let Some(pattern) = BEANSTALK.as_ref() else { return };
    for (number, line) in numbered(text) {
        let Some(groups) = pattern.captures(line) else { continue };
        let value = groups.get(2).map_or("", |value| value.as_str());
        match groups.get(1).map_or("", |key| key.as_str()) {
            "NodeCommand" => runs.push(run(path, number, "web", value)),
            // The platform starts Gunicorn itself.
            "WSGIPath" => {
                let module = value.trim_end_matches(".py").replace('/', ".");
                runs.push(run(path, number, "web", &format!("gunicorn {module}")));
            }
            _ if is_migration(value) => {
                runs.push(Run { role: Role::Release, ..run(path, number, "release", value) });
            }
            _ => {}
        }
    }
}
