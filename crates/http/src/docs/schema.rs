//! The schemas of an OpenAPI document as tables of fields, those inside others with their full names,
//! such as `data[].id`.

use std::fmt::Write as _;

use serde_json::Value;

use super::html::{escape, inline};

const REFERENCE: &str = "#/components/schemas/";
/// How far down fields are shown: no schema is deeper, and one that holds itself would not end.
const DEPTH_MAX: usize = 6;

/// The schemas of a document.
#[derive(Clone, Copy)]
pub(super) struct Schemas<'a>(&'a Value);

impl<'a> Schemas<'a> {
    /// Those of this document.
    pub(super) fn of(document: &'a Value) -> Self {
        Self(&document["components"]["schemas"])
    }

    /// The one with this name.
    pub(super) fn named(self, name: &str) -> &'a Value {
        &self.0[name]
    }

    /// All fields of a schema.
    pub(super) fn fields(self, schema: &'a Value) -> String {
        let mut rows = String::new();
        self.rows(&mut rows, "", schema, 0);
        if rows.is_empty() { rows } else { format!("<table class=\"fields\">\n{rows}</table>\n") }
    }

    fn rows(self, rows: &mut String, prefix: &str, schema: &'a Value, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        let schema = self.resolved(schema);
        if !schema["items"].is_null() {
            return self.rows(rows, &format!("{prefix}[]."), &schema["items"], depth + 1);
        }
        list(&schema["allOf"]).for_each(|part| self.rows(rows, prefix, part, depth + 1));
        let required: Vec<&str> = list(&schema["required"]).filter_map(Value::as_str).collect();
        for is_required in [true, false] {
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                if required.contains(&name.as_str()) != is_required {
                    continue;
                }
                let name = format!("{prefix}{name}");
                self.row(rows, &name, property, is_required);
                let inner = self.inner(property);
                let dot = if inner["items"].is_null() { "." } else { "" };
                self.rows(rows, &format!("{name}{dot}"), inner, depth + 1);
            }
        }
        for choice in list(&schema["oneOf"]) {
            let about = choice["description"].as_str();
            let about = about.or(self.resolved(choice)["description"].as_str());
            let about = inline(about.unwrap_or("Another shape."));
            let _ = writeln!(rows, "<tr><td colspan=\"3\"><i>Or: {about}</i></td></tr>");
            self.rows(rows, prefix, choice, depth + 1);
        }
    }

    fn row(self, rows: &mut String, name: &str, property: &Value, is_required: bool) {
        let optional = if is_required { "" } else { " <small>optional</small>" };
        let shape = self.type_html(property);
        // What may be left out may be null; that need not be said.
        let shape = if is_required { &shape } else { shape.trim_end_matches(" or null") };
        let choices = list(&property["oneOf"]).filter_map(|choice| choice["description"].as_str());
        let about = property["description"].as_str().into_iter().chain(choices).next();
        let _ = writeln!(
            rows,
            "<tr><td><code>{name}</code>{optional}</td><td>{shape}</td><td>{about}</td></tr>",
            name = escape(name),
            about = inline(about.unwrap_or_default()),
        );
    }

    /// The schema that a reference leads to.
    fn resolved<'b>(self, schema: &'b Value) -> &'b Value
    where
        'a: 'b,
    {
        name_of(schema).map_or(schema, |name| self.named(name))
    }

    /// What a property holds when it is not null.
    fn inner(self, property: &'a Value) -> &'a Value {
        let mut choices = list(&property["oneOf"]).filter(|choice| choice["type"] != "null");
        match (choices.next(), choices.next()) {
            (Some(only), None) => self.resolved(only),
            _ => self.resolved(property),
        }
    }

    /// What a value looks like, in few words.
    fn type_html(self, schema: &Value) -> String {
        let schema = self.resolved(schema);
        let choices = if schema["oneOf"].is_null() { &schema["enum"] } else { &schema["oneOf"] };
        if !choices.is_null() {
            let choices = list(choices).map(|choice| match choice {
                Value::Object(_) => self.type_html(choice),
                value => format!("<code>{}</code>", escape(text(value))),
            });
            let mut choices: Vec<_> = choices.collect();
            choices.dedup();
            return choices.join(" or ");
        }
        let mut html = types(schema).join(" or ");
        if !schema["items"].is_null() {
            html = html.replace("array", &format!("list of {}", self.type_html(&schema["items"])));
        }
        for (bound, words) in [("default", "default"), ("minLength", "from"), ("maxLength", "to")] {
            if !schema[bound].is_null() {
                let _ = write!(html, ", {words} {}", escape(&schema[bound].to_string()));
            }
        }
        html
    }
}

/// The names of a schema's types; those of texts say what the text is.
fn types(schema: &Value) -> Vec<String> {
    let string = match schema["format"].as_str() {
        Some("date-time") => "time",
        Some(format @ ("date" | "uuid" | "uri" | "email")) => format,
        _ => "string",
    };
    let names = match &schema["type"] {
        Value::String(name) => vec![name.as_str()],
        names => list(names).filter_map(Value::as_str).collect(),
    };
    let names = names.into_iter().map(|name| if name == "string" { string } else { name });
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    if names.is_empty() {
        names.push(if schema["allOf"].is_null() { "any" } else { "object" }.to_owned());
    }
    names
}

/// The name of the schema that this one refers to.
pub(super) fn name_of(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix(REFERENCE)
}

/// A list; nothing for whatever is none.
pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A text; empty for whatever is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
