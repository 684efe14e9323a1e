//! All pages and forms that an owner gets to by links: a form without its proof does nothing, and neither
//! another account nor somebody with less rights gets to what only the owner does.

use std::collections::BTreeSet;

use axum::http::StatusCode;

use super::*;

/// The addresses that stand behind a text in a page.
fn behind<'a>(page: &'a str, start: &'static str) -> impl Iterator<Item = String> + 'a {
    let values = page.split(start).skip(1).filter_map(|rest| rest.split('"').next());
    values.map(|value| value.replace("&amp;", "&")).filter(|value| value.starts_with('/'))
}

/// Pages that links lead to, and where their forms go.
#[derive(Default)]
struct Site {
    pages: BTreeSet<String>,
    forms: BTreeSet<String>,
}

impl Site {
    async fn of(browser: &Browser<'_>) -> Self {
        let (mut site, mut seen) = (Self::default(), BTreeSet::new());
        let mut next = vec!["/app".to_owned(), "/app/api/v1?call=POST%20/v1/messages".to_owned()];
        while let Some(path) = next.pop() {
            // Every call of every API has a page.
            let is_call = path.starts_with("/app/api/") && !seen.is_empty();
            let is_ours = path.starts_with("/app") && !path.starts_with("/app/language/");
            if !is_ours || is_call || !seen.insert(path.clone()) {
                continue;
            }
            let page = browser.get(&path).await;
            if page.status == StatusCode::SEE_OTHER {
                next.push(page.header("location").to_owned());
                continue;
            }
            let page = page.expect(200).text();
            site.pages.insert(path);
            site.forms.extend(behind(&page, "method=\"post\" action=\""));
            next.extend(behind(&page, "href=\""));
        }
        site
    }
}

#[tokio::test]
async fn no_form_works_without_its_proof_and_nobody_else_gets_to_an_owners_pages() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let device = app.front.id().to_string();
    let message = [("device", device.as_str()), ("to", "0812345678"), ("text", "hi"), ("key", "k")];
    owner.post("/app/send", &message).await.expect(303);
    owner.post("/app/webhooks", &[("url", "https://example.com/hook")]).await.expect(200);
    owner.post("/app/people/invite", &[("role", "viewer")]).await.expect(200);
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let rival = Browser::of(&app, app.rival.id, Role::Owner).await;
    let (all, theirs, seen) =
        (Site::of(&owner).await, Site::of(&rival).await, Site::of(&viewer).await);
    assert!(all.pages.len() > 40 && all.forms.len() > 30, "{:?} {:?}", all.pages, all.forms);

    for path in &all.forms {
        let without = post(path, &[]).header("cookie", &owner.cookie).of(&app.router).await;
        assert_eq!(without.status, StatusCode::FORBIDDEN, "{path} without a proof");
        let foreign = post(path, &[("csrf", &rival.csrf)]).header("cookie", &owner.cookie);
        let foreign = foreign.of(&app.router).await;
        assert_eq!(foreign.status, StatusCode::FORBIDDEN, "{path} with another session's proof");
    }
    for path in all.forms.difference(&theirs.forms) {
        let answer = rival.post(path, &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path} of another account");
    }
    for path in all.pages.difference(&theirs.pages) {
        let answer = rival.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path} of another account");
    }
    for path in all.forms.difference(&seen.forms) {
        let answer = viewer.post(path, &[]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} as a viewer");
    }
}
