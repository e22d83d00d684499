//! Owns collections between brackets, in whichever format they stand.

use super::text::{Insert, indent, line_start, starts_line};
use super::tree::Node;

/// Adds `added` to the end of the collection `node`, in its style.
///
/// `render` writes one of them: on lines of their own with the indent given, or else on one line.
/// `spread` says which where the collection holds nothing yet.
pub fn fill(
    text: &str,
    node: &Node,
    added: &[&Node],
    unit: &str,
    spread: bool,
    render: impl Fn(&Node, Option<&str>) -> String,
) -> Vec<Insert> {
    let write_all = |separator: &str, indent: Option<&str>| {
        let items = added.iter().map(|child| format!("{separator}{}", render(child, indent)));
        items.collect::<Vec<_>>().join(",")
    };
    let Some(last) = node.children().last() else {
        return vec![fill_empty(text, node, unit, spread, write_all)];
    };
    let end = last.span.end;
    let tail = &text[end..node.span.end - 1];
    let comma = find_comma(tail);
    let (open, close) = if comma.is_some() { ("", ",") } else { (",", "") };
    let (at, items) = if starts_line(text, last.lead) {
        let indent = indent(text, last.lead);
        (tail.trim_end().len(), write_all(&format!("\n{indent}"), Some(indent)))
    } else {
        (comma.map_or(0, |comma| comma + 1), write_all(find_separator(text, node.children()), None))
    };
    vec![Insert::new(end, open.to_owned()), Insert::new(end + at, items + close)]
}

fn fill_empty(
    text: &str,
    node: &Node,
    unit: &str,
    spread: bool,
    write_all: impl Fn(&str, Option<&str>) -> String,
) -> Insert {
    let (open, close) = (node.span.start + 1, node.span.end - 1);
    let inner = &text[open..close];
    let outer = indent(text, node.span.start);
    let deeper = format!("{outer}{unit}");
    let lines = || write_all(&format!("\n{deeper}"), Some(&deeper));
    if inner.contains('\n') {
        return Insert::new(open + inner.trim_end().len(), lines());
    }
    if spread {
        return Insert::new(close, format!("{}\n{outer}", lines()));
    }
    let pad = if node.is_map() { " " } else { "" };
    let tail = if inner.is_empty() { pad } else { "" };
    Insert::new(open, format!("{pad}{}{tail}", write_all(" ", None).trim_start()))
}

/// The blanks between the last two children where they share a line.
fn find_separator<'a>(text: &'a str, children: &[Node]) -> &'a str {
    let [.., before, last] = children else {
        return " ";
    };
    let between = text[before.span.end..last.lead].trim_start().strip_prefix(',');
    between.filter(|blanks| blanks.trim_matches(' ').is_empty()).unwrap_or(" ")
}

/// Where a comma stands outside the comments of what follows the last child.
fn find_comma(tail: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(character) = tail[at..].chars().next() {
        let rest = &tail[at..];
        at += match character {
            ',' => return Some(at),
            '#' => rest.find('\n')?,
            '/' if rest.starts_with("//") => rest.find('\n')?,
            '/' if rest.starts_with("/*") => rest.find("*/")? + 2,
            other => other.len_utf8(),
        };
    }
    None
}

/// How much deeper than its bracket the first child with a line of its own stands.
pub fn find_unit<'a>(text: &'a str, node: &Node) -> Option<&'a str> {
    if let Some(first) = node.children().first()
        && starts_line(text, first.lead)
        && line_start(text, first.lead) > node.span.start
        && let Some(unit) = indent(text, first.lead).strip_prefix(indent(text, node.span.start))
        && !unit.is_empty()
    {
        return Some(unit);
    }
    node.children().iter().find_map(|child| find_unit(text, child))
}

/// A collection on one line, of which `write` writes each child.
pub fn write_line(node: &Node, write: impl Fn(&Node) -> String) -> String {
    let children = node.children().iter().map(write).collect::<Vec<_>>().join(", ");
    match (node.is_map(), children.is_empty()) {
        (true, true) => "{}".to_owned(),
        (true, false) => format!("{{ {children} }}"),
        (false, _) => format!("[{children}]"),
    }
}

/// An entry or an item, as it goes between brackets.
pub fn write_entry(source: &str, node: &Node, colon: &str, value: String) -> String {
    match &source[node.key.clone()] {
        "" | "-" => value,
        key => format!("{key}{colon}{value}"),
    }
}
