//! Pages of the dashboard: how much they weigh, and how soon they answer with few and many messages.

use std::time::Duration;

use crate::lists::{Filled, alternate};
use crate::load::Kind;
use crate::numbers::ms;
use crate::report::Table;

const PATHS: [&str; 6] = [
    "/app",
    "/app/devices",
    "/app/send",
    "/app/messages",
    "/app/people",
    "/app/messages?status=sent",
];
/// One browser.
const CONNECTIONS: usize = 1;

/// Each page of both databases in turns.
pub async fn measure(few: &Filled, many: &Filled) -> Table {
    let columns = ["", "weight", "few", "many", "ratio", "target"];
    let mut table = Table::new("Pages of the dashboard", &columns);
    for path in PATHS {
        let weight = weight(many, path).await;
        let kind = Kind::Dashboard(path.to_owned());
        let [few, many] = alternate(few, many, &kind, CONNECTIONS, 3, 1).await;
        let time = |s: f64| ms(Duration::from_secs_f64(s));
        table.row([
            path.to_owned(),
            format!("{:.1} KB", weight as f64 / 1_000.0),
            time(few.0),
            time(many.0),
            format!("{:.2}", many.0 / few.0),
            "150 KB, 50 ms, at most 2".to_owned(),
        ]);
    }
    table.note("Weight: the page with its style sheet and script, not compressed. Times: of whole answers.");
    table
}

/// Bytes of a page and of what it loads.
async fn weight(filled: &Filled, path: &str) -> usize {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |path: &str| {
        let request = client.get(format!("http://{}{path}", filled.gateway.address()));
        let cookie = format!("gerbang={}", filled.session);
        let answer = request.header("Cookie", cookie).send().await.unwrap();
        answer.error_for_status().unwrap().text().await.unwrap()
    };
    let page = get(path).await;
    let mut weight = page.len();
    let quoted = page.split('"').skip(1).step_by(2);
    for loaded in quoted.filter(|text| text.ends_with(".css") || text.ends_with(".js")) {
        weight += get(loaded).await.len();
    }
    weight
}
