//! The pages at `/docs`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use domain::service::OWN_FORMAT;

use super::app::App;
use super::exchange::Ask;
use crate::dialects;
use crate::router::own_routes;
use crate::state::HttpConfig;

const ADDRESS: &str = "http://gerbang.test";

/// Every API with the format of its webhooks.
fn apis() -> Vec<(&'static str, Option<&'static str>)> {
    let dialects = dialects::ALL.iter();
    let dialects = dialects.map(|dialect| (dialect.name, dialect.format.map(|f| f.rules.name)));
    [("v1", Some(OWN_FORMAT))].into_iter().chain(dialects).collect()
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/clients")
}

/// The names and texts of a folder's files; nothing where there is no folder.
fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

async fn page(app: &App, path: &str) -> String {
    Ask::get(path).of(&app.router).await.expect(200).text()
}

/// The page of an API, and those of its groups of calls.
async fn pages(app: &App, name: &str) -> Vec<(String, String)> {
    let first = format!("/docs/{name}");
    let mut pages = vec![(first.clone(), page(app, &first).await)];
    let groups: Vec<String> = between(&pages[0].1, "<h3 class=\"group\"", "</h3>")
        .iter()
        .map(|heading| between(heading, "href=\"", "\"")[0].to_owned())
        .collect();
    for path in groups {
        let text = page(app, &path).await;
        pages.push((path, text));
    }
    pages
}

fn unescape(html: &str) -> String {
    let html = html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    html.replace("&amp;", "&")
}

/// What stands between two texts, each time.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    text.split(start).skip(1).map(|rest| rest.split(end).next().unwrap()).collect()
}

#[tokio::test]
async fn pages_are_plain_and_under_a_strict_policy() {
    let app = App::new().await;
    for (name, _) in apis() {
        let response = Ask::get(format!("/docs/{name}")).of(&app.router).await.expect(200);
        assert_eq!(response.header("content-type"), "text/html; charset=utf-8");
        let policy = response.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
        assert!(!policy.contains("script-src"));
        let page = response.text();
        for inline in ["<script", "<style", " style=", " onclick=", "javascript:"] {
            assert!(!page.contains(inline), "{name}: {inline}");
        }
        for asset in between(&page, "<link rel=\"stylesheet\" href=\"", "\"") {
            Ask::get(asset).of(&app.router).await.expect(200);
        }
        assert!(!page.contains(" src="), "{name}: loads something");
    }
    let response = Ask::get("/assets/docs.css").of(&app.router).await.expect(200);
    assert_eq!(response.header("content-type"), "text/css; charset=utf-8");
    assert!(!response.text().contains("url("), "the style sheet loads something");
}

#[tokio::test]
async fn our_own_page_is_the_first() {
    let app = App::new().await;
    assert_eq!(page(&app, "/docs").await, page(&app, "/docs/v1").await);
    let response = Ask::get("/docs/none").of(&app.router).await.expect(404);
    assert_eq!(response.json()["code"], "not_found");
}

#[tokio::test]
async fn the_programs_on_a_page_are_the_files_themselves() {
    let app = App::new().await;
    let receivers = files(&clients().join("webhooks"));
    let mut shown = BTreeSet::new();
    for (name, format) in apis() {
        let is_receiver = |(file, _): &&(String, String)| file.split('.').next() == format;
        let mut expected = files(&clients().join(name));
        expected.extend(receivers.iter().filter(is_receiver).cloned());

        let page = page(&app, &format!("/docs/{name}")).await;
        let figures = between(&page, "<figure>", "</figure>");
        assert_eq!(figures.len(), expected.len(), "{name}");
        for (file, text) in &expected {
            let has_name = |figure: &&&str| figure.contains(&format!(">{file}</a>"));
            let figure = figures.iter().find(has_name).unwrap();
            let code = between(figure, "<pre tabindex=\"0\"><code>", "</code></pre>");
            assert_eq!(code.len(), 1);
            assert!(!code[0].contains(['<', '>', '"']), "{name}/{file} is not escaped");
            assert_eq!(&unescape(code[0]), text, "{name}/{file}");
            let path = format!("/docs/{name}/{file}");
            assert!(figure.contains(&format!("href=\"{ADDRESS}{path}\"")), "{path}");
            let response = Ask::get(&path).of(&app.router).await.expect(200);
            assert_eq!(response.header("content-type"), "text/plain; charset=utf-8");
            assert_eq!(&response.text(), text);
        }
        // One of each switch is on.
        let switches = between(&page, "<div class=\"tabs\"", "</div>");
        assert_eq!(switches.is_empty(), expected.is_empty(), "{name}");
        assert!(switches.iter().all(|tabs| tabs.matches(" checked").count() == 1), "{name}");
        assert_eq!(page.matches("<input type=\"radio\"").count(), expected.len(), "{name}");
        shown.extend(expected.into_iter().map(|(file, _)| format!("{name}/{file}")));
        Ask::get(format!("/docs/{name}/client.exe")).of(&app.router).await.expect(404);
    }
    let languages = ["sh", "go", "mjs", "php", "py", "rb"];
    assert!(languages.iter().all(|end| shown.contains(&format!("v1/client.{end}"))), "{shown:?}");
    let shown_receivers = shown.iter().filter(|name| !name.contains("/client.")).count();
    assert_eq!(shown_receivers, receivers.len(), "a receiver is of no API");
}

#[tokio::test]
async fn pages_document_every_call_with_its_fields() {
    let app = App::new().await;
    for (name, _) in apis() {
        let page: String = pages(&app, name).await.into_iter().map(|(_, text)| text).collect();
        let routes = dialects::by_name(name).map_or_else(own_routes, |d| (d.routes)());
        for route in routes {
            let call =
                format!("{}</b> <code>{}</code>", route.method, route.path.replace('<', "&lt;"));
            assert!(page.contains(&call), "{name}: {call}");
            let query = route.docs.query.iter().map(|(name, _)| *name);
            for field in query.chain(route.docs.headers.iter().map(|(name, _)| *name)) {
                assert!(page.contains(&format!("<code>{field}</code>")), "{name}: {field}");
            }
        }
    }
    let wachat = page(&app, "/docs/wachat").await;
    let calls = between(&wachat, "<section class=\"call\"", "</section>");
    let media = calls.iter().find(|call| call.contains("<code>/wachat_api/1.0/media<")).unwrap();
    for response in
        ["<code>media_base64</code>", "<b>201</b>", "<code>data.ref_no</code>", "<td>422</td>"]
    {
        assert!(media.contains(response), "{response}");
    }
}

#[tokio::test]
async fn every_link_inside_a_page_leads_somewhere() {
    let app = App::new().await;
    for (name, _) in apis() {
        let pages = pages(&app, name).await;
        for (own, page) in &pages {
            assert!(page.len() <= 150_000, "{own}: {}", page.len());
            let ids = between(page, " id=\"", "\"");
            let unique: BTreeSet<&str> = ids.iter().copied().collect();
            assert_eq!(ids.len(), unique.len(), "{own}: an id is there twice");
            for target in between(page, "href=\"#", "\"") {
                assert!(unique.contains(target), "{own}: #{target}");
            }
            for target in between(page, "for=\"", "\"") {
                assert!(unique.contains(target), "{own}: a label of nothing: {target}");
            }
            for path in between(page, "href=\"/", "\"") {
                let (path, target) = path.split_once('#').unwrap_or((path, ""));
                Ask::get(format!("/{path}")).of(&app.router).await.expect(200);
                let other = pages.iter().find(|(other, _)| *other == format!("/{path}"));
                let is_there =
                    other.is_none_or(|(_, page)| page.contains(&format!(" id=\"{target}\"")));
                assert!(target.is_empty() || is_there, "{own}: {path}#{target}");
            }
        }
    }
}

#[tokio::test]
async fn only_what_is_served_has_a_page() {
    let only = HttpConfig { dialects: vec!["wagy".into()], ..HttpConfig::new(Some(ADDRESS)) };
    let app = App::with(only, "unlimited").await;
    let page = page(&app, "/docs").await;
    assert!(page.contains("href=\"/docs/wagy\"") && !page.contains("href=\"/docs/mpwa\""));
    Ask::get("/docs/mpwa").of(&app.router).await.expect(404);
    Ask::get("/docs/mpwa/client.py").of(&app.router).await.expect(404);
}

#[tokio::test]
async fn pages_name_the_address_that_was_asked() {
    let app = App::new().await;
    let set = page(&app, "/docs").await;
    assert!(set.contains(&format!("export GERBANG_URL={ADDRESS}\n")));
    assert!(set.contains(&format!("URL={ADDRESS}; OPERATOR")), "the guide names another");

    let app = App::with(HttpConfig::new(None), "unlimited").await;
    let ask = |host: &str| Ask::get("/docs/wagy").header("host", host);
    let response = ask("wa.local:8080").of(&app.router).await.expect(200).text();
    assert!(response.contains("export GERBANG_URL=http://wa.local:8080\n"));
    let response = ask("x\"><b>").of(&app.router).await.expect(200).text();
    assert!(
        response.contains("export GERBANG_URL=http://localhost\n") && !response.contains("\"><b>")
    );
}

#[tokio::test]
async fn pages_and_documents_are_built_once() {
    let app = App::new().await;
    for path in ["/docs", "/docs/wagy", "/openapi.json", "/openapi.json?dialect=mpwa"] {
        let mut bodies = Vec::new();
        let mut tag = String::new();
        for _ in 0..2 {
            let response = Ask::get(path).open(&app.router).await;
            tag = response.headers()["etag"].to_str().unwrap().to_owned();
            bodies.push(axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap());
        }
        assert!(bodies[0].len() > 1_000);
        assert_eq!(bodies[0].as_ptr(), bodies[1].as_ptr(), "{path} was built or copied again");
        let again = Ask::get(path).header("if-none-match", &tag).of(&app.router).await.expect(304);
        assert_eq!((again.header("etag"), again.body.len()), (tag.as_str(), 0), "{path}");
    }
    let css = Ask::get("/assets/docs.css").of(&app.router).await;
    let css = Ask::get("/assets/docs.css").header("if-none-match", css.header("etag"));
    css.of(&app.router).await.expect(304);
}
