//! Factor VIII, concurrency: more workers share the work, and each kind of process does its own only.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use crate::case::{Case, Claim};
use crate::patience::{SOON, stays, wait_for};

pub const FACTOR: &str = "concurrency";

pub const CLAIMS: &[Claim] = &[
    Claim::new("three workers do the jobs of 100 notes, each once", each_job_once),
    Claim::new("a web process alone does no job", web_does_none),
    Claim::new("a worker opens no port", worker_opens_no_port),
    Claim::new(
        "WEB_CONCURRENCY=2 serves, listens on PORT alone and leaves nobody behind",
        two_servers,
    ),
];

fn each_job_once(case: &Case) -> Result<()> {
    const NOTES: usize = 100;
    let stage = case.stage()?;
    stage.database.record_counts()?;
    let web = stage.web()?;
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(stage.start("worker")?);
    }
    let mut ids = BTreeSet::new();
    for number in 0..NOTES {
        ids.insert(web.post_note(&"word ".repeat(number % 7 + 1))?);
    }
    ensure!(ids.len() == NOTES, "only {} different ids for {NOTES} notes", ids.len());
    wait_for("the words of all notes to be counted", SOON, || {
        let notes = web.client.get("/notes?limit=100")?.expect(200)?.json()?;
        let counted = |note: &&Value| !note["word_count"].is_null();
        let done = notes.as_array().into_iter().flatten().filter(counted).count();
        Ok((done == NOTES).then_some(()))
    })?;
    for worker in workers {
        worker.end()?;
    }
    let counts = stage.database.recorded_counts()?;
    if counts.len() != NOTES {
        bail!("{NOTES} jobs were done {} times", counts.len());
    }
    let notes = web.client.get("/notes?limit=100")?.json()?;
    for note in notes.as_array().into_iter().flatten() {
        let words = note["body"].as_str().unwrap_or_default().split_whitespace().count();
        ensure!(note["word_count"] == words, "miscounted: {note}");
    }
    web.process.end()
}

fn web_does_none(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let web = stage.web()?;
    let id = web.post_note("nobody counts these")?;
    let counted = stays(Duration::from_secs(3), || {
        let note = web.client.get(&format!("/notes/{id}"))?.expect(200)?.json()?;
        Ok((!note["word_count"].is_null()).then_some(note))
    })?;
    if let Some(note) = counted {
        bail!("there is no worker, and yet the words were counted: {note}");
    }
    let worker = stage.start("worker")?;
    web.wait_for_count(id, 3)?;
    worker.end()?;
    web.process.end()
}

fn worker_opens_no_port(case: &Case) -> Result<()> {
    let heard = case.shop()?.worker.listening();
    ensure!(heard.is_empty(), "the worker listens on {heard:?}");
    Ok(())
}

fn two_servers(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let mut web = stage.web_with(&stage.variables.with("WEB_CONCURRENCY", &2))?;
    for _ in 0..10 {
        web.post_note("for one of the two")?;
    }
    for address in web.process.listening() {
        ensure!(address.port() == stage.port, "web listens on {address} besides its PORT");
    }
    let tree = web.process.descendants();
    web.process.terminate();
    let exit = web.process.wait_for_exit(SOON)?;
    ensure!(exit.is_zero(), "web ended with {exit}");
    let orphans: Vec<_> = tree.iter().filter(|entry| entry.still_runs()).collect();
    ensure!(orphans.is_empty(), "left behind: {orphans:?}");
    Ok(())
}
