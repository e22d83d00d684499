//! Factor XII, admin processes: migrations and tasks are runs of the same artifact, and nobody else's business.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::case::{Case, Claim, Starter, Web};
use crate::patience::{SOON, stays};

pub const FACTOR: &str = "admin-processes";

pub const CLAIMS: &[Claim] = &[
    Claim::new("web on an empty database creates nothing and is not ready", web_creates_nothing),
    Claim::new("a worker on an empty database creates nothing", worker_creates_nothing),
    Claim::new(
        "release exits 0, again 0 with the schema unchanged and the notes kept, and makes a running web ready",
        release_is_idempotent,
    ),
    Claim::new("several releases at once on an empty database all exit 0", releases_at_once),
    Claim::new("release fails where its SQL fails: non-zero", release_fails_with_its_sql),
    Claim::new(
        "a migration whose SQL fails: release exits non-zero, and web goes on serving the old schema",
        failed_migration_spares_web,
    ),
    Claim::new(
        "recount, a one-off task, counts the words of every note again and exits 0",
        recounts,
    ),
];

fn web_creates_nothing(case: &Case) -> Result<()> {
    let stage = case.empty_stage()?;
    let web = Web::alive(stage.start("web")?, stage.port)?;
    web.client.get("/readyz")?.expect_problem(503)?;
    // Whoever creates tables when they are first needed would do so now.
    web.client.get("/notes")?;
    web.client.post("/notes", &json!({ "body": "too early" }))?;
    let tables = stage.database.tables()?;
    ensure!(tables.is_empty(), "web created {tables:?}");
    web.client.get("/readyz")?.expect_problem(503)?;
    web.process.end()
}

fn worker_creates_nothing(case: &Case) -> Result<()> {
    let stage = case.empty_stage()?;
    let mut worker = stage.start("worker")?;
    stays(Duration::from_secs(4), || {
        worker.ensure_alive()?;
        Ok(None::<()>)
    })?;
    let tables = stage.database.tables()?;
    ensure!(tables.is_empty(), "the worker created {tables:?}");
    worker.end()
}

fn release_is_idempotent(case: &Case) -> Result<()> {
    let stage = case.empty_stage()?;
    let web = Web::alive(stage.start("web")?, stage.port)?;
    web.client.get("/readyz")?.expect(503)?;
    stage.release().context("the first release")?;
    web.wait_for_status("/readyz", 200, SOON).context("after the release")?;
    let schema = stage.database.describe()?;
    let id = web.post_note("from between the releases")?;
    stage.release().context("the second release")?;
    let now = stage.database.describe()?;
    ensure!(now == schema, "the second release changed the schema from\n{schema}\nto\n{now}");
    web.client.get(&format!("/notes/{id}"))?.expect(200)?;
    web.process.end()
}

fn releases_at_once(case: &Case) -> Result<()> {
    let schema = case.stage()?.database.describe()?;
    let server = case.setting.ground.backing.own(case.engine())?;
    let stage = case.stage_on(server.create()?)?;
    // Held up where they begin to write, all of them have found the database empty: the worst moment to race.
    let lock = stage.database.lock_schema()?;
    let mut releases = Vec::new();
    for _ in 0..3 {
        releases.push(stage.start("release")?);
    }
    stage.database.wait_for_waiters(1)?;
    // One that asks for its lock again and again is never seen to wait.
    stays(Duration::from_secs(8), || {
        Ok((stage.database.count_waiters()? == releases.len()).then_some(()))
    })?;
    lock.release()?;
    for release in &mut releases {
        let exit = release.wait_for_exit(SOON)?;
        ensure!(exit.is_zero(), "one of several releases at once ended with {exit}");
    }
    let now = stage.database.describe()?;
    ensure!(
        now == schema,
        "several releases at once left the schema\n{now}\nand one alone\n{schema}"
    );
    Ok(())
}

fn release_fails_with_its_sql(case: &Case) -> Result<()> {
    // The same name as the service's own table, in a database that it never migrated.
    let table = case.stage()?.database.notes_table()?;
    let stage = case.empty_stage()?;
    stage.database.query(&format!("CREATE TABLE {table} (stranger integer)"))?;
    let (exit, _) = stage.starter.run("release", &stage.variables)?;
    ensure!(
        exit.code.is_some_and(|code| code != 0),
        "a foreign table stands where release creates its own, and it ended with {exit}"
    );
    Ok(())
}

fn failed_migration_spares_web(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let web = stage.web()?;
    let id = web.post_note("from before")?;
    let schema = stage.database.describe()?;
    let next = case.variant(
        "with a failing migration",
        std::slice::from_ref(&case.stack().add_failing_migration),
    )?;
    let (exit, _) = Starter::of_project(case, &next).run("release", &stage.variables)?;
    ensure!(
        exit.code.is_some_and(|code| code != 0),
        "the migration's SQL fails, and release ended with {exit}"
    );
    web.client.get("/readyz")?.expect(200)?;
    web.client.get(&format!("/notes/{id}"))?.expect(200)?;
    web.post_note("from after")?;
    let now = stage.database.describe()?;
    ensure!(now == schema, "the failed migration changed the schema from\n{schema}\nto\n{now}");
    web.process.end()
}

fn recounts(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let web = stage.web()?;
    let mut ids = Vec::new();
    for body in ["one", "one two", "one two three", "  spaced \t out\nwords  "] {
        ids.push((web.post_note(body)?, body.split_whitespace().count() as u64));
    }
    let table = stage.database.notes_table()?;
    // Two counts that are wrong, two that are missing.
    stage
        .database
        .query(&format!("UPDATE {table} SET word_count = 99 WHERE id <= {}", ids[1].0))?;
    let (exit, process) = stage.starter.run("recount", &stage.variables)?;
    ensure!(exit.is_zero(), "recount ended with {exit}: {}", process.text());
    for (id, words) in ids {
        web.wait_for_count(id, words)?;
    }
    web.process.end()
}
