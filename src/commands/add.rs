//! `dozen add`: from what a repository is to what it lacks of some factors.

use std::collections::BTreeSet;

use super::settle::{self, Ending};
use crate::answers::record;
use crate::cli::{self, Add};
use crate::error::{Error, ExitCode, Result};
use crate::factor::Factor;
use crate::plan;
use crate::service::detect;
use crate::templates;
use crate::tree::Tree;
use crate::ui::{PlanReport, Ui};

pub fn run(arguments: &Add, ui: &Ui) -> Result<ExitCode> {
    let factors = select(&arguments.factors)?;
    let root = arguments
        .path
        .canonicalize()
        .map_err(|error| Error::Unreadable { path: arguments.path.clone(), error })?;
    super::recover(&root, ui)?;
    let tree = Tree::read(&root)?;
    let service = detect::detect(&tree, &root, arguments.stack.as_deref())?;
    let layers: Vec<_> =
        factors.iter().flat_map(|&factor| templates::find_layer(&service.stack, factor)).collect();
    let plan = plan::plan(root, &tree, templates::render(&layers, &service)?);

    let has_work = !plan.is_empty();
    let settled = settle::settle(plan, &arguments.writing, arguments.output, ui)?;
    if arguments.output.json {
        let answers = record::read_recorded(&tree)?;
        let is_applied = settled.ending == Ending::Applied;
        ui.json(&PlanReport::new(&settled.plan, answers, is_applied))?;
    } else if has_work {
        settle::show(&settled, &arguments.writing, ui)?;
    } else if settled.ending != Ending::Patched {
        show_nothing(&factors, ui)?;
    }
    Ok(settled.exit_code())
}

/// The factors that are named: all twelve where none is.
fn select(named: &[String]) -> Result<BTreeSet<Factor>> {
    if named.is_empty() || named.iter().any(|name| name == cli::ALL) {
        return Ok(Factor::ALL.into());
    }
    named.iter().map(|text| text.parse()).collect()
}

fn show_nothing(factors: &BTreeSet<Factor>, ui: &Ui) -> Result<()> {
    ui.line("Nothing to add: no file of these factors is missing.")?;
    for factor in factors {
        ui.line(format!("  dozen explain {factor}  says what it asks of the code"))?;
    }
    Ok(())
}
