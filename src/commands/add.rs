//! `dozen add`: from what a repository is to what it lacks of some factors.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use super::check::{read_baseline, read_repository};
use super::lock::{self, Wish};
use super::settle::{self, Ending};
use crate::answers::record;
use crate::check::allow::{BASELINE, Baseline};
use crate::check::finding::{FactorReport, Report, Verdict};
use crate::check::rule::Rules;
use crate::check::{self, Repository};
use crate::cli::{self, Add};
use crate::error::{ExitCode, Result};
use crate::factor::Factor;
use crate::mend::{self, Ground};
use crate::plan::{Change, Instruction, Plan};
use crate::service::detect;
use crate::templates;
use crate::tree::{Content, RepoPath, Tree};
use crate::ui::{PlanReport, Ui};

pub fn run(arguments: &Add, ui: &Ui) -> Result<ExitCode> {
    let root = super::find_root(&arguments.path)?;
    let named = Named::parse(&arguments.factors)?;
    super::recover(&root, ui)?;
    let found = Found::read(&root)?;
    let stack = arguments.stack.as_deref();
    let mut plan = found.plan(&root, &named.factors, stack, Lay::Files)?;
    if !named.each {
        leave_conflicts(&mut plan);
    }
    let mut output = arguments.output;
    if arguments.factors.is_empty() {
        if !output.json {
            ui.proposal(&found.short())?;
        }
        output.dry_run |= !ui.is_interactive() && !arguments.writing.yes;
    }

    let wish = Wish::of(&arguments.writing, output, ui);
    let mend = |after: &Found| after.plan(&root, &named.factors, stack, Lay::Nothing);
    let mut plan = lock::close(&found, plan, wish, mend, ui)?;
    if arguments.record {
        plan = record_processes(&found, plan, stack)?;
    }

    let has_work = !plan.is_empty();
    let settled = settle::settle(plan, &arguments.writing, output, ui)?;
    if output.json {
        let answers = record::read_recorded(&found.tree)?;
        let is_applied = settled.ending == Ending::Applied;
        ui.json(&PlanReport::new(&settled.plan, answers, is_applied))?;
    } else if settled.ending != Ending::Patched {
        if has_work {
            settle::show(&settled, &arguments.writing, ui)?;
        } else {
            ui.line("Nothing to add.")?;
        }
        if named.each {
            show_met(&found.report, &named.factors, &settled.plan, ui)?;
        }
        ui.instructions(&settled.plan)?;
    } else {
        settle::show(&settled, &arguments.writing, ui)?;
    }
    Ok(settled.exit_code())
}

/// The factors that are asked for.
struct Named {
    factors: BTreeSet<Factor>,
    /// Whether each was named by itself.
    each: bool,
}

impl Named {
    fn parse(texts: &[String]) -> Result<Self> {
        if texts.is_empty() || texts.iter().any(|text| text == cli::ALL) {
            return Ok(Self { factors: Factor::ALL.into(), each: false });
        }
        let factors = texts.iter().map(|text| text.parse()).collect::<Result<_>>()?;
        Ok(Self { factors, each: true })
    }
}

/// A repository and what `check` says of it.
pub struct Found {
    rules: Rc<Rules>,
    pub tree: Tree,
    repository: Repository,
    baseline: Option<Baseline>,
    pub report: Report,
}

/// Whether a plan is made of the files of factors, too, or of mends alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lay {
    Files,
    Nothing,
}

impl Found {
    fn read(root: &Path) -> Result<Self> {
        let rules = Rc::new(Rules::load()?);
        let (tree, repository) = read_repository(root)?;
        let baseline = read_baseline(&root.join(BASELINE), false)?;
        let report =
            check::check(tree.with(&[]), repository.clone(), &rules, baseline.as_ref(), &[])?;
        Ok(Self { rules, tree, repository, baseline, report })
    }

    /// What a plan leaves of it, where locks that were hidden are no more.
    ///
    /// # Errors
    /// An embedded rule is broken: a defect of this build.
    pub fn after(&self, plan: &Plan, hidden: &[RepoPath]) -> Result<Self> {
        let mut tree = self.tree.with(&plan.changes);
        tree.add_files(hidden.iter().cloned());
        let report = self.judge(tree.with(&[]))?;
        Ok(Self {
            rules: Rc::clone(&self.rules),
            tree,
            repository: self.repository.clone(),
            baseline: self.baseline.clone(),
            report,
        })
    }

    fn judge(&self, tree: Tree) -> Result<Report> {
        check::check(tree, self.repository.clone(), &self.rules, self.baseline.as_ref(), &[])
    }

    /// What is to be done for these factors: nothing for one that is met.
    fn plan(
        &self,
        root: &Path,
        factors: &BTreeSet<Factor>,
        stack: Option<&str>,
        lay: Lay,
    ) -> Result<Plan> {
        let is_met = |factor: Factor| {
            let mut said = self.report.factors.iter();
            said.any(|said| said.factor == factor && said.verdict == Verdict::Met)
        };
        let short: BTreeSet<Factor> =
            factors.iter().copied().filter(|factor| !is_met(*factor)).collect();
        let service = detect::detect(&self.tree, root, stack)?;
        // A repository of dozen's has every file of a factor, whatever a check can tell without it.
        let is_own = record::read_recorded(&self.tree)?.is_some();
        let lacking = if is_own { factors } else { &short };
        let layers: Vec<_> = lacking
            .iter()
            .filter(|_| lay == Lay::Files)
            .flat_map(|&factor| templates::find_layer(&service.stack, factor))
            .collect();
        let layers = templates::render(&layers, &service)?;
        let judge = |tree: Tree| self.judge(tree);
        let web = service.facts.processes.iter().find(|process| process.name == "web");
        let web = web.map(|process| process.command.as_str());
        let before = &self.report;
        let ground = Ground {
            root,
            tree: &self.tree,
            rules: &self.rules,
            before,
            is_own,
            web,
            judge: &judge,
        };
        mend::settle(&ground, &layers, &short)
    }

    /// The factors that are not met, the worst first.
    fn short(&self) -> Vec<&FactorReport> {
        let is_short =
            |said: &&FactorReport| matches!(said.verdict, Verdict::Partly | Verdict::Violated);
        let mut short: Vec<&FactorReport> = self.report.factors.iter().filter(is_short).collect();
        short.sort_by_key(|said| said.verdict != Verdict::Violated);
        short
    }
}

/// The plan with a `dozen.toml`, where none stands there.
fn record_processes(found: &Found, mut plan: Plan, stack: Option<&str>) -> Result<Plan> {
    let path = RepoPath::parse(record::FILE_NAME)?;
    let tree = found.tree.with(&plan.changes);
    if tree.get(&path).is_some() {
        return Ok(plan);
    }
    let Some(text) = record::describe(&detect::detect(&tree, &plan.root, stack)?) else {
        plan.remarks.push(format!(
            "Nothing tells how the service is started, so there is no {path}: name `web` under [processes] in one."
        ));
        return Ok(plan);
    };
    Ok(plan.including(Change {
        path,
        factor: None,
        before: None,
        after: Some(Content { bytes: text.into_bytes(), executable: false }),
        does: vec!["says how its processes are started".to_owned()],
    }))
}

/// Makes instructions of conflicts: whoever takes all that is safe has not asked for them.
fn leave_conflicts(plan: &mut Plan) {
    let conflicts = std::mem::take(&mut plan.conflicts);
    plan.instructions.extend(conflicts.into_iter().filter_map(|conflict| {
        let factor = conflict.factor?;
        Some(Instruction {
            rule: "conflict".to_owned(),
            factor,
            path: conflict.path,
            line: 1,
            message: conflict.reason,
            fix: format!("`dozen add {factor} --dry-run` shows what dozen would write."),
        })
    }));
}

fn show_met(report: &Report, factors: &BTreeSet<Factor>, plan: &Plan, ui: &Ui) -> Result<()> {
    let is_met = |said: &&FactorReport| {
        said.verdict == Verdict::Met
            && factors.contains(&said.factor)
            && !plan.changes.iter().any(|change| change.factor == Some(said.factor))
    };
    for said in report.factors.iter().filter(is_met) {
        ui.line(format!("{} is met: {}", said.factor, said.reason))?;
    }
    Ok(())
}
