//! `dozen new` without a terminal, from outside.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::thread;

use dozen::stack::Stack;
use support::*;

/// What answers all questions, for a service called `shop`.
const SHOP: [&str; 5] = ["new", "shop", "--stack", "python", "--yes"];

fn shop<'a>(more: &[&'a str]) -> Vec<&'a str> {
    SHOP.iter().chain(more).copied().collect()
}

/// The line of the printed answers that tells `key`, in single spaces.
fn source_of(run: &Run, key: &str) -> String {
    let line = run.out.lines().find(|line| line.trim_start().starts_with(key));
    let line = line.unwrap_or_else(|| panic!("no `{key}` in {run:#?}"));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn assert_committed(place: &Place, folder: &str) {
    assert_eq!(place.git(folder, &["status", "--porcelain", "--ignored"]), "");
    assert_eq!(place.git(folder, &["rev-list", "--count", "HEAD"]), "1\n");
    let tracked = place.git(folder, &["ls-files"]);
    let tracked: Vec<_> = tracked.lines().collect();
    for (path, node) in snapshot_files(&place.path(folder)) {
        let is_tracked = node.bytes.is_none() || tracked.contains(&path.to_str().unwrap());
        assert!(is_tracked, "{} is not in the commit", path.display());
    }
}

// Answers and where they come from

#[test]
fn flags_alone_render_a_repository_with_one_commit() {
    let place = Place::new();
    let run = place.ok([
        "new",
        "shop",
        "--stack",
        "python",
        "--database",
        "mysql",
        "--ci",
        "gitlab",
        "--deploy",
        "none",
    ]);
    assert_eq!(run.err, "");
    for key in ["name shop NAME", "database mysql --database", "deploy none --deploy"] {
        assert_eq!(source_of(&run, key.split(' ').next().unwrap()), key);
    }
    assert!(run.out.contains("Created shop"), "{run:#?}");
    assert!(run.out.contains("cd shop"), "{run:#?}");
    assert_eq!(names(&place.work()), ["shop"]);
    assert_committed(&place, "shop");
    assert_eq!(place.git("shop", &["branch", "--show-current"]), "main\n");
    assert_eq!(place.git("shop", &["log", "--format=%an <%ae>"]), "Tess Ter <tess@example.org>\n");
    for name in ["dozen.toml", "Procfile", ".gitignore", ".env.example"] {
        assert!(place.path("shop").join(name).is_file(), "{name}");
    }
}

#[test]
fn environment_variables_alone_answer_everything() {
    let place = Place::new();
    let mut command = place.dozen(["new"]);
    for (key, value) in [
        ("DOZEN_NAME", "shop"),
        ("DOZEN_STACK", "python"),
        ("DOZEN_DATABASE", "mysql"),
        ("DOZEN_CI", "gitlab"),
        ("DOZEN_DEPLOY", "heroku"),
    ] {
        command.env(key, value);
    }
    let run = run(&mut command).expect(0);
    assert_eq!(source_of(&run, "name"), "name shop DOZEN_NAME");
    assert_eq!(source_of(&run, "deploy"), "deploy heroku DOZEN_DEPLOY");
}

#[test]
fn an_empty_environment_variable_is_no_answer() {
    let place = Place::new();
    let run = run(place.dozen(SHOP).env("DOZEN_DATABASE", "").env("DOZEN_CI", "")).expect(0);
    assert_eq!(source_of(&run, "database"), "database postgres default");
}

#[test]
fn a_stronger_source_wins_and_is_named() {
    let place = Place::new();
    // From the weakest to the strongest: each run takes one more source away from the one before it.
    write(&place.user_config(), "database = \"mysql\"\nci = \"gitlab\"\n");
    let file = place.write("answers.toml", "database = \"postgres\"\n");
    let file = file.to_str().unwrap();

    let steps: [(&[&str], bool, String); 5] = [
        (&[], false, format!("database mysql {}", place.user_config().display())),
        (&["--answers", file], false, format!("database postgres {file}")),
        (&["--answers", file], true, "database mysql DOZEN_DATABASE".into()),
        (
            &["--answers", file, "--set", "database=postgres"],
            true,
            "database postgres --set database".into(),
        ),
        (
            &["--answers", file, "--set", "database=postgres", "--database", "mysql"],
            true,
            "database mysql --database".into(),
        ),
    ];
    for (arguments, with_environment, expected) in steps {
        let mut command = place.dozen(shop(&["--dry-run"]));
        command.args(arguments);
        if with_environment {
            command.env("DOZEN_DATABASE", "mysql");
        }
        let run = run(&mut command).expect(0);
        assert_eq!(source_of(&run, "database"), expected);
        assert_eq!(
            source_of(&run, "ci"),
            format!("ci gitlab {}", place.user_config().display()),
            "the user's own default goes before dozen's"
        );
        assert_eq!(source_of(&run, "deploy"), "deploy kubernetes default");
    }
}

#[test]
fn the_first_of_two_settings_of_one_key_wins() {
    let place = Place::new();
    let run = place.ok(shop(&["--dry-run", "--set", "ci=gitlab", "--set", "ci=github"]));
    assert_eq!(source_of(&run, "ci"), "ci gitlab --set ci");
}

#[test]
fn a_wrong_setting_is_named_with_its_source_and_what_would_do() {
    let place = Place::new();
    place.write("number.toml", "database = 3\n");
    place.write("broken.toml", "database = \n");
    place.write("unknown.toml", "colour = \"red\"\n");
    place.write("folder/x", "");
    let cases: [(&[&str], &[&str]); 11] = [
        (&["--set", "database"], &["`database` is not of the form KEY=VALUE"]),
        (&["--set", "=mysql"], &["not a question", "--set"]),
        (&["--set", "databse=mysql"], &["`databse`", "did you mean `database`?", "--set databse"]),
        (&["--set", "database=mysq"], &["`mysq`", "did you mean `mysql`?", "postgres, mysql"]),
        (&["--database", ""], &["--database", "postgres"]),
        (&["--ci", "github\u{301}"], &["--ci", "github, gitlab"]),
        (&["--answers", "nowhere.toml"], &["nowhere.toml", "cannot read"]),
        (&["--answers", "number.toml"], &["number.toml", "`database` is integer"]),
        (&["--answers", "broken.toml"], &["broken.toml", "line 1"]),
        (&["--answers", "unknown.toml"], &["`colour`", "unknown.toml", "database"]),
        (&["--answers", "folder"], &["folder", "cannot read"]),
    ];
    for (arguments, parts) in cases {
        place.run(shop(arguments)).expect(2).says(parts);
    }
    let wrong = run(place.dozen(SHOP).env("DOZEN_CI", "jenkins")).expect(2);
    wrong.says(&["`jenkins`", "DOZEN_CI", "github, gitlab"]);
    write(&place.user_config(), "database = \"oracle\"\n");
    place.run(SHOP).expect(2).says(&["`oracle`", "config.toml"]);
    assert!(!place.path("shop").exists());
}

#[test]
fn a_wrong_answer_is_told_even_where_a_stronger_source_gives_a_right_one() {
    let place = Place::new();
    place.write("answers.toml", "database = \"oracle\"\n");
    place
        .run(shop(&["--database", "mysql", "--answers", "answers.toml"]))
        .expect(2)
        .says(&["oracle"]);
}

#[test]
fn all_that_is_missing_is_named_in_one_error() {
    let place = Place::new();
    let all = ["name", "stack", "database", "ci", "deploy"];
    let stacks: Vec<_> = Stack::all().unwrap().into_iter().map(|stack| stack.slug).collect();
    let stack = format!("--stack {}", stacks.join("|"));
    let flags = ["NAME", &stack, "--database postgres|mysql", "--ci github|gitlab", "--deploy"];
    let run = place.run(["new"]).expect(2).says(&all).says(&flags);
    for key in all {
        assert!(run.err.contains(&format!("DOZEN_{}", key.to_uppercase())), "{run:#?}");
    }
    assert!(run.err.contains("--yes"), "{run:#?}");
    assert_eq!(run.out, "");

    let run = place.run(["new", "shop", "--yes"]).expect(2).says(&["stack", "DOZEN_STACK"]);
    assert!(!run.err.contains("--database"), "`--yes` answers it: {run:#?}");
    assert_eq!(names(&place.work()), [""; 0]);
}

#[test]
fn nothing_waits_for_input() {
    let place = Place::new();
    for arguments in [&["new"][..], &["new", "shop"], &["new", "shop", "--json"], &SHOP] {
        // Nobody ever writes to the pipe or closes it: whoever reads it does not end.
        let (_held, pipe) = open_pipe();
        let run = run(place.dozen(arguments).stdin(pipe));
        assert_eq!(run.code, Some(if arguments == SHOP { 0 } else { 2 }), "{run:#?}");
    }
}

fn open_pipe() -> (std::io::PipeWriter, Stdio) {
    let (reader, writer) = std::io::pipe().unwrap();
    (writer, Stdio::from(reader))
}

#[test]
fn what_the_repository_records_gives_the_same_repository() {
    let place = Place::new();
    place.ok(["new", "shop", "--stack", "python", "--database", "mysql", "--yes"]);
    let recorded = place.path("shop/dozen.toml");
    place.ok(["new", "--into", "again", "--answers", recorded.to_str().unwrap()]);
    assert_eq!(snapshot(&place.path("shop")), snapshot(&place.path("again")));
    let text = text(recorded);
    assert!(text.contains(env!("CARGO_PKG_VERSION")), "{text}");
    assert!(text.contains("database = \"mysql\""), "{text}");
}

// Names

#[test]
fn a_bad_name_gets_its_rule_and_a_name_that_works() {
    let place = Place::new();
    let long = "x".repeat(300);
    let cut = "x".repeat(40);
    for (name, rule, proposal) in [
        ("", "empty", "my-service"),
        (" ", "empty", "my-service"),
        ("../x", "path", "x"),
        ("/tmp/shop", "path", "shop"),
        (".", "path", "my-service"),
        ("2shop", "start with a letter", "shop"),
        ("shop.", "`.`", "shop"),
        ("my shop", "` `", "my-shop"),
        ("caf\u{e9}", "`\u{e9}`", "cafe"),
        ("\u{5e97}", "letters a to z", "dian"),
        ("sh\u{200b}op", "letters a to z", "sh-op"),
        ("a\nb", "is not a letter", "a-b"),
        ("class", "word of the Python language", "class-service"),
        ("None", "word of the Python language", "none-service"),
        ("json", "standard library", "json-service"),
        ("nul", "device", "nul-service"),
        ("test", "folder", "test-service"),
        (&long, "longer than 40", &cut),
    ] {
        let run = place.run(["new", name, "--stack", "python", "--yes"]).expect(2);
        let run = run.says(&["cannot be the name", rule, &format!("This one can: {proposal}\n")]);
        assert_eq!(run.out, "");
        place.ok(["new", proposal, "--stack", "python", "--yes", "--dry-run"]);
    }
    assert_eq!(names(&place.work()), [""; 0]);
}

#[test]
fn a_name_with_a_dash_in_front_is_an_error_of_the_command_line() {
    let place = Place::new();
    place.run(["new", "-shop", "--stack", "python", "--yes"]).expect(2);
    let run = place.run(["new", "--stack", "python", "--yes", "--", "-shop"]).expect(2);
    run.says(&["does not start with a letter", "This one can: shop"]);
}

#[test]
fn a_name_that_is_no_text_is_an_error() {
    let place = Place::new();
    let strange = std::ffi::OsString::from_vec(b"sh\xffop".to_vec());
    let mut command = place.dozen(["new", "--stack", "python", "--yes"]);
    run(command.arg(&strange)).expect(2);
    run(place.dozen(["new", "--stack", "python", "--yes"]).env("DOZEN_NAME", &strange)).expect(2);
}

// What is shown

#[test]
fn a_dry_run_writes_nothing_and_lists_every_file() {
    let place = Place::new();
    let run = place.ok(shop(&["--dry-run"]));
    assert_eq!(names(&place.work()), [""; 0]);
    place.ok(SHOP);
    for (path, node) in snapshot_files(&place.path("shop")) {
        if node.bytes.is_some() {
            assert!(run.out.contains(&format!("create  {}", path.display())), "{path:?}");
        }
    }
    assert!(!run.out.contains("Created"), "{run:#?}");
}

#[test]
fn a_dry_run_below_a_folder_that_is_missing_makes_none() {
    let place = Place::new();
    place.ok(shop(&["--dry-run", "--into", "a/b/c"]));
    assert_eq!(names(&place.work()), [""; 0]);
}

#[test]
fn the_diff_applies_with_git_and_gives_the_same_tree() {
    let place = Place::new();
    let diff = place.ok(shop(&["--dry-run", "--diff"])).out;
    assert!(diff.starts_with("diff --git "), "{diff}");
    place.write("all.diff", &diff);
    fs::create_dir(place.path("applied")).unwrap();
    place.git("applied", &["init", "--quiet"]);
    place.git("applied", &["apply", "--whitespace=error-all", "../all.diff"]);
    place.ok(shop(&["--no-git"]));
    assert_eq!(snapshot_files(&place.path("applied")), snapshot(&place.path("shop")));
}

#[test]
fn json_is_one_object_of_the_printed_schema() {
    let place = Place::new();
    let schema = place.ok(["schema"]).json();
    let validator = jsonschema::validator_for(&schema).unwrap();

    let planned = place.ok(shop(&["--json", "--dry-run"]));
    assert!(!place.path("shop").exists());
    let done = place.ok(shop(&["--json"]));
    let added = place.ok(["add", "config", "codebase", "--path", "shop", "--dry-run", "--json"]);
    for (run, applied) in [(&planned, false), (&done, true), (&added, false)] {
        let report = run.json();
        assert!(validator.is_valid(&report), "{:?}", validator.validate(&report));
        assert_eq!(report["applied"], applied);
        assert_eq!(report["answers"]["name"], "shop");
        assert_eq!(report["root"], place.path("shop").to_str().unwrap());
    }
    let created: Vec<_> = snapshot_files(&place.path("shop"))
        .into_iter()
        .filter(|(_, node)| node.bytes.is_some())
        .map(|(path, _)| path.to_str().unwrap().to_owned())
        .collect();
    let report = done.json();
    let told = report["changes"].as_array().unwrap();
    let told: Vec<_> = told.iter().map(|change| change["path"].as_str().unwrap()).collect();
    let mut sorted = created.clone();
    sorted.sort();
    assert_eq!(told, sorted);
}

#[test]
fn json_of_a_failure_leaves_stdout_empty() {
    let place = Place::new();
    let run = place.run(["new", "--json"]).expect(2);
    assert_eq!(run.out, "");
    place.run(shop(&["--json", "--diff"])).expect(2).says(&["cannot be used with"]);
}

#[test]
fn json_takes_a_folder_whose_name_is_no_text() {
    let place = Place::new();
    let folder = std::ffi::OsString::from_vec(b"sh\xffop".to_vec());
    let mut command =
        place.dozen(["new", "shop", "--stack", "python", "--yes", "--json", "--into"]);
    let run = run(command.arg(&folder)).expect(0);
    assert_eq!(run.json()["applied"], true);
    assert!(place.path(&folder).join("dozen.toml").is_file());
}

#[test]
fn no_escape_code_reaches_what_is_no_terminal() {
    let place = Place::new();
    for arguments in
        [shop(&["--dry-run"]), shop(&["--dry-run", "--diff"]), vec!["list"], vec!["new"]]
    {
        let run = place.run(arguments);
        assert!(!run.out.contains('\u{1b}') && !run.err.contains('\u{1b}'), "{run:#?}");
    }
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let place = Place::new();
    for arguments in [vec!["list"], vec!["schema"], vec!["man"], shop(&["--dry-run", "--diff"])] {
        let mut child =
            place.dozen(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn the_repository_is_made_even_if_nobody_reads_the_output() {
    let place = Place::new();
    let mut child = place.dozen(SHOP).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(place.path("shop/dozen.toml").is_file(), "done is said, and nothing was made");
}

#[test]
fn a_full_output_is_an_error() {
    let place = Place::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    run(place.dozen(["list"]).stdout(full)).expect(1).says(&["cannot write the output"]);
}

#[test]
fn an_unknown_word_on_the_command_line_ends_with_2_and_help_with_0() {
    let place = Place::new();
    for arguments in [&["nwe"][..], &["new", "--stak", "python"], &["add"], &[]] {
        place.run(arguments).expect(2);
    }
    let run = place.ok(["--help"]);
    for code in
        ["0  done", "1  the answer is no", "2  ", "3  a conflict", "4  ", "130  interrupted"]
    {
        assert!(run.out.contains(code), "{code}: {run:#?}");
    }
    place.ok(["new", "--help"]);
    place.ok(["--version"]);
}

// Where it goes

#[test]
fn into_takes_a_new_a_nested_an_existing_empty_and_the_current_folder() {
    let place = Place::new();
    place.ok(shop(&["--into", "new"]));
    place.ok(shop(&["--into", "nested/a/b"]));
    fs::create_dir(place.path("empty")).unwrap();
    place.ok(shop(&["--into", "empty"]));
    fs::create_dir(place.path("here")).unwrap();
    let run = run(place.dozen(shop(&["--into", "."])).current_dir(place.path("here"))).expect(0);
    assert!(!run.out.contains("cd "), "it is the current folder: {run:#?}");
    fs::create_dir(place.path("slash")).unwrap();
    place.ok(shop(&["--into", "slash/"]));
    place.ok(shop(&["--into", "new-slash/"]));
    place.ok(shop(&["--into", "nested/../dots"]));
    let absolute = place.path("absolute");
    place.ok(shop(&["--into", absolute.to_str().unwrap()]));

    let expected = snapshot(&place.path("new"));
    for folder in ["nested/a/b", "empty", "here", "slash", "new-slash", "dots", "absolute"] {
        assert_eq!(snapshot(&place.path(folder)), expected, "{folder}");
        assert_committed(&place, folder);
    }
    assert_eq!(names(&place.path("nested/a")), ["b"]);
}

#[test]
fn a_folder_with_blanks_is_quoted_in_what_to_run_next() {
    let place = Place::new();
    let run = place.ok(shop(&["--into", "it's a shop"]));
    assert!(run.out.contains(r"cd 'it'\''s a shop'"), "{run:#?}");
}

#[test]
fn a_target_that_is_taken_is_refused_and_untouched() {
    let place = Place::new();
    place.write("full/mine", "mine");
    place.write("file", "mine");
    place.write("hidden/.mine", "mine");
    place.write("in/file", "mine");
    symlink("nowhere", place.path("dangling")).unwrap();
    symlink("file", place.path("link-to-file")).unwrap();
    symlink("loop", place.path("loop")).unwrap();
    let before = snapshot(&place.work());
    for (target, says) in [
        ("full", "not empty"),
        ("hidden", "not empty"),
        ("file", "not a folder"),
        ("dangling", "not a folder"),
        ("link-to-file", "not a folder"),
        ("loop", "not a folder"),
        ("in/file/shop", "file"),
        ("", ""),
    ] {
        for more in [&["--dry-run"][..], &[]] {
            let arguments = [&["--into", target][..], more].concat();
            let run = place.run(shop(&arguments));
            assert!(matches!(run.code, Some(2 | 4)), "{target}: {run:#?}");
            run.says(&[says]);
        }
        assert_eq!(snapshot(&place.work()), before, "{target}");
    }
    place.run(shop(&["--into", "full"])).expect(2).says(&["--into DIR", "dozen add"]);
    fs::rename(place.path("full"), place.path("shop")).unwrap();
    place.run(SHOP).expect(2).says(&["`", "shop", "not empty"]);
}

#[test]
fn inside_another_repository_no_second_one_is_made() {
    let place = Place::new();
    place.git(".", &["init", "--quiet"]);
    let run = place.ok(SHOP);
    assert!(run.out.contains("inside the repository"), "{run:#?}");
    assert!(!place.path("shop/.git").exists());

    // A worktree or a submodule has a file there.
    let place = Place::new();
    place.write(".git", "gitdir: elsewhere\n");
    place.ok(shop(&["--into", "a/b"]));
    assert!(!place.path("a/b/.git").exists());
}

// git

#[test]
fn without_git_there_is_no_repository_and_nothing_else_differs() {
    let place = Place::new();
    place.ok(shop(&["--no-git", "--into", "without"]));
    place.ok(shop(&["--into", "with"]));
    assert!(!place.path("without/.git").exists());
    assert_eq!(snapshot(&place.path("without")), snapshot_files(&place.path("with")));
}

#[test]
fn no_git_on_the_path_is_told_and_nothing_is_left() {
    let place = Place::new();
    let empty = place.home();
    fs::create_dir(place.path("empty")).unwrap();
    for into in ["shop", "nested/shop", "empty"] {
        let run = run(place.dozen(shop(&["--into", into])).env("PATH", &empty)).expect(4);
        run.says(&["git is not on the PATH", "--no-git"]);
        assert_eq!(names(&place.work()), ["empty"], "{into}");
        assert_eq!(names(&place.path("empty")), [""; 0], "{into}");
    }
    run(place.dozen(shop(&["--no-git"])).env("PATH", &empty)).expect(0);
}

#[test]
fn a_git_that_fails_is_told_and_nothing_is_left() {
    let place = Place::new();
    let bin = place.home().join("bin/git");
    write(&bin, "#!/bin/sh\necho 'the disk is on fire' >&2\nexit 3\n");
    fs::set_permissions(&bin, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = place.dozen(shop(&["--into", "a/shop"]));
    let run = run(command.env("PATH", bin.parent().unwrap())).expect(4);
    run.says(&["the disk is on fire", "Nothing was created"]);
    assert_eq!(names(&place.work()), [""; 0]);
}

#[test]
fn git_commits_without_an_identity() {
    let place = Place::new();
    fs::write(place.git_config(), "[user]\n\tuseConfigOnly = true\n").unwrap();
    let run = place.ok(SHOP);
    assert!(run.out.contains("git knows no name of yours"), "{run:#?}");
    assert_committed(&place, "shop");
    assert_eq!(
        place.git("shop", &["config", "--local", "--get-regexp", "^core.bare"]),
        "core.bare false\n"
    );
    let local = text(place.path("shop/.git/config"));
    assert!(!local.contains("user") && !local.contains("hooks"), "{local}");
}

#[test]
fn no_setting_of_the_user_breaks_the_commit_or_changes_what_is_in_it() {
    let hooks = "[core]\n\thooksPath = HOME/hooks\n";
    for config in [
        "[commit]\n\tgpgsign = true\n[gpg]\n\tprogram = false\n",
        hooks,
        "[init]\n\ttemplateDir = HOME/template\n\tdefaultBranch = trunk\n",
        "[core]\n\tautocrlf = true\n\tsafecrlf = true\n",
        "[core]\n\texcludesFile = HOME/excludes\n",
        "[core]\n\tattributesFile = HOME/attributes\n",
        "[commit]\n\ttemplate = HOME/nowhere\n\tverbose = true\n\tcleanup = scissors\n",
        "[core]\n\teditor = false\n\tfsmonitor = HOME/hooks/pre-commit\n",
    ] {
        let place = Place::new();
        let home = place.home();
        for hook in ["hooks/pre-commit", "hooks/post-commit", "template/hooks/commit-msg"] {
            let path = home.join(hook);
            write(&path, "#!/bin/sh\ntouch \"$HOME/a-hook-ran\"\nexit 1\n");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        write(&home.join("excludes"), "*.toml\n.env*\nProcfile\n");
        write(&home.join("attributes"), "* text eol=crlf\n");
        let identity = text(place.git_config());
        let config = config.replace("HOME", home.to_str().unwrap());
        fs::write(place.git_config(), format!("{identity}{config}")).unwrap();

        place.ok(SHOP);
        assert!(!home.join("a-hook-ran").exists(), "{config}");
        fs::write(place.git_config(), &identity).unwrap();
        assert_committed(&place, "shop");
        let message = place.git("shop", &["log", "--format=%B"]);
        assert!(message.starts_with("Start shop from dozen"), "{config}: {message}");
        for name in ["dozen.toml", "Procfile"] {
            let committed = place.git("shop", &["show", &format!("HEAD:{name}")]);
            assert_eq!(committed, text(place.path("shop").join(name)), "{config}");
        }
    }
}

#[test]
fn a_repository_that_the_environment_names_is_left_alone() {
    let place = Place::new();
    let other = place.path("other");
    fs::create_dir(&other).unwrap();
    place.git("other", &["init", "--quiet"]);
    let before = snapshot(&other.join(".git"));
    for (key, value) in [
        ("GIT_DIR", other.join(".git")),
        ("GIT_WORK_TREE", other.clone()),
        ("GIT_INDEX_FILE", other.join(".git/index")),
        ("GIT_OBJECT_DIRECTORY", other.join(".git/objects")),
        ("GIT_COMMON_DIR", other.join(".git")),
        ("GIT_NAMESPACE", "space".into()),
        ("GIT_SHALLOW_FILE", other.join("shallow")),
    ] {
        run(place.dozen(SHOP).env(key, &value)).expect(0);
        assert_committed(&place, "shop");
        assert_eq!(snapshot(&other.join(".git")), before, "{key}");
        fs::remove_dir_all(place.path("shop")).unwrap();
    }
}

// The bytes

#[test]
fn the_same_answers_give_the_same_bytes_wherever_and_whenever() {
    let place = Place::new();
    let other = Place::new();
    place.ok(SHOP);
    let mut command = other.command("sh");
    command.args(["-c", "umask 077 && exec \"$0\" \"$@\"", DOZEN]).args(SHOP);
    run(command.env("TZ", "Asia/Tokyo").env("LC_ALL", "tr_TR.UTF-8")).expect(0);
    let bytes = |place: &Place| -> Vec<_> {
        let files = snapshot_files(&place.path("shop")).into_iter();
        files.map(|(path, node)| (path, node.bytes, node.mode & 0o100)).collect()
    };
    assert_eq!(bytes(&place), bytes(&other));
    let private = snapshot_files(&other.path("shop"));
    assert!(
        private.values().all(|node| node.mode & 0o777 == node.mode & 0o700),
        "the umask is the user's"
    );
}

#[test]
fn many_at_once_in_one_folder_do_not_meet() {
    let place = Place::new();
    thread::scope(|scope| {
        for number in 0..6 {
            let place = &place;
            scope.spawn(move || {
                let name = format!("shop{number}");
                place.ok(["new", &name, "--stack", "python", "--yes", "--no-git"]);
            });
        }
    });
    let made = names(&place.work());
    assert_eq!(made, (0..6).map(|number| format!("shop{number}")).collect::<Vec<_>>());
    for name in made {
        assert!(Path::new(&place.path(name)).join("dozen.toml").is_file());
    }
}
