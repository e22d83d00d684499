//! `dozen add` in repositories that somebody else wrote: every fixture, in every encoding that it names, by every
//! factor.
//!
//! The fixtures are services of our own, short of some factors as public ones are: `tests/add/fixtures/<name>`, with
//! what is expected of them beside them. What editors and git would spoil is done to the copy that a test works on.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "add/fixture.rs"]
mod fixture;
#[path = "add/hunks.rs"]
mod hunks;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;

use dozen::check::finding::Verdict;
use dozen::check::rule::Rules;
use dozen::check::{self, Repository};
use dozen::factor::Factor;
use dozen::tree::{Content, RepoPath, Tree};
use fixture::{Encoding, Fixture};
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use support::{Place, Run, Snapshot};

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::load().unwrap());

type Verdicts = BTreeMap<Factor, Verdict>;

/// What `add --json` prints.
#[derive(Debug, Deserialize)]
struct Added {
    changes: Vec<Changed>,
    conflicts: Vec<Conflicting>,
    instructions: Vec<Instructing>,
    applied: bool,
}

#[derive(Debug, Deserialize)]
struct Changed {
    path: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Conflicting {
    factor: Option<Factor>,
}

#[derive(Debug, Deserialize)]
struct Instructing {
    factor: Factor,
    path: PathBuf,
    line: usize,
    fix: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = vec![
        Trial::test("a dry run writes nothing", || settle(writes_nothing_when_dry)),
        Trial::test("git is not needed", || settle(needs_no_git)),
    ];
    for fixture in Fixture::all() {
        let shared = fixture.clone();
        trials.push(Trial::test(format!("{}: by each factor", fixture.name), move || {
            settle(|problems| adds_each(&shared, problems))
        }));
        trials.push(Trial::test(format!("{}: at once", fixture.name), move || {
            settle(|problems| adds_at_once(&fixture, problems))
        }));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// What is wrong, all of it: one look at a failure should tell what an edit did.
type Problems = Vec<String>;

fn settle(test: impl FnOnce(&mut Problems)) -> Result<(), Failed> {
    let mut problems = Problems::new();
    test(&mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
}

/// A fixture's copy, and what stood in it.
struct Copy {
    place: Place,
    /// Where `add` is run.
    root: PathBuf,
    before: Snapshot,
    verdicts: Verdicts,
}

impl Copy {
    fn of(fixture: &Fixture, encoding: Option<Encoding>) -> Self {
        let place = Place::in_memory();
        fixture.copy(&place.work(), encoding);
        let root = place.path(&fixture.path);
        let before = support::snapshot(&place.work());
        let verdicts = judge(&root);
        Self { place, root, before, verdicts }
    }

    /// The same once more, as it was.
    fn anew(&self, fixture: &Fixture) -> Self {
        let place = Place::in_memory();
        fixture.copy(&place.work(), None);
        let root = place.path(&fixture.path);
        Self { place, root, before: self.before.clone(), verdicts: self.verdicts.clone() }
    }

    fn dozen(&self, arguments: &[&str]) -> Run {
        let path = ["--path".as_ref(), self.root.as_os_str()];
        self.place.run(arguments.iter().map(AsRef::as_ref).chain(path))
    }

    /// Adds factors; they are conflicts, or they are done.
    fn add(&self, factors: &[Factor]) -> Added {
        let slugs = factors.iter().map(|factor| factor.slug());
        let arguments: Vec<&str> =
            std::iter::once("add").chain(slugs).chain(["--yes", "--json"]).collect();
        let run = self.dozen(&arguments);
        let added: Added = serde_json::from_value(run.json()).unwrap();
        assert_eq!(run.code, Some(if added.conflicts.is_empty() { 0 } else { 3 }), "{run:#?}");
        assert_eq!(added.applied, added.conflicts.is_empty(), "{run:#?}");
        added
    }

    /// Everything that stands there, but for dozen's own notes.
    fn now(&self) -> Snapshot {
        let mut now = support::snapshot(&self.place.work());
        now.retain(|path, _| !path.components().any(|part| part.as_os_str() == ".dozen"));
        now
    }

    /// Adds factors, and says what is wrong with how that was done, whatever it came to.
    fn add_well(&self, factors: &[Factor], problems: &mut Problems) -> (Added, Verdicts) {
        let added = self.add(factors);
        let names = list(factors);
        let (now, verdicts) = (self.now(), judge(&self.root));
        for (factor, verdict) in &verdicts {
            let had = self.verdicts[factor];
            if rank(*verdict) > rank(had) {
                problems.push(format!("add {names}: {factor} is {verdict:?}, and was {had:?}"));
            }
        }
        let said: BTreeSet<PathBuf> =
            added.changes.iter().map(|changed| self.root.join(&changed.path)).collect();
        let differing = now.keys().chain(self.before.keys()).filter(|path| {
            let is_folder = now.get(*path).is_some_and(|node| node.bytes.is_none());
            now.get(*path) != self.before.get(*path) && !is_folder
        });
        let written: BTreeSet<PathBuf> =
            differing.map(|path| self.place.work().join(path)).collect();
        let said = if added.applied { said } else { BTreeSet::new() };
        if written != said {
            problems.push(format!("add {names}: it says {said:?}, and writes {written:?}"));
        }
        for (path, node) in &now {
            let Some(old) = self.before.get(path) else { continue };
            if old.mode != node.mode || old.link != node.link {
                problems.push(format!("add {names}: the mode of {} is another", path.display()));
            }
            let (Some(old), Some(new)) = (&old.bytes, &node.bytes) else { continue };
            let wrong = hunks::compare(old, new);
            problems.extend(wrong.map(|what| format!("add {names}: {}: {what}", path.display())));
        }
        (added, verdicts)
    }

    /// A second time finds nothing to do.
    fn add_again(&self, factors: &[Factor], problems: &mut Problems) {
        let done = self.now();
        let again = self.add(factors);
        if !again.changes.is_empty() || self.now() != done {
            let names = list(factors);
            problems.push(format!("add {names}: a second time it changes {:?}", again.changes));
        }
    }

    /// What was done last is taken back whole.
    fn undo(&self, factors: &[Factor], problems: &mut Problems) {
        let undo = self.dozen(&["undo"]);
        let left = support::snapshot(&self.place.work());
        if undo.code != Some(0) || left != self.before {
            problems.push(format!("undo of {} leaves another tree: {undo:?}", list(factors)));
        }
    }
}

fn list(factors: &[Factor]) -> String {
    factors.iter().map(|factor| factor.slug()).collect::<Vec<_>>().join(" ")
}

/// What `check` says, without a process of its own.
fn judge(root: &Path) -> Verdicts {
    let files = support::snapshot_files(root).into_iter().filter_map(|(path, node)| {
        let content = Content { bytes: node.bytes?, executable: node.mode & 0o111 != 0 };
        Some((RepoPath::parse(path.to_str()?).ok()?, content))
    });
    let tree = Tree::from_files(files.filter(|(path, _)| !path.as_str().starts_with(".dozen/")));
    let report = check::check(tree, Repository::default(), &RULES, None, &[]).unwrap();
    assert_eq!(report.unread, [], "{}", root.display());
    report.factors.into_iter().map(|said| (said.factor, said.verdict)).collect()
}

const fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Met => 0,
        Verdict::NotDeterminable => 1,
        Verdict::Partly => 2,
        Verdict::Violated => 3,
    }
}

const fn is_short(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Partly | Verdict::Violated)
}

fn adds_each(fixture: &Fixture, problems: &mut Problems) {
    let first = Copy::of(fixture, None);
    for factor in fixture.turns.keys().filter(|factor| !is_short(first.verdicts[*factor])) {
        problems.push(format!("{factor} is not short, there is nothing to turn"));
    }
    for factor in Factor::ALL.into_iter().filter(|factor| is_short(first.verdicts[factor])) {
        let copy = first.anew(fixture);
        let (added, verdicts) = copy.add_well(&[factor], problems);
        let turned = verdicts[&factor];
        if let Some(wanted) = fixture.turns.get(&factor).filter(|wanted| **wanted != turned) {
            problems.push(format!("add {factor}: it is {turned:?}, not {wanted:?}: {added:#?}"));
        }
        let says = added.instructions.iter().any(|it| {
            let is_there = copy.root.join(&it.path).exists() && it.line > 0;
            it.factor == factor && is_there && !it.fix.is_empty()
        });
        let refuses = added.conflicts.iter().any(|it| it.factor == Some(factor));
        if is_short(turned) && !says && !refuses {
            problems.push(format!("add {factor}: it is {turned:?}, and nobody says what to do"));
        }
        if added.applied && !added.changes.is_empty() {
            copy.add_again(&[factor], problems);
            copy.undo(&[factor], problems);
        }
    }
    // Nothing is to be done for what is met; of what cannot be told, only the rest has to hold.
    let with = |verdict: Verdict| -> Vec<Factor> {
        first.verdicts.iter().filter(|(_, it)| **it == verdict).map(|(it, _)| *it).collect()
    };
    let (met, unknown) = (with(Verdict::Met), with(Verdict::NotDeterminable));
    let added = first.add(&met);
    if !added.changes.is_empty() || !added.conflicts.is_empty() || first.now() != first.before {
        problems.push(format!("{met:?} are met, and yet: {added:#?}"));
    }
    first.add_well(&unknown, problems);
}

fn adds_at_once(fixture: &Fixture, problems: &mut Problems) {
    let factors: Vec<Factor> = fixture.turns.keys().copied().collect();
    let first = Copy::of(fixture, None);
    let plain = first.anew(fixture);
    let (_, together) = plain.add_well(&factors, problems);
    let plainly = plain.now();
    plain.add_again(&factors, problems);
    if plain.now() == plainly {
        plain.undo(&factors, problems);
    }
    let mut one_by_one = first.anew(fixture);
    for factor in factors.iter().rev() {
        let (_, verdicts) = one_by_one.add_well(&[*factor], problems);
        one_by_one.before = one_by_one.now();
        one_by_one.verdicts = verdicts;
    }
    for (factor, wanted) in &fixture.turns {
        let (one, other) = (together[factor], one_by_one.verdicts[factor]);
        if one != *wanted || other != *wanted {
            problems.push(format!(
                "{factor} should be {wanted:?}: with the others it is {one:?}, the last first {other:?}"
            ));
        }
    }
    for encoding in &fixture.encode {
        let encoded = Copy::of(fixture, Some(*encoding));
        let mut wrong = Problems::new();
        assert_ne!(first.before, encoded.before, "nothing in it can be written with {encoding}");
        if encoded.verdicts != first.verdicts {
            wrong.push(format!("check says {:?}, else {:?}", encoded.verdicts, first.verdicts));
        }
        let (_, verdicts) = encoded.add_well(&factors, &mut wrong);
        if verdicts != together {
            wrong.push(format!("it comes to {verdicts:?}, else to {together:?}"));
        }
        if encoding.is_uniform() {
            compare(*encoding, (&first.before, &plainly), &encoded.now(), &mut wrong);
        }
        encoded.undo(&factors, &mut wrong);
        problems.extend(wrong.iter().map(|what| format!("with {encoding}: {what}")));
    }
}

/// An edit of a file that is written in another way is that edit, written so.
fn compare(
    encoding: Encoding,
    (before, after): (&Snapshot, &Snapshot),
    now: &Snapshot,
    problems: &mut Problems,
) {
    for (path, node) in after {
        let Some(bytes) = &node.bytes else { continue };
        let Some(given) = now.get(path).and_then(|node| node.bytes.as_ref()) else {
            problems.push(format!("there is no {}", path.display()));
            continue;
        };
        // A new file is written as new files are.
        let Some(old) = before.get(path).and_then(|node| node.bytes.as_ref()) else { continue };
        let wanted = encoding.apply(path, bytes, Encoding::measure(old));
        if *given != wanted {
            let [given, wanted] = [given, &wanted].map(|bytes| String::from_utf8_lossy(bytes));
            problems.push(format!("{}: {given:?}\nnot {wanted:?}", path.display()));
        }
    }
}

fn writes_nothing_when_dry(problems: &mut Problems) {
    for name in ["express-cjs", "django", "axum-workspace"] {
        let copy = Copy::of(&Fixture::read(name), None);
        for how in ["--dry-run", "--diff"] {
            let mut arguments = vec!["add", "config", "port-binding", "--dry-run"];
            arguments.extend(Some(how).filter(|how| *how != "--dry-run"));
            let run = copy.dozen(&arguments).expect(0);
            if support::snapshot(&copy.place.work()) != copy.before {
                problems.push(format!("{name}: `add {how}` writes: {run:?}"));
            }
            if !run.out.contains("Would change") {
                problems.push(format!("{name}: `add {how}` shows no change: {run:?}"));
            }
        }
    }
}

fn needs_no_git(problems: &mut Problems) {
    let copy = Copy::of(&Fixture::read("flask"), None);
    let path = ["--path".as_ref(), copy.root.as_os_str()];
    let mut add = copy.place.dozen(["add", "config", "--yes", "--json"]);
    let run = support::run(add.args(path).env("PATH", "")).expect(0);
    let mut undo = copy.place.dozen(["undo"]);
    support::run(undo.args(path).env("PATH", "")).expect(0);
    if run.json()["changes"].as_array().is_none_or(Vec::is_empty)
        || support::snapshot(&copy.place.work()) != copy.before
    {
        problems.push(format!("without git: {run:?}"));
    }
}
