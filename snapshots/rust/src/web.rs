//! The web application: its health, and the routes of its features.

use std::fmt::Display;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::routing::get;
use axum_extra::extract::cookie::Key;
use redis::AsyncTypedCommands as _;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tokio::time::timeout;
use tracing::warn;

use crate::NAME;
use crate::extract::Json;
use crate::features::ROUTERS;
use crate::middleware::surround;
use crate::migrate;
use crate::problems::Problem;
use crate::services::Services;
use crate::settings::Settings;
use crate::shutdown::Shutdown;

const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub struct App {
    services: Services,
    cookie_key: Key,
    release: String,
    shutdown: Shutdown,
}

impl App {
    pub fn new(services: Services, settings: &Settings, shutdown: Shutdown) -> Self {
        let secret = settings.session_secret.expose_secret();
        Self {
            services,
            cookie_key: Key::derive_from(secret.as_bytes()),
            release: settings.release.clone(),
            shutdown,
        }
    }
}

impl FromRef<App> for Services {
    fn from_ref(app: &App) -> Self {
        app.services.clone()
    }
}

impl FromRef<App> for Key {
    fn from_ref(app: &App) -> Self {
        app.cookie_key.clone()
    }
}

pub fn router(app: App) -> Router {
    ROUTERS
        .iter()
        .fold(Router::new(), |router, feature| router.merge(feature()))
        .route("/", get(root))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .fallback(async || Problem::bare(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(async || Problem::bare(StatusCode::METHOD_NOT_ALLOWED))
        .layer(from_fn(surround))
        .with_state(app)
}

#[derive(Serialize)]
struct About {
    name: &'static str,
    release: String,
}

async fn root(State(app): State<App>) -> Json<About> {
    Json(About { name: NAME, release: app.release })
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

async fn livez() -> Json<Health> {
    Json(Health { status: "ok" })
}

async fn readyz(State(app): State<App>) -> Result<Json<Health>, Problem> {
    let Services { database, mut redis, .. } = app.services;
    let (database, redis) = tokio::join!(
        failure("database", migrate::check(&database)),
        failure("redis", redis.ping())
    );
    let draining = app.shutdown.drain.is_cancelled().then_some("draining");
    let reasons: Vec<_> = [database, redis, draining].into_iter().flatten().collect();
    if reasons.is_empty() {
        return Ok(Json(Health { status: "ok" }));
    }
    let detail = format!("not ready: {}", reasons.join(", "));
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail))
}

/// The name of a service that fails a check, or does not answer it in time.
async fn failure<T, E: Display>(
    service: &'static str,
    check: impl Future<Output = Result<T, E>>,
) -> Option<&'static str> {
    let error = match timeout(CHECK_TIMEOUT, check).await {
        Ok(Ok(_)) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(elapsed) => elapsed.to_string(),
    };
    warn!(service, error, "not ready");
    Some(service)
}
