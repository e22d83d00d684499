//! Errors as `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use redis::RedisError;
use serde::Serialize;
use tracing::{error, warn};

use crate::database;

#[derive(Debug, Serialize)]
pub struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Invalid>,
}

#[derive(Debug, Serialize)]
pub struct Invalid {
    pub field: String,
    pub detail: String,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..Self::bare(status) }
    }

    pub fn bare(status: StatusCode) -> Self {
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: None,
            errors: Vec::new(),
        }
    }

    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let errors = vec![Invalid { field: field.into(), detail: detail.into() }];
        Self { errors, ..Self::bare(StatusCode::UNPROCESSABLE_ENTITY) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or_default();
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (status, kind, Json(self)).into_response()
    }
}

/// What a handler did not foresee, as `?` gives it.
impl<E: Into<anyhow::Error>> From<E> for Problem {
    fn from(error: E) -> Self {
        let error = error.into();
        if is_away(&error) {
            warn!(%error, "a backing service does not answer");
            let detail = "a backing service does not answer";
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        }
        error!(%error, "unforeseen error");
        Self::bare(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

fn is_away(error: &anyhow::Error) -> bool {
    error.is::<RedisError>() || error.downcast_ref().is_some_and(database::is_away)
}
