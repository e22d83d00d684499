use shop::migrate::{check, migrate};

use crate::support::{services, settings};

#[tokio::test]
async fn migrated_database_is_up_to_date() {
    let services = services(&settings()).await;
    check(&services.database).await.unwrap();
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let services = services(&settings()).await;
    migrate(&settings()).await.unwrap();
    check(&services.database).await.unwrap();
}
