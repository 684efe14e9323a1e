//! The requests of mpwa, wagy and wasyik, of which only addresses and bodies are printed.

use serde_json::{Value, json};

use super::shape::assert_same_shape;
use super::text;
use crate::support::api::Api;
use crate::support::wait::until;
use crate::world::{OURS, World, assert_is_picture};

/// Every JSON object that begins on a line of its own.
fn objects(text: &str) -> Vec<Value> {
    let mut objects = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("\n{\n") {
        rest = &rest[at + 1..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let Some(Ok(value)) = values.next() else { continue };
        rest = &rest[values.byte_offset()..];
        objects.push(value);
    }
    objects
}

/// A client that gives no key in its headers.
fn keyless(world: &World) -> Api {
    Api::new(world.url())
}

/// The file to send in the place of a printed one.
fn media(world: &World, kind: &str) -> String {
    let name = match kind.to_ascii_lowercase().as_str() {
        "image" => "picture.png",
        "audio" => "voice.wav",
        "document" => "invoice.pdf",
        other => panic!("no file of kind {other}"),
    };
    world.file(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn mpwas_requests() {
    let Some(text) = text("mpwa.txt") else { return };
    let world = World::start().await;
    let bodies = objects(&text);
    assert_eq!(bodies.len(), 3, "{bodies:?}");
    for (index, mut body) in bodies.into_iter().enumerate() {
        let to = format!("62827000000{index}");
        body["api_key"] = json!(world.key());
        body["sender"] = json!(OURS);
        body["number"] = json!(to);
        let path = if body["url"].is_null() { "/send-message" } else { "/send-media" };
        if let Some(kind) = body["media_type"].as_str() {
            body["url"] = json!(media(&world, kind));
        }
        let answer = keyless(&world).post(path, body.clone()).await;
        assert_eq!(answer["status"], true, "{answer}");
        let mail = &world.arrived(&to, 1).await[0];
        match body["media_type"].as_str() {
            None => assert_eq!(mail["text"], body["message"]),
            Some("image") => {
                assert_is_picture(mail);
                assert_eq!(mail["caption"], body["caption"]);
            }
            _ => assert_eq!((&mail["kind"], &mail["voice"]), (&json!("audio"), &json!(true))),
        }
    }

    let addresses: Vec<_> =
        text.lines().filter(|line| line.starts_with("/send-m") && line.contains('?')).collect();
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    for (index, address) in addresses.into_iter().enumerate() {
        let to = format!("62827100000{index}");
        let picture = world.file("picture.png").replace(':', "%3A").replace('/', "%2F");
        let address = address
            .replace("1234567890", world.key())
            .replace("sender=62888xxxx", &format!("sender={OURS}"))
            .replace("number=62888xxxx", &format!("number={to}"))
            .replace("https%3A%2F%2Fexample.com%2Fimage.jpg", &picture);
        let answer = keyless(&world).get(&address).await;
        assert_eq!(answer["status"], true, "{answer}");
        let mail = world.mail(&to, "Hello World").await;
        assert_eq!(mail["kind"] == "image", address.contains("media"), "{mail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wagys_requests() {
    let Some(text) = text("wagy.txt") else { return };
    let world = World::start().await;
    let client = keyless(&world).with_key(&world.token);
    let objects = objects(&text);
    let (requests, answers): (Vec<_>, Vec<_>) =
        objects.into_iter().partition(|object| object["phone"].is_string());
    assert_eq!((requests.len(), answers.len()), (3, 1), "{requests:?} {answers:?}");
    for (index, mut body) in requests.into_iter().enumerate() {
        let to = format!("62828000000{index}");
        body["phone"] = json!(to);
        if let Some(kind) = body["media_type"].as_str() {
            body["media_url"] = json!(media(&world, kind));
        }
        let answer = client.post(&format!("/{}/send", world.device), body.clone()).await;
        assert_same_shape(&answer, &answers[0], "wagy's send");
        let mail = &world.arrived(&to, 1).await[0];
        let words = if body["media_url"].is_null() { &mail["text"] } else { &mail["caption"] };
        assert_eq!(words, &body["message"]);
        let kind = body["media_type"].as_str().unwrap_or("text");
        assert_eq!(mail["kind"], kind, "{mail}");
    }
}

/// A call as wasyik prints it.
#[derive(Debug)]
struct Call {
    title: String,
    path: String,
    request: Option<Value>,
    answer: Value,
}

fn wasyiks_calls(text: &str) -> Vec<Call> {
    let mut before = "";
    let mut calls = Vec::new();
    for part in text.split("Endpoint URL\n") {
        let mut lines = before.lines().rev().filter(|line| !line.is_empty());
        // Above the address are what it does and, over that, its title.
        let title = lines.nth(1).unwrap_or_default().to_owned();
        let path = part.lines().next().unwrap_or_default().to_owned();
        let is_call = !before.is_empty() && path.starts_with("/api") && !path.contains('(');
        before = part;
        if !is_call {
            continue;
        }
        let mut objects = objects(part);
        let answer = objects.pop().unwrap();
        calls.push(Call { title, path, request: objects.pop(), answer });
    }
    calls
}

/// wasyik prints no verbs; those of its service are these.
fn verb(call: &Call) -> &'static str {
    match (&call.request, call.path.contains("{id}")) {
        (Some(_), _) => "POST",
        (None, true) => "DELETE",
        (None, false) => "GET",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wasyiks_requests() {
    let Some(text) = text("wasyik.txt") else { return };
    let mut calls = wasyiks_calls(&text);
    assert_eq!(calls.len(), 17, "{calls:#?}");
    // The logout comes last, since everything else needs the device.
    calls.sort_by_key(|call| call.path.ends_with("/accounts/disconnect"));

    let world = World::start().await;
    let client = keyless(&world).with_key(world.key());
    let members = json!({ "subject": "IT Team", "participants": [OURS, "628290000099"] });
    let group = world.simulator.control().post("/groups", members).await["id"].clone();
    let unlinked = world.account.make_device("to be linked").await;
    let mut scheduled = json!(null);
    for (index, call) in calls.iter().enumerate() {
        let to = format!("6282900000{index:02}");
        let device = if call.path.ends_with("scan-qrcode") { &unlinked } else { &world.device };
        let path = call.path.replace("{uuid}", device).replace("{id}", &scheduled.to_string());
        let request = call.request.clone().map(|body| fill(&world, body, device, &to, &group));
        let what = format!("{} {path} ({})", verb(call), call.title);
        let reply = client.call(verb(call), &path, request.clone()).await;
        assert_eq!(reply.status, 200, "{what}: {reply:?}\n{request:?}");
        assert_same_shape(&reply.body, &call.answer, &what);
        let data = &reply.body["data"];
        assert_eq!(data["responseCode"], call.answer["data"]["responseCode"], "{what}");
        if let Some(id) = data["scheduleId"].as_i64() {
            scheduled = json!(id);
            let zone =
                |answer: &Value| answer["data"]["scheduled_at"].as_str().unwrap().ends_with('Z');
            assert_eq!(zone(&reply.body), zone(&call.answer), "{what}: {reply:?}");
        } else if let Some(request) = request {
            arrived(&world, &call.path, &request, &to).await;
        }
    }
}

/// What was sent is where it should be, with its words.
async fn arrived(world: &World, path: &str, request: &Value, to: &str) {
    let words = ["text", "caption", "content"].iter().find_map(|name| request[*name].as_str());
    let phone = if request["groupId"].is_null() { to } else { "628290000099" };
    match (words, path.rsplit('/').next().unwrap()) {
        (Some(words), _) => drop(world.mail(phone, words).await),
        (None, "send-document") => {
            let mail = &world.arrived(phone, 1).await[0];
            assert_eq!(mail["filename"], request["fileName"], "{mail}");
        }
        (None, "disconnect") => {
            until("the device is logged out", 30, async || {
                (world.account.status(&world.device).await == "logged_out").then_some(())
            })
            .await;
        }
        (None, _) => {}
    }
}

/// Puts in the device, the receivers and the addresses; and a day to come, since those printed pass.
fn fill(world: &World, mut body: Value, device: &str, to: &str, group: &Value) -> Value {
    let tomorrow = tomorrow();
    let fields = body.as_object_mut().unwrap();
    // The first schedule's body describes its fields instead of giving values.
    if fields.contains_key("url_file") {
        fields.extend(
            json!({"messageType": "TEXT", "content": "later"}).as_object().unwrap().clone(),
        );
        fields.remove("url_file");
        fields.insert(
            "scheduled_at".to_owned(),
            json!(tomorrow.strftime("%Y-%m-%d %H:%M:%S").to_string()),
        );
    } else if fields.contains_key("scheduled_at") {
        fields.insert(
            "scheduled_at".to_owned(),
            json!(tomorrow.strftime("%Y-%m-%dT%H:%M:%S+07:00").to_string()),
        );
    }
    let kind = fields.get("messageType").and_then(Value::as_str).map(str::to_owned);
    let kind = kind
        .unwrap_or(if fields.contains_key("fileName") { "document" } else { "image" }.to_owned());
    for (name, value) in fields.iter_mut() {
        *value = match name.as_str() {
            "accountId" => json!(device),
            "groupId" => group.clone(),
            "to" if value.is_array() => json!([to, format!("{to}9")]),
            "to" => json!(to),
            "url" => json!(media(world, &kind)),
            _ => value.clone(),
        };
    }
    body
}

#[expect(clippy::disallowed_methods, reason = "a day to come depends on today")]
fn tomorrow() -> jiff::Zoned {
    let day = jiff::SignedDuration::from_hours(24);
    (jiff::Timestamp::now() + day).to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(7)))
}
