//! Mends source: finds the one anchor of a recipe in the syntax tree, and says which bytes change.

use std::collections::BTreeMap;
use std::ops::Range;

use ast_grep_core::matcher::MatcherExt;
use ast_grep_core::meta_var::MetaVarEnv;
use ast_grep_core::tree_sitter::StrDoc;
use ast_grep_core::{AstGrep, NodeMatch};

use super::Edits;
use super::import;
use super::recipe::{Anchored, Recipe};
use super::style::Style;
use crate::check::finding::Place;
use crate::check::language::Grammar;
use crate::check::rule::{Compiled, Rule, Syntax, compile};
use crate::error::Result;
use crate::merge::text::{self, Insert};

type Tree = AstGrep<StrDoc<Grammar>>;
type Match<'t> = NodeMatch<'t, StrDoc<Grammar>>;

/// What a recipe does; nothing where it does not fit.
///
/// # Errors
/// The recipe is broken: a defect of this build.
pub fn mend(
    rule: &Rule,
    recipe: &Recipe,
    grammar: Grammar,
    text: &str,
    place: &Place,
) -> Result<Option<Edits>> {
    let Some(compiled) = compile_anchor(rule, recipe, grammar)? else { return Ok(None) };
    let Ok(tree) = Tree::try_new(text, grammar) else { return Ok(None) };
    let found = span(text, place);
    let anchors: Vec<Match<'_>> = find(&tree, &compiled)
        .into_iter()
        .filter(|anchor| {
            let range = anchor.range();
            recipe.anchored == Anchored::File || range.start < found.end && found.start < range.end
        })
        .collect();
    let [anchor] = anchors.as_slice() else { return Ok(None) };
    let style = Style::of(text, grammar);
    let Some(mut edits) = edit(recipe, &tree, anchor, text, &style) else { return Ok(None) };
    for also in &recipe.also {
        let syntax = Syntax {
            path: &rule.path,
            body: &also.at,
            constraints: &BTreeMap::new(),
            transform: also.transform.as_ref(),
        };
        let Some(compiled) = compile(&syntax, grammar)? else { continue };
        match find(&tree, &compiled).as_slice() {
            [] => {}
            [other] => {
                edits.edits.push(replace(&also.replace, other, text, &style));
                edits.variables.extend(fill_variables(&also.variables, other, text));
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(edits))
}

fn find<'t>(tree: &'t Tree, compiled: &Compiled) -> Vec<Match<'t>> {
    let nodes: Vec<_> = tree.root().dfs().collect();
    nodes
        .into_iter()
        .filter(|node| compiled.kinds.contains(&usize::from(node.kind_id())))
        .filter_map(|node| compiled.matcher.match_node(node))
        .collect()
}

/// What a match puts its finger on, written anew.
fn replace(template: &str, anchor: &Match<'_>, text: &str, style: &Style) -> Insert {
    let environment = anchor.get_env();
    let range = environment.get_match("HERE").unwrap_or_else(|| anchor.get_node()).range();
    let indent = text::indent(text, range.start);
    let new = write(template, indent, style, environment, text);
    let next = text::next_line(text, range.end);
    if new.is_empty()
        && text::starts_line(text, range.start)
        && text[range.end..next].trim().is_empty()
    {
        // A line that nothing is left on goes.
        return Insert::replace(&(text::line_start(text, range.start)..next), new);
    }
    Insert::replace(&range, new.strip_prefix(indent).unwrap_or(&new).to_owned())
}

fn compile_anchor(rule: &Rule, recipe: &Recipe, grammar: Grammar) -> Result<Option<Compiled>> {
    let (body, constraints) = match (&recipe.at, &rule.rule) {
        (Some(body), _) => (body, &recipe.constraints),
        (None, Some(body)) => (body, &rule.constraints),
        (None, None) => return Ok(None),
    };
    let transform = recipe.transform.as_ref();
    compile(&Syntax { path: &rule.path, body, constraints, transform }, grammar)
}

fn edit(
    recipe: &Recipe,
    tree: &Tree,
    anchor: &Match<'_>,
    text: &str,
    style: &Style,
) -> Option<Edits> {
    let environment = anchor.get_env();
    let write = |template: &str, indent: &str| write(template, indent, style, environment, text);

    let mut edits = Vec::new();
    if let Some(template) = &recipe.replace {
        edits.push(replace(template, anchor, text, style));
    }
    let whole = anchor.range();
    if let Some(template) = &recipe.lead {
        edits.push(Insert::new(whole.start, fill(template, environment, text)));
    }
    let indent = text::indent(text, whole.start);
    if let Some(template) = &recipe.before {
        if !text::starts_line(text, whole.start) {
            return None;
        }
        let at = text::line_start(text, whole.start);
        edits.push(Insert::new(at, write(template, indent) + "\n"));
    }
    if let Some(template) = &recipe.after {
        let at = text::next_line(text, whole.end);
        let rest = text[whole.end..at].trim();
        let is_bare =
            |rest: &str| rest.is_empty() || rest.starts_with("//") || rest.starts_with('#');
        // Something else on the line would be torn from what it stands beside.
        if !is_bare(rest.strip_prefix(';').unwrap_or(rest).trim_start()) {
            return None;
        }
        edits.push(Insert::new(at, write(template, indent) + "\n"));
    }
    if let Some(template) = &recipe.append {
        edits.push(Insert::new(text.len(), format!("\n{}\n", write(template, ""))));
    }
    for module in &recipe.imports {
        edits.extend(import::import(tree, text, module));
    }
    Some(Edits { edits, variables: fill_variables(&recipe.variables, anchor, text) })
}

/// Names and examples of variables.
fn fill_variables(
    variables: &BTreeMap<String, String>,
    anchor: &Match<'_>,
    text: &str,
) -> BTreeMap<String, String> {
    let filled = variables.iter().map(|(name, example)| {
        let name = fill(name, anchor.get_env(), text);
        (name.trim_matches(['"', '\'', '`']).to_owned(), fill(example, anchor.get_env(), text))
    });
    filled.collect()
}

/// A template's lines in the style of the file, with what was matched filled in.
fn write(
    template: &str,
    indent: &str,
    style: &Style,
    environment: &MetaVarEnv<'_, StrDoc<Grammar>>,
    text: &str,
) -> String {
    let lines = template.trim_end_matches('\n').split('\n').map(|line| {
        if line.is_empty() { String::new() } else { format!("{indent}{}", style.adapt(line)) }
    });
    fill(&lines.collect::<Vec<_>>().join("\n"), environment, text)
}

/// `$NAME` and `$$$NAMES` with what they matched; whatever else has a dollar stays.
fn fill(template: &str, environment: &MetaVarEnv<'_, StrDoc<Grammar>>, text: &str) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        filled.push_str(&rest[..at]);
        let tail = &rest[at..];
        let sigils = if tail.starts_with("$$$") { 3 } else { 1 };
        let length = tail[sigils..]
            .find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
            .unwrap_or(tail.len() - sigils);
        let name = &tail[sigils..sigils + length];
        let value = match sigils {
            _ if name.is_empty() => None,
            3 => {
                let nodes = environment.get_multiple_matches(name);
                nodes
                    .first()
                    .zip(nodes.last())
                    .map(|(first, last)| text[first.range().start..last.range().end].to_owned())
            }
            _ => environment.get_match(name).map(|node| node.text().into_owned()).or_else(|| {
                let bytes = environment.get_transformed(name)?;
                Some(String::from_utf8_lossy(bytes).into_owned())
            }),
        };
        match value {
            Some(value) => filled.push_str(&value),
            None if sigils == 3 && !name.is_empty() => {}
            None => filled.push_str(&tail[..sigils + length]),
        }
        rest = &tail[sigils + length..];
    }
    filled.push_str(rest);
    filled
}

/// The bytes of a finding; the whole line where it says no more than that.
fn span(text: &str, place: &Place) -> Range<usize> {
    let offset = |line: usize, column: usize| {
        let start = text::numbered_line(text, line);
        let line = text[start..].lines().next().unwrap_or_default();
        start + line.char_indices().nth(column - 1).map_or(line.len(), |(at, _)| at)
    };
    let start = offset(place.line, place.column);
    let end = offset(place.end_line, place.end_column);
    if end > start { start..end } else { start..offset(place.line, usize::MAX) }
}

/// How many nodes of a text its parser could make nothing of.
#[must_use]
pub fn count_errors(grammar: Grammar, text: &str) -> usize {
    let Ok(tree) = Tree::try_new(text, grammar) else { return usize::MAX };
    tree.root().dfs().filter(|node| node.is_error() || node.is_missing()).count()
}
