//! Decides how what `check` found is mended: by the recipe that its rule carries, at one anchor that leaves no
//! doubt, or else by an instruction for a person.
//!
//! `recipe` is what rules say; `source`, `line`, `ignore`, `version`, `task` with `shot`, `settings` and `manifest` turn
//! it into edits; `style` and `import` make them fit the file; and `verify` looks at the whole with the eyes of `check`
//! before anybody writes it. All is pure.

mod ignore;
mod import;
mod line;
mod manifest;
pub mod recipe;
mod settings;
mod shot;
mod source;
mod style;
mod task;
mod verify;
mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use self::manifest::declares;
use self::recipe::Recipe;
pub use self::verify::{Ground, is_no_worse, settle};
use crate::check::facts::workflow::is_workflow;
use crate::check::finding::{Finding, Place, Severity};
use crate::check::language::Grammar;
use crate::check::rule::{Rule, Rules};
use crate::check::sources::{Part, part_of};
use crate::error::Result;
use crate::factor::Factor;
use crate::merge::text::{self, Insert, Text};
use crate::plan::Change;
use crate::templates::{Kind, Rendered};
use crate::tree::{Content, Entry, RepoPath, Tree};

/// How one finding is mended.
#[derive(Clone, Debug)]
pub struct Mend {
    pub rule: String,
    pub factor: Factor,
    pub place: Place,
    /// What it does, in few words.
    pub says: String,
    /// What a person still has to do or to know.
    pub remark: String,
    edits: BTreeMap<RepoPath, Vec<Insert>>,
    /// The text of files that come; none for those that go.
    files: BTreeMap<RepoPath, Option<String>>,
    /// Name and example of what is read from the environment then.
    variables: BTreeMap<String, String>,
    /// The argument that makes of web the release phase.
    release: Option<String>,
}

/// What a recipe does to the file of a finding.
#[derive(Debug, Default)]
struct Edits {
    edits: Vec<Insert>,
    variables: BTreeMap<String, String>,
}

/// What a recipe does to a repository.
#[derive(Debug, Default)]
struct Revision {
    edits: BTreeMap<RepoPath, Vec<Insert>>,
    /// The text of files that come; none for those that go.
    files: BTreeMap<RepoPath, Option<String>>,
    variables: BTreeMap<String, String>,
    /// What a person has to know, where that hangs on what was found.
    remark: Option<String>,
}

impl Revision {
    fn add(&mut self, path: &RepoPath, edits: impl IntoIterator<Item = Insert>) {
        self.edits.entry(path.clone()).or_default().extend(edits);
    }
}

/// The mends for findings of these factors, where a recipe fits: in the order of the findings.
///
/// # Errors
/// An embedded recipe is broken: a defect of this build.
fn propose(
    tree: &Tree,
    findings: &[Finding],
    rules: &Rules,
    factors: &BTreeSet<Factor>,
) -> Result<Vec<Mend>> {
    let mut mends: Vec<Mend> = Vec::new();
    for finding in findings {
        if finding.severity == Severity::Info || !factors.contains(&finding.factor) {
            continue;
        }
        let Some(rule) = rules.find(&finding.rule) else { continue };
        let others = rule.mends_of.iter().filter_map(|id| rules.find(id));
        let recipes = rule.mends.iter().chain(others.flat_map(|other| &other.mends));
        let Some(mend) = mend(tree, rule, recipes, &finding.place)? else { continue };
        // Two findings may have the same remedy; two remedies may not touch the same bytes.
        let is_free = |path: &RepoPath, edits: &Vec<Insert>| {
            let of_others = mends.iter().filter_map(|other| other.edits.get(path)).flatten();
            of_others
                .into_iter()
                .all(|other| edits.iter().all(|edit| edit == other || !edit.clashes(other)))
        };
        if mend.edits.iter().all(|(path, edits)| is_free(path, edits)) {
            mends.push(mend);
        }
    }
    Ok(mends)
}

/// What the first recipe that fits does at a place.
fn mend<'r>(
    tree: &Tree,
    rule: &Rule,
    recipes: impl Iterator<Item = &'r Recipe>,
    place: &Place,
) -> Result<Option<Mend>> {
    let Some(file) = read(tree, &place.path) else { return Ok(None) };
    for recipe in recipes {
        if !manifest::declares(tree, &place.path, &recipe.packages)
            || !recipe.tested_with.as_ref().is_none_or(|name| is_set_for_tests(tree, name))
        {
            continue;
        }
        if recipe.stands.as_ref().is_some_and(|name| !manifest::stands(tree, &place.path, name)) {
            continue;
        }
        let Some(recipe) = recipe.with_variable(list_service_texts(tree)) else { continue };
        let start = text::numbered_line(file.lines(), place.line);
        let line = file.lines()[start..].lines().next().unwrap_or_default();
        if !recipe.fits_uses(line, list_service_texts(tree)) {
            continue;
        }
        let Some(revision) = revise(rule, &recipe, tree, file.lines(), place)? else { continue };
        let Revision { edits: mut all, files, variables, remark } = revision;
        let Some(needed) = manifest::need(tree, &recipe, &place.path) else { continue };
        for (path, edits) in needed {
            all.entry(path).or_default().extend(edits);
        }
        return Ok(Some(Mend {
            rule: rule.id.clone(),
            factor: rule.factor,
            place: place.clone(),
            says: recipe.says.clone(),
            remark: remark.unwrap_or_else(|| recipe.remark.clone()),
            edits: all,
            files,
            variables,
            release: recipe.release.clone(),
        }));
    }
    Ok(None)
}

/// Whether no pipeline runs tests that miss a variable.
fn is_set_for_tests(tree: &Tree, variable: &str) -> bool {
    let runs = ["pytest", "manage.py test", "unittest", "tox", "nox", "make test", "flask test"];
    tree.files().filter(|path| is_workflow(path)).all(|path| {
        let text = tree.text(path).unwrap_or_default();
        text.contains(variable) || !runs.iter().any(|word| text.contains(word))
    })
}

/// What a recipe does about a finding in a file, of which this is the text without carriage returns.
fn revise(
    rule: &Rule,
    recipe: &Recipe,
    tree: &Tree,
    text: &str,
    place: &Place,
) -> Result<Option<Revision>> {
    let fits = recipe.only_if.as_ref().is_none_or(|only_if| only_if.is_match(text))
        && !recipe.unless.as_ref().is_some_and(|unless| unless.is_match(text));
    if !fits {
        return Ok(None);
    }
    if let Some(once) = &recipe.once {
        return Ok(task::mend(tree, once, place));
    }
    if let Some(taken) = &recipe.module {
        return Ok(settings::mend(tree, taken, &place.path));
    }
    let edits = edit(rule, recipe, tree, text, place)?;
    Ok(edits.map(|Edits { edits, variables }| Revision {
        edits: BTreeMap::from([(place.path.clone(), edits)]),
        variables,
        ..Revision::default()
    }))
}

/// The edits of a recipe in the file of the finding.
fn edit(
    rule: &Rule,
    recipe: &Recipe,
    tree: &Tree,
    text: &str,
    place: &Place,
) -> Result<Option<Edits>> {
    if recipe.unignores {
        return ignore::mend(tree, text, place);
    }
    if recipe.version {
        return Ok(version::mend(tree, text, place));
    }
    if recipe.line.is_some() {
        return Ok(line::mend(recipe, text, place));
    }
    if recipe.dependency.is_some() && recipe.at.is_none() {
        return Ok(Some(Edits::default()));
    }
    match Grammar::of(place.path.file_name(), text) {
        Some(grammar) => source::mend(rule, recipe, grammar, text, place),
        None => Ok(None),
    }
}

/// What a rule's own recipes make of an example, given where the rule finds something in it: each file that changes.
///
/// # Errors
/// The recipe is broken: a defect of this build.
pub fn mend_example(
    rule: &Rule,
    recipe: &Recipe,
    tree: &Tree,
    place: &Place,
) -> Result<Option<BTreeMap<RepoPath, String>>> {
    let Some(file) = read(tree, &place.path) else { return Ok(None) };
    let Some(recipe) = recipe.with_variable(list_service_texts(tree)) else { return Ok(None) };
    let revision = revise(rule, &recipe, tree, file.lines(), place)?;
    let write = |(path, edits)| Some((read(tree, &path)?.write(edits), path));
    Ok(revision.map(|revision| {
        let written = revision.edits.into_iter().filter_map(write);
        written.map(|(text, path)| (path, text)).collect()
    }))
}

/// The code that is no test, read as it is taken.
fn list_service_texts(tree: &Tree) -> impl Iterator<Item = String> {
    tree.files().filter_map(|path| {
        let is_service = part_of(path) == Part::Service;
        let text = is_service.then(|| tree.text(path)).flatten()?;
        Grammar::of(path.file_name(), &text).is_some().then_some(text)
    })
}

fn read(tree: &Tree, path: &RepoPath) -> Option<Text> {
    match tree.get(path)? {
        Entry::File(content) => Text::read(&content.bytes).ok(),
        _ => None,
    }
}

/// The files as the mends leave them, and the lines of other files that go with them: variables that are read, and
/// the release phase, where `web` says how the service is started.
fn assemble(tree: &Tree, mends: &[&Mend], web: Option<&str>) -> (Vec<Change>, Vec<Rendered>) {
    let paths: BTreeSet<&RepoPath> = mends.iter().flat_map(|mend| mend.edits.keys()).collect();
    let changes = paths.into_iter().filter_map(|path| {
        let Some(Entry::File(before)) = tree.get(path) else { return None };
        let file = Text::read(&before.bytes).ok()?;
        let mut edits: Vec<Insert> = Vec::new();
        let of_path = || mends.iter().filter(|mend| mend.edits.contains_key(path));
        for edit in of_path().filter_map(|mend| mend.edits.get(path)).flatten() {
            if !edits.contains(edit) {
                edits.push(edit.clone());
            }
        }
        let mut does: Vec<String> = Vec::new();
        for mend in of_path().filter(|mend| !mend.edits[path].is_empty()) {
            if !does.contains(&mend.says) {
                does.push(mend.says.clone());
            }
        }
        Some(Change {
            path: path.clone(),
            factor: of_path().map(|mend| mend.factor).next(),
            after: Some(Content {
                bytes: file.write(edits).into_bytes(),
                executable: before.executable,
            }),
            before: Some(Arc::clone(&before)),
            does,
        })
    });
    let whole = mends.iter().flat_map(|mend| &mend.files).filter_map(|(path, text)| {
        let before = match tree.get(path) {
            Some(Entry::File(content)) => Some(content),
            _ => None,
        };
        let by = mends.iter().find(|mend| mend.files.contains_key(path))?;
        Some(Change {
            path: path.clone(),
            factor: Some(by.factor),
            before,
            after: text.clone().map(|text| Content { bytes: text.into_bytes(), executable: false }),
            does: vec![by.says.clone()],
        })
    });
    let changes = changes.chain(whole).collect();
    let variables: BTreeMap<&String, &String> =
        mends.iter().flat_map(|mend| &mend.variables).collect();
    let variables: String =
        variables.iter().flat_map(|(name, example)| [name.as_str(), "=", example, "\n"]).collect();
    let release = mends.iter().find_map(|mend| mend.release.as_ref()).zip(web);
    let release =
        release.map_or_else(String::new, |(argument, web)| format!("release: {web} {argument}\n"));
    let lines = [
        (".env.example", Factor::Config, variables),
        ("Procfile", Factor::AdminProcesses, release),
    ];
    let lines = lines.into_iter().filter(|(_, _, text)| !text.is_empty()).filter_map(
        |(path, factor, text)| {
            let path = RepoPath::parse(path).ok()?;
            Some(Rendered { path, factor: Some(factor), kind: Kind::Lines, text })
        },
    );
    (changes, lines.collect())
}
