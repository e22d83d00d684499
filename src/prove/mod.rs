//! Proves the twelve on the running program: clones, builds, runs it, and looks from outside.
//!
//! `subject` says what is proven; `claim` lists the sentences of the contract, which stand one file a factor;
//! `setting` and `case` give each of them a stage; `probe` and `backing` hold the instruments. A claim that does
//! not hold gives an error, and that error is its evidence: hence `anyhow` here, and nowhere else.

#![allow(clippy::missing_errors_doc, reason = "what a claim gives as an error is its evidence")]
#![allow(
    clippy::disallowed_methods,
    reason = "the home of running programs, in a temporary folder of its own"
)]

pub mod admin_processes;
pub mod backing;
pub mod backing_services;
pub mod build_release_run;
pub mod case;
pub mod claim;
pub mod codebase;
pub mod concurrency;
pub mod config;
pub mod container;
pub mod dependencies;
pub mod dev_prod_parity;
pub mod disposability;
pub mod logs;
pub mod part;
pub mod port_binding;
pub mod probe;
pub mod processes;
pub mod setting;
pub mod subject;
pub mod untested;
pub mod verdict;
pub mod written;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use self::case::Case;
use self::claim::{CLAIMS, Claim, Order};
use self::probe::diary;
use self::setting::{Ground, Setting};
use self::subject::Subject;
use self::untested::Untested;
use self::verdict::{ClaimReport, Outcome, ProofReport};
use crate::error::{Error, Result};
use crate::factor::Factor;
use crate::interrupt;

/// Claims wait more than they compute; how many boot at once is the turnstile's business.
const CLAIMS_PER_CORE: usize = 4;

/// What happens while a service is proven, for whoever watches.
#[derive(Debug)]
pub enum Progress<'p> {
    /// Everybody waits for this.
    Step(&'p str),
    /// This claim, the so many-th of all, has just been begun.
    Begun { number: usize, all: usize, factor: Factor, sentence: &'p str },
    /// All claims of a factor are done.
    Done { factor: Factor, claims: &'p [ClaimReport] },
}

/// Proves these factors of a service.
///
/// # Errors
/// The user stopped it, or nothing can be run here at all.
pub fn prove(
    subject: Subject,
    factors: &BTreeSet<Factor>,
    watch: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<ProofReport> {
    let begun = Instant::now();
    let root = subject.root.clone();
    let ground = Ground::lay().map_err(|error| Error::Prove { reason: format!("{error:#}") })?;
    let setting = Arc::new(Setting::new(&ground, subject));
    watch(Progress::Step("clone, install, build, migrate, start"));
    // Why it does not come up stands among the faults; what cannot be tested then says so itself.
    let up = setting.boot().map(|_| ()).err();
    interrupt::check()?;
    if let Some(error) =
        up.filter(|error| !matches!(error.downcast_ref(), Some(Untested::Blocked { .. })))
    {
        // Not the service's fault, as far as is known: every claim will say the same.
        watch(Progress::Step(&format!("{error:#}")));
    }
    let reports = run(&setting, factors, watch);
    interrupt::check()?;
    Ok(ProofReport::new(&root, factors, &reports, begun.elapsed()))
}

/// One claim in the queue.
#[derive(Clone, Copy)]
struct Job {
    factor: Factor,
    claim: Claim,
}

fn run(
    setting: &Arc<Setting>,
    factors: &BTreeSet<Factor>,
    watch: &(dyn Fn(Progress<'_>) + Sync),
) -> Vec<ClaimReport> {
    let mut jobs: Vec<Job> = CLAIMS
        .into_iter()
        .filter(|(factor, _)| factors.contains(factor))
        .flat_map(|(factor, claims)| claims.iter().map(move |claim| Job { factor, claim: *claim }))
        .collect();
    // Stable: within an order, factor after factor.
    jobs.sort_by_key(|job| job.claim.order);
    let last = jobs.partition_point(|job| job.claim.order < Order::Last);
    let (first, last) = jobs.split_at(last);
    let faults = setting.faults().into_iter().map(Into::into).collect();
    let board = Board {
        all: jobs.len(),
        begun: AtomicUsize::new(0),
        left: Mutex::new(jobs.clone()),
        reports: Mutex::new(faults),
    };
    board.work_off(setting, first, watch);
    // These judge what all others left.
    board.work_off(setting, last, watch);
    board.reports.into_inner()
}

/// Who has done what.
struct Board {
    all: usize,
    begun: AtomicUsize,
    left: Mutex<Vec<Job>>,
    reports: Mutex<Vec<ClaimReport>>,
}

impl Board {
    fn work_off(
        &self,
        setting: &Arc<Setting>,
        jobs: &[Job],
        watch: &(dyn Fn(Progress<'_>) + Sync),
    ) {
        let next = AtomicUsize::new(0);
        let workers = std::thread::available_parallelism().map_or(1, usize::from) * CLAIMS_PER_CORE;
        std::thread::scope(|scope| {
            for _ in 0..workers.min(jobs.len()) {
                scope.spawn(|| {
                    while let Some(job) = jobs.get(next.fetch_add(1, Ordering::SeqCst)) {
                        if interrupt::check().is_err() {
                            return;
                        }
                        self.work(setting, *job, watch);
                    }
                });
            }
        });
    }

    fn work(&self, setting: &Arc<Setting>, job: Job, watch: &(dyn Fn(Progress<'_>) + Sync)) {
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let sentence = job.claim.sentence;
        watch(Progress::Begun { number, all: self.all, factor: job.factor, sentence });
        let report = test(setting, job.factor, &job.claim);
        let mut reports = self.reports.lock();
        reports.push(report);
        let mut left = self.left.lock();
        left.retain(|other| (other.factor, other.claim.sentence) != (job.factor, sentence));
        if !left.iter().any(|other| other.factor == job.factor) {
            let claims: Vec<ClaimReport> =
                reports.iter().filter(|report| report.factor == job.factor).cloned().collect();
            watch(Progress::Done { factor: job.factor, claims: &claims });
        }
    }
}

/// Tests one claim.
fn test(setting: &Arc<Setting>, factor: Factor, claim: &Claim) -> ClaimReport {
    let begun = Instant::now();
    let report = |outcome, took: Duration| ClaimReport {
        factor,
        claim: claim.sentence,
        outcome,
        seconds: took.as_secs_f64(),
    };
    let lacks = claim.needs.iter().find_map(|need| setting.lacks(*need));
    if let Some(untested) = lacks {
        return report(Outcome::untested(&untested, claim.deepens), Duration::ZERO);
    }
    drop(diary::take());
    let case = Case::new(setting);
    let outcome = (claim.check)(&case);
    for transcript in case.book.transcripts() {
        setting.book.enter(transcript);
    }
    let outcome = match outcome {
        Ok(()) => Outcome::Proven,
        Err(error) => error.downcast_ref::<Untested>().map_or_else(
            || {
                let mask = |texts: Vec<String>| -> Vec<String> {
                    texts.iter().map(|text| setting.subject.mask(text)).collect()
                };
                Outcome::Failed {
                    happened: setting.subject.mask(&format!("{error:#}")),
                    did: mask(diary::take()),
                    output: mask(case.last_words()),
                    hint: claim.hint,
                }
            },
            |untested| Outcome::untested(untested, claim.deepens),
        ),
    };
    report(outcome, begun.elapsed())
}
