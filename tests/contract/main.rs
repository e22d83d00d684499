//! The contract of a rendered service, tested from outside: every sentence of it is a trial, on every stack and
//! both databases.
//!
//! ```sh
//! DOZEN_CONTRACT_PROJECT=/path/to/my-shop cargo test --features contract --test contract
//! ```
//!
//! | variable | |
//! |---|---|
//! | `DOZEN_CONTRACT_PROJECT` | a repository to test, instead of rendering one |
//! | `DOZEN_CONTRACT_STACK` | only this stack; of a repository to test, its stack (default `python`) |
//! | `DOZEN_CONTRACT_CACHE` | where downloads and compiled dependencies are kept between runs |
//! | `CI` | what this machine lacks is a failure instead of a loud skip |

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admin_processes;
mod backing;
mod backing_services;
mod build_release_run;
mod case;
mod codebase;
mod concurrency;
mod config;
mod delivery;
mod dependencies;
mod dev_prod_parity;
mod disposability;
mod http;
mod http_api;
mod lazy;
mod logs;
mod missing;
mod output;
mod own_suite;
mod patience;
mod port_binding;
mod process;
mod processes;
mod procfs;
mod project;
mod stack;
mod tether;
mod tool;
mod tree;
mod turnstile;
mod variables;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::backing::Engine;
use crate::case::{Build, Case, Claim, Ground, Order, Setting};
use crate::missing::Missing;
use crate::patience::wait_for;
use crate::project::Source;
use crate::stack::Stack;

/// Trials wait more than they compute; how many boot at once is the turnstile's business.
const TRIALS_PER_CORE: usize = 4;

const CLAIMS: [(&str, &[Claim]); 15] = [
    (codebase::FACTOR, codebase::CLAIMS),
    (dependencies::FACTOR, dependencies::CLAIMS),
    (config::FACTOR, config::CLAIMS),
    (backing_services::FACTOR, backing_services::CLAIMS),
    (build_release_run::FACTOR, build_release_run::CLAIMS),
    (processes::FACTOR, processes::CLAIMS),
    (port_binding::FACTOR, port_binding::CLAIMS),
    (concurrency::FACTOR, concurrency::CLAIMS),
    (disposability::FACTOR, disposability::CLAIMS),
    (dev_prod_parity::FACTOR, dev_prod_parity::CLAIMS),
    (logs::FACTOR, logs::CLAIMS),
    (admin_processes::FACTOR, admin_processes::CLAIMS),
    (http_api::FACTOR, http_api::CLAIMS),
    (own_suite::FACTOR, own_suite::CLAIMS),
    (delivery::FACTOR, delivery::CLAIMS),
];

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert_with(|| {
        std::thread::available_parallelism().map_or(1, usize::from) * TRIALS_PER_CORE
    });
    let ground = Ground::lay()?;
    let settings = settings(&ground)?;
    let conclusion = libtest_mimic::run(&arguments, trials(&settings));
    Ok(conclusion.exit_code())
}

fn settings(ground: &Arc<Ground>) -> Result<Vec<Arc<Setting>>> {
    let wanted = std::env::var("DOZEN_CONTRACT_STACK").ok();
    let stands = matches!(Source::find(), Source::Standing(_));
    let names = match (wanted, stands) {
        (Some(name), _) => vec![name],
        (None, true) => vec!["python".to_owned()],
        (None, false) => Stack::names()?,
    };
    let mut settings = Vec::new();
    for (number, name) in names.into_iter().enumerate() {
        let stack = Arc::new(Stack::read(&name)?);
        let standing = Arc::new(Build::default());
        for engine in Engine::ALL {
            let build = if stands { Arc::clone(&standing) } else { Arc::default() };
            let delivers = engine == Engine::ALL[number % Engine::ALL.len()];
            settings.push(Arc::new(Setting::new(ground, &stack, engine, &build, delivers)));
        }
    }
    Ok(settings)
}

fn trials(settings: &[Arc<Setting>]) -> Vec<Trial> {
    let mut ordered = Vec::new();
    for setting in settings {
        for (factor, claims) in CLAIMS {
            if factor == delivery::FACTOR && !setting.delivers {
                continue;
            }
            for claim in claims {
                ordered.push((claim.order, Arc::clone(setting), factor, *claim));
            }
        }
    }
    // Stable: within an order, factor after factor.
    ordered.sort_by_key(|(order, ..)| *order);
    let running = Arc::new(AtomicUsize::new(0));
    ordered
        .into_iter()
        .map(|(_, setting, factor, claim)| {
            let name =
                format!("{}/{}/{factor}: {}", setting.stack.name, setting.engine, claim.sentence);
            let running = Arc::clone(&running);
            Trial::ignorable_test(name, move || {
                if claim.order == Order::Last {
                    // All others have begun, since they stand before it; they must also have ended.
                    let alone = || Ok((running.load(Ordering::SeqCst) == 0).then_some(()));
                    wait_for("the other trials", Duration::from_mins(30), alone)
                        .map_err(|error| Failed::from(format!("{error:#}")))?;
                    return prove(&setting, &claim);
                }
                running.fetch_add(1, Ordering::SeqCst);
                let done = Done(&running);
                let outcome = prove(&setting, &claim);
                drop(done);
                outcome
            })
        })
        .collect()
}

/// Counts a trial as ended, even if it panics.
struct Done<'r>(&'r AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn prove(setting: &Arc<Setting>, claim: &Claim) -> Result<Completion, Failed> {
    let case = Case::new(setting);
    let outcome = (claim.check)(&case);
    for transcript in case.book.transcripts() {
        setting.book.enter(transcript);
    }
    let Err(error) = outcome else {
        return Ok(Completion::Completed);
    };
    if let Some(missing) = error.downcast_ref::<Missing>() {
        if std::env::var_os("CI").is_none() {
            return Ok(Completion::ignored_with(format!("SKIPPED: {missing}")));
        }
        return Err(format!("in CI nothing is skipped: {missing}").into());
    }
    Err(format!("{error:#}\n{}", case.last_words()).into())
}
