//! `dozen explain`: what a factor asks, and what dozen does for it; or what a rule of `check` finds.

use std::path::Path;

use crate::check::rule::{Rule, Rules};
use crate::cli::Explain;
use crate::error::{Error, ExitCode, Result};
use crate::factor::Factor;
use crate::service::detect;
use crate::stack::Stack;
use crate::tree::Tree;
use crate::ui::Ui;

pub fn run(arguments: &Explain, ui: &Ui) -> Result<ExitCode> {
    let Ok(factor) = arguments.subject.parse::<Factor>() else {
        let rules = Rules::load()?;
        let rule = rules.find(&arguments.subject).ok_or_else(|| Error::UnknownSubject {
            given: arguments.subject.clone(),
            rules: rules.all().iter().map(|rule| rule.id.clone()).collect(),
        })?;
        return explain_rule(rule, ui);
    };
    let here = Path::new(".");
    let stacks = match &arguments.stack {
        Some(slug) => vec![Stack::find(slug)?],
        None => match detect::find_stack(&Tree::read(here)?, here) {
            Ok(stack) => vec![stack],
            Err(_) => Stack::all()?,
        },
    };
    for (described, text) in Factor::describe_all()? {
        if described == factor {
            ui.heading(&text.title)?;
            ui.line(&text.asks)?;
            ui.line(&text.why)?;
        }
    }
    for stack in stacks {
        ui.line("")?;
        ui.heading(&format!("In a {} service that dozen makes", stack.title))?;
        ui.line(stack.does.get(&factor).map_or("", String::as_str))?;
    }
    Ok(ExitCode::Done)
}

fn explain_rule(rule: &Rule, ui: &Ui) -> Result<ExitCode> {
    ui.heading(&format!("{} ({})", rule.id, rule.factor))?;
    ui.line(rule.message.replace("{}", "…"))?;
    for (title, text) in [("What it breaks", &rule.why), ("What mends it", &rule.fix)] {
        if !text.is_empty() {
            ui.line("")?;
            ui.heading(title)?;
            ui.line(text)?;
        }
    }
    if !rule.mends.is_empty() {
        ui.line("")?;
        ui.heading(&format!("What `dozen add {}` does about it", rule.factor))?;
        let mut says: Vec<&str> = rule.mends.iter().map(|recipe| recipe.says.as_str()).collect();
        says.dedup();
        for says in says {
            ui.line(says)?;
        }
    }
    for (title, examples) in [("Finds", &rule.invalid), ("Lets be", &rule.valid)] {
        if !examples.is_empty() {
            ui.line("")?;
            ui.heading(title)?;
        }
        for line in examples.iter().flat_map(|example| example.lines()) {
            ui.line(format!("  {line}"))?;
        }
    }
    ui.line("")?;
    ui.line(format!("To let one be, write beside it: dozen: allow({}) and the reason", rule.id))?;
    Ok(ExitCode::Done)
}
