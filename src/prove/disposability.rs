//! Factor IX, disposability: quick to start, gone when told, without losing a request, a job or a child.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::backing::TableLock;
use super::case::{Case, Stage, Web};
use super::claim::{Claim, Need, Order};
use super::probe::http::{Answer, Connection, Met, Request};
use super::probe::patience::{SOON, stays, wait_for};
use super::probe::process::{Exit, Process, Reading};
use super::probe::surroundings::Surroundings;
use super::probe::variables::Variables;
use super::subject::Kind;
use super::untested::Untested;
use crate::factor::Factor;

pub const CLAIMS: &[Claim] = &[
    Claim::new("web is ready within 10 s of its start", ready_in_time)
        .hint("leave to the build or to the release what need not be done at every start"),
    Claim::new("a worker has done a job within 10 s of its start", works_in_time)
        .needs(&[Need::Worker, Need::Item, Need::Job])
    .hint("leave to the build or to the release what need not be done at every start"),
    Claim::new("an idle web exits 0 soon after SIGTERM", idle_web_leaves)
        .hint("start the program itself, not through npm or a shell, and let it handle SIGTERM"),
    Claim::new("an answer that is half read when SIGTERM comes arrives whole", half_read_arrives)
        .hint("on SIGTERM stop accepting, finish what has begun, then exit 0"),
    Claim::new(
        "a request being answered when SIGTERM comes arrives whole, new connections are refused or get 503, \
         and web exits 0 before the deadline, though another request stays half sent",
        answer_arrives_whole,
    )
    .needs(&[Need::Database, Need::Item])
    .deepens()
    .hint("on SIGTERM stop accepting, finish what has begun, then exit 0"),
    Claim::new("an item being created when SIGTERM comes is answered, stored and its job handed over", creation_is_finished)
        .needs(&[Need::Database, Need::Worker, Need::Item, Need::Job])
        .deepens()
        .hint("on SIGTERM stop accepting, finish what has begun, then exit 0"),
    Claim::new("with WEB_CONCURRENCY=2 a request being answered when SIGTERM comes arrives whole", survives_in_several)
        .needs(&[Need::Database, Need::Item, Need::Variable(Kind::Concurrency)])
        .deepens()
    .hint("pass SIGTERM on to every server, and wait for them"),
    Claim::new(
        "an idle keep-alive socket, or one that never sent a byte, does not hold web beyond 3 s",
        idle_sockets_let_go,
    )
    .hint("close idle keep-alive connections on SIGTERM"),
    Claim::new(
        "a request half sent, in its head or its body, that is completed in time is answered",
        completed_in_time,
    )
    .hint("on SIGTERM keep the connections on which a request has begun, and answer it as before (Fastify: return503OnClosing: false)"),
    Claim::new(
        "a request that stays half sent, in its head or its body, is cut at the deadline, and web exits 0",
        |case| cut_at_deadline(case, Some(4)),
    )
    .hint("give the shutdown a deadline, after which it exits 0 whatever is left"),
    Claim::new("SHUTDOWN_TIMEOUT is 10 seconds unless it is set", |case| cut_at_deadline(case, None))
        .needs(&[Need::Contract])
        .begins(Order::First),
    Claim::new("a request that is not answered by the deadline is cut, and web exits 0", stuck_request_is_cut)
        .needs(&[Need::Database, Need::Item])
        .deepens()
        .hint("give the shutdown a deadline, after which it exits 0 whatever is left"),
    Claim::new("no orphan of web remains after SIGTERM", no_orphan)
        .hint("wait for the children, or start none"),
    Claim::new("an idle worker exits 0 on SIGTERM before the deadline", idle_worker_leaves)
        .needs(&[Need::Worker])
        .hint("let the worker handle SIGTERM as web does"),
    Claim::new("a worker told to stop in mid-job finishes it and exits 0 before the deadline", job_is_finished)
        .needs(&[Need::Database, Need::Worker, Need::Item, Need::Job])
        .hint("finish the job that has begun, take no other, exit 0"),
    Claim::new(
        "a worker whose job outlasts the deadline exits 0 by then, and the job is done by another within 60 s",
        stuck_job_is_handed_on,
    )
    .needs(&[Need::Database, Need::Worker, Need::Item, Need::Job, Need::Variable(Kind::Deadline)])
    .deepens()
    .begins(Order::First)
    .hint("give up the job at the deadline without acknowledging it"),
    Claim::new("SIGKILL on a worker in mid-job: the job is done by another within 60 s", killed_job_is_redone)
        .needs(&[Need::Database, Need::Worker, Need::Item, Need::Job])
        .begins(Order::First)
        .hint("take a job off the queue when it is done, not when it is begun"),
    Claim::new("web and a worker as PID 1 finish what they do and exit 0 on SIGTERM", ends_as_first_process)
        .hint("install a handler for SIGTERM: the first process of a container has no default action"),
];

const START_LIMIT: Duration = Duration::from_secs(10);
const IDLE_LIMIT: Duration = Duration::from_secs(3);
/// A server may take a moment to turn; an orchestrator takes longer to send nobody there any more.
const TURN_LIMIT: Duration = Duration::from_secs(3);
const REDELIVERY_LIMIT: Duration = Duration::from_mins(1);
/// Between the deadline and what an orchestrator sees of it: process teardown, and our own look.
const SLACK: Duration = Duration::from_millis(900);
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);
/// Where no deadline can be set: what Kubernetes gives before it kills.
const GRACE: Duration = Duration::from_secs(30);

fn ready_in_time(case: &Case) -> Result<()> {
    let took = case.shop()?.web.ready_after;
    ensure!(took <= START_LIMIT, "web took {took:.1?} to be ready");
    Ok(())
}

fn works_in_time(case: &Case) -> Result<()> {
    let took = case.shop()?.worked_after.context("no job was done")?;
    ensure!(took <= START_LIMIT, "the worker took {took:.1?} to do its first job");
    Ok(())
}

/// The variables with this deadline where one can be set, and the deadline that then holds.
fn with_deadline(case: &Case, stage: &Stage, seconds: u32) -> (Variables, Duration) {
    match case.subject().variable(Kind::Deadline) {
        Some(name) => (stage.variables.with(name, &seconds), Duration::from_secs(seconds.into())),
        None => (stage.variables.clone(), GRACE),
    }
}

fn default_deadline(case: &Case) -> Duration {
    if case.subject().variable(Kind::Deadline).is_some() { DEFAULT_DEADLINE } else { GRACE }
}

fn idle_web_leaves(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let mut web = stage.web()?;
    web.greet()?;
    let told = web.process.terminate();
    expect_exit(&mut web.process, told, IDLE_LIMIT).map(|_| ())
}

fn half_read_arrives(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let mut web = stage.web()?;
    let mut connections = Vec::new();
    for _ in 0..3 {
        let mut connection = web.ask(&case.setting.plain_request()?)?;
        connection.receive_some()?;
        connections.push(connection);
    }
    let told = web.process.terminate();
    for connection in &mut connections {
        let answer = connection.receive().context("the rest of an answer that was half read")?;
        ensure!(answer.status < 500, "{answer}");
    }
    drop(connections);
    expect_exit(&mut web.process, told, default_deadline(case)).map(|_| ())
}

/// Fills the list of items with so much text that an answer does not fit into a socket's buffer.
fn fill(web: &Web) -> Result<()> {
    let body = "\u{1f980}".repeat(10_000);
    for _ in 0..100 {
        web.create_item_saying(Some(&body))?;
    }
    Ok(())
}

/// Asks for an item while its table is locked, so that the request hangs in the middle of being answered.
fn ask_and_hang(stage: &Stage, web: &Web, request: &Request) -> Result<Connection> {
    let connection = web.ask(request)?;
    stage.database()?.wait_for_waiters(1).context("the request should hang on the locked table")?;
    Ok(connection)
}

/// Waits until no new connection is served any more, and sees that it stays so for a while.
fn expect_drain(case: &Case, web: &mut Web) -> Result<()> {
    // Not the readiness: it may say 503 a moment before the socket is closed.
    let live = case.setting.boot()?.live.clone();
    let begun = Instant::now();
    let mut knock = || -> Result<Option<Answer>> {
        if let Some(exit) = web.process.exited()? {
            bail!("web exited ({exit}) while a request was not yet answered");
        }
        Ok(match web.client.knock(&live)? {
            Met::Answered(answer) if answer.status != 503 => Some(answer),
            Met::Answered(_) | Met::Refused => None,
        })
    };
    loop {
        let left = TURN_LIMIT.saturating_sub(begun.elapsed());
        wait_for("new connections to be refused or to get 503", left, || {
            Ok(knock()?.is_none().then_some(()))
        })?;
        // Longer than the half second that servers like to give by default.
        let Some(answer) = stays(Duration::from_millis(1500), &mut knock)? else {
            return Ok(());
        };
        // Several servers on one port turn one after the other.
        ensure!(
            begun.elapsed() < TURN_LIMIT,
            "while web drains, {live} on a new connection got {answer}"
        );
    }
}

fn expect_exit(process: &mut Process, told: Reading, limit: Duration) -> Result<Exit> {
    let name = process.name.clone();
    let exit = process.wait_for_exit(limit + Duration::from_secs(5)).with_context(|| {
        format!(
            "{name} is still there {:?} after SIGTERM, the limit is {limit:.1?}",
            limit + Duration::from_secs(5)
        )
    })?;
    let took = exit.at.since(&told);
    ensure!(exit.is_zero(), "{name} ended with {exit}, {took:.1?} after SIGTERM");
    ensure!(took <= limit, "{name} took {took:.1?} after SIGTERM, the limit is {limit:.1?}");
    let orphans = process.left_behind();
    ensure!(orphans.is_empty(), "{name} left behind: {orphans:?}");
    Ok(exit)
}

fn answer_arrives_whole(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let (variables, deadline) = with_deadline(case, &stage, 8);
    let mut web = stage.web_with(&variables)?;
    let item = web.create_item()?;
    let has_list = case.subject().lacks(Need::List).is_none();
    let request = if has_list {
        fill(&web)?;
        web.listing()?
    } else {
        web.reading(&item)?
    };
    let whole = web.client.send(&request)?.body.len();
    let _half_sent = send_half(case, &web, Half::Head)?;
    let lock = stage.database()?.lock(case.item_table()?)?;
    let mut asked = ask_and_hang(&stage, &web, &request)?;
    let told = web.process.terminate();
    expect_drain(case, &mut web)?;
    lock.release()?;
    let answer = asked.receive().context("the answer to the request in flight")?;
    answer.expect(200)?;
    ensure!(
        answer.body.len() == whole,
        "{} of {whole} bytes of the answer arrived",
        answer.body.len()
    );
    expect_exit(&mut web.process, told, deadline + SLACK).map(|_| ())
}

fn survives_in_several(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let variables = stage.variables.with(case.variable(Kind::Concurrency)?, &2);
    let web = stage.web_with(&variables)?;
    stop_in_mid_request(case, &stage, web)
}

/// Sends SIGTERM while a request is held up in the database, lets it go on, and expects its answer.
fn stop_in_mid_request(case: &Case, stage: &Stage, mut web: Web) -> Result<()> {
    let item = web.create_item()?;
    let lock = stage.database()?.lock(case.item_table()?)?;
    let mut asked = ask_and_hang(stage, &web, &web.reading(&item)?)?;
    let told = web.process.terminate();
    expect_drain(case, &mut web)?;
    lock.release()?;
    asked.receive().context("the answer to the request in flight")?.expect(200)?;
    expect_exit(&mut web.process, told, default_deadline(case)).map(|_| ())
}

fn creation_is_finished(case: &Case) -> Result<()> {
    let table = case.item_table()?;
    let stage = case.stage()?;
    let mut web = stage.web()?;
    let before = stage.database()?.count(table)?;
    let lock = stage.database()?.lock(table)?;
    let mut asked = ask_and_hang(&stage, &web, &web.creation(None)?)?;
    let told = web.process.terminate();
    lock.release()?;
    let answer = asked.receive().context("the answer to the creation in flight")?;
    ensure!((200..300).contains(&answer.status), "the creation in flight got {answer}");
    expect_exit(&mut web.process, told, default_deadline(case))?;
    ensure!(stage.database()?.count(table)? == before + 1, "what was created is not stored");
    // Its job was handed over too.
    let item = answer.json()?;
    let worker = stage.start("worker")?;
    let web = stage.web()?;
    web.wait_for_job(&item)?;
    worker.end()?;
    web.process.end()
}

fn idle_sockets_let_go(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let mut web = stage.web()?;
    let _silent = web.client.connect()?;
    let mut idle = web.ask(&case.setting.plain_request()?)?;
    // That this one is served shows that the silent one before it was accepted.
    idle.receive()?;
    let told = web.process.terminate();
    expect_exit(&mut web.process, told, IDLE_LIMIT)?;
    ensure!(idle.is_closed(), "the idle socket is still open");
    Ok(())
}

/// Where a request was broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Head,
    Body,
}

impl Half {
    /// Which halves a service can be sent: without an item, nothing is known that has a body.
    fn all(case: &Case) -> Vec<Self> {
        let has_body =
            case.subject().told.item.as_ref().is_some_and(|item| item.create.json.is_some());
        if has_body { vec![Self::Head, Self::Body] } else { vec![Self::Head] }
    }

    /// A whole request, in two parts.
    fn bytes(self, case: &Case, web: &Web) -> Result<(Vec<u8>, Vec<u8>)> {
        let request = match self {
            Self::Head => case.setting.plain_request()?,
            Self::Body => web.creation(None)?,
        };
        let request = request.header("Connection", "close").to_bytes();
        let at = match self {
            // In the middle of a header's name: the end of it may look like an end of the head.
            Self::Head => request.len() - 12,
            Self::Body => request.len() - 10,
        };
        Ok((request[..at].to_vec(), request[at..].to_vec()))
    }
}

/// Sends the first half and makes sure that the server has read it.
fn send_half(case: &Case, web: &Web, half: Half) -> Result<Connection> {
    let mut connection = web.client.connect()?;
    connection.send_bytes(&half.bytes(case, web)?.0)?;
    wait_for(format!("web to read a request whose {half:?} is half sent"), SOON, || {
        Ok(connection.is_read()?.then_some(()))
    })?;
    web.greet()?;
    Ok(connection)
}

fn completed_in_time(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let mut web = stage.web()?;
    let mut connections = Vec::new();
    for half in Half::all(case) {
        connections.push((half, send_half(case, &web, half)?));
    }
    let told = web.process.terminate();
    expect_drain(case, &mut web)?;
    for (half, connection) in &mut connections {
        connection
            .send_bytes(&half.bytes(case, &web)?.1)
            .with_context(|| format!("send the rest of a request whose {half:?} was half sent"))?;
        let answer = connection
            .receive()
            .with_context(|| format!("a request whose {half:?} was half sent at SIGTERM"))?;
        ensure!(
            answer.status < 500,
            "a request whose {half:?} was half sent at SIGTERM got {answer}"
        );
    }
    drop(connections);
    expect_exit(&mut web.process, told, default_deadline(case)).map(|_| ())
}

fn cut_at_deadline(case: &Case, seconds: Option<u32>) -> Result<()> {
    let stage = case.stage()?;
    let (variables, deadline) = match seconds {
        Some(seconds) => with_deadline(case, &stage, seconds),
        None => (stage.variables.clone(), DEFAULT_DEADLINE),
    };
    let mut web = stage.web_with(&variables)?;
    let mut connections = Vec::new();
    for half in Half::all(case) {
        connections.push(send_half(case, &web, half)?);
    }
    let told = web.process.terminate();
    let exit = expect_exit(&mut web.process, told, deadline + SLACK)?;
    // Time that was promised to a slow client is not to be taken back, whoever had the core meanwhile.
    let took = exit.at.passed_since(&told);
    ensure!(
        deadline == GRACE || took >= deadline.mul_f32(0.6),
        "requests were half sent, the deadline is {deadline:.1?}, and web left after {took:.1?}"
    );
    for connection in &mut connections {
        ensure!(
            connection.is_closed() || connection.receive().is_ok(),
            "a connection is still open"
        );
    }
    Ok(())
}

fn stuck_request_is_cut(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let (variables, deadline) = with_deadline(case, &stage, 4);
    let mut web = stage.web_with(&variables)?;
    let item = web.create_item()?;
    let lock = stage.database()?.lock(case.item_table()?)?;
    let _asked = ask_and_hang(&stage, &web, &web.reading(&item)?)?;
    let told = web.process.terminate();
    expect_exit(&mut web.process, told, deadline + SLACK)?;
    lock.release()
}

fn no_orphan(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let mut web = stage.web()?;
    web.greet()?;
    let tree = web.process.descendants();
    let told = web.process.terminate();
    expect_exit(&mut web.process, told, default_deadline(case))?;
    // Also those who left the group.
    let orphans: Vec<_> = tree.iter().filter(|entry| entry.still_runs()).collect();
    ensure!(orphans.is_empty(), "left behind: {orphans:?}");
    Ok(())
}

fn idle_worker_leaves(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let mut worker = if case.subject().lacks(Need::Job).is_none() {
        let web = stage.web()?;
        stage.warm_worker(&web)?
    } else {
        let mut worker = stage.start("worker")?;
        // It must have come to install its handlers.
        worker.settle()?;
        worker
    };
    let tree = worker.descendants();
    let told = worker.terminate();
    expect_exit(&mut worker, told, default_deadline(case))?;
    let orphans: Vec<_> = tree.iter().filter(|entry| entry.still_runs()).collect();
    ensure!(orphans.is_empty(), "left behind: {orphans:?}");
    Ok(())
}

/// An item whose job a worker has begun and cannot finish, because its table is locked.
struct MidJob {
    web: Web,
    worker: Process,
    lock: TableLock,
    item: Value,
}

fn mid_job(case: &Case, stage: &Stage, variables: &Variables) -> Result<MidJob> {
    let web = stage.web()?;
    let item = web.create_item()?;
    let done_alone = stays(Duration::from_millis(500), || {
        Ok(case.setting.is_done(&web.read_item(&item)?)?.then_some(()))
    })?;
    if done_alone.is_some() {
        let what = "web does the jobs itself".to_owned();
        return Err(Untested::Blocked { by: Factor::Concurrency, what }.into());
    }
    let lock = stage.database()?.lock(case.item_table()?)?;
    let worker = stage.start_with("worker", variables)?;
    stage
        .database()?
        .wait_for_waiters(1)
        .context("the worker should hang on the locked table in the middle of its job")?;
    Ok(MidJob { web, worker, lock, item })
}

fn job_is_finished(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let MidJob { web, mut worker, lock, item } = mid_job(case, &stage, &stage.variables)?;
    let told = worker.terminate();
    let early = stays(Duration::from_secs(1), || worker.exited())?;
    ensure!(early.is_none(), "the worker left in the middle of a job, with all its time before it");
    lock.release()?;
    expect_exit(&mut worker, told, default_deadline(case))?;
    let limit = Duration::from_secs(2);
    web.wait_for_job_within(&item, limit).context("the worker has left, its job is not done")?;
    web.process.end()
}

fn stuck_job_is_handed_on(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let variables = stage.variables.with(case.variable(Kind::Deadline)?, &3);
    let MidJob { web, mut worker, lock, item } = mid_job(case, &stage, &variables)?;
    let told = worker.terminate();
    expect_exit(&mut worker, told, Duration::from_secs(3) + SLACK)?;
    redone_by_another(&stage, &web, lock, &item)
}

fn killed_job_is_redone(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let MidJob { web, mut worker, lock, item } = mid_job(case, &stage, &stage.variables)?;
    worker.kill()?;
    redone_by_another(&stage, &web, lock, &item)
}

fn redone_by_another(stage: &Stage, web: &Web, lock: TableLock, item: &Value) -> Result<()> {
    let gone = Instant::now();
    let another = stage.start("worker")?;
    // Else the database would carry out, once the lock is gone, what the dead worker had sent it.
    stage.database()?.end_waiters()?;
    lock.release()?;
    web.wait_for_job_within(item, REDELIVERY_LIMIT.saturating_sub(gone.elapsed()))
        .context("by another worker, after the first one was gone")?;
    another.end()
}

fn ends_as_first_process(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let start = |name| stage.starter.start_in(Surroundings::FirstProcess, name, &stage.variables);
    let mut web = stage.ready(start("web")?, stage.port)?;
    let lacks = |need| case.subject().lacks(need).is_some();
    if !lacks(Need::Worker) && !lacks(Need::Job) {
        let mut worker = start("worker")?;
        let item = web.create_item()?;
        web.wait_for_job(&item)?;
        let told = worker.terminate();
        expect_exit(&mut worker, told, default_deadline(case)).context("as PID 1")?;
    }
    if lacks(Need::Database) || lacks(Need::Item) {
        web.greet()?;
        let told = web.process.terminate();
        return expect_exit(&mut web.process, told, SOON).context("as PID 1").map(|_| ());
    }
    stop_in_mid_request(case, &stage, web).context("as PID 1")
}
