//! Our pages as axe-core judges them: in light and dark, wide and narrow, without one violation.

use std::path::Path;

use serde_json::{Value, json};

use super::chromium::Chromium;
use crate::demo::{APIS, Demo, the_device};

pub const SCHEMES: [&str; 2] = ["light", "dark"];
/// Of a desk and of a phone, in pixels.
pub const WIDTHS: [u32; 2] = [1440, 390];
/// Violations with the elements they are about, and whether the page is wider than the screen.
pub const JUDGE: &str = "axe.run().then(({ violations }) => ({
    violations: violations.map(({ id, help, nodes }) =>
        [id, help, ...nodes.map(node => `${node.target}: ${node.failureSummary}`)].join('\\n')),
    is_too_wide: document.documentElement.scrollWidth > window.innerWidth,
}))";

#[tokio::test(flavor = "multi_thread")]
async fn every_page_passes_axe_in_both_schemes_and_widths() {
    let data = tempfile::tempdir().unwrap();
    let demo = Demo::start(data.path()).await;
    // A chat with a message each way.
    demo.paste(&demo.curls[0]).await;
    let answer = json!({ "to": the_device(&demo).await["phone"], "text": "Hi" });
    demo.simulator().post(&format!("/phones/{}/send", demo.phone), answer).await;

    let axe = axe();
    let mut browser = Chromium::start().await;
    let pages = pages(&mut browser, &demo).await;
    for page in &pages {
        for (scheme, width) in SCHEMES.iter().flat_map(|s| WIDTHS.map(|width| (s, width))) {
            browser.show_as(scheme, width).await;
            browser.open(page).await;
            if *page == demo.phone_page {
                browser.wait_for("document.querySelector('#chats button')").await;
                browser.evaluate("document.querySelector('#chats button').click()").await;
                browser.wait_for("document.querySelectorAll('#messages li').length >= 2").await;
            }
            browser.evaluate(&axe).await;
            let verdict = browser.evaluate(JUDGE).await;
            let expected = json!({ "violations": [], "is_too_wide": false });
            assert_eq!(verdict, expected, "{page}, {scheme}, {width} px");
        }
    }
    // Files that are missing and what the policy blocks are errors of the page, too.
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

/// The addresses of all pages: the documentation's as it links them, and the simulator's.
async fn pages(browser: &mut Chromium, demo: &Demo) -> Vec<String> {
    browser.open(&format!("{}/docs", demo.base)).await;
    let links = "[...document.querySelectorAll('header nav a')].map(link => link.href)";
    let Value::Array(links) = browser.evaluate(links).await else { panic!("no links at /docs") };
    let mut pages: Vec<_> = links.iter().map(|link| link.as_str().unwrap().to_owned()).collect();
    assert_eq!(pages.len(), APIS);
    pages.extend(["", "/"].map(|end| format!("{}/simulator{end}", demo.base)));
    pages.push(demo.phone_page.clone());
    pages
}

/// axe-core's source, to be run in a page.
pub fn axe() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/processes/browser/npm");
    let file = folder.join("node_modules/axe-core/axe.min.js");
    let source = std::fs::read_to_string(file);
    source.expect("axe-core is not installed: run `cargo xtask test npm` first") + "\n;0"
}
