//! Factor IV, backing services: swapped by a URL, survived when they are gone, used again when they are back.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;

use super::case::{Case, Stage, Web};
use super::claim::{Claim, Need, Order};
use super::probe::patience::{SOON, stays};
use super::probe::process::Process;
use super::untested::Untested;

pub const CLAIMS: &[Claim] = &[
    Claim::new("a second database takes only another DATABASE_URL", second_database)
        .needs(&[Need::Database, Need::Item])
    .hint("take the place of the database from one variable, at every start"),
    Claim::new("a database of the other engine takes only another DATABASE_URL", other_engine)
        .needs(&[Need::BothEngines, Need::Database, Need::Item, Need::Release])
        .begins(Order::First)
    .hint("take the engine, too, from the URL"),
    Claim::new("a password of reserved characters, percent-encoded in DATABASE_URL, works", odd_password)
        .needs(&[Need::Contract]),
    Claim::new(
        "a backing service that is down at the start is no reason to exit: web serves, and is not ready",
        lives_without_services,
    )
    .needs(&[Need::Backing])
    .hint("connect when a connection is first needed, not at start, and again when it is lost"),
    Claim::new("a worker without its backing services stays alive", worker_lives_without_services)
        .needs(&[Need::Backing, Need::Worker])
        .hint("let the worker try again, with a pause, instead of ending"),
    Claim::new(
        "the database stopped, and then killed: not ready within 10 s, web alive; started again: ready without a restart",
        |case| database_outage(case, &[Outage::Stopped, Outage::Killed]),
    )
    .needs(&[Need::Database])
    .begins(Order::First)
    .hint("let the pool check its connections, and /readyz ask the database"),
    Claim::new(
        "the database frozen: not ready within 10 s, web alive; thawed: ready without a restart",
        |case| database_outage(case, &[Outage::Frozen]),
    )
    .needs(&[Need::Database, Need::Readiness])
    .begins(Order::First)
    .deepens()
    .hint("give the query of /readyz a timeout of a few seconds"),
    Claim::new(
        "Redis stopped: not ready within 10 s, web alive; started again: ready without a restart",
        |case| redis_outage(case, Outage::Stopped),
    )
    .needs(&[Need::Redis])
    .begins(Order::First)
    .hint("let /readyz ask Redis, and the client connect again"),
    Claim::new(
        "Redis frozen: not ready within 10 s, web alive; thawed: ready without a restart",
        |case| redis_outage(case, Outage::Frozen),
    )
    .needs(&[Need::Redis, Need::Readiness])
    .begins(Order::First)
    .deepens()
    .hint("give Redis's client a timeout of a few seconds"),
    Claim::new(
        "a worker outlives Redis, which comes back empty, and the database, and then does the next job",
        worker_outlives_both,
    )
    .needs(&[Need::Database, Need::Redis, Need::Worker, Need::Item, Need::Job])
    .begins(Order::First)
    .hint("let the worker connect again, and make its queue anew where that is gone"),
    Claim::new(
        "with Redis down, or refusing writes, a note is refused with 503, and none is stored",
        no_note_without_its_job,
    )
    .needs(&[Need::Contract, Need::Item, Need::Job]),
    Claim::new(
        "with a frozen Redis a note is refused with 503, and none is stored, also after it thaws",
        no_note_with_frozen_redis,
    )
    .needs(&[Need::Contract, Need::Item, Need::Job])
    .begins(Order::First),
];

/// The contract's limit for noticing an outage.
const NOTICE_LIMIT: Duration = Duration::from_secs(10);
/// When nobody waits any longer for it.
const GIVE_UP: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outage {
    Stopped,
    Killed,
    Frozen,
}

fn second_database(case: &Case) -> Result<()> {
    let shop = case.shop()?;
    let table = case.item_table()?;
    let second = case.stage()?;
    let there = second.web_with(&shop.stage.variables_on(second.database()?, second.port))?;
    let before = second.database()?.count(table)?;
    let item = there.create_item()?;
    there.read_item(&item)?;
    let grown = second.database()?.count(table)? - before;
    ensure!(grown == 1, "of one item that was created, {grown} are in the second database");
    there.process.end()
}

fn other_engine(case: &Case) -> Result<()> {
    let here = case.stage()?;
    let server = case.setting.ground.backing.shared(case.engine().other())?;
    let there = server.create()?;
    let variables = here.variables_for(&there);
    let (exit, release) = here.starter.run("release", &variables)?;
    ensure!(exit.is_zero(), "release on {} ended with {exit}: {}", there.engine(), release.text());
    let web = here.web_with(&variables)?;
    let item = web.create_item()?;
    if case.subject().lacks(Need::Job).is_none() && case.subject().lacks(Need::Worker).is_none() {
        let worker = here.start_with("worker", &variables)?;
        web.wait_for_job(&item)?;
        worker.end()?;
    }
    web.read_item(&item)?;
    ensure!(there.count(case.item_table()?)? == 1, "the item does not stand in the other database");
    web.process.end()
}

fn odd_password(case: &Case) -> Result<()> {
    let server = case.setting.ground.backing.shared(case.engine())?;
    let stage = case.stage_on(server.create_for("canary-p@ss:w/r%d?#&+ =[]")?)?;
    stage.release()?;
    let web = stage.web()?;
    web.process.end()
}

fn lives_without_services(case: &Case) -> Result<()> {
    let deserted = case.deserted()?;
    let mut web = Web::alive(
        &case.setting,
        deserted.starter.start("web", &deserted.variables)?,
        deserted.port,
    )?;
    web.still_answers()?;
    let Some(path) = &case.setting.boot()?.ready else {
        stays(Duration::from_secs(5), || {
            web.process.ensure_alive()?;
            Ok(None::<()>)
        })?;
        web.process.end()?;
        return expect_readiness(case);
    };
    // Attempts to connect must not wear it out.
    for _ in 0..3 {
        let answer = web.client.get(path)?;
        ensure!(
            web.says_not_ready(&answer),
            "nothing that the service stands on is there, and {path} says {answer}"
        );
        web.still_answers()?;
        if case.subject().keeps_contract {
            answer.expect_problem(503)?;
            let said = answer.text().to_lowercase();
            for service in ["database", "redis"] {
                ensure!(
                    said.contains(service),
                    "both are down, {path} does not say {service}: {answer}"
                );
            }
        }
    }
    web.process.ensure_alive()?;
    web.process.end()
}

/// Where nothing says whether it is ready, only a part of what is claimed was seen.
fn expect_readiness(case: &Case) -> Result<()> {
    if case.setting.boot()?.ready.is_none() {
        let how = "web stays alive; that it says it is not ready cannot be seen: name the path with --ready";
        return Err(Untested::Untold { how: how.to_owned() }.into());
    }
    Ok(())
}

fn worker_lives_without_services(case: &Case) -> Result<()> {
    let deserted = case.deserted()?;
    let mut worker = deserted.starter.start("worker", &deserted.variables)?;
    // It may try for some seconds before it gives up; what dies of this dies soon.
    stays(Duration::from_secs(8), || {
        worker.ensure_alive()?;
        Ok(None::<()>)
    })?;
    worker.end()
}

/// A request that touches the database, where one is told.
fn touch(web: &Web, item: Option<&Value>) -> Result<()> {
    match item {
        Some(item) => web.read_item(item).map(|_| ()),
        None => web.greet().map(|_| ()),
    }
}

fn create(case: &Case, web: &Web) -> Result<Option<Value>> {
    case.subject().told.item.is_some().then(|| web.create_item()).transpose()
}

fn database_outage(case: &Case, outages: &[Outage]) -> Result<()> {
    let stage = case.stoppable_stage()?;
    let mut web = stage.web()?;
    let item = create(case, &web)?;
    let server = &stage.database()?.server;
    for outage in outages {
        use_pool(&web, item.as_ref())?;
        let frozen = match outage {
            Outage::Stopped => {
                server.stop()?;
                None
            }
            Outage::Killed => {
                server.kill();
                None
            }
            Outage::Frozen => Some(server.freeze()),
        };
        expect_outage(case, &mut web, "database").with_context(|| format!("{outage:?}"))?;
        if frozen.is_none() {
            server.resume()?;
        }
        drop(frozen);
        expect_recovery(case, &mut web).with_context(|| format!("after {outage:?}"))?;
        // Not only the connection that /readyz tried: all that were pooled must be seen to be dead.
        use_pool(&web, item.as_ref()).with_context(|| format!("after {outage:?}"))?;
        create(case, &web)?;
    }
    web.process.end()?;
    expect_readiness(case)
}

fn redis_outage(case: &Case, outage: Outage) -> Result<()> {
    let stage = case.stage()?;
    let mut web = stage.web()?;
    create(case, &web)?;
    let begin = |expected: &str| -> Result<u16> {
        let Some(session) = &case.subject().told.session else {
            return Ok(0);
        };
        let answer =
            web.client.send(&session.begin.request(&Value::Null)).context(expected.to_owned())?;
        Ok(answer.status)
    };
    begin("before the outage")?;
    let frozen = if outage == Outage::Frozen {
        Some(stage.redis()?.freeze())
    } else {
        stage.redis()?.stop()?;
        None
    };
    let refused = if frozen.is_none() { begin("while Redis is down")? } else { 0 };
    if case.subject().keeps_contract && frozen.is_none() {
        ensure!(refused == 503, "without Redis a session is refused with {refused}, not 503");
    }
    expect_outage(case, &mut web, "redis")?;
    if frozen.is_none() {
        stage.redis()?.resume()?;
    }
    drop(frozen);
    expect_recovery(case, &mut web)?;
    if let Some(session) = &case.subject().told.session {
        let answer = web.client.send(&session.begin.request(&Value::Null))?;
        ensure!(
            (200..400).contains(&answer.status),
            "after the outage a session cannot be begun: {answer}"
        );
    }
    create(case, &web)?;
    web.process.end()?;
    expect_readiness(case)
}

/// Uses several pooled connections at once.
fn use_pool(web: &Web, item: Option<&Value>) -> Result<()> {
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    for _ in 0..3 {
                        touch(web, item)?;
                    }
                    Ok(())
                })
            })
            .collect();
        askers.into_iter().try_for_each(|asker| {
            asker.join().unwrap_or_else(|_| Err(anyhow!("an asker panicked")))
        })
    })
}

fn expect_outage(case: &Case, web: &mut Web, service: &str) -> Result<()> {
    let Some(path) = &case.setting.boot()?.ready else {
        // Nobody says that it is not ready; that it is still there can be seen.
        stays(Duration::from_secs(6), || {
            web.process.ensure_alive().with_context(|| format!("the {service} is down"))?;
            Ok(None::<()>)
        })?;
        return Ok(());
    };
    let gone = web.process.clock();
    let answer = web
        .wait_until_not_ready(path, GIVE_UP)
        .with_context(|| format!("the {service} is down, and {path} is to say so"));
    web.process.ensure_alive().with_context(|| format!("the {service} is down"))?;
    let answer = answer?;
    let took = web.process.clock().since(&gone);
    ensure!(
        took <= NOTICE_LIMIT,
        "{path} noticed only after {took:.1?} that the {service} is down"
    );
    if case.subject().keeps_contract {
        answer.expect_problem(503)?;
        let said = answer.text().to_lowercase();
        ensure!(said.contains(service), "{path} does not say that the {service} is down: {answer}");
    }
    web.still_answers()?;
    web.process.ensure_alive()
}

fn expect_recovery(case: &Case, web: &mut Web) -> Result<()> {
    if let Some(path) = &case.setting.boot()?.ready {
        web.wait_for_status(path, 200, SOON).context("the service is back")?;
    }
    web.process.ensure_alive()
}

fn worker_outlives_both(case: &Case) -> Result<()> {
    let stage = case.stoppable_stage()?;
    let web = stage.web()?;
    let mut worker = stage.warm_worker(&web)?;
    stage.redis()?.stop()?;
    outlives(&mut worker)?;
    stage.redis()?.resume()?;
    next_job(case, &stage, &web).context("after Redis came back")?;
    stage.database()?.server.stop()?;
    outlives(&mut worker)?;
    stage.database()?.server.resume()?;
    next_job(case, &stage, &web).context("after the database came back")?;
    worker.ensure_alive()?;
    worker.end()
}

fn outlives(worker: &mut Process) -> Result<()> {
    stays(Duration::from_secs(4), || {
        worker.ensure_alive()?;
        Ok(None::<()>)
    })?;
    Ok(())
}

fn next_job(case: &Case, stage: &Stage, web: &Web) -> Result<()> {
    if let Some(path) = &case.setting.boot()?.ready {
        web.wait_for_status(path, 200, SOON)?;
    }
    let item = web.create_item()?;
    web.wait_for_job(&item)?;
    ensure!(stage.database()?.count(case.item_table()?)? > 0, "the item is not in the database");
    Ok(())
}

fn no_note_without_its_job(case: &Case) -> Result<()> {
    let table = case.item_table()?;
    let stage = case.stage()?;
    let web = stage.web()?;
    let expect_refusal = |when: &str| -> Result<()> {
        let answer = web.client.send(&web.creation(None)?)?;
        answer.expect_problem(503).context(when.to_owned())?;
        let stored = stage.database()?.count(table)?;
        ensure!(stored == 0, "{when}, the note is stored without its job");
        Ok(())
    };
    stage.redis()?.fill_up()?;
    expect_refusal("Redis refuses writes")?;
    stage.redis()?.stop()?;
    expect_refusal("Redis is down")?;
    stage.redis()?.resume()?;
    expect_ready(case, &web)?;
    web.create_item()?;
    let stored = stage.database()?.count(table)?;
    ensure!(stored == 1, "one note was accepted, and {stored} are stored");
    web.process.end()
}

fn expect_ready(case: &Case, web: &Web) -> Result<()> {
    if let Some(path) = &case.setting.boot()?.ready {
        web.wait_for_status(path, 200, SOON)?;
    }
    Ok(())
}

fn no_note_with_frozen_redis(case: &Case) -> Result<()> {
    let table = case.item_table()?;
    let stage = case.stage()?;
    let web = stage.web()?;
    let worker = stage.warm_worker(&web)?;
    let before = stage.database()?.count(table)?;
    let frozen = stage.redis()?.freeze();
    web.client.send(&web.creation(None)?)?.expect_problem(503)?;
    ensure!(stage.database()?.count(table)? == before, "the note is stored without its job");
    drop(frozen);
    // What lay in the socket while Redis was frozen is carried out now; the worker may meet a job without a note.
    expect_ready(case, &web)?;
    let item = web.create_item()?;
    web.wait_for_job(&item)?;
    ensure!(stage.database()?.count(table)? == before + 1, "the refused note is stored after all");
    worker.end()?;
    web.process.end()
}
