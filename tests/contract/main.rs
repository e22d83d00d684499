//! What `dozen new` renders, tested for real: `dozen prove` proves all twelve factors of every stack on both
//! databases, and the trials here test what is no factor's: the HTTP table, the project's own checks and tests,
//! and the way to production.
//!
//! ```sh
//! cargo test --features contract --test contract -- python/postgres
//! ```
//!
//! | variable | |
//! |---|---|
//! | `DOZEN_CONTRACT_PROJECT` | a repository to test, instead of rendering one |
//! | `DOZEN_CONTRACT_STACK` | only this stack; of a repository to test, its stack (default `python`) |
//! | `CI` | what this machine lacks is a failure instead of a loud skip |

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod case;
mod delivery;
mod http_api;
mod own_suite;
mod project;
mod stack;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use dozen::factor::Factor;
use dozen::prove::backing::Engine;
use dozen::prove::setting::Ground;
use dozen::prove::untested::Untested;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde_json::Value;

use crate::case::{Case, Claim, Setting};
use crate::stack::Stack;

/// Trials wait more than they compute; how many boot at once is the turnstile's business.
const TRIALS_PER_CORE: usize = 4;

const CLAIMS: [(&str, &[Claim]); 3] = [
    (http_api::SUBJECT, http_api::CLAIMS),
    (own_suite::SUBJECT, own_suite::CLAIMS),
    (delivery::SUBJECT, delivery::CLAIMS),
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
    let names = match wanted {
        Some(name) => vec![name],
        None if project::standing().is_some() => vec!["python".to_owned()],
        None => Stack::names()?,
    };
    let mut settings = Vec::new();
    for (number, name) in names.into_iter().enumerate() {
        let stack = Arc::new(Stack::read(&name)?);
        for engine in Engine::ALL {
            let delivers = engine == Engine::ALL[number % Engine::ALL.len()];
            settings.push(Arc::new(Setting::new(ground, &stack, engine, delivers)));
        }
    }
    Ok(settings)
}

fn trials(settings: &[Arc<Setting>]) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut claimed = Vec::new();
    for setting in settings {
        let place = format!("{}/{}", setting.stack.name, setting.engine);
        for factor in Factor::ALL {
            let setting = Arc::clone(setting);
            trials.push(Trial::ignorable_test(format!("{place}/prove: {factor}"), move || {
                complete(expect_proven(&setting, factor))
            }));
        }
        for (subject, claims) in CLAIMS {
            if subject == delivery::SUBJECT && !setting.delivers {
                continue;
            }
            for claim in claims {
                let (setting, claim) = (Arc::clone(setting), *claim);
                let name = format!("{place}/{subject}: {}", claim.sentence);
                let trial = Trial::ignorable_test(name, move || complete(test(&setting, &claim)));
                claimed.push((claim.order, trial));
            }
        }
    }
    claimed.sort_by_key(|(order, _)| *order);
    trials.extend(claimed.into_iter().map(|(_, trial)| trial));
    trials
}

/// The factor's line of the proof, which is made once for all twelve.
fn expect_proven(setting: &Setting, factor: Factor) -> Result<()> {
    let proof = setting.proof()?;
    let lines = proof["factors"].as_array().into_iter().flatten();
    let line = lines.into_iter().find(|line| line["factor"] == factor.slug());
    let line = line.unwrap_or(&Value::Null);
    anyhow::ensure!(line["verdict"] == "proven", "{line:#}");
    Ok(())
}

fn test(setting: &Arc<Setting>, claim: &Claim) -> Result<()> {
    let case = Case::new(setting)?;
    (claim.check)(&case).map_err(|error| match error.downcast_ref::<Untested>() {
        Some(_) => error,
        None => anyhow::anyhow!("{error:#}\n{}", case.last_words().join("\n")),
    })
}

fn complete(outcome: Result<()>) -> Result<Completion, Failed> {
    let Err(error) = outcome else {
        return Ok(Completion::Completed);
    };
    if let Some(untested @ Untested::Missing { .. }) = error.downcast_ref::<Untested>() {
        if std::env::var_os("CI").is_none() {
            return Ok(Completion::ignored_with(format!("SKIPPED: {untested}")));
        }
        return Err(format!("in CI nothing is skipped: {untested}").into());
    }
    Err(format!("{error:#}").into())
}
