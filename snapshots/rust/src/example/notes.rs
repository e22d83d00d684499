use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use chrono::Utc;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Set, TransactionTrait as _,
};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tracing::{info, warn};

use super::note;
use crate::extract::{Json, Path, Query};
use crate::jobs::Job;
use crate::problems::Problem;
use crate::services::{Services, Task};
use crate::web::App;

const BATCH: u64 = 500;

pub fn router() -> Router<App> {
    Router::new().route("/notes", get(list).post(create)).route("/notes/{id}", get(show))
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Id(i64);

impl TryFrom<String> for Id {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        let id = id.parse().ok().filter(|id| *id > 0);
        id.map(Self).ok_or("must be a whole number from 1 to 9223372036854775807")
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Body(String);

impl TryFrom<String> for Body {
    type Error = &'static str;

    fn try_from(body: String) -> Result<Self, Self::Error> {
        if !(1..=10_000).contains(&body.chars().count()) {
            return Err("must have 1 to 10,000 characters");
        }
        // PostgreSQL stores no NUL.
        if body.contains('\0') {
            return Err("must have no NUL");
        }
        Ok(Self(body))
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Limit(u64);

impl TryFrom<String> for Limit {
    type Error = &'static str;

    fn try_from(limit: String) -> Result<Self, Self::Error> {
        let limit = limit.parse().ok().filter(|limit| (1..=100).contains(limit));
        limit.map(Self).ok_or("must be a whole number from 1 to 100")
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

#[derive(Deserialize)]
struct NewNote {
    body: Body,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    limit: Limit,
    before: Option<Id>,
}

async fn create(
    State(services): State<Services>,
    Json(new): Json<NewNote>,
) -> Result<(StatusCode, Json<note::Model>), Problem> {
    let transaction = services.database.begin().await?;
    let note = note::ActiveModel {
        body: Set(new.body.0),
        created_at: Set(Utc::now()),
        ..Default::default()
    };
    let note = note.insert(&transaction).await?;
    services.jobs.put(&CountWords { note_id: note.id }).await?;
    transaction.commit().await?;
    Ok((StatusCode::CREATED, Json(note)))
}

async fn show(
    State(services): State<Services>,
    Path(Id(id)): Path<Id>,
) -> Result<Json<note::Model>, Problem> {
    let note = note::Entity::find_by_id(id).one(&services.database).await?;
    note.map(Json).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "there is no such note"))
}

async fn list(
    State(services): State<Services>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<note::Model>>, Problem> {
    let mut notes = note::Entity::find().order_by_desc(note::Column::Id).limit(page.limit.0);
    if let Some(Id(before)) = page.before {
        notes = notes.filter(note::Column::Id.lt(before));
    }
    Ok(Json(notes.all(&services.database).await?))
}

#[derive(Deserialize, Serialize)]
pub struct CountWords {
    pub note_id: i64,
}

impl Job for CountWords {
    const NAME: &'static str = "count_words";

    type Context = Services;

    /// The note may come late: its job is handed over before its commit.
    async fn run(self, services: Services) -> Result<()> {
        for _ in 0..50 {
            let note = note::Entity::find_by_id(self.note_id).one(&services.database).await?;
            if let Some(note) = note {
                note.counted()?.update(&services.database).await?;
                return Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
        warn!(note_id = self.note_id, "there is no such note");
        Ok(())
    }
}

pub const RECOUNT: Task = Task {
    name: "recount",
    about: "Counts the words of every note again",
    run: |services| Box::pin(recount(services)),
};

async fn recount(services: Services) -> Result<()> {
    let mut last = 0;
    loop {
        let transaction = services.database.begin().await?;
        let notes = note::Entity::find()
            .filter(note::Column::Id.gt(last))
            .order_by_asc(note::Column::Id)
            .limit(BATCH)
            .all(&transaction)
            .await?;
        let Some(newest) = notes.last() else { break };
        last = newest.id;
        for note in notes {
            note.counted()?.update(&transaction).await?;
        }
        transaction.commit().await?;
    }
    info!("recounted");
    Ok(())
}
