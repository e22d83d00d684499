//! Every rule finds its own examples, and lets its own others be.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use dozen::check::document;
use dozen::check::facts::image::Image;
use dozen::check::facts::run::{Kind, Run};
use dozen::check::facts::setting::{Origin, read_env};
use dozen::check::finding::{Place, Polarity, Severity};
use dozen::check::language::{Grammar, Language};
use dozen::check::rule::{Rule, Rules};
use dozen::check::scan;
use dozen::mend;
use dozen::mend::recipe::{Example, Recipe};
use dozen::tree::{Content, RepoPath, Tree};

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::load().unwrap());

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text).unwrap()
}

/// Whether a rule finds something in an example, in any of its languages.
fn finds(rules: &Rules, rule: &Rule, text: &str) -> bool {
    if rule.rule.is_some() {
        let grammars = rule.languages.iter().flat_map(|language| language.grammars());
        return grammars
            .into_iter()
            .filter(|grammar| scan::is_of(**grammar, text))
            .any(|grammar| !scan::scan_text(rules, rule, *grammar, text).unwrap().is_empty());
    }
    if let Some(pattern) = &rule.command {
        let place = Place::line(path("Procfile"), 1);
        let mut run = Run::new(Kind::Procfile, place, "web", text);
        run.role = scan::default_role(&pattern.roles);
        return !scan::scan_run(rule, &run).is_empty();
    }
    if let Some(pattern) = &rule.pipeline {
        return pattern.is_match(text);
    }
    if rule.instruction.is_some() {
        let image = Image::read(&path("Dockerfile"), text);
        return image.instructions.iter().any(|found| scan::matches_instruction(rule, found));
    }
    if let Some(pattern) = &rule.setting {
        let origin = pattern.origins.first().copied().unwrap_or(Origin::Env);
        let settings = read_env(&path(".env"), text, origin);
        return settings.iter().any(|setting| scan::matches_setting(rule, setting));
    }
    panic!("{} is applied by code: it needs no examples", rule.id);
}

#[test]
fn every_rule_finds_its_invalid_examples_and_no_valid_one() {
    let mut wrong = Vec::new();
    for rule in RULES.all() {
        for example in &rule.invalid {
            if !finds(&RULES, rule, example) {
                wrong.push(format!("{} does not find: {example}", rule.id));
            }
        }
        for example in &rule.valid {
            if finds(&RULES, rule, example) {
                wrong.push(format!("{} finds, and should not: {example}", rule.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_says_what_it_needs_to() {
    for rule in RULES.all() {
        let id = &rule.id;
        let is_data = rule.rule.is_some()
            || rule.command.is_some()
            || rule.instruction.is_some()
            || rule.setting.is_some()
            || rule.pipeline.is_some();
        assert_eq!(rule.rule.is_some(), !rule.languages.is_empty(), "{id}");
        assert!(
            !is_data || !rule.valid.is_empty() && !rule.invalid.is_empty(),
            "{id} has no examples"
        );
        if rule.polarity == Polarity::Against {
            assert!(
                !rule.why.is_empty() && !rule.fix.is_empty(),
                "{id} does not say why, or what mends it"
            );
            assert!(rule.why.ends_with('.') && rule.fix.ends_with('.'), "{id}");
        } else {
            assert_eq!(rule.severity, Severity::Info, "{id}");
        }
        assert!(!rule.message.ends_with('.') && !rule.message.contains('\n'), "{id}");
    }
}

#[test]
fn every_rule_without_a_pattern_is_applied_by_code() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/check");
    let code: String = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
        .collect();
    for rule in RULES.all() {
        let is_data = rule.rule.is_some()
            || rule.command.is_some()
            || rule.instruction.is_some()
            || rule.setting.is_some()
            || rule.pipeline.is_some();
        assert!(
            is_data || code.contains(&format!("\"{}\"", rule.id)),
            "{} is applied by nothing",
            rule.id
        );
    }
}

#[test]
fn a_document_is_read_with_its_lines() {
    for (name, text) in [
        ("a.yaml", "a:\n  b:\n    - c\n    - d\n"),
        ("a.json", "{\n\"a\": {\"b\":\n [\"c\",\n \"d\"]}}"),
        ("a.toml", "[a]\nb = [\n  'c',\n  'd',\n]\n"),
    ] {
        let read = document::read(name, text).unwrap();
        let list = read[0].at(&["a", "b"]).unwrap();
        let items: Vec<_> =
            list.items().iter().map(|item| (item.text().unwrap(), item.line)).collect();
        assert_eq!(items, [("c", 3), ("d", 4)], "{name}");
    }
}

/// Where a rule finds something in an example of that name; all of it where code applies the rule.
fn find_places(
    rules: &Rules,
    rule: &Rule,
    recipe: &Recipe,
    name: &str,
    example: &Example,
) -> Vec<Place> {
    let text = &example.before;
    if rule.rule.is_some() {
        let Some(grammar) = Grammar::of(name, text).filter(|grammar| scan::is_of(*grammar, text))
        else {
            return Vec::new();
        };
        let marks = scan::scan_text(rules, rule, grammar, text).unwrap();
        return marks.into_iter().map(|mark| Place { path: path(name), ..mark.place }).collect();
    }
    if recipe.line.is_some() || recipe.once.is_some() || recipe.version {
        let places = (1..=text.lines().count()).map(|line| Place::line(path(name), line));
        let tree = lay(name, example);
        let fits =
            |place: &Place| mend::mend_example(rule, recipe, &tree, place).unwrap().is_some();
        return places.filter(fits).collect();
    }
    let (last, end) = text.lines().enumerate().last().unwrap();
    let end_column = end.chars().count() + 1;
    vec![Place { path: path(name), line: 1, column: 1, end_line: last + 1, end_column }]
}

/// An example's files.
fn lay(name: &str, example: &Example) -> Tree {
    let beside = example.beside.iter().map(|(name, file)| (name.as_str(), &file.before));
    let files = std::iter::once((name, &example.before)).chain(beside);
    Tree::from_files(files.map(|(name, text)| {
        (path(name), Content { bytes: text.clone().into_bytes(), executable: false })
    }))
}

/// How the file of an example may be called.
fn example_names<'e>(rule: &Rule, example: &'e Example) -> Vec<&'e str> {
    let of = |language: &Language| match language {
        Language::JavaScript => "example.js",
        Language::Python => "example.py",
        Language::Rust => "example.rs",
    };
    match &example.path {
        Some(name) => vec![name],
        None => rule.languages.iter().map(of).collect(),
    }
}

#[test]
fn every_recipe_makes_of_its_examples_what_they_say() {
    let rules = Rules::load().unwrap();
    let mut wrong = Vec::new();
    for rule in rules.all() {
        for (number, recipe) in rule.mends.iter().enumerate() {
            let who = format!("{} mends[{number}]", rule.id);
            let is_edit = recipe.line.is_some() || recipe.at.is_some();
            if recipe.examples.is_empty() && (is_edit || recipe.once.is_some() || recipe.version) {
                wrong.push(format!("{who} has no example"));
            }
            for example in &recipe.examples {
                let found = example_names(rule, example).into_iter().find_map(|name| {
                    let places = find_places(&rules, rule, recipe, name, example);
                    places.into_iter().next()
                });
                let Some(place) = &found else {
                    wrong.push(format!("{who}: the rule finds nothing in\n{}", example.before));
                    continue;
                };
                let tree = lay(place.path.as_str(), example);
                let made = mend::mend_example(rule, recipe, &tree, place).unwrap();
                let Some(made) = made else {
                    wrong.push(format!("{who} does not fit\n{}", example.before));
                    continue;
                };
                let beside = example
                    .beside
                    .iter()
                    .filter_map(|(name, file)| Some((path(name), file.after.clone()?)));
                let wanted: BTreeMap<RepoPath, String> =
                    std::iter::once((place.path.clone(), example.after.clone()))
                        .chain(beside)
                        .collect();
                for name in wanted.keys().chain(made.keys()).collect::<BTreeSet<_>>() {
                    if wanted.get(name) != made.get(name) {
                        let made = made.get(name).map_or("nothing", String::as_str);
                        wrong.push(format!("{who} makes of\n{}\n{name}:\n{made}", example.before));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
