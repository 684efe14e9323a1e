//! Linking with a passkey: the steps over the API, and the page that leads through them.

use domain::device::PairOffer;
use domain::passkey::PasskeyStep;
use serde_json::{Value, json};
use testkit::fake_dispatcher::{DispatcherCall, PASSKEY_CODE};

use super::access::assertion;
use super::app::App;
use super::exchange::Ask;

const REQUEST: &str = r#"{"challenge":"AQ","rpId":"whatsapp.com","allowCredentials":[]}"#;

/// A gateway whose device was asked for a passkey, and the path of its pairing.
async fn asked() -> (App, String) {
    let app = App::new().await;
    let (request, step) = (REQUEST.to_owned(), PasskeyStep::Requested);
    app.dispatcher.set_offer(PairOffer::Passkey { request, step, expires_in_s: 600 });
    let path = format!("/v1/devices/{}/pair", app.unlinked.id());
    (app, path)
}

async fn ask(app: &App, ask: Ask, status: u16) -> Value {
    ask.key(&app.unlinked.token).of(&app.router).await.expect(status).json()
}

fn post(path: String) -> Ask {
    Ask::new("POST".parse().unwrap(), path)
}

fn form(page: &str, fields: &str) -> Ask {
    post(page.to_owned()).header("content-type", "application/x-www-form-urlencoded").raw(fields)
}

#[tokio::test]
async fn a_challenge_is_answered_and_confirmed() {
    let (app, pair) = asked().await;
    let (passkey, confirm) = (format!("{pair}/passkey"), format!("{pair}/confirm"));
    let offer = ask(&app, post(pair.clone()), 200).await;
    assert_eq!((&offer["step"], &offer["code"]), (&json!("passkey"), &Value::Null));
    assert_eq!(offer["passkey"], serde_json::from_str::<Value>(REQUEST).unwrap());
    assert_eq!(offer["expires_in_s"], 600);
    assert_eq!(ask(&app, post(confirm.clone()), 409).await["code"], "passkey_no_code");
    let wrong = Ask::post(&passkey, json!({"assertion": {"rawId": "AQID"}}));
    let wrong = ask(&app, wrong, 422).await;
    assert_eq!(wrong["errors"][0]["field"], "assertion.response.clientDataJSON");

    let given = ask(&app, Ask::post(&passkey, assertion()), 200).await;
    assert_eq!((&given["step"], &given["code"]), (&json!("confirm"), &json!(PASSKEY_CODE)));
    assert_eq!(ask(&app, Ask::get(&pair), 200).await, given);
    let again = ask(&app, Ask::post(&passkey, assertion()), 409).await;
    assert_eq!(again["code"], "passkey_already_given");
    assert_eq!(ask(&app, post(confirm.clone()), 200).await["status"], "connecting");
    assert_eq!(ask(&app, post(confirm), 409).await["code"], "passkey_not_requested");
    assert_eq!(ask(&app, Ask::get(&pair), 409).await["code"], "conflict");
}

#[tokio::test]
async fn a_page_leads_through_it() {
    let (app, pair) = asked().await;
    let offer = ask(&app, post(pair), 200).await;
    let page = offer["page"].as_str().unwrap().split_once("/portal").unwrap().1;
    let page = format!("/portal{page}");
    let open = async |ask: Ask, status: u16| {
        let answer = ask.of(&app.router).await.expect(status);
        let policy = answer.headers["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("form-action 'self'"), "{policy}");
        answer.text()
    };
    let first = open(Ask::get(&page), 200).await;
    assert!(first.contains("web.whatsapp.com") && first.contains("rpId&quot;:"), "{first}");
    let broken = form(&page, "assertion=hello");
    assert!(open(broken, 422).await.contains("This is not what a passkey answers."));
    let indonesian = |ask: Ask| ask.header("accept-language", "id-ID,id;q=0.9,en;q=0.5");
    let first = open(indonesian(Ask::get(&page)), 200).await;
    assert!(first.contains("<html lang=\"id\">") && first.contains("Salin semuanya"), "{first}");
    let broken = indonesian(form(&page, "assertion=hello"));
    assert!(open(broken, 422).await.contains("Ini bukan jawaban passkey."));

    let text = assertion()["assertion"].to_string();
    let mut given = form_urlencoded::Serializer::new(String::new());
    let given = given.append_pair("assertion", &text).finish();
    let given = form(&page, &given).of(&app.router).await.expect(303);
    assert_eq!(given.headers["location"], page.as_str());
    assert!(open(Ask::get(&page), 200).await.contains(PASSKEY_CODE));
    assert!(open(post(format!("{page}/confirm")), 200).await.contains("The device is linked"));
    let calls = app.dispatcher.take_calls();
    assert!(calls.contains(&DispatcherCall::ConfirmPasskey(app.unlinked.id())), "{calls:?}");
    assert!(open(Ask::get(&page), 404).await.contains("This page is over"));
    assert!(open(indonesian(Ask::get(&page)), 404).await.contains("tidak berlaku lagi"));
}

#[tokio::test]
async fn another_page_is_none() {
    let (app, _) = asked().await;
    for page in [
        format!("/portal/pair/{}/{}", app.unlinked.id(), "0".repeat(32)),
        "/portal/pair/7/0".to_owned(),
    ] {
        Ask::get(&page).of(&app.router).await.expect(404);
        post(format!("{page}/confirm")).of(&app.router).await.expect(404);
    }
    assert!(app.dispatcher.take_calls().is_empty());
}
