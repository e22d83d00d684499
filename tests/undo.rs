//! `dozen undo`: what was there before comes back, byte for byte and mode for mode, and nothing else changes.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dozen::apply::{self, Undo};
use dozen::plan::{Change, Plan};
use dozen::tree::{Content, RepoPath, Tree};
use proptest::prelude::*;
use support::*;

const ADD: [&str; 5] = ["add", "codebase", "config", "--path", "shop"];
const UNDO: [&str; 3] = ["undo", "--path", "shop"];

/// Somebody's repository, with modes and line endings of its own.
fn lay(place: &Place) {
    place.write("shop/dozen.toml", RECORD);
    place.write("shop/requirements.txt", "flask\npsycopg2\n");
    place.write("shop/app.py", "import os\r\nurl = os.environ[\"DATABASE_URL\"]");
    let ignored = place.write("shop/.gitignore", "*.pyc\r\n.venv");
    fs::set_permissions(ignored, fs::Permissions::from_mode(0o640)).unwrap();
    place.write("shop/.env.example", "DATABASE_URL=postgres://localhost/shop\n");
    fs::create_dir_all(place.path("shop/empty/still")).unwrap();
}

/// The same after `add`, with what it was before.
fn add() -> (Place, Snapshot) {
    let place = Place::new();
    lay(&place);
    let before = snapshot(&place.path("shop"));
    place.ok(ADD);
    assert_ne!(snapshot(&place.path("shop")), before);
    (place, before)
}

fn commit(place: &Place) {
    place.git("shop", &["init", "--quiet"]);
    place.git("shop", &["add", "--all"]);
    place.git("shop", &["commit", "--quiet", "--message", "Begin"]);
}

#[test]
fn what_was_there_comes_back_and_nothing_is_left_of_the_record() {
    let (place, before) = add();
    let run = place.ok(UNDO).prints(&["Took back", "modify  .gitignore", "delete  .gitattributes"]);
    assert_eq!(run.err, "");
    assert_eq!(snapshot(&place.path("shop")), before);
    assert!(!place.path("shop/.dozen").exists());
    place.ok(UNDO).prints(&["Nothing to take back"]);
    assert_eq!(snapshot(&place.path("shop")), before);
}

#[test]
fn git_sees_nothing_of_the_record() {
    let place = Place::new();
    lay(&place);
    commit(&place);
    let before = snapshot_files(&place.path("shop"));
    place.ok(ADD);
    assert!(place.path("shop/.dozen").exists());
    assert!(!place.git("shop", &["status", "--porcelain", "-uall"]).contains(".dozen"));
    place.git("shop", &["add", "--all"]);
    place.git("shop", &["commit", "--quiet", "--message", "Add"]);
    assert!(!place.git("shop", &["ls-files"]).contains(".dozen"));

    // It is taken back after a commit as well.
    place.ok(UNDO);
    assert_eq!(snapshot_files(&place.path("shop")), before);
}

#[test]
fn nobody_reads_the_record_as_a_part_of_the_repository() {
    let (place, _) = add();
    commit(&place);
    place.git("shop", &["add", "--force", ".dozen"]);
    let tree = Tree::read(&place.path("shop")).unwrap();
    assert!(!tree.files().any(|path| path.as_str().contains(".dozen")));
    let judged = place.run(["check", "shop", "--json"]);
    assert!(!judged.out.contains(".dozen"), "{}", judged.out);
}

#[test]
fn what_was_edited_elsewhere_stays() {
    let (place, mut before) = add();
    place.write("shop/app.py", "import sys\n");
    place.write("shop/notes", "mine\n");
    fs::remove_dir(place.path("shop/empty/still")).unwrap();
    let edited = snapshot(&place.path("shop"));
    place.ok(UNDO);
    for path in ["app.py", "notes"] {
        before.insert(path.into(), edited[Path::new(path)].clone());
    }
    before.remove(Path::new("empty/still"));
    assert_eq!(snapshot(&place.path("shop")), before);
}

#[test]
fn a_folder_that_somebody_has_put_something_into_stays() {
    let place = Place::new();
    lay(&place);
    let before = snapshot(&place.path("shop"));
    let plan = plan_to_write(&place.path("shop"), &[("new/deep/file", "text"), ("new/other", "")]);
    apply::apply(&plan).unwrap();
    place.write("shop/new/mine", "mine\n");
    place.ok(UNDO);
    assert_eq!(names(&place.path("shop/new")), ["mine"]);
    fs::remove_dir_all(place.path("shop/new")).unwrap();
    assert_eq!(snapshot(&place.path("shop")), before);
}

/// A plan that brings these files, whatever stands there.
fn plan_to_write(root: &Path, files: &[(&str, &str)]) -> Plan {
    let tree = Tree::at(root);
    let changes = files.iter().map(|(path, text)| {
        let path = RepoPath::parse(path).unwrap();
        let before = match tree.get(&path) {
            Some(dozen::tree::Entry::File(before)) => Some(before),
            _ => None,
        };
        let executable = before.as_ref().is_some_and(|before| before.executable);
        let after = Some(Content { bytes: (*text).into(), executable });
        Change { path, factor: None, before, after, does: Vec::new() }
    });
    Plan { root: root.to_owned(), changes: changes.collect(), ..Plan::default() }
}

#[test]
fn a_file_that_was_changed_since_is_named_and_nothing_taken_back() {
    type Edit = fn(&Place);
    let edits: [(&str, Edit); 4] = [
        (".gitignore", |place| drop(place.write("shop/.gitignore", "mine\n"))),
        (".gitattributes", |place| drop(place.write("shop/.gitattributes", "mine\n"))),
        (".gitignore", |place| fs::remove_file(place.path("shop/.gitignore")).unwrap()),
        (".gitattributes", |place| {
            let path = place.path("shop/.gitattributes");
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }),
    ];
    for (path, edit) in edits {
        let (place, before) = add();
        edit(&place);
        let edited = snapshot(&place.path("shop"));
        let run = place.run(UNDO).expect(3).says(&["Nothing was taken back", "--force"]);
        assert!(run.out.contains(&format!("conflict  {path}: it was")), "{run:#?}");
        assert_eq!(snapshot(&place.path("shop")), edited);
        place.run(["undo", "--path", "shop", "--json"]).expect(3);
        assert_eq!(snapshot(&place.path("shop")), edited);

        place.ok(UNDO.iter().chain(&["--force"]));
        assert_eq!(snapshot(&place.path("shop")), before, "{path}");
        assert!(!place.path("shop/.dozen").exists());
    }
}

#[test]
fn a_file_that_is_gone_already_or_was_put_back_by_hand_is_no_conflict() {
    let (place, before) = add();
    fs::remove_file(place.path("shop/.gitattributes")).unwrap();
    fs::write(place.path("shop/.gitignore"), "*.pyc\r\n.venv").unwrap();
    place.ok(UNDO);
    assert_eq!(snapshot(&place.path("shop")), before);
}

#[test]
fn what_is_no_file_any_more_is_left_alone_even_by_force() {
    for link in [false, true] {
        let (place, _) = add();
        fs::remove_file(place.path("shop/.gitignore")).unwrap();
        if link {
            std::os::unix::fs::symlink("app.py", place.path("shop/.gitignore")).unwrap();
        } else {
            fs::create_dir(place.path("shop/.gitignore")).unwrap();
        }
        let edited = snapshot(&place.path("shop"));
        for arguments in [&UNDO[..], &["undo", "--path", "shop", "--force"]] {
            let run = place.run(arguments).expect(3);
            assert!(run.out.contains("conflict  .gitignore: it is a"), "{run:#?}");
            assert_eq!(snapshot(&place.path("shop")), edited);
        }
    }
}

#[test]
fn only_the_last_change_is_taken_back() {
    let (place, _) = add();
    let between = snapshot(&place.path("shop"));
    place.ok(["add", "dev-prod-parity", "--path", "shop"]);
    assert_ne!(snapshot(&place.path("shop")), between);
    place.ok(UNDO);
    assert_eq!(snapshot(&place.path("shop")), between);
    place.ok(UNDO).prints(&["Nothing to take back"]);
    assert_eq!(snapshot(&place.path("shop")), between);
}

#[test]
fn what_changes_nothing_leaves_the_record_as_it_is() {
    let (place, before) = add();
    place.ok(ADD);
    place.ok(["add", "logs", "--path", "shop", "--dry-run"]);
    place.ok(UNDO);
    assert_eq!(snapshot(&place.path("shop")), before);
}

#[test]
fn new_leaves_no_record() {
    let place = Place::new();
    fs::create_dir(place.path("empty")).unwrap();
    for into in ["made", "empty"] {
        place.ok(["new", "shop", "--stack", "python", "--yes", "--into", into]);
        assert!(!place.path(into).join(".dozen").exists());
        place.ok(["undo", "--path", into]).prints(&["Nothing to take back"]);
    }
}

#[test]
fn a_dry_run_its_diff_and_its_json_say_what_an_undo_does() {
    let (place, before) = add();
    let after = snapshot(&place.path("shop"));
    let dry = place.ok(UNDO.iter().chain(&["--dry-run"]));
    assert!(dry.out.starts_with("Would take back\n"), "{}", dry.out);
    let planned = place.ok(UNDO.iter().chain(&["--dry-run", "--json"])).json();
    let schema: serde_json::Value = serde_json::from_str(&place.ok(["schema"]).out).unwrap();
    assert!(jsonschema::is_valid(&schema, &planned), "{planned:#}");
    assert_eq!(planned["applied"], false);
    let diff = place.ok(UNDO.iter().chain(&["--dry-run", "--diff"])).out;
    assert_eq!(snapshot(&place.path("shop")), after);

    // Its diff is one that git can apply, to a copy.
    run(place.command("cp").args(["-a", "shop", "copy"])).expect(0);
    place.write("undo.diff", diff.split("Would take back").next().unwrap());
    place.git("copy", &["init", "--quiet"]);
    place.git("copy", &["apply", "--whitespace=nowarn", "../undo.diff"]);
    // Of a mode, git knows only whether a file may be executed.
    let ignored = place.path("copy/.gitignore");
    fs::set_permissions(ignored, fs::Permissions::from_mode(0o640)).unwrap();

    let done = place.ok(UNDO.iter().chain(&["--json"])).json();
    assert!(jsonschema::is_valid(&schema, &done), "{done:#}");
    assert_eq!(done["applied"], true);
    assert_eq!(done["changes"], planned["changes"]);
    assert_eq!(snapshot(&place.path("shop")), before);
    assert_eq!(snapshot_files(&place.path("copy")), before);
    let none = place.ok(UNDO.iter().chain(&["--json"])).json();
    assert!(jsonschema::is_valid(&schema, &none), "{none:#}");
    assert_eq!(none["applied"], false);
}

#[test]
fn a_copy_has_no_last_change_of_its_own() {
    let (place, _) = add();
    run(place.command("cp").args(["-a", "shop", "copy"])).expect(0);
    let copied = snapshot(&place.path("copy"));
    place.run(["undo", "--path", "copy"]).expect(3).says(&["was copied"]);
    assert_eq!(snapshot(&place.path("copy")), copied);
    place.ok(["add", "dev-prod-parity", "--path", "copy"]);
    place.ok(["undo", "--path", "copy"]);
    assert_eq!(snapshot(&place.path("copy")), copied);
}

#[test]
fn a_backup_that_is_not_what_was_recorded_is_not_brought_back() {
    let (place, _) = add();
    let backup = place.path("shop/.dozen/undo/backup");
    fs::write(backup.join(&names(&backup)[0]), "other\n").unwrap();
    let after = snapshot(&place.path("shop"));
    place.run(UNDO).expect(3).says(&[".dozen/undo/backup"]);
    assert_eq!(snapshot(&place.path("shop")), after);
}

// Any tree, any plan

/// Paths that share folders, so that plans and trees meet.
fn any_path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c d", ".e", "\u{e9}"]), 1..4)
        .prop_map(|parts| parts.join("/"))
}

fn any_bytes() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "x", "x\n", "x\r\ny\r\n", "\u{feff}x\ny", "\0\n"])
        .prop_map(str::to_owned)
}

/// Those of `paths` that can stand beside each other as files: none is a folder of another.
fn without_folders<T>(paths: BTreeMap<String, T>) -> BTreeMap<String, T> {
    let folders: BTreeSet<String> = paths
        .keys()
        .flat_map(|path| RepoPath::parse(path).unwrap().folders().collect::<Vec<_>>())
        .map(|folder| folder.to_string())
        .collect();
    paths.into_iter().filter(|(path, _)| !folders.contains(path)).collect()
}

/// Another test's child has a folder's lock, too, between its fork and its exec.
fn patiently<T>(mut take: impl FnMut() -> dozen::error::Result<T>) -> T {
    loop {
        match take() {
            Err(dozen::error::Error::Busy(_)) => std::thread::yield_now(),
            taken => return taken.unwrap(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn an_undo_of_any_plan_restores_any_tree(
        files in prop::collection::btree_map(any_path(), (any_bytes(), prop::sample::select(vec![0o644, 0o600, 0o755, 0o444, 0o750])), 0..8),
        folders in prop::collection::vec(any_path(), 0..4),
        after in prop::collection::btree_map(
            any_path(),
            prop::option::weighted(0.8, (any_bytes(), any::<bool>())),
            1..8,
        ),
        earlier in any::<bool>(),
    ) {
        let place = Place::in_memory();
        let root = place.path("root");
        fs::create_dir(&root).unwrap();
        for (path, (text, mode)) in without_folders(files) {
            write(&root.join(&path), text);
            fs::set_permissions(root.join(&path), fs::Permissions::from_mode(mode)).unwrap();
        }
        for folder in folders {
            let _ = fs::create_dir_all(root.join(folder));
        }
        if earlier {
            let plan = plan_to_write(&root, &[("earlier", "text")]);
            patiently(|| apply::apply(&plan));
        }
        let before = snapshot(&root);
        let is_free = |path: &str| {
            let path = RepoPath::parse(path).unwrap();
            !root.join(&path).is_dir() && !path.folders().any(|folder| root.join(folder).is_file())
        };
        let changes: Vec<Change> = without_folders(after)
            .into_iter()
            .filter(|(path, _)| is_free(path))
            .map(|(path, brought)| {
                let (text, executable) = brought.clone().unwrap_or_default();
                let mut plan = plan_to_write(&root, &[(&path, &text)]);
                let mut change = plan.changes.remove(0);
                change.after = change.after.filter(|_| brought.is_some()).map(|after| Content {
                    executable: after.executable || change.before.is_none() && executable,
                    ..after
                });
                change
            })
            .filter(|change| change.before.as_deref() != change.after.as_ref())
            .collect();
        let count = changes.len();
        let plan = Plan { root: root.clone(), changes, ..Plan::default() };
        patiently(|| apply::apply(&plan));
        for change in &plan.changes {
            let found = fs::read(root.join(&change.path)).ok();
            prop_assert_eq!(found.as_ref(), change.after.as_ref().map(|after| &after.bytes));
        }
        let undo = patiently(|| Undo::find(&root));
        prop_assert_eq!(undo.is_some(), count > 0 || earlier);
        if let Some(undo) = undo.filter(|_| count > 0) {
            prop_assert!(undo.conflicts.is_empty());
            undo.carry_out().unwrap();
        }
        prop_assert_eq!(snapshot(&root), before);
    }
}
