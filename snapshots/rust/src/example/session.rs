use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum_extra::extract::SignedCookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use serde::{Deserialize, Serialize};

use crate::extract::Json;
use crate::problems::Problem;
use crate::services::Services;
use crate::sessions::LIFETIME;
use crate::web::App;

const COOKIE: &str = "session";

pub fn router() -> Router<App> {
    Router::new().route("/session", get(show).post(begin).delete(end))
}

#[derive(Deserialize, Serialize)]
struct Visitor {
    name: Name,
}

#[derive(Deserialize, Serialize)]
#[serde(try_from = "String")]
struct Name(String);

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if (1..=100).contains(&name.chars().count()) {
            Ok(Self(name))
        } else {
            Err("must have 1 to 100 characters")
        }
    }
}

async fn begin(
    State(services): State<Services>,
    jar: SignedCookieJar,
    headers: HeaderMap,
    Json(visitor): Json<Visitor>,
) -> Result<(StatusCode, SignedCookieJar, Json<Visitor>), Problem> {
    let id = services.sessions.begin(&visitor).await?;
    let cookie = Cookie::build((COOKIE, id))
        .path("/")
        .max_age(LIFETIME.try_into()?)
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(headers.get("X-Forwarded-Proto").is_some_and(|scheme| scheme == "https"));
    Ok((StatusCode::CREATED, jar.add(cookie), Json(visitor)))
}

async fn show(
    State(services): State<Services>,
    jar: SignedCookieJar,
) -> Result<Json<Visitor>, Problem> {
    let visitor = match jar.get(COOKIE) {
        Some(cookie) => services.sessions.read(cookie.value()).await?,
        None => None,
    };
    visitor.map(Json).ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "there is no session"))
}

async fn end(
    State(services): State<Services>,
    jar: SignedCookieJar,
) -> Result<(StatusCode, SignedCookieJar), Problem> {
    if let Some(cookie) = jar.get(COOKIE) {
        services.sessions.end(cookie.value()).await?;
    }
    Ok((StatusCode::NO_CONTENT, jar.remove(Cookie::build(COOKIE).path("/"))))
}
