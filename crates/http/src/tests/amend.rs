//! Editing messages and deleting them for everyone.

use axum::http::Method;
use domain::ids::MessageId;
use domain::message::MessageEvent;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::app::App;
use super::exchange::{Ask, TestResponse};

async fn ask(app: &App, ask: Ask) -> TestResponse {
    ask.key(&app.shop.key).of(&app.router).await
}

async fn send(app: &App, content: Value) -> MessageId {
    let mut body = json!({"device": app.front.id(), "to": "628999111222"});
    body.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    let sent = ask(app, Ask::post("/v1/messages", body)).await.expect(202).json();
    MessageId(sent["id"].as_i64().unwrap())
}

async fn sent(app: &App, content: Value) -> MessageId {
    let id = send(app, content).await;
    app.follow(id, MessageEvent::Submitted).await;
    app.follow(id, MessageEvent::Acknowledged).await;
    id
}

fn edit(id: MessageId, text: &str) -> Ask {
    edit_with(id, json!({"text": text}))
}

fn edit_with(id: MessageId, body: Value) -> Ask {
    Ask::new(Method::PATCH, format!("/v1/messages/{id}")).json(body)
}

fn revoke(id: MessageId) -> Ask {
    Ask::new(Method::POST, format!("/v1/messages/{id}/revoke"))
}

async fn show(app: &App, id: MessageId) -> Value {
    ask(app, Ask::get(format!("/v1/messages/{id}"))).await.expect(200).json()
}

#[tokio::test]
async fn an_edit_is_a_message_of_its_own() {
    let app = App::new().await;
    let id = sent(&app, json!({"text": "halo"})).await;
    let keyed = || edit(id, "halo!").header("Idempotency-Key", "K1");
    let answer = ask(&app, keyed()).await.expect(202);
    let accepted = answer.json();
    assert_eq!((&accepted["kind"], &accepted["text"]), (&json!("edit"), &json!("halo!")));
    let message = show(&app, id).await;
    assert_eq!(accepted["reply_to"], message["whatsapp_id"]);
    assert_eq!((&message["text"], &message["edited_at"]), (&json!("halo"), &Value::Null));
    let edit_id = MessageId(accepted["id"].as_i64().unwrap());
    assert_eq!(answer.header("location"), format!("/v1/messages/{edit_id}"));
    let again = ask(&app, keyed()).await.expect(202);
    assert_eq!(
        (again.json()["id"].as_i64(), again.header("idempotency-replayed")),
        (Some(edit_id.0), "true")
    );
    app.follow(edit_id, MessageEvent::Acknowledged).await;
    let message = show(&app, id).await;
    assert_eq!((&message["text"], &message["edits"][0]["text"]), (&json!("halo!"), &json!("halo")));
    assert!(message["edited_at"].is_string(), "{message}");
}

#[tokio::test]
async fn an_edit_mentions_those_given_or_those_it_still_calls() {
    let app = App::new().await;
    let mentions = json!(["+62 811-222-333", "77@lid"]);
    let id = sent(&app, json!({"text": "Halo @62811222333 @77", "mentions": mentions})).await;
    for (body, expected) in [
        (json!({"text": "Hai @77"}), json!(["77@lid"])),
        (json!({"text": "Hai @77", "mentions": [62_811_222_333_i64]}), json!(["62811222333"])),
        (json!({"text": "@62811222333", "mentions": null}), json!(["62811222333"])),
        (json!({"text": "@62811222333", "mentions": []}), Value::Null),
        (json!({"text": "Hai @62811222333"}), Value::Null),
    ] {
        app.clock.hands.advance(SignedDuration::from_secs(1));
        let accepted = ask(&app, edit_with(id, body.clone())).await.expect(202).json();
        assert_eq!(accepted["mentions"], expected, "{body}");
        app.follow(MessageId(accepted["id"].as_i64().unwrap()), MessageEvent::Acknowledged).await;
        let message = show(&app, id).await;
        assert_eq!((&message["text"], &message["mentions"]), (&body["text"], &expected));
    }
}

#[tokio::test]
async fn an_edit_starts_from_whom_the_edit_before_it_mentions() {
    let app = App::new().await;
    let mentions = json!(["62811222333"]);
    let [id, other] = [
        sent(&app, json!({"text": "@62811222333", "mentions": mentions})).await,
        sent(&app, json!({"text": "x"})).await,
    ];
    let text = "Halo @62811222333, @77 @88";
    let accept =
        async |id: MessageId, body: Value| ask(&app, edit_with(id, body)).await.expect(202).json();
    let mut waiting = Vec::new();
    for (of, given) in [(id, json!(["88@lid"])), (id, json!(["77@lid"])), (other, json!([]))] {
        app.clock.hands.advance(SignedDuration::from_secs(1));
        let accepted = accept(of, json!({"text": text, "mentions": given})).await;
        waiting.push(accepted["id"].as_i64().unwrap());
    }
    for (edited, expected) in [(id, json!(["77@lid"])), (other, Value::Null)] {
        let edit = accept(edited, json!({"text": text})).await;
        assert_eq!(edit["mentions"], expected, "{edit}");
        ask(&app, Ask::delete(format!("/v1/messages/{}", edit["id"]))).await.expect(200);
    }
    // Those that never went out do not count.
    for edit in waiting {
        ask(&app, Ask::delete(format!("/v1/messages/{edit}"))).await.expect(200);
    }
    assert_eq!(accept(id, json!({"text": text})).await["mentions"], mentions);
}

#[tokio::test]
async fn other_edits_are_looked_for_only_where_they_may_count() {
    let app = App::new().await;
    let id = sent(&app, json!({"text": "x"})).await;
    let lists = || app.counting.calls("messages");
    let before = lists();
    ask(&app, edit(id, "Halo")).await.expect(202);
    assert_eq!(lists() - before, 0, "it calls no one");
    ask(&app, edit(id, "Halo @77")).await.expect(202);
    assert_eq!(lists() - before, 1);
    app.clock.hands.advance(SignedDuration::from_mins(15));
    ask(&app, edit(id, "Halo @77")).await.expect(409);
    assert_eq!(lists() - before, 1, "it is refused");
}

#[tokio::test]
async fn a_message_is_deleted_for_everyone_or_cancelled() {
    let app = App::new().await;
    let waiting = send(&app, json!({"text": "x"})).await;
    let cancelled = ask(&app, revoke(waiting)).await.expect(200).json();
    assert_eq!(
        (&cancelled["status"], &cancelled["revoked_at"]),
        (&json!("cancelled"), &Value::Null)
    );
    let id = sent(&app, json!({"location": {"latitude": 1, "longitude": 2}})).await;
    let accepted = ask(&app, revoke(id)).await.expect(202).json();
    assert_eq!(accepted["kind"], "revoke");
    app.follow(MessageId(accepted["id"].as_i64().unwrap()), MessageEvent::Acknowledged).await;
    assert!(show(&app, id).await["revoked_at"].is_string());
    let refused = ask(&app, revoke(id)).await.expect(409).json();
    assert_eq!(refused["code"], "not_revocable");
}

#[tokio::test]
async fn what_cannot_be_changed_says_why() {
    let app = App::new().await;
    let waiting = send(&app, json!({"text": "x"})).await;
    let place = sent(&app, json!({"location": {"latitude": 1, "longitude": 2}})).await;
    let old = sent(&app, json!({"text": "x"})).await;
    let theirs = super::chats::receive(&app, "B1", "628999111222", "Budi").await;
    for (ask_for, status, code, why) in [
        (edit(waiting, "y"), 409, "not_editable", "has not been sent"),
        (edit(place, "y"), 409, "not_editable", "no text"),
        (edit(theirs, "y"), 409, "not_editable", "another person sent it"),
        (revoke(theirs), 409, "not_revocable", "another person sent it"),
        (edit(old, " "), 422, "invalid", "text"),
        (edit_with(old, json!({"text": "y", "mentions": ["all"]})), 422, "invalid", "group only"),
        (edit_with(old, json!({"text": "y", "mentions": ["nobody"]})), 422, "invalid", "LIDs"),
        (edit(MessageId(999), "y"), 404, "not_found", "message"),
        (revoke(MessageId(999)), 404, "not_found", "message"),
    ] {
        let refused = ask(&app, ask_for).await.expect(status).json();
        assert_eq!(refused["code"], code);
        assert!(refused.to_string().contains(why), "{refused}");
    }
    app.clock.hands.advance(SignedDuration::from_mins(15));
    let refused = ask(&app, edit(old, "y")).await.expect(409).json();
    assert_eq!(
        refused["detail"],
        "this message cannot be edited: it was sent more than 15 minutes ago"
    );
    app.clock.hands.advance(SignedDuration::from_hours(60));
    assert_eq!(ask(&app, revoke(old)).await.expect(409).json()["code"], "not_revocable");
    let rival = edit(old, "y").key(&app.rival.key).of(&app.router).await;
    rival.expect(404);
}

#[tokio::test]
async fn other_apis_list_no_changes_as_messages() {
    let app = App::new().await;
    let id = sent(&app, json!({"text": "halo"})).await;
    let mut changes = Vec::new();
    for change in [edit(id, "halo!"), revoke(id)] {
        let accepted = ask(&app, change).await.expect(202).json();
        app.follow(MessageId(accepted["id"].as_i64().unwrap()), MessageEvent::Acknowledged).await;
        changes.push(accepted["ref"].as_str().unwrap().to_owned());
    }
    let read = async |path: String| {
        Ask::get(path)
            .key(&app.front.token)
            .header("APIKey", &app.front.token)
            .of(&app.router)
            .await
    };
    for path in [format!("/{}/messages", app.front.id()), "/api/v1/messages".to_owned()] {
        let listed = read(path).await.expect(200).json();
        let rows = listed["data"].as_array().unwrap();
        assert_eq!((rows.len(), &rows[0]["id"]), (1, &json!(id.0)), "{listed}");
    }
    for change in changes {
        read(format!("/wachat_api/1.0/status/{change}")).await.expect(404);
    }
}
