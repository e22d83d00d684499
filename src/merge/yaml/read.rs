//! Owns reading YAML into the tree, with the places that the parser does not tell.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle, Tag, options};

use super::super::text::{comments_above, line_end, line_start, starts_line};
use super::super::tree::{Content, Layout, Node, Read};
use super::super::value::quote;

/// So many nodes may stand in for aliases, before a file is taken for an attack.
const ALIAS_BUDGET: usize = 100_000;

/// Reads the text; nothing where it holds no value.
pub fn read(text: &str) -> Read<Option<Node>> {
    let mut events = Vec::new();
    for event in Parser::new_from_str_with_options(text, options! { emit_comments: false }) {
        let (event, span) = event.map_err(|error| {
            let at = error.marker().byte_offset().unwrap_or(0).min(text.len());
            (at, format!("it is not YAML: {error}"))
        })?;
        let span = span.byte_range().ok_or((0, "a value has no place".to_owned()))?;
        events.push((event, span));
    }
    let mut starts = events.iter().filter(|(event, _)| matches!(event, Event::DocumentStart(..)));
    let Some((_, start)) = starts.next() else {
        return Ok(None);
    };
    let cursor = start.end;
    if let Some((_, span)) = starts.next() {
        return Err((span.start, "a second document starts here".to_owned()));
    }
    let aliased = events.iter().filter_map(|(event, _)| match event {
        Event::Alias(id) => Some(*id),
        _ => None,
    });
    let aliased = aliased.collect();
    events.retain(|(event, _)| !matches!(event, Event::StreamStart | Event::DocumentStart(..)));
    let (anchors, budget) = (HashMap::new(), ALIAS_BUDGET);
    let mut reader = Reader { text, events: events.into_iter(), cursor, aliased, anchors, budget };
    let root = reader.node(None)?;
    let is_nothing = matches!(root.content, Content::Null) && root.span.is_empty();
    Ok((!is_nothing).then_some(root))
}

struct Reader<'a> {
    text: &'a str,
    events: std::vec::IntoIter<(Event<'a>, Range<usize>)>,
    /// Where the last token that was read ends.
    cursor: usize,
    aliased: HashSet<usize>,
    anchors: HashMap<usize, Node>,
    budget: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Read<(Event<'a>, Range<usize>)> {
        let end = self.text.len();
        self.events.next().ok_or((end, "it ends too early".to_owned()))
    }

    /// Whether a collection ends here, between brackets if it has no column.
    fn ends(&mut self, column: Option<usize>) -> bool {
        let Some((Event::SequenceEnd | Event::MappingEnd, span)) = self.events.as_slice().first()
        else {
            return false;
        };
        if column.is_none() {
            self.cursor = self.cursor.max(span.end);
        }
        self.events.next();
        true
    }

    /// Reads a value that stands in a mapping at column `parent`, if in any.
    fn node(&mut self, parent: Option<usize>) -> Read<Node> {
        let (event, span) = self.next()?;
        let (mut node, anchor, tag) = match event {
            Event::Alias(id) => return self.alias(id, span),
            Event::Scalar(text, style, anchor, tag) => {
                (self.scalar(&text, style, tag.as_deref(), span), anchor, tag)
            }
            Event::SequenceStart(style, anchor, tag) => {
                // The parser puts a list that is no deeper than its key behind its first dash.
                let is_block = style == StructureStyle::Block;
                let start = if is_block { self.skip_properties() } else { span.start };
                (self.collection(style, start, parent, Self::items)?, anchor, tag)
            }
            Event::MappingStart(style, anchor, tag) => {
                (self.collection(style, span.start, parent, Self::entries)?, anchor, tag)
            }
            _ => return Err((span.start, "something here is not a value".to_owned())),
        };
        if tag.is_some() && !node.children().is_empty() {
            node.locked = Some("has a tag");
        }
        if self.aliased.contains(&anchor) {
            node.locked = Some("is also what an alias elsewhere stands for");
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: Range<usize>) -> Read<Node> {
        let fault = |reason: &str| (span.start, reason.to_owned());
        let anchored = self.anchors.get(&id).ok_or(fault("an alias stands inside its anchor"))?;
        let budget = self.budget.checked_sub(count(anchored));
        self.budget = budget.ok_or(fault("its aliases stand for too much"))?;
        self.cursor = span.end;
        let locked = Some("is an alias");
        Ok(Node { locked, ..Node::new(span, anchored.content.clone(), Layout::Token) })
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Range<usize>,
    ) -> Node {
        let mut node = Node::new(span, resolve(text, style, tag), Layout::Token);
        if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            let header = self.text.get(self.cursor..node.span.start).unwrap_or_default();
            let header = header.split(['|', '>']).nth(1).unwrap_or_default();
            let indicators = header.split_whitespace().next().unwrap_or_default();
            let fixed = indicators.contains(|character: char| character.is_ascii_digit());
            node.layout = Layout::Literal { fixed };
            if !indicators.contains('+') {
                // The blank lines below belong to nobody, unless the scalar says to keep them.
                let end = self.text[..node.span.end].trim_end_matches(' ').len();
                let kept = self.text[..line_end(self.text, end)].trim_end_matches('\n').len();
                node.span.end = kept.max(node.span.start);
            }
        } else if node.span.is_empty() {
            node.span = self.cursor..self.cursor;
        }
        self.cursor = self.cursor.max(node.span.end);
        node
    }

    fn collection(
        &mut self,
        style: StructureStyle,
        start: usize,
        parent: Option<usize>,
        read: fn(&mut Self, Option<usize>, usize) -> Read<Content>,
    ) -> Read<Node> {
        let mut node = Node::new(start..start, Content::Null, Layout::Token);
        let mut column = None;
        let floor = std::mem::replace(&mut self.cursor, start);
        if style == StructureStyle::Block {
            let own = start - line_start(self.text, start);
            let depth = own + usize::from(parent.is_some_and(|parent| own <= parent));
            node.layout = Layout::Block { column: own, depth };
            column = Some(own);
        } else if self.text[start..].starts_with(['[', '{']) {
            node.layout = Layout::Brackets;
            self.cursor += 1;
        } else {
            node.locked = Some("is a pair without braces");
        }
        node.content = read(self, column, floor)?;
        node.span.end = self.cursor;
        Ok(node)
    }

    fn items(&mut self, column: Option<usize>, mut floor: usize) -> Read<Content> {
        let mut items = Vec::new();
        while !self.ends(column) {
            let start = self.token(self.cursor);
            let key = start..start + usize::from(column.is_some());
            self.cursor = key.end;
            let node = self.node(None)?;
            items.push(Node { key, lead: self.lead(start, floor), ..node });
            floor = self.cursor;
        }
        Ok(Content::List(items))
    }

    fn entries(&mut self, column: Option<usize>, mut floor: usize) -> Read<Content> {
        let (mut entries, mut inherited) = (Vec::new(), Vec::new());
        while !self.ends(column) {
            let start = self.token(self.cursor);
            if self.text[start..].starts_with(['?', ':']) {
                return Err((start, "a key is not written as plain text".to_owned()));
            }
            let (Event::Scalar(name, style, ..), span) = self.next()? else {
                return Err((start, "a key is a collection or an alias".to_owned()));
            };
            self.cursor = self.token(span.end);
            if self.text[self.cursor..].starts_with(':') {
                self.cursor += 1;
            } else {
                self.cursor = span.end;
            }
            let node = self.node(column)?;
            let is_merge = name == "<<" && style == ScalarStyle::Plain;
            let (name, key) = (name.into_owned(), start..span.end);
            let node = Node { name, key, lead: self.lead(start, floor), ..node };
            if is_merge {
                inherited.push(node);
            } else {
                entries.push(node);
            }
            floor = self.cursor;
        }
        with_inherited(entries, inherited)
    }

    fn lead(&self, start: usize, floor: usize) -> usize {
        let line = line_start(self.text, start);
        let above = comments_above(self.text, line, floor);
        if starts_line(self.text, start) && above < line { above } else { start }
    }

    /// Where the next value starts: behind its anchor and its tag.
    fn skip_properties(&self) -> usize {
        let mut at = self.token(self.cursor);
        while self.text[at..].starts_with(['&', '!']) {
            let end = self.text[at..].find([' ', '\n']).unwrap_or(self.text.len() - at);
            at = self.token(at + end);
        }
        at
    }

    /// Where the next token starts: behind blanks, comments and a comma.
    fn token(&self, from: usize) -> usize {
        let mut at = from;
        while let Some(character) = self.text[at..].chars().next() {
            let rest = &self.text[at..];
            at += match character {
                ' ' | '\t' | '\n' | ',' => 1,
                '#' => rest.find('\n').unwrap_or(rest.len()),
                _ => break,
            };
        }
        at
    }
}

/// The scalar in one spelling, as a program would read it.
fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Content {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema_tag("str") => {
            return Content::Scalar(format!("{tag} {}", quote(text)));
        }
        None if matches!(style, ScalarStyle::Plain) => match yaml_serde::from_str(text) {
            Ok(yaml_serde::Value::Null) => return Content::Null,
            Ok(value @ (yaml_serde::Value::Bool(_) | yaml_serde::Value::Number(_))) => {
                return Content::Scalar(super::write_scalar(&value).unwrap_or_default());
            }
            _ => {}
        },
        _ => {}
    }
    Content::Scalar(quote(text))
}

/// A mapping with what its merge keys bring in, as far as it does not say otherwise itself.
fn with_inherited(entries: Vec<Node>, inherited: Vec<Node>) -> Read<Content> {
    let mut all = Vec::new();
    let sources = inherited.into_iter().flat_map(|node| match node.content {
        Content::List(items) => items,
        _ => vec![node],
    });
    for node in sources {
        if !node.is_map() {
            return Err((node.span.start, "a merge key stands for no mapping".to_owned()));
        }
        for brought in node.children() {
            if !entries.iter().chain(&all).any(|other: &Node| other.name == brought.name) {
                // It stands where the merge key does, whatever place it comes from.
                let (span, lead, key) = (node.span.clone(), node.lead, node.key.clone());
                let locked = Some("comes through a merge key");
                let layout = Layout::Token;
                all.push(Node { lead, key, span, layout, locked, ..brought.clone() });
            }
        }
    }
    all.extend(entries);
    all.sort_by_key(|node| node.lead);
    Content::map(all)
}

fn count(node: &Node) -> usize {
    1 + node.children().iter().map(count).sum::<usize>()
}
