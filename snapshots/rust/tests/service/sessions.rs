use serde_json::{Value, json};

use crate::support::Client;

#[tokio::test]
async fn session_lasts_until_it_ends() {
    let sessions = Client::new().await.services.sessions;
    let id = sessions.begin(&json!({ "name": "Ada" })).await.unwrap();
    let read: Option<Value> = sessions.read(&id).await.unwrap();
    assert_eq!(read, Some(json!({ "name": "Ada" })));
    sessions.end(&id).await.unwrap();
    assert_eq!(sessions.read::<Value>(&id).await.unwrap(), None);
}
