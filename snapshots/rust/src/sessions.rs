//! Sessions: an id in a signed cookie, the data in Redis, so that any process can serve anybody.

use std::time::Duration;

use redis::AsyncTypedCommands as _;
use redis::aio::ConnectionManager;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub const LIFETIME: Duration = Duration::from_hours(14 * 24);

#[derive(Clone)]
pub struct Sessions {
    redis: ConnectionManager,
    prefix: String,
}

impl Sessions {
    pub fn new(redis: ConnectionManager, prefix: String) -> Self {
        Self { redis, prefix }
    }

    /// Stores a session and returns its id.
    pub async fn begin<T: Serialize>(&self, data: &T) -> anyhow::Result<String> {
        let id = Uuid::new_v4().simple().to_string();
        let data = serde_json::to_string(data)?;
        self.redis.clone().set_ex(self.key(&id), data, LIFETIME.as_secs()).await?;
        Ok(id)
    }

    pub async fn read<T: DeserializeOwned>(&self, id: &str) -> anyhow::Result<Option<T>> {
        let stored = self.redis.clone().get(self.key(id)).await?;
        Ok(stored.map(|data| serde_json::from_str(&data)).transpose()?)
    }

    pub async fn end(&self, id: &str) -> anyhow::Result<()> {
        self.redis.clone().del(self.key(id)).await?;
        Ok(())
    }

    fn key(&self, id: &str) -> String {
        format!("{}:session:{id}", self.prefix)
    }
}
