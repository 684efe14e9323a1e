//! Requests that other nodes send on, at `/internal/…`.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::request::Parts;
use axum::http::{Request, Response, Uri};
use axum::response::IntoResponse as _;
use axum::routing::any;
use tower::ServiceExt as _;

use super::sign::{SIGNATURE, Signed, TAKEN, hash};
use super::{HOP_BODY_BYTES_MAX, PREFIX, SentOn};
use crate::api_error::{ApiError, ErrorShape as _};
use crate::native::V1;
use crate::state::AppState;

/// The routes for other nodes, before those of `inner`, which answers what they send.
pub fn routes(state: AppState, inner: Router) -> Router {
    let shared = (state, inner.clone());
    Router::new().route("/internal/{*path}", any(answer)).with_state(shared).fallback_service(inner)
}

async fn answer(
    State((state, inner)): State<(AppState, Router)>,
    request: Request<Body>,
) -> Response<Body> {
    let unknown = || V1::render(&ApiError::UnknownPath);
    let (mut parts, body) = request.into_parts();
    let Some(claims) = take_claims(&state, &mut parts) else { return unknown() };
    // Read only after the signature was checked, which holds its hash.
    let Ok(body) = axum::body::to_bytes(body, HOP_BODY_BYTES_MAX).await else { return unknown() };
    if hash(&body) != claims.body {
        return unknown();
    }
    parts.extensions = axum::http::Extensions::new();
    parts.extensions.insert(SentOn);
    if let Some(client) = claims.client {
        parts.extensions.insert(ConnectInfo(SocketAddr::new(client, 0)));
    }
    let answered = inner.oneshot(Request::from_parts(parts, Body::from(body))).await;
    let mut answer = answered.into_response();
    // A 404 without it is of a node that did not take the request.
    answer.headers_mut().insert(SIGNATURE, TAKEN);
    answer
}

/// What the signature says; the request is then as it was at the first node.
fn take_claims(state: &AppState, parts: &mut Parts) -> Option<super::sign::Claims> {
    let key = state.config().node_key.as_ref()?;
    let path = parts.uri.path_and_query()?.as_str().strip_prefix(PREFIX)?.to_owned();
    let signed = Signed { method: &parts.method, path: &path, headers: &parts.headers };
    let claims = key.check(&signed, state.core().now())?;
    parts.uri = path.parse::<Uri>().ok()?;
    parts.headers.remove(SIGNATURE);
    Some(claims)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
    use jiff::{SignedDuration, Timestamp};

    use super::super::NodeKey;
    use super::*;
    use crate::HttpConfig;
    use crate::tests::app::App;

    const BODY: &str = "{\"name\":\"from a node\"}";

    async fn app_with(key: &NodeKey) -> App {
        let config = HttpConfig {
            node_key: Some(key.clone()),
            ..HttpConfig::new(Some("http://gerbang.test"))
        };
        App::with(config, "unlimited").await
    }

    /// What a request of another node is answered that has signed this body by its clock.
    async fn ask(app: &App, signer: &NodeKey, signed: &[u8], clock: Timestamp) -> Response<Body> {
        let mut headers = HeaderMap::new();
        let bearer = format!("Bearer {}", app.shop.key);
        headers.insert("authorization", HeaderValue::from_str(&bearer).unwrap());
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let (method, path) = (Method::POST, "/v1/keys");
        let claims = Signed { method: &method, path, headers: &headers };
        let signature = signer.sign(&claims, signed, None, clock).unwrap();
        headers.insert(SIGNATURE, signature);
        let mut request = Request::post(format!("/internal{path}")).body(Body::from(BODY)).unwrap();
        *request.headers_mut() = headers;
        app.router.clone().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn only_what_a_node_has_signed_is_answered_as_it_came() {
        let (key, other) = (NodeKey::derive(&[1; 32]), NodeKey::derive(&[2; 32]));
        let app = app_with(&key).await;
        let status = async |signer: &NodeKey, signed: &[u8]| {
            ask(&app, signer, signed, app.core.now()).await.status()
        };
        assert_eq!(status(&key, BODY.as_bytes()).await, StatusCode::CREATED);
        assert_eq!(status(&key, b"another").await, StatusCode::NOT_FOUND);
        assert_eq!(status(&other, BODY.as_bytes()).await, StatusCode::NOT_FOUND);
        let unsigned = Request::get("/internal/v1/me").body(Body::empty()).unwrap();
        let answer = app.router.clone().oneshot(unsigned).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn clocks_may_differ_and_one_that_has_jumped_is_not_believed() {
        let key = NodeKey::derive(&[1; 32]);
        let app = app_with(&key).await;
        // Each may be five seconds off the database's, one this way and one the other.
        for (apart_s, is_taken) in
            [(0, true), (10, true), (-10, true), (31, false), (-31, false), (-21_600, false)]
        {
            let clock = app.core.now() + SignedDuration::from_secs(apart_s);
            let answer = ask(&app, &key, BODY.as_bytes(), clock).await;
            // Without the mark the other node knows that nothing was done.
            assert_eq!(answer.headers().contains_key(SIGNATURE), is_taken, "{apart_s}");
            let status = if is_taken { StatusCode::CREATED } else { StatusCode::NOT_FOUND };
            assert_eq!(answer.status(), status, "{apart_s}");
        }
    }
}
