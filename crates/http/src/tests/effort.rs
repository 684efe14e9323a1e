//! Twice as much in a request is twice as much work, and no more: in every list, map, field count and
//! text of every route of every API.
//!
//! What is compared is the processor time of this thread, the least of a few tries, with a wide margin:
//! work that grows with the square takes four times as long, and no other load on the machine makes it
//! less.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};
use tower::ServiceExt as _;

use super::access::{furnished, sample};
use super::app::{App, OPERATOR};
use super::exchange::Ask;
use crate::dialects::contract::dialect_of;
use crate::router::all_routes;
use crate::routes::{Access, Route};

/// Entries of the smaller request; the larger has twice as many. Both stay below the limit of bodies.
const ENTRIES: usize = 10_000;
/// Most that twice the entries may take.
const GROWTH_MAX: u32 = 3;
/// What takes less is not compared.
const LEAST: Duration = Duration::from_millis(40);
const TRIES: usize = 4;

/// Processor time of this thread so far.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

/// Something that can be asked with any number of entries.
struct Question<'a> {
    what: String,
    ask: Box<dyn Fn(usize) -> Ask + 'a>,
}

async fn work(app: &App, ask: Ask) -> Duration {
    let mut request = Request::builder().method(ask.method).uri(ask.path);
    for (name, value) in ask.headers {
        request = request.header(name, value);
    }
    let request = request.body(ask.body.map_or(Body::empty(), Body::from)).unwrap();
    let before = spent();
    let response = app.router.clone().oneshot(request).await.unwrap();
    let after = spent();
    let status = response.status().as_u16();
    assert!(status < 500, "{status}");
    after - before
}

async fn assert_linear(app: &App, question: &Question<'_>) {
    let (mut less, mut more) = (Duration::MAX, Duration::MAX);
    for _ in 0..TRIES {
        less = less.min(work(app, (question.ask)(ENTRIES)).await);
        more = more.min(work(app, (question.ask)(2 * ENTRIES)).await);
        if more <= LEAST || more <= less * GROWTH_MAX {
            return;
        }
    }
    panic!("{}: {less:?}, and with twice as many entries {more:?}", question.what);
}

/// The ways in which a field may hold many that holds this.
fn many(field: &Value, count: usize) -> Vec<(&'static str, Value)> {
    let numbers = || (0..count).map(|n| (62_800_000 + n).to_string());
    let of_names = (0..count).map(|n| (n.to_string(), json!(1))).collect::<Map<_, _>>();
    let joined = |by: &str| json!(numbers().collect::<Vec<_>>().join(by));
    match field {
        Value::String(_) => vec![("parted by |", joined("|")), ("parted by ,", joined(","))],
        _ => vec![
            ("a list", numbers().collect()),
            ("a map", Value::Object(of_names)),
            ("a list of objects", json!(vec![json!({}); count])),
        ],
    }
}

fn in_json(ask: &Ask, route: &Route) -> Vec<Question<'static>> {
    let Some(Ok(Value::Object(body))) = ask.body.as_deref().map(serde_json::from_slice) else {
        return Vec::new();
    };
    let mut questions = Vec::new();
    for (field, value) in &body {
        for (way, (name, _)) in many(value, 0).into_iter().enumerate() {
            let (ask, body, field) = (ask.clone(), body.clone(), field.clone());
            let what = format!("{} {}: {field}, {name}", route.method, route.path);
            let ask = Box::new(move |count| {
                let mut body = body.clone();
                body[&field] = many(&body[&field], count).swap_remove(way).1;
                ask.clone().json(Value::Object(body))
            });
            questions.push(Question { what, ask });
        }
    }
    let what = format!("{} {}: unknown fields", route.method, route.path);
    let ask = ask.clone();
    let unknown = Box::new(move |count| {
        let more = (0..count).map(|n| (format!("x{n}"), json!(1)));
        ask.clone().json(Value::Object(body.clone().into_iter().chain(more).collect()))
    });
    questions.push(Question { what, ask: unknown });
    questions
}

/// Pairs as a form or a query holds them: of each field an item of a list, then unknown ones.
fn pairs(fields: &Map<String, Value>, count: usize) -> Vec<String> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    let given: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}&", encode(&text(value)))).collect();
    let given = given.concat();
    let with =
        |pair: &dyn Fn(usize) -> String| given.clone() + &(0..count).map(pair).collect::<String>();
    let mut all: Vec<String> = fields
        .keys()
        .flat_map(|name| {
            [with(&|n| format!("{name}%5B%5D={n}&")), with(&|n| format!("{name}%5B{n}%5D=1&"))]
        })
        .collect();
    all.push(with(&|n| format!("x{n}=1&")));
    all.push(with(&|n| format!("x{n}%5B%5D=1&")));
    all
}

fn in_forms(ask: &Ask, route: &Route) -> Vec<Question<'static>> {
    let given = match (&ask.body, route.docs.query.is_empty()) {
        (Some(body), _) if route.docs.is_body_a_form_too => serde_json::from_slice(body).unwrap(),
        (None, false) => {
            let query = ask.path.split_once('?').map_or("", |(_, query)| query);
            let pairs = form_urlencoded::parse(query.as_bytes());
            pairs.map(|(name, value)| (name.into_owned(), json!(value))).collect()
        }
        _ => return Vec::new(),
    };
    let given: Map<String, Value> = given;
    let mut questions = Vec::new();
    for way in 0..pairs(&given, 0).len() {
        let (ask, given) = (ask.clone(), given.clone());
        let what = format!("{} {}: form {way}", route.method, route.path);
        let ask = Box::new(move |count| {
            let form = pairs(&given, count).swap_remove(way);
            if ask.body.is_some() {
                let ask = ask.clone().header("content-type", "application/x-www-form-urlencoded");
                return ask.raw(form);
            }
            // A path holds at most 64 KiB in this test, and far less in front of the real server.
            let path = ask.path.split('?').next().unwrap();
            Ask { path: format!("{path}?{}", &form[..form.len().min(60_000)]), ..ask.clone() }
        });
        questions.push(Question { what, ask });
    }
    questions
}

fn in_parts(ask: &Ask, route: &Route) -> Vec<Question<'static>> {
    if !route.docs.is_body_a_form_too {
        return Vec::new();
    }
    let what = format!("{} {}: parts", route.method, route.path);
    let ask = ask.clone();
    let parts = Box::new(move |count| {
        let part =
            |n: usize| format!("--x\r\ncontent-disposition: form-data; name=a{n}\r\n\r\n1\r\n");
        // Each part takes more bytes than a field of a form.
        let body = (0..count / 5).map(part).collect::<String>() + "--x--\r\n";
        ask.clone().header("content-type", "multipart/form-data; boundary=x").raw(body)
    });
    vec![Question { what, ask: parts }]
}

async fn assert_all_linear(
    questions: fn(&Ask, &Route) -> Vec<Question<'static>>,
    is_wanted: fn(&Route) -> bool,
) {
    let mut asked = 0;
    for route in all_routes(&App::new().await.state) {
        // The doubled paths of one dialect have the same handlers.
        if route.path.contains("/api/v2/api/v2/") || !is_wanted(&route) {
            continue;
        }
        let app = furnished().await;
        let ask = sample(&app, &route).await;
        for question in questions(&ask, &route) {
            let with_key = |ask: Ask| match (dialect_of(route.path), route.access) {
                (Some(dialect), _) => (dialect.contract().with_key)(ask, &app.shop.key),
                (None, Access::Operator) => ask.key(OPERATOR),
                (None, _) => ask.key(&app.shop.key),
            };
            let ask = |count| with_key((question.ask)(count));
            assert_linear(&app, &Question { what: question.what.clone(), ask: Box::new(ask) })
                .await;
            asked += 1;
        }
    }
    assert!(asked > 0);
}

#[tokio::test]
async fn work_grows_no_faster_than_json_of_our_own_api() {
    assert_all_linear(in_json, |route| dialect_of(route.path).is_none()).await;
}

#[tokio::test]
async fn work_grows_no_faster_than_json_of_the_dialects() {
    assert_all_linear(in_json, |route| dialect_of(route.path).is_some()).await;
}

#[tokio::test]
async fn work_grows_no_faster_than_forms_and_queries() {
    assert_all_linear(in_forms, |_| true).await;
}

#[tokio::test]
async fn work_grows_no_faster_than_the_parts_of_a_form() {
    assert_all_linear(in_parts, |_| true).await;
}
