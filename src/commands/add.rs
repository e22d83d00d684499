//! `dozen add`: from what a repository is to what it lacks of some factors.

use std::collections::BTreeSet;

use crate::answers::record;
use crate::cli::Add;
use crate::error::{Error, ExitCode, Result};
use crate::factor::Factor;
use crate::plan::{self, Plan};
use crate::service::detect;
use crate::tree::Tree;
use crate::ui::{PlanReport, Ui};
use crate::{apply, interrupt, templates};

pub fn run(arguments: &Add, ui: &Ui) -> Result<ExitCode> {
    let factors =
        arguments.factors.iter().map(|text| text.parse()).collect::<Result<BTreeSet<Factor>>>()?;
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

    let output = arguments.output;
    let applies = !output.dry_run && plan.conflicts.is_empty();
    if applies {
        interrupt::listen();
        apply::apply(&plan)?;
    }
    if output.json {
        let answers = record::read_recorded(&tree)?;
        ui.json(&PlanReport::new(&plan, answers, applies))?;
    } else {
        show(&plan, arguments, &factors, ui)?;
    }
    Ok(if plan.conflicts.is_empty() { ExitCode::Done } else { ExitCode::Conflict })
}

fn show(plan: &Plan, arguments: &Add, factors: &BTreeSet<Factor>, ui: &Ui) -> Result<()> {
    if plan.is_empty() {
        ui.line("Nothing to add: no file of these factors is missing.")?;
        for factor in factors {
            ui.line(format!("  dozen explain {factor}  says what it asks of the code"))?;
        }
        return Ok(());
    }
    if arguments.output.diff {
        ui.diff(plan)?;
    }
    let is_done = !arguments.output.dry_run && plan.conflicts.is_empty();
    ui.heading(if is_done { "Changed" } else { "Would change" })?;
    ui.plan(plan)?;
    if !plan.conflicts.is_empty() {
        ui.note(
            "Nothing was written. Make the changes marked `conflict` by hand, then run the command again.",
        );
    }
    Ok(())
}
