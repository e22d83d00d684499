//! The languages whose syntax trees the rules look at, as ast-grep wants to know them.

use std::borrow::Cow;

use ast_grep_core::matcher::{Pattern, PatternBuilder, PatternError};
use ast_grep_core::tree_sitter::{LanguageExt, StrDoc, TSLanguage};
use serde::{Deserialize, Serialize};

/// A language as a rule names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    Rust,
    /// JavaScript and TypeScript: one grammar reads both.
    JavaScript,
    Python,
}

/// A grammar: TypeScript's type casts and JSX cannot be told apart by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grammar {
    Rust,
    /// `.js`, `.jsx`, `.tsx`, `.mjs`, `.cjs`.
    Tsx,
    /// `.ts`, `.mts`, `.cts`.
    TypeScript,
    Python,
}

impl Language {
    /// The grammars that a rule of this language is compiled for.
    #[must_use]
    pub const fn grammars(self) -> &'static [Grammar] {
        match self {
            Self::Rust => &[Grammar::Rust],
            Self::JavaScript => &[Grammar::Tsx, Grammar::TypeScript],
            Self::Python => &[Grammar::Python],
        }
    }
}

impl Grammar {
    pub const ALL: [Self; 4] = [Self::Rust, Self::Tsx, Self::TypeScript, Self::Python];

    /// The grammar of a file, by the end of its name or, where it has none, by its first line.
    #[must_use]
    pub fn of(name: &str, text: &str) -> Option<Self> {
        let Some((_, end)) = name.rsplit_once('.') else {
            let first = text.lines().next().unwrap_or_default();
            return match first.strip_prefix("#!") {
                Some(program) if program.contains("node") => Some(Self::Tsx),
                Some(program) if program.contains("python") => Some(Self::Python),
                _ => None,
            };
        };
        match end {
            "rs" => Some(Self::Rust),
            "js" | "jsx" | "tsx" | "mjs" | "cjs" => Some(Self::Tsx),
            "ts" | "mts" | "cts" => Some(Self::TypeScript),
            "py" => Some(Self::Python),
            _ => None,
        }
    }

    #[must_use]
    pub const fn language(self) -> Language {
        match self {
            Self::Rust => Language::Rust,
            Self::Tsx | Self::TypeScript => Language::JavaScript,
            Self::Python => Language::Python,
        }
    }
}

impl ast_grep_core::Language for Grammar {
    fn expando_char(&self) -> char {
        // `$` begins no name in Rust and Python; these characters do.
        match self {
            Self::Rust | Self::Python => 'µ',
            Self::Tsx | Self::TypeScript => '$',
        }
    }

    fn pre_process_pattern<'q>(&self, query: &'q str) -> Cow<'q, str> {
        match self {
            Self::Tsx | Self::TypeScript => Cow::Borrowed(query),
            Self::Rust | Self::Python => Cow::Owned(replace_sigils(query, self.expando_char())),
        }
    }

    fn kind_to_id(&self, kind: &str) -> u16 {
        self.get_ts_language().id_for_node_kind(kind, true)
    }

    fn field_to_id(&self, field: &str) -> Option<u16> {
        self.get_ts_language().field_id_for_name(field).map(std::num::NonZero::get)
    }

    fn build_pattern(&self, builder: &PatternBuilder<'_>) -> Result<Pattern, PatternError> {
        builder.build(|source| StrDoc::try_new(source, *self))
    }
}

impl LanguageExt for Grammar {
    fn get_ts_language(&self) -> TSLanguage {
        match self {
            Self::Rust => tree_sitter_rust::LANGUAGE.into(),
            Self::Tsx => tree_sitter_typescript::LANGUAGE_TSX.into(),
            Self::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
            Self::Python => tree_sitter_python::LANGUAGE.into(),
        }
    }
}

/// `$NAME` and `$$$` with another sigil; any other `$` stays.
fn replace_sigils(query: &str, sigil: char) -> String {
    let mut replaced = String::with_capacity(query.len());
    let mut dollars = 0;
    for character in query.chars().chain([' ']) {
        if character == '$' {
            dollars += 1;
            continue;
        }
        let is_variable = character.is_ascii_uppercase() || character == '_' || dollars == 3;
        let written = if is_variable { sigil } else { '$' };
        replaced.extend(std::iter::repeat_n(written, dollars));
        dollars = 0;
        replaced.push(character);
    }
    replaced.pop();
    replaced
}
