//! The calls of an API with their fields, answers and errors, from its OpenAPI document.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::Shown;
use super::html::{escape, inline};
use super::page::Page;
use super::schema::{Schemas, list, name_of, text};
use crate::routes::{Access, Route};

/// Most calls of an API that are listed one by one; more are grouped by their tag.
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

/// Adds all calls, and what the bodies of errors look like.
pub(super) fn add(page: &mut Page, api: &Shown) {
    // The document as JSON is easier to walk than the builder's types.
    let document = serde_json::to_value(&api.document).unwrap_or_default();
    let schemas = Schemas::of(&document);
    page.part("reference", "Reference");
    let mut calls = calls(&document, &api.routes);
    let is_grouped = calls.len() > UNGROUPED_MAX;
    if is_grouped {
        group_by_tag(&mut calls);
    }
    let start = common_start(&calls);
    let mut group = "";
    for call in &calls {
        let tag = call.tag();
        if is_grouped && tag != group {
            group = tag;
            let title = escape(tag);
            page.push(&format!("<h3 class=\"group\" id=\"calls-{title}\">{title}</h3>\n"));
            page.note(&format!("calls-{tag}"), tag);
        }
        if !is_grouped {
            let Route { method, path, .. } = call.routes[0];
            let end = path.strip_prefix(start).unwrap_or(path);
            page.note(&call.id, &format!("{method} {end}"));
        }
        page.push(&call_html(call, schemas));
    }
    error_bodies(page, &document, schemas);
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

fn call_html(call: &Call<'_>, schemas: Schemas<'_>) -> String {
    let Call { routes, operation, id } = call;
    let mut html = format!("<section class=\"call\" id=\"{}\"><h4>", escape(id));
    let method = routes[0].method.as_str();
    for route in routes {
        let _ = writeln!(
            html,
            "<span class=\"path\"><b class=\"{}\">{method}</b> <code>{}</code></span>",
            method.to_ascii_lowercase(),
            escape(route.path)
        );
    }
    let _ = writeln!(html, "</h4>\n<p>{}.</p>", inline(text(&operation["summary"])));
    if let Some(more) = operation["description"].as_str() {
        let _ = writeln!(html, "<p>{}</p>", inline(more));
    }
    let _ = writeln!(html, "<p class=\"who\">{}</p>", who(routes[0].access));
    parameters(&mut html, operation);
    body(&mut html, operation, schemas);
    answers(&mut html, operation, schemas);
    html.push_str("</section>\n");
    html
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
fn parameters(html: &mut String, operation: &Value) {
    for (place, title) in [("query", "Query"), ("header", "Headers")] {
        let is_here = |parameter: &&Value| parameter["in"] == place;
        let mut rows = String::new();
        for parameter in list(&operation["parameters"]).filter(is_here) {
            let name = escape(text(&parameter["name"]));
            let meaning = inline(text(&parameter["description"]));
            let _ = writeln!(rows, "<tr><td><code>{name}</code></td><td>{meaning}</td></tr>");
        }
        if !rows.is_empty() {
            let _ = writeln!(html, "<h5>{title}</h5>\n<table class=\"fields\">\n{rows}</table>");
        }
    }
}

fn body(html: &mut String, operation: &Value, schemas: Schemas<'_>) {
    let content = &operation["requestBody"]["content"];
    let schema = &content["application/json"]["schema"];
    if schema.is_null() {
        return;
    }
    let forms =
        if content.as_object().is_some_and(|all| all.len() > 1) { " or a form" } else { "" };
    let optional =
        if operation["requestBody"]["required"] == true { "" } else { ", may be left out" };
    let _ = writeln!(html, "<h5>Body: JSON{forms}{optional}</h5>");
    html.push_str(&schemas.fields(schema));
}

fn answers(html: &mut String, operation: &Value, schemas: Schemas<'_>) {
    let mut errors = String::new();
    let mut statuses = Vec::new();
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let content = response["content"].as_object().and_then(|content| content.iter().next());
        let schema = content.map_or(&Value::Null, |(_, content)| &content["schema"]);
        if is_error(status) {
            statuses.push(status.as_str());
            let _ = writeln!(
                errors,
                "<tr><td>{status}</td><td>{meaning}</td><td>{shape}</td></tr>",
                meaning = inline(text(&response["description"])),
                shape = body_link(schema),
            );
            continue;
        }
        let kind = content.map_or("no body", |(content_type, _)| content_type);
        let _ = writeln!(
            html,
            "<details><summary>Answer <b>{status}</b> <span>{}</span></summary>\n{}{}</details>",
            escape(kind),
            headers(response),
            schemas.fields(schema),
        );
    }
    if !errors.is_empty() {
        let _ = writeln!(
            html,
            "<details><summary>Errors <span>{}</span></summary>\n<table>\n{errors}</table></details>",
            statuses.join(" ")
        );
    }
}

/// The name of an error's body leads to where it is described.
fn body_link(schema: &Value) -> String {
    let name = name_of(schema).map(escape);
    name.map_or(String::new(), |name| format!("<a href=\"#body-{name}\">{name}</a>"))
}

fn headers(response: &Value) -> String {
    let mut rows = String::new();
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let meaning = inline(text(&header["description"]));
        let _ = writeln!(
            rows,
            "<tr><td><code>{}</code></td><td>header</td><td>{meaning}</td></tr>",
            escape(name)
        );
    }
    if rows.is_empty() { rows } else { format!("<table class=\"fields\">\n{rows}</table>\n") }
}

fn error_bodies(page: &mut Page, document: &Value, schemas: Schemas<'_>) {
    let operations = document["paths"].as_object().into_iter().flatten();
    let operations = operations.flat_map(|(_, item)| item.as_object().into_iter().flatten());
    let answers = operations.flat_map(|(_, operation)| operation["responses"].as_object());
    let errors = answers.flatten().filter(|(status, _)| is_error(status));
    let contents = errors.filter_map(|(_, error)| error["content"].as_object()).flatten();
    let names: BTreeSet<&str> =
        contents.filter_map(|(_, content)| name_of(&content["schema"])).collect();
    if names.is_empty() {
        return;
    }
    page.part("error-bodies", "Bodies of errors");
    for name in names {
        let schema = schemas.named(name);
        let (name, about) = (escape(name), inline(text(&schema["description"])));
        page.push(&format!("<section id=\"body-{name}\"><h4>{name}</h4>\n<p>{about}</p>\n"));
        page.push(&schemas.fields(schema));
        page.push("</section>\n");
    }
}

fn is_error(status: &str) -> bool {
    status.starts_with(['4', '5'])
}
