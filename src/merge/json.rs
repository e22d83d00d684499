//! Owns JSON, with the comments and trailing commas that configuration files allow themselves.

use jsonc_parser::ast::{ObjectProp, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::brackets;
use super::text::Insert;
use super::tree::{Content, Gap, Layout, Node, Read, Source};
use super::value::quote;

/// Reads the text; nothing where it holds no value.
pub fn read(text: &str) -> Read<Option<Node>> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options)
        .map_err(|error| (error.range().start, format!("it is not JSON: {}", error.kind())))?;
    parsed.value.as_ref().map(convert).transpose()
}

fn convert(value: &Value) -> Read<Node> {
    let (content, layout) = match value {
        Value::NullKeyword(_) => (Content::Null, Layout::Token),
        Value::StringLit(text) => (Content::Scalar(quote(&text.value)), Layout::Token),
        Value::NumberLit(number) => (Content::Scalar(number.value.to_owned()), Layout::Token),
        Value::BooleanLit(boolean) => (Content::Scalar(boolean.value.to_string()), Layout::Token),
        Value::Array(array) => {
            let items = array.elements.iter().map(convert).collect::<Read<_>>()?;
            (Content::List(items), Layout::Brackets)
        }
        Value::Object(object) => {
            let entries = object.properties.iter().map(convert_entry).collect::<Read<_>>()?;
            (Content::map(entries)?, Layout::Brackets)
        }
    };
    Ok(Node::new(value.start()..value.end(), content, layout))
}

fn convert_entry(entry: &ObjectProp) -> Read<Node> {
    let key = entry.name.start()..entry.name.end();
    let name = entry.name.as_str().to_owned();
    Ok(Node { name, lead: key.start, key, ..convert(&entry.value)? })
}

/// Writes what is missing into the base.
pub fn fill(base: Source, addition: Source, gap: &Gap) -> Vec<Insert> {
    let unit = brackets::find_unit(base.text, base.root).unwrap_or("  ");
    brackets::fill(base.text, gap.base, &gap.missing, unit, true, |node, indent| {
        write_entry(addition.text, node, indent, unit)
    })
}

/// The text of one entry or item, for a person to add.
pub fn show(addition: Source, node: &Node) -> String {
    write_entry(addition.text, node, Some(""), "  ") + "\n"
}

fn write_entry(source: &str, node: &Node, indent: Option<&str>, unit: &str) -> String {
    brackets::write_entry(source, node, ": ", write(source, node, indent, unit))
}

/// The value in the indent of the base: on more than one line where it was, if `indent` allows.
fn write(source: &str, node: &Node, indent: Option<&str>, unit: &str) -> String {
    let own = &source[node.span.clone()];
    if !node.is_list() && !node.is_map() {
        return own.to_owned();
    }
    match indent.filter(|_| own.contains('\n') && !node.children().is_empty()) {
        Some(indent) => {
            let deeper = format!("{indent}{unit}");
            let lines =
                node.children().iter().map(|child| write_entry(source, child, Some(&deeper), unit));
            let lines = lines.collect::<Vec<_>>().join(&format!(",\n{deeper}"));
            let (open, close) = if node.is_map() { ("{", "}") } else { ("[", "]") };
            format!("{open}\n{deeper}{lines}\n{indent}{close}")
        }
        None => brackets::write_line(node, |child| write_entry(source, child, None, unit)),
    }
}
