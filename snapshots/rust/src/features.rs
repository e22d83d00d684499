//! What the service does; the rest of the crate is how.

use axum::Router;

use crate::example::{notes, session};
use crate::jobs::Handler;
use crate::services::{Services, Task};
use crate::web::App;

pub const ROUTERS: &[fn() -> Router<App>] = &[session::router, notes::router];
pub const JOBS: &[Handler<Services>] = &[Handler::of::<notes::CountWords>()];
pub const TASKS: &[Task] = &[notes::RECOUNT];
