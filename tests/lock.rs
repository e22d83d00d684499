//! Locks that `dozen add` has made by a project's own package manager. Here that is a script of the test's: what is
//! asked of the real ones is seen by hand, as they ask their registries.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;
#[path = "support/terminal.rs"]
mod terminal;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use dozen::lock::{self, Made};
use dozen::plan::{Instruction, Plan};
use dozen::tree::{RepoPath, Tree};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use support::*;
use terminal::Terminal;

const NPM: &str = "npm install --package-lock-only --ignore-scripts --no-audit --no-fund";
/// A package manager that notes what it sees, and leaves a lock.
const MAKES: &str =
    "printf '%s\\n' \"$*\" > \"$HOME/asked\"; find . -type f | sort > \"$HOME/seen\"; : > litter\n";

/// A service without a lock.
fn lay() -> Place {
    let place = Place::new();
    place.write(
        "shop/package.json",
        "{\n  \"name\": \"shop\",\n  \"scripts\": { \"start\": \"node app.js\" },\n  \
         \"dependencies\": { \"express\": \"^5.0.0\" }\n}\n",
    );
    place
        .write("shop/app.js", "const app = require('express')();\napp.listen(process.env.PORT);\n");
    place
}

fn install(place: &Place, program: &str, script: &str) {
    let path = place.home().join("bin").join(program);
    write(&path, format!("#!/bin/sh\n{script}"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// `dozen` with the test's programs before the others.
fn dozen(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.dozen(arguments);
    let others = std::env::var_os("PATH").unwrap_or_default().into_string().unwrap();
    command.env("PATH", format!("{}:{others}", place.home().join("bin").display()));
    command
}

fn add(place: &Place, more: &[&str]) -> Run {
    let arguments = [&["add", "dependencies", "--path", "shop"], more].concat();
    run(&mut dozen(place, &arguments))
}

fn makes(lock: &str, content: &str) -> String {
    format!("{MAKES}printf '{content}' > {lock}\n")
}

fn paths(report: &Value) -> Vec<&str> {
    let changes = report["changes"].as_array().unwrap();
    changes.iter().map(|change| change["path"].as_str().unwrap()).collect()
}

fn fixes(report: &Value) -> String {
    let left = report["instructions"].as_array().unwrap();
    let texts = left.iter().flat_map(|left| [&left["message"], &left["fix"]]);
    texts.map(|text| text.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_lock_is_one_more_change() {
    let place = lay();
    place.write(
        "shop/.gitignore",
        "node_modules/\n# Not ours: package-lock.json\npackage-lock.json\n",
    );
    install(&place, "npm", &makes("package-lock.json", "{\"lockfileVersion\": 3}\\n"));
    let before = snapshot(&place.path("shop"));
    let shown = add(&place, &["--lock", "--diff", "--dry-run"]).expect(0);
    for part in ["+{\"lockfileVersion\": 3}", "create  package-lock.json", NPM] {
        assert!(shown.out.contains(part), "{part}: {shown:#?}");
    }
    assert_eq!(snapshot(&place.path("shop")), before);
    assert_eq!(text(place.home().join("asked")), format!("{}\n", &NPM["npm ".len()..]));
    assert_eq!(text(place.home().join("seen")), "./package.json\n", "the manifest, and no source");

    add(&place, &["--lock", "--patch", "add.patch"]).expect(0);
    assert!(text(place.path("add.patch")).contains("b/package-lock.json"));
    assert_eq!(snapshot(&place.path("shop")), before);

    let report = add(&place, &["--lock", "--yes", "--json"]).expect(0).json();
    assert_eq!(paths(&report), [".gitignore", "package-lock.json"]);
    assert_eq!(report["instructions"], serde_json::json!([]));
    assert_eq!(text(place.path("shop/package-lock.json")), "{\"lockfileVersion\": 3}\n");
    assert_eq!(text(place.path("shop/.gitignore")), "node_modules/\n");
    assert!(!place.path("shop/litter").exists());
    let again = add(&place, &["--lock", "--yes", "--json"]).expect(0).json();
    assert_eq!(paths(&again), [""; 0]);
    place.ok(["undo", "--path", "shop"]);
    assert_eq!(snapshot(&place.path("shop")), before);
}

#[test]
fn nothing_is_run_that_was_not_asked_for() {
    for flags in
        [&["--yes"][..], &["--no-lock"], &["--dry-run"], &["--json"], &["--yes", "--no-lock"]]
    {
        let place = lay();
        install(&place, "npm", &makes("package-lock.json", "{}"));
        let run = add(&place, flags).expect(0);
        assert!(run.out.contains(NPM), "it says what to run: {run:#?}");
        assert!(!place.home().join("asked").exists(), "{flags:?}");
        assert!(!place.path("shop/package-lock.json").exists());
    }
    let place = lay();
    add(&place, &["--lock", "--no-lock"]).expect(2);
}

#[test]
fn the_rest_of_the_plan_stands_where_a_lock_cannot_be_made() {
    for (script, why) in [
        (None, "`npm` is not on the PATH"),
        (Some("echo 'npm error: no such package' >&2; exit 1\n"), "no such package"),
        (Some("exit 0\n"), "wrote no package-lock.json"),
    ] {
        let place = lay();
        place.write("shop/.gitignore", "package-lock.json\n");
        let bin = place.home().join("bin");
        fs::create_dir(&bin).unwrap();
        if let Some(script) = script {
            install(&place, "npm", script);
        }
        let arguments = ["add", "dependencies", "--path", "shop", "--lock", "--json"];
        let report = run(dozen(&place, &arguments).env("PATH", &bin)).expect(0).json();
        assert_eq!(paths(&report), [".gitignore"], "{why}");
        let fixes = fixes(&report);
        assert!(fixes.contains(why) && fixes.contains(NPM), "{why}: {fixes}");
    }
}

#[test]
fn after_ctrl_c_nothing_is_left() {
    let place = lay();
    // What the package manager starts outlives it, if nobody ends it.
    install(&place, "npm", "sleep 1000 &\necho $! > \"$HOME/child\"; : > \"$HOME/begun\"; wait\n");
    let before = snapshot(&place.path("shop"));
    let mut command = dozen(&place, &["add", "dependencies", "--path", "shop", "--lock"]);
    let mut child = command.spawn().unwrap();
    while !place.home().join("begun").exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(snapshot(&place.path("shop")), before);
    let pid: i32 = text(place.home().join("child")).trim().parse().unwrap();
    let pid = Pid::from_raw(pid).unwrap();
    // Whoever is dead is gone once its parent has looked: here that is the first process.
    while test_kill_process(pid).is_ok() && !is_dead(pid) {
        std::thread::yield_now();
    }
}

fn is_dead(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    status.map_or(true, |status| status.contains(") Z "))
}

#[test]
fn a_package_manager_that_hangs_is_ended() {
    let place = lay();
    let tree = Tree::read(&place.path("shop")).unwrap();
    let left = Instruction {
        rule: "lock-missing".to_owned(),
        factor: "dependencies".parse().unwrap(),
        path: RepoPath::parse("package.json").unwrap(),
        line: 1,
        message: String::new(),
        fix: String::new(),
    };
    let root = place.path("shop").canonicalize().unwrap();
    let plan = Plan { root, instructions: vec![left], ..Plan::default() };
    let [mut open] = lock::find_open(&tree, &tree, &plan).unwrap().try_into().unwrap();
    open.command = ["sh", "-c", "sleep 1000"].map(str::to_owned).to_vec();
    let made = lock::make(&open, &tree, &plan, Duration::ZERO).unwrap();
    assert!(matches!(&made, Made::Failed(why) if why.contains("took more than")), "{made:?}");
}

#[test]
fn a_manifest_and_its_lock_change_together() {
    const BEFORE: &str =
        "version = 4\n\n[[package]]\nname = \"axum\"\n\n[[package]]\nname = \"tokio\"\n";
    let place = Place::new();
    let fixture = fs::read_to_string("tests/add/fixtures/axum/src/main.rs").unwrap();
    place.write("shop/src/main.rs", fixture);
    place.write(
        "shop/Cargo.toml",
        "[package]\nname = \"shop\"\n\n[dependencies]\naxum = \"0.8\"\n\
         tokio = { version = \"1\", features = [\"macros\", \"net\"] }\n",
    );
    place.write("shop/Cargo.lock", BEFORE);
    let script =
        format!("{MAKES}grep -q signal Cargo.toml && echo 'name = \"signal\"' >> Cargo.lock\n");
    install(&place, "cargo", &script);
    let add = |more: &[&str]| {
        let arguments = [&["add", "disposability", "--path", "shop", "--json"], more].concat();
        run(&mut dozen(&place, &arguments)).expect(0).json()
    };
    let report = add(&["--dry-run"]);
    assert_eq!(paths(&report), ["Cargo.toml", "src/main.rs"]);
    assert!(fixes(&report).contains("cargo update --workspace"), "{report:#}");
    assert!(!place.home().join("asked").exists());

    let report = add(&["--lock"]);
    assert_eq!(paths(&report), ["Cargo.lock", "Cargo.toml", "src/main.rs"]);
    assert!(!fixes(&report).contains("cargo"), "{report:#}");
    assert_eq!(text(place.path("shop/Cargo.lock")), format!("{BEFORE}name = \"signal\"\n"));
    assert_eq!(text(place.home().join("asked")), "update --workspace\n");
}

#[test]
fn an_image_is_given_the_lock_once_there_is_one() {
    let place = lay();
    let image =
        "FROM node:24\nWORKDIR /app\nCOPY package.json .\nRUN npm install --omit=dev\nCOPY . .\n";
    place.write("shop/Dockerfile", image);
    install(&place, "npm", &makes("package-lock.json", "{}\\n"));
    assert_eq!(paths(&add(&place, &["--json"]).json()), [""; 0], "there is no lock to copy");
    let report = add(&place, &["--lock", "--json"]).expect(0).json();
    assert_eq!(paths(&report), ["Dockerfile", "package-lock.json"]);
    let copied = image
        .replace("package.json .", "package.json package-lock.json ./")
        .replace("npm install", "npm ci");
    assert_eq!(text(place.path("shop/Dockerfile")), copied);

    // Where the context leaves it out, it cannot be copied.
    place.write("shop/Dockerfile", image);
    place.write("shop/.dockerignore", "*-lock.json\n");
    let report = add(&place, &["--json"]).expect(0).json();
    assert_eq!(paths(&report), [""; 0]);
    assert!(fixes(&report).contains("built from package.json without"), "{report:#}");
}

#[test]
fn a_lock_that_git_ignored_is_kept_as_it_is() {
    let place = lay();
    place.write("shop/.gitignore", "/package-lock.json\n");
    place.write("shop/package-lock.json", "{\"lockfileVersion\": 2}");
    install(&place, "npm", MAKES);
    let run =
        add(&place, &["--lock"]).expect(0).prints(&["package-lock.json is no longer ignored"]);
    assert!(!run.out.contains("By hand"), "{run:#?}");
    assert_eq!(text(place.path("shop/package-lock.json")), "{\"lockfileVersion\": 2}");
    let asked = text(place.home().join("asked"));
    assert!(asked.trim_end().ends_with("--lockfile-version=2"), "{asked}");
}

#[test]
fn a_library_has_no_lock_of_dozens_making() {
    let place = Place::new();
    place.write("shop/Cargo.toml", "[package]\nname = \"shop\"\n\n[dependencies]\nserde = \"1\"\n");
    place.write("shop/src/lib.rs", "pub fn run() {}\n");
    place.write("shop/.gitignore", "Cargo.lock\n");
    install(&place, "cargo", &makes("Cargo.lock", ""));
    assert_eq!(paths(&add(&place, &["--lock", "--json"]).json()), [""; 0]);
    assert!(!place.home().join("asked").exists());
}

#[test]
fn a_list_is_completed_below_its_own_lines() {
    let resolved = "asgiref==3.9.0\\ndjango==5.1.2\\nsqlparse==0.5.0\\ntzdata==2026.1 ; sys_platform == \\047win32\\047\\n";
    let place = Place::new();
    let list = "# The web\r\nDjango==5.1.2  # LTS\r\n\r\n-r requirements-base.txt\r\n";
    place.write("shop/requirements.txt", list);
    place.write("shop/requirements-base.txt", "asgiref==3.9.0\n");
    place.write("shop/manage.py", "import django\n");
    place.write("shop/runtime.txt", "python-3.11.4\n");
    install(&place, "uv", &makes("resolved.txt", resolved));
    let left = fixes(&add(&place, &["--json"]).json());
    assert!(left.contains("uv pip compile"), "{left}");

    let report = add(&place, &["--lock", "--json"]).expect(0).json();
    assert_eq!(paths(&report), ["requirements.txt"]);
    let added = "\r\n# What the packages above need\r\nsqlparse==0.5.0\r\n\
        tzdata==2026.1 ; sys_platform == 'win32'\r\n";
    assert_eq!(text(place.path("shop/requirements.txt")), format!("{list}{added}"));
    assert!(text(place.home().join("asked")).contains("--python-version 3.11 requirements.txt"));
    let again = add(&place, &["--lock", "--json"]).json();
    assert_eq!(paths(&again), [""; 0]);
}

#[test]
fn a_compiled_list_is_compiled_as_its_header_says() {
    const HEADER: &str = "#\n# This file is autogenerated by pip-compile with Python 3.12\n# by the following command:\n#\n#    pip-compile --strip-extras requirements.in\n#\n";
    let place = Place::new();
    place.write("shop/requirements.in", "flask\n");
    place.write("shop/requirements.txt", format!("{HEADER}flask==3.1.0\n"));
    place.write("shop/app.py", "from flask import Flask\napp = Flask(__name__)\n");
    let script = format!("{MAKES}printf 'gunicorn==23.0.0\\n' >> requirements.txt\n");
    install(&place, "pip-compile", &script);
    let arguments = ["add", "port-binding", "--path", "shop", "--json", "--lock"];
    let report = run(&mut dozen(&place, &arguments)).expect(0).json();
    let changed = paths(&report);
    assert!(changed.contains(&"requirements.in"), "{report:#}");
    assert!(changed.contains(&"requirements.txt"), "{report:#}");
    assert_eq!(text(place.home().join("asked")), "--strip-extras requirements.in\n");
    assert!(
        text(place.path("shop/requirements.txt")).ends_with("flask==3.1.0\ngunicorn==23.0.0\n")
    );
}

#[test]
fn the_manager_is_the_projects_own() {
    let lock = |files: &[(&str, &str)]| {
        let place = lay();
        for (path, text) in files {
            place.write(format!("shop/{path}"), text);
        }
        fixes(&add(&place, &["--json"]).json())
    };
    let npm = lock(&[]);
    assert!(npm.contains("npm install"), "{npm}");
    let pnpm = lock(&[("Dockerfile", "FROM node:24\nCOPY . .\nRUN pnpm install\n")]);
    assert!(pnpm.contains("pnpm install --lockfile-only"), "{pnpm}");
    let yarn = lock(&[(
        ".github/workflows/ci.yml",
        "jobs:\n  a:\n    steps:\n      - run: yarn install\n",
    )]);
    assert!(yarn.contains("yarn install --ignore-scripts"), "{yarn}");
    // One that ignores the lock of another manager does so for good reason.
    let ignored = lock(&[(".gitignore", "yarn.lock\n")]);
    assert!(ignored.contains("npm install"), "{ignored}");
}

#[test]
fn at_a_terminal_it_asks_first() {
    for (key, is_made) in [("y", true), ("n", false)] {
        let place = lay();
        install(&place, "npm", &makes("package-lock.json", "{}\\n"));
        let line = format!(
            "PATH={}:$PATH {DOZEN} add dependencies --path shop",
            place.home().join("bin").display()
        );
        let mut terminal = Terminal::start_shell(&place, &line);
        terminal.wait_for("? make package-lock.json with `npm").wait_for("it asks the registry");
        assert!(!place.home().join("asked").exists());
        terminal.press(key);
        if is_made {
            terminal.wait_for("? create package-lock.json").press("y");
        }
        assert_eq!(terminal.end(), Some(0), "{}", terminal.screen());
        terminal.assert_restored();
        assert_eq!(place.path("shop/package-lock.json").exists(), is_made);
        assert_eq!(place.home().join("asked").exists(), is_made);
    }
}
