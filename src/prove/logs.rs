//! Factor XI, logs: each line of each process is one JSON object on stdout, at the moment of the event.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use serde_json::Value;

use super::case::Case;
use super::claim::{Claim, Need, Order};
use super::probe::http::{self, Request};
use super::probe::output::{Line, Stream, Transcript};
use super::probe::patience::wait_for;
use super::probe::process::Process;
use super::probe::record;
use super::probe::variables::Variables;
use super::subject::Kind;
use super::written;

pub const CLAIMS: &[Claim] = &[
    Claim::new(
        "every line of web and worker from boot to SIGTERM is one JSON object on stdout",
        servers_write_json,
    )
    .hint("one JSON object a line with timestamp, level and message, on stdout; the framework's own lines too"),
    Claim::new("every line of release and of a task is one JSON object on stdout", tasks_write_json)
        .needs(&[Need::Release])
    .hint("set up the one handler for all loggers before anything is logged, and print nothing"),
    Claim::new("every line of a refusal over the configuration is one JSON object on stdout", refusals_are_json)
        .needs(&[Need::Required])
    .hint("set up the one handler for all loggers before anything is logged, and print nothing"),
    Claim::new("a traceback is one line, a JSON object of level error on stdout", tracebacks_are_json)
        .needs(&[Need::Database, Need::Item])
        .hint("log an exception as a field of one line"),
    Claim::new("a request leaves a line within a second", request_is_logged)
        .hint("write to stdout without a buffer, and log every request"),
    Claim::new("the line of a request has its X-Request-Id, given or made", request_id_is_logged)
        .needs(&[Need::Contract]),
    Claim::new("what a client sends cannot break a line", lines_stay_whole)
    .hint("log what a client sent as a field of a JSON object, which escapes it"),
    Claim::new("no log file is written", no_file)
        .begins(Order::Last)
        .hint("write to stdout alone: where the stream goes is the platform's business"),
    Claim::new(
        "every line that any process of this run wrote is one JSON object on stdout, within a second of its event",
        all_lines,
    )
    .begins(Order::Last)
    .hint("set up the one handler for all loggers before anything is logged, and print nothing"),
];

/// How far a line's own time may lie from its arrival.
const DELAY: Duration = Duration::from_secs(1);

/// A record as the contract has it, to the letter.
fn read_to_the_letter(value: &Value) -> Result<Timestamp> {
    let member =
        |name: &str| value[name].as_str().with_context(|| format!("it has no text `{name}`"));
    member("message")?;
    let level = member("level")?.to_lowercase();
    ensure!(
        ["debug", "info", "warning", "warn", "error", "critical", "fatal"]
            .contains(&level.as_str()),
        "its level is {level:?}"
    );
    let timestamp = member("timestamp")?;
    ensure!(
        timestamp.ends_with('Z') || timestamp.ends_with("+00:00"),
        "its timestamp {timestamp:?} is not UTC"
    );
    timestamp.parse().with_context(|| format!("its timestamp {timestamp:?} is not RFC 3339"))
}

fn check_line(line: &Line, keeps_contract: bool) -> Result<()> {
    ensure!(line.stream == Stream::Stdout, "it stands on stderr");
    let value: Value = serde_json::from_str(&line.text).context("it is not JSON")?;
    ensure!(value.is_object(), "it is JSON, but no object");
    let timestamp =
        if keeps_contract { read_to_the_letter(&value)? } else { record::read(&value)? };
    let event = SystemTime::from(timestamp);
    // Either may be the earlier: the clock of the timestamp may be coarser than ours.
    let apart =
        line.arrived.duration_since(event).or_else(|_| event.duration_since(line.arrived))?;
    ensure!(apart <= DELAY, "it arrived {apart:.1?} from its time {timestamp}");
    Ok(())
}

fn check_lines(case: &Case, transcript: &Transcript) -> Result<()> {
    for line in &transcript.lines {
        check_line(line, case.subject().keeps_contract).with_context(|| {
            let text: String = line.text.chars().take(600).collect();
            format!("{} wrote this line: {text}", transcript.process)
        })?;
    }
    Ok(())
}

/// Ends a process and checks all that it wrote, which must be something.
fn end_and_check(case: &Case, mut process: Process) -> Result<()> {
    process.terminate();
    // How it ends, and whether, is another factor's business.
    let _ = process.wait_for_exit(Duration::from_secs(5));
    let transcript = process.transcript();
    ensure!(!transcript.lines.is_empty(), "{} wrote no line at all", transcript.process);
    check_lines(case, &transcript)
}

/// The variables with all that can be logged.
fn talkative(case: &Case, variables: &Variables) -> Variables {
    match case.subject().variable(Kind::LogLevel) {
        Some(name) => variables.with(name, &case.subject().spell_level("debug")),
        None => variables.clone(),
    }
}

fn servers_write_json(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let variables = talkative(case, &stage.variables);
    let web = stage.web_with(&variables)?;
    let has_worker = case.subject().lacks(Need::Worker).is_none();
    let mut worker = has_worker.then(|| stage.start_with("worker", &variables)).transpose()?;
    worker.as_mut().map_or(Ok(()), Process::settle)?;
    web.greet()?;
    web.client.get("/nowhere-at-all")?;
    if case.subject().told.item.is_some() {
        let item = web.create_item()?;
        if has_worker && case.subject().lacks(Need::Job).is_none() {
            web.wait_for_job(&item)?;
        }
        web.client.send(&web.creation(None)?.body("{\"no\": \"JSON"))?;
    }
    // What is no HTTP at all is a warning that servers like to print in their own way.
    for garbage in [&b"\x16\x03\x01\x02\x00\r\n\r\n"[..], b"GET / HTTP/9.9\r\nHost: x\r\n\r\n"] {
        let mut connection = web.client.connect()?;
        connection.send_bytes(garbage)?;
        connection.finish_sending()?;
        let _ = connection.receive();
    }
    worker.map(|worker| end_and_check(case, worker)).transpose()?;
    end_and_check(case, web.process)
}

fn tasks_write_json(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let variables = talkative(case, &stage.variables);
    for name in std::iter::once("release").chain(case.subject().tasks.iter().map(String::as_str)) {
        let (_, process) = stage.starter.run(name, &variables)?;
        check_lines(case, &process.transcript())?;
    }
    Ok(())
}

fn refusals_are_json(case: &Case) -> Result<()> {
    let bare = case.without_required()?;
    let mut process = bare.starter.start("web", &bare.variables)?;
    // One that refuses nothing is for the config to find.
    let _ = process.wait_for_exit(Duration::from_secs(5));
    check_lines(case, &process.transcript())
}

fn tracebacks_are_json(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let web = stage.web()?;
    let item = web.create_item()?;
    // Nobody foresees that the table is gone.
    let table = stage.database()?.quote(case.item_table()?);
    stage.database()?.query(&format!("DROP TABLE {table}"))?;
    let answer = web.client.send(&web.reading(&item)?)?;
    ensure!(answer.status >= 500, "without its table, an item is answered with {answer}");
    let mut processes = vec![web.process];
    if case.subject().keeps_contract {
        answer.expect_problem(answer.status)?;
        processes.push(stage.start("worker")?);
    }
    for process in &processes {
        wait_for(
            format!("{} to log an error, as one line of level error", process.name),
            Duration::from_secs(20),
            || {
                let is_error = |line: &Line| {
                    record::is_error(&serde_json::from_str(&line.text).unwrap_or_default())
                };
                Ok(process.lines().iter().any(is_error).then_some(()))
            },
        )?;
    }
    processes.into_iter().try_for_each(|process| end_and_check(case, process))
}

fn request_is_logged(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let web = stage.web()?;
    for path in ["/", "/nowhere-at-all"] {
        let seen = web.process.lines().len();
        let begun = SystemTime::now();
        web.client.get(path)?;
        let answered = SystemTime::now();
        let limit = DELAY + answered.duration_since(begun).unwrap_or_default();
        wait_for(format!("a line about GET {path}"), limit.max(Duration::from_secs(2)), || {
            Ok((web.process.lines().len() > seen).then_some(()))
        })?;
    }
    web.process.end()
}

/// Waits for the line that bears a request's id, and gives the time until then.
fn wait_for_line(process: &Process, id: &str, begun: SystemTime) -> Result<Duration> {
    let bears = |line: &Line| {
        let value: Value = serde_json::from_str(&line.text).unwrap_or_default();
        let members = value.as_object();
        members.is_some_and(|members| members.values().any(|member| member == id))
    };
    let line = wait_for(format!("a line with the id {id}"), Duration::from_secs(5), || {
        Ok(process.lines().into_iter().find(bears))
    })?;
    Ok(line.arrived.duration_since(begun).unwrap_or_default())
}

fn request_id_is_logged(case: &Case) -> Result<()> {
    let web = &case.shop()?.web;
    for (target, id) in
        [("/", "from-outside-1"), ("/livez", "from-outside-2"), ("/nowhere", "from-outside-3")]
    {
        let begun = SystemTime::now();
        let answer = web.client.send(&Request::get(target).header("X-Request-Id", id))?;
        let answered = SystemTime::now();
        ensure!(
            answer.header("X-Request-Id") == Some(id),
            "{target} does not return the id that it got"
        );
        let took = wait_for_line(&web.process, id, begun)?;
        let limit = DELAY + answered.duration_since(begun).unwrap_or_default();
        ensure!(took <= limit, "the line of {target} came {took:.1?} after the request");
    }
    let answer = web.client.get("/nowhere")?;
    let id = answer.header("X-Request-Id").context("no X-Request-Id was made")?;
    wait_for_line(&web.process, id, SystemTime::now()).map(|_| ())
}

fn lines_stay_whole(case: &Case) -> Result<()> {
    let web = &case.shop()?.web;
    let targets: [&[u8]; 4] = [
        b"/%0A%7B%22level%22%3A%22forged%22%7D",
        b"/%22%5C%00%1B%5B31m",
        b"/\xff\xfe\"\\",
        b"/?limit=%0Aforged&before=%22",
    ];
    for target in targets {
        let request = Request::get(target)
            .header("User-Agent", "a \"quoted\" \\ one\t\x7f")
            .header("X-Request-Id", "an \"id\" \\ with\ttabs");
        // A server may refuse such a request by closing the connection: what counts is its log, and that it stays up.
        match web.client.send(&request) {
            Err(error) if !http::is_closed_early(&error) => return Err(error),
            _ => {}
        }
    }
    web.client.send(&Request::get("/").header("X-Request-Id", "x".repeat(6_000)))?;
    web.greet()?;
    check_lines(case, &web.process.transcript())
}

fn no_file(case: &Case) -> Result<()> {
    let shop = case.shop()?;
    for process in std::iter::once(&shop.web.process).chain(&shop.worker) {
        let mut files = process.files_open_for_writing();
        files.retain(|path| is_log(&path.to_string_lossy()));
        ensure!(files.is_empty(), "{} holds open for writing: {files:?}", process.name);
    }
    written::expect_none(case, written::Kind::Log)
}

fn is_log(path: &str) -> bool {
    // What a package manager that starts the service notes of itself is none of the service's.
    let of_managers = ["/.npm/_logs/", "/.pnpm-debug.log", "/yarn-debug.log", "/yarn-error.log"];
    path.to_lowercase().contains("log") && !of_managers.iter().any(|part| path.contains(part))
}

fn all_lines(case: &Case) -> Result<()> {
    case.shop()?;
    let transcripts = case.all_transcripts();
    let mut faults = Vec::new();
    for transcript in &transcripts {
        if let Err(fault) = check_lines(case, transcript) {
            faults.push(format!("{fault:#}"));
        }
    }
    if !faults.is_empty() {
        faults.sort();
        faults.dedup();
        let shown = faults.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
        bail!("{} of {} processes:\n{shown}", faults.len(), transcripts.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debug_log_of_a_package_manager_is_not_the_services() {
        assert!(is_log("/srv/shop/access.log"));
        assert!(is_log("/var/Log/shop"));
        assert!(!is_log("/srv/shop/data.db"));
        assert!(!is_log("/root/.npm/_logs/2026-11-23T16_40_00_000Z-debug-0.log"));
    }
}
