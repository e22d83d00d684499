use std::future::pending;
use std::time::Duration;

use anyhow::{Result, bail};
use redis::AsyncTypedCommands as _;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use shop::jobs::{Handler, Job, Jobs};
use shop::shutdown::Shutdown;

use crate::support::{services, settings};

const HANDLERS: &[Handler<Done>] = &[
    Handler::of::<Succeed>(),
    Handler::of::<Fail>(),
    Handler::of::<Panic>(),
    Handler::of::<Hang>(),
];

type Done = UnboundedSender<u32>;

#[derive(Deserialize, Serialize)]
struct Succeed(u32);

impl Job for Succeed {
    const NAME: &'static str = "succeed";

    type Context = Done;

    async fn run(self, done: Done) -> Result<()> {
        Ok(done.send(self.0)?)
    }
}

#[derive(Deserialize, Serialize)]
struct Fail(u32);

impl Job for Fail {
    const NAME: &'static str = "fail";

    type Context = Done;

    async fn run(self, done: Done) -> Result<()> {
        done.send(self.0)?;
        bail!("as it should")
    }
}

#[derive(Deserialize, Serialize)]
struct Panic(u32);

impl Job for Panic {
    const NAME: &'static str = "panic";

    type Context = Done;

    async fn run(self, done: Done) -> Result<()> {
        done.send(self.0)?;
        panic!("as it should")
    }
}

#[derive(Deserialize, Serialize)]
struct Hang(u32);

impl Job for Hang {
    const NAME: &'static str = "hang";

    type Context = Done;

    async fn run(self, done: Done) -> Result<()> {
        done.send(self.0)?;
        pending().await
    }
}

async fn queue() -> Jobs {
    services(&settings()).await.jobs
}

struct Worker {
    shutdown: Shutdown,
    done: UnboundedReceiver<u32>,
    task: JoinHandle<()>,
}

impl Worker {
    fn start(queue: &Jobs) -> Self {
        let (shutdown, queue) = (Shutdown::default(), queue.clone());
        let (sender, done) = unbounded_channel();
        let told = shutdown.clone();
        let task = tokio::spawn(async move { queue.work(HANDLERS, sender, &told).await });
        Self { shutdown, done, task }
    }

    async fn next(&mut self) -> u32 {
        timeout(Duration::from_secs(10), self.done.recv()).await.unwrap().unwrap()
    }

    /// Lets it end, and gives what it did beyond what was expected.
    async fn stop(mut self) -> Option<u32> {
        self.shutdown.drain.cancel();
        timeout(Duration::from_secs(10), self.task).await.unwrap().unwrap();
        self.done.try_recv().ok()
    }
}

async fn clean_up(queue: &Jobs) {
    queue.redis.clone().del(&queue.stream).await.unwrap();
}

#[tokio::test]
async fn every_job_is_done_once() {
    let queue = queue().await;
    for number in 0..3 {
        queue.put(&Succeed(number)).await.unwrap();
    }
    let mut worker = Worker::start(&queue);
    for number in 0..3 {
        assert_eq!(worker.next().await, number);
    }
    assert_eq!(worker.stop().await, None);
    clean_up(&queue).await;
}

#[tokio::test]
async fn failed_job_is_tried_again() {
    let queue = Jobs { lease: Duration::from_millis(100), ..queue().await };
    queue.put(&Fail(1)).await.unwrap();
    let mut worker = Worker::start(&queue);
    assert_eq!([worker.next().await, worker.next().await], [1, 1]);
    worker.stop().await;
    clean_up(&queue).await;
}

#[tokio::test]
async fn failed_job_is_given_up_in_the_end() {
    let lease = Duration::from_millis(100);
    let queue = Jobs { lease, give_up_after: Duration::ZERO, ..queue().await };
    queue.put(&Fail(1)).await.unwrap();
    queue.put(&Succeed(2)).await.unwrap();
    let mut worker = Worker::start(&queue);
    assert_eq!([worker.next().await, worker.next().await], [1, 2]);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(worker.stop().await, None);
    clean_up(&queue).await;
}

#[tokio::test]
async fn panic_ends_the_job_and_not_the_worker() {
    let queue = queue().await;
    queue.put(&Panic(1)).await.unwrap();
    queue.put(&Succeed(2)).await.unwrap();
    let mut worker = Worker::start(&queue);
    assert_eq!([worker.next().await, worker.next().await], [1, 2]);
    worker.stop().await;
    clean_up(&queue).await;
}

#[tokio::test]
async fn interrupted_job_is_given_back() {
    let queue = queue().await;
    queue.put(&Hang(1)).await.unwrap();
    for _ in 0..2 {
        let mut worker = Worker::start(&queue);
        assert_eq!(worker.next().await, 1);
        worker.shutdown.deadline.cancel();
        worker.stop().await;
    }
    clean_up(&queue).await;
}
