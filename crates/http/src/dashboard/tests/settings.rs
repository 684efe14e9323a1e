//! The zone of the times that are shown, and what an account is set to.

use super::*;

#[tokio::test]
async fn every_page_names_the_zone_of_its_times() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let device = format!("/app/devices/{}", app.front.id());
    for path in ["/app", "/app/devices", "/app/messages", "/app/usage", &device] {
        let page = owner.get(path).await.expect(200).text();
        assert!(page.contains("Times are in the time zone Asia/Jakarta."), "{path}: {page}");
    }
    for (path, label) in [
        ("/app/send", "Not before (optional) (Asia/Jakarta)"),
        ("/app/keys", " (Asia/Jakarta)</label>"),
        (device.as_str(), "Quiet from (Asia/Jakarta)"),
    ] {
        let page = owner.get(path).await.expect(200).text();
        let joined: String = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(joined.contains(label), "{path}: {joined}");
    }
}

#[tokio::test]
async fn an_owner_sets_the_zone_and_nothing_more() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let before = app.store.account(app.shop.id).await.unwrap().unwrap();
    let set = [("timezone", "Asia/Jayapura"), ("country", "62"), ("plan", "free"), ("name", "x")];
    member.get("/app/settings").await.expect(403);
    member.post("/app/settings", &set).await.expect(403);
    assert!(!member.get("/app").await.expect(200).text().contains("/app/settings"));
    let page = owner.get("/app/settings").await.expect(200).text();
    assert!(page.contains("value=\"Asia/Jakarta\""), "{page}");
    owner.post("/app/settings", &set).await.expect(303);
    let after = app.store.account(app.shop.id).await.unwrap().unwrap();
    assert_eq!(after.timezone.name(), "Asia/Jayapura");
    assert_eq!((after.plan, after.name), (before.plan, before.name));
    let page = owner.get("/app/messages").await.expect(200).text();
    assert!(page.contains("time zone Asia/Jayapura"), "{page}");
    for (zone, country, field) in [("Mars/Base", "62", "timezone"), ("UTC", "0", "country")] {
        let wrong = [("timezone", zone), ("country", country)];
        let page = owner.post("/app/settings", &wrong).await.expect(422).text();
        assert!(page.contains(&format!("id=\"{field}-fault\"")), "{page}");
    }
    let log = owner.get("/app/audit").await.expect(200).text();
    assert!(log.contains("account.changed"), "{log}");
}

#[tokio::test]
async fn an_operator_changes_plan_and_zone_of_an_account() {
    let app = app().await;
    let operator = Browser::operator(&app).await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let page = format!("/app/accounts/{}", app.shop.id);
    let path = format!("{page}/settings");
    let set = [("plan", "hobby"), ("timezone", "Asia/Makassar"), ("country", "60")];
    owner.post(&path, &set).await.expect(403);
    assert!(operator.get(&page).await.expect(200).text().contains("id=\"plan\""));
    operator.post(&path, &set).await.expect(303);
    let account = app.store.account(app.shop.id).await.unwrap().unwrap();
    assert_eq!((account.plan.as_str(), account.default_country.as_str()), ("hobby", "60"));
    assert_eq!(account.timezone.name(), "Asia/Makassar");
    let wrong = [("plan", "hobby"), ("timezone", "x"), ("country", "60")];
    let shown = operator.post(&path, &wrong).await.expect(422).text();
    assert!(shown.contains("id=\"timezone-fault\""), "{shown}");
    let new = [("name", "New"), ("email", "n@example.com"), ("timezone", "x")];
    let shown = operator.post("/app/accounts", &new).await.expect(422).text();
    assert!(shown.contains("id=\"timezone-fault\""), "{shown}");
    for (field, name, email, plan, text) in [
        ("name", " ", "n@example.com", "free", "1 to 200 characters"),
        ("email", "New", "n", "free", "not an email address"),
        ("email", "New", "shop@example.com", "free", "Another account has this address."),
        ("plan", "New", "n@example.com", "gone", "must be one of"),
    ] {
        let new = [("name", name), ("email", email), ("plan", plan)];
        let shown = operator.post("/app/accounts", &new).await.expect(422).text();
        assert!(shown.contains(&format!("id=\"{field}-fault\"")), "{field}: {shown}");
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let new = [("name", "New"), ("email", "n@example.com"), ("timezone", "Asia/Singapore")];
    operator.post("/app/accounts", &new).await.expect(200);
    let page = domain::ports::PageRequest { before: None, limit: 1 };
    let newest = app.store.accounts(page).await.unwrap().items.remove(0);
    assert_eq!(newest.timezone.name(), "Asia/Singapore");
}

#[tokio::test]
async fn a_page_that_there_is_not_is_a_page() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    for path in ["/app/nope", "/app/devices/1/nope", "/portal/nope", "/login/nope"] {
        let page = owner.get(path).await.expect(404);
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
        assert!(page.header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert!(page.text().contains("There is no such thing here."), "{path}");
        Ask::get(path).of(&app.router).await.expect(404);
    }
    let unreadable = owner.get("/app/devices/%ff").await.expect(404);
    assert!(unreadable.text().contains("There is no such thing here."), "{}", unreadable.text());
    let id = Ask::new(axum::http::Method::DELETE, "/app/devices").header("accept-language", "id");
    let wrong = id.of(&app.router).await.expect(405);
    assert!(wrong.header("content-type").starts_with("text/html"));
    assert!(wrong.header("allow").contains("GET"));
    assert!(wrong.text().contains("Tidak berhasil"), "{}", wrong.text());
    let json = Ask::get("/v1/nope").key(&app.shop.key).of(&app.router).await.expect(404);
    assert_eq!(json.json()["code"], "not_found");
}
