//! Passwords and roles of people, and what an invitation says.

use super::*;

const OLD: &str = "an old password";
const NEW: &str = "a new password";

/// Somebody of the shop with a password.
async fn person<'a>(app: &'a App, email: &str, role: Role) -> (Browser<'a>, domain::ids::UserId) {
    let password = app.state.passwords().hash(&app.core, OLD.to_owned()).await.unwrap();
    let place = Place::Account(app.shop.id, role);
    let user = NewUser { email: email.to_owned(), password, place };
    let CreatedUser::Created(user) = app.store.create_user(user, app.core.now()).await.unwrap()
    else {
        panic!("no user")
    };
    (session(app, &user).await, user.id)
}

async fn session<'a>(app: &'a App, user: &domain::person::User) -> Browser<'a> {
    let secret = app.core.open_session(user, None).await.unwrap();
    let csrf = super::super::origin::csrf_token(&secret);
    Browser { app, cookie: format!("gerbang={}", secret.reveal()), csrf }
}

async fn sign_in(app: &App, email: &str, password: &str) -> TestResponse {
    post("/login", &[("email", email), ("password", password)]).of(&app.router).await
}

#[tokio::test]
async fn a_password_is_changed_with_the_current_one() {
    let app = app().await;
    let (here, _) = person(&app, "ani@example.com", Role::Viewer).await;
    let (user, _) = app.store.user_by_email("ani@example.com").await.unwrap().unwrap();
    let elsewhere = session(&app, &user).await;
    let change = async |current, new| {
        here.post("/app/security/password", &[("current", current), ("password", new)]).await
    };
    let page = here.get("/app/security").await.expect(200).text();
    assert!(page.contains("autocomplete=\"current-password\""), "{page}");
    let short = change(OLD, "short").await.expect(422).text();
    assert!(short.contains("id=\"password-fault\""), "{short}");
    let wrong = change("wrong", NEW).await.expect(422).text();
    assert!(wrong.contains("id=\"current-fault\""), "{wrong}");
    elsewhere.get("/app").await.expect(200);
    change(OLD, NEW).await.expect(200);
    here.get("/app").await.expect(200);
    elsewhere.get("/app").await.expect(303);
    sign_in(&app, "ani@example.com", OLD).await.expect(401);
    cookie_of(&sign_in(&app, "ani@example.com", NEW).await.expect(303));
    for _ in 0..10 {
        change("wrong", NEW).await;
    }
    change(NEW, OLD).await.expect(429);
}

#[tokio::test]
async fn a_lost_password_is_set_anew_by_a_link() {
    let app = app().await;
    let (member, id) = person(&app, "ani@example.com", Role::Member).await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let rival = Browser::of(&app, app.rival.id, Role::Owner).await;
    let path = format!("/app/people/{id}/password");
    member.post(&path, &[]).await.expect(403);
    rival.post(&path, &[]).await.expect(404);
    assert!(owner.get("/app/people").await.expect(200).text().contains(&path));
    assert!(owner.get(&path).await.expect(200).text().contains("ani@example.com"));
    let made = owner.post(&path, &[]).await.expect(200).text();
    let (_, link) = made.split_once("/app/reset/").unwrap();
    let link = format!("/app/reset/{}", link.split('<').next().unwrap());
    Ask::get(&link).of(&app.router).await.expect(200);
    post(&link, &[("password", "short")]).of(&app.router).await.expect(422);
    member.get("/app").await.expect(200);
    let done = post(&link, &[("password", NEW)]).of(&app.router).await.expect(200);
    assert!(done.headers.get(SET_COOKIE).is_none(), "it signs nobody in");
    assert!(done.text().contains("ani@example.com"));
    member.get("/app").await.expect(303);
    post(&link, &[("password", OLD)]).of(&app.router).await.expect(404);
    Ask::get(&link).of(&app.router).await.expect(404);
    cookie_of(&sign_in(&app, "ani@example.com", NEW).await.expect(303));
    // An operator helps everybody; nobody makes a link for oneself.
    let operator = Browser::operator(&app).await;
    operator.post(&format!("/app/accounts/{}/enter", app.shop.id), &[]).await.expect(303);
    operator.post(&path, &[]).await.expect(200);
    let (own, _) = app.store.user_by_email("op@example.com").await.unwrap().unwrap();
    operator.post("/app/leave", &[]).await.expect(303);
    operator.post(&format!("/app/people/{}/password", own.id), &[]).await.expect(409);
}

#[tokio::test]
async fn a_role_is_changed_by_owners() {
    let app = app().await;
    let (member, id) = person(&app, "ani@example.com", Role::Member).await;
    let (other, other_id) = person(&app, "budi@example.com", Role::Owner).await;
    let rival = Browser::of(&app, app.rival.id, Role::Owner).await;
    let path = format!("/app/people/{id}/role");
    member.post(&path, &[("role", "owner")]).await.expect(403);
    rival.post(&path, &[("role", "viewer")]).await.expect(404);
    member.get("/app/people").await.expect(403);
    assert!(other.get(&path).await.expect(200).text().contains("value=\"member\" selected"));
    let people = other.get("/app/people").await.expect(200).text();
    assert!(people.contains("value=\"member\" selected"), "{people}");
    for unknown in ["boss", ""] {
        other.post(&path, &[("role", unknown)]).await.expect(400);
        other.post("/app/people/invite", &[("role", unknown)]).await.expect(400);
    }
    other.post(&path, &[("role", "owner")]).await.expect(303);
    member.get("/app/people").await.expect(200);
    other.post(&format!("/app/people/{other_id}/role"), &[("role", "viewer")]).await.expect(409);
    // Who is an owner no longer leaves no way back.
    let invited = other.post("/app/people/invite", &[("role", "owner")]).await.expect(200).text();
    let (_, link) = invited.split_once("/app/join/").unwrap();
    let link = format!("/app/join/{}", link.split('<').next().unwrap());
    let page = Ask::get(&link).of(&app.router).await.expect(200).text();
    assert!(page.contains("To the account Shop") && page.contains("Owner: everything"), "{page}");
    let demote = format!("/app/people/{other_id}/role");
    member.post(&demote, &[("role", "viewer")]).await.expect(303);
    other.get("/app/people").await.expect(403);
    Ask::get(&link).of(&app.router).await.expect(404);
}
