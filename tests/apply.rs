//! What writing must withstand: kills at every step, full disks, locked folders, others at work, links.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dozen::apply::{self, Recovery};
use dozen::error::Error;
use dozen::plan::{Change, Plan};
use dozen::tree::{Content, RepoPath};
use rustix::process::{Pid, Signal, kill_process};
use support::*;

const NEW: [&str; 6] = ["new", "shop", "--stack", "python", "--yes", "--no-git"];
const ADD: [&str; 3] = ["add", "codebase", "config"];

/// How long anything may take that a test waits for, on the slowest of machines.
const PATIENCE: Duration = Duration::from_mins(1);

// What is done, and what the tree is before and after

/// One way in which dozen writes: how the place is laid out, and what is run in it.
#[derive(Clone, Copy)]
struct Scenario {
    lay: fn(&Place),
    command: fn(&Place) -> Command,
    /// The folder that changes, below the place of work.
    root: &'static str,
}

const NEW_FOLDER: Scenario =
    Scenario { lay: |_| {}, command: |place| place.dozen(NEW), root: "shop" };

const EMPTY_FOLDER: Scenario = Scenario {
    lay: |place| fs::create_dir(place.path("shop")).unwrap(),
    command: |place| place.dozen(NEW),
    root: "shop",
};

const FOREIGN_REPOSITORY: Scenario = Scenario {
    lay: |place| lay_foreign(&place.path("shop")),
    command: |place| {
        let mut command = place.dozen(ADD);
        command.current_dir(place.path("shop"));
        command
    },
    root: "shop",
};

/// The library with a plan that has everything: files that change, also executable ones, that go, and that come, in
/// folders that are there and that are not.
const RICH_PLAN: Scenario = Scenario {
    lay: |place| lay_rich(&place.path("shop")),
    command: |place| {
        let mut command = place.command(std::env::current_exe().unwrap());
        command
            .args(["--exact", "a_rich_plan_is_applied", "--test-threads=1"])
            .env(RICH_ROOT, place.path("shop"));
        command
    },
    root: "shop",
};

/// One more change after one that is recorded.
const SECOND_ADD: Scenario = Scenario {
    lay: |place| {
        lay_foreign(&place.path("shop"));
        place.ok(["add", "dev-prod-parity", "--path", "shop"]);
    },
    ..FOREIGN_REPOSITORY
};

/// Of a plan that has everything: files that become what they were, and go, with folders and without.
const UNDO: Scenario = Scenario {
    lay: |place| {
        lay_rich(&place.path("shop"));
        run(&mut (RICH_PLAN.command)(place)).expect(0);
    },
    command: |place| place.dozen(["undo", "--path", "shop"]),
    root: "shop",
};

const RICH_ROOT: &str = "DOZEN_TEST_RICH_ROOT";

/// A test of its own, and what [`RICH_PLAN`] runs in a process of its own, where it can be killed.
#[test]
fn a_rich_plan_is_applied() {
    let place;
    let root = if let Some(given) = std::env::var_os(RICH_ROOT) {
        PathBuf::from(given)
    } else {
        place = Place::in_memory();
        lay_rich(&place.path("shop"));
        place.path("shop")
    };
    apply::apply(&rich_plan(&root)).unwrap();
    for change in rich_plan(&root).changes {
        assert_eq!(
            fs::read(root.join(&change.path)).ok(),
            change.after.map(|after| after.bytes),
            "{}",
            change.path
        );
    }
}

fn lay_foreign(root: &Path) {
    write(&root.join("dozen.toml"), RECORD);
    write(&root.join("requirements.txt"), "flask\npsycopg2\n");
    write(&root.join("app.py"), "import os\nurl = os.environ[\"DATABASE_URL\"]\n");
    write(&root.join(".gitignore"), "*.pyc\n");
    write(&root.join(".env.example"), "DATABASE_URL=postgres://localhost/shop\n");
    write(&root.join("Procfile"), "web: gunicorn app:app\n");
}

fn lay_rich(root: &Path) {
    for (path, text) in [
        ("a", "old a\n"),
        ("gone", "old\n"),
        ("src/b", "old b\n"),
        ("src/gone", "#!/bin/sh\n"),
        ("run", "#!/bin/sh\n"),
        ("z", ""),
    ] {
        write(&root.join(path), text);
    }
    for path in ["run", "src/gone"] {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(0o750)).unwrap();
    }
}

fn rich_plan(root: &Path) -> Plan {
    let modify = |path, before: &str, after: &str| change(path, Some(before), Some(after));
    let create = |path, after: &str| change(path, None, Some(after));
    let delete = |path, before: &str| change(path, Some(before), None);
    Plan {
        root: root.to_owned(),
        changes: vec![
            modify("a", "old a\n", "new a\n"),
            delete("gone", "old\n"),
            create("new/deep/c", "c\n"),
            create("new/d", "d\n"),
            modify("run", "#!/bin/sh\n", "#!/bin/sh\ntrue\n"),
            modify("src/b", "old b\n", "new b\n"),
            create("src/e", ""),
            delete("src/gone", "#!/bin/sh\n"),
            modify("z", "", "z\n"),
        ],
        conflicts: Vec::new(),
        ..Plan::default()
    }
}

fn change(path: &str, before: Option<&str>, after: Option<&str>) -> Change {
    let content = |text: &str| Content { bytes: text.into(), executable: text.starts_with("#!") };
    Change {
        does: Vec::new(),
        path: RepoPath::parse(path).unwrap(),
        factor: None,
        before: before.map(|text| Arc::new(content(text))),
        after: after.map(content),
    }
}

/// The trees between which a scenario moves.
struct Ends {
    before: Option<Snapshot>,
    after: Snapshot,
    /// What an undo makes of them.
    undone_before: Option<Snapshot>,
    undone: Snapshot,
}

impl Scenario {
    fn run_through(&self) -> Ends {
        let place = Place::in_memory();
        (self.lay)(&place);
        let before = self.look(&place);
        run(&mut (self.command)(&place)).expect(0);
        let after = self.look(&place).unwrap();
        assert_ne!(before.as_ref(), Some(&after));
        assert_eq!(names(&place.work()), [self.root]);
        assert_tidy(&place.path(self.root), "after");
        undo(&place, self.root);
        let undone = self.look(&place).unwrap();
        let place = Place::in_memory();
        (self.lay)(&place);
        let undone_before = before.as_ref().map(|_| {
            undo(&place, self.root);
            self.look(&place).unwrap()
        });
        Ends { before, after, undone_before, undone }
    }

    /// The tree; none where the root does not exist.
    fn look(&self, place: &Place) -> Option<Snapshot> {
        let root = place.path(self.root);
        root.exists().then(|| snapshot(&root))
    }

    /// Whether somebody is, or was, in the middle of writing.
    fn is_midway(&self, place: &Place) -> bool {
        let work = fs::read_dir(place.work()).unwrap().flatten();
        is_at_work(&place.path(self.root))
            || work.into_iter().any(|entry| is_staging(&entry.file_name().to_string_lossy()))
    }

    fn has_journal(&self, place: &Place) -> bool {
        place.path(self.root).join(WORK_FOLDER).join("journal.json").exists()
    }

    /// After an interruption: it is as before or as planned, and the next command leaves no litter.
    #[track_caller]
    fn check(&self, place: &Place, ends: &Ends, when: &str) {
        self.check_recovery(place, ends, when);
        let was_done = self.look(place).as_ref() == Some(&ends.after);
        let next = run_patiently(&mut (self.command)(place));
        // `new` refuses what is there already; the plan of the library no longer fits.
        assert!(next.code == Some(0) || was_done, "{when}: {next:#?}");
        assert_eq!(self.look(place).as_ref(), Some(&ends.after), "{when}: {next:#?}");
        assert_eq!(names(&place.work()), [self.root], "{when}: litter");
        assert_tidy(&place.path(self.root), when);
    }

    /// The same, and what is recorded fits what stands there: an undo gives what it gives from there.
    #[track_caller]
    fn check_record(&self, place: &Place, ends: &Ends, when: &str) {
        self.check_recovery(place, ends, when);
        let root = place.path(self.root);
        if root.exists() {
            let is_done = self.look(place).as_ref() == Some(&ends.after);
            let undo = undo(place, self.root);
            let expected = if is_done { Some(&ends.undone) } else { ends.undone_before.as_ref() };
            assert_eq!(self.look(place).as_ref(), expected, "{when}: {undo:#?}");
            assert!(!root.join(OWN_FOLDER).exists(), "{when}: litter");
        }
    }

    #[track_caller]
    fn check_recovery(&self, place: &Place, ends: &Ends, when: &str) {
        let root = place.path(self.root);
        let has_journal = self.has_journal(place);
        if !has_journal {
            let found = self.look(place);
            assert!(
                found == ends.before || found.as_ref() == Some(&ends.after),
                "{when}: {found:#?}"
            );
        }
        if root.exists() {
            let recovery = apply::recover(&root).unwrap_or_else(|error| panic!("{when}: {error}"));
            assert!(!has_journal || recovery != Recovery::Nothing, "{when}");
            let found = self.look(place);
            assert!(
                found == ends.before || found.as_ref() == Some(&ends.after),
                "{when}: {found:#?}"
            );
        }
    }
}

fn undo(place: &Place, root: &str) -> Run {
    run_patiently(&mut place.dozen(["undo", "--path", root])).expect(0)
}

/// Another test's child has a lock of this process, too, between its fork and its exec.
fn run_patiently(command: &mut Command) -> Run {
    loop {
        let run = run(command);
        if !run.err.contains("another dozen is at work") {
            return run;
        }
    }
}

/// Whether what dozen has of its own there says that somebody is, or was, in the middle of writing.
fn is_at_work(root: &Path) -> bool {
    root.join(WORK_FOLDER).exists()
        || root.join(OWN_FOLDER).exists() && !root.join(OWN_FOLDER).join("undo").exists()
}

fn is_staging(name: &str) -> bool {
    name.starts_with('.') && name.contains(".dozen-")
}

// Kills at every step

/// The calls by which the disk changes, and those around them.
const CALLS: &str = "openat,openat2,write,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,\
    rmdir,fchmod,chmod,fchmodat,fsync,copy_file_range,flock,exit_group";

/// Kills a scenario at every one of its calls, one run each.
fn kill_at_every_call(scenario: Scenario) {
    if !has_program("strace") {
        return skip("strace is not installed: no kill at every single step");
    }
    let ends = scenario.run_through();
    let points = list_points(scenario);
    let mut midway = 0;
    for (call, number) in &points {
        for check in [Scenario::check, Scenario::check_record] {
            let place = Place::in_memory();
            (scenario.lay)(&place);
            let inject = format!("inject={call}:signal=KILL:when={number}");
            let when = format!("killed at {call} {number}");
            let run = run(&mut strace(&place, scenario, &["-e", &inject]));
            assert_ne!(run.code, Some(0), "{when}: it went through: {run:#?}");
            midway += usize::from(scenario.is_midway(&place));
            check(&scenario, &place, &ends, &when);
        }
    }
    midway /= 2;
    say(&format!("killed at {} calls, {midway} of them midway", points.len()));
    assert!(midway * 2 > points.len(), "{midway} of {}", points.len());
}

/// The calls from the moment when the disk is first locked, each with its number among those of its kind.
fn list_points(scenario: Scenario) -> Vec<(String, usize)> {
    let place = Place::in_memory();
    (scenario.lay)(&place);
    let log = place.home().join("calls");
    let trace = format!("trace={CALLS}");
    run(&mut strace(&place, scenario, &["-e", &trace, "-o", log.to_str().unwrap()])).expect(0);
    let log = text(log);
    // The number of the thread, which stands in front, is what strace counts by.
    let calls: Vec<_> = log
        .lines()
        .filter_map(|line| {
            let (thread, call) = line.split_once(' ')?;
            let (call, arguments) = call.trim_start().split_once('(')?;
            Some((thread, call, arguments))
        })
        .collect();
    let writer = calls.iter().find(|(_, call, _)| *call == "flock").unwrap().0;
    let mut counts = BTreeMap::new();
    let mut has_begun = false;
    let mut points = Vec::new();
    for (_, call, arguments) in calls.iter().filter(|(thread, ..)| *thread == writer) {
        let number = counts.entry(*call).and_modify(|n| *n += 1).or_insert(1_usize);
        has_begun |= *call == "flock" || call.starts_with("mkdir");
        // To be killed where a file is only read is to be killed at the next change.
        let is_reading = call.starts_with("openat") && !arguments.contains("O_CREAT");
        if has_begun && !is_reading {
            points.push(((*call).to_owned(), *number));
        }
    }
    assert!(points.len() > 20, "{points:?}");
    points
}

fn strace(place: &Place, scenario: Scenario, arguments: &[&str]) -> Command {
    let inner = (scenario.command)(place);
    let mut command = place.command("strace");
    command.arg("-f").arg("-qq").args(arguments);
    if !arguments.contains(&"-o") {
        command.args(["-o", "/dev/null"]);
    }
    command.arg(inner.get_program()).args(inner.get_args());
    if let Some(folder) = inner.get_current_dir() {
        command.current_dir(folder);
    }
    for (key, value) in inner.get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    command
}

#[test]
fn new_survives_a_kill_at_every_call() {
    kill_at_every_call(NEW_FOLDER);
}

#[test]
fn new_in_an_empty_folder_survives_a_kill_at_every_call() {
    kill_at_every_call(EMPTY_FOLDER);
}

#[test]
fn add_survives_a_kill_at_every_call() {
    kill_at_every_call(FOREIGN_REPOSITORY);
}

#[test]
fn a_rich_plan_survives_a_kill_at_every_call() {
    kill_at_every_call(RICH_PLAN);
}

#[test]
fn a_second_add_survives_a_kill_at_every_call() {
    kill_at_every_call(SECOND_ADD);
}

#[test]
fn undo_survives_a_kill_at_every_call() {
    kill_at_every_call(UNDO);
}

#[test]
fn an_undo_of_any_scenario_gives_what_was_there() {
    for scenario in [FOREIGN_REPOSITORY, RICH_PLAN, SECOND_ADD] {
        let ends = scenario.run_through();
        assert_eq!(Some(ends.undone), ends.before);
    }
    for scenario in [NEW_FOLDER, EMPTY_FOLDER, UNDO] {
        let ends = scenario.run_through();
        assert_eq!(ends.undone, ends.after, "nothing is left to be taken back");
    }
}

/// Kills `add` half way, at a step that leaves a journal, and hands the place over.
fn interrupt_rich_plan(renamed: usize) -> Option<Place> {
    interrupt(RICH_PLAN, renamed)
}

fn interrupt(scenario: Scenario, renamed: usize) -> Option<Place> {
    if !has_program("strace") {
        skip("strace is not installed: no journal that is cut off at a known step");
        return None;
    }
    let place = Place::in_memory();
    (scenario.lay)(&place);
    // The first rename is that of the journal itself.
    let inject = format!("inject=renameat:signal=KILL:when={}", renamed + 2);
    run(&mut strace(&place, scenario, &["-e", &inject]));
    assert!(scenario.has_journal(&place));
    Some(place)
}

#[test]
fn a_kill_while_recovering_is_recovered_from() {
    if !has_program("strace") {
        return skip("strace is not installed: no kill while recovering");
    }
    for scenario in [RICH_PLAN, UNDO] {
        let ends = scenario.run_through();
        for call in ["renameat", "linkat", "unlinkat", "mkdirat", "fsync"] {
            for number in 1.. {
                let Some(place) = interrupt(scenario, 1) else { return };
                let inject = format!("inject={call}:signal=KILL:when={number}");
                let mut command = strace(&place, FOREIGN_REPOSITORY, &["-e", &inject]);
                let killed = run(&mut command).code.is_none();
                let check = [Scenario::check, Scenario::check_record][number % 2];
                check(&scenario, &place, &ends, &format!("recovery killed at {call} {number}"));
                if !killed {
                    break;
                }
            }
        }
    }
}

// Kills at random instants

/// A sequence of numbers that looks random and is the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u128) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let nanoseconds = u128::from(self.0) % below.max(1);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap())
    }
}

fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until the condition holds or the child has ended. Returns whether it still runs.
fn wait_until(child: &mut Child, condition: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(start.elapsed() < PATIENCE, "nothing happens");
        thread::sleep(Duration::from_micros(50));
    }
    true
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Kills a scenario at random instants between its first and its last step; on a real disk, where these
/// take their time.
fn kill_at_random(scenario: Scenario, rounds: usize, seed: u64) {
    let ends = scenario.run_through();
    let mut dice = Dice(seed);
    let mut longest = Duration::ZERO;
    let (mut midway, mut journals) = (0, 0);
    for round in 0..rounds {
        let place = Place::new();
        (scenario.lay)(&place);
        let mut child = spawn(&mut (scenario.command)(&place));
        let start = Instant::now();
        if wait_until(&mut child, || scenario.is_midway(&place)) {
            let begun = Instant::now();
            if round < 3 {
                // The first rounds go through, to learn how long that takes.
                wait_until(&mut child, || !scenario.is_midway(&place));
                longest = longest.max(begun.elapsed());
            }
            let delay = dice.roll(longest.as_nanos());
            while begun.elapsed() < delay {
                std::hint::spin_loop();
            }
        }
        let _ = child.kill();
        child.wait().unwrap();
        midway += usize::from(scenario.is_midway(&place));
        journals += usize::from(scenario.has_journal(&place));
        let check = [Scenario::check, Scenario::check_record][round % 2];
        check(&scenario, &place, &ends, &format!("round {round}, after {:?}", start.elapsed()));
    }
    say(&format!("{rounds} rounds: {midway} killed midway, {journals} with a journal"));
    assert!(midway > 0, "no kill landed midway");
}

#[test]
fn new_survives_kills_at_random_instants() {
    kill_at_random(NEW_FOLDER, 30, 0x5eed_0001);
}

#[test]
fn new_in_an_empty_folder_survives_kills_at_random_instants() {
    kill_at_random(EMPTY_FOLDER, 30, 0x5eed_0002);
}

#[test]
fn add_survives_kills_at_random_instants() {
    kill_at_random(FOREIGN_REPOSITORY, 60, 0x5eed_0003);
}

#[test]
fn undo_survives_kills_at_random_instants() {
    kill_at_random(UNDO, 60, 0x5eed_0006);
}

#[test]
fn a_repository_with_git_survives_kills_at_random_instants() {
    let mut dice = Dice(0x5eed_0004);
    let mut midway = 0;
    for round in 0..14 {
        let place = Place::in_memory();
        let into = if round % 2 == 0 { "shop" } else { "." };
        fs::create_dir(place.path("here")).unwrap();
        let folder = place.path("here");
        let dozen = || {
            let mut command =
                place.dozen(["new", "shop", "--stack", "python", "--yes", "--into", into]);
            command.current_dir(&folder);
            command
        };
        let mut child = spawn(&mut dozen());
        let has_begun = || !names(&folder).is_empty();
        if wait_until(&mut child, has_begun) {
            let delay = dice.roll(Duration::from_millis(15).as_nanos());
            let begun = Instant::now();
            while begun.elapsed() < delay && child.try_wait().unwrap().is_none() {
                std::hint::spin_loop();
            }
        }
        let _ = child.kill();
        child.wait().unwrap();
        midway += usize::from(names(&folder).iter().any(|name| name.contains("dozen-")));
        // A git that outlives its dozen writes for a while longer, and one that was not even started yet
        // holds the lock until it is.
        let begun = Instant::now();
        let mut next = run(&mut dozen());
        while next.code == Some(3) && begun.elapsed() < PATIENCE {
            next = run(&mut dozen());
        }
        assert!(matches!(next.code, Some(0 | 2)), "round {round}: {next:#?}");
        let made = format!("here/{into}");
        assert_eq!(place.git(&made, &["status", "--porcelain"]), "", "round {round}");
        assert_eq!(place.git(&made, &["rev-list", "--count", "HEAD"]), "1\n", "round {round}");
        assert!(!names(&place.path(&made)).iter().any(|name| name == OWN_FOLDER), "round {round}");
    }
    say(&format!("14 rounds with git: {midway} killed midway"));
    assert!(midway > 0);
}

// What the user did between a kill and the next command

#[test]
fn an_edit_of_a_pending_file_is_kept_and_the_rest_taken_back() {
    let Some(place) = interrupt_rich_plan(2) else { return };
    let root = place.path("shop");
    assert_eq!(text(root.join("a")), "new a\n", "done");
    assert_eq!(text(root.join("z")), "", "pending");
    fs::write(root.join("z"), "mine\n").unwrap();
    assert_eq!(apply::recover(&root).unwrap(), Recovery::TakenBack);

    let expected = Place::new();
    lay_rich(&expected.path("shop"));
    expected.write("shop/z", "mine\n");
    assert_eq!(snapshot(&root), snapshot(&expected.path("shop")));
}

#[test]
fn a_file_of_the_users_where_a_new_one_was_pending_is_kept() {
    let Some(place) = interrupt_rich_plan(0) else { return };
    let root = place.path("shop");
    assert!(!root.join("src/e").exists());
    fs::write(root.join("src/e"), "mine\n").unwrap();
    assert_eq!(apply::recover(&root).unwrap(), Recovery::TakenBack);
    let expected = Place::new();
    lay_rich(&expected.path("shop"));
    expected.write("shop/src/e", "mine\n");
    assert_eq!(snapshot(&root), snapshot(&expected.path("shop")));
}

#[test]
fn an_edit_of_a_done_file_is_kept_and_the_rest_completed() {
    let Some(place) = interrupt_rich_plan(1) else { return };
    let root = place.path("shop");
    assert_eq!(text(root.join("a")), "new a\n", "done");
    fs::write(root.join("a"), "mine\n").unwrap();
    assert_eq!(apply::recover(&root).unwrap(), Recovery::Completed);
    assert_eq!(text(root.join("a")), "mine\n");
    assert_eq!(text(root.join("src/b")), "new b\n");
    assert_tidy(&root, "completed");
}

#[test]
fn edits_of_a_done_and_of_a_pending_file_are_left_to_the_user_with_the_backup() {
    let Some(place) = interrupt_rich_plan(1) else { return };
    let root = place.path("shop");
    fs::write(root.join("a"), "mine a\n").unwrap();
    fs::write(root.join("z"), "mine z\n").unwrap();
    // However often it is tried.
    for _ in 0..2 {
        let run = run(place.dozen(ADD).current_dir(&root)).expect(3);
        run.says(&["`a` was edited since", ".dozen/work/backup"]);
        assert_eq!(text(root.join("a")), "mine a\n");
        assert_eq!(text(root.join("z")), "mine z\n");
    }
    let backup = root.join(WORK_FOLDER).join("backup");
    let kept: Vec<_> = names(&backup).into_iter().map(|name| text(backup.join(name))).collect();
    assert!(kept.contains(&"old a\n".to_owned()), "{kept:?}");
}

#[test]
fn a_deleted_file_stays_deleted() {
    let Some(place) = interrupt_rich_plan(1) else { return };
    let root = place.path("shop");
    fs::remove_file(root.join("z")).unwrap();
    assert_eq!(apply::recover(&root).unwrap(), Recovery::TakenBack);
    assert!(!root.join("z").exists());
    assert_eq!(text(root.join("a")), "old a\n");
}

#[test]
fn a_journal_that_came_with_the_repository_is_not_carried_out() {
    for link in [false, true] {
        let place = Place::new();
        let root = place.path("shop");
        lay_foreign(&root);
        fs::create_dir_all(root.join(".git/hooks")).unwrap();
        let work = if link { place.path("elsewhere") } else { root.join(WORK_FOLDER) };
        write(&work.join(".gitignore"), "*\n");
        write(&work.join("staged/0"), "#!/bin/sh\nevil\n");
        fs::create_dir(work.join("backup")).unwrap();
        let operation = OPERATION_OF_SOMEBODY;
        let folder = fs::metadata(&work).unwrap().ino() + 1;
        let journal =
            format!(r#"{{"operations": [{operation}], "folder": {folder}, {REST_OF_JOURNAL}}}"#);
        write(&work.join("journal.json"), journal);
        if link {
            fs::create_dir(root.join(OWN_FOLDER)).unwrap();
            symlink("../../elsewhere", root.join(WORK_FOLDER)).unwrap();
        }
        let before = (snapshot(&root), snapshot(&work));
        for arguments in [&ADD[..], &["undo"]] {
            let run = run(place.dozen(arguments).current_dir(&root)).expect(3);
            run.says(&[WORK_FOLDER]);
            assert_eq!((snapshot(&root), snapshot(&work)), before, "link: {link}");
        }
        // Whoever only reads says so, and goes on.
        run(place.dozen(["check", "--fail-on", "never"]).current_dir(&root))
            .expect(0)
            .says(&["it came with the repository"]);
        assert_eq!((snapshot(&root), snapshot(&work)), before, "link: {link}");
        assert_eq!(names(&root.join(".git/hooks")), [""; 0]);
    }
}

/// What somebody may write into a journal who knows all but the number of a folder on this disk.
const OPERATION_OF_SOMEBODY: &str = r#"{"path": ".git/hooks/post-checkout", "factor": null, "entry": "0",
    "before": null, "after": "00", "executable": true}"#;
const REST_OF_JOURNAL: &str = r#""afterwards": "Recorded", "folders": [], "emptied": []"#;

#[test]
fn a_record_that_came_with_the_repository_is_not_carried_out() {
    for link in [false, true] {
        let place = Place::new();
        let root = place.path("shop");
        lay_foreign(&root);
        let record = if link { place.path("elsewhere") } else { root.join(".dozen/undo") };
        write(&record.join("backup/0"), "#!/bin/sh\nevil\n");
        // The digest of what stands at the path: it could be carried out.
        let operation = OPERATION_OF_SOMEBODY.replace(r#""before": null"#, r#""before": "00""#);
        let folder = fs::metadata(&record).unwrap().ino() + 1;
        let journal =
            format!(r#"{{"operations": [{operation}], "folder": {folder}, {REST_OF_JOURNAL}}}"#);
        write(&record.join("journal.json"), journal);
        if link {
            fs::create_dir(root.join(OWN_FOLDER)).unwrap();
            symlink("../../elsewhere", root.join(".dozen/undo")).unwrap();
        }
        let before = (snapshot(&root), snapshot(&record));
        for arguments in [&["undo"][..], &["undo", "--force"], &["undo", "--dry-run"]] {
            run(place.dozen(arguments).current_dir(&root)).expect(3).says(&[".dozen/undo"]);
            assert_eq!((snapshot(&root), snapshot(&record)), before, "link: {link}");
        }
        // It does not keep anybody from a change of their own, which takes its place; but not through a link.
        let run = run(place.dozen(ADD).current_dir(&root));
        assert_eq!(run.code, Some(if link { 3 } else { 0 }), "{run:#?}");
        assert!(!link || snapshot(&record) == before.1);
    }
}

// Interrupted by the user

#[test]
fn a_signal_while_git_works_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM] {
        for into in ["shop", "a/b/shop", "empty"] {
            let place = Place::new();
            fs::create_dir(place.path("empty")).unwrap();
            let bin = place.home().join("bin");
            let git = bin.join("git");
            write(
                &git,
                "#!/bin/sh\n: > \"$HOME/started\"\nwhile [ ! -e \"$HOME/go\" ]; do sleep 0.01; done\n",
            );
            fs::set_permissions(&git, fs::Permissions::from_mode(0o755)).unwrap();
            let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
            let mut command =
                place.dozen(["new", "shop", "--stack", "python", "--yes", "--into", into]);
            let mut child = spawn(command.env("PATH", path));
            assert!(wait_until(&mut child, || place.home().join("started").exists()));
            kill_process(pid(&child), signal).unwrap();
            fs::write(place.home().join("go"), "").unwrap();
            assert_eq!(child.wait().unwrap().code(), Some(130), "{into}");
            assert_eq!(names(&place.work()), ["empty"], "{into}");
            assert_eq!(names(&place.path("empty")), [""; 0], "{into}");
        }
    }
}

#[test]
fn a_signal_at_a_random_instant_leaves_the_old_tree_or_the_new_one() {
    let mut dice = Dice(0x5eed_0005);
    for scenario in [NEW_FOLDER, EMPTY_FOLDER, FOREIGN_REPOSITORY, UNDO] {
        let ends = scenario.run_through();
        for _ in 0..8 {
            let place = Place::in_memory();
            (scenario.lay)(&place);
            let mut child = spawn(&mut (scenario.command)(&place));
            if wait_until(&mut child, || scenario.is_midway(&place)) {
                let (begun, delay) = (Instant::now(), dice.roll(3_000_000));
                while begun.elapsed() < delay {
                    std::hint::spin_loop();
                }
                let _ = kill_process(pid(&child), Signal::INT);
            }
            let code = child.wait().unwrap().code();
            let found = scenario.look(&place);
            match code {
                Some(0) => assert_eq!(found.as_ref(), Some(&ends.after)),
                Some(130) => assert_eq!(found, ends.before),
                other => panic!("{other:?}"),
            }
            assert!(!scenario.is_midway(&place));
        }
    }
}

// Disks and folders that take nothing

/// A small file system in memory, unmounted when it is dropped.
struct Disk {
    guard: tempfile::TempDir,
}

impl Disk {
    fn mount(options: &str) -> Option<Self> {
        let guard = tempfile::tempdir().unwrap();
        let owner = fs::metadata(guard.path()).unwrap();
        let options = format!("{options},mode=700,uid={},gid={}", owner.uid(), owner.gid());
        let path = guard.path().to_str().unwrap();
        if as_root(&["mount", "-t", "tmpfs", "-o", &options, "dozen-test", path]) {
            return Some(Self { guard });
        }
        skip("no small file system can be mounted here: it takes root, or sudo without a password");
        None
    }

    fn path(&self) -> &Path {
        self.guard.path()
    }

    fn set(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(as_root(&["mount", "-o", &options, self.path().to_str().unwrap()]));
    }

    fn free_pages(&self) -> u64 {
        let free = rustix::fs::statvfs(self.path()).unwrap();
        free.f_bavail * free.f_frsize / 4096
    }

    fn free_inodes(&self) -> u64 {
        rustix::fs::statvfs(self.path()).unwrap().f_favail
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        assert!(as_root(&["umount", self.path().to_str().unwrap()]));
    }
}

fn as_root(command: &[&str]) -> bool {
    [&[][..], &["sudo", "-n"]].into_iter().any(|prefix| {
        let words = [prefix, command].concat();
        let run = Command::new(words[0]).args(&words[1..]).output();
        run.is_ok_and(|run| run.status.success())
    })
}

/// Runs a scenario with more and more room, from none to enough. `take` leaves that much room.
fn run_with_little_room(
    scenario: Scenario,
    options: &str,
    free: fn(&Disk) -> u64,
    take: fn(&Path, u64),
) {
    let Some(disk) = Disk::mount(options) else { return };
    let ends = scenario.run_through();
    let (mut failed, mut room) = (0, 0);
    loop {
        let place = Place::inside(disk.path());
        (scenario.lay)(&place);
        let ballast = place.home().join("ballast");
        fs::create_dir(&ballast).unwrap();
        let free = free(&disk);
        assert!(room < free, "it does not fit at all");
        take(&ballast, free - room);
        let run = run(&mut (scenario.command)(&place));
        if run.code == Some(0) {
            assert_eq!(scenario.look(&place).as_ref(), Some(&ends.after));
            break;
        }
        assert_eq!(run.code, Some(4), "room {room}: {run:#?}");
        assert_eq!(scenario.look(&place), ends.before, "room {room}: {run:#?}");
        assert!(!scenario.is_midway(&place), "room {room}: litter, {run:#?}");
        run.says(&["cannot write", "Nothing was changed", "Free some space"]);
        failed += 1;
        // In longer strides the more it takes.
        room += 1 + room / 6;
    }
    say(&format!("{failed} runs without room, done with {room}"));
    assert!(failed > 0, "{failed}");
}

fn take_pages(ballast: &Path, pages: u64) {
    fs::write(ballast.join("pages"), vec![1; usize::try_from(pages * 4096).unwrap()]).unwrap();
}

fn take_inodes(ballast: &Path, inodes: u64) {
    for number in 0..inodes {
        fs::write(ballast.join(number.to_string()), "").unwrap();
    }
}

#[test]
fn a_full_disk_leaves_the_old_tree() {
    for scenario in [NEW_FOLDER, EMPTY_FOLDER, FOREIGN_REPOSITORY, UNDO] {
        run_with_little_room(scenario, "size=4m", Disk::free_pages, take_pages);
    }
}

#[test]
fn a_disk_without_inodes_leaves_the_old_tree() {
    for scenario in [NEW_FOLDER, EMPTY_FOLDER, FOREIGN_REPOSITORY, UNDO] {
        run_with_little_room(scenario, "size=4m,nr_inodes=600", Disk::free_inodes, take_inodes);
    }
}

#[test]
fn a_disk_that_fills_up_under_git_leaves_nothing() {
    let Some(disk) = Disk::mount("size=16m") else { return };
    for into in ["shop", "a/shop"] {
        let (mut failed, mut room) = (0, 0);
        loop {
            let place = Place::inside(disk.path());
            let ballast = place.home().join("ballast");
            fs::create_dir(&ballast).unwrap();
            take_pages(&ballast, disk.free_pages() - room);
            let run = place.run(["new", "shop", "--stack", "python", "--yes", "--into", into]);
            if run.code == Some(0) {
                assert_eq!(place.git(into, &["status", "--porcelain"]), "");
                break;
            }
            assert_eq!(run.code, Some(4), "{run:#?}");
            assert_eq!(names(&place.work()), [""; 0], "room {room}: {run:#?}");
            failed += 1;
            room += 1 + room / 4;
        }
        say(&format!("{failed} runs without room, done with {room}"));
        assert!(failed > 3, "{failed}");
    }
}

#[test]
fn a_read_only_disk_leaves_the_old_tree() {
    for scenario in [NEW_FOLDER, EMPTY_FOLDER, FOREIGN_REPOSITORY, UNDO] {
        let Some(disk) = Disk::mount("size=4m") else { return };
        let place = Place::inside(disk.path());
        (scenario.lay)(&place);
        let before = snapshot(&place.work());
        disk.set("ro");
        let run = run(&mut (scenario.command)(&place)).expect(4);
        run.says(&["cannot write", "Nothing was changed", "Choose a folder that you may write to"]);
        assert_eq!(snapshot(&place.work()), before);
        disk.set("rw");
    }
}

/// A command without the power to pass over permissions, which root has.
fn without_power(place: &Place, inner: &Command) -> Option<Command> {
    let mut command = if rustix::process::geteuid().is_root() {
        if !has_program("setpriv") {
            skip("root without setpriv: permissions do not bind");
            return None;
        }
        let mut command = place.command("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all", "--"]).arg(inner.get_program());
        command
    } else {
        place.command(inner.get_program())
    };
    command.args(inner.get_args());
    if let Some(folder) = inner.get_current_dir() {
        command.current_dir(folder);
    }
    Some(command)
}

#[test]
fn a_folder_that_may_not_be_written_leaves_the_old_tree() {
    for (scenario, locked) in
        [(NEW_FOLDER, "."), (EMPTY_FOLDER, "shop"), (FOREIGN_REPOSITORY, "shop")]
    {
        let place = Place::new();
        (scenario.lay)(&place);
        let Some(mut command) = without_power(&place, &(scenario.command)(&place)) else { return };
        let allow = |mode| {
            fs::set_permissions(place.path(locked), fs::Permissions::from_mode(mode)).unwrap();
        };
        allow(0o555);
        let before = snapshot(&place.work());
        let run = run(&mut command);
        let after = snapshot(&place.work());
        allow(0o755);
        run.expect(4).says(&["cannot write", "Permission denied", "Choose a folder"]);
        assert_eq!(after, before);
    }
}

#[test]
fn a_folder_in_the_tree_that_may_not_be_written_leaves_the_old_tree() {
    let place = Place::new();
    (RICH_PLAN.lay)(&place);
    let Some(mut command) = without_power(&place, &(RICH_PLAN.command)(&place)) else { return };
    command.env(RICH_ROOT, place.path("shop"));
    let locked = place.path("shop/src");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
    let before = snapshot(&place.work());
    let run = run(&mut command);
    let after = snapshot(&place.work());
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(run.code, Some(101), "{run:#?}");
    assert!(run.out.contains("Unwritable"), "{run:#?}");
    assert_eq!(after, before);
}

#[test]
fn a_read_only_file_is_replaced_and_stays_read_only() {
    let place = Place::new();
    let root = place.path("shop");
    (FOREIGN_REPOSITORY.lay)(&place);
    fs::set_permissions(root.join(".gitignore"), fs::Permissions::from_mode(0o444)).unwrap();
    run(&mut (FOREIGN_REPOSITORY.command)(&place)).expect(0);
    let found = snapshot(&root);
    let ignored = &found[Path::new(".gitignore")];
    assert_eq!(ignored.mode, 0o444);
    assert_ne!(ignored.bytes.as_deref(), Some(&b"*.pyc\n"[..]));
}

#[test]
fn modes_survive_and_new_files_follow_the_umask() {
    let place = Place::new();
    let root = place.path("shop");
    lay_rich(&root);
    apply::apply(&rich_plan(&root)).unwrap();
    let found = snapshot(&root);
    assert_eq!(found[Path::new("run")].mode, 0o750);
    assert_eq!(found[Path::new("src/e")].mode, found[Path::new("a")].mode);
}

// A disk that is no longer what the plan saw

/// Changes the disk between a plan and its application, which must refuse and write nothing.
fn refuse(change_disk: fn(&Path), is_expected: fn(&Error) -> bool) {
    let place = Place::new();
    let root = place.path("shop");
    lay_rich(&root);
    place.write("outside/b", "old b\n");
    let plan = rich_plan(&root);
    change_disk(&root);
    let before = snapshot(&place.work());
    let error = apply::apply(&plan).unwrap_err();
    assert!(is_expected(&error), "{error:?}");
    assert_eq!(error.exit_code() as i32, 3);
    assert_eq!(snapshot(&place.work()), before, "{error}");
}

#[test]
fn a_file_that_changes_between_plan_and_apply_is_left_alone() {
    let is_changed = |error: &Error| matches!(error, Error::Changed(_));
    refuse(|root| fs::write(root.join("z"), "mine").unwrap(), is_changed);
    refuse(|root| fs::write(root.join("src/b"), "OLD b\n").unwrap(), is_changed);
    refuse(|root| fs::remove_file(root.join("a")).unwrap(), is_changed);
    refuse(|root| fs::write(root.join("src/e"), "").unwrap(), is_changed);
    refuse(|root| write(&root.join("new/deep/c"), "c\n"), is_changed);
    refuse(|root| fs::create_dir(root.join("src/e")).unwrap(), is_changed);
    refuse(|root| fs::remove_dir_all(root.join("src")).unwrap(), is_changed);
    refuse(
        |root| {
            fs::remove_file(root.join("z")).unwrap();
            fs::create_dir(root.join("z")).unwrap();
        },
        is_changed,
    );
}

#[test]
fn a_link_that_appears_between_plan_and_apply_is_not_followed() {
    let is_link = |error: &Error| matches!(error, Error::Link(_));
    refuse(
        |root| {
            fs::remove_dir_all(root.join("src")).unwrap();
            symlink("../outside", root.join("src")).unwrap();
        },
        is_link,
    );
    refuse(|root| symlink("../outside", root.join("new")).unwrap(), is_link);
    refuse(|root| symlink("nowhere", root.join("src/e")).unwrap(), is_link);
    refuse(
        |root| {
            fs::rename(root.join("a"), root.join("kept")).unwrap();
            symlink("kept", root.join("a")).unwrap();
        },
        is_link,
    );
}

#[test]
fn a_file_where_a_folder_has_to_be_is_left_alone() {
    let place = Place::new();
    let root = place.path("shop");
    lay_rich(&root);
    let plan = rich_plan(&root);
    fs::write(root.join("new"), "mine").unwrap();
    let before = snapshot(&root);
    apply::apply(&plan).unwrap_err();
    assert_eq!(snapshot(&root), before);
}

#[test]
fn no_path_leads_out_of_the_root() {
    for path in [
        "",
        ".",
        "..",
        "../x",
        "a/../../x",
        "/x",
        "//x",
        "a//b",
        "a/./b",
        "a/",
        "C:/x",
        "a\\..\\x",
        "a\0b",
    ] {
        assert!(RepoPath::parse(path).is_err(), "{path:?}");
    }
    for path in ["a", ".a", "a/b.c", "..a", "a..", "a b"] {
        assert!(RepoPath::parse(path).is_ok(), "{path:?}");
    }
}

#[test]
fn add_writes_nothing_through_links_that_stand_in_the_tree() {
    for (link, to) in [
        (".gitignore", "../outside/file"),
        (".gitattributes", "../outside/nothing"),
        (".env.example", "/etc/hostname"),
        ("compose.yaml", "app.py"),
    ] {
        let place = Place::new();
        let root = place.path("shop");
        lay_foreign(&root);
        place.write("outside/file", "theirs\n");
        let _ = fs::remove_file(root.join(link));
        symlink(to, root.join(link)).unwrap();
        let before = snapshot(&place.work());
        let run =
            run(place.dozen(["add", "codebase", "config", "dev-prod-parity"]).current_dir(&root));
        assert_eq!(run.code, Some(3), "{run:#?}");
        assert!(run.out.contains("symbolic link"), "{run:#?}");
        assert_eq!(snapshot(&place.work()), before, "{link}");
    }
}

#[test]
fn add_follows_no_link_in_place_of_a_work_folder_or_a_root_file() {
    let place = Place::new();
    let root = place.path("shop");
    lay_foreign(&root);
    place.write("outside/journal.json", "theirs\n");
    write(&root.join("app/journal.json"), "theirs\n");
    for (link, to) in [
        (OWN_FOLDER, "../outside"),
        (OWN_FOLDER, "app"),
        (WORK_FOLDER, "../../outside"),
        (WORK_FOLDER, "../app"),
    ] {
        let _ = fs::create_dir(root.join(OWN_FOLDER));
        if link == OWN_FOLDER {
            fs::remove_dir(root.join(OWN_FOLDER)).unwrap();
        }
        symlink(to, root.join(link)).unwrap();
        let before = snapshot(&place.work());
        let run = run(place.dozen(ADD).current_dir(&root));
        assert_ne!(run.code, Some(0), "{run:#?}");
        assert_eq!(snapshot(&place.work()), before);
        fs::remove_file(root.join(link)).unwrap();
    }
}

#[test]
fn a_conflict_is_listed_and_nothing_half_done() {
    let place = Place::new();
    let root = place.path("shop");
    lay_foreign(&root);
    fs::remove_file(root.join(".gitignore")).unwrap();
    fs::create_dir(root.join(".gitignore")).unwrap();
    let before = snapshot(&root);
    let run = run(place.dozen(ADD).current_dir(&root)).expect(3);
    assert!(run.out.contains("conflict  .gitignore: it is a folder"), "{run:#?}");
    run.says(&["Nothing was written"]);
    assert_eq!(snapshot(&root), before);
}

// Two at once

fn run_two(place: &Place, command: fn(&Place) -> Command) -> [Run; 2] {
    thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| run(&mut command(place))));
        both.map(|one| one.join().unwrap())
    })
}

#[test]
fn of_two_new_at_once_exactly_one_wins() {
    for scenario in [NEW_FOLDER, EMPTY_FOLDER] {
        let ends = scenario.run_through();
        for _ in 0..8 {
            let place = Place::in_memory();
            (scenario.lay)(&place);
            let both = run_two(&place, scenario.command);
            let won = both.iter().filter(|run| run.code == Some(0)).count();
            assert_eq!(won, 1, "{both:#?}");
            assert!(both.iter().all(|run| matches!(run.code, Some(0 | 2 | 3))), "{both:#?}");
            assert_eq!(scenario.look(&place).as_ref(), Some(&ends.after), "{both:#?}");
            assert_eq!(names(&place.work()), [scenario.root], "{both:#?}");
        }
    }
}

#[test]
fn two_add_at_once_leave_the_tree_whole() {
    let ends = FOREIGN_REPOSITORY.run_through();
    for _ in 0..20 {
        let place = Place::in_memory();
        (FOREIGN_REPOSITORY.lay)(&place);
        let both = run_two(&place, FOREIGN_REPOSITORY.command);
        assert!(both.iter().any(|run| run.code == Some(0)), "{both:#?}");
        assert!(both.iter().all(|run| matches!(run.code, Some(0 | 3))), "{both:#?}");
        assert_eq!(FOREIGN_REPOSITORY.look(&place).as_ref(), Some(&ends.after), "{both:#?}");
    }
}

#[test]
fn a_folder_in_which_another_dozen_works_is_busy() {
    let place = Place::new();
    let root = place.path("shop");
    lay_foreign(&root);
    let before = snapshot(&root);
    let held = fs::File::open(&root).unwrap();
    held.lock().unwrap();
    let run = run(&mut (FOREIGN_REPOSITORY.command)(&place)).expect(3);
    run.says(&["another dozen is at work"]);
    assert_eq!(snapshot(&root), before);
}

#[test]
fn what_a_running_new_has_staged_is_left_alone() {
    let place = Place::new();
    let theirs = place.path(".shop.dozen-1");
    write(&theirs.join("file"), "theirs");
    let held = fs::File::open(&theirs).unwrap();
    held.lock().unwrap();
    place.ok(NEW);
    assert_eq!(names(&place.work()), [".shop.dozen-1", "shop"]);

    // Nobody holds it any more; what only looks like it stays.
    drop(held);
    fs::remove_dir_all(place.path("shop")).unwrap();
    place.write(".shop.dozen-notes/mine", "mine");
    place.write(".shop.dozen-/mine", "mine");
    place.ok(NEW);
    assert_eq!(names(&place.work()), [".shop.dozen-", ".shop.dozen-notes", "shop"]);
}

// The network

#[test]
fn new_opens_no_connection() {
    if !has_program("strace") {
        return skip("strace is not installed: nobody watches for sockets");
    }
    let place = Place::new();
    let log: PathBuf = place.home().join("sockets");
    let mut command = place.command("strace");
    command.args(["-f", "-qq", "-e", "trace=network", "-o", log.to_str().unwrap(), DOZEN]);
    run(command.args(["new", "shop", "--stack", "python", "--yes"])).expect(0);
    let calls = text(log);
    assert!(!calls.contains("AF_INET"), "{calls}");
    assert!(place.path("shop/.git").exists());
}
