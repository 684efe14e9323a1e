//! A device's proxy, and how phones list it.

use serde_json::{Value, json};

use super::app::App;
use super::exchange::Ask;

async fn patch(app: &App, body: Value) -> Value {
    let path = format!("/v1/devices/{}", app.front.id());
    let ask = Ask::post(path, body).method("PATCH".parse().unwrap());
    let answer = ask.key(&app.shop.key).of(&app.router).await;
    assert!(!answer.text().contains("geheim"), "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn a_proxy_is_set_shown_without_its_secrets_and_ended() {
    let app = App::new().await;
    let shown = patch(&app, json!({"proxy": "socks5://u:geheim@proxy.example"})).await;
    assert_eq!(shown["proxy"], "socks5://***@proxy.example:1080");
    assert_eq!(patch(&app, json!({"name": "x"})).await["proxy"], shown["proxy"], "it stays");
    assert_eq!(patch(&app, json!({"proxy": ""})).await["proxy"], shown["proxy"], "left out");
    for (proxy, why) in [
        ("https://proxy.example:443", "must be socks5://"),
        ("http://u:geheim@10.0.0.1:3128", "must be at a public address"),
        ("u:geheim@proxy.example", "must be socks5://"),
    ] {
        let refused = patch(&app, json!({ "proxy": proxy })).await;
        assert_eq!(refused["errors"][0]["field"], "proxy", "{refused}");
        let message = refused["errors"][0]["message"].as_str().unwrap();
        assert!(message.starts_with(why), "{message}");
    }
    assert_eq!(patch(&app, json!({"proxy": null})).await["proxy"], Value::Null);
}

#[tokio::test]
async fn the_text_for_callers_is_removed_by_null_and_by_nothing() {
    let app = App::new().await;
    for none in [json!(null), json!(""), json!(" ")] {
        let set = patch(&app, json!({"reject_calls": true, "reject_text": "Tulis saja, ya"})).await;
        assert_eq!(set["reject_text"], "Tulis saja, ya");
        assert_eq!(patch(&app, json!({"name": "x"})).await["reject_text"], "Tulis saja, ya");
        assert_eq!(patch(&app, json!({ "reject_text": none })).await["reject_text"], Value::Null);
    }
}

#[tokio::test]
async fn a_device_fetches_the_files_that_it_is_to() {
    let app = App::new().await;
    assert_eq!(patch(&app, json!({})).await["media_download"], "auto");
    for setting in ["on_demand", "off", "auto", "on_demand"] {
        let shown = patch(&app, json!({ "media_download": setting })).await;
        assert_eq!(shown["media_download"], setting);
    }
    assert_eq!(patch(&app, json!({"name": "x"})).await["media_download"], "on_demand");
    assert_eq!(patch(&app, json!({"media_download": null})).await["media_download"], "auto");
    let refused = patch(&app, json!({"media_download": "sometimes"})).await;
    assert_eq!(refused["errors"][0]["field"], "media_download", "{refused}");
}

#[tokio::test]
async fn a_device_is_shown_as_it_is_set() {
    let app = App::new().await;
    let set = json!({"name": "Kasir", "platform": "Safari", "language": "id_id"});
    let shown = patch(&app, json!({ "shown_as": set })).await;
    let expected = json!({"name": "Kasir", "platform": "safari", "language": "id-ID"});
    assert_eq!(shown["shown_as"], expected);
    let part = patch(&app, json!({"shown_as": {"name": "Toko"}})).await;
    assert_eq!(part["shown_as"], json!({"name": "Toko", "platform": null, "language": null}));
    for (field, value) in
        [("name", "x".repeat(61)), ("platform", "fax".into()), ("language", "id".into())]
    {
        let refused = patch(&app, json!({"shown_as": {field: value}})).await;
        assert_eq!(refused["errors"][0]["field"], format!("shown_as.{field}"), "{refused}");
    }
    assert_eq!(patch(&app, json!({"shown_as": null})).await["shown_as"], Value::Null);
}
