//! Pipelines: what they build and deploy, with which services and runtimes they test.

use super::run::Step;
use super::{Backing, Delivery, Facts, Runtime};
use crate::check::document::Node;
use crate::check::finding::Place;
use crate::tree::RepoPath;

/// Parts of commands and actions that lead to production.
const DELIVERIES: [&str; 24] = [
    "docker/build-push-action",
    "docker build",
    "docker buildx build",
    "docker push",
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

/// Reads every pipeline.
pub fn read(facts: &mut Facts) {
    let (mut backing, mut runtimes, mut deliveries) = (Vec::new(), Vec::new(), Vec::new());
    let mut pipeline = Vec::new();
    for (path, node) in facts.documents(is_workflow) {
        for job in node.at(&["jobs"]).map(Node::entries).unwrap_or_default() {
            for service in job.value.at(&["services"]).map(Node::entries).unwrap_or_default() {
                let Some(image) = service.value.get("image") else { continue };
                if let Some((engine, version)) =
                    super::compose::engine(image.value.text().unwrap_or_default())
                {
                    let place = Place::line(path.clone(), image.line);
                    backing.push(Backing { place, engine, version });
                }
            }
            let matrix = job.value.at(&["strategy", "matrix"]);
            for step in job.value.at(&["steps"]).map(Node::items).unwrap_or_default() {
                deliveries.extend(read_delivery(path, step));
                pipeline.extend(read_lines(path, step));
                for (key, name) in [("python-version", "python"), ("node-version", "node")] {
                    if let Some(entry) = step.at(&["with"]).and_then(|with| with.get(key)) {
                        runtimes.extend(read_runtime(
                            path,
                            name,
                            key,
                            entry.line,
                            &entry.value,
                            matrix,
                        ));
                    }
                }
            }
        }
    }
    // What `dozen prove` installs by is a line that a pipeline runs, too.
    for (path, node) in facts.documents(|path| path.as_str() == "dozen.toml") {
        if let Some(entry) = node.at(&["prove"]).and_then(|prove| prove.get("install")) {
            let text = entry.value.text().unwrap_or_default().to_owned();
            pipeline.push(Step { place: Place::line(path.clone(), entry.line), text });
        }
    }
    facts.backing.extend(backing);
    facts.runtimes.extend(runtimes);
    facts.deliveries.extend(deliveries);
    facts.pipeline.extend(pipeline);
}

fn read_runtime(
    path: &RepoPath,
    name: &str,
    key: &str,
    line: usize,
    value: &Node,
    matrix: Option<&Node>,
) -> Option<Runtime> {
    let text = match value.text()? {
        text if text.contains("${{") => {
            // A matrix of one is a version like any other.
            let list = matrix?.at(&[key]).or_else(|| matrix?.at(&[&key.replace('-', "_")]))?;
            let [one] = list.items() else { return None };
            one.text()?
        }
        text => text,
    };
    let (version, is_minimum) = super::manifest::version(text)?;
    Some(Runtime {
        place: Place::line(path.clone(), line),
        name: name.to_owned(),
        version,
        is_minimum,
    })
}

/// The lines that a step runs.
fn read_lines(path: &RepoPath, step: &Node) -> Vec<Step> {
    let Some(entry) = step.get("run") else { return Vec::new() };
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
    let lower = text.to_lowercase();
    let found = DELIVERIES.iter().find(|part| lower.contains(*part))?;
    let mut tags = Vec::new();
    let mut line = entry.line;
    if let Some(with) = step.at(&["with"]) {
        let given = with.text_at(&["tags"]).unwrap_or_default();
        tags.extend(
            given
                .split([',', '\n'])
                .map(str::trim)
                .filter(|tag| !tag.is_empty())
                .map(str::to_owned),
        );
        if let Some(entry) = with.get("tags").filter(|_| !tags.is_empty()) {
            line = entry.line;
        }
    }
    for (at, run) in text.lines().enumerate() {
        let words: Vec<&str> = run.split_whitespace().collect();
        for pair in words.windows(2).filter(|pair| matches!(pair[0], "-t" | "--tag")) {
            if tags.is_empty() {
                // A block begins on the line after its key.
                line = if text.contains('\n') { entry.line + at + 1 } else { entry.line };
            }
            tags.push(pair[1].to_owned());
        }
    }
    Some(Delivery { place: Place::line(path.clone(), line), what: (*found).to_owned(), tags })
}
