//! The noun that every verb shares: what a repository is to run, as plain data.

pub mod detect;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tera::Context;

use crate::answers::Answers;
use crate::answers::name::Name;
use crate::answers::question::{Choice, Question};
use crate::error::Result;
use crate::factor::{Description, Factor};
use crate::stack::Stack;
use crate::templates;

/// What templates render from. What is not known is absent, and a template says nothing of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Service {
    /// As it was given, such as `Shop`.
    pub name: String,
    /// `my-shop`: for packages, images, Kubernetes.
    pub slug: String,
    /// `my_shop`: for modules and databases.
    pub package: String,
    /// The stack's slug.
    pub stack: String,
    #[serde(flatten)]
    pub facts: Facts,
    /// Sorted: required ones first, then by factor.
    pub variables: Vec<Variable>,
    /// The choice of each option by its key, such as `database`, with all that is known of it.
    #[serde(flatten)]
    pub choices: BTreeMap<String, Choice>,
    /// The value of each choice, to look up; Tera walks a map in no order.
    pub options: BTreeMap<String, String>,
    /// The answers that `dozen.toml` records, in the order of the questions.
    pub answers: Vec<Recorded>,
    /// The twelve, with what dozen does for each in this stack.
    pub factors: Vec<FactorText>,
    /// The version of this dozen.
    pub version: &'static str,
    /// Where what was detected was learnt: a field's name to a path. Empty where it was answered.
    pub learnt: BTreeMap<&'static str, String>,
}

/// What a stack's `service.toml` says for a service of that name, or what a repository tells.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    pub framework: Option<String>,
    pub package_manager: Option<String>,
    /// The lock file's path.
    pub lock: Option<String>,
    /// Columns of an indent in its sources.
    pub indent: Option<u8>,
    /// Where the locked install puts executables, relative to the root.
    pub bin: Option<String>,
    pub runtime: Option<Runtime>,
    pub commands: Commands,
    /// The long-running ones, in the order of the Procfile.
    pub processes: Vec<Process>,
    pub tasks: Vec<Process>,
    pub backing: Vec<Backing>,
    /// What to run after `new`, one command a line.
    pub next: Vec<String>,
    /// How the example is removed, step by step.
    pub example: Vec<Step>,
    /// What the service is, in a sentence.
    pub about: String,
    /// What else there is to say of running it, a paragraph each.
    pub remarks: Vec<String>,
    /// What has to be on a developer's machine beside Docker and make.
    pub needs: String,
    /// What an interpreter may write into the tree while it runs.
    pub caches: Vec<String>,
    pub image: Image,
}

/// What a container image is made from.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Image {
    /// The files and folders that its build reads; nothing where that is not known.
    pub context: Vec<String>,
    /// What of the build's `/app` runs; all of it where that is not known.
    pub artifact: Vec<String>,
    /// What changes in development while it runs.
    pub watch: Vec<Watch>,
}

/// What compose does where a source changes (`develop.watch`).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    pub path: String,
    pub action: String,
    /// Where it goes in the container, absolute; none where the image is built again.
    #[serde(default)]
    pub target: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// `Python`
    pub name: String,
    /// The oldest that works.
    pub minimum: String,
    /// The one that images and pipelines take.
    pub version: String,
}

/// Command lines that run as they stand in the root, without a shell's help.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Commands {
    pub install: Option<String>,
    pub build: Option<String>,
    /// What is built instead on a developer's machine.
    pub build_dev: Option<String>,
    /// Linters and type checkers.
    pub check: Vec<String>,
    pub format: Vec<String>,
    pub test: Option<String>,
    pub migrate: Option<String>,
    /// Fails where the models say something that no migration does.
    pub drift: Option<String>,
    /// Ends with 0 where `web` serves, on the port that `PORT` names.
    pub health: Option<String>,
    /// Writes a migration called `$(message)`.
    pub migration: Option<String>,
    /// What that migration is made from, as the README says it.
    pub migration_about: Option<String>,
    /// What the others are started with in development, so that they find their executables and `.env`.
    pub run: Option<String>,
    /// The program that `run` begins with and the others too, where it is to stand there only once.
    pub program: Option<String>,
    /// Starts the process `$@` again whenever a source changes.
    pub watch: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    pub name: String,
    pub command: String,
    #[serde(default)]
    pub about: String,
}

/// A step that a person takes, with the shell line that does it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub about: String,
    pub run: String,
}

/// A service that is attached by a URL.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Backing {
    /// Its name in compose.
    pub name: String,
    /// The slug of its engine, such as `postgres`.
    pub engine: String,
    pub image: String,
    pub port: u16,
    /// The variable with its URL.
    pub variable: String,
    /// Its URL for the containers that run beside it.
    pub url: String,
    /// The folder with its data, below the one that is kept; nothing where that is it.
    #[serde(default)]
    pub data: String,
    /// Whether a compose file starts one already.
    #[serde(default)]
    pub is_there: bool,
}

/// An environment variable that the service reads.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    pub name: String,
    #[serde(default)]
    pub about: String,
    #[serde(default)]
    pub required: bool,
    #[serde(default)]
    pub secret: bool,
    #[serde(default)]
    pub default: Option<String>,
    /// A value for development; never for a secret.
    #[serde(default)]
    pub example: Option<String>,
    /// A value for production, where the default is for development.
    #[serde(default)]
    pub production: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Recorded {
    pub key: String,
    pub value: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct FactorText {
    pub slug: Factor,
    #[serde(flatten)]
    pub description: Description,
    /// What dozen does for it, in this stack.
    pub does: String,
}

/// What every stack's `service.toml` is continued with.
const COMMON_FACTS: &str = "common/service.toml";

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct VariablesFile {
    variable: Vec<Variable>,
}

impl Service {
    /// The service that `new` makes from these answers.
    ///
    /// # Errors
    /// An embedded file is broken: a defect of this build.
    pub fn from_answers(answers: &Answers) -> Result<Self> {
        let mut service = Self::name(&answers.name, &answers.stack)?;
        for (question, value) in &answers.options {
            service.choose(question, value);
        }
        service.answers = answers
            .entries()
            .map(|(key, value)| Recorded { key: key.to_owned(), value: value.to_owned() })
            .collect();
        let context = templates::context(&service)?;
        let own = format!("{}/service.toml", service.stack);
        service.facts = templates::render_data(&[&own, COMMON_FACTS], &context)?;
        service.variables = declare_variables(&service.stack, &context)?;
        Ok(service)
    }

    /// A service of which nothing is known yet but its name and stack.
    fn name(name: &Name, stack: &Stack) -> Result<Self> {
        let factors = Factor::describe_all()?
            .into_iter()
            .map(|(slug, description)| FactorText {
                slug,
                description,
                does: stack.does.get(&slug).cloned().unwrap_or_default(),
            })
            .collect();
        Ok(Self {
            name: name.name.clone(),
            slug: name.slug.clone(),
            package: name.package.clone(),
            stack: stack.slug.clone(),
            factors,
            version: env!("CARGO_PKG_VERSION"),
            ..Self::default()
        })
    }

    fn choose(&mut self, question: &Question, value: &str) {
        if let Some(choice) = question.find_choice(value) {
            self.choices.insert(question.key.clone(), choice.clone());
            self.options.insert(question.key.clone(), value.to_owned());
        }
    }

    /// The engines that the common layer can attach, for what is chosen.
    fn describe_backing(&self) -> Result<Vec<Backing>> {
        let facts: Facts = templates::render_data(&[COMMON_FACTS], &templates::context(self)?)?;
        Ok(facts.backing)
    }
}

/// The variables that the layers of a stack declare, sorted. A stack may have its own words for a common one.
fn declare_variables(stack: &str, context: &Context) -> Result<Vec<Variable>> {
    let mut variables: Vec<Variable> = Vec::new();
    for path in templates::find_layer_data(stack, "variables.toml") {
        for variable in templates::render_data::<VariablesFile>(&[&path], context)?.variable {
            match variables.iter_mut().find(|known| known.name == variable.name) {
                Some(known) => *known = variable,
                None => variables.push(variable),
            }
        }
    }
    variables.sort_by_key(|variable| !variable.required);
    Ok(variables)
}
