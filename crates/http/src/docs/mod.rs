//! The documentation to read: a page per API at `/docs`, made of its guide in `docs/`, the programs in
//! `examples/clients` and its OpenAPI document. Plain HTML under a strict policy, without a script.
//!
//! Pages and documents are built once. Without a public URL in the settings they name the address that
//! each request asked; it is filled into the finished text (`built`), which is compressed once, too
//! (`gzip`).

mod built;
mod guide;
mod gzip;
mod llms;
mod page;
mod reference;
mod samples;
mod schema;
mod sources;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, Response};
use bytes::Bytes;
use domain::error::Error;
use maud::Markup;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;

use crate::api::Api;
use crate::api_error::{ApiError, ApiResult};
use crate::html::{self, HTML};
use crate::native::V1;
use crate::net::server_address;
use crate::openapi;
use crate::openapi_flat::flat;
use crate::optional::optional;
use crate::routes::{Access, Route};
use crate::state::AppState;

use built::{ADDRESS, Built, KEPT, REVALIDATED};
use sources::{File, Sources, receivers};

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/openapi.json", Access::Public, openapi_document)
            .summary("This document")
            .query("dialect", "The name of a dialect, for its document")
            .answers_type(200, "application/json")
            .error(404, "There is no such dialect"),
        Route::get("/openapi-3.0.json", Access::Public, flat_document)
            .summary("This document as OpenAPI 3.0, without references")
            .description("For generators that read 3.0 only, or the first level of fields.")
            .query("dialect", "The name of a dialect, for its document")
            .answers_type(200, "application/json")
            .error(404, "There is no such dialect"),
        Route::get("/llms.txt", Access::Public, llms)
            .summary("The pages and documents, listed for programs")
            .answers_type(200, "text/plain"),
        Route::get("/docs", Access::Public, first_page)
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
        Route::get("/favicon.ico", Access::Public, icon)
            .summary("The icon of the pages")
            .answers_type(200, "image/svg+xml"),
    ]
}

#[derive(Deserialize)]
struct DocumentParams {
    #[serde(default, deserialize_with = "optional")]
    dialect: Option<String>,
}

async fn openapi_document(State(state): State<AppState>, request: Request) -> ApiResult<V1> {
    Ok(respond(&state, &request, &asked(&state, &request)?.openapi))
}

async fn flat_document(State(state): State<AppState>, request: Request) -> ApiResult<V1> {
    Ok(respond(&state, &request, &asked(&state, &request)?.flat))
}

/// The documents of the API that a request names.
fn asked<'a>(state: &'a AppState, request: &Request) -> Result<&'a ApiDocuments, ApiError> {
    let params = Query::<DocumentParams>::try_from_uri(request.uri());
    let Query(params) = params.map_err(|_| ApiError::UnknownPath)?;
    let documents = match params.dialect {
        None => state.documents().first(),
        Some(name) => state.documents().of(&name),
    };
    documents.ok_or_else(|| Error::NotFound("dialect").into())
}

async fn llms(State(state): State<AppState>, request: Request) -> Response<Body> {
    respond(&state, &request, state.documents().llms())
}

async fn first_page(State(state): State<AppState>, request: Request) -> ApiResult<V1> {
    show(&state, &request, state.documents().first())
}

async fn page_of(State(state): State<AppState>, request: Request) -> ApiResult<V1> {
    show(&state, &request, state.documents().of(segment(&request, 2)))
}

fn show(state: &AppState, request: &Request, documents: Option<&ApiDocuments>) -> ApiResult<V1> {
    let page = &documents.ok_or(ApiError::UnknownPath)?.page;
    Ok(as_page(respond(state, request, page)))
}

fn as_page(mut response: Response<Body>) -> Response<Body> {
    html::add_policy(&mut response);
    response
}

async fn file(State(state): State<AppState>, request: Request) -> ApiResult<V1> {
    let api = state.apis().iter().find(|api| api.name == segment(&request, 2));
    let name = segment(&request, 3);
    let groups = api.and_then(|api| state.documents().of(api.name)).map(|all| &all.groups);
    if let Some((_, page)) = groups.into_iter().flatten().find(|(group, _)| group == name) {
        return Ok(as_page(respond(&state, &request, page)));
    }
    let file = api.and_then(|api| files(api).find(|file| file.name == name));
    let text = file.ok_or(ApiError::UnknownPath)?.text;
    Ok(asset(&state, "text/plain; charset=utf-8", text, request.headers()))
}

async fn style(State(state): State<AppState>, headers: HeaderMap) -> Response<Body> {
    asset(&state, "text/css; charset=utf-8", include_str!("docs.css"), &headers)
}

async fn icon(State(state): State<AppState>, headers: HeaderMap) -> Response<Body> {
    asset(&state, "image/svg+xml", include_str!("icon.svg"), &headers)
}

fn asset(
    state: &AppState,
    content_type: &'static str,
    text: &'static str,
    headers: &HeaderMap,
) -> Response<Body> {
    let build = || Arc::new(Built::new(content_type, KEPT, Bytes::from_static(text.as_bytes())));
    let mut assets = state.documents().assets.lock();
    let built = assets.entry(text.as_ptr().addr()).or_insert_with(build).clone();
    drop(assets);
    built.respond("", headers)
}

fn respond(state: &AppState, request: &Request, built: &Built) -> Response<Body> {
    built.respond(&server_address(state.config(), request.headers()), request.headers())
}

/// A segment of the path, counted from one.
fn segment(request: &Request, index: usize) -> &str {
    request.uri().path().split('/').nth(index).unwrap_or_default()
}

/// What can be fetched below an API's page.
fn files(api: &Api) -> impl Iterator<Item = &'static File> {
    let of_format = api.format.into_iter().flat_map(|format| receivers(format.rules.name));
    Sources::of(api.name).clients.iter().chain(of_format)
}

/// The documentation of the APIs that are served.
pub(crate) struct Documents {
    apis: Vec<&'static Api>,
    /// Where clients reach the server, when the settings say.
    public_url: Option<String>,
    /// One per API.
    built: Vec<OnceLock<ApiDocuments>>,
    llms: OnceLock<Built>,
    /// The files of this program that were asked for, by where it has them.
    assets: Mutex<HashMap<usize, Arc<Built>>>,
}

struct ApiDocuments {
    openapi: Built,
    flat: Built,
    page: Built,
    /// The pages of its groups of calls, with their names.
    groups: Vec<(String, Built)>,
}

impl Documents {
    /// Of these APIs; each is built when it is first asked for, or by [`Documents::build`].
    pub(crate) fn new(apis: &[&'static Api], public_url: Option<&str>) -> Self {
        Self {
            apis: apis.to_vec(),
            public_url: public_url.map(str::to_owned),
            built: apis.iter().map(|_| OnceLock::new()).collect(),
            llms: OnceLock::new(),
            assets: Mutex::default(),
        }
    }

    fn llms(&self) -> &Built {
        let address = self.public_url.as_deref().unwrap_or(ADDRESS);
        let text = || llms::page(&self.apis, address).into();
        self.llms.get_or_init(|| Built::new("text/plain; charset=utf-8", REVALIDATED, text()))
    }

    /// Those that are shown where no API is named.
    fn first(&self) -> Option<&ApiDocuments> {
        self.at(0)
    }

    /// Those of an API; `None` when it is not served.
    fn of(&self, name: &str) -> Option<&ApiDocuments> {
        self.at(self.apis.iter().position(|api| api.name == name)?)
    }

    fn at(&self, index: usize) -> Option<&ApiDocuments> {
        let api = self.apis.get(index)?;
        let address = self.public_url.as_deref().unwrap_or(ADDRESS);
        Some(self.built.get(index)?.get_or_init(|| build(&self.apis, api, address)))
    }
}

fn build(apis: &[&Api], api: &Api, address: &str) -> ApiDocuments {
    // As JSON it is easier to walk than the builder's types.
    let document = serde_json::to_value(openapi::at(address, openapi::document(api)));
    // Only a map with keys that are no strings cannot be written, and there is none.
    let document: Value = document.unwrap_or_default();
    let (page, groups) = page::pages(apis, api, &document, address);
    let built = |page: Markup| Built::new(HTML, REVALIDATED, page.into_string().into());
    ApiDocuments {
        openapi: Built::new("application/json", REVALIDATED, document.to_string().into()),
        flat: Built::new("application/json", REVALIDATED, flat(&document).to_string().into()),
        page: built(page),
        groups: groups.into_iter().map(|(name, page)| (name, built(page))).collect(),
    }
}
