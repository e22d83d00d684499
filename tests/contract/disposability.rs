//! Factor IX, disposability: quick to start, gone when told, without losing a request, a job or a child.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use crate::backing::TableLock;
use crate::case::{Case, Claim, Order, Stage, Web, wait_for_count};
use crate::http::{Connection, Met, Request};
use crate::missing::Missing;
use crate::patience::{SOON, stays, wait_for};
use crate::process::{Exit, Process, Reading};
use crate::variables::Variables;

pub const FACTOR: &str = "disposability";

pub const CLAIMS: &[Claim] = &[
    Claim::new("web is ready within 10 s of its start", ready_in_time),
    Claim::new("a worker has done a job within 10 s of its start", works_in_time),
    Claim::new(
        "a request being answered when SIGTERM comes arrives whole, new connections are refused or get 503, \
         and web exits 0 before the deadline, though another request stays half sent",
        answer_arrives_whole,
    ),
    Claim::new("a note being posted when SIGTERM comes is answered, stored and its job handed over", post_is_finished),
    Claim::new("with WEB_CONCURRENCY=2 a request being answered when SIGTERM comes arrives whole", |case| {
        request_survives(case, &[("WEB_CONCURRENCY", "2")])
    }),
    Claim::new(
        "an idle keep-alive socket, or one that never sent a byte, does not hold web beyond 3 s",
        idle_sockets_let_go,
    ),
    Claim::new(
        "a request half sent, in its head or its body, that is completed in time is answered",
        completed_in_time,
    ),
    Claim::new(
        "a request that stays half sent, in its head or its body, is cut at the deadline, and web exits 0",
        |case| cut_at_deadline(case, Some(4)),
    ),
    Claim::new("SHUTDOWN_TIMEOUT is 10 seconds unless it is set", |case| cut_at_deadline(case, None))
        .begins(Order::First),
    Claim::new("a request that is not answered by the deadline is cut, and web exits 0", stuck_request_is_cut),
    Claim::new("no orphan of web remains after SIGTERM", no_orphan),
    Claim::new("an idle worker exits 0 on SIGTERM before the deadline", idle_worker_leaves),
    Claim::new("a worker told to stop in mid-job finishes it and exits 0 before the deadline", job_is_finished),
    Claim::new(
        "a worker whose job outlasts the deadline exits 0 by then, and the job is done by another within 60 s",
        stuck_job_is_handed_on,
    )
    .begins(Order::First),
    Claim::new("SIGKILL on a worker in mid-job: the job is done by another within 60 s", killed_job_is_redone)
        .begins(Order::First),
    Claim::new("web and a worker as PID 1 finish what they do and exit 0 on SIGTERM", ends_as_first_process),
];

const START_LIMIT: Duration = Duration::from_secs(10);
const IDLE_LIMIT: Duration = Duration::from_secs(3);
/// A server may take a moment to turn; an orchestrator takes longer to send nobody there any more.
const TURN_LIMIT: Duration = Duration::from_secs(3);
const REDELIVERY_LIMIT: Duration = Duration::from_mins(1);
/// Between the deadline and what an orchestrator sees of it: process teardown, and our own look.
const SLACK: Duration = Duration::from_millis(900);
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

fn ready_in_time(case: &Case) -> Result<()> {
    let took = case.shop()?.web.ready_after;
    ensure!(took <= START_LIMIT, "web took {took:?} to be ready");
    Ok(())
}

fn works_in_time(case: &Case) -> Result<()> {
    let took = case.shop()?.worked_after;
    ensure!(took <= START_LIMIT, "the worker took {took:?} to do its first job");
    Ok(())
}

/// Fills the list of notes with so much text that an answer does not fit into a socket's buffer.
fn fill(web: &Web) -> Result<()> {
    let body = "\u{1f980}".repeat(10_000);
    for _ in 0..100 {
        web.post_note(&body)?;
    }
    Ok(())
}

/// Asks for the notes while they are locked, so that the request hangs in the middle of being answered.
fn ask_and_hang(stage: &Stage, web: &Web, request: &Request) -> Result<Connection> {
    let mut connection = web.client.connect()?;
    connection.send(request)?;
    stage.database.wait_for_waiters(1).context("the request should hang on the locked notes")?;
    Ok(connection)
}

/// Waits until no new connection is served any more, and sees that it stays so for a while.
fn expect_drain(web: &mut Web) -> Result<()> {
    let turned_away = |met: &Met| match met {
        Met::Refused => true,
        Met::Answered(answer) => answer.status == 503,
    };
    // Not /readyz: it may say 503 a moment before the socket is closed.
    wait_for("new connections to be refused or to get 503", TURN_LIMIT, || {
        Ok(turned_away(&web.client.knock("/")?).then_some(()))
    })?;
    // Longer than the half second that servers like to give by default.
    let mut targets = ["/readyz", "/", "/notes?limit=1"].iter().cycle();
    stays(Duration::from_millis(1500), || {
        let target = targets.next().copied().unwrap_or_default();
        let met = web.client.knock(target)?;
        ensure!(turned_away(&met), "while web drains, {target} on a new connection got {met:?}");
        if let Some(exit) = web.process.exited()? {
            bail!("web exited ({exit}) while a request was not yet answered");
        }
        Ok(None::<()>)
    })?;
    Ok(())
}

fn expect_exit(process: &mut Process, told: Reading, limit: Duration) -> Result<Exit> {
    let exit = process.wait_for_exit(limit + SOON)?;
    let took = exit.at.since(&told);
    let name = &process.name;
    ensure!(exit.is_zero(), "{name} ended with {exit}, {took:?} after SIGTERM");
    ensure!(took <= limit, "{name} took {took:?} after SIGTERM, the limit is {limit:?}");
    let orphans = process.left_behind();
    ensure!(orphans.is_empty(), "{name} left behind: {orphans:?}");
    Ok(exit)
}

fn answer_arrives_whole(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let mut web = stage.web_with(&stage.variables.with("SHUTDOWN_TIMEOUT", &8))?;
    fill(&web)?;
    let mut half_sent = web.client.connect()?;
    half_sent.send_bytes(&Half::Body.bytes().0)?;
    let lock = stage.database.lock_notes()?;
    let mut asked = ask_and_hang(&stage, &web, &Request::get("/notes?limit=100"))?;
    let told = web.process.terminate();
    expect_drain(&mut web)?;
    lock.release()?;
    let answer = asked.receive().context("the answer to the request in flight")?;
    let notes = answer.expect(200)?.json()?;
    let whole = notes.as_array().map_or(0, Vec::len);
    ensure!(whole == 100, "the answer has {whole} of 100 notes");
    expect_exit(&mut web.process, told, Duration::from_secs(8)).map(|_| ())
}

fn request_survives(case: &Case, settings: &[(&str, &str)]) -> Result<()> {
    let stage = case.stage()?;
    let variables = settings
        .iter()
        .fold(stage.variables.clone(), |variables, (name, value)| variables.with(name, value));
    let web = stage.web_with(&variables)?;
    stop_in_mid_request(&stage, web)
}

/// Sends SIGTERM while a request is held up in the database, lets it go on, and expects its answer.
fn stop_in_mid_request(stage: &Stage, mut web: Web) -> Result<()> {
    let lock = stage.database.lock_notes()?;
    let mut asked = ask_and_hang(stage, &web, &Request::get("/notes"))?;
    let told = web.process.terminate();
    expect_drain(&mut web)?;
    lock.release()?;
    asked.receive().context("the answer to the request in flight")?.expect(200)?;
    expect_exit(&mut web.process, told, DEFAULT_DEADLINE).map(|_| ())
}

fn post_is_finished(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let mut web = stage.web()?;
    let lock = stage.database.lock_notes()?;
    let request = Request::post("/notes", &json!({ "body": "just in time" }));
    let mut asked = ask_and_hang(&stage, &web, &request)?;
    let told = web.process.terminate();
    lock.release()?;
    asked.receive().context("the answer to the post in flight")?.expect(201)?;
    expect_exit(&mut web.process, told, DEFAULT_DEADLINE)?;
    // Its job was handed over too.
    let worker = stage.start("worker")?;
    let table = stage.database.notes_table()?;
    let counts = format!("SELECT word_count FROM {table} WHERE word_count IS NOT NULL");
    let counts = wait_for("the word_count of the note", SOON, || {
        let counts = stage.database.query(&counts)?;
        Ok((!counts.is_empty()).then_some(counts))
    })?;
    ensure!(counts == ["3"], "the words were counted as {counts:?}");
    worker.end()
}

fn idle_sockets_let_go(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let mut web = stage.web()?;
    let _silent = web.client.connect()?;
    let mut idle = web.client.connect()?;
    idle.send(&Request::get("/livez"))?;
    // That this one is served shows that the silent one before it was accepted.
    idle.receive()?.expect(200)?;
    let told = web.process.terminate();
    expect_exit(&mut web.process, told, IDLE_LIMIT)?;
    ensure!(idle.is_closed(), "the idle socket is still open");
    Ok(())
}

/// Where a request was broken off.
#[derive(Debug, Clone, Copy)]
enum Half {
    Head,
    Body,
}

impl Half {
    /// A whole request, in two parts.
    fn bytes(self) -> (Vec<u8>, Vec<u8>) {
        let body = json!({ "body": "sent in two halves" });
        let request = Request::post("/notes", &body).header("Connection", "close").to_bytes();
        let at = match self {
            Self::Head => 30,
            Self::Body => request.len() - 10,
        };
        (request[..at].to_vec(), request[at..].to_vec())
    }
}

/// Sends the first half and makes sure that the server has read it.
fn send_half(web: &Web, half: Half) -> Result<Connection> {
    let mut connection = web.client.connect()?;
    connection.send_bytes(&half.bytes().0)?;
    web.client.get("/livez")?.expect(200)?;
    web.client.get("/livez")?.expect(200)?;
    Ok(connection)
}

fn completed_in_time(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let mut web = stage.web()?;
    let mut connections = Vec::new();
    for half in [Half::Head, Half::Body] {
        connections.push((half, send_half(&web, half)?));
    }
    let told = web.process.terminate();
    expect_drain(&mut web)?;
    for (half, connection) in &mut connections {
        connection
            .send_bytes(&half.bytes().1)
            .with_context(|| format!("send the rest of a request whose {half:?} was half sent"))?;
        connection
            .receive()
            .with_context(|| format!("a request whose {half:?} was half sent at SIGTERM"))?
            .expect(201)?;
    }
    expect_exit(&mut web.process, told, DEFAULT_DEADLINE).map(|_| ())
}

fn cut_at_deadline(case: &Case, seconds: Option<u32>) -> Result<()> {
    let stage = case.stage()?;
    let mut variables = stage.variables.clone();
    let mut deadline = DEFAULT_DEADLINE;
    if let Some(seconds) = seconds {
        variables = variables.with("SHUTDOWN_TIMEOUT", &seconds);
        deadline = Duration::from_secs(seconds.into());
    }
    let mut web = stage.web_with(&variables)?;
    let mut connections = [send_half(&web, Half::Head)?, send_half(&web, Half::Body)?];
    let told = web.process.terminate();
    let exit = expect_exit(&mut web.process, told, deadline + SLACK)?;
    let took = exit.at.since(&told);
    // Time that was promised to a slow client is not to be taken back.
    ensure!(
        took >= deadline.mul_f32(0.6),
        "requests were half sent, the deadline is {deadline:?}, and web left after {took:?}"
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
    let deadline = Duration::from_secs(4);
    let mut web = stage.web_with(&stage.variables.with("SHUTDOWN_TIMEOUT", &4))?;
    let lock = stage.database.lock_notes()?;
    let _asked = ask_and_hang(&stage, &web, &Request::get("/notes"))?;
    let told = web.process.terminate();
    expect_exit(&mut web.process, told, deadline + SLACK)?;
    lock.release()
}

fn no_orphan(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let mut web = stage.web_with(&stage.variables.with("WEB_CONCURRENCY", &3))?;
    web.client.get("/")?.expect(200)?;
    let tree = web.process.descendants();
    let told = web.process.terminate();
    expect_exit(&mut web.process, told, DEFAULT_DEADLINE)?;
    // Also those who left the group.
    let orphans: Vec<_> = tree.iter().filter(|entry| entry.still_runs()).collect();
    ensure!(orphans.is_empty(), "left behind: {orphans:?}");
    Ok(())
}

fn idle_worker_leaves(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let web = stage.web()?;
    let mut worker = stage.warm_worker(&web)?;
    let tree = worker.descendants();
    let told = worker.terminate();
    expect_exit(&mut worker, told, DEFAULT_DEADLINE)?;
    let orphans: Vec<_> = tree.iter().filter(|entry| entry.still_runs()).collect();
    ensure!(orphans.is_empty(), "left behind: {orphans:?}");
    Ok(())
}

/// A note whose job a worker has begun and cannot finish, because the notes are locked.
struct MidJob {
    web: Web,
    worker: Process,
    lock: TableLock,
    note: i64,
}

fn mid_job(stage: &Stage, variables: &Variables) -> Result<MidJob> {
    let web = stage.web()?;
    let note = web.post_note("one two three")?;
    let lock = stage.database.lock_notes()?;
    let worker = stage.start_with("worker", variables)?;
    stage
        .database
        .wait_for_waiters(1)
        .context("the worker should hang on the locked notes in the middle of its job")?;
    Ok(MidJob { web, worker, lock, note })
}

fn job_is_finished(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    stage.database.record_counts()?;
    let MidJob { web, mut worker, lock, note } = mid_job(&stage, &stage.variables)?;
    let told = worker.terminate();
    let early = stays(Duration::from_secs(1), || worker.exited())?;
    ensure!(early.is_none(), "the worker left in the middle of a job, with all its time before it");
    lock.release()?;
    expect_exit(&mut worker, told, DEFAULT_DEADLINE)?;
    web.wait_for_count(note, 3)?;
    let counts = stage.database.recorded_counts()?;
    ensure!(counts.len() == 1, "the job was done {} times", counts.len());
    Ok(())
}

fn stuck_job_is_handed_on(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let variables = stage.variables.with("SHUTDOWN_TIMEOUT", &3);
    let MidJob { web, mut worker, lock, note } = mid_job(&stage, &variables)?;
    let told = worker.terminate();
    expect_exit(&mut worker, told, Duration::from_secs(3) + SLACK)?;
    let gone = Instant::now();
    let another = stage.start("worker")?;
    stage.database.end_waiters()?;
    lock.release()?;
    wait_for_count(&web.client, note, 3, REDELIVERY_LIMIT.saturating_sub(gone.elapsed()))?;
    another.end()
}

fn killed_job_is_redone(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let MidJob { web, mut worker, lock, note } = mid_job(&stage, &stage.variables)?;
    let another = stage.start("worker")?;
    worker.kill()?;
    let killed = Instant::now();
    // Else the database would carry out, once the lock is gone, what the dead worker had sent it.
    stage.database.end_waiters()?;
    lock.release()?;
    wait_for_count(&web.client, note, 3, REDELIVERY_LIMIT.saturating_sub(killed.elapsed()))?;
    another.end()
}

/// A wrapper in which a line is the first process, as in a container: no signal has a default action there.
fn as_first_process() -> Result<Vec<String>> {
    let user: &[&str] =
        if nix::unistd::geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] };
    let wrapper: Vec<String> = ["unshare"]
        .iter()
        .chain(user)
        .chain(&["--pid", "--fork", "--kill-child", "--mount-proc"])
        .map(ToString::to_string)
        .collect();
    let possible = std::process::Command::new("unshare").args(&wrapper[1..]).arg("true").output();
    if !possible.is_ok_and(|output| output.status.success()) {
        return Err(Missing {
            what: "a PID namespace",
            package: "run as root, or where unprivileged user namespaces are allowed (util-linux' unshare)",
        }
        .into());
    }
    Ok(wrapper)
}

fn ends_as_first_process(case: &Case) -> Result<()> {
    let wrapper = as_first_process()?;
    let stage = case.stage()?;
    let start = |name| stage.starter.start_in(&wrapper, name, &stage.variables);
    let web = Web::ready(start("web")?, stage.port)?;
    let mut worker = start("worker")?;
    let id = web.post_note("two words")?;
    web.wait_for_count(id, 2)?;
    let told = worker.terminate();
    expect_exit(&mut worker, told, DEFAULT_DEADLINE)?;
    stop_in_mid_request(&stage, web)
}
