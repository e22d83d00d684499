//! What surrounds every request: its id, its line in the log, and its unforeseen end.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tracing::{Instrument as _, error_span, info};
use uuid::Uuid;

use crate::problems::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub async fn surround(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = find_id(&request).unwrap_or_else(|| Uuid::new_v4().simple().to_string());
    let span = error_span!("request", request_id);
    async {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        // The panic hook has logged it.
        let mut response = AssertUnwindSafe(next.run(request))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Problem::bare(StatusCode::INTERNAL_SERVER_ERROR).into_response());
        if let Ok(request_id) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert(REQUEST_ID, request_id);
        }
        info!(
            method = method.as_str(),
            path,
            status = response.status().as_u16(),
            duration_ms = (started.elapsed().as_secs_f64() * 10_000.0).round() / 10.0,
            "request"
        );
        response
    }
    .instrument(span)
    .await
}

/// The id that was sent along, if it is fit for a header and a log.
fn find_id(request: &Request) -> Option<String> {
    let id = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/+=-".contains(&byte);
    ((1..=128).contains(&id.len()) && id.bytes().all(is_fit)).then(|| id.to_owned())
}
