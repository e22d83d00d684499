//! JSON, TOML and YAML as one kind of tree, in which every value knows its line.

use std::collections::HashMap;

use granit_parser::{Event, Parser, options};
use jsonc_parser::ParseOptions;
use toml_edit::Item;

use super::lines::Lines;

/// Deeper nesting than this is no configuration.
const MAX_DEPTH: usize = 64;
/// So many values may stand in for aliases, before a file is taken for an attack.
const ALIAS_BUDGET: usize = 10_000;

/// A value and where it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    pub line: usize,
    pub value: Value,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    #[default]
    Null,
    /// A text, a number or a boolean, as it is written.
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub line: usize,
    pub value: Node,
}

/// What there is to say of a text that cannot be read.
pub type Read = Result<Vec<Node>, String>;

impl Node {
    /// The value at a path of keys.
    #[must_use]
    pub fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.get(key).map(|entry| &entry.value))
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The scalar at a path of keys.
    #[must_use]
    pub fn text_at(&self, keys: &[&str]) -> Option<&str> {
        self.at(keys)?.text()
    }

    /// Every scalar in it with the keys that lead there.
    #[must_use]
    pub fn leaves(&self) -> Vec<(Vec<&str>, usize, &str)> {
        let mut found = Vec::new();
        collect(self, &mut Vec::new(), &mut found);
        found
    }
}

fn collect<'n>(
    node: &'n Node,
    keys: &mut Vec<&'n str>,
    found: &mut Vec<(Vec<&'n str>, usize, &'n str)>,
) {
    match &node.value {
        Value::Null => {}
        Value::Scalar(text) => found.push((keys.clone(), node.line, text)),
        Value::List(items) => items.iter().for_each(|item| collect(item, keys, found)),
        Value::Map(entries) => {
            for entry in entries {
                keys.push(&entry.key);
                collect(&entry.value, keys, found);
                keys.pop();
            }
        }
    }
}

/// Reads a text by the end of its file's name.
///
/// # Errors
/// It is not what its name says.
pub fn read(name: &str, text: &str) -> Read {
    match name.rsplit_once('.').map(|(_, end)| end) {
        Some("json" | "jsonc") => json(text),
        Some("toml" | "lock") => toml(text),
        _ => yaml(text),
    }
}

fn json(text: &str) -> Read {
    let parsed = jsonc_parser::parse_to_ast(
        text,
        &jsonc_parser::CollectOptions::default(),
        &ParseOptions::default(),
    )
    .map_err(|error| format!("it is not JSON: {error}"))?;
    let lines = Lines::of(text);
    Ok(parsed.value.iter().map(|value| json_node(value, &lines, 0)).collect())
}

fn json_node(value: &jsonc_parser::ast::Value<'_>, lines: &Lines, depth: usize) -> Node {
    use jsonc_parser::ast::Value as Json;
    use jsonc_parser::common::Ranged;

    let line = lines.line_of(value.range().start);
    let value = match value {
        _ if depth > MAX_DEPTH => Value::Null,
        Json::StringLit(text) => Value::Scalar(text.value.to_string()),
        Json::NumberLit(number) => Value::Scalar(number.value.to_owned()),
        Json::BooleanLit(truth) => Value::Scalar(truth.value.to_string()),
        Json::NullKeyword(_) => Value::Null,
        Json::Array(array) => Value::List(
            array.elements.iter().map(|item| json_node(item, lines, depth + 1)).collect(),
        ),
        Json::Object(object) => Value::Map(
            object
                .properties
                .iter()
                .map(|property| Entry {
                    key: property.name.as_str().to_owned(),
                    line: lines.line_of(property.range().start),
                    value: json_node(&property.value, lines, depth + 1),
                })
                .collect(),
        ),
    };
    Node { line, value }
}

fn toml(text: &str) -> Read {
    let document = toml_edit::Document::parse(text)
        .map_err(|error| format!("it is not TOML: {}", error.message()))?;
    let lines = Lines::of(text);
    Ok(vec![toml_item(document.as_item(), &lines, 0)])
}

fn toml_item(item: &Item, lines: &Lines, depth: usize) -> Node {
    let line = item.span().map_or(1, |span| lines.line_of(span.start));
    let value = match item {
        _ if depth > MAX_DEPTH => Value::Null,
        Item::None => Value::Null,
        Item::Value(value) => return toml_value(value, lines, depth),
        Item::Table(table) => Value::Map(toml_entries(table, lines, depth)),
        Item::ArrayOfTables(tables) => Value::List(
            tables
                .iter()
                .map(|table| Node {
                    line: table.span().map_or(1, |span| lines.line_of(span.start)),
                    value: Value::Map(toml_entries(table, lines, depth)),
                })
                .collect(),
        ),
    };
    Node { line, value }
}

fn toml_entries(table: &dyn toml_edit::TableLike, lines: &Lines, depth: usize) -> Vec<Entry> {
    table
        .iter()
        .map(|(name, item)| {
            let value = toml_item(item, lines, depth + 1);
            let key = table.key(name).and_then(toml_edit::Key::span);
            let line = key.map_or(value.line, |span| lines.line_of(span.start));
            Entry { key: name.to_owned(), line, value }
        })
        .collect()
}

fn toml_value(value: &toml_edit::Value, lines: &Lines, depth: usize) -> Node {
    use toml_edit::Value as Toml;

    let line = value.span().map_or(1, |span| lines.line_of(span.start));
    let value = match value {
        _ if depth > MAX_DEPTH => Value::Null,
        Toml::String(text) => Value::Scalar(text.value().clone()),
        Toml::Integer(number) => Value::Scalar(number.value().to_string()),
        Toml::Float(number) => Value::Scalar(number.value().to_string()),
        Toml::Boolean(truth) => Value::Scalar(truth.value().to_string()),
        Toml::Datetime(time) => Value::Scalar(time.value().to_string()),
        Toml::Array(array) => {
            Value::List(array.iter().map(|item| toml_value(item, lines, depth + 1)).collect())
        }
        Toml::InlineTable(table) => Value::Map(toml_entries(table, lines, depth + 1)),
    };
    Node { line, value }
}

/// Each document of a YAML text.
fn yaml(text: &str) -> Read {
    let mut reader =
        Reader { lines: Lines::of(text), anchors: HashMap::new(), budget: ALIAS_BUDGET };
    let mut documents = Vec::new();
    // The collections that are open, each with its anchor and the key that waits for its value.
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str_with_options(text, options! { emit_comments: false }) {
        let (event, span) = event.map_err(|error| format!("it is not YAML: {error}"))?;
        let line = span.byte_range().map_or(1, |range| reader.lines.line_of(range.start));
        let (node, anchor) = match event {
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= MAX_DEPTH => {
                return Err(format!("it nests too deep at line {line}"));
            }
            Event::Scalar(text, style, anchor, _) => {
                let is_null = style == granit_parser::ScalarStyle::Plain
                    && matches!(&*text, "" | "~" | "null");
                let value = if is_null { Value::Null } else { Value::Scalar(text.into_owned()) };
                (Node { line, value }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                open.push(Open {
                    anchor,
                    node: Node { line, value: Value::List(Vec::new()) },
                    key: None,
                });
                continue;
            }
            Event::MappingStart(_, anchor, _) => {
                open.push(Open {
                    anchor,
                    node: Node { line, value: Value::Map(Vec::new()) },
                    key: None,
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(done) => (done.node, done.anchor),
                None => continue,
            },
            Event::Alias(id) => (reader.alias(id)?, 0),
            _ => continue,
        };
        if anchor != 0 {
            reader.anchors.insert(anchor, node.clone());
        }
        match open.last_mut() {
            Some(parent) => parent.take(node),
            None => documents.push(node),
        }
    }
    Ok(documents)
}

struct Reader {
    lines: Lines,
    anchors: HashMap<usize, Node>,
    budget: usize,
}

impl Reader {
    fn alias(&mut self, id: usize) -> Result<Node, String> {
        let node = self.anchors.get(&id).cloned().unwrap_or_default();
        let size = count(&node);
        self.budget = self.budget.checked_sub(size).ok_or("its aliases stand for too much")?;
        Ok(node)
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(entries) => entries.iter().map(|entry| count(&entry.value)).sum(),
        _ => 0,
    }
}

struct Open {
    anchor: usize,
    node: Node,
    key: Option<(String, usize)>,
}

impl Open {
    /// Takes a value in: an item, a key, or what belongs to the key before it.
    fn take(&mut self, node: Node) {
        match &mut self.node.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match self.key.take() {
                None => {
                    self.key = Some((node.text().unwrap_or_default().to_owned(), node.line));
                }
                Some((key, _)) if key == "<<" => {
                    let merged = match node.value {
                        Value::Map(entries) => entries,
                        Value::List(items) => items
                            .into_iter()
                            .flat_map(|item| match item.value {
                                Value::Map(entries) => entries,
                                _ => Vec::new(),
                            })
                            .collect(),
                        _ => Vec::new(),
                    };
                    entries.extend(merged);
                }
                Some((key, line)) => entries.push(Entry { key, line, value: node }),
            },
            _ => {}
        }
    }
}
