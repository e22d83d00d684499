use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::Value;
use tokio::sync::OnceCell;
use tower::ServiceExt as _;
use uuid::Uuid;

use shop::migrate::migrate;
use shop::services::Services;
use shop::settings::Settings;
use shop::shutdown::Shutdown;
use shop::web::{App, router};

pub fn settings() -> Settings {
    Settings::load().unwrap()
}

/// Services on a migrated database; their jobs go where no worker takes them.
pub async fn services(settings: &Settings) -> Services {
    static MIGRATED: OnceCell<()> = OnceCell::const_new();
    MIGRATED.get_or_init(async || migrate(settings).await.unwrap()).await;
    let mut services = Services::open(settings).await.unwrap();
    services.jobs.stream = format!("test:{}", Uuid::new_v4());
    services
}

/// A client of an application in this process.
pub struct Client {
    pub services: Services,
    pub shutdown: Shutdown,
    router: Router,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Vec<u8>,
}

impl Client {
    pub async fn new() -> Self {
        Self::of(&settings()).await
    }

    pub async fn of(settings: &Settings) -> Self {
        let services = services(settings).await;
        let shutdown = Shutdown::default();
        let router = router(App::new(services.clone(), settings, shutdown.clone()));
        Self { services, shutdown, router }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: head.status, headers: head.headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(Method::POST).uri(path);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// Checks that it is a problem, and gives its detail.
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status);
        assert_eq!(self.header("Content-Type"), "application/problem+json");
        assert_eq!(self.json()["status"], status);
        self.json()["detail"].as_str().unwrap_or_default().to_owned()
    }
}
