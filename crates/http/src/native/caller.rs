//! Extractors of this API: the caller, query parameters, path parameters, JSON bodies.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request};
use domain::error::Error;
use domain::service::Principal;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::V1;
use crate::api_error::{ApiError, ApiResult, Rejection};
use crate::auth::authenticate;
use crate::body::{read_json, read_media_json, read_optional_json};
use crate::fields::path_id;
use crate::idempotency::IDEMPOTENCY_KEY;
use crate::state::AppState;

/// The principal of the key. Comes first in every handler, so that requests without a valid key learn
/// nothing from later checks.
pub struct Caller(pub Principal);

impl FromRequestParts<AppState> for Caller {
    type Rejection = Rejection<V1>;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> ApiResult<V1, Self> {
        Ok(Self(authenticate(state.core(), &parts.headers).await?))
    }
}

/// One path parameter; what cannot be read does not exist.
pub struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Rejection<V1>;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<V1, Self> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(text)) => Ok(Self(text)),
            Err(_) => Err(ApiError::UnknownPath.into()),
        }
    }
}

impl Segment {
    /// An integer id; anything else names nothing.
    pub fn id(&self, what: &'static str) -> Result<i64, Error> {
        path_id(&self.0).ok_or(Error::NotFound(what))
    }
}

/// Two path parameters.
pub struct Segments(pub Segment, pub Segment);

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = Rejection<V1>;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<V1, Self> {
        match Path::<(String, String)>::from_request_parts(parts, state).await {
            Ok(Path((first, second))) => Ok(Self(Segment(first), Segment(second))),
            Err(_) => Err(ApiError::UnknownPath.into()),
        }
    }
}

/// The `Idempotency-Key` header, without a copy of all the others.
pub struct IdempotencyHeader(pub Option<HeaderValue>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyHeader {
    type Rejection = Rejection<V1>;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<V1, Self> {
        Ok(Self(parts.headers.get(IDEMPOTENCY_KEY).cloned()))
    }
}

/// Query parameters; unknown ones are refused, like unknown fields.
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Rejection<V1>;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<V1, Self> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(explain(&rejection.body_text()).into()),
        }
    }
}

fn explain(text: &str) -> ApiError {
    let name = text.split('`').nth(1).unwrap_or_default();
    if text.contains("unknown field") {
        let known = text.split_once("expected ").map_or("", |(_, known)| known);
        let known = known.trim_start_matches("one of ").replace('`', "");
        return ApiError::field(name, format!("is no parameter of this request; known: {known}"));
    }
    if text.contains("duplicate field") {
        return ApiError::field(name, "is given more than once");
    }
    ApiError::Malformed("the query cannot be read".to_owned())
}

/// A JSON body.
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Rejection<V1>;

    async fn from_request(request: Request<Body>, _: &S) -> ApiResult<V1, Self> {
        let (parts, body) = request.into_parts();
        Ok(Self(read_json(&parts.headers, body).await?))
    }
}

/// A JSON body that may hold a file in base64.
pub struct MediaJson<T>(pub T);

impl<T: DeserializeOwned + Send + 'static> FromRequest<AppState> for MediaJson<T> {
    type Rejection = Rejection<V1>;

    async fn from_request(request: Request<Body>, state: &AppState) -> ApiResult<V1, Self> {
        let (parts, body) = request.into_parts();
        Ok(Self(read_media_json(state.large_bodies(), &parts.headers, body).await?))
    }
}

/// No body, null, or an empty object: a field would be ignored.
pub struct NoFields;

impl<S: Send + Sync> FromRequest<S> for NoFields {
    type Rejection = Rejection<V1>;

    async fn from_request(request: Request<Body>, state: &S) -> ApiResult<V1, Self> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Empty {}

        OptionalJson::<Empty>::from_request(request, state).await?;
        Ok(Self)
    }
}

/// A JSON body that may be left out.
pub struct OptionalJson<T>(pub Option<T>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for OptionalJson<T> {
    type Rejection = Rejection<V1>;

    async fn from_request(request: Request<Body>, _: &S) -> ApiResult<V1, Self> {
        let (parts, body) = request.into_parts();
        Ok(Self(read_optional_json(&parts.headers, body).await?))
    }
}
