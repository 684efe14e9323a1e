//! The schemas of an OpenAPI document as tables of fields, those inside others with their full names,
//! such as `data[].id`. A large one is shown once on a page; where it comes again, a row leads to it.

use std::cell::RefCell;
use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::Value;

use crate::html::inline;

const REFERENCE: &str = "#/components/schemas/";
/// How far down fields are shown: no schema is deeper, and one that holds itself would not end.
const DEPTH_MAX: usize = 6;

/// Fewest fields of a schema that is large.
const LARGE_FIELDS_MIN: usize = 12;

/// The large schemas that a page has shown.
pub(super) type Shown = RefCell<BTreeSet<String>>;

/// The schemas of a document, on one page.
#[derive(Clone, Copy)]
pub(super) struct Schemas<'a> {
    all: &'a Value,
    shown: &'a Shown,
}

impl<'a> Schemas<'a> {
    /// Those of this document.
    pub(super) fn of(document: &'a Value, shown: &'a Shown) -> Self {
        Self { all: &document["components"]["schemas"], shown }
    }

    /// The one with this name.
    pub(super) fn named(self, name: &str) -> &'a Value {
        &self.all[name]
    }

    /// All fields of a schema.
    pub(super) fn fields(self, schema: &'a Value) -> Markup {
        let mut rows = Vec::new();
        self.rows(&mut rows, "", schema, 0);
        html! { @if !rows.is_empty() { table.fields { @for row in &rows { (row) } } } }
    }

    fn rows(self, rows: &mut Vec<Markup>, prefix: &str, schema: &'a Value, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        if let Some(name) = name_of(schema).filter(|name| self.is_large(name)) {
            let is_new = self.shown.borrow_mut().insert(name.to_owned());
            rows.push(heading(name, is_new));
            if !is_new {
                return;
            }
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
                rows.push(self.row(&name, property, is_required));
                let inner = self.inner(property);
                let dot = if inner["items"].is_null() { "." } else { "" };
                self.rows(rows, &format!("{name}{dot}"), inner, depth + 1);
            }
        }
        for choice in list(&schema["oneOf"]) {
            let about = choice["description"].as_str();
            let about = about.or(self.resolved(choice)["description"].as_str());
            let about = inline(about.unwrap_or("Another shape."));
            rows.push(html! { tr { td colspan="3" { i { "Or: " (about) } } } });
            self.rows(rows, prefix, choice, depth + 1);
        }
    }

    fn is_large(self, name: &str) -> bool {
        let fields = self.named(name)["properties"].as_object();
        fields.is_some_and(|fields| fields.len() >= LARGE_FIELDS_MIN)
    }

    fn row(self, name: &str, property: &Value, is_required: bool) -> Markup {
        let mut shape = self.shape(property);
        if !is_required {
            // What may be left out may be null; that need not be said.
            shape.retain(|one| one.0 != "null");
        }
        let choices = list(&property["oneOf"]).filter_map(|choice| choice["description"].as_str());
        let about = property["description"].as_str().into_iter().chain(choices).next();
        html! {
            tr {
                td { code { (name) } @if !is_required { " " small { "optional" } } }
                td { (any_of(&shape)) (bounds(self.resolved(property))) }
                td { (inline(about.unwrap_or_default())) }
            }
        }
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

    /// What a value may look like, in few words each.
    fn shape(self, schema: &Value) -> Vec<Markup> {
        let schema = self.resolved(schema);
        let choices = if schema["oneOf"].is_null() { &schema["enum"] } else { &schema["oneOf"] };
        if choices.is_null() {
            let items = &schema["items"];
            return types(schema).iter().map(|name| self.type_html(name, items)).collect();
        }
        let mut shapes: Vec<Markup> = Vec::new();
        for choice in list(choices) {
            match choice {
                Value::Object(_) => {
                    let shape = self.shape(choice);
                    shapes.push(html! { (any_of(&shape)) (bounds(self.resolved(choice))) });
                }
                value => shapes.push(html! { code { (text(value)) } }),
            }
        }
        shapes.dedup_by(|one, other| one.0 == other.0);
        shapes
    }

    fn type_html(self, name: &str, items: &Value) -> Markup {
        if name == "array" && !items.is_null() {
            return html! { "list of " (any_of(&self.shape(items))) };
        }
        html! { (name) }
    }
}

/// The row above the fields of a large schema, or in their place.
fn heading(name: &str, is_new: bool) -> Markup {
    let id = format!("fields-{name}");
    html! {
        @if is_new { tr id=(id) { td colspan="3" { i { "A " (name) ":" } } } }
        @else { tr { td colspan="3" { i { "The fields of a " a href={ "#" (id) } { (name) } "." } } } }
    }
}

fn any_of(shapes: &[Markup]) -> Markup {
    html! {
        @for (index, shape) in shapes.iter().enumerate() {
            @if index > 0 { " or " }
            (shape)
        }
    }
}

/// What a schema says about its values beside their type.
fn bounds(schema: &Value) -> Markup {
    let known = [("default", "default"), ("minLength", "from"), ("maxLength", "to")];
    html! {
        @for (bound, words) in known {
            @if !schema[bound].is_null() { ", " (words) " " (schema[bound].to_string()) }
        }
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

/// The items of a list; none for other values.
pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A text; empty for other values.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
