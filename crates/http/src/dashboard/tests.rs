//! The pages over a gateway in memory: who may see and do what.

mod acts;
mod api;
mod chats;
mod devices;
mod keys;
mod security;
mod stream;
mod webhooks;

use axum::http::header::SET_COOKIE;
use domain::device::{DeviceStatus, PairOffer, StatusChange};
use domain::ids::AccountId;
use domain::person::{Place, Role};
use domain::ports::{CreatedUser, NewUser};
use form_urlencoded::byte_serialize;

use crate::state::HttpConfig;
use crate::tests::app::App;
use crate::tests::exchange::{Ask, TestResponse};

mod choice;
mod groups;
mod lists;
mod operator;
mod people;
mod portal;
mod send;
mod settings;
mod start;
mod twice;

async fn app() -> App {
    let config = HttpConfig { insecure_cookies: true, ..HttpConfig::new(None) };
    App::with(config, "unlimited").await
}

/// Somebody who has signed in.
struct Browser<'a> {
    app: &'a App,
    cookie: String,
    csrf: String,
}

fn cookie_of(response: &TestResponse) -> String {
    let cookie = response.headers.get(SET_COOKIE).expect("a cookie").to_str().unwrap();
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pairs = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn post(path: &str, fields: &[(&str, &str)]) -> Ask {
    let ask = Ask::new(axum::http::Method::POST, path).raw(form(fields));
    ask.header("content-type", "application/x-www-form-urlencoded")
}

/// What stands in the part of a page with this id.
fn part<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("id=\"{id}\"")).expect(id);
    let (_, rest) = rest.split_once('>').unwrap();
    let mut depth = 1;
    let end = rest.match_indices('<').find(|(at, _)| {
        let tag = &rest[*at..];
        depth += i32::from(tag.starts_with("<div")) - i32::from(tag.starts_with("</div"));
        depth == 0
    });
    &rest[..end.unwrap().0]
}

impl App {
    /// The unlinked device is being linked with this on offer, or no longer for this reason.
    async fn pairs(&self, offer: Option<PairOffer>, ended: Option<&str>) {
        match offer {
            Some(offer) => self.dispatcher.set_offer(offer),
            None => self.dispatcher.end_offer(),
        }
        let status = if ended.is_some() { DeviceStatus::Unpaired } else { DeviceStatus::Pairing };
        let reason = ended.map(str::to_owned);
        let change = StatusChange { reason, ..StatusChange::new(status, self.core.now()) };
        self.store.set_device_status(self.unlinked.id(), &change).await.unwrap().unwrap();
    }
}

impl<'a> Browser<'a> {
    async fn of(app: &'a App, account: AccountId, role: Role) -> Self {
        let email = format!("{}@{account}.example", role.as_str());
        let place = Place::Account(account, role);
        let user = NewUser { email, password: String::new(), place };
        let now = app.core.now();
        let CreatedUser::Created(user) = app.store.create_user(user, now).await.unwrap() else {
            panic!("no user")
        };
        let secret = app.core.open_session(&user, None).await.unwrap();
        let csrf = super::origin::csrf_token(&secret);
        Self { app, cookie: format!("gerbang={}", secret.reveal()), csrf }
    }

    async fn get(&self, path: &str) -> TestResponse {
        Ask::get(path).header("cookie", &self.cookie).of(&self.app.router).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> TestResponse {
        let mut fields = fields.to_vec();
        fields.push(("csrf", &self.csrf));
        post(path, &fields).header("cookie", &self.cookie).of(&self.app.router).await
    }
}

#[tokio::test]
async fn the_setup_link_makes_the_operator_once() {
    let app = app().await;
    let link = app.core.first_setup_link().await.unwrap().unwrap();
    let path = super::setup_path(&link);
    Ask::get(&path).of(&app.router).await.expect(200);
    let short = [("email", "op@example.com"), ("password", "short")];
    let refused = post(&path, &short).of(&app.router).await.expect(422);
    assert!(refused.text().contains("At least 10 characters"), "{}", refused.text());
    let right = [("email", "op@example.com"), ("password", "a long password")];
    let other = post(&path, &right).header("sec-fetch-site", "cross-site");
    other.of(&app.router).await.expect(403);
    let joined = post(&path, &right).of(&app.router).await.expect(303);
    let cookie = cookie_of(&joined);
    let accounts = Ask::get("/app/accounts").header("cookie", &cookie).of(&app.router).await;
    assert!(accounts.expect(200).text().contains("Shop"));
    post(&path, &right).of(&app.router).await.expect(404);
    assert!(app.core.first_setup_link().await.unwrap().is_none());

    let login = |password: &'static str| {
        post("/login", &[("email", "OP@example.com"), ("password", password)]).of(&app.router)
    };
    cookie_of(&login("a long password").await.expect(303));
    for _ in 0..10 {
        login("wrong").await.expect(401);
    }
    let blocked = login("a long password").await.expect(429);
    assert_eq!(blocked.header("retry-after"), "900");
    assert!(blocked.text().contains("minutes left: 15"), "{}", blocked.text());
    app.clock.hands.advance(jiff::SignedDuration::from_secs(870));
    assert_eq!(login("a long password").await.expect(429).header("retry-after"), "30");
    app.clock.hands.advance(jiff::SignedDuration::from_secs(30));
    login("a long password").await.expect(303);
}

#[tokio::test]
async fn over_plain_http_from_elsewhere_signing_in_says_what_it_needs() {
    let app = App::new().await;
    let page = Ask::get("/login").of(&app.router).await.expect(403);
    assert!(page.text().contains("GERBANG_INSECURE_COOKIES"), "{}", page.text());
    let config = HttpConfig::new(Some("https://wa.example"));
    let app = App::with(config, "unlimited").await;
    let link = app.core.first_setup_link().await.unwrap().unwrap();
    let right = [("email", "op@example.com"), ("password", "a long password")];
    let joined = post(&super::setup_path(&link), &right).of(&app.router).await.expect(303);
    assert!(cookie_of(&joined).starts_with("__Host-gerbang="));
}

#[tokio::test]
async fn nobody_sees_a_page_without_a_session() {
    let app = app().await;
    for path in ["/app", "/app/devices", "/app/send", "/app/messages", "/app/accounts"] {
        let answer = Ask::get(path).of(&app.router).await.expect(303);
        assert!(answer.header("location").starts_with("/login"), "{path}");
    }
    let wrong = Ask::get("/app").header("cookie", "gerbang=gbs_wrong").of(&app.router).await;
    assert_eq!(wrong.expect(303).header("location"), "/login");
    // A key of an API is no session, and a session no key.
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    Ask::get("/app").key(&app.shop.key).of(&app.router).await.expect(303);
    let session = owner.cookie.trim_start_matches("gerbang=");
    Ask::get("/v1/devices").key(session).of(&app.router).await.expect(401);
    Ask::get("/v1/devices").header("cookie", &owner.cookie).of(&app.router).await.expect(401);
    let page = owner.get("/app/devices").await.expect(200);
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert!(!page.text().contains("<style") && !page.text().contains("onclick"));
    owner.post("/logout", &[]).await.expect(303);
    owner.get("/app").await.expect(303);
}

#[tokio::test]
async fn a_form_without_its_token_changes_nothing() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let front = app.front.id();
    let paths = [
        "/app/devices".to_owned(),
        format!("/app/devices/{front}"),
        format!("/app/devices/{front}/delete"),
        format!("/app/devices/{front}/logout"),
        format!("/app/devices/{front}/token"),
        "/app/send".to_owned(),
        "/app/people/invite".to_owned(),
        "/logout".to_owned(),
    ];
    let before = app.everything().await;
    for path in &paths {
        for csrf in ["", "wrong"] {
            let fields = [("name", "x"), ("csrf", csrf)];
            let ask = post(path, &fields).header("cookie", &owner.cookie);
            ask.of(&app.router).await.expect(403);
        }
        let foreign = post(path, &[("csrf", &owner.csrf)]).header("cookie", &owner.cookie);
        let foreign = foreign.header("origin", "https://evil.example");
        foreign.of(&app.router).await.expect(403);
    }
    assert_eq!(app.everything().await, before);
}

#[tokio::test]
async fn a_viewer_looks_and_a_member_sends() {
    let app = app().await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let front = app.front.id();
    let device = format!("/app/devices/{front}");
    for reader in [&viewer, &member] {
        for path in ["/app", "/app/devices", "/app/messages", &device] {
            reader.get(path).await.expect(200);
        }
        for act in ["/delete", "/logout", "/token", "/pair"] {
            reader.get(&format!("{device}{act}")).await.expect(403);
            reader.post(&format!("{device}{act}"), &[]).await.expect(403);
        }
        reader.post("/app/devices", &[("name", "x")]).await.expect(403);
        reader.post(&device, &[("name", "x")]).await.expect(403);
        reader.get("/app/people").await.expect(403);
        reader.post("/app/people/invite", &[("role", "owner")]).await.expect(403);
        reader.get("/app/accounts").await.expect(403);
        reader.post(&format!("/app/accounts/{}/enter", app.rival.id), &[]).await.expect(403);
    }
    let device = front.to_string();
    let fields = [("device", device.as_str()), ("to", "0812345678"), ("text", "hi"), ("key", "k")];
    viewer.get("/app/send").await.expect(403);
    viewer.post("/app/send", &fields).await.expect(403);
    assert_eq!(app.message_count().await, 0);
    member.get("/app/send").await.expect(200);
    let first = member.post("/app/send", &fields).await.expect(303);
    let again = member.post("/app/send", &fields).await.expect(303);
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(app.message_count().await, 1, "sent twice, it acts once");
    let page = member.get(first.header("location")).await.expect(200);
    assert!(page.text().contains("+62812345678"), "{}", page.text());
    viewer.post(&format!("{}/cancel", first.header("location")), &[]).await.expect(403);
    member.post(&format!("{}/cancel", first.header("location")), &[]).await.expect(303);
}

#[tokio::test]
async fn what_is_another_accounts_is_not_found() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let rival = Browser::of(&app, app.rival.id, Role::Owner).await;
    let theirs = app.theirs.id().to_string();
    let fields = [("device", theirs.as_str()), ("to", "0812345678"), ("text", "hi"), ("key", "k")];
    let sent = rival.post("/app/send", &fields).await.expect(303);
    let before = app.of_account(app.rival.id).await;
    for act in ["", "/pair", "/logout", "/delete", "/token"] {
        owner.get(&format!("/app/devices/{theirs}{act}")).await.expect(404);
    }
    for act in ["", "/pair", "/logout", "/delete", "/token", "/connect"] {
        owner.post(&format!("/app/devices/{theirs}{act}"), &[("name", "x")]).await.expect(404);
    }
    owner.get(sent.header("location")).await.expect(404);
    owner.post(&format!("{}/cancel", sent.header("location")), &[]).await.expect(404);
    owner.post("/app/send", &fields).await.expect(404);
    owner.get(&format!("/app/messages?device={theirs}")).await.expect(404);
    let person = app.store.users(Some(app.rival.id)).await.unwrap().remove(0);
    owner.get(&format!("/app/people/{}/remove", person.id)).await.expect(404);
    owner.post(&format!("/app/people/{}/remove", person.id), &[]).await.expect(404);
    assert_eq!(app.of_account(app.rival.id).await, before);
}

#[tokio::test]
async fn a_list_goes_as_a_whole_or_not_at_all() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let device = app.front.id().to_string();
    let send = |to: &'static str, act: &'static str| {
        let fields = [
            ("device", device.clone()),
            ("to", to.to_owned()),
            ("text", "Hi {nama}".to_owned()),
            ("key", "k".to_owned()),
            ("act", act.to_owned()),
        ];
        let owner = &owner;
        async move {
            let fields: Vec<_> =
                fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            owner.post("/app/send", &fields).await
        }
    };
    let faulty = "\u{feff}nomor;nama\n08123456789;Sri\n6.28E+12;Budi\n";
    let page = send(faulty, "all").await.expect(422);
    assert!(page.text().contains("Line 3") && page.text().contains("spreadsheet"));
    assert_eq!(app.message_count().await, 0);
    let list = "\u{feff}nomor;nama\n08123456789;<b>Sri</b>\n08123456780;Budi\n";
    let preview = send(list, "").await.expect(200);
    assert!(preview.text().contains("Hi &lt;b&gt;Sri&lt;/b&gt;"), "{}", preview.text());
    assert_eq!(app.message_count().await, 0);
    for _ in 0..2 {
        send(list, "all").await.expect(303);
        assert_eq!(app.message_count().await, 2);
    }
    let code = send("0812345678", "code").await.expect(200);
    assert_eq!(code.text().matches("curl http://").count(), 6);
}

#[tokio::test]
async fn an_invited_person_joins_and_can_be_removed() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let page = owner.post("/app/people/invite", &[("role", "viewer")]).await.expect(200).text();
    let (_, rest) = page.split_once("/app/join/").unwrap();
    let path = format!("/app/join/{}", rest.split('<').next().unwrap());
    Ask::get(&path).header("accept-language", "id").of(&app.router).await.expect(200);
    let fields = [("email", "sri@example.com"), ("password", "kata sandi panjang")];
    let joined = post(&path, &fields).of(&app.router).await.expect(303);
    let cookie = cookie_of(&joined);
    let devices = async || Ask::get("/app/devices").header("cookie", &cookie).of(&app.router).await;
    assert!(!devices().await.expect(200).text().contains("Add a device"));
    let (user, _) = app.store.user_by_email("sri@example.com").await.unwrap().unwrap();
    let path = format!("/app/people/{}/remove", user.id);
    assert!(owner.get(&path).await.expect(200).text().contains("sri@example.com"));
    owner.post(&path, &[]).await.expect(303);
    devices().await.expect(303);
}

#[tokio::test]
async fn a_removed_person_comes_back_by_no_invitation_of_their_own() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let link_of = async |browser: &Browser<'_>, role: &str| {
        let page = browser.post("/app/people/invite", &[("role", role)]).await.expect(200).text();
        let (_, rest) = page.split_once("/app/join/").unwrap();
        format!("/app/join/{}", rest.split('<').next().unwrap())
    };
    let second = NewUser {
        email: "second@example.com".into(),
        password: String::new(),
        place: Place::Account(app.shop.id, Role::Owner),
    };
    let CreatedUser::Created(user) = app.store.create_user(second, app.core.now()).await.unwrap()
    else {
        panic!("no user")
    };
    let secret = app.core.open_session(&user, None).await.unwrap();
    let csrf = super::origin::csrf_token(&secret);
    let cookie = format!("gerbang={}", secret.reveal());
    let second = Browser { app: &app, cookie, csrf };
    let (theirs, kept) = (link_of(&second, "owner").await, link_of(&owner, "viewer").await);
    let page = owner.get("/app/people").await.expect(200).text();
    assert!(
        page.contains("Open invitations") && page.matches("/withdraw\"").count() == 2,
        "{page}"
    );
    owner.post(&format!("/app/people/{}/remove", user.id), &[]).await.expect(303);
    let fields = [("email", "again@example.com"), ("password", "kata sandi panjang")];
    Ask::get(&theirs).of(&app.router).await.expect(404);
    post(&theirs, &fields).of(&app.router).await.expect(404);
    second.post("/app/people/invite", &[("role", "owner")]).await.expect(303);

    Ask::get(&kept).of(&app.router).await.expect(200);
    let rival = Browser::of(&app, app.rival.id, Role::Owner).await;
    let page = owner.get("/app/people").await.expect(200).text();
    let (_, rest) = page.split_once("/app/people/invitations/").unwrap();
    let path = format!("/app/people/invitations/{}", rest.split('"').next().unwrap());
    for other in [&rival, &Browser::of(&app, app.shop.id, Role::Member).await] {
        let status = other.post(&path, &[]).await.status;
        assert!([403, 404].contains(&status.as_u16()), "{status}");
    }
    owner.get(&path).await.expect(200);
    owner.post(&path, &[]).await.expect(303);
    post(&kept, &fields).of(&app.router).await.expect(404);
    assert!(!owner.get("/app/people").await.expect(200).text().contains("Open invitations"));
    let log = owner.get("/app/audit").await.expect(200).text();
    assert!(log.contains("invitation.withdrawn") && log.contains("second@example.com"), "{log}");
}
