//! `dozen list`: the factors, the stacks and the options.

use serde::Serialize;

use crate::answers::question::{Choice, Question};
use crate::cli::List;
use crate::error::{ExitCode, Result};
use crate::factor::{Description, Factor};
use crate::stack::Stack;
use crate::ui::{Report, Ui};

#[derive(Serialize)]
struct Catalogue {
    factors: Vec<ListedFactor>,
    stacks: Vec<ListedStack>,
    options: Vec<ListedOption>,
}

#[derive(Serialize)]
struct ListedFactor {
    factor: Factor,
    #[serde(flatten)]
    description: Description,
}

#[derive(Serialize)]
struct ListedStack {
    stack: String,
    title: String,
    about: String,
}

#[derive(Serialize)]
struct ListedOption {
    option: String,
    about: String,
    default: Option<String>,
    choices: Vec<Choice>,
}

pub fn run(arguments: &List, ui: &Ui) -> Result<ExitCode> {
    let catalogue = read_catalogue()?;
    if arguments.json {
        ui.json(&Report::new(catalogue))?;
        return Ok(ExitCode::Done);
    }
    ui.heading("Factors")?;
    let factors = catalogue.factors.iter();
    ui.rows(factors.map(|listed| [listed.factor.slug(), listed.description.summary(), ""]))?;
    ui.line("")?;
    ui.heading("Stacks")?;
    let stacks = catalogue.stacks.iter();
    ui.rows(stacks.map(|listed| [listed.stack.as_str(), &listed.about, ""]))?;
    for option in &catalogue.options {
        ui.line("")?;
        ui.heading(&format!("--{}", option.option))?;
        ui.rows(option.choices.iter().map(|choice| {
            let is_default = option.default.as_ref() == Some(&choice.value);
            let note = if is_default { "default" } else { "" };
            [choice.value.as_str(), &choice.title, note]
        }))?;
    }
    Ok(ExitCode::Done)
}

fn read_catalogue() -> Result<Catalogue> {
    Ok(Catalogue {
        factors: Factor::describe_all()?
            .into_iter()
            .map(|(factor, description)| ListedFactor { factor, description })
            .collect(),
        stacks: Stack::all()?
            .into_iter()
            .map(|stack| ListedStack { stack: stack.slug, title: stack.title, about: stack.about })
            .collect(),
        options: Question::options()?
            .into_iter()
            .map(|question| ListedOption {
                option: question.key,
                about: question.about,
                default: question.default,
                choices: question.choices,
            })
            .collect(),
    })
}
