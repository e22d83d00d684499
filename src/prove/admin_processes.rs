//! Factor XII, admin processes: migrations and tasks are runs of the same artifact, and nobody else's business.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::case::{Case, Starter};
use super::claim::{Claim, Need};
use super::probe::patience::{SOON, stays};
use super::untested::Untested;

pub const CLAIMS: &[Claim] = &[
    Claim::new("web on an empty database creates nothing", web_creates_nothing)
        .needs(&[Need::Database, Need::Release])
        .hint("migrate in a release process of its own, before web is started"),
    Claim::new("web on an empty database is not ready", web_is_not_ready)
        .needs(&[Need::Database, Need::Release, Need::Readiness])
        .hint("let /readyz ask for a table, or for the last migration"),
    Claim::new("a worker on an empty database creates nothing", worker_creates_nothing)
        .needs(&[Need::Database, Need::Release, Need::Worker])
        .hint("migrate in a release process of its own, before the worker is started"),
    Claim::new(
        "release exits 0, again 0 with the schema unchanged and what was stored kept, and makes a running web ready",
        release_is_idempotent,
    )
    .needs(&[Need::Database, Need::Release])
    .hint("use a tool that knows which migrations have run"),
    Claim::new("several releases at once on an empty database all exit 0", releases_at_once)
        .needs(&[Need::Database, Need::Release])
        .hint("migrate under a lock of the database (pg_advisory_lock, GET_LOCK)"),
    Claim::new("release fails where its SQL fails: non-zero", release_fails_with_its_sql)
        .needs(&[Need::Database, Need::Release, Need::Item])
        .hint("let the error of a statement end the process with a code above 0"),
    Claim::new(
        "a migration whose SQL fails: release exits non-zero, and web goes on serving the old schema",
        failed_migration_spares_web,
    )
    .needs(&[Need::Database, Need::Release, Need::Item, Need::FailingMigration])
    .deepens()
    .hint("let the error of a statement end the process with a code above 0"),
    Claim::new("a one-off task runs from the same artifact with the same variables, and exits 0", tasks_run)
        .needs(&[Need::Task])
        .hint("let tasks read the same settings as web does"),
];

fn web_creates_nothing(case: &Case) -> Result<()> {
    let stage = case.empty_stage()?;
    let web = stage.alive(stage.start("web")?)?;
    // Whoever creates tables when they are first needed would do so now.
    if case.subject().told.item.is_some() {
        web.client.send(&web.creation(None)?)?;
    }
    web.still_answers()?;
    stays(Duration::from_secs(2), || Ok(None::<()>))?;
    let tables = stage.database()?.tables()?;
    ensure!(tables.is_empty(), "web created {tables:?}");
    web.process.end()
}

fn web_is_not_ready(case: &Case) -> Result<()> {
    let places = case.setting.boot()?;
    if !case.setting.is_honest()? {
        let why = "the path for it does not say 503 where no database is, either";
        return Err(Untested::Pointless { why }.into());
    }
    let stage = case.empty_stage()?;
    let web = stage.alive(stage.start("web")?)?;
    let path = places.ready.as_deref().context("no path for it")?;
    web.client.get(path)?.expect(503).context("the database is empty")?;
    web.process.end()
}

fn worker_creates_nothing(case: &Case) -> Result<()> {
    let stage = case.empty_stage()?;
    let mut worker = stage.start("worker")?;
    stays(Duration::from_secs(4), || {
        worker.ensure_alive()?;
        Ok(None::<()>)
    })?;
    let tables = stage.database()?.tables()?;
    ensure!(tables.is_empty(), "the worker created {tables:?}");
    worker.end()
}

fn release_is_idempotent(case: &Case) -> Result<()> {
    let stage = case.empty_stage()?;
    let web = stage.alive(stage.start("web")?)?;
    stage.release().context("the first release")?;
    if let Some(path) = &case.setting.boot()?.ready {
        web.wait_for_status(path, 200, SOON).context("after the release")?;
    }
    let schema = stage.database()?.describe()?;
    let has_item = case.subject().told.item.is_some();
    let item = has_item.then(|| web.create_item()).transpose()?;
    stage.release().context("the second release")?;
    let now = stage.database()?.describe()?;
    ensure!(now == schema, "the second release changed the schema from\n{schema}\nto\n{now}");
    if let Some(item) = &item {
        web.read_item(item).context("what was stored before the second release")?;
    }
    web.process.end()
}

fn releases_at_once(case: &Case) -> Result<()> {
    let schema = case.stage()?.database()?.describe()?;
    let server = case.setting.ground.backing.own(case.engine())?;
    let stage = case.stage_on(server.create()?)?;
    // Held up where they begin to write, all of them have found the database empty: the worst moment to race.
    let lock = stage.database()?.lock_schema()?;
    let mut releases = Vec::new();
    for _ in 0..2 {
        releases.push(stage.start("release")?);
    }
    stage.database()?.wait_for_waiters(1)?;
    // One that asks for its lock again and again is never seen to wait.
    let mut session = stage.database()?.session()?;
    stays(Duration::from_secs(5), || {
        Ok((stage.database()?.count_waiters(&mut session)? == releases.len()).then_some(()))
    })?;
    lock.release()?;
    for release in &mut releases {
        let exit = release.wait_for_exit(SOON)?;
        ensure!(exit.is_zero(), "one of several releases at once ended with {exit}");
    }
    let now = stage.database()?.describe()?;
    ensure!(
        now == schema,
        "several releases at once left the schema\n{now}\nand one alone\n{schema}"
    );
    Ok(())
}

fn release_fails_with_its_sql(case: &Case) -> Result<()> {
    // The same name as the service's own table, in a database that it never migrated.
    let table = case.item_table()?;
    let stage = case.empty_stage()?;
    let database = stage.database()?;
    database.query(&format!("CREATE TABLE {} (stranger integer)", database.quote(table)))?;
    let (exit, _) = stage.starter.run("release", &stage.variables)?;
    ensure!(
        exit.code.is_some_and(|code| code != 0),
        "a foreign table stands where release creates its own, and it ended with {exit}"
    );
    Ok(())
}

fn failed_migration_spares_web(case: &Case) -> Result<()> {
    let script = case.subject().failing_migration.as_ref().context("no failing migration")?;
    let stage = case.stage()?;
    let web = stage.web()?;
    let item = web.create_item()?;
    let schema = stage.database()?.describe()?;
    let next = case.setting.variant("with a failing migration", std::slice::from_ref(script))?;
    let (exit, _) = Starter::of_project(case, &next).run("release", &stage.variables)?;
    ensure!(
        exit.code.is_some_and(|code| code != 0),
        "the migration's SQL fails, and release ended with {exit}"
    );
    if let Some(path) = &case.setting.boot()?.ready {
        web.client.get(path)?.expect(200)?;
    }
    web.read_item(&item)?;
    web.create_item()?;
    let now = stage.database()?.describe()?;
    ensure!(now == schema, "the failed migration changed the schema from\n{schema}\nto\n{now}");
    web.process.end()
}

fn tasks_run(case: &Case) -> Result<()> {
    // Where there is something to work on.
    let stage = &case.shop()?.stage;
    for task in &case.subject().tasks {
        let (exit, process) = stage.starter.run(task, &stage.variables)?;
        ensure!(exit.is_zero(), "{task} ended with {exit}:\n{}", process.transcript().tail());
    }
    Ok(())
}
