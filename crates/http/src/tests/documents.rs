//! The OpenAPI documents and the pages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::app::App;
use super::exchange::Ask;
use crate::dialects;
use crate::openapi::{openapi, openapi_dialect};
use crate::router::own_routes;
use crate::routes::Route;

fn assert_complete(document: &Value, routes: &[Route]) {
    assert_eq!(document["openapi"], "3.1.0");
    for route in routes {
        let method = route.method.as_str().to_lowercase();
        let operation = &document["paths"][route.path][&method];
        let label = format!("{method} {}", route.path);
        assert!(operation.is_object(), "{label} is not in the document");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{label} says nothing");
        assert!(!operation["responses"].as_object().unwrap().is_empty(), "{label} has no answer");
    }
    let count: usize = document["paths"].as_object().unwrap().values().map(methods).sum();
    assert_eq!(count, routes.len(), "the document has more than the table");
}

fn methods(item: &Value) -> usize {
    ["get", "post", "put", "patch", "delete"].iter().filter(|m| !item[**m].is_null()).count()
}

fn assert_references_lead_somewhere(document: &Value) {
    let text = document.to_string();
    assert!(text.contains("\"$ref\":\""), "the document has references");
    for (at, _) in text.match_indices("\"$ref\":\"") {
        let reference = text[at + 8..].split('"').next().unwrap();
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn a_schemas_name_means_one_thing() {
    let dialects = dialects::ALL.iter().map(|dialect| (dialect.routes)());
    for routes in dialects.chain([own_routes()]) {
        let mut known = BTreeMap::new();
        for docs in routes.into_iter().map(|route| route.docs) {
            let answers = docs.answers.into_iter().filter_map(|answer| answer.schema);
            let named = docs.body.into_iter().chain(answers);
            for (name, schema) in named.flat_map(|schema| schema.all()) {
                let schema = serde_json::to_value(schema).unwrap();
                let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
                assert_eq!(*first, schema, "two schemas are called {name}");
            }
        }
        assert!(!known.is_empty(), "an API has schemas");
    }
}

#[test]
fn our_document_is_complete() {
    let document = serde_json::to_value(openapi()).unwrap();
    assert_complete(&document, &own_routes());
    assert_references_lead_somewhere(&document);
}

#[test]
fn the_dialects_documents_are_complete() {
    for dialect in dialects::ALL {
        let document = serde_json::to_value(openapi_dialect(dialect.name).unwrap()).unwrap();
        assert_complete(&document, &(dialect.routes)());
        assert_references_lead_somewhere(&document);
    }
    assert!(openapi_dialect("nothing").is_none());
}

#[tokio::test]
async fn documents_are_served() {
    let app = App::new().await;
    let response = Ask::get("/openapi.json").of(&app.router).await.expect(200);
    assert_eq!(response.json()["servers"][0]["url"], "http://gerbang.test");
    let response = Ask::get("/openapi.json?dialect=wagy").of(&app.router).await.expect(200);
    assert!(response.json()["paths"]["/{device_id}/send"].is_object());
    Ask::get("/openapi.json?dialect=none").of(&app.router).await.expect(404);

    let response = Ask::get("/").of(&app.router).await.expect(303);
    assert_eq!(response.header("location"), "/app");
    let response = Ask::get("/assets/docs.css").of(&app.router).await.expect(200);
    assert_eq!(response.header("content-type"), "text/css; charset=utf-8");
}

#[tokio::test]
async fn flat_documents_have_no_references() {
    let app = App::new().await;
    for (path, call, field) in [
        ("/openapi-3.0.json", "/paths/~1v1~1messages/post", "to"),
        ("/openapi-3.0.json?dialect=wagy", "/paths/~1{device_id}~1send/post", "phone"),
    ] {
        let document = Ask::get(path).of(&app.router).await.expect(200).json();
        assert_eq!(document["openapi"], "3.0.3");
        let text = document.to_string();
        for of_31 in ["\"$ref\"", "\"null\"", "\"const\":", "\"examples\":"] {
            assert!(!text.contains(of_31), "{path}: {of_31}");
        }
        let body = format!("{call}/requestBody/content/application~1json/schema/properties");
        assert!(document.pointer(&body).unwrap()[field].is_object(), "{path}: {field}");
    }
    Ask::get("/openapi-3.0.json?dialect=none").of(&app.router).await.expect(404);
}

#[tokio::test]
async fn what_there_is_to_read() {
    let app = App::new().await;
    let response = Ask::get("/llms.txt").of(&app.router).await.expect(200);
    let text = response.text();
    assert!(text.starts_with("# Gerbang\n\n> "));
    let links = text.split("](http://gerbang.test").skip(1);
    let paths: Vec<&str> = links.map(|rest| rest.split(')').next().unwrap()).collect();
    assert!(paths.len() > 3 * dialects::ALL.len());
    for path in paths {
        Ask::get(path).of(&app.router).await.expect(200);
    }
}

#[tokio::test]
async fn every_problem_is_described_where_its_type_points() {
    let app = App::new().await;
    let problem = Ask::get("/v1/me").of(&app.router).await.expect(401).json();
    let (page, anchor) = problem["type"].as_str().unwrap().split_once('#').unwrap();
    let page = Ask::get(page).of(&app.router).await.expect(200).text();
    assert!(page.contains(&format!("id=\"{anchor}\"")));
}

/// A dialect's guide names its calls as `GET /path`, all of them and no others. It may say that they are
/// below other paths, such as `/base`. A new dialect has none yet.
#[test]
fn every_dialects_guide_names_its_calls() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/dialects");
    let read = |name: &str| std::fs::read_to_string(pages.join(format!("{name}.md"))).ok();
    let with_page = dialects::ALL.iter().filter_map(|d| Some((d, read(d.name)?)));
    let mut count = 0;
    for (dialect, page) in with_page {
        let quoted: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
        let is_base = |text: &&str| text.starts_with('/') && !text.contains(' ');
        let mut bases = vec![""];
        bases.extend(quoted.iter().copied().filter(is_base));
        let mut unnamed: BTreeSet<String> = (dialect.routes)()
            .iter()
            .map(|route| format!("{} {}", route.method, route.path))
            .collect();
        let known = unnamed.clone();
        for (method, path) in quoted.iter().filter_map(|text| call(text)) {
            let calls: Vec<_> = bases.iter().map(|base| format!("{method} {base}{path}")).collect();
            let is_known = calls.iter().any(|call| known.contains(call));
            assert!(is_known || path.starts_with("/v1/"), "{}: no {method} {path}", dialect.name);
            unnamed.retain(|call| !calls.contains(call));
        }
        assert_eq!(unnamed, BTreeSet::new(), "{}.md does not name all calls", dialect.name);
        count += 1;
    }
    assert_eq!(count, std::fs::read_dir(pages).unwrap().count(), "a guide is of no dialect");
    assert!(count > 0);
}

/// Method and path of a text like `GET /path?query=`.
fn call(text: &str) -> Option<(&str, &str)> {
    let (method, path) =
        text.split_once(" /").map(|(method, _)| (method, &text[method.len() + 1..]))?;
    let is_method = method.bytes().all(|b| b.is_ascii_uppercase());
    is_method.then(|| (method, path.split(['?', ' ']).next().unwrap_or_default()))
}
