//! Owns the facts of a stack that `dozen prove` has no use for: its own checks and tests, how the example goes.

use anyhow::{Context as _, Result};
use dozen::answers::question::Question;
use dozen::answers::{Draft, Source};
use dozen::service::{Facts, Service};

use crate::project::NAME;

#[derive(Debug)]
pub struct Stack {
    pub name: String,
    /// Linters and type checkers.
    pub check: Vec<String>,
    pub test: Option<String>,
    pub install: String,
    /// The folder of the installed programs.
    pub bin: String,
    /// What the README says to run to delete the example, as lines for a shell.
    pub remove_example: Vec<String>,
}

impl Stack {
    /// The facts that `dozen new` renders from.
    pub fn read(name: &str) -> Result<Self> {
        let mut draft = Draft::new(Question::all()?);
        draft.offer("name", NAME, Source::Default)?;
        draft.offer("stack", name, Source::Default)?;
        draft.fill_defaults();
        let Facts { commands, bin, example, .. } = Service::from_answers(&draft.complete()?)?.facts;
        Ok(Self {
            name: name.to_owned(),
            check: commands.check,
            test: commands.test,
            install: commands.install.context("the stack installs by no command")?,
            bin: bin.context("the stack has no folder of programs")?,
            remove_example: example.into_iter().map(|step| step.run).collect(),
        })
    }

    /// The stacks of this dozen.
    pub fn names() -> Result<Vec<String>> {
        Ok(dozen::stack::Stack::all()?.into_iter().map(|stack| stack.slug).collect())
    }
}
