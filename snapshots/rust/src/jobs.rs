//! Jobs: a Redis stream that hands each of them to one worker, again if that worker dies.
//!
//! A job that a worker has taken is leased to it, and the worker renews the lease for as long as it
//! lives. A job whose lease ran out, because its worker died or because it failed, goes to the next
//! worker that asks. So a job may run more than once: it must not matter.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use futures_util::future::BoxFuture;
use redis::aio::ConnectionManager;
use redis::streams::{StreamAutoClaimOptions, StreamClaimOptions, StreamId, StreamReadOptions};
use redis::{AsyncTypedCommands as _, RedisResult};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{self, Instant};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, error, error_span, info, warn};

use crate::shutdown::Shutdown;

const GROUP: &str = "workers";
/// One for all of them: to Redis a lease is a time, not an owner.
const CONSUMER: &str = "worker";
const POLL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_mins(5);

/// What a worker does later, with arguments that survive until then as JSON.
pub trait Job: Serialize + DeserializeOwned {
    const NAME: &'static str;

    /// What it works with.
    type Context;

    fn run(self, context: Self::Context) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// A kind of job, for a worker to look up.
pub struct Handler<C> {
    name: &'static str,
    run: fn(C, String) -> BoxFuture<'static, anyhow::Result<()>>,
}

impl<C: Send + 'static> Handler<C> {
    pub const fn of<J: Job<Context = C> + Send>() -> Self {
        Self {
            name: J::NAME,
            run: |context, arguments| {
                Box::pin(async move {
                    let job: J = serde_json::from_str(&arguments)?;
                    job.run(context).await
                })
            },
        }
    }
}

#[derive(Clone)]
pub struct Jobs {
    pub redis: ConnectionManager,
    /// A read that blocks holds up whatever else goes over its connection.
    pub waiting: ConnectionManager,
    pub stream: String,
    pub lease: Duration,
    pub give_up_after: Duration,
}

impl Jobs {
    pub fn new(redis: ConnectionManager, waiting: ConnectionManager, stream: String) -> Self {
        Self {
            redis,
            waiting,
            stream,
            lease: Duration::from_secs(20),
            give_up_after: Duration::from_hours(24),
        }
    }

    pub async fn put<J: Job>(&self, job: &J) -> anyhow::Result<()> {
        let arguments = serde_json::to_string(job)?;
        let fields = [("name", J::NAME), ("arguments", &arguments)];
        self.redis.clone().xadd(&self.stream, "*", &fields).await?;
        Ok(())
    }

    /// Does one job at a time until told to stop.
    pub async fn work<C: Clone + Send + 'static>(
        &self,
        handlers: &[Handler<C>],
        context: C,
        shutdown: &Shutdown,
    ) {
        while !shutdown.drain.is_cancelled() {
            if let Err(error) = self.take_turns(handlers, &context, shutdown).await {
                warn!(%error, "redis does not answer");
                time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    async fn take_turns<C: Clone + Send + 'static>(
        &self,
        handlers: &[Handler<C>],
        context: &C,
        shutdown: &Shutdown,
    ) -> RedisResult<()> {
        self.create_group().await?;
        while !shutdown.drain.is_cancelled() {
            if let Some(delivery) = self.take().await? {
                let name: String = delivery.get("name").unwrap_or_default();
                let span = error_span!("job", job = name, job_id = delivery.id);
                let job = self.do_job(&name, &delivery, handlers, context.clone(), shutdown);
                job.instrument(span).await?;
            }
        }
        Ok(())
    }

    async fn create_group(&self) -> RedisResult<()> {
        match self.redis.clone().xgroup_create_mkstream(&self.stream, GROUP, "0").await {
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            result => result,
        }
    }

    async fn take(&self) -> RedisResult<Option<StreamId>> {
        let mut redis = self.redis.clone();
        let one = StreamAutoClaimOptions::default().count(1);
        let lost = redis
            .xautoclaim_options(&self.stream, GROUP, CONSUMER, millis(self.lease), "0-0", one)
            .await?;
        if let Some(delivery) = lost.claimed.into_iter().next() {
            return Ok(Some(delivery));
        }
        let one = StreamReadOptions::default().group(GROUP, CONSUMER).count(1);
        let fresh = self
            .waiting
            .clone()
            .xread_options(&[&self.stream], &[">"], &one.block(millis(POLL)))
            .await?;
        let fresh = fresh.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids).next();
        Ok(fresh)
    }

    async fn do_job<C: Send + 'static>(
        &self,
        name: &str,
        delivery: &StreamId,
        handlers: &[Handler<C>],
        context: C,
        shutdown: &Shutdown,
    ) -> RedisResult<()> {
        let outcome = tokio::select! {
            outcome = self.run(name, delivery, handlers, context) => outcome,
            () = shutdown.deadline.cancelled() => {
                warn!("job interrupted, given back");
                return self.lease(&delivery.id, self.lease).await;
            }
        };
        match outcome {
            Ok(()) => info!("job done"),
            Err(error) if age(delivery) < self.give_up_after => {
                error!(%error, "job failed, to be tried again");
                return Ok(());
            }
            Err(error) => error!(%error, "job failed, given up"),
        }
        self.finish(&delivery.id).await
    }

    /// Runs a job in a task of its own, so that a panic ends no more than that.
    async fn run<C: Send + 'static>(
        &self,
        name: &str,
        delivery: &StreamId,
        handlers: &[Handler<C>],
        context: C,
    ) -> anyhow::Result<()> {
        let handler = handlers.iter().find(|handler| handler.name == name);
        let handler = handler.context("nobody knows this job")?;
        let arguments = delivery.get("arguments").unwrap_or_default();
        let job = (handler.run)(context, arguments).in_current_span();
        let mut job = AbortOnDropHandle::new(tokio::spawn(job));
        let renew_after = self.lease / 4;
        let mut renewal = time::interval_at(Instant::now() + renew_after, renew_after);
        let timeout = time::sleep(TIMEOUT);
        tokio::pin!(timeout);
        loop {
            tokio::select! {
                outcome = &mut job => return outcome?,
                () = &mut timeout => bail!("it took longer than {TIMEOUT:?}"),
                _ = renewal.tick() => {
                    // Redis may be back before the lease runs out.
                    let _ = self.lease(&delivery.id, Duration::ZERO).await;
                }
            }
        }
    }

    async fn lease(&self, id: &str, idle: Duration) -> RedisResult<()> {
        let options = StreamClaimOptions::default().idle(millis(idle)).with_justid();
        let mut redis = self.redis.clone();
        redis.xclaim_options(&self.stream, GROUP, CONSUMER, 0, &[id], options).await
    }

    async fn finish(&self, id: &str) -> RedisResult<()> {
        redis::pipe()
            .atomic()
            .xack(&self.stream, GROUP, &[id])
            .xdel(&self.stream, &[id])
            .exec_async(&mut self.redis.clone())
            .await
    }
}

fn age(delivery: &StreamId) -> Duration {
    let since = delivery.id.split('-').next().and_then(|millis| millis.parse().ok());
    let since = UNIX_EPOCH + Duration::from_millis(since.unwrap_or_default());
    SystemTime::now().duration_since(since).unwrap_or_default()
}

fn millis(duration: Duration) -> usize {
    usize::try_from(duration.as_millis()).unwrap_or(usize::MAX)
}
