//! Reads how processes are started from what builds and runs containers: compose files and a Dockerfile. Pure.

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
                known.contains(&name.as_str()) && service.get("build").is_some()
            })
            .find_map(|(_, service)| read_words(service.get("command")?));
        lines.extend(line.map(|line| (process.to_owned(), line)));
    }
    lines
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
    fn broken_files_tell_nothing() {
        assert!(
            read_lines(&tree(&[("compose.yaml", "services: [}"), ("Dockerfile", "CMD")]))
                .is_empty()
        );
    }
}
