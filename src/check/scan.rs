//! Runs the rules: those of syntax on the source that is reached, the others on what was read of definitions.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use ast_grep_core::matcher::MatcherExt;
use ast_grep_core::tree_sitter::StrDoc;
use ast_grep_core::{AstGrep, Node, NodeMatch};
use rayon::prelude::*;

use super::facts::Facts;
use super::facts::image::{Image, Instruction};
use super::facts::reach::Reached;
use super::facts::run::{Role, Run};
use super::facts::setting::Setting;
use super::finding::{Mark, Place};
use super::language::Grammar;
use super::lines::numbered;
use super::rule::{Compiled, Rule, Rules, Scope};
use super::sources::{Source, Sources};
use super::words::Words;
use crate::error::Result;
use crate::pattern::Pattern;
use crate::tree::RepoPath;

/// So many files are scanned at a time; after them, rules that have said enough rest. The order of files is theirs,
/// so that the same tree gives the same answer.
const BATCH: usize = 512;

/// The rule that names imports: only files are parsed for it in which one may be undeclared, so it asks for no word.
const IMPORTS: &str = "imports-package";

/// So many lines a command has at most.
const MAX_COMMAND_LINES: usize = 32;

type Tree = AstGrep<StrDoc<Grammar>>;
type SyntaxNode<'t> = Node<'t, StrDoc<Grammar>>;

/// The rules of one grammar; each is compiled when a file first has a word of it.
#[derive(Debug)]
pub struct Scanner {
    grammar: Grammar,
    candidates: Vec<Candidate>,
    words: Words,
    /// For each word, the candidates that ask for it.
    by_word: Vec<Vec<usize>>,
    /// Candidates that ask for no word.
    always: Vec<usize>,
}

/// A rule that a grammar may have.
#[derive(Debug)]
struct Candidate {
    /// Its place in [`Rules::all`].
    rule: usize,
    /// Nothing where the grammar has none of its alternatives.
    compiled: OnceLock<Option<Compiled>>,
}

/// Runs every rule.
///
/// # Errors
/// An embedded rule is broken: a defect of this build.
pub fn scan<'r>(sources: &Sources, facts: &Facts, rules: &'r Rules) -> Result<Vec<Mark<'r>>> {
    let mut marks = Vec::new();
    for grammar in Grammar::ALL {
        let of_grammar: Vec<_> = sources.code().filter(|(.., found)| *found == grammar).collect();
        let files: Vec<(&RepoPath, &Source, Reached)> = of_grammar
            .into_par_iter()
            .map(|(path, source, _)| (path, source, facts.reach.of(path)))
            .filter(|(.., reached)| *reached != Reached::Nobody)
            .collect();
        if files.is_empty() {
            continue;
        }
        let scanner = rules.scanner(grammar)?;
        let mut wanted: Vec<bool> = rules.all().iter().map(|rule| is_wanted(rule, facts)).collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for batch in files.chunks(BATCH) {
            let found = batch
                .par_iter()
                .map(|(path, source, reached)| {
                    scanner.scan(rules, path, &source.text, |at, rule| {
                        let is_asked = rule.id != IMPORTS || facts.reach.imports_oddly(path);
                        wanted[at] && is_asked && is_in_scope(rule, *reached)
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            for mark in found.into_iter().flatten() {
                *counts.entry(&mark.rule.id).or_default() += 1;
                marks.push(mark);
            }
            for (at, rule) in rules.all().iter().enumerate() {
                wanted[at] &= !rule.is_enough(counts.get(rule.id.as_str()).copied().unwrap_or(0));
            }
        }
    }
    for rule in rules.all() {
        marks.extend(scan_definitions(rule, sources, facts));
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
    let path = RepoPath::parse("example")?;
    rules.scanner(grammar)?.scan(rules, &path, text, |_, other| other.id == rule.id)
}

/// Whether a text is of that grammar, as far as its parser can tell.
#[must_use]
pub fn is_of(grammar: Grammar, text: &str) -> bool {
    Tree::try_new(text, grammar).is_ok_and(|tree| !tree.root().dfs().any(|node| node.is_error()))
}

impl Scanner {
    /// # Errors
    /// The words of the rules cannot be searched: a defect of this build.
    pub fn new(rules: &[Rule], grammar: Grammar) -> Result<Self> {
        let is_of =
            |rule: &Rule| rule.rule.is_some() && rule.languages.contains(&grammar.language());
        let of_grammar = rules.iter().enumerate().filter(|(_, rule)| is_of(rule));
        let candidates: Vec<Candidate> =
            of_grammar.map(|(rule, _)| Candidate { rule, compiled: OnceLock::new() }).collect();
        let mut words: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut always = Vec::new();
        for (at, candidate) in candidates.iter().enumerate() {
            let rule = &rules[candidate.rule];
            if rule.words.is_empty() {
                always.push(at);
            }
            for word in &rule.words {
                words.entry(word).or_default().push(at);
            }
        }
        let (names, by_word): (Vec<&str>, Vec<Vec<usize>>) = words.into_iter().unzip();
        let words = Words::new(&names)?;
        Ok(Self { grammar, candidates, words, by_word, always })
    }

    fn scan<'r>(
        &self,
        rules: &'r Rules,
        path: &RepoPath,
        text: &str,
        wants: impl Fn(usize, &Rule) -> bool,
    ) -> Result<Vec<Mark<'r>>> {
        let mut is_active = vec![false; self.candidates.len()];
        for at in &self.always {
            is_active[*at] = true;
        }
        // Most files have none of the words: that much is told faster than which they are.
        if self.words.has_any(text) {
            for at in self.words.find_all(text).flat_map(|word| &self.by_word[word]) {
                is_active[*at] = true;
            }
        }
        let mut active: Vec<(&'r Rule, &Compiled)> = Vec::new();
        for (at, candidate) in self.candidates.iter().enumerate().filter(|(at, _)| is_active[*at]) {
            let rule = &rules.all()[candidate.rule];
            let may_match = || rule.only_if.as_ref().is_none_or(|only_if| only_if.is_match(text));
            if wants(candidate.rule, rule) && may_match() {
                active.extend(self.compiled(at, rule)?.map(|compiled| (rule, compiled)));
            }
        }
        if active.is_empty() {
            return Ok(Vec::new());
        }
        let Ok(tree) = Tree::try_new(text, self.grammar) else { return Ok(Vec::new()) };
        let tests = test_ranges(&tree.root(), text, self.grammar);
        let mut marks = Vec::new();
        // For each kind of node, the rules that may match one.
        let mut by_kind: Vec<Vec<(&'r Rule, &Compiled)>> = Vec::new();
        for (rule, compiled) in active {
            for kind in &compiled.kinds {
                if by_kind.len() <= *kind {
                    by_kind.resize_with(kind + 1, Vec::new);
                }
                by_kind[*kind].push((rule, compiled));
            }
        }
        for node in tree.root().dfs() {
            let rules = by_kind.get(usize::from(node.kind_id())).map_or(&[][..], Vec::as_slice);
            for (rule, compiled) in rules {
                let Some(found) = compiled.matcher.match_node(node.clone()) else { continue };
                if !tests.iter().any(|range| range.contains(&node.range().start)) {
                    marks.push(make_mark(rule, path, &found));
                }
            }
        }
        Ok(marks)
    }

    fn compiled(&self, at: usize, rule: &Rule) -> Result<Option<&Compiled>> {
        let cell = &self.candidates[at].compiled;
        if let Some(compiled) = cell.get() {
            return Ok(compiled.as_ref());
        }
        let compiled = rule.compile(self.grammar)?;
        Ok(cell.get_or_init(|| compiled).as_ref())
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

fn scan_definitions<'r>(rule: &'r Rule, sources: &Sources, facts: &Facts) -> Vec<Mark<'r>> {
    let mut marks = Vec::new();
    if !is_wanted(rule, facts) {
        return marks;
    }
    if let Some(pattern) = &rule.command {
        let is_of_build = pattern.roles.contains(&Role::Build);
        let builds = facts.builds.iter().filter(|_| is_of_build);
        for run in facts.started().into_iter().chain(builds) {
            let found = scan_run(rule, run).into_iter();
            marks.extend(found.map(|mark| Mark {
                place: spot(sources, mark.place.clone(), |line| pattern.matches.is_match(line)),
                ..mark
            }));
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

/// Of a command that goes over several lines of YAML, the one that says it.
fn spot(sources: &Sources, place: Place, says_it: impl Fn(&str) -> bool) -> Place {
    let name = place.path.file_name();
    let Some(source) = sources.get(&place.path).filter(|_| is_yaml(name)) else { return place };
    let is_key = |line: &str| {
        let word = line.trim_start().trim_start_matches("- ").split_whitespace().next();
        word.is_some_and(|word| word.ends_with(':'))
    };
    let found = numbered(&source.text)
        .skip(place.line.saturating_sub(1))
        .take(MAX_COMMAND_LINES)
        .take_while(|(number, line)| *number == place.line || !is_key(line))
        .find(|(_, line)| says_it(line));
    found.map_or(place.clone(), |(number, _)| Place::line(place.path, number))
}

fn is_yaml(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, end)| matches!(end, "yml" | "yaml"))
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
        let is_not = |unless: &Option<Pattern>, text: &str| {
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
