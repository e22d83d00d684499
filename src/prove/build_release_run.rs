//! Factor V, build, release, run: one artifact, built from the code alone, which running never changes.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::case::Case;
use super::claim::{Claim, Need, Order};
use super::probe::http::Client;
use super::probe::patience::SOON;
use super::probe::surroundings::Surroundings;
use super::subject::Kind;
use super::written;

pub const CLAIMS: &[Claim] = &[
    Claim::new("the build needs no service and no variable of the app", builds_alone)
        .needs(&[Need::NativeBuild, Need::Build])
        .hint("read configuration when the process starts, not while it is built"),
    Claim::new(
        "after every boot and all traffic of this run the files of the app are unchanged",
        leaves_files_alone,
    )
    .needs(&[Need::NativeBuild])
    .begins(Order::Last)
    .hint("write nothing beside the code: what lasts belongs in a backing service"),
    Claim::new("everything runs from a read-only tree", runs_read_only)
        .hint("write nothing beside the code: what lasts belongs in a backing service"),
    Claim::new("one artifact and two sets of variables are two deploys", two_deploys)
        .hint("take everything that differs between deploys from variables"),
];

fn builds_alone(case: &Case) -> Result<()> {
    // The tools got no variable of the app, and whoever knows no URL reaches no service of this run. If it had
    // needed some, the fault would stand beside this.
    let folder = &case.project()?.folder;
    if let Some(bin) = &case.subject().bin {
        ensure!(folder.join(bin).is_dir(), "after the build there is no {bin}");
    }
    Ok(())
}

fn leaves_files_alone(case: &Case) -> Result<()> {
    case.shop()?;
    written::expect_none(case, written::Kind::Other)
}

fn runs_read_only(case: &Case) -> Result<()> {
    let releases = case.subject().lines.contains_key("release");
    // Empty, since what a second release does is another factor's business.
    let empty = releases && case.subject().lacks(Need::Database).is_none();
    let stage = if empty { case.empty_stage()? } else { case.stage()? };
    if releases {
        let mut release =
            stage.starter.start_in(Surroundings::ReadOnly, "release", &stage.variables)?;
        let exit = release.wait_for_exit(SOON)?;
        ensure!(exit.is_zero(), "from a read-only tree, release ended with {exit}");
    }
    let started = stage.starter.start_in(Surroundings::ReadOnly, "web", &stage.variables)?;
    let web = stage.ready(started, stage.port).context("from a read-only tree")?;
    if case.subject().told.item.is_none() {
        web.greet()?;
        return Ok(());
    }
    let item = web.create_item().context("from a read-only tree")?;
    if case.subject().lacks(Need::Job).is_none() && case.subject().lacks(Need::Worker).is_none() {
        let worker = stage.starter.start_in(Surroundings::ReadOnly, "worker", &stage.variables)?;
        web.wait_for_job(&item).context("from a read-only tree")?;
        drop(worker);
    }
    web.read_item(&item).map(|_| ())
}

fn two_deploys(case: &Case) -> Result<()> {
    let first = case.shop()?;
    let stage = case.stage()?;
    let mut variables = stage.variables.clone();
    if let Some(name) = case.subject().variable(Kind::Release) {
        variables = variables.with(name, "4f2a9c1");
    }
    let second = stage.web_with(&variables)?;
    if case.subject().variable(Kind::Release).is_some() {
        let said = |client: &Client| client.get("/").map(|answer| answer.text());
        // Where the first does not say what it is, neither will the second.
        let says_it =
            case.subject().keeps_contract || said(&first.web.client)?.contains("\"release\"");
        let there = said(&second.client)?;
        ensure!(!says_it || there.contains("4f2a9c1"), "with RELEASE=4f2a9c1, GET / says {there}");
    }
    if case.subject().told.item.is_some() && stage.database().is_ok() {
        let table = case.item_table()?;
        let before = stage.database()?.count(table)?;
        first.web.create_item()?;
        let after = stage.database()?.count(table)?;
        ensure!(
            before == after,
            "what the first deploy creates stands in the second one's database"
        );
    }
    if let Some(session) = &case.subject().told.session {
        let begun = first.web.client.send(&session.begin.request(&Value::Null))?;
        let cookie = begun.cookies().context("a session was begun without a cookie")?;
        let there = second.client.with_cookie(cookie);
        let answer = there.send(&session.read.request(&Value::Null))?;
        ensure!(
            answer.status != 200,
            "a session of the first deploy holds in the second: {answer}"
        );
    }
    first.web.greet()?;
    second.greet()?;
    second.process.end()
}
