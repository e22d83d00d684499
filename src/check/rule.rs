//! The rules: data in `rules/<factor>/<id>.yaml`, read and compiled here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::OnceLock;

use ast_grep_config::{DeserializeEnv, GlobalRules, RuleCore, SerializableRuleCore};
use ast_grep_core::{Language as _, Matcher, Pattern as CodePattern};
use include_dir::{Dir, DirEntry, File, include_dir};
use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::facts::run::Role;
use super::facts::setting::Origin;
use super::finding::{Confidence, Polarity, Severity};
use super::language::{Grammar, Language};
use super::scan::Scanner;
use crate::error::{Error, Result};
use crate::factor::Factor;
use crate::mend::recipe::Recipe;
use crate::pattern::Pattern;

static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/check/rules");

/// So many lines speak for a factor at most; the rest says the same again.
pub const MAX_SUPPORT: usize = 12;

/// Which code a rule of syntax looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// What a long-running process can reach.
    #[default]
    Served,
    /// That, and what is run once by hand: no tests, nothing that somebody else wrote.
    Own,
    /// What is run once by hand.
    Task,
}

/// A rule, as its file says it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub id: String,
    pub factor: Factor,
    #[serde(default)]
    pub polarity: Polarity,
    #[serde(default = "no_weight")]
    pub severity: Severity,
    #[serde(default)]
    pub confidence: Confidence,
    /// One line, on the finding; `{}` is what it was found for.
    pub message: String,
    /// What it breaks in practice.
    #[serde(default)]
    pub why: String,
    /// The change that mends it.
    #[serde(default)]
    pub fix: String,

    /// For a rule of syntax: its languages.
    #[serde(default)]
    pub languages: Vec<Language>,
    #[serde(default)]
    pub scope: Scope,
    /// A file without any of these words is not parsed for it.
    #[serde(default)]
    pub words: Vec<String>,
    /// Nor is one that this does not match.
    #[serde(default)]
    pub only_if: Option<Pattern>,
    /// It holds only where one of these packages is declared.
    #[serde(default)]
    pub packages: Vec<String>,
    /// What is matched, in ast-grep's language. For each grammar, the alternatives that another one has are left out.
    pub rule: Option<Value>,
    #[serde(default)]
    pub constraints: BTreeMap<String, Value>,
    /// All of its marks count, and not only that there are some: for what speaks for a factor.
    #[serde(default)]
    pub exhaustive: bool,
    /// The meta variable of which the text goes into the message.
    pub names: Option<String>,
    /// The value in it is a secret: nothing prints it.
    #[serde(default)]
    pub secret: bool,
    /// How `add` mends it: the first that fits the place does.
    #[serde(default)]
    pub mends: Vec<Recipe>,
    /// The rules whose recipes mend it too.
    #[serde(default)]
    pub mends_of: Vec<String>,

    /// For a rule of what is run: a regular expression on a command.
    pub command: Option<CommandPattern>,
    /// For a rule of Dockerfiles.
    pub instruction: Option<InstructionPattern>,
    /// For a rule of names with values: in `.env`, compose, Dockerfile, configuration files.
    pub setting: Option<SettingPattern>,

    /// For a rule of pipelines: a regular expression on a line that one runs.
    #[serde(default)]
    pub pipeline: Option<Pattern>,

    /// Texts in which it finds nothing.
    #[serde(default)]
    pub valid: Vec<String>,
    /// Texts in which it finds something.
    #[serde(default)]
    pub invalid: Vec<String>,
    /// How the file is called where that decides; for the examples.
    #[serde(skip)]
    pub path: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandPattern {
    #[serde(default)]
    pub roles: Vec<Role>,
    pub matches: Pattern,
    #[serde(default)]
    pub unless: Option<Pattern>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstructionPattern {
    pub names: Vec<String>,
    pub matches: Pattern,
    #[serde(default)]
    pub unless: Option<Pattern>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingPattern {
    /// Where it may stand; everywhere where none is named.
    #[serde(default)]
    pub origins: Vec<Origin>,
    pub name: Pattern,
    #[serde(default)]
    pub unless_name: Option<Pattern>,
    #[serde(default)]
    pub value: Option<Pattern>,
    #[serde(default)]
    pub unless_value: Option<Pattern>,
}

const fn no_weight() -> Severity {
    Severity::Info
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A rule for one grammar.
pub struct Compiled {
    pub matcher: RuleCore,
    /// The kinds of nodes that it may match.
    pub kinds: HashSet<usize>,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").finish_non_exhaustive()
    }
}

/// Every rule of this build.
#[derive(Debug)]
pub struct Rules {
    all: Vec<Rule>,
    by_id: BTreeMap<String, usize>,
    scanners: [OnceLock<Scanner>; Grammar::ALL.len()],
}

impl Rules {
    /// # Errors
    /// An embedded rule is broken: a defect of this build.
    pub fn load() -> Result<Self> {
        let mut files = Vec::new();
        collect(&EMBEDDED, &mut files);
        let mut all = files.into_par_iter().map(read).collect::<Result<Vec<_>>>()?;
        all.sort_by(|a, b| (a.factor, &a.id).cmp(&(b.factor, &b.id)));
        let by_id = all.iter().enumerate().map(|(at, rule)| (rule.id.clone(), at)).collect();
        Ok(Self { all, by_id, scanners: Default::default() })
    }

    #[must_use]
    pub fn all(&self) -> &[Rule] {
        &self.all
    }

    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Rule> {
        self.all.get(*self.by_id.get(id)?)
    }

    /// The rule that code in this folder applies.
    ///
    /// # Errors
    /// It is not there: a defect of this build.
    pub fn get(&self, id: &str) -> Result<&Rule> {
        self.find(id).ok_or_else(|| Error::Embedded {
            path: format!("rules/*/{id}.yaml"),
            reason: "it is missing".to_owned(),
        })
    }

    /// What runs the rules of syntax of one grammar.
    ///
    /// # Errors
    /// The embedded rules are broken: a defect of this build.
    pub fn scanner(&self, grammar: Grammar) -> Result<&Scanner> {
        let cell = &self.scanners[grammar as usize];
        if let Some(scanner) = cell.get() {
            return Ok(scanner);
        }
        let scanner = Scanner::new(&self.all, grammar)?;
        Ok(cell.get_or_init(|| scanner))
    }
}

impl Rule {
    /// Whether a few marks of it say as much as all.
    #[must_use]
    pub fn is_enough(&self, marks: usize) -> bool {
        self.polarity == Polarity::For && !self.exhaustive && marks >= MAX_SUPPORT
    }

    /// The rule as one grammar has it; nothing where that has none of its alternatives.
    ///
    /// # Errors
    /// The rule is broken: a defect of this build.
    pub fn compile(&self, grammar: Grammar) -> Result<Option<Compiled>> {
        let Some(body) = &self.rule else { return Ok(None) };
        compile(
            &Syntax { path: &self.path, body, constraints: &self.constraints, transform: None },
            grammar,
        )
    }
}

/// What is matched in a syntax tree, as a file says it.
#[derive(Debug)]
pub struct Syntax<'s> {
    /// The rule's file.
    pub path: &'s str,
    pub body: &'s Value,
    pub constraints: &'s BTreeMap<String, Value>,
    /// Meta variables that are made from others.
    pub transform: Option<&'s Value>,
}

/// It for one grammar; nothing where that has none of its alternatives.
///
/// # Errors
/// It is broken: a defect of this build.
pub fn compile(syntax: &Syntax<'_>, grammar: Grammar) -> Result<Option<Compiled>> {
    let path = syntax.path;
    let Some(body) = adapt(syntax.body, grammar) else { return Ok(None) };
    let mut constraints = HashMap::new();
    for (name, constraint) in syntax.constraints {
        if let Some(constraint) = adapt(constraint, grammar) {
            constraints.insert(name.clone(), parse(path, constraint)?);
        }
    }
    let core = SerializableRuleCore {
        rule: parse(path, body)?,
        constraints: Some(constraints),
        utils: None,
        transform: syntax.transform.map(|it| parse(path, it.clone())).transpose()?,
    };
    let globals = GlobalRules::default();
    let environment = DeserializeEnv::new(grammar).with_globals(&globals);
    let matcher = core.get_matcher(environment).map_err(|error| broken(path, &chain(&error)))?;
    match matcher.potential_kinds() {
        Some(kinds) => Ok(Some(Compiled { matcher, kinds: kinds.iter().collect() })),
        None => Err(broken(path, "it matches no certain kind of node")),
    }
}

fn parse<T: DeserializeOwned>(path: &str, body: Value) -> Result<T> {
    serde_json::from_value(body).map_err(|error| broken(path, &error.to_string()))
}

/// A rule as one grammar can have it: without the alternatives of `any` that name what other languages have.
/// Nothing where nothing is left.
fn adapt(body: &Value, grammar: Grammar) -> Option<Value> {
    let Value::Object(fields) = body else { return Some(body.clone()) };
    let mut adapted = serde_json::Map::new();
    for (key, value) in fields {
        let value = match (key.as_str(), value) {
            ("kind", Value::String(kind)) if grammar.kind_to_id(kind) == 0 => return None,
            ("pattern", Value::String(text)) => {
                CodePattern::try_new(text, grammar).ok().filter(|pattern| !pattern.has_error())?;
                value.clone()
            }
            ("any", Value::Array(items)) => {
                let left: Vec<Value> =
                    items.iter().filter_map(|item| adapt(item, grammar)).collect();
                if left.is_empty() {
                    return None;
                }
                Value::Array(left)
            }
            ("all", Value::Array(items)) => {
                let is_only_not = |item: &Value| {
                    item.as_object().is_some_and(|item| item.len() == 1 && item.contains_key("not"))
                };
                let left = items.iter().map(|item| match adapt(item, grammar) {
                    None if is_only_not(item) => Some(None),
                    None => None,
                    some => Some(some),
                });
                Value::Array(left.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
            }
            ("not", inner) => match adapt(inner, grammar) {
                Some(inner) => inner,
                // What cannot be is not.
                None => continue,
            },
            ("has" | "inside" | "precedes" | "follows", inner) => {
                if let Some(field) = inner.get("field").and_then(Value::as_str) {
                    grammar.field_to_id(field)?;
                }
                adapt(inner, grammar)?
            }
            _ => value.clone(),
        };
        adapted.insert(key.clone(), value);
    }
    // `all: [not: …]` of which nothing is left says nothing, and matches nothing.
    (!adapted.is_empty() || fields.is_empty()).then_some(Value::Object(adapted))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn broken(path: &str, reason: &str) -> Error {
    Error::Embedded { path: format!("rules/{path}"), reason: reason.to_owned() }
}

fn collect<'d>(folder: &'d Dir<'d>, files: &mut Vec<&'d File<'d>>) {
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(inner) => collect(inner, files),
            DirEntry::File(file) => files.push(file),
        }
    }
}

fn read(file: &File<'_>) -> Result<Rule> {
    let path = file.path().to_string_lossy().into_owned();
    let text = file.contents_utf8().ok_or_else(|| broken(&path, "it is not UTF-8"))?;
    let mut rule: Rule =
        ast_grep_config::from_str(text).map_err(|error| broken(&path, &error.to_string()))?;
    if path != format!("{}/{}.yaml", rule.factor, rule.id) {
        return Err(broken(&path, "its folder and name are not its factor and id"));
    }
    rule.path = path;
    Ok(rule)
}
