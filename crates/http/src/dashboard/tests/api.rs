//! The page that tries the calls of the APIs, and the operator's page of the gateway.

use super::*;

#[tokio::test]
async fn a_call_is_tried_with_a_lent_key_and_the_roles_rights() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let list = viewer.get("/app/api/v1").await.expect(200).text();
    assert!(list.contains("POST /v1/messages") && !list.contains("POST /v1/accounts"), "{list}");
    assert!(!list.contains("/v1/events"), "an answer without an end");
    for api in ["wagy", "wachat", "wagate", "wasyik", "mpwa"] {
        viewer.get(&format!("/app/api/{api}")).await.expect(200);
    }
    viewer.get("/app/api/nothing").await.expect(404);
    let form = viewer.get("/app/api/v1?call=POST%20/v1/messages").await.expect(200).text();
    assert!(form.contains("&quot;to&quot;: &quot;&quot;"), "{form}");
    viewer.get("/app/api/v1?call=POST%20/v1/accounts").await.expect(404);

    let device = app.front.id().to_string();
    let body = format!(r#"{{"device": "{device}", "to": "628999111222", "text": "<b>hi"}}"#);
    let send = [("call", "POST /v1/messages"), ("body", body.as_str())];
    let refused = viewer.post("/app/api/v1/try", &send).await.expect(200).text();
    assert!(refused.contains("403 Forbidden") && app.message_count().await == 0, "{refused}");
    let sent = owner.post("/app/api/v1/try", &send).await.expect(200).text();
    assert!(sent.contains("202 Accepted") && sent.contains("&lt;b&gt;hi"), "{sent}");
    assert_eq!(app.message_count().await, 1);
    let of_device = [("call", "GET /v1/devices/{id}"), ("path.id", device.as_str())];
    let shown = owner.post("/app/api/v1/try", &of_device).await.expect(200).text();
    assert!(shown.contains("200 OK") && shown.contains("628111111111"), "{shown}");
    let theirs = app.theirs.id().to_string();
    let foreign = [("call", "GET /v1/devices/{id}"), ("path.id", theirs.as_str())];
    let shown = owner.post("/app/api/v1/try", &foreign).await.expect(200).text();
    assert!(shown.contains("404 Not Found"), "{shown}");
    let broken = [("call", "POST /v1/messages"), ("body", "{")];
    assert!(owner.post("/app/api/v1/try", &broken).await.expect(200).text().contains("no JSON"));
}

#[tokio::test]
async fn a_key_in_the_body_is_filled_in_and_nothing_stays_of_it() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let body = r#"{"api_key": "YOUR_KEY", "sender": "628111111111", "number": "628999111222", "message": "hi"}"#;
    let send = [("call", "POST /send-message"), ("body", body)];
    let sent = owner.post("/app/api/mpwa/try", &send).await.expect(200).text();
    assert!(sent.contains("200 OK"), "{sent}");
    assert_eq!(app.message_count().await, 1);
    let lent = app.core.lend_key(&visitor(&app, &owner).await).unwrap();
    let key = lent.reveal().to_owned();
    Ask::get("/v1/devices").key(&key).of(&app.router).await.expect(200);
    drop(lent);
    Ask::get("/v1/devices").key(&key).of(&app.router).await.expect(401);
}

async fn visitor(app: &App, browser: &Browser<'_>) -> domain::service::Visitor {
    let cookie = browser.cookie.trim_start_matches("gerbang=");
    app.core.visitor(&domain::key::Secret::new(cookie)).await.unwrap()
}

#[tokio::test]
async fn a_form_without_its_proof_or_session_tries_nothing() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let delete = format!("DELETE /v1/devices/{}", "{id}");
    let id = app.back.id().to_string();
    let fields = [("call", delete.as_str()), ("path.id", id.as_str())];
    post("/app/api/v1/try", &fields)
        .header("cookie", &owner.cookie)
        .of(&app.router)
        .await
        .expect(403);
    post("/app/api/v1/try", &fields).of(&app.router).await.expect(303);
    assert!(app.store.device(app.shop.id, app.back.id()).await.unwrap().is_some());
}

#[tokio::test]
async fn operators_see_how_the_gateway_is() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    owner.get("/app/gateway").await.expect(403);
    Ask::get("/v1/devices").key("wrong").of(&app.router).await.expect(401);
    Ask::get("/nowhere").of(&app.router).await.expect(404);
    let operator = Browser::operator(&app).await;
    let page = operator.get("/app/gateway").await.expect(200).text();
    for words in ["answers", "unauthorized", "/v1/devices", "not_found", "forbidden"] {
        assert!(page.contains(words), "{words}: {page}");
    }
}
