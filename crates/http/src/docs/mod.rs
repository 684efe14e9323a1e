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
use domain::service::OWN_FORMAT;
use utoipa::openapi::OpenApi;

use crate::api_error::ApiError;
use crate::dialects::Dialect;
use crate::fallback::{self, html};
use crate::net::server_address;
use crate::openapi::{openapi, openapi_dialect};
use crate::reply::bytes_reply;
use crate::router::own_routes;
use crate::routes::{Access, Route};
use crate::state::AppState;

use sources::{File, Sources, receivers};

/// What our own API is called among the others.
const OURS: &str = "v1";

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
    html(StatusCode::OK, page::page(&state, &Api::ours(), &server_address(&state.config, &request)))
}

async fn page_of(State(state): State<AppState>, request: Request) -> Response<Body> {
    let Some(api) = Api::at(&state, request.uri()) else {
        return nothing_there(&state, &request);
    };
    html(StatusCode::OK, page::page(&state, &api, &server_address(&state.config, &request)))
}

async fn file(State(state): State<AppState>, request: Request) -> Response<Body> {
    let name = request.uri().path().rsplit('/').next().unwrap_or_default();
    let api = Api::at(&state, request.uri());
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
struct Api {
    /// `v1` or the dialect's name.
    name: &'static str,
    title: String,
    document: OpenApi,
    /// In the order in which they are shown.
    routes: Vec<Route>,
    /// Its shape of webhooks.
    format: Option<&'static str>,
}

impl Api {
    fn ours() -> Self {
        Self {
            name: OURS,
            title: "Gerbang's own API".to_owned(),
            document: openapi(),
            routes: own_routes(),
            format: Some(OWN_FORMAT),
        }
    }

    fn of(dialect: &Dialect) -> Option<Self> {
        Some(Self {
            name: dialect.name,
            title: format!("The {} API", dialect.name),
            document: openapi_dialect(dialect.name)?,
            routes: (dialect.routes)(),
            format: dialect.format.map(|format| format.rules.name),
        })
    }

    /// The one whose name is the path's second segment, when it is served.
    fn at(state: &AppState, uri: &Uri) -> Option<Self> {
        let name = uri.path().split('/').nth(2)?;
        if name == OURS {
            return Some(Self::ours());
        }
        Self::of(state.dialects.iter().find(|dialect| dialect.name == name)?)
    }

    fn is_ours(&self) -> bool {
        self.name == OURS
    }

    fn sources(&self) -> &'static Sources {
        Sources::of(self.name)
    }

    fn receivers(&self) -> Vec<&'static File> {
        self.format.into_iter().flat_map(receivers).collect()
    }

    /// What can be fetched below its page.
    fn files(&self) -> impl Iterator<Item = &'static File> {
        self.sources().clients.iter().chain(self.receivers())
    }
}
