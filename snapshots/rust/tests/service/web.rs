use axum::body::Body;
use axum::http::{Method, Request};

use crate::support::{Client, settings};

#[tokio::test]
async fn root_tells_what_is_running() {
    let about = Client::new().await.get("/").await;
    assert_eq!(about.status, 200);
    assert_eq!(about.json()["release"], settings().release);
}

#[tokio::test]
async fn is_alive_and_ready() {
    let client = Client::new().await;
    assert_eq!(client.get("/livez").await.status, 200);
    assert_eq!(client.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn is_not_ready_while_it_drains() {
    let client = Client::new().await;
    client.shutdown.drain.cancel();
    assert_eq!(client.get("/readyz").await.problem(503), "not ready: draining");
    assert_eq!(client.get("/livez").await.status, 200);
}

#[tokio::test]
async fn is_not_ready_without_redis() {
    let mut settings = settings();
    settings.redis_url = "redis://127.0.0.1:1".into();
    let client = Client::of(&settings).await;
    assert_eq!(client.get("/readyz").await.problem(503), "not ready: redis");
}

#[tokio::test]
async fn errors_are_problems() {
    let client = Client::new().await;
    client.get("/nowhere").await.problem(404);
    let wrong = client.post("/livez", Body::empty()).await;
    wrong.problem(405);
    assert_eq!(wrong.header("Allow"), "GET,HEAD");
}

#[tokio::test]
async fn request_id_is_taken_or_made() {
    let client = Client::new().await;
    let long = "x".repeat(129);
    for (given, is_kept) in [("abc-1", true), ("", false), ("a b", false), (&long, false)] {
        let request = Request::builder().method(Method::GET).uri("/livez");
        let request = request.header("X-Request-Id", given).body(Body::empty());
        let answer = client.send(request.unwrap()).await;
        let returned = answer.header("X-Request-Id");
        assert_eq!(returned == given, is_kept, "{given}");
        assert!(!returned.is_empty());
    }
}
