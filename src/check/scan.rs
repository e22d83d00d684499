//! Runs the rules: those of syntax on the source that is reached, the others on what was read of definitions.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use ast_grep_core::matcher::MatcherExt;
use ast_grep_core::tree_sitter::StrDoc;
use ast_grep_core::{AstGrep, Matcher, Node, NodeMatch};
use rayon::prelude::*;

use super::facts::Facts;
use super::facts::image::{Image, Instruction};
use super::facts::reach::Reached;
use super::facts::run::{Role, Run};
use super::facts::setting::Setting;
use super::finding::{Mark, Place};
use super::language::Grammar;
use super::rule::{Compiled, Rule, Rules, Scope};
use super::sources::{Source, Sources};
use crate::error::{Error, Result};
use crate::tree::RepoPath;

type Tree = AstGrep<StrDoc<Grammar>>;
type SyntaxNode<'t> = Node<'t, StrDoc<Grammar>>;

/// The rules of one grammar, ready to run.
struct Scanner<'r> {
    rules: &'r Rules,
    compiled: Vec<Compiled>,
    /// For each kind of node, the rules that may match it.
    by_kind: BTreeMap<usize, Vec<usize>>,
    words: AhoCorasick,
    /// For each word, the rules that ask for it.
    by_word: Vec<Vec<usize>>,
    /// Rules that ask for no word.
    always: Vec<usize>,
}

/// Runs every rule.
///
/// # Errors
/// An embedded rule is broken: a defect of this build.
pub fn scan<'r>(sources: &Sources, facts: &Facts, rules: &'r Rules) -> Result<Vec<Mark<'r>>> {
    let mut marks = Vec::new();
    for grammar in Grammar::ALL {
        let files: Vec<(&RepoPath, &Source)> = sources
            .code()
            .filter(|(path, _, found)| *found == grammar && facts.reach.of(path) != Reached::Nobody)
            .map(|(path, source, _)| (path, source))
            .collect();
        if files.is_empty() {
            continue;
        }
        let scanner = Scanner::new(rules, grammar, |rule| is_wanted(rule, facts))?;
        let found: Vec<Vec<Mark<'r>>> = files
            .par_iter()
            .map(|(path, source)| {
                let reached = facts.reach.of(path);
                scanner.scan(path, &source.text, grammar, |rule| is_in_scope(rule, reached))
            })
            .collect();
        marks.extend(found.into_iter().flatten());
    }
    for rule in rules.all() {
        marks.extend(scan_definitions(rule, facts));
    }
    Ok(marks)
}

fn is_wanted(rule: &Rule, facts: &Facts) -> bool {
    let packages: Vec<&str> = rule.packages.iter().map(String::as_str).collect();
    packages.is_empty() || facts.declares(&packages)
}

const fn is_in_scope(rule: &Rule, reached: Reached) -> bool {
    match rule.scope {
        Scope::Served => matches!(reached, Reached::Served),
        Scope::Own => !matches!(reached, Reached::Nobody),
        Scope::Task => matches!(reached, Reached::Task),
    }
}

/// What one rule finds in a text of that grammar; for the rule's own examples.
///
/// # Errors
/// The rule is broken: a defect of this build.
pub fn scan_text<'r>(
    rules: &'r Rules,
    rule: &Rule,
    grammar: Grammar,
    text: &str,
) -> Result<Vec<Mark<'r>>> {
    let scanner = Scanner::new(rules, grammar, |other| other.id == rule.id)?;
    let path = RepoPath::parse("example")?;
    Ok(scanner.scan(&path, text, grammar, |_| true))
}

/// Whether a text is of that grammar, as far as its parser can tell.
#[must_use]
pub fn is_of(grammar: Grammar, text: &str) -> bool {
    Tree::try_new(text, grammar).is_ok_and(|tree| !tree.root().dfs().any(|node| node.is_error()))
}

impl<'r> Scanner<'r> {
    fn new(rules: &'r Rules, grammar: Grammar, wants: impl Fn(&Rule) -> bool) -> Result<Self> {
        let compiled = rules.compile(grammar, wants)?;
        let mut by_kind: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut words: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut always = Vec::new();
        for (at, matcher) in compiled.iter().enumerate() {
            for kind in &matcher.matcher.potential_kinds().unwrap_or_default() {
                by_kind.entry(kind).or_default().push(at);
            }
            let rule = &rules.all()[matcher.rule];
            if rule.words.is_empty() {
                always.push(at);
            }
            for word in &rule.words {
                words.entry(word).or_default().push(at);
            }
        }
        let (names, by_word): (Vec<&str>, Vec<Vec<usize>>) = words.into_iter().unzip();
        let words =
            AhoCorasick::builder().ascii_case_insensitive(true).build(&names).map_err(|error| {
                Error::Embedded { path: "rules".to_owned(), reason: error.to_string() }
            })?;
        Ok(Self { rules, compiled, by_kind, words, by_word, always })
    }

    fn scan(
        &self,
        path: &RepoPath,
        text: &str,
        grammar: Grammar,
        is_in_scope: impl Fn(&Rule) -> bool,
    ) -> Vec<Mark<'r>> {
        let mut active = vec![false; self.compiled.len()];
        for at in &self.always {
            active[*at] = true;
        }
        for found in self.words.find_overlapping_iter(text) {
            for at in &self.by_word[found.pattern().as_usize()] {
                active[*at] = true;
            }
        }
        for (at, compiled) in self.compiled.iter().enumerate() {
            active[at] &= is_in_scope(&self.rules.all()[compiled.rule]);
        }
        if !active.contains(&true) {
            return Vec::new();
        }
        let Ok(tree) = Tree::try_new(text, grammar) else { return Vec::new() };
        let tests = test_ranges(&tree.root(), text, grammar);
        let mut marks = Vec::new();
        for node in tree.root().dfs() {
            let Some(rules) = self.by_kind.get(&usize::from(node.kind_id())) else { continue };
            for at in rules.iter().filter(|at| active[**at]) {
                let Some(found) = self.compiled[*at].matcher.match_node(node.clone()) else {
                    continue;
                };
                if tests.iter().any(|range| range.contains(&node.range().start)) {
                    continue;
                }
                marks.push(make_mark(&self.rules.all()[self.compiled[*at].rule], path, &found));
            }
        }
        marks
    }
}

fn make_mark<'r>(
    rule: &'r Rule,
    path: &RepoPath,
    found: &NodeMatch<'_, StrDoc<Grammar>>,
) -> Mark<'r> {
    // A rule may put its finger on a part of what it matches.
    let environment = found.get_env();
    let node = environment.get_match("HERE").unwrap_or_else(|| found.get_node());
    let (start, end) = (node.start_pos(), node.end_pos());
    let place = Place {
        path: path.clone(),
        line: start.line() + 1,
        column: start.column(node) + 1,
        end_line: end.line() + 1,
        end_column: end.column(node) + 1,
    };
    let mut mark = Mark::new(rule, place);
    if let Some(name) = rule.names.as_deref().and_then(|name| environment.get_match(name)) {
        mark = mark.about(unquote(&name.text()));
    }
    if let Some(secret) = environment.get_match("SECRET") {
        mark.secrets.push(unquote(&secret.text()).to_owned());
    }
    mark
}

fn unquote(text: &str) -> &str {
    text.trim_start_matches(['b', 'r', 'f', 'u']).trim_matches(['"', '\'', '`'])
}

/// The spans of Rust's tests, which stand in the files that they test.
fn test_ranges(root: &SyntaxNode<'_>, text: &str, grammar: Grammar) -> Vec<Range<usize>> {
    if grammar != Grammar::Rust || !text.contains("test") {
        return Vec::new();
    }
    let is_test = |node: &SyntaxNode<'_>| -> bool {
        let text: Cow<'_, str> = node.text();
        text.starts_with("#[cfg(test)")
            || text.starts_with("#[cfg(all(test")
            || text
                .trim_end_matches(']')
                .split('(')
                .next()
                .is_some_and(|name| name.ends_with("test"))
    };
    root.dfs()
        .filter(|node| node.kind() == "attribute_item" && is_test(node))
        .filter_map(|attribute| {
            let item = attribute.next_all().find(|next| next.kind() != "attribute_item")?;
            Some(item.range())
        })
        .collect()
}

fn scan_definitions<'r>(rule: &'r Rule, facts: &Facts) -> Vec<Mark<'r>> {
    let mut marks = Vec::new();
    if !is_wanted(rule, facts) {
        return marks;
    }
    if rule.command.is_some() {
        for run in facts.production() {
            marks.extend(scan_run(rule, run));
        }
    }
    if let Some(pattern) = &rule.pipeline {
        let found = facts.pipeline.iter().filter(|step| pattern.is_match(&step.text));
        marks.extend(found.map(|step| Mark::new(rule, step.place.clone())));
    }
    if rule.instruction.is_some() {
        for image in &facts.images {
            let found = image.instructions.iter().filter(|found| matches_instruction(rule, found));
            marks.extend(found.map(|found| mark_instruction(rule, image, found)));
        }
    }
    if rule.setting.is_some() {
        for setting in facts.settings.iter().filter(|setting| matches_setting(rule, setting)) {
            let mut mark = Mark::new(rule, setting.place.clone()).about(&setting.name);
            if rule.secret {
                mark.secrets.push(setting.value.clone());
            }
            marks.push(mark);
        }
    }
    marks
}

fn mark_instruction<'r>(rule: &'r Rule, image: &Image, found: &Instruction) -> Mark<'r> {
    let mut place = image.place(found);
    // A long instruction: the line of it that says it.
    if let Some(at) =
        rule.instruction.as_ref().and_then(|pattern| pattern.matches.find(&found.text))
    {
        place.line += found.text[..at.start()].matches('\n').count();
        place.end_line = place.line;
    }
    let what = found.text.split_whitespace().next().unwrap_or_default();
    Mark::new(rule, place).about(what)
}

/// What a rule of commands finds in what is run.
#[must_use]
pub fn scan_run<'r>(rule: &'r Rule, run: &Run) -> Vec<Mark<'r>> {
    let Some(pattern) = &rule.command else { return Vec::new() };
    if !pattern.roles.is_empty() && !pattern.roles.contains(&run.role) {
        return Vec::new();
    }
    let is_found = |text: &str| {
        pattern.matches.is_match(text)
            && !pattern.unless.as_ref().is_some_and(|unless| unless.is_match(text))
    };
    let found = run.steps.iter().filter(|step| is_found(&step.text));
    found.map(|step| Mark::new(rule, step.place.clone()).about(&run.name)).collect()
}

/// Whether a rule of Dockerfiles finds something in an instruction.
#[must_use]
pub fn matches_instruction(rule: &Rule, instruction: &Instruction) -> bool {
    rule.instruction.as_ref().is_some_and(|pattern| {
        pattern.names.contains(&instruction.name)
            && pattern.matches.is_match(&instruction.text)
            && !pattern.unless.as_ref().is_some_and(|unless| unless.is_match(&instruction.text))
    })
}

/// Whether a rule of settings finds something in one.
#[must_use]
pub fn matches_setting(rule: &Rule, setting: &Setting) -> bool {
    rule.setting.as_ref().is_some_and(|pattern| {
        let is_not = |unless: &Option<regex::Regex>, text: &str| {
            !unless.as_ref().is_some_and(|unless| unless.is_match(text))
        };
        (pattern.origins.is_empty() || pattern.origins.contains(&setting.origin))
            && pattern.name.is_match(&setting.name)
            && is_not(&pattern.unless_name, &setting.name)
            && pattern.value.as_ref().is_none_or(|value| value.is_match(&setting.value))
            && is_not(&pattern.unless_value, &setting.value)
    })
}

/// The role that a command has which stands alone, for the examples of rules.
#[must_use]
pub const fn default_role(roles: &[Role]) -> Role {
    match roles {
        [first, ..] => *first,
        [] => Role::Web,
    }
}
