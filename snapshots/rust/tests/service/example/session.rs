use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use crate::support::{Answer, Client};

async fn send(client: &Client, method: Method, cookie: &str) -> Answer {
    let request = Request::builder().method(method).uri("/session").header("Cookie", cookie);
    client.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn session_begins_and_ends() {
    let client = Client::new().await;
    client.get("/session").await.problem(401);

    let begun = client.post("/session", r#"{"name": "Ada"}"#).await;
    assert_eq!(begun.status, 201);
    let cookie = begun.header("Set-Cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");

    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(send(&client, Method::GET, cookie).await.json(), json!({ "name": "Ada" }));
    assert_eq!(send(&client, Method::DELETE, cookie).await.status, 204);
    send(&client, Method::GET, cookie).await.problem(401);
}

#[tokio::test]
async fn cookie_cannot_be_forged() {
    let client = Client::new().await;
    let begun = client.post("/session", r#"{"name": "Ada"}"#).await;
    let (cookie, _) = begun.header("Set-Cookie").split_once(';').unwrap();
    let (signature, id) = cookie.split_at(cookie.len() - 32);
    for forged in ["session=", &format!("session={id}"), &format!("{signature}x{id}"), signature] {
        send(&client, Method::GET, forged).await.problem(401);
    }
}

#[tokio::test]
async fn session_needs_a_name() {
    let client = Client::new().await;
    let long = json!({ "name": "x".repeat(101) });
    for body in [json!({}), json!({ "name": "" }), json!({ "name": 1 }), long] {
        client.post("/session", body.to_string()).await.problem(422);
    }
}
