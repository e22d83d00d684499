//! What lies between the plan of `dozen add` and the disk: uncommitted files, conflicts, a trial run, a patch.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::*;

/// `add` of factors that edit `.gitignore` and `.env.example` and bring new files.
const ADD: [&str; 5] = ["add", "codebase", "config", "--path", "shop"];
const DIRTY: &str = "changes that are not committed";

fn add(more: &[&'static str]) -> Vec<&'static str> {
    [&ADD[..], more].concat()
}

/// Somebody's repository, in a folder of that name.
fn lay(place: &Place, folder: &str) {
    let folder = Path::new(folder);
    place.write(folder.join("dozen.toml"), RECORD);
    place.write(folder.join("requirements.txt"), "flask\npsycopg2\n");
    place.write(folder.join("app.py"), "import os\nurl = os.environ[\"DATABASE_URL\"]\n");
    place.write(folder.join(".gitignore"), "*.pyc\n");
    place.write(folder.join(".env.example"), "DATABASE_URL=postgres://localhost/shop\n");
}

fn begin(place: &Place, folder: &str) {
    place.git(folder, &["init", "--quiet"]);
    place.git(folder, &["add", "--all"]);
    place.git(folder, &["commit", "--quiet", "--message", "Begin"]);
}

fn committed() -> Place {
    let place = Place::new();
    lay(&place, "shop");
    begin(&place, "shop");
    place
}

/// A repository of which one file is in conflict: dozen would own what stands there.
fn in_conflict() -> Place {
    let place = committed();
    fs::remove_file(place.path("shop/.env.example")).unwrap();
    fs::create_dir(place.path("shop/.env.example")).unwrap();
    place
}

// What git does not have

#[test]
fn a_file_with_uncommitted_changes_is_not_touched() {
    type Edit = fn(&Place);
    let edits: [Edit; 4] = [
        |place| drop(place.write("shop/.gitignore", "*.pyc\nmine\n")),
        |place| {
            place.write("shop/.gitignore", "*.pyc\nmine\n");
            place.git("shop", &["add", ".gitignore"]);
        },
        |place| {
            place.git("shop", &["rm", "--quiet", "--cached", ".gitignore"]);
        },
        |place| fs::remove_file(place.path("shop/.gitignore")).unwrap(),
    ];
    for edit in edits {
        let place = committed();
        edit(&place);
        let before = snapshot(&place.path("shop"));
        let index = fs::read(place.path("shop/.git/index")).unwrap();
        let run = place.run(ADD).expect(3).prints(&["conflict  .gitignore", DIRTY]);
        assert!(!run.out.contains("conflict  .env.example"), "{run:#?}");
        assert_eq!(snapshot(&place.path("shop")), before);
        assert_eq!(fs::read(place.path("shop/.git/index")).unwrap(), index);
        place.ok(add(&["--allow-dirty"]));
        assert_ne!(snapshot(&place.path("shop")), before);
        place.ok(["undo", "--path", "shop"]);
        assert_eq!(snapshot(&place.path("shop")), before);
    }
}

#[test]
fn uncommitted_changes_elsewhere_are_no_hindrance() {
    let place = committed();
    place.write("shop/app.py", "import os\n");
    place.write("shop/notes", "mine\n");
    place.ok(ADD);
}

#[test]
fn in_a_folder_of_a_repository_its_own_files_count() {
    let place = Place::new();
    lay(&place, "all/a shop");
    place.write("all/.gitignore", "*.log\n");
    begin(&place, "all");
    place.write("all/.gitignore", "*.tmp\n");
    let arguments = ["add", "codebase", "--path", "all/a shop"];
    place.ok(arguments.iter().chain(&["--dry-run"]));
    place.write("all/a shop/.gitignore", "*.tmp\n");
    place.run(arguments).expect(3).prints(&[DIRTY]);
}

#[test]
fn what_the_last_add_wrote_does_not_stop_the_next() {
    let place = committed();
    place.ok(["add", "config", "--path", "shop"]);
    assert!(place.git("shop", &["status", "--porcelain"]).contains("M .gitignore"));
    place.ok(["add", "codebase", "--path", "shop"]);

    // But what somebody made of it does.
    let text = text(place.path("shop/.gitignore"));
    place.write("shop/.gitignore", format!("{}mine\n", text.replace(".env\n", "")));
    place.run(["add", "config", "--path", "shop"]).expect(3).prints(&[DIRTY]);
}

#[test]
fn where_nothing_is_committed_yet_nothing_is_uncommitted() {
    // No git, a repository without a commit, and a folder of one that was never added.
    for begins in [false, true] {
        let place = Place::new();
        lay(&place, "shop");
        if begins {
            place.git("shop", &["init", "--quiet"]);
            place.git("shop", &["add", "--all"]);
        }
        place.ok(ADD);
    }
    let place = Place::new();
    place.write("README", "text\n");
    begin(&place, ".");
    lay(&place, "shop");
    place.ok(ADD);
}

#[test]
fn without_git_on_the_path_nothing_is_looked_up() {
    let place = committed();
    place.write("shop/.gitignore", "mine\n");
    let empty = place.home().join("bin");
    fs::create_dir(&empty).unwrap();
    run(place.dozen(ADD).env("PATH", empty)).expect(0);
}

#[test]
fn a_git_that_cannot_tell_is_an_error() {
    let place = committed();
    fs::write(place.path("shop/.git/index"), "broken").unwrap();
    let before = snapshot(&place.path("shop"));
    place.run(ADD).expect(4).says(&["cannot tell what of", "--allow-dirty"]);
    assert_eq!(snapshot(&place.path("shop")), before);
    place.ok(add(&["--allow-dirty"]));
}

#[test]
fn nothing_that_a_repository_names_is_run() {
    let place = committed();
    let monitor = place.write("monitor", "#!/bin/sh\n: > \"$HOME/was-run\"\n");
    fs::set_permissions(&monitor, fs::Permissions::from_mode(0o755)).unwrap();
    place.git("shop", &["config", "core.fsmonitor", monitor.to_str().unwrap()]);
    place.ok(ADD);
    assert!(!place.home().join("was-run").exists());
}

// Conflicts

#[test]
fn a_conflict_stops_everything_or_is_skipped() {
    for flags in [&[][..], &["--yes"], &["--on-conflict", "abort"], &["--on-conflict", "ask"]] {
        let place = in_conflict();
        let before = snapshot(&place.path("shop"));
        let run = place.run(add(flags)).expect(3).says(&["Nothing was written"]);
        assert!(run.out.contains("conflict  .env.example"), "{run:#?}");
        assert_eq!(snapshot(&place.path("shop")), before, "{flags:?}");
    }
    let place = in_conflict();
    let before = snapshot(&place.path("shop"));
    let run = place.run(add(&["--on-conflict", "skip"])).expect(3).says(&["is left to you"]);
    assert!(run.out.starts_with("Changed\n"), "{run:#?}");
    assert!(run.out.contains("conflict  .env.example"), "{run:#?}");
    assert_ne!(snapshot(&place.path("shop")), before);
    place.ok(["undo", "--path", "shop"]);
    assert_eq!(snapshot(&place.path("shop")), before);

    let report = place.run(add(&["--on-conflict", "skip", "--json"])).expect(3).json();
    assert_eq!(report["applied"], true);
    assert_eq!(report["conflicts"][0]["path"], ".env.example");
}

// A trial run

#[test]
fn nothing_is_written_where_the_command_fails_in_the_copy() {
    let place = committed();
    place.write("shop/node_modules/dependency/file", "text");
    place.write("shop/.gitignore", "*.pyc\nnode_modules/\n");
    place.write("shop/untracked", "text");
    std::os::unix::fs::symlink("app.py", place.path("shop/link")).unwrap();
    let script = place.write("shop/script", "#!/bin/sh\n");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    place.git("shop", &["commit", "--quiet", "--all", "--message", "Ignore"]);
    let before = snapshot(&place.path("shop"));

    let checks = "seq 100; pwd; test -x script && test -L link && test -f untracked \
        && test -f node_modules/dependency/file && test -f .gitattributes && grep -q '^.env$' .gitignore \
        && echo all there >&2; : > litter; exit 7";
    let run = place.run(add(&["--verify", checks])).expect(1);
    assert_eq!(run.out, "");
    for part in ["all there", "exit status: 7", "nothing was written", "\n100\n", "\n90\n"] {
        assert!(run.err.contains(part), "{part}: {run:#?}");
    }
    assert!(!run.err.contains("\n50\n"), "{run:#?}");
    assert_eq!(snapshot(&place.path("shop")), before);
    assert!(!place.path("shop/.dozen").exists());
    let copy = run.err.lines().find(|line| line.starts_with('/')).unwrap();
    assert!(!Path::new(copy).parent().unwrap().exists(), "{copy} is left");

    place.ok(add(&["--verify", "test -f .gitattributes"])).prints(&["Changed"]);
    assert!(place.path("shop/.gitattributes").is_file());
    assert!(!place.path("shop/litter").exists());
}

#[test]
fn what_changes_nothing_needs_no_trial() {
    let place = committed();
    place.ok(ADD);
    place.ok(add(&["--verify", "exit 1"])).prints(&["Nothing to add"]);
    place.ok(["add", "dev-prod-parity", "--path", "shop", "--dry-run", "--verify", "exit 1"]);
}

// A patch

#[test]
fn a_patch_applies_with_git_byte_for_byte() {
    for folder in ["", "services/a shop"] {
        let place = Place::new();
        let shop = Path::new("planned").join(folder);
        lay(&place, shop.to_str().unwrap());
        place.write(shop.join(".gitignore"), "*.pyc\r\n.venv");
        place.write(shop.join(".env.example"), "\u{feff}DATABASE_URL=postgres://localhost/shop");
        begin(&place, "planned");
        run(place.command("cp").args(["-a", "planned", "patched"])).expect(0);
        let before = snapshot_files(&place.path("planned"));

        let path = shop.to_str().unwrap();
        let factors =
            ["codebase", "config", "dev-prod-parity", "build-release-run", "admin-processes"];
        let add = [&["add", "--path", path, "--on-conflict", "skip"][..], &factors].concat();
        let wrote = place.run([&add[..], &["--patch", "add.patch"]].concat());
        assert!(matches!(wrote.code, Some(0 | 3)), "{wrote:#?}");
        assert!(wrote.out.contains("changes to add.patch"), "{wrote:#?}");
        let printed = place.run([&add[..], &["--patch", "-"]].concat());
        assert_eq!(printed.out, text(place.path("add.patch")));
        assert_eq!(snapshot_files(&place.path("planned")), before, "nothing else is written");

        place.git("patched", &["apply", "--whitespace=nowarn", "../add.patch"]);
        place.run(add);
        let after = snapshot_files(&place.path("planned"));
        assert_ne!(after, before);
        assert_eq!(snapshot_files(&place.path("patched")), after, "{folder}");
    }
}

#[test]
fn a_patch_is_for_files_that_are_not_committed_too() {
    let place = committed();
    place.write("shop/.gitignore", "mine\n");
    place.ok(add(&["--patch", "add.patch"]));
    place.git("shop", &["apply", "../add.patch"]);
    assert!(text(place.path("shop/.gitignore")).starts_with("mine\n"));
}

#[test]
fn a_patch_that_cannot_be_written_is_an_error() {
    let place = committed();
    place.run(add(&["--patch", "missing/add.patch"])).expect(4).says(&["--patch"]);
}

// The factors

#[test]
fn all_is_every_factor() {
    let place = committed();
    let factors = list_factors(&place);
    let of = |arguments: &[&str]| {
        let dry = ["--path", "shop", "--dry-run", "--json"];
        place.run(["add"].iter().chain(arguments).chain(&dry)).json()["changes"].clone()
    };
    let named: Vec<&str> = factors.iter().map(String::as_str).collect();
    assert_eq!(of(&["all"]), of(&named));
}

// What is recorded

#[test]
fn how_it_is_started_is_recorded_where_that_is_asked_for() {
    let place = Place::new();
    place.write("shop/requirements.txt", "flask==3.0.0\n");
    place.write("shop/app.py", "import os\nkey = os.environ[\"SECRET_KEY\"]\n");
    place.write("shop/Procfile", "web: gunicorn \"app:create()\"\nrelease: flask db upgrade\n");
    let before = snapshot(&place.path("shop"));

    place.ok(add(&["--yes"]));
    assert!(!place.path("shop/dozen.toml").exists());
    place.ok(["undo", "--path", "shop"]);

    place.ok(add(&["--yes", "--record"]));
    let text = fs::read_to_string(place.path("shop/dozen.toml")).unwrap();
    let record: toml::Table = text.parse().unwrap();
    assert_eq!(record["processes"]["web"].as_str(), Some("gunicorn \"app:create()\""), "{text}");
    assert_eq!(record["processes"]["release"].as_str(), Some("flask db upgrade"), "{text}");
    assert!(!record.contains_key("answers"), "it is not one of dozen's");
    place.run(add(&["--record"])).expect(0).prints(&["Nothing to add"]);

    place.ok(["undo", "--path", "shop"]);
    assert_eq!(snapshot(&place.path("shop")), before);
}

#[test]
fn nothing_is_recorded_of_what_nobody_can_start() {
    let place = Place::new();
    place.write("shop/requirements.txt", "requests==2.32.0\n");
    place.write("shop/parse.py", "");
    let run = place.run(add(&["--yes", "--record"])).expect(0);
    run.prints(&["name `web` under [processes]"]);
    assert!(!place.path("shop/dozen.toml").exists());
}
