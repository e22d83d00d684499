//! Owns the facts of a stack: how it installs, checks, tests and builds; where its programs and caches are.

use std::path::Path;

use anyhow::{Context as _, Result};
use dozen::answers::question::Question;
use dozen::answers::{Draft, Source};
use dozen::service::{Facts, Service};

use crate::project::NAME;

#[derive(Debug)]
pub struct Stack {
    pub name: String,
    pub commands: Commands,
    /// The folder of the installed programs, first on PATH.
    pub bin: String,
    /// The lock file.
    pub lock: String,
    /// Names of an interpreter's caches, which may appear beside the app's files.
    pub caches: Vec<String>,
    /// What the README says to run to delete the example, as lines for a shell.
    pub remove_example: Vec<String>,
    /// The variables that it declares beside those that every stack has.
    pub own_variables: Vec<String>,
    /// Adds a migration whose SQL fails: a script for a shell.
    pub add_failing_migration: String,
}

#[derive(Debug)]
pub struct Commands {
    pub install: String,
    pub build: Option<String>,
    pub check: Vec<String>,
    pub test: Option<String>,
}

impl Stack {
    /// The facts that `dozen new` renders from.
    pub fn read(name: &str) -> Result<Self> {
        let mut draft = Draft::new(Question::all()?);
        draft.offer("name", NAME, Source::Default)?;
        draft.offer("stack", name, Source::Default)?;
        draft.fill_defaults();
        let Facts { commands, bin, lock, caches, example, .. } =
            Service::from_answers(&draft.complete()?)?.facts;
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/contract/stacks")
            .join(format!("{name}-failing-migration.sh"));
        Ok(Self {
            name: name.to_owned(),
            commands: Commands {
                install: commands.install.context("the stack installs by no command")?,
                build: commands.build,
                check: commands.check,
                test: commands.test,
            },
            bin: bin.context("the stack has no folder of programs")?,
            lock: lock.context("the stack has no lock file")?,
            caches,
            remove_example: example.into_iter().map(|step| step.run).collect(),
            own_variables: Self::own_variables(name)?,
            add_failing_migration: std::fs::read_to_string(&script)
                .with_context(|| format!("read {}", script.display()))?,
        })
    }

    /// The names in the `variables.toml` of its own layers.
    fn own_variables(name: &str) -> Result<Vec<String>> {
        let layers = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates").join(name);
        let mut names = Vec::new();
        for layer in std::fs::read_dir(layers)? {
            let Ok(text) = std::fs::read_to_string(layer?.path().join("variables.toml")) else {
                continue;
            };
            names.extend(text.lines().filter_map(|line| {
                Some(line.strip_prefix("name = \"")?.strip_suffix('"')?.to_owned())
            }));
        }
        Ok(names)
    }

    /// The stacks of this dozen.
    pub fn names() -> Result<Vec<String>> {
        Ok(dozen::stack::Stack::all()?.into_iter().map(|stack| stack.slug).collect())
    }
}
