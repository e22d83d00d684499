//! Judges a repository by the twelve factors: facts, then rules, then a verdict for each, with the lines that decide it.
//!
//! Reading is done when this begins: all here is pure. `facts` are what a repository says of itself; `scan` runs the
//! rules, which are data; one file a factor puts together what no single rule can see, and judges.

#![expect(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "tools take the names of their files as they are written"
)]

mod admin_processes;
pub mod allow;
mod backing_services;
mod build_release_run;
pub mod case;
mod codebase;
mod concurrency;
mod config;
mod dependencies;
mod dev_prod_parity;
mod disposability;
pub mod document;
mod env_files;
pub mod facts;
pub mod finding;
pub mod language;
pub mod lines;
mod logs;
pub mod mask;
mod port_binding;
mod processes;
pub mod rule;
pub mod scan;
pub mod sources;
mod starts;
mod tools;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use sha2::{Digest, Sha256};

use self::case::{Case, Judgement};
use self::facts::Facts;
use self::finding::{
    Evidence, FactorReport, Finding, Mark, Polarity, Report, Severity, Unread, Verdict,
};
use self::mask::Secrets;
use self::rule::{MAX_SUPPORT, Rules};
use self::sources::Sources;
use crate::error::Result;
use crate::factor::Factor;
use crate::tree::{RepoPath, Tree};

/// So many lines speak against a factor at most; the rest says the same again.
const MAX_EVIDENCE: usize = 48;

/// What is known of a repository beside its tree.
#[derive(Clone, Debug, Default)]
pub struct Repository {
    pub root: String,
    /// What git tracks, where its index can be read.
    pub tracked: Option<BTreeSet<RepoPath>>,
    /// Whether it lies in a repository of git's.
    pub is_versioned: bool,
}

/// Judges the tree.
///
/// # Errors
/// An embedded rule is broken: a defect of this build.
pub fn check(
    tree: Tree,
    repository: Repository,
    rules: &Rules,
    baseline: Option<&allow::Baseline>,
    factors: &[Factor],
) -> Result<Report> {
    let mut sources = Sources::take(tree, repository.tracked);
    let mut unread = std::mem::take(&mut sources.unread);
    let facts = Facts::read(&sources, &mut unread);
    let mut marks = scan::scan(&sources, &facts, rules)?;
    starts::follow(&sources, &facts, &mut marks);
    let mut case = Case {
        sources: &sources,
        facts: &facts,
        rules,
        is_versioned: repository.is_versioned,
        marks,
    };
    tidy(&mut case.marks);
    prepare(&mut case)?;
    for mark in &mut case.marks {
        pinpoint(&sources, mark);
    }
    tidy(&mut case.marks);

    let secrets = Secrets::new(case.marks.iter().flat_map(|mark| mark.secrets.iter().cloned()));
    let (allowed, mut notes) = allow::apply(&mut case, baseline, &secrets);
    let mut reports = Vec::new();
    for factor in Factor::ALL {
        if factors.is_empty() || factors.contains(&factor) {
            let judgement = conclude(&case, factor);
            reports.push(describe(&case, factor, &judgement, &secrets));
        }
    }
    let is_wanted = |mark: &&Mark<'_>| factors.is_empty() || factors.contains(&mark.rule.factor);
    let findings = case
        .marks
        .iter()
        .filter(is_wanted)
        .filter(|mark| mark.rule.polarity == Polarity::Against)
        .map(|mark| find(&case, mark, &secrets));
    let mut findings: Vec<Finding> = findings.collect();
    findings.sort_by(|a, b| {
        (b.severity, a.factor, &a.place, &a.rule).cmp(&(a.severity, b.factor, &b.place, &b.rule))
    });
    unread.sort_by(|a: &Unread, b| a.path.cmp(&b.path));
    notes.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    drop(case);
    // As many texts are freed while the report is written.
    rayon::spawn(move || drop((sources, facts)));
    Ok(Report { root: repository.root, factors: reports, findings, unread, allowed, notes })
}

/// The same rule at the same line is one mark.
fn tidy(marks: &mut Vec<Mark<'_>>) {
    marks.sort_by(|a, b| {
        (a.rule.factor, &a.rule.id, &a.place.path, a.place.line, a.place.column).cmp(&(
            b.rule.factor,
            &b.rule.id,
            &b.place.path,
            b.place.line,
            b.place.column,
        ))
    });
    let mut last: BTreeMap<(String, RepoPath, usize), usize> = BTreeMap::new();
    let mut kept: Vec<Mark<'_>> = Vec::new();
    for mark in marks.drain(..) {
        let key = (mark.rule.id.clone(), mark.place.path.clone(), mark.place.line);
        if let Some(known) = last.get(&key).and_then(|at| kept.get_mut(*at)) {
            known.secrets.extend(mark.secrets);
        } else {
            last.insert(key, kept.len());
            kept.push(mark);
        }
    }
    *marks = kept;
}

/// Puts the finger on the line of a long command that says what was found.
fn pinpoint(sources: &Sources, mark: &mut Mark<'_>) {
    let Some(pattern) = &mark.rule.command else { return };
    let Some(source) = sources.get(&mark.place.path) else { return };
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut rest = lines::numbered(&source.text).skip(mark.place.line.saturating_sub(1)).take(16);
    let Some((_, first)) = rest.next().filter(|(_, line)| !pattern.matches.is_match(line)) else {
        return;
    };
    let mut goes_on = first.ends_with('\\');
    for (number, line) in rest {
        if !goes_on && !line.trim().is_empty() && depth(line) <= depth(first) {
            return;
        }
        goes_on = line.ends_with('\\');
        if pattern.matches.is_match(line) {
            mark.place = finding::Place::line(mark.place.path.clone(), number);
            return;
        }
    }
}

/// Lets each factor add what only files together tell.
fn prepare(case: &mut Case<'_>) -> Result<()> {
    codebase::prepare(case)?;
    dependencies::prepare(case)?;
    config::prepare(case)?;
    backing_services::prepare(case)?;
    config::weigh_together(case)?;
    processes::prepare(case)?;
    admin_processes::prepare(case)?;
    build_release_run::prepare(case)?;
    port_binding::prepare(case)?;
    disposability::prepare(case)?;
    dev_prod_parity::prepare(case)?;
    logs::prepare(case)?;
    // Its marks follow from those of processes.
    concurrency::prepare(case)
}

/// The verdict on one factor.
fn conclude(case: &Case<'_>, factor: Factor) -> Judgement {
    let unknown: fn(&Case<'_>) -> Judgement = match factor {
        Factor::Codebase => codebase::otherwise,
        Factor::Dependencies => dependencies::otherwise,
        Factor::Config => config::otherwise,
        Factor::BackingServices => backing_services::otherwise,
        Factor::BuildReleaseRun => build_release_run::otherwise,
        Factor::Processes => processes::otherwise,
        Factor::PortBinding => port_binding::otherwise,
        Factor::Concurrency => concurrency::otherwise,
        Factor::Disposability => disposability::otherwise,
        Factor::DevProdParity => dev_prod_parity::otherwise,
        Factor::Logs => logs::otherwise,
        Factor::AdminProcesses => admin_processes::otherwise,
    };
    case.verdict(factor).unwrap_or_else(|| unknown(case))
}

fn describe(
    case: &Case<'_>,
    factor: Factor,
    judgement: &Judgement,
    secrets: &Secrets,
) -> FactorReport {
    let mut evidence: Vec<(Severity, Evidence)> = case
        .marks
        .iter()
        .filter(|mark| mark.rule.factor == factor)
        .filter(|mark| mark.is_against() || mark.rule.polarity == Polarity::For)
        .map(|mark| {
            let said = Evidence {
                path: mark.place.path.clone(),
                line: mark.place.line,
                polarity: mark.rule.polarity,
                rule: mark.rule.id.clone(),
                message: word(mark, secrets),
            };
            (if mark.rule.polarity == Polarity::For { Severity::Info } else { mark.severity }, said)
        })
        .collect();
    evidence.sort_by(|(a, x), (b, y)| (b, &x.path, x.line).cmp(&(a, &y.path, y.line)));
    let (mut against, mut supporting): (Vec<_>, Vec<_>) = evidence
        .into_iter()
        .map(|(_, said)| said)
        .partition(|said| said.polarity == Polarity::Against);
    against.truncate(MAX_EVIDENCE);
    supporting.truncate(MAX_SUPPORT);
    against.append(&mut supporting);
    FactorReport {
        factor,
        verdict: judgement.verdict,
        reason: if case.rules.all().iter().any(|rule| rule.message == judgement.reason) {
            judgement.reason.clone()
        } else {
            secrets.mask(&judgement.reason)
        },
        evidence: against,
    }
}

/// The message of a mark. What a rule says by itself has no secret in it, though one may be an everyday word.
fn word(mark: &Mark<'_>, secrets: &Secrets) -> String {
    if mark.message == mark.rule.message {
        mark.message.clone()
    } else {
        secrets.mask(&mark.message)
    }
}

fn find(case: &Case<'_>, mark: &Mark<'_>, secrets: &Secrets) -> Finding {
    let text = case.sources.get(&mark.place.path).map_or("", |source| source.text.as_str());
    let line = lines::line(text, mark.place.line);
    let shown: String = line.trim_end().chars().take(200).collect();
    Finding {
        rule: mark.rule.id.clone(),
        factor: mark.rule.factor,
        severity: mark.severity,
        confidence: mark.rule.confidence,
        place: mark.place.clone(),
        message: word(mark, secrets),
        why: mark.rule.why.clone(),
        fix: mark.rule.fix.clone(),
        frame: secrets.mask(&shown),
        fingerprint: fingerprint(mark, &secrets.mask(line)),
    }
}

/// Stays the same when lines are added above: the rule, the path and the line's own text, masked and hashed.
fn fingerprint(mark: &Mark<'_>, line: &str) -> String {
    let mut hash = Sha256::new();
    for part in [mark.rule.id.as_str(), mark.place.path.as_str(), line.trim()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What there is to say where nothing can be judged.
fn unknown(reason: &str) -> Judgement {
    Judgement::new(Verdict::NotDeterminable, reason)
}
