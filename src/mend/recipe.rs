//! A recipe: how what a rule finds is mended, as the rule's file says it.

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::settings::Taken;
use crate::check::rule::maybe_pattern;

/// One way to mend what a rule finds. It fits where each of its conditions holds and its anchor stands exactly once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What it does, in few words; the plan shows it.
    pub says: String,
    /// It needs one of these packages among the dependencies.
    #[serde(default)]
    pub packages: Vec<String>,
    /// It needs this in the file.
    #[serde(default, with = "maybe_pattern")]
    pub only_if: Option<Regex>,
    /// It is not for a file with this.
    #[serde(default, with = "maybe_pattern")]
    pub unless: Option<Regex>,

    /// The anchor, in ast-grep's language; what the rule matched where none is said.
    pub at: Option<Value>,
    #[serde(default)]
    pub constraints: BTreeMap<String, Value>,
    /// Meta variables that are made from others, in ast-grep's language.
    pub transform: Option<Value>,
    #[serde(default)]
    pub anchored: Anchored,
    /// What comes in the place of the anchor.
    pub replace: Option<String>,
    /// What comes directly before the anchor.
    pub lead: Option<String>,
    /// Lines above the one that the anchor begins in.
    pub before: Option<String>,
    /// Lines below the one that the anchor ends in.
    pub after: Option<String>,
    /// Lines at the end of the file.
    pub append: Option<String>,
    /// Other anchors that go with it, each of which may stand once or not at all.
    #[serde(default)]
    pub also: Vec<Also>,
    /// Modules that the file then imports.
    #[serde(default)]
    pub imports: Vec<String>,

    /// For files that are lists of lines: what the line of the finding is like.
    #[serde(default, with = "maybe_pattern")]
    pub line: Option<Regex>,
    /// What that becomes, with `$1` for a group; the line goes where this is empty.
    pub becomes: Option<String>,

    /// The file of settings that the finding is in, or that its file imports, becomes a module.
    pub module: Option<Taken>,

    /// Features that a crate then needs.
    #[serde(default)]
    pub features: BTreeMap<String, Vec<String>>,
    /// A package that is then needed.
    pub dependency: Option<String>,
    /// Variables that are then read: name and example, for the list of them.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// With this argument, what is started as web is the release phase.
    pub release: Option<String>,
    /// What a person still has to do or to know.
    #[serde(default)]
    pub remark: String,

    #[serde(default)]
    pub examples: Vec<Example>,
}

/// An anchor that goes with the first, and what comes in its place.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Also {
    pub at: Value,
    pub replace: String,
}

/// Where the anchor has to stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anchored {
    /// Over the finding.
    #[default]
    Here,
    /// Anywhere in its file, once.
    File,
}

/// A file before and after.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// How the file is called, where its name decides.
    pub path: Option<String>,
    pub before: String,
    pub after: String,
}
