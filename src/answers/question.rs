//! The questions that `new` asks: name, stack, and what `templates/options.toml` lists.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::stack::Stack;
use crate::templates;

/// The keys of the two questions that are no options.
pub const NAME: &str = "name";
pub const STACK: &str = "stack";

/// A question with its choices; the name has none, as any text may be given.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    pub key: String,
    pub prompt: String,
    pub about: String,
    pub default: Option<String>,
    #[serde(default, rename = "choice")]
    pub choices: Vec<Choice>,
    /// Whether a terminal is asked; else its default holds until it is changed.
    #[serde(default = "yes")]
    pub asked: bool,
}

const fn yes() -> bool {
    true
}

/// What may be answered, and what templates may say of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Choice {
    pub value: String,
    pub title: String,
    pub about: String,
    #[serde(flatten)]
    pub facts: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OptionsFile {
    option: Vec<Question>,
}

impl Question {
    /// The questions in the order in which they are asked.
    ///
    /// # Errors
    /// An embedded file is broken: a defect of this build.
    pub fn all() -> Result<Vec<Self>> {
        let name = Self {
            key: NAME.into(),
            prompt: "Name".into(),
            about: "The name of the service".into(),
            default: None,
            choices: Vec::new(),
            asked: true,
        };
        let stack = Self {
            key: STACK.into(),
            prompt: "Stack".into(),
            about: "The language and framework".into(),
            default: None,
            choices: Stack::all()?
                .into_iter()
                .map(|stack| Choice {
                    value: stack.slug,
                    title: stack.title,
                    about: stack.about,
                    facts: BTreeMap::new(),
                })
                .collect(),
            asked: true,
        };
        let mut questions = vec![name, stack];
        questions.extend(Self::options()?);
        Ok(questions)
    }

    /// The questions beside name and stack.
    ///
    /// # Errors
    /// The embedded `options.toml` is broken: a defect of this build.
    pub fn options() -> Result<Vec<Self>> {
        Ok(templates::read_data::<OptionsFile>("options.toml")?.option)
    }

    #[must_use]
    pub fn find_choice(&self, value: &str) -> Option<&Choice> {
        self.choices.iter().find(|choice| choice.value == value)
    }

    /// `--database`, or `NAME` for the argument that has no flag.
    #[must_use]
    pub fn flag(&self) -> String {
        if self.key == NAME { "NAME".into() } else { format!("--{}", self.key) }
    }

    /// `DOZEN_DATABASE`
    #[must_use]
    pub fn variable(&self) -> String {
        format!("DOZEN_{}", self.key.to_uppercase())
    }

    #[must_use]
    pub fn values(&self) -> Vec<&str> {
        self.choices.iter().map(|choice| choice.value.as_str()).collect()
    }
}
