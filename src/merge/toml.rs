//! Owns TOML: its tables are lines spread over the file, so each table knows where its lines end.

use std::ops::Range;

use toml_edit::{ArrayOfTables, Document, Item, Key, Table, Value};

use super::brackets;
use super::text::{Insert, comments_above, comments_below, indent, line_end, line_start};
use super::tree::{Body, Content, Gap, Layout, Node, Read, Section, Source};
use super::value::quote;

/// Reads the text; nothing where it holds no key.
pub fn read(text: &str) -> Read<Option<Node>> {
    let document = Document::parse(text).map_err(|error| {
        let at = error.span().unwrap_or_default().start;
        (at, format!("it is not TOML: {}", error.message()))
    })?;
    if document.as_table().is_empty() {
        return Ok(None);
    }
    let reader = Reader { text };
    let content = reader.table(document.as_table(), "", "")?;
    let body = match (reader.own_end(&content), find_first(&content)) {
        (None, Some(first)) => Body::Top(first),
        (end, _) => Body::Below(end.unwrap_or_default()),
    };
    Ok(Some(reader.lay_out(
        Node::new(0..0, content, Layout::Token),
        String::new(),
        String::new(),
        body,
    )))
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn table(&self, table: &Table, path: &str, prefix: &str) -> Read<Content> {
        let entries = table.iter().filter_map(|(name, item)| {
            let node = self.entry(table.key(name)?, item, path, prefix);
            Some(node.map(|node| Node { name: name.to_owned(), ..node }))
        });
        let mut entries: Vec<Node> = entries.collect::<Read<_>>()?;
        entries.sort_by_key(|node| node.lead);
        Content::map(entries)
    }

    fn entry(&self, key: &Key, item: &Item, path: &str, prefix: &str) -> Read<Node> {
        let key = key.span().ok_or((0, "a key has no place".to_owned()))?;
        let written = &self.text[key.clone()];
        let path = if path.is_empty() { written.to_owned() } else { format!("{path}.{written}") };
        match item {
            Item::None => Err((key.start, "an item is empty".to_owned())),
            Item::Value(value) => {
                let lead = self.lead(key.start);
                read_value(value).map(|node| Node { lead, key, ..node })
            }
            Item::Table(table) if table.is_dotted() => {
                let prefix = format!("{prefix}{written}.");
                self.section(table, path, prefix, key)
            }
            Item::Table(table) => self.section(table, path, String::new(), key),
            Item::ArrayOfTables(tables) => self.sections(tables, path, key),
        }
    }

    fn section(
        &self,
        table: &Table,
        path: String,
        prefix: String,
        key: Range<usize>,
    ) -> Read<Node> {
        let content = self.table(table, &path, &prefix)?;
        let header = table.span().unwrap_or_default();
        let (lead, body) = if table.is_implicit() && prefix.is_empty() {
            let first = find_first(&content).unwrap_or(header.start);
            (first, Body::Unwritten(first))
        } else {
            let end = self.own_end(&content).unwrap_or_else(|| self.line_end(header.end));
            (self.lead(header.start), Body::Below(end))
        };
        let node = Node { lead, key, ..Node::new(header, content, Layout::Token) };
        Ok(self.lay_out(node, path, prefix, body))
    }

    fn sections(&self, tables: &ArrayOfTables, path: String, key: Range<usize>) -> Read<Node> {
        let items = tables
            .iter()
            .map(|table| self.section(table, path.clone(), String::new(), key.start..key.start));
        let content = Content::List(items.collect::<Read<_>>()?);
        let lead = find_first(&content).unwrap_or(key.start);
        let node = Node { lead, key: key.clone(), ..Node::new(key, content, Layout::Token) };
        Ok(self.lay_out(node, path, String::new(), Body::Unwritten(lead)))
    }

    fn lead(&self, at: usize) -> usize {
        comments_above(self.text, line_start(self.text, at), 0)
    }

    fn lay_out(&self, node: Node, path: String, prefix: String, body: Body) -> Node {
        let own = if let Body::Below(end) = body { end } else { 0 };
        let end = node.children().iter().map(|child| self.end(child)).fold(own, usize::max);
        Node { layout: Layout::Section(Section { path, prefix, body, end }), ..node }
    }

    /// Where the lines of the table's own keys end, those of dotted keys included.
    fn own_end(&self, table: &Content) -> Option<usize> {
        let Content::Map(entries) = table else {
            return None;
        };
        let own = entries.iter().filter_map(|node| match &node.layout {
            Layout::Section(Section { prefix, body: Body::Below(end), .. })
                if !prefix.is_empty() =>
            {
                Some(*end)
            }
            Layout::Section(_) => None,
            _ => Some(self.end(node)),
        });
        own.max()
    }

    fn end(&self, node: &Node) -> usize {
        match &node.layout {
            Layout::Section(section) => section.end,
            _ => self.line_end(node.span.end),
        }
    }

    /// The end of the line and of the comments right below it, unless they head what follows them.
    fn line_end(&self, at: usize) -> usize {
        let own = line_end(self.text, at);
        let end = comments_below(self.text, own, 0);
        let next = self.text[end..].split('\n').next().unwrap_or_default();
        if next.trim().is_empty() { end } else { own }
    }
}

fn read_value(value: &Value) -> Read<Node> {
    let span = value.span().ok_or((0, "a value has no place".to_owned()))?;
    let scalar = match value {
        Value::Array(array) => {
            let items = array.iter().map(read_value).collect::<Read<_>>()?;
            return Ok(Node::new(span, Content::List(items), Layout::Brackets));
        }
        Value::InlineTable(table) => {
            let entries = table.iter().filter_map(|(name, value)| {
                let key = table.key(name)?.span()?;
                let (name, lead) = (name.to_owned(), key.start);
                Some(read_value(value).map(|node| Node { name, lead, key, ..node }))
            });
            let content = Content::map(entries.collect::<Read<_>>()?)?;
            // Dotted keys share the brackets of the table around them.
            let locked =
                table.is_dotted().then_some("is made of dotted keys inside an inline table");
            return Ok(Node { locked, ..Node::new(span, content, Layout::Brackets) });
        }
        Value::String(text) => quote(text.value()),
        Value::Integer(number) => number.value().to_string(),
        Value::Float(number) => format!("{:?}", number.value()),
        Value::Boolean(truth) => truth.value().to_string(),
        Value::Datetime(date) => date.value().to_string(),
    };
    Ok(Node::new(span, Content::Scalar(scalar), Layout::Token))
}

/// Where the first of the tables in a table starts.
fn find_first(content: &Content) -> Option<usize> {
    let (Content::Map(nodes) | Content::List(nodes)) = content else {
        return None;
    };
    nodes.iter().map(|node| node.lead).min()
}

/// Writes what is missing into the base, or says why it cannot be written there.
pub fn fill(base: Source, addition: Source, gap: &Gap) -> Result<Vec<Insert>, String> {
    let Layout::Section(section) = &gap.base.layout else {
        let unit = brackets::find_unit(base.text, gap.base).unwrap_or("    ");
        let write = |node: &Node, _: Option<&str>| write_inline_entry(addition.text, node);
        return Ok(brackets::fill(base.text, gap.base, &gap.missing, unit, false, write));
    };
    let mut lines = String::new();
    let mut tables = Vec::new();
    let margin = own_indent(base.text, gap.base);
    for node in &gap.missing {
        if gap.base.is_list() {
            tables.push(write_table(addition.text, section, node)?);
        } else if section.prefix.is_empty() {
            write_lines(addition.text, node, "", margin, &mut lines);
            collect_tables(addition.text, node, &mut tables);
        } else {
            let entry = write_inline_entry(addition.text, node);
            lines.extend([margin, &section.prefix, &entry, "\n"]);
        }
    }
    let tables = Insert::new(section.end, join_tables(tables));
    Ok(vec![place_lines(section, lines, gap.path.len()), tables])
}

fn place_lines(section: &Section, lines: String, depth: usize) -> Insert {
    let (at, text) = match section.body {
        Body::Below(at) => return Insert::new(at, lines),
        Body::Top(at) | Body::Unwritten(at) if lines.is_empty() => return Insert::new(at, lines),
        Body::Top(at) => (at, lines + "\n"),
        Body::Unwritten(at) => (at, format!("[{}]\n{lines}\n", section.path)),
    };
    // The header of an outer table stands above that of an inner one.
    Insert { at, replaces: 0, rank: depth + 1, text }
}

fn own_indent<'a>(text: &'a str, table: &Node) -> &'a str {
    let own = table.children().iter().find(|child| !matches!(child.layout, Layout::Section(_)));
    own.map_or("", |child| indent(text, child.key.start))
}

/// The text of one entry or item, for a person to add.
pub fn show(addition: Source, node: &Node) -> String {
    let mut text = String::new();
    let mut tables = Vec::new();
    collect_tables(addition.text, node, &mut tables);
    if !node.key.is_empty() {
        write_lines(addition.text, node, "", "", &mut text);
    } else if tables.is_empty() {
        text = write_inline_entry(addition.text, node) + "\n";
    }
    text + &join_tables(tables)
}

/// Writes the keys of `node` that stand as lines of their own, with their comments.
fn write_lines(source: &str, node: &Node, prefix: &str, margin: &str, lines: &mut String) {
    let key = &source[node.key.clone()];
    if let Layout::Section(section) = &node.layout {
        if !section.prefix.is_empty() {
            let prefix = format!("{prefix}{key}.");
            node.children()
                .iter()
                .for_each(|child| write_lines(source, child, &prefix, margin, lines));
        }
        return;
    }
    let start = line_start(source, node.key.start);
    if node.lead > start {
        lines.extend([margin, prefix, &write_inline_entry(source, node), "\n"]);
        return;
    }
    for comment in source[node.lead..start].lines() {
        lines.extend([margin, comment.trim(), "\n"]);
    }
    let rest = source[node.key.end..line_end(source, node.span.end)].trim_end();
    lines.extend([margin, prefix, key, rest, "\n"]);
}

/// Collects the tables with a header in `node`, each with the place it comes from.
fn collect_tables(source: &str, node: &Node, tables: &mut Vec<(usize, String)>) {
    let Layout::Section(section) = &node.layout else {
        return;
    };
    if let (Body::Below(end), "") = (section.body, section.prefix.as_str()) {
        tables.push((node.lead, source[node.lead..end].to_owned()));
    }
    node.children().iter().for_each(|child| collect_tables(source, child, tables));
}

fn join_tables(mut tables: Vec<(usize, String)>) -> String {
    tables.sort_by_key(|(at, _)| *at);
    tables.iter().flat_map(|(_, text)| ["\n", text]).collect()
}

/// Writes an item of a list as a table of an array of tables.
fn write_table(source: &str, section: &Section, item: &Node) -> Result<(usize, String), String> {
    let mut tables = Vec::new();
    collect_tables(source, item, &mut tables);
    if !tables.is_empty() {
        return Ok((item.lead, join_tables(tables).split_off(1)));
    }
    if !item.is_map() {
        return Err("is an array of tables here, and what is to be added is no table".to_owned());
    }
    let mut text = format!("[[{}]]\n", section.path);
    for child in item.children() {
        text.extend([&write_inline_entry(source, child), "\n"]);
    }
    Ok((item.lead, text))
}

fn write_inline_entry(source: &str, node: &Node) -> String {
    brackets::write_entry(source, node, " = ", write_inline(source, node))
}

/// The value as it goes between brackets or behind a key.
fn write_inline(source: &str, node: &Node) -> String {
    if matches!(node.layout, Layout::Section(_)) || node.locked.is_some() {
        return brackets::write_line(node, |child| write_inline_entry(source, child));
    }
    source[node.span.clone()].to_owned()
}
