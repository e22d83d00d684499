//! How a file is written: indent, quotes, semicolons; what a recipe says is written the same way.

use std::sync::LazyLock;

use regex::Regex;

use crate::check::language::{Grammar, Language};

/// How recipes indent.
const WRITTEN_INDENT: [(Language, &str); 3] =
    [(Language::JavaScript, "  "), (Language::Python, "    "), (Language::Rust, "    ")];

#[expect(clippy::unwrap_used, reason = "the patterns are constant")]
static SINGLE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"'([^'"`\\\n]*)'"#).unwrap());
#[expect(clippy::unwrap_used, reason = "the patterns are constant")]
static DOUBLE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""([^'"`\\\n]*)""#).unwrap());

/// How a file of source is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style {
    language: Language,
    /// One step.
    indent: String,
    single_quotes: bool,
    semicolons: bool,
}

impl Style {
    #[must_use]
    pub fn of(text: &str, grammar: Grammar) -> Self {
        let language = grammar.language();
        let ends =
            |end: &[char]| text.lines().filter(|line| line.trim_end().ends_with(end)).count();
        let plain = text.replace("\"\"\"", "");
        let singles = SINGLE.find_iter(&plain).count();
        let doubles = DOUBLE.find_iter(&plain).count();
        let open = ends(&[')', '\'', '"', '`']);
        Self {
            language,
            indent: indent_of(text).unwrap_or_else(|| written_indent(language).to_owned()),
            single_quotes: match language {
                Language::Rust => false,
                Language::JavaScript => singles >= doubles,
                Language::Python => singles > doubles,
            },
            semicolons: language != Language::JavaScript || ends(&[';']) >= open,
        }
    }

    /// A recipe's line, written like the file.
    #[must_use]
    pub fn adapt(&self, line: &str) -> String {
        let written = written_indent(self.language);
        let mut rest = line;
        let mut adapted = String::with_capacity(line.len() + 8);
        while let Some(deeper) = rest.strip_prefix(written) {
            adapted.push_str(&self.indent);
            rest = deeper;
        }
        let mut rest = match (self.language, self.single_quotes) {
            (Language::Rust, _) => rest.into(),
            (_, true) => DOUBLE.replace_all(rest, "'$1'"),
            (_, false) => SINGLE.replace_all(rest, "\"$1\""),
        };
        if !self.semicolons
            && let Some(open) = rest.strip_suffix(';')
        {
            rest = open.to_owned().into();
        }
        adapted.push_str(&rest);
        adapted
    }
}

fn written_indent(language: Language) -> &'static str {
    WRITTEN_INDENT.iter().find(|(of, _)| *of == language).map_or("    ", |(_, indent)| indent)
}

/// One step of indent: a tab, or the fewest blanks that a line begins with.
fn indent_of(text: &str) -> Option<String> {
    let mut fewest: Option<usize> = None;
    for line in text.lines() {
        if line.starts_with('\t') {
            return Some("\t".to_owned());
        }
        let blanks = line.len() - line.trim_start_matches(' ').len();
        // A single one begins the lines of a block comment.
        if blanks > 1 && blanks < line.len() && !line.trim_start().starts_with('*') {
            fewest = Some(fewest.map_or(blanks, |so_far| so_far.min(blanks)));
        }
    }
    fewest.map(|blanks| " ".repeat(blanks))
}
