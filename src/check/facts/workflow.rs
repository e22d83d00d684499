//! Pipelines: what they build and deploy, with which services and runtimes they test.

use super::run::Step;
use super::{Backing, Delivery, Facts, Runtime};
use crate::check::document::Node;
use crate::check::finding::Place;
use crate::tree::RepoPath;

/// Parts of commands and actions that lead to production.
const DELIVERIES: [&str; 25] = [
    "docker/build-push-action",
    "docker build",
    "docker buildx build",
    "docker push",
    "docker tag ",
    "docker compose build",
    "docker-compose build",
    "azure/webapps-deploy",
    "akhileshns/heroku-deploy",
    "superfly/flyctl-actions",
    "flyctl deploy",
    "digitalocean/app_action",
    "google-github-actions/deploy-cloudrun",
    "aws-actions/amazon-ecs-deploy",
    "serverless deploy",
    "gcloud run deploy",
    "gcloud app deploy",
    "kubectl apply",
    "kubectl set image",
    "helm upgrade",
    "git push heroku",
    "cap production deploy",
    "appleboy/ssh-action",
    "docker/metadata-action",
    "goreleaser",
];

/// Whether a pipeline stands there.
#[must_use]
pub fn is_workflow(path: &RepoPath) -> bool {
    let text = path.as_str();
    let is_yaml = text.ends_with(".yml") || text.ends_with(".yaml");
    is_yaml
        && (text.starts_with(".github/workflows/")
            || matches!(
                text,
                ".gitlab-ci.yml"
                    | ".travis.yml"
                    | ".circleci/config.yml"
                    | "bitbucket-pipelines.yml"
            ))
}

/// What one pipeline says.
#[derive(Debug, Default)]
pub struct Pipeline {
    pub backing: Vec<Backing>,
    pub runtimes: Vec<Runtime>,
    pub deliveries: Vec<Delivery>,
    pub lines: Vec<Step>,
}

/// Reads every pipeline.
pub fn read(facts: &mut Facts) {
    let mut found = Pipeline::default();
    for (path, node) in facts.documents(is_workflow) {
        if path.as_str().starts_with(".github/") {
            read_jobs(path, node, &mut found);
        } else {
            super::pipeline::read(path, node, &mut found);
        }
    }
    // What `dozen prove` installs by is a line that a pipeline runs, too.
    for (path, node) in facts.documents(|path| path.as_str() == "dozen.toml") {
        if let Some(entry) = node.at(&["prove"]).and_then(|prove| prove.get("install")) {
            let text = entry.value.text().unwrap_or_default().to_owned();
            found.lines.push(Step { place: Place::line(path.clone(), entry.line), text });
        }
    }
    facts.backing.extend(found.backing);
    facts.runtimes.extend(found.runtimes);
    facts.deliveries.extend(found.deliveries);
    facts.pipeline.extend(found.lines);
}

fn read_jobs(path: &RepoPath, node: &Node, found: &mut Pipeline) {
    for job in node.at(&["jobs"]).map(Node::entries).unwrap_or_default() {
        for service in job.value.at(&["services"]).map(Node::entries).unwrap_or_default() {
            let Some(image) = service.value.get("image") else { continue };
            let text = image.value.text().unwrap_or_default();
            if let Some((engine, version)) = super::compose::engine(text) {
                let place = Place::line(path.clone(), image.line);
                found.backing.push(Backing { place, engine, version });
            }
        }
        if let Some(container) = job.value.at(&["container"]) {
            super::pipeline::read_image(path, container, found);
        }
        let matrix = job.value.at(&["strategy", "matrix"]);
        let steps = job.value.at(&["steps"]).map(Node::items).unwrap_or_default();
        let is_of_tool = installs_tool_only(steps);
        for step in steps {
            found.deliveries.extend(read_delivery(path, step));
            found.lines.extend(read_lines(path, step));
            read_toolchain(path, step, found);
            for (key, name) in [("python-version", "python"), ("node-version", "node")] {
                if let Some(entry) = step.at(&["with"]).and_then(|with| with.get(key))
                    && !(is_of_tool && name == "python")
                {
                    let found_here = read_runtime(path, name, entry.line, &entry.value, matrix);
                    found.runtimes.extend(found_here);
                }
            }
        }
    }
}

/// Whether a job has its Python for a tool, and none of the service's packages.
fn installs_tool_only(steps: &[Node]) -> bool {
    let texts = || steps.iter().filter_map(|step| step.text_at(&["run"]));
    let is_of_service = |text: &str| {
        let mut words = text.split_whitespace();
        words.any(|word| matches!(word, "-r" | "-e" | "." | ".[dev]" | ".[test]" | "sync" | "make"))
            || ["require", "poetry", "pipenv", "pytest", "tox", "nox", "manage.py", "pdm", "hatch"]
                .iter()
                .any(|word| text.contains(word))
            || ["uv run", "python -m", "unittest", "docker"].iter().any(|word| text.contains(word))
    };
    texts().any(|text| text.contains("pip install")) && !texts().any(is_of_service)
}

fn read_runtime(
    path: &RepoPath,
    name: &str,
    line: usize,
    value: &Node,
    matrix: Option<&Node>,
) -> Vec<Runtime> {
    let text = value.text().unwrap_or_default();
    if text.contains("${{") {
        return read_matrix(path, name, line, text, matrix);
    }
    let one = Node { line, ..value.clone() };
    let several: Vec<&Node> =
        if value.items().is_empty() { vec![&one] } else { value.items().iter().collect() };
    super::pipeline::read_several(path, name, &several)
}

/// The versions of a matrix that `${{ matrix.… }}` names; a single one stands where it is used.
fn read_matrix(
    path: &RepoPath,
    name: &str,
    line: usize,
    text: &str,
    matrix: Option<&Node>,
) -> Vec<Runtime> {
    let key = text.split_once("matrix.").map_or("", |(_, rest)| rest);
    let end = key.find(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)));
    let key = &key[..end.unwrap_or(key.len())];
    let Some(list) = matrix.and_then(|matrix| matrix.at(&[key])) else { return Vec::new() };
    let items: Vec<&Node> = list.items().iter().collect();
    let mut found = super::pipeline::read_several(path, name, &items);
    if let [one] = found.as_mut_slice() {
        one.place = Place::line(path.clone(), line);
    }
    found
}

/// The toolchain of Rust that a step installs.
fn read_toolchain(path: &RepoPath, step: &Node, found: &mut Pipeline) {
    let Some(uses) = step.get("uses") else { return };
    let Some((action, tag)) = uses.value.text().and_then(|text| text.split_once('@')) else {
        return;
    };
    if !action.contains("toolchain") {
        return;
    }
    let given = step.at(&["with"]).and_then(|with| with.get("toolchain"));
    let (line, text) = match given {
        Some(entry) => (entry.line, entry.value.text().unwrap_or_default()),
        None if action == "dtolnay/rust-toolchain" => (uses.line, tag),
        None => return,
    };
    let node = Node { line, ..Node::default() };
    // `stable` is what everybody tests with; a day of `nightly` is no number.
    let toolchain = super::pipeline::runtime(path, &node, "rust", text);
    found.runtimes.extend(toolchain.filter(|it| it.version.0 == 1));
}

/// The lines that a step runs, here or on another machine.
fn read_lines(path: &RepoPath, step: &Node) -> Vec<Step> {
    let script = || step.at(&["with"]).and_then(|with| with.get("script"));
    let Some(entry) = step.get("run").or_else(script) else { return Vec::new() };
    let text = entry.value.text().unwrap_or_default();
    // A block begins on the line after its key.
    let first = if text.contains('\n') { entry.line + 1 } else { entry.line };
    let lines = text.lines().enumerate();
    lines
        .map(|(at, line)| Step {
            place: Place::line(path.clone(), first + at),
            text: line.to_owned(),
        })
        .collect()
}

fn read_delivery(path: &RepoPath, step: &Node) -> Option<Delivery> {
    let entry = step.get("uses").or_else(|| step.get("run"))?;
    let text = entry.value.text()?;
    let mut found = read_command(&Place::line(path.clone(), entry.line), text)?;
    let Some(with) = step.at(&["with"]) else { return Some(found) };
    let given = with.text_at(&["tags"]).unwrap_or_default();
    let given = given.split([',', '\n']).map(str::trim).filter(|tag| !tag.is_empty());
    let tags: Vec<String> = given.map(str::to_owned).collect();
    if let Some(entry) = with.get("tags").filter(|_| !tags.is_empty()) {
        found.place = Place::line(path.clone(), entry.line);
    }
    found.tags.splice(0..0, tags);
    Some(found)
}

/// What a command, or an action, leads to production; the text begins at the place or, where it is a block, on the
/// line after it.
#[must_use]
pub fn read_command(place: &Place, text: &str) -> Option<Delivery> {
    let lower = text.to_lowercase();
    let found = DELIVERIES.iter().find(|part| lower.contains(*part))?;
    let mut tags = Vec::new();
    let mut line = place.line;
    for (at, run) in text.lines().enumerate() {
        let words: Vec<&str> = run.split_whitespace().collect();
        let given = words.windows(2).filter(|pair| matches!(pair[0], "-t" | "--tag"));
        let given = given.map(|pair| pair[1]);
        let renamed = run.trim().strip_prefix("docker tag ").and(words.last().copied());
        for tag in given.chain(renamed) {
            if tags.is_empty() {
                line = if text.contains('\n') { place.line + at + 1 } else { place.line };
            }
            tags.push(tag.trim_matches(['"', '\'']).to_owned());
        }
    }
    let place = Place::line(place.path.clone(), line);
    Some(Delivery { place, what: (*found).to_owned(), tags })
}
