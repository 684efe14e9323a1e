//! The one layer around every route: request id, the request's span, access log, metrics, the rate
//! limit's headers, and panics as errors.
//!
//! One layer of our own in place of tower-http's keeps the accepting path short;
//! `docs/adr/0006-own-layer-around-routes.md` has the figures. The log line holds a method, a route's
//! template, a status and a time: never the path as it came, a query or a body.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{ConnectInfo, MatchedPath};
use axum::http::{HeaderName, HeaderValue, Method, Request, Response};
use domain::error::Error;
use domain::fair_semaphore::Permit;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tower::{Layer, Service, ServiceExt as _};

use crate::api::Renderer;
use crate::api_error::{ApiError, ErrorKind, Unreadable, named};
use crate::compressed::opened;
use crate::drain::read_to_the_end;
use crate::fallback;
use crate::large_answers::hold;
use crate::metrics::NO_ROUTE;
use crate::net::{client_address, share_of};
use crate::nodes::Original;
use crate::rate;
use crate::request_context::{self, Noted};
use crate::request_span::{self, RequestFields};
use crate::state::AppState;

/// The header that names a request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id taken over from a client.
const REQUEST_ID_BYTES_MAX: usize = 64;
/// What the span names where no API owns the path.
const NO_API: &str = "none";

/// Wraps services in [`Edge`].
#[derive(Clone)]
pub struct EdgeLayer(AppState);

impl EdgeLayer {
    /// For this state.
    pub fn new(state: AppState) -> Self {
        Self(state)
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge { state: self.0.clone(), inner }
    }
}

/// See the module.
#[derive(Clone)]
pub struct Edge<S> {
    state: AppState,
    inner: S,
}

impl<S> Service<Request<Body>> for Edge<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let started = Instant::now();
        let state = self.state.clone();
        let id = request_id(&state, &request);
        let method = method_label(request.method());
        let path = request.uri().path();
        let api = fallback::owner(&state, path);
        let render = fallback::renderer(api, request.headers());
        let route = request.extensions().get::<MatchedPath>();
        let is_shadowed = route.is_some_and(|route| fallback::is_shadowed(route.as_str(), path));
        let route = route.filter(|_| !is_shadowed).cloned();
        let fields =
            RequestFields::new(id.clone(), api.map_or(NO_API, |api| api.name), route.clone());
        let client = Client::of(&state, &request);
        let refused = match request.extensions().get::<Unreadable>() {
            Some(why) => Some(ApiError::Unreadable(*why)),
            None => is_shadowed.then_some(ApiError::UnknownPath),
        };
        let (request, original) = Original::keep(&state, request);
        let original = original.map(|original| (original, self.inner.clone()));
        let answer = match (refused, client.enter(&state)) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(error.into()),
            (None, Ok(permit)) => {
                opened(read_to_the_end(request)).map(|request| (self.inner.call(request), permit))
            }
        };
        let answer = async move {
            let mut response = match answer {
                Err(error) => {
                    let mut response = named(render(&error), &error);
                    rate::add_headers(&mut response, None);
                    response
                }
                Ok((answer, _permit)) => {
                    let answer = handled(answer, render);
                    let answer = request_context::with_client(client.address, answer);
                    let (mut response, Noted { rate, answer: held, waits }) = answer.await;
                    if let Some(permit) = held {
                        response = hold(response, permit).await;
                    }
                    if let Some((original, inner)) = original {
                        let accept = |request| after_wait(inner, request, client.address, render);
                        // Boxed, or the future of each request would have room for it.
                        let answered = original.answered(&state, response, waits, accept);
                        response = Box::pin(answered).await;
                    }
                    rate::add_headers(&mut response, rate);
                    response
                }
            };
            let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
            finish(&state, method, route, started, &response);
            response.headers_mut().insert(REQUEST_ID, id);
            Ok(response)
        };
        Box::pin(request_span::with_fields(fields, answer))
    }
}

/// The answer of a handler; a panic is an error of the API.
async fn handled(
    answer: impl Future<Output = Result<Response<Body>, Infallible>>,
    render: Renderer,
) -> Response<Body> {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(response)) => response,
        Err(_) => named(render(&ApiError::Crashed), &ApiError::Crashed),
    }
}

/// The answer to a send that another node has waited for, and not answered.
async fn after_wait<S>(
    inner: S,
    request: Request<Body>,
    client: Option<IpAddr>,
    render: Renderer,
) -> Response<Body>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    match opened(request) {
        Ok(request) => {
            let answer = handled(inner.oneshot(request), render);
            request_context::after_wait(client, answer).await
        }
        Err(error) => named(render(&error), &error),
    }
}

/// Where a request comes from.
struct Client {
    address: Option<IpAddr>,
    /// Whether a trusted proxy says so; then its connection bounds nothing.
    is_proxied: bool,
}

impl Client {
    fn of(state: &AppState, request: &Request<Body>) -> Self {
        let (extensions, proxies) = (request.extensions(), &state.config().trusted_proxies);
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        if proxies.is_empty() {
            return Self { address: peer.map(|peer| peer.to_canonical()), is_proxied: false };
        }
        let address = client_address(extensions, request.headers(), proxies);
        Self { address, is_proxied: address != peer.map(|peer| peer.to_canonical()) }
    }

    /// Counts the request as one of the client's until the permit is dropped.
    fn enter(&self, state: &AppState) -> Result<Option<Permit<IpAddr>>, Error> {
        let proxied = self.address.filter(|_| self.is_proxied);
        let permit = proxied.map(|client| state.proxied().try_acquire(share_of(client)));
        permit.map(|permit| permit.ok_or(Error::TooManyRequests)).transpose()
    }
}

fn finish(
    state: &AppState,
    method: &'static str,
    route: &str,
    started: Instant,
    response: &Response<Body>,
) {
    let took = started.elapsed();
    let status = response.status();
    if let Some(ErrorKind(kind)) = response.extensions().get() {
        state.metrics().count_error(method, route, kind);
    }
    state.metrics().observe(method, route, status.as_str(), took);
    let status = status.as_u16();
    // Whole microseconds.
    let ms = (took.as_secs_f64() * 1_000_000.0).round() / 1_000.0;
    if status >= 500 {
        tracing::warn!(target: "access", method, route, status, ms, "answered");
    } else {
        tracing::debug!(target: "access", method, route, status, ms, "answered");
    }
}

/// The client's request id when it is a valid one, else a new one.
fn request_id(state: &AppState, request: &Request<Body>) -> HeaderValue {
    let given = request.headers().get(REQUEST_ID).filter(|value| {
        let bytes = value.as_bytes();
        (1..=REQUEST_ID_BYTES_MAX).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
    });
    match given {
        Some(id) => id.clone(),
        None => {
            let (mut random, mut text) = ([0; 12], [b'0'; 24]);
            state.core().fill_random(&mut random);
            // Always fits.
            let _ = hex::encode_to_slice(random, &mut text);
            HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("none"))
        }
    }
}

/// Methods outside the standard ones share a label, so that clients cannot make up series.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
