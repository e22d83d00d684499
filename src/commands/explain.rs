//! `dozen explain`: what a factor asks, and what dozen does for it.

use std::path::Path;

use crate::cli::Explain;
use crate::error::{ExitCode, Result};
use crate::factor::Factor;
use crate::service::detect;
use crate::stack::Stack;
use crate::tree::Tree;
use crate::ui::Ui;

pub fn run(arguments: &Explain, ui: &Ui) -> Result<ExitCode> {
    let factor: Factor = arguments.factor.parse()?;
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
