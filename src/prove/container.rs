//! Reads how processes are started from what builds and runs containers: compose files and a Dockerfile. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::service::detect::COMPOSE_FILES;
use crate::tree::Tree;

const DOCKERFILE: &str = "Dockerfile";
/// What people call the processes in compose.
const NAMES: [(&str, &[&str]); 3] = [
    ("web", &["web", "app", "api", "server", "backend"]),
    ("worker", &["worker", "workers", "jobs", "queue", "celery"]),
    ("release", &["migrate", "migration", "migrations", "release"]),
];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Compose {
    services: serde_json::Map<String, Value>,
}

/// The lines of `web`, `worker` and `release`, as far as they are told.
#[must_use]
pub fn read_lines(tree: &Tree) -> Vec<(String, String)> {
    let command = tree.root_text(DOCKERFILE).and_then(|text| read_command(&text));
    let mut lines: Vec<_> = command.map(|line| ("web".to_owned(), line)).into_iter().collect();
    let text = COMPOSE_FILES.iter().find_map(|name| tree.root_text(name)).unwrap_or_default();
    // A compose file that is broken tells nothing; whoever runs it will hear of it.
    let compose: Compose = yaml_serde::from_str(&text).unwrap_or_default();
    for (process, known) in NAMES {
        let line = compose
            .services
            .iter()
            .filter(|(name, service)| {
                known.contains(&name.as_str()) && find(service, "build").is_some()
            })
            .find_map(|(_, service)| read_words(find(service, "command")?));
        lines.extend(line.map(|line| (process.to_owned(), line)));
    }
    lines
}

/// A member of a service, its own or one that it merges in.
fn find<'v>(service: &'v Value, key: &str) -> Option<&'v Value> {
    service.get(key).or_else(|| match service.get("<<")? {
        Value::Array(merged) => merged.iter().find_map(|it| it.get(key)),
        merged => merged.get(key),
    })
}

/// The variables that the image of a Dockerfile gives its processes, as far as they mean the same outside of it.
#[must_use]
pub fn read_environment(tree: &Tree) -> BTreeMap<String, String> {
    let text = tree.root_text(DOCKERFILE).unwrap_or_default().replace("\\\n", " ");
    let mut environment = BTreeMap::new();
    for line in text.lines() {
        let Some((word, rest)) = line.trim().split_once(char::is_whitespace) else {
            continue;
        };
        if word.eq_ignore_ascii_case("FROM") {
            // What a stage before the last one has is not in the image.
            environment.clear();
        } else if word.eq_ignore_ascii_case("ENV") {
            let words = shell_words::split(rest).unwrap_or_default();
            // `ENV NAME value` is the old form.
            let old = words.first().filter(|word| !word.contains('=')).cloned();
            let pairs = words.iter().filter_map(|word| word.split_once('='));
            let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
            environment.extend(pairs.filter(|_| old.is_none()));
            environment.extend(old.map(|name| (name, words[1..].join(" "))));
        }
    }
    // A path, what is put together from others, and what kind of place it is: the image's own.
    let is_place = |name: &str| name.ends_with("ENV") || name.ends_with("ENVIRONMENT");
    environment
        .retain(|name, value| name != "USER" && !is_place(name) && !value.contains(['$', '/']));
    environment
}

/// A command that is one line, or a list of words.
fn read_words(command: &Value) -> Option<String> {
    match command {
        Value::String(line) => Some(line.clone()),
        Value::Array(words) => Some(shell_words::join(words.iter().filter_map(Value::as_str))),
        _ => None,
    }
}

/// The last `CMD` of a Dockerfile; one in shell form is a line for a shell.
fn read_command(dockerfile: &str) -> Option<String> {
    let joined = dockerfile.replace("\\\n", " ");
    let line = joined.lines().rev().map(str::trim).find_map(|line| {
        let (word, rest) = line.split_once(char::is_whitespace)?;
        word.eq_ignore_ascii_case("CMD").then(|| rest.trim().to_owned())
    })?;
    match serde_json::from_str::<Vec<String>>(&line) {
        Ok(words) => Some(shell_words::join(words)),
        Err(_) => Some(shell_words::join(["sh", "-c", &line])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Content, RepoPath};

    fn tree(files: &[(&str, &str)]) -> Tree {
        Tree::from_files(files.iter().map(|(path, text)| {
            let content = Content { bytes: text.as_bytes().to_vec(), executable: false };
            (RepoPath::parse(path).unwrap(), content)
        }))
    }

    #[test]
    fn the_last_command_of_a_dockerfile_is_web() {
        let exec = "FROM a\nCMD old\nFROM b\nCMD [\"node\", \"src/my main.js\"]\n";
        assert_eq!(read_command(exec).unwrap(), "node 'src/my main.js'");
        assert_eq!(read_command("CMD npm run \\\n  start").unwrap(), "sh -c 'npm run    start'");
        assert_eq!(read_command("FROM scratch\n"), None);
    }

    #[test]
    fn compose_names_processes_that_it_builds() {
        let compose = "services:\n  api:\n    build: .\n    command: gunicorn app:app\n  \
                       celery:\n    build: .\n    command: [celery, -A, app, worker]\n  \
                       web:\n    image: nginx:1\n    command: nginx\n";
        let lines = read_lines(&tree(&[("compose.yaml", compose), ("Dockerfile", "CMD [\"x\"]")]));
        let lines: std::collections::BTreeMap<_, _> = lines.into_iter().collect();
        assert_eq!(lines["web"], "gunicorn app:app");
        assert_eq!(lines["worker"], "celery -A app worker");
    }

    #[test]
    fn what_a_service_merges_in_is_its_own() {
        let compose = "x-app: &app\n  build: .\nservices:\n  worker:\n    <<: *app\n    command: celery\n  \
                       web:\n    <<: [*app]\n    command: gunicorn\n";
        let lines = read_lines(&tree(&[("compose.yaml", compose)]));
        assert_eq!(
            lines,
            [("web", "gunicorn"), ("worker", "celery")].map(|(a, b)| (a.into(), b.into()))
        );
    }

    #[test]
    fn an_image_gives_its_processes_variables() {
        let text = "FROM a AS b\nENV STAGE=old\nFROM c\nENV FLASK_APP=\"shop\" \\\n  PYTHONPATH=. \\\n  \
                    PATH=\"$PATH:/x\"\nENV NODE_ENV production\nENV LANG C.UTF-8\nENV HOME=/app\n";
        let environment = read_environment(&tree(&[("Dockerfile", text)]));
        let environment: Vec<_> = environment.iter().map(|(a, b)| format!("{a}={b}")).collect();
        assert_eq!(environment, ["FLASK_APP=shop", "LANG=C.UTF-8", "PYTHONPATH=."]);
    }

    #[test]
    fn broken_files_tell_nothing() {
        assert!(
            read_lines(&tree(&[("compose.yaml", "services: [}"), ("Dockerfile", "CMD")]))
                .is_empty()
        );
    }
}
