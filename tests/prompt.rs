//! `dozen new` at a terminal: the dialogue, as somebody who sits there sees it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;
#[path = "support/terminal.rs"]
mod terminal;

use std::fs;

use dozen::stack::Stack;
use rustix::process::Signal;
use support::*;
use terminal::*;

/// The prompts in their order; the last one is the review.
const PROMPTS: [&str; 6] = ["Name", "Stack", "Database", "CI", "Deployment", REVIEW];
const REVIEW: &str = "Is this right?";

impl Terminal {
    /// Waits for the prompt of that name.
    #[track_caller]
    fn asked(&mut self, prompt: &str) -> &mut Self {
        self.wait_for(&format!("? {prompt}"))
    }

    /// Answers the prompts before `prompt`, the name with `shop` and the others with Enter.
    #[track_caller]
    fn walk_to(&mut self, prompt: &str) -> &mut Self {
        for before in PROMPTS.into_iter().take_while(|before| *before != prompt) {
            self.asked(before).press(if before == "Name" { "shop\r" } else { ENTER });
        }
        self.asked(prompt)
    }

    /// Waits for the item that is marked, and takes it.
    #[track_caller]
    fn take(&mut self, item: &str) -> &mut Self {
        self.wait_for(&format!("\u{276f} {item}")).press(ENTER)
    }
}

fn recorded(place: &Place, folder: &str) -> toml::Table {
    let text = text(place.path(folder).join("dozen.toml"));
    text.parse::<toml::Table>().unwrap()["answers"].as_table().unwrap().clone()
}

/// The one that a prompt offers first.
fn first_stack() -> Stack {
    Stack::all().unwrap().remove(0)
}

#[test]
fn the_whole_dialogue_with_the_defaults_makes_a_repository() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, &["new"]);
    terminal.walk_to(REVIEW);
    let screen = terminal.screen();
    let stack = first_stack().slug;
    let chosen = format!("Stack       {stack}");
    for shown in ["Name        shop", &chosen, "Database    postgres", "one commit"] {
        assert!(screen.contains(shown), "{shown}:\n{screen}");
    }
    assert_eq!(names(&place.work()), [""; 0], "nothing is written before it is confirmed");
    terminal.press(ENTER);
    assert_eq!(terminal.end(), Some(0));
    terminal.assert_restored();
    assert!(terminal.screen().contains("Created shop"), "{}", terminal.screen());
    let answers = recorded(&place, "shop");
    assert_eq!(answers["database"].as_str(), Some("postgres"));
    assert_eq!(answers["deploy"].as_str(), Some("kubernetes"));
    assert_eq!(place.git("shop", &["status", "--porcelain"]), "");

    // The same answers without a terminal give the same tree.
    place.ok(["new", "shop", "--stack", &stack, "--yes", "--into", "again"]);
    assert_eq!(snapshot(&place.path("shop")), snapshot(&place.path("again")));
}

#[test]
fn arrow_keys_choose() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, &["new"]);
    terminal.walk_to("Database").press(DOWN).take("MySQL");
    terminal.asked("CI").press(DOWN).take("GitLab CI");
    terminal.asked("Deployment").press(DOWN).press(DOWN).press(UP).take("Heroku");
    terminal.asked(REVIEW).press(ENTER);
    assert_eq!(terminal.end(), Some(0));
    let answers = recorded(&place, "shop");
    let chosen = ["database", "ci", "deploy"].map(|key| answers[key].as_str().unwrap());
    assert_eq!(chosen, ["mysql", "gitlab", "heroku"]);
}

#[test]
fn going_back_is_possible_to_the_first_question_and_forgets_nothing() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, &["new"]);
    terminal.walk_to("Database").press(DOWN).take("MySQL");
    let stack = first_stack().title;
    for (prompt, preset) in [("CI", "GitHub"), ("Database", "MySQL"), ("Stack", stack.as_str())] {
        terminal.asked(prompt).wait_for(&format!("\u{276f} {preset}"));
        while !terminal.screen().contains("\u{276f} \u{2190} back") {
            terminal.press(DOWN).settle();
        }
        terminal.press(ENTER);
    }
    terminal.asked("Name (shop)").press("other\r");
    terminal.asked("Stack").press(ENTER);
    terminal.asked("Database").take("MySQL");
    terminal.asked("CI").press(ENTER);
    terminal.asked("Deployment").press(ENTER);
    terminal.asked(REVIEW).press(ENTER);
    assert_eq!(terminal.end(), Some(0));
    assert_eq!(names(&place.work()), ["other"]);
    assert_eq!(recorded(&place, "other")["database"].as_str(), Some("mysql"));
}

#[test]
fn every_answer_can_be_changed_in_the_review() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, &["new"]);
    terminal.walk_to(REVIEW).press(DOWN).take("change Name");
    terminal.asked("Name (shop)").press("other\r");
    terminal.asked(REVIEW).press(DOWN).press(DOWN).take("change Stack");
    terminal.asked("Stack").take(&first_stack().title);
    for (down, prompt, choice) in
        [(3, "Database", "MySQL"), (4, "CI", "GitLab CI"), (5, "Deployment", "Heroku")]
    {
        terminal.asked(REVIEW);
        for _ in 0..down {
            terminal.press(DOWN);
        }
        terminal.take(&format!("change {prompt}"));
        terminal.asked(prompt).press(DOWN).take(choice);
    }
    // Whoever looks at a question and goes back has changed nothing.
    terminal.asked(REVIEW).press(DOWN).press(DOWN).press(DOWN).take("change Database");
    terminal.asked("Database").press(DOWN).take("\u{2190} back");
    terminal.asked(REVIEW).take("Create it");
    assert_eq!(terminal.end(), Some(0));
    let answers = recorded(&place, "other");
    let chosen = ["name", "database", "ci", "deploy"].map(|key| answers[key].as_str().unwrap());
    assert_eq!(chosen, ["other", "mysql", "gitlab", "heroku"]);
    assert_eq!(names(&place.work()), ["other"]);
}

#[test]
fn a_bad_name_is_explained_at_the_prompt_and_asked_again() {
    let place = Place::new();
    place.write("taken/file", "mine");
    place.write("a-file", "mine");
    let mut terminal = Terminal::start(&place, &["new", "--stack", "python"]);
    for (typed, explanation) in [
        ("", "it is empty"),
        ("../x", "it is a path"),
        ("2shop", "does not start with a letter"),
        ("class", "word of the Python language"),
        ("caf\u{e9}", "is not one of the letters"),
        ("taken", "is not empty"),
        ("a-file", "is not a folder"),
    ] {
        terminal.asked("Name").press(typed).press(ENTER).wait_for(explanation);
    }
    terminal.asked("Name").press("shoq").press(BACKSPACE).press("p").press(ENTER);
    terminal.asked("Database").press(ESCAPE);
    assert_eq!(terminal.end(), Some(130));
    assert!(terminal.screen().contains("Name \u{b7} shop"), "{}", terminal.screen());
    assert_eq!(text(place.path("taken/file")), "mine");
}

#[test]
fn a_proposed_name_is_one_enter_away() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, &["new", "class", "--stack", "python"]);
    terminal.asked("Name (class-service)").press(ENTER);
    terminal.asked("Database").press(CTRL_C);
    assert_eq!(terminal.end(), Some(130));
}

#[test]
fn flags_skip_their_questions() {
    let place = Place::new();
    let arguments = ["new", "shop", "--stack", "python", "--database", "mysql"];
    let mut terminal = Terminal::start(&place, &arguments);
    terminal.asked("CI").press(ENTER);
    terminal.asked("Deployment").press(ENTER);
    terminal.asked(REVIEW);
    let written = String::from_utf8(terminal.written.clone()).unwrap();
    for skipped in ["? Name", "? Stack", "? Database"] {
        assert!(!console::strip_ansi_codes(&written).contains(skipped), "{written}");
    }
    // What was given may be changed all the same.
    terminal.press(DOWN).press(DOWN).press(DOWN).take("change Database");
    terminal.asked("Database").wait_for("\u{276f} MySQL").press(UP).take("PostgreSQL");
    terminal.asked(REVIEW).press(ENTER);
    assert_eq!(terminal.end(), Some(0));
    assert_eq!(recorded(&place, "shop")["database"].as_str(), Some("postgres"));
}

#[test]
fn where_all_is_given_only_the_review_is_left() {
    let place = Place::new();
    write(&place.user_config(), "ci = \"gitlab\"\ndeploy = \"none\"\n");
    let arguments = ["new", "shop", "--stack", "python", "--set", "database=mysql"];
    let mut terminal = Terminal::start(&place, &arguments);
    terminal.asked(REVIEW).press(ENTER);
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn ctrl_c_and_escape_leave_no_trace_at_any_prompt() {
    for key in [CTRL_C, ESCAPE] {
        for prompt in PROMPTS {
            let place = Place::new();
            fs::create_dir(place.path("empty")).unwrap();
            let mut terminal = Terminal::start(&place, &["new", "--into", "empty"]);
            terminal.walk_to(prompt).press(key);
            assert_eq!(terminal.end(), Some(130), "{key:?} at {prompt}:\n{}", terminal.screen());
            terminal.assert_restored();
            assert_eq!(names(&place.work()), ["empty"], "{key:?} at {prompt}");
            assert_eq!(names(&place.path("empty")), [""; 0], "{key:?} at {prompt}");
            let screen = terminal.screen();
            assert!(screen.contains("interrupted; nothing was changed"), "{screen}");
        }
    }
}

#[test]
fn ctrl_c_and_escape_leave_no_trace_in_a_question_that_is_changed() {
    for key in [CTRL_C, ESCAPE] {
        for (down, prompt) in [(1, "Name (shop)"), (3, "Database")] {
            let place = Place::new();
            let mut terminal = Terminal::start(&place, &["new"]);
            terminal.walk_to(REVIEW);
            for _ in 0..down {
                terminal.press(DOWN);
            }
            terminal.take("change");
            terminal.asked(prompt).press(key);
            assert_eq!(terminal.end(), Some(130));
            terminal.assert_restored();
            assert_eq!(names(&place.work()), [""; 0]);
        }
    }
}

#[test]
fn signals_while_prompting_give_the_terminal_back() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        for prompt in ["Name", "Database", REVIEW] {
            let place = Place::new();
            let mut terminal = Terminal::start(&place, &["new"]);
            terminal.walk_to(prompt);
            let code = terminal.end_by(signal);
            assert_eq!(code, Some(130), "{signal:?} at {prompt}:\n{}", terminal.screen());
            terminal.assert_restored();
            assert_eq!(names(&place.work()), [""; 0]);
        }
    }
}

#[test]
fn yes_and_json_ask_nothing() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, &["new", "shop", "--stack", "python", "--yes"]);
    assert_eq!(terminal.end(), Some(0));
    assert!(terminal.screen().contains("Created shop"));

    let mut terminal = Terminal::start(&place, &["new", "--yes"]);
    assert_eq!(terminal.end(), Some(2));
    assert!(terminal.screen().contains("2 answers are missing: name, stack"));

    let mut terminal = Terminal::start(&place, &["new", "other", "--json"]);
    assert_eq!(terminal.end(), Some(2));
    assert!(terminal.screen().contains("answers are missing"));
    terminal.assert_restored();
}

#[test]
fn a_dry_run_asks_and_writes_nothing() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, &["new", "--dry-run"]);
    terminal.walk_to(REVIEW).press(ENTER);
    assert_eq!(terminal.end(), Some(0));
    assert!(terminal.screen().contains("create  dozen.toml"), "{}", terminal.screen());
    assert_eq!(names(&place.work()), [""; 0]);
}

#[test]
fn a_target_that_is_taken_meanwhile_is_refused() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, &["new"]);
    terminal.walk_to(REVIEW);
    place.write("shop/mine", "mine");
    terminal.press(ENTER);
    assert_eq!(terminal.end(), Some(2));
    assert_eq!(names(&place.path("shop")), ["mine"]);
}

#[test]
fn narrow_and_wide_terminals_do_not_stop_it() {
    for columns in [1, 3, 20, 40, 300] {
        let place = Place::new();
        let mut terminal = Terminal::start_with(&place, &["new"], columns, |_| {});
        // What a narrow screen shows cannot be read back: a key goes in when one is waited for.
        terminal.settle().press("shop\r");
        for _ in 1..PROMPTS.len() {
            terminal.settle().press(ENTER);
        }
        assert_eq!(terminal.end(), Some(0), "{columns} columns:\n{}", terminal.screen());
        terminal.assert_restored();
        assert!(place.path("shop/dozen.toml").is_file());
    }
}

#[test]
fn the_dialogue_stays_off_a_stdout_that_is_a_file() {
    let place = Place::new();
    let out = place.path("out");
    let mut terminal = Terminal::start_with(&place, &["new"], 80, |command| {
        command.stdout(fs::File::create(&out).unwrap());
    });
    terminal.walk_to(REVIEW).press(ENTER);
    assert_eq!(terminal.end(), Some(0));
    let printed = text(&out);
    assert!(printed.starts_with("Created shop\n"), "{printed}");
    assert!(!printed.contains('\u{1b}'), "{printed}");
}

#[test]
fn where_stdin_or_stderr_is_no_terminal_nothing_is_asked() {
    let place = Place::new();
    let mut terminal = Terminal::start_with(&place, &["new"], 80, |command| {
        command.stderr(fs::File::create(place.path("err")).unwrap());
    });
    assert_eq!(terminal.end(), Some(2));
    assert!(text(place.path("err")).contains("answers are missing"));

    let mut terminal = Terminal::start_shell(&place, "exec \"$DOZEN\" new < /dev/null");
    assert_eq!(terminal.end(), Some(2));
    assert!(terminal.screen().contains("answers are missing"));
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let coloured = |variable: Option<(&str, &str)>| {
        let place = Place::new();
        let mut terminal = Terminal::start_with(&place, &["new"], 80, |command| {
            if let Some((key, value)) = variable {
                command.env(key, value);
            }
        });
        terminal.walk_to("Database").press(ESCAPE);
        assert_eq!(terminal.end(), Some(130));
        let written = String::from_utf8(terminal.written.clone()).unwrap();
        regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap().is_match(&written)
    };
    assert!(coloured(None));
    assert!(!coloured(Some(("NO_COLOR", "1"))));
    assert!(!coloured(Some(("TERM", "dumb"))));
}
