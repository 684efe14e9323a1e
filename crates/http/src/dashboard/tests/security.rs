//! The second step of signing in.

use domain::ports::{CreatedUser, NewUser};
use domain::totp::{STEP_S, TotpSecret};
use jiff::SignedDuration;

use super::*;

const EMAIL: &str = "ani@example.com";
const PASSWORD: &str = "a long password";

async fn person(app: &App) -> domain::person::User {
    let password = app.state.passwords().hash(&app.core, PASSWORD.to_owned()).await.unwrap();
    let place = Place::Account(app.shop.id, Role::Member);
    let user = NewUser { email: EMAIL.to_owned(), password, place };
    match app.store.create_user(user, app.core.now()).await.unwrap() {
        CreatedUser::Created(user) => user,
        other => panic!("{other:?}"),
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start)
        .unwrap_or_else(|| panic!("{start} in {text}"))
        .1
        .split(end)
        .next()
        .unwrap()
}

fn code(app: &App, totp: &TotpSecret) -> String {
    totp.code(app.core.now().as_second().div_euclid(STEP_S))
}

/// Switches it on; the app's secret and the recovery codes.
async fn switched_on(app: &App, browser: &Browser<'_>) -> (TotpSecret, Vec<String>) {
    let page = browser.post("/app/security/set-up", &[]).await.expect(200).text();
    assert!(page.contains("data:image/png;base64,"));
    let secret = between(&page, "name=\"secret\" value=\"", "\"").to_owned();
    let totp = TotpSecret::parse(&secret).unwrap();
    let wrong = [("secret", secret.as_str()), ("code", "000000"), ("key", "w")];
    let refused = browser.post("/app/security/on", &wrong).await.expect(422).text();
    assert!(refused.contains("id=\"code-fault\"") && refused.contains(&secret));
    let right = code(app, &totp);
    let right = [("secret", secret.as_str()), ("code", right.as_str()), ("key", &secret[..8])];
    let shown = browser.post("/app/security/on", &right).await.expect(200).text();
    assert_eq!(browser.post("/app/security/on", &right).await.expect(200).text(), shown);
    let codes = between(&shown, "<code>", "</code>").lines().map(str::to_owned).collect();
    (totp, codes)
}

async fn ticket(app: &App) -> String {
    let fields = [("email", EMAIL), ("password", PASSWORD), ("next", "/app/chats")];
    let asked = post("/login", &fields).of(&app.router).await.expect(200);
    assert!(asked.headers.get(SET_COOKIE).is_none(), "no session yet");
    between(&asked.text(), "name=\"ticket\" value=\"", "\"").to_owned()
}

async fn second(app: &App, ticket: &str, code: &str) -> TestResponse {
    let fields = [("ticket", ticket), ("code", code), ("next", "/app/chats")];
    post("/login", &fields).of(&app.router).await
}

async fn signed_in(app: &App) -> (Browser<'_>, domain::person::User) {
    let user = person(app).await;
    let secret = app.core.open_session(&user, None).await.unwrap();
    let csrf = super::super::origin::csrf_token(&secret);
    (Browser { app, cookie: format!("gerbang={}", secret.reveal()), csrf }, user)
}

#[tokio::test]
async fn the_password_alone_signs_nobody_in_and_no_code_counts_twice() {
    let app = app().await;
    let (browser, _) = signed_in(&app).await;
    let (totp, codes) = switched_on(&app, &browser).await;
    assert_eq!(codes.len(), 8);
    let used = code(&app, &totp);
    let first = ticket(&app).await;
    second(&app, &first, &used).await.expect(401);
    app.clock.hands.advance(SignedDuration::from_secs(STEP_S));
    let now = code(&app, &totp);
    let went = second(&app, &first, &format!("{} {}", &now[..3], &now[3..])).await.expect(303);
    assert_eq!(went.header("location"), "/app/chats");
    cookie_of(&went);
    second(&app, &first, &now).await.expect(401);
    cookie_of(&second(&app, &first, &codes[0].to_uppercase()).await.expect(303));
    second(&app, &first, &codes[0]).await.expect(401);
    for forged in ["", "1.AAAA", "x", &format!("{first}A")] {
        let page = second(&app, forged, &codes[1]).await.expect(401).text();
        assert!(page.contains("name=\"password\""), "{forged}");
    }
    app.clock.hands.advance(SignedDuration::from_mins(6));
    second(&app, &first, &codes[1]).await.expect(401);
}

#[tokio::test]
async fn wrong_codes_lock_also_who_knows_the_password() {
    let app = app().await;
    let (browser, _) = signed_in(&app).await;
    let (_, codes) = switched_on(&app, &browser).await;
    let mut guesses = 0;
    loop {
        let fields = [("email", EMAIL), ("password", PASSWORD)];
        let asked = post("/login", &fields).of(&app.router).await;
        if asked.status == 429 {
            break;
        }
        let ticket =
            between(&asked.expect(200).text(), "name=\"ticket\" value=\"", "\"").to_owned();
        if second(&app, &ticket, "000000").await.status == 429 {
            break;
        }
        guesses += 1;
        assert!(guesses <= 10, "the password forgives no wrong code");
    }
    app.clock.hands.advance(SignedDuration::from_mins(16));
    let again = ticket(&app).await;
    second(&app, &again, &codes[0]).await.expect(303);
}

#[tokio::test]
async fn it_is_switched_off_with_a_code_or_reset_by_an_owner() {
    let app = app().await;
    let (browser, user) = signed_in(&app).await;
    let (_, codes) = switched_on(&app, &browser).await;
    browser.post("/app/security/off", &[("code", "000000")]).await.expect(422);
    browser.post("/app/security/off", &[("code", &codes[0])]).await.expect(303);
    let (_, codes) = switched_on(&app, &browser).await;
    let reset = format!("/app/people/{}/reset", user.id);
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let rival = Browser::of(&app, app.rival.id, Role::Owner).await;
    browser.post(&reset, &[]).await.expect(403);
    rival.post(&reset, &[]).await.expect(404);
    assert!(owner.get("/app/people").await.expect(200).text().contains(&reset));
    owner.get(&reset).await.expect(200);
    owner.post(&reset, &[]).await.expect(303);
    assert!(!owner.get("/app/people").await.expect(200).text().contains(&reset));
    let fields = [("email", EMAIL), ("password", PASSWORD)];
    cookie_of(&post("/login", &fields).of(&app.router).await.expect(303));
    browser.post("/app/security/off", &[("code", &codes[1])]).await.expect(422);
    let log = owner.get("/app/audit").await.expect(200).text();
    assert!(log.contains("second_factor.set") && log.contains("second_factor.removed"));
}
