//! What files together say of processes: their state, their ports, their jobs and their end.

#![allow(clippy::unwrap_used)]

use dozen::check::finding::{Report, Severity};
use dozen::check::rule::Rules;
use dozen::check::{Repository, check};
use dozen::tree::{Content, RepoPath, Tree};

fn judge(files: &[(&str, &str)]) -> Report {
    let files = files.iter().map(|(path, text)| {
        let content = Content { bytes: text.as_bytes().to_vec(), executable: false };
        (RepoPath::parse(path).unwrap(), content)
    });
    let rules = Rules::load().unwrap();
    check(Tree::from_files(files), Repository::default(), &rules, None, &[]).unwrap()
}

/// What is found by these rules, as `rule path:line`.
fn found(rules: &[&str], files: &[(&str, &str)]) -> Vec<String> {
    let findings = judge(files).findings.into_iter();
    let wanted = findings
        .filter(|found| rules.contains(&found.rule.as_str()) && found.severity != Severity::Info);
    let mut told: Vec<String> = wanted
        .map(|found| format!("{} {}:{}", found.rule, found.place.path, found.place.line))
        .collect();
    told.sort();
    told
}

const EXPRESS: (&str, &str) = (
    "package.json",
    "{\"dependencies\": {\"express\": \"5\", \"node-cron\": \"4\", \"bullmq\": \"5\"}}",
);
const SERVER: (&str, &str) = (
    "server.js",
    "const express = require('express')\nrequire('./clean')\nexpress().listen(process.env.PORT)\n",
);
const CLEAN: (&str, &str) = ("clean.js", "cron.schedule('* * * * *', clean)\n");

#[test]
fn what_only_a_worker_reaches_is_no_job_of_the_web_process() {
    let clock = ("start.js", "require('./clean')\n");
    let bare = ("server.js", "require('express')().listen(process.env.PORT)\n");
    let procfile = ("Procfile", "web: node server.js\nclock: node start.js\n");
    let rules = ["job-in-web"];
    assert_eq!(
        found(&rules, &[EXPRESS, procfile, SERVER, CLEAN, clock]),
        ["job-in-web clean.js:1"]
    );
    assert!(found(&rules, &[EXPRESS, procfile, bare, CLEAN, clock]).is_empty());
}

#[test]
fn a_queue_is_worked_off_in_the_web_process_where_no_worker_is_declared() {
    let queue = ("clean.js", "const { Worker } = require('bullmq')\nnew Worker('mail', send)\n");
    let rules = ["worker-in-web"];
    let web = ("Procfile", "web: node server.js\n");
    let both = ("Procfile", "web: node server.js\nworker: node server.js worker\n");
    assert_eq!(found(&rules, &[EXPRESS, web, SERVER, queue]), ["worker-in-web clean.js:2"]);
    assert!(found(&rules, &[EXPRESS, both, SERVER, queue]).is_empty());
}

#[test]
fn a_helper_that_only_a_test_calls_writes_no_file() {
    let manifest = ("Cargo.toml", "[package]\nname = \"shop\"\n[dependencies]\naxum = \"0.8\"\n");
    let helper = "pub fn keep(at: &Path) {\n    File::create(at);\n}\n#[cfg(test)]\nmod tests {\n    fn f() { keep(a); }\n}\n";
    let main = "fn main() { keep(a); }\n";
    let rules = ["writes-local-file"];
    let called = found(&rules, &[manifest, ("src/file.rs", helper), ("src/main.rs", main)]);
    assert_eq!(called, ["writes-local-file src/file.rs:2"]);
    let idle = ("src/main.rs", "fn main() {}\n");
    assert!(found(&rules, &[manifest, ("src/file.rs", helper), idle]).is_empty());
}

#[test]
fn a_line_of_yaml_is_the_one_that_says_it() {
    let command = "services:\n  web:\n    build: .\n    command: >\n      uvicorn shop:app\n      --host 0.0.0.0\n      --port 8000\n    environment:\n      A: b\n";
    let files = [
        ("requirements.txt", "fastapi==0.1\nuvicorn==0.1\n"),
        ("shop.py", "import fastapi\napp = fastapi.FastAPI()\n"),
        ("compose.yaml", command),
    ];
    assert_eq!(found(&["port-in-command"], &files), ["port-in-command compose.yaml:7"]);
}

#[test]
fn what_an_entry_script_does_first_is_done_at_every_start() {
    let script = "#!/bin/sh\npython manage.py migrate\npython manage.py collectstatic --noinput\ngunicorn shop.wsgi\n";
    let files = [
        ("requirements.txt", "django==5\ngunicorn==23\n"),
        ("manage.py", "import django\n"),
        ("Dockerfile", "FROM python:3.14\nCOPY . .\nENTRYPOINT [\"./start.sh\"]\n"),
        ("start.sh", script),
    ];
    let rules = ["works-before-serving", "shell-hides-signals"];
    let lines = [
        "shell-hides-signals Dockerfile:3",
        "shell-hides-signals start.sh:4",
        "works-before-serving start.sh:2",
        "works-before-serving start.sh:3",
    ];
    assert_eq!(found(&rules, &files), lines);
}

#[test]
fn a_container_of_production_that_has_a_name_is_the_only_one() {
    let compose = "services:\n  web:\n    image: shop/web\n    container_name: web\n  db:\n    image: postgres:17\n    container_name: db\n  proxy:\n    image: nginx:1\n    container_name: proxy\n";
    let rules = ["container-name"];
    let told = found(&rules, &[("docker-compose.prod.yml", compose)]);
    assert_eq!(told, ["container-name docker-compose.prod.yml:4"]);
    assert!(found(&rules, &[("docker-compose.yml", compose)]).is_empty());
}

#[test]
fn a_definition_without_the_secret_is_pointed_at_where_its_variables_stand() {
    let spec = "services:\n- name: web\n  run_command: gunicorn shop.wsgi\n  http_port: 8080\n  envs:\n  - key: A\n    value: b\n";
    let files = [
        ("requirements.txt", "django==5\ngunicorn==23\n"),
        ("manage.py", "import django\n"),
        ("shop/settings.py", "SECRET_KEY = os.getenv('SHOP_KEY', get_random_secret_key())\n"),
        (".do/app.yaml", spec),
    ];
    assert_eq!(found(&["secret-not-given"], &files), ["secret-not-given .do/app.yaml:5"]);
}

#[test]
fn a_server_is_missing_where_the_app_is_declared_and_where_it_is_handed_over() {
    let files = [
        ("requirements.in", "flask\n"),
        ("requirements.txt", "click==8\nflask==3\n"),
        ("wsgi.py", "import os\nfrom shop import app\n"),
    ];
    let lines = ["no-server requirements.txt:2", "no-server wsgi.py:2"];
    assert_eq!(found(&["no-server"], &files), lines);
}

#[test]
fn ctrl_c_alone_is_no_sigterm() {
    let manifest = ("Cargo.toml", "[package]\nname = \"shop\"\n[dependencies]\naxum = \"0.8\"\n");
    let main = "async fn main() {\n    axum::serve(a, b).with_graceful_shutdown(told()).await;\n}\nasync fn told() {\n    tokio::signal::ctrl_c().await;\n}\n";
    let both = format!("{main}async fn ended() {{ signal(SignalKind::terminate()); }}\n");
    let rules = ["hears-interrupt-only"];
    assert_eq!(
        found(&rules, &[manifest, ("src/main.rs", main)]),
        ["hears-interrupt-only src/main.rs:5"]
    );
    assert!(found(&rules, &[manifest, ("src/main.rs", &both)]).is_empty());
}

#[test]
fn one_definition_that_runs_in_the_foreground_is_a_way_that_complies() {
    let daemon = ("Procfile", "web: pm2 start server.js\n");
    let plain = ("Dockerfile", "FROM node:24\nCMD [\"node\", \"server.js\"]\n");
    let weight = |files: &[(&str, &str)]| {
        let findings = judge(files).findings;
        findings.iter().find(|found| found.rule == "forks-itself").map(|found| found.severity)
    };
    assert_eq!(weight(&[EXPRESS, SERVER, CLEAN, daemon]), Some(Severity::Violation));
    assert_eq!(weight(&[EXPRESS, SERVER, CLEAN, daemon, plain]), Some(Severity::Risk));
}

const NEST: (&str, &str) = (
    "package.json",
    "{\"scripts\": {\"start\": \"node .\"}, \"dependencies\": {\"@nestjs/core\": \"10\", \"typeorm\": \"0.2\"}}",
);
const MAIN: (&str, &str) =
    ("src/main.ts", "await createConnection()\napp.listen(process.env.PORT)\n");

#[test]
fn a_schema_that_a_file_has_made_is_made_at_start_where_nothing_migrates() {
    let example = ("ormconfig.json.example", "{\n  \"synchronize\": true\n}\n");
    let told = ["task-at-start ormconfig.json.example:2", "task-at-start src/main.ts:1"];
    assert_eq!(found(&["task-at-start"], &[NEST, MAIN, example]), told);
    let migration = ("src/migrations/1-shop.ts", "export class Shop {}\n");
    assert!(found(&["task-at-start"], &[NEST, MAIN, example, migration]).is_empty());
}

#[test]
fn a_compiler_that_is_loaded_at_start_counts_in_what_is_started() {
    let index = ("index.js", "require('ts-node/register')\nrequire('./src/main')\n");
    assert_eq!(
        found(&["compiles-at-start"], &[NEST, MAIN, index]),
        ["compiles-at-start index.js:1"]
    );
    let debug = ("debug.js", index.1);
    assert!(found(&["compiles-at-start"], &[NEST, MAIN, debug]).is_empty());
}

#[test]
fn manage_py_and_the_server_name_the_same_settings() {
    let manage = ("manage.py", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.local')\n");
    let wsgi = ("shop/wsgi.py", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.live')\n");
    let declared = ("requirements.txt", "django==5.0\n");
    let told = ["task-other-settings manage.py:1", "task-other-settings shop/wsgi.py:1"];
    assert_eq!(found(&["task-other-settings"], &[declared, manage, wsgi]), told);
    let image = ("Dockerfile", "FROM python:3.12\nENV DJANGO_SETTINGS_MODULE=shop.live\n");
    assert!(found(&["task-other-settings"], &[declared, manage, wsgi, image]).is_empty());
}
