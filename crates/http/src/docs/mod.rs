//! The documentation to read: a page per API at `/docs`, made of its guide in `docs/`, the programs in
//! `examples/clients` and its OpenAPI document. Plain HTML under a strict policy, without a script.

mod guide;
mod html;
mod page;
mod reference;
mod samples;
mod schema;
mod sources;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, Response, StatusCode, Uri};
use utoipa::openapi::OpenApi;

use crate::api::Api;
use crate::api_error::ApiError;
use crate::fallback::{self, html};
use crate::net::server_address;
use crate::openapi;
use crate::reply::bytes_reply;
use crate::routes::{Access, Route};
use crate::state::AppState;

use sources::{File, Sources, receivers};

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/docs", Access::Public, own_page)
            .summary("The documentation of this API, to read")
            .answers_type(200, "text/html"),
        Route::get("/docs/{api}", Access::Public, page_of)
            .summary("The documentation of an API: `v1` or a dialect's name")
            .answers_type(200, "text/html")
            .error(404, "There is no such API here"),
        Route::get("/docs/{api}/{file}", Access::Public, file)
            .summary("A sample client or webhook receiver, as its API's page shows it")
            .answers_type(200, "text/plain")
            .error(404, "There is no such file"),
        Route::get("/assets/docs.css", Access::Public, style)
            .summary("The documentation's style sheet")
            .answers_type(200, "text/css"),
    ]
}

async fn own_page(State(state): State<AppState>, request: Request) -> Response<Body> {
    html(
        StatusCode::OK,
        page::page(&state, &Shown::of(state.apis()[0]), &server_address(state.config(), &request)),
    )
}

async fn page_of(State(state): State<AppState>, request: Request) -> Response<Body> {
    let Some(api) = Shown::at(&state, request.uri()) else {
        return nothing_there(&state, &request);
    };
    html(StatusCode::OK, page::page(&state, &api, &server_address(state.config(), &request)))
}

async fn file(State(state): State<AppState>, request: Request) -> Response<Body> {
    let name = request.uri().path().rsplit('/').next().unwrap_or_default();
    let api = Shown::at(&state, request.uri());
    match api.and_then(|api| api.files().find(|file| file.name == name)) {
        Some(file) => asset("text/plain; charset=utf-8", file.text),
        None => nothing_there(&state, &request),
    }
}

async fn style() -> Response<Body> {
    asset("text/css; charset=utf-8", include_str!("docs.css"))
}

fn asset(content_type: &'static str, text: &'static str) -> Response<Body> {
    let content_type = HeaderValue::from_static(content_type);
    let mut response = bytes_reply(StatusCode::OK, content_type, text);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

fn nothing_there(state: &AppState, request: &Request) -> Response<Body> {
    fallback::renderer(state, request.uri().path(), request.headers())(&ApiError::UnknownPath)
}

/// An API with a page.
struct Shown {
    api: &'static Api,
    document: OpenApi,
    /// In the order in which they are shown.
    routes: Vec<Route>,
}

impl Shown {
    fn of(api: &'static Api) -> Self {
        Self { api, document: openapi::document(api), routes: (api.routes)() }
    }

    /// The one whose name is the path's second segment, when it is served.
    fn at(state: &AppState, uri: &Uri) -> Option<Self> {
        let name = uri.path().split('/').nth(2)?;
        state.apis().iter().find(|api| api.name == name).map(|api| Self::of(api))
    }

    fn sources(&self) -> &'static Sources {
        Sources::of(self.api.name)
    }

    fn receivers(&self) -> Vec<&'static File> {
        self.api.format.into_iter().flat_map(|format| receivers(format.rules.name)).collect()
    }

    /// What can be fetched below its page.
    fn files(&self) -> impl Iterator<Item = &'static File> {
        self.sources().clients.iter().chain(self.receivers())
    }
}
