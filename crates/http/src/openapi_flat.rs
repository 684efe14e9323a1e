//! The documents as OpenAPI 3.0, flattened: without references, for generators that read 3.0 only and
//! take the fields of a body from its first level.

use serde_json::{Map, Value, json};

/// How deep schemas are resolved: ours are trees, and none is as deep.
const DEPTH_MAX: usize = 24;

/// An OpenAPI 3.1 document as 3.0.
pub fn flat(document: &Value) -> Value {
    let mut flat = resolved(document, document, 0);
    flat["openapi"] = json!("3.0.3");
    if let Some(components) = flat["components"].as_object_mut() {
        components.retain(|name, _| name == "securitySchemes");
    }
    // 3.0 knows a licence by its name only.
    if let Some(license) = flat["info"]["license"].as_object_mut() {
        license.remove("identifier");
    }
    flat
}

/// The value with its references replaced by what they name, in the words of 3.0.
fn resolved(value: &Value, document: &Value, depth: usize) -> Value {
    match value {
        Value::Object(fields) => {
            if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
                let target = target.strip_prefix('#').and_then(|at| document.pointer(at));
                let named = target.filter(|_| depth < DEPTH_MAX);
                let mut named = named.map_or(json!({}), |it| resolved(it, document, depth + 1));
                // What is said of the field goes before what is said of its type.
                if let (Some(named), Some(said)) =
                    (named.as_object_mut(), fields.get("description"))
                {
                    named.insert("description".to_owned(), said.clone());
                }
                return named;
            }
            let fields =
                fields.iter().map(|(name, field)| (name.clone(), resolved(field, document, depth)));
            Value::Object(old_schema(fields.collect()))
        }
        Value::Array(items) => items.iter().map(|item| resolved(item, document, depth)).collect(),
        other => other.clone(),
    }
}

/// 3.1 says `null` as a type, and shows examples in a list.
fn old_schema(mut schema: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Array(types)) = schema.get("type") {
        let mut real = types.iter().filter(|kind| *kind != "null").cloned();
        let is_nullable = types.iter().any(|kind| kind == "null");
        match (real.next(), real.next()) {
            (Some(one), None) => schema.insert("type".to_owned(), one),
            _ => schema.remove("type"),
        };
        if is_nullable {
            schema.insert("nullable".to_owned(), json!(true));
        }
    }
    let is_null = |one: &Value| one.get("type").is_some_and(|kind| kind == "null");
    for of in ["oneOf", "anyOf"] {
        let Some(Value::Array(choices)) = schema.get(of) else { continue };
        if !choices.iter().any(is_null) {
            continue;
        }
        let rest: Vec<Value> = choices.iter().filter(|one| !is_null(one)).cloned().collect();
        schema.remove(of);
        schema.insert("nullable".to_owned(), json!(true));
        if let [Value::Object(only)] = rest.as_slice() {
            for (name, value) in only {
                schema.entry(name.clone()).or_insert_with(|| value.clone());
            }
        } else {
            schema.insert(of.to_owned(), rest.into());
        }
    }
    if let Some(only) = schema.remove("const") {
        schema.insert("enum".to_owned(), json!([only]));
    }
    if let Some(Value::Array(examples)) = schema.get("examples") {
        let first = examples.first().cloned();
        schema.remove("examples");
        schema.extend(first.map(|first| ("example".to_owned(), first)));
    }
    schema.remove("propertyNames");
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_31_in_the_words_of_30() {
        let document = json!({
            "openapi": "3.1.0",
            "info": {"title": "x", "license": {"name": "y", "identifier": "y"}},
            "paths": {"/a": {"post": {"requestBody": {"content": {"application/json": {
                "schema": {"$ref": "#/components/schemas/A"}}}}}}},
            "components": {
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
                "schemas": {
                    "A": {"type": "object", "properties": {
                        "text": {"type": ["string", "null"], "examples": ["hi", "ho"]},
                        "place": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/B"}],
                                  "description": "where"},
                        "kind": {"const": "a"},
                        "list": {"type": "array", "items": {"$ref": "#/components/schemas/B"}},
                    }},
                    "B": {"type": "object", "description": "a place"},
                },
            },
        });
        let flat = flat(&document);
        let body = "/paths/~1a/post/requestBody/content/application~1json/schema";
        assert_eq!(
            flat.pointer(body).unwrap(),
            &json!({"type": "object", "properties": {
                "text": {"type": "string", "nullable": true, "example": "hi"},
                "place": {"type": "object", "description": "where", "nullable": true},
                "kind": {"enum": ["a"]},
                "list": {"type": "array", "items": {"type": "object", "description": "a place"}},
            }})
        );
        assert_eq!(flat["openapi"], "3.0.3");
        assert_eq!(flat["info"]["license"], json!({"name": "y"}));
        assert_eq!(flat["components"].as_object().unwrap().len(), 1, "no schemas are left");
    }
}
