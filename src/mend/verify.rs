//! Looks at a plan with the eyes of `check` before it is shown: what mends nothing, or makes anything worse, is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use super::{Mend, assemble, propose, source};
use crate::check::document;
use crate::check::finding::{Finding, Report, Severity, Verdict};
use crate::check::language::Grammar;
use crate::check::rule::Rules;
use crate::error::Result;
use crate::factor::Factor;
use crate::plan::{self, Change, Instruction, Plan};
use crate::templates::{Kind, Rendered};
use crate::tree::{RepoPath, Tree};

/// What a plan is made from, and judged by.
pub struct Ground<'g> {
    pub root: &'g Path,
    pub tree: &'g Tree,
    pub rules: &'g Rules,
    /// What is said of the tree as it is.
    pub before: &'g Report,
    /// Whether the repository is one of dozen's, which has every file of a factor, whatever a check can tell.
    pub is_own: bool,
    /// How the service is started, where that is known.
    pub web: Option<&'g str>,
    /// Says it of another.
    pub judge: &'g dyn Fn(Tree) -> Result<Report>,
}

impl fmt::Debug for Ground<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground").field("root", &self.root).finish_non_exhaustive()
    }
}

/// Two edits of the same bytes come one after the other; so many rounds are enough for all that recipes make.
const ROUNDS: usize = 4;

/// The plan of all that holds of `layers` and of what mends these factors, with an instruction for whatever is left.
///
/// # Errors
/// An embedded rule is broken: a defect of this build.
pub fn settle(
    ground: &Ground<'_>,
    layers: &[Rendered],
    factors: &BTreeSet<Factor>,
) -> Result<Plan> {
    let mends = propose(ground.tree, &ground.before.findings, ground.rules, factors)?;
    // Where a factor can be mended as it stands, a file of dozen's in the place of another is none of that.
    let is_mended = |factor| mends.iter().any(|mend| factor == Some(mend.factor));
    let is_rival = |layer: &&Rendered| {
        layer.kind == Kind::Own
            && is_mended(layer.factor)
            && !ground.is_own
            && ground.tree.get(&layer.path).is_some()
    };
    let layers: Vec<Rendered> = layers.iter().filter(|it| !is_rival(it)).cloned().collect();
    let (mut plan, mut after) = settle_round(ground, &mends, &layers)?;
    for _ in 1..ROUNDS {
        let tree = ground.tree.with(&plan.changes);
        let mends = propose(&tree, &after.findings, ground.rules, factors)?;
        if mends.is_empty() {
            break;
        }
        let next = Ground { tree: &tree, before: &after, ..*ground };
        let (more, then) = settle_round(&next, &mends, &[])?;
        if more.changes.is_empty() {
            break;
        }
        plan = plan.then(more);
        after = then;
    }
    plan.instructions = after
        .findings
        .iter()
        .filter(|finding| counts(finding) && factors.contains(&finding.factor))
        .map(Instruction::of)
        .collect();
    plan.remarks.sort();
    plan.remarks.dedup();
    Ok(plan)
}

/// What holds of these mends and layers, and what is said of the tree then.
fn settle_round(
    ground: &Ground<'_>,
    mends: &[Mend],
    layers: &[Rendered],
) -> Result<(Plan, Report)> {
    let mut kept: Draft<'_> =
        Draft { mends: mends.iter().collect(), layers: layers.iter().collect() };
    let mut plan = kept.plan(ground);
    let mut after = ground.examine(&plan)?;
    if !ground.accepts(&kept, &plan, &after) {
        kept = Draft::default();
        if ground.is_own {
            kept.layers.extend(layers);
        }
        for mend in mends {
            kept.mends.push(mend);
            if !ground.holds(&kept)? {
                kept.mends.pop();
            }
        }
        for layer in layers.iter().filter(|_| !ground.is_own) {
            kept.layers.push(layer);
            if !ground.holds(&kept)? {
                kept.layers.pop();
            }
        }
        plan = kept.plan(ground);
        after = ground.examine(&plan)?;
    }
    let remarks = kept.mends.iter().map(|mend| mend.remark.clone());
    plan.remarks = remarks.filter(|remark| !remark.is_empty()).collect();
    Ok((plan, after))
}

/// What a plan is made of.
#[derive(Default)]
struct Draft<'d> {
    mends: Vec<&'d Mend>,
    layers: Vec<&'d Rendered>,
}

impl Draft<'_> {
    fn plan(&self, ground: &Ground<'_>) -> Plan {
        let (changes, lines) = assemble(ground.tree, &self.mends, ground.web);
        let layers = self.layers.iter().map(|layer| (*layer).clone()).chain(lines).collect();
        plan::plan(ground.root.to_owned(), ground.tree, changes, layers)
    }
}

impl Ground<'_> {
    fn examine(&self, plan: &Plan) -> Result<Report> {
        if plan.changes.is_empty() {
            return Ok(self.before.clone());
        }
        (self.judge)(self.tree.with(&plan.changes))
    }

    fn holds(&self, draft: &Draft<'_>) -> Result<bool> {
        let plan = draft.plan(self);
        let after = self.examine(&plan)?;
        Ok(self.accepts(draft, &plan, &after))
    }

    /// Whether each file still parses, each mend mended what it was for, and no factor is worse.
    fn accepts(&self, draft: &Draft<'_>, plan: &Plan, after: &Report) -> bool {
        let (had, has) = (tally(self.before), tally(after));
        let mut mended: BTreeMap<(&str, &RepoPath), usize> = BTreeMap::new();
        for mend in &draft.mends {
            *mended.entry((mend.rule.as_str(), &mend.place.path)).or_default() += 1;
        }
        plan.changes.iter().all(parses)
            && mended.iter().all(|(key, mends)| {
                let count = |tally: &BTreeMap<_, usize>| tally.get(key).copied().unwrap_or(0);
                count(&has) + mends <= count(&had)
            })
            && (self.is_own || is_no_worse(self.before, after))
    }
}

/// Whether no factor stands worse than it did.
#[must_use]
pub fn is_no_worse(before: &Report, after: &Report) -> bool {
    Factor::ALL.into_iter().all(|factor| standing(after, factor) <= standing(before, factor))
}

/// Whether a parser makes as much of a file as it did before.
fn parses(change: &Change) -> bool {
    let Some(after) = &change.after else { return true };
    let Ok(after) = std::str::from_utf8(&after.bytes) else { return false };
    let before =
        change.before.as_ref().and_then(|content| std::str::from_utf8(&content.bytes).ok());
    let name = change.path.file_name();
    if let Some(grammar) = Grammar::of(name, after) {
        let errors = |text| source::count_errors(grammar, text);
        return errors(after) <= before.map_or(0, errors);
    }
    document::read(name, after).is_ok()
        || before.is_some_and(|text| document::read(name, text).is_err())
}

/// How bad a factor stands: its verdict, and how much is found against it.
fn standing(report: &Report, factor: Factor) -> (u8, usize) {
    let verdict = report.factors.iter().find(|said| said.factor == factor).map(|said| said.verdict);
    let rank = match verdict {
        Some(Verdict::Met) => 0,
        None | Some(Verdict::NotDeterminable) => 1,
        Some(Verdict::Partly) => 2,
        Some(Verdict::Violated) => 3,
    };
    let found = report.findings.iter().filter(|it| it.factor == factor && counts(it)).count();
    (rank, found)
}

fn tally(report: &Report) -> BTreeMap<(&str, &RepoPath), usize> {
    let mut tally = BTreeMap::new();
    for finding in report.findings.iter().filter(|finding| counts(finding)) {
        *tally.entry((finding.rule.as_str(), &finding.place.path)).or_default() += 1;
    }
    tally
}

fn counts(finding: &Finding) -> bool {
    finding.severity > Severity::Info
}
