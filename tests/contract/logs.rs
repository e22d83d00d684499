//! Factor XI, logs: each line of each process is one JSON object on stdout, at the moment of the event.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::case::{Case, Claim, Order, Starter};
use crate::http::Request;
use crate::output::{Line, Stream, Transcript};
use crate::patience::{SOON, wait_for};
use crate::process::Process;
use crate::variables::Variables;

pub const FACTOR: &str = "logs";

pub const CLAIMS: &[Claim] = &[
    Claim::new(
        "every line of web and worker from boot to SIGTERM is one JSON object on stdout",
        servers_write_json,
    ),
    Claim::new("every line of release and of a task is one JSON object on stdout", tasks_write_json),
    Claim::new("every line of a refusal over the configuration is one JSON object on stdout", refusals_are_json),
    Claim::new("a traceback is one line, a JSON object of level error on stdout", tracebacks_are_json),
    Claim::new("the line of a request stands there within a second, with its X-Request-Id", request_is_logged),
    Claim::new("an X-Request-Id that is made stands on the log line", made_id_is_logged),
    Claim::new("what a client sends cannot break a line", lines_stay_whole),
    Claim::new("no file is written", no_file).begins(Order::Last),
    Claim::new(
        "every line that any process of this run wrote is one JSON object on stdout, within a second of its event",
        all_lines,
    )
    .begins(Order::Last),
];

/// How far a line's own time may lie from its arrival.
const DELAY: Duration = Duration::from_secs(1);

fn check_line(line: &Line) -> Result<()> {
    ensure!(line.stream == Stream::Stdout, "it stands on stderr");
    let value: Value = serde_json::from_str(&line.text).context("it is not JSON")?;
    ensure!(value.is_object(), "it is JSON, but no object");
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
    let parsed: Timestamp = timestamp
        .parse()
        .with_context(|| format!("its timestamp {timestamp:?} is not RFC 3339"))?;
    let event = SystemTime::from(parsed);
    // Either may be the earlier: the clock of the timestamp may be coarser than ours.
    let apart =
        line.arrived.duration_since(event).or_else(|_| event.duration_since(line.arrived))?;
    ensure!(apart <= DELAY, "it arrived {apart:?} from its timestamp {timestamp}");
    Ok(())
}

fn check_lines(transcript: &Transcript) -> Result<()> {
    for line in &transcript.lines {
        check_line(line).with_context(|| {
            let text: String = line.text.chars().take(600).collect();
            format!("{} wrote this line: {text}", transcript.process)
        })?;
    }
    Ok(())
}

/// Ends a process and checks all that it wrote, which must be something.
fn end_and_check(mut process: Process) -> Result<()> {
    process.terminate();
    process.wait_for_exit(SOON)?;
    let transcript = process.transcript();
    ensure!(!transcript.lines.is_empty(), "{} wrote no line at all", transcript.process);
    check_lines(&transcript)
}

fn servers_write_json(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let variables = stage.variables.with("LOG_LEVEL", "debug");
    let web = stage.web_with(&variables.with("WEB_CONCURRENCY", &2))?;
    let worker = stage.start_with("worker", &variables)?;
    web.client.get("/")?.expect(200)?;
    web.client.get("/nowhere")?.expect(404)?;
    web.client.post("/notes", &json!({ "body": 7 }))?.expect(422)?;
    let id = web.post_note("two words")?;
    web.wait_for_count(id, 2)?;
    // What is no HTTP at all is a warning that servers like to print in their own way.
    for garbage in [&b"\x16\x03\x01\x02\x00\r\n\r\n"[..], b"GET / HTTP/9.9\r\nHost: x\r\n\r\n"] {
        let mut connection = web.client.connect()?;
        connection.send_bytes(garbage)?;
        connection.finish_sending()?;
        let _ = connection.receive();
    }
    end_and_check(worker)?;
    end_and_check(web.process)
}

fn tasks_write_json(case: &Case) -> Result<()> {
    let stage = case.empty_stage()?;
    let variables = stage.variables.with("LOG_LEVEL", "debug");
    for name in ["release", "release", "recount"] {
        let (exit, process) = stage.starter.run(name, &variables)?;
        ensure!(exit.is_zero(), "{name} ended with {exit}");
        check_lines(&process.transcript())?;
    }
    Ok(())
}

fn refusals_are_json(case: &Case) -> Result<()> {
    let starter = Starter::of(case)?;
    for name in ["web", "worker", "release"] {
        let (_, process) = starter.run(name, &Variables::default())?;
        let transcript = process.transcript();
        ensure!(!transcript.lines.is_empty(), "{name} refused without a word");
        check_lines(&transcript)?;
    }
    Ok(())
}

fn tracebacks_are_json(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let web = stage.web()?;
    let id = web.post_note("nobody will count these")?;
    // Nobody foresees that the table is gone.
    let table = stage.database.notes_table()?;
    stage.database.query(&format!("DROP TABLE {table}"))?;
    let answer = web.client.get(&format!("/notes/{id}"))?;
    ensure!(answer.status >= 500, "without its table, a note is answered with {answer}");
    answer.expect_problem(answer.status)?;
    let worker = stage.start("worker")?;
    for process in [&web.process, &worker] {
        wait_for(format!("{} to log an error", process.name), SOON, || {
            let is_error = |line: &Line| {
                let value: Value = serde_json::from_str(&line.text).unwrap_or_default();
                matches!(value["level"].as_str(), Some("error" | "critical" | "ERROR" | "CRITICAL"))
            };
            Ok(process.lines().iter().any(is_error).then_some(()))
        })?;
    }
    end_and_check(worker)?;
    end_and_check(web.process)
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

fn request_is_logged(case: &Case) -> Result<()> {
    let web = &case.shop()?.web;
    for (target, id) in
        [("/", "from-outside-1"), ("/notes", "from-outside-2"), ("/nowhere", "from-outside-3")]
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
        ensure!(took <= limit, "the line of {target} came {took:?} after the request");
    }
    Ok(())
}

fn made_id_is_logged(case: &Case) -> Result<()> {
    let web = &case.shop()?.web;
    let answer = web.client.get("/nowhere")?;
    let id = answer.header("X-Request-Id").context("no X-Request-Id was made")?;
    wait_for_line(&web.process, id, SystemTime::now()).map(|_| ())
}

fn lines_stay_whole(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let web = stage.web()?;
    let targets: [&[u8]; 4] = [
        b"/%0A%7B%22level%22%3A%22forged%22%7D",
        b"/%22%5C%00%1B%5B31m",
        b"/\xff\xfe\"\\",
        b"/notes?limit=%0Aforged&before=%22",
    ];
    for target in targets {
        let request = Request::get(target)
            .header("User-Agent", "a \"quoted\" \\ one\t\x7f")
            .header("X-Request-Id", "an \"id\" \\ with\ttabs");
        let answer = web.client.send(&request)?;
        ensure!(answer.status < 500, "{answer}");
    }
    let long = "x".repeat(6_000);
    let answer = web.client.send(&Request::get("/").header("X-Request-Id", long))?;
    ensure!(answer.status < 500, "{answer}");
    end_and_check(web.process)
}

fn no_file(case: &Case) -> Result<()> {
    let shop = case.shop()?;
    for process in [&shop.web.process, &shop.worker] {
        let files = process.files_open_for_writing();
        ensure!(files.is_empty(), "{} holds open for writing: {files:?}", process.name);
    }
    let changes = case.changed_files()?;
    if !changes.is_empty() {
        bail!("files were written:\n{}", changes.join("\n"));
    }
    Ok(())
}

fn all_lines(case: &Case) -> Result<()> {
    let transcripts = case.all_transcripts();
    let mut faults = Vec::new();
    for transcript in &transcripts {
        if let Err(fault) = check_lines(transcript) {
            faults.push(format!("{fault:#}"));
        }
    }
    if !faults.is_empty() {
        faults.sort();
        faults.dedup();
        bail!("{} of {} processes:\n{}", faults.len(), transcripts.len(), faults.join("\n"));
    }
    Ok(())
}
