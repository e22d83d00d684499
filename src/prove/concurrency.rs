//! Factor VIII, concurrency: more workers share the work, and each kind of process does its own only.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::case::Case;
use super::claim::{Claim, Need, Order};
use super::probe::patience::{SOON, stays, wait_for};
use super::subject::Kind;
use super::written;

pub const CLAIMS: &[Claim] = &[
    Claim::new("web stays in the foreground: it is the process that was started", stays_in_front)
        .hint("start the server itself, without a daemon mode"),
    Claim::new("three workers do the jobs of 100 items, each once", each_job_once)
        .needs(&[Need::Worker, Need::Item, Need::Job, Need::Database])
        .hint("let each job be taken by one worker: a queue with acknowledgement, or FOR UPDATE SKIP LOCKED"),
    Claim::new("a web process alone does no job", web_does_none)
        .needs(&[Need::Worker, Need::Item, Need::Job])
        .hint("do in web only what answers the request, and hand the rest to the worker"),
    Claim::new("a worker opens no port", worker_opens_no_port).needs(&[Need::Worker])
    .hint("leave it to web to listen"),
    Claim::new(
        "WEB_CONCURRENCY=2 serves, listens on PORT alone and leaves nobody behind",
        two_servers,
    )
    .needs(&[Need::Variable(Kind::Concurrency)])
    .hint("let the first process end those that it has started"),
    Claim::new("no PID file is written", no_pid_file)
        .begins(Order::Last)
        .hint("leave it to the platform to know its processes"),
];

fn stays_in_front(case: &Case) -> Result<()> {
    let shop = case.shop()?;
    shop.web.greet()?;
    ensure!(
        !shop.web.process.listening().is_empty(),
        "the process that was started does not hold the port: it has left its work to another"
    );
    Ok(())
}

fn each_job_once(case: &Case) -> Result<()> {
    const ITEMS: usize = 100;
    let stage = case.stage()?;
    let (table, done) = (case.item_table()?, case.setting.done()?);
    let is_recorded = stage.database()?.has_column(table, done)?;
    if is_recorded {
        stage.database()?.record(table, done)?;
    }
    let web = stage.web()?;
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(stage.start("worker")?);
    }
    let mut items = Vec::new();
    for number in 0..ITEMS {
        items.push(web.create_item_saying(Some(&"word ".repeat(number % 7 + 1)))?);
    }
    let mut left = items;
    wait_for("the jobs of all items to be done", SOON, || {
        while let Some(item) = left.last() {
            if !case.setting.is_done(&web.read_item(item)?)? {
                return Ok(None);
            }
            left.pop();
        }
        Ok(Some(()))
    })?;
    // Whoever does a job twice does it soon after.
    stays(Duration::from_secs(1), || Ok(None::<()>))?;
    for worker in workers {
        worker.end()?;
    }
    if is_recorded {
        let times = stage.database()?.recorded()?;
        if times != ITEMS {
            bail!("{ITEMS} jobs were done {times} times");
        }
    }
    web.process.end()
}

fn web_does_none(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let web = stage.web()?;
    let item = web.create_item()?;
    let done = stays(Duration::from_secs(3), || {
        let item = web.read_item(&item)?;
        Ok(case.setting.is_done(&item)?.then_some(item))
    })?;
    if let Some(item) = done {
        bail!("there is no worker, and yet the job was done: {item}");
    }
    let worker = stage.start("worker")?;
    web.wait_for_job(&item)?;
    worker.end()?;
    web.process.end()
}

fn worker_opens_no_port(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let mut worker = stage.start("worker")?;
    worker.settle()?;
    let heard = stays(Duration::from_secs(3), || {
        worker.ensure_alive()?;
        let heard = worker.listening();
        Ok((!heard.is_empty()).then_some(heard))
    })?;
    if let Some(heard) = heard {
        bail!("the worker listens on {heard:?}");
    }
    worker.end()
}

fn two_servers(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let two = stage.variables.with(case.variable(Kind::Concurrency)?, &2);
    let mut web = stage.web_with(&two)?;
    for _ in 0..10 {
        web.greet()?;
    }
    for address in web.process.listening() {
        ensure!(address.port() == stage.port, "web listens on {address} besides its PORT");
    }
    let tree = web.process.descendants();
    web.process.terminate();
    web.process.wait_for_exit(SOON)?;
    let orphans: Vec<_> = tree.iter().filter(|entry| entry.still_runs()).collect();
    ensure!(orphans.is_empty(), "left behind: {orphans:?}");
    Ok(())
}

fn no_pid_file(case: &Case) -> Result<()> {
    case.shop()?;
    written::expect_none(case, written::Kind::Pid)
}
