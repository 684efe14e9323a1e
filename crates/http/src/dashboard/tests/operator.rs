//! The operator's pages: plans, grants, vouchers; and the audit log.

use super::*;

impl<'a> Browser<'a> {
    pub(super) async fn operator(app: &'a App) -> Browser<'a> {
        let (email, password) = ("op@example.com".to_owned(), String::new());
        let user = NewUser { email, password, place: Place::Operator };
        let now = app.core.now();
        let CreatedUser::Created(user) = app.store.create_user(user, now).await.unwrap() else {
            panic!("no operator")
        };
        let secret = app.core.open_session(&user, None).await.unwrap();
        let csrf = super::super::origin::csrf_token(&secret);
        Self { app, cookie: format!("gerbang={}", secret.reveal()), csrf }
    }
}

#[tokio::test]
async fn plans_are_shown_and_replaced() {
    let app = app().await;
    let operator = Browser::operator(&app).await;
    let page = operator.get("/app/plans?edit=hobby").await.expect(200).text();
    assert!(page.contains("value=\"hobby\"") && page.contains("business"), "{page}");
    let wrong = [("name", "Big Plan"), ("device_limit", "3")];
    let page = operator.post("/app/plans", &wrong).await.expect(422).text();
    assert!(page.contains("id=\"name-fault\""), "{page}");
    for (field, wrong) in [("device_limit", "x"), ("messages_per_day", "-1")] {
        let fields = [("name", "big"), (field, wrong)];
        let page = operator.post("/app/plans", &fields).await.expect(422).text();
        assert!(page.contains(&format!("id=\"{field}-fault\"")), "{field}: {page}");
    }
    let fields = [("name", "big"), ("device_limit", "3"), ("groups", "1"), ("schedule", "1")];
    operator.post("/app/plans", &fields).await.expect(303);
    let plans = app.store.plans().await.unwrap();
    let plan = plans.iter().find(|plan| plan.name == "big").unwrap();
    assert_eq!((plan.device_limit, plan.messages_per_day), (Some(3), None));
    use domain::plan::Feature;
    assert_eq!(plan.features, [Feature::Groups, Feature::Schedule]);
}

#[tokio::test]
async fn a_plan_that_no_account_has_is_deleted() {
    let app = app().await;
    let operator = Browser::operator(&app).await;
    operator.post("/app/plans", &[("name", "big")]).await.expect(303);
    let account = app.store.account(app.shop.id).await.unwrap().unwrap();
    let used = format!("/app/plans/{}/delete", account.plan);
    let page = operator.get(&used).await.expect(200).text();
    assert!(page.contains("Accounts that have this plan:") && !page.contains("No account has it"));
    let refused = operator.post(&used, &[]).await.expect(409).text();
    assert!(refused.contains("give them another one first"), "{refused}");
    let page = operator.get("/app/plans").await.expect(200).text();
    assert!(page.contains("href=\"/app/plans/big/delete\""), "{page}");
    // The one that accounts get by default is not offered, and refused before it is asked about.
    assert!(!page.contains("href=\"/app/plans/free/delete\""), "{page}");
    let page = operator.get("/app/plans/free/delete").await.expect(200).text();
    assert!(page.contains("it stays") && !page.contains("action=\"/app/plans/free/delete\""));
    operator.post("/app/plans/free/delete", &[]).await.expect(409);
    let page = operator.get("/app/plans/big/delete").await.expect(200).text();
    assert!(page.contains("Delete the plan big?") && page.contains("No account has it"), "{page}");
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    owner.get("/app/plans/big/delete").await.expect(403);
    owner.post("/app/plans/big/delete", &[]).await.expect(403);
    operator.post("/app/plans/big/delete", &[]).await.expect(303);
    let plans = app.store.plans().await.unwrap();
    assert!(
        plans.iter().all(|plan| plan.name != "big")
            && plans.iter().any(|plan| plan.name == account.plan)
    );
    operator.get("/app/plans/big/delete").await.expect(404);
    operator.post("/app/plans/big/delete", &[]).await.expect(404);
    let log = operator.get("/app/audit").await.expect(200).text();
    assert!(log.contains("plan.deleted"), "{log}");
}

#[tokio::test]
async fn messages_are_granted_and_vouchers_made_once() {
    let app = app().await;
    let operator = Browser::operator(&app).await;
    let path = format!("/app/accounts/{}", app.shop.id);
    assert!(operator.get(&path).await.expect(200).text().contains("shop@example.com"));
    for fields in [
        [("messages", "0"), ("until", ""), ("key", "a")],
        [("messages", "x"), ("until", ""), ("key", "a")],
        [("messages", "5"), ("until", "1999-01-01"), ("key", "b")],
        [("messages", "5"), ("until", "soon"), ("key", "c")],
    ] {
        operator.post(&path, &fields).await.expect(422);
    }
    assert_eq!(app.store.grants(app.shop.id).await.unwrap(), []);
    for _ in 0..2 {
        let fields = [("messages", "50"), ("until", "2100-01-31"), ("key", "d")];
        operator.post(&path, &fields).await.expect(303);
    }
    let grants = app.store.grants(app.shop.id).await.unwrap();
    assert_eq!((grants.len(), grants[0].total), (1, 50));
    let account = app.store.account(app.shop.id).await.unwrap().unwrap();
    let end = grants[0].expires_at.unwrap().to_zoned(account.timezone.zone().clone());
    assert_eq!(end.strftime("%Y-%m-%d %H:%M").to_string(), "2100-02-01 00:00");

    let fields = [("messages", "5"), ("count", "0"), ("key", "e")];
    let page = operator.post("/app/vouchers", &fields).await.expect(422).text();
    assert!(page.contains("id=\"count-fault\""), "{page}");
    let fields = [("messages", "5"), ("count", "2"), ("days", ""), ("key", "f")];
    let page = operator.post("/app/vouchers", &fields).await.expect(200).text();
    let codes = page.split_once("<code>").unwrap().1.split('<').next().unwrap();
    assert_eq!(codes.lines().count(), 2, "{page}");
    let redeem = format!("/v1/devices/{}/redeem", app.front.id());
    let body = serde_json::json!({"code": codes.lines().next().unwrap()});
    Ask::post(redeem, body).key(&app.shop.key).of(&app.router).await.expect(200);
    assert_eq!(operator.post("/app/vouchers", &fields).await.expect(200).text(), page);
}

#[tokio::test]
async fn an_accounts_people_see_none_of_the_operators_pages() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let account = format!("/app/accounts/{}", app.shop.id);
    let before = app.everything().await;
    for path in ["/app/plans", "/app/vouchers", &account] {
        owner.get(path).await.expect(403);
        let fields = [("name", "free"), ("messages", "5"), ("count", "1"), ("key", "k")];
        owner.post(path, &fields).await.expect(403);
    }
    assert_eq!(app.everything().await, before);
}

#[tokio::test]
async fn the_audit_log_names_who_changed_what() {
    let app = app().await;
    let operator = Browser::operator(&app).await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let enter = format!("/app/accounts/{}/enter", app.shop.id);
    operator.post(&enter, &[]).await.expect(303);
    operator.post("/app/devices", &[("name", "<b>x</b>")]).await.expect(303);
    operator.post("/app/leave", &[]).await.expect(303);
    operator.post("/app/plans", &[("name", "big")]).await.expect(303);
    let body = serde_json::json!({"name": "another"});
    let made = Ask::post("/v1/keys", body).key(&app.shop.key).of(&app.router).await.expect(201);
    let path = format!("/v1/devices/{}/token", app.front.id());
    let token = Ask::new(axum::http::Method::POST, path).key(&app.front.token);
    token.of(&app.router).await.expect(200);
    let rivals = Ask::post("/v1/keys", serde_json::json!({"name": "theirs"}));
    let rivals = rivals.key(&app.rival.key).of(&app.router).await.expect(201).json();

    let page = owner.get("/app/audit").await.expect(200).text();
    for text in
        ["account.entered", "account.left", "device.created", "op@example.com", "key.created"]
    {
        assert!(page.contains(text), "{text}: {page}");
    }
    let front = app.store.device_by_id(app.front.id()).await.unwrap().unwrap();
    assert!(page.contains(&format!("token of {}", front.name)), "{page}");
    assert!(page.contains(&format!("<td class=\"what\">another ({})</td>", made.json()["id"])));
    assert!(page.contains("key made") && page.contains("first key ("), "{page}");
    assert!(!page.contains("plan.saved"));
    assert!(!page.contains(&format!("theirs ({})", rivals["id"])));
    // What is gone keeps its name.
    owner.post(&format!("/app/keys/{}/revoke", made.json()["id"]), &[]).await.expect(303);
    owner.post(&format!("/app/devices/{}/delete", app.front.id()), &[]).await.expect(303);
    let indonesian = Ask::get("/app/audit").header("cookie", &owner.cookie);
    let page = indonesian.header("accept-language", "id").of(&app.router).await.expect(200).text();
    for text in ["kunci dicabut", "perangkat dihapus", "another (", front.name.as_str()] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains(&format!("<td class=\"what\">{}", app.front.id())), "{page}");
    let all = operator.get("/app/audit").await.expect(200).text();
    assert!(all.contains("plan.saved") && all.contains(&format!("/app/accounts/{}", app.rival.id)));
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    member.get("/app/audit").await.expect(403);
    Ask::get("/app/audit").of(&app.router).await.expect(303);
}

#[tokio::test]
async fn a_link_is_not_used_up_by_an_address_that_is_taken() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let page = owner.post("/app/people/invite", &[("role", "viewer")]).await.expect(200).text();
    let (_, rest) = page.split_once("/app/join/").unwrap();
    let path = format!("/app/join/{}", rest.split('<').next().unwrap());
    let taken = format!("owner@{}.example", app.shop.id);
    let fields = [("email", taken.as_str()), ("password", "kata sandi panjang")];
    let refused = post(&path, &fields).of(&app.router).await.expect(422);
    assert!(refused.text().contains("Somebody already signs in with this address"));
    let fields = [("email", "new@example.com"), ("password", "kata sandi panjang")];
    post(&path, &fields).of(&app.router).await.expect(303);
    post(&path, &fields).of(&app.router).await.expect(404);
}

#[tokio::test]
async fn a_setup_link_is_the_operators_to_make() {
    let app = app().await;
    let ask =
        |key: &str| Ask::new(axum::http::Method::POST, "/v1/setup-links").key(key).of(&app.router);
    ask(&app.shop.key).await.expect(403);
    ask(&app.front.token).await.expect(403);
    let made = ask(crate::tests::app::OPERATOR).await.expect(201).json();
    let path = made["url"].as_str().unwrap().strip_prefix("http://localhost").unwrap().to_owned();
    let right = [("email", "op@example.com"), ("password", "a long password")];
    let joined = post(&path, &right).of(&app.router).await.expect(303);
    let cookie = cookie_of(&joined);
    Ask::get("/app/accounts").header("cookie", &cookie).of(&app.router).await.expect(200);
}

#[tokio::test]
async fn nodes_are_shown_and_drained() {
    use domain::node::NewNode;
    let app = app().await;
    let operator = Browser::operator(&app).await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let register = async |name: &str, lease_s| {
        let url = format!("http://{name}:8080");
        let node = NewNode { name: name.into(), url, capacity: 500, version: "9.8.7".into() };
        let lease = std::time::Duration::from_secs(lease_s);
        app.store.register_node(&node, lease).await.unwrap().node
    };
    let page = async || operator.get("/app/gateway").await.expect(200).text();
    assert!(!page().await.contains("id=\"nodes\""));
    let a = register("node-a", 60).await;
    assert!(!page().await.contains("id=\"nodes\""), "one is no news");
    register("node-b", 60).await;
    register("node-c", 0).await;
    let shown = page().await;
    for text in ["node-a", "http://node-b:8080", "9.8.7", "0 / 500", ">gone<"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert_eq!((shown.matches(">live<").count(), shown.matches("/drain\"").count()), (2, 2));

    let drain = format!("/app/gateway/nodes/{}/drain", a.0);
    let resume = format!("/app/gateway/nodes/{}/resume", a.0);
    for (browser, status) in [(&owner, 403), (&operator, 200)] {
        browser.get(&drain).await.expect(status);
    }
    owner.post(&drain, &[("per_s", "5")]).await.expect(403);
    owner.post(&resume, &[]).await.expect(403);
    for wrong in ["", "0", "-1", "1001", "x"] {
        let refused = operator.post(&drain, &[("per_s", wrong)]).await.expect(422).text();
        assert!(refused.contains("id=\"per_s-fault\""), "{wrong}: {refused}");
    }
    operator.get("/app/gateway/nodes/999/drain").await.expect(404);
    operator.post("/app/gateway/nodes/999/drain", &[("per_s", "5")]).await.expect(404);
    let drained = async || app.store.nodes().await.unwrap()[0].drain_per_s;
    assert_eq!(drained().await, None);
    operator.post(&drain, &[("per_s", "7")]).await.expect(303);
    assert_eq!(drained().await, Some(7));
    assert!(page().await.contains("draining, 7 a second"));
    // Looking at an account, the operator is still one.
    operator.post(&format!("/app/accounts/{}/enter", app.shop.id), &[]).await.expect(303);
    operator.post(&resume, &[]).await.expect(303);
    assert_eq!(drained().await, None);
    operator.post("/app/leave", &[]).await.expect(303);
    let log = operator.get("/app/audit").await.expect(200).text();
    assert!(log.contains("node.drained") && log.contains("node.resumed"), "{log}");
}

#[tokio::test]
async fn a_plan_that_accounts_have_is_changed_after_a_question() {
    let app = app().await;
    let operator = Browser::operator(&app).await;
    let fields = [("name", "unlimited"), ("device_limit", "3")];
    let asked = operator.post("/app/plans", &fields).await.expect(200).text();
    assert!(asked.contains("Accounts that have this plan: 2."), "{asked}");
    let limit = async || {
        let plans = app.store.plans().await.unwrap();
        plans.into_iter().find(|plan| plan.name == "unlimited").unwrap().device_limit
    };
    assert_eq!(limit().await, None);
    let of_another = [("name", "unlimited"), ("device_limit", "3"), ("sure", "hobby")];
    operator.post("/app/plans", &of_another).await.expect(200);
    assert_eq!(limit().await, None);
    let sure = [("name", "unlimited"), ("device_limit", "3"), ("sure", "unlimited")];
    operator.post("/app/plans", &sure).await.expect(303);
    assert_eq!(limit().await, Some(3));
    let page = operator.get("/app/accounts").await.expect(200).text();
    assert!(page.contains("value=\"free\" selected"), "newcomers get the free plan: {page}");
}

#[tokio::test]
async fn an_account_is_renamed_and_deleted_after_a_question() {
    let app = app().await;
    let operator = Browser::operator(&app).await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let path = format!("/app/accounts/{}", app.shop.id);
    let set =
        [("name", "Toko"), ("plan", "unlimited"), ("timezone", "Asia/Jakarta"), ("country", "62")];
    operator.post(&format!("{path}/settings"), &set).await.expect(303);
    assert_eq!(app.store.account(app.shop.id).await.unwrap().unwrap().name, "Toko");
    let delete = format!("{path}/delete");
    owner.get(&delete).await.expect(403);
    owner.post(&delete, &[]).await.expect(403);
    let asked = operator.get(&delete).await.expect(200).text();
    assert!(asked.contains("Delete Toko?") && asked.contains("<dd>3</dd>"), "{asked}");
    operator.post(&format!("{path}/enter"), &[]).await.expect(303);
    operator.post(&delete, &[]).await.expect(303);
    assert!(app.store.account(app.shop.id).await.unwrap().is_none());
    operator.get(&path).await.expect(404);
    owner.get("/app").await.expect(303);
    let log = operator.get("/app/audit").await.expect(200).text();
    assert!(log.contains("account.deleted") && log.contains("Toko ("), "{log}");
}

#[tokio::test]
async fn an_account_is_found_shows_what_it_uses_and_gets_another_address() {
    let app = app().await;
    let operator = Browser::operator(&app).await;
    let shop = app.shop.id.to_string();
    for (find, finds_shop, finds_rival) in [
        ("sHoP", true, false),
        ("rival%40example", false, true),
        (shop.as_str(), true, false),
        ("example.com", true, true),
        ("nobody", false, false),
    ] {
        let page = operator.get(&format!("/app/accounts?find={find}")).await.expect(200).text();
        let has = |email: &str| page.contains(&format!(">{email}<"));
        let found = (has("shop@example.com"), has("rival@example.com"));
        assert_eq!(found, (finds_shop, finds_rival), "{find}: {page}");
        assert_eq!(page.contains("Nothing matches."), find == "nobody", "{find}");
    }
    let path = format!("/app/accounts/{}", app.shop.id);
    let body = serde_json::json!({"device": app.front.id(), "to": "628999111222", "text": "hi"});
    Ask::post("/v1/messages", body).key(&app.shop.key).of(&app.router).await.expect(202);
    let page = operator.get(&path).await.expect(200).text();
    assert!(page.contains("Devices connected: 2 / 3"), "{page}");
    assert!(page.contains("<dt>Used today</dt><dd>1</dd>"), "{page}");
    let set = |email: &'static str| {
        [("email", email), ("plan", "unlimited"), ("timezone", "UTC"), ("country", "62")]
    };
    let settings = format!("{path}/settings");
    for wrong in ["rival@example.com", "x"] {
        let page = operator.post(&settings, &set(wrong)).await.expect(422).text();
        assert!(page.contains("id=\"email-fault\""), "{page}");
    }
    operator.post(&settings, &set("new@example.com")).await.expect(303);
    assert_eq!(app.store.account(app.shop.id).await.unwrap().unwrap().email, "new@example.com");
}

#[tokio::test]
async fn every_device_is_counted_by_its_state() {
    let app = app().await;
    let operator = Browser::operator(&app).await;
    let page = operator.get("/app/gateway").await.expect(200).text();
    let counted = app.store.count_devices(None).await.unwrap();
    assert!(counted.iter().map(|(_, count)| count).sum::<i64>() >= 4, "{counted:?}");
    let (_, devices) = page.split_once("Devices by state").unwrap();
    assert!(devices.contains("not linked"), "a device without a task counts, too: {devices}");
}

#[tokio::test]
async fn a_backup_is_downloaded_by_operators() {
    let app = app().await;
    let operator = Browser::operator(&app).await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    assert!(operator.get("/app/gateway").await.expect(200).text().contains("/app/gateway/backup"));
    owner.post("/app/gateway/backup", &[]).await.expect(403);
    let made = operator.post("/app/gateway/backup", &[]).await.expect(200);
    assert!(made.header("content-disposition").contains("nothing.tar.gz"), "{:?}", made.headers);
    assert_eq!(made.text(), "nothing");
    let log = operator.get("/app/audit").await.expect(200).text();
    assert!(log.contains("backup.made"), "{log}");
}
