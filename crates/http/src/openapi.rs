//! The OpenAPI 3.1 documents, built from the table of routes.

use std::collections::BTreeMap;

use axum::http::Method;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Parameter, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{Components, Object, Ref, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Content, Info, License, OpenApi, Paths, RefOr, Required, Response, ResponseBuilder, Schema,
    Server,
};

use crate::dialects::{self, KeyPlace};
use crate::native::problem::ProblemBody;
use crate::router::own_routes;
use crate::routes::{Access, Answer, NamedSchema, Route};

const FORM_TYPES: [&str; 2] = ["application/x-www-form-urlencoded", "multipart/form-data"];
const ABOUT: &str = "A self-hosted WhatsApp gateway. Give a key as `Authorization: Bearer …`: the \
    operator key, an account key, or a device token for what concerns its device. Errors are \
    RFC 9457 problem documents with a stable `code`. Times are RFC 3339 UTC. Every answer carries \
    `X-Request-Id`; a sane one of yours is echoed. Where the plan limits requests, answers carry \
    `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset`; a 429 says `Retry-After`.";

/// The document of our own API.
pub fn openapi() -> OpenApi {
    let problem = Some(NamedSchema::of::<ProblemBody<'static>>());
    document("Gerbang", ABOUT, &own_routes(), &[KeyPlace::Bearer], problem)
}

/// The document of a dialect; `None` when there is no such dialect.
pub fn openapi_dialect(name: &str) -> Option<OpenApi> {
    let dialect = dialects::by_name(name)?;
    let title = format!("Gerbang: the {name} dialect");
    Some(document(&title, dialect.about, &(dialect.routes)(), dialect.keys, None))
}

/// The document of the API at this address.
#[must_use]
pub fn at(url: &str, mut document: OpenApi) -> OpenApi {
    document.servers = Some(vec![Server::new(url)]);
    document
}

/// `problem` is the shape of errors, where the API has one for all of them.
fn document(
    title: &str,
    about: &str,
    routes: &[Route],
    keys: &[KeyPlace],
    problem: Option<NamedSchema>,
) -> OpenApi {
    let mut components = Components::new();
    let mut paths = Paths::new();
    let problem_ref = problem.as_ref().map(|problem| problem.name.clone());
    problem.iter().for_each(|schema| add_schemas(&mut components.schemas, schema));
    for route in routes {
        let docs = &route.docs;
        let answers = docs.answers.iter().filter_map(|answer| answer.schema.as_ref());
        let schemas = docs.body.iter().chain(answers).chain(&docs.error_body);
        schemas.for_each(|schema| add_schemas(&mut components.schemas, schema));
        if let Some(method) = method(&route.method) {
            let operation = operation(route, keys, problem_ref.as_deref());
            paths.add_path_operation(route.path, vec![method], operation);
        }
    }
    for key in keys {
        components.security_schemes.insert(key.name().to_owned(), security_scheme(*key).into());
    }
    let mut info = Info::new(title, env!("CARGO_PKG_VERSION"));
    info.description = Some(about.to_owned());
    info.license = Some(License::new("AGPL-3.0-only"));
    let mut document = OpenApi::new(info, paths);
    document.components = Some(components);
    document
}

fn add_schemas(known: &mut BTreeMap<String, RefOr<Schema>>, schema: &NamedSchema) {
    for (name, schema) in &schema.all {
        known.entry(name.clone()).or_insert_with(|| schema.clone());
    }
}

fn security_scheme(key: KeyPlace) -> SecurityScheme {
    match key {
        KeyPlace::Bearer => SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        KeyPlace::Header(name) => SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(name))),
    }
}

fn method(method: &Method) -> Option<HttpMethod> {
    Some(match *method {
        Method::GET => HttpMethod::Get,
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        _ => return None,
    })
}

fn operation(route: &Route, keys: &[KeyPlace], problem: Option<&str>) -> Operation {
    let docs = &route.docs;
    let mut operation = OperationBuilder::new()
        .summary(Some(docs.summary))
        .description(docs.description)
        .operation_id(Some(operation_id(route)))
        .tag(tag(route.path));
    for name in path_parameters(route.path) {
        operation = operation.parameter(parameter(name, ParameterIn::Path, None));
    }
    for (name, meaning) in &docs.query {
        operation = operation.parameter(parameter(name, ParameterIn::Query, Some(meaning)));
    }
    for (name, meaning) in &docs.headers {
        operation = operation.parameter(parameter(name, ParameterIn::Header, Some(meaning)));
    }
    if let Some(body) = &docs.body {
        let required = if docs.is_body_optional { Required::False } else { Required::True };
        let forms: &[&str] = if docs.is_body_a_form_too { &FORM_TYPES } else { &[] };
        let mut request = RequestBodyBuilder::new().required(Some(required));
        for content_type in ["application/json"].iter().chain(forms) {
            let content = Content::new(Some(Ref::from_schema_name(&body.name)));
            request = request.content(*content_type, content);
        }
        operation = operation.request_body(Some(request.build()));
    }
    for answer in &docs.answers {
        operation = operation.response(answer.status.to_string(), answer_response(answer));
    }
    let own_errors = docs.error_body.as_ref().map(|body| (body.name.as_str(), "application/json"));
    let error_body = own_errors.or(problem.map(|name| (name, "application/problem+json")));
    for (status, meanings) in errors(route) {
        operation = operation.response(status.to_string(), error_response(&meanings, error_body));
    }
    if route.access != Access::Public {
        for key in keys {
            let scopes: [&str; 0] = [];
            operation = operation.security(SecurityRequirement::new(key.name(), scopes));
        }
    }
    operation.build()
}

fn parameter(name: &str, place: ParameterIn, meaning: Option<&str>) -> Parameter {
    let mut parameter = Parameter::new(name);
    parameter.required =
        if matches!(place, ParameterIn::Path) { Required::True } else { Required::False };
    parameter.parameter_in = place;
    parameter.description = meaning.map(str::to_owned);
    parameter.schema = Some(Object::with_type(Type::String).into());
    parameter
}

fn answer_response(answer: &Answer) -> Response {
    let mut response = ResponseBuilder::new().description("Success");
    if !answer.content_type.is_empty() {
        let schema = answer.schema.as_ref().map(|schema| Ref::from_schema_name(&schema.name));
        response = response.content(answer.content_type, Content::new(schema));
    }
    for (name, meaning) in &answer.headers {
        let mut header = Header::new(Object::with_type(Type::String));
        header.description = Some((*meaning).to_owned());
        response = response.header(*name, header);
    }
    response.build()
}

/// A route's errors: its own, and those that every route of its kind has; one entry per status.
fn errors(route: &Route) -> BTreeMap<u16, String> {
    let mut errors: BTreeMap<u16, String> = BTreeMap::new();
    let docs = &route.docs;
    let is_ours = route.path.starts_with("/v1/");
    let mut add = |status: u16, meaning: &str| {
        let all = errors.entry(status).or_default();
        if !all.is_empty() {
            all.push_str("; ");
        }
        all.push_str(meaning);
    };
    docs.errors.iter().for_each(|(status, meaning)| add(*status, meaning));
    if is_ours {
        add(401, "`unauthorized`");
        add(403, "`forbidden`: a key of another kind");
        add(405, "`wrong_method`");
        add(429, "`rate_limited`");
        if route.path.contains('{') {
            add(404, "`not_found`");
        }
        if docs.body.is_some() || !docs.query.is_empty() {
            add(400, "`malformed`");
        }
        if docs.body.is_some() {
            add(408, "`body_timeout`");
            add(413, "`too_large`");
            add(415, "`unsupported_media_type`");
        }
        if docs.body.is_some() || !docs.query.is_empty() {
            add(422, "`invalid`: `errors` names the field");
        }
        if docs.headers.iter().any(|(name, _)| *name == "Idempotency-Key") {
            add(422, "`idempotency_mismatch`");
            add(409, "`idempotency_in_flight`");
        }
        add(500, "`internal`");
        add(503, "`unavailable`");
    }
    errors
}

/// `body` is the name of its schema, and its content type.
fn error_response(meanings: &str, body: Option<(&str, &str)>) -> Response {
    let response = ResponseBuilder::new().description(meanings);
    match body {
        Some((name, content_type)) => {
            let content = Content::new(Some(Ref::from_schema_name(name)));
            response.content(content_type, content).build()
        }
        None => response.build(),
    }
}

/// The names between braces.
pub(crate) fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn operation_id(route: &Route) -> String {
    let mut id = route.method.as_str().to_ascii_lowercase();
    for segment in route.path.split('/').filter(|segment| !segment.is_empty()) {
        id.push('_');
        id.extend(segment.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_'));
    }
    id
}

/// The resource: `devices` for `/v1/devices/{id}`.
fn tag(path: &str) -> String {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    match segments.next() {
        Some("v1") => segments.next().unwrap_or("v1").to_owned(),
        Some("healthz" | "readyz" | "metrics" | "openapi.json") => "process".to_owned(),
        Some("docs" | "assets") | None => "pages".to_owned(),
        Some(_) => path.rsplit('/').next().unwrap_or_default().to_owned(),
    }
}
