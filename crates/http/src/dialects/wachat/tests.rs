//! What the contract of all dialects needs to know of this one, and what is its own.

use serde_json::{Value, json};

use crate::dialects::contract::{Contract, SendSample};
use crate::tests::app::App;
use crate::tests::exchange::{Ask, TestResponse};

/// See [`Contract`].
pub(crate) static CONTRACT: Contract = Contract {
    sends: |app| {
        let queue = app.front.id().to_string();
        let text = json!({"queue": queue, "destination": "628123456789", "message": "hello"});
        let media = json!({"queue": queue, "destination": "628123456789", "caption": "hello",
            "media_url": "https://files.example/a.png"});
        let sample = |call: &str, body: Value, required, text| SendSample {
            ask: Ask::post(format!("/wachat_api/1.0/{call}"), body),
            required,
            text,
            status: "queued",
        };
        vec![
            sample("message", text, &["destination", "message"], "message"),
            sample("media", media, &["destination", "media_url"], "caption"),
        ]
    },
    with_key: |ask, key| ask.header("apikey", key),
    body: |app, path| {
        let queue = app.front.id().to_string();
        if path.ends_with("/media") {
            let url = "https://files.example/a.png";
            return json!({"queue": queue, "destination": "628123456789", "media_url": url});
        }
        json!({"queue": queue, "destination": "628123456789", "message": "hello"})
    },
    assert_shape,
    naming_others: |app| {
        let to = |field: &str, value: String| {
            let body = json!({field: value, "destination": "628123456789", "message": "hello"});
            Ask::post("/wachat_api/1.0/message", body)
        };
        let their_phone = app.theirs.device.phone.clone().unwrap().to_string();
        vec![
            to("queue", app.theirs.id().to_string()),
            to("sender", their_phone.clone()),
            Ask::get(format!("/wachat_api/1.0/sender/{}", app.theirs.id())),
            Ask::get(format!("/wachat_api/1.0/sender/{their_phone}")),
        ]
    },
    unknown_paths: &["/wachat_api", "/wachat_api/1.0/nothing", "/wachat_api/2.0/message"],
};

fn assert_shape(response: &TestResponse) {
    let body = response.json();
    let fields: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    if response.status == 422 {
        assert_eq!(fields, ["detail"]);
        let faults = body["detail"].as_array().unwrap();
        assert!(!faults.is_empty(), "422 names a fault");
        for fault in faults {
            let fields: Vec<&str> = fault.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(fields, ["loc", "msg", "type"]);
            assert!(fault["loc"].as_array().is_some_and(|loc| !loc.is_empty()));
        }
        return;
    }
    assert_eq!(fields, ["error", "message"]);
    assert_eq!(body["error"], true);
    assert!(!body["message"].as_str().unwrap().is_empty());
}

async fn post(app: &App, key: &str, call: &str, body: Value) -> TestResponse {
    let ask = Ask::post(format!("/wachat_api/1.0/{call}"), body).header("apikey", key);
    ask.of(&app.router).await
}

async fn get(app: &App, key: &str, call: &str) -> TestResponse {
    Ask::get(format!("/wachat_api/1.0/{call}")).header("apikey", key).of(&app.router).await
}

#[tokio::test]
async fn every_fault_is_named_at_once() {
    let app = App::new().await;
    let body = json!({"timeout": "soon", "is_group": 7, "sender": []});
    let response = post(&app, &app.shop.key, "message", body).await.expect(422);
    let detail = response.json()["detail"].clone();
    let faults: Vec<(&str, &str)> = detail
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| (fault["loc"][1].as_str().unwrap(), fault["type"].as_str().unwrap()))
        .collect();
    let expected = [
        ("sender", "type_error.str"),
        ("timeout", "type_error.integer"),
        ("is_group", "type_error.bool"),
        ("destination", "value_error.missing"),
        ("message", "value_error.missing"),
    ];
    assert_eq!(faults, expected);
    assert_eq!(app.message_count().await, 0);
}

#[tokio::test]
async fn the_device_is_picked_by_queue_by_sender_or_because_it_is_the_only_one() {
    let app = App::new().await;
    let front = app.front.id().to_string();
    let body = |queue: Option<&str>, sender: Option<&str>| json!({"queue": queue, "sender": sender, "destination": "08123456789", "message": "x"});
    let faulty =
        |response: TestResponse| response.expect(422).json()["detail"][0]["loc"][1].clone();
    let shop = &app.shop.key;
    let by_sender = post(&app, shop, "message", body(None, Some("+62 811-1111-111"))).await;
    assert_eq!(by_sender.expect(201).json()["data"]["queue"], front.as_str());
    let both = post(&app, shop, "message", body(Some(&front), Some("628111111111"))).await;
    assert_eq!(both.expect(201).json()["data"]["destination"], "628123456789");
    let disagreeing = body(Some(&front), Some("628222222222"));
    assert_eq!(faulty(post(&app, shop, "message", disagreeing).await), "sender");
    let theirs = app.theirs.id().to_string();
    assert_eq!(faulty(post(&app, shop, "message", body(Some(&theirs), None)).await), "queue");
    assert_eq!(faulty(post(&app, shop, "message", body(Some("no"), None)).await), "queue");
    let their_number = body(None, Some("628333333333"));
    assert_eq!(faulty(post(&app, shop, "message", their_number).await), "sender");
    assert_eq!(faulty(post(&app, shop, "message", body(None, None)).await), "queue", "two are");
    post(&app, &app.rival.key, "message", body(None, None)).await.expect(201);
    let token = post(&app, &app.back.token, "message", body(None, None)).await.expect(201);
    assert_eq!(token.json()["data"]["sender"], "628222222222");
    post(&app, &app.back.token, "message", body(Some(&front), None)).await.expect(403);
    post(&app, &app.back.token, "message", body(None, Some("628111111111"))).await.expect(403);
}

#[tokio::test]
async fn media_has_one_source() {
    let app = App::new().await;
    let send = |extra: Value| {
        let mut body = json!({"queue": app.front.id(), "destination": "628123456789"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        post(&app, &app.shop.key, "media", body)
    };
    let url = json!({"media_url": "https://files.example/a.png", "caption": "c"});
    let response = send(url.clone()).await.expect(201);
    let data = response.json()["data"].clone();
    assert_eq!(data["media_url"], "https://files.example/a.png");
    assert_eq!(data["caption"], "c");
    let inline = json!({"media_base64": "aGVsbG8=", "file_name": "a.txt"});
    let response = send(inline).await.expect(201);
    assert_eq!(response.json()["data"]["media_url"], Value::Null);
    let id = response.header("location").rsplit('/').next().unwrap().parse().unwrap();
    let kept = app.file_of(domain::ids::MessageId(id)).await;
    assert_eq!(kept.as_deref(), Some(b"hello".as_slice()));
    let both = json!({"media_url": "https://x.example/a", "media_base64": "aGVsbG8=",
        "file_name": "a"});
    let refused = [
        (json!({}), "media_url"),
        (both, "media_base64"),
        (json!({"media_base64": "aGVsbG8="}), "file_name"),
        (json!({"media_base64": "%%%", "file_name": "a"}), "media_base64"),
        (json!({"media_url": "no url"}), "media_url"),
        (json!({"media_url": "ftp://x.example/a"}), "media_url"),
        (json!({"media_url": "https://x.example/a", "caption": "\u{0}"}), "caption"),
    ];
    for (extra, named) in refused {
        let response = send(extra.clone()).await.expect(422);
        assert_eq!(response.json()["detail"][0]["loc"], json!(["body", named]), "{extra}");
    }
    send(json!({"media_url": "http://127.0.0.1/a"})).await.expect(400);
    assert!(app.outbound.fetches().is_empty(), "files are fetched at delivery");
    assert_eq!(app.message_count().await, 2);
}

#[tokio::test]
async fn groups_need_is_group() {
    let app = App::new().await;
    let send = |destination: &str, is_group: bool| {
        let body = json!({"queue": app.front.id(), "destination": destination,
            "is_group": is_group, "message": "x"});
        post(&app, &app.shop.key, "message", body)
    };
    let response = send("120363000000000001@g.us", true).await.expect(201);
    assert_eq!(response.json()["data"]["destination"], "120363000000000001@g.us");
    let status = get(
        &app,
        &app.shop.key,
        &format!("status/{}", response.json()["data"]["ref_no"].as_str().unwrap()),
    )
    .await
    .expect(200);
    assert_eq!(status.json()["data"]["is_group"], true);
    send("120363000000000001@g.us", false).await.expect(422);
    send("628123456789", true).await.expect(422);
}

#[tokio::test]
async fn the_same_answers_as_xml() {
    let app = App::new().await;
    let ask = || {
        let body = json!({"queue": app.front.id(), "destination": "628123456789",
            "message": "<b> & 👋"});
        let ask = Ask::post("/wachat_api/1.0/message", body).header("accept", "application/xml");
        ask.header("apikey", &app.shop.key)
    };
    let response = ask().of(&app.router).await.expect(201);
    assert!(response.header("content-type").starts_with("application/xml"));
    assert!(
        response.text().contains("<message>&lt;b&gt; &amp; 👋</message>"),
        "{}",
        response.text()
    );
    let bad = ask().raw("{}").of(&app.router).await.expect(422);
    assert!(bad.text().contains("<loc><item>body</item><item>destination</item></loc>"));
    let unknown = ask().header("apikey", "gba_nobody").of(&app.router).await.expect(401);
    assert!(unknown.text().contains("<error>true</error>"));
    for (path, status, message) in [
        ("/wachat_api/1.0/nothing", 404, "Not found"),
        ("/wachat_api/1.0/status/", 404, "Not found"),
        ("/wachat_api/1.0/message", 405, "Method not allowed"),
    ] {
        let response =
            Ask::get(path).header("accept", "text/xml").of(&app.router).await.expect(status);
        assert!(response.header("content-type").starts_with("application/xml"), "{path}");
        let body = format!("<response><error>true</error><message>{message}</message></response>");
        assert!(response.text().ends_with(&body), "{path}: {}", response.text());
    }
}

/// The fields of a text in JSON, or the elements of one in XML, in their order.
fn names(text: &str) -> Vec<&str> {
    match text.strip_prefix("<?xml") {
        Some(xml) => {
            let tags = xml.split('<').filter_map(|part| part.split('>').next());
            tags.filter(|tag| tag.starts_with(|c: char| c.is_ascii_lowercase())).collect()
        }
        // Each name stands between a quote and this.
        None => text
            .match_indices("\":")
            .filter_map(|(end, _)| text[..end].rsplit('"').next())
            .collect(),
    }
}

#[tokio::test]
async fn fields_come_in_the_documented_order() {
    let app = App::new().await;
    let queue = app.front.id();
    let text = json!({"queue": queue, "destination": "628123456789", "message": "x"});
    let file = json!({"queue": queue, "destination": "628123456789",
        "media_url": "https://files.example/a.png"});
    let sent = post(&app, &app.shop.key, "message", text.clone()).await.expect(201);
    let status = format!("status/{}", sent.json()["data"]["ref_no"].as_str().unwrap());
    let sender = format!("sender/{queue}");
    let cases: [(&str, Option<Value>, &[&str]); 7] = [
        ("auth/api_key", None, &["userid", "idPerson", "idClient"]),
        (&sender, None, &["idClient", "name", "counter", "limit"]),
        ("message", Some(text), &["sender", "queue", "destination", "message", "ref_no"]),
        (
            "media",
            Some(file),
            &["sender", "queue", "destination", "caption", "media_url", "ref_no"],
        ),
        (
            &status,
            None,
            &[
                "destination",
                "sender",
                "is_group",
                "create_date",
                "sent_date",
                "read_date",
                "delivered_date",
                "ref_no",
                "status",
                "message",
                "caption",
                "media_url",
            ],
        ),
        ("status/none", None, &[]),
        ("message", Some(json!({"destination": "628123456789"})), &[]),
    ];
    for (call, body, data) in cases {
        let path = format!("/wachat_api/1.0/{call}");
        let ask = match body {
            Some(body) => Ask::post(path, body),
            None => Ask::get(path),
        };
        let ask = ask.header("apikey", &app.shop.key);
        let response = ask.clone().of(&app.router).await;
        let fields = match response.status.as_u16() {
            422 => vec!["detail", "loc", "msg", "type"],
            404 => vec!["error", "message"],
            _ => [&["error", "message", "data"], data].concat(),
        };
        assert_eq!(names(&response.text()), fields, "{call}");
        let xml = ask.header("accept", "text/xml").of(&app.router).await.text();
        let mut elements = names(&xml).split_off(1);
        elements.retain(|name| *name != "item");
        assert_eq!(elements, fields, "{call}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_value_is_named_beside_what_is_missing() {
    let app = App::new().await;
    let named = |response: TestResponse| {
        let detail = response.expect(422).json()["detail"].clone();
        let faults = detail.as_array().unwrap().iter();
        faults.map(|fault| fault["loc"][1].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let body = json!({"destination": "12", "timeout": 0});
    let response = post(&app, &app.shop.key, "message", body).await;
    assert_eq!(named(response), ["timeout", "destination", "message"]);
    let body = json!({"destination": "12@g.us", "timeout": -1, "caption": [], "media_url": "a"});
    let response = post(&app, &app.shop.key, "media", body).await;
    assert_eq!(named(response), ["timeout", "destination", "caption", "media_url"]);
    let body = json!({"destination": "628123456789", "media_base64": {}});
    assert_eq!(named(post(&app, &app.shop.key, "media", body).await), ["media_base64"]);
    let body = json!({"destination": "12@g.us", "is_group": "maybe", "message": "x"});
    assert_eq!(named(post(&app, &app.shop.key, "message", body).await), ["is_group"]);
    let body = json!({"queue": "none", "sender": "628999", "destination": "628123456789",
        "message": "x"});
    let response = post(&app, &app.shop.key, "message", body).await;
    assert_eq!(named(response), ["queue", "sender"]);
    assert_eq!(app.message_count().await, 0);
}

#[tokio::test]
async fn flags_and_files_as_other_languages_write_them() {
    let app = App::new().await;
    for (flag, expected) in
        [(json!("true"), 201), (json!(1), 201), (json!("False"), 422), (json!(0), 422)]
    {
        let body = json!({"queue": app.front.id(), "destination": "120363000000000001@g.us",
            "is_group": flag, "message": "x"});
        post(&app, &app.shop.key, "message", body).await.expect(expected);
    }
    // Ruby and MIME break the lines of base64, others leave out its padding.
    for base64 in ["aGVs\nbG8=\n", "aGVs\r\nbG8=", "aGVsbG8", "data:text/plain;base64,aGVsbG8="] {
        let body = json!({"queue": app.front.id(), "destination": "628123456789",
            "media_base64": base64, "file_name": "a.txt"});
        let response = post(&app, &app.shop.key, "media", body).await.expect(201);
        let id = response.header("location").rsplit('/').next().unwrap().parse().unwrap();
        let kept = app.file_of(domain::ids::MessageId(id)).await;
        assert_eq!(kept.as_deref(), Some(b"hello".as_slice()), "{base64:?}");
    }
}
