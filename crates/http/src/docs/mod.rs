//! The documentation to read: plain HTML made from the OpenAPI document, without a script.

use std::fmt::Write as _;

use serde_json::Value;
use utoipa::openapi::OpenApi;

use crate::dialects;
use crate::native::problem::KINDS;

/// The style sheet, served at `/assets/docs.css`.
pub const CSS: &str = include_str!("docs.css");

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The page of a document.
pub fn page(document: &OpenApi) -> String {
    // The document as JSON is easier to walk than the builder's types.
    let document = serde_json::to_value(document).unwrap_or_default();
    let title = escape(text(&document["info"]["title"]));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <link rel=\"stylesheet\" href=\"/assets/docs.css\"></head><body><main>\n\
         <h1>{title}</h1>\n<p>{about}</p>\n",
        about = code_spans(text(&document["info"]["description"])),
    );
    page.push_str("<nav><a href=\"/docs\">Own API</a>");
    for name in dialects::names() {
        let _ = write!(page, " <a href=\"/docs?dialect={name}\">{name}</a>");
    }
    page.push_str(" <a href=\"/openapi.json\">openapi.json</a></nav>\n");
    operations(&mut page, &document);
    schemas(&mut page, &document);
    problems(&mut page);
    page.push_str("</main></body></html>\n");
    page
}

fn operations(page: &mut String, document: &Value) {
    let mut tag = "";
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            let operation = &item[method];
            if operation.is_null() {
                continue;
            }
            let own_tag = text(&operation["tags"][0]);
            if own_tag != tag {
                tag = own_tag;
                let _ = writeln!(page, "<h2>{}</h2>", escape(tag));
            }
            self::operation(page, method, path, operation);
        }
    }
}

fn operation(page: &mut String, method: &str, path: &str, operation: &Value) {
    let _ = writeln!(
        page,
        "<section id=\"{id}\"><h3><b class=\"{method}\">{upper}</b> <code>{path}</code></h3>\n\
         <p>{summary}. {description}</p>",
        id = escape(text(&operation["operationId"])),
        upper = method.to_ascii_uppercase(),
        path = escape(path),
        summary = code_spans(text(&operation["summary"])),
        description = code_spans(text(&operation["description"])),
    );
    page.push_str("<table>\n");
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let place = text(&parameter["in"]);
        let meaning = code_spans(text(&parameter["description"]));
        row(page, place, text(&parameter["name"]), &meaning);
    }
    let request = &operation["requestBody"]["content"]["application/json"]["schema"];
    if !request.is_null() {
        row(page, "body", "JSON", &schema_link(request));
    }
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let content = response["content"].as_object().and_then(|content| content.iter().next());
        let shape = content.map_or(String::new(), |(content_type, content)| {
            format!("{} {}", escape(content_type), schema_link(&content["schema"]))
        });
        let meaning = code_spans(text(&response["description"]));
        row(page, "answer", status, &format!("{meaning} <span>{shape}</span>"));
    }
    page.push_str("</table></section>\n");
}

/// `meaning` is HTML already.
fn row(page: &mut String, kind: &str, name: &str, meaning: &str) {
    let (kind, name) = (escape(kind), escape(name));
    let _ =
        writeln!(page, "<tr><td>{kind}</td><td><code>{name}</code></td><td>{meaning}</td></tr>");
}

fn schemas(page: &mut String, document: &Value) {
    page.push_str("<h2>Shapes</h2>\n");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let name = escape(name);
        let about = code_spans(text(&schema["description"]));
        let _ = writeln!(page, "<section id=\"shape-{name}\"><h3>{name}</h3>\n<p>{about}</p>");
        page.push_str("<table>\n");
        let parts = schema["allOf"].as_array().into_iter().flatten();
        for part in parts.chain([schema]) {
            if !part["$ref"].is_null() {
                row(page, "all of", "", &schema_link(part));
            }
            properties(page, part);
        }
        for part in schema["oneOf"].as_array().into_iter().flatten() {
            properties(page, part);
        }
        page.push_str("</table></section>\n");
    }
}

fn properties(page: &mut String, schema: &Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let star = if required.contains(&Value::from(name.as_str())) { "" } else { "?" };
        let about = code_spans(text(&property["description"]));
        let shape = schema_link(property);
        row(page, &format!("{name}{star}"), &type_name(property), &format!("{about} {shape}"));
    }
}

fn type_name(schema: &Value) -> String {
    match &schema["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => names.iter().map(text).collect::<Vec<_>>().join(" or "),
        _ => "object".to_owned(),
    }
}

fn schema_link(schema: &Value) -> String {
    let nested = schema["oneOf"].as_array().into_iter().flatten();
    let mut candidates = [schema, &schema["items"]].into_iter().chain(nested);
    let name = candidates.find_map(|schema| schema["$ref"].as_str()?.rsplit('/').next());
    name.map_or(String::new(), |name| {
        format!("<a href=\"#shape-{name}\">{name}</a>", name = escape(name))
    })
}

fn problems(page: &mut String) {
    page.push_str("<h2>Errors of the own API</h2>\n<table>\n");
    for kind in KINDS {
        let _ = writeln!(
            page,
            "<tr id=\"{code}\"><td>{status}</td><td><code>{code}</code></td><td>{title}</td></tr>",
            code = kind.code,
            status = kind.status,
            title = escape(kind.title),
        );
    }
    page.push_str("</table>\n");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Escapes, and shows what stands between backticks as code.
fn code_spans(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for (index, part) in text.split('`').enumerate() {
        let part = escape(part);
        if index % 2 == 1 {
            let _ = write!(html, "<code>{part}</code>");
        } else {
            html.push_str(&part);
        }
    }
    html
}
