//! Factor IV, backing services: swapped by a URL, survived when they are gone, used again when they are back.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::case::{Case, Claim, Order, Stage, Web};
use crate::patience::{SOON, stays};
use crate::process::Process;

pub const FACTOR: &str = "backing-services";

pub const CLAIMS: &[Claim] = &[
    Claim::new("a second database takes only another DATABASE_URL", second_database),
    Claim::new("a database of the other engine takes only another DATABASE_URL", other_engine),
    Claim::new("a password of reserved characters, percent-encoded in DATABASE_URL, works", odd_password),
    Claim::new(
        "the database stopped, and then killed: /readyz 503 within 10 s, /livez 200, web alive; started again: 200 without a restart",
        |case| database_outage(case, &[Outage::Stopped, Outage::Killed]),
    )
    .begins(Order::First),
    Claim::new(
        "the database frozen: /readyz 503 within 10 s, /livez 200, web alive; thawed: 200 without a restart",
        |case| database_outage(case, &[Outage::Frozen]),
    )
    .begins(Order::First),
    Claim::new(
        "Redis stopped: /readyz 503 within 10 s, /livez 200, web alive; started again: 200 without a restart",
        |case| redis_outage(case, Outage::Stopped),
    )
    .begins(Order::First),
    Claim::new(
        "Redis frozen: /readyz 503 within 10 s, /livez 200, web alive; thawed: 200 without a restart",
        |case| redis_outage(case, Outage::Frozen),
    )
    .begins(Order::First),
    Claim::new(
        "a worker outlives Redis, which comes back empty, and the database, and then does the next job",
        worker_outlives_both,
    )
    .begins(Order::First),
    Claim::new(
        "with Redis down, or refusing writes, a note is refused with 503, and none is stored",
        no_note_without_its_job,
    ),
    Claim::new(
        "with a frozen Redis a note is refused with 503, and none is stored, also after it thaws",
        no_note_with_frozen_redis,
    )
    .begins(Order::First),
];

/// The contract's limit for noticing an outage.
const NOTICE_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outage {
    Stopped,
    Killed,
    Frozen,
}

fn second_database(case: &Case) -> Result<()> {
    let shop = case.shop()?;
    let second = case.stage()?;
    let url = second.database.url();
    let variables = shop.stage.on_another_port()?.with("DATABASE_URL", &url);
    let there = shop.stage.web_with(&variables)?;
    let id = there.post_note("only there")?;
    there.client.get(&format!("/notes/{id}"))?.expect(200)?;
    ensure!(second.database.count_notes()? == 1, "the note is not in the second database");
    there.process.end()
}

fn other_engine(case: &Case) -> Result<()> {
    let here = case.stage()?;
    let server = case.setting.ground.backing.shared(case.engine().other())?;
    let there = server.create()?;
    let variables = here.variables.with("DATABASE_URL", &there.url());
    let (exit, release) = here.starter.run("release", &variables)?;
    ensure!(exit.is_zero(), "release on {} ended with {exit}: {}", there.engine(), release.text());
    let web = here.web_with(&variables)?;
    let worker = here.start_with("worker", &variables)?;
    let id = web.post_note("one two three four")?;
    web.wait_for_count(id, 4)?;
    ensure!(there.count_notes()? == 1, "the note does not stand in the other database");
    worker.end()?;
    web.process.end()
}

fn odd_password(case: &Case) -> Result<()> {
    let server = case.setting.ground.backing.shared(case.engine())?;
    let stage = case.stage_on(server.create_for("canary-p@ss:w/r%d?#&+ =[]")?)?;
    stage.release()?;
    let web = stage.web()?;
    web.post_note("a note")?;
    web.process.end()
}

fn database_outage(case: &Case, outages: &[Outage]) -> Result<()> {
    let stage = case.stoppable_stage()?;
    let mut web = stage.web()?;
    let id = web.post_note("a note from before")?;
    let server = &stage.database.server;
    for outage in outages {
        use_pool(&web, id)?;
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
        expect_outage(&mut web, "database").with_context(|| format!("{outage:?}"))?;
        if frozen.is_none() {
            server.resume()?;
        }
        drop(frozen);
        expect_recovery(&mut web).with_context(|| format!("after {outage:?}"))?;
        // Not only the connection that /readyz tried: all that were pooled must be seen to be dead.
        use_pool(&web, id).with_context(|| format!("after {outage:?}"))?;
        web.post_note("a note from after")?;
    }
    web.process.end()
}

fn redis_outage(case: &Case, outage: Outage) -> Result<()> {
    let stage = case.stage()?;
    let mut web = stage.web()?;
    web.post_note("a note from before")?;
    web.client.post("/session", &json!({ "name": "Ada" }))?.expect(201)?;
    let frozen = if outage == Outage::Frozen {
        Some(stage.redis.freeze())
    } else {
        stage.redis.stop()?;
        None
    };
    expect_outage(&mut web, "redis")?;
    if frozen.is_none() {
        web.client.post("/session", &json!({ "name": "Ada" }))?.expect_problem(503)?;
        stage.redis.resume()?;
    }
    drop(frozen);
    expect_recovery(&mut web)?;
    web.client.post("/session", &json!({ "name": "Ada" }))?.expect(201)?;
    web.post_note("a note from after")?;
    web.process.end()
}

/// Uses several pooled connections at once.
fn use_pool(web: &Web, id: i64) -> Result<()> {
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    for _ in 0..3 {
                        web.client.get(&format!("/notes/{id}"))?.expect(200)?;
                    }
                    Ok(())
                })
            })
            .collect();
        askers.into_iter().try_for_each(|asker| asker.join().expect("an asker panicked"))
    })
}

fn expect_outage(web: &mut Web, service: &str) -> Result<()> {
    let gone = web.process.clock();
    let answer = web
        .wait_for_status("/readyz", 503, SOON)
        .with_context(|| format!("the {service} is down"))?;
    let took = web.process.clock().since(&gone);
    ensure!(took <= NOTICE_LIMIT, "/readyz noticed only after {took:?} that the {service} is down");
    answer.expect_problem(503)?;
    let said = answer.text().to_lowercase();
    ensure!(said.contains(service), "/readyz does not say that the {service} is down: {answer}");
    web.client.get("/livez")?.expect(200)?;
    web.process.ensure_alive()
}

fn expect_recovery(web: &mut Web) -> Result<()> {
    web.wait_for_status("/readyz", 200, SOON).context("the service is back")?;
    web.process.ensure_alive()
}

fn worker_outlives_both(case: &Case) -> Result<()> {
    let stage = case.stoppable_stage()?;
    let web = stage.web()?;
    let mut worker = stage.warm_worker(&web)?;
    stage.redis.stop()?;
    outlives(&mut worker)?;
    stage.redis.resume()?;
    next_job(&stage, &web).context("after Redis came back")?;
    stage.database.server.stop()?;
    outlives(&mut worker)?;
    stage.database.server.resume()?;
    web.wait_for_status("/readyz", 200, SOON)?;
    next_job(&stage, &web).context("after the database came back")?;
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

fn next_job(stage: &Stage, web: &Web) -> Result<()> {
    web.wait_for_status("/readyz", 200, SOON)?;
    let id = web.post_note("one two three")?;
    web.wait_for_count(id, 3)?;
    ensure!(stage.database.count_notes()? > 0, "the note is not in the database");
    Ok(())
}

fn no_note_without_its_job(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let web = stage.web()?;
    let expect_refusal = |when: &str| -> Result<()> {
        let answer = web.client.post("/notes", &json!({ "body": "lost" }))?;
        answer.expect_problem(503).context(when.to_owned())?;
        let stored = stage.database.count_notes()?;
        ensure!(stored == 0, "{when}, the note is stored without its job");
        Ok(())
    };
    stage.redis.fill_up()?;
    expect_refusal("Redis refuses writes")?;
    stage.redis.stop()?;
    expect_refusal("Redis is down")?;
    stage.redis.resume()?;
    web.wait_for_status("/readyz", 200, SOON)?;
    web.post_note("kept")?;
    let stored = stage.database.count_notes()?;
    ensure!(stored == 1, "one note was accepted, and {stored} are stored");
    web.process.end()
}

fn no_note_with_frozen_redis(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let web = stage.web()?;
    let worker = stage.warm_worker(&web)?;
    let before = stage.database.count_notes()?;
    let frozen = stage.redis.freeze();
    web.client.post("/notes", &json!({ "body": "lost" }))?.expect_problem(503)?;
    ensure!(stage.database.count_notes()? == before, "the note is stored without its job");
    drop(frozen);
    // What lay in the socket while Redis was frozen is carried out now; the worker may meet a job without a note.
    web.wait_for_status("/readyz", 200, SOON)?;
    let id = web.post_note("one two three")?;
    web.wait_for_count(id, 3)?;
    ensure!(stage.database.count_notes()? == before + 1, "the refused note is stored after all");
    worker.end()?;
    web.process.end()
}
