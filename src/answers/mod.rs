//! What was chosen and from where: flag, environment, answers file, the user's own defaults, default.

pub mod name;
pub mod question;
pub mod record;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::stack::Stack;
use name::Name;
use question::{NAME, Question, STACK};

/// Where an answer was learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Flag(String),
    Environment(String),
    File(PathBuf),
    UserConfig(PathBuf),
    Prompt,
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Environment(variable) => write!(f, "{variable}"),
            Self::File(path) | Self::UserConfig(path) => write!(f, "{}", path.display()),
            Self::Prompt => write!(f, "your answer"),
            Self::Default => write!(f, "default"),
        }
    }
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub value: String,
    pub source: Source,
}

/// What is answered so far, each answer valid by itself.
#[derive(Clone, Debug)]
pub struct Draft {
    questions: Vec<Question>,
    given: BTreeMap<String, Answer>,
}

/// Every question answered.
#[derive(Clone, Debug)]
pub struct Answers {
    pub name: Name,
    pub stack: Stack,
    /// What is chosen of each option, in the order of the questions.
    pub options: Vec<(Question, String)>,
    sources: BTreeMap<String, Source>,
}

impl Draft {
    #[must_use]
    pub const fn new(questions: Vec<Question>) -> Self {
        Self { questions, given: BTreeMap::new() }
    }

    #[must_use]
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Answer> {
        self.given.get(key)
    }

    /// Takes an answer unless one is there already: offer the strongest source first.
    ///
    /// # Errors
    /// There is no such question, or that is none of its choices.
    pub fn offer(&mut self, key: &str, value: &str, source: Source) -> Result<()> {
        self.check(key, value, &source)?;
        self.given
            .entry(key.to_owned())
            .or_insert_with(|| Answer { value: value.to_owned(), source });
        Ok(())
    }

    /// Takes an answer in the place of the one that is there.
    pub fn replace(&mut self, key: &str, value: String) {
        let answer = Answer { value, source: Source::Prompt };
        self.given.insert(key.to_owned(), answer);
    }

    fn check(&self, key: &str, value: &str, source: &Source) -> Result<()> {
        let question = self.questions.iter().find(|question| question.key == key);
        let Some(question) = question else {
            return Err(Error::UnknownAnswer {
                key: key.to_owned(),
                by: source.to_string(),
                known: self.questions.iter().map(|q| q.key.clone()).collect(),
            });
        };
        if question.choices.is_empty() || question.find_choice(value).is_some() {
            return Ok(());
        }
        Err(Error::UnknownChoice {
            key: key.to_owned(),
            given: value.to_owned(),
            by: source.to_string(),
            known: question.choices.iter().map(|c| c.value.clone()).collect(),
        })
    }

    /// Offers each entry of a flat TOML table, or of its `[answers]` where it has one.
    ///
    /// # Errors
    /// The file cannot be read or is no TOML; a key or a value in it is unknown.
    pub fn offer_file(&mut self, path: &Path, source: &Source) -> Result<()> {
        let text = record::read_text(path)?;
        for (key, value) in record::parse_answers(path, &text)? {
            self.offer(&key, &value, source.clone())?;
        }
        Ok(())
    }

    /// Answers what is open with the defaults.
    pub fn fill_defaults(&mut self) {
        self.fill(|_| true);
    }

    fn fill(&mut self, wanted: fn(&Question) -> bool) {
        for question in self.questions.iter().filter(|question| wanted(question)) {
            if let Some(default) = &question.default {
                self.given
                    .entry(question.key.clone())
                    .or_insert_with(|| Answer { value: default.clone(), source: Source::Default });
            }
        }
    }

    /// Checks a name by the rules of the stack that is chosen; before one is, by those of all.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn check_name(&self, given: &str) -> Result<Name> {
        let (stack, reserved) = match self.get(STACK) {
            None => ("any".to_owned(), Vec::new()),
            Some(answer) => {
                let stack = Stack::find(&answer.value)?;
                let reserved = stack.reserved()?;
                (stack.title, reserved)
            }
        };
        Name::parse(given, &reserved).map_err(|rejection| Error::Name {
            given: given.to_owned(),
            stack,
            rejection,
        })
    }

    /// The answers, if none is missing.
    ///
    /// # Errors
    /// All the questions that are open, in one; or the rule that the name breaks.
    pub fn complete(&self) -> Result<Answers> {
        let mut draft = self.clone();
        draft.fill(|question| !question.asked);
        draft.complete_filled()
    }

    fn complete_filled(self) -> Result<Answers> {
        let open: Vec<_> = self
            .questions
            .iter()
            .filter(|question| !self.given.contains_key(&question.key))
            .cloned()
            .collect();
        if !open.is_empty() {
            return Err(Error::Unanswered(open));
        }
        let stack = Stack::find(&self.given[STACK].value)?;
        let name = self.check_name(&self.given[NAME].value)?;
        let options = self
            .questions
            .iter()
            .filter(|question| question.key != NAME && question.key != STACK)
            .map(|question| (question.clone(), self.given[&question.key].value.clone()))
            .collect();
        Ok(Answers {
            name,
            stack,
            options,
            sources: self
                .given
                .iter()
                .map(|(key, answer)| (key.clone(), answer.source.clone()))
                .collect(),
        })
    }
}

impl Answers {
    /// Key and value of every question, in their order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        [(NAME, self.name.name.as_str()), (STACK, self.stack.slug.as_str())].into_iter().chain(
            self.options.iter().map(|(question, value)| (question.key.as_str(), value.as_str())),
        )
    }

    #[must_use]
    pub fn source(&self, key: &str) -> Option<&Source> {
        self.sources.get(key)
    }
}

impl Serialize for Answers {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.entries())
    }
}
