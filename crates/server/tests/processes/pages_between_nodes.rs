//! The dashboard on two nodes: a page hears of what happens on the other one, and a form that reaches both
//! acts once.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::json;

use crate::between_nodes::{Pair, until_event};
use crate::support::gateway::Gateway;
use crate::support::wait::until;

const SHOP: &str = "6281100000009";
/// How often a form is sent; to both nodes in turn.
const SENT: usize = 20;

/// Somebody who has signed in.
struct Person {
    client: reqwest::Client,
    cookie: String,
    csrf: String,
}

impl Person {
    /// The first operator, looking at an account.
    async fn operator_in(pair: &Pair, account: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy();
        let client = client.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let link = pair.one.operator().post("/v1/setup-links", json!({})).await;
        let link = link["url"].as_str().unwrap();
        let fields = [("email", "op@example.com"), ("password", "a long password")];
        let joined = form(client.post(link), &fields).send().await.unwrap();
        assert_eq!(joined.status(), 303);
        let cookie = joined.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let mut person = Self { client, cookie, csrf: String::new() };
        let page = person.get(&pair.one, "/app/accounts").await.text().await.unwrap();
        person.csrf = field(&page, "csrf");
        let entered = person.post(&pair.one, &format!("/app/accounts/{account}/enter"), &[]).await;
        assert_eq!(entered.0, 303);
        person
    }

    async fn get(&self, node: &Gateway, path: &str) -> reqwest::Response {
        let request = self.client.get(format!("http://{}{path}", node.address()));
        let answer = request.header("cookie", &self.cookie).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer
    }

    /// The status, where it leads, and the page.
    async fn post(
        &self,
        node: &Gateway,
        path: &str,
        fields: &[(&str, &str)],
    ) -> (u16, String, String) {
        let mut fields = fields.to_vec();
        fields.push(("csrf", &self.csrf));
        let request = self.client.post(format!("http://{}{path}", node.address()));
        let answer = form(request.header("cookie", &self.cookie), &fields).send().await.unwrap();
        let status = answer.status().as_u16();
        let to = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        (status, to.unwrap_or_default(), answer.text().await.unwrap())
    }

    /// Sends a form many times at once, to both nodes in turn; the one answer.
    async fn race(
        &self,
        pair: &Pair,
        path: &str,
        fields: &[(&str, &str)],
    ) -> (u16, String, String) {
        let nodes = [&pair.one, &pair.two];
        let sent = join_all((0..SENT).map(|n| self.post(nodes[n % 2], path, fields))).await;
        let mut different: BTreeSet<_> = sent.into_iter().collect();
        assert_eq!(different.len(), 1, "{path}: {different:?}");
        different.pop_first().unwrap()
    }
}

fn form(request: reqwest::RequestBuilder, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let encoded = reqwest::Url::parse_with_params("http://form", fields).unwrap();
    let body = encoded.query().unwrap_or_default().to_owned();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

fn field(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&start).expect("the field");
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hear_of_other_nodes_and_their_forms_act_once() {
    let mut pair = Pair::start(&[]).await;
    let account = pair.one.operator().make_account("pages", "unlimited").await;
    let id = account.get("/v1/me").await["account"]["id"].to_string();
    let person = Person::operator_in(&pair, &id).await;
    // The device runs at the node where it was made; its page is looked at on the other.
    let device = account.make_device("shop").await;
    let mut all = person.get(&pair.two, "/app/stream").await.bytes_stream();
    until_event(&mut all, "data: new").await;
    let path = format!("/app/stream?device={device}");
    let mut own = person.get(&pair.two, &path).await.bytes_stream();
    let offer = account.post(&format!("/v1/devices/{device}/pair"), json!({})).await;
    pair.simulator.scan(SHOP, offer["qr"].as_str().unwrap()).await;
    account.wait_for_status(&device, "connected").await;
    until_event(&mut own, "data: device").await;
    until_event(&mut all, "data: device").await;

    // A node knows within a second that it is not the only one any more.
    for (n, nodes) in [[&pair.one, &pair.two], [&pair.two, &pair.one]].iter().enumerate() {
        let key = format!("form-0{n}");
        let form = [("name", "known"), ("key", key.as_str())];
        assert_eq!(person.post(nodes[0], "/app/devices", &form).await.0, 303);
        until("the nodes know of each other", 10, async || {
            (person.post(nodes[1], "/app/devices", &form).await.0 == 303).then_some(())
        })
        .await;
    }
    let devices = async || account.all("/v1/devices").await.len();
    let before = devices().await;
    let new = [("name", "twice"), ("key", "form-1")];
    let (status, made, _) = person.race(&pair, "/app/devices", &new).await;
    assert_eq!((status, devices().await), (303, before + 1), "{made}");
    // A secret that is shown once is the same in every answer.
    let invitation = [("role", "viewer"), ("key", "form-2")];
    let (status, _, page) = person.race(&pair, "/app/people/invite", &invitation).await;
    assert!(status == 200 && page.contains("/app/join/"), "{status} {page}");
    // What is at fault is corrected and sent again, to any node.
    let wrong = [("name", ""), ("key", "form-3")];
    for node in [&pair.one, &pair.two, &pair.one] {
        assert_eq!(person.post(node, "/app/devices", &wrong).await.0, 422);
    }

    // Nobody has the answer any more, but it is known that the form was acted on.
    let first = [("name", "first"), ("key", "form-4")];
    assert_eq!(person.post(&pair.one, "/app/devices", &first).await.0, 303);
    pair.one.process.kill().await;
    let at_two = pair.at_two(&account);
    let count = at_two.all("/v1/devices").await.len();
    let (status, _, page) = person.post(&pair.two, "/app/devices", &first).await;
    assert!(status == 409 && page.contains("was sent before"), "{status} {page}");
    assert_eq!(at_two.all("/v1/devices").await.len(), count);
    pair.end().await;
}
