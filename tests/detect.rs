//! What is read out of repositories that others wrote.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use dozen::service::{Service, detect};
use dozen::tree::{Content, RepoPath, Tree};

fn detect(files: &[(&str, &str)]) -> Service {
    let tree = Tree::from_files(files.iter().map(|(path, text)| {
        let content = Content { bytes: text.as_bytes().to_vec(), executable: false };
        (RepoPath::parse(path).unwrap(), content)
    }));
    detect::detect(&tree, Path::new("/nowhere/else"), None).unwrap()
}

fn variables(service: &Service) -> Vec<&str> {
    service.variables.iter().map(|variable| variable.name.as_str()).collect()
}

fn engines(service: &Service) -> Vec<&str> {
    service.facts.backing.iter().map(|backing| backing.engine.as_str()).collect()
}

#[test]
fn a_node_service_is_read() {
    let service = detect(&[
        (
            "package.json",
            r#"{
                "name": "Shop.Web",
                "engines": { "node": ">=22.3 <25" },
                "scripts": { "start": "node server.js", "migrate": "knex migrate:latest" },
                "dependencies": { "express": "^5.0.0", "ioredis": "^6", "mysql2": "^3" }
            }"#,
        ),
        ("yarn.lock", ""),
        (
            "lib/config.mjs",
            "const { DATABASE_URL, REDIS_URL: redis, LOG_LEVEL = 'info', ...rest } = process.env;\n\
             const { lower, Case } = process.env;\n\
             export const port = process.env.PORT ?? 3000, key = process.env['API_KEY'];\n",
        ),
        ("lib/more.ts", "export const zone = process.env?.ZONE;\nprocess.env.TZ = 'UTC';\n"),
        ("lib/data.json", "process.env.NOT_CODE"),
    ]);
    assert_eq!((service.stack.as_str(), service.name.as_str()), ("node", "shop-web"));
    assert_eq!(service.facts.framework.as_deref(), Some("Express"));
    assert_eq!(service.facts.package_manager.as_deref(), Some("yarn"));
    assert_eq!(service.facts.lock.as_deref(), Some("yarn.lock"));
    assert_eq!(service.facts.runtime.as_ref().unwrap().version, "22.3");
    assert_eq!(service.facts.commands.migrate.as_deref(), Some("npm run migrate"));
    assert_eq!(service.facts.processes[0].command, "node server.js");
    assert_eq!(engines(&service), ["mysql", "redis"]);
    let read = ["API_KEY", "DATABASE_URL", "LOG_LEVEL", "PORT", "REDIS_URL", "ZONE"];
    assert_eq!(variables(&service), read);
}

#[test]
fn a_python_service_is_read() {
    let service = detect(&[
        ("requirements.txt", "flask==3.1\npsycopg2\nredis\n"),
        (".python-version", "3.13.1\n"),
        ("Procfile", "web: gunicorn app:app\n"),
        ("app.py", "import os\nos.environ[\"DATABASE_URL\"]\nos.getenv(\"SECRET_KEY\")\n"),
    ]);
    assert_eq!(service.stack, "python");
    assert_eq!(service.facts.framework.as_deref(), Some("Flask"));
    assert_eq!(service.facts.runtime.as_ref().unwrap().version, "3.13.1");
    assert_eq!(service.facts.processes[0].command, "gunicorn app:app");
    assert_eq!(engines(&service), ["postgres", "redis"]);
    assert_eq!(variables(&service), ["DATABASE_URL", "SECRET_KEY"]);
}
