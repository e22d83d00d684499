//! `dozen prove`: from a repository to what was seen of the twelve factors when it ran.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::cli::Prove;
use crate::error::{Error, ExitCode, Result};
use crate::factor::Factor;
use crate::interrupt;
use crate::prove::backing::Engine;
use crate::prove::prove;
use crate::prove::subject::{Subject, Wishes, read_assignments};
use crate::prove::verdict::{ProofReport, Verdict};
use crate::ui::{Report, Ui};

pub fn run(arguments: &Prove, ui: &Ui) -> Result<ExitCode> {
    let mut factors =
        arguments.factors.iter().map(|text| text.parse()).collect::<Result<BTreeSet<Factor>>>()?;
    if factors.is_empty() {
        factors.extend(Factor::ALL);
    }
    let root = super::find_root(&arguments.path)?;
    super::recover_to_read(&root, ui)?;
    let subject = Subject::read(&root, wishes(arguments)?)?;
    interrupt::listen();
    let watcher = ui.watch_proof(&subject, &factors);
    let report = prove(subject, &factors, &|progress| watcher.show(&progress))?;
    drop(watcher);
    if let Some(path) = &arguments.junit {
        ui.junit(&report, path)?;
    }
    if arguments.json {
        ui.json(&Report::new(&report))?;
    } else {
        ui.proof(&report)?;
    }
    Ok(judge(&report, arguments.strict))
}

fn judge(report: &ProofReport, strict: bool) -> ExitCode {
    let has = |verdict| report.with(verdict).next().is_some();
    if has(Verdict::Failed) || strict && has(Verdict::Untested) {
        return ExitCode::No;
    }
    ExitCode::Done
}

fn wishes(arguments: &Prove) -> Result<Wishes> {
    let lines =
        [("web", &arguments.web), ("worker", &arguments.worker), ("release", &arguments.release)];
    let mut env = BTreeMap::new();
    if let Some(path) = &arguments.env_file {
        let text = fs::read_to_string(path)
            .map_err(|error| Error::Unreadable { path: path.clone(), error })?;
        env.extend(read_assignments(&text));
    }
    for given in &arguments.env {
        let (name, value) =
            given.split_once('=').ok_or_else(|| Error::EnvSyntax { given: given.clone() })?;
        env.insert(name.to_owned(), value.to_owned());
    }
    Ok(Wishes {
        lines: lines
            .into_iter()
            .filter_map(|(name, line)| Some((name.to_owned(), line.clone()?)))
            .collect(),
        build: arguments.build.clone(),
        env,
        ready: arguments.ready.clone(),
        image: arguments.image,
        engine: arguments.database.as_deref().and_then(Engine::from_scheme),
    })
}
