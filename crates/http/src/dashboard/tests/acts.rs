//! Scheduled messages, sending again, acts on all that match, and usage.

use domain::message::{Message, MessageEvent, MessageState};
use domain::person::Role;
use domain::ports::MessageFilter;
use serde_json::json;

use super::{Browser, app, post};
use crate::tests::app::{ALL, App};
use crate::tests::exchange::Ask;

async fn send(app: &App, to: &str, extra: serde_json::Value) -> i64 {
    let mut body = json!({"device": app.front.id(), "to": to, "text": "<b>halo</b>"});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let made = Ask::post("/v1/messages", body).key(&app.shop.key).of(&app.router).await;
    made.expect(202).json()["id"].as_i64().unwrap()
}

async fn messages(app: &App) -> Vec<Message> {
    app.store.messages(app.shop.id, &MessageFilter::default(), ALL).await.unwrap().items
}

async fn count(app: &App, state: MessageState) -> usize {
    messages(app).await.iter().filter(|message| message.state == state).count()
}

async fn failed(app: &App, to: &str) -> i64 {
    let id = send(app, to, json!({})).await;
    app.follow(domain::ids::MessageId(id), MessageEvent::Failed).await;
    id
}

/// The time that a question carries.
fn until_in(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"until\" value=\"").expect("a time");
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_failed_message_goes_again_once() {
    let app = app().await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let rival = Browser::of(&app, app.rival.id, Role::Owner).await;
    let id = failed(&app, "628999111222").await;
    let path = format!("/app/messages/{id}");
    assert!(member.get(&path).await.expect(200).text().contains("/resend"));
    assert!(!viewer.get(&path).await.expect(200).text().contains("/resend"));
    let resend = format!("{path}/resend");
    viewer.post(&resend, &[("key", "k")]).await.expect(403);
    rival.post(&resend, &[("key", "k")]).await.expect(404);
    post(&resend, &[]).header("cookie", &member.cookie).of(&app.router).await.expect(403);
    assert_eq!(messages(&app).await.len(), 1);
    let first = member.post(&resend, &[("key", "k")]).await.expect(303);
    let again = member.post(&resend, &[("key", "k")]).await.expect(303);
    assert_eq!(first.header("location"), again.header("location"));
    let all = messages(&app).await;
    assert_eq!(all.len(), 2, "sent twice, it acts once");
    assert_eq!((&all[0].chat, &all[0].content), (&all[1].chat, &all[1].content));
    assert_eq!(all[0].state, MessageState::Queued);
    let page = member.get(first.header("location")).await.expect(200).text();
    assert!(!page.contains("/resend"), "it waits");
    member.post(&format!("{}/resend", first.header("location")), &[]).await.expect(409);
}

#[tokio::test]
async fn a_sent_message_gets_another_text_or_is_deleted() {
    let app = app().await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let id = send(&app, "628999111222", json!({})).await;
    let path = format!("/app/messages/{id}");
    assert!(!member.get(&path).await.expect(200).text().contains("/edit"), "it has not left");
    for event in [MessageEvent::Submitted, MessageEvent::Acknowledged] {
        app.follow(domain::ids::MessageId(id), event).await;
    }
    let page = member.get(&path).await.expect(200).text();
    assert!(page.contains("/edit") && page.contains("/revoke") && page.contains("?to="), "{page}");
    let page = viewer.get(&path).await.expect(200).text();
    assert!(!page.contains("/edit") && !page.contains("/revoke"));
    let change = [("text", "baru"), ("key", "k")];
    viewer.post(&format!("{path}/edit"), &change).await.expect(403);
    for _ in 0..2 {
        member.post(&format!("{path}/edit"), &change).await.expect(303);
        assert_eq!(messages(&app).await.len(), 2, "sent twice, it acts once");
    }
    assert_eq!(messages(&app).await[0].text(), "baru");
    viewer.get(&format!("{path}/revoke")).await.expect(403);
    member.get(&format!("{path}/revoke")).await.expect(200);
    member.post(&format!("{path}/revoke"), &[("key", "r")]).await.expect(303);
    assert_eq!(messages(&app).await.len(), 3);
    app.clock.hands.advance(jiff::SignedDuration::from_mins(20));
    assert!(!member.get(&path).await.expect(200).text().contains("/edit"), "too old");
    member.post(&format!("{path}/edit"), &[("text", "x"), ("key", "l")]).await.expect(409);
}

#[tokio::test]
async fn the_form_of_an_edit_has_whom_the_message_mentions() {
    let app = app().await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let mentions = json!({"mentions": ["62812345678", "77@lid", "all"]});
    let id = send(&app, "120363041234567890@g.us", mentions).await;
    let path = format!("/app/messages/{id}");
    for event in [MessageEvent::Submitted, MessageEvent::Acknowledged] {
        app.follow(domain::ids::MessageId(id), event).await;
    }
    let shown = async |lang: &str| {
        let ask = Ask::get(&path).header("cookie", &member.cookie).header("accept-language", lang);
        let page = ask.of(&app.router).await.expect(200).text();
        let (_, field) = page.split_once("name=\"mentions\"").expect("a field for mentions");
        let (_, field) = field.split_once('>').unwrap();
        field.split("</textarea>").next().unwrap().to_owned()
    };
    assert_eq!(shown("id").await, "semua\n+62812345678\n77@lid");
    let shown = shown("en").await;
    for (key, written, all, people) in [
        ("a", &*shown, true, "62812345678 77@lid"),
        ("b", "Semua\r\n", true, ""),
        ("c", "0812345679", false, "62812345679"),
        ("d", "", false, ""),
    ] {
        let form = [("text", "Halo @62812345678"), ("mentions", written), ("key", key)];
        member.post(&format!("{path}/edit"), &form).await.expect(303);
        let mentioned = messages(&app).await.remove(0).context.mentions;
        assert_eq!((mentioned.all, &*mentioned.people.join(" ")), (all, people), "{written}");
    }
    let wrong = [("text", "x"), ("mentions", "Budi"), ("key", "e")];
    let refused = member.post(&format!("{path}/edit"), &wrong).await.expect(422).text();
    assert!(refused.contains("Mentions: must be phone numbers"), "{refused}");
}

#[tokio::test]
async fn files_that_came_with_the_request_do_not_go_again() {
    let app = app().await;
    let file = json!({"text": null, "media": {"base64": "aGFsbw==", "filename": "a.txt"}});
    let id = send(&app, "628999111222", file).await;
    app.follow(domain::ids::MessageId(id), MessageEvent::Failed).await;
    let resend = Ask::new("POST".parse().unwrap(), format!("/v1/messages/{id}/resend"));
    let refused = resend.key(&app.shop.key).of(&app.router).await.expect(409);
    assert_eq!(refused.json()["code"], "conflict");
    assert_eq!(messages(&app).await.len(), 1);
}

#[tokio::test]
async fn all_that_match_are_cancelled_after_a_counted_question() {
    let app = app().await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let tomorrow = app.core.now() + jiff::SignedDuration::from_hours(24);
    for to in ["628999111221", "628999111222", "628999111223"] {
        send(&app, to, json!({"schedule_at": tomorrow})).await;
    }
    app.clock.hands.advance(jiff::SignedDuration::from_secs(5));
    let page = member.get("/app/scheduled").await.expect(200).text();
    assert_eq!(page.matches("/cancel\"").count(), 3, "{page}");
    assert!(page.contains("&lt;b&gt;halo") && !page.contains("<b>halo"));
    let ask = "/app/messages/cancel?status=scheduled";
    let one = format!("{ask}&chat=628999111222");
    let asked = member.get(&one).await.expect(200).text();
    assert!(asked.contains("cancelled and refunded: 1."), "{asked}");
    let asked = member.get(ask).await.expect(200).text();
    assert!(asked.contains("cancelled and refunded: 3."), "{asked}");
    // What comes after the question was not counted.
    app.clock.hands.advance(jiff::SignedDuration::from_secs(5));
    send(&app, "628999111224", json!({"schedule_at": tomorrow})).await;
    // A filter that cannot be understood is no filter for everything.
    for wrong in ["status=scheduled&chat=nonsense", "status=nonsense", "direction=nonsense"] {
        let path = format!("/app/messages/cancel?{wrong}");
        let refused = member.get(&path).await;
        assert!(refused.status.is_client_error(), "{wrong}");
        let until = until_in(&asked);
        let refused = member.post(&path, &[("key", wrong), ("until", &until)]).await;
        assert!(refused.status.is_client_error(), "{wrong}");
    }
    member.post(ask, &[("key", "x")]).await.expect(403);
    // An end of the filter's own is not widened by the time of the question.
    let none = format!("{ask}&until=2020-01-01T00:00");
    assert!(member.get(&none).await.expect(200).text().contains("cancelled and refunded: 0."));
    let until = until_in(&asked);
    member.post(&none, &[("key", "none"), ("until", &until)]).await.expect(303);
    assert!(member.get(&format!("{ask}&since=nonsense")).await.status.is_client_error());
    let long = "x".repeat(201);
    let wrong =
        [("since", "nonsense"), ("until", "x"), ("chat", "6.28E12"), ("text", long.as_str())];
    for (field, value) in wrong {
        let path = format!("/app/messages?{field}={value}");
        let page = member.get(&path).await.expect(422).text();
        assert!(page.contains(&format!("id=\"{field}-fault\"")), "{field}: {page}");
        assert!(page.contains(&format!("value=\"{value}\"")) && !page.contains("<td"), "{page}");
    }
    assert_eq!(count(&app, MessageState::Scheduled).await, 4);
    let until = until_in(&asked);
    let fields = [("key", "one"), ("until", until.as_str())];
    let done = member.post(ask, &fields).await.expect(303);
    let page = member.get(done.header("location")).await.expect(200).text();
    assert!(page.contains("Done with 3 messages."), "{page}");
    assert_eq!(count(&app, MessageState::Scheduled).await, 1);
    assert_eq!(count(&app, MessageState::Cancelled).await, 3);
    assert_eq!(member.post(ask, &fields).await.header("location"), done.header("location"));
}

#[tokio::test]
async fn a_query_that_cannot_be_read_is_no_query_for_everything() {
    let app = app().await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let tomorrow = app.core.now() + jiff::SignedDuration::from_hours(24);
    for to in ["628999111221", "628999111222", "628999111223"] {
        send(&app, to, json!({"schedule_at": tomorrow})).await;
    }
    app.clock.hands.advance(jiff::SignedDuration::from_secs(5));
    let one = "chat=628999111222";
    let asked = member.get(&format!("/app/messages/cancel?{one}")).await.expect(200).text();
    let until = until_in(&asked);
    let wrong = [
        format!("{one}&before=abc"),
        format!("{one}&done=-1"),
        format!("{one}&{one}"),
        format!("device={}&before=x", app.theirs.id()),
    ];
    for query in &wrong {
        for act in ["cancel", "resend"] {
            let path = format!("/app/messages/{act}?{query}");
            let page = member.get(&path).await.expect(400).text();
            assert!(page.contains("cannot be understood, so nothing was done"), "{query}: {page}");
            member.post(&path, &[("key", query), ("until", &until)]).await.expect(400);
        }
        member.get(&format!("/app/messages?{query}")).await.expect(400);
    }
    for path in ["/app/send?kind=bogus&to=0812345678", "/app/chats?older=x", "/app/keys?before=x"] {
        let status = member.get(path).await.status.as_u16();
        assert!([400, 403].contains(&status), "{path}: {status}");
    }
    // Before the filter nothing else is looked at, not even whether the form is complete.
    member.post("/app/messages/cancel?status=nonsense", &[]).await.expect(404);
    assert_eq!(count(&app, MessageState::Scheduled).await, 3);
    // A field that was left empty is none.
    let path = format!("/app/messages/cancel?{one}&before=&since=");
    let page = member.get(&path).await.expect(200).text();
    assert!(page.contains("cancelled and refunded: 1."), "{page}");
    member.post(&path, &[("key", "k"), ("until", &until)]).await.expect(303);
    assert_eq!(count(&app, MessageState::Scheduled).await, 2);
}

#[tokio::test]
async fn all_that_match_go_again_in_one_commit() {
    let app = app().await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    for to in ["628999111221", "628999111222"] {
        failed(&app, to).await;
    }
    send(&app, "628999111223", json!({})).await;
    app.clock.hands.advance(jiff::SignedDuration::from_secs(5));
    let ask = "/app/messages/resend?status=failed";
    let asked = member.get(ask).await.expect(200).text();
    assert!(asked.contains("as new messages: 2."), "{asked}");
    let until = until_in(&asked);
    let fields = [("key", "one"), ("until", until.as_str())];
    for _ in 0..2 {
        let done = member.post(ask, &fields).await.expect(303);
        assert!(done.header("location").contains("done=2"), "{}", done.header("location"));
        assert_eq!(count(&app, MessageState::Queued).await, 3, "sent twice, it acts once");
    }
    assert_eq!(count(&app, MessageState::Failed).await, 2);
}

#[tokio::test]
async fn only_members_act_on_messages() {
    let app = app().await;
    failed(&app, "628999111222").await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let rival = Browser::of(&app, app.rival.id, Role::Member).await;
    app.clock.hands.advance(jiff::SignedDuration::from_secs(5));
    let before = app.everything().await;
    for act in ["cancel", "resend"] {
        let path = format!("/app/messages/{act}");
        viewer.get(&path).await.expect(403);
        viewer.post(&path, &[("key", "x"), ("until", "99999999999")]).await.expect(403);
        let asked = rival.get(&path).await.expect(200).text();
        assert!(asked.contains(": 0."), "{asked}");
    }
    let page = viewer.get("/app/messages").await.expect(200).text();
    assert!(!page.contains("/app/messages/cancel") && !page.contains("/app/messages/resend"));
    viewer.get("/app/scheduled").await.expect(200);
    let after = app.everything().await;
    assert_eq!(before, after);
}

#[tokio::test]
async fn usage_is_shown_by_day_and_device_and_exported() {
    let app = app().await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    failed(&app, "628999111221").await;
    let sent = send(&app, "628999111222", json!({})).await;
    for event in [MessageEvent::Submitted, MessageEvent::Acknowledged] {
        app.follow(domain::ids::MessageId(sent), event).await;
    }
    let page = viewer.get("/app/usage?days=7").await.expect(200).text();
    assert_eq!(page.matches("<title>").count(), 1 + 7, "{page}");
    assert!(page.contains("sent 1") && page.contains("not sent 1"), "{page}");
    assert!(!page.contains("style=\""));
    let csv = viewer.get("/app/usage.csv?days=7").await.expect(200);
    assert!(csv.header("content-disposition").contains("usage.csv"));
    let lines: Vec<String> = csv.text().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].ends_with(&format!("{},\"front\",1,0,0,1,0", app.front.id())), "{lines:?}");
    let other = viewer.get(&format!("/app/usage.csv?device={}", app.back.id())).await.expect(200);
    assert_eq!(other.text().lines().count(), 1);
    for path in ["/app/usage", "/app/usage.csv"] {
        viewer.get(&format!("{path}?device={}", app.theirs.id())).await.expect(404);
    }
    let rival = Browser::of(&app, app.rival.id, Role::Owner).await;
    assert_eq!(rival.get("/app/usage.csv").await.text().lines().count(), 1);
}

#[tokio::test]
async fn the_start_leads_to_keys_and_webhooks() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let page = owner.get("/app").await.expect(200).text();
    assert!(page.contains("Make a key for your program") && page.contains("Set a webhook"));
    let page = viewer.get("/app").await.expect(200).text();
    assert!(!page.contains("Make a key for your program"));
    let menu = owner.get("/app").await.text();
    for path in ["scheduled", "usage", "webhooks", "keys", "messages"] {
        assert!(menu.contains(&format!("href=\"/app/{path}\"")), "{path}");
    }
}
