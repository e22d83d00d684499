//! Owns YAML: added entries keep their own text, moved to the indent of the base.

use std::collections::BTreeMap;

use super::brackets;
use super::text::{
    Insert, comments_below, follows_blank, line_end, line_start, next_line, starts_line,
};
use super::tree::{Content, Gap, Layout, Node, Source};
use super::value::{Value, quote};

mod read;

pub use read::read;

/// Reads the plain value with another parser than the one that says where things stand.
pub fn read_value(text: &str) -> Result<Value, String> {
    let mut value: yaml_serde::Value =
        yaml_serde::from_str(text).map_err(|error| format!("it is not YAML: {error}"))?;
    // One pass leaves a merge key that came in through another merge key.
    loop {
        let before = value.clone();
        value.apply_merge().map_err(|error| format!("a merge key in it is wrong: {error}"))?;
        if value == before {
            return convert(value);
        }
    }
}

fn convert(value: yaml_serde::Value) -> Result<Value, String> {
    Ok(match value {
        yaml_serde::Value::Null => Value::Null,
        yaml_serde::Value::Sequence(items) => {
            Value::List(items.into_iter().map(convert).collect::<Result<_, _>>()?)
        }
        yaml_serde::Value::Mapping(entries) => {
            let mut map = BTreeMap::new();
            for (key, value) in entries {
                let name = match key {
                    yaml_serde::Value::String(text) => text,
                    other => write_scalar(&other).unwrap_or_else(|| format!("{other:?}")),
                };
                if map.insert(name.clone(), convert(value)?).is_some() {
                    return Err(format!("the key `{name}` stands in it twice"));
                }
            }
            Value::Map(map)
        }
        other => Value::Scalar(write_scalar(&other).unwrap_or_else(|| format!("{other:?}"))),
    })
}

/// The one spelling of a scalar; nothing for what is none.
fn write_scalar(value: &yaml_serde::Value) -> Option<String> {
    match value {
        yaml_serde::Value::Bool(truth) => Some(truth.to_string()),
        yaml_serde::Value::Number(number) => Some(number.to_string()),
        yaml_serde::Value::String(text) => Some(quote(text)),
        _ => None,
    }
}

/// Writes what is missing into the base.
pub fn fill(base: Source, addition: Source, gap: &Gap) -> Vec<Insert> {
    let style = Style::of(base.root, addition.root);
    let Layout::Block { column, depth } = gap.base.layout else {
        let unit =
            " ".repeat(brackets::find_unit(base.text, gap.base).map_or(style.unit, str::len));
        let write = |node: &Node, _: Option<&str>| write_flow_entry(addition.text, node);
        return brackets::fill(base.text, gap.base, &gap.missing, &unit, false, write);
    };
    let blank = if is_spaced(base.text, gap.base, addition.text, gap.addition) { "\n" } else { "" };
    let entry = |node: &&Node| write_entry(addition.text, gap.addition, node, column, style);
    let text = gap.missing.iter().flat_map(|node| [blank.to_owned(), entry(node)]).collect();
    let at = comments_below(base.text, line_end(base.text, gap.base.span.end), depth);
    vec![Insert::new(at, text)]
}

/// The text of one entry or item, for a person to add.
pub fn show(addition: Source, parent: &Node, node: &Node) -> String {
    write_entry(addition.text, parent, node, 0, Style::of(addition.root, addition.root))
}

/// Whether blank lines stand between the entries, in the base or else in the addition.
fn is_spaced(base: &str, here: &Node, addition: &str, there: &Node) -> bool {
    let blank = |text: &str, child: &Node| {
        starts_line(text, child.lead) && follows_blank(text, line_start(text, child.lead))
    };
    match here.children() {
        [_, .., last] => blank(base, last),
        _ => there.children().iter().skip(1).any(|child| blank(addition, child)),
    }
}

/// How a file indents.
#[derive(Debug, Clone, Copy)]
struct Style {
    /// A mapping inside a mapping.
    unit: usize,
    /// A sequence inside a mapping.
    list: usize,
}

impl Style {
    /// The style of `base`, and what it does not show taken from `addition`.
    fn of(base: &Node, addition: &Node) -> Self {
        let list = find_step(base, true).or_else(|| find_step(addition, true));
        let unit = find_step(base, false).or(list.filter(|step| *step > 0));
        let unit = unit.or_else(|| find_step(addition, false)).unwrap_or(2);
        // A sequence is either as deep as its key or as deep as a mapping would be.
        let list = list.map_or(unit, |step| step.min(unit));
        Self { unit, list }
    }
}

/// How much deeper than its mapping the first collection of the kind stands.
fn find_step(node: &Node, list: bool) -> Option<usize> {
    let inner = |child: &Node| match (&node.layout, &child.layout) {
        (Layout::Block { column, .. }, Layout::Block { column: inner, .. })
            if node.is_map() && child.is_list() == list =>
        {
            inner.checked_sub(*column)
        }
        _ => None,
    };
    let own = node.children().iter().find_map(inner);
    own.or_else(|| node.children().iter().find_map(|child| find_step(child, list)))
}

/// Writes an entry of `parent` for a block collection at `column`.
fn write_entry(source: &str, parent: &Node, node: &Node, column: usize, style: Style) -> String {
    if let Layout::Block { column: old, .. } = parent.layout {
        let mut shifts = BTreeMap::new();
        plan_shifts(source, node, (old, column), style, &mut shifts);
        let end = line_end(source, node.span.end);
        return shift_lines(source, line_start(source, node.lead), end, &shifts);
    }
    let dash = if node.key.is_empty() { "- " } else { "" };
    format!("{}{dash}{}\n", " ".repeat(column), write_flow_entry(source, node))
}

type Shifts = BTreeMap<usize, isize>;

/// Decides how far each line of the entry moves, when its collection goes from one column to another.
fn plan_shifts(
    source: &str,
    node: &Node,
    (old, new): (usize, usize),
    style: Style,
    shifts: &mut Shifts,
) {
    let shift = new.cast_signed() - old.cast_signed();
    let first = line_start(source, node.key.start);
    if starts_line(source, node.key.start) {
        shifts.insert(first, shift);
    }
    let is_item = &source[node.key.clone()] == "-";
    match node.layout {
        Layout::Block { column, .. } => {
            let is_list = node.is_list();
            let moved = if is_item {
                column.saturating_add_signed(shift)
            } else {
                new + if is_list { style.list } else { style.unit }
            };
            for child in node.children() {
                plan_shifts(source, child, (column, moved), style, shifts);
            }
        }
        Layout::Literal { fixed } => {
            let content =
                source[node.span.clone()].len() - source[node.span.clone()].trim_start().len();
            let content = node.span.start + content - line_start(source, node.span.start + content);
            let wanted = (new + style.unit).cast_signed() - content.cast_signed();
            let shift = if fixed || is_item { shift } else { wanted };
            plan_lines(source, first, node.span.end, shift, shifts);
        }
        _ => plan_lines(source, first, node.span.end, shift, shifts),
    }
}

/// Moves the lines after the one at `first` up to `end` as one.
fn plan_lines(source: &str, first: usize, end: usize, shift: isize, shifts: &mut Shifts) {
    let mut at = next_line(source, first);
    while at < end {
        shifts.insert(at, shift);
        at = next_line(source, at);
    }
}

/// The lines from `start` to `end`, each moved; a comment moves with the line that it heads.
fn shift_lines(source: &str, start: usize, end: usize, shifts: &Shifts) -> String {
    let mut at = start;
    let mut text = String::new();
    for line in source[start..end].split_inclusive('\n') {
        let next = shifts.range(at..end).next().or_else(|| shifts.range(..at).next_back());
        let shift = next.map_or(0, |(_, shift)| *shift);
        let body = line.trim_start_matches(' ');
        if !body.trim().is_empty() {
            text.push_str(&" ".repeat((line.len() - body.len()).saturating_add_signed(shift)));
        }
        text.push_str(body);
        at += line.len();
    }
    text
}

fn write_flow_entry(source: &str, node: &Node) -> String {
    brackets::write_entry(source, node, ": ", write_flow(source, node))
}

/// The value on one line, as it goes between brackets.
fn write_flow(source: &str, node: &Node) -> String {
    let own = &source[node.span.clone()];
    let is_long = matches!(node.layout, Layout::Literal { .. }) || own.contains('\n');
    match &node.content {
        Content::Null if own.is_empty() => "null".to_owned(),
        Content::Scalar(text)
            if text.starts_with('"') && (is_long || own.contains([',', '[', ']', '{', '}'])) =>
        {
            text.clone()
        }
        Content::List(_) | Content::Map(_) if !matches!(node.layout, Layout::Token) => {
            brackets::write_line(node, |child| write_flow_entry(source, child))
        }
        _ => own.to_owned(),
    }
}
