//! `/app/api/{api}`: the calls of an API, each to be tried. The server makes the request itself, with a key
//! that it lends to the session for this moment: no route of an API ever reads a cookie.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, Request, Response, StatusCode};
use axum::routing::{get, post};
use domain::error::Error;
use domain::service::LentKey;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::timeout;
use tower::ServiceExt as _;

use super::api_words::documented;
use super::caller::{Asked, InAccount, Person, Posted};
use super::failure::{Failure, PageResult, redirect};
use super::layout::{self, Place};
use super::show::with;
use super::table::{self, Column};
use super::words::words;
use crate::api::{Api, KeyPlace};
use crate::html::code_block;
use crate::router::router;
use crate::routes::{Access, Route};
use crate::state::AppState;

/// How long an answer may take.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// Most bytes of an answer that are shown.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Stands for the key in a body or a query.
const YOUR_KEY: &str = "YOUR_KEY";

words! {
    /// The texts of these pages.
    ApiWords
    title: "API", "API";
    lead: "Every call can be tried here, as this session: what it changes is changed.", "Setiap panggilan dapat dicoba di sini, sebagai sesi ini: yang diubahnya benar-benar berubah.";
    reference: "Guide, reference and clients", "Panduan, referensi, dan klien";
    call: "Call", "Panggilan";
    does: "What it does", "Fungsinya";
    attempt: "Try", "Coba";
    attempt_one: "Try {}", "Coba {}";
    in_path: "in the path", "di path";
    in_query: "in the query", "di query";
    body: "Body (JSON)", "Isi (JSON)";
    key_help: "YOUR_KEY stands for a key of this session.", "YOUR_KEY mewakili kunci sesi ini.";
    go: "Send the request", "Kirim permintaan";
    answer: "Answer", "Jawaban";
    no_answer: "There was no answer in time.", "Tidak ada jawaban tepat waktu.";
    not_json: "This is no JSON: {}", "Ini bukan JSON: {}";
    no_text: "{} bytes that are no text", "{} byte yang bukan teks";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/api", get(async || redirect("/app/api/v1")))
        .route("/app/api/{api}", get(show))
        .route("/app/api/{api}/try", post(attempt))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ShowQuery {
    /// A call, as `METHOD path`.
    call: String,
}

fn named(state: &AppState, name: &str) -> Result<&'static Api, Error> {
    state.apis().iter().copied().find(|api| api.name == name).ok_or(Error::NotFound("API"))
}

/// The calls that somebody in an account may make and whose answer ends.
fn calls(api: &Api) -> impl Iterator<Item = Route> {
    (api.routes)().into_iter().filter(|route| {
        let ends =
            route.docs.answers.iter().all(|answer| answer.content_type != "text/event-stream");
        matches!(route.access, Access::Account | Access::Device) && ends
    })
}

fn name_of(route: &Route) -> String {
    format!("{} {}", route.method, route.path)
}

fn found(api: &Api, call: &str) -> Result<Route, Error> {
    calls(api).find(|route| name_of(route) == call).ok_or(Error::NotFound("call"))
}

async fn show(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(name): Path<String>,
    Asked(query): Asked<ShowQuery>,
) -> PageResult {
    let api = named(&state, &name)?;
    let body = match query.call.as_str() {
        "" => list(&state, &person, api),
        call => form(&person, api, &found(api, call)?, &Map::new(), None),
    };
    Ok(layout::page(&person, Place::Api, api.title, &body))
}

fn list(state: &AppState, person: &Person, api: &Api) -> Markup {
    let own = ApiWords::of(person.lang);
    let columns = [Column::Clear(own.call), Column::Text(own.does), Column::Acts(own.attempt)];
    let row = |route: &Route| {
        let name = name_of(route);
        [
            html! { code { (name) } },
            html! { (documented(person.lang, route.docs.summary)) },
            html! { a.button.plain href=(call_path(api, route))
            aria-label=(with(own.attempt_one, &name)) { (own.attempt) } },
        ]
    };
    html! {
        h1 { (own.title) }
        nav.row aria-label=(own.title) {
            @for other in state.apis() {
                a href={ "/app/api/" (other.name) }
                    aria-current=[(other.name == api.name).then_some("page")] { (other.name) }
            }
        }
        h2 { (api.title) }
        p { (own.lead) " " a href={ "/docs/" (api.name) } { (own.reference) } }
        (table::table(own.call, &columns, calls(api).map(|route| row(&route))))
    }
}

fn call_path(api: &Api, route: &Route) -> String {
    let call = name_of(route);
    format!("/app/api/{}?call={}", api.name, utf8_percent_encode(&call, NON_ALPHANUMERIC))
}

fn form(
    person: &Person,
    api: &Api,
    route: &Route,
    given: &Map<String, Value>,
    answer: Option<&Markup>,
) -> Markup {
    let own = ApiWords::of(person.lang);
    let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default();
    let body =
        given.get("body").and_then(Value::as_str).map_or_else(|| example(route), str::to_owned);
    html! {
        p.crumbs { a href={ "/app/api/" (api.name) } { (api.title) } }
        h1 { code { (name_of(route)) } }
        p { (documented(person.lang, route.docs.summary)) }
        form.stack method="post" action={ "/app/api/" (api.name) "/try" } {
            (person.csrf())
            input type="hidden" name="call" value=(name_of(route));
            @for name in in_path(route.path) {
                @let field = format!("path.{name}");
                label for=(field) { (name) " " span.quiet { (own.in_path) } }
                input id=(field) name=(field) value=(text(&field)) required;
            }
            @for &(name, meaning) in &route.docs.query {
                @let field = format!("query.{name}");
                label for=(field) { (name) " " span.quiet { (own.in_query) } }
                input id=(field) name=(field) value=(text(&field)) aria-describedby={ (field) "-help" };
                span.help id={ (field) "-help" } { (documented(person.lang, meaning)) }
            }
            @if route.docs.body.is_some() {
                label for="body" { (own.body) }
                textarea #body name="body" rows="8" spellcheck="false" { (body) }
            }
            @if api.keys.is_empty() { p.quiet { (own.key_help) } }
            button { (own.go) }
        }
        @if let Some(answer) = answer { section #answer { h2 { (own.answer) } (answer) } }
    }
}

/// The parameters of a path's template.
fn in_path(template: &str) -> impl Iterator<Item = &str> {
    template.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// A body to begin with: the fields that must be there.
fn example(route: &Route) -> String {
    let schema = route.docs.body.and_then(|body| body.all().into_iter().next());
    let schema =
        schema.and_then(|(_, schema)| serde_json::to_value(schema).ok()).unwrap_or_default();
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    // A send may carry other things instead, and a text is the plainest.
    let text = schema["properties"].get("text").map(|_| ("text".to_owned(), "Hello".into()));
    let fields: Map<String, Value> = required
        .map(|name| {
            let kind = schema["properties"][name]["type"].as_str().unwrap_or_default();
            let value = match (name, kind) {
                ("api_key", _) => YOUR_KEY.into(),
                (_, "integer" | "number") => 0.into(),
                (_, "boolean") => false.into(),
                (_, "array") => Value::Array(Vec::new()),
                (_, "object") => Value::Object(Map::new()),
                _ => "".into(),
            };
            (name.to_owned(), value)
        })
        .chain(text)
        .collect();
    serde_json::to_string_pretty(&fields).unwrap_or_default()
}

async fn attempt(
    State(state): State<AppState>,
    Path(name): Path<String>,
    Posted { person, form: given }: Posted<Map<String, Value>>,
) -> PageResult {
    if person.visitor.account().is_none() {
        return Err(Failure::NoAccount);
    }
    let own = ApiWords::of(person.lang);
    let api = named(&state, &name)?;
    let route = found(api, given.get("call").and_then(Value::as_str).unwrap_or_default())?;
    let answer = match request(&state, &person, api, &route, &given)? {
        Ok((request, _lent)) => {
            let answer = timeout(ANSWER_WAIT, router(state.clone()).oneshot(request)).await;
            match answer {
                Ok(Ok(answer)) => shown(own, answer).await,
                _ => html! { p.fault role="alert" { (own.no_answer) } },
            }
        }
        Err(fault) => html! { p.fault role="alert" { (with(own.not_json, fault)) } },
    };
    let body = form(&person, api, &route, &given, Some(&answer));
    Ok(layout::page(&person, Place::Api, api.title, &body))
}

/// The request that a form stands for, and its key; or what is wrong with the body.
fn request(
    state: &AppState,
    person: &Person,
    api: &Api,
    route: &Route,
    given: &Map<String, Value>,
) -> Result<Result<(Request<Body>, LentKey), String>, Failure> {
    let lent = state.core().lend_key(&person.visitor)?;
    let text = |name: &str| {
        let text = given.get(name).and_then(Value::as_str).unwrap_or_default();
        text.replace(YOUR_KEY, lent.reveal())
    };
    let body = if route.docs.body.is_some() { text("body") } else { String::new() };
    if !body.trim().is_empty()
        && let Err(fault) = serde_json::from_str::<Value>(&body)
    {
        return Ok(Err(fault.to_string()));
    }
    let mut path = route.path.to_owned();
    for name in in_path(route.path) {
        let value = text(&format!("path.{name}"));
        let value = utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string();
        path = path.replace(&format!("{{{name}}}"), &value);
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, _) in &route.docs.query {
        let value = text(&format!("query.{name}"));
        if !value.is_empty() {
            query.append_pair(name, &value);
        }
    }
    let query = query.finish();
    let address = if query.is_empty() { path } else { format!("{path}?{query}") };
    let mut request = Request::builder().method(route.method.clone()).uri(address);
    request = match api.keys.first() {
        Some(KeyPlace::Bearer) => {
            request.header(AUTHORIZATION, format!("Bearer {}", lent.reveal()))
        }
        Some(KeyPlace::Header(name)) => request.header(*name, lent.reveal()),
        None => request,
    };
    if route.method != Method::GET && !body.trim().is_empty() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let request = request.body(Body::from(body)).map_err(|_| Error::NotFound("call"))?;
    Ok(Ok((request, lent)))
}

/// An answer, as text.
async fn shown(own: &ApiWords, answer: Response<Body>) -> Markup {
    let status: StatusCode = answer.status();
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().to_owned();
    let bytes = to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await.unwrap_or_default();
    let text = match serde_json::from_slice::<Value>(&bytes) {
        Ok(value) => serde_json::to_string_pretty(&value).unwrap_or_default(),
        Err(_) => match String::from_utf8(bytes.to_vec()) {
            Ok(text) => text,
            Err(_) => with(own.no_text, bytes.len()),
        },
    };
    html! {
        p { span.badge data-tone=(if status.is_success() { "good" } else { "bad" }) { (status) }
            " " code { (kind) } }
        (code_block(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::Lang;
    use super::*;

    #[test]
    fn every_call_is_described_in_indonesian() {
        for api in crate::api::all() {
            for route in calls(api) {
                let meanings = route.docs.query.iter().map(|(_, meaning)| *meaning);
                for text in meanings.chain([route.docs.summary]) {
                    assert_ne!(documented(Lang::Id, text), text, "{}", name_of(&route));
                }
            }
        }
    }
}
