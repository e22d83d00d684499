//! A recipe: how what a rule finds is mended, as the rule's file says it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::settings::Taken;
use crate::pattern::Pattern;

/// One way to mend what a rule finds. It fits where each of its conditions holds and its anchor stands exactly once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What it does, in few words; the plan shows it.
    pub says: String,
    /// It needs one of these packages among the dependencies.
    #[serde(default)]
    pub packages: Vec<String>,
    /// It needs a file of this name beside the one of the finding, where an image may have it.
    pub stands: Option<String>,
    /// It needs this in the file.
    #[serde(default)]
    pub only_if: Option<Pattern>,
    /// It is not for a file with this.
    #[serde(default)]
    pub unless: Option<Pattern>,
    /// A variable that it takes the default of: a pipeline that runs tests has to set it already.
    pub tested_with: Option<String>,

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
    #[serde(default)]
    pub line: Option<Pattern>,
    /// What that becomes, with `$1` for a group; the line goes where this is empty.
    pub becomes: Option<String>,
    /// Other lines that go with it, of which at least one has to stand there; what both call `image` is the same.
    #[serde(default)]
    pub also_lines: Vec<AlsoLine>,

    /// The version on the line of the finding becomes that of the file which decides it.
    #[serde(default)]
    pub version: bool,

    /// For commands that serve: which of their steps run once, before.
    pub once: Option<Once>,

    /// It is a line that keeps a lock out of git: the service's own comes back.
    #[serde(default)]
    pub unignores: bool,

    /// It is only for a name of which every use is like this.
    pub uses: Option<Uses>,
    /// Where the code of the service reads a variable that it needs, the name in a group; all of that code has to
    /// agree on one, which is `$SERVICE_VARIABLE` then.
    #[serde(default)]
    pub service_variable: Option<Pattern>,
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

/// Which steps of a command are to run once, before a release, and no longer at every start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Once {
    /// A step that does: the whole of it.
    pub task: Pattern,
    /// A step that the task needs before it, and the rest too.
    pub needs: Pattern,
    /// A step that may stand before the task and has nothing to do with it.
    pub beside: Pattern,
}

impl Recipe {
    /// The recipe with the variable that these texts read; nothing where they read none, or several.
    pub fn with_variable(&self, texts: impl Iterator<Item = String>) -> Option<Cow<'_, Self>> {
        let Some(reads) = &self.service_variable else { return Some(Cow::Borrowed(self)) };
        let mut names = BTreeSet::new();
        for text in texts {
            let found = reads.captures_iter(&text).filter_map(|captures| captures.get(1));
            names.extend(found.map(|name| name.as_str().to_owned()));
        }
        let name = names.pop_first().filter(|_| names.is_empty())?;
        let replace = self.replace.as_ref().map(|text| text.replace("$SERVICE_VARIABLE", &name));
        Some(Cow::Owned(Self { replace, ..self.clone() }))
    }

    /// Whether each of these texts uses what the line names as the recipe needs it.
    pub fn fits_uses(&self, line: &str, mut texts: impl Iterator<Item = String>) -> bool {
        let Some(uses) = &self.uses else { return true };
        let Some(name) = uses.name.captures(line).and_then(|captures| captures.get(1)) else {
            return false;
        };
        let named = Regex::new(&format!(r"\b{}\b", name.as_str()));
        let wanted = Regex::new(&uses.like.replace("NAME", name.as_str()));
        let (Ok(named), Ok(wanted)) = (named, wanted) else { return false };
        texts.all(|text| {
            let mut found = text.lines().filter(|other| named.is_match(other));
            found.all(|other| other.trim() == line.trim() || wanted.is_match(other))
        })
    }
}

/// How a name has to be used wherever the service's code has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uses {
    /// Where the finding's line says the name, in a group.
    pub name: Pattern,
    /// What is to be found on each line with it; `NAME` is the name.
    pub like: String,
}

/// An anchor that goes with the first, and what comes in its place. In a list of lines it is a pattern, and nothing
/// becomes of several lines like that.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Also {
    pub at: Value,
    pub transform: Option<Value>,
    pub replace: String,
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// A line that goes with the first, and what it becomes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlsoLine {
    pub line: Pattern,
    pub becomes: String,
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
    /// Other files, where it takes them too.
    #[serde(default)]
    pub beside: BTreeMap<String, Beside>,
}

/// Another file of an example; it stays where nothing comes after.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    pub before: String,
    pub after: Option<String>,
}
