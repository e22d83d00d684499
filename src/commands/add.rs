//! `dozen add`: from what a repository is to what it lacks of some factors.

use std::collections::BTreeSet;
use std::path::Path;

use super::check::{read_baseline, read_repository};
use crate::answers::record;
use crate::check::allow::BASELINE;
use crate::check::finding::{Report, Verdict};
use crate::check::rule::Rules;
use crate::check::{self};
use crate::cli::Add;
use crate::error::{Error, ExitCode, Result};
use crate::factor::Factor;
use crate::mend::{self, Ground};
use crate::plan::Plan;
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
    let found = Found::read(&root)?;
    let plan = found.plan(&root, &factors, arguments.stack.as_deref())?;

    let output = arguments.output;
    let applies = !output.dry_run && plan.conflicts.is_empty();
    if applies {
        interrupt::listen();
        apply::apply(&plan)?;
    }
    if output.json {
        let answers = record::read_recorded(&found.tree)?;
        ui.json(&PlanReport::new(&plan, answers, applies))?;
    } else {
        show(&plan, arguments, &found.report, &factors, ui)?;
    }
    Ok(if plan.conflicts.is_empty() { ExitCode::Done } else { ExitCode::Conflict })
}

/// A repository and what `check` says of it.
struct Found {
    rules: Rules,
    tree: Tree,
    repository: check::Repository,
    baseline: Option<check::allow::Baseline>,
    report: Report,
}

impl Found {
    fn read(root: &Path) -> Result<Self> {
        let rules = Rules::load()?;
        let (tree, repository) = read_repository(root)?;
        let baseline = read_baseline(&root.join(BASELINE), false)?;
        let report =
            check::check(tree.with(&[]), repository.clone(), &rules, baseline.as_ref(), &[])?;
        Ok(Self { rules, tree, repository, baseline, report })
    }

    /// What is to be done for these factors: nothing for one that is met.
    fn plan(&self, root: &Path, factors: &BTreeSet<Factor>, stack: Option<&str>) -> Result<Plan> {
        let short: BTreeSet<Factor> =
            factors.iter().copied().filter(|factor| !self.is_met(*factor)).collect();
        let service = detect::detect(&self.tree, root, stack)?;
        // A repository of dozen's has every file of a factor, whatever a check can tell without it.
        let lacking = if record::read_recorded(&self.tree)?.is_some() { factors } else { &short };
        let layers: Vec<_> = lacking
            .iter()
            .flat_map(|&factor| templates::find_layer(&service.stack, factor))
            .collect();
        let layers = templates::render(&layers, &service)?;
        let mends = mend::propose(&self.tree, &self.report.findings, &self.rules, &short)?;
        let judge = |tree: Tree| {
            check::check(tree, self.repository.clone(), &self.rules, self.baseline.as_ref(), &[])
        };
        let web = service.facts.processes.iter().find(|process| process.name == "web");
        let web = web.map(|process| process.command.as_str());
        let ground = Ground { root, tree: &self.tree, before: &self.report, web, judge: &judge };
        mend::settle(&ground, &mends, &layers, &short)
    }

    fn is_met(&self, factor: Factor) -> bool {
        let mut said = self.report.factors.iter();
        said.any(|said| said.factor == factor && said.verdict == Verdict::Met)
    }
}

fn show(
    plan: &Plan,
    arguments: &Add,
    report: &Report,
    factors: &BTreeSet<Factor>,
    ui: &Ui,
) -> Result<()> {
    for said in report.factors.iter().filter(|said| factors.contains(&said.factor)) {
        if said.verdict == Verdict::Met
            && !plan.changes.iter().any(|it| it.factor == Some(said.factor))
        {
            ui.line(format!("{} is met: {}", said.factor, said.reason))?;
        }
    }
    if arguments.output.diff {
        ui.diff(plan)?;
    }
    if !plan.is_empty() {
        let is_done = !arguments.output.dry_run && plan.conflicts.is_empty();
        ui.heading(if is_done { "Changed" } else { "Would change" })?;
        ui.plan(plan)?;
    }
    ui.instructions(plan)?;
    if !plan.conflicts.is_empty() {
        ui.note(
            "Nothing was written. Make the changes marked `conflict` by hand, then run the command again.",
        );
    }
    Ok(())
}
