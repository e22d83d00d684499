//! What a handler takes from a request; where that is not to be had, the answer is a problem.

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::form_urlencoded;

use crate::problems::Problem;

const BODY_LIMIT: usize = 1024 * 1024;
const DISCARD_LIMIT: usize = 16 * BODY_LIMIT;

pub struct Json<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "the body has to be application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let body = read(request.into_body()).await?;
        let value: Value = serde_json::from_slice(&body)
            .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body is not JSON"))?;
        // serde would take an array for a struct without names.
        if !value.is_object() {
            return Err(Problem::invalid("body", "must be an object"));
        }
        serde_path_to_error::deserialize(value).map(Self).map_err(|error| invalid("body", &error))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

pub struct Query<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(pairs).map(Self).map_err(|error| invalid("query", &error))
    }
}

pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match extract::Path::from_request_parts(parts, state).await {
            Ok(extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => {
                Err(Problem::invalid("path", error.into_kind().to_string()))
            }
            Err(rejection) => Err(Problem::invalid("path", rejection.body_text())),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    let (essence, _) = kind.split_once(';').unwrap_or((&kind, ""));
    let subtype = essence.trim().strip_prefix("application/");
    subtype.is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

async fn read(body: Body) -> Result<Vec<u8>, Problem> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut received = 0;
    // A client that is still sending when the connection closes may not see the answer.
    while received <= DISCARD_LIMIT
        && let Some(chunk) = chunks.next().await
    {
        let chunk =
            chunk.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body broke off"))?;
        received += chunk.len();
        if received <= BODY_LIMIT {
            bytes.extend_from_slice(&chunk);
        }
    }
    if received > BODY_LIMIT {
        let detail = "the body is larger than 1 MiB";
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(bytes)
}

fn invalid<E: std::error::Error>(place: &str, error: &serde_path_to_error::Error<E>) -> Problem {
    let path = error.path().to_string();
    let field = if path == "." { place.to_owned() } else { format!("{place}.{path}") };
    Problem::invalid(field, error.inner().to_string())
}
