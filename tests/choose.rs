//! `dozen add` at a terminal: what it asks about each file, as somebody who sits there sees it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;
#[path = "support/terminal.rs"]
mod terminal;

use std::fs;

use rustix::process::Signal;
use support::*;
use terminal::*;

const ADD: [&str; 5] = ["add", "codebase", "config", "--path", "shop"];
/// What that changes, in the order in which it is asked about.
const CHANGES: [&str; 3] = ["modify .env.example", "create .gitattributes", "modify .gitignore"];

fn lay(place: &Place) {
    place.write("shop/dozen.toml", RECORD);
    place.write("shop/requirements.txt", "flask\npsycopg2\n");
    place.write("shop/app.py", "import os\nurl = os.environ[\"DATABASE_URL\"]\n");
    place.write("shop/.gitignore", "*.pyc\n");
    place.write("shop/.env.example", "DATABASE_URL=postgres://localhost/shop\n");
}

fn laid() -> (Place, Snapshot) {
    let place = Place::new();
    lay(&place);
    let before = snapshot(&place.path("shop"));
    (place, before)
}

/// The same, with one file that git does not have yet.
fn dirty() -> (Place, Snapshot) {
    let place = Place::new();
    lay(&place);
    place.git("shop", &["init", "--quiet"]);
    place.git("shop", &["add", "--all"]);
    place.git("shop", &["commit", "--quiet", "--message", "Begin"]);
    place.write("shop/.gitignore", "*.pyc\nmine\n");
    let before = snapshot(&place.path("shop"));
    (place, before)
}

fn add(place: &Place, more: &[&str]) -> Terminal {
    Terminal::start(place, &[&ADD[..], more].concat())
}

impl Terminal {
    #[track_caller]
    fn asked(&mut self, change: &str) -> &mut Self {
        self.wait_for(&format!("? {change}"))
    }

    #[track_caller]
    fn ends_well(&mut self) -> String {
        assert_eq!(self.end(), Some(0), "{}", self.screen());
        self.assert_restored();
        self.screen()
    }
}

#[test]
fn each_file_is_asked_about_and_only_what_is_wanted_is_written() {
    let (place, before) = laid();
    let mut terminal = add(&place, &[]);
    terminal.asked(CHANGES[0]).press("n").asked(CHANGES[1]);
    let screen = terminal.screen();
    for shown in [
        "Would change",
        "create  .gitattributes  codebase",
        "modify  .gitignore",
        "y yes, n no, d diff, a all, q quit",
    ] {
        assert!(screen.contains(shown), "{shown}:\n{screen}");
    }
    assert_eq!(snapshot(&place.path("shop")), before, "nothing is written before the last answer");
    terminal.press("n").asked(CHANGES[2]).press("y");
    let screen = terminal.ends_well();
    for shown in [
        "create .gitattributes? \u{b7} no",
        "modify .gitignore? \u{b7} yes",
        "Changed",
        "`dozen undo`",
    ] {
        assert!(screen.contains(shown), "{shown}:\n{screen}");
    }
    assert!(!place.path("shop/.gitattributes").exists());
    assert!(text(place.path("shop/.gitignore")).contains(".env"));
    place.ok(["undo", "--path", "shop"]);
    assert_eq!(snapshot(&place.path("shop")), before);
}

#[test]
fn all_takes_this_one_and_those_that_follow() {
    let (place, _) = laid();
    add(&place, &[]).asked(CHANGES[0]).press("a").ends_well();
    let (other, _) = laid();
    other.ok(ADD);
    assert_eq!(snapshot(&place.path("shop")), snapshot(&other.path("shop")));

    let (place, _) = laid();
    let mut terminal = add(&place, &[]);
    terminal.asked(CHANGES[0]).press("Y").asked(CHANGES[1]).press("N");
    terminal.asked(CHANGES[2]).press("A").ends_well();
    assert!(!place.path("shop/.gitattributes").exists());
}

#[test]
fn the_diff_is_shown_and_then_it_is_asked_again() {
    let (place, before) = laid();
    let mut terminal = add(&place, &[]);
    terminal.asked(CHANGES[0]).press("n").asked(CHANGES[1]).press("n");
    terminal.asked(CHANGES[2]).press("d").wait_for("+.env").asked(CHANGES[2]);
    assert!(terminal.screen().contains("@@ -1,1 +1,"), "{}", terminal.screen());
    terminal.press("n");
    assert!(terminal.ends_well().contains("Nothing was written."));
    assert_eq!(snapshot(&place.path("shop")), before);
    assert!(!place.path("shop/.dozen").exists());
}

#[test]
fn other_keys_are_passed_over() {
    let (place, before) = laid();
    let mut terminal = add(&place, &[]);
    terminal.asked(CHANGES[0]).press("x?k7").press(UP).press(ENTER).press("n");
    terminal.asked(CHANGES[1]).press("n").asked(CHANGES[2]).press("n").ends_well();
    assert_eq!(snapshot(&place.path("shop")), before);
}

#[test]
fn quit_ctrl_c_and_escape_write_nothing_at_all() {
    for key in ["q", CTRL_C, ESCAPE] {
        for at in 0..CHANGES.len() {
            let (place, before) = laid();
            let mut terminal = add(&place, &[]);
            for change in &CHANGES[..at] {
                terminal.asked(change).press("y");
            }
            terminal.asked(CHANGES[at]).press(key);
            assert_eq!(terminal.end(), Some(130), "{key:?} at {at}:\n{}", terminal.screen());
            terminal.assert_restored();
            assert!(terminal.screen().contains("interrupted; nothing was changed"));
            assert_eq!(snapshot(&place.path("shop")), before);
            assert!(!place.path("shop/.dozen").exists());
        }
    }
}

#[test]
fn signals_while_asking_give_the_terminal_back() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let (place, before) = laid();
        let mut terminal = add(&place, &[]);
        terminal.asked(CHANGES[0]);
        assert_eq!(terminal.end_by(signal), Some(130), "{signal:?}:\n{}", terminal.screen());
        terminal.assert_restored();
        assert_eq!(snapshot(&place.path("shop")), before);
    }
}

#[test]
fn nothing_is_asked_where_nothing_is_to_be_decided() {
    for flags in [&["--yes"][..], &["--dry-run"], &["--json"], &["--patch", "add.patch"]] {
        let (place, before) = laid();
        add(&place, flags).ends_well();
        let is_written = snapshot(&place.path("shop")) != before;
        assert_eq!(is_written, flags == ["--yes"] || flags == ["--json"], "{flags:?}");
    }
    let (place, _) = laid();
    place.ok(ADD);
    assert!(add(&place, &[]).ends_well().contains("Nothing to add"));
}

#[test]
fn of_a_conflict_either_side_can_be_kept() {
    let conflict = ".gitignore: it has changes that are not committed";
    for (key, takes) in [("k", false), ("t", true)] {
        let (place, before) = dirty();
        let mut terminal = add(&place, &[]);
        terminal.asked(conflict).press("d").wait_for("+.env").asked(conflict).press(key);
        terminal.asked(CHANGES[0]).press("y").asked(CHANGES[1]).press("a");
        assert_eq!(terminal.end(), Some(if takes { 0 } else { 3 }), "{}", terminal.screen());
        terminal.assert_restored();
        assert!(place.path("shop/.gitattributes").exists());
        let now = text(place.path("shop/.gitignore"));
        assert!(now.starts_with("*.pyc\nmine\n"));
        assert_eq!(now.contains(".env"), takes, "{now}");
        place.ok(["undo", "--path", "shop"]);
        assert_eq!(snapshot(&place.path("shop")), before);
    }
    let (place, before) = dirty();
    let mut terminal = add(&place, &[]);
    terminal.asked(conflict).press("q");
    assert_eq!(terminal.end(), Some(130));
    assert_eq!(snapshot(&place.path("shop")), before);
}

#[test]
fn a_file_that_stands_in_the_way_can_be_replaced() {
    let (place, _) = laid();
    place.write("shop/Dockerfile", "FROM theirs\n");
    fs::remove_file(place.path("shop/.env.example")).unwrap();
    fs::create_dir(place.path("shop/.env.example")).unwrap();
    let before = snapshot(&place.path("shop"));
    let arguments = ["add", "config", "build-release-run", "--path", "shop"];
    let mut terminal = Terminal::start(&place, &arguments);
    // In place of a folder nothing can be taken.
    terminal.asked(".env.example").wait_for("k keep mine, q quit").press("tk");
    terminal.asked("Dockerfile: it stands there already").press("t");
    terminal.asked("create .dockerignore").press("a");
    assert_eq!(terminal.end(), Some(3), "{}", terminal.screen());
    assert!(!text(place.path("shop/Dockerfile")).contains("theirs"));
    place.ok(["undo", "--path", "shop"]);
    assert_eq!(snapshot(&place.path("shop")), before);
}

#[test]
fn a_conflict_is_not_asked_about_where_a_flag_decides() {
    let (place, before) = dirty();
    let mut terminal = add(&place, &["--on-conflict", "abort"]);
    assert_eq!(terminal.end(), Some(3));
    assert_eq!(snapshot(&place.path("shop")), before);

    let mut terminal = add(&place, &["--on-conflict", "skip"]);
    terminal.asked(CHANGES[0]).press("a");
    assert_eq!(terminal.end(), Some(3), "{}", terminal.screen());
    assert_eq!(text(place.path("shop/.gitignore")), "*.pyc\nmine\n");
    assert!(place.path("shop/.gitattributes").exists());
}

#[test]
fn narrow_and_wide_terminals_do_not_stop_it() {
    for columns in [1, 20, 300] {
        let (place, before) = laid();
        let mut terminal = Terminal::start_with(&place, &ADD, columns, |_| {});
        for _ in CHANGES {
            terminal.settle().press("y");
        }
        assert_eq!(terminal.end(), Some(0), "{columns} columns:\n{}", terminal.screen());
        terminal.assert_restored();
        assert_ne!(snapshot(&place.path("shop")), before);
    }
}
