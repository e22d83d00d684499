//! Where an import comes in: among those that stand there, in their order.

use ast_grep_core::tree_sitter::StrDoc;
use ast_grep_core::{AstGrep, Node};

use crate::check::language::Grammar;
use crate::merge::text::{self, Insert};

type SyntaxNode<'t> = Node<'t, StrDoc<Grammar>>;

/// The modules of Python's own that services import most: they stand above those of others.
const STANDARD: [&str; 24] = [
    "argparse",
    "asyncio",
    "base64",
    "collections",
    "contextlib",
    "datetime",
    "enum",
    "functools",
    "hashlib",
    "io",
    "itertools",
    "json",
    "logging",
    "math",
    "os",
    "pathlib",
    "random",
    "re",
    "secrets",
    "shutil",
    "signal",
    "sys",
    "time",
    "typing",
];

/// What makes a Python module import another one; nothing where it does so already.
#[must_use]
pub fn import(tree: &AstGrep<StrDoc<Grammar>>, text: &str, module: &str) -> Option<Insert> {
    let root = tree.root();
    let top: Vec<SyntaxNode<'_>> = root.children().collect();
    let imports: Vec<&SyntaxNode<'_>> = top.iter().filter(|node| is_import(node)).collect();
    if imports.iter().any(|node| imported(node).as_deref() == Some(module) && is_plain(node)) {
        return None;
    }
    let line = format!("import {module}\n");
    let Some(first) = imports.first() else {
        let at = top
            .iter()
            .take_while(|node| is_preface(node))
            .last()
            .map_or(0, |node| text::next_line(text, node.range().end.min(text.len())));
        let above = if at > 0 && !text::follows_blank(text, at) { "\n" } else { "" };
        return Some(Insert::new(at, format!("{above}{line}\n")));
    };
    // The block of the standard library's, if there is one, comes first.
    let own: Vec<&&SyntaxNode<'_>> = imports
        .iter()
        .filter(|node| imported(node).is_some_and(|name| is_standard(&name)))
        .collect();
    let (Some(_), Some(last)) = (own.first(), own.last()) else {
        return Some(Insert::new(text::line_start(text, first.range().start), format!("{line}\n")));
    };
    let next = own
        .iter()
        .find(|node| !is_plain(node) || imported(node).is_some_and(|name| name.as_str() > module));
    let at = match next {
        Some(node) => text::line_start(text, node.range().start),
        None => text::next_line(text, last.range().end),
    };
    Some(Insert::new(at, line))
}

fn is_import(node: &SyntaxNode<'_>) -> bool {
    matches!(&*node.kind(), "import_statement" | "import_from_statement")
}

fn is_plain(node: &SyntaxNode<'_>) -> bool {
    node.kind() == "import_statement"
}

fn is_standard(module: &str) -> bool {
    STANDARD.contains(&module.split('.').next().unwrap_or(module))
}

/// The first module that it names.
fn imported(node: &SyntaxNode<'_>) -> Option<String> {
    let name =
        node.field("name").filter(|_| is_plain(node)).or_else(|| node.field("module_name"))?;
    Some(name.text().into_owned())
}

/// What stands above the imports of a module.
fn is_preface(node: &SyntaxNode<'_>) -> bool {
    match &*node.kind() {
        "comment" | "future_import_statement" => true,
        "expression_statement" => node.child(0).is_some_and(|child| child.kind() == "string"),
        _ => false,
    }
}
