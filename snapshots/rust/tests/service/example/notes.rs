use chrono::{DateTime, TimeDelta, Utc};
use redis::AsyncTypedCommands as _;
use serde_json::{Value, json};

use shop::example::notes::{CountWords, RECOUNT};
use shop::jobs::Job;

use crate::support::{Client, settings};

async fn post_note(client: &Client, body: &str) -> Value {
    let answer = client.post("/notes", json!({ "body": body }).to_string()).await;
    assert_eq!(answer.status, 201);
    answer.json()
}

async fn note(client: &Client, id: &Value) -> Value {
    client.get(&format!("/notes/{id}")).await.json()
}

#[tokio::test]
async fn note_is_stored_and_its_job_handed_over() {
    let client = Client::new().await;
    let posted = post_note(&client, "naïve 😀 words").await;
    assert_eq!(posted["body"], "naïve 😀 words");
    assert_eq!(posted["word_count"], Value::Null);
    let created: DateTime<Utc> = posted["created_at"].as_str().unwrap().parse().unwrap();
    assert!((Utc::now() - created).abs() < TimeDelta::minutes(1));
    assert_eq!(note(&client, &posted["id"]).await, posted);

    let jobs = &client.services.jobs;
    let handed_over = jobs.redis.clone().xrange_all(&jobs.stream).await.unwrap().ids;
    let [job] = handed_over.as_slice() else { panic!("{handed_over:?}") };
    assert_eq!(job.get("name"), Some("count_words".to_owned()));
    assert_eq!(job.get("arguments"), Some(json!({ "note_id": posted["id"] }).to_string()));
    jobs.redis.clone().del(&jobs.stream).await.unwrap();
}

#[tokio::test]
async fn words_are_counted() {
    let client = Client::new().await;
    let posted = post_note(&client, "one two  three\n").await;
    let job = CountWords { note_id: posted["id"].as_i64().unwrap() };
    job.run(client.services.clone()).await.unwrap();
    assert_eq!(note(&client, &posted["id"]).await["word_count"], 3);
}

#[tokio::test]
async fn words_are_counted_again() {
    let client = Client::new().await;
    let notes = [post_note(&client, "one two").await, post_note(&client, "one two").await];
    (RECOUNT.run)(client.services.clone()).await.unwrap();
    for posted in notes {
        assert_eq!(note(&client, &posted["id"]).await["word_count"], 2);
    }
}

#[tokio::test]
async fn no_note_is_stored_without_its_job() {
    let mut settings = settings();
    settings.redis_url = "redis://127.0.0.1:1".into();
    let client = Client::of(&settings).await;
    let body = format!("lost {}", uuid::Uuid::new_v4());
    client.post("/notes", json!({ "body": body }).to_string()).await.problem(503);
    let listed = client.get("/notes?limit=100").await.json();
    assert!(listed.as_array().unwrap().iter().all(|note| note["body"] != body));
}

#[tokio::test]
async fn notes_are_listed_newest_first() {
    let client = Client::new().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(post_note(&client, "x").await["id"].as_i64().unwrap());
    }
    let before = ids[2] + 1;
    let listed = client.get(&format!("/notes?limit=100&before={before}")).await.json();
    let listed: Vec<_> =
        listed.as_array().unwrap().iter().map(|note| note["id"].as_i64()).collect();
    assert!(listed.is_sorted_by(|newer, older| newer > older));
    assert!(ids.iter().all(|id| listed.contains(&Some(*id))));
    let listed = client.get(&format!("/notes?limit=1&before={before}")).await.json();
    assert_eq!(listed[0]["id"], ids[2]);
    assert_eq!(listed[1], Value::Null);
}

#[tokio::test]
async fn note_that_is_none_is_refused() {
    let client = Client::new().await;
    let deep = "[".repeat(100_000);
    let long = json!({ "body": "x".repeat(10_001) }).to_string();
    let huge = json!({ "body": "x".repeat(1024 * 1024) }).to_string();
    let bodies: [(&[u8], u16); 11] = [
        (b"{", 400),
        (b"{\"body\": \"\xff\"}", 400),
        (br#"{"body": "\ud800"}"#, 400),
        (deep.as_bytes(), 400),
        (b"{}", 422),
        (br#"["x"]"#, 422),
        (br#"{"body": 1}"#, 422),
        (br#"{"body": ""}"#, 422),
        (br#"{"body": "\u0000"}"#, 422),
        (long.as_bytes(), 422),
        (huge.as_bytes(), 413),
    ];
    for (body, status) in bodies {
        client.post("/notes", body.to_vec()).await.problem(status);
    }
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let client = Client::new().await;
    let body = client.post("/notes", r#"{"body": ""}"#).await.json();
    let wrong = json!([{ "field": "body.body", "detail": "must have 1 to 10,000 characters" }]);
    assert_eq!(body["errors"], wrong);
    let query = client.get("/notes?limit=0").await.json();
    let wrong =
        json!([{ "field": "query.limit", "detail": "must be a whole number from 1 to 100" }]);
    assert_eq!(query["errors"], wrong);
    let path = client.get("/notes/x").await.json();
    let rule = "must be a whole number from 1 to 9223372036854775807";
    assert_eq!(path["errors"], json!([{ "field": "path", "detail": rule }]));
}

#[tokio::test]
async fn query_out_of_range_is_refused() {
    let client = Client::new().await;
    for query in ["limit=0", "limit=101", "before=x", "before=9223372036854775808"] {
        client.get(&format!("/notes?{query}")).await.problem(422);
    }
}

#[tokio::test]
async fn unknown_note_is_not_found() {
    let client = Client::new().await;
    client.get(&format!("/notes/{}", i64::MAX)).await.problem(404);
}
