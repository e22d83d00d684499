//! Owns the tree that every format is read into: values with the places where they stand in the text.

use std::collections::HashSet;
use std::ops::Range;

use super::value::Value;

/// A value that was read, or else where and why it could not be.
pub type Read<T> = Result<T, (usize, String)>;

/// A text and the value that it holds.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub text: &'a str,
    pub root: &'a Node,
}

/// A value, and where and how it is written.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// The key as a program reads it; empty for what is no entry.
    pub name: String,
    /// Where the entry or item that holds this value starts, with the comments above it.
    pub lead: usize,
    /// The key of an entry, or the dash of an item; empty where there is neither.
    pub key: Range<usize>,
    /// The value itself.
    pub span: Range<usize>,
    pub content: Content,
    pub layout: Layout,
    /// Why nothing can be added inside this value, if so.
    pub locked: Option<&'static str>,
}

/// What a value is.
#[derive(Debug, Clone, Default)]
pub enum Content {
    #[default]
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Node>),
}

/// How a value is laid out.
#[derive(Debug, Clone, Default)]
pub enum Layout {
    /// A token that is copied as it is.
    #[default]
    Token,
    /// A YAML scalar of indented lines; `fixed` where it states its own indent.
    Literal { fixed: bool },
    /// A collection between brackets.
    Brackets,
    /// A YAML collection by indent; comments below it belong to it from `depth` on.
    Block { column: usize, depth: usize },
    /// A TOML table or array of tables that is written as lines.
    Section(Section),
}

/// Where the lines of a TOML table stand.
#[derive(Debug, Clone)]
pub struct Section {
    /// The whole path as written, for a header.
    pub path: String,
    /// What goes before a key on its line, such as `a.b.`; empty unless the table is made of dotted keys.
    pub prefix: String,
    pub body: Body,
    /// Where the last line of the table and of all tables inside it ends.
    pub end: usize,
}

/// Where the own keys of a TOML table go.
#[derive(Debug, Clone, Copy)]
pub enum Body {
    /// Below the last of them, or below the header.
    Below(usize),
    /// At the top of the file, which has none yet, before the first header.
    Top(usize),
    /// Under a header yet to be written, before those of its sub-tables.
    Unwritten(usize),
}

/// What a collection of the base lacks.
#[derive(Debug)]
pub struct Gap<'a> {
    pub path: Vec<&'a str>,
    pub base: &'a Node,
    /// The collection that `missing` is from.
    pub addition: &'a Node,
    pub missing: Vec<&'a Node>,
    /// Why the gap cannot be filled, if so.
    pub clash: Option<String>,
}

impl Content {
    /// A mapping, unless a key stands in it twice.
    pub fn map(entries: Vec<Node>) -> Read<Self> {
        let mut seen = HashSet::new();
        for Node { name, key, .. } in &entries {
            if !seen.insert(name) {
                return Err((key.start, format!("the key `{name}` stands here twice")));
            }
        }
        Ok(Self::Map(entries))
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "empty",
            Self::Scalar(_) => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a table",
        }
    }
}

impl Node {
    /// A value that is no entry yet.
    pub fn new(span: Range<usize>, content: Content, layout: Layout) -> Self {
        let (lead, key) = (span.start, span.start..span.start);
        Self { lead, key, span, content, layout, ..Self::default() }
    }

    /// The values inside, in order.
    pub fn children(&self) -> &[Node] {
        match &self.content {
            Content::Null | Content::Scalar(_) => &[],
            Content::List(nodes) | Content::Map(nodes) => nodes,
        }
    }

    /// The value of an entry.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children().iter().find(|child| self.is_map() && child.name == name)
    }

    pub fn is_map(&self) -> bool {
        matches!(self.content, Content::Map(_))
    }

    pub fn is_list(&self) -> bool {
        matches!(self.content, Content::List(_))
    }

    /// The plain value.
    pub fn value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Scalar(text) => Value::Scalar(text.clone()),
            Content::List(items) => Value::List(items.iter().map(Node::value).collect()),
            Content::Map(entries) => {
                Value::Map(entries.iter().map(|node| (node.name.clone(), node.value())).collect())
            }
        }
    }
}

/// Everything that `base` lacks of `addition`, the innermost first.
pub fn find_gaps<'a>(base: &'a Node, addition: &'a Node) -> Vec<Gap<'a>> {
    let mut gaps = Vec::new();
    compare((base, None), addition, &mut Vec::new(), &mut gaps);
    gaps
}

/// Compares two values, of which that of the base may stand inside a locked one.
fn compare<'a>(
    (base, locked): (&'a Node, Option<&'static str>),
    addition: &'a Node,
    path: &mut Vec<&'a str>,
    gaps: &mut Vec<Gap<'a>>,
) {
    let locked = locked.or(base.locked);
    let mut clash = locked.map(str::to_owned);
    let missing = match (&base.content, &addition.content) {
        (_, Content::Null) | (Content::Null | Content::Scalar(_), Content::Scalar(_)) => return,
        (Content::Map(present), Content::Map(wanted)) => {
            let mut missing = Vec::new();
            for node in wanted {
                if let Some(found) = present.iter().find(|other| other.name == node.name) {
                    path.push(&node.name);
                    compare((found, locked), node, path, gaps);
                    path.pop();
                } else {
                    missing.push(node);
                }
            }
            missing
        }
        (Content::List(present), Content::List(wanted)) => pick_missing(present, wanted),
        (here, there) => {
            let (here, there) = (here.kind(), there.kind());
            clash = Some(format!("is {here} here and {there} in what is to be added"));
            vec![addition]
        }
    };
    if !missing.is_empty() {
        gaps.push(Gap { path: path.clone(), base, addition, missing, clash });
    }
}

fn pick_missing<'a>(present: &[Node], wanted: &'a [Node]) -> Vec<&'a Node> {
    let mut seen: Vec<Value> = present.iter().map(Node::value).collect();
    let mut missing = Vec::new();
    for node in wanted {
        let value = node.value();
        if !seen.contains(&value) {
            missing.push(node);
            seen.push(value);
        }
    }
    missing
}
