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

use crate::api::{Api, KeyPlace};
use crate::dialects;
use crate::native;
use crate::routes::{Access, NamedSchema, ResponseDoc, Route};

const FORM_TYPES: [&str; 2] = ["application/x-www-form-urlencoded", "multipart/form-data"];
/// The document of our own API.
pub fn openapi() -> OpenApi {
    document(&native::API)
}

/// The document of a dialect; `None` when there is no such dialect.
pub fn openapi_dialect(name: &str) -> Option<OpenApi> {
    dialects::by_name(name).map(document)
}

/// The document of the API at this address.
#[must_use]
pub fn at(url: &str, mut document: OpenApi) -> OpenApi {
    document.servers = Some(vec![Server::new(url)]);
    document
}

/// The document of an API.
pub fn document(api: &Api) -> OpenApi {
    let mut components = Components::new();
    let mut paths = Paths::new();
    for route in (api.routes)() {
        let docs = &route.docs;
        let answers = docs.answers.iter().filter_map(|answer| answer.schema.as_ref());
        let errors = docs.error_body.iter().map(|(schema, _)| schema);
        let schemas = docs.body.iter().chain(answers).chain(errors);
        schemas.for_each(|schema| add_schemas(&mut components.schemas, schema));
        if let Some(method) = method(&route.method) {
            paths.add_path_operation(route.path, vec![method], operation(&route, api.keys));
        }
    }
    for key in api.keys {
        components.security_schemes.insert(key.name().to_owned(), security_scheme(*key).into());
    }
    let mut info = Info::new(api.title, env!("CARGO_PKG_VERSION"));
    info.description = Some(api.about.to_owned());
    info.license = Some(License::new("AGPL-3.0-only"));
    let mut document = OpenApi::new(info, paths);
    document.components = Some(components);
    document
}

fn add_schemas(known: &mut BTreeMap<String, RefOr<Schema>>, schema: &NamedSchema) {
    // With it came all it refers to; many routes name the same types, and making those takes long.
    if known.contains_key(&schema.name()) {
        return;
    }
    for (name, schema) in schema.all() {
        known.entry(name).or_insert(schema);
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

fn operation(route: &Route, keys: &[KeyPlace]) -> Operation {
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
            let content = Content::new(Some(Ref::from_schema_name(body.name())));
            request = request.content(*content_type, content);
        }
        operation = operation.request_body(Some(request.build()));
    }
    for answer in &docs.answers {
        operation = operation.response(answer.status.to_string(), answer_response(answer));
    }
    let error_body = docs.error_body.map(|(schema, kind)| (schema.name(), kind));
    let error_body = error_body.as_ref().map(|(name, kind)| (name.as_str(), *kind));
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

fn answer_response(answer: &ResponseDoc) -> Response {
    let mut response = ResponseBuilder::new().description("Success");
    if !answer.content_type.is_empty() {
        let schema = answer.schema.as_ref().map(|schema| Ref::from_schema_name(schema.name()));
        response = response.content(answer.content_type, Content::new(schema));
    }
    for (name, meaning) in &answer.headers {
        let mut header = Header::new(Object::with_type(Type::String));
        header.description = Some((*meaning).to_owned());
        response = response.header(*name, header);
    }
    response.build()
}

/// A route's errors, one entry per status.
fn errors(route: &Route) -> BTreeMap<u16, String> {
    let mut errors: BTreeMap<u16, String> = BTreeMap::new();
    for (status, meaning) in &route.docs.errors {
        let all = errors.entry(*status).or_default();
        if !all.is_empty() {
            all.push_str("; ");
        }
        all.push_str(meaning);
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
        Some(
            "healthz" | "readyz" | "metrics" | "openapi.json" | "openapi-3.0.json" | "llms.txt",
        ) => "process".to_owned(),
        Some("docs" | "assets" | "favicon.ico") | None => "pages".to_owned(),
        Some(_) => path.rsplit('/').next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use utoipa::{PartialSchema, ToSchema};

    use super::*;

    static MADE: AtomicUsize = AtomicUsize::new(0);

    struct Counted;

    impl ToSchema for Counted {}

    impl PartialSchema for Counted {
        fn schema() -> RefOr<Schema> {
            MADE.fetch_add(1, Ordering::SeqCst);
            Object::with_type(Type::String).into()
        }
    }

    #[test]
    fn the_schema_of_a_type_is_made_once() {
        let mut known = BTreeMap::new();
        for _ in 0..2 {
            add_schemas(&mut known, &NamedSchema::of::<Counted>());
        }
        assert_eq!(known.into_keys().collect::<Vec<_>>(), ["Counted"]);
        assert_eq!(MADE.load(Ordering::SeqCst), 1);
    }
}
