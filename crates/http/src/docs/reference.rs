//! The calls of an API with their fields, answers and errors, from its OpenAPI document.

use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::Value;

use super::page::{Part, page_path};
use super::schema::{Schemas, Shown, list, name_of, text};
use crate::api::Api;
use crate::html::{inline, scrolling};
use crate::routes::{Access, Route};

/// Most calls of an API that the contents list one by one; more are grouped by their resource.
const UNGROUPED_MAX: usize = 20;

/// One call; some can be made at several paths.
struct Call<'a> {
    routes: Vec<&'a Route>,
    /// Without the id, which every path has of its own.
    operation: Value,
    /// The first path's.
    id: String,
}

impl Call<'_> {
    fn tag(&self) -> &str {
        text(&self.operation["tags"][0])
    }
}

/// The calls of a resource, which has a page of its own.
pub(super) struct Group {
    /// The last segment of its page's path.
    pub name: String,
    pub title: String,
    pub part: Part,
}

/// All calls, and what the bodies of errors look like. Of an API with many calls, those are on the pages of
/// their groups, and listed here.
pub(super) fn parts(api: &Api, document: &Value) -> (Vec<Part>, Vec<Group>) {
    let routes = (api.routes)();
    let mut calls = calls(document, &routes);
    let mut groups = Vec::new();
    let shown = Shown::default();
    let reference = if calls.len() > UNGROUPED_MAX {
        group_by_tag(&mut calls);
        let of_tag: Vec<_> = calls.chunk_by(|one, next| one.tag() == next.tag()).collect();
        let page = page_path(api);
        groups.extend(of_tag.iter().map(|calls| group(calls, &page, document)));
        index(&of_tag, &page)
    } else {
        Part { html: calls_html(&calls, "", Schemas::of(document, &shown)), ..listed(&calls) }
    };
    let errors = error_bodies(document, Schemas::of(document, &shown));
    (std::iter::once(reference).chain(errors).collect(), groups)
}

fn group_name(calls: &[Call<'_>]) -> String {
    format!("calls-{}", calls[0].tag())
}

fn group(calls: &[Call<'_>], page: &str, document: &Value) -> Group {
    let shown = Shown::default();
    let html = calls_html(calls, page, Schemas::of(document, &shown));
    let part = Part { html, ..listed(calls) };
    Group { name: group_name(calls), title: calls[0].tag().to_owned(), part }
}

/// The groups with their calls, each of which leads to where it is described.
fn index(groups: &[&[Call<'_>]], page: &str) -> Part {
    let html = html! {
        @for group in groups {
            @let name = group_name(group);
            h3.group id=(name) { a href={ (page) "/" (name) } { (group[0].tag()) } }
            ul {
                @for call in *group {
                    li {
                        a href={ (page) "/" (name) "#" (call.id) } { (paths(&call.routes)) }
                        " " (inline(text(&call.operation["summary"])))
                    }
                }
            }
        }
    };
    let mut part = Part::new("reference", "Reference", html);
    part.inner =
        groups.iter().map(|group| (group_name(group), group[0].tag().to_owned())).collect();
    part
}

/// The calls; `page` is where the bodies of errors are described.
fn calls_html(calls: &[Call<'_>], page: &str, schemas: Schemas<'_>) -> Markup {
    html! { @for call in calls { (call_html(call, page, schemas)) } }
}

/// A part whose contents are these calls, still empty.
fn listed(calls: &[Call<'_>]) -> Part {
    let start = common_start(calls);
    let title = |call: &Call<'_>| {
        let Route { method, path, .. } = call.routes[0];
        let rest = path.strip_prefix(start).filter(|rest| !rest.is_empty());
        format!("{method} {}", rest.unwrap_or(path))
    };
    let mut part = Part::new("reference", "Reference", html! {});
    part.inner = calls.iter().map(|call| (call.id.clone(), title(call))).collect();
    part
}

/// The routes in their order, those at several paths together.
fn calls<'a>(document: &Value, routes: &'a [Route]) -> Vec<Call<'a>> {
    let mut calls: Vec<Call<'_>> = Vec::new();
    for route in routes {
        let method = route.method.as_str().to_ascii_lowercase();
        let mut operation = document["paths"][route.path][&method].clone();
        let id = text(&operation["operationId"]).to_owned();
        if let Some(fields) = operation.as_object_mut() {
            fields.remove("operationId");
        }
        let is_same = |call: &&mut Call<'_>| {
            call.routes[0].method == route.method && call.operation == operation
        };
        match calls.iter_mut().find(is_same) {
            Some(call) => call.routes.push(route),
            None => calls.push(Call { routes: vec![route], operation, id }),
        }
    }
    calls
}

/// Puts the calls of a resource together, where its first one is.
fn group_by_tag(calls: &mut [Call<'_>]) {
    let tags: Vec<String> = calls.iter().map(|call| call.tag().to_owned()).collect();
    calls.sort_by_key(|call| tags.iter().position(|tag| tag == call.tag()));
}

/// What all paths begin with; the list of calls is narrow.
fn common_start<'a>(calls: &[Call<'a>]) -> &'a str {
    let mut paths = calls.iter().map(|call| call.routes[0].path);
    let mut start = paths.next().unwrap_or_default();
    for path in paths {
        while !path.starts_with(&format!("{start}/")) && !start.is_empty() {
            start = start.rsplit_once('/').map_or("", |(shorter, _)| shorter);
        }
    }
    start
}

fn call_html(call: &Call<'_>, page: &str, schemas: Schemas<'_>) -> Markup {
    let Call { routes, operation, id } = call;
    html! {
        section.call id=(id) {
            h3 { (paths(routes)) }
            p { (inline(text(&operation["summary"]))) "." }
            @if let Some(more) = operation["description"].as_str() { p { (inline(more)) } }
            p.who { (who(routes[0].access)) }
            (parameters(operation))
            (body(operation, schemas))
            (answers(operation, page, schemas))
        }
    }
}

fn paths(routes: &[&Route]) -> Markup {
    html! {
        @for route in routes {
            @let method = route.method.as_str();
            span.path {
                b class=(method.to_ascii_lowercase()) { (method) } " " code { (route.path) }
            }
        }
    }
}

fn who(access: Access) -> &'static str {
    match access {
        Access::Public => "Needs no key.",
        Access::Local => "Needs no key on this machine, elsewhere the operator key.",
        Access::Operator => "Needs the operator key.",
        Access::Account => "Needs an account key.",
        Access::Device => "Needs an account key or the device's token.",
    }
}

/// What a path names needs no words; the others have them.
fn parameters(operation: &Value) -> Markup {
    let of = |place: &'static str| {
        list(&operation["parameters"]).filter(move |parameter| parameter["in"] == place)
    };
    html! {
        @for (place, title) in [("query", "Query"), ("header", "Headers")] {
            @if of(place).next().is_some() {
                p.label { (title) }
                table.fields {
                    @for parameter in of(place) {
                        tr {
                            td { code { (text(&parameter["name"])) } }
                            td { (inline(text(&parameter["description"]))) }
                        }
                    }
                }
            }
        }
    }
}

fn body(operation: &Value, schemas: Schemas<'_>) -> Markup {
    let content = &operation["requestBody"]["content"];
    let schema = &content["application/json"]["schema"];
    let has_forms = content.as_object().is_some_and(|all| all.len() > 1);
    let is_optional = operation["requestBody"]["required"] != true;
    html! {
        @if !schema.is_null() {
            p.label {
                "Body: JSON"
                @if has_forms { " or a form" }
                @if is_optional { ", may be left out" }
            }
            (schemas.fields(schema))
        }
    }
}

fn answers(operation: &Value, page: &str, schemas: Schemas<'_>) -> Markup {
    let responses = || operation["responses"].as_object().into_iter().flatten();
    let errors: Vec<_> = responses().filter(|(status, _)| is_error(status)).collect();
    let statuses: Vec<_> = errors.iter().map(|(status, _)| status.as_str()).collect();
    html! {
        @for (status, response) in responses().filter(|(status, _)| !is_error(status)) {
            @let (kind, schema) = content(response).unwrap_or(("no body", &Value::Null));
            details {
                summary { "Answer " b { (status) } " " span { (kind) } }
                (headers(response))
                (schemas.fields(schema))
            }
        }
        @if !errors.is_empty() {
            details {
                summary { "Errors " span { (statuses.join(" ")) } }
                (scrolling("Errors", &html! { table { @for (status, error) in &errors { (error_row(status, error, page)) } } }))
            }
        }
    }
}

/// The content type and the schema of a response's body.
fn content(response: &Value) -> Option<(&str, &Value)> {
    let (kind, content) = response["content"].as_object()?.iter().next()?;
    Some((kind, &content["schema"]))
}

/// The name of an error's body leads to where it is described.
fn error_row(status: &str, error: &Value, page: &str) -> Markup {
    let body = content(error).and_then(|(_, schema)| name_of(schema));
    html! {
        tr {
            td { (status) }
            td { (inline(text(&error["description"]))) }
            td { @if let Some(name) = body { a href={ (page) "#body-" (name) } { (name) } } }
        }
    }
}

fn headers(response: &Value) -> Markup {
    html! {
        @if let Some(headers) = response["headers"].as_object() {
            table.fields {
                @for (name, header) in headers {
                    tr {
                        td { code { (name) } }
                        td { "header" }
                        td { (inline(text(&header["description"]))) }
                    }
                }
            }
        }
    }
}

fn error_bodies(document: &Value, schemas: Schemas<'_>) -> Option<Part> {
    let operations = document["paths"].as_object().into_iter().flatten();
    let operations = operations.flat_map(|(_, item)| item.as_object().into_iter().flatten());
    let answers = operations.filter_map(|(_, operation)| operation["responses"].as_object());
    let errors = answers.flatten().filter(|(status, _)| is_error(status));
    let bodies = errors.filter_map(|(_, error)| content(error));
    let names: BTreeSet<&str> = bodies.filter_map(|(_, schema)| name_of(schema)).collect();
    let html = html! {
        @for name in &names {
            @let schema = schemas.named(name);
            section id={ "body-" (name) } {
                h3 { (name) }
                p { (inline(text(&schema["description"]))) }
                (schemas.fields(schema))
            }
        }
    };
    (!names.is_empty()).then(|| Part::new("error-bodies", "Bodies of errors", html))
}

fn is_error(status: &str) -> bool {
    status.starts_with(['4', '5'])
}
